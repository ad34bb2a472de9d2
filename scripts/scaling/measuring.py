"""What the model is fed with: the rate of clients on a server of their own, what the jobs cost, what takes up disk."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmark import graph
from benchmark.crowd import FIRST_CLIENT, Crowd
from benchmark.graph import BUCKET_SIZE, LINE, Server

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import clients, schema
from jobs import judge_clients, make_buckets
from scaling.model import Costs

SIZES = (1, 8, 20, 50)
"""How many clients work at once. The model is fitted to the first two and compared with the others."""

COUNTS = {1: 60, 8: 12, 20: 6, 50: 3}
"""How often each of them fetches and answers in a round."""

WARM_ROUNDS = 12
"""Java has yet to compile hot code."""

RUNS = 4
"""Of each job: the first ones plan their statements, and Java compiles."""

USERS = 18_000
"""As one run of make_buckets places at most."""

MAX_SECONDS = 7200
"""For one statement that stores millions of things."""

STORED = 200_000
"""Users whose size on disk is measured: some megabytes, which files grow by."""

_LEASES = """UNWIND range(1, $count) AS i CALL (i) { CREATE (:DMCheckLease {id: randomUUID(),
    bucket: replace(randomUUID(), '-', ''), client: $client, request: toString(i), assigned_datetime: datetime(),
    ended: datetime(), how: 'answered', users: 180, dm: 18, non_dm: 144, unknown: 18,
    digest: randomUUID() + randomUUID()}) } IN TRANSACTIONS OF 10000 ROWS"""

AGAIN = "the same, after as many were deleted"

KINDS = (
    (
        "user",
        1,
        """UNWIND range($first, $first + $count - 1) AS i CALL (i) { CREATE (:User:DMCheckName {
        screen_name: 'Bench_' + i, dmcheck_name: 'bench_' + i, id: 10000000 + i}) } IN TRANSACTIONS OF 10000 ROWS""",
    ),
    (
        "answer",
        1,
        """MATCH (c:DMCheckClient {id: $client}) MATCH (u:User) WITH c, u LIMIT $count
        CALL (c, u) { CREATE (c)-[:DM_NO {at: datetime()}]->(u) } IN TRANSACTIONS OF 10000 ROWS""",
    ),
    (
        "second opinion",
        10,
        """MATCH (c:DMCheckClient {id: $client + 1}) MATCH (u:User) WITH c, u LIMIT $count
        CALL (c, u) { CREATE (c)-[:DM_SECOND {at: datetime(), candm: 'NON_DM', witness: true, counted: 'NON_DM'}]->(u) }
        IN TRANSACTIONS OF 10000 ROWS""",
    ),
    (
        "past answer",
        10,
        """MATCH (c:DMCheckClient {id: $client + 2}) MATCH (u:User) WITH c, u LIMIT $count
        CALL (c, u) { CREATE (c)-[:DM_PAST {at: datetime(), candm: 'NON_DM'}]->(u) } IN TRANSACTIONS OF 10000 ROWS""",
    ),
    ("record of a lease", 10, _LEASES),
    (AGAIN, 10, _LEASES),
    (
        "event, or count of refusals",
        10,
        """UNWIND range(1, $count) AS i CALL (i) { CREATE (:DMCheckEvent {event: 'refused', client: $client,
        reason: 'lease_lost', users: 0, at: datetime(), count: i, key: $client + '/lease_lost/2026-11-27T' + i}) }
        IN TRANSACTIONS OF 10000 ROWS""",
    ),
    (
        "client",
        100,
        """UNWIND range(1, $count) AS i CALL (i) { CREATE (:DMCheckClient {id: 5000000 + i, screen_name: 'client_' + i,
        state: 'ACTIVE', capacity: 2, create_datetime: datetime(), edit_datetime: datetime()})-[:STATS]->(
        :DMCheckClientStats {buckets_assigned: i, buckets_processed: i, buckets_fault: 0, buckets_dead: 0,
        allowance: 10, record: true, share: 0.02, said: [i, i, i], compared: [i, i, i, i], contradicted: [0, 0, 0, 0],
        times: [x IN range(1, 32) | 1.7e9 + x], sums: [x IN range(1, 128) | 0.1 * x], last_access_time: datetime(),
        next_fetch: datetime()}) } IN TRANSACTIONS OF 1000 ROWS""",
    ),
)
"""What is stored for ever or for a while: what it is called, one for how many users is measured, and how it is made."""

EXACT = {"db.store.files.preallocate": "false", "db.checkpoint.interval.time": "10s"}
"""Otherwise files grow by many megabytes at a time, until the server stops."""

CHECKPOINT = re.compile(r"\[neo4j/\w+\].* checkpoint completed")
"""What debug.log says of each. Community has no procedure for one."""

NEEDED = {"user": "user_bytes", "answer": "answer_bytes", "record of a lease": "lease_bytes"}
"""What the model takes of these."""


@dataclass(frozen=True)
class Taken:
    """So many things took up so many bytes; `logs` are the bytes of the transaction logs then."""

    what: str
    count: int
    bytes: int
    logs: int

    @property
    def each(self) -> float:
        """Bytes of one."""
        return self.bytes / self.count


Tell = Callable[[str], None]


def rates(server: Server, crowd: Crowd, rounds: int, tell: Tell) -> dict[int, dict[str, float]]:
    """By the number of clients: buckets per second, seconds of the server's and of the clients' CPU per bucket; medians
    of rounds in which all numbers take turns."""
    found: dict[int, list[tuple[float, float, float]]] = {size: [] for size in SIZES}
    for number in range(WARM_ROUNDS + rounds):
        for size in SIZES:
            needed = size * (COUNTS[size] + 1)
            if len(graph.waiting(server.database)) < needed:
                graph.refill(server.database)
            graph.forget_pace(server.database)
            before = server.cpu()
            done = crowd.run(server.settings, "ours.cycle", size, COUNTS[size])
            if done.errors or done.doubles:
                raise RuntimeError(f"{size} clients: {done.doubles} users twice, {done.errors[:1]}")
            if number >= WARM_ROUNDS:
                found[size].append((done.rate, (server.cpu() - before) / needed, done.cpu / needed))
        tell(f"round {number + 1} of {WARM_ROUNDS + rounds}")
    names = ("rate", "server", "client")
    return {size: dict(zip(names, map(median, zip(*ones, strict=True)), strict=True)) for size, ones in found.items()}


def jobs(server: Server) -> dict[str, float]:
    """Seconds per bucket in make_buckets, and per lease in judge_clients, each in its last of RUNS runs."""
    database = server.database
    graph.empty(database)
    graph.prepare(database, 0)
    found: dict[str, float] = {}
    for number in range(RUNS):
        graph.add_users(database, number * USERS, (number + 1) * USERS)
        database.run_text("MATCH (j:DMCheckJob {name: 'make_buckets'}) REMOVE j.cursor")
        made, found["make"] = _timed(lambda: make_buckets.run(database))
        found["make"] /= max(made.buckets, 1)
        for client in range(graph.CLIENTS):
            _work(server, FIRST_CLIENT + client)
        judged, found["judge"] = _timed(lambda: judge_clients.run(database))
        found["judge"] /= max(judged.leases, 1)
    return found


def disk(users: int) -> list[Taken]:
    """What each kind of thing takes up on disk, with so many users, on a server of its own."""
    found: list[Taken] = []
    with (
        graph.servers(1, java_options=graph.QUICK, conf=EXACT) as [server],
        Database(replace(server.settings, timeout_seconds=MAX_SECONDS), "bench") as database,
    ):
        schema.apply(database)
        for number in range(3):
            clients.register(database, FIRST_CLIENT + number, f"disk_{number}")
        before, _ = _on_disk(server)
        for what, share, statement in KINDS:
            count = max(users // share, 1)
            if what == AGAIN:
                database.run_text("MATCH (l:DMCheckLease) CALL (l) { DELETE l } IN TRANSACTIONS OF 10000 ROWS")
            database.run_text(statement, client=FIRST_CLIENT, first=len(found) * users, count=count)
            after, logs = _on_disk(server)
            found.append(Taken(what, count, after - before, logs))
            before = after
    return found


def measure(rounds: int, cores: int, tell: Tell) -> tuple[dict[int, dict[str, float]], Costs]:
    """Rates by the number of clients, and what things cost; `behind` is left to be fitted."""
    with closing(Crowd(SIZES, compiled=False)) as crowd, graph.servers(1) as [server]:
        graph.prepare(server.database, LINE * BUCKET_SIZE)
        found = rates(server, crowd, rounds, tell)
        tell("the jobs")
        of_jobs = jobs(server)
    tell("what takes up disk")
    of_disk = {NEEDED[one.what]: one.each for one in disk(STORED) if one.what in NEEDED}
    one = found[1]
    # What takes longer on the processors than the client waited ran beside it.
    waited = 1 / one["rate"] - one["client"]
    inner = min(one["server"], waited)
    return found, Costs(
        server=inner, client=one["client"], wait=waited - inner, behind=0.0, cores=cores,
        bucket_size=BUCKET_SIZE, **of_jobs, **of_disk,
    )  # fmt: skip


def _work(server: Server, client: int) -> None:
    from dmcheck_cli.domain.model import Answered
    from dmcheck_cli.transactions import answers, leases

    [lease] = leases.fetch(server.database, client, 1, f"scale {time.monotonic()}")
    given = {user.screen_name: "NON_DM" for user in lease.users}
    answers.submit(server.database, client, [Answered(lease.bucket, lease.lease, given)])


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


def _on_disk(server: Server) -> tuple[int, int]:
    """Bytes of the graph's files once all is written to them, and of its transaction logs."""
    assert server.home.home is not None
    neo4j = Path(server.home.home) / "neo4j"
    log = neo4j / "logs" / "debug.log"
    for _ in range(2):  # the first checkpoint may have begun before
        before = len(CHECKPOINT.findall(log.read_text("utf-8")))
        server.database.run_text("MERGE (j:DMCheckJob {name: 'disk'}) SET j.at = timestamp()")
        deadline = time.monotonic() + graph.PATIENCE
        while len(CHECKPOINT.findall(log.read_text("utf-8"))) == before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no checkpoint within {graph.PATIENCE} s")
            time.sleep(0.2)
    store, logs = (
        sum(path.stat().st_size for path in (neo4j / "data" / name).rglob("*") if path.is_file())
        for name in ("databases", "transactions")
    )
    return store, logs
