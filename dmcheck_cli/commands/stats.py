"""`dmcheck stats`."""

from __future__ import annotations

from dataclasses import asdict

from dmcheck_cli import show
from dmcheck_cli.commands.options import ClientId
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.settings import Settings
from dmcheck_cli.show import Format
from dmcheck_cli.transactions.stats import ClientStats, SystemStats
from dmcheck_cli.transactions.stats import stats as read

COLUMNS = ("id", "name", "state", "held", "cap", "assigned", "done", "fault", "dead", "last access (UTC)", "flags")


def stats(client: ClientId = None, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show the clients, their counters and flags, and the state of the whole."""
    with Database(Settings.load(), "stats") as database:
        clients, system = read(database, client)
    if as_json or format is Format.json:
        show.document({"clients": [asdict(one) for one in clients], "system": asdict(system)})
        return
    show.table("Clients", COLUMNS, [_client(one) for one in clients], format)
    show.message("") if format is Format.auto else None
    show.table("System", ("what", "now"), _system(system), format)


def _client(one: ClientStats) -> tuple[object, ...]:
    counters = (one.buckets_assigned, one.buckets_processed, one.buckets_fault, one.buckets_dead)
    return (
        one.id,
        one.screen_name,
        one.state.lower(),
        one.held,
        one.capacity,
        *counters,
        show.moment(one.last_access_time),
        one.flags,
    )


def _system(system: SystemStats) -> list[tuple[str, str]]:
    shown = {name.replace("_", " "): f"{value:,}" for name, value in asdict(system).items() if value is not None}
    shown.pop("oldest wait seconds", None)
    return [*shown.items(), ("oldest wait", show.duration(system.oldest_wait_seconds))]
