"""What operators see: the clients with their counters, and the state of the system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ClientStats, SystemStats, Wait
from dmcheck_cli.domain.policy.flags import flags
from dmcheck_cli.domain.policy.forecast import DAY, forecast
from dmcheck_cli.domain.policy.trust.rules import RULES
from dmcheck_cli.errors import NotRegistered
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema, standings, times


def stats(database: Database, client: int | None = None) -> tuple[list[ClientStats], SystemStats]:
    """All clients, or the one with that id, and the system.

    Raises NotRegistered when no client has that id; an inactive one is shown.
    """
    schema.ensure(database)
    [row] = database.run("show_stats", client=client)
    if client is not None and not row["clients"]:
        raise NotRegistered(client=client)
    places = {id: place for place, id in enumerate(row["ranking"], 1)}
    hasty = Counter(id for id in row["hasty"] if type(id) is int)
    clients = [_client(found, row["now"], places, hasty, database.settings) for found in row["clients"]]
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
        users_set_aside=row["set_aside"],
        users_set_aside_answered=row["aside_answered"],
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
        estimated_end=forecast(remaining - row["set_aside"] + row["aside_answered"], hourly),
        clients_active=sum(one.state == "ACTIVE" for one in clients),
        clients_by_flag=dict(Counter(flag for one in clients for flag in one.flags)),
    )
    return clients, system


def _client(
    found: dict[str, Any], now: str, places: dict[int, int], hasty: Mapping[int, int], settings: Settings
) -> ClientStats:
    judged = found.pop("judged")
    counters = found | {
        "cells": list(
            zip(standings.counts(found["compared"]), standings.counts(found["contradicted"]), RULES.honest, strict=True)
        ),
        "hasty": hasty[found["id"]] if found["id"] is not None else 0,
        "unjudged": max(found["held"] + found["buckets_processed"] - (judged or 0), 0),
        "contained": times.since_1970(found["contained"]),
        "suspended": times.utc(found["suspended"]),
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
    share = 1.0 if counters["contained"] else counters["checked_share"]
    counters |= {
        "compared": sum(compared for compared, _, _ in counters["cells"]),
        "contradicted": sum(contradicted for _, contradicted, _ in counters["cells"]),
        "checked_share": settings.limits.newcomer_share if share is None else share,
        "limited_by": _limited_by(counters, settings.max_unjudged),
    }
    if counters["limited_by"] == "unjudged":
        counters["next_fetch_seconds"] = settings.limits.judge_seconds
    raised = flags(counters)
    for name in ("dead", "cells", "hasty", "probation"):
        del counters[name]
    return ClientStats(**counters, flags=raised)


def _limited_by(counters: dict[str, Any], max_unjudged: int) -> str:
    """Why a client may hold as many buckets as it may, or none."""
    if counters["state"] != "ACTIVE":
        return "suspended" if counters["state"] == "SUSPENDED" else "inactive"
    if counters["contained"]:
        return "contained"
    if counters["probation"]:
        return "probation"
    if max_unjudged and not counters["record"] and counters["unjudged"] >= max_unjudged:
        return "unjudged"
    if counters["allowance"] >= counters["capacity"]:
        return "stated"
    return counters["judged_for"] or "newcomer"


def count_users(database: Database) -> int:
    """How many users there are."""
    [row] = database.run("count_users")
    return int(row["users"])
