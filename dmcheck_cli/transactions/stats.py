"""What operators see: the clients with their counters, and the state of the system."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ClientStats, SystemStats, Wait
from dmcheck_cli.domain.policy.flags import flags
from dmcheck_cli.domain.policy.forecast import DAY, forecast
from dmcheck_cli.errors import NotRegistered
from dmcheck_cli.transactions import buckets, schema, times


def stats(database: Database, client: int | None = None) -> tuple[list[ClientStats], SystemStats]:
    """All clients, or the one with that id, and the system.

    Raises NotRegistered when no client has that id; an inactive one is shown.
    """
    schema.ensure(database)
    [row] = database.run("show_stats", client=client)
    if client is not None and not row["clients"]:
        raise NotRegistered(client=client)
    places = {id: place for place, id in enumerate(row["ranking"], 1)}
    clients = [_client(found, row["now"], places) for found in row["clients"]]
    prioritized, ordinary = (
        Wait(times.age(row[f"oldest_{kind}"], row["now"]), overdue)
        for kind, overdue in zip(("prioritized", "ordinary"), buckets.longest_waits(database.settings), strict=True)
    )
    waits = [wait.oldest_seconds for wait in (prioritized, ordinary) if wait.oldest_seconds is not None]
    answers = {"DM": row["yes"], "NON_DM": row["no"], "UNKNOWN": row["gone"]}
    remaining = row["users"] - sum(answers.values())
    ago: dict[int, int] = dict(row["hourly"])
    hourly = [ago.get(hour, 0) for hour in range(max(ago, default=-1), -1, -1)]
    system = SystemStats(
        users_total=row["users"],
        users_waiting=remaining - row["leased_users"],
        users_leased=row["leased_users"],
        users_checked=sum(answers.values()),
        answers=answers,
        buckets_ready=row["buckets"] - row["held"],
        buckets_leased=row["held"] - row["dead"],
        buckets_dead=row["dead"],
        oldest_wait_seconds=max(waits, default=None),
        prioritized=prioritized,
        ordinary=ordinary,
        answered_last_hour=sum(hourly[-1:]),
        answered_last_day=sum(hourly[-DAY:]),
        answered_day_before=sum(hourly[: max(len(hourly) - DAY, 0)]),
        estimated_end=forecast(remaining, hourly),
        clients_active=sum(one.state == "ACTIVE" for one in clients),
        clients_by_flag=dict(Counter(flag for one in clients for flag in one.flags)),
    )
    return clients, system


def _client(found: dict[str, Any], now: str, places: dict[int, int]) -> ClientStats:
    counters = found | {
        "next_fetch_seconds": times.left(found.pop("next_fetch"), now),
        "place": places.get(found["id"]),
        "judged_seconds": times.age(found.pop("judged_datetime"), now),
        "oldest_lease_seconds": times.age(found.pop("oldest_lease"), now),
        "last_access_seconds": times.age(found["last_access_time"], now),
        **{name: times.utc(found[name]) for name in ("last_access_time", "first_registered", "last_registered")},
    }
    counters |= {
        "users_checked": sum(found["answers"].values()),
        "users_unknown": found["answers"]["UNKNOWN"],
    }
    raised = flags(counters)
    del counters["dead"]
    return ClientStats(**counters, flags=raised)


def count_users(database: Database) -> int:
    """How many users there are."""
    [row] = database.run("count_users")
    return int(row["users"])
