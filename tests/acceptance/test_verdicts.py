"""What follows from all answers on a user: verdict, confidence, why; in `users show` and `users export`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from support.graphs import answers, picture, prepare
from support.invariants import Query
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import health
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch

Call = Callable[..., Result]

# By name: (client, answer, seconds ago, kind), first to last. Clients 1 to 3 have records; 4 is contained since 100
# seconds ago and doubted since 1,000; 5 has no record and the `dm_from_id` of 1.
WORLD: dict[str, list[tuple[int, str, int, str]]] = {
    "lone_dm": [(1, "DM", 500, "answer")],
    "open": [(1, "DM", 500, "answer"), (2, "DM", 400, "second")],
    "one_person": [(1, "DM", 500, "answer"), (5, "DM", 400, "second")],
    "closed": [(2, "NON_DM", 500, "answer")],
    "gone": [(2, "UNKNOWN", 500, "answer")],
    "some": [(1, "DM", 500, "answer"), (2, "NON_DM", 400, "second")],
    "overruled": [(1, "NON_DM", 500, "overruled"), (2, "DM", 400, "answer"), (3, "DM", 300, "second")],
    "liars": [(4, "NON_DM", 500, "answer")],
    "before": [(4, "NON_DM", 2_000, "answer")],
    "confirmed_by_liar": [(1, "DM", 500, "answer"), (4, "DM", 400, "second")],
    "past": [(1, "DM", 900, "withdrawn"), (2, "NON_DM", 800, "rechecked"), (3, "NON_DM", 700, "answer")],
    "again": [(2, "NON_DM", 800, "rechecked")],
    "nobody": [],
}
VERDICTS = {
    "lone_dm": "unconfirmed", "open": "open", "one_person": "unconfirmed", "closed": "closed", "gone": "not_found",
    "some": "open_to_some", "overruled": "open", "liars": "unconfirmed", "before": "closed",
    "confirmed_by_liar": "unconfirmed", "past": "closed", "again": "unchecked", "nobody": "unchecked",
}  # fmt: skip
IN_FORCE = {"DM": "DM_YES", "NON_DM": "DM_NO", "UNKNOWN": "DM_UNKNOWN"}


def tell(query: Query, name: str, said: list[tuple[int, str, int, str]]) -> None:
    """Store what clients said about a user."""
    query("MERGE (:User:DMCheckName {screen_name: $name})", name=name)
    for client, answer, ago, kind in said:
        past = kind in ("withdrawn", "rechecked")
        stored = IN_FORCE[answer] if kind == "answer" else "DM_PAST" if past else "DM_SECOND"
        query(
            """MATCH (c:DMCheckClient {id: $client}), (u:User {screen_name: $name})
            CREATE (c)-[r:$($kind)]->(u) SET r = $set, r.at = datetime() - duration({seconds: $ago})""",
            client=client,
            name=name,
            kind=stored,
            ago=ago,
            set={
                "candm": None if kind == "answer" else answer,
                "witness": True if kind == "second" else None,
                "overruled": True if kind == "overruled" else None,
                "how": kind if kind == "withdrawn" else None,
            },
        )


@pytest.fixture
def world(database: Database, query: Query) -> None:
    """Five clients and the users of WORLD."""
    prepare(database, [1, 2, 3, 4, 5])
    query(
        """MATCH (c:DMCheckClient)-[:STATS]->(s)
        SET c.dm_from_id = CASE WHEN c.id IN [1, 5] THEN 77 END,
            s.record = CASE WHEN c.id <= 3 THEN true END, s.compared = [100, 200, 50, 50],
            s.contradicted = CASE c.id WHEN 4 THEN [60, 10, 10, 10] ELSE [0, 0, 0, 0] END, s.said = [100, 880, 20]
        WITH c, s, datetime().epochMillis / 1000.0 AS now WHERE c.id = 4
        SET s.contained = now - 100, s.doubted = [now - 1000]"""
    )
    for name, said in WORLD.items():
        tell(query, name, said)


@pytest.mark.usefixtures("world")
class TestVerdicts:
    """One graph, asked in every way."""

    def test_show_concludes_from_all_opinions_that_count(self, direct: Call) -> None:
        """Each verdict; history newest first, each answer with its kind."""
        shown = direct("users", "show", *WORLD, "--json").document["users"]
        assert {user["screen_name"]: user["verdict"] for user in shown} == VERDICTS
        for user in shown:
            assert [(one["client"], one["answer"], one["kind"]) for one in user["history"]] == [
                (client, answer, kind) for client, answer, _, kind in WORLD[user["screen_name"]][::-1]
            ]
            assert (user["verdict"] == "unchecked") == (user["confidence"] == 0)
            assert 0 <= user["confidence"] <= 1
        sure = {user["screen_name"]: user["confidence"] for user in shown}
        assert sure["lone_dm"] < 0.99 < sure["open"]
        assert sure["one_person"] == sure["lone_dm"] == sure["confirmed_by_liar"]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("lone_dm", "a DM needs a second client"),
            ("open", "2 say DM"),
            ("liars", "Only contained clients have answered"),
            ("nobody", "Nobody has answered."),
        ],
    )
    def test_one_sentence_says_why(self, direct: Call, name: str, said: str) -> None:
        """For people, beside the table; scripts get one table."""
        assert said in direct("users", "show", name).out
        rows = list(csv.DictReader(io.StringIO(direct("users", "show", name, "--format", "csv").out)))
        assert [row["verdict"] for row in rows] == [VERDICTS[name]]

    def test_export_says_the_same_as_show(self, direct: Call) -> None:
        """Of everybody who has an answer in force; chosen by verdict and by answer."""
        shown = {user["screen_name"]: user for user in direct("users", "show", *WORLD, "--json").document["users"]}
        told = [json.loads(line) for line in direct("users", "export").out.splitlines()]
        assert [one["screen_name"] for one in told] == sorted(name for name in WORLD if shown[name]["answer"])
        for one in told:
            assert one == {key: shown[one["screen_name"]][key] for key in one}

        def chosen(*options: str) -> list[str]:
            return [json.loads(line)["screen_name"] for line in direct("users", "export", *options).out.splitlines()]

        assert chosen("--verdict", "open") == ["open", "overruled"]
        assert chosen("--verdict", "OPEN_TO_SOME", "--verdict", "not_found") == ["gone", "some"]
        assert chosen("--verdict", "unconfirmed", "--answer", "non_dm") == ["liars"]
        refused = direct("users", "export", "--verdict", "maybe")
        assert (refused.status, refused.out) == (2, "")
        assert "open_to_some" in refused.err

    def test_what_others_stored_breaks_nothing(self, direct: Call, query: Query) -> None:
        """Times that are none, answers that are none, counts that are none, clients without an id."""
        before = [json.loads(line)["screen_name"] for line in direct("users", "export").out.splitlines()]
        query("MATCH ()-[r]->(:User) SET r.at = CASE WHEN rand() < 0.5 THEN 'yesterday' END")
        query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s += {compared: ['x'], contradicted: 3, said: [0.5]}")
        query("MATCH (:DMCheckClient {id: 4})-[:STATS]->(s) SET s += {contained: 'x', doubted: ['y'], share: 'z'}")
        query("MATCH (:DMCheckClient {id: 3})-[:STATS]->(s) DETACH DELETE s")
        query("MATCH (c:DMCheckClient {id: 2}) REMOVE c:DMCheckClient, c.id")
        for command in (("users", "show", *WORLD, "--json"), ("stats", "--json"), ("users", "export")):
            result = direct(*command)
            assert result.status == 0, result.err
        assert [json.loads(line)["screen_name"] for line in result.out.splitlines()] == before


def opinions(query: Query, name: str) -> list[tuple[int, str, str | None]]:
    """What is stored about a user: client, kind of relationship, answer; of those who have a time."""
    rows = query(
        """MATCH (c)-[r]->(:User {screen_name: $name}) WHERE r.at IS NOT NULL
        RETURN c.id AS client, type(r) AS kind, r.candm AS candm ORDER BY client""",
        name=name,
    )
    return [(row["client"], row["kind"], row["candm"]) for row in rows]


def mark(query: Query, *names: str) -> None:
    """Put the users into one bucket for a second opinion, as make_buckets does."""
    query(
        """CREATE (b:DMCheckBucket {uuid: 'b', priority: 10, place: 0.5, edit_datetime: datetime()})
        WITH b MATCH (u:User)<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-(c) WHERE u.screen_name IN $names
        WITH b, collect(DISTINCT u) AS users, collect(DISTINCT c.id) AS heard, collect(DISTINCT c.dm_from_id) AS sources
        SET b.heard = heard, b.sources = sources
        FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET {second: 'dm'}]->(b)
            REMOVE u.dmcheck_needs, u.dmcheck_asked)""",
        names=names,
    )


@pytest.mark.usefixtures("world")
class TestPrioritize:
    """Users who are, or may be put, in a bucket for a second opinion."""

    def test_plain_leaves_them_alone(self, direct: Call, query: Query) -> None:
        """They are checked, waiting for a second opinion or under lease for one; nothing changes."""
        mark(query, "lone_dm", "some")
        query("MERGE (:DMCheckJob {name: 'make_buckets'})")  # whose lock it takes
        for _ in range(2):
            before = picture(query)
            done = direct("prioritize", "lone_dm", "some", "closed", "--json").document
            assert done == {
                "prioritized": 0,
                "under_lease": 0,
                "already_checked": ["lone_dm", "some", "closed"],
                "unknown": [],
            }
            assert picture(query) == before
            query("MATCH (b:DMCheckBucket) SET b.heard = [] REMOVE b.sources")
            direct("fetch", "--client", 5)

    @pytest.mark.parametrize("priority", [10, 20])
    @pytest.mark.parametrize("where", ["nowhere", "waiting", "leased"])
    def test_recheck_makes_all_opinions_history(
        self, direct: Call, query: Query, database: Database, where: str, priority: int
    ) -> None:
        """The user is asked for as one without an answer, by whomever; the answers keep their times."""
        query("MATCH (u:User {screen_name: 'overruled'}) SET u.dmcheck_needs = 'conflict', u.dmcheck_asked = 1")
        if where != "nowhere":
            mark(query, "overruled", "open")
        if where == "leased":
            [lease] = fetch(database, 4, 1, "k")
        for _ in range(2):
            done = direct("prioritize", "overruled", "--recheck", "--priority", priority, "--json").document
            assert (done["prioritized"], done["under_lease"]) == ((0, 1) if where == "leased" else (1, 0))
            assert opinions(query, "overruled") == [
                (1, "DM_PAST", "NON_DM"), (2, "DM_PAST", "DM"), (3, "DM_PAST", "DM")
            ]  # fmt: skip
            [stored] = query(
                """MATCH (u:User {screen_name: 'overruled'})-[m:INDMCHECKBUCKET]->(b)
                RETURN m.second AS mark, u.dmcheck_needs AS needs, u.dmcheck_asked AS asked, b.heard AS heard,
                    coalesce(m.priority, b.priority) AS priority"""
            )
            heard = stored.pop("heard")
            assert stored == {"mark": None, "needs": None, "asked": None, "priority": priority}
            assert (heard is None) == (where != "leased")
        [shown] = direct("users", "show", "overruled", "--json").document["users"]
        assert (shown["state"], shown["answer"], shown["verdict"]) == (
            "leased" if where == "leased" else "waiting",
            None,
            "unchecked",
        )
        assert {one["kind"] for one in shown["history"]} == {"rechecked"}
        assert health.broken(database, lambda seen: None) == []
        if where == "leased":
            submit(database, 4, [answers(lease)])
        else:
            query("MATCH (c:DMCheckClient) WHERE c.id <> 1 SET c.state = 'DEACTIVE'")
            query("MATCH (b:DMCheckBucket {uuid: 'b'}) SET b.priority = 99")
            submit(database, 1, [answers(fetch(database, 1, 1, "k")[0])])
        assert (4 if where == "leased" else 1, "DM_YES", None) in opinions(query, "overruled")

    def test_who_is_set_aside_comes_back(self, direct: Call, query: Query, database: Database) -> None:
        """`prioritize` is one way; until then nobody asks for the user."""
        query("MATCH (u:User {screen_name: 'nobody'}) SET u.dmcheck_aside = datetime()")
        assert health.broken(database, lambda seen: None) == []
        for _ in range(2):
            done = direct("prioritize", "nobody", "--json").document
            assert (done["prioritized"], done["already_checked"]) == (1, [])
        assert direct("stats", "--json").document["system"]["users_set_aside"] == 0
        assert query("MATCH (u:User {screen_name: 'nobody'})-[:INDMCHECKBUCKET]->(b) RETURN b.priority AS p") == [
            {"p": 10}
        ]


@pytest.mark.usefixtures("world")
def test_deleting_a_user_takes_what_was_said_along(direct: Call, query: Query, database: Database) -> None:
    """The bucket for the second opinion, too, if it was for nobody else; a spent one as well."""
    mark(query, "some")
    query("MATCH (b:DMCheckBucket) SET b.failures = 3 REMOVE b.place")
    assert health.broken(database, lambda seen: None) == []
    assert direct("users", "delete", "some", "overruled", "past", "--json").document["deleted"] == 3
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert query("MATCH (u:User) WHERE u.screen_name IN ['some', 'overruled', 'past'] RETURN u") == []
    assert health.broken(database, lambda seen: None) == []


def test_a_client_that_was_deleted_does_not_confirm_itself(direct: Call, database: Database, query: Query) -> None:
    """Registered again under its id, it is no second client: neither for what it said, nor after being deleted twice.
    What was said while it was contained stays doubted."""
    prepare(database, [5], 1)
    [lease] = fetch(database, 5, 1, "first")
    submit(database, 5, [answers(lease, "DM")])
    [name] = [user.screen_name for user in lease.users]
    assert direct("client", "delete", 5).status == 0
    direct("register", "--id", 5, "--screen-name", "anew")
    second = """MATCH (u:User {screen_name: $name}), (c:DMCheckClient {id: 5})
        CREATE (c)-[:DM_SECOND {at: datetime(), candm: 'DM', witness: true}]->(u)"""
    query(second, name=name)
    for _ in range(2):
        [user] = direct("users", "show", name, "--json").document["users"]
        assert (user["answer"], user["answered_by"], user["verdict"]) == ("DM", None, "unconfirmed")
        assert direct("client", "delete", 5).status == 0
    direct("register", "--id", 6, "--screen-name", "six")
    query("MATCH (c:DMCheckClient {id: 6}) SET c.create_datetime = datetime() - duration('P1D')")
    query(second.replace("id: 5", "id: 6"), name=name)
    [user] = direct("users", "show", name, "--json").document["users"]
    assert user["verdict"] == "open"
    query("MATCH (c:DMCheckClient {id: 6})-[:STATS]->(s) SET s.contained = 0.0, s.doubted = [0.0]")
    direct("client", "delete", 6)
    [user] = direct("users", "show", name, "--json").document["users"]
    assert user["verdict"] == "unconfirmed"


def test_the_confidence_is_that_of_the_answer_in_force(direct: Call, database: Database, query: Query) -> None:
    """Also before judge_clients has put the likelier one in its place."""
    prepare(database, [1, 2], 1)
    [lease] = fetch(database, 1, 1, "first")
    submit(database, 1, [answers(lease, "DM")])
    query(
        """MATCH (u:User)<-[:DM_YES]-(), (c:DMCheckClient {id: 2})
        CREATE (c)-[:DM_SECOND {at: datetime(), candm: 'NON_DM', witness: true}]->(u)"""
    )
    [user] = direct("users", "show", lease.users[0].screen_name, "--json").document["users"]
    line = json.loads(direct("users", "export").out)
    assert (user["answer"], line["answer"]) == ("DM", "DM")
    assert user["confidence"] == line["confidence"] < 0.5
