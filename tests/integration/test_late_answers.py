"""A statement that the server takes and does not finish in time is given longer when it is run again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import neo4j
import pytest

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import Temporary

WRITE = "MATCH (n:Held {id: 1}) SET n.seen = true RETURN n.id AS id"


@pytest.fixture
def impatient(database: Database) -> Iterator[Database]:
    """Gives a statement one second; it would write to a node that another transaction can hold."""
    database.run_text("CREATE (:Held {id: 1})")
    with Database(replace(database.settings, timeout_seconds=1), "tests") as made:
        yield made


@contextmanager
def held(neo4j_environment: dict[str, str]) -> Iterator[None]:
    """Another transaction has the node's lock."""
    account = (neo4j_environment.get("NEO4J_USERNAME", "neo4j"), neo4j_environment["NEO4J_PASSWORD"])
    with (
        neo4j.GraphDatabase.driver(neo4j_environment["NEO4J_URI"], auth=account) as driver,
        driver.session() as session,
        session.begin_transaction() as holding,
    ):
        holding.run("MATCH (n:Held {id: 1}) SET n.held = true").consume()
        yield
        holding.rollback()


def limit(database: Database) -> int:
    """The seconds after which it gives up."""
    with pytest.raises(Temporary) as raised:
        database.run_text(WRITE)
    found = re.search(r"within (\d+) seconds", raised.value.message)
    assert found is not None, raised.value.message
    return int(found[1])


def test_it_is_given_up_to_three_times_as_long_until_it_succeeds(
    impatient: Database, neo4j_environment: dict[str, str]
) -> None:
    """Another statement keeps the usual limit, and so does this one once it has succeeded."""
    with held(neo4j_environment):
        assert [limit(impatient) for _ in range(4)] == [1, 2, 3, 3]
        assert impatient.run_text("RETURN 1 AS one") == [{"one": 1}]
        assert limit(impatient) == 3
    # A statement that was given up is ended by the server, at the same moment or a little later.
    assert impatient.run_text(WRITE, patience=60) == [{"id": 1}]
    with held(neo4j_environment):
        assert limit(impatient) == 1


def test_what_was_never_sent_is_given_no_longer(database: Database) -> None:
    """Nobody listens there, so the server has nothing of it that would be lost."""
    settings = replace(database.settings, neo4j_uri="bolt://127.0.0.1:1", timeout_seconds=1)
    with Database(settings, "tests") as unreachable:
        assert [limit(unreachable) for _ in range(2)] == [1, 1]
