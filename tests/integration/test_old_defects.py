"""The fourteen defects of the system that ours replaces (each test carries its number), shown not to be in ours.

Where it is quick, the old way is run too, as Cypher written from its description, and must fail the very same check:
a check that lets the defect pass proves nothing.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.graphs import (
    answered,
    answers,
    counters,
    pass_time,
    prepare,
    refusal,
    start,
    together,
    transactions,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import NothingToFetch, NotRegistered
from dmcheck_cli.transactions import buckets, clients, leases, schema, users
from dmcheck_cli.transactions.answers import submit
from jobs import make_buckets, reclaim_leases

pytestmark = pytest.mark.process

ANSWERS = "MATCH (c:DMCheckClient)-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u) RETURN c.id AS client, u.screen_name AS name"


def test_01_no_bucket_goes_to_two_clients(database: Database, query: Query) -> None:
    """Eight processes that fetch as fast as they can from 160 buckets get each of them once."""
    prepare(database, range(1, 9), 160, size=1)
    query("MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 1000, s.allowance = 1000")

    [outcome] = together(database.settings, [partial(_fetch_all, id) for id in range(1, 9)])

    given = Counter(bucket for of_one in outcome for bucket in of_one)
    assert len(given) == 160
    assert set(given.values()) == {1}
    assert [counters(query, id)[0] for id in range(1, 9)] == [len(of_one) for of_one in outcome]
    assert broken(query) == []


def test_01_two_claims_that_overlap(environment: dict[str, str], database: Database, query: Query) -> None:
    """While one client's claim of the only bucket is not committed yet, another's waits for it and then gets nothing;
    the old way, read and then write, gives the bucket to both."""
    prepare(database, [1, 2], 1)
    with transactions(environment) as [first]:
        first.run(
            """MATCH (b:DMCheckBucket), (c:DMCheckClient {id: 1})
            SET b.newest = 'first', b.assigned_datetime = datetime(), b.expires = datetime() + duration('PT1H')
            REMOVE b.place CREATE (b)-[:DMCHECKCLIENT]->(c)
            CREATE (:DMCheckLease {id: 'first', client: 1, bucket: b.uuid, unjudged: true})"""
        ).consume()
        with start(environment, "fetch", "--client", 2, "--json") as second:
            wait_until_blocked(query, "fetch")
            first.commit()
            assert json.loads(second.communicate()[0]) == {"client": 2, "buckets": []}
    assert second.returncode == 3
    query("MATCH (s:DMCheckClientStats)<-[:STATS]-(:DMCheckClient {id: 1}) SET s.buckets_assigned = 1")
    assert broken(query) == []

    query("MATCH (b:DMCheckBucket)-[r:DMCHECKCLIENT]->() DELETE r")
    with transactions(environment, 2) as claims:
        free = "MATCH (b:DMCheckBucket) WHERE NOT (b)-[:DMCHECKCLIENT]->() RETURN b.uuid AS uuid ORDER BY rand()"
        found = [claim.run(free).single()["uuid"] for claim in claims]
        for id, claim in enumerate(claims, 1):
            claim.run(
                "MATCH (b:DMCheckBucket {uuid: $uuid}), (c:DMCheckClient {id: $id}) CREATE (b)-[:DMCHECKCLIENT]->(c)",
                uuid=found[id - 1],
                id=id,
            ).consume()
            claim.commit()
    assert any("at most one holder" in line for line in broken(query))


def test_02_priority_has_its_effect(database: Database, query: Query) -> None:
    """Of 40 buckets the first 20 that are handed out are the 20 of higher priority; by the old order they are not."""
    names = prepare(database, [1, 2], 40, size=1)
    users.prioritize(database, names[:20], 10, recheck=False)
    query(
        """MATCH (b:DMCheckBucket {priority: 10})<-[m:INDMCHECKBUCKET]-(u)
        WITH b, u, m ORDER BY u.screen_name SKIP 1
        CREATE (u)-[:INDMCHECKBUCKET]->(:DMCheckBucket {
            uuid: randomUUID(), priority: 10, place: rand(), edit_datetime: datetime()})
        DELETE m"""
    )
    old = query(
        """MATCH (b:DMCheckBucket) WHERE NOT (b)-[:DMCHECKCLIENT]->()
        RETURN b.priority AS priority ORDER BY rand(), b.priority LIMIT 20"""
    )

    given = [lease for id in (1, 2) for lease in leases.fetch(database, id, 10, "one")]

    assert [lease.priority for lease in given] == [10] * 20
    assert [row["priority"] for row in old] != [10] * 20
    assert broken(query) == []


def test_03_a_dead_lease_is_marked_and_counted_once(database: Database, query: Query) -> None:
    """However many rounds pass, dead_datetime stays where it was set, buckets_dead is 1, and after the time of grace
    the bucket is released; by the old marking, the date moves on and the count goes up."""
    dead_since = "MATCH (b:DMCheckBucket) RETURN toString(b.dead_datetime) AS dead"
    prepare(database, [1], 3)
    leases.fetch(database, 1, 1, "one")
    pass_time(query, 7201)
    assert reclaim_leases.run(database) == (1, 0)
    marked = query(dead_since)

    for _ in range(3):
        assert reclaim_leases.run(database) == (0, 0)

    assert query(dead_since) == marked
    assert counters(query, 1) == (1, 0, 0, 1)
    for _ in range(3):
        query(
            """MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->()-[:STATS]->(s)
            WHERE b.assigned_datetime < datetime() - duration('PT2H')
            SET b.dead_datetime = datetime(), s.buckets_dead = s.buckets_dead + 1"""
        )
    assert query(dead_since) != marked
    assert counters(query, 1) == (1, 0, 0, 4)
    pass_time(query, 901)
    assert reclaim_leases.run(database) == (0, 1)


def test_04_a_late_answer_is_told_from_one_in_time(database: Database, query: Query) -> None:
    """Once the bucket was released and leased again, the old lease's answers are refused and nothing changes; the old
    check, which compared with a parameter that nobody passed, lets them in."""
    prepare(database, [1, 2], 3)
    [late] = leases.fetch(database, 1, 1, "one")
    pass_time(query, 7201)
    reclaim_leases.run(database)
    pass_time(query, 901)
    reclaim_leases.run(database)
    [current] = leases.fetch(database, 2, 1, "one")
    assert current.bucket == late.bucket
    before = refusal(query)

    [report] = submit(database, 1, [answers(late)])

    assert (report.status, report.reason) == ("refused", "lease_lost")
    assert refusal(query) == before
    assert broken(query) == []
    query(
        """MATCH (b:DMCheckBucket {uuid: $bucket}) WHERE NOT coalesce(b.dead_datetime < $dead_before, false)
        MATCH (u:User)-[m:INDMCHECKBUCKET]->(b), (c:DMCheckClient {id: 1}) DELETE m CREATE (c)-[:DM_YES]->(u)""",
        bucket=late.bucket,
        dead_before=None,
    )
    assert refusal(query) != before


def test_05_a_released_bucket_is_not_counted_as_processed(database: Database, query: Query) -> None:
    """A lease that died and was released is one dead and none processed; the old release counts it as both."""
    prepare(database, [1], 3)
    leases.fetch(database, 1, 1, "one")
    pass_time(query, 7201)
    assert reclaim_leases.run(database) == (1, 0)
    pass_time(query, 901)
    assert reclaim_leases.run(database) == (0, 1)

    assert counters(query, 1) == (1, 0, 0, 1)
    assert query("MATCH (b:DMCheckBucket)<-[:INDMCHECKBUCKET]-(u) RETURN count(u) AS n") == [{"n": 3}]
    assert broken(query) == []
    leases.fetch(database, 1, 1, "two")
    query(
        """MATCH (b:DMCheckBucket)-[r:DMCHECKCLIENT]->()-[:STATS]->(s)
        SET s.buckets_dead = s.buckets_dead + 1, s.buckets_processed = s.buckets_processed + 1 DELETE r"""
    )
    assert counters(query, 1) == (2, 1, 0, 2)


def test_06_an_answer_counts_for_the_buckets_own_users_only(database: Database, query: Query) -> None:
    """An answer for a user of another bucket is refused, and the user stays in that bucket; the old update takes it
    and unlinks the user from wherever it is."""
    prepare(database, [1, 2], 6, size=3)
    [mine] = leases.fetch(database, 1, 1, "one")
    [other] = leases.fetch(database, 2, 1, "one")
    stranger = other.users[0].screen_name
    place = "MATCH (:User {screen_name: $name})-[:INDMCHECKBUCKET]->(b) RETURN b.uuid AS bucket"
    given = replace(answers(mine), answers={**answers(mine).answers, stranger: "DM"})

    [report] = submit(database, 1, [given])

    assert (report.status, report.accepted, report.refused) == ("done", 3, [stranger])
    assert query(place, name=stranger) == [{"bucket": other.bucket}]
    assert counters(query, 1) == (1, 1, 1, 0)
    assert broken(query) == []
    query(
        """MATCH (u:User {screen_name: $name}), (c:DMCheckClient {id: 1}) CREATE (c)-[:DM_YES]->(u)
        WITH u MATCH (u)-[m:INDMCHECKBUCKET]->() DELETE m""",
        name=stranger,
    )
    assert query(place, name=stranger) == []


@pytest.mark.parametrize(
    "rival",
    [
        "MATCH (u:User {screen_name: 'user00002'}) DETACH DELETE u",
        "MATCH (u:User {screen_name: 'user00002'}) SET u.id = 1",
    ],
    ids=["in the statement", "in the commit"],
)
def test_07_a_submit_is_stored_whole_or_not_at_all(
    environment: dict[str, str], database: Database, query: Query, rival: str
) -> None:
    """In the middle of a submit nobody sees any of it, and what is left of one that was killed there is all or
    nothing: answers of each kind, the bucket, the counters; the old way's three transactions leave a part of it."""
    prepare(database, [1], 6)
    [lease] = leases.fetch(database, 1, 1, "one")
    kinds = ("DM", "NON_DM", "UNKNOWN")
    listed = [{"screen_name": user.screen_name, "candm": kinds[i % 3]} for i, user in enumerate(lease.users)]
    document = json.dumps({"buckets": [{"bucket": lease.bucket, "lease": lease.lease, "users": listed}]})
    whole_or_nothing = [(0, 6, 0), (6, 0, 1)]

    def state() -> tuple[int, int, int]:
        """Answers stored, users in the bucket, buckets processed."""
        [row] = query("MATCH (u:User)-[:INDMCHECKBUCKET]->(:DMCheckBucket) RETURN count(u) AS n")
        return len(query(ANSWERS)), row["n"], counters(query, 1)[1]

    with transactions(environment) as [other]:
        other.run(rival).consume()  # never committed: the submit gets stuck in the middle of its work
        with start(environment, "submit", "--client", 1, stdin=document) as client:
            wait_until_blocked(query, "submit")
            assert state() == (0, 6, 0)
            client.kill()
    wait_until_gone(query, "submit")
    assert state() in whole_or_nothing
    assert broken(query) == []
    if state() == (0, 6, 0):
        # The old way, killed after the first of its transactions, the one for the answers DM.
        query(
            """MATCH (c:DMCheckClient {id: 1}) UNWIND $names AS name
            MATCH (u:User {screen_name: name})-[m:INDMCHECKBUCKET]->() DELETE m CREATE (c)-[:DM_YES]->(u)""",
            names=[one["screen_name"] for one in listed if one["candm"] == "DM"],
        )
        assert state() not in whole_or_nothing


A_DAY_OFF = """
import datetime, os, time
with open(os.environ["CLOCKS_MADE_WRONG"], "a") as file:
    print("one", file=file)
real, off = time.time, float(os.environ["OFF_BY_SECONDS"])
time.time = lambda: real() + off
class Wrong(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return super().now(tz) + datetime.timedelta(seconds=off)
    @classmethod
    def utcnow(cls): return super().utcnow() + datetime.timedelta(seconds=off)
datetime.datetime = Wrong
"""
"""For a process whose clock is wrong; Python runs it first when it is called sitecustomize.py."""

TIMES = """
    MATCH (n) UNWIND [key IN keys(n) WHERE key ENDS WITH '_datetime' OR key IN ['last_access_time', 'expires']] AS key
    RETURN labels(n)[0] + '.' + key AS name, valueType(n[key]) AS kind,
        abs(duration.inSeconds(n[key], datetime()).seconds) < 7300 AS near"""


@pytest.mark.parametrize("off", [-86_400, 86_400], ids=["a day slow", "a day fast"])
def test_08_only_the_databases_clock_counts(
    run: Callable[..., Any], tmp_path: Path, database: Database, query: Query, off: int
) -> None:
    """With client and cron clocks a day wrong, all dates are zoned and right, nothing dies early and nothing late; a
    date from such a client's clock, as in the old way, would show."""
    (tmp_path / "sitecustomize.py").write_text(A_DAY_OFF)
    made_wrong = tmp_path / "made_wrong"
    wrong = partial(run, PYTHONPATH=str(tmp_path), OFF_BY_SECONDS=str(off), CLOCKS_MADE_WRONG=str(made_wrong))
    prepare(database, [], 6)
    assert wrong("register", "--id", 1, "--screen-name", "client1").status == 0
    assert wrong(program="make_buckets").status == 0
    assert wrong("fetch", "--client", 1, "--json").status == 0
    assert wrong("--json", program="reclaim_leases").document == {"marked_dead": 0, "released": 0}
    pass_time(query, 7201)
    assert wrong("--json", program="reclaim_leases").document == {"marked_dead": 1, "released": 0}

    assert len(made_wrong.read_text().splitlines()) == 5
    times = query(TIMES)

    assert {row["kind"] for row in times} == {"ZONED DATETIME NOT NULL"}
    assert [row["name"] for row in times if not row["near"]] == []
    assert {row["name"] for row in times} >= {
        "DMCheckClient.create_datetime",
        "DMCheckBucket.assigned_datetime",
        "DMCheckBucket.dead_datetime",
        "DMCheckClientStats.last_access_time",
        "DMCheckLease.assigned_datetime",
    }
    query("MATCH (c:DMCheckClient) SET c.edit_datetime = localdatetime() + duration({seconds: $off})", off=off)
    assert not all(row["near"] and row["kind"].startswith("ZONED") for row in query(TIMES))


def test_09_one_connection_and_one_statement_a_command(
    run: Callable[..., Any], neo4j_environment: dict[str, str], database: Database, query: Query
) -> None:
    """Fetching and answering a bucket takes two connections, each to Bolt and nowhere else, and two statements; the old
    way took 10.5 connections and 21 queries."""
    prepare(database, [1], 30)
    with counted(neo4j_environment["NEO4J_URI"]) as (uri, connections):
        fetched = run("fetch", "--client", 1, "--json", NEO4J_URI=uri)
        assert fetched.status == 0
        assert run("submit", "--client", 1, NEO4J_URI=uri, stdin=answered(fetched.document)).status == 0

    assert len(query(ANSWERS)) == 30
    assert [len(re.findall(rb"\xb3\x10[\xd0-\xd2]", bytes(sent))) for sent in connections] == [1, 1]


def test_10_nobody_but_the_owner_answers_a_bucket(database: Database, query: Query) -> None:
    """A client that is not the owner is refused, and the owner is credited with nothing; by the old way it is."""
    prepare(database, [1, 2], 3)
    [lease] = leases.fetch(database, 1, 1, "one")
    before = refusal(query)

    [report] = submit(database, 2, [answers(lease)])

    assert (report.status, report.reason) == ("refused", "not_owner")
    assert refusal(query) == before
    assert (counters(query, 1), counters(query, 2)) == ((1, 0, 0, 0), (0, 0, 1, 0))
    assert broken(query) == []
    query(
        """MATCH (b:DMCheckBucket {uuid: $bucket})-[:DMCHECKCLIENT]->()-[:STATS]->(s)
        SET s.buckets_processed = s.buckets_processed + 1 DETACH DELETE b""",
        bucket=lease.bucket,
    )
    assert counters(query, 1) != (1, 0, 0, 0)


@pytest.mark.parametrize("lease_id", ["", "made-up"], ids=["empty", "made up"])
def test_10_nobody_answers_a_bucket_that_nobody_holds(database: Database, query: Query, lease_id: str) -> None:
    """It is refused, and the bucket is then handed out with all its users."""
    names = prepare(database, [1], 3)
    [row] = query("MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid")
    before = refusal(query)

    forged = Lease(row["uuid"], lease_id, 100, "", [User(name, None) for name in names])
    [report] = submit(database, 1, [answers(forged)])

    assert report.status == "refused"
    assert refusal(query) == before
    assert sorted(user.screen_name for user in leases.fetch(database, 1, 1, "one")[0].users) == names
    assert broken(query) == []


def test_11_asking_does_not_make_a_client_active(database: Database, query: Query) -> None:
    """A client that has unregistered is refused, gets nothing and stays inactive; so is one that nobody knows."""
    prepare(database, [1], 3)
    clients.unregister(database, 1, "client1")
    before = refusal(query)

    for id in (1, 7):
        with pytest.raises(NotRegistered):
            leases.fetch(database, id, 1, "one")

    assert refusal(query) == before
    assert query("MATCH (c:DMCheckClient) RETURN c.id AS id, c.state AS state") == [{"id": 1, "state": "DEACTIVE"}]


def test_12_part_answers_are_kept(database: Database, query: Query) -> None:
    """Of 6 answers for 10 users all 6 are stored, and the other 4 users wait in their bucket."""
    prepare(database, [1, 2], 10)
    [lease] = leases.fetch(database, 1, 1, "one")

    [report] = submit(database, 1, [answers(lease, only=6)])

    assert (report.status, report.accepted, report.returned) == ("partial", 6, 4)
    assert sorted(row["name"] for row in query(ANSWERS)) == sorted(user.screen_name for user in lease.users[:6])
    [rest] = leases.fetch(database, 2, 1, "one")
    assert sorted(u.screen_name for u in rest.users) == sorted(u.screen_name for u in lease.users[6:])
    assert broken(query) == []


def test_12_late_answers_are_taken_or_refused_but_never_dropped(database: Database, query: Query) -> None:
    """After a release they are taken as long as nobody else has the bucket; then they are refused, by name."""
    prepare(database, [1, 2], 20, size=10)
    late, later = leases.fetch(database, 1, 2, "one")
    pass_time(query, 7201)
    reclaim_leases.run(database)
    pass_time(query, 901)
    assert reclaim_leases.run(database) == (0, 2)

    [taken] = submit(database, 1, [answers(late)])
    assert (taken.status, taken.accepted) == ("done", 10)
    leases.fetch(database, 2, 1, "one")
    [refused] = submit(database, 1, [answers(later)])

    assert (refused.status, refused.reason) == ("refused", "lease_lost")
    assert len(query(ANSWERS)) == 10
    assert counters(query, 1) == (2, 1, 1, 2)
    assert broken(query) == []


def test_13_makers_at_the_same_time_put_each_user_into_one_bucket(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """Four jobs at the same moment, 5 times 50 new users; and two that have both found the same users before either
    places them. The old way, read and then write, puts those into two buckets each."""
    prepare(database, [1, 2])
    names = [[f"round{number}user{i}" for i in range(50)] for number in range(5)]
    outcomes = together(replace(database.settings, bucket_size=25), [partial(_add_and_make, names)] * 4, 5)
    assert sum(sum(made) for made in outcomes) == 250
    assert broken(query) == []

    users.add(database, [User(f"more{i}", None) for i in range(50)])
    found = [user.screen_name for user in users.pending(database)]
    assert [buckets.place(database, [found]).users for _ in range(2)] == [50, 0]
    assert broken(query) == []

    query("MATCH (b:DMCheckBucket) DETACH DELETE b")
    with transactions(environment, 2) as makers:
        free = "MATCH (u:User) WHERE NOT (u)-[:INDMCHECKBUCKET]->() RETURN collect(u.screen_name) AS names"
        seen = [maker.run(free).single()["names"] for maker in makers]
        for maker, of_maker in zip(makers, seen, strict=True):
            maker.run(
                """CREATE (b:DMCheckBucket {
                    uuid: randomUUID(), priority: 100, place: rand(), edit_datetime: datetime()})
                WITH b UNWIND $names AS name MATCH (u:User {screen_name: name}) CREATE (u)-[:INDMCHECKBUCKET]->(b)""",
                names=of_maker,
            ).consume()
            maker.commit()
    assert any("in at most one bucket" in line for line in broken(query))


def test_14_one_id_is_one_client(environment: dict[str, str], database: Database, query: Query) -> None:
    """Eight processes that register one id at the same moment, 20 times: always one client with one set of counters.
    The old way, two that look before either creates, makes two where no constraint forbids it."""
    [*outcomes] = together(database.settings, [_register] * 8, 20)

    assert outcomes == [["ACTIVE"] * 8] * 20
    assert query("MATCH (c:DMCheckClient) RETURN count(c) AS n, count(DISTINCT c.id) AS ids") == [{"n": 20, "ids": 20}]
    assert broken(query) == []
    query("DROP CONSTRAINT dmcheck_client_id")
    try:
        with transactions(environment, 2) as rivals:
            found = [
                rival.run("MATCH (c:DMCheckClient {id: 77}) RETURN count(c) AS n").single()["n"] for rival in rivals
            ]
            for rival, known in zip(rivals, found, strict=True):
                if not known:
                    rival.run("CREATE (:DMCheckClient {id: 77})").consume()
                rival.commit()
        assert any("a client is there once" in line for line in broken(query))
    finally:
        query("MATCH (c:DMCheckClient {id: 77}) DETACH DELETE c")
        schema.apply(database)


def _fetch_all(id: int, database: Database, number: int) -> list[str]:
    """Fetch until nothing waits; returns the buckets."""
    given: list[str] = []
    while True:
        try:
            given += [lease.bucket for lease in leases.fetch(database, id, 2, f"{len(given)}")]
        except NothingToFetch:
            return given


def _add_and_make(names: list[list[str]], database: Database, number: int) -> int:
    users.add(database, [User(name, None) for name in names[number]])
    return make_buckets.run(database).users


def _register(database: Database, number: int) -> str:
    return clients.register(database, 100 + number, f"client{number}").state


@contextmanager
def counted(uri: str) -> Iterator[tuple[str, list[bytearray]]]:
    """A relay to the database: its address, and what was sent on each connection that was made to it."""
    target = urlsplit(uri)
    connections: list[bytearray] = []

    def pass_on(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass  # the other direction has closed both
        finally:
            for end in (source, sink):
                end.close()

    def accept() -> None:
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection((target.hostname, target.port))
            connections.append(bytearray())
            for ends in ((near, far, connections[-1]), (far, near, None)):
                threading.Thread(target=pass_on, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"bolt://127.0.0.1:{listener.getsockname()[1]}", connections
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
