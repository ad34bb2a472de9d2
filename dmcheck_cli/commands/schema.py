"""`dmcheck schema apply`."""

from __future__ import annotations

from typing import Annotated

import typer

from dmcheck_cli import notices
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import interruptible
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema

app = Program(help="The constraints, indexes and version that dmcheck relies on.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The constraints, indexes and version that dmcheck relies on."""


@app.command(epilog="Example: dmcheck schema apply --print")
def apply(
    print_only: Annotated[
        bool, typer.Option("--print", help="Show the statements for a database administrator; change nothing.")
    ] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Create missing constraints and indexes, and upgrade an older graph to what this release needs."""
    if print_only:
        if show.wants_json(as_json, format):
            show.document({"statements": schema.statements()})
        else:
            show.line("\n".join(f"{statement};" for statement in schema.statements()))
        return
    with (
        interruptible(lambda: "What was applied stays; the same command goes on from there."),
        Database(Settings.load(), "schema apply") as database,
        notices.doing("Applying the schema"),
    ):
        applied = schema.apply(database, show.message)
    table = Table("Applied", ("constraint, index or version",), [(name,) for name in applied])
    show.results(as_json, format, lambda: {"applied": applied}, table, notes=[f"{len(applied)} applied"])
