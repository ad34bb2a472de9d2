"""`dmcheck stats`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Annotated

import typer

from dmcheck_cli.commands.options import ClientId, client_of, narrowed_to
from dmcheck_cli.commands.watch import watch as follow
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.model import ClientStats, SystemStats
from dmcheck_cli.entry import Json, Shape, lasts
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import SEPARATORS, Format
from dmcheck_cli.reporting.views import ALLOWANCE, BUCKETS, CLIENTS, OWN, PROGRESS, SYSTEM, TRUST, WAITS, Table
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


Sort = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD",
        help="Order by a head of the table or a field of the JSON: numbers and times largest first, names and ids "
        "ascending.",
    ),
]
State = Annotated[str | None, typer.Option(metavar="STATE", help=f"Only clients in this state: {', '.join(STATES)}.")]
Flagged = Annotated[bool, typer.Option("--flagged", help="Only clients with a flag.")]
Limit = Annotated[
    int,
    typer.Option(
        parser=documents.whole_number("A limit", 0, MAX_SHOWN),
        metavar="N",
        help="How many clients tables show; 0: all. JSON always has all.",
    ),
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Show it on a live screen until q or Ctrl-C; elsewhere a line for each refresh.")
]
Interval = Annotated[
    float, typer.Option(min=1, max=MAX_SECONDS, metavar="SECONDS", help="Between two refreshes of --watch.")
]


def stats(
    client: ClientId = None,
    sort: Sort = None,
    state: State = None,
    flagged: Flagged = False,
    limit: Limit = 20,
    watch: Watch = False,
    interval: Interval = 2,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Show the state of the system, and the clients that need attention most."""
    if watch and (format not in (Format.auto, Format.json) or math.isnan(interval)):
        raise Usage(what="--watch takes --json and no other format, and a number of seconds")
    choice = _choice(sort, state, flagged)
    loaded = Settings.load()
    if loaded.gate is not None:
        if watch:
            raise Usage(what="--watch looks at a database: DMCHECK_GATE leads to none")
        client = client_of(client, loaded)
    else:
        client = narrowed_to(client, loaded)
    if watch:
        lasts()
        as_json = show.wants_json(as_json, format)
        follow(loaded, client, choice.of if as_json else choice.by_need, Wish(interval, limit), as_json)
        return
    clients, system = _read(loaded, client)
    ordered, shown = choice.of(clients), choice.by_need(clients)[: limit or None]
    tables = [CLIENTS.of(shown)]
    if client is not None:
        tables += [ALLOWANCE.of(clients), TRUST.of(clients), OWN.of(clients)]
    elif format not in SEPARATORS:
        tables = _of_system(system) + tables
    show.results(
        as_json,
        format,
        lambda: {"clients": [asdict(one) for one in ordered], "system": asdict(system)},
        *tables,
        notes=_left_out(shown, ordered) + _missing(clients, system),
    )


@dataclass(frozen=True)
class Choice:
    """Which clients to show, and by which field to order them; None: any state, no order asked for."""

    field: str | None
    state: str | None
    flagged: bool

    def of(self, clients: Sequence[ClientStats]) -> list[ClientStats]:
        """The chosen ones, in the order asked for, else as they come."""
        wanted = [one for one in clients if self.state in (None, one.state) and (one.flags or not self.flagged)]
        return _sorted(wanted, self.field) if self.field else wanted

    def by_need(self, clients: Sequence[ClientStats]) -> list[ClientStats]:
        """The chosen ones, in the order asked for, else those that need attention most first."""
        return self.of(clients) if self.field else sorted(self.of(clients), key=_need)


def _choice(sort: str | None, state: str | None, flagged: bool) -> Choice:
    """Raises Usage for an unknown state or field."""
    if state is not None and state.upper() not in STATES:
        raise Usage(what=f"--state takes one of {', '.join(STATES)}, not {state!r}")
    field = HEADS.get(sort, sort) if sort is not None else None
    if field is not None and field not in (*SORTABLE, "flags"):
        raise Usage(what=f"--sort takes one of {', '.join((*HEADS, 'flags', *SORTABLE))}, not {sort!r}")
    return Choice(field, state and state.upper(), flagged)


def _of_system(system: SystemStats) -> list[Table]:
    waits = [("prioritized", system.prioritized), ("ordinary", system.ordinary)]
    return [SYSTEM.of([system]), PROGRESS.of([system]), BUCKETS.of([system]), WAITS.of(waits)]


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
