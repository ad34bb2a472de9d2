"""Release 0.1.0 on a server of one's own: its statements, unchanged, with the parameters that it passed.

The `.cypher` files are the texts as 0.1.0 sent them. The functions take what its transactions took, return what these
returned, and raise Refused where they refused. A `Database` only carries the texts; its settings count where 0.1.0 had
a setting of that name. The graph that it makes knows no version.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DmcheckError

DEFAULT_PRIORITY = 100
PRIORITIZED = 10
START_ALLOWANCE = 10
PER_CLIENT = 20
BATCH_USERS = 1_800
BATCH_LEASES = 100
BATCH_RAISED = 1_000
SCAN_SLICE = 20_000
MAX_SKEW_SECONDS = 60
MAX_TRIES = 10

FETCH = {
    "default_capacity": 10,
    "start_allowance": START_ALLOWANCE,
    "window": 64,
    "tolerance": 20,
    "longest_pause": 60,
    "beyond": 1_000_001,
}
SUBMIT = {"first_try": True, "start_allowance": START_ALLOWANCE, "most_allowance": 1000, "flood": 10}
REGISTER = {"default_capacity": 10, "most_new_per_hour": 10_000, "skew_seconds": MAX_SKEW_SECONDS}

_LINE = re.compile(
    r"CREATE (CONSTRAINT|INDEX) (\w+) IF NOT EXISTS FOR \(n:(\w+)\) (?:REQUIRE|ON) \(?([^)]+?)\)?(?: IS UNIQUE)?"
)


class Refused(DmcheckError):
    """A refusal or an error of 0.1.0; `code` is what it printed as such."""

    def __init__(self, code: str) -> None:
        super().__init__(what=code)
        self.code = code


@dataclass(frozen=True)
class User:
    """A member of a lease."""

    screen_name: str
    id: int | None


@dataclass(frozen=True)
class Lease:
    """One bucket in one client's hands."""

    bucket: str
    lease: str
    priority: int
    expires: str | None
    users: list[User]


@dataclass(frozen=True)
class Answered:
    """The answers for one bucket under one lease: screen name -> DM, NON_DM or UNKNOWN."""

    bucket: str
    lease: str
    answers: dict[str, str]

    def digest(self) -> str:
        """SHA-256 of the answers, whatever their order."""
        return hashlib.sha256(json.dumps(sorted(self.answers.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Report:
    """What became of one bucket of a submit."""

    bucket: str
    status: str
    accepted: int = 0
    returned: int = 0
    refused: list[str] = field(default_factory=list)
    reason: str | None = None


@cache
def text(name: str) -> str:
    """The statement of that name."""
    return (Path(__file__).parent / f"{name}.cypher").read_text("utf-8")


def apply(database: Database) -> None:
    """`schema apply`: what is missing is created, and odd buckets are taken over.

    Raises Refused with the code `database_refused` where something else stands in the place of its own.
    """
    indexes = _run(database, "show_schema")
    for line in missing(database):
        _, name, label, keys = _wanted(line)
        for index in indexes:
            fits = index["type"] == "RANGE" and (index["labels"], index["properties"]) == ([label], keys)
            if (index["name"] == name or fits) and index["owner"] is not None:
                raise Refused("database_refused")
        database.run_text(line)
    database.run_text("CALL db.awaitIndexes(300)")
    while (
        _run(database, "adopt_buckets", patience=600, default_priority=DEFAULT_PRIORITY, batch=500)[0]["adopted"] >= 500
    ):
        pass


def missing(database: Database) -> list[str]:
    """The lines of `schema.cypher` whose constraint or index the database lacks."""
    indexes = _run(database, "show_schema")
    return [line for line in text("schema").splitlines() if not any(_is_met(line, index) for index in indexes)]


def others(database: Database) -> list[str]:
    """The statements that take away constraints and indexes that are none of 0.1.0's."""
    lines = text("schema").splitlines()
    return [
        f"DROP INDEX {index['name']}" if index["owner"] is None else f"DROP CONSTRAINT {index['owner']}"
        for index in _run(database, "show_schema")
        if not any(_is_met(line, index) for line in lines)
    ]


def _is_met(line: str, index: dict[str, Any]) -> bool:
    kind, _, label, keys = _wanted(line)
    return (
        (index["type"], index["entity"], index["state"]) == ("RANGE", "NODE", "ONLINE")
        and (index["labels"], index["properties"]) == ([label], keys)
        and (kind == "INDEX" or index["owner"] is not None)
    )


def ensure(database: Database) -> None:
    """The check of the schema. Raises Refused with the code `schema_missing`."""
    if missing(database):
        raise Refused("schema_missing")


def register(database: Database, id: int, screen_name: str, capacity: int | None = None) -> dict[str, Any]:
    """`register`; returns the client as it is reported."""
    ensure(database)
    given = {"id": id, "screen_name": screen_name, "capacity": capacity}
    [row] = _run(database, "register_client", **given, dm_from_id=None, dm_from_screen_name=None, **REGISTER)
    if row["outcome"] != "registered":
        raise Refused(row["outcome"])
    client: dict[str, Any] = row["client"]
    return client


def unregister(database: Database, id: int, screen_name: str) -> tuple[dict[str, Any], int]:
    """`unregister`; returns the client and how many buckets went back."""
    [row] = _run(database, "unregister_client", id=id, screen_name=screen_name) or [_nobody(database)]
    if row["outcome"] == "wrong_details":
        raise Refused("wrong_details")
    return row["client"], row["returned"]


def fetch(database: Database, client: int, count: int, request: str) -> list[Lease]:
    """`fetch`."""
    top_up = False
    while True:
        given = {"client": client, "request": request, "count": count, "top_up": top_up}
        rows = _run(database, "fetch_buckets", **given, lease_seconds=database.settings.lease_seconds, **FETCH)
        first = rows[0] if rows else _nobody(database)
        leases = _leases(rows)
        if leases and not first["lost"]:
            return leases
        if not first["lost"]:
            raise _nothing(first)
        top_up = True


def resume(database: Database, client: int) -> list[Lease]:
    """`fetch --resume`."""
    rows = _run(database, "held_leases", client=client) or [_nobody(database)]
    leases = _leases(rows)
    if not leases:
        raise Refused("nothing_to_fetch")
    return leases


def renew(database: Database, client: int, bucket: str, lease: str) -> str:
    """`renew`; returns the new expiry."""
    given = {"client": client, "bucket": bucket, "lease": lease}
    rows = _run(database, "renew_lease", **given, lease_seconds=database.settings.lease_seconds)
    [row] = rows or [_nobody(database)]
    if row["outcome"] != "held":
        raise Refused(row["outcome"])
    return str(row["expires"])


def release(database: Database, client: int, bucket: str, lease: str) -> int:
    """`release`; returns how many users wait again."""
    rows = _run(database, "release_lease", client=client, bucket=bucket, lease=lease)
    [row] = rows or [_nobody(database)]
    if row["outcome"] not in {"held", "released"}:
        raise Refused(row["outcome"])
    return int(row["returned"])


def submit(database: Database, client: int, answered: Sequence[Answered]) -> list[Report]:
    """`submit`, one transaction."""
    buckets = [
        {"bucket": one.bucket, "lease": one.lease, "digest": one.digest(), "answers": one.answers} for one in answered
    ]
    rows = _run(database, "submit_answers", client=client, buckets=buckets, **SUBMIT)
    if not rows:
        _nobody(database)
    reports = {row["bucket"]: _report(row) for row in rows}
    return [reports[one.bucket] for one in answered]


def add_users(database: Database, users: Sequence[tuple[str, int | None]]) -> tuple[int, int]:
    """`users add`, one batch; returns how many were new, and how many were there."""
    [row] = _run(database, "add_users", users=[{"screen_name": name, "id": id} for name, id in sorted(users)])
    return row["added"], row["existing"]


def prioritize(
    database: Database, names: list[str], priority: int = PRIORITIZED, recheck: bool = False
) -> dict[str, Any]:
    """`prioritize`; returns its document."""
    ensure(database)
    given = {"names": names, "priority": priority, "recheck": recheck, "size": database.settings.bucket_size}
    for _ in range(MAX_TRIES):
        [row] = _run(database, "prioritize_users", **given, default_priority=DEFAULT_PRIORITY)
        if not row.pop("missed"):
            return row
    raise Refused("temporary")


def make_buckets(database: Database) -> tuple[int, int]:
    """The job; returns how many buckets it made, with how many users."""
    ensure(database)
    settings = database.settings
    [plan] = _run(database, "plan_buckets", per_client=PER_CLIENT, default_priority=DEFAULT_PRIORITY)
    most = min(max(plan["room"], 0) * settings.bucket_size, settings.max_users_per_run)
    names, cursor = _find_waiting(database, plan["cursor"], most)
    random.shuffle(names)
    parts = ceil(len(names) / settings.bucket_size)
    per_batch = max(BATCH_USERS // settings.bucket_size, 1)
    made = [
        place(database, names[first * len(names) // parts : min(first + per_batch, parts) * len(names) // parts])
        for first in range(0, parts, per_batch)
    ]
    finish(database, "make_buckets", cursor)
    return sum(buckets for buckets, _ in made), sum(users for _, users in made)


def place(database: Database, names: list[str]) -> tuple[int, int]:
    """One batch of make_buckets, after its check; returns how many buckets it made, with how many users."""
    size = database.settings.bucket_size
    given = {"size": size, "default_priority": DEFAULT_PRIORITY, "per_client": PER_CLIENT}
    [row] = _run(database, "place_users", names=names, **given)
    return row["buckets"], row["users"]


def reclaim_leases(database: Database) -> tuple[int, int]:
    """The job; returns how many leases it marked dead, and how many it released."""
    ensure(database)
    _correct_times(database)
    released = _all_batches(lambda: release_dead(database))
    marked = _all_batches(lambda: mark_dead(database))
    given = {"keep_seconds": database.settings.keep_seconds, "batch": BATCH_LEASES}
    _all_batches(lambda: int(_run(database, "forget_leases", **given)[0]["forgotten"]))
    finish(database, "reclaim_leases")
    return marked, released


def release_dead(database: Database) -> int:
    """One batch of reclaim_leases, after its check; returns how many it released."""
    grace = database.settings.grace_seconds
    return int(_run(database, "release_dead", grace_seconds=grace, batch=BATCH_LEASES)[0]["released"])


def mark_dead(database: Database) -> int:
    """One batch of reclaim_leases, after its check; returns how many it marked."""
    given = {"lease_seconds": database.settings.lease_seconds, "start_allowance": START_ALLOWANCE}
    return int(_run(database, "mark_dead", **given, batch=BATCH_LEASES)[0]["marked"])


def raise_starved(database: Database) -> int:
    """The job; returns how many buckets it raised."""
    ensure(database)
    _correct_times(database)
    starved = database.settings.starved_seconds
    given = {
        "starved_seconds": starved,
        "prioritized_seconds": min(database.settings.starved_prioritized_seconds, starved),
        "default_priority": DEFAULT_PRIORITY,
        "step": 900,
        "batch": BATCH_RAISED,
    }
    raised = _all_batches(lambda: int(_run(database, "raise_starved", **given)[0]["raised"]))
    finish(database, "raise_starved")
    return raised


def finish(database: Database, job: str, cursor: str | None = None) -> None:
    """Note that a job has run to its end, and where make_buckets goes on."""
    _run(database, "finish_job", name=job, cursor=cursor)


def _run(database: Database, name: str, /, **parameters: Any) -> list[dict[str, Any]]:
    return database.run_text(text(name), **parameters)


def _wanted(line: str) -> tuple[str, str, str, list[str]]:
    """What a line of the schema makes: CONSTRAINT or INDEX, its name, label and properties."""
    found = _LINE.fullmatch(line)
    assert found is not None
    kind, name, label, keys = found.groups()
    return kind, name, label, [key.strip().removeprefix("n.") for key in keys.split(",")]


def _nobody(database: Database) -> dict[str, Any]:
    """Where a statement returned no row. Raises Refused: `schema_missing`, else `not_registered`."""
    ensure(database)
    raise Refused("not_registered")


def _nothing(row: dict[str, Any]) -> Refused:
    if not row["known"] and row["held"] >= row["allowance"]:
        return Refused("over_quota")
    return Refused("too_fast" if not row["known"] and row["wait"] > 0 else "nothing_to_fetch")


def _leases(rows: list[dict[str, Any]]) -> list[Lease]:
    leases = [
        Lease(
            row["bucket"],
            row["lease"],
            DEFAULT_PRIORITY if row["priority"] is None else row["priority"],
            row["expires"],
            [User(name, id) for name, id in zip(row["names"], row["ids"], strict=True)],
        )
        for row in rows
        if row["bucket"] is not None
    ]
    return sorted(leases, key=lambda lease: lease.priority)


def _report(row: dict[str, Any]) -> Report:
    if row["outcome"] != "accepted":
        return Report(row["bucket"], "refused", reason=row["outcome"])
    status = "partial" if row["returned"] else "done"
    return Report(row["bucket"], status, row["accepted"], row["returned"], row["refused"])


def _find_waiting(database: Database, cursor: str, most: int) -> tuple[list[str], str]:
    """Up to `most` names of users in no bucket, from `cursor` on, once around; and where to look on."""
    names: list[str] = []
    start, wrapped = cursor, False
    while len(names) < most:
        [row] = _run(database, "scan_users", after=cursor, slice=SCAN_SLICE)
        waiting = [name for name in row["names"] if not (wrapped and name > start)]
        if len(names) + len(waiting) > most:
            return names + random.sample(waiting, most - len(names)), cursor
        names += waiting
        if row["last"] is not None and not (wrapped and row["last"] > start):
            cursor = row["last"]
        elif wrapped or not start:
            return names, start
        else:
            cursor, wrapped = "", True
    return names, cursor


def _correct_times(database: Database) -> None:
    given = {"skew_seconds": MAX_SKEW_SECONDS, "lease_seconds": database.settings.lease_seconds, "batch": BATCH_RAISED}
    _all_batches(lambda: int(_run(database, "correct_times", **given)[0]["corrected"]))


def _all_batches(step: Callable[[], int]) -> int:
    total = 0
    while handled := step():
        total += handled
    return total
