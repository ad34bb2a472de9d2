"""judge_clients and what clients say about the same users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from support.graphs import prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.errors import OverQuota
from dmcheck_cli.transactions import clients, leases, standings, stats
from dmcheck_cli.transactions.answers import submit
from jobs import judge_clients

FIRST, SECOND, THIRD = 1, 2, 3

ASK = """
    MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL AND u.dmcheck_needs <> 'look'
    WITH collect(u) AS users
    CREATE (b:DMCheckBucket {uuid: 'again' + toString(rand()), priority: 1, place: rand(), edit_datetime: datetime()})
    SET b.heard = $heard
    FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET {second: u.dmcheck_needs}]->(b)
        REMOVE u.dmcheck_needs, u.dmcheck_asked)"""
"""Puts everybody who needs another opinion into one bucket, for whoever is not in `heard`."""


def say(database: Database, client: int, answer: Callable[[str], str]) -> int:
    """The client takes one bucket and answers it; returns for how many users."""
    [lease] = leases.fetch(database, client, 1, uuid4().hex)
    said = {user.screen_name: answer(user.screen_name) for user in lease.users}
    [report] = submit(database, client, [Answered(lease.bucket, lease.lease, said)])
    assert report.status == "done"
    return report.accepted


def everyone(answer: str) -> Callable[[str], str]:
    """The same answer for all."""
    return lambda name: answer


def user(query: Query, name: str = "user00000") -> dict[str, object]:
    """The answer in force, the other opinions, and the need of one user."""
    [row] = query(
        """MATCH (u:User {screen_name: $name})
        RETURN [(u)<-[r:DM_YES|DM_NO|DM_UNKNOWN]-(c) | [type(r), c.id, r.counted]] AS in_force,
               [(u)<-[r:DM_SECOND]-(c) | [r.candm, c.id, r.counted, r.overruled]] AS others,
               u.dmcheck_needs AS needs""",
        name=name,
    )
    return row


def test_two_who_agree_need_no_third(database: Database, query: Query) -> None:
    """Each DM has one witness; both are compared. A second run has nothing to do."""
    prepare(database, [FIRST, SECOND], 10, size=10)
    assert say(database, FIRST, everyone("DM")) == 10
    assert user(query)["needs"] == "dm"
    query(ASK, heard=[FIRST])
    assert say(database, SECOND, everyone("DM")) == 10
    assert user(query)["needs"] == "look"
    judged = judge_clients.run(database)
    assert (judged.compared, judged.disputed, judged.leases) == (20, 0, 2)
    assert user(query) == {
        "in_force": [["DM_YES", FIRST, "DM"]],
        "others": [["DM", SECOND, "DM", None]],
        "needs": None,
    }
    before = query("MATCH (n) RETURN properties(n) AS p ORDER BY elementId(n)")
    assert set(judge_clients.run(database).counts.values()) == {0}
    after = query("MATCH (n) WHERE NOT n:DMCheckJob RETURN properties(n) AS p ORDER BY elementId(n)")
    assert [row for row in after if row not in before] == []


def test_who_is_outvoted_is_overruled(database: Database, query: Query) -> None:
    """Two say NON_DM: one of these answers takes the place of the first client's, which stays on record."""
    prepare(database, [FIRST, SECOND, THIRD], 10, size=10)
    say(database, FIRST, everyone("DM"))
    for client, heard in ((SECOND, [FIRST]), (THIRD, [FIRST, SECOND])):
        query(ASK, heard=heard)
        say(database, client, everyone("NON_DM"))
        judged = judge_clients.run(database)
        assert judged.disputed == 10
    found = user(query)
    assert found["needs"] is None
    assert found["in_force"] == [["DM_NO", SECOND, "NON_DM"]]
    assert sorted(found["others"]) == [["DM", FIRST, "NON_DM", True], ["NON_DM", THIRD, "NON_DM", None]]  # type: ignore[call-overload]


def lie(database: Database, query: Query, buckets: int, liar: int = FIRST) -> int:
    """The liar says DM of everybody; the other two say NON_DM of the same users. Returns what judge_clients counted as
    lowered."""
    lowered = 0
    rest = [client for client in (FIRST, SECOND, THIRD, 4, 5) if client != liar]
    for turn in range(buckets):
        if query("MATCH (c:DMCheckClient {id: $id}) WHERE c.suspended IS NOT NULL RETURN c.id", id=liar):
            return lowered
        say(database, liar, everyone("DM"))
        for place in range(2):
            one = rest[(turn + place) % len(rest)]
            if not query("MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL RETURN u.screen_name LIMIT 1"):
                return lowered
            query(ASK, heard=[client for client in (liar, *rest) if client != one])
            say(database, one, everyone("NON_DM"))
            lowered += judge_clients.run(database).counts["lowered"]
    return lowered


def test_a_liar_is_contained_and_nobody_else(database: Database, query: Query) -> None:
    """It may hold one lease, which counts as lowered, all it says is checked, and its word counts for nothing."""
    prepare(database, [FIRST, SECOND, THIRD, 4, 5], 60, size=10)
    assert lie(database, query, 4) == 1
    read = standings.read(database)
    assert [id for id, client in read.standings.clients.items() if client.contained is not None] == [FIRST]
    assert read.shares[FIRST] == 1.0
    assert read.sweeping == {}
    [row] = query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) RETURN s.allowance AS allowance")
    assert row["allowance"] == 1
    say(database, FIRST, everyone("NON_DM"))
    judge_clients.run(database)
    rows = query("MATCH (u)<-[:DM_NO]-(:DMCheckClient {id: 1}) RETURN DISTINCT u.dmcheck_needs AS needs")
    assert {row["needs"] for row in rows} == {"check"}


def test_suspension_by_rule(database: Database, query: Query) -> None:
    """Off by default; where it is on, whoever is contained is suspended, and counted."""
    prepare(database, [FIRST, SECOND, THIRD, 4, 5], 60, size=10)
    with Database(replace(database.settings, suspend_contained=1), "tests") as strict:
        lie(strict, query, 4)
    assert query(
        "MATCH (c:DMCheckClient) WHERE c.suspended IS NOT NULL RETURN c.id AS id, c.suspend_reason AS why"
    ) == [{"id": FIRST, "why": judge_clients.SUSPENDED_FOR}]
    assert broken(query) == []


def test_what_a_contained_client_said_is_asked_again(database: Database, query: Query) -> None:
    """Lone answers that were believed need another opinion once their client is contained."""
    prepare(database, [FIRST, SECOND, THIRD, 4, 5], 60, size=10)
    query("MATCH (s:DMCheckClientStats) SET s.share = 0.0")
    say(database, FIRST, everyone("NON_DM"))
    alone = "MATCH (u)<-[:DM_NO]-(:DMCheckClient {id: 1}) WHERE COUNT { (u)<-[:DM_SECOND]-() } = 0 RETURN "
    assert query(alone + "count(u) AS n, count(u.dmcheck_needs) AS needs") == [{"n": 10, "needs": 0}]
    lie(database, query, 4)
    assert standings.read(database).standings.clients[FIRST].contained is not None
    query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s.sweeping = 0.0, s.doubted = [0.0]")
    judge_clients.run(database)
    assert query(alone + "count(u) - count(u.dmcheck_needs) AS believed") == [{"believed": 0}]


def test_a_crowd_that_errs_more_or_less_often_is_believed_less_or_more(database: Database, query: Query) -> None:
    """Two who agree are enough in a calm crowd, and not in a noisy one: what is settled is looked at again, both ways,
    and not where the crowd stays as it is."""
    prepare(database, [FIRST, SECOND], 10, size=10)
    say(database, FIRST, everyone("NON_DM"))
    query(ASK, heard=[FIRST])
    say(database, SECOND, everyone("NON_DM"))
    judge_clients.run(database)
    assert user(query)["needs"] is None
    crowd = "MATCH (s:DMCheckClientStats) SET s.pairs = 100, s.differ = $differ, s.share = 1.0"
    for differ, needs in ((40, "unsure"), (0, None)):
        query(crowd, differ=differ)
        judge_clients.run(database)
        assert user(query)["needs"] == needs
    query(crowd, differ=40)
    judge_clients.run(database)
    query("MATCH (u:User) REMOVE u.dmcheck_needs, u.dmcheck_asked")
    judge_clients.run(database)
    assert user(query)["needs"] is None


RECORD = """MATCH (:DMCheckClient {id: $id})-[:STATS]->(s)
    SET s.compared = [20, 80, 0, 0], s.contradicted = [0, 0, 0, 0], s.said = [20, 180, 0], s.record = $record,
        s.share = 0.02"""


def confirmed(database: Database, query: Query) -> None:
    """Two newcomers say DM of ten users, while nobody has a record."""
    prepare(database, [FIRST, SECOND, THIRD, 4], 10, size=10)
    say(database, FIRST, everyone("DM"))
    query(ASK, heard=[FIRST])
    say(database, SECOND, everyone("DM"))
    judge_clients.run(database)
    assert user(query)["needs"] is None


def test_the_first_record_asks_again_about_what_newcomers_confirmed(database: Database, query: Query) -> None:
    """From then on a DM needs somebody with a record."""
    confirmed(database, query)
    query(RECORD, id=THIRD, record=False)
    judge_clients.run(database)
    assert user(query)["needs"] == "dm"
    query("MATCH (u:User) REMOVE u.dmcheck_needs, u.dmcheck_asked")
    judge_clients.run(database)
    assert user(query)["needs"] is None


def test_who_loses_its_record_is_looked_at_again(database: Database, query: Query) -> None:
    """What rested on it needs another, whether it is contained or only contradicted more often."""
    confirmed(database, query)
    for id in (FIRST, THIRD):
        query(RECORD, id=id, record=True)
    judge_clients.run(database)
    assert user(query)["needs"] is None
    query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s.compared = [0, 0, 0, 0]")
    judge_clients.run(database)
    assert user(query)["needs"] == "dm"
    query(RECORD, id=FIRST, record=True)
    query("MATCH (u:User) REMOVE u.dmcheck_needs, u.dmcheck_asked")
    query("""MATCH (:DMCheckClient {id: 1})-[:STATS]->(s)
        SET s.times = [datetime().epochMillis / 1000.0], s.sums = [20.0, 0.0, 0.0, 0.0]""")
    judge_clients.run(database)
    assert standings.read(database).standings.clients[FIRST].contained is not None
    assert user(query)["needs"] is not None


def test_another_source_is_looked_at_again(database: Database, query: Query) -> None:
    """A client that now states the same `dm_from_id` as another confirms nothing of what that one said."""
    confirmed(database, query)
    clients.register(database, FIRST, f"client{FIRST}", dm_from_id=77)
    clients.register(database, SECOND, f"client{SECOND}", dm_from_id=78)
    judge_clients.run(database)
    assert user(query)["needs"] is None
    clients.register(database, SECOND, f"client{SECOND}", dm_from_id=77)
    judge_clients.run(database)
    assert user(query)["needs"] == "dm"


@pytest.mark.parametrize(
    "change",
    [
        "MATCH (u:User {screen_name: 'user00003'}) DETACH DELETE u",
        "MATCH (u:User {screen_name: 'user00003'})<-[r:DM_SECOND]-() DELETE r",
        """MATCH (c)-[r:DM_YES]->(u:User {screen_name: 'user00003'})<-[s:DM_SECOND]-(d)
        CREATE (c)-[:DM_PAST {at: r.at, candm: 'DM'}]->(u), (d)-[:DM_YES {at: s.at, witness: true}]->(u) DELETE r, s""",
        "MATCH (job:DMCheckJob {name: 'judge_clients'}) SET job.round = coalesce(job.round, 0) + 1",
    ],
)
def test_what_changes_meanwhile_is_read_again(
    database: Database, query: Query, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user is deleted, an opinion goes, or another run writes, after the run has read and before it writes."""
    prepare(database, [FIRST, SECOND], 10, size=10)
    say(database, FIRST, everyone("DM"))
    query(ASK, heard=[FIRST])
    say(database, SECOND, everyone("DM"))
    plain, done = Database.run, []

    def between(self: Database, statement: str, /, **parameters: object) -> object:
        if statement == "settle_opinions" and not done:
            done.append(query(change))
        return plain(self, statement, **parameters)

    monkeypatch.setattr(Database, "run", between)
    judge_clients.run(database)
    assert done
    looked = "MATCH (u:User) RETURN count(u.dmcheck_needs) AS needs, count(u) AS users"
    assert query(looked)[0]["needs"] == (0 if "DETACH" in change or "job" in change else 1)
    counted = "MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) RETURN s.compared AS compared"
    assert query(counted)[0]["compared"][0] == (10 if "job" in change else 9)
    assert broken(query) == []


def test_a_newcomer_on_probation_holds_one_lease_until_it_has_a_record(database: Database, query: Query) -> None:
    """However much it answers; judge_clients ends it, and what it may hold grows from there. Who has a record is not
    put on probation."""
    prepare(database, [FIRST, SECOND], 200, size=10)
    assert clients.put_on_probation(database, FIRST)
    for _ in range(6):
        say(database, FIRST, everyone("NON_DM"))
    judge_clients.run(database)
    [found] = stats.stats(database, FIRST)[0]
    assert (found.allowance, found.limited_by, found.record) == (1, "probation", False)
    assert len(leases.fetch(database, FIRST, 10, "K")) == 1
    with pytest.raises(OverQuota):
        leases.fetch(database, FIRST, 10, "L")
    query(
        """MATCH (:DMCheckClient)-[:STATS]->(s)
        SET s.compared = [200, 800, 200, 800], s.contradicted = [0, 0, 0, 0]"""
    )
    judge_clients.run(database)
    [found] = stats.stats(database, FIRST)[0]
    assert (found.record, found.limited_by) == (True, "answered")
    for lease in leases.resume(database, FIRST):
        submit(database, FIRST, [Answered(lease.bucket, lease.lease, {u.screen_name: "NON_DM" for u in lease.users})])
    judge_clients.run(database)
    assert stats.stats(database, FIRST)[0][0].allowance == 2
    assert not clients.put_on_probation(database, FIRST)
    assert query("MATCH (s:DMCheckClientStats) WHERE s.probation IS NOT NULL RETURN s") == []
    assert broken(query) == []
