"""The whole system as a few dictionaries: what must be in the graph after any sequence of commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from dmcheck_cli.limits import DEFAULT_CAPACITY, DEFAULT_PRIORITY, FRONT
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
    """A bucket; `lease` is the newest that it was given under, ages are in seconds."""

    priority: int
    holder: int | None = None
    lease: str | None = None
    left: float = 0.0
    since: float = 0.0
    dead_for: float | None = None
    age: float = 0.0


@dataclass
class Client:
    """A client and its counters."""

    active: bool
    capacity: int
    assigned: int = 0
    processed: int = 0
    fault: int = 0
    dead: int = 0


@dataclass
class Lease:
    """A hand-out; `answers` and `report` are those of the submit that ended it."""

    client: int
    bucket: str
    request: str
    died: bool = False
    answers: dict[str, str] | None = None
    report: dict[str, Any] | None = None
    age: float = 0.0


@dataclass
class Group:
    """Users who are now in new buckets of these sizes; which bucket whom took, and its id, the database chooses."""

    priority: int
    candidates: set[str]
    sizes: list[int]


class Model:
    """What must be. Each method does what the command of its name must do, or raises the Refusal that it must get."""

    def __init__(self, size: int, per_client: int) -> None:
        self.size, self.per_client = size, per_client
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

    def before_fetch(self, id: int, request: str, count: int) -> list[int]:
        """The priorities that a fetch must give, when it takes new buckets; [] when it repeats."""
        client = self.active(id)
        if any((x.client, x.request) == (id, request) for x in self.leases.values()):
            if not self.repeated(id, request):
                raise Refusal("nothing_to_fetch")
            return []
        room = client.capacity - len(self.held(id))
        if room <= 0:
            raise Refusal("over_quota")
        line = sorted(self.buckets[uuid].priority for uuid in self.waiting())
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
        for one in given:
            bucket = self.buckets[one.bucket]
            assert bucket.holder is None, f"bucket {one.bucket} is held by {bucket.holder}, and was given to {id}"
            assert one.lease not in self.every_lease, f"lease {one.lease} was given before"
            bucket.holder, bucket.lease, bucket.dead_for = id, one.lease, None
            bucket.left, bucket.since = lease_seconds, 0
            self.leases[one.lease] = Lease(id, one.bucket, request)
            self.every_lease[one.lease] = (id, one.bucket, frozenset(user.screen_name for user in one.users))
            self.clients[id].assigned += 1

    def renew(self, id: int, uuid: str, lease: str, lease_seconds: int) -> None:
        self.active(id)
        bucket, known = self.buckets.get(uuid), self.leases.get(lease)
        if bucket is None and not any(x.bucket == uuid for x in self.leases.values()):
            raise Refusal("unknown_bucket")
        if known is not None and known.client != id:
            raise Refusal("not_owner")
        if bucket is None or bucket.lease != lease or bucket.holder != id:
            raise Refusal("lease_lost")
        bucket.left, bucket.since, bucket.dead_for = lease_seconds, 0, None

    def submit(self, id: int, answered: list[tuple[str, str, dict[str, str]]]) -> list[dict[str, Any]]:
        """Bucket, lease and answers of each; returns the reports."""
        client = self.active(id)
        outcomes = [self._outcome(id, *one) for one in answered]
        reports = []
        for (uuid, lease, answers), outcome in zip(answered, outcomes, strict=True):
            if outcome == "accepted":
                report = self._accept(client, id, uuid, lease, answers)
            elif outcome == "repeated":
                report = self.leases[lease].report or {}
            else:
                client.fault += 1
                report = {
                    "bucket": uuid, "status": "refused", "accepted": 0, "returned": 0, "refused": [], "reason": outcome
                }  # fmt: skip
            reports.append(report)
        return reports

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
        bucket.holder = bucket.dead_for = None
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
        stay, under_lease, checked = 0, 0, []
        for name in names:
            user = self.users.get(name)
            bucket = self.buckets[user.bucket] if user is not None and user.bucket is not None else None
            if user is None:
                continue
            if user.answer is not None and not recheck:
                checked.append(name)
            elif bucket is not None and bucket.holder is not None:
                user.promised = priority
                under_lease += 1
            elif bucket is not None and bucket.priority in (priority, FRONT):
                stay += 1
            else:
                moving.add(name)
        for name in moving:
            user = self.users[name]
            if user.answer is not None:
                user.past[user.answer] += 1
                user.answer = None
        self.leave(moving)
        self.drop_hollow()
        if moving:
            self.groups.append(Group(priority, moving, _sizes(len(moving), self.size)))
        return {
            "prioritized": stay + len(moving),
            "under_lease": under_lease,
            "already_checked": sorted(checked),
            "unknown": sorted(unknown),
        }

    # Jobs and time

    def make(self, most: int) -> tuple[int, int]:
        """Returns buckets and users."""
        active = sum(client.active for client in self.clients.values())
        room = max(active * self.per_client - len(self.waiting()), 0)
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
        for bucket in over:
            assert bucket.holder is not None
            assert bucket.lease is not None
            bucket.dead_for = 0
            self.clients[bucket.holder].dead += not self.leases[bucket.lease].died
            self.leases[bucket.lease].died = True
        newest = {bucket.lease for bucket in self.buckets.values()}
        self.leases = {id: x for id, x in self.leases.items() if id in newest or x.age <= keep_seconds}
        return len(over), len(released)

    def raise_starved(self, starved_seconds: int) -> int:
        starved = [self.buckets[uuid] for uuid in self.waiting() if self.buckets[uuid].age >= starved_seconds]
        raised = [bucket for bucket in starved if bucket.priority > FRONT]
        for bucket in raised:
            bucket.priority = FRONT
        return len(raised)

    def pass_time(self, seconds: int) -> None:
        for bucket in self.buckets.values():
            bucket.age += seconds
            bucket.since += seconds
            bucket.left -= seconds
            if bucket.dead_for is not None:
                bucket.dead_for += seconds
        for lease in self.leases.values():
            lease.age += seconds

    # Against the graph

    def settle(self, members: dict[str, set[str]], priorities: dict[str, int]) -> None:
        """Find the new buckets in the graph: `members` and `priorities` of each bucket there."""
        new = {uuid: names for uuid, names in members.items() if uuid not in self.buckets}
        for group in self.groups:
            mine = [u for u, names in new.items() if names <= group.candidates and priorities[u] == group.priority]
            sizes = sorted(len(new[uuid]) for uuid in mine)
            assert sizes == group.sizes, f"new buckets of the sizes {sizes} where {group} must be"
            for uuid in sorted(mine, key=lambda uuid: sorted(new[uuid])):  # an order that the next run has, too
                self.buckets[uuid] = Bucket(group.priority)
                for name in new.pop(uuid):
                    self.users[name].bucket = uuid
        self.groups = []


def _sizes(users: int, size: int) -> list[int]:
    """Sizes as equal as they can be, of as few buckets as hold all users."""
    parts = ceil(users / size)
    return sorted((i + 1) * users // parts - i * users // parts for i in range(parts))
