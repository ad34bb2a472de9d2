"""The whole system as a few dictionaries: what the graph must contain after any sequence of commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease as Given
from dmcheck_cli.domain.policy import allowance
from dmcheck_cli.domain.policy.allowance import EndedLease
from dmcheck_cli.domain.policy.trust import standing, verdict
from dmcheck_cli.settings import Settings
from jobs import judge_clients

Past = tuple[int, str, float | None, str | None]
"""A client, its answer, when it was given, and how it became history."""

Need = tuple[str, int]
"""Why a user needs another opinion, and who was asked first."""


NOW = float("inf")
"""The moment at which the job began, until the graph tells it: nothing is later."""

KINDS = {"dm": "DM", "non_dm": "NON_DM", "unknown": "UNKNOWN"}
"""The counts of a lease's record, and which answers they count."""


class Refusal(Exception):
    """The command must be refused with this code, and change only what a refusal may change."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Opinion:
    """What a client says of a user; when (seconds, according to the database; None: not yet known); whether it is in
    force, was asked for after another's answer, was overruled; the answer that it was compared with ('': looked at and
    compared with none; None: never looked at)."""

    client: int
    candm: str
    at: float | None = None
    force: bool = True
    witness: bool = False
    overruled: bool = False
    counted: str | None = None


@dataclass
class User:
    """A user: its bucket; why it is there for a second opinion; the priority promised while under lease; the opinions
    on it, in the order in which they came, and those that are none any more, each with its time and how it became one;
    why it needs another, and who was asked first; whether chance decides that; whether it is set aside."""

    bucket: str | None = None
    second: str | None = None
    promised: int | None = None
    said: list[Opinion] = field(default_factory=list)
    past: Counter[Past] = field(default_factory=Counter)
    needs: Need | None = None
    drawn: bool = False
    aside: bool = False

    @property
    def answer(self) -> Opinion | None:
        """The one in force."""
        return next((one for one in self.said if one.force), None)

    def forget(self, one: Opinion, how: str | None = None) -> None:
        """An opinion becomes history."""
        self.said.remove(one)
        self.past[one.client, one.candm, one.at, how] += 1

    def look(self, asked: int) -> None:
        """The job has to look at it, unless it is in a bucket or has to be looked at already."""
        if self.bucket is None and (self.needs is None or self.needs[0] != "look"):
            self.needs = ("look", asked)


@dataclass
class Bucket:
    """A bucket; `lease` is its newest lease, ages are in seconds. `raised_from` is its priority before it was
    overdue; `failures` counts the leases in a row that ended without an answer, the first of them `failed_by`'s;
    `heard` are those who answered for its users."""

    priority: int
    raised_from: int | None = None
    failures: int | None = None
    failed_by: int | None = None
    split: bool = False
    heard: frozenset[int] | None = None
    holder: int | None = None
    lease: str | None = None
    left: int = 0
    since: int = 0
    dead_for: int | None = None
    age: int = 0

    @property
    def urgent(self) -> bool:
        """Whether its users were prioritized."""
        return (self.priority if self.raised_from is None else self.raised_from) < DEFAULTS.default_priority


@dataclass
class Client:
    """A client, its counters, and its verdict; `capacity` is None if it stated none. `next_fetch`: seconds until it may
    fetch again (0 or less: now), `seen`: seconds since its last command. `trust` is what comparisons tell about it, and
    `share` how much of what it says is checked (None: never worked out)."""

    active: bool
    capacity: int | None
    suspended: bool = False
    trust: standing.Client = field(default_factory=standing.Client)
    share: float | None = None
    processed_judged: int | None = None
    assigned: int = 0
    processed: int = 0
    fault: int = 0
    dead: int = 0
    allowance: int | None = None
    faults_judged: int | None = None
    judged_for: str | None = None
    turnaround: int | None = None
    next_fetch: int | None = None
    seen: int | None = None


@dataclass
class Lease:
    """A hand-out and its record; `processed` is how many buckets its client had answered before it. At its end: how it
    ended, for how many seconds it has and when (according to the database), how many users it had, how many answers of
    each kind, and how many of these were first ones (None: all). `answers` are those of the submit that ended it,
    `refused` the places of strangers among them. `excused`: others had failed on the bucket before."""

    client: int
    bucket: str
    request: str
    processed: int
    died: bool = False
    unjudged: bool = True
    how: str | None = None
    ended_for: int | None = None
    users: int | None = None
    counts: dict[str, int] | None = None
    answers: dict[str, str] | None = None
    refused: list[int] | None = None
    first: list[int] | None = None
    excused: bool = False
    ended_at: float | None = None
    age: int = 0

    def end(self, how: str, users: int) -> None:
        """It ends now."""
        self.how, self.users, self.ended_for = how, users, 0


@dataclass
class Group:
    """Users who are now in new buckets of these sizes, which are like `like`; the database chooses who is in which
    bucket, and its id."""

    candidates: set[str]
    sizes: list[int]
    like: Bucket


@dataclass
class Making:
    """What make_buckets may do: at most `room` new buckets of `most` users in all; who waits, who needs another opinion
    and why, and who may be asked for one."""

    room: int
    most: int
    free: set[str]
    needing: dict[str, str]
    able: set[int]


@dataclass(frozen=True)
class There:
    """What the graph says, where the database decides: the users and the priority of each bucket; when each client gave
    its opinion on a user; why users need another; when leases ended; when clients were contained and are doubted."""

    members: dict[str, set[str]]
    priorities: dict[str, int]
    times: dict[tuple[str, int], float]
    needs: dict[str, str]
    ended: dict[str, float]
    contained: dict[int, float]
    doubted: dict[int, list[float]]


class Model:
    """The required state. Each method does what the command of its name must do, or raises the required Refusal."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.limits, self.size = settings, settings.limits, settings.bucket_size
        self.users: dict[str, User] = {}
        self.buckets: dict[str, Bucket] = {}
        self.clients: dict[int, Client] = {}
        self.common = 0.0
        self.leases: dict[str, Lease] = {}
        self.every_lease: dict[str, tuple[int, str, frozenset[str]]] = {}
        self.groups: list[Group] = []
        self.making: Making | None = None
        self.made = (0, 0)

    # Queries

    def members(self, bucket: str) -> list[str]:
        """The users in a bucket."""
        return sorted(name for name, user in self.users.items() if user.bucket == bucket)

    def waiting(self) -> list[str]:
        """The buckets without a holder; a spent one is split before anybody sees it."""
        return [uuid for uuid, bucket in self.buckets.items() if bucket.holder is None]

    def held(self, client: int) -> list[str]:
        """The buckets that a client holds."""
        return [uuid for uuid, bucket in self.buckets.items() if bucket.holder == client]

    def free(self) -> set[str]:
        """Users in no bucket, without an answer and not set aside."""
        return {
            name for name, user in self.users.items() if user.bucket is None and user.answer is None and not user.aside
        }

    def active(self, client: int) -> Client:
        """The client, if it may act."""
        found = self.clients.get(client)
        if found is not None and found.suspended:
            raise Refusal("suspended")
        if found is None or not found.active:
            raise Refusal("not_registered")
        return found

    def own(self, client: int, uuid: str) -> bool:
        """Whether the client was the bucket's last holder."""
        lease = self.buckets[uuid].lease
        return lease is not None and self.leases[lease].client == client

    def in_force(self) -> list[Opinion]:
        """All answers in force."""
        return [user.answer for user in self.users.values() if user.answer is not None]

    # What a client may hold

    def earned(self, client: Client) -> int:
        """What it has earned."""
        return self.limits.start_allowance if client.allowance is None else client.allowance

    def may_hold(self, client: Client) -> int:
        """What it may hold: what it has earned, but no more than it stated."""
        return min(self.earned(client), client.capacity or self.limits.start_allowance)

    def judge(self) -> dict[str, int]:
        """The job: judges each client by the leases that ended and the faults that occurred, then by what others say of
        the same users; returns its counts."""
        court = standing.Standings({id: client.trust for id, client in self.clients.items()})
        judged = 0
        before = {id: self.may_hold(client) for id, client in self.clients.items()}
        disputed: set[str] = set()
        for id, client in self.clients.items():
            while todo := self._unjudged(id):
                judged += self._judge(id, todo, court)
            if client.fault != (client.faults_judged or 0):
                self._judge(id, [], court)
        court.refresh()
        counts = Counter(self._compare(court, disputed))
        while (worst := court.worst()) is not None:
            since, client = court.contain(worst, NOW), self.clients[worst]
            since = 0.0 if client.trust.record else since
            client.trust.record, client.share, client.allowance = False, 1.0, 1
            self._look(worst, since)
            counts += self._compare(court, disputed)
        for id in list(court.released()):
            court.release(id, NOW)
        for _ in range(judge_clients.MAX_ROUNDS):
            court.refresh()
            moved = court.moved(self.common, any(client.trust.record for client in self.clients.values()))
            if moved:
                self.common = court.crowd.common
            for id, client in self.clients.items():
                record, share = court.has_record(client.trust), court.share(id)
                changed = (record, share) != (client.trust.record, client.share)
                lost = client.trust.record and not record
                if moved or lost or (changed and share == 1.0 and client.trust.contained is None):
                    self._look(id, 0.0)
                client.trust.record, client.share = record, share
            counts += self._compare(court, disputed)
        now = {id: self.may_hold(client) for id, client in self.clients.items()}
        return {
            "judged": judged, "raised": sum(now[id] > before[id] for id in now),
            "lowered": sum(now[id] < before[id] for id in now), "compared": counts["compared"],
            "disputed": len(disputed), "suspended": 0,
        }  # fmt: skip

    def _look(self, id: int, since: float) -> None:
        """The job has to look at all of whom a client said something since then."""
        for user in self.users.values():
            if any(one.client == id and (one.at or 0.0) >= since for one in user.said):
                user.look(id)

    def _compare(self, court: standing.Standings, disputed: set[str]) -> Counter[str]:
        """Looks at the opinions on all users who are to be looked at; adds to `disputed` whom clients differ about."""
        counts: Counter[str] = Counter()
        for name, user in self.users.items():
            if user.needs is None or user.needs[0] != "look":
                continue
            user.needs = None
            if not user.said:
                continue
            opinions = [
                verdict.Opinion(
                    one.client, one.candm, one.at or 0.0, one.counted or None,
                    self._doubts(one), one.witness,
                )
                for one in user.said
            ]  # fmt: skip
            new = next((n for n, one in enumerate(reversed(user.said)) if one.counted is not None), len(opinions))
            found = court.count(opinions, new)
            for one, opinion in zip(user.said, opinions, strict=True):
                counts["compared"] += not one.counted and opinion.counted is not None
                one.counted = opinion.counted or ""
            if len(found.votes) > 1:
                disputed.add(name)
            right = [one for one in user.said if one.candm == found.answer]
            before = user.answer
            if before is not None and before not in right and found.need != "contained":
                before.force, before.overruled, right[0].force, right[0].overruled = False, True, True, False
            if found.need is not None and not user.aside:
                user.needs = (found.need, user.said[0].client)
        return counts

    def _doubts(self, one: Opinion) -> bool:
        """Whether an opinion counts for nothing."""
        return one.client in self.clients and self.clients[one.client].trust.doubts(one.at or 0.0)

    def _unjudged(self, client: int) -> list[Lease]:
        """In the order in which they ended."""
        found = [(x.ended_for, id) for id, x in self.leases.items() if x.client == client and x.unjudged and x.how]
        return [self.leases[id] for _, id in sorted(found, key=lambda one: (-(one[0] or 0), one[1]))]

    def _judge(self, id: int, todo: list[Lease], court: standing.Standings) -> int:
        """One batch; returns the number of leases."""
        client, most = self.clients[id], 10 * self.limits.batch_leases
        batch, later = todo[:most], todo[most:]
        facts = allowance.Client(
            client.capacity,
            client.allowance,
            client.assigned,
            client.processed,
            client.fault - (client.faults_judged or 0),
            sum(x.how == "answered" and x.ended_for != batch[-1].ended_for for x in later),
            client.trust.contained is not None,
        )
        ended = [
            EndedLease(
                lease.how or "",
                -lease.age,
                -(lease.ended_for or 0),
                lease.users or 0,
                **(lease.counts or {}),
                died=lease.died,
                processed_before=lease.processed,
                first=(lease.first[0], lease.first[1], lease.first[2]) if lease.first else None,
                excused=lease.excused,
            )
            for lease in batch
        ]
        earned = allowance.judge(facts, ended, self.settings.lease_seconds, self.limits)
        client.faults_judged = client.fault
        for lease in batch:
            lease.unjudged = False
            if lease.how == "answered":
                first = lease.first or list((lease.counts or {}).values())
                client.trust.answers = [a + b for a, b in zip(client.trust.answers, first, strict=True)]
                court.saw_bucket(id, lease.ended_at or 0.0, first[0], sum(first))
        client.processed_judged = client.processed - sum(x.how == "answered" for x in later)
        if earned.reason is not None:
            client.allowance, client.judged_for = earned.allowance, earned.reason
            if earned.turnaround_seconds is not None:
                client.turnaround = earned.turnaround_seconds
        return len(batch)

    # Clients

    def register(self, id: int, right_name: bool, capacity: int | None) -> int:
        """Returns how many leases it can hold, as it stated or by default."""
        if id in self.clients and not right_name:
            raise Refusal("wrong_details")
        if id in self.clients and self.clients[id].suspended:
            raise Refusal("suspended")
        client = self.clients.setdefault(id, Client(True, None))
        client.active, client.capacity = True, capacity or client.capacity
        return client.capacity or self.limits.start_allowance

    def unregister(self, id: int, right_name: bool) -> int:
        if id not in self.clients:
            raise Refusal("not_registered")
        if not right_name:
            raise Refusal("wrong_details")
        self.clients[id].active = False
        held = self.held(id)
        for uuid in held:
            self.give_back(uuid, "returned")
        return len(held)

    def suspend(self, id: int) -> int:
        """Returns how many buckets come back."""
        if id not in self.clients:
            raise Refusal("not_registered")
        self.clients[id].suspended = True
        held = self.held(id)
        for uuid in held:
            self.give_back(uuid, "returned")
        return len(held)

    def resume_client(self, id: int) -> bool:
        """Ends suspension and containment; returns whether it is suspended, for the look of it."""
        if id not in self.clients:
            raise Refusal("not_registered")
        client = self.clients[id]
        client.suspended = False
        if client.trust.contained is not None:
            fresh = standing.Client()
            client.trust.contained, client.trust.cells, client.trust.times = None, fresh.cells, fresh.times
            client.trust.record, client.share = False, None
            client.trust.doubted.append(NOW)
        return client.suspended

    def distrust(self, id: int) -> tuple[int, int, int]:
        """Withdraws all that a client said; returns how many answers were withdrawn and kept, and how many of the
        withdrawn users nobody else answered."""
        if id not in self.clients:
            raise Refusal("not_registered")
        withdrawn = kept = waiting = 0
        for user in self.users.values():
            mine = [one for one in user.said if one.client == id]
            others = [one for one in user.said if one.client != id]
            sound = [one for one in others if not self._doubts(one)]
            if not mine:
                continue
            [one] = mine
            if one.force and any(other.candm == one.candm for other in sound):
                kept += 1
                continue
            user.forget(one, "withdrawn")
            user.needs = ("look", id) if others and user.bucket is None else user.needs if others else None
            withdrawn += one.force
            if one.force and others:
                said = Counter(other.candm for other in sound)
                best = max(others, key=lambda other: (other in sound, said[other.candm], other.at or 0.0))
                best.force, best.overruled = True, False
            elif not others:
                user.second, waiting = None, waiting + 1
        return withdrawn, kept, waiting

    # Leases

    def before_fetch(self, id: int, request: str, count: int | None) -> list[tuple[int, bool]]:
        """The priorities that a fetch must return when it takes new buckets, and for each whether the bucket was last
        this client's; [] when it repeats."""
        client = self.active(id)
        client.seen = 0
        if any((x.client, x.request) == (id, request) for x in self.leases.values()):
            if not self.repeated(id, request):
                raise Refusal("nothing_to_fetch")
            return []
        room = self.may_hold(client) - len(self.held(id))
        if room <= 0:
            raise Refusal("over_quota")
        if self.settings.max_unjudged and not client.trust.record:
            left = self.settings.max_unjudged - client.processed + (client.processed_judged or 0) - len(self.held(id))
            if left <= 0:
                raise Refusal("unjudged")
            room = min(room, left)
        if client.next_fetch is not None and client.next_fetch > 0:
            raise Refusal("too_fast")
        line = sorted(
            (self.buckets[uuid].priority, self.own(id, uuid))
            for uuid in self.waiting()
            if id not in (self.buckets[uuid].heard or ())
        )
        if not line:
            raise Refusal("nothing_to_fetch")
        wanted = count or client.capacity or self.limits.default_fetch
        return line[: min(wanted, room, self.limits.max_fetch)]

    def repeated(self, id: int, request: str) -> set[str]:
        """The leases of a request that are still held."""
        return {
            bucket.lease
            for bucket in self.buckets.values()
            if bucket.lease is not None and bucket.holder == id and self.leases[bucket.lease].request == request
        }

    def fetched(self, id: int, request: str, given: list[Given], lease_seconds: int) -> None:
        """Record what a fetch returned."""
        client = self.clients[id]
        if given:  # one pause per fetch; a client may run ahead by a few
            most = self.limits.pause_seconds * self.limits.tolerance
            since = -most if client.next_fetch is None else max(client.next_fetch, -most)
            client.next_fetch = since + self.limits.pause_seconds
        for one in given:
            bucket = self.buckets[one.bucket]
            assert bucket.holder is None, f"bucket {one.bucket} is held by {bucket.holder}, and was given to {id}"
            assert one.lease not in self.every_lease, f"lease {one.lease} was given before"
            bucket.holder, bucket.lease, bucket.dead_for = id, one.lease, None
            bucket.left, bucket.since = lease_seconds, 0
            self.leases[one.lease] = Lease(id, one.bucket, request, client.processed)
            self.every_lease[one.lease] = (id, one.bucket, frozenset(user.screen_name for user in one.users))
            client.assigned += 1

    def standing(self, id: int, uuid: str, lease: str) -> str:
        """The standing of a lease: 'newest', 'answered', or the reason why it is refused."""
        bucket, known = self.buckets.get(uuid), self.leases.get(lease)
        if known is not None and known.client != id:
            return "not_owner"
        if known is not None and known.answers is not None:
            return "answered"
        if bucket is not None:
            return "newest" if bucket.lease == lease else "lease_lost"
        finished = any(x.bucket == uuid and x.answers is not None for x in self.leases.values())
        return "lease_lost" if finished else "unknown_bucket"

    def renew(self, id: int, uuid: str, lease: str, lease_seconds: int) -> None:
        self.active(id).seen = 0
        standing = self.standing(id, uuid, lease)
        if standing not in {"newest", "answered"}:
            raise Refusal(standing)
        bucket = self.buckets.get(uuid)
        if bucket is None or standing == "answered" or bucket.holder != id:
            raise Refusal("lease_lost")
        bucket.left, bucket.since, bucket.dead_for = lease_seconds, 0, None

    def release(self, id: int, uuid: str, lease: str, failed: bool) -> int:
        """Returns how many users wait again; a repeated release succeeds."""
        self.active(id).seen = 0
        standing, known = self.standing(id, uuid, lease), self.leases.get(lease)
        if known is not None and standing == "newest":
            if self.buckets[uuid].holder == id:
                self.give_back(uuid, "released", failed)
        elif known is None or known.how != "released" or known.client != id:
            raise Refusal("lease_lost" if standing == "answered" else standing)
        assert known.users is not None
        return known.users

    def submit(self, id: int, answered: list[tuple[str, str, dict[str, str]]]) -> list[dict[str, Any]]:
        """Takes bucket, lease and answers for each; returns the reports."""
        client = self.active(id)
        client.seen = 0
        reports = []
        for (uuid, lease, answers), found in [(one, self.standing(id, *one[:2])) for one in answered]:
            standing = found
            if standing == "newest" and answers and self.members(uuid) and not answers.keys() & set(self.members(uuid)):
                standing = "not_in_bucket"
            if standing == "newest":
                self._accept(client, id, uuid, lease, answers)
            same = standing == "answered" and self.leases[lease].answers == answers
            if standing == "newest" or same:
                reports.append(self._report(uuid, self.leases[lease]))
                continue
            client.fault += 1
            reason = "payload_changed" if standing == "answered" else standing
            reports.append(
                {"bucket": uuid, "status": "refused", "accepted": 0, "returned": 0, "refused": [], "reason": reason}
            )
        return reports

    def _accept(self, client: Client, id: int, uuid: str, lease: str, answers: dict[str, str]) -> None:
        members, known = self.members(uuid), self.leases[lease]
        strangers = {name for name in answers if name in self.users and name not in members}
        taken = {name: candm for name, candm in answers.items() if name in members}
        firsts = [candm for name, candm in taken.items() if self.users[name].second is None]
        share = self.limits.newcomer_share if client.share is None else client.share
        for name, candm in taken.items():
            user = self.users[name]
            again = user.second is not None
            user.said.append(Opinion(id, candm, force=not again, witness=again))
            user.bucket = user.promised = user.second = None
            if again or candm == "DM" or share == 1.0:
                user.needs = ("look" if again else "dm" if candm == "DM" else "check", id)
            else:
                user.drawn = share > 0.0
        if taken:
            self.buckets[uuid].failures = self.buckets[uuid].failed_by = None
        else:
            self._fail(uuid, known)
        if len(taken) == len(members):
            del self.buckets[uuid]
        else:
            self.give_back(uuid)
        known.end("answered" if len(answers) > len(strangers) else "released", len(members))
        known.counts = {kind: list(taken.values()).count(candm) for kind, candm in KINDS.items()}
        known.first = [firsts.count(candm) for candm in KINDS.values()] if len(firsts) < len(taken) else None
        known.answers, known.refused = dict(answers), [i for i, name in enumerate(sorted(answers)) if name in strangers]
        client.processed += known.how == "answered"
        client.fault += bool(strangers)
        if 0 < len(members) <= len(taken) * 2:
            client.next_fetch = None

    def _report(self, uuid: str, known: Lease) -> dict[str, Any]:
        assert known.users is not None
        assert known.counts is not None
        assert known.answers is not None
        assert known.refused is not None
        accepted, names = sum(known.counts.values()), sorted(known.answers)
        return {
            "bucket": uuid,
            "status": "done" if accepted == known.users else "partial",
            "accepted": accepted,
            "returned": known.users - accepted,
            "refused": [{"screen_name": names[i], "reason": "not_in_bucket"} for i in known.refused],
            "reason": None,
        }

    def _fail(self, uuid: str, lease: Lease) -> None:
        """One more lease in a row ended without an answer."""
        bucket = self.buckets[uuid]
        lease.excused = bucket.failed_by not in {None, lease.client}
        bucket.failures = (bucket.failures or 0) + 1
        bucket.failed_by = 0 if lease.excused else lease.client

    def give_back(self, uuid: str, how: str | None = None, failed: bool = False) -> None:
        """A bucket waits again; users promised another priority leave it, and an empty bucket disappears. On one on
        which too many leases failed, the users go on in smaller ones. `how` its lease ended, unless that is recorded
        elsewhere; `failed`: COMMAND did."""
        bucket = self.buckets[uuid]
        bucket.holder = bucket.dead_for = None
        if how is not None and bucket.lease is not None:
            self.leases[bucket.lease].end(how, len(self.members(uuid)))
            if how == "died" or failed:
                self._fail(uuid, self.leases[bucket.lease])
        promised: dict[int, set[str]] = {}
        for name in self.members(uuid):
            priority = self.users[name].promised
            if priority is not None:
                promised.setdefault(priority, set()).add(name)
        for priority, names in promised.items():
            self._move(names, [len(names)], Bucket(priority))
        left = set(self.members(uuid))
        if left and (bucket.failures or 0) >= self.limits.max_failures[bucket.split]:
            self._split(bucket, left)
        if not self.members(uuid):
            del self.buckets[uuid]

    def _split(self, bucket: Bucket, names: set[str]) -> None:
        """Into buckets of a tenth; who is alone in a smaller one is set aside."""
        if bucket.split and len(names) == 1:
            for name in names:
                user = self.users[name]
                user.aside, user.bucket, user.second = True, None, None
            return
        size = ceil(len(names) / self.limits.split)
        sizes = [min(size, len(names) - i) for i in range(0, len(names), size)]
        like = Bucket(
            bucket.priority, bucket.raised_from, None, bucket.failed_by, True, bucket.heard, age=bucket.age
        )  # fmt: skip
        self._move(names, sizes, like)

    def _move(self, names: set[str], sizes: list[int], like: Bucket) -> None:
        """Users leave their buckets for new ones."""
        for name in names:
            self.users[name].bucket = self.users[name].promised = None
        self.groups.append(Group(names, sorted(sizes), like))

    # What operators see

    def stats(self) -> tuple[dict[int, dict[str, Any]], dict[str, int | None]]:
        """For each client, whatever depends on more than its own counters, and the oldest wait of each kind."""
        clients = {
            id: {
                "allowance": self.may_hold(client),
                "capacity": client.capacity or self.limits.start_allowance,
                "judged_for": client.judged_for,
                "turnaround_seconds": client.turnaround,
                "held": len(self.held(id)),
                "users_unknown": sum((x.client, x.candm) == (id, "UNKNOWN") for x in self.in_force()),
                "users_checked": sum(x.client == id for x in self.in_force()),
                "oldest_lease_seconds": max(
                    (self.leases[self.buckets[uuid].lease or ""].age for uuid in self.held(id)), default=None
                ),
            }
            for id, client in self.clients.items()
        }
        waiting = [self.buckets[uuid] for uuid in self.waiting()]
        return clients, {
            "prioritized": max((bucket.age for bucket in waiting if bucket.urgent), default=None),
            "ordinary": max((bucket.age for bucket in waiting if not bucket.urgent), default=None),
        }

    # Users

    def drop_hollow(self) -> None:
        """Empty waiting buckets disappear."""
        for uuid in self.waiting():
            if not self.members(uuid):
                del self.buckets[uuid]

    def add(self, names: list[str]) -> tuple[int, int]:
        new = [name for name in names if name not in self.users]
        self.users.update({name: User() for name in new})
        return len(new), len(names) - len(new)

    def delete(self, names: list[str]) -> tuple[int, list[str]]:
        unknown = sorted(name for name in names if name not in self.users)
        for name in names:
            self.users.pop(name, None)
        self.drop_hollow()
        return len(names) - len(unknown), unknown

    def retry(self, names: list[str] | None) -> int:
        """Those set aside wait again, all of them unless named; returns how many did."""
        found = [user for name, user in self.users.items() if user.aside and (names is None or name in names)]
        for user in found:
            user.aside = False
            user.needs = None if user.answer is None else ("check", max(user.answer.client, 0))
        return len(found)

    def prioritize(self, names: list[str], priority: int, recheck: bool) -> dict[str, Any]:
        unknown = [name for name in names if name not in self.users]
        if len(unknown) == len(names):
            raise Refusal("unknown_user")
        moving: set[str] = set()
        stay, under_lease, checked, age = 0, 0, [], 0
        for name in names:
            user = self.users.get(name)
            bucket = self.buckets[user.bucket] if user is not None and user.bucket is not None else None
            if user is None:
                continue
            if user.answer is not None and not recheck:
                checked.append(name)
                continue
            there_again, user.second, user.needs, user.aside = user.second is not None, None, None, False
            for one in list(user.said):
                user.forget(one)
            if bucket is not None and bucket.holder is not None:
                if bucket.raised_from is None:
                    user.promised = priority
                under_lease += 1
            elif (
                bucket is not None
                and not there_again
                and (bucket.priority == priority or bucket.raised_from is not None)
            ):
                stay += 1
            else:
                moving.add(name)
                if bucket is not None and bucket.urgent:  # users prioritized before keep the start of their wait
                    age = max(age, bucket.age)
        if moving:
            self._move(moving, _sizes(len(moving), self.size), Bucket(priority, age=age))
        self.drop_hollow()
        return {
            "prioritized": stay + len(moving),
            "under_lease": under_lease,
            "already_checked": sorted(checked),
            "unknown": sorted(unknown),
        }

    # Jobs and time

    def make(self, most: int) -> None:
        """`made` tells afterwards how many buckets and users."""
        able = {
            id for id, x in self.clients.items() if x.active and not x.suspended and x.trust.contained is None
        }  # fmt: skip
        for uuid in self.waiting():
            heard = self.buckets[uuid].heard
            if heard is not None and able <= heard:
                self._unmix(uuid)
        wanted = sum(x.active and not x.suspended for x in self.clients.values()) * self.settings.buckets_per_client
        waiting = [self.buckets[uuid] for uuid in self.waiting()]
        # Prioritized ones count for at most half of the line.
        room = max(wanted - len(waiting) + max(sum(bucket.urgent for bucket in waiting) - wanted // 2, 0), 0)
        needing = {
            name: user.needs[0]
            for name, user in self.users.items()
            if user.needs is not None and user.needs[0] != "look" and user.bucket is None
        }
        self.making = Making(room, min(room * self.size, most), self.free(), needing, able)

    def _unmix(self, uuid: str) -> None:
        """Nobody may take the bucket any more: those leave it who are there for a second opinion."""
        for name in self.members(uuid):
            user = self.users[name]
            if user.second is not None:
                user.needs, user.bucket, user.second = (user.second, user.said[0].client), None, None
        self.buckets[uuid].heard = None
        if not self.members(uuid):
            del self.buckets[uuid]

    def _settle_made(self, making: Making, new: dict[str, set[str]]) -> None:
        """Take the new buckets, if they are among those that may come out."""
        limits, size, mixed, alone = self.limits, self.size, [], 0
        self.made = len(new), sum(map(len, new.values()))
        for uuid, names in new.items():
            seconds = names & making.needing.keys()
            heard = frozenset(one.client for name in seconds for one in self.users[name].said)
            self.buckets[uuid] = Bucket(limits.default_priority, heard=heard or None)
            assert names - seconds <= making.free, f"{names} were placed, of whom {making} may be"
            assert not seconds or making.able - heard, f"{seconds} are in a bucket that nobody may take"
            assert len(names) <= size, f"{len(names)} users are in a bucket"
            for name in names:
                user = self.users[name]
                user.bucket, user.second, user.needs = uuid, making.needing.get(name), None
            if names == seconds:
                alone += 1
                continue
            mixed.append(len(names - seconds))
            assert len(seconds) * limits.second_share <= len(names), f"{seconds} are too many of {names}"
        buckets, users = self.made
        wanted = min(making.most // limits.second_share, len(making.needing) if making.able else 0)
        fresh, waiting = sum(mixed), len(making.free)
        assert fresh == min(waiting, making.most - wanted), f"{fresh} unanswered users were placed, of {making}"
        assert not mixed or max(mixed) - min(mixed) <= 1, f"unequal shares of unanswered users: {mixed}"
        assert -(-fresh // size) <= len(mixed) <= -(-(fresh + wanted) // size), f"{mixed} users in buckets of {size}"
        assert buckets <= making.room, f"{buckets} buckets were made, of {making}"
        assert users <= making.most, f"{users} users were placed, of {making}"
        assert not alone or fresh == waiting, f"buckets of second opinions alone, while {waiting - fresh} users wait"
        left = [
            name for name in making.needing
            if self.users[name].needs and making.able - {one.client for one in self.users[name].said}
        ]  # fmt: skip
        if fresh == waiting and buckets < making.room and users < making.most:
            assert not left, f"{left} need another opinion, and there was room for them"

    def reclaim(self, lease_seconds: int, grace_seconds: int, keep_seconds: int) -> tuple[int, int]:
        """Returns how many were marked dead and released."""
        released = [u for u, b in self.buckets.items() if b.dead_for is not None and b.dead_for >= grace_seconds]
        for uuid in released:
            self.give_back(uuid, "died")
        over = [
            bucket
            for bucket in self.buckets.values()
            if bucket.holder is not None
            and bucket.dead_for is None
            and (bucket.left <= 0 or bucket.since >= lease_seconds)
        ]
        for bucket in over:
            assert bucket.lease is not None
            bucket.dead_for, lease = 0, self.leases[bucket.lease]
            self.clients[lease.client].dead += not lease.died
            lease.died = True
        newest = {bucket.lease for bucket in self.buckets.values()}
        self.leases = {
            id: x for id, x in self.leases.items() if id in newest or x.ended_for is None or x.ended_for <= keep_seconds
        }
        return len(over), len(released)

    def raise_starved(self) -> int:
        """Each further step of lateness moves a bucket one place forward."""
        raised = 0
        for bucket in map(self.buckets.get, self.waiting()):
            assert bucket is not None
            settings = self.settings
            late = bucket.age - (settings.starved_prioritized_seconds if bucket.urgent else settings.starved_seconds)
            place = -1 - late // self.limits.step_seconds
            if late >= 0 and place < bucket.priority:
                if bucket.raised_from is None:
                    bucket.raised_from = bucket.priority
                bucket.priority = place
                raised += 1
        return raised

    def pass_time(self, seconds: int) -> None:
        for bucket in self.buckets.values():
            bucket.age += seconds
            bucket.since += seconds
            bucket.left -= seconds
            if bucket.dead_for is not None:
                bucket.dead_for += seconds
        for lease in self.leases.values():
            lease.age += seconds
            if lease.ended_for is not None:
                lease.ended_for += seconds
        for client in self.clients.values():
            if client.seen is not None:
                client.seen += seconds
            if client.next_fetch is not None:
                client.next_fetch -= seconds

    # Against the graph

    def settle(self, there: There) -> None:
        """Take from the graph what the database decides: which users are in which new bucket, when opinions were given,
        leases ended, and clients were contained, and by chance who needs another opinion."""
        for name, user in self.users.items():
            for one in user.said:
                one.at = there.times.get((name, one.client), one.at) if one.at is None else one.at
            if user.drawn and there.needs.get(name) is not None:
                user.needs = ("check", user.said[-1].client)
            user.drawn = False
        for id, lease in self.leases.items():
            lease.ended_at = there.ended.get(id)
        for id, client in self.clients.items():
            client.trust.contained = (
                there.contained.get(id) if client.trust.contained == NOW else client.trust.contained
            )
            doubted = client.trust.doubted
            if NOW in doubted:
                doubted[doubted.index(NOW)] = there.doubted[id][doubted.index(NOW)]
        new = {uuid: names for uuid, names in there.members.items() if uuid not in self.buckets}
        for group in self.groups:
            like = group.like
            mine = [u for u, names in new.items() if names <= group.candidates and there.priorities[u] == like.priority]
            sizes = sorted(len(new[uuid]) for uuid in mine)
            assert sizes == group.sizes, f"new buckets of the sizes {sizes} where {group} must be"
            for uuid in sorted(mine, key=lambda uuid: sorted(new[uuid])):  # an order that the next run reproduces
                self.buckets[uuid] = replace(like)
                for name in new.pop(uuid):
                    self.users[name].bucket = uuid
        self.groups = []
        if self.making is not None:
            self._settle_made(self.making, new)
            self.making, new = None, {}
        assert not new, f"new buckets that nobody made: {new}"


def _sizes(users: int, size: int) -> list[int]:
    """Sizes as equal as possible, for the fewest buckets that fit all users."""
    parts = ceil(users / size)
    return sorted((i + 1) * users // parts - i * users // parts for i in range(parts))
