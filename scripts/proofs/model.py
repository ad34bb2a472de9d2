"""The whole system as a few dictionaries: what the graph must contain after any sequence of commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease as Given
from dmcheck_cli.domain.policy import allowance
from dmcheck_cli.domain.policy.allowance import EndedLease
from dmcheck_cli.settings import Settings

Answer = tuple[int, str]
"""A client and its answer."""

KINDS = {"dm": "DM", "non_dm": "NON_DM", "unknown": "UNKNOWN"}
"""The counts of a lease's record, and which answers they count."""


class Refusal(Exception):
    """The command must be refused with this code, and change only what a refusal may change."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class User:
    """A user: its bucket, the priority promised while under lease, its answer and when that was given (according to the
    database; None: not yet known), and its old answers, each with its time."""

    bucket: str | None = None
    promised: int | None = None
    answer: Answer | None = None
    at: str | None = None
    past: Counter[tuple[Answer, str | None]] = field(default_factory=Counter)


@dataclass
class Bucket:
    """A bucket; `lease` is its newest lease, ages are in seconds. `raised_from` is its priority before it was
    overdue."""

    priority: int
    raised_from: int | None = None
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
    fetch again (0 or less: now), `seen`: seconds since its last command."""

    active: bool
    capacity: int | None
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
    ended, for how many seconds it has, how many users it had, how many answers of each kind. `answers` are those of the
    submit that ended it, `refused` the places of strangers among them."""

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
    age: int = 0

    def end(self, how: str, users: int) -> None:
        """It ends now."""
        self.how, self.users, self.ended_for = how, users, 0


@dataclass
class Group:
    """Users who are now in new buckets of these sizes, and have waited for `age` seconds; the database chooses who is
    in which bucket, and its id."""

    priority: int
    candidates: set[str]
    sizes: list[int]
    age: int = 0


class Model:
    """The required state. Each method does what the command of its name must do, or raises the required Refusal."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.limits, self.size = settings, settings.limits, settings.bucket_size
        self.users: dict[str, User] = {}
        self.buckets: dict[str, Bucket] = {}
        self.clients: dict[int, Client] = {}
        self.leases: dict[str, Lease] = {}
        self.every_lease: dict[str, tuple[int, str, frozenset[str]]] = {}
        self.groups: list[Group] = []

    # Queries

    def members(self, bucket: str) -> list[str]:
        """The users in a bucket."""
        return sorted(name for name, user in self.users.items() if user.bucket == bucket)

    def waiting(self) -> list[str]:
        """The buckets without a holder."""
        return [uuid for uuid, bucket in self.buckets.items() if bucket.holder is None]

    def held(self, client: int) -> list[str]:
        """The buckets that a client holds."""
        return [uuid for uuid, bucket in self.buckets.items() if bucket.holder == client]

    def free(self) -> set[str]:
        """Users in no bucket and without an answer."""
        return {name for name, user in self.users.items() if user.bucket is None and user.answer is None}

    def active(self, client: int) -> Client:
        """The client, if it may act."""
        found = self.clients.get(client)
        if found is None or not found.active:
            raise Refusal("not_registered")
        return found

    def own(self, client: int, uuid: str) -> bool:
        """Whether the client was the bucket's last holder."""
        lease = self.buckets[uuid].lease
        return lease is not None and self.leases[lease].client == client

    # What a client may hold

    def earned(self, client: Client) -> int:
        """What it has earned."""
        return self.limits.start_allowance if client.allowance is None else client.allowance

    def may_hold(self, client: Client) -> int:
        """What it may hold: what it has earned, but no more than it stated."""
        return min(self.earned(client), client.capacity or self.limits.start_allowance)

    def judge(self) -> dict[str, int]:
        """The job: judges each client by the leases that ended and the faults that occurred; returns its counts."""
        judged = raised = lowered = 0
        for id, client in self.clients.items():
            before = self.may_hold(client)
            while todo := self._unjudged(id):
                judged += self._judge(client, todo)
            if client.fault != (client.faults_judged or 0):
                self._judge(client, [])
            raised += self.may_hold(client) > before
            lowered += self.may_hold(client) < before
        return {"judged": judged, "raised": raised, "lowered": lowered}

    def _unjudged(self, client: int) -> list[Lease]:
        """In the order in which they ended."""
        found = [(x.ended_for, id) for id, x in self.leases.items() if x.client == client and x.unjudged and x.how]
        return [self.leases[id] for _, id in sorted(found, key=lambda one: (-(one[0] or 0), one[1]))]

    def _judge(self, client: Client, todo: list[Lease]) -> int:
        """One batch; returns the number of leases."""
        most = 10 * self.limits.batch_leases
        batch, later = todo[:most], todo[most:]
        facts = allowance.Client(
            client.capacity,
            client.allowance,
            client.assigned,
            client.processed,
            client.fault - (client.faults_judged or 0),
            sum(x.how == "answered" and x.ended_for != batch[-1].ended_for for x in later),
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
            )
            for lease in batch
        ]
        verdict = allowance.judge(facts, ended, self.settings.lease_seconds, self.limits)
        client.faults_judged = client.fault
        for lease in batch:
            lease.unjudged = False
        if verdict.reason is not None:
            client.allowance, client.judged_for = verdict.allowance, verdict.reason
            if verdict.turnaround_seconds is not None:
                client.turnaround = verdict.turnaround_seconds
        return len(batch)

    # Clients

    def register(self, id: int, right_name: bool, capacity: int | None) -> int:
        """Returns how many leases it can hold, as it stated or by default."""
        if id in self.clients and not right_name:
            raise Refusal("wrong_details")
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
        if client.next_fetch is not None and client.next_fetch > 0:
            raise Refusal("too_fast")
        line = sorted((self.buckets[uuid].priority, self.own(id, uuid)) for uuid in self.waiting())
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

    def release(self, id: int, uuid: str, lease: str) -> int:
        """Returns how many users wait again; a repeated release succeeds."""
        self.active(id).seen = 0
        standing, known = self.standing(id, uuid, lease), self.leases.get(lease)
        if known is not None and standing == "newest":
            if self.buckets[uuid].holder == id:
                self.give_back(uuid, "released")
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
        for name, candm in taken.items():
            user = self.users[name]
            user.bucket = user.promised = user.at = None
            user.answer = (id, candm)
        if len(taken) == len(members):
            del self.buckets[uuid]
        else:
            self.give_back(uuid)
        known.end("answered" if len(answers) > len(strangers) else "released", len(members))
        known.counts = {kind: list(taken.values()).count(candm) for kind, candm in KINDS.items()}
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

    def give_back(self, uuid: str, how: str | None = None) -> None:
        """A bucket waits again; users promised another priority leave it, and an empty bucket disappears. `how` its
        lease ended, unless that is recorded elsewhere."""
        bucket = self.buckets[uuid]
        bucket.holder = bucket.dead_for = None
        if how is not None and bucket.lease is not None:
            self.leases[bucket.lease].end(how, len(self.members(uuid)))
        promised: dict[int, set[str]] = {}
        for name in self.members(uuid):
            priority = self.users[name].promised
            if priority is not None:
                promised.setdefault(priority, set()).add(name)
        for priority, names in promised.items():
            self.leave(names)
            self.groups.append(Group(priority, names, [len(names)]))
        if not self.members(uuid):
            del self.buckets[uuid]

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
                "users_unknown": sum(user.answer == (id, "UNKNOWN") for user in self.users.values()),
                "users_checked": sum(user.answer is not None and user.answer[0] == id for user in self.users.values()),
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

    def leave(self, names: set[str]) -> None:
        """Take users out of their buckets."""
        for name in names:
            self.users[name].bucket = self.users[name].promised = None

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
            elif bucket is not None and bucket.holder is not None:
                if bucket.raised_from is None:
                    user.promised = priority
                under_lease += 1
            elif bucket is not None and (bucket.priority == priority or bucket.raised_from is not None):
                stay += 1
            else:
                moving.add(name)
                if bucket is not None and bucket.urgent:  # users prioritized before keep the start of their wait
                    age = max(age, bucket.age)
        for name in moving:
            user = self.users[name]
            if user.answer is not None:
                user.past[user.answer, user.at] += 1
                user.answer = user.at = None
        self.leave(moving)
        self.drop_hollow()
        if moving:
            self.groups.append(Group(priority, moving, _sizes(len(moving), self.size), age))
        return {
            "prioritized": stay + len(moving),
            "under_lease": under_lease,
            "already_checked": sorted(checked),
            "unknown": sorted(unknown),
        }

    # Jobs and time

    def make(self, most: int) -> tuple[int, int]:
        """Returns buckets and users."""
        wanted = sum(client.active for client in self.clients.values()) * self.settings.buckets_per_client
        waiting = [self.buckets[uuid] for uuid in self.waiting()]
        # Prioritized ones count for at most half of the line.
        room = max(wanted - len(waiting) + max(sum(bucket.urgent for bucket in waiting) - wanted // 2, 0), 0)
        free = self.free()
        sizes = _sizes(min(len(free), room * self.size, most), self.size)
        if sizes:
            self.groups.append(Group(self.limits.default_priority, free, sizes))
        return len(sizes), sum(sizes)

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

    def settle(self, members: dict[str, set[str]], priorities: dict[str, int], times: dict[str, str]) -> None:
        """Find the new buckets in the graph: `members` and `priorities` of each bucket there; and when each user was
        answered."""
        for name, user in self.users.items():
            if user.answer is not None and user.at is None:
                user.at = times.get(name)
        new = {uuid: names for uuid, names in members.items() if uuid not in self.buckets}
        for group in self.groups:
            mine = [u for u, names in new.items() if names <= group.candidates and priorities[u] == group.priority]
            sizes = sorted(len(new[uuid]) for uuid in mine)
            assert sizes == group.sizes, f"new buckets of the sizes {sizes} where {group} must be"
            for uuid in sorted(mine, key=lambda uuid: sorted(new[uuid])):  # an order that the next run reproduces
                self.buckets[uuid] = Bucket(group.priority, age=group.age)
                for name in new.pop(uuid):
                    self.users[name].bucket = uuid
        self.groups = []


def _sizes(users: int, size: int) -> list[int]:
    """Sizes as equal as possible, for the fewest buckets that fit all users."""
    parts = ceil(users / size)
    return sorted((i + 1) * users // parts - i * users // parts for i in range(parts))
