"""Loading, deleting, listing and prioritizing users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import Temporary, UnknownUser
from dmcheck_cli.transactions import schema
from dmcheck_cli.transactions.leases import stored_users

MAX_TRIES = 10
"""How often `prioritize` looks again for users who changed buckets between its look and its lock. Each try waits for
the transaction that moved them, so a second try is rare and a third was never seen."""


@dataclass(frozen=True)
class Scanned:
    """A slice of the users in order of name: how many were read, the last one's name (None past the end of the list),
    and those of them who wait in no bucket."""

    seen: int
    last: str | None
    waiting: list[User]


@dataclass(frozen=True)
class Prioritized:
    """What `prioritize` did: users now in buckets of that priority, users marked under lease, and names left alone."""

    prioritized: int
    under_lease: int
    already_checked: list[str]
    unknown: list[str]


def add(database: Database, users: list[User]) -> tuple[int, int]:
    """Add one batch of users, each name once; returns how many were new and how many already existed."""
    rows = sorted(
        ({"screen_name": user.screen_name, "id": user.id} for user in users), key=lambda row: str(row["screen_name"])
    )
    row = schema.write_one(database, "add_users", users=rows)
    return row["added"], row["existing"]


def delete(database: Database, names: list[str]) -> tuple[int, list[str]]:
    """Delete users with their answers; returns how many were deleted and the unknown names."""
    row = schema.write_one(database, "delete_users", names=sorted(names))
    return row["deleted"], row["unknown"]


def scan(database: Database, after: str, slice: int = DEFAULTS.scan_slice) -> Scanned:
    """Read up to `slice` users whose names come after `after`."""
    [row] = database.run("scan_users", after=after, slice=slice)
    return Scanned(row["seen"], row["last"], stored_users(row["users"]))


def pending(database: Database) -> Iterator[User]:
    """All users who wait in no bucket, in order of name, slice by slice."""
    schema.ensure(database)
    after: str | None = ""
    while after is not None:
        found = scan(database, after)
        yield from found.waiting
        after = found.last


def prioritize(database: Database, names: list[str], priority: int, recheck: bool) -> Prioritized:
    """Move waiting users into buckets of `priority` at once; `names` holds each name once.

    With `recheck`, checked users wait again and their answers become history (`DM_PAST`).

    Raises UnknownUser when none of them is known.
    """
    for _ in range(MAX_TRIES):
        row = schema.write_one(
            database,
            "prioritize_users",
            names=names,
            priority=priority,
            recheck=recheck,
            size=database.settings.bucket_size,
        )
        if len(row["unknown"]) == len(names):
            raise UnknownUser(names=_some(row["unknown"]))
        if not row["missed"]:
            return Prioritized(row["prioritized"], row["under_lease"], row["already_checked"], row["unknown"])
    raise Temporary(what="Users kept changing buckets; repeat the same command")


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
