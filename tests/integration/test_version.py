"""The version of the graph: what writes does so on its own version only, and upgrades wait for who began before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from support.cases import CASES, make_world
from support.graphs import (
    MAX_WAIT_SECONDS,
    picture,
    prepare,
    start,
    together,
    transactions,
    wait_until,
    wait_until_blocked,
)
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import DmcheckError, Temporary, UpgradeNeeded
from dmcheck_cli.transactions import clients, schema, users
from dmcheck_cli.transactions.leases import fetch

GRAPH = "MATCH (graph:DMCheckSchema) "
OTHER_VERSIONS = {
    "none": GRAPH + "DELETE graph",
    "older": GRAPH + f"SET graph.version = {cypher.SCHEMA - 1}",
    "newer": GRAPH + f"SET graph.version = {cypher.SCHEMA + 1}",
    "being upgraded": GRAPH + f"SET graph.upgrading = {cypher.SCHEMA} REMOVE graph.version",
    "being upgraded beyond ours": GRAPH + f"SET graph.upgrading = {cypher.SCHEMA + 1} REMOVE graph.version",
}
CHECKING = [name for name in CASES if cypher.text(name).startswith(cypher.text("_graph"))]


def version(query: Query) -> Any:
    """Of which version the graph is; None: of none."""
    return query("OPTIONAL MATCH (graph:DMCheckSchema) RETURN graph.version AS version")[0]["version"]


@pytest.mark.parametrize("state", OTHER_VERSIONS.values(), ids=OTHER_VERSIONS)
def test_no_statement_writes_on_another_version(database: Database, query: Query, state: str) -> None:
    """Each would find something to do; it gives no row, and the graph stays as it is."""
    world = make_world(database)
    for name in CHECKING:
        if CASES[name].before:
            query(CASES[name].before)
    query(state)
    before = picture(query)
    assert len(CHECKING) > 20
    assert [name for name in CHECKING if database.run(name, **CASES[name].parameters(world))] == []
    assert picture(query) == before


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ("none", UpgradeNeeded, "is of schema version 0, .* `dmcheck schema apply`"),
        ("older", UpgradeNeeded, f"is of schema version {cypher.SCHEMA - 1}, .* `dmcheck schema apply`"),
        ("newer", UpgradeNeeded, f"is of schema version {cypher.SCHEMA + 1}, .* upgrade dmcheck"),
        ("being upgraded beyond ours", UpgradeNeeded, f"is of schema version {cypher.SCHEMA + 1}, .* upgrade dmcheck"),
        ("being upgraded", Temporary, f"is being upgraded to schema version {cypher.SCHEMA}"),
    ],
)
def test_what_a_client_is_told(
    database: Database, query: Query, run: Callable[..., Result], state: str, kind: type[DmcheckError], says: str
) -> None:
    """Which of the two is to be upgraded, and how; by the functions of transactions/ and by the command."""
    prepare(database, [1], 5, size=5)
    query(OTHER_VERSIONS[state])
    before = picture(query)
    with pytest.raises(kind, match=says):
        schema.write(database, "fetch_buckets", client=1, request="k", count=1, release="0.3.0")
    with pytest.raises(kind, match=says):
        clients.register(database, 2, "client2")
    ended = run("fetch", "--client", 1, "--json")
    assert (ended.status, ended.error["code"]) == (kind.exit_status, kind.code)
    assert kind is not UpgradeNeeded or ended.status == 4
    assert picture(query) == before


def test_an_older_schema_apply_leaves_a_newer_graph_alone(database: Database, query: Query) -> None:
    """Whether it is of that version, or on the way there."""
    for state in ("newer", "being upgraded beyond ours"):
        query(OTHER_VERSIONS[state])
        before = picture(query)
        with pytest.raises(UpgradeNeeded):
            schema.apply(database)
        assert picture(query) == before


@pytest.mark.parametrize("write", [lambda it: clients.register(it, 1, "one"), lambda it: users.add(it, [User("b", 1)])])
def test_a_graph_that_holds_users_only_is_equipped_by_the_first_write(
    database: Database, query: Query, write: Callable[[Database], Any]
) -> None:
    """Nothing of ours could contradict our version; its constraints and indexes are there."""
    query(OTHER_VERSIONS["none"])
    query("CREATE (:User {screen_name: 'a'})")
    assert write(database)
    assert version(query) == cypher.SCHEMA
    assert broken(query) == []


class Noting(Database):
    """Keeps the names of the statements that it has run."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ran: list[str] = []

    def run(self, statement: str, /, **parameters: Any) -> Any:
        rows = super().run(statement, **parameters)
        self.ran.append(statement)
        return rows


def document(leases: list[Lease]) -> str:
    """What a checker hands to `submit`."""
    buckets = [asdict(lease) for lease in leases]
    for bucket in buckets:
        bucket["users"] = [{**user, "candm": "DM"} for user in bucket["users"]]
    return json.dumps({"buckets": buckets})


@contextmanager
def locked_out(rival: Any) -> Iterator[None]:
    """The transaction `rival` holds the lock of client 1 before the block begins."""
    rival.run("MATCH (c:DMCheckClient {id: 1}) SET c.id = c.id").consume()
    yield


def test_who_began_before_an_upgrade_is_waited_for(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """A submit that waits for a lock has seen the version before: no step of the upgrade begins until it has ended, and
    its answers are there afterwards."""
    prepare(database, [1], 6, size=3)
    held = fetch(database, 1, 2, "k")
    with (
        transactions(environment) as [rival],
        Noting(database.settings, "upgrade") as upgrading,
        ThreadPoolExecutor(1) as pool,
        locked_out(rival),
        start(environment, "submit", "--client", 1, stdin=document(held)) as client,
    ):
        wait_until_blocked(query, "submit")
        query(OTHER_VERSIONS["older"])
        upgrade = pool.submit(schema.apply, upgrading)
        wait_until(lambda: upgrade.done() or upgrading.ran.count("show_transactions") > 3)
        assert upgrading.ran[-1] == "show_transactions"
        assert version(query) is None
        rival.commit()
        assert client.wait(MAX_WAIT_SECONDS) == 0
        assert upgrade.result(MAX_WAIT_SECONDS) == [f"version {cypher.SCHEMA}"]
    assert version(query) == cypher.SCHEMA
    assert query("MATCH ()-[:DM_YES]->(u) RETURN count(u) AS answers") == [{"answers": 6}]
    assert query("MATCH (l:DMCheckLease) RETURN DISTINCT l.how AS how") == [{"how": "answered"}]
    assert broken(query) == []


def test_who_began_before_a_newer_version_ends_as_it_would_have(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """Its answers are there when the newer release goes on with its upgrade; the next one is refused."""
    prepare(database, [1], 6, size=3)
    one, other = fetch(database, 1, 2, "k")
    with (
        transactions(environment) as [rival],
        locked_out(rival),
        start(environment, "submit", "--client", 1, stdin=document([one])) as client,
    ):
        wait_until_blocked(query, "submit")
        assert database.run("begin_upgrade", step=cypher.SCHEMA + 1)
        rival.commit()
        assert client.wait(MAX_WAIT_SECONDS) == 0
    assert query("MATCH ()-[:DM_YES]->(u) RETURN count(u) AS answers") == [{"answers": 3}]
    with start(environment, "submit", "--client", 1, stdin=document([other])) as client:
        assert client.wait(MAX_WAIT_SECONDS) == 4
    assert database.run("finish_upgrade", step=cypher.SCHEMA + 1)
    assert version(query) == cypher.SCHEMA + 1
    assert query("MATCH ()-[:DM_YES]->(u) RETURN count(u) AS answers") == [{"answers": 3}]
    assert broken(query) == []


# What the processes of the races do.


def step_one(database: Database, number: int) -> bool:
    """Begin the first step of an upgrade, finish it in the second round; returns whether this process did."""
    return bool(database.run(("begin_upgrade", "finish_upgrade")[number], step=1))


def upgrade_by(statement: str, database: Database, number: int) -> int:
    """Run one statement of the upgrade; returns how many nodes it changed."""
    [row] = database.run(statement, step=1)
    return int(row["upgraded"])


def test_several_begin_and_one_finishes(database: Database, query: Query) -> None:
    """Also where there was no version at all, which each of them would create."""
    query(OTHER_VERSIONS["none"])
    begun, finished = together(database.settings, [step_one] * 4, 2)
    assert begun == [True] * 4
    assert sorted(finished) == [False, False, False, True]
    assert query("MATCH (graph:DMCheckSchema) RETURN graph.version AS version, graph.upgrading AS upgrading") == [
        {"version": 1, "upgrading": None}
    ]


@pytest.mark.parametrize(
    ("statement", "changed"),
    [("upgrade_1_buckets", 7), ("upgrade_1_leases", 1), ("upgrade_1_clients", 3), ("upgrade_1_strays", 1)],
)
def test_each_node_is_upgraded_once(database: Database, query: Query, statement: str, changed: int) -> None:
    """Anyone who waits for a lock looks again whether there is still something to change."""
    make_world(database)
    query(CASES[statement].before)
    first, second = together(database.settings, [partial(upgrade_by, statement)] * 4, 2)
    assert (sum(first), sum(second)) == (changed, 0)
    assert broken(query) == []


def test_the_database_knows_the_name_by_which_statements_lock(database: Database, query: Query) -> None:
    """`REMOVE x.lock` locks only where some property has that name: the node that says the version has it."""
    query(GRAPH + "DELETE graph")
    schema.apply(database)
    assert query(GRAPH + "RETURN graph.lock AS lock") == [{"lock": True}]


def test_the_lock_makes_others_wait(environment: dict[str, str], database: Database, query: Query) -> None:
    """While somebody holds the lock of a client, a fetch for it waits, and leaves nothing of the lock behind."""
    prepare(database, [1], 10, size=10)
    with transactions(environment) as [holder]:
        holder.run("MATCH (c:DMCheckClient {id: 1}) REMOVE c.lock").consume()
        with start(environment, "fetch", "--client", 1, "--json") as fetching:
            wait_until_blocked(query, "fetch")
            holder.commit()
            out, _ = fetching.communicate(timeout=MAX_WAIT_SECONDS)
    assert len(json.loads(out)["buckets"]) == 1
    assert query("MATCH (n) WHERE n.lock IS NOT NULL RETURN labels(n) AS labels") == [{"labels": ["DMCheckSchema"]}]
