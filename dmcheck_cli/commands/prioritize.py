"""`dmcheck prioritize`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import users


def prioritize(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SCREEN_NAME]...", help="The users.")] = None,
    file: Annotated[str | None, typer.Option(help="A file of users, names or JSON lines; - is standard input.")] = None,
    priority: Annotated[
        int,
        typer.Option(
            parser=documents.whole_number("A priority", 0, DEFAULTS.max_priority), metavar="N", help="Lower is sooner."
        ),
    ] = DEFAULTS.prioritized,
    recheck: Annotated[bool, typer.Option("--recheck", help="Have checked users checked again.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Put users at the front: waiting ones move at once into buckets of that priority."""
    wanted = [documents.screen_name(name) for name in names or []]
    if file is not None:
        with documents.open_file(file) as source:
            wanted += [user.screen_name for user in documents.user_lines(documents.lines(source))]
    wanted = list(dict.fromkeys(wanted))
    if not 1 <= len(wanted) <= DEFAULTS.max_names:
        raise Usage(what=f"Give 1 to {DEFAULTS.max_names} users, as arguments or with --file; these are {len(wanted)}")
    with Database(Settings.load(), "prioritize") as database:
        done = users.prioritize(database, wanted, priority, recheck)
    columns = ("prioritized", "under lease", "already checked", "unknown")
    counts = (done.prioritized, done.under_lease, len(done.already_checked), len(done.unknown))
    left = (("already checked", done.already_checked), ("unknown", done.unknown))
    notes = [f"{what}: {', '.join(found)}" for what, found in left if found]
    show.results(as_json, format, lambda: asdict(done), Table("Prioritized", columns, [counts]), notes=notes)
