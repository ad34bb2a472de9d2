"""Making, reclaiming and raising buckets: what the jobs do, one transaction per call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import BucketState
from dmcheck_cli.domain.policy.mixing import NEEDS, Needing
from dmcheck_cli.errors import UnknownBucket
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import jobs, schema, times


@dataclass(frozen=True)
class Plan:
    """How many buckets may still be made, the name after which the search for users continues, how many clients are
    active, and how many users wait in no bucket, those included whose names nobody can ask for;
    for each waiting bucket who answered for its users, and their `dm_from_id`s."""

    room: int
    cursor: str
    active: int
    outside: int
    line: list[tuple[frozenset[int], frozenset[int]]]


@dataclass(frozen=True)
class Made:
    """Buckets made and users placed in them; users that were seen to wait on in no bucket, and why no bucket was made
    (no_clients, enough, nobody_waits)."""

    buckets: int
    users: int
    waiting: int = field(default=0, compare=False)
    reason: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Held:
    """A lease that a job ended or marked: who had it, on which bucket, and its key."""

    client: int
    bucket: str
    lease: str | None


def show(database: Database, bucket: str) -> BucketState:
    """Who holds a bucket, and what happens to it next. Raises UnknownBucket."""
    rows = database.run("show_bucket", bucket=bucket)
    if not rows:
        raise UnknownBucket(bucket=bucket)
    [row] = rows
    settings, now = database.settings, row["now"]
    prioritized, ordinary = longest_waits(settings)
    if row["lease"] is None:
        state, job = "waiting", "raise_starved"
        due = (prioritized if row["urgent"] else ordinary) - (times.age(row["since"], now) or 0)
    elif row["dead"] is None:
        state, job, due = "leased", "reclaim_leases", times.left(row["expires"], now) or 0
    else:
        state, job = "dead", "reclaim_leases"
        due = settings.grace_seconds - (times.age(row["dead"], now) or 0)
    return BucketState(
        bucket=row["bucket"],
        state=state,
        priority=row["priority"],
        users=row["users"],
        client=row["client"],
        lease=row["lease"],
        since=times.utc(row["since"]),
        expires=times.utc(row["expires"]) if row["lease"] is not None else None,
        next_job=job,
        next_job_seconds=max(due, 0),
    )


def plan(database: Database) -> Plan:
    """What make_buckets needs to know before it starts."""
    [row] = database.run("plan_buckets")
    line = [(frozenset(heard), frozenset(sources)) for heard, sources in row["line"]]
    return Plan(max(row["room"], 0), row["cursor"], row["active"], row["outside"], line)


def needing(database: Database, start: int, most: int) -> list[Needing]:
    """Up to `most` users who need another opinion, the most pressing needs first; of each, the users of one client
    follow each other, from the client with the id `start` on, wrapping around."""
    rows = database.run("needing_users", needs=list(NEEDS), start=start, most=most) if most > 0 else []
    return [Needing(row["name"], frozenset(row["heard"]), frozenset(row["sources"])) for row in rows]


def place(database: Database, planned: list[list[str]], seconds: Collection[str] = ()) -> Made:
    """Make the planned buckets, of those users who may still be placed, while there is room for more.

    `seconds`: the names of those who are there for a second opinion.
    """
    row = schema.write_one(database, "place_users", buckets=planned, seconds=list(seconds))
    return Made(row["buckets"], row["users"])


def free(database: Database) -> int:
    """Take second opinions out of a batch of buckets that no client may take any more; returns how many buckets."""
    return int(schema.write_one(database, "free_buckets")["freed"])


def split(database: Database, buckets: list[str] | None = None) -> int:
    """Put the users of spent buckets into smaller ones, and set aside who is alone in one; returns how many were split.

    `buckets` names them; None: a batch of all that a command or job left before it could do so.
    """
    return int(schema.write_one(database, "split_buckets", buckets=buckets)["split"])


def finish(database: Database, job: str, cursor: str | None = None) -> None:
    """Record that a job has completed, what that cost, and where make_buckets continues."""
    schema.write_one(database, "finish_job", name=job, cursor=cursor, cost=jobs.cost(database))


def correct_times(database: Database) -> int:
    """Repair a batch of bucket and lease times that are in the future, missing or invalid.

    Such a time counts as now, so a clock that was ahead delays what depends on it by at most its own bound once more.
    Returns how many buckets and leases were changed.
    """
    row = schema.write_one(database, "correct_times", lease_seconds=database.settings.lease_seconds)
    return int(row["corrected"])


def release_dead(database: Database) -> list[Held]:
    """Release a batch of leases that have been dead for DMCHECK_GRACE_SECONDS; returns them."""
    row = schema.write_one(database, "release_dead", grace_seconds=database.settings.grace_seconds)
    return [Held(**one) for one in row["released"]]


def mark_dead(database: Database) -> list[Held]:
    """Mark a batch of expired leases dead; returns them."""
    row = schema.write_one(database, "mark_dead", lease_seconds=database.settings.lease_seconds)
    return [Held(**one) for one in row["marked"]]


def reclaimable(database: Database) -> tuple[int, int]:
    """How many leases would be marked dead and released now; changes nothing."""
    settings = database.settings
    [row] = database.run(
        "count_reclaimable", lease_seconds=settings.lease_seconds, grace_seconds=settings.grace_seconds
    )
    return row["marked_dead"], row["released"]


def forget(database: Database) -> int:
    """Forget a batch of leases that ended more than DMCHECK_KEEP_SECONDS ago; returns how many."""
    row = schema.write_one(database, "forget_leases", keep_seconds=database.settings.keep_seconds)
    return int(row["forgotten"])


def raise_starved(database: Database) -> list[str]:
    """Move a batch of buckets that have waited too long to the front (see `longest_waits`); returns their uuids."""
    row = schema.write_one(database, "raise_starved", **_starved(database))
    return list(row["raised"])


def starved(database: Database) -> int:
    """How many buckets would be raised now; changes nothing."""
    [row] = database.run("count_starved", **_starved(database))
    return int(row["raised"])


def longest_waits(settings: Settings) -> tuple[int, int]:
    """Seconds after which a waiting bucket is overdue: a prioritized one, then an ordinary one."""
    ordinary = settings.starved_seconds
    return min(settings.starved_prioritized_seconds, ordinary), ordinary


def _starved(database: Database) -> dict[str, Any]:
    prioritized, ordinary = longest_waits(database.settings)
    return {"prioritized_seconds": prioritized, "starved_seconds": ordinary}
