"""What the jobs did last, and what that cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DatabaseRefused, NotConfigured
from dmcheck_cli.transactions import times

METRICS = "export_metrics"
"""The job that runs only where there is a Prometheus."""

JOBS = ("make_buckets", "reclaim_leases", "raise_starved", "judge_clients", METRICS)

COUNTERS = ("buckets_assigned", "buckets_processed", "buckets_fault", "buckets_dead", "buckets_failed")
"""What a client's counters are called; `client delete` adds them to those of all who were deleted."""


COUNTED = {
    "statements": "statements",
    "round_trips": "round_trips",
    "rows": "rows",
    "retries": "retries",
    "waited": "waited_seconds",
}
"""What a connection counts (`Database.account`), and what a job's record calls it, after `last_`."""


@dataclass(frozen=True)
class LastRun:
    """The last run of a job that completed; None where it never did, or an older release ran it. `ahead`: it completed
    at a time that lies in the future. `seconds`: from its start to its record; `waited`: of these, for the database."""

    name: str
    last_success_time: str | None
    seconds_ago: int | None
    ahead: bool
    seconds: float | None
    statements: int | None
    round_trips: int | None
    rows: int | None
    retries: int | None
    waited: float | None


def cost(database: Database) -> dict[str, Any]:
    """What this process did on the database until now, as `finish_job` stores it."""
    account = getattr(database, "account", None)
    return {"last_seconds": time.monotonic() - database.began} | {
        f"last_{stored}": getattr(account, counted, None) for counted, stored in COUNTED.items()
    }


@dataclass(frozen=True)
class Records:
    """The last run of each job (of `export_metrics` only if it ever ran), the COUNTERS of all clients that were
    deleted, and when that was read, in seconds since 1970."""

    runs: list[LastRun]
    former: dict[str, int]
    now: float


def last_runs(database: Database) -> list[LastRun]:
    """The last run of each job; of `export_metrics` only if it ever ran. Changes nothing."""
    return records(database).runs


def records(database: Database) -> Records:
    """What the jobs and `client delete` recorded. Changes nothing."""
    [row] = database.run("show_jobs", names=JOBS)
    known = {job["name"]: job for job in row["jobs"]}
    runs = [_run(name, known.get(name, {}), row["now"]) for name in JOBS if name != METRICS or name in known]
    return Records(runs, row["former"], times.seconds(row["now"]))


def started(database: Database) -> float | None:
    """When the database's server was started, in seconds since 1970; None where this account may not know."""
    try:
        rows = database.run("show_start")
    except (DatabaseRefused, NotConfigured):
        return None
    return rows[0]["started"] / 1000 if rows else None


def _run(name: str, found: dict[str, Any], now: str) -> LastRun:
    when = found.get("last_success_time")
    numbers = {key: found.get(key) for key in ("seconds", *COUNTED)}
    return LastRun(name, times.utc(when), times.age(when, now), times.ahead(when, now), **numbers)
