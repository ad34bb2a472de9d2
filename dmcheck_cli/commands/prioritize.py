"""`dmcheck prioritize`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli import notices
from dmcheck_cli.commands.options import given_file
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.userlist import UserList
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import users


def prioritize(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SCREEN_NAME]...", help="The users.")] = None,
    file: Annotated[
        str | None, typer.Option(help="A list of users as `users add` takes it; - is standard input.")
    ] = None,
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
    wanted = dict.fromkeys(documents.screen_name(name) for name in names or [])
    if file is not None:
        with given_file(file, "the list") as source:
            given = UserList(source)
            for user in given:
                wanted[user.screen_name] = None
                if len(wanted) > DEFAULTS.max_names:
                    break
        for note in given.notes():
            show.message(note)
    if not wanted:
        raise Usage(what="Which users? Name them, or give a list with --file")
    if len(wanted) > DEFAULTS.max_names:
        raise Usage(
            what=f"One prioritize moves at most {DEFAULTS.max_names:,} users: split the list; nothing was changed"
        )
    with (
        Database(Settings.load(), "prioritize") as database,
        notices.doing(f"Moving {len(wanted):,} users to the front"),
    ):
        stored = users.spelled(database, wanted)
        meant = list(dict.fromkeys(stored.get(name, name) for name in wanted))
        done = users.prioritize(database, meant, priority, recheck)
    columns = ("prioritized", "under lease", "already checked", "unknown")
    counts = (done.prioritized, done.under_lease, len(done.already_checked), len(done.unknown))
    left = (
        ("already checked, to be checked again only with --recheck", done.already_checked),
        ("unknown", done.unknown),
    )
    notes = [f"{what}: {documents.some(found)}" for what, found in left if found]
    show.results(as_json, format, lambda: asdict(done), Table("Prioritized", columns, [counts]), notes=notes)
