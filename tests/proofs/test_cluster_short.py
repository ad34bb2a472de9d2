"""Through neo4j://, as a cluster looks to the driver: once or not at all, in time, and never an old state."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest
from neo4j.exceptions import TransientError
from proofs import cluster, kills, network, router
from proofs.proxy import PASS, always
from support.graphs import answered
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DatabaseRefused, Temporary


@pytest.fixture
def members(database: Database) -> Iterator[router.Cluster]:
    """A cluster in which nothing happens by itself."""
    with router.Cluster(network.port_of(database.settings), lambda occasion: PASS) as members:
        yield members


def through(members: router.Cluster, database: Database, seconds: int = 20) -> Database:
    """A client of that cluster."""
    return Database(replace(database.settings, neo4j_uri=members.uri, timeout_seconds=seconds), "tests")


def test_what_is_repeated_in_a_cluster_is_done_once_or_not_at_all(database: Database, tmp_path: Path) -> None:
    """Volunteers while leaders move before, during and after their transactions, lag, and addresses go: what they were
    told agrees with the graph, and nothing is counted twice."""
    cluster.through_transactions(database.settings, tmp_path, 60).check()


def test_commands_end_in_their_time_in_a_cluster_and_may_be_repeated(
    database: Database, environment: dict[str, str]
) -> None:
    """submit, while after each of its commits another member leads, or the leader is gone: it ends in time, with 0 or
    75, and may be repeated."""
    faults = (router.MOVED_AFTER, router.DROPPED_AFTER)
    cluster.through_commands(database.settings, environment, kills.SCENARIOS[1:2], faults).check()


def test_no_command_reads_from_a_member_that_lags(
    members: router.Cluster, database: Database, direct: Callable[..., Result]
) -> None:
    """Both readers show an old graph: what another process wrote is seen all the same, and nobody asks them."""
    members.lag(0, 2)

    def run(*arguments: object, program: str = "dmcheck", stdin: str = "") -> str:
        result = direct(*arguments, program=program, stdin=stdin, NEO4J_URI=members.uri)
        assert result.status == 0, result.err
        return result.out

    run("users", "add", stdin="one\ntwo\n")
    run("register", "--id", 1, "--screen-name", "volunteer")
    run(program="make_buckets")
    held = json.loads(run("fetch", "--client", 1, "--json"))
    assert json.loads(run("fetch", "--client", 1, "--resume", "--json"))["buckets"] == held["buckets"]
    run("submit", "--client", 1, stdin=answered(held, "NON_DM"))
    assert "NON_DM" in run("users", "show", "one")
    assert json.loads(run("stats", "--json"))["system"]["users_checked"] == 2
    assert members.served[0] == members.served[2] == 0


def test_what_the_reads_above_would_have_seen(members: router.Cluster, database: Database) -> None:
    """A reader that lags shows an old graph, unless it is given a bookmark: it waits for that, or gives up."""
    database.run_text("CREATE (:User {screen_name: 'new'})")
    auth = (database.settings.neo4j_username, database.settings.neo4j_password or "")
    with neo4j.GraphDatabase.driver(members.uri, auth=auth) as driver:

        def seen(bookmarks: neo4j.Bookmarks | None = None) -> list[str]:
            with driver.session(default_access_mode=neo4j.READ_ACCESS, bookmarks=bookmarks) as session:
                return session.run("MATCH (u:User) RETURN u.screen_name AS name").value()

        with driver.session() as session:
            session.run("RETURN 1").consume()
            bookmarks = session.last_bookmarks()
        members.lag(0, 2)
        assert seen() == []
        with pytest.raises(TransientError, match="bookmark"):
            seen(bookmarks)
        threading.Timer(router.BOOKMARK_SECONDS / 3, members.catch_up).start()
        assert seen(bookmarks) == ["new"]


def test_a_client_sees_what_it_wrote_after_a_failure(members: router.Cluster, database: Database) -> None:
    """A statement fails; the leader lags, as one just elected may: the client waits for what it wrote. When that never
    comes, as after a backup was put back, its next command does without."""
    with through(members, database, seconds=3) as client:
        client.run_text("CREATE (:User {screen_name: 'mine'})")
        with pytest.raises(DatabaseRefused):
            client.run_text("RETURN 1 / 0")
        members.lag(1)
        threading.Timer(router.BOOKMARK_SECONDS * 2, members.catch_up).start()
        assert client.run_text("MATCH (u:User) RETURN u.screen_name AS name") == [{"name": "mine"}]
        members.lag(1)
        with pytest.raises(Temporary):
            client.run_text("RETURN 1 AS one")
        client.run_text("RETURN 1 AS one")


@pytest.mark.parametrize("fault", [router.MOVED, router.MOVED_DURING, router.MOVED_AFTER, router.ELECTION])
def test_a_former_leader_is_not_asked_again(fault: str, database: Database) -> None:
    """However often another member leads, a client finds it at once: not when its routing table is too old."""
    with router.Cluster(network.port_of(database.settings), always(fault, 3)) as members:
        with through(members, database) as client:
            for _ in range(4):
                client.run_text("MERGE (u:User {screen_name: 'one'}) SET u.id = 1 RETURN 1 AS one")
        assert members.fired[fault] == 3
        assert members.fired[router.REFUSED] <= 6


def test_what_is_said_when_nobody_leads_or_the_address_is_gone(
    members: router.Cluster, direct: Callable[..., Result]
) -> None:
    """75 within the time, and why; bolt:// at a member that does not lead is told what to write."""

    def refused(uri: str) -> str:
        # Long enough for an answer on a busy machine: without one, the message would be another.
        ended = direct("register", "--id", 1, "--screen-name", "one", NEO4J_URI=uri, DMCHECK_TIMEOUT_SECONDS="8")
        assert ended.status == 75
        assert "nothing was changed" in ended.err
        return ended.err

    assert "does not lead; neo4j:// finds" in refused(members.uri.replace("neo4j", "bolt", 1))
    members.leader = None
    assert "no member of the cluster leads" in refused(members.uri)
    members.absent[0] = router.DROPPED
    assert f"cannot reach Neo4j at {members.uri}" in refused(members.uri)
