"""Registering, unregistering, renaming and forgetting clients."""

from __future__ import annotations

from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Client
from dmcheck_cli.errors import NotRegistered, TooFast, WrongDetails, spread
from dmcheck_cli.transactions import schema, times


def register(
    database: Database,
    id: int,
    screen_name: str,
    capacity: int | None = None,
    dm_from_id: int | None = None,
    dm_from_screen_name: str | None = None,
) -> Client:
    """Add a client, or reactivate it. None for one of the last three keeps the stored value.

    Raises WrongDetails when the id is known by another screen name, TooFast when the system has accepted
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
    if row["outcome"] == "too_many":
        wait = spread(3600)
        raise TooFast(what="Too many new clients are being registered", seconds=wait, retry_after=wait)
    return _client(row["client"])


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
    if not rows:
        raise NotRegistered(client=id)
    return _client(rows[0]["client"])


def delete(database: Database, id: int, dry_run: bool = False) -> tuple[int, int]:
    """Forget a client; returns how many leased buckets were put back, and how many of its answers are in force.

    The answers stay, and nothing says any more whose they are. An unknown id is no error: it may have been deleted
    before. With `dry_run` nothing is changed.
    """
    if dry_run:
        [row] = database.run("count_client", id=id)
    else:
        row = schema.write_one(database, "delete_client", id=id)
    return row["returned"], row["answers"]


def _client(found: dict[str, Any]) -> Client:
    return Client(**found | {name: times.utc(found[name]) for name in ("first_registered", "last_registered")})
