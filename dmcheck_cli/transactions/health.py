"""Health checks: what operators ask when something looks wrong, and what must hold in every graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dmcheck_cli import __version__, cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import buckets, jobs, schema, users
from dmcheck_cli.transactions.stats import count_users, stats

LATE = 2 * 3600
"""Seconds after which a job counts as missed: crontab.example runs each every 15 minutes; a reboot must not send
mail."""

APPLY = "dmcheck schema apply"

ABOUT_USERS = {
    "several_buckets": "users in several buckets",
    "several_answers": "users with several answers in force",
    "checked_and_waiting": "users who are checked, and in a bucket, not for a second opinion",
    "mismarked": "users in a bucket for a second opinion who have no first",
    "alone": "users with second opinions and no answer in force",
    "misplaced": "users who need another opinion, or are set aside, and cannot be",
    "names": "users whose name cannot be looked up (1 to 20 of A-Z, a-z, 0-9 and _)",
    "ids": "users whose id is no whole number from 1 to 2^63-1",
    "cases": "users who are stored again under a name in another case",
}
"""What `check_users` counts."""

ABOUT_MEMBERS = {
    "nameless": "users in a bucket whose name cannot be looked up",
    "unheard": "users in a bucket that may be given to who answered them before",
}
"""What `check_members` counts."""

BY_HAND = {
    ABOUT_USERS["names"]: "_remedy_names",
    ABOUT_USERS["ids"]: "_remedy_ids",
    "clients whose id is no whole number from 1 to 2^63-1": "_remedy_clients",
}
"""What `schema apply` leaves alone because it belongs to other programs, too, and the statement that repairs it."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what repairs it, ready to run: a shell command or a Cypher statement."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Used:
    """A release of dmcheck (None: not known), whether it is older than this one, and the ids of the active clients that
    last fetched by it."""

    release: str | None
    older: bool
    clients: list[int]


@dataclass(frozen=True)
class Facts:
    """Numbers: active clients, those of them with a flag, and users that wait; the releases in use, by name."""

    active: int
    flagged: int
    waiting: int
    releases: list[Used] = field(default_factory=list)


@dataclass(frozen=True)
class Health:
    """The version of Neo4j, the jobs' last runs, and what is wrong."""

    version: str
    jobs: list[jobs.LastRun]
    problems: list[Problem]


def health(database: Database) -> Health:
    """The quick check: versions, schema, jobs, times. If it returns at all, the database answers."""
    lacking = schema.missing(database)
    problems = []
    if lacking:
        # What others put in the way comes first: until it is gone, `schema apply` cannot help.
        problems += [Problem(what, remedy) for what, remedy in schema.obstacles(database)]
        problems.append(Problem(f"{len(lacking)} constraints or indexes are missing", APPLY))
    other = schema.other_version(database)
    if other is not None:
        problems.append(Problem(*other))
    [row] = database.run("show_health")
    runs = jobs.last_runs(database)
    for job in runs:
        if job.name == jobs.METRICS:
            continue  # not everybody has a Prometheus; who has one is told by it
        if job.ahead:
            problems.append(Problem(f"{job.name} last ran at a time that lies in the future: a clock was ahead", APPLY))
        elif job.seconds_ago is None or job.seconds_ago > LATE:
            since = "never" if job.seconds_ago is None else f"not for {job.seconds_ago // 3600} hours"
            program = f"dmcheck-{job.name.replace('_', '-')}"
            problems.append(Problem(f"{job.name} has {since} run to its end: is cron running it?", program))
    problems += [_problem(one) for one in database.run("check_times")]
    if not lacking and other is None:
        late = buckets.starved(database)
        if late:
            problems.append(Problem(f"{late} buckets wait longer than they should", "dmcheck-raise-starved"))
    return Health(row["version"], runs, problems)


def facts(database: Database) -> Facts:
    """What no command can repair, but an operator should know; zeros on a graph of another version."""
    if schema.missing(database) or schema.other_version(database) is not None:
        return Facts(0, 0, 0)
    clients, system = stats(database)
    active = [client for client in clients if client.state == "ACTIVE"]
    by_release: dict[str | None, list[int]] = {}
    for client in active:
        if client.id is not None:
            by_release.setdefault(client.release, []).append(client.id)
    releases = [
        Used(one, one is not None and _number(one) < _number(__version__), sorted(by_release[one]))
        for one in sorted(by_release, key=lambda one: one or "")
    ]
    return Facts(len(active), sum(bool(client.flags) for client in active), system.users_waiting, releases)


def broken(database: Database, looked_at: Callable[[int], None]) -> list[Problem]:
    """The deep check: what must never occur, over the whole graph, in slices; `looked_at` gets the size of each.

    However much is wrong, there is one Problem per kind, with a count and an example. `schema apply` comes last: it
    also repairs what the other remedies leave, such as the buckets of a client that is no longer one.
    """
    if schema.other_version(database) is not None:
        return []  # our checks do not apply to it
    users.name_all(database)
    return sorted(_broken(database, looked_at), key=lambda problem: problem.remedy == APPLY)


def repairable(database: Database) -> list[Problem]:
    """What `schema apply` would repair in a graph, of whatever version. Changes nothing."""
    found = _broken(database, lambda seen: None) + [_problem(one) for one in database.run("check_times")]
    return [problem for problem in found if problem.remedy == APPLY]


def _broken(database: Database, looked_at: Callable[[int], None]) -> list[Problem]:
    found = [_problem(row) for row in database.run("check_buckets")]
    found += [_problem(row) for row in database.run("check_clients")]
    found += _members(database)
    found += _users(database, looked_at)
    return found


def _members(database: Database) -> Iterator[Problem]:
    counts = dict.fromkeys(ABOUT_MEMBERS, 0)
    examples: dict[str, str] = {}
    after: str | None = ""
    while after is not None:
        [row] = database.run("check_members", after=after, slice=database.settings.limits.scan_buckets)
        for kind in ABOUT_MEMBERS:
            count, example = row[kind]
            counts[kind] += count
            if count:
                examples.setdefault(kind, example)
        after = row["last"]
    for kind, what in ABOUT_MEMBERS.items():
        if counts[kind]:
            yield _kind(what, counts[kind], f"one in bucket {examples[kind]}")


def _users(database: Database, looked_at: Callable[[int], None]) -> Iterator[Problem]:
    counts = dict.fromkeys(ABOUT_USERS, 0)
    examples: dict[str, str] = {}
    again: list[str] = []
    before, seen = count_users(database), 0
    after: str | None = ""
    while after is not None:
        [row] = database.run("check_users", after=after, slice=database.settings.limits.scan_slice)
        for kind in ABOUT_USERS:
            count, example, *more = row[kind]
            counts[kind] += count
            again += more[0] if more else []
            if count:
                examples.setdefault(kind, example)
        after = row["last"]
        seen += row["seen"]
        looked_at(row["seen"])
    # Users without a name, or with one that is not text, are in no name index. Users may come and go meanwhile.
    counts["names"] += max(min(before, count_users(database)) - seen, 0)
    for kind, what in ABOUT_USERS.items():
        if counts[kind]:
            problem = _kind(what, counts[kind], examples.get(kind, "one without a name, or with one that is no text"))
            # Their account stays, under the other name, which has an answer if either has.
            yield (
                replace(problem, remedy=f"dmcheck users delete {' '.join(again[:20])}") if kind == "cases" else problem
            )


def _number(release: str) -> list[int]:
    """A release as a number: that of 0.10.0 is greater than that of 0.9.0."""
    return [int(part) for part in re.findall(r"\d{1,9}", release)[:3]]


def _problem(row: dict[str, Any]) -> Problem:
    return _kind(row["problem"], row["found"], row["example"] or "one without an id")


def _kind(what: str, count: int, example: str) -> Problem:
    remedy = " ".join(cypher.text(BY_HAND[what]).split()) if what in BY_HAND else APPLY
    return Problem(f"{what}: {count}, such as {example}", remedy)
