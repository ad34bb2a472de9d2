"""The whole system as a few dictionaries: what must be in the graph after any sequence of commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from dmcheck_cli.limits import DEFAULT_CAPACITY, DEFAULT_PRIORITY, LONGEST_PAUSE, MOST_ALLOWANCE, STEP_SECONDS
from dmcheck_cli.transactions.leases import Lease as Given

Answer = tuple[int, str]
"""A client and what it said."""


class Refusal(Exception):
    """The command must be refused with this code, and change nothing but what a refusal may."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class User:
    """A user: the bucket it is in, the priority it was promised while under lease, its answer and its old answers."""

    bucket: str | None = None
    promised: int | None = None
    answer: Answer | None = None
    past: Counter[Answer] = field(default_factory=Counter)


@dataclass
class Bucket:
    """A bucket; `lease` is the newest that it was given under, ages are in seconds. `raised_from` is the priority that
    it had before it was overdue, `granted` how long its lease was to last when it was given or renewed."""

    priority: int
    raised_from: int | None = None
    holder: int | None = None
    lease: str | None = None
    left: float = 0.0
    granted: int | None = None
    since: float = 0.0
    dead_for: float | None = None
    age: int = 0

    @property
    def urgent(self) -> bool:
        """Whether somebody prioritized its users."""
        return (self.priority if self.raised_from is None else self.raised_from) < DEFAULT_PRIORITY


@dataclass
class Client:
    """A client, its counters, and what it has earned: `allowance` when it was last judged, `judged` of its faults
    among what was judged then, `asked` fetches since its last answer, `seen` seconds since it last came."""

    active: bool
    capacity: int
    assigned: int = 0
    processed: int = 0
    fault: int = 0
    dead: int = 0
    allowance: int | None = None
    judged: int | None = None
    judged_for: str | None = None
    turnaround: int | None = None
    asked: int = 0
    seen: int | None = None


@dataclass
class Lease:
    """A hand-out; `processed` is what its client had answered before it, `answers` and `report` are those of the submit
    that ended it, `given_back` the users that waited again when its client gave it back."""

    client: int
    bucket: str
    request: str
    processed: int
    died: bool = False
    answers: dict[str, str] | None = None
    report: dict[str, Any] | None = None
    given_back: int | None = None
    age: int = 0


@dataclass
class Group:
    """Users who are now in new buckets of these sizes, and have waited for `age` seconds; which bucket whom took, and
    its id, the database chooses."""

    priority: int
    candidates: set[str]
    sizes: list[int]
    age: int = 0


@dataclass(frozen=True)
class Limits:
    """The numbers that a model is small by: users in a bucket, buckets that wait for each client, the allowance that a
    client begins with, fetches beyond it that are served at once, UNKNOWN answers that are a flood; and seconds after
    which buckets of the two kinds are overdue."""

    size: int
    per_client: int
    start: int
    tolerance: int
    flood: int
    prioritized_seconds: int
    starved_seconds: int


class Model:
    """What must be. Each method does what the command of its name must do, or raises the Refusal that it must get."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.size, self.per_client = limits.size, limits.per_client
        self.users: dict[str, User] = {}
        self.buckets: dict[str, Bucket] = {}
        self.clients: dict[int, Client] = {}
        self.leases: dict[str, Lease] = {}
        self.every_lease: dict[str, tuple[int, str, frozenset[str]]] = {}
        self.groups: list[Group] = []

    # What is asked of it

    def members(self, bucket: str) -> list[str]:
        """Who is in a bucket."""
        return sorted(name for name, user in self.users.items() if user.bucket == bucket)

    def waiting(self) -> list[str]:
        """The buckets that nobody holds."""
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
        """Whether the bucket was last this client's."""
        lease = self.buckets[uuid].lease
        return lease is not None and self.leases[lease].client == client

    # What a client may hold

    def earned(self, client: Client) -> int:
        """What it has earned: halved for each fault since it was judged, and never nothing."""
        allowance = self.limits.start if client.allowance is None else client.allowance
        return max(int(allowance / 2 ** (client.fault - (client.judged or 0))), 1)

    def may_hold(self, client: Client) -> int:
        """What it may hold: what it has earned, and not more than it stated."""
        return min(self.earned(client), client.capacity)

    def wait(self, client: Client) -> int:
        """Seconds until it may ask again; 0 or less: it may."""
        vain = client.asked - self.may_hold(client) - self.limits.tolerance
        if vain < 0 or client.seen is None:
            return 0
        return min(2**vain, LONGEST_PAUSE) - client.seen

    def judge(self, client: Client, allowance: int, judged_for: str) -> None:
        """Its allowance is settled, for everything up to now."""
        client.allowance, client.judged, client.judged_for = allowance, client.fault, judged_for

    def pace(self, uuid: str, lease: str, answers: list[str], members: int) -> float | None:
        """How often the time that this bucket took goes into its lease; 0: its client does not see, None: too few
        answers, or too late, to tell."""
        bucket, known = self.buckets[uuid], self.leases[lease]
        if answers.count("UNKNOWN") >= self.limits.flood and answers.count("UNKNOWN") * 2 > len(answers):
            return 0
        if not answers or len(answers) * 2 < members or bucket.granted is None:
            return None
        return bucket.granted / known.age if known.age else MOST_ALLOWANCE

    # Clients

    def register(self, id: int, right_name: bool, capacity: int | None) -> None:
        client = self.clients.get(id)
        if client is None:
            self.clients[id] = Client(True, capacity or DEFAULT_CAPACITY)
            return
        if not right_name:
            raise Refusal("wrong_details")
        client.active, client.capacity = True, capacity or client.capacity

    def unregister(self, id: int, right_name: bool) -> int:
        if id not in self.clients:
            raise Refusal("not_registered")
        if not right_name:
            raise Refusal("wrong_details")
        self.clients[id].active = False
        held = self.held(id)
        for uuid in held:
            self.give_back(uuid)
        return len(held)

    # Leases

    def before_fetch(self, id: int, request: str, count: int) -> list[tuple[int, bool]]:
        """The priorities that a fetch must give, and whether of buckets that were this client's last, when it takes
        new ones; [] when it repeats."""
        client = self.active(id)
        wait = self.wait(client)
        if wait <= 0:
            client.seen = 0
        if any((x.client, x.request) == (id, request) for x in self.leases.values()):
            if not self.repeated(id, request):
                raise Refusal("nothing_to_fetch")
            return []
        room = self.may_hold(client) - len(self.held(id))
        if room <= 0:
            raise Refusal("over_quota")
        if wait > 0:
            raise Refusal("too_fast")
        line = sorted((self.buckets[uuid].priority, self.own(id, uuid)) for uuid in self.waiting())
        if not line:
            raise Refusal("nothing_to_fetch")
        return line[: min(count, room)]

    def repeated(self, id: int, request: str) -> set[str]:
        """The leases of a request that are still held."""
        return {
            bucket.lease
            for bucket in self.buckets.values()
            if bucket.lease is not None and bucket.holder == id and self.leases[bucket.lease].request == request
        }

    def fetched(self, id: int, request: str, given: list[Given], lease_seconds: int) -> None:
        """Take in what a fetch gave."""
        client = self.clients[id]
        client.asked += bool(given)
        for one in given:
            bucket = self.buckets[one.bucket]
            assert bucket.holder is None, f"bucket {one.bucket} is held by {bucket.holder}, and was given to {id}"
            assert one.lease not in self.every_lease, f"lease {one.lease} was given before"
            bucket.holder, bucket.lease, bucket.dead_for = id, one.lease, None
            bucket.left, bucket.granted, bucket.since = lease_seconds, lease_seconds, 0
            self.leases[one.lease] = Lease(id, one.bucket, request, client.processed)
            self.every_lease[one.lease] = (id, one.bucket, frozenset(user.screen_name for user in one.users))
            client.assigned += 1

    def renew(self, id: int, uuid: str, lease: str, lease_seconds: int) -> None:
        bucket = self._one_lease(id, uuid, lease)
        if bucket is None or bucket.lease != lease or bucket.holder != id:
            raise Refusal("lease_lost")
        bucket.left, bucket.granted, bucket.since, bucket.dead_for = lease_seconds, lease_seconds, 0, None

    def release(self, id: int, uuid: str, lease: str) -> int:
        """Returns how many users wait again; giving back again what was given back is a success."""
        bucket, known = self._one_lease(id, uuid, lease), self.leases.get(lease)
        if known is not None and known.given_back is not None:
            return known.given_back
        if known is None or bucket is None or bucket.lease != lease:
            raise Refusal("lease_lost")
        members = len(self.members(uuid))
        if bucket.holder == id:
            known.given_back = members
            self.give_back(uuid)
        return members

    def _one_lease(self, id: int, uuid: str, lease: str) -> Bucket | None:
        self.active(id).seen = 0
        bucket, known = self.buckets.get(uuid), self.leases.get(lease)
        if bucket is None and not any(x.bucket == uuid for x in self.leases.values()):
            raise Refusal("unknown_bucket")
        if known is not None and known.client != id:
            raise Refusal("not_owner")
        return bucket

    def submit(self, id: int, answered: list[tuple[str, str, dict[str, str]]]) -> list[dict[str, Any]]:
        """Bucket, lease and answers of each; returns the reports."""
        client = self.active(id)
        if answered:
            client.seen = 0
        outcomes = [self._outcome(id, *one) for one in answered]
        earned, faults = self.earned(client), client.fault
        reports = []
        told: list[tuple[str, float, Lease]] = []
        for (uuid, lease, answers), outcome in zip(answered, outcomes, strict=True):
            if outcome == "accepted":
                members = self.members(uuid)
                taken = [candm for name, candm in answers.items() if name in members]
                pace = self.pace(uuid, lease, taken, len(members))
                if pace is not None:
                    told.append((uuid, pace, self.leases[lease]))
                report = self._accept(client, id, uuid, lease, answers)
            elif outcome == "repeated":
                report = self.leases[lease].report or {}
            else:
                client.fault += 1
                report = {
                    "bucket": uuid, "status": "refused", "accepted": 0, "returned": 0, "refused": [], "reason": outcome
                }  # fmt: skip
            reports.append(report)
        if told:
            told.sort(key=lambda one: one[0])
            finishes = [pace * (client.processed - known.processed) for _, pace, known in told]
            self._learn(client, earned, faults, finishes)
            client.turnaround = max(known.age for _, _, known in told)
        return reports

    def _learn(self, client: Client, earned: int, faults: int, finishes: list[float]) -> None:
        """Step by step up, as far as it finishes in time, and beyond a newcomer's only if it answers three of four
        leases; down to what it finishes at once, or by half if it does not see."""
        answers = client.processed * 4 >= client.assigned * 3
        most = max(client.capacity, self.limits.start) if answers else self.limits.start
        allowance = earned
        for number in finishes:
            if number == 0:
                allowance //= 2
            elif number < allowance:
                allowance = int(number)
            elif number >= allowance + 1 and allowance < most:
                allowance += 1
        if any(finishes):
            client.asked = 0
        self.judge(client, allowance, "unknown" if 0 in finishes else "slow" if allowance < earned else "answered")
        client.judged = faults  # those of the same document are judged when they count

    def _outcome(self, id: int, uuid: str, lease: str, answers: dict[str, str]) -> str:
        bucket = self.buckets.get(uuid)
        of_bucket = [known for known in self.leases.values() if known.bucket == uuid]
        known = self.leases.get(lease)
        if known is not None and known.client != id:
            return "not_owner"
        if known is not None and known.answers is not None:
            return "repeated" if known.answers == answers else "payload_changed"
        if bucket is not None:
            return "accepted" if bucket.lease == lease else "lease_lost"
        return "lease_lost" if any(x.answers is not None for x in of_bucket) else "unknown_bucket"

    def _accept(self, client: Client, id: int, uuid: str, lease: str, answers: dict[str, str]) -> dict[str, Any]:
        members = self.members(uuid)
        strangers = sorted(name for name in answers if name in self.users and name not in members)
        taken = {name: candm for name, candm in answers.items() if name in members}
        for name, candm in taken.items():
            self.users[name].bucket = self.users[name].promised = None
            self.users[name].answer = (id, candm)
        if len(taken) == len(members):
            del self.buckets[uuid]
        else:
            self.give_back(uuid)
        client.processed += len(answers) > len(strangers)
        client.fault += bool(strangers)
        report = {
            "bucket": uuid,
            "status": "done" if len(taken) == len(members) else "partial",
            "accepted": len(taken),
            "returned": len(members) - len(taken),
            "refused": [{"screen_name": name, "reason": "not_in_bucket"} for name in strangers],
            "reason": None,
        }
        self.leases[lease].answers, self.leases[lease].report = dict(answers), report
        return report

    def give_back(self, uuid: str) -> None:
        """A bucket waits again; who was promised another priority leaves it, and nobody waits in an empty one."""
        bucket = self.buckets[uuid]
        bucket.holder = bucket.dead_for = bucket.granted = None
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
        """Of each client what depends on other things than its own counters, and the oldest wait of each kind."""
        clients = {
            id: {
                "allowance": self.may_hold(client),
                "judged_for": "refused" if client.fault > (client.judged or 0) else client.judged_for,
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
        """Users are in no bucket any more."""
        for name in names:
            self.users[name].bucket = self.users[name].promised = None

    def drop_hollow(self) -> None:
        """Nobody waits in an empty bucket."""
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
                if bucket is not None and bucket.urgent:  # who was prioritized before takes the wait along
                    age = max(age, bucket.age)
        for name in moving:
            user = self.users[name]
            if user.answer is not None:
                user.past[user.answer] += 1
                user.answer = None
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
        wanted = sum(client.active for client in self.clients.values()) * self.per_client
        waiting = [self.buckets[uuid] for uuid in self.waiting()]
        # Prioritized ones count for half of the line at most.
        room = max(wanted - len(waiting) + max(sum(bucket.urgent for bucket in waiting) - wanted // 2, 0), 0)
        free = self.free()
        sizes = _sizes(min(len(free), room * self.size, most), self.size)
        if sizes:
            self.groups.append(Group(DEFAULT_PRIORITY, free, sizes))
        return len(sizes), sum(sizes)

    def reclaim(self, lease_seconds: int, grace_seconds: int, keep_seconds: int) -> tuple[int, int]:
        """Returns how many were marked dead and released."""
        released = [u for u, b in self.buckets.items() if b.dead_for is not None and b.dead_for >= grace_seconds]
        for uuid in released:
            self.give_back(uuid)
        over = [
            bucket
            for bucket in self.buckets.values()
            if bucket.holder is not None
            and bucket.dead_for is None
            and (bucket.left <= 0 or bucket.since >= lease_seconds)
        ]
        deaths: Counter[int] = Counter()
        for bucket in over:
            assert bucket.holder is not None
            assert bucket.lease is not None
            bucket.dead_for = 0
            deaths[bucket.holder] += not self.leases[bucket.lease].died
            self.leases[bucket.lease].died = True
        for id, died in deaths.items():
            if died:
                client = self.clients[id]
                client.dead += died
                self.judge(client, int(self.earned(client) / 2**died), "died")
        newest = {bucket.lease for bucket in self.buckets.values()}
        self.leases = {id: x for id, x in self.leases.items() if id in newest or x.age <= keep_seconds}
        return len(over), len(released)

    def raise_starved(self) -> int:
        """Each further step of lateness is one further to the front."""
        raised = 0
        for bucket in map(self.buckets.get, self.waiting()):
            assert bucket is not None
            limits = self.limits
            late = bucket.age - (limits.prioritized_seconds if bucket.urgent else limits.starved_seconds)
            place = -1 - late // STEP_SECONDS
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
        for client in self.clients.values():
            if client.seen is not None:
                client.seen += seconds

    # Against the graph

    def settle(self, members: dict[str, set[str]], priorities: dict[str, int]) -> None:
        """Find the new buckets in the graph: `members` and `priorities` of each bucket there."""
        new = {uuid: names for uuid, names in members.items() if uuid not in self.buckets}
        for group in self.groups:
            mine = [u for u, names in new.items() if names <= group.candidates and priorities[u] == group.priority]
            sizes = sorted(len(new[uuid]) for uuid in mine)
            assert sizes == group.sizes, f"new buckets of the sizes {sizes} where {group} must be"
            for uuid in sorted(mine, key=lambda uuid: sorted(new[uuid])):  # an order that the next run has, too
                self.buckets[uuid] = Bucket(group.priority, age=group.age)
                for name in new.pop(uuid):
                    self.users[name].bucket = uuid
        self.groups = []


def _sizes(users: int, size: int) -> list[int]:
    """Sizes as equal as they can be, of as few buckets as hold all users."""
    parts = ceil(users / size)
    return sorted((i + 1) * users // parts - i * users // parts for i in range(parts))
