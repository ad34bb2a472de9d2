"""How each statement is run: over which graph, with which parameters, and what a second run may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered, Lease, User
from dmcheck_cli.transactions import clients, users
from dmcheck_cli.transactions.answers import parameters, submit
from dmcheck_cli.transactions.leases import fetch
from support.graphs import answers, prepare
from support.invariants import Query

OURS = {
    "limits": vars(DEFAULTS) | {"max_unjudged": 60, "buckets_per_client": 20, "lease_seconds": 7200},
    "schema": cypher.SCHEMA,
    "repeated": False,
}
"""What `Database.run` adds to the parameters of each statement."""


@dataclass(frozen=True)
class World:
    """A graph in which every statement finds something to do: client 1 has a lease that is dead and one past its time;
    client 2 has one in its time, and one that has ended; a user is checked, another waits in a bucket."""

    dead: Lease
    expired: Lease
    held: Lease
    ended: Lease
    checked: str
    waiting: str


@dataclass(frozen=True)
class Case:
    """How a statement is run twice: its parameters, whether it writes, what must be in the graph before, the properties
    that a second run may move (clocks), and whether it answers the second time as the first."""

    parameters: Callable[[World], dict[str, Any]] = lambda world: {}
    writes: bool = True
    before: str = ""
    may_move: tuple[str, ...] = ()
    same_answer: bool = True


def make_world(database: Database) -> World:
    """Clients with leases in every state, users of every kind, a starved bucket, an old lease."""
    query: Query = database.run_text
    prepare(database, [1, 2, 3], 40, size=5)
    clients.unregister(database, 3, "client3")
    dead, expired = fetch(database, 1, 2, "r1")
    [held] = fetch(database, 2, 1, "r2")
    [ended] = fetch(database, 2, 1, "r3")
    submit(database, 2, [answers(ended)])
    users.add(database, [User("bare1", None), User("bare2", None)])
    users.prioritize(database, [dead.users[0].screen_name], 10, False)
    query("MATCH (b {uuid: $b}) SET b.dead_datetime = datetime() - duration('PT1H')", b=dead.bucket)
    query("MATCH (b {uuid: $b}) SET b.expires = datetime() - duration('PT1S')", b=expired.bucket)
    query(
        """MATCH (l:DMCheckLease {id: $l})
        SET l.assigned_datetime = datetime() - duration('P9D'), l.ended = datetime() - duration('P8D')""",
        l=ended.lease,
    )
    query(
        "MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b LIMIT 1 SET b.edit_datetime = datetime('2020-01-01')"
    )
    [row] = query(
        """MATCH (u)-[:INDMCHECKBUCKET]->(b:DMCheckBucket) WHERE b.place IS NOT NULL
        RETURN u.screen_name AS name ORDER BY name LIMIT 1"""
    )
    return World(dead, expired, held, ended, ended.users[0].screen_name, row["name"])


def given(lease: Lease, **answered: str) -> dict[str, Any]:
    """What `submit_answers` is given of one bucket."""
    return parameters(Answered(lease.bucket, lease.lease, answered))


def named(*leases: Lease) -> list[dict[str, Any]]:
    """What `renew_lease` and `release_lease` are given."""
    return [{"bucket": lease.bucket, "lease": lease.lease, "failed": True} for lease in leases]


CLOCKS = ("last_access_time",)
STARVED = {"starved_seconds": 86_400, "prioritized_seconds": 3600}

CASES: dict[str, Case] = {
    "add_users": Case(
        lambda w: {
            "users": [
                {"screen_name": "BARE2", "key": "bare2", "lower": "bare2", "id": 6},
                {"screen_name": "bare1", "key": "bare1", "lower": None, "id": 5},
                {"screen_name": "new", "key": "new", "lower": None, "id": None},
            ],
            "replace": False,
            "twice": [],
        },
        same_answer=False,
    ),
    "adopt_answers": Case(
        lambda w: {"after": "", "slice": 1000},
        before="MATCH (c:DMCheckClient)-[:DM_YES]->(u) WITH u LIMIT 1 MATCH (o:DMCheckClient {id: 1}) "
        "CREATE (o)-[:DM_NO]->(u), (o)-[:DM_SECOND {candm: 'DM', at: datetime()}]->(:User {screen_name: 'alone'}), "
        "(:User {screen_name: 'half', dmcheck_needs: 'dm'})",
        same_answer=False,
    ),
    "adopt_buckets": Case(
        before="CREATE (:DMCheckBucket {uuid: 'old', edit_datetime: datetime()})"
        "<-[:INDMCHECKBUCKET]-(:User {screen_name: 'old'})",
        same_answer=False,
    ),
    "adopt_clients": Case(
        before="CREATE (:DMCheckClient {id: '77', screen_name: 'old', state: 'ACTIVE'})", same_answer=False
    ),
    "adopt_members": Case(
        lambda w: {"after": "", "slice": 1000},
        before="MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b LIMIT 1 "
        "CREATE (b)<-[:INDMCHECKBUCKET]-(:User {screen_name: 'no name'}), "
        "(b)<-[:INDMCHECKBUCKET {second: 'dm'}]-(:User {screen_name: 'marked'}) "
        "WITH b MATCH (u)<-[:DM_YES]-() WITH b, u LIMIT 1 CREATE (u)-[:INDMCHECKBUCKET {second: 'dm'}]->(b) "
        "REMOVE u.dmcheck_needs, u.dmcheck_asked",
        same_answer=False,
    ),
    "adopt_moments": Case(
        before="MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s) "
        "SET c.create_datetime = '2020-02-30_23:59:59.5', s.last_access_time = localdatetime() WITH * "
        "MATCH (b:DMCheckBucket) SET b.edit_datetime = '2020-07-11T09:19:48Z'",
        same_answer=False,
    ),
    "adopt_old_answers": Case(
        before="MATCH (c:DMCheckClient {id: 1}) "
        "CREATE (c)-[:NONDM {edit_datetime: '2020-07-11_09:19:48.546000'}]->(:User {screen_name: 'older'})",
        same_answer=False,
    ),
    "begin_judging": Case(writes=False, same_answer=False),
    "begin_upgrade": Case(lambda w: {"step": cypher.SCHEMA + 1}),
    "check_buckets": Case(writes=False),
    "check_clients": Case(writes=False),
    "check_members": Case(lambda w: {"after": "", "slice": 100}, writes=False),
    "check_times": Case(writes=False),
    "check_users": Case(lambda w: {"after": "", "slice": 1000}, writes=False),
    "correct_other_times": Case(
        before="MATCH (c:DMCheckClient {id: 1}) SET c.create_datetime = datetime() + duration('P2D')", same_answer=False
    ),
    "correct_times": Case(
        lambda w: {"lease_seconds": 7200},
        before="MATCH (b:DMCheckBucket) WHERE b.place IS NULL WITH b LIMIT 1 "
        "SET b.assigned_datetime = datetime() + duration('P2D'), b.expires = datetime() + duration('P3D')",
        same_answer=False,
    ),
    "count_client": Case(lambda w: {"id": 1}, writes=False),
    "count_distrusted": Case(lambda w: {"client": 2, "since": None, "after": "", "slice": 1000}, writes=False),
    "count_reclaimable": Case(lambda w: {"lease_seconds": 7200, "grace_seconds": 900}, writes=False),
    "count_refusal": Case(
        lambda w: {"client": 2, "reason": "lease_lost", "count": 3}, may_move=("count", "at"), same_answer=False
    ),
    "count_starved": Case(lambda w: STARVED, writes=False),
    "count_users": Case(writes=False),
    "create_names": Case(writes=False),
    "delete_client": Case(lambda w: {"id": 2}, same_answer=False),
    "delete_users": Case(lambda w: {"names": ["bare1", "nobody", w.checked, w.waiting]}, same_answer=False),
    "distrust_answers": Case(
        lambda w: {"client": 2, "run": "a run", "since": None, "slice": 1000},
        before="""MATCH (:DMCheckClient {id: 2})-[:DM_YES]->(u) WITH collect(u) AS users
        MATCH (c:DMCheckClient {id: 1}), (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH * LIMIT 1
        FOREACH (u IN users[..1] | CREATE (c)-[:DM_SECOND {candm: 'DM', at: datetime()}]->(u))
        FOREACH (u IN users[1..2] | CREATE (c)-[:DM_SECOND {candm: 'NON_DM', at: datetime()}]->(u))""",
    ),
    "drop_index": Case(lambda w: {"name": "not there"}, writes=False),
    "end_transaction": Case(lambda w: {"token": "of nobody"}, writes=False),
    "ended_leases": Case(lambda w: {"after": 0}, writes=False),
    "export_users": Case(
        lambda w: {"after": "", "slice": 1000, "kinds": ["DM_YES", "DM_NO", "DM_UNKNOWN", "DM_SECOND"]}, writes=False
    ),
    "fetch_buckets": Case(
        lambda w: {"client": 2, "request": "new", "count": 2, "release": "0.3.0"},
        may_move=CLOCKS,
        same_answer=False,  # outcome and held tell of the first run; TestFetch compares the leases
    ),
    "find_client": Case(lambda w: {"client": 2}, writes=False),
    "find_users": Case(lambda w: {"names": [["Bare1", "bare1"], ["bare2", "bare2"], ["no", "no"]]}, writes=False),
    "finish_job": Case(
        lambda w: {"name": "make_buckets", "cursor": "bare1", "cost": {"last_statements": 3}},
        may_move=("last_success_time",),
    ),
    "finish_naming": Case(before="CREATE (:User {id: 3})"),
    "finish_upgrade": Case(
        lambda w: {"step": 1},
        before="MATCH (graph:DMCheckSchema) SET graph.upgrading = 1 REMOVE graph.version",
        same_answer=False,
    ),
    "forget_asked": Case(lambda w: {"id": 2, "slice": 1000}, same_answer=False),
    "forget_leases": Case(lambda w: {"keep_seconds": 86_400}, same_answer=False),
    "free_buckets": Case(
        before="""MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b LIMIT 1 SET b.heard = [1, 2, 3]
        WITH b MATCH (u)-[m:INDMCHECKBUCKET]->(b), (c:DMCheckClient {id: 1}) SET m.second = 'dm'
        CREATE (c)-[:DM_YES {at: datetime()}]->(u)""",
        same_answer=False,
    ),
    "held_leases": Case(lambda w: {"client": 1}, writes=False),
    "mark_dead": Case(lambda w: {"lease_seconds": 7200}, same_answer=False),
    "merge_clients": Case(writes=False),  # there is nothing to join here: test_older_graph.py
    "name_users": Case(
        lambda w: {"after": "", "slice": 1000}, before="CREATE (:User {screen_name: 'Foreign'})", same_answer=False
    ),
    "needing_users": Case(lambda w: {"needs": ["dm", "check"], "start": 0, "most": 10}, writes=False),
    "new_opinions": Case(
        before="MATCH (u:User) WHERE u.dmcheck_needs IS NOT NULL SET u.dmcheck_needs = 'look'", writes=False
    ),
    "place_users": Case(
        lambda w: {"buckets": [["bare1", "bare2"], [w.checked, w.waiting]], "seconds": [w.checked]}, same_answer=False
    ),
    "plan_buckets": Case(writes=False),
    "prioritize_users": Case(
        lambda w: {
            "names": ["bare1", "nobody", w.checked, w.waiting, w.held.users[0].screen_name],
            "priority": 10,
            "recheck": True,
            "size": 2,
        },
        before="MATCH (u)<-[:DM_YES]-() WITH u ORDER BY u.screen_name LIMIT 1 "
        "MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH u, b LIMIT 1 MATCH (o:DMCheckClient {id: 1}) "
        "CREATE (u)-[:INDMCHECKBUCKET {second: 'dm'}]->(b), (o)-[:DM_SECOND {candm: 'DM', at: datetime()}]->(u) "
        "REMOVE u.dmcheck_needs, u.dmcheck_asked SET b.heard = [1, 2]",
    ),
    "raise_starved": Case(lambda w: STARVED, same_answer=False),
    "read_standings": Case(lambda w: {"after": 0, "slice": 100, "whole": True}, writes=False),
    "register_client": Case(
        lambda w: {
            "id": 9,
            "screen_name": "client9",
            "capacity": 4,
            "dm_from_id": 90,
            "dm_from_screen_name": "from9",
        }
    ),
    "release_dead": Case(lambda w: {"grace_seconds": 900}, same_answer=False),
    "release_lease": Case(
        lambda w: {"client": 1, "buckets": named(w.expired, w.dead, w.held, w.ended)}, may_move=CLOCKS
    ),
    "rename_client": Case(lambda w: {"id": 1, "screen_name": "other"}),
    "renew_lease": Case(
        lambda w: {"client": 1, "buckets": named(w.expired, w.dead, w.held, w.ended), "lease_seconds": 7200},
        may_move=(*CLOCKS, "renewed_datetime", "expires"),
        same_answer=False,
    ),
    "report_bucket": Case(lambda w: {"bucket": w.held.bucket}, writes=False),
    "report_client": Case(lambda w: {"client": 1}, writes=False),
    "report_clients": Case(lambda w: {"days": 30}, writes=False),
    "report_disagreements": Case(lambda w: {"each": 100, "most": 10}, writes=False),
    "report_leases": Case(lambda w: {"days": 30}, writes=False),
    "report_secret": Case(
        lambda w: {"secret": "s"}, before="MATCH (graph:DMCheckSchema {name: 'graph'}) REMOVE graph.secret"
    ),
    "report_waits": Case(writes=False),
    "resume_client": Case(
        lambda w: {"id": 2},
        before="""MATCH (c:DMCheckClient {id: 2})-[:STATS]->(s) SET c.suspended = datetime(), c.suspend_reason = 'x',
        s.contained = 1.0, s.doubted = [0.5], s.share = 1.0""",
    ),
    "retry_users": Case(
        lambda w: {"names": None},
        before="MATCH (u:User {screen_name: 'bare1'}) SET u.dmcheck_aside = datetime()",
        same_answer=False,
    ),
    "scan_users": Case(lambda w: {"after": "", "slice": 1000}, writes=False),
    "set_allowances": Case(
        lambda w: {
            "round": 0,
            "verdicts": [
                {
                    "client": 2,
                    "set": {"pairs": 0},
                    "leases": [w.ended.lease],
                    "faults": 0,
                    "allowance": 12,
                    "reason": "answered",
                    "turnaround": 60,
                }
            ],
        },
        same_answer=False,
    ),
    "set_probation": Case(lambda w: {"id": 1}),
    "settle_clients": Case(
        lambda w: {"round": 0, "clients": [{"id": 1, "set": {"share": 0.5}}], "common": 0.5}, same_answer=False
    ),
    "settle_opinions": Case(
        lambda w: {
            "round": 0,
            "users": [{"name": w.waiting, "opinions": [], "needs": None, "asked": None, "counted": [], "force": None}],
            "clients": [{"id": 1, "set": {"pairs": 1}}],
        },
        same_answer=False,
    ),
    "show_bucket": Case(lambda w: {"bucket": w.held.bucket}, writes=False, same_answer=False),  # it tells the time
    "show_health": Case(writes=False),
    "show_jobs": Case(lambda w: {"names": ["make_buckets"]}, writes=False, same_answer=False),  # it tells the time
    "show_log": Case(
        lambda w: {
            "client": None,
            "user": None,
            "bucket": None,
            "since": "2020-01-01T00:00:00Z",
            "until": "2999-01-01T00:00:00Z",
            "key": "",
            "slice": 100,
        },
        writes=False,
    ),
    "show_schema": Case(writes=False),
    "show_start": Case(writes=False),
    "show_stats": Case(lambda w: {"client": None}, writes=False, same_answer=False),  # as show_health
    "show_transactions": Case(writes=False, same_answer=False),  # its own is another one each time
    "show_users": Case(lambda w: {"names": [w.checked, w.waiting, w.held.users[0].screen_name]}, writes=False),
    "show_version": Case(writes=False),
    "similar_clients": Case(lambda w: {"id": 9, "screen_name": "CLIENT1"}, writes=False),
    "split_buckets": Case(
        lambda w: {"buckets": None},
        before="""MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b LIMIT 2
        SET b += {failures: 3, place: null}""",
        same_answer=False,
    ),
    "submit_answers": Case(
        lambda w: {
            "client": 1,
            "buckets": [
                given(w.dead, **{user.screen_name: "DM" for user in w.dead.users}),
                given(w.expired, **{w.expired.users[0].screen_name: "UNKNOWN", w.waiting: "DM"}),
            ],
        },
        may_move=CLOCKS,
    ),
    "suspend_client": Case(lambda w: {"id": 1, "reason": "liar"}, same_answer=False),
    "sweep_opinions": Case(lambda w: {"client": 2, "since": 0.0}, same_answer=False),
    "tell_time": Case(writes=False, same_answer=False),
    "unregister_client": Case(lambda w: {"id": 1, "screen_name": "client1"}, same_answer=False),
    "upgrade_1_buckets": Case(
        lambda w: {"step": 1},
        before="MATCH (b:DMCheckBucket) SET b += {ready: b.place, lease: b.newest, place: null, newest: null}",
        same_answer=False,
    ),
    "upgrade_1_clients": Case(
        lambda w: {"step": 1},
        before="""MATCH (graph:DMCheckSchema) SET graph.upgrading = 1 REMOVE graph.version
        WITH * MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 10, s.asked = 3""",
        same_answer=False,
    ),
    "upgrade_1_leases": Case(
        lambda w: {"step": 1},
        before="""MATCH (l:DMCheckLease) WHERE l.ended IS NOT NULL
        SET l += {accepted: l.users, returned: 0, ended: null, how: null, users: null, dm: null, unjudged: null}""",
        same_answer=False,
    ),
    "upgrade_1_strays": Case(
        lambda w: {"step": 1},
        before="""MATCH (l:DMCheckLease) WHERE l.ended IS NOT NULL
        SET l += {accepted: l.users, returned: 0, ended: null, how: null, users: null, dm: null, unjudged: null,
            assigned_datetime: datetime()}""",
        same_answer=False,
    ),
    "upgrade_2_answers": Case(
        lambda w: {"step": 2, "after": "", "slice": 1000},
        before="""MATCH (graph:DMCheckSchema) SET graph.upgrading = 2 REMOVE graph.version
        WITH * MATCH (u:User) REMOVE u.dmcheck_needs, u.dmcheck_asked""",
    ),
    "upgrade_2_clients": Case(
        lambda w: {"step": 2, "after": 0, "slice": 1000},
        before="MATCH (graph:DMCheckSchema) SET graph.upgrading = 2 REMOVE graph.version",
    ),
}
