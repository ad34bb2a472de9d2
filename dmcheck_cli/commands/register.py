"""`dmcheck register`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli.commands.options import Id, ScreenName
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import CLIENT
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients

Capacity = Annotated[
    int | None,
    typer.Option(
        parser=documents.whole_number("A capacity", 1, DEFAULTS.max_capacity),
        metavar="N",
        help="How many leases it can hold; unless said, it may hold 10 and fetches 2 at a time.",
    ),
]
DmFromId = Annotated[
    int | None,
    typer.Option(parser=documents.identifier, metavar="ID", help="The account that messages would come from."),
]
DmFromScreenName = Annotated[
    str | None, typer.Option(parser=documents.screen_name, metavar="NAME", help="The name of that account.")
]


def together(dm_from_id: int | None, dm_from_screen_name: str | None) -> None:
    """Raises Usage when one of the two is given alone."""
    if (dm_from_id is None) != (dm_from_screen_name is None):
        raise Usage(what="--dm-from-id and --dm-from-screen-name go together")


def register(
    id: Id,
    screen_name: ScreenName,
    capacity: Capacity = None,
    dm_from_id: DmFromId = None,
    dm_from_screen_name: DmFromScreenName = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Add a client, or make it active again. The same details again change nothing."""
    together(dm_from_id, dm_from_screen_name)
    with Database(Settings.load(), "register") as database:
        client = clients.register(database, id, screen_name, capacity, dm_from_id, dm_from_screen_name)
    show.results(as_json, format, lambda: {"client": asdict(client)}, CLIENT.of([client]))
