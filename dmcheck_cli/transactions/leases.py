"""Handing out buckets: fetch, resume, renew, release."""

from __future__ import annotations

import time
from typing import Any

from dmcheck_cli import __version__
from dmcheck_cli.backoff import between_tries
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import (
    REFUSALS,
    DmcheckError,
    NothingToFetch,
    OverQuota,
    Temporary,
    TooFast,
    Unjudged,
    spread,
)
from dmcheck_cli.transactions import buckets, clients, schema, times
from dmcheck_cli.transactions.refusals import counted


@counted
def fetch(database: Database, client: int, count: int | None, request: str) -> list[Lease]:
    """Lease up to `count` buckets (1 to 10; None: what the client stated, at most 10, else 2): at least one, but no
    more than it may still hold.

    The most urgent bucket comes first. `request` identifies this fetch: repeating it returns those of its leases that
    are still held.

    Raises NotRegistered, Suspended, OverQuota, Unjudged, TooFast, NothingToFetch (no bucket waits, or the
    request's leases have all ended).
    """
    deadline = time.monotonic() + database.settings.timeout_seconds
    backoff = between_tries()
    while True:
        rows = schema.write(
            database,
            "fetch_buckets",
            client=client,
            request=request,
            count=count or 0,
            release=_program(database),
        )
        if not rows:
            raise clients.inactive(database, client)
        leases = _leases(rows)
        if leases:
            return leases
        if rows[0]["refusal"] or not rows[0]["seen"]:
            raise _nothing(database, client, rows[0])
        # Other clients took every bucket that this try picked; more may be waiting.
        delay = backoff.delay()
        if time.monotonic() + delay >= deadline:
            raise Temporary(what="Other clients took every bucket first; nothing was leased: try again")
        time.sleep(delay)


@counted
def resume(database: Database, client: int) -> list[Lease]:
    """The leases that the client still holds, as `fetch` returned them.

    Raises NotRegistered, Suspended, NothingToFetch when it holds none.
    """
    rows = schema.write(database, "held_leases", client=client)
    if not rows:
        raise clients.inactive(database, client)
    leases = _leases(rows)
    if not leases:
        raise NothingToFetch(what=f"Client {client} holds no lease: `dmcheck fetch` leases buckets")
    return leases


@counted
def renew(database: Database, client: int, bucket: str, lease: str) -> str:
    """Give a held lease its full time again; returns the new expiry, ISO 8601 in UTC.

    Raises NotRegistered, Suspended, UnknownBucket, NotOwner, LeaseLost.
    """
    rows = schema.write(
        database,
        "renew_lease",
        client=client,
        buckets=[{"bucket": bucket, "lease": lease}],
        lease_seconds=database.settings.lease_seconds,
    )
    if not rows:
        raise clients.inactive(database, client)
    _refuse(rows[0]["outcome"], bucket)
    return str(times.utc(rows[0]["expires"]))


@counted
def release(database: Database, client: int, bucket: str, lease: str, failed: bool = False) -> int:
    """Give a held bucket back unanswered; returns how many users wait again with it. Nothing is counted, unless
    `failed`: then `buckets_failed` is.

    Giving a bucket back a second time succeeds, too.

    Raises NotRegistered, Suspended, UnknownBucket, NotOwner, LeaseLost.
    """
    given = {"bucket": bucket, "lease": lease, "failed": failed}
    rows = schema.write(database, "release_lease", client=client, buckets=[given])
    if not rows:
        raise clients.inactive(database, client)
    _refuse(rows[0]["outcome"], bucket)
    if failed:
        buckets.split(database, [bucket])
    return int(rows[0]["returned"] or 0)


def _nothing(database: Database, client: int, row: dict[str, Any]) -> DmcheckError:
    """Why a fetch that had no rivals got nothing."""
    limits = database.settings.limits
    if row["refusal"] == "repeated":
        return NothingToFetch(what="The leases of this request have all ended: another --request-id leases others")
    if row["refusal"] == "over_quota":
        return OverQuota(client=client, held=row["held"], retry_after=spread(limits.quota_pause_seconds))
    if row["refusal"] == "unjudged":
        due = round(spread(limits.judge_seconds))
        return Unjudged(client=client, seconds=due, retry_after=due)
    if row["refusal"] == "too_fast":
        wait = min(spread(row["wait"] + 1), limits.pause_seconds)
        return TooFast(what=f"Client {client} keeps fetching without submitting", seconds=wait, retry_after=wait)
    pause = spread(max(row["clients"] / limits.polls_per_second, 1))
    return NothingToFetch(
        what="No bucket is waiting. The job make_buckets, which runs every 15 minutes, makes new ones while users wait",
        retry_after=pause,
    )


def _program(database: Database) -> str:
    """The release of dmcheck that talks to the database: for a client behind a gate, that of the gate."""
    return __version__ if database.settings.attended else f"{__version__} (gate)"


def _refuse(outcome: str, bucket: str) -> None:
    if outcome in REFUSALS:
        raise REFUSALS[outcome](bucket=bucket)


def _leases(rows: list[dict[str, Any]]) -> list[Lease]:
    leases = [
        Lease(
            bucket=row["bucket"],
            lease=row["lease"],
            priority=DEFAULTS.default_priority if row["priority"] is None else row["priority"],
            expires=times.utc(row["expires"]),
            users=stored_users(row["users"]),
        )
        for row in rows
        if row["bucket"] is not None
    ]
    return sorted(leases, key=lambda lease: lease.priority)


def stored_users(rows: list[tuple[str, object]]) -> list[User]:
    """Users from rows of name and id."""
    return [User(name, stored_id(id)) for name, id in rows]


def stored_id(id: object) -> int | None:
    """An id as it is stored. One that is not a whole number from 1 up, as other programs store some, is not known."""
    return id if type(id) is int and id > 0 else None
