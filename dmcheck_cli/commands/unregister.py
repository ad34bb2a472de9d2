"""`dmcheck unregister`."""

from __future__ import annotations

from dataclasses import asdict

from dmcheck_cli.commands.options import Id, ScreenName
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import CLIENT
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients


def unregister(id: Id, screen_name: ScreenName, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Deactivate a client and put the buckets that it holds back."""
    with Database(Settings.load(), "unregister") as database:
        client, returned = clients.unregister(database, id, screen_name)
    show.results(
        as_json,
        format,
        lambda: {"client": asdict(client), "returned": returned},
        CLIENT.of([client]),
        notes=[put_back(returned)],
    )


def put_back(returned: int) -> str:
    """What became of the leases that a client held."""
    buckets = {0: "It held no bucket", 1: "1 bucket was put back"}
    return buckets.get(returned, f"{returned} buckets were put back")
