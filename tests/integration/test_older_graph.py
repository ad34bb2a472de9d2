"""`schema apply` takes over the graph that an older system left, and `doctor --deep` sees what it mends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from releases import old_system
from support.graphs import answered, commands_together, picture
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import clients, health, leases, schema, stats


def test_an_older_graph_is_taken_over(database: Database, query: Callable) -> None:
    """Users end in one bucket each, the more urgent one; checked users in none; every bucket is in line or gone."""
    query("UNWIND range(1, 6) AS i CREATE (:User {screen_name: 'u' + i})")
    query(
        """CREATE (late:DMCheckBucket {uuid: 'late', priority: 100}), (soon:DMCheckBucket {uuid: 'soon', priority: 10}),
                  (:DMCheckBucket {uuid: 'empty', priority: 100}),
                  (c:DMCheckClient {id: 5, screen_name: 'five', state: 'ACTIVE'})
           WITH late, soon, c MATCH (u:User) CREATE (u)-[:INDMCHECKBUCKET]->(late)
           WITH u, soon, c WHERE u.screen_name <= 'u3' CREATE (u)-[:INDMCHECKBUCKET]->(soon)
           WITH u, c WHERE u.screen_name = 'u1' CREATE (c)-[:DM_YES]->(u)"""
    )
    seen: list[int] = []
    wrong = [problem.what for problem in health.broken(database, seen.append)]
    assert sum(seen) == 6
    assert wrong == [
        "buckets neither held nor in line: 3, such as empty",
        "clients with no counters, or with several nodes of them: 1, such as 5",
        "users in several buckets: 3, such as u1",
    ]

    schema.apply(database)

    assert health.broken(database, seen.append) == []
    taken = leases.fetch(database, 5, 10, "all")
    assert [(lease.bucket, sorted(user.screen_name for user in lease.users)) for lease in taken] == [
        ("soon", ["u2", "u3"]),
        ("late", ["u4", "u5", "u6"]),
    ]
    _, system = stats.stats(database)
    assert (system.users_total, system.users_checked, system.users_leased) == (6, 1, 5)


def test_taking_over_a_graph_in_use_changes_nothing(database: Database, query: Callable) -> None:
    """A lease that an older system gave is kept until reclaim_leases releases it; a repeat changes nothing."""
    query(
        """CREATE (u:User {screen_name: 'u'})-[:INDMCHECKBUCKET]->(b:DMCheckBucket
                  {uuid: 'held', priority: 100, assigned_datetime: datetime()})
                  -[:DMCHECKCLIENT]->(:DMCheckClient {id: 5, screen_name: 'five', state: 'ACTIVE'})"""
    )
    schema.apply(database)
    schema.apply(database)
    [row] = query(
        "MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c)-[:STATS]->(s) RETURN b.place AS ready, count(s) AS nodes"
    )
    assert row == {"ready": None, "nodes": 1}


OLD = "2020-07-11_09:19:48.546123"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (OLD, "2020-07-11T09:19:48.546123Z"),
        ("2020-07-11T09:19:48.5+00:00", "2020-07-11T09:19:48.5Z"),
        ("2020-07-11 01:19:48+05:45", "2020-07-10T19:34:48Z"),
        ("2020-02-30T23:00:00-08:00", "2020-03-02T07:00:00Z"),
        ("2020-07-11T09:19:48Z", "2020-07-11T09:19:48Z"),
    ],
)
def test_times_as_texts_are_read(query: Callable, direct: Callable, told: str, read: str) -> None:
    """Those of a client that has no counters yet, too."""
    query("CREATE (:DMCheckClient {id: 31, screen_name: 'c31', state: 'ACTIVE', create_datetime: $at})", at=told)
    assert direct("schema", "apply", "--json").document["changed"] == {"clients": 1, "times": 1}
    [found] = query("MATCH (c:DMCheckClient {id: 31}) RETURN toString(c.create_datetime) AS at")
    assert found["at"] == read


@pytest.mark.parametrize("time", ["'nonsense'", "datetime('2130-01-01')", "7"])
def test_a_dry_run_names_times_that_are_repaired(
    database: Database, query: Callable, direct: Callable, time: str
) -> None:
    """And what was repaired is counted."""
    clients.register(database, 31, "c31")
    query(f"MATCH (:DMCheckClient {{id: 31}})-[:STATS]->(s) SET s.last_access_time = {time}")
    [problem] = direct("schema", "apply", "--dry-run", "--json").document["problems"]
    assert problem == "clients with a time that lies in the future, or that is none: 1, such as 31"
    assert direct("schema", "apply", "--json").document["changed"] == {"times": 1}
    assert direct("schema", "apply", "--dry-run", "--json").document["problems"] == []


@pytest.mark.parametrize("constraint", [True, False])
def test_a_client_whose_second_node_has_its_id_as_a_text_is_one(
    database: Database, query: Callable, direct: Callable, constraint: bool
) -> None:
    """Their counters are added, and the later time of access stays; the constraint allows two such nodes."""
    if not constraint:
        query("DROP CONSTRAINT dmcheck_client_id IF EXISTS")
    for id, seen, assigned in ((31, "2026-01-02", 3), ("31", "2026-01-03", 4), (32, "2026-01-03", 5), ("32", "x", 6)):
        query(
            """CREATE (c:DMCheckClient {id: $id, screen_name: 'c', state: 'ACTIVE', create_datetime: datetime()})
            CREATE (c)-[:STATS]->(:DMCheckClientStats {buckets_assigned: $n, buckets_processed: 0, buckets_fault: 0,
                buckets_dead: 0, last_access_time: CASE $seen WHEN 'x' THEN null ELSE datetime($seen) END})""",
            id=id,
            n=assigned,
            seen=seen,
        )
    problems = direct("schema", "apply", "--dry-run", "--json").document["problems"]
    assert "clients with several nodes of one id: 2, such as 31" in problems
    assert direct("schema", "apply", "--json").status == 0
    found = query(
        """MATCH (c:DMCheckClient)-[:STATS]->(s) RETURN c.id AS id, s.buckets_assigned AS n,
        toString(date(s.last_access_time)) AS seen ORDER BY id"""
    )
    assert [tuple(row.values()) for row in found] == [(31, 7, "2026-01-03"), (32, 11, "2026-01-03")]
    assert health.broken(database, lambda seen: None) == []


USERS = 300


@pytest.fixture
def older(query: Callable) -> None:
    """The graph of the system before: no version, and nothing that forbids two nodes of one client."""
    query("DROP CONSTRAINT dmcheck_client_id IF EXISTS")
    query("MATCH (graph:DMCheckSchema) DELETE graph")
    old_system.fill(query, USERS)


@pytest.mark.usefixtures("older")
def test_two_that_take_over_one_graph(environment: dict[str, str], database: Database, query: Callable) -> None:
    """Both succeed, and what comes out is what one alone would leave."""
    outcomes = commands_together(environment, [["schema", "apply", "--json"]] * 2)
    assert [(status, err) for status, _, err in outcomes if status] == []
    assert health.broken(database, lambda seen: None) == []
    [row] = query(
        "MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s) RETURN count(*) AS nodes, sum(s.buckets_assigned) AS n"
    )
    assert row == {"nodes": 1, "n": 7}
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_PAST]->() RETURN count(r) AS n") == [{"n": USERS // 2}]


@pytest.mark.usefixtures("older")
def test_the_graph_of_the_system_before(database: Database, query: Callable, direct: Callable) -> None:
    """Answers, times, buckets in flight and two nodes of one client; a dry run changes nothing, a repeat neither; then
    all others are answered, and every answer is there."""
    before = picture(query)
    dry = direct("schema", "apply", "--dry-run", "--json")
    assert (dry.status, picture(query) == before) == (0, True)
    assert dry.document["applied"] == ["dmcheck_client_id", "version 1", "version 2"]
    assert f"answers as an older system stored them: {USERS // 2}, such as old_user1" in dry.document["problems"]

    done = direct("schema", "apply", "--json")

    assert done.status == 0, done.err
    assert done.document["applied"] == dry.document["applied"]
    assert done.document["changed"]["answers"] == USERS // 2
    assert done.document["changed"]["opinions"] == 30
    assert done.document["changed"]["members"] > 0
    assert "clients with several nodes of one id: 1, such as 1" in dry.document["problems"]
    assert direct("schema", "apply", "--json").document == {"applied": []}
    assert health.broken(database, lambda seen: None) == []
    assert broken(query) == []
    found = query(
        "MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_PAST]->() RETURN type(r) AS kind, count(r) AS n ORDER BY kind"
    )
    assert {row["kind"]: row["n"] for row in found} == {"DM_NO": 60, "DM_PAST": 30, "DM_UNKNOWN": 30, "DM_YES": 30}
    [one] = query(
        """MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s)
        RETURN s.buckets_assigned AS n, toString(c.create_datetime) AS first, count(*) AS nodes"""
    )
    assert one == {"n": 7, "first": "2020-07-01T00:00:00Z", "nodes": 1}

    for _ in range(2):  # what was in flight in 2020 is marked dead, and then given back
        assert direct(program="reclaim_leases", DMCHECK_GRACE_SECONDS="0").status == 0
    direct("register", "--id", 9, "--screen-name", "nine")
    for _ in range(10):
        assert direct(program="make_buckets").status == 0
        given = direct("fetch", "--client", 9, "--json").document
        assert direct("submit", "--client", 9, stdin=answered(given, "NON_DM")).status == 0
    assert query("MATCH (u:User) WHERE NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } RETURN u.screen_name") == []
    for job in ("raise_starved", "judge_clients"):
        assert direct(program=job).status == 0
    assert direct("doctor", "--deep").status == 0
