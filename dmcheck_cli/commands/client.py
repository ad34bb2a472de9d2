"""`dmcheck client rename` and `dmcheck client delete`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import CLIENT, Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, schema

app = Program(help="Rename and forget clients.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(parser=documents.identifier, metavar="ID", help="The client's Twitter id.")]


@app.command(epilog="Example: dmcheck client rename 42 @new_name")
def rename(
    id: Id,
    screen_name: Annotated[
        str, typer.Argument(parser=documents.screen_name, metavar="SCREEN_NAME", help="Its account's new name.")
    ],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Give a client the new name of its account. It keeps its id, counters and leases."""
    with Database(Settings.load(), "client rename") as database:
        client = clients.rename(database, id, screen_name)
    show.results(as_json, format, lambda: {"client": asdict(client)}, CLIENT.of([client]))


@app.command(epilog="Example: dmcheck client delete 42 --dry-run")
def delete(
    id: Id,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Forget a person: what the client holds is put back; its id, names and counters go. Its answers stay, nameless."""
    with Database(Settings.load(), "client delete") as database:
        schema.ensure(database)
        returned, answers = clients.delete(database, id, dry_run)
    done = Table("Client", ("would delete" if dry_run else "deleted", "returned", "answers"), [(id, returned, answers)])
    show.results(as_json, format, lambda: {"deleted": id, "returned": returned, "answers": answers}, done)
