"""Registering, unregistering, suspending, distrusting, renaming and forgetting clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Row
from dmcheck_cli.domain.model import Client, Distrusted
from dmcheck_cli.errors import (
    DmcheckError,
    NotRegistered,
    Overtaken,
    Suspended,
    Temporary,
    TooFast,
    WrongDetails,
    spread,
)
from dmcheck_cli.transactions import schema, times
from dmcheck_cli.transactions.refusals import counted

MAX_MISSED = 20
"""Parts of a distrust in a row in which users were in other buckets than a moment before."""


@counted
def register(
    database: Database,
    id: int,
    screen_name: str,
    capacity: int | None = None,
    dm_from_id: int | None = None,
    dm_from_screen_name: str | None = None,
) -> Client:
    """Add a client, or reactivate it. None for one of the last three keeps the stored value.

    Raises WrongDetails when the id is known by another screen name, Suspended, TooFast when the system has accepted
    `max_new_clients_per_hour` new clients within the hour, and what `schema.ensure` raises.
    """
    row = schema.write_one(
        database,
        "register_client",
        id=id,
        screen_name=screen_name,
        capacity=capacity,
        dm_from_id=dm_from_id,
        dm_from_screen_name=dm_from_screen_name,
    )
    if row["outcome"] == "wrong_details":
        raise WrongDetails(client=id)
    if row["outcome"] == "suspended":
        raise _suspended(id, row["client"]["reason"])
    if row["outcome"] == "too_many":
        wait = spread(3600)
        raise TooFast(what="Too many new clients are being registered", seconds=wait, retry_after=wait)
    return _client(row["client"])


def put_on_probation(database: Database, id: int) -> bool:
    """Leave a client at one lease until it has a record; returns whether it has none. Raises NotRegistered."""
    [row] = _known(schema.write(database, "set_probation", id=id), id)
    return bool(row["set"])


def similar(database: Database, id: int, screen_name: str) -> list[tuple[int, str]]:
    """Other clients that may be the same person, each with what it shares: 'name' or 'dm_from_id'."""
    rows = database.run("similar_clients", id=id, screen_name=screen_name)
    return [(row["client"], "name" if row["same_name"] else "dm_from_id") for row in rows]


def unregister(database: Database, id: int, screen_name: str) -> tuple[Client, int]:
    """Deactivate a client; returns it and how many leased buckets were put back.

    Raises NotRegistered for an unknown id, WrongDetails when it is known by another screen name.
    """
    rows = schema.write(database, "unregister_client", id=id, screen_name=screen_name)
    if not rows:
        raise NotRegistered(client=id)
    if rows[0]["outcome"] == "wrong_details":
        raise WrongDetails(client=id)
    return _client(rows[0]["client"]), rows[0]["returned"]


def rename(database: Database, id: int, screen_name: str) -> Client:
    """Give a client another screen name. Raises NotRegistered for an unknown id."""
    rows = schema.write(database, "rename_client", id=id, screen_name=screen_name)
    [row] = _known(rows, id)
    return _client(row["client"])


def suspend(database: Database, id: int, reason: str | None = None) -> tuple[Client, int]:
    """Suspend a client; returns it and how many leased buckets were put back. No reason keeps the stored one.

    Raises NotRegistered for an unknown id.
    """
    [row] = _known(schema.write(database, "suspend_client", id=id, reason=reason), id)
    return _client(row["client"]), row["returned"]


def resume(database: Database, id: int) -> Client:
    """End a client's suspension and its containment. Raises NotRegistered for an unknown id."""
    [row] = _known(schema.write(database, "resume_client", id=id), id)
    return _client(row["client"])


def distrust(database: Database, id: int, since: str | None = None, dry_run: bool = False) -> Iterator[Distrusted]:
    """Withdraw a client's opinions, those since `since` (ISO 8601) if that is given, batch by batch.

    Yields the sums up to now after each batch. What another client's opinion confirms is kept. An answer in force whose
    time is not known counts only without `since`. Interrupted, what was withdrawn stays so, and the next call goes on.
    With `dry_run` nothing is changed.

    Raises NotRegistered for an unknown id, Temporary when users keep changing buckets.
    """
    slice = database.settings.limits.batch_withdrawn
    if dry_run:
        yield from _would_distrust(database, id, since, slice)
        return
    run, before, missed = uuid4().hex, None, 0
    while missed < MAX_MISSED:
        [row] = _known(schema.write(database, "distrust_answers", client=id, run=run, since=since, slice=slice), id)
        yield _distrusted(row)
        if row["done"]:
            return
        missed = missed + 1 if row["after"] == before else 0
        before = row["after"]
    raise Temporary(what="Users kept changing buckets; what was withdrawn stays so: repeat the same command")


def _would_distrust(database: Database, id: int, since: str | None, slice: int) -> Iterator[Distrusted]:
    sums, after = Distrusted(0, 0, 0, 0), ""
    while after is not None:
        [row] = _known(database.run("count_distrusted", client=id, since=since, after=after, slice=slice), id)
        sums = Distrusted(**{name: value + row[name] for name, value in vars(sums).items()})
        yield sums
        after = row["last"]


def count(database: Database, id: int) -> int:
    """How many answers of a client are in force; 0 for an unknown one."""
    [row] = database.run("count_client", id=id)
    return int(row["answers"])


def delete(database: Database, id: int, dry_run: bool = False) -> tuple[int, int]:
    """Forget a client; returns how many leased buckets were put back, and how many of its answers are in force.

    The answers stay, and nothing says any more whose they are. An unknown id is no error: it may have been deleted
    before. With `dry_run` nothing is changed. Raises Suspended.
    """
    [row] = database.run("count_client", id=id)
    if not (dry_run or row["suspended"]):
        slice = database.settings.limits.batch_forgotten
        while schema.write_one(database, "forget_asked", id=id, slice=slice)["forgotten"]:
            pass
        row = schema.write_one(database, "delete_client", id=id)
    if row["suspended"]:
        raise inactive(database, id)
    return row["returned"], row["answers"]


def inactive(database: Database, id: int) -> DmcheckError:
    """Why a client's command was refused and changed nothing: Suspended or NotRegistered; Overtaken if it may act by
    now."""
    rows = database.run("find_client", client=id)
    if rows and rows[0]["suspended"] is not None:
        return _suspended(id, rows[0]["reason"])
    return Overtaken(client=id) if rows and rows[0]["active"] else NotRegistered(client=id)


def _suspended(id: int, reason: str | None) -> Suspended:
    return Suspended(client=id, reason=f" ({reason})" if reason else "")


def _known(rows: list[Row], id: int) -> list[Row]:
    if not rows:
        raise NotRegistered(client=id)
    return rows


def _distrusted(row: Row) -> Distrusted:
    return Distrusted(row["withdrawn"], row["kept"], row["waiting"], row["seconds"])


def _client(found: dict[str, Any]) -> Client:
    moments = ("first_registered", "last_registered", "suspended")
    return Client(**found | {name: times.utc(found[name]) for name in moments})
