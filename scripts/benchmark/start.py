"""What a server start costs its clients: their first fetches, and planning each statement."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from benchmark import graph
from benchmark.crowd import Crowd
from benchmark.graph import CLIENTS, Server
from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server as embedded

HOT = ("fetch_buckets", "submit_answers", "renew_lease", "release_lease")
"""The statements that every volunteer runs."""

PLANNED = 5
"""How often each is planned."""


@dataclass
class Start:
    """Seconds from the end of a start until each of 50 clients has leased a bucket; until the first command after it
    ended, the start included; to plan each statement; failures, and users handed out twice."""

    fetches: float
    started: float
    planning: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    doubles: int = 0


def run(server: Server, crowd: Crowd, processes: int) -> Start:
    """Plan on the warm server, then restart it and let CLIENTS fetch at once. All clients are disconnected."""
    graph.refill(server.database)
    planning = {name: _plan(server.database, name) for name in HOT}
    crowd.run(server.settings, "ours.forget", processes, 1, early=False)
    server.database.close()
    embedded.stop(server.home)
    began = time.monotonic()
    with Database(server.home, "bench") as first:  # starts the server, as the first command does
        first.run_text("MATCH (c:DMCheckClient) RETURN count(c) AS clients")
    took = time.monotonic() - began
    found = crowd.run(server.settings, "ours.first_fetches", processes, 1, early=False, clients=CLIENTS, of=processes)
    failures = [f"first fetches: {error}" for error in found.errors]
    return Start(max(found.latencies), took, planning, failures, found.doubles)


def _plan(database: Database, statement: str) -> float:
    """Seconds to plan it, including the round trip."""
    seconds = []
    for _ in range(PLANNED):
        database.run_text("CALL db.clearQueryCaches()")
        began = time.monotonic()
        database.run_text(f"EXPLAIN {cypher.text(statement)}")
        seconds.append(time.monotonic() - began)
    return median(seconds)
