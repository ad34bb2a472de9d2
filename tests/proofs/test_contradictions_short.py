"""The judge itself: it finds nothing in an honest history, and each lie that is put into the graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.crew import at_once
from proofs.history import Operation, Recorder, read
from proofs.outcome import Outcome
from support.invariants import Query

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.errors import NotRegistered

LIES = {
    "an answer is lost": ("MATCH (:DMCheckClient)-[r:DM_YES]->(:User) WITH r LIMIT 1 DELETE r", "lost: DM"),
    "an answer is there twice": (
        "MATCH (c:DMCheckClient)-[:DM_YES]->(u:User) WITH c, u LIMIT 1 CREATE (c)-[:DM_YES]->(u)",
        "has 2 answers",
    ),
    "an answer is another one": (
        "MATCH (c:DMCheckClient)-[r:DM_YES]->(u:User) WITH c, r, u LIMIT 1 DELETE r CREATE (c)-[:DM_NO]->(u)",
        "an answer that nobody gave",
    ),
    "an answer is another client's": (
        "MATCH (:DMCheckClient)-[r:DM_YES]->(u:User) MATCH (c:DMCheckClient {id: 2}) WITH r, u, c LIMIT 1"
        " DELETE r CREATE (c)-[:DM_YES]->(u)",
        "an answer that nobody gave",
    ),
    "an answer became history": (
        "MATCH (c:DMCheckClient)-[r:DM_YES]->(u:User) WITH c, r, u LIMIT 1 DELETE r"
        " CREATE (c)-[:DM_PAST {candm: 'DM'}]->(u)",
        "became history by itself",
    ),
    "a user is lost": ("MATCH (u:User {screen_name: 'user08'}) DETACH DELETE u", "user08 was added"),
    "a deleted user is back": ("CREATE (:User {screen_name: 'user09'})", "user09 was deleted"),
    "a client is lost": ("MATCH (c:DMCheckClient {id: 2}) DETACH DELETE c", "client 2 was registered"),
    "a client is inactive": ("MATCH (c:DMCheckClient {id: 1}) SET c.state = 'DEACTIVE'", "client 1 was registered"),
    "a client is active": ("MATCH (c:DMCheckClient {id: 3}) SET c.state = 'ACTIVE'", "client 3 was unregistered"),
    "a client has another name": ("MATCH (c:DMCheckClient {id: 4}) SET c.screen_name = 'other'", "is there as other"),
    "a client is suspended": ("MATCH (c:DMCheckClient {id: 1}) SET c.suspended = datetime()", "1 was resumed"),
    "a client is not suspended": ("MATCH (c:DMCheckClient {id: 4}) REMOVE c.suspended", "4 was suspended"),
    "a lease is lost": ("MATCH (l:DMCheckLease) WITH l LIMIT 1 DELETE l", "is not on record"),
    "a lease is there that nobody has": (
        "CREATE (:DMCheckLease {id: 'extra', client: 1, bucket: 'none', request: 'none'})",
        "nobody was given it",
    ),
    "an assignment is counted twice": ("MATCH (s:DMCheckClientStats) SET s.buckets_assigned = 9", "buckets_assigned"),
    "a processed bucket is not counted": (
        "MATCH (s:DMCheckClientStats) SET s.buckets_processed = 0",
        "buckets_processed",
    ),
    "a fault is not counted": ("MATCH (s:DMCheckClientStats) SET s.buckets_fault = 0", "buckets_fault"),
    "a lease's record counts other answers": (
        "MATCH (l:DMCheckLease) WHERE l.dm > 0 SET l.dm = l.dm - 1",
        "and was reported as",
    ),
    "a lease's record says another end": (
        "MATCH (l:DMCheckLease) WHERE l.how = 'answered' SET l.how = 'released'",
        "and was reported as",
    ),
    "a lease will be judged again": ("MATCH (l:DMCheckLease) SET l.unjudged = true", "leases were judged"),
    "a death is counted": ("MATCH (s:DMCheckClientStats) SET s.buckets_dead = 1", "buckets_dead"),
}


@pytest.fixture
def history(database: Database, tmp_path: Path) -> list[Operation]:
    """What an honest run leaves: two clients, whole, part, repeated and refused answers, a client that has gone."""
    usual, database.settings = database.settings, at_once(database.settings)
    recorder = Recorder(tmp_path)
    actor = Actor(database, recorder)
    for id in (1, 2, 3):
        actor.register(id)
    actor.add([f"user{i:02}" for i in range(9)])
    actor.make()
    whole, part = actor.fetch(1, 2, "first")
    first = Answered(whole.bucket, whole.lease, {user.screen_name: "DM" for user in whole.users})
    second = Answered(part.bucket, part.lease, {part.users[0].screen_name: "NON_DM"})
    actor.submit(1, [first, second])
    actor.submit(1, [first])
    actor.submit(2, [first])
    assert actor.judge()["judged"] == 2
    actor.add(["user09"])
    actor.delete(["user09"])
    actor.unregister(3)
    with pytest.raises(NotRegistered):
        actor.fetch(3)
    actor.register(4)
    actor.rename(4, "renamed")
    actor.suspend(4)
    actor.resume_client(1)
    recorder.close()
    database.settings = usual
    return read(tmp_path)


def test_an_honest_history_is_not_contradicted(history: list[Operation], query: Query) -> None:
    """Neither is one whose outcomes got lost: what is unknown may have happened."""
    assert contradictions(history, query) == []
    operation = next(x for x in history if x.kind == "submit")
    unknown = Operation(**{**vars(operation), "outcome": "unknown", "result": None, "ended": float("inf")})
    assert contradictions([unknown if x is operation else x for x in history], query) == []


@pytest.mark.parametrize(("statement", "says"), LIES.values(), ids=LIES)
def test_a_graph_that_lies_is_found_out(history: list[Operation], query: Query, statement: str, says: str) -> None:
    """One change to the graph, behind the back of the history."""
    query(statement)
    found = contradictions(history, query)
    assert any(says in text for text in found), found


def test_histories_that_contradict_themselves_are_found_out(history: list[Operation], query: Query) -> None:
    """A bucket given to two, answers under an older lease, another report for the same answers, another lease for the
    same request."""
    fetch = next(x for x in history if x.kind == "fetch" and x.ok)
    submit = next(x for x in history if x.kind == "submit" and x.ok)
    [bucket, _] = fetch.result["buckets"]

    def again(operation: Operation, **changes: object) -> Operation:
        late = history[-1].ended
        return Operation(**{**vars(operation), "began": late + 1, "ended": late + 2, **changes})

    def given(lease: str, **changes: object) -> Operation:
        return again(fetch, result={"buckets": [{**bucket, "lease": lease}]}, **changes)

    twice = given("second", client=2, arguments={"request": "other"}, began=fetch.began, ended=fetch.ended)
    anew = given("second", client=2, arguments={"request": "other"}, began=fetch.ended + 1e-9, ended=fetch.ended + 2e-9)
    other = again(submit, result={"buckets": [{**x, "accepted": 0} for x in submit.result["buckets"]]})
    told = {
        "was leased twice": [x for x in history if x.kind != "submit"] + [twice],
        "were accepted after": [*history, anew],
        "repeated a submit": [*history, other],
        "repeated request": [*history, given("second")],
        "was asked again": [*history, given("second", arguments={"request": "other"})],
        "came to 1 and to 2": [*history, given(bucket["lease"], client=2)],
    }
    for says, operations in told.items():
        assert any(says in text for text in contradictions(operations, query)), says


def test_a_run_that_shows_nothing_fails() -> None:
    """No fault, no operation, or a violation: each is a failure."""
    for faults, ok, violations in ((0, 1, []), (1, 0, []), (1, 1, ["lost"])):
        with pytest.raises(AssertionError):
            Outcome("a fault", "by hand", "none", ok=ok, faults=faults, violations=violations).check()
    assert Outcome("a fault", "by hand", "none", ok=1, faults=1).check().operations == 1


def test_what_a_killed_process_was_doing_is_unknown(tmp_path: Path) -> None:
    """An operation that was begun and never ended may take effect at any time."""
    recorder = Recorder(tmp_path)
    recorder.begin("fetch", 1, {})
    recorder.close()
    [operation] = read(tmp_path)
    assert (operation.unknown, operation.ended) == (True, float("inf"))
