"""How the database would run each statement: through indexes, and never by reading all users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import neo4j
import pytest
from support.cases import CASES, OURS, World
from support.graphs import answers, prepare

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch

SOME = Lease("b", "l", 100, None, [User("user00001", 1), User("user00002", 2)])
WORLD = World(dead=SOME, expired=SOME, held=SOME, ended=SOME, checked="user00001", waiting="user00002")

NAMES = cypher.names()

READING_ALL_LEASES = ("upgrade_1_leases", "correct_other_times", "delete_client", "delete_users", "show_version")
"""Of `schema apply`, and of what an operator seldom deletes; the last one ends at the first lease."""

# Where a client waits: every place that these statements begin at must be found in an index.
BY_INDEX_ONLY = (
    "fetch_buckets",
    "held_leases",
    "renew_lease",
    "submit_answers",
    "release_lease",
    "unregister_client",
    "scan_users",
    "add_users",
    "find_users",
    "name_users",
    "delete_users",
)


@pytest.fixture(scope="module")
def session(neo4j_environment: dict[str, str]) -> Iterator[neo4j.Session]:
    """A session of the driver itself, which also tells plans and columns."""
    account = (neo4j_environment.get("NEO4J_USERNAME", "neo4j"), neo4j_environment["NEO4J_PASSWORD"])
    with neo4j.GraphDatabase.driver(neo4j_environment["NEO4J_URI"], auth=account) as driver, driver.session() as opened:
        yield opened


def explain(session: neo4j.Session, name: str) -> neo4j.Result:
    """What the database says of a statement without running it."""
    parameters = OURS | CASES[name].parameters(WORLD)
    return session.run(f"EXPLAIN {cypher.text(name)}", parameters)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plans(connection: Database, session: neo4j.Session) -> dict[str, Any]:
    """The plan of each statement, over a graph with several thousand users, some checked, some leased."""
    connection.run_text(
        "MATCH (n) WHERE NOT n:DMCheckSchema CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS", patience=300
    )
    prepare(connection, range(1, 6), 6_000, size=100)
    for id in (1, 2):
        held = fetch(connection, id, 10, "k")
        submit(connection, id, [answers(lease) for lease in held[:5]])
    connection.run_text("CALL db.prepareForReplanning(60)")
    connection.run_text("CALL db.clearQueryCaches()")  # plans that other tests made on little graphs
    return {name: explain(session, name).consume().plan for name in NAMES}


def operators(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each operator of a plan, without the runtime's suffix, with its details."""
    yield plan["operatorType"].split("@")[0], plan["args"].get("Details", "")
    for child in plan.get("children", []):
        yield from operators(child)


@pytest.mark.parametrize("name", NAMES)
def test_the_user_base_is_never_read_whole(plans: dict[str, Any], name: str) -> None:
    """No statement reads all nodes, all users by their label, or the whole index of their names. That of the few users
    who are set aside may be read whole."""
    found = list(operators(plans[name]))
    assert found
    for operator, details in found:
        assert "AllNodesScan" not in operator
        if "LabelScan" in operator or operator in {"NodeIndexScan", "NodeUniqueIndexScan"}:
            assert ":User" not in details or ":User(dmcheck_aside)" in details, f"{operator} {details}"
        assert "RelationshipTypeScan" not in operator or not re.search("DM_|INDMCHECK", details), (
            f"{operator} {details}"
        )


@pytest.mark.parametrize("name", BY_INDEX_ONLY)
def test_what_clients_wait_for_begins_at_indexes(plans: dict[str, Any], name: str) -> None:
    """Clients, buckets, leases and users are found by index, not by going through all of their kind."""
    found = list(operators(plans[name]))
    assert [operator for operator, _ in found if "IndexSeek" in operator]
    for operator, details in found:
        # The head of the line: the index on (priority, place) in its own order; one entry is read.
        head = name == "fetch_buckets" and operator == "NodeIndexScan" and "(priority, place)" in details
        receipts = name == "delete_users" and details == "l:DMCheckLease"  # nothing leads from a name to them
        assert "Scan" not in operator or head or receipts, f"{operator} {details}"


def test_fetch_reads_the_line_in_the_order_of_its_index(plans: dict[str, Any]) -> None:
    """Finding the most urgent buckets sorts nothing but what it picked: the cost does not grow with the line."""
    found = list(operators(plans["fetch_buckets"]))
    assert sum("DMCheckBucket(priority, place)" in details for _, details in found) == 2  # the pick, and the rest
    assert not [details for operator, details in found if "Top" in operator and "b.priority" in details]


def test_register_reads_no_more_than_clients(plans: dict[str, Any]) -> None:
    """A registration looks the client up by its id, and counts recent ones among clients only."""
    found = list(operators(plans["register_client"]))
    assert any("IndexSeek" in operator and "DMCheckClient(id)" in details for operator, details in found)
    assert all("DMCheckClient" in details for operator, details in found if "Scan" in operator)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in READING_ALL_LEASES])
def test_leases_are_found_by_index(plans: dict[str, Any], name: str) -> None:
    """Nothing that runs again and again goes through all leases that were ever given."""
    for operator, details in operators(plans[name]):
        assert "DMCheckLease" not in details or "Scan" not in operator, f"{operator} {details}"


@pytest.mark.parametrize("name", ["ended_leases", "set_allowances", "forget_leases", "upgrade_1_strays"])
def test_jobs_find_leases_by_index(plans: dict[str, Any], name: str) -> None:
    """They begin at the leases, which they look up."""
    found = [(operator, details) for operator, details in operators(plans[name]) if "DMCheckLease" in details]
    assert found
    assert all("IndexSeek" in operator for operator, _ in found), found


@pytest.mark.parametrize("name", ["count_users", "show_stats"])
def test_users_are_counted_by_the_count_store(plans: dict[str, Any], name: str) -> None:
    """How many users there are is known without reading any."""
    assert ("NodeCountFromCountStore", True) in {
        (operator, ":User" in details) for operator, details in operators(plans[name])
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_returns_the_columns_of_its_header(session: neo4j.Session, connection: Database, name: str) -> None:
    """The header's Columns name every column that the statement gives."""
    columns = explain(session, name).keys()
    header = re.sub(r"\n//\s*", " ", cypher.source(name)).split("Columns:")[1].split("Repeating:")[0]
    assert all(re.search(rf"\b{column}\b", header) for column in columns)
    assert columns or "none" in header
