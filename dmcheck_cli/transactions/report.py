"""What the page of `dmcheck report` shows, read from the graph."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ClientStats, SystemStats
from dmcheck_cli.errors import NotRegistered, UnknownBucket
from dmcheck_cli.transactions import health, schema
from dmcheck_cli.transactions.jobs import LastRun, last_runs
from dmcheck_cli.transactions.stats import stats

DAYS = 30
"""How far back it looks: leases are kept for as long by default."""

MAX_OPINIONS = 50_000
"""Second opinions that are compared at most, of all clients together."""

MAX_PAIRS = 20

MAX_NODES = 100

AROUND = {"client": "_around_client", "bucket": "_around_bucket"}
"""What finds the part of the graph around a node of that kind; `RETURN *` makes it a statement for Neo4j Browser."""


@dataclass(frozen=True)
class Ended:
    """Leases that ended in one hour (counted since 1970) in one way; `late`: they had been dead before."""

    hour: int
    how: str
    late: bool
    leases: int
    users: int
    accepted: int


@dataclass(frozen=True)
class Worker:
    """A client by the name that the page calls it, its counters, and what it answered lately; `per_hour`: answers in an
    hour that it held a lease, None if it answered nothing."""

    name: str
    stats: ClientStats
    leases: int
    answers: int
    per_hour: float | None


@dataclass(frozen=True)
class Pair:
    """Of `compared` users whom both answered for, the second opinion differs on so many from the answer in force."""

    first: str
    second: str
    compared: int
    differing: int


@dataclass(frozen=True)
class Node:
    """A node of the drawing: a user, bucket or client."""

    id: str
    kind: str
    name: str


@dataclass(frozen=True)
class Around:
    """The part of the graph around `center`; `left_out`: so many buckets, users and opinions near it are not in it."""

    center: str
    nodes: list[Node]
    links: list[tuple[str, str, str]]
    left_out: int
    query: str


@dataclass(frozen=True)
class Findings:
    """All that the page shows."""

    now: str
    named: bool
    system: SystemStats
    problems: list[health.Problem]
    runs: list[LastRun]
    ended: list[Ended]
    workers: list[Worker]
    pairs: list[Pair]
    pairs_compared: int
    opinions: int
    opinions_left_out: int
    waits: list[tuple[bool, int, int]]
    around: list[Around]


def findings(database: Database, named: bool, client: int | None = None, bucket: str | None = None) -> Findings:
    """All that the page shows. Unless `named`, clients have pseudonyms, and nothing in it tells who they are.

    Raises what `schema.ensure` raises, NotRegistered when there is no such client, UnknownBucket when no such bucket.
    """
    schema.ensure(database)
    call = _called if named else _pseudonyms(database)
    clients, system = stats(database)
    lately = {row["client"]: row for row in database.run("report_clients", days=DAYS)}
    each = max(MAX_OPINIONS // max(len(clients), 1), 10)
    [compared] = database.run("report_disagreements", each=each, most=MAX_PAIRS)
    around = []
    if client is not None:
        around.append(_around(database.run("report_client", client=client), call, named, "client", client))
    if bucket is not None:
        around.append(_around(database.run("report_bucket", bucket=bucket), call, named, "bucket", bucket))
    problems = health.health(database).problems
    [clock] = database.run("tell_time")
    return Findings(
        now=clock["now"],
        named=named,
        system=system,
        problems=problems if named else [_nameless(one) for one in problems],
        runs=last_runs(database),
        ended=[
            Ended(row["hour"], row["how"] or "other", row["late"], row["leases"], row["users"], row["accepted"])
            for row in database.run("report_leases", days=DAYS)
        ],
        workers=[_worker(one, lately.get(one.id), call) for one in clients],
        pairs=[
            Pair(call(one["first"], None), call(one["second"], None), one["compared"], one["differing"])
            for one in compared["listed"]
        ],
        pairs_compared=compared["pairs"],
        opinions=compared["seen"],
        opinions_left_out=compared["left_out"],
        waits=[(row["urgent"], row["hours"], row["buckets"]) for row in database.run("report_waits")],
        around=around,
    )


def _worker(client: ClientStats, lately: dict[str, Any] | None, call: Callable[[object, str | None], str]) -> Worker:
    row = lately or {"leases": 0, "answers": 0, "seconds": 0.0}
    # A bucket that was answered within a second says nothing about the next.
    rate = row["answers"] / max(row["seconds"], 1.0) * 3600 if row["answers"] else None
    return Worker(call(client.id, client.screen_name), client, row["leases"], row["answers"], rate)


def _called(id: object, name: str | None) -> str:
    if id is None:
        return name or "a deleted client"
    return f"{id} @{name}" if name else str(id)


def _pseudonyms(database: Database) -> Callable[[object, str | None], str]:
    """Names for clients that are the same on every page of this graph, and tell nobody else who they are."""
    key = str(schema.write_one(database, "report_secret", secret=secrets.token_hex(16))["secret"]).encode()

    def call(id: object, name: str | None) -> str:
        if id is None and name is None:
            return "a deleted client"
        return "client-" + hmac.digest(key, repr((id, None if id is not None else name)).encode(), "sha256").hex()[:8]

    return call


def _nameless(problem: health.Problem) -> health.Problem:
    """Without the example, which may be a client's id or a user's name."""
    return health.Problem(problem.what.partition(", such as ")[0], problem.remedy)


def _around(
    rows: list[dict[str, Any]], call: Callable[[object, str | None], str], named: bool, kind: str, value: int | str
) -> Around:
    [row] = rows
    if not row["nodes"]:
        raise NotRegistered(client=value) if kind == "client" else UnknownBucket(bucket=value)
    nodes: dict[str, Node] = {}
    for one in row["nodes"]:
        is_client = one["kind"] == "client"
        name = call(one["client"], one["name"]) if is_client else one["name"] or "without a name"
        nodes.setdefault(one["id"], Node(one["id"], one["kind"], name))
    links = dict.fromkeys((one["begins"], one["ends"], _told(one)) for one in row["links"])
    literal = str(value) if kind == "client" else "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == "client" and not named:
        literal = "$client"
    query = cypher.text(AROUND[kind]).replace(f"${kind}", literal) + "RETURN *"
    center = next(one["id"] for one in row["nodes"] if one["kind"] == kind and value in (one["client"], one["name"]))
    return Around(nodes[center].name, list(nodes.values()), list(links), max(row["near"] - len(links), 0), query)


def _told(link: dict[str, Any]) -> str:
    return f"{link['type']} {link['said']}" if link["said"] else str(link["type"])
