"""`schema apply` ends in a sound schema or names what helps, whatever it finds and whatever else builds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.graphs import commands_together, start, transactions, wait_until
from support.invariants import Query
from support.programs import Result, at_home, outside

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import process, server
from dmcheck_cli.errors import DatabaseRefused, Temporary
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema

INDEX = "SHOW INDEXES YIELD name, type, state, owningConstraint AS owner WHERE name = $name RETURN type, state, owner"

OURS_BY_NAME = frozenset(statement.split()[2] for statement in schema.statements())


@pytest.fixture
def bare(query: Query, database: Database) -> Iterator[Query]:
    """The test database without any constraint or index; with ours again in the end."""
    _strip(query)
    yield query
    query("MATCH (n) DETACH DELETE n")
    _strip(query, but=() if schema.obstacles(database) else OURS_BY_NAME)
    schema.apply(database)


def _strip(query: Query, but: Collection[str] = ()) -> None:
    for kind, listing in (
        ("CONSTRAINT", "SHOW CONSTRAINTS YIELD name"),
        ("INDEX", "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'"),
    ):
        for row in query(listing):
            if row["name"] not in but:
                name = row["name"].replace("`", "``")
                query(f"DROP {kind} `{name}` IF EXISTS")


LEFT_BEHIND = "CREATE INDEX dmcheck_user_name FOR (n:User) ON (n.screen_name)"
"""As by a killed server."""

WRONG_BUT_OURS = {
    "of the wrong kind": {
        "dmcheck_user_name": LEFT_BEHIND,
        "dmcheck_lease_end": "CREATE TEXT INDEX dmcheck_lease_end FOR (n:DMCheckLease) ON (n.ended)",
        "dmcheck_client_id": "CREATE POINT INDEX dmcheck_client_id FOR (n:DMCheckClient) ON (n.id)",
    },
    "on something else": {
        "dmcheck_line": "CREATE INDEX dmcheck_line FOR (n:DMCheckBucket) ON (n.place, n.priority)",
        "dmcheck_job_name": "CREATE INDEX dmcheck_job_name FOR ()-[r:DMCheckJob]-() ON (r.name)",
        "dmcheck_user_name": "CREATE FULLTEXT INDEX dmcheck_user_name FOR (n:User|Tweet) ON EACH [n.screen_name]",
        "dmcheck_lease_end": "CREATE INDEX dmcheck_lease_end FOR (n:DMCheckLease) ON (n.bucket)",
    },
}


@pytest.mark.parametrize("kind", WRONG_BUT_OURS)
def test_what_bears_our_name_is_replaced(bare: Query, database: Database, kind: str) -> None:
    """Indexes of our names, but not what we need, satisfy nothing: they are missing, and made again."""
    wrong = WRONG_BUT_OURS[kind]
    for statement in wrong.values():
        bare(statement)

    assert set(wrong) <= {statement.split()[2] for statement in schema.missing(database)}
    assert schema.obstacles(database) == []
    assert set(wrong) <= set(schema.apply(database))

    assert schema.missing(database) == []
    for name in wrong:
        [found] = bare(INDEX, name=name)
        assert (found["type"], found["state"]) == ("RANGE", "ONLINE")
    assert schema.apply(database) == []


OF_ANOTHER_KIND = (
    "CREATE TEXT INDEX other0 FOR (n:User) ON (n.screen_name)",
    "CREATE FULLTEXT INDEX other1 FOR (n:User|Tweet) ON EACH [n.screen_name]",
    "CREATE CONSTRAINT other2 FOR ()-[r:User]-() REQUIRE r.screen_name IS UNIQUE",
    "CREATE CONSTRAINT other3 FOR (n:User) REQUIRE (n.screen_name, n.id) IS UNIQUE",
)


def test_what_is_of_another_kind_satisfies_nothing_and_stays(bare: Query, database: Database) -> None:
    """Others' indexes of another kind, on another type or on more properties are no substitute, and none of ours."""
    for statement in OF_ANOTHER_KIND:
        bare(statement)

    assert "dmcheck_user_name" in schema.apply(database)

    assert schema.missing(database) == []
    for number in range(len(OF_ANOTHER_KIND)):
        assert len(bare(INDEX, name=f"other{number}")) == 1


def test_a_constraint_of_another_name_will_do(bare: Query, database: Database) -> None:
    """Anyone who made the same constraint under another name has done our work."""
    bare("CREATE CONSTRAINT theirs FOR (u:User) REQUIRE u.screen_name IS UNIQUE")
    assert "dmcheck_user_name" not in schema.apply(database)
    assert schema.missing(database) == []


THEIRS = {
    "a plain index": (
        "CREATE INDEX tweets_user FOR (u:User) ON (u.screen_name)",
        "DROP INDEX tweets_user",
    ),
    "a name that needs quotes": (
        "CREATE INDEX `tweets ``user` FOR (u:User) ON (u.screen_name)",
        "DROP INDEX `tweets ``user`",
    ),
    "a constraint of our name": (
        "CREATE CONSTRAINT dmcheck_user_name FOR (t:Tweet) REQUIRE t.screen_name IS UNIQUE",
        "DROP CONSTRAINT dmcheck_user_name",
    ),
    "a constraint of our name on relationships": (
        "CREATE CONSTRAINT dmcheck_lease_end FOR ()-[r:R]-() REQUIRE r.x IS UNIQUE",
        "DROP CONSTRAINT dmcheck_lease_end",
    ),
}


@pytest.mark.parametrize("kind", THEIRS)
def test_what_others_put_there_is_named_with_its_remedy(
    bare: Query, database: Database, run: Callable[..., Result], kind: str
) -> None:
    """It is theirs to drop: `schema apply` refuses and names the statement, which helps as it is printed."""
    statement, remedy = THEIRS[kind]
    bare(statement)
    bare("CALL db.awaitIndexes(60)")

    done = run("schema", "apply", "--json")

    assert done.status == 1
    error = json.loads(done.err)["error"]
    assert error["code"] == "database_refused"
    assert remedy in error["message"]
    [(what, named)] = schema.obstacles(database)
    assert named == remedy
    assert what in error["message"]
    bare(remedy)
    schema.apply(database)
    assert schema.missing(database) == []


def test_two_nodes_of_one_key_end_it_at_once(bare: Query, run: Callable[..., Result]) -> None:
    """The graph contradicts a constraint: refused, in one line, with the key and both nodes, not after an hour."""
    bare("CREATE (:DMCheckBucket {uuid: '4711'}), (:DMCheckBucket {uuid: '4711'})")

    done = run("schema", "apply")

    assert done.status == 1
    assert len(done.err.splitlines()) == 1
    assert "4711" in done.err
    assert done.err.count("Node(") == 2


def test_a_value_that_no_index_takes_is_named(bare: Query, database: Database) -> None:
    """What makes an index fail each time is told after a few tries, in the server's words."""
    bare("CREATE (:DMCheckLease {bucket: reduce(text = '', i IN range(1, 40000) | text + 'x')})")
    with pytest.raises(DatabaseRefused):
        schema.apply(database)


def test_a_lock_that_is_not_to_be_had_ends_it_in_time(
    bare: Query, database: Database, environment: dict[str, str]
) -> None:
    """Another program's open transaction: 75 with its name, told meanwhile; afterwards a repeat succeeds, and nothing
    of the attempt is left to stand in others' way."""
    told: list[str] = []
    with (
        Database(replace(database.settings, timeout_seconds=7), "schema apply") as impatient,
        transactions(environment) as [importer],
    ):
        importer.run("CREATE (:User {screen_name: 'importer'})").consume()
        with pytest.raises(Temporary, match=r"waiting for the locks of \S+-transaction-\d+ \(from .*repeat"):
            schema.apply(impatient, told.append)
        left = bare("SHOW TRANSACTIONS YIELD metaData WHERE metaData.builds IS NOT NULL RETURN metaData")
        assert left == []
    assert any("waiting for the locks of" in text for text in told)
    assert "dmcheck_user_name" in schema.apply(database)


def test_a_lock_that_is_had_in_the_end_is_waited_for(
    bare: Query, database: Database, environment: dict[str, str]
) -> None:
    """A transaction that ends within the limit costs only the wait."""
    with transactions(environment) as [importer]:
        importer.run("CREATE (:User {screen_name: 'importer'})").consume()
        ending = threading.Timer(3, importer.rollback)
        ending.start()
        with Database(replace(database.settings, timeout_seconds=120), "schema apply") as patient:
            assert "dmcheck_user_name" in schema.apply(patient)
        ending.join()


def test_ten_at_the_same_moment(bare: Query, environment: dict[str, str]) -> None:
    """Ten `schema apply` on one server, twice: all succeed, and the schema is sound. The second time, they find what a
    killed server left."""
    constraints = sum(one.startswith("CREATE CONSTRAINT") for one in schema.statements())
    for number in range(2):
        _strip(bare)
        if number > 0:
            bare(LEFT_BEHIND)
        outcomes = commands_together(environment, [["schema", "apply", "--json"]] * 10)
        assert [(status, err) for status, _, err in outcomes if status] == []
        assert bare("SHOW INDEXES YIELD state, type WHERE type <> 'LOOKUP' AND state <> 'ONLINE' RETURN state") == []
        assert bare("SHOW CONSTRAINTS YIELD name RETURN count(*) AS n") == [{"n": constraints}]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Settings]:
    """An embedded home of its own."""
    settings = at_home(tmp_path / "home", timeout_seconds=120)
    yield settings
    server.stop(settings)


def _environment(settings: Settings) -> dict[str, str]:
    return {**outside(), "DMCHECK_HOME": str(settings.home), "DMCHECK_TIMEOUT_SECONDS": "120"}


def test_ten_first_commands_on_an_empty_home_and_a_server_that_was_killed_while_it_built(home: Settings) -> None:
    """Ten programs that meet the empty embedded database at the same moment all succeed. The index that a killed server
    leaves behind stands still for ever; repeating `schema apply` gets rid of it."""
    running = server.ensure_running(home, progress=False)
    commands = [["register", "--id", id, "--screen-name", f"client{id}", "--json"] for id in range(1, 11)]
    outcomes = commands_together(_environment(home), commands)
    assert [(status, err) for status, _, err in outcomes if status] == []

    with Database(home, "tests") as database:
        _strip(database.run_text)
        database.run_text(
            "UNWIND range(1, 200000) AS i CALL (i) { CREATE (:User {screen_name: 'user' + toString(i * 7919)}) } "
            "IN TRANSACTIONS OF 20000 ROWS",
            patience=600,
        )
        with start(_environment(home), "schema", "apply") as building:
            wait_until(lambda: _state(database) is not None)
            process.kill(running.pid)
            building.kill()
    with Database(home, "tests") as database:
        server.ensure_running(home, progress=False)
        assert _state(database)["owner"] is None  # else this would prove nothing
        assert "dmcheck_user_name" in schema.apply(database)
        assert schema.missing(database) == []
        assert _state(database)["owner"] == "dmcheck_user_name"


def _state(database: Database) -> Any:
    return next(iter(database.run_text(INDEX, name="dmcheck_user_name")), None)
