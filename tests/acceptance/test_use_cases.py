"""The use cases in the design's pictures 4.1 to 4.3, 4.5 and 4.6, and the requirements of its section 2.1 that have no
test case of their own. The crashes of picture 4.4 are in `test_crashes.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.graphs import answered, answers, counters, picture, prepare, refusal, together
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import answers as taking
from dmcheck_cli.transactions import buckets, clients, leases, users

SIZES = """
    MATCH (b:DMCheckBucket)<-[:INDMCHECKBUCKET]-(u) WITH b, count(u) AS n
    RETURN b.priority AS priority, n ORDER BY priority, n"""


def names_in(document: Any) -> list[list[str]]:
    """The users' names in each bucket of a fetched document."""
    return [sorted(user["screen_name"] for user in bucket["users"]) for bucket in document["buckets"]]


def test_4_1_unprocessed_users_are_put_into_buckets(run: Callable[..., Any], database: Database, query: Query) -> None:
    """All who are neither checked nor in a bucket, bare nodes of other programs among them, in buckets of nearly equal
    sizes up to the size that is set; nobody else."""
    prepare(database, [42], 3)
    document = run("fetch", "--client", 42, "--json").document
    assert run("submit", "--client", 42, stdin=answered(document)).status == 0
    query("UNWIND range(1, 20) AS i CREATE (:User {screen_name: 'bare' + i})")

    made = run("--json", program="make_buckets", DMCHECK_BUCKET_SIZE="7")

    assert (made.status, made.document) == (0, {"buckets": 3, "users": 20, "waiting": 0})
    assert query(SIZES) == [{"priority": 100, "n": n} for n in (6, 7, 7)]
    assert run("--json", program="make_buckets", DMCHECK_BUCKET_SIZE="7").document == {
        "buckets": 0,
        "users": 0,
        "waiting": 0,
        "reason": "nobody_waits",
    }
    assert broken(query) == []


def test_4_1_high_priority_users_are_put_into_a_bucket_at_once(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Without any job: from their bucket of lower priority or from none; the next fetch gets just them."""
    names = prepare(database, [42], 10, size=5)
    assert run("users", "add", stdin="newcomer\n").status == 0
    wanted = sorted([names[0], names[9], "newcomer"])

    done = run("prioritize", *wanted, "--json")

    assert (done.status, done.document["prioritized"], done.document["under_lease"]) == (0, 3, 0)
    assert broken(query) == []
    [bucket] = run("fetch", "--client", 42, "--count", 1, "--json").document["buckets"]
    assert (bucket["priority"], names_in({"buckets": [bucket]})) == (10, [wanted])


def test_4_1_a_high_priority_user_is_already_picked(run: Callable[..., Any], database: Database, query: Query) -> None:
    """A user whose bucket somebody holds stays in it, is not handed out a second time, and comes back in a bucket of
    high priority if there is no answer."""
    names = prepare(database, [42, 43], 4)
    document = run("fetch", "--client", 42, "--json").document

    done = run("prioritize", names[3], "--json").document

    assert (done["prioritized"], done["under_lease"]) == (0, 1)
    assert run("fetch", "--client", 43, "--json").status == 3
    assert names_in(run("fetch", "--client", 42, "--resume", "--json").document) == [names]
    nothing = {**document, "buckets": [{**document["buckets"][0], "users": []}]}
    assert run("submit", "--client", 42, stdin=json.dumps(nothing)).status == 0
    back = run("fetch", "--client", 43, "--json").document
    assert {b["priority"]: names_in({"buckets": [b]})[0] for b in back["buckets"]} == {10: names[3:], 100: names[:3]}
    assert broken(query) == []


def test_4_2_the_best_bucket_comes_first(database: Database, query: Query) -> None:
    """In the order of priorities, whatever the order in which they were made."""
    prepare(database, [42], 12, size=2)
    for priority, name in ((50, "user00000"), (10, "user00001"), (30, "user00002")):
        users.prioritize(database, [name], priority, recheck=False)

    given = [leases.fetch(database, 42, 1, f"{i}")[0] for i in range(4)]

    assert [lease.priority for lease in given] == [10, 30, 50, 100]
    assert [lease.users[0].screen_name for lease in given[:3]] == ["user00001", "user00002", "user00000"]
    assert broken(query) == []


def test_4_2_a_starved_bucket_gets_a_higher_priority(run: Callable[..., Any], database: Database, query: Query) -> None:
    """After a day of waiting it goes before buckets of the most urgent priority there is; younger ones stay."""
    [old, *young] = prepare(database, [42], 3, size=1)
    query(
        """MATCH (:User {screen_name: $old})-[:INDMCHECKBUCKET]->(b)
        SET b.edit_datetime = datetime() - duration('PT24H1S')""",
        old=old,
    )
    users.prioritize(database, young, 0, recheck=False)

    assert run("--json", program="raise_starved").document == {"raised": 1}

    assert run("--json", program="raise_starved").document == {"raised": 0}
    document = run("fetch", "--client", 42, "--count", 1, "--json").document
    assert names_in(document) == [[old]]
    assert broken(query) == []


def test_4_3_users_are_deleted_while_their_bucket_is_held(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Their answers are dropped silently, the others' are taken, and the bucket is done; no deleted user comes back."""
    names = prepare(database, [42], 4)
    document = answered(run("fetch", "--client", 42, "--json").document)
    gone = run("users", "delete", names[0], "nobody", "--json")
    assert (gone.status, gone.document) == (0, {"deleted": 1, "unknown": ["nobody"]})

    done = run("submit", "--client", 42, "--json", stdin=document)

    [report] = done.document["buckets"]
    assert (done.status, report["status"], report["accepted"], report["refused"]) == (0, "done", 3, [])
    assert query("MATCH (u:User) RETURN count(u) AS n") == [{"n": 3}]
    assert counters(query, 42) == (1, 1, 0, 0)
    assert broken(query) == []


def test_4_3_a_user_is_deleted_while_its_bucket_is_answered(database: Database, query: Query) -> None:
    """At the same moment, 15 times: the user is gone, everybody else is answered, and the bucket is done."""
    rounds = 15
    prepare(database, [42], 4 * rounds, size=4)
    query("MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 100, s.allowance = 100")
    held = [leases.fetch(database, 42, 1, f"{i}")[0] for i in range(rounds)]
    victims = [lease.users[i % 4].screen_name for i, lease in enumerate(held)]

    outcomes = together(
        database.settings,
        [partial(_delete, victims), partial(_submit, 42, [answers(lease) for lease in held])],
        rounds,
    )

    assert [deleted for deleted, _ in outcomes] == [1] * rounds
    assert all(status == "done" and accepted in (3, 4) for _, (status, accepted) in outcomes)
    assert query("MATCH (u:User) OPTIONAL MATCH (u)<-[r:DM_YES]-() RETURN count(u) AS users, count(r) AS answers") == [
        {"users": 3 * rounds, "answers": 3 * rounds}
    ]
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert counters(query, 42) == (rounds, rounds, 0, 0)
    assert broken(query) == []


def test_4_3_a_bucket_is_unlocked_and_answered_at_the_same_time(database: Database, query: Query) -> None:
    """At the same moment, 15 times: the late answers are taken once, whether the release comes before or after them,
    and the bucket is done; it never comes back empty or half."""
    rounds = 15
    prepare(database, [42], 4 * rounds, size=4)
    query("MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 100, s.allowance = 100")
    held = [leases.fetch(database, 42, 1, f"{i}")[0] for i in range(rounds)]
    query(
        """MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->()-[:STATS]->(s)
        MATCH (l:DMCheckLease {id: b.newest})
        SET b.dead_datetime = datetime(), l.died = true, s.buckets_dead = s.buckets_dead + 1"""
    )

    outcomes = together(
        database.settings,
        [
            partial(_release, [lease.bucket for lease in held]),
            partial(_submit, 42, [answers(lease) for lease in held]),
        ],
        rounds,
    )

    assert [status for _, status in outcomes] == [("done", 4)] * rounds
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert query("MATCH (u:User)<-[r:DM_YES]-() RETURN count(DISTINCT u) AS users, count(r) AS n") == [
        {"users": 4 * rounds, "n": 4 * rounds}
    ]
    assert counters(query, 42) == (rounds, rounds, 0, rounds)
    assert broken(query) == []


def test_4_5_what_can_be_seen_of_a_client(run: Callable[..., Any], database: Database, query: Query) -> None:
    """Its first and last registration and its state; users and buckets processed; faults: an update for an unassigned
    user, one for a bucket of another, one for a bucket that does not exist."""
    prepare(database, [42, 43], 6, size=3)
    document = answered(run("fetch", "--client", 42, "--count", 1, "--json").document)
    other = answered(run("fetch", "--client", 43, "--count", 1, "--json").document)
    stranger = json.loads(document)
    stranger["buckets"][0]["users"].append(json.loads(other)["buckets"][0]["users"][0])
    assert run("submit", "--client", 42, stdin=json.dumps(stranger)).status == 0
    assert run("submit", "--client", 42, stdin=other).status == 1
    made_up = {"bucket": "0" * 32, "lease": "made-up", "users": [{"screen_name": "user00000", "candm": "DM"}]}
    refused = run("submit", "--client", 42, "--json", stdin=json.dumps({"buckets": [made_up]}))
    assert (refused.status, refused.error["code"]) == (1, "unknown_bucket")

    [client] = run("stats", "--client", 42, "--json").document["clients"]

    assert (client["screen_name"], client["state"]) == ("client42", "ACTIVE")
    assert client["first_registered"] == client["last_registered"] < client["last_access_time"]
    counted = tuple(client[f"buckets_{name}"] for name in ("assigned", "processed", "fault", "dead"))
    assert (counted, client["users_checked"]) == ((1, 1, 3, 0), 3)
    assert client["flags"] == ["faulty"]
    assert broken(query) == []


@pytest.mark.parametrize("command", ["fetch", "submit"])
def test_4_6_who_is_not_registered_gets_and_changes_nothing(
    run: Callable[..., Any], database: Database, query: Query, command: str
) -> None:
    """A request for a bucket is ignored and an update discarded, with not_registered, and nobody becomes registered."""
    prepare(database, [42], 3)
    document = answered(run("fetch", "--client", 42, "--json").document)
    before = picture(query)

    refused = run(command, "--client", 66, "--json", stdin=document)

    assert (refused.status, refused.out, refused.error["code"]) == (1, "", "not_registered")
    assert picture(query) == before


def test_4_6_an_update_of_anothers_bucket_is_discarded_and_notified(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Even with the true lease, stolen from the owner: the thief is told not_owner, and the fault is on its account."""
    prepare(database, [42, 66], 3)
    stolen = answered(run("fetch", "--client", 42, "--json").document, candm="NON_DM")
    before = refusal(query)

    refused = run("submit", "--client", 66, "--json", stdin=stolen)

    assert (refused.status, refused.error["code"]) == (1, "not_owner")
    assert refusal(query) == before
    assert (counters(query, 66), counters(query, 42)) == ((0, 0, 1, 0), (1, 0, 0, 0))
    assert broken(query) == []


def test_4_6_an_update_for_unassigned_users_is_discarded_and_notified(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """A submit that answers for nobody in its bucket changes no answer: the bucket is refused with not_in_bucket, the
    fault is counted, and the client keeps its lease."""
    prepare(database, [42], 3)
    query("UNWIND ['victim1', 'victim2'] AS name CREATE (:User {screen_name: name})")
    document = run("fetch", "--client", 42, "--json").document
    document["buckets"][0]["users"] = [{"screen_name": name, "candm": "DM"} for name in ("victim1", "victim2")]

    done = run("submit", "--client", 42, "--json", stdin=json.dumps(document))

    [report] = done.document["buckets"]
    assert (done.status, report["status"], report["reason"]) == (1, "refused", "not_in_bucket")
    assert len(run("fetch", "--client", 42, "--resume", "--json").document["buckets"][0]["users"]) == 3
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN r") == []
    assert counters(query, 42) == (1, 0, 1, 0)
    assert broken(query) == []


def test_2_1_a_client_states_its_capability(run: Callable[..., Any], database: Database, query: Query) -> None:
    """It holds up to as many buckets as it said, and may say otherwise later; without a word it keeps its capacity."""
    prepare(database, [42], 8, size=1)
    for stated, total in ((["--capacity", 2], 2), ([], 2), (["--capacity", 5], 5)):
        done = run("register", "--id", 42, "--screen-name", "client42", *stated, "--json")
        assert done.document["client"]["capacity"] == total
        run("fetch", "--client", 42)
        assert query("MATCH (b)-[:DMCHECKCLIENT]->() RETURN count(b) AS n") == [{"n": total}]
    assert run("fetch", "--client", 42, "--json").error["code"] == "over_quota"
    assert broken(query) == []


def test_2_1_a_client_recollects_what_it_owns(run: Callable[..., Any], database: Database, query: Query) -> None:
    """After a crash it gets the same leases of the same users again, as they were given, and nothing new."""
    prepare(database, [42, 43], 12, size=3)
    given = run("fetch", "--client", 42, "--count", 2, "--request-id", "before the crash", "--json").document
    before = picture(query, "last_access_time")

    resumed = run("fetch", "--client", 42, "--resume", "--json")
    repeated = run("fetch", "--client", 42, "--count", 2, "--request-id", "before the crash", "--json")

    def by_bucket(document: Any) -> dict[str, Any]:
        return {b["bucket"]: {**b, "users": sorted(map(str, b["users"]))} for b in document["buckets"]}

    assert by_bucket(resumed.document) == by_bucket(repeated.document) == by_bucket(given)
    assert picture(query, "last_access_time") == before
    assert run("fetch", "--client", 43, "--resume", "--json").status == 3


def test_2_1_users_that_are_in_no_bucket_yet_can_be_listed(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """All of them and nobody else: who is in a bucket, held or not, or checked, is not pending."""
    prepare(database, [42], 4, size=2)
    document = run("fetch", "--client", 42, "--count", 1, "--json").document
    assert run("submit", "--client", 42, stdin=answered(document, only=1)).status == 0
    assert run("users", "add", stdin='{"screen_name": "known", "id": 7}\n@bare\n').status == 0

    listed = run("users", "pending", "--json").document

    assert [(user["screen_name"], user["id"]) for user in listed["users"]] == [("bare", None), ("known", 7)]
    assert len(run("users", "pending", "--limit", 1, "--json").document["users"]) == 1
    assert broken(query) == []


def test_2_1_a_deleted_users_answers_are_deleted_too(run: Callable[..., Any], database: Database, query: Query) -> None:
    """With the user go the answers, past ones too, and the user's place in a bucket; the last one's bucket as well."""
    names = prepare(database, [42], 2)
    document = run("fetch", "--client", 42, "--json").document
    assert run("submit", "--client", 42, stdin=answered(document)).status == 0
    assert run("prioritize", names[0], "--recheck", "--json").document["prioritized"] == 1
    assert query("MATCH (:DMCheckClient)-[r:DM_PAST|DM_YES]->() RETURN count(r) AS n") == [{"n": 2}]

    assert run("users", "delete", *names, "--json").document == {"deleted": 2, "unknown": []}

    assert query("MATCH (n) WHERE n:User OR n:DMCheckBucket RETURN n") == []
    assert query("MATCH (:DMCheckClient)-[r:!STATS]->() RETURN r") == []
    assert run("users", "delete", *names, "--json").document == {"deleted": 0, "unknown": names}


def test_2_1_one_of_two_proxies_of_an_id_finishes_what_the_other_fetched(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Whatever acts for an id acts for one client: what one machine fetched the other can resume and answer."""
    prepare(database, [42], 3)
    assert run("fetch", "--client", 42, "--json").status == 0
    elsewhere = run("fetch", "--resume", "--json", DMCHECK_CLIENT_ID="42").document

    done = run("submit", "--json", stdin=answered(elsewhere), DMCHECK_CLIENT_ID="42")

    assert done.document["buckets"][0]["status"] == "done"
    assert counters(query, 42) == (1, 1, 0, 0)


def test_2_1_what_a_faulty_client_answered_can_be_found_and_done_again(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """The graph tells who gave which answer; the users are checked again, by others, and the old answers stay as
    history with their author."""
    names = prepare(database, [42, 43], 3)
    assert taking.submit(database, 42, [answers(leases.fetch(database, 42, 1, "one")[0])])[0].status == "done"
    clients.unregister(database, 42, "client42")
    suspect = query("MATCH (:DMCheckClient {id: 42})-[:DM_YES]->(u) RETURN u.screen_name AS name ORDER BY name")
    assert [row["name"] for row in suspect] == names
    assert run("prioritize", *names, "--json").document["already_checked"] == names

    assert run("prioritize", *names, "--recheck", "--json").document["prioritized"] == 3
    document = run("fetch", "--client", 43, "--json").document
    assert run("submit", "--client", 43, stdin=answered(document, candm="NON_DM")).status == 0

    rows = query(
        """MATCH (u:User) RETURN u.screen_name AS name,
            [(c)-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u) | [c.id, type(r)]] AS now,
            [(c)-[r:DM_PAST]->(u) | [c.id, r.candm]] AS past
        ORDER BY name"""
    )
    assert rows == [{"name": name, "now": [[43, "DM_NO"]], "past": [[42, "DM"]]} for name in names]
    assert broken(query) == []


def _delete(names: list[str], database: Database, number: int) -> int:
    return users.delete(database, [names[number]])[0]


def _submit(client: int, documents: list[taking.Answered], database: Database, number: int) -> tuple[str, int]:
    [report] = taking.submit(database, client, [documents[number]])
    return report.reason or report.status, report.accepted


def _release(uuids: list[str], database: Database, number: int) -> int:
    """Release the round's bucket, which alone has been dead for long enough."""
    long_ago = "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.dead_datetime = datetime() - duration('PT1H')"
    database.run_text(long_ago, uuid=uuids[number])
    return len(buckets.release_dead(database))
