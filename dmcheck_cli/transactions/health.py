"""Is all well? What operators ask when something looks wrong, and what must hold in every graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmcheck_cli.database.connection import Database
from dmcheck_cli.limits import SCAN_SLICE
from dmcheck_cli.transactions import schema

JOBS = ("make_buckets", "reclaim_leases", "raise_starved")

LATE = 2 * 3600
"""Seconds after which a job is missed: crontab.example runs each every 15 minutes; a reboot is no reason to mail."""


@dataclass(frozen=True)
class Job:
    """When a job last ran to its end; None if it never did."""

    name: str
    last_success_time: str | None
    seconds_ago: int | None


@dataclass(frozen=True)
class Problem:
    """What is wrong, and the command that mends it."""

    what: str
    mend: str


@dataclass(frozen=True)
class Health:
    """The version of Neo4j, the jobs, and what is wrong."""

    version: str
    jobs: list[Job]
    problems: list[Problem]


def health(database: Database) -> Health:
    """The quick look: version, schema, jobs. That the database answers at all is what getting here shows."""
    lacking = schema.missing(database)
    problems = []
    if lacking:
        problems.append(Problem(f"{len(lacking)} constraints or indexes are missing", "dmcheck schema apply"))
    [row] = database.run("show_health")
    known = {job["name"]: Job(**job) for job in row["jobs"]}
    jobs = [known.get(name, Job(name, None, None)) for name in JOBS]
    for job in jobs:
        if job.seconds_ago is None or job.seconds_ago > LATE:
            since = "never" if job.seconds_ago is None else f"not for {job.seconds_ago // 3600} hours"
            mend = f"python -m jobs.{job.name}; see crontab.example"
            problems.append(Problem(f"{job.name} has {since} run to its end", mend))
    return Health(row["version"], jobs, problems)


def broken(database: Database, looked_at: Callable[[int], None]) -> list[Problem]:
    """The deep look: what must never be, over the whole graph, in slices; `looked_at` is told of each one's size."""
    [row] = database.run("check_buckets")
    found: list[str] = row["broken"]
    after: str | None = ""
    while after is not None:
        [row] = database.run("check_users", after=after, slice=SCAN_SLICE)
        found += row["broken"]
        after = row["last"]
        looked_at(row["seen"])
    return [Problem(what, "dmcheck schema apply") for what in found]
