"""What operators see: the clients with their counters, and the state of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import NotRegistered
from dmcheck_cli.limits import DEFAULTS
from dmcheck_cli.transactions import buckets, schema, times

FEW = 3
"""Below this many dead leases or faults a client is given the benefit of the doubt: a laptop was closed once."""

HOARD_SECONDS = 86_400
"""A bucket of 180 takes a checker minutes to a few hours; who renews its lease for a day does not work on it."""


@dataclass(frozen=True)
class ClientStats:
    """A client, its counters (contract, section 3), and flags (see `flags`).

    `allowance` is how many leases it may hold: what it has earned, but not more than it stated (`capacity`).
    `judged_for` says what it was judged for last (answered, slow, unknown, died, refused), `judged_seconds` how long
    ago, `turnaround_seconds` how long the last answered bucket took. `id` and `screen_name` are None where another
    program stored none.
    """

    id: int | None
    screen_name: str | None
    state: str
    capacity: int
    allowance: int
    judged_for: str | None
    judged_seconds: int | None
    turnaround_seconds: int | None
    held: int
    oldest_lease_seconds: int | None
    buckets_assigned: int
    buckets_processed: int
    buckets_fault: int
    buckets_dead: int
    users_checked: int
    users_unknown: int
    last_access_time: str | None
    last_access_seconds: int | None
    first_registered: str | None
    last_registered: str | None
    flags: list[str]


@dataclass(frozen=True)
class Wait:
    """Since how many seconds the oldest waiting bucket of a kind waits (None: none does), and when it is overdue."""

    oldest_seconds: int | None
    overdue_seconds: int


@dataclass(frozen=True)
class SystemStats:
    """The state of the whole. Waiting: without an answer and not under lease, in a bucket or in none."""

    users_total: int
    users_waiting: int
    users_leased: int
    users_checked: int
    buckets_ready: int
    buckets_leased: int
    buckets_dead: int
    oldest_wait_seconds: int | None
    prioritized: Wait
    ordinary: Wait


def stats(database: Database, client: int | None = None) -> tuple[list[ClientStats], SystemStats]:
    """All clients, or the one of that id, and the system.

    Raises NotRegistered when there is no client of that id; an inactive one is shown.
    """
    schema.ensure(database)
    [row] = database.run("show_stats", client=client)
    if client is not None and not row["clients"]:
        raise NotRegistered(client=client)
    clients = [_client(found, row["now"]) for found in row["clients"]]
    prioritized, ordinary = (
        Wait(times.age(row[f"oldest_{kind}"], row["now"]), overdue)
        for kind, overdue in zip(("prioritized", "ordinary"), buckets.longest_waits(database.settings), strict=True)
    )
    waits = [wait.oldest_seconds for wait in (prioritized, ordinary) if wait.oldest_seconds is not None]
    system = SystemStats(
        users_total=row["users"],
        users_waiting=row["users"] - row["answers"] - row["leased_users"],
        users_leased=row["leased_users"],
        users_checked=row["answers"],
        buckets_ready=row["buckets"] - row["held"],
        buckets_leased=row["held"] - row["dead"],
        buckets_dead=row["dead"],
        oldest_wait_seconds=max(waits, default=None),
        prioritized=prioritized,
        ordinary=ordinary,
    )
    return clients, system


def flags(counters: dict[str, Any]) -> list[str]:
    """What an operator should look at (design, 10.1), given a client's counters.

    `unresponsive`: holds a dead lease. `dying`: at least FEW leases, and more than a quarter of all, died.
    `faulty`: at least FEW faults, and more than one for ten processed buckets. `blind`: more than half of its answers
    are UNKNOWN, and so many are that it is no chance. `hoarding`: has kept a lease alive for HOARD_SECONDS.
    """
    dead, fault = counters["buckets_dead"], counters["buckets_fault"]
    signs = {
        "unresponsive": counters["dead"] > 0,
        "dying": dead >= FEW and dead * 4 > counters["buckets_assigned"],
        "blind": counters["users_unknown"] >= DEFAULTS.flood
        and counters["users_unknown"] * 2 > counters["users_checked"],
        "hoarding": (counters["oldest_lease_seconds"] or 0) >= HOARD_SECONDS,
        "faulty": fault >= FEW and fault * 10 > counters["buckets_processed"],
    }
    return [flag for flag, raised in signs.items() if raised]


def _client(found: dict[str, Any], now: str) -> ClientStats:
    counters = found | {
        "judged_seconds": times.age(found.pop("judged_datetime"), now),
        "oldest_lease_seconds": times.age(found.pop("oldest_lease"), now),
        "last_access_seconds": times.age(found["last_access_time"], now),
        **{name: times.utc(found[name]) for name in ("last_access_time", "first_registered", "last_registered")},
    }
    raised = flags(counters)
    del counters["dead"]
    return ClientStats(**counters, flags=raised)


def count_users(database: Database) -> int:
    """How many users there are."""
    [row] = database.run("count_users")
    return int(row["users"])
