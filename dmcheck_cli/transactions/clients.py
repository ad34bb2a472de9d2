"""Registering and unregistering clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import NotRegistered, TooFast, WrongDetails, spread
from dmcheck_cli.limits import DEFAULT_CAPACITY, MAX_SKEW_SECONDS, MOST_NEW_CLIENTS_PER_HOUR
from dmcheck_cli.transactions import schema, times


@dataclass(frozen=True)
class Client:
    """A registered checker. Times are ISO 8601 in UTC; `first_registered` and `last_registered` may be None in
    a graph that an older system made."""

    id: int
    screen_name: str
    state: str
    capacity: int
    dm_from_id: int | None
    dm_from_screen_name: str | None
    first_registered: str | None
    last_registered: str | None


def register(
    database: Database,
    id: int,
    screen_name: str,
    capacity: int | None = None,
    dm_from_id: int | None = None,
    dm_from_screen_name: str | None = None,
) -> Client:
    """Add a client, or make it active again. None for one of the last three keeps what is known.

    Raises WrongDetails when the id is known by another screen name, TooFast when the system has taken
    MOST_NEW_CLIENTS_PER_HOUR new clients within the hour, SchemaMissing on a database without our schema.
    """
    schema.ensure(database)
    [row] = database.run(
        "register_client",
        id=id,
        screen_name=screen_name,
        capacity=capacity,
        dm_from_id=dm_from_id,
        dm_from_screen_name=dm_from_screen_name,
        default_capacity=DEFAULT_CAPACITY,
        most_new_per_hour=MOST_NEW_CLIENTS_PER_HOUR,
        skew_seconds=MAX_SKEW_SECONDS,
    )
    if row["outcome"] == "wrong_details":
        raise WrongDetails(client=id)
    if row["outcome"] == "too_many":
        wait = spread(3600)
        raise TooFast(what="Too many new clients are being registered", seconds=wait, retry_after=wait)
    return _client(row["client"])


def unregister(database: Database, id: int, screen_name: str) -> tuple[Client, int]:
    """Deactivate a client; returns it and how many leased buckets were put back.

    Raises NotRegistered for an unknown id, WrongDetails when it is known by another screen name.
    """
    rows = database.run("unregister_client", id=id, screen_name=screen_name)
    if not rows:
        raise not_registered(database, id)
    if rows[0]["outcome"] == "wrong_details":
        raise WrongDetails(client=id)
    return _client(rows[0]["client"]), rows[0]["returned"]


def _client(found: dict[str, Any]) -> Client:
    return Client(**found | {name: times.utc(found[name]) for name in ("first_registered", "last_registered")})


def not_registered(database: Database, id: int) -> NotRegistered:
    """The error for a client that is not there or not active.

    Raises SchemaMissing instead when the database was never set up, which looks the same to a statement.
    """
    schema.ensure(database)
    return NotRegistered(client=id)
