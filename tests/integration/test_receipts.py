"""What the record of an ended lease says, and to whom."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from proofs import network, proxy
from releases.v0_1_0 import graph as old
from support.graphs import (
    answers,
    counters,
    prepare,
    refusal,
    start,
    transactions,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Answered, Lease
from dmcheck_cli.transactions import schema, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release, resume


def test_the_same_answers_from_another_client_are_refused(database: Database, query: Query) -> None:
    """Anyone who learned of a document learns nothing from submitting it: the report is its owner's."""
    prepare(database, [1, 2], 3)
    [lease] = fetch(database, 1, 1, "k")
    assert submit(database, 1, [answers(lease)])[0].status == "done"
    before = refusal(query)
    [report] = submit(database, 2, [answers(lease)])
    assert (report.reason, report.accepted) == ("not_owner", 0)
    assert refusal(query) == before


def test_an_older_lease_gives_nothing_back(database: Database, query: Query) -> None:
    """Given back again, as after a lost answer, it is the success that it was; what the client took since stays."""
    prepare(database, [1], 3)
    [older] = fetch(database, 1, 1, "k")
    assert release(database, 1, older.bucket, older.lease) == 3
    [newer] = fetch(database, 1, 1, "k2")
    assert newer.bucket == older.bucket
    assert release(database, 1, older.bucket, older.lease) == 3
    assert [held.lease for held in resume(database, 1)] == [newer.lease]
    assert broken(query) == []


def test_receipts_of_0_1_0_lose_the_names_of_deleted_users(database: Database, query: Query) -> None:
    """It stored whom it refused by name; the report that is left names the others."""
    try:
        [strange] = old.make(database).strange
        schema.apply(database)
        [name] = strange.report.refused
        refused = "MATCH (l:DMCheckLease) UNWIND l.refused AS refused RETURN refused"
        assert query(refused) == [{"refused": name}]
        assert users.delete(database, [name]) == (1, [])
        assert query(refused) == []
        [report] = submit(database, old.ANSWERING, [Answered(strange.bucket, strange.lease, strange.answers)])
        assert (report.accepted, report.refused) == (strange.report.accepted, [])
    finally:
        query("MATCH (n) DETACH DELETE n")
        schema.apply(database)


@pytest.mark.parametrize("candm", ANSWERS)
def test_an_answer_says_when_it_came_also_once_it_is_history(database: Database, query: Query, candm: str) -> None:
    """The database's own time, which a recheck keeps."""
    [name, *_] = prepare(database, [1], 3)
    [began] = query("RETURN datetime() AS now")
    [lease] = fetch(database, 1, 1, "k")
    submit(database, 1, [answers(lease, candm)])
    current = query("MATCH ()-[answer:DM_YES|DM_NO|DM_UNKNOWN]->(u) RETURN u.screen_name AS name, answer.at AS at")
    times = {row["name"]: row["at"] for row in current}
    assert len(times) == 3
    assert all(at >= began["now"] for at in times.values())
    users.prioritize(database, [name], 10, recheck=True)
    assert query("MATCH ()-[past:DM_PAST]->(u) RETURN u.screen_name AS name, past.candm AS candm, past.at AS at") == [
        {"name": name, "candm": candm, "at": times[name]}
    ]


def test_a_document_of_two_buckets_is_stored_whole_or_not_at_all(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """While a submit waits for its second bucket, nothing of the first is to be seen, nor when it is killed there."""
    prepare(database, [1], 6, size=3)
    pair = fetch(database, 1, 2, "k")
    document = {"buckets": [{**asdict(lease), "users": answers_of(lease)} for lease in pair]}
    before = refusal(query)
    with transactions(environment) as [rival]:
        rival.run("MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.uuid = b.uuid", uuid=pair[1].bucket).consume()
        with start(environment, "submit", "--client", 1, stdin=json.dumps(document)) as client:
            wait_until_blocked(query, "submit")
            assert refusal(query) == before
            client.kill()
    wait_until_gone(query, "submit")
    assert query("MATCH (:DMCheckClient)-[:DM_YES]->(u) RETURN count(u) AS n")[0]["n"] in (0, 6)
    assert broken(query) == []


def answers_of(lease: Lease) -> list[dict[str, str]]:
    """The users of a lease as a checker hands them on."""
    return [{"screen_name": user.screen_name, "candm": "DM"} for user in lease.users]


def test_a_refusal_whose_answer_was_lost_is_counted_once(database: Database, query: Query) -> None:
    """The connection is cut after the commit; our own second try is refused as well, and is no second fault."""
    prepare(database, [1, 2], 3)
    [lease] = fetch(database, 1, 1, "k")
    with (
        proxy.Proxy(network.port_of(database.settings), proxy.always(proxy.RESET_AFTER, 1)) as lying,
        Database(replace(database.settings, neo4j_uri=lying.uri), "tests") as far,
    ):
        assert submit(far, 2, [answers(lease)])[0].reason == "not_owner"
        assert lying.fired[proxy.RESET_AFTER] == 1
    assert counters(query, 2) == (0, 0, 1, 0)
