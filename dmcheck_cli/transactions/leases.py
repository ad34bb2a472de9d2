"""Handing out buckets: fetch, resume, renew, release."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.retry import delays
from dmcheck_cli.errors import (
    DmcheckError,
    LeaseLost,
    NothingToFetch,
    NotOwner,
    OverQuota,
    Temporary,
    TooFast,
    UnknownBucket,
    spread,
)
from dmcheck_cli.limits import (
    ASKS_PER_SECOND,
    DEFAULT_CAPACITY,
    DEFAULT_PRIORITY,
    LONGEST_PAUSE,
    MOST_PRIORITY,
    QUOTA_PAUSE,
    START_ALLOWANCE,
    TOLERANCE,
    WINDOW,
)
from dmcheck_cli.transactions import times
from dmcheck_cli.transactions.clients import not_registered

RULES = {
    "default_capacity": DEFAULT_CAPACITY,
    "start_allowance": START_ALLOWANCE,
    "window": WINDOW,
    "tolerance": TOLERANCE,
    "longest_pause": LONGEST_PAUSE,
    "beyond": MOST_PRIORITY + 1,
}
"""The parameters of `fetch_buckets` that are the same for every fetch."""


@dataclass(frozen=True)
class User:
    """An account to check; the id is None where it is not known."""

    screen_name: str
    id: int | None


@dataclass(frozen=True)
class Lease:
    """One bucket in one client's hands. `expires` is ISO 8601 in UTC; None if another system gave the lease."""

    bucket: str
    lease: str
    priority: int
    expires: str | None
    users: list[User]


def fetch(database: Database, client: int, count: int, request: str) -> list[Lease]:
    """Lease up to `count` buckets (1 to 10), but not more than the client's allowance leaves free; at least one.

    The most urgent bucket comes first. `request` names this fetch: the same request again returns those of its leases
    that are still held.

    Raises NotRegistered, OverQuota, TooFast, NothingToFetch (no bucket waits, or the request's leases have all ended).
    """
    deadline = time.monotonic() + database.settings.timeout_seconds
    top_up = False
    for delay in delays():
        rows = database.run(
            "fetch_buckets",
            client=client,
            request=request,
            count=count,
            top_up=top_up,
            lease_seconds=database.settings.lease_seconds,
            **RULES,
        )
        if not rows:
            raise not_registered(database, client)
        leases, first = _leases(rows), rows[0]
        out_of_time = time.monotonic() + delay >= deadline
        if leases and (not first["lost"] or out_of_time):
            return leases
        if not first["lost"]:
            raise _nothing(client, first)
        if out_of_time:
            raise Temporary(what="Other clients were always faster; nothing was leased: try again")
        # Others took some of what this try had picked, and more may wait: pick again for what is missing.
        top_up = True
        time.sleep(delay)
    raise AssertionError("delays() never ends")


def resume(database: Database, client: int) -> list[Lease]:
    """The leases that the client still holds, as they were given.

    Raises NotRegistered, NothingToFetch when it holds none.
    """
    rows = database.run("held_leases", client=client)
    if not rows:
        raise not_registered(database, client)
    leases = _leases(rows)
    if not leases:
        raise NothingToFetch(what=f"Client {client} holds no lease")
    return leases


def renew(database: Database, client: int, bucket: str, lease: str) -> str:
    """Give a held lease its full time again; returns the new expiry, ISO 8601 in UTC.

    Raises NotRegistered, UnknownBucket, NotOwner, LeaseLost.
    """
    rows = database.run(
        "renew_lease", client=client, bucket=bucket, lease=lease, lease_seconds=database.settings.lease_seconds
    )
    if not rows:
        raise not_registered(database, client)
    _refuse(rows[0]["outcome"], bucket)
    return str(times.utc(rows[0]["expires"]))


def release(database: Database, client: int, bucket: str, lease: str) -> int:
    """Give a held bucket back unanswered, which counts as nothing; returns how many users wait again with it.

    Giving back again what was given back before is a success.

    Raises NotRegistered, UnknownBucket, NotOwner, LeaseLost.
    """
    rows = database.run("release_lease", client=client, bucket=bucket, lease=lease)
    if not rows:
        raise not_registered(database, client)
    _refuse(rows[0]["outcome"], bucket)
    return int(rows[0]["returned"])


def _nothing(client: int, row: dict[str, Any]) -> DmcheckError:
    """Why a fetch that had no rivals got nothing."""
    if row["known"]:
        return NothingToFetch(what="The leases of this request have all ended")
    if row["held"] >= row["allowance"]:
        stated = row["allowance"] == row["capacity"]
        why = "as it stated" if stated else f"it stated {row['capacity']}; `dmcheck stats --client {client}` tells why"
        return OverQuota(
            client=client, held=row["held"], allowance=row["allowance"], why=why, retry_after=spread(QUOTA_PAUSE)
        )
    if row["wait"] > 0:
        wait = min(spread(row["wait"]), LONGEST_PAUSE)
        return TooFast(
            what=f"Client {client} asks again and again, and answers nothing", seconds=wait, retry_after=wait
        )
    pause = spread(max(row["pause"], row["clients"] / ASKS_PER_SECOND, 1))
    return NothingToFetch(what="No bucket is waiting; make_buckets makes new ones", retry_after=pause)


def _refuse(outcome: str, bucket: str) -> None:
    refusals: dict[str, type[DmcheckError]] = {
        refusal.code: refusal for refusal in (UnknownBucket, NotOwner, LeaseLost)
    }
    if outcome in refusals:
        raise refusals[outcome](bucket=bucket)


def _leases(rows: list[dict[str, Any]]) -> list[Lease]:
    leases = [
        Lease(
            bucket=row["bucket"],
            lease=row["lease"],
            priority=DEFAULT_PRIORITY if row["priority"] is None else row["priority"],
            expires=times.utc(row["expires"]),
            users=[User(name, id) for name, id in zip(row["names"], row["ids"], strict=True)],
        )
        for row in rows
        if row["bucket"] is not None
    ]
    return sorted(leases, key=lambda lease: lease.priority)
