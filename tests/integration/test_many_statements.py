"""More statements than the embedded server runs at once: they wait, and none is refused."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import neo4j
import pytest
from support.graphs import MAX_WAIT_SECONDS

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded.configuration import STATEMENTS

pytestmark = pytest.mark.skipif("NEO4J_TEST_URI" in os.environ, reason="that server has its own settings")

LONG = "UNWIND range(1, 100000) AS i RETURN sum(i) AS sum"


def test_as_many_as_are_planned_at_once_are_bounded(database: Database) -> None:
    """Those that wait find a plan: otherwise all clients that return after a restart would be planned for at once."""
    rows = database.run_text("SHOW SETTINGS YIELD name, value WHERE name STARTS WITH 'server.bolt.thread_pool_m'")
    assert {row["name"].rpartition("pool_")[2]: row["value"] for row in rows} == {
        "min_size": str(STATEMENTS),
        "max_size": str(STATEMENTS),
    }


def test_others_wait(neo4j_environment: dict[str, str]) -> None:
    """The driver itself, which does not repeat such a statement, sees no refusal."""
    count = 3 * STATEMENTS
    together = Barrier(count, timeout=MAX_WAIT_SECONDS)
    account = (neo4j_environment["NEO4J_USERNAME"], neo4j_environment["NEO4J_PASSWORD"])

    def ask(driver: neo4j.Driver) -> int:
        with driver.session() as session:
            session.run("RETURN 1").consume()
            together.wait()
            return int(session.run(LONG).single(strict=True)["sum"])

    with (
        neo4j.GraphDatabase.driver(neo4j_environment["NEO4J_URI"], auth=account) as driver,
        ThreadPoolExecutor(count) as threads,
    ):
        assert list(threads.map(ask, [driver] * count)) == [5000050000] * count
