"""A graph that other programs filled badly: every command and job works on it, doctor names it, its remedies help."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.graphs import may_hold, prepare
from support.in_process import call
from support.invariants import broken
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.transactions import answers, health, leases, schema, users
from jobs import make_buckets, raise_starved, reclaim_leases

NAME = re.compile(r"[A-Za-z0-9_]{1,20}")

# What stands where something else belongs, as other programs and other drivers store it.
ODD = {
    "text": "'odd'",
    "empty text": "''",
    "digits": "'1234567890123456789'",
    "beyond 64 bits": "'99999999999999999999'",
    "float": "1.5e18",
    "NaN": "toFloat('NaN')",
    "infinite": "toFloat('Infinity')",
    "negative": "-5",
    "zero": "0",
    "boolean": "true",
    "date": "date('2020-01-01')",
    "local time": "localdatetime('2020-01-01T00:00')",
    "zone's name": "datetime('2020-01-01T00:00[Asia/Kathmandu]')",
    "seconds in its offset": "datetime('1800-01-01T00:00[Europe/Berlin]')",
    "far future": "datetime({year: 999999999})",
    "far past": "datetime({year: -999999999})",
    "duration": "duration('P1M2D')",
    "list": "[1, 2]",
    "point": "point({x: 1, y: 2})",
    "missing": "null",
}
# The properties of our nodes that have a type. (A lease's are written by ourselves alone.)
PLACES = {
    "bucket": ["uuid", "priority", "place", "assigned_datetime", "dead_datetime", "edit_datetime", "expires", "newest"],
    "client": ["id", "screen_name", "state", "capacity", "dm_from_id", "create_datetime", "edit_datetime"],
    "counters": [
        *("buckets_assigned", "buckets_processed", "buckets_fault", "buckets_dead", "last_access_time"),
        *("allowance", "next_fetch", "faults_judged", "judged_datetime", "judged_for", "turnaround_seconds"),
        "buckets_failed",
    ],
    "job": ["last_success_time", "cursor"],
}


@pytest.fixture
def start(database: Database, environment: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    """Calls `dmcheck` or a job within this process."""

    def command(*arguments: object, program: str = "dmcheck", stdin: str = "", **variables: str) -> Result:
        return call(arguments, {**environment, **variables}, tmp_path, program, stdin)

    return command


def walk(start: Callable[..., Result], form: tuple[str, ...]) -> Iterator[tuple[str, Result]]:
    """Every command and job once, for client 42 of a graph that others filled."""

    def run(*arguments: object, program: str = "dmcheck", stdin: str = "") -> tuple[str, Result]:
        before = arguments.index("--") if "--" in arguments else len(arguments)
        given = (*arguments[:before], *form, *arguments[before:])
        return " ".join(map(str, (program, *arguments))), start(*given, program=program, stdin=stdin)

    yield run("doctor", "--deep")
    yield run("stats")
    yield run("stats", "--client", 42)
    yield run("register", "--id", 42, "--screen-name", "client42")
    yield run("users", "add", stdin="bare1\nbare2\n")
    yield run("users", "pending")
    for job in ("make_buckets", "raise_starved", "reclaim_leases", "judge_clients"):
        yield run("--dry-run", program=job)
        yield run(program=job)
    yield run("prioritize", "user00001", "bare1")
    yield run("fetch", "--client", 42, "--resume")
    fetched = start("fetch", "--client", 42, "--count", 10, "--json")
    yield "fetch --json", fetched
    yield run("fetch", "--client", 42, "--count", 1)
    if fetched.status == 0:
        first, *rest = fetched.document["buckets"]
        yield run("renew", "--client", 42, "--bucket", first["bucket"], "--lease", first["lease"])
        for bucket in rest[:1]:
            yield run("release", "--client", 42, "--bucket", bucket["bucket"], "--lease", bucket["lease"])
        for user in first["users"][1:]:
            user["candm"] = "DM"
        yield run("submit", "--client", 42, stdin=json.dumps({"buckets": [first, *rest[1:]]}))
    yield run("work", "--client", 42, "--once", "--max-buckets", 2, "--", "sed", 's/}$/, "candm": "DM"}/')
    yield run("users", "delete", "bare1", "nobody")
    yield run("schema", "apply")
    yield run("doctor", "--deep")
    yield run("unregister", "--id", 42, "--screen-name", "client42")


def wrong(start: Callable[..., Result], form: tuple[str, ...]) -> list[tuple[str, Result]]:
    """The steps of the walk that did not end as documented, or whose documents are none."""
    found = []
    for step, ended in walk(start, form):
        documented = ended.status in (0, 1, 3) and "Traceback" not in ended.err
        refused = ended.status == 1 and "refused the statement" in ended.err
        if not documented or refused or (form and ended.out and not _valid(ended)):
            found.append((step, ended))
    return found


def _valid(ended: Result) -> bool:
    """Whether stdout is a document that any reader of JSON takes, whose names and ids are such."""
    document = json.loads(ended.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    for bucket in document.get("buckets", []) if isinstance(document.get("buckets"), list) else []:
        if "users" in bucket:
            assert isinstance(bucket["priority"], int)
            assert isinstance(bucket["bucket"], str)
            assert all(NAME.fullmatch(user["screen_name"]) for user in bucket["users"])
            assert all(user["id"] is None or (type(user["id"]) is int and user["id"] > 0) for user in bucket["users"])
    return True


def filled(database: Database, query: Callable) -> None:
    """A graph in use: four clients (one holds two leases), waiting buckets, jobs that have run."""
    prepare(database, [42, 43, 44, 45], 30, size=5)
    may_hold(query, 43, 10)
    leases.fetch(database, 43, 2, "k")
    for job in (make_buckets, reclaim_leases, raise_starved):
        job.run(database)


class TestEveryCommandAndJob:
    """Nothing ends with a traceback, and every document is valid."""

    @pytest.mark.parametrize(
        ("kind", "form"),
        [("bucket", ("--json",)), ("client", ()), ("client", ("--json",)), ("counters", ("--json",)), ("job", ())],
        ids=lambda value: value if isinstance(value, str) else "json" if value else "table",
    )
    def test_values_of_other_types(
        self, database: Database, query: Callable, start: Callable, kind: str, form: tuple[str, ...]
    ) -> None:
        """Every property of one kind of node in turn has every odd value, each on a node of its own."""
        filled(database, query)
        for property in PLACES[kind]:
            for number, value in enumerate(ODD.values()):
                _plant(query, kind, property, value, 1000 + number)
        assert wrong(start, form) == []
        assert health.broken(database, lambda seen: None) == [] or kind == "client"

    @pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
    def test_users_of_all_kinds(
        self, database: Database, query: Callable, start: Callable, form: tuple[str, ...]
    ) -> None:
        """Names and ids of every odd kind, of users in no bucket, in waiting ones and in a leased one."""
        filled(database, query)
        _plant_users(query)
        assert wrong(start, form) == []

    @pytest.mark.parametrize("property", PLACES["counters"])
    @pytest.mark.parametrize("value", ["text", "float", "date", "list", "missing"])
    def test_a_client_with_odd_counters_works(
        self, database: Database, query: Callable, property: str, value: str
    ) -> None:
        """It fetches, answers, and its counters are numbers from then on."""
        prepare(database, [42], 10, size=5)
        query(f"MATCH (s:DMCheckClientStats) SET s.{property} = {ODD[value]}")
        taken = leases.fetch(database, 42, 1, "k")
        [report] = answers.submit(database, 42, [Answered(taken[0].bucket, taken[0].lease, {})])
        assert report.status == "partial"
        [row] = query("MATCH (s:DMCheckClientStats) RETURN s.buckets_assigned AS assigned, s.buckets_processed AS done")
        assert type(row["assigned"]) is int
        assert type(row["done"]) is int


def _plant(query: Callable, kind: str, property: str, value: str, number: int) -> None:
    """One more node of that kind, sound but for one property."""
    match kind:
        case "bucket":
            for held in ("", "-[:DMCHECKCLIENT]->(c)"):
                query(
                    f"""MATCH (c:DMCheckClient {{id: 45}})
                    CREATE (:User {{screen_name: 'u{number}_{property[:6]}_{len(held)}'}})-[:INDMCHECKBUCKET]->
                    (b:DMCheckBucket {{uuid: randomUUID(), priority: 100, edit_datetime: datetime()}}){held}
                    SET b.place = {"null" if held else "rand()"}
                    SET b.{property} = {"null" if property == "uuid" and value != "null" else value}"""
                )
            if property == "uuid" and value != "null":
                query(f"MATCH (b:DMCheckBucket) WHERE b.uuid IS NULL WITH b LIMIT 1 SET b.uuid = {value}")
        case "client" | "counters":
            on = "c" if kind == "client" else "s"
            id = PLACES[kind].index(property) * 10_000 + number
            query(
                f"""CREATE (c:DMCheckClient {{id: {id}, screen_name: 'odd', state: 'ACTIVE',
                create_datetime: datetime(), edit_datetime: datetime()}})-[:STATS]->(s:DMCheckClientStats {{
                buckets_assigned: 0, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0}})
                SET {on}.{property} = {value}"""
            )
        case "job":
            query(f"MATCH (j:DMCheckJob) SET j.{property} = {value}")


def _plant_users(query: Callable) -> None:
    for i, value in enumerate(ODD.values()):
        query(f"CREATE (:User {{screen_name: 'id{i}', id: {value}}})")
        query(
            f"""MATCH (b:DMCheckBucket) WITH b ORDER BY rand() LIMIT 2
            CREATE (b)<-[:INDMCHECKBUCKET]-(:User {{screen_name: 'in' + toString(rand() * 10 ^ 9), id: {value}}})"""
        )
    for value in ("jane.doe", "@withat", "a_name_that_is_longer_than_twenty", "two words", "\N{SNOWMAN}"):
        query("CREATE (:User {screen_name: $name})", name=value)
    for value in ("1.5", "true", "date('2021-01-01')", "[1]", "point({x: 1, y: 1})", "null", "'in.bucket'", "12345"):
        query(f"MATCH (b:DMCheckBucket) WITH b LIMIT 1 CREATE (b)<-[:INDMCHECKBUCKET]-(:User {{screen_name: {value}}})")


class TestIds:
    """What is no whole number from 1 to 2^63-1 is not known."""

    def test_an_odd_id_is_given_out_as_null(self, database: Database, query: Callable) -> None:
        """By fetch, by fetch --resume, and by users pending; a good one is given out as it is."""
        prepare(database, [42])
        for i, value in enumerate(ODD.values()):
            query(f"CREATE (:User {{screen_name: 'odd{i:02}', id: {value}}})")
        users.add(database, [User("good", 2**63 - 1)])
        expected = {f"odd{i:02}": None for i in range(len(ODD))} | {"good": 2**63 - 1}
        assert {user.screen_name: user.id for user in users.pending(database)} == expected
        make_buckets.run(database)
        for taken in (leases.fetch(database, 42, 1, "k"), leases.resume(database, 42)):
            assert {user.screen_name: user.id for user in taken[0].users} == expected

    def test_users_add_puts_a_good_id_in_the_place_of_an_odd_one(self, database: Database, query: Callable) -> None:
        """Only there: a good id is never replaced, and nothing is put in the place of an odd one that is not known."""
        for i, value in enumerate(ODD.values()):
            query(f"CREATE (:User {{screen_name: 'odd{i:02}', id: {value}}})")
        query("CREATE (:User {screen_name: 'good', id: 7}), (:User {screen_name: 'kept', id: 'text'})")
        users.add(database, [User(f"odd{i:02}", 100 + i) for i in range(len(ODD))] + [User("good", 8)])
        users.add(database, [User("kept", None)])
        found = {row["name"]: row["id"] for row in query("MATCH (u:User) RETURN u.screen_name AS name, u.id AS id")}
        assert found == {f"odd{i:02}": 100 + i for i in range(len(ODD))} | {"good": 7, "kept": "text"}


class TestRemedies:
    """Each remedy that doctor prints, run as it is printed, ends its problem."""

    def test_ids(self, database: Database, query: Callable) -> None:
        """Texts of digits become numbers, what is no id goes, good ids stay."""
        for i, value in enumerate(ODD.values()):
            query(f"CREATE (:User {{screen_name: 'odd{i:02}', id: {value}}})")
        query("CREATE (:User {screen_name: 'good', id: 7})")
        [problem] = health.broken(database, lambda seen: None)
        assert f": {len(ODD) - 1}, such as odd00" in problem.what
        query(problem.remedy)
        assert health.broken(database, lambda seen: None) == []
        found = {row["id"] for row in query("MATCH (u:User) RETURN u.id AS id")}
        assert found == {7, 1234567890123456789, None}

    def test_names(self, database: Database, query: Callable) -> None:
        """Users whose name cannot be looked up are no users any more; nothing of them is lost."""
        _plant_users(query)
        query("MATCH (u:User) WHERE u.screen_name STARTS WITH 'id' DETACH DELETE u")
        query("CREATE (:User {id: 7})-[:WROTE]->(:Tweet), (:User {screen_name: 5})")
        [problem] = health.broken(database, lambda seen: None)
        assert ": 7, such as " in problem.what
        query(problem.remedy)
        assert health.broken(database, lambda seen: None) == []
        [row] = query("MATCH (u:UncheckableUser) RETURN count(u) AS users, COUNT { ()-[:WROTE]->() } AS tweets")
        assert row == {"users": 7, "tweets": 1}

    def test_clients(self, database: Database, query: Callable) -> None:
        """An id that is a text of digits becomes a number by schema apply; any other client is put aside."""
        for value in ODD.values():
            query(f"CREATE (c:DMCheckClient {{state: 'ACTIVE'}}) SET c.id = {value}")
        query("CREATE (:DMCheckClient {id: '77', screen_name: 'old', state: 'ACTIVE'})")
        for _ in range(2):
            for problem in health.broken(database, lambda seen: None):
                schema.apply(database) if problem.remedy == health.APPLY else query(problem.remedy)
        assert health.broken(database, lambda seen: None) == []
        found = {row["id"] for row in query("MATCH (c:DMCheckClient) RETURN c.id AS id")}
        assert found == {77, 1234567890123456789}

    def test_everything_that_schema_apply_is_named_for(self, database: Database, query: Callable) -> None:
        """One graph with each of these problems; after `schema apply` there is none, and it is sound."""
        filled(database, query)
        for problem in BROKEN.values():
            query(problem)
        found = health.broken(database, lambda seen: None)
        named = {one.what.split(":")[0] for one in found}
        assert named == set(BROKEN)
        assert {one.remedy for one in found} == {health.APPLY}
        schema.apply(database)
        assert health.broken(database, lambda seen: None) == []
        assert broken(query) == []
        schema.apply(database)
        assert broken(query) == []


_WAITING = "MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b ORDER BY b.uuid SKIP {} LIMIT 1 "
_MADE = "CREATE (u:User {{screen_name: '{}'}})-[:INDMCHECKBUCKET]->(b:DMCheckBucket {{uuid: '{}', priority: 100, "
_NOW = "edit_datetime: datetime(), assigned_datetime: datetime(), expires: datetime() + duration('PT1H')})"

# What doctor says, and what makes it true.
BROKEN = {
    "buckets whose uuid is no text": _MADE.format("b1", "x").replace("'x'", "5") + "place: 0.5, " + _NOW,
    "buckets whose priority is no whole number": _MADE.format("b2", "b2").replace("100", "'soon'") + "place: .5})",
    "buckets held by several clients": "MATCH (c:DMCheckClient) WHERE c.id IN [44, 45] WITH collect(c) AS c "
    + _MADE.format("b3", "b3")
    + _NOW
    + " FOREACH (x IN c | CREATE (b)-[:DMCHECKCLIENT]->(x))",
    "buckets held by a client that is not active": "CREATE (c:DMCheckClient {id: 9, screen_name: 'nine', state: 'X'})"
    "-[:STATS]->(:DMCheckClientStats {buckets_assigned: 1, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0}) "
    + _MADE.format("b4", "b4")
    + _NOW
    + "-[:DMCHECKCLIENT]->(c)",
    "buckets held, and in line": "MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(:DMCheckClient {id: 43}) "
    "WITH b LIMIT 1 SET b.place = 0.5",
    "buckets held under no lease on record": "MATCH (c:DMCheckClient {id: 44}) "
    + _MADE.format("b5", "b5")
    + _NOW
    + "-[:DMCHECKCLIENT]->(c)",
    "buckets neither held nor in line": _MADE.format("b6", "b6") + "edit_datetime: datetime()})",
    "buckets that wait without a user": "CREATE (:DMCheckBucket {uuid: 'b7', priority: 1, place: 0.5})",
    "clients with no counters, or with several nodes of them": "CREATE (:DMCheckClient {id: 7, screen_name: 'seven', "
    "state: 'ACTIVE'}), (d:DMCheckClient {id: 8, screen_name: 'eight', state: 'ACTIVE'})-[:STATS]->"
    "(:DMCheckClientStats {buckets_assigned: 3}), (d)-[:STATS]->(:DMCheckClientStats)",
    "clients with a counter that is missing or no whole number": "CREATE (:DMCheckClient {id: 6, screen_name: 'six', "
    "state: 'DEACTIVE'})-[:STATS]->(:DMCheckClientStats {buckets_assigned: '5'})",
    "clients whose counters contradict each other": "CREATE (:DMCheckClient {id: 5, screen_name: 'five', "
    "state: 'DEACTIVE'})-[:STATS]->(:DMCheckClientStats {buckets_assigned: 1, buckets_processed: 4, "
    "buckets_fault: -1, buckets_dead: 0})",
    "clients whose id is stored as a text": "CREATE (:DMCheckClient {id: '4', screen_name: 'four', state: 'ACTIVE'})",
    "users in a bucket whose name cannot be looked up": _WAITING.format(0)
    + "CREATE (b)<-[:INDMCHECKBUCKET]-(:Other {screen_name: 'no.name'})",
    "users in several buckets": _WAITING.format(1) + "MATCH (u:User)-[:INDMCHECKBUCKET]->(o) "
    "WHERE o <> b AND u.screen_name STARTS WITH 'user' WITH b, u LIMIT 1 CREATE (u)-[:INDMCHECKBUCKET]->(b)",
    "users with several answers in force": "MATCH (c:DMCheckClient {id: 44}), (d:DMCheckClient {id: 45}) "
    "CREATE (u:User {screen_name: 'twice'}), (c)-[:DM_YES]->(u), (d)-[:DM_UNKNOWN]->(u)",
    "users who are checked, and in a bucket, not for a second opinion": _WAITING.format(1)
    + "MATCH (c:DMCheckClient {id: 44}) CREATE (b)<-[:INDMCHECKBUCKET]-(u:User {screen_name: 'checked'}), "
    "(c)-[:DM_NO]->(u)",
    "users in a bucket for a second opinion who have no first": _WAITING.format(1)
    + "CREATE (b)<-[:INDMCHECKBUCKET {second: 'dm'}]-(:User {screen_name: 'marked'})",
    "users in a bucket that may be given to who answered them before": _WAITING.format(1)
    + "MATCH (c:DMCheckClient {id: 44}), (d:DMCheckClient {id: 45}) SET b.heard = [45] "
    "CREATE (b)<-[:INDMCHECKBUCKET {second: 'dm'}]-(u:User {screen_name: 'unheard'}), (c)-[:DM_YES]->(u), "
    "(d)-[:DM_SECOND {candm: 'NON_DM', at: datetime(), witness: true}]->(u)",
    "users with second opinions and no answer in force": "MATCH (c:DMCheckClient {id: 44}), (d:DMCheckClient {id: 45}) "
    "CREATE (u:User {screen_name: 'alone'}), (c)-[:DM_SECOND {candm: 'DM', at: datetime()}]->(u), "
    "(d)-[:DM_SECOND {candm: 'NON_DM', at: datetime() - duration('PT1H')}]->(u)",
    "users who need another opinion, or are set aside, and cannot be": _WAITING.format(0)
    + "MATCH (c:DMCheckClient {id: 44}) CREATE (v:User {screen_name: 'half', dmcheck_needs: 'dm'}), "
    "(c)-[:DM_YES]->(v), "
    "(b)<-[:INDMCHECKBUCKET]-(:User {screen_name: 'placed', dmcheck_needs: 'dm', dmcheck_asked: 44}), "
    "(w:User {screen_name: 'aside', dmcheck_aside: datetime()}), (c)-[:DM_NO]->(w), "
    "(:User {screen_name: 'unasked', dmcheck_asked: 44})",
}


def test_a_bucket_of_nobody_who_can_be_asked_for_ends(database: Database, query: Callable) -> None:
    """It may be handed out once, empty, and is gone when it is given back, so no loop gets it again and again."""
    prepare(database, [42])
    query("CREATE (:DMCheckBucket {uuid: 'b', priority: 1, place: 0.5, edit_datetime: datetime()})"
          "<-[:INDMCHECKBUCKET]-(:User {screen_name: 'jane.doe'})")  # fmt: skip
    [lease] = leases.fetch(database, 42, 1, "k")
    assert lease.users == []
    leases.release(database, 42, lease.bucket, lease.lease)
    assert query("MATCH (b:DMCheckBucket) RETURN b") == []
    assert len(query("MATCH (u:User) RETURN u")) == 1


def test_a_lease_of_an_older_system_can_be_answered(database: Database, query: Callable) -> None:
    """After `schema apply` it has an id and an end, `fetch --resume` gives it, and its answers are taken."""
    prepare(database, [42])
    query("MATCH (c:DMCheckClient) " + _MADE.format("u", "b") + "assigned_datetime: datetime()})-[:DMCHECKCLIENT]->(c)")
    schema.apply(database)
    [lease] = leases.resume(database, 42)
    assert lease.expires is not None
    assert lease.priority == DEFAULTS.default_priority
    [report] = answers.submit(database, 42, [Answered(lease.bucket, lease.lease, {"u": "DM"})])
    assert (report.status, report.accepted) == ("done", 1)


@pytest.mark.parametrize("id", ["null", "toFloat('NaN')", "'x'", "1.5"])
def test_a_bucket_held_by_a_client_without_an_id_waits_again(database: Database, query: Callable, id: str) -> None:
    """No lease could ever be on record for it, so each `schema apply` ends with the bucket in line."""
    prepare(database, [42], 5, size=5)
    query(f"MATCH (b:DMCheckBucket) REMOVE b.place CREATE (b)-[:DMCHECKCLIENT]->(:DMCheckClient {{id: {id}, "
          "screen_name: 'odd', state: 'ACTIVE'}) SET b.assigned_datetime = datetime()")  # fmt: skip
    for _ in range(2):
        schema.apply(database)
        assert query("MATCH (b:DMCheckBucket) RETURN b.place IS NOT NULL AS waits") == [{"waits": True}]
        assert query("MATCH (l:DMCheckLease) RETURN l") == []
    assert len(leases.fetch(database, 42, 1, "k")) == 1


def test_a_lease_whose_record_is_gone_takes_no_answers(database: Database, query: Callable) -> None:
    """Nothing says whose it is. `schema apply` puts a record there, and then its holder's answers are taken."""
    prepare(database, [42, 43], 5, size=5)
    [lease] = leases.fetch(database, 42, 1, "k")
    query("MATCH (l:DMCheckLease) DELETE l")
    document = Answered(lease.bucket, lease.lease, {user.screen_name: "DM" for user in lease.users})
    for client in (42, 43):
        [report] = answers.submit(database, client, [document])
        assert (report.status, report.reason) == ("refused", "lease_lost")
    schema.apply(database)
    [report] = answers.submit(database, 42, [document])
    assert (report.status, report.accepted) == ("done", 5)


def test_a_client_with_two_nodes_of_counters_can_work(database: Database, query: Callable, start: Callable) -> None:
    """The loop ends, and what it answered is there once."""
    prepare(database, [42], 10, size=5)
    query("MATCH (c:DMCheckClient) CREATE (c)-[:STATS]->(:DMCheckClientStats)")
    ended = start("work", "--client", 42, "--once", "--json", "--", "sed", 's/}$/, "candm": "DM"}/')
    assert ended.status == 0, ended
    assert query("MATCH ()-[r:DM_YES]->(u) RETURN count(r) AS answers, count(DISTINCT u) AS users") == [
        {"answers": 10, "users": 10}
    ]
