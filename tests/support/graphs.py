"""How tests drive the programs: graphs made ready, documents answered, processes let loose together, locks held."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Barrier
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, Lease, User
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, jobs, users
from jobs import make_buckets
from support.invariants import Query
from support.programs import MODULES

MAX_WAIT_SECONDS = 300.0
"""Seconds after which a test gives up waiting for another process. Only a failing test should get near it, on a machine
that has eight times as much to do as it can, too."""

MUCH_LONGER = 20.0
"""Seconds that a command with a time limit of one or two may take on such a machine, its beginning and end included.
What it must not do is go by other limits: the driver's own are 30 seconds and more, and some waits have none."""

Work = Callable[[Database, int], Any]


@dataclass(frozen=True)
class Copied:
    """What a graph holds."""

    nodes: list[dict[str, Any]]
    links: list[dict[str, Any]]


def prepare(database: Database, active: Sequence[int], users_to_check: int = 0, size: int = 180) -> list[str]:
    """Register the clients `active`, add users, and put them into buckets of `size`; returns the users' names."""
    for id in active:
        clients.register(database, id, f"client{id}")
    names = [f"user{i:05}" for i in range(users_to_check)]
    if names:
        users.add(database, [User(name, 1000 + i) for i, name in enumerate(names)])
        with Database(replace(database.settings, bucket_size=size), "tests") as sized:
            make_buckets.run(sized)
    return names


def answers(lease: Lease, candm: str = "DM", only: int | None = None) -> Answered:
    """The same answer for all users of a lease, or for the first `only`."""
    return Answered(lease.bucket, lease.lease, {user.screen_name: candm for user in lease.users[:only]})


def answered(document: Any, candm: str = "DM", only: int | None = None) -> str:
    """What a checker makes of the document of `fetch --json`: an answer on each user, or on the first `only`."""
    buckets = [
        {**bucket, "users": [{**user, "candm": candm} for user in bucket["users"][:only]] + bucket["users"][only:]}
        if only is not None
        else {**bucket, "users": [{**user, "candm": candm} for user in bucket["users"]]}
        for bucket in document["buckets"]
    ]
    return json.dumps({**document, "buckets": buckets})


def counters(query: Query, id: int) -> tuple[int, int, int, int]:
    """A client's buckets assigned, processed, fault and dead."""
    [row] = query("MATCH (:DMCheckClient {id: $id})-[:STATS]->(s) RETURN s", id=id)
    stats = row["s"]
    return tuple(stats[f"buckets_{name}"] for name in ("assigned", "processed", "fault", "dead"))


def may_hold(query: Query, id: int, leases: int) -> None:
    """As if the client had earned an allowance of so many leases."""
    query("MATCH (:DMCheckClient {id: $id})-[:STATS]->(s) SET s.allowance = $leases", id=id, leases=leases)


def pass_time(query: Query, seconds: int) -> None:
    """As if `seconds` had passed: every stored time by which something is decided moves back."""
    query(
        """CALL () {
            MATCH (b:DMCheckBucket)
            SET b.assigned_datetime = b.assigned_datetime - duration({seconds: $seconds}),
                b.renewed_datetime = b.renewed_datetime - duration({seconds: $seconds}),
                b.dead_datetime = b.dead_datetime - duration({seconds: $seconds}),
                b.edit_datetime = b.edit_datetime - duration({seconds: $seconds}),
                b.expires = b.expires - duration({seconds: $seconds})
        }
        CALL () {
            MATCH (l:DMCheckLease)
            SET l.assigned_datetime = l.assigned_datetime - duration({seconds: $seconds}),
                l.dead_datetime = l.dead_datetime - duration({seconds: $seconds}),
                l.ended = l.ended - duration({seconds: $seconds})
        }
        CALL () {
            MATCH (s:DMCheckClientStats)
            SET s.last_access_time = s.last_access_time - duration({seconds: $seconds}),
                s.next_fetch = s.next_fetch - duration({seconds: $seconds})
        }""",
        seconds=seconds,
    )


COSTS = tuple(f"last_{stored}" for stored in ("seconds", *jobs.COUNTED.values()))


def picture(query: Query, *but: str, refusals: bool = False) -> list[str]:
    """The whole graph without the properties named in `but`: equal pictures, equal graphs. What the last run of a job
    cost is no part of it. Refusals are counted in the activity log, which is left out unless `refusals` says otherwise.
    """
    but = (*but, *COSTS)
    nodes = query(
        """MATCH (n) WHERE $refusals OR coalesce(n.event <> 'refused', true)
        RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties""",
        refusals=refusals,
    )
    links = query("MATCH (a)-[r]->(b) RETURN elementId(a) + type(r) + elementId(b) AS id, properties(r) AS properties")
    kept = [
        {key: str(value) for key, value in sorted(x["properties"].items()) if key not in but} for x in nodes + links
    ]
    return sorted(f"{x['id']} {x.get('labels')} {shown}" for x, shown in zip(nodes + links, kept, strict=True))


def copied(query: Query) -> Copied:
    """All nodes and relationships but the version's node."""
    nodes = query(
        """MATCH (n) WHERE NOT n:DMCheckSchema
        RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS properties"""
    )
    links = query(
        """MATCH (a)-[r]->(b)
        RETURN elementId(a) AS begins, elementId(b) AS ends, type(r) AS type, properties(r) AS properties"""
    )
    return Copied(nodes, links)


def paste(query: Query, graph: Copied) -> None:
    """Put them into an empty graph."""
    made = query(
        """UNWIND $nodes AS node CREATE (n:$(node.labels)) SET n = node.properties
        RETURN node.id AS was, elementId(n) AS id""",
        nodes=graph.nodes,
    )
    ids = {row["was"]: row["id"] for row in made}
    links = [{**link, "begins": ids[link["begins"]], "ends": ids[link["ends"]]} for link in graph.links]
    query(
        """UNWIND $links AS link MATCH (a) WHERE elementId(a) = link.begins MATCH (b) WHERE elementId(b) = link.ends
        CREATE (a)-[r:$(link.type)]->(b) SET r = link.properties""",
        links=links,
    )


def refusal(query: Query) -> list[str]:
    """The graph without what a refusal may move."""
    return picture(query, "buckets_fault", "last_access_time", "release")


def together(settings: Settings, works: Sequence[Work], rounds: int = 1) -> list[list[Any]]:
    """Let each of `works` run in a process of its own, with a connection of its own, all released together.

    Each is called with its connection and the number of the round, at the same moment in every round. Returns for
    each round what each returned, or the code of the error that ended it.
    """
    # They are forked from a process that has imported what each of them needs.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "neo4j", "support.graphs", "jobs.judge_clients", "jobs.make_buckets"])
    barrier = context.Barrier(len(works))
    with ProcessPoolExecutor(len(works), context, _keep, (barrier,)) as pool:
        running = [pool.submit(_take_part, settings, work, rounds) for work in works]
        outcomes = [one.result(MAX_WAIT_SECONDS) for one in running]
    return [list(outcome) for outcome in zip(*outcomes, strict=True)]


def commands_together(
    environment: dict[str, str], commands: Sequence[Sequence[object]], program: str = "dmcheck", stdin: str = ""
) -> list[tuple[int, str, str]]:
    """Run commands as real processes that all begin at the same moment; returns exit status, stdout, stderr of each."""
    ready, is_ready = os.pipe()
    wait, go = os.pipe()
    # They have loaded everything before they wait: what is left is the command itself.
    code = (
        f"import os, neo4j; from {MODULES[program]} import main; os.write({is_ready}, b'.'); os.read({wait}, 1); main()"
    )
    try:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code, *map(str, arguments)],
                env=environment,
                pass_fds=(is_ready, wait),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for arguments in commands
        ]
        for _ in started:
            os.read(ready, 1)
    finally:
        for end in (go, wait, ready, is_ready):  # closing `go` lets all of them loose
            os.close(end)
    results = []
    for process in started:
        out, err = process.communicate(stdin, MAX_WAIT_SECONDS)
        results.append((process.returncode, out, err))
    return results


@contextmanager
def start(environment: dict[str, str], *arguments: object, stdin: str = "") -> Iterator[subprocess.Popen[str]]:
    """A `dmcheck` command that runs while the block does; killed at its end, if it has not ended by then."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from dmcheck_cli.cli import main; main()", *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None  # communicate() would use it
            yield process
        finally:
            process.kill()


@contextmanager
def transactions(environment: dict[str, str], count: int = 1) -> Iterator[list[Any]]:
    """Open transactions side by side, rolled back in the end unless they were committed."""
    import neo4j

    account = (environment.get("NEO4J_USERNAME", "neo4j"), environment["NEO4J_PASSWORD"])
    with neo4j.GraphDatabase.driver(environment["NEO4J_URI"], auth=account) as driver:
        sessions = [driver.session() for _ in range(count)]
        opened = [session.begin_transaction() for session in sessions]
        try:
            yield opened
        finally:
            for transaction, session in zip(opened, sessions, strict=True):
                transaction.close()
                session.close()


def wait_until_blocked(query: Query, command: str) -> None:
    """Returns once a transaction of that command waits for a lock that the test holds, in a statement or (`Closing`)
    in its commit: it has begun, and cannot have ended."""
    wait_until(
        lambda: bool(
            query(
                """SHOW TRANSACTIONS YIELD metaData, status
                WHERE metaData.command = $command AND (status STARTS WITH 'Blocked' OR status = 'Closing')
                RETURN status""",
                command=command,
            )
        )
    )


def wait_until_gone(query: Query, command: str) -> None:
    """Returns once no transaction of that command is left."""
    wait_until(
        lambda: (
            not query(
                "SHOW TRANSACTIONS YIELD metaData WHERE metaData.command = $command RETURN 1 AS one", command=command
            )
        )
    )


def wait_until(happened: Callable[[], bool]) -> None:
    """Returns as soon as it has happened; fails the test when it does not."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "what the test waits for never happened"
        time.sleep(0.02)


_barrier: Barrier | None = None


def _keep(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier can be handed to a process at its birth only
    _barrier = barrier


def _take_part(settings: Settings, work: Work, rounds: int) -> list[Any]:
    outcomes = []
    with Database(settings, "tests") as database:
        database.run_text("RETURN 1")  # connected before the start, so that all begin alike
        for number in range(rounds):
            assert _barrier is not None
            _barrier.wait(MAX_WAIT_SECONDS)
            try:
                outcomes.append(work(database, number))
            except DmcheckError as problem:
                outcomes.append(problem.code)
    return outcomes
