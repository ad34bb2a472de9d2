"""The design's test cases 8.4: several clients that use one id. The system treats them as one and the same client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from support.graphs import Work, answered, answers, commands_together, counters, prepare, together
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.transactions import clients, leases
from dmcheck_cli.transactions.answers import submit

ROUNDS = 20


def test_8_4_1_two_clients_register_with_the_same_details(
    run: Callable[..., Any], environment: dict[str, str], query: Query
) -> None:
    """At the same moment: both are told that they are registered, as the one client that there is then."""
    results = commands_together(environment, [("register", "--id", 42, "--screen-name", "checker", "--json")] * 2)

    assert [status for status, _, _ in results] == [0, 0]
    assert results[0][1] == results[1][1]
    assert query("MATCH (c:DMCheckClient) RETURN c.id AS id, c.state AS state") == [{"id": 42, "state": "ACTIVE"}]
    assert broken(query) == []


def test_8_4_2_two_clients_answer_the_same_bucket_alike(
    run: Callable[..., Any], environment: dict[str, str], database: Database, query: Query
) -> None:
    """At the same moment: both get the same report, and the answers are stored and counted once."""
    prepare(database, [42], 5)
    document = answered(run("fetch", "--client", 42, "--json").document)

    results = commands_together(environment, [("submit", "--client", 42, "--json")] * 2, stdin=document)

    assert [status for status, _, _ in results] == [0, 0]
    assert results[0][1] == results[1][1]
    assert query("MATCH ()-[r:DM_YES]->() RETURN count(r) AS n") == [{"n": 5}]
    assert counters(query, 42) == (1, 1, 0, 0)
    assert broken(query) == []


def test_8_4_2_two_clients_answer_the_same_bucket_differently(database: Database, query: Query) -> None:
    """At the same moment, 20 times: one of the two is taken whole, the other is told payload_changed; no user gets a
    bit of both."""
    prepare(database, [42], 4 * ROUNDS, size=4)
    query("MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 100, s.allowance = 100")
    held = [leases.fetch(database, 42, 1, f"round {i}")[0] for i in range(ROUNDS)]
    rivals = [partial(_submit, 42, [answers(lease, candm) for lease in held]) for candm in ("DM", "NON_DM")]

    outcomes = together(database.settings, rivals, ROUNDS)

    assert all(sorted(pair) == ["done", "payload_changed"] for pair in outcomes)
    kinds = query(
        "UNWIND $held AS names MATCH (u:User)<-[r:DM_YES|DM_NO]-() WHERE u.screen_name IN names "
        "RETURN names, count(r) AS n, count(DISTINCT type(r)) AS kinds",
        held=[[user.screen_name for user in lease.users] for lease in held],
    )
    assert [(row["n"], row["kinds"]) for row in kinds] == [(4, 1)] * ROUNDS
    assert counters(query, 42) == (ROUNDS, ROUNDS, ROUNDS, 0)
    assert broken(query) == []


def test_8_4_3_one_client_unregisters_while_another_answers(database: Database, query: Query) -> None:
    """At the same moment, 20 times: either the answers came first and are kept, or the unregistration did, and the
    answers are refused whole and the users wait for another client."""
    ids = list(range(1, ROUNDS + 1))
    prepare(database, ids, 4 * ROUNDS, size=4)
    held = [leases.fetch(database, id, 1, "one")[0] for id in ids]
    rivals: list[Work] = [_unregister, partial(_submit_own, [answers(lease) for lease in held])]

    outcomes = together(database.settings, rivals, ROUNDS)

    stored = 0
    for id, lease, outcome in zip(ids, held, outcomes, strict=True):
        [row] = query(
            """MATCH (u:User)<-[r:DM_YES]-(:DMCheckClient {id: $id}) WITH count(r) AS answers
            OPTIONAL MATCH (u:User)-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $bucket})
            RETURN answers, count(u) AS waiting""",
            id=id,
            bucket=lease.bucket,
        )
        assert (*outcome, row["answers"], row["waiting"]) in [(0, "done", 4, 0), (1, "not_registered", 0, 4)]
        stored += row["answers"]
    assert query("MATCH (u:User)<-[r:DM_YES]-() RETURN count(r) AS n") == [{"n": stored}]
    assert broken(query) == []


def _submit(client: int, documents: list[Answered], database: Database, number: int) -> str:
    [report] = submit(database, client, [documents[number]])
    return report.reason or report.status


def _submit_own(documents: list[Answered], database: Database, number: int) -> str:
    return _submit(number + 1, documents, database, number)


def _unregister(database: Database, number: int) -> int:
    return clients.unregister(database, number + 1, f"client{number + 1}")[1]
