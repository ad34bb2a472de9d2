"""`dmcheck doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli.commands.settings import used
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import REFUSED
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import duration, moment
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import health
from dmcheck_cli.transactions.stats import count_users


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also look at every user, bucket and client.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> int:
    """Say whether all is well: the database, its schema, the jobs. Exit status 1 if something is wrong."""
    settings = Settings.load()
    with Database(settings, "doctor") as database:
        found = health.health(database)
        problems = found.problems
        if deep:
            with _progress(count_users(database)) as looked_at:
                problems = problems + health.broken(database, looked_at)
    where = used(settings)
    # Made only where a table is printed: `moment` and `duration` load dateutil, which takes longer than the rest.
    rows = ((job.name, moment(job.last_success_time), duration(job.seconds_ago)) for job in found.jobs)
    show.results(
        as_json,
        format,
        lambda: {
            "version": found.version,
            "database": where,
            "jobs": [asdict(job) for job in found.jobs],
            "problems": [asdict(one) for one in problems],
        },
        Table(f"Neo4j {found.version}", ("job", "last success (UTC)", "ago"), rows),
        Table("Problems", ("what is wrong", "what mends it"), [(one.what, one.mend) for one in problems]),
        Table("Database", ("address", "embedded", "folder"), [tuple(where.values())]),
    )
    return REFUSED if problems else 0


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda seen: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Looking at users", total=total)
        yield lambda seen: progress.advance(task, seen)
