"""What is kept from one statement to the next, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from proofs.proxy import BLACK_HOLE, BLACK_HOLE_AFTER, Proxy, always
from support.graphs import MAX_WAIT_SECONDS

from dmcheck_cli import cypher
from dmcheck_cli.database.address import read
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.errors import DatabaseRefused, Temporary


class _Told(Database):
    """Notes what each statement is told."""

    told: dict[str, Any]

    def run_text(self, text: str, /, *, patience: float | None = None, **parameters: Any) -> list[dict[str, Any]]:
        self.told = parameters
        return super().run_text(text, patience=patience, **parameters)


@pytest.fixture
def own(database: Database) -> Iterator[_Told]:
    """A connection that no other test has used."""
    with _Told(database.settings, "tests") as own:
        yield own


def _connection(database: Database) -> str:
    [row] = database.run_text(
        "SHOW TRANSACTIONS YIELD connectionId, currentQuery WHERE currentQuery CONTAINS $mark RETURN connectionId",
        mark="SHOW TRANSACTIONS YIELD connectionId",
    )
    return str(row["connectionId"])


def test_one_thread_and_one_connection_serve_all_statements(own: Database) -> None:
    """The first statement opens them; a refused one costs neither."""
    first = _connection(own)
    threads = set(threading.enumerate())
    with pytest.raises(DatabaseRefused):
        own.run_text("WITH {a: 'text'} AS a RETURN a.a * 2")
    assert _connection(own) == first
    assert set(threading.enumerate()) == threads


def test_a_closed_database_leaves_no_thread_and_opens_again(own: Database) -> None:
    """As the worker's does while there is nothing to do."""
    before = set(threading.enumerate())
    assert own.run_text("RETURN 1 AS one") == [{"one": 1}]
    started = set(threading.enumerate()) - before
    own.close()
    for thread in started:
        thread.join(MAX_WAIT_SECONDS)
        assert not thread.is_alive()
    assert own.run_text("RETURN 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("silence", [BLACK_HOLE, BLACK_HOLE_AFTER])
def test_after_a_silence_the_next_call_has_a_connection_of_its_own(database: Database, silence: str) -> None:
    """The silent one is left behind, and closed once it ends; neither the next call nor the end waits for it."""
    port = read(str(database.settings.neo4j_uri)).port
    before = set(threading.enumerate())
    with Proxy(port, always(silence, times=1)) as proxy:
        settings = replace(database.settings, neo4j_uri=proxy.uri)
        with Database(settings, "tests") as other:
            with pytest.raises(Temporary, match="it may have taken effect or not"):
                other.run_text("RETURN 1 AS one", patience=2)
            assert other.run_text("RETURN 1 AS one") == [{"one": 1}]
    for thread in set(threading.enumerate()) - before:
        thread.join(MAX_WAIT_SECONDS)
        assert not thread.is_alive()


def test_each_statement_is_told_the_limits_and_the_version(own: _Told) -> None:
    """Those limits that it names. A text gets its own parameters alone, and what is passed has the last word."""
    own.run("plan_buckets")
    limits = {
        "default_priority": DEFAULTS.default_priority,
        "min_buckets_per_client": DEFAULTS.min_buckets_per_client,
        "taken_seconds": DEFAULTS.taken_seconds,
        "buckets_per_client": own.settings.buckets_per_client,
    }
    assert own.told == {"limits": limits, "schema": cypher.SCHEMA, "repeated": False}
    own.run("count_users", repeated=True, more=1)
    assert own.told == {"limits": {}, "schema": cypher.SCHEMA, "repeated": True, "more": 1}
    own.run_text("RETURN 1", more=1)
    assert own.told == {"more": 1}
