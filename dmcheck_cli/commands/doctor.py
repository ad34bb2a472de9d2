"""`dmcheck doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from dmcheck_cli import __version__, notices
from dmcheck_cli.commands.settings import used
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import REFUSED
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import duration, moment
from dmcheck_cli.reporting.show import SEPARATORS, Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import health
from dmcheck_cli.transactions.health import Problem
from dmcheck_cli.transactions.jobs import LastRun
from dmcheck_cli.transactions.stats import count_users


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also look at every user, bucket and client.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> int:
    """Say whether all is well: the database, its schema, the jobs. Exit status 1 if something is wrong."""
    loaded = Settings.load()
    with Database(loaded, "doctor") as database:
        found = health.health(database)
        problems, looked = found.problems, ["schema", "jobs", "times", "waits", "releases of clients"]
        if deep:
            users = count_users(database)
            with notices.counting("Looking at users", users) as looked_at:
                problems = problems + health.broken(database, looked_at)
            looked += [f"{users} users", "all buckets", "all clients"]
        facts = health.facts(database)
    where = used(loaded)
    # Made only where a table is printed: `moment` and `duration` load dateutil, which takes longer than the rest.
    rows = ((job.name, moment(job.last_success_time), duration(job.seconds_ago)) for job in found.jobs)
    wrong = [(one.what, one.remedy) for one in problems]
    show.results(
        as_json,
        format,
        lambda: _document(found.version, where, found.jobs, facts, problems),
        Table(f"Neo4j {found.version} at {where['uri']}", ("job", "last success (UTC)", "ago"), rows),
        Table("Clients", ("active", "flagged", "users waiting"), [(facts.active, facts.flagged, facts.waiting)]),
        *([_used_releases(facts)] if facts.releases else []),
        *([Table("Problems", ("what is wrong", "remedy"), wrong)] if problems else []),
        notes=_notes(facts),
    )
    if not problems and not show.wants_json(as_json, format) and format not in SEPARATORS:
        show.line(f"\nAll is well. Looked at: {', '.join(looked)}.")
    return REFUSED if problems else 0


def _used_releases(facts: health.Facts) -> Table:
    rows = [(used.release or "not known", len(used.clients)) for used in facts.releases]
    return Table("Releases", ("last used dmcheck", "active clients"), rows)


def _document(
    version: str, database: dict[str, Any], jobs: Sequence[LastRun], facts: health.Facts, problems: Sequence[Problem]
) -> dict[str, Any]:
    return {
        "version": version,
        "database": database,
        "jobs": [
            {"name": job.name, "last_success_time": job.last_success_time, "seconds_ago": job.seconds_ago}
            for job in jobs
        ],
        "clients": {"active": facts.active, "flagged": facts.flagged},
        "releases": [
            {"release": used.release, "clients": len(used.clients), "older": used.older} for used in facts.releases
        ],
        "users_waiting": facts.waiting,
        "problems": [asdict(one) for one in problems],
    }


def _notes(facts: health.Facts) -> list[str]:
    """What no command here repairs."""
    notes = []
    outdated = sorted(id for used in facts.releases if used.older for id in used.clients)
    if facts.waiting and not facts.active:
        notes.append(f"{facts.waiting} users wait, and no client is active: dmcheck register")
    if outdated:
        notes.append(
            f"active clients that last used a dmcheck older than this one, {__version__}: "
            f"{documents.some([str(id) for id in outdated])}. Ask their owners, or who runs the gate, to upgrade"
        )
    return notes
