"""`dmcheck stats`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Annotated

import typer

from dmcheck_cli.commands.options import ClientId, client_of, narrowed_to
from dmcheck_cli.commands.watch import watch as follow
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.model import ClientStats, SystemStats
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import SEPARATORS, Format
from dmcheck_cli.reporting.views import ALLOWANCE, BUCKETS, CLIENTS, OWN, PROGRESS, SYSTEM, TRUST, WAITS
from dmcheck_cli.reporting.watch import Wish
from dmcheck_cli.service import connect
from dmcheck_cli.settings import MAX_SECONDS, Settings
from dmcheck_cli.transactions.stats import stats as read

STATES = ("ACTIVE", "DEACTIVE", "SUSPENDED")
SORTABLE = tuple(field.name for field in fields(ClientStats) if field.name not in ("answers", "flags"))

HEADS = {
    "name": "screen_name",
    "given": "buckets_assigned",
    "done": "buckets_processed",
    "fault": "buckets_fault",
    "dead": "buckets_dead",
    "seen": "last_access_time",
}
"""Heads of the table that are not called as the field is; `--sort` takes either."""

ASCENDING = frozenset({"id", "screen_name", "state", "judged_for", "limited_by", "suspend_reason", "release"})

MAX_SHOWN = 1_000_000


def stats(
    client: ClientId = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Order by a head of the table or a field of the JSON: numbers and times largest first, names and ids "
            "ascending.",
        ),
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help=f"Only clients in this state: {', '.join(STATES)}.")
    ] = None,
    flagged: Annotated[bool, typer.Option("--flagged", help="Only clients with a flag.")] = False,
    limit: Annotated[
        int,
        typer.Option(
            parser=documents.whole_number("A limit", 0, MAX_SHOWN),
            metavar="N",
            help="How many clients tables show; 0: all. JSON always has all.",
        ),
    ] = 20,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show it on a live screen until q or Ctrl-C; elsewhere a line for each refresh."),
    ] = False,
    interval: Annotated[
        float, typer.Option(min=1, max=MAX_SECONDS, metavar="SECONDS", help="Between two refreshes of --watch.")
    ] = 2,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Show the state of the system, and the clients that need attention most."""
    if watch and (format not in (Format.auto, Format.json) or math.isnan(interval)):
        raise Usage(what="--watch takes --json and no other format, and a number of seconds")
    if state is not None and state.upper() not in STATES:
        raise Usage(what=f"--state takes one of {', '.join(STATES)}, not {state!r}")
    field = HEADS.get(sort, sort) if sort is not None else None
    if field is not None and field not in (*SORTABLE, "flags"):
        raise Usage(what=f"--sort takes one of {', '.join((*HEADS, 'flags', *SORTABLE))}, not {sort!r}")
    loaded = Settings.load()
    if loaded.gate is not None:
        if watch:
            raise Usage(what="--watch looks at a database: DMCHECK_GATE leads to none")
        client = client_of(client, loaded)
    else:
        client = narrowed_to(client, loaded)

    def chosen(clients: Sequence[ClientStats]) -> list[ClientStats]:
        wanted = [
            one for one in clients if (state is None or one.state == state.upper()) and (one.flags or not flagged)
        ]
        return _sorted(wanted, field) if field else wanted

    def most_urgent(clients: Sequence[ClientStats]) -> list[ClientStats]:
        ordered = chosen(clients)
        return ordered if field else sorted(ordered, key=_need)

    if watch:
        as_json = show.wants_json(as_json, format)
        follow(loaded, client, chosen if as_json else most_urgent, Wish(interval, limit), as_json)
        return
    clients, system = _read(loaded, client)
    ordered, shown = chosen(clients), most_urgent(clients)[: limit or None]
    of_system = [
        SYSTEM.of([system]),
        PROGRESS.of([system]),
        BUCKETS.of([system]),
        WAITS.of([("prioritized", system.prioritized), ("ordinary", system.ordinary)]),
    ]
    of_clients = [
        CLIENTS.of(shown),
        *([ALLOWANCE.of(clients), TRUST.of(clients), OWN.of(clients)] if client is not None else []),
    ]
    show.results(
        as_json,
        format,
        lambda: {"clients": [asdict(one) for one in ordered], "system": asdict(system)},
        *(of_clients if format in SEPARATORS or client is not None else of_system + of_clients),
        notes=_left_out(shown, ordered) + _missing(clients, system),
    )


def _read(settings: Settings, client: int | None) -> tuple[list[ClientStats], SystemStats]:
    """Of one client, or of all, whom no client may see through a gate."""
    if client is not None:
        with connect(settings, client, "stats") as service:
            return service.stats()
    with Database(settings, "stats") as database:
        return read(database)


def _sorted(clients: Sequence[ClientStats], field: str) -> list[ClientStats]:
    """Numbers and times from the largest, ids and names from the smallest; what is not known last."""
    if field == "flags":
        return sorted(clients, key=lambda one: -len(one.flags))
    known = [one for one in clients if getattr(one, field) is not None]
    known.sort(key=attrgetter(field), reverse=field not in ASCENDING)
    return known + [one for one in clients if getattr(one, field) is None]


def _need(client: ClientStats) -> tuple[object, ...]:
    """Active clients first, those with most flags first, then those seen last."""
    unseen = client.last_access_seconds is None
    return client.state != "ACTIVE", -len(client.flags), unseen, client.last_access_seconds or 0


def _left_out(shown: Sequence[ClientStats], of: Sequence[ClientStats]) -> list[str]:
    if len(shown) == len(of):
        return []
    return [f"{len(of) - len(shown)} more clients: --limit 0 shows all, --flagged those with a flag"]


def _missing(clients: Sequence[ClientStats], system: SystemStats) -> list[str]:
    """What a new system needs first."""
    users = [] if system.users_total else ["no users yet: dmcheck users add FILE"]
    return users + ([] if clients else ["no clients yet: dmcheck register, or for volunteers dmcheck gate add"])
