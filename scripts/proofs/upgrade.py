"""The upgrade of a graph made by 0.1.0, while clients and jobs of 0.1.0 and of this release run side by side."""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from releases import v0_1_0
from releases.v0_1_0.graph import without_version
from support.graphs import MAX_WAIT_SECONDS, wait_until
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import health
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.history import Operation, Recorder, read
from proofs.outcome import Outcome
from proofs.workload import crowd, volunteers

BATCH = 5_000
"""Users added per transaction."""

SIZE = 180
PER_CLIENT = 20
"""Buckets that 0.1.0 makes per active client."""

AT_ONCE = 4
"""Buckets that each client of 0.1.0 holds when the others begin."""

LEASE_SECONDS = 10

EFFECTS = ("fetch", "renew", "release")
"""Operations that give, take or put back whenever they succeed."""

NEVER_EXPECTED = ("database_refused", "error", "not_configured")


class OldActor(Actor):
    """An actor with release 0.1.0."""

    def register(self, id: int, capacity: int | None = None, screen_name: str | None = None) -> dict[str, Any]:
        name = screen_name or f"client{id}"
        arguments = {"screen_name": name, "capacity": capacity}
        work = v0_1_0.register
        return self._do("register", id, arguments, lambda: {"client": work(self.database, id, name, capacity)})

    def unregister(self, id: int, screen_name: str | None = None) -> dict[str, Any]:
        name = screen_name or f"client{id}"

        def work() -> dict[str, Any]:
            client, returned = v0_1_0.unregister(self.database, id, name)
            return {"client": client, "returned": returned}

        return self._do("unregister", id, {"screen_name": name}, work)

    def fetch(self, id: int, count: int | None = 10, request: str | None = None) -> list[Any]:
        request = request or uuid.uuid4().hex
        found: list[v0_1_0.Lease] = []

        def work() -> dict[str, Any]:
            found.extend(v0_1_0.fetch(self.database, id, count or 10, request))
            return {"client": id, "buckets": [asdict(lease) for lease in found]}

        self._do("fetch", id, {"count": count, "request": request}, work)
        return found

    def resume(self, id: int) -> list[Any]:
        found: list[v0_1_0.Lease] = []

        def work() -> dict[str, Any]:
            # For a lease in today's graph it reads the bucket but no id: without an id it can do nothing.
            found.extend(lease for lease in v0_1_0.resume(self.database, id) if lease.lease is not None)
            return {"client": id, "buckets": [asdict(lease) for lease in found]}

        self._do("resume", id, {}, work)
        return found

    def renew(self, id: int, bucket: str, lease: str) -> dict[str, Any]:
        given = {"bucket": bucket, "lease": lease}
        work = v0_1_0.renew
        return self._do("renew", id, given, lambda: {**given, "expires": work(self.database, id, bucket, lease)})

    def release(self, id: int, bucket: str, lease: str) -> dict[str, Any]:
        given = {"bucket": bucket, "lease": lease}
        work = v0_1_0.release
        return self._do("release", id, given, lambda: {**given, "returned": work(self.database, id, bucket, lease)})

    def submit(self, id: int, answered: Sequence[Any]) -> list[dict[str, Any]]:
        given = [v0_1_0.Answered(one.bucket, one.lease, one.answers) for one in answered]

        def work() -> dict[str, Any]:
            reports = [asdict(report) for report in v0_1_0.submit(self.database, id, given)]
            for report in reports:
                if report["returned"] is None:  # a lease that ended before the upgrade; nothing changes
                    raise v0_1_0.Refused("report_lost")
                report["refused"] = [{"screen_name": name, "reason": "not_in_bucket"} for name in report["refused"]]
            return {"client": id, "buckets": reports}

        return list(self._do("submit", id, {"buckets": [asdict(one) for one in given]}, work)["buckets"])

    def add(self, names: Sequence[str]) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            added, existing = v0_1_0.add_users(self.database, [(name, None) for name in names])
            return {"added": added, "existing": existing}

        return self._do("users add", None, {"names": list(names)}, work)

    def prioritize(self, names: Sequence[str], priority: int = 10, recheck: bool = False) -> dict[str, Any]:
        arguments = {"names": list(names), "priority": priority, "recheck": recheck}
        work = v0_1_0.prioritize
        return self._do("prioritize", None, arguments, lambda: work(self.database, list(names), priority, recheck))

    @property
    def jobs(self) -> tuple[Callable[[], dict[str, Any]], ...]:
        return self.make, self.reclaim, self.raise_starved

    def make(self) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            buckets, users = v0_1_0.make_buckets(self.database)
            return {"buckets": buckets, "users": users}

        return self._do("make_buckets", None, {}, work)

    def reclaim(self) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            marked, released = v0_1_0.reclaim_leases(self.database)
            return {"marked_dead": marked, "released": released}

        return self._do("reclaim_leases", None, {}, work)

    def raise_starved(self) -> dict[str, Any]:
        return self._do("raise_starved", None, {}, lambda: {"raised": v0_1_0.raise_starved(self.database)})


def side_by_side(
    settings: Settings,
    *,
    users: int,
    old: int,
    new: int,
    seconds: int,
    buckets: int = 3,
    size: int = SIZE,
    seed: int = 0,
) -> Outcome:
    """Let clients of both releases work before and after the upgrade, and judge the result.

    Before it each client of 0.1.0, and after it each of ours, answers at least `buckets`, and continues for `seconds`.
    The graph is emptied. ok, refused and unknown count the operations of both.
    """
    outcome = Outcome(
        f"a graph of {users:,} users is upgraded under {old} clients of 0.1.0 and {new} of ours, all with jobs",
        "`schema apply` while they work",
        "python scripts/prove.py upgrade",
    )
    # Leases expire and come back all the time.
    settings = replace(settings, lease_seconds=LEASE_SECONDS, grace_seconds=1, bucket_size=size)
    theirs, ours = range(1, old + 1), range(old + 1, old + new + 1)
    with tempfile.TemporaryDirectory() as name, Database(settings, "upgrade") as database:
        folder = Path(name)
        _make(database, folder, users, theirs, ours)
        everyone = volunteers(settings, folder, [*theirs, *ours], seed=seed, seconds=2 * MAX_WAIT_SECONDS + 2 * seconds)
        everyone = [replace(one, actor=OldActor) if one.client in theirs else one for one in everyone]
        with crowd(everyone), _recording(database, folder, Actor) as actor:
            try:
                wait_until(lambda: _least(database, theirs, "buckets_processed") >= buckets)
                time.sleep(seconds)
                actor.schema()
                refused = _least(database, theirs, "buckets_fault")
                wait_until(lambda: _least(database, ours, "buckets_processed") >= buckets)
                wait_until(lambda: _least(database, theirs, "buckets_fault") > refused)
                time.sleep(seconds)
            finally:
                (folder / "stop").touch()
        with _recording(database, folder, Actor) as actor:
            actor.reclaim()
        _judge(database, read(folder), theirs, outcome)
    return outcome


_LEAST = "MATCH (c:DMCheckClient)-[:STATS]->(s) WHERE c.id IN $ids RETURN min(s[$counter]) AS least"


def _least(database: Database, ids: range, counter: str) -> int:
    """The minimum of a counter over these clients."""
    return int(database.run_text(_LEAST, ids=[*ids], counter=counter)[0]["least"])


def _make(database: Database, folder: Path, users: int, theirs: range, ours: range) -> None:
    """The graph as 0.1.0 makes it, with all users in buckets and some held by its clients."""
    database.run_text("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS", patience=MAX_WAIT_SECONDS)
    without_version(database)
    settings = database.settings
    clients = max(ours.stop - 1, -(-users // settings.bucket_size // PER_CLIENT) + 1)
    with _recording(database, folder, OldActor) as actor:
        for id in range(1, clients + 1):
            actor.register(id)
        names = [f"user{i:06}" for i in range(users)]
        for first in range(0, users, BATCH):
            actor.add(names[first : first + BATCH])
        database.settings = replace(settings, max_users_per_run=users)
        actor.make()
        database.settings = settings
        for id in theirs:
            actor.fetch(id, AT_ONCE)


@contextmanager
def _recording(database: Database, folder: Path, kind: type[Actor]) -> Iterator[Actor]:
    recorder = Recorder(folder)
    try:
        yield kind(database, recorder)
    finally:
        recorder.close()


def _judge(database: Database, operations: list[Operation], theirs: range, outcome: Outcome) -> None:
    query = database.run_text
    outcome.count(operations)
    found = outcome.violations
    found += contradictions(operations, query)
    found += broken(query)
    found += [f"doctor --deep: {problem.what}" for problem in health.broken(database, lambda looked_at: None)]
    found += [f"{x.kind} ended as {x.outcome}" for x in operations if x.outcome in NEVER_EXPECTED]
    for upgrade in (x for x in operations if x.kind == "schema apply" and x.ok):
        before, after = ([x for x in operations if x.ok and upgrade.before(x) is late] for late in (False, True))
        old = [x for x in after if x.client in theirs]
        found += [f"{x.kind} of 0.1.0 took effect after the upgrade: {x}" for x in old if x.kind in EFFECTS]
        taken = _taken(old) - _taken(before)  # a repeated submit gets its report again
        found += [f"0.1.0 answered lease {lease} after the upgrade" for lease in taken]
        outcome.faults += sum(x.began < upgrade.ended and upgrade.began < x.ended for x in operations) - 1


def _taken(operations: list[Operation]) -> set[str]:
    """The leases whose answers were accepted."""
    submits = [x for x in operations if x.kind == "submit"]
    pairs = [pair for x in submits for pair in zip(x.arguments["buckets"], x.result["buckets"], strict=True)]
    return {given["lease"] for given, report in pairs if report["status"] != "refused"}


def run(settings: Settings, *, users: int = 100_000, old: int = 4, new: int = 4, seconds: int = 60) -> list[Outcome]:
    """The long form; `seconds` before the upgrade, and as many after it."""
    return [side_by_side(settings, users=users, old=old, new=new, seconds=seconds, seed=random.randrange(1_000_000))]
