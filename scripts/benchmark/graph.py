"""The graphs for the measurements: users, clients, buckets, and their reset between rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest import mock

import psutil
from environment import ended_in_order

from benchmark.crowd import FIRST_CLIENT
from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, clients, schema

if TYPE_CHECKING:
    from dmcheck_cli.embedded.server import Server as Running

BUCKET_SIZE = 180
CLIENTS = 50

PATIENCE = 600
"""Seconds for one statement: a busy machine is not a database error."""

LINE = 300
"""Buckets that wait at the start: more than the contests of a round take between two refills."""

STARTED_AT_ONCE = 2

QUICK = "-XX:TieredStopAtLevel=1"
"""Java's quick compiler alone: with both, each server would need minutes until it is as fast as it gets."""

BATCH = 10_000
"""Nodes that one transaction makes or deletes: it must fit into the embedded database's small heap."""

KEPT = "kept_"
"""How the ids of leases begin that `refill` leaves: those of earlier days."""


@dataclass(frozen=True)
class Server:
    """An embedded server of our own: `home` reaches it as the embedded database, `database` by its URI; `pid` is its
    process."""

    home: Settings
    database: Database
    pid: int

    @property
    def settings(self) -> Settings:
        """What a client process needs to reach it by its URI."""
        return self.database.settings

    def cpu(self) -> float:
        """Seconds of CPU that its process has used."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)


@contextmanager
def servers(
    count: int,
    fill: Callable[[int, Settings], None] = lambda number, home: None,
    java_options: str | None = None,
    conf: Mapping[str, str] | None = None,
) -> Iterator[list[Server]]:
    """New servers, as users have them; removed when the block ends. `fill` is called with the number and the home of
    each before it starts. `java_options`: where DMCHECK_JAVA_OPTIONS says nothing; `conf`: in place of what neo4j.conf
    says, or beside it."""
    from dmcheck_cli.embedded import launch, server

    outside = Settings.load()
    with ended_in_order(), ExitStack() as stack:
        stack.enter_context(mock.patch.object(launch, "neo4j_conf", partial(_conf, conf or {}, launch.neo4j_conf)))
        homes = []
        for _ in range(count):
            home = Settings(
                home=stack.enter_context(TemporaryDirectory(prefix="dmcheck-bench-")),
                jars_url=outside.jars_url,
                jars_folder=outside.jars_folder,
                java_options=outside.java_options or java_options,
            )
            stack.callback(server.stop, home)
            homes.append(home)

        def start(number: int, home: Settings) -> Server:
            fill(number, home)
            return _reached(home, server.ensure_running(home, progress=False))

        with ThreadPoolExecutor(STARTED_AT_ONCE) as threads:
            found = list(threads.map(start, range(count), homes))
        for one in found:
            stack.enter_context(one.database)
        yield found


def _conf(settings: Mapping[str, str], usual: Callable[[int], str], port: int) -> str:
    kept = [line for line in usual(port).splitlines() if line.partition("=")[0] not in settings]
    return "".join(f"{line}\n" for line in (*kept, *(f"{name}={value}" for name, value in settings.items())))


def _reached(home: Settings, running: Running) -> Server:
    settings = replace(
        home,
        bucket_size=BUCKET_SIZE,
        timeout_seconds=PATIENCE,
        buckets_per_client=LINE // CLIENTS,
        max_unjudged=0,
        neo4j_uri=running.uri,
        neo4j_username=running.username,
        neo4j_password=running.password,
    )
    return Server(home, Database(settings, "bench"), running.pid)


def empty(database: Database) -> None:
    """Delete everything."""
    _batched(database, "MATCH (n:User)", "DETACH DELETE n")
    _batched(database, "MATCH (n)", "DETACH DELETE n")


def prepare(database: Database, users: int) -> None:
    """Give an empty database our schema, clients, and unchecked users, all in buckets."""
    schema.apply(database)
    for number in range(CLIENTS):
        clients.register(database, FIRST_CLIENT + number, f"bench_client_{number}", 1000)
    # As if all had long earned their stated capacity: allowances are not what is measured.
    database.run_text("MATCH (:DMCheckClient)-[:STATS]->(s) SET s.allowance = 1000")
    add_users(database, 0, users)
    refill(database)


def add_users(database: Database, first: int, end: int) -> None:
    """Unchecked users, with ids from `first` up to `end`."""
    for start in range(first, end, BATCH):
        database.run_text(
            "UNWIND range($start, $end - 1) AS i CREATE (:User {screen_name: 'bench_' + i, id: i})",
            start=start,
            end=min(start + BATCH, end),
        )


def add_checked(database: Database, count: int, until: float) -> int:
    """Users that our clients have answered, spread over all clients; two transactions run at a time.

    Returns how many: on a slow machine no transaction begins after `until` (time.monotonic).
    """

    def add(part: int) -> int:
        added = 0
        with Database(database.settings, "bench") as own:
            for start in range(part * BATCH, count, 2 * BATCH):
                if time.monotonic() > until:
                    break
                end = min(start + BATCH, count)
                own.run_text(
                    "MATCH (c:DMCheckClient {id: $client}) UNWIND range($start, $end - 1) AS i"
                    " CREATE (u:User {screen_name: 'checked_' + i, id: 10000000 + i})"
                    " CREATE (c)-[:DM_NO {at: datetime()}]->(u)",
                    client=FIRST_CLIENT + start // BATCH % CLIENTS,
                    start=start,
                    end=end,
                )
                added += end - start
        return added

    with ThreadPoolExecutor(2) as threads:
        return sum(threads.map(add, range(2)))


def waiting(database: Database) -> list[str]:
    """The uuids of the buckets without a holder."""
    rows = database.run_text(
        "MATCH (b:DMCheckBucket) WHERE NOT EXISTS { (b)-[:DMCHECKCLIENT]->() } RETURN b.uuid AS uuid"
    )
    return [row["uuid"] for row in rows]


def refill(database: Database) -> None:
    """Undo all work: leases, held buckets, answers for the users that are handed out; put all of those into buckets."""
    _batched(database, f"MATCH (n:DMCheckLease) WHERE NOT n.id STARTS WITH '{KEPT}'", "DELETE n")
    _batched(database, "MATCH (n:DMCheckBucket) WHERE EXISTS { (n)-[:DMCHECKCLIENT]->() }", "DETACH DELETE n", 50)
    _batched(
        database,
        "MATCH (u:User)<-[n:DM_YES|DM_NO|DM_UNKNOWN]-() WHERE u.screen_name STARTS WITH 'bench_'",
        "DELETE n",
    )
    forget_pace(database)
    rows = database.run_text(
        "MATCH (u:User) WHERE u.screen_name STARTS WITH 'bench_' AND NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() }"
        " RETURN u.screen_name AS name"
    )
    free, size = [row["name"] for row in rows], database.settings.bucket_size
    whole, batch = len(free) // size * size, 10 * BUCKET_SIZE // size * size  # all are of equal size
    for first in range(0, whole, batch):
        ends = range(first, min(first + batch, whole), size)
        buckets.place(database, [free[at : at + size] for at in ends])


def forget_pace(database: Database) -> None:
    """Let all clients fetch as if for the first time: the slowdown for clients that never answer is not measured."""
    database.run_text("MATCH (s:DMCheckClientStats) REMOVE s.next_fetch")


def _batched(database: Database, match: str, action: str, rows: int = BATCH) -> None:
    database.run_text(f"{match} CALL (n) {{ {action} }} IN TRANSACTIONS OF {rows} ROWS")
