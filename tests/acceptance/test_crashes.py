"""The five crashes of the design's picture 4.4: each leaves a consistent graph, and everything can go on.

The server is an embedded one of this module's own, killed with SIGKILL while processes are at work on it. Nobody
restarts it but the commands that find it gone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
from support.alerting import exported, holds, needs_promtool, story
from support.graphs import (
    MAX_WAIT_SECONDS,
    answered,
    answers,
    counters,
    pass_time,
    prepare,
    start,
    transactions,
    wait_until,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken
from support.programs import at_home

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import Limits
from dmcheck_cli.domain.model import User
from dmcheck_cli.embedded import server
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import leases, users
from dmcheck_cli.transactions.answers import submit
from jobs import make_buckets

pytestmark = pytest.mark.process

ENOUGH = 8
"""Operations of each kind that must have succeeded before the kill, and again after it."""

Step = Callable[[Database, int], Any]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that lead to the embedded server of these tests, which runs."""
    # What is at work sits out the whole restart, also on a busy machine.
    # It takes bucket after bucket and answers none.
    limits = Limits(tolerance=10_000)
    made = at_home(tmp_path_factory.mktemp("crashes") / "home", timeout_seconds=300, limits=limits)
    server.ensure_running(made, progress=False)
    yield made
    server.stop(made)


@pytest.fixture
def embedded(settings: Settings) -> Iterator[Database]:
    """A connection to that server, and an empty graph."""
    with Database(settings, "tests") as database:
        prepare(database, [1])  # brings the schema in
        database.run_text("MATCH (n) DETACH DELETE n")
        yield database


@pytest.fixture
def look(embedded: Database) -> Query:
    """Runs any Cypher text on it."""
    return embedded.run_text


def test_4_4_the_server_crashes_while_creating_buckets(
    settings: Settings, embedded: Database, look: Query, tmp_path: Path
) -> None:
    """No bucket is half-made, no user is in two, and a user that was acknowledged is in one; the job goes on."""
    prepare(embedded, range(1, 61))
    sized = replace(settings, bucket_size=5)

    with at_work(sized, make, tmp_path / "made") as made:
        crash(settings, [made])

    assert {row["n"] for row in look("MATCH (b:DMCheckBucket) RETURN count { (b)<-[:INDMCHECKBUCKET]-() } AS n")} == {5}
    placed = {row["name"] for row in look("MATCH (u:User)-[:INDMCHECKBUCKET]->() RETURN u.screen_name AS name")}
    assert {name for names in made() for name in names} <= placed
    assert broken(look) == []


def test_4_4_the_server_crashes_while_buckets_are_given_and_answers_stored(
    settings: Settings, embedded: Database, look: Query, tmp_path: Path
) -> None:
    """Every lease that a client was given is still its own, and it holds no other. Every answer that was acknowledged
    is stored, no other is, each bucket is counted once. The next command starts the server, on the same port."""
    prepare(embedded, range(1, 21), 1200, size=2)
    look("MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s) SET c.capacity = 1000, s.allowance = 1000")
    before = server.find(settings)

    with (
        at_work(settings, fetch, tmp_path / "given") as given,
        at_work(settings, fetch_and_submit, tmp_path / "answered") as answered,
    ):
        crash(settings, [given, answered])

    after = server.find(settings)
    assert before is not None
    assert after is not None
    assert (after.uri, after.password) == (before.uri, before.password)
    assert after.pid != before.pid
    held = {lease.lease: sorted(user.screen_name for user in lease.users) for lease in leases.resume(embedded, 1)}
    assert held == {lease: sorted(names) for lease, names in given()}
    assert counters(look, 1) == (len(held), 0, 0, 0)
    done = answered()
    stored = look("MATCH (:DMCheckClient {id: 2})-[:DM_YES]->(u) RETURN u.screen_name AS name")
    assert sorted(row["name"] for row in stored) == sorted(name for names in done for name in names)
    assert counters(look, 2) == (len(done), len(done), 0, 0)
    assert broken(look) == []


@needs_promtool
def test_a_restart_of_the_server_is_noticed(settings: Settings, embedded: Database, tmp_path: Path) -> None:
    """The alert fires after a kill, and not before."""
    make_buckets.run(embedded)
    before = exported(embedded, tmp_path / "dmcheck.prom")
    kill_server(settings)
    after = exported(embedded, tmp_path / "dmcheck.prom")
    recent = {name: "0" for name in before if name.startswith("dmcheck_job_since")}
    holds([story("DmcheckDatabaseRestarted", before | recent, after | recent)], tmp_path)


@pytest.mark.parametrize(
    "rival",
    ["MATCH (b:DMCheckBucket) SET b.uuid = b.uuid", "MATCH ()-[m:INDMCHECKBUCKET]->() SET m.priority = 1"],
    ids=["in the statement", "in the commit"],
)
def test_4_4_a_client_crashes_while_it_gets_a_bucket(
    run: Callable[..., Any], environment: dict[str, str], database: Database, query: Query, rival: str
) -> None:
    """Killed while the database works on its fetch, it holds the bucket or does not; the same request again gets it,
    and it counts once."""
    prepare(database, [42], 4)
    fetching = ("fetch", "--client", 42, "--request-id", "crash", "--json")
    with transactions(environment) as [other]:
        other.run(rival).consume()  # never committed: the fetch gets stuck in the middle of its work
        with start(environment, *fetching) as client:
            wait_until_blocked(query, "fetch")
            client.kill()
    wait_until_gone(query, "fetch")
    assert broken(query) == []

    [bucket] = run(*fetching).document["buckets"]

    assert len(bucket["users"]) == 4
    assert query("MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->() RETURN b.newest AS lease") == [
        {"lease": bucket["lease"]}
    ]
    assert counters(query, 42) == (1, 0, 0, 0)
    assert broken(query) == []


def test_4_4_a_client_crashes_before_it_answers(run: Callable[..., Any], database: Database, query: Query) -> None:
    """One that comes back resumes its bucket and answers it; the bucket of one that does not goes to another client
    once the lease has died and was released."""
    prepare(database, [42, 43, 44], 6, size=3)
    for client in (42, 43):
        assert run("fetch", "--client", client, "--count", 1, "--json").status == 0

    resumed = run("fetch", "--client", 42, "--resume", "--json").document
    assert run("submit", "--client", 42, stdin=answered(resumed)).status == 0
    pass_time(query, 7201)
    run(program="reclaim_leases")
    pass_time(query, 901)
    run(program="reclaim_leases")
    taken_over = run("fetch", "--client", 44, "--json").document
    assert run("submit", "--client", 44, stdin=answered(taken_over)).status == 0

    assert [counters(query, client) for client in (42, 43, 44)] == [(1, 1, 0, 0), (1, 0, 0, 1), (1, 1, 0, 0)]
    assert query("MATCH (u:User)<-[r:DM_YES]-() RETURN count(DISTINCT u) AS users, count(r) AS n") == [
        {"users": 6, "n": 6}
    ]
    assert broken(query) == []


def make(database: Database, number: int) -> list[str]:
    """Add ten buckets' worth of users and put them into buckets; returns their names."""
    names = [f"made{number:04}x{i}" for i in range(50)]
    users.add(database, [User(name, None) for name in names])
    make_buckets.run(database)
    return names


def fetch(database: Database, number: int) -> tuple[str, list[str]]:
    """Fetch a bucket; returns its lease and the users' names."""
    [lease] = leases.fetch(database, 1, 1, f"request {number}")
    return lease.lease, [user.screen_name for user in lease.users]


def fetch_and_submit(database: Database, number: int) -> list[str]:
    """Fetch a bucket and answer it; returns the users' names."""
    [lease] = leases.fetch(database, 2, 1, f"request {number}")
    [report] = submit(database, 2, [answers(lease)])
    assert (report.status, report.accepted) == ("done", len(lease.users))
    return [user.screen_name for user in lease.users]


@contextmanager
def at_work(settings: Settings, step: Step, log: Path) -> Iterator[Callable[[], list[Any]]]:
    """A process that takes one step after the other until the block ends; yields what tells the acknowledged ones."""
    log.touch()
    context = multiprocessing.get_context("spawn")
    enough = context.Event()
    process = context.Process(target=_work, args=(settings, step, log, enough), daemon=True)
    process.start()

    def acknowledged() -> list[Any]:
        assert process.exitcode in (None, 0), "the work broke off; its error is on stderr"
        return [json.loads(line) for line in log.read_text().splitlines() if line]

    try:
        yield acknowledged
        enough.set()
        process.join(MAX_WAIT_SECONDS)
        assert process.exitcode == 0
    finally:
        process.kill()


def crash(settings: Settings, acknowledged: Sequence[Callable[[], list[Any]]]) -> None:
    """Kill the server in the middle of the work, at a random moment; returns when all the work goes on."""
    wait_until(lambda: all(len(one()) >= ENOUGH for one in acknowledged))
    time.sleep(random.uniform(0, 0.05))
    kill_server(settings)
    reached = [len(one()) for one in acknowledged]
    wait_until(lambda: all(len(one()) >= before + ENOUGH for one, before in zip(acknowledged, reached, strict=True)))


def kill_server(settings: Settings) -> int:
    """SIGKILL to the server; returns the pid it had."""
    running = server.find(settings)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    return running.pid


def _work(settings: Settings, step: Step, log: Path, enough: Event) -> None:
    with Database(settings, "tests") as database, log.open("a") as file:
        number = 0
        while not enough.is_set():
            try:
                outcome = step(database, number)
            except NothingToFetch:  # the other client has taken the rest
                time.sleep(0.05)
                continue
            file.write(json.dumps(outcome) + "\n")
            file.flush()
            number += 1
