"""Loading, deleting, listing and prioritizing users."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import AmbiguousName, Temporary, UnknownUser
from dmcheck_cli.transactions import schema
from dmcheck_cli.transactions.leases import stored_users

MAX_TRIES = 10
"""How often `prioritize` looks again for users who changed buckets between its look and its lock. Each try waits for
the transaction that moved them, so a second try is rare and a third was never seen."""


BATCH = 5_000
"""Names that one statement looks up."""


@dataclass(frozen=True)
class Added:
    """What became of the users of a batch: numbers, and the stored names of those with another id."""

    added: int
    existing: int
    filled: int
    conflicting: list[str]


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


def add(database: Database, users: list[User], replace: bool = False, twice: Collection[str] = ()) -> Added:
    """Add one batch of users, each name once, whatever its case.

    With `replace`, their ids replace others that are stored. `twice`: those of the names that the list had with
    several ids; they count as filled.
    """
    rows = []
    for user in sorted(users, key=lambda user: user.screen_name):
        key = user.screen_name.lower()
        lower = None if key == user.screen_name else key
        rows.append({"screen_name": user.screen_name, "key": key, "lower": lower, "id": user.id})
    row = schema.write_one(database, "add_users", users=rows, replace=replace, twice=list(twice))
    return Added(row["added"], row["existing"], row["filled"], row["conflicting"])


def name_all(database: Database) -> None:
    """See to it that every user is found by its name in any case, those too whom other programs have added.

    That is known from two counts. Only if they differ, all names are looked through, in slices.
    """
    [row] = database.run("count_users")
    if not row["unnamed"]:
        return
    after: str | None = ""
    while after is not None:
        after = schema.write_one(database, "name_users", after=after, slice=DEFAULTS.scan_slice)["last"]
    schema.write_one(database, "finish_naming")


def spelled(database: Database, names: Iterable[str]) -> dict[str, str]:
    """How names are stored, for those that are known: as given, or in the one other case in which they are.

    Raises AmbiguousName where there are several others.
    """
    found = _stored(database, list(names))
    others = [name for name, stored in found.items() if stored != [name]]
    if others:  # there may be more of them, or some, that another program has added
        name_all(database)
        found |= _stored(database, others)
    several = list(dict.fromkeys(" and ".join(stored) for stored in found.values() if len(stored) > 1))
    if several:
        raise AmbiguousName(names=documents.some(several))
    return {name: stored[0] for name, stored in found.items() if stored}


def _stored(database: Database, names: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(names), BATCH):
        asked = [(name, name.lower()) for name in names[start : start + BATCH]]
        found.update((row["name"], row["stored"]) for row in database.run("find_users", names=asked))
    return found


def delete(database: Database, names: list[str]) -> tuple[int, list[str]]:
    """Delete users with their answers; returns how many were deleted and the unknown names."""
    row = schema.write_one(database, "delete_users", names=sorted(names))
    return row["deleted"], row["unknown"]


def retry(database: Database, names: list[str] | None) -> int:
    """Put users back who were set aside, those of `names`, or a batch of all (None); returns how many."""
    return int(schema.write_one(database, "retry_users", names=names)["retried"])


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
            raise UnknownUser(names=documents.some(row["unknown"]))
        if not row["missed"]:
            return Prioritized(row["prioritized"], row["under_lease"], row["already_checked"], row["unknown"])
    raise Temporary(what="Users kept changing buckets; repeat the same command")
