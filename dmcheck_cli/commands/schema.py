"""`dmcheck schema apply`."""

from __future__ import annotations

from typing import Annotated

import typer

from dmcheck_cli import notices
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import Usage, interruptible
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import health, schema

app = Program(help="The constraints, indexes and version that dmcheck relies on.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The constraints, indexes and version that dmcheck relies on."""


@app.command(epilog="Example: dmcheck schema apply --print")
def apply(
    print_only: Annotated[
        bool, typer.Option("--print", help="Show the statements for a database administrator; change nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be applied and repaired; change nothing.")
    ] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Create missing constraints and indexes, and upgrade an older graph to what this release needs."""
    if print_only and dry_run:
        raise Usage(what="--print and --dry-run are two different things: give one of them")
    if print_only:
        if show.wants_json(as_json, format):
            show.document({"statements": schema.statements()})
        else:
            show.line("\n".join(f"{statement};" for statement in schema.statements()))
        return
    if dry_run:
        with Database(Settings.load(), "schema apply --dry-run") as database, notices.doing("Looking at the graph"):
            would, repairs = schema.would_apply(database), [one.what for one in health.repairable(database)]
        table = Table("Would apply", ("constraint, index, version or repair",), [(one,) for one in would + repairs])
        planned = {"applied": would, "problems": repairs}
        show.results(as_json, format, lambda: planned, table, notes=["Nothing was changed."])
        return
    with (
        interruptible(lambda: "What was applied stays; the same command goes on from there."),
        Database(Settings.load(), "schema apply") as database,
        notices.doing("Applying the schema"),
    ):
        applied, changed = schema.apply_all(database, show.message)
    table = Table("Applied", ("constraint, index or version",), [(name,) for name in applied])
    taken = ", ".join(f"{kind}: {count:,}" for kind, count in changed.items())
    notes = [f"{len(applied)} applied", *([f"Taken over from another system: {taken}"] if taken else [])]
    document: dict[str, object] = {"applied": applied}
    if changed:
        document["changed"] = changed
    show.results(as_json, format, lambda: document, table, notes=notes)
