"""The design's test case 8.6 and its sections 9.1 and 10.1: what an operator can see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import answered, pass_time, prepare
from support.invariants import Query, broken

from dmcheck_cli import __version__
from dmcheck_cli.database.connection import Database
from dmcheck_cli.reporting.views import CLIENTS

OPERATORS_QUERY = (
    "match(b:DMCheckBucket)-[r1:DMCHECKCLIENT]->(c:DMCheckClient)-[r2:STATS]->(s:DMCheckClientStats) return b,r1,c,r2,s"
)
"""Copied from the design, 10.1."""


def reclaim(run: Callable[..., Any]) -> dict[str, int]:
    """One round of the job."""
    document: dict[str, int] = run("--json", program="reclaim_leases").document
    return document


def test_8_6_processing_a_bucket_takes_longer_than_allowed(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """A lease past its time shows up as dead, and its client as unresponsive; a renewal takes both back."""
    prepare(database, [42, 43], 4)
    [lease] = run("fetch", "--client", 42, "--json").document["buckets"]
    pass_time(query, 7100)
    assert reclaim(run) == {"marked_dead": 0, "released": 0}
    pass_time(query, 200)
    assert reclaim(run) == {"marked_dead": 1, "released": 0}

    late = run("stats", "--json").document

    system = late["system"]
    assert (system["buckets_ready"], system["buckets_leased"], system["buckets_dead"]) == (0, 0, 1)
    assert (system["users_total"], system["users_leased"], system["users_waiting"]) == (4, 4, 0)
    slow, idle = late["clients"]
    assert (slow["id"], slow["held"], slow["buckets_dead"], slow["flags"]) == (42, 1, 1, ["unresponsive"])
    assert (idle["id"], idle["held"], idle["flags"]) == (43, 0, [])
    renewed = run("renew", "--client", 42, "--bucket", lease["bucket"], "--lease", lease["lease"], "--json")
    assert renewed.status == 0
    better = run("stats", "--client", 42, "--json").document
    assert (better["system"]["buckets_leased"], better["system"]["buckets_dead"]) == (1, 0)
    assert better["clients"][0]["flags"] == []
    assert broken(query) == []


def test_8_6_1_a_client_stays_silent_beyond_the_threshold(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Its bucket goes from leased to dead to ready, as `stats` tells; the dead lease stays on the client's account,
    once, and nothing counts as processed."""
    prepare(database, [42], 4)
    assert run("fetch", "--client", 42).status == 0
    told = []
    for seconds in (0, 7201, 901):
        pass_time(query, seconds)
        reclaim(run)
        document = run("stats", "--json").document
        system = document["system"]
        told.append(tuple(system[f"buckets_{state}"] for state in ("leased", "dead", "ready")))

    assert told == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    [client] = document["clients"]
    counted = tuple(client[f"buckets_{name}"] for name in ("assigned", "processed", "fault", "dead"))
    assert counted == (1, 0, 0, 1)
    assert (client["held"], client["flags"]) == (0, [])
    assert system["users_waiting"] == 4
    assert system["oldest_wait_seconds"] >= 7201 + 901
    assert broken(query) == []


def test_9_1_a_clients_counters(run: Callable[..., Any], database: Database, query: Query) -> None:
    """The picture's client, four buckets assigned and one processed, has just these counters of buckets in the
    graph, and the time of its last access from the database's clock."""
    prepare(database, [42], 20, size=5)
    document = run("fetch", "--client", 42, "--count", 4, "--json").document
    one = {**document, "buckets": document["buckets"][:1]}
    [before] = query("RETURN toString(datetime()) AS now")
    assert run("submit", "--client", 42, stdin=answered(one)).status == 0

    [row] = query(
        """MATCH (:DMCheckClient {id: 42})-[:STATS]->(s)
        RETURN properties(s) AS s, valueType(s.last_access_time) AS kind,
            datetime($before) <= s.last_access_time <= datetime() AS just_now""",
        before=before["now"],
    )

    assert {name: value for name, value in row["s"].items() if name.startswith("buckets_")} == {
        "buckets_assigned": 4,
        "buckets_dead": 0,
        "buckets_fault": 0,
        "buckets_processed": 1,
    }
    assert row["kind"] == "ZONED DATETIME NOT NULL"
    assert row["just_now"]
    [client] = run("stats", "--client", 42, "--json").document["clients"]
    assert (client["buckets_assigned"], client["buckets_processed"], client["held"]) == (4, 1, 3)


def test_10_1_the_operators_query_works_as_it_stands(run: Callable[..., Any], database: Database, query: Query) -> None:
    """It shows each held bucket with its client and that client's counters, and nothing that is not held."""
    prepare(database, [42, 43], 20, size=5)
    given = run("fetch", "--client", 42, "--count", 2, "--json").document["buckets"]
    assert run("fetch", "--client", 43, "--count", 1).status == 0
    query("MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.expires = datetime()", uuid=given[0]["bucket"])
    reclaim(run)

    rows = query(OPERATORS_QUERY)

    assert sorted((row["c"]["id"], row["s"]["buckets_assigned"]) for row in rows) == [(42, 2), (42, 2), (43, 1)]
    mine = {row["b"]["uuid"]: row for row in rows if row["c"]["id"] == 42}
    assert set(mine) == {bucket["bucket"] for bucket in given}
    assert mine[given[0]["bucket"]]["b"]["dead_datetime"] is not None
    assert "dead_datetime" not in mine[given[1]["bucket"]]["b"]
    for row in rows:
        assert {"uuid", "priority", "assigned_datetime", "edit_datetime"} <= set(row["b"])
        assert {"id", "screen_name", "state", "create_datetime", "edit_datetime"} <= set(row["c"])
        assert {"buckets_processed", "buckets_fault", "buckets_dead", "last_access_time"} <= set(row["s"])
    assert run("submit", "--client", 42, stdin=answered({"buckets": given})).status == 0
    assert [row["c"]["id"] for row in query(OPERATORS_QUERY)] == [43]


def test_10_1_a_malfunctioning_client_is_flagged(run: Callable[..., Any], database: Database, query: Query) -> None:
    """The client of the design's picture, of whose 1,842 leases 1,389 died, is flagged as dying, with a last access
    eight hours after it registered; a sound one beside it has no flag."""
    prepare(database, [42, 43])
    query(
        """MATCH (c:DMCheckClient {id: 42})-[:STATS]->(s)
        SET s.buckets_assigned = 1842, s.buckets_dead = 1389, s.buckets_processed = 1294,
            s.last_access_time = datetime(), c.edit_datetime = datetime() - duration('PT8H')"""
    )

    sick, sound = run("stats", "--json").document["clients"]

    assert (sick["id"], sick["flags"]) == (42, ["dying"])
    assert (sick["buckets_assigned"], sick["buckets_dead"], sick["buckets_processed"]) == (1842, 1389, 1294)
    assert sick["last_registered"] < sick["last_access_time"]
    assert (sound["id"], sound["flags"]) == (43, [])
    assert "dying" in run("stats", "--format", "plain").out


def test_the_system_says_how_fast_and_until_when(run: Callable[..., Any], database: Database, query: Query) -> None:
    """Answers of the last hour, the last day and the day before, and the end with its bounds, by the leases' records; a
    client sees its own share."""
    prepare(database, [42, 43], 60, size=5)
    for hours, client in ((30, 43), (3, 42), (0, 42)):
        query("MATCH (s:DMCheckClientStats) SET s.next_fetch = null")
        given = run("fetch", "--client", client, "--count", 1, "--json").document
        assert run("submit", "--client", client, stdin=answered(given)).status == 0
        query(
            "MATCH (l:DMCheckLease {id: $lease}) SET l.ended = datetime() - duration({minutes: 60 * $hours})",
            lease=given["buckets"][0]["lease"],
            hours=hours,
        )

    document = run("stats", "--client", 42, "--json").document

    system = document["system"]
    assert [system[f"answered_{when}"] for when in ("last_hour", "last_day", "day_before")] == [5, 10, 5]
    assert system["answers"] == {"DM": 15, "NON_DM": 0, "UNKNOWN": 0}
    end = system["estimated_end"]
    assert 0 < end["earliest"] < end["seconds"] < end["latest"]
    [client] = document["clients"]
    assert (client["answers"]["DM"], client["place"], client["next_fetch_seconds"]) == (10, 1, None)
    assert run("stats", "--client", 43, "--json").document["clients"][0]["place"] == 2


@pytest.fixture
def crowd(database: Database, query: Query) -> None:
    """Thirty clients: 1 to 3 with ever more dead leases, 4 inactive, the others without a fault."""
    prepare(database, [])
    query(
        """UNWIND range(1, 30) AS i
        WITH i, CASE i WHEN 4 THEN 'DEACTIVE' ELSE 'ACTIVE' END AS state
        CREATE (:DMCheckClient {id: i, screen_name: 'client' + i, state: state})
            -[:STATS]->(:DMCheckClientStats {buckets_assigned: 100, buckets_processed: 100 - i, buckets_fault: 0,
                buckets_dead: CASE WHEN i <= 3 THEN 30 + i ELSE 0 END, last_access_time: datetime()})"""
    )


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--flagged",), [1, 2, 3]),
        (("--flagged", "--sort", "buckets_dead"), [3, 2, 1]),
        (("--state", "deactive"), [4]),
        (("--sort", "buckets_processed"), list(range(1, 31))),
        (("--sort", "id", "--limit", 2), list(range(1, 31))),  # the limit is for tables
        (("--flagged", "--sort", "dead"), [3, 2, 1]),
        (("--sort", "done"), list(range(1, 31))),
        (("--sort", "flags", "--state", "ACTIVE"), [*range(1, 4), *range(5, 31)]),
    ],
)
def test_what_is_shown_of_many_clients(run: Callable[..., Any], options: tuple[object, ...], ids: list[int]) -> None:
    """Filters and orders of the JSON document."""
    assert [client["id"] for client in run("stats", "--json", *options).document["clients"]] == ids


@pytest.mark.usefixtures("crowd")
def test_the_client_of_the_environment(run: Callable[..., Any]) -> None:
    """As for any command with --client, which is stronger; that it is so is said."""
    shown = run("stats", "--json", DMCHECK_CLIENT_ID="2")
    assert [client["id"] for client in shown.document["clients"]] == [2]
    assert "DMCHECK_CLIENT_ID" in shown.err
    assert [one["id"] for one in run("stats", "--client", 3, "--json", DMCHECK_CLIENT_ID="2").document["clients"]] == [
        3
    ]


@pytest.mark.usefixtures("crowd")
def test_a_table_shows_who_needs_attention_most(run: Callable[..., Any]) -> None:
    """Twenty clients unless asked otherwise, those with flags first; how many are left out is said."""
    shown = run("stats", "--format", "csv")
    rows = [line.split(",") for line in shown.out.splitlines()]
    assert len(rows) == 21
    assert {row[0] for row in rows[1:4]} == {"1", "2", "3"}
    assert "4" not in {row[0] for row in rows}
    assert "10 more clients" in shown.err
    assert len(run("stats", "--format", "csv", "--limit", 0).out.splitlines()) == 31
    for head in CLIENTS.of([]).heads:  # whatever stands above a column
        assert run("stats", "--sort", head, "--limit", 1).status == 0
    for wrong in (("--sort", "answers"), ("--state", "asleep"), ("--limit", -1)):
        assert run("stats", *wrong).status == 2


STANDINGS: dict[int, tuple[str, str]] = {
    1: ("SET c.capacity = 3", "stated"),
    2: ("SET c.capacity = 40", "newcomer"),
    3: ("SET c.capacity = 40, s.allowance = 12, s.judged_for = 'slow'", "slow"),
    4: ("SET s.contained = datetime().epochMillis / 1000.0, s.allowance = 1, s.share = 1.0", "contained"),
    5: ("SET c.suspended = datetime(), c.suspend_reason = 'guesses'", "suspended"),
    6: ("SET c.state = 'DEACTIVE'", "inactive"),
    7: ("SET s.buckets_assigned = 80, s.buckets_processed = 80, s.processed_judged = 20", "unjudged"),
    8: ("SET s.buckets_assigned = 80, s.buckets_processed = 80, s.record = true, s.share = 0.02", "stated"),
    9: ("SET s.compared = [40, 100, 0, 10], s.contradicted = [20, 1, 0, 0]", "stated"),
}
"""What is stored of each client, and why it may hold what it may."""


def test_the_standing_of_each_client(run: Callable[..., Any], database: Database, query: Query) -> None:
    """Record, checked share, comparisons, since when it is contained or suspended, and why it may hold what it may."""
    prepare(database, list(STANDINGS))
    for id, (change, _) in STANDINGS.items():
        query(f"MATCH (c:DMCheckClient {{id: $id}})-[:STATS]->(s) {change}", id=id)

    document = run("stats", "--json", DMCHECK_MAX_UNJUDGED="60").document

    shown = {client["id"]: client for client in document["clients"]}
    assert {id: client["limited_by"] for id, client in shown.items()} == {id: why for id, (_, why) in STANDINGS.items()}
    assert {id: client["flags"] for id, client in shown.items() if client["flags"]} == {
        4: ["contained"], 5: ["suspended"], 9: ["disagreement"]
    }  # fmt: skip
    assert document["system"]["clients_by_flag"] == {"contained": 1, "suspended": 1, "disagreement": 1}
    assert document["system"]["clients_active"] == 7
    assert [shown[id]["checked_share"] for id in (1, 4, 8)] == [0.25, 1.0, 0.02]
    assert [shown[id]["record"] for id in (1, 8)] == [False, True]
    assert (shown[9]["compared"], shown[9]["contradicted"], shown[7]["unjudged"]) == (150, 21, 60)
    assert shown[4]["contained"].endswith("Z")
    assert (shown[5]["state"], shown[5]["suspended"][-1], shown[5]["suspend_reason"]) == ("SUSPENDED", "Z", "guesses")
    assert [one["id"] for one in run("stats", "--json", "--state", "suspended").document["clients"]] == [5]
    assert {one["id"] for one in run("stats", "--json", "--flagged").document["clients"]} == {4, 5, 9}
    assert "guesses" in run("stats", "--client", 5).out
    assert "21/150" in run("stats", "--format", "plain").out
    free = run("stats", "--client", 7, "--json", DMCHECK_MAX_UNJUDGED="0").document["clients"]
    assert [one["limited_by"] for one in free] == ["stated"]


def test_users_set_aside_are_counted_and_waited_for_by_nobody(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Those without an answer are among the waiting, and the end is estimated without them."""
    prepare(database, [42], 20, size=5)
    given = run("fetch", "--client", 42, "--count", 1, "--json").document
    assert run("submit", "--client", 42, stdin=answered(given)).status == 0
    before = run("stats", "--json").document["system"]
    assert (before["users_waiting"], before["users_set_aside"]) == (15, 0)
    query(
        """MATCH (u:User)-[m:INDMCHECKBUCKET]->(b) WITH u, m, b ORDER BY b.uuid LIMIT 10
        SET u.dmcheck_aside = datetime() DELETE m"""
    )
    query("MATCH (u:User)<-[:DM_YES]-() WITH u LIMIT 1 SET u.dmcheck_aside = datetime()")

    after = run("stats", "--json").document["system"]

    assert (after["users_waiting"], after["users_set_aside"], after["users_set_aside_answered"]) == (15, 11, 1)
    assert after["estimated_end"]["seconds"] < before["estimated_end"]["seconds"]
    assert "set aside" in run("stats").out


def test_who_is_faster_than_anybody_can_look_up_is_hasty(
    run: Callable[..., Any], database: Database, query: Query
) -> None:
    """Three buckets of five within 4 ms each; three within 6 ms are none of it."""
    prepare(database, [42, 43], 30, size=5)
    for client, milliseconds in ((42, 4), (43, 6)):
        given = run("fetch", "--client", client, "--count", 3, "--json").document
        assert run("submit", "--client", client, stdin=answered(given)).status == 0
        query(
            """MATCH (l:DMCheckLease {client: $client})
            SET l.assigned_datetime = l.ended - duration({milliseconds: $milliseconds})""",
            client=client,
            milliseconds=milliseconds,
        )
    assert {one["id"]: one["flags"] for one in run("stats", "--json").document["clients"]} == {42: ["hasty"], 43: []}


def test_a_new_system_says_what_it_needs_first(direct: Callable[..., Any], database: Database) -> None:
    """Users and clients, each until there are some; not in JSON, nor with --quiet."""
    assert direct("stats").err.splitlines() == [
        "no users yet: dmcheck users add FILE",
        "no clients yet: dmcheck register, or for volunteers dmcheck gate add",
    ]
    assert direct("stats", "--json").err == direct("-q", "stats").err == ""
    prepare(database, [42])
    assert direct("stats").err.splitlines() == ["no users yet: dmcheck users add FILE"]
    prepare(database, [], 1)
    assert direct("stats").err == ""


def test_which_release_each_client_last_used(run: Callable[..., Any], database: Database, query: Query) -> None:
    """doctor counts the active clients by release, names those with an older one than its own, and is content; what was
    never recorded is not older. stats tells it of each."""
    prepare(database, [42, 43, 44, 45, 46], 20, size=5)
    assert run("fetch", "--client", 42, "--count", 1).status == 0
    for id, old in ((43, "0.0.12"), (44, "0.0.9 (gate)"), (45, "999.0.0")):
        query("MATCH (:DMCheckClient {id: $id})-->(s:DMCheckClientStats) SET s.release = $old", id=id, old=old)

    sound = run("doctor", "--json").document
    shown = run("doctor")

    assert sound["releases"] == [
        {"release": None, "clients": 1, "older": False},
        {"release": "0.0.12", "clients": 1, "older": True},
        {"release": "0.0.9 (gate)", "clients": 1, "older": True},
        {"release": __version__, "clients": 1, "older": False},
        {"release": "999.0.0", "clients": 1, "older": False},
    ]
    assert f"older than this one, {__version__}: 43, 44." in shown.err
    assert "0.0.9 (gate)" in shown.out
    assert "not known" in shown.out
    assert not [one for one in sound["problems"] if "dmcheck-" not in one["remedy"]]  # jobs that never ran
    clients = run("stats", "--json", "--sort", "release").document["clients"]
    assert [one["id"] for one in clients] == [43, 44, 42, 45, 46]
    assert __version__ in run("stats", "--client", 42).out
    query("MATCH (s:DMCheckClientStats) WHERE s.release CONTAINS '0.0.' SET s.release = null")
    assert run("doctor").err == ""
