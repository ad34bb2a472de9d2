"""Findings for the page of `report`, made up, for any number of clients."""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any

from dmcheck_cli.domain.model import ClientStats, SystemStats, Wait
from dmcheck_cli.domain.policy.forecast import Forecast
from dmcheck_cli.transactions.health import Problem
from dmcheck_cli.transactions.jobs import LastRun
from dmcheck_cli.transactions.report import Around, Ended, Findings, Node, Pair, Worker

HOSTILE = "<script>alert(1)</script>&\"'\u202eevil\x1b[2J" + "W" * 60
NOW = 500_000
"""The hour since 1970 in which it is now: 2027-01-15 08:00."""


def client(number: int, **more: Any) -> ClientStats:
    """A client with some of its numbers given."""
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(ClientStats)), 0)
    return ClientStats(**values | {"id": number, "screen_name": "x", "state": "ACTIVE", "flags": []} | more)


def made_up(clients: int, text: str | None = None) -> Findings:
    """What a system with so many clients shows; `text` stands wherever a stored text does. Always the same."""
    chance = random.Random(clients)

    def called(number: int) -> str:
        return text or f"client-{number:08x}"

    many, flags = clients * 1000, [text or "contradicted"]
    workers = [
        Worker(
            called(i),
            client(i, compared=50, contradicted=chance.randrange(20), flags=flags * (i % 9 == 2)),
            3, chance.randrange(1, 9000), chance.uniform(20, 5000),
        )
        for i in range(clients)
    ]  # fmt: skip
    ended = [
        Ended(NOW - hour, how, late, max(clients // 10, 1), 180, chance.randrange(180 * clients))
        for hour in range(300 if clients else 0)
        for how, late in (("answered", False), ("answered", True), ("died", True), ("released", False))
    ]
    names = [text or f"user{i:05}" for i in range(97)]
    nodes = [Node("c", "client", called(1)), Node("b", "bucket", text or "0d5bd7b6-37a8-4ab0-b8c2-000000000000")]
    nodes += [Node(f"u{i}", "user", name) for i, name in enumerate(names)]
    links = [("b", "c", "DMCHECKCLIENT")] + [(f"u{i}", "b", "INDMCHECKBUCKET") for i in range(60)]
    links += [("c", f"u{i}", ("DM_YES", "DM_NO", "DM_UNKNOWN", "DM_SECOND DM")[i % 4]) for i in range(60, 97)]
    return Findings(
        now="2027-01-15T08:00:00Z",
        named=text is not None,
        system=SystemStats(
            users_total=many, users_waiting=many // 2, users_leased=many // 10, users_checked=many * 4 // 10,
            users_set_aside=many // 1000, users_set_aside_answered=0,
            answers={"DM": many // 5, "NON_DM": many // 5, "UNKNOWN": 0},
            buckets_ready=clients, buckets_leased=clients, buckets_dead=clients // 100, oldest_wait_seconds=90_000,
            prioritized=Wait(5000 if clients else None, 3600), ordinary=Wait(90_000 if clients else None, 86_400),
            answered_last_hour=clients, answered_last_day=clients, answered_day_before=clients,
            estimated_end=Forecast(90_000, 80_000, 100_000) if clients else None, clients_active=clients,
            clients_by_flag={"slow": 1} if clients else {},
        ),
        problems=[Problem(text or "make_buckets has never run to its end", text or "dmcheck-make-buckets")],
        runs=[LastRun(name, None, None, False, 1.5, 5, 7, 9, 0, 0.5) for name in ("make_buckets",)],
        ended=ended,
        workers=workers,
        pairs=[Pair(called(i), called(i + 1), 100, 50 - i) for i in range(min(clients, 20))],
        pairs_compared=clients,
        opinions=many // 3,
        opinions_left_out=clients,
        waits=[(bool(i % 3), i, 1 + i) for i in range(49)] if clients else [],
        around=[Around(called(1), nodes, links, 12, "MATCH (c)\nRETURN *")] if clients else [],
    )  # fmt: skip
