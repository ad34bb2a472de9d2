"""A graph that release 0.1.0 made: what is right after `schema apply`, and what 0.1.0 can still do to it then."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from releases import v0_1_0
from releases.v0_1_0 import graph as old
from releases.v0_1_0.graph import ANSWERING, DYING, EARNED, EARNING, FETCHING, GONE, PRIORITY, Graph
from support.graphs import Copied, answers, copied, counters, paste, picture, together
from support.invariants import broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.errors import UpgradeNeeded
from dmcheck_cli.transactions import clients, health, leases, schema, stats, users
from dmcheck_cli.transactions.answers import submit
from jobs import make_buckets, reclaim_leases

STATE = """
    OPTIONAL MATCH (graph:DMCheckSchema)
    OPTIONAL MATCH (old:DMCheckBucket) WHERE old.ready IS NOT NULL OR old.lease IS NOT NULL
    RETURN graph.version AS version, count(old) AS old"""


@pytest.fixture
def before(database: Database) -> Iterator[Graph]:
    """A graph of 0.1.0; afterwards the database has our constraints and indexes again."""
    try:
        yield old.make(database)
    finally:
        database.run_text("MATCH (n) DETACH DELETE n")
        schema.apply(database)


@pytest.fixture(scope="module")
def upgraded(connection: Database) -> tuple[Graph, Copied]:
    """One of 0.1.0, upgraded; every change of the schema has the server plan all statements again."""
    connection.run_text("MATCH (n) DETACH DELETE n")
    made = old.make(connection)
    schema.apply(connection)
    return made, copied(connection.run_text)


@pytest.fixture
def graph(upgraded: tuple[Graph, Copied], database: Database) -> Graph:
    """A graph of 0.1.0, upgraded."""
    made, nodes_and_links = upgraded
    paste(database.run_text, nodes_and_links)
    return made


def is_sound(database: Database) -> None:
    """It is of our version, nothing is left that 0.1.0 would use, and every invariant holds."""
    query = database.run_text
    assert query(STATE) == [{"version": cypher.SCHEMA, "old": 0}]
    assert broken(query) == []
    assert health.broken(database, lambda looked_at: None) == []


def members(query: Callable, uuid: str) -> set[str]:
    """Who is in a bucket."""
    rows = query("MATCH (u)-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $uuid}) RETURN u.screen_name AS name", uuid=uuid)
    return {row["name"] for row in rows}


def pairs(lease: Any) -> set[tuple[str, int | None]]:
    """The users of a lease that either release gave: name and id."""
    return {(user.screen_name, user.id) for user in lease.users}


def go_on(graph: Graph, database: Database) -> None:
    """The leases in flight are resumed, repeated, submitted, renewed and released."""
    given = {(lease.bucket, lease.lease): pairs(lease) for lease in graph.held}
    for again in (leases.resume(database, FETCHING), leases.fetch(database, FETCHING, 6, graph.request)):
        assert {(lease.bucket, lease.lease): pairs(lease) for lease in again} == given
    whole, part, back, kept = graph.held[1:5]
    reports = submit(database, FETCHING, [answers(whole), answers(part, "NON_DM", only=1)])
    assert [(report.status, report.accepted) for report in reports] == [("done", len(whole.users)), ("partial", 1)]
    assert leases.release(database, FETCHING, back.bucket, back.lease) == len(back.users)
    assert leases.renew(database, FETCHING, kept.bucket, kept.lease) > kept.expires
    assert counters(database.run_text, FETCHING) == (6, 2, 0, 0)
    is_sound(database)


def test_it_is_sound(graph: Graph, database: Database, query: Callable) -> None:
    """Version, invariants, doctor; capacities of 10 count as not stated; what was earned, and the job's place, stay."""
    is_sound(database)
    rows = query("MATCH (c:DMCheckClient)-[:STATS]->(s) RETURN c.id AS id, c.capacity AS stated, s.allowance AS earned")
    assert {row["id"]: row["stated"] for row in rows} == {**old.CAPACITIES, FETCHING: None}
    assert {row["id"]: row["earned"] for row in rows} == {
        FETCHING: None, DYING: 2, ANSWERING: None, EARNING: EARNED, GONE: None
    }  # fmt: skip
    assert query("MATCH (job:DMCheckJob {name: 'make_buckets'}) RETURN job.cursor AS at") == [{"at": old.CURSOR}]
    history = query("MATCH ()-[past:DM_PAST]->(u) RETURN u.screen_name AS name, past.candm AS candm")
    assert {row["name"]: row["candm"] for row in history} == {
        name: graph.whole[0].answers[name] for name in graph.rechecked
    }
    _, system = stats.stats(database)
    assert system.users_total == old.USERS
    assert system.buckets_leased + system.buckets_dead == len(graph.held + graph.dead + graph.dying)


def test_its_users_are_found_in_any_case(database: Database, query: Callable, graph: Graph) -> None:
    """Each has a name in lower case, with the index of it."""
    assert query("MATCH (u:User) WHERE NOT u:DMCheckName RETURN u") == []
    names = [row["name"] for row in query("MATCH (u:User) RETURN u.screen_name AS name")]
    assert users.spelled(database, [name.swapcase() for name in names]) == {name.swapcase(): name for name in names}


def test_leases_in_flight_go_on(graph: Graph, database: Database) -> None:
    """They are resumed and repeated as they were given, submitted, renewed and released."""
    go_on(graph, database)


def test_users_who_were_prioritized_under_lease_go_where_they_were_meant_to(
    graph: Graph, database: Database, query: Callable
) -> None:
    """Their bucket comes back, and they are in another one of that priority."""
    lease = graph.held[0]
    leases.release(database, FETCHING, lease.bucket, lease.lease)
    rows = query(
        "MATCH (u:User)-[:INDMCHECKBUCKET]->(b) WHERE u.screen_name IN $names RETURN b.priority AS priority",
        names=graph.marked,
    )
    assert [row["priority"] for row in rows] == [PRIORITY] * len(graph.marked)
    assert members(query, lease.bucket) == {user.screen_name for user in lease.users} - {*graph.marked}


def test_dead_leases_end_as_they_would_have(graph: Graph, database: Database, query: Callable) -> None:
    """A dead one can be renewed; the job releases the other, and marks the one that is past its time."""
    renewed, released = graph.dead
    leases.renew(database, DYING, renewed.bucket, renewed.lease)
    assert reclaim_leases.run(database) == (1, 1)
    assert counters(query, DYING) == (3, 0, 0, 3)
    held = {lease.bucket for lease in leases.resume(database, DYING)}
    assert held == {renewed.bucket, graph.dying[0].bucket}
    [report] = submit(database, DYING, [answers(released)])
    assert (report.status, report.accepted) == ("done", len(released.users))
    is_sound(database)


def test_what_was_given_back_can_still_be_answered(graph: Graph, database: Database) -> None:
    """Giving it back again is the success that it was, and work that comes late is taken."""
    [lease] = graph.released
    assert leases.release(database, ANSWERING, lease.bucket, lease.lease) == len(lease.users)
    [report] = submit(database, ANSWERING, [answers(lease)])
    assert (report.status, report.accepted) == ("done", len(lease.users))
    is_sound(database)


def test_answered_leases_repeat_their_reports(graph: Graph, database: Database, query: Callable) -> None:
    """The same answers get the same report, others are refused, and the graph stays as it is but for the refusals."""
    unchanged = picture(query, "buckets_fault", "last_access_time")
    for client, submitted in (EARNING, graph.whole), (ANSWERING, graph.partial + graph.strange):
        for one in submitted:
            [report] = submit(database, client, [Answered(one.bucket, one.lease, one.answers)])
            assert asdict(report) == asdict(one.report)
            [other] = submit(database, client, [Answered(one.bucket, one.lease, {"user000": "DM"})])
            assert other.reason == "payload_changed"
    assert picture(query, "buckets_fault", "last_access_time") == unchanged


def test_the_line_keeps_its_order(graph: Graph, database: Database) -> None:
    """First what was raised, then what was prioritized."""
    taken = leases.fetch(database, ANSWERING, 6, "ours")
    assert {lease.bucket for lease in taken[:2]} == set(graph.raised)
    soon = [lease for lease in taken if lease.priority == PRIORITY]
    named = {user.screen_name for lease in soon for user in lease.users}
    assert named == {*graph.prioritized, *graph.rechecked}
    assert [lease.priority for lease in taken[2 + len(soon) :]] == [100] * (4 - len(soon))


def test_0_1_0_is_shut_out(graph: Graph, database: Database, query: Callable) -> None:
    """It hands out nothing and puts nothing back: jobs end with its check of the schema, clients are refused."""
    held, [back] = graph.held[0], graph.released
    unchanged = picture(query, "buckets_fault", "last_access_time")
    named = [user.screen_name for user in back.users]
    for command in (
        lambda: v0_1_0.make_buckets(database),
        lambda: v0_1_0.reclaim_leases(database),
        lambda: v0_1_0.raise_starved(database),
        lambda: v0_1_0.prioritize(database, named),
        lambda: v0_1_0.register(database, 9, "client9"),
        lambda: v0_1_0.fetch(database, GONE, 1, "of an unregistered client"),
    ):
        with pytest.raises(v0_1_0.Refused, match="schema_missing"):
            command()
    for command in (
        lambda: v0_1_0.renew(database, FETCHING, held.bucket, held.lease),
        lambda: v0_1_0.release(database, FETCHING, held.bucket, held.lease),
    ):
        with pytest.raises(v0_1_0.Refused, match="lease_lost"):
            command()
    for client, lease in (FETCHING, held), (DYING, graph.dead[0]), (ANSWERING, back):
        given = v0_1_0.Answered(lease.bucket, lease.lease, {user.screen_name: "DM" for user in lease.users})
        [report] = v0_1_0.submit(database, client, [given])
        assert report.reason == "lease_lost"
    for request in ("another", graph.request):
        with pytest.raises(v0_1_0.Refused, match=r"nothing_to_fetch|over_quota"):
            v0_1_0.fetch(database, FETCHING, 1, request)
    with pytest.raises(v0_1_0.Refused, match="database_refused"):
        v0_1_0.apply(database)  # on an embedded database each of its commands does that by itself
    assert picture(query, "buckets_fault", "last_access_time") == unchanged


def test_what_0_1_0_does_without_a_check_is_put_right(graph: Graph, database: Database, query: Callable) -> None:
    """It unregisters a client; a job that checked the schema before goes on: our next job takes over what they leave,
    even if a client of 0.1.0 was quicker."""
    unplaced = [user.screen_name for user in users.pending(database)]
    v0_1_0.unregister(database, FETCHING, f"client{FETCHING}")
    assert v0_1_0.place(database, unplaced)[1] == len(unplaced)
    assert v0_1_0.release_dead(database) == len(graph.dead)
    [taken] = v0_1_0.fetch(database, EARNING, 1, "quicker")
    reclaim_leases.run(database)
    is_sound(database)
    again = leases.resume(database, EARNING)
    assert [(lease.bucket, lease.lease) for lease in again] == [(taken.bucket, taken.lease)]
    [report] = submit(database, EARNING, [answers(again[0])])
    assert report.status == "done"
    is_sound(database)


def ours_do_nothing(before: Graph, database: Database, query: Callable) -> None:
    """Every command and job that writes ends with `upgrade_needed`, and leaves the graph as it was."""
    held, unchanged = before.held[0], picture(query)
    for command in (
        lambda: leases.fetch(database, FETCHING, 1, "ours"),
        lambda: submit(database, FETCHING, [Answered(held.bucket, held.lease, {})]),
        lambda: leases.renew(database, FETCHING, held.bucket, held.lease),
        lambda: leases.release(database, FETCHING, held.bucket, held.lease),
        lambda: clients.register(database, 9, "client9"),
        lambda: clients.unregister(database, FETCHING, f"client{FETCHING}"),
        lambda: users.add(database, [User("added", None)]),
        lambda: users.delete(database, ["user001"]),
        lambda: users.prioritize(database, ["user001"], PRIORITY, recheck=True),
        lambda: make_buckets.run(database),
        lambda: reclaim_leases.run(database),
    ):
        with pytest.raises(UpgradeNeeded) as refusal:
            command()
        assert (refusal.value.code, refusal.value.exit_status) == ("upgrade_needed", 4)
    assert picture(query) == unchanged


class _CutShort(Exception):
    """The process of an upgrade is gone."""


class _Stopping(Database):
    """Is gone after so many statements."""

    left = 0

    def run_text(self, text: str, /, **parameters: Any) -> Any:
        if self.left == 0:
            raise _CutShort
        self.left -= 1
        return super().run_text(text, **parameters)

    def run(self, statement: str, /, **parameters: Any) -> Any:
        if self.left == 0:
            raise _CutShort
        self.left -= 1
        return super().run(statement, **parameters)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is cut short closes nothing
def test_an_upgrade_that_was_cut_short_goes_on(before: Graph, database: Database, query: Callable) -> None:
    """Before it, ours do nothing. Then after each of its transactions, of a few nodes each: leases are held by whom
    they were held all the time."""
    ours_do_nothing(before, database, query)
    limits = replace(database.settings.limits, batch_upgraded=3, batch_adopted=3)
    holders = "MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN b.uuid AS bucket, c.id AS client ORDER BY bucket"
    held, statements, cut = query(holders), 1, True
    while cut:
        cut = False
        with _Stopping(replace(database.settings, limits=limits), "cut short") as stopping:
            stopping.left = statements
            try:
                schema.apply(stopping)
            except _CutShort:
                cut = True
        assert query(holders) == held
        statements += 1
    assert statements > 10
    gc.collect()  # what it left open is noticed here, and in no other test
    is_sound(database)
    go_on(before, database)


def test_several_upgrades_at_once_are_one(before: Graph, database: Database, query: Callable) -> None:
    """All of them succeed, and once more changes nothing. A dying client of 0.1.0 could be left with an allowance of 0,
    which it read as 1: it goes on, too."""
    starved = query("MATCH (c:DMCheckClient {id: $id})-[:STATS]->(s) SET s.allowance = 0 RETURN c", id=ANSWERING)
    assert len(starved) == 1
    [outcomes] = together(database.settings, [_apply] * 3)
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == []
    is_sound(database)
    unchanged = picture(query)
    assert schema.apply(database) == []
    assert picture(query) == unchanged
    go_on(before, database)
    held = query("MATCH (:DMCheckClient {id: $id})<-[:DMCHECKCLIENT]-(b) RETURN b.uuid, b.newest", id=ANSWERING)
    for row in held:
        leases.release(database, ANSWERING, row["b.uuid"], row["b.newest"])
    assert len(leases.fetch(database, ANSWERING, 10, "one")) == 1


def _apply(database: Database, _: int) -> list[str]:
    return schema.apply(database)
