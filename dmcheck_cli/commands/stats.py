"""`dmcheck stats`."""

from __future__ import annotations

from dataclasses import asdict

from dmcheck_cli.commands.options import ClientId
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import ALLOWANCE, CLIENTS, SYSTEM, WAITS
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions.stats import stats as read


def stats(client: ClientId = None, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show the clients, their counters and flags, and the state of the whole."""
    with Database(Settings.load(), "stats") as database:
        clients, system = read(database, client)
    of_one = [ALLOWANCE.of(clients)] if client is not None else []
    show.results(
        as_json,
        format,
        lambda: {"clients": [asdict(one) for one in clients], "system": asdict(system)},
        CLIENTS.of(clients),
        *of_one,
        SYSTEM.of([system]),
        WAITS.of([("prioritized", system.prioritized), ("ordinary", system.ordinary)]),
    )
