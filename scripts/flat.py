"""Does the cost stay the same? Operations among few and many users, and with few and many clients.

    python scripts/flat.py                   10,000 to 10,000,000 users, 10 to 10,000 clients; on embedded servers of
                                             its own, one for each graph: 5 GB of memory, 8 GB of disk
    python scripts/flat.py --users 10000,1000000 --clients 10,1000 --rounds 5
    python scripts/flat.py --json            every round, as one JSON document

99 % of the users are checked. The busiest client, who works, has up to 100,000 answers, and all answers have their
leases on record. The graphs take turns in each round, so whatever else the machine does slows all of them down alike;
each figure is the median of the rounds. Which operations there are: `scripts/benchmark/operations.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from math import nan
from statistics import median
from typing import Any

from environment import enter

enter()

from benchmark import graph
from benchmark.operations import OPERATIONS, Place
from benchmark.population import Population, imported, indexed

from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings

USERS = (10_000, 1_000_000, 10_000_000)
CLIENTS = (10, 1_000, 10_000)
MIDDLE_USERS, MIDDLE_CLIENTS = 1_000_000, 1_000
"""How many there are of the one while the other changes."""

CONF = {
    "server.memory.pagecache.size": "2g",
    "dbms.cypher.min_replan_interval": "10h",
    "dbms.cypher.statistics_divergence_threshold": "1.0",
}
"""Unlike the embedded database: room for the whole graph, and no new plans. A statement that is planned in the middle
of a round would tell nothing of its cost."""

MAX_GROWTH = 1.3

Found = dict[Population, dict[str, list[float]]]
"""Seconds of each operation in each round."""


def main() -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=_numbers, default=USERS, metavar="N,N,...")
    parser.add_argument("--clients", type=_numbers, default=CLIENTS, metavar="N,N,...")
    parser.add_argument("--middle-users", type=int, default=MIDDLE_USERS, metavar="N", help="with N clients")
    parser.add_argument("--middle-clients", type=int, default=MIDDLE_CLIENTS, metavar="N", help="of N users")
    parser.add_argument("--warm", type=int, default=8, metavar="N", help="rounds that do not count: Java compiles (8)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="that count (15)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    axes = {
        "users": [Population(users, given.middle_clients) for users in given.users],
        "clients": [Population(given.middle_users, clients) for clients in given.clients],
    }
    began = time.monotonic()
    # The largest first: it takes the longest to make.
    wanted = sorted(dict.fromkeys(axes["users"] + axes["clients"]), key=lambda one: -one.users)
    with servers(wanted, began) as places:
        found = measured(places, given.warm, given.rounds, began)
    document = {"rounds": [_document(population, seconds) for population, seconds in found.items()]}
    show.results(given.json, Format.auto, lambda: document, *tables(axes, found))
    return 0


@contextmanager
def servers(populations: Sequence[Population], began: float) -> Iterator[list[Place]]:
    """A new embedded server for each graph, all of them running."""

    def fill(number: int, home: Settings) -> None:
        imported(home, populations[number])
        _tell(began, f"imported: {populations[number]}")

    with ExitStack() as stack:
        new = stack.enter_context(graph.servers(len(populations), fill, graph.QUICK, CONF))
        with ThreadPoolExecutor(graph.STARTED_AT_ONCE) as threads:
            list(threads.map(indexed, [server.database for server in new]))
        _tell(began, "indexes are built")
        yield [
            stack.enter_context(closing(Place(server.database, population)))
            for server, population in zip(new, populations, strict=True)
        ]


def measured(places: Sequence[Place], warm: int, rounds: int, began: float) -> Found:
    """Rounds in which all places take turns. Ctrl-C ends them; those that are whole count."""
    found: Found = {place.population: {name: [] for name in OPERATIONS} for place in places}
    with suppress(KeyboardInterrupt):
        for number in range(warm + rounds):
            done = {place.population: place.round() for place in (places if number % 2 else reversed(places))}
            for population, seconds in done.items() if number >= warm else ():
                for name, one in seconds.items():
                    found[population][name].append(one)
            _tell(began, f"round {number + 1} of {warm + rounds}")
    return found


def tables(axes: dict[str, list[Population]], found: Found) -> list[Table]:
    """One for each axis: the medians, and what the last of them is of the first."""
    made = []
    for axis, populations in axes.items():
        rows = []
        for name in OPERATIONS:
            medians = [median(found[one][name] or [nan]) for one in populations]
            growth = medians[-1] / medians[0]
            rows.append((name, *(f"{one * 1000:,.1f} ms" for one in medians), f"{growth:.2f}", _flat(growth)))
        sizes = [getattr(one, axis) for one in populations]
        same = [f"{populations[0].clients:,} clients", f"{populations[0].users:,} users"][axis == "clients"]
        heads = ("operation", *(f"{size:,} {axis}" for size in sizes), "last / first", f"{MAX_GROWTH} or less")
        made.append(Table(f"Cost by the number of {axis}, with {same}", heads, rows))
    return made


def _flat(growth: float) -> str:
    return "yes" if growth <= MAX_GROWTH else "no"


def _document(population: Population, seconds: dict[str, list[float]]) -> dict[str, Any]:
    return {"users": population.users, "clients": population.clients, "most": population.most, "seconds": seconds}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _tell(began: float, text: str) -> None:
    show.message(f"[{time.monotonic() - began:5.0f} s] {text}")


if __name__ == "__main__":
    raise SystemExit(main())
