"""What the model is fed with: the rate of clients on a server of their own, what the jobs cost, what takes up disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from benchmark import graph
from benchmark.crowd import FIRST_CLIENT, Crowd
from benchmark.graph import BUCKET_SIZE, LINE, Server

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

STORED = 200_000
"""Users, and answers, whose size on disk is measured: some megabytes, which files grow by."""

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


def sizes(server: Server) -> dict[str, float]:
    """Bytes on disk per user, per answer and per record of a lease."""
    database = server.database
    graph.empty(database)
    graph.prepare(database, 0)
    before = _on_disk(server)
    graph.add_users(database, 0, STORED)
    database.run_text(
        "MATCH (u:User) WHERE NOT u:DMCheckName CALL (u) { "
        "SET u:DMCheckName, u.dmcheck_name = toLower(u.screen_name) } IN TRANSACTIONS OF 10000 ROWS"
    )
    users = _on_disk(server)
    database.run_text(
        "MATCH (c:DMCheckClient {id: $client}) MATCH (u:User) "
        "CALL (c, u) { CREATE (c)-[:DM_NO {at: datetime()}]->(u) } IN TRANSACTIONS OF 10000 ROWS",
        client=FIRST_CLIENT,
    )
    answers = _on_disk(server)
    database.run_text(
        """UNWIND range(1, $count) AS i CALL (i) { CREATE (:DMCheckLease {id: randomUUID(), bucket: replace(
            randomUUID(), '-', ''), client: $client, request: toString(i), assigned_datetime: datetime(),
            ended: datetime(), how: 'answered', users: 180, dm: 18, non_dm: 144, unknown: 18, digest: randomUUID() +
            randomUUID()}) } IN TRANSACTIONS OF 10000 ROWS""",
        client=FIRST_CLIENT,
        count=STORED // 10,
    )
    leases = _on_disk(server)
    return {
        "user_bytes": (users - before) / STORED,
        "answer_bytes": (answers - users) / STORED,
        "lease_bytes": (leases - answers) / (STORED // 10),
    }


def measure(rounds: int, cores: int, tell: Tell) -> tuple[dict[int, dict[str, float]], Costs]:
    """Rates by the number of clients, and what things cost; `behind` is left to be fitted."""
    with closing(Crowd(SIZES, compiled=False)) as crowd, graph.servers(1) as [server]:
        graph.prepare(server.database, LINE * BUCKET_SIZE)
        found = rates(server, crowd, rounds, tell)
        tell("the jobs")
        of_jobs = jobs(server)
        tell("what takes up disk")
        of_disk = sizes(server)
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


def _on_disk(server: Server) -> int:
    """Bytes of the graph's files: all of it is written to them when the server stops."""
    from dmcheck_cli.embedded import server as embedded

    assert server.home.home is not None
    server.database.close()
    embedded.stop(server.home)
    store = Path(server.home.home) / "neo4j" / "data" / "databases"
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    embedded.ensure_running(server.home, progress=False)
    return size
