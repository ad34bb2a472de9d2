"""`dmcheck server start`, `server stop` and `server status`."""

from __future__ import annotations

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema

app = typer.Typer(help="The embedded database.", no_args_is_help=True)


@app.command(epilog="Example: dmcheck server start")
def start(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Start the embedded database, if it is not running. Every command does so by itself."""
    settings = _embedded()
    with Database(settings, "server start") as database:
        schema.ensure(database)
    _show(settings, as_json, format)


@app.command(epilog="Example: dmcheck server stop")
def stop(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Stop the embedded database."""
    from dmcheck_cli.embedded import server

    settings = _embedded()
    server.stop(settings)
    _show(settings, as_json, format)


@app.command(epilog="Example: dmcheck server status")
def status(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show whether the embedded database runs, and where."""
    _show(_embedded(), as_json, format)


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
