"""`dmcheck register` and `dmcheck unregister`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli import parse, show
from dmcheck_cli.commands.options import Id, ScreenName
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.limits import DEFAULTS
from dmcheck_cli.settings import Settings
from dmcheck_cli.show import Format
from dmcheck_cli.transactions import clients

COLUMNS = ("id", "screen name", "state", "capacity", "first registered", "last registered")


def register(
    id: Id,
    screen_name: ScreenName,
    capacity: Annotated[
        int | None,
        typer.Option(
            parser=parse.whole_number("A capacity", 1, DEFAULTS.max_capacity),
            metavar="N",
            help="How many leases it can hold; unless said, it may hold 10 and fetches 2 at a time.",
        ),
    ] = None,
    dm_from_id: Annotated[
        int | None,
        typer.Option(parser=parse.identifier, metavar="ID", help="The account that messages would come from."),
    ] = None,
    dm_from_screen_name: Annotated[
        str | None, typer.Option(parser=parse.screen_name, metavar="NAME", help="The name of that account.")
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Add a client, or make it active again. The same details again change nothing."""
    if (dm_from_id is None) != (dm_from_screen_name is None):
        raise Usage(what="--dm-from-id and --dm-from-screen-name go together")
    with Database(Settings.load(), "register") as database:
        client = clients.register(database, id, screen_name, capacity, dm_from_id, dm_from_screen_name)
    if as_json or format is Format.json:
        show.document({"client": asdict(client)})
    else:
        _table(client, format)


def unregister(id: Id, screen_name: ScreenName, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Deactivate a client and put the buckets that it holds back."""
    with Database(Settings.load(), "unregister") as database:
        client, returned = clients.unregister(database, id, screen_name)
    if as_json or format is Format.json:
        show.document({"client": asdict(client), "returned": returned})
    else:
        _table(client, format)
        show.message(f"{returned} bucket(s) put back")


def _table(client: clients.Client, format: Format) -> None:
    registered = (show.moment(client.first_registered), show.moment(client.last_registered))
    show.table("Client", COLUMNS, [(client.id, client.screen_name, client.state, client.capacity, *registered)], format)
