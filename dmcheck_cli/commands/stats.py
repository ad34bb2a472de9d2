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

CLIENTS = ("id", "name", "held", "given", "done", "fault", "dead", "seen", "flags")
ALLOWANCE = ("states", "may hold", "holds", "judged for", "ago", "turnaround", "oldest lease")
SYSTEM = ("users", "waiting", "leased", "checked", "buckets", "ready", "leased", "dead")
WAITS = ("kind", "oldest wait", "overdue after")


def stats(client: ClientId = None, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show the clients, their counters and flags, and the state of the whole."""
    with Database(Settings.load(), "stats") as database:
        clients, system = read(database, client)
    if as_json or format is Format.json:
        show.document({"clients": [asdict(one) for one in clients], "system": asdict(system)})
        return
    show.table("Clients", CLIENTS, [_client(one) for one in clients], format)
    if client is not None:
        show.line("")
        show.table("Allowance", ALLOWANCE, [_allowance(one) for one in clients], format)
    show.line("")
    show.table("System", SYSTEM, [_system(system)], format)
    show.line("")
    kinds = {"prioritized": system.prioritized, "ordinary": system.ordinary}
    waits = [
        (kind, show.duration(wait.oldest_seconds), show.duration(wait.overdue_seconds)) for kind, wait in kinds.items()
    ]
    show.table("Waiting buckets", WAITS, waits, format)


def _client(one: ClientStats) -> tuple[object, ...]:
    inactive = [] if one.state == "ACTIVE" else ["inactive"]
    return (
        one.id,
        one.screen_name,
        f"{one.held}/{one.allowance}",
        one.buckets_assigned,
        one.buckets_processed,
        one.buckets_fault,
        one.buckets_dead,
        show.duration(one.last_access_seconds, units=1),
        inactive + one.flags,
    )


def _allowance(one: ClientStats) -> tuple[object, ...]:
    return (
        one.capacity,
        one.allowance,
        one.held,
        one.judged_for,
        show.duration(one.judged_seconds, units=1),
        show.duration(one.turnaround_seconds),
        show.duration(one.oldest_lease_seconds),
    )


def _system(system: SystemStats) -> tuple[object, ...]:
    return (
        system.users_total,
        system.users_waiting,
        system.users_leased,
        system.users_checked,
        system.buckets_ready + system.buckets_leased + system.buckets_dead,
        system.buckets_ready,
        system.buckets_leased,
        system.buckets_dead,
    )
