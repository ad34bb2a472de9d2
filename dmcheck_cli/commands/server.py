"""`dmcheck server start`, `server stop`, `server status`, `server dump` and `server load`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import Usage, interruptible
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema
from dmcheck_cli.transactions.stats import count_users

app = Program(help="The embedded database.", no_args_is_help=True)


@app.command(epilog="Example: dmcheck server start")
def start(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Start the embedded database, if it is not running. Every command does so by itself."""
    settings = _embedded()
    with Database(settings, "server start") as database:
        schema.ensure(database)
    _show(settings, as_json, format)


@app.command(epilog="Example: dmcheck server stop")
def stop(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Stop the embedded database. `work` and the jobs leave it stopped until `server start`, or until any other command
    needs it."""
    from dmcheck_cli.embedded import server

    settings = _embedded()
    server.stop(settings, hold=True)
    _show(settings, as_json, format)


@app.command(epilog="Example: dmcheck server status")
def status(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show whether the embedded database runs, and where."""
    _show(_embedded(), as_json, format)


@app.command(epilog="Example: dmcheck server dump backup.dump")
def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it appears whole, over an older one.")],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Stop the embedded database and write its graph to FILE, for `server load` or `neo4j-admin database load`."""
    from dmcheck_cli.embedded import administration

    with interruptible(lambda: "No dump was written. The next command starts the database again."):
        size = administration.dump(_embedded(), file)
    _show_file(file, size, as_json, format)


@app.command(epilog="Example: dmcheck server load backup.dump --replace")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dump.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also where the database has users.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Replace the graph of the embedded database with that of a dump. If that fails, the old one stays."""
    from dmcheck_cli.embedded import administration

    settings = _embedded()
    with documents.open_file(str(file)) as dumped:
        size = os.fstat(dumped.fileno()).st_size
    with Database(settings, "server load") as database:
        if count_users(database) and not replace:
            raise Usage(what="The database has users: --replace puts the dump in their place; nothing was changed")
    with (
        interruptible(lambda: "The database is as it was, unless the dump was already in its place: dmcheck stats."),
        administration.loaded(settings, file) as aside,
        Database(aside, "server load") as database,
    ):
        schema.ensure(database)
    _show_file(file, size, as_json, format)


def _show_file(file: Path, size: int, as_json: bool, format: Format) -> None:
    done = {"file": str(file), "bytes": size}
    show.results(as_json, format, lambda: done, Table("Dump", tuple(done), [tuple(done.values())]))


def _embedded() -> Settings:
    settings = Settings.load()
    if settings.neo4j_uri is not None:
        raise Usage(what="NEO4J_URI is set, so the embedded database is not used")
    return settings


def _show(settings: Settings, as_json: bool, format: Format) -> None:
    from dmcheck_cli.embedded import server

    state = dict(server.status(settings))
    table = Table("Embedded database", tuple(state), [tuple(state.values())])
    show.results(as_json, format, lambda: state, table)
