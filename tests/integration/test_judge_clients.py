"""The job judge_clients: what it counts, that it counts it once, and that nobody else decides what it decides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import neo4j
import pytest
from support.graphs import (
    answers,
    pass_time,
    picture,
    prepare,
    together,
    transactions,
    wait_until,
    wait_until_blocked,
    wait_until_gone,
)
from support.invariants import Query, broken
from support.programs import Result, launcher

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS, Limits
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.domain.policy.allowance import judge
from dmcheck_cli.domain.policy.trust.standing import Client
from dmcheck_cli.errors import NothingToFetch, OverQuota, TooFast, UpgradeNeeded
from dmcheck_cli.transactions import clients, judging
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release
from jobs import judge_clients, reclaim_leases

Sized = Callable[..., Database]

NOTHING = {"judged": 0, "raised": 0, "lowered": 0}
NO_OPINIONS = {"compared": 0, "disputed": 0, "suspended": 0}

# Clients with an ended lease for each of `$ends`: a letter for how it ended.
ENDED = """
    UNWIND $ids AS id
    MERGE (c:DMCheckClient {id: id})
    ON CREATE SET c.screen_name = 'client' + id, c.state = 'ACTIVE', c.capacity = 40,
        c.create_datetime = datetime(), c.edit_datetime = datetime()
    MERGE (c)-[:STATS]->(s:DMCheckClientStats)
    ON CREATE SET s.buckets_assigned = 0, s.buckets_processed = 0, s.buckets_fault = 0, s.buckets_dead = 0
    WITH c, s UNWIND range(0, size($ends) - 1) AS place
    WITH c, s, place, $ends[place] AS end, datetime() - duration({seconds: 100 - place}) AS ended
    CREATE (:DMCheckLease {
        id: randomUUID(), client: c.id, bucket: randomUUID(), request: 'r', unjudged: true,
        assigned_datetime: ended - duration({seconds: CASE end WHEN 's' THEN 3600 ELSE 60 END}),
        processed: s.buckets_processed + size([x IN $ends[..place] WHERE x IN ['a', 's']]), users: 4,
        ended: CASE WHEN end <> 'h' THEN ended END,
        how: CASE WHEN end IN ['a', 's'] THEN 'answered' WHEN end = 'd' THEN 'died' WHEN end = 'r' THEN 'released' END,
        died: CASE WHEN end = 'd' THEN true END, dm: CASE WHEN end IN ['a', 's'] THEN 4 END
    })
    WITH s, collect(end) AS ends
    SET s.buckets_assigned = s.buckets_assigned + size(ends),
        s.buckets_processed = s.buckets_processed + size([x IN ends WHERE x IN ['a', 's']]),
        s.buckets_dead = s.buckets_dead + size([x IN ends WHERE x = 'd'])"""


def end(query: Query, ids: list[int], ends: str) -> None:
    """For each client, leases that ended: (a)nswered, (s)lowly answered, (d)ied, (r)eleased; (h)eld is none yet."""
    query(ENDED, ids=ids, ends=list(ends))


def earned(query: Query) -> dict[int, tuple[Any, Any, Any]]:
    """Of each client: the number, the reason, and the faults that were judged."""
    rows = query(
        """MATCH (c:DMCheckClient)-[:STATS]->(s)
        RETURN c.id AS id, s.allowance AS allowance, s.judged_for AS reason, s.faults_judged AS faults"""
    )
    return {row["id"]: (row["allowance"], row["reason"], row["faults"]) for row in rows}


def unjudged(query: Query) -> int:
    """How many leases are still to be judged, ended or not."""
    return int(query("MATCH (l:DMCheckLease) WHERE l.unjudged RETURN count(l) AS n")[0]["n"])


def allowances(judged: judge_clients.Judged) -> dict[str, int]:
    """The summary, without what it says of second opinions: there are none here."""
    assert (judged.compared, judged.disputed, judged.suspended) == (0, 0, 0)
    return {name: count for name, count in judged.counts.items() if name in ("judged", "raised", "lowered")}


def run(database: Database) -> dict[str, int]:
    """One run of the job; its summary."""
    return allowances(judge_clients.run(database))


Found = tuple[int, list[judging.Case]]


def read(database: Database) -> Found:
    """What a run reads."""
    return judging.begin(database)[0], judging.cases(database, 0)


def settle(database: Database, found: Found) -> bool:
    """Judge and write what was read; returns whether no other run had written meanwhile."""
    round, cases = found
    verdicts = [(case, judge(case.client, case.leases, 7200, database.settings.limits)) for case in cases]
    try:
        judging.settle(database, round, verdicts, {case.id: Client() for case in cases})
    except judging.Overtaken:
        return False
    return True


@contextmanager
def start_job(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The job as a process that runs while the block does; killed at its end, if it has not ended by then."""
    command = [*launcher("judge_clients"), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as job:
        try:
            yield job
        finally:
            job.kill()


def test_it_counts_leases_that_ended_and_clients_whose_number_changed(database: Database, query: Query) -> None:
    """Of three clients one rises, one falls, one gave its buckets back; run again with nothing new: nothing, and not a
    property in the graph is another."""
    end(query, [1], "aaah")
    end(query, [2], "ad")
    end(query, [3], "rr")
    assert run(database) == {"judged": 7, "raised": 1, "lowered": 1}
    assert earned(query) == {1: (13, "answered", 0), 2: (5, "died", 0), 3: (None, None, 0)}
    before = picture(query, "last_success_time")
    assert run(database) == NOTHING
    assert picture(query, "last_success_time") == before
    assert unjudged(query) == 1


def test_a_run_looks_at_what_ended_since_the_last(database: Database, query: Query) -> None:
    """10, three answered: 13; one died: 6; two answered: 8. What is held stays on the list."""
    steps = []
    for ends in ("aaa", "d", "aa"):
        end(query, [1], ends)
        assert run(database)["judged"] == len(ends)
        steps.append(earned(query)[1][0])
    assert steps == [13, 6, 8]


def test_a_dry_run_says_the_same_and_changes_nothing(database: Database, query: Query) -> None:
    """Not even the time of its last success."""
    end(query, [1], "aaa")
    end(query, [2], "d")
    run(database)
    end(query, [1], "d")
    end(query, [2, 3], "aa")
    before = picture(query)
    told = allowances(judge_clients.run(database, dry_run=True))
    assert picture(query) == before
    assert told == {"judged": 5, "raised": 2, "lowered": 1}
    assert run(database) == told


def test_the_number_is_what_a_client_may_hold(database: Database, query: Query) -> None:
    """A client that states 5 and earns on from 9 to 10 may hold 5 as before: it is not counted as raised."""
    end(query, [1], "a")
    query("MATCH (c:DMCheckClient)-[:STATS]->(s) SET c.capacity = 5, s.allowance = 9")
    assert run(database) == {"judged": 1, "raised": 0, "lowered": 0}
    assert earned(query)[1][0] == 10


def test_faults_alone_are_judged_once(database: Database, query: Query) -> None:
    """Two refusals: from 10 to 2, though no lease ended; then nothing."""
    end(query, [1], "")
    query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s.buckets_fault = 2")
    assert run(database) == {"judged": 0, "raised": 0, "lowered": 1}
    assert earned(query) == {1: (2, "refused", 2)}
    assert run(database) == NOTHING


def test_inactive_clients_are_judged_too(database: Database, query: Query) -> None:
    """Unregistering does not wash off what died."""
    end(query, [1], "d")
    query("MATCH (c:DMCheckClient) SET c.state = 'DEACTIVE'")
    assert run(database) == {"judged": 1, "raised": 0, "lowered": 1}


@pytest.mark.parametrize("limit", [1, 2])
def test_batches_make_no_difference(sized: Sized, query: Query, limit: int) -> None:
    """Of clients and of leases: with small ones as with large ones each lease is judged once and alike."""
    end(query, [1, 2, 3], "aadasraadsaaa")
    end(query, [4], "a" * 23)
    end(query, [5], "sssss")
    database = sized(limits=Limits(batch_leases=limit))
    assert run(database) == {"judged": 67, "raised": 1, "lowered": 4}
    assert [number for _, (number, *_) in sorted(earned(query).items())] == [5, 5, 5, 33, 2]
    assert run(database) == NOTHING


def test_a_submit_may_lie_on_the_border_of_two_batches(sized: Sized, query: Query) -> None:
    """15 buckets answered together in half a lease show thirty, though the job reads ten of them first."""
    end(query, [1], "s" * 15)
    query("MATCH (l:DMCheckLease) SET l.ended = datetime('2026-01-01T12:00Z'), l.processed = 0")
    query("MATCH (l:DMCheckLease) SET l.assigned_datetime = l.ended - duration('PT1H')")
    assert run(sized(limits=Limits(batch_leases=1))) == {"judged": 15, "raised": 1, "lowered": 0}
    assert earned(query) == {1: (25, "answered", 0)}


def test_another_run_that_was_faster_has_judged(database: Database, query: Query) -> None:
    """Read by one run, read and written by a second: the first writes nothing, whatever has come to it since."""
    end(query, [1, 2, 3], "ad")
    mine = read(database)
    end(query, [2], "a")
    query("MATCH (:DMCheckClient {id: 3})-[:STATS]->(s) SET s.buckets_fault = 1")
    assert run(database) == {"judged": 7, "raised": 0, "lowered": 3}
    before = picture(query)
    assert not settle(database, mine)
    assert picture(query) == before


def test_what_comes_between_reading_and_writing_is_left_for_the_next_run(database: Database, query: Query) -> None:
    """A lease that ends, a fault, another capacity, a client that goes: each is judged once, later or never."""
    end(query, [1, 2, 3, 4], "a")
    mine = read(database)
    end(query, [1], "d")
    query("MATCH (:DMCheckClient {id: 2})-[:STATS]->(s) SET s.buckets_fault = 1")
    query("MATCH (c:DMCheckClient {id: 3}) SET c.capacity = 11")
    query("MATCH (c:DMCheckClient {id: 4})-[:STATS]->(s) DETACH DELETE c, s")
    assert settle(database, mine)
    assert earned(query) == {1: (11, "answered", 0), 2: (11, "answered", 0), 3: (11, "answered", 0)}
    assert run(database) == {"judged": 1, "raised": 0, "lowered": 2}
    assert earned(query) == {1: (5, "died", 0), 2: (5, "refused", 1), 3: (11, "answered", 0)}


def test_faults_that_two_runs_saw_are_taken_off_once(database: Database, query: Query) -> None:
    """A client with a fault and nothing else that is new, read by both."""
    end(query, [1], "")
    query("MATCH (:DMCheckClient {id: 1})-[:STATS]->(s) SET s.buckets_fault = 1")
    mine, theirs = read(database), read(database)
    assert (settle(database, theirs), settle(database, mine)) == (True, False)
    assert earned(query) == {1: (5, "refused", 1)}


def test_writing_twice_is_writing_once(database: Database, query: Query) -> None:
    """As after an answer that was lost on its way."""
    end(query, [1, 2], "aad")
    mine = read(database)
    assert settle(database, mine)
    before = picture(query)
    assert not settle(database, mine)
    assert picture(query) == before


def run_in_process(database: Database, _: int) -> int:
    """One run, for `together`."""
    return judge_clients.run(database).leases


def test_runs_that_overlap_count_each_lease_once(database: Database, query: Query) -> None:
    """Four at the same moment, in small batches: together they judge each lease once, and alike."""
    small = replace(database.settings, limits=Limits(batch_leases=2))
    end(query, list(range(1, 31)), "aadaa")
    [judged] = together(small, [run_in_process] * 4)
    rest = judge_clients.run(database).leases
    assert sum(judged) + rest == 150
    assert {number for number, *_ in earned(query).values()} == {8}
    assert (unjudged(query), run(database)) == (0, NOTHING)


def test_killed_between_batches(environment: dict[str, str], database: Database, query: Query) -> None:
    """What was written stays, and the next run judges the rest: each lease once."""
    many = DEFAULTS.batch_leases + 20
    end(query, list(range(1, many + 1)), "aa")
    with transactions(environment) as [rival]:
        rival.run("MATCH (c:DMCheckClient {id: $id}) SET c.id = c.id", id=many).consume()
        with start_job(environment) as job:
            wait_until(lambda: unjudged(query) == 2 * 20)
            wait_until_blocked(query, "judge_clients")
            job.kill()
    wait_until_gone(query, "judge_clients")
    assert run(database) == {"judged": 2 * 20, "raised": 20, "lowered": 0}
    assert set(earned(query).values()) == {(12, "answered", 0)}


def test_a_client_that_is_busy_holds_up_nobody_for_ever(
    environment: dict[str, str], database: Database, query: Query
) -> None:
    """The job waits for a client's own command to end, and then judges by what it left."""
    end(query, [1], "a")
    with transactions(environment) as [rival]:
        rival.run("MATCH (c:DMCheckClient {id: 1}) SET c.id = c.id").consume()
        with start_job(environment, "--json") as job:
            wait_until_blocked(query, "judge_clients")
            rival.commit()
            out, _ = job.communicate()
    assert json.loads(out) == {"judged": 1, "raised": 1, "lowered": 0} | NO_OPINIONS


ODD: list[Any] = [None, "7", "many", 3.9, float("nan"), float("inf"), 1e300, -4, True, [1, 2]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_counters_of_other_programs(database: Database, query: Query, odd: Any) -> None:
    """Null, text, fractions and worse in every number of a client: it is judged, once, by a whole number from 1 up, and
    nobody else's judgement is held up."""
    end(query, [1, 2], "ad")
    query(
        """MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s)
        SET s += {buckets_assigned: $odd, buckets_processed: $odd, buckets_fault: $odd, buckets_dead: $odd,
            allowance: $odd, faults_judged: $odd, judged_for: $odd, turnaround_seconds: $odd}, c.capacity = $odd
        WITH c MATCH (l:DMCheckLease {client: 1})
        SET l.processed = $odd""",
        odd=odd,
    )
    assert run(database)["judged"] == 4
    number = earned(query)[1][0]
    assert isinstance(number, int)
    assert number >= 1
    assert earned(query)[2] == (5, "died", 0)
    assert run(database) == NOTHING


def test_leases_and_clients_that_are_none(database: Database, query: Query) -> None:
    """A lease of nobody, times that are none, clients without counters, with two, with a name for an id: the others are
    judged as ever."""
    end(query, [1, 2, 3, 4], "a")
    query("MATCH (l:DMCheckLease {client: 2}) SET l.client = 99")
    query("MATCH (l:DMCheckLease {client: 3}) SET l.ended = 'yesterday'")
    query("MATCH (c:DMCheckClient {id: 4})-[:STATS]->(s) DETACH DELETE s")
    query("CREATE (:DMCheckClient {id: 'five'})-[:STATS]->(:DMCheckClientStats {buckets_fault: 3})")
    query("MATCH (c:DMCheckClient {id: 1}) CREATE (c)-[:STATS]->(:DMCheckClientStats {buckets_fault: 0})")
    assert run(database)["judged"] == 1
    assert run(database) == NOTHING


def test_times_that_lie_ahead(database: Database, query: Query) -> None:
    """A clock was ahead when a lease was given, and put right before it ended: answered at once, as far as one can
    tell."""
    end(query, [1], "a")
    query("MATCH (l:DMCheckLease) SET l.assigned_datetime = datetime() + duration('P1D')")
    assert run(database) == {"judged": 1, "raised": 1, "lowered": 0}


def test_a_graph_of_another_version_is_left_alone(database: Database, query: Query) -> None:
    """Also by a run that began before the graph was upgraded."""
    end(query, [1], "aaa")
    judge_clients.run(database)
    end(query, [1], "d")
    mine = read(database)
    query("MATCH (g:DMCheckSchema {name: 'graph'}) SET g.version = $newer", newer=cypher.SCHEMA + 1)
    before = picture(query)
    with pytest.raises(UpgradeNeeded):
        settle(database, mine)
    assert picture(query) == before


def test_as_a_program(database: Database, query: Query, run: Callable[..., Result]) -> None:
    """One line, or one document; --dry-run says so."""
    end(query, [1], "aaa")
    end(query, [2], "d")
    job = partial(run, program="judge_clients")
    told = {"judged": 4, "raised": 1, "lowered": 1} | NO_OPINIONS
    others = ", compared 0, disputed 0, suspended 0"
    assert job("--dry-run").out.endswith(f"Z judge_clients (dry run): judged 4, raised 1, lowered 1{others}\n")
    assert job("--dry-run", "--json").document == told
    assert job("--json").document == told
    done = job()
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(f"Z judge_clients: judged 0, raised 0, lowered 0{others}\n")
    [row] = query("MATCH (j:DMCheckJob {name: 'judge_clients'}) RETURN j.last_success_time IS NOT NULL AS ran")
    assert row["ran"]


def test_a_shorter_lease_time_is_the_jobs_own(sized: Sized, query: Query) -> None:
    """A client that needs a minute for a bucket finishes two in DMCHECK_LEASE_SECONDS=120."""
    end(query, [1], "a")
    assert run(sized(lease_seconds=120)) == {"judged": 1, "raised": 0, "lowered": 1}
    assert earned(query)[1][:2] == (2, "slow")


# Real leases


def test_nothing_else_sets_what_a_client_may_hold(database: Database, query: Query) -> None:
    """Fetch, submit, a flood, a refusal, release, a death, a late answer, unregister and register: what was judged is
    as it was, until the job runs."""
    prepare(database, [1], 40, size=1)
    clients.register(database, 1, "client1", 40)
    query("MATCH (s:DMCheckClientStats) SET s.allowance = 12, s.judged_for = 'answered', s.faults_judged = 0")
    one, two, *others = fetch(database, 1, 10, "a")
    submit(database, 1, [answers(one)])
    submit(database, 1, [Answered("no such bucket", "no such lease", {})])
    release(database, 1, two.bucket, two.lease)
    pass_time(query, 7201)
    reclaim_leases.run(database)
    submit(database, 1, [answers(others[0])])
    pass_time(query, 901)
    reclaim_leases.run(database)
    clients.unregister(database, 1, "client1")
    clients.register(database, 1, "client1", 40)
    assert earned(query) == {1: (12, "answered", 0)}
    assert run(database) == {"judged": 10, "raised": 0, "lowered": 1}
    assert earned(query)[1] == (1, "died", 1)


def work(database: Database, number: int) -> int:
    """A client that takes and answers; returns how many of its leases ended."""
    ended = 0
    me = 1 + number % 4
    for turn in range(8):
        try:
            some = fetch(database, me, 3, f"{number} {turn}")
        except (NothingToFetch, OverQuota, TooFast):
            continue
        for place, lease in enumerate(some):
            if place == 1 and turn % 3 == 0:
                release(database, me, lease.bucket, lease.lease)
            else:
                submit(database, me, [answers(lease)])
            ended += 1
    return ended


def work_as(me: int, database: Database, number: int) -> int:
    """`work`, for the client `me`."""
    return work(database, me - 1)


def judge_again_and_again(database: Database, _: int) -> int:
    """Runs of the job beside clients at work; returns how many leases were judged."""
    return sum(judge_clients.run(database).leases for _ in range(8))


def test_beside_clients_at_work(database: Database, query: Query) -> None:
    """Four clients take, answer and give back, two jobs judge and one reclaims: each ended lease is judged once, and
    the graph is whole."""
    prepare(database, [1, 2, 3, 4], 400, size=2)
    for me in (1, 2, 3, 4):
        clients.register(database, me, f"client{me}", 40)
    works = [partial(work_as, me) for me in (1, 2, 3, 4)]
    [outcome] = together(database.settings, [*works, judge_again_and_again, judge_again_and_again, reclaim])
    ended, judged = sum(outcome[:4]), sum(outcome[4:6])
    assert ended > 40
    assert judged + judge_clients.run(database).leases == ended
    assert broken(query) == []
    assert run(database) == NOTHING


def reclaim(database: Database, _: int) -> int:
    """A few runs of reclaim_leases."""
    for _ in range(5):
        reclaim_leases.run(database)
    return 0


def test_the_plan_goes_by_the_index_of_what_is_unjudged(
    database: Database, query: Query, neo4j_environment: dict[str, str]
) -> None:
    """Even where few leases have ended: for each client the work is by what is new, not by what ever was."""
    end(query, list(range(1, 41)), "h" * 20 + "a")
    account = (neo4j_environment.get("NEO4J_USERNAME", "neo4j"), neo4j_environment["NEO4J_PASSWORD"])
    given = {"after": 0, "limits": vars(DEFAULTS)}
    with neo4j.GraphDatabase.driver(neo4j_environment["NEO4J_URI"], auth=account) as driver:
        plan = driver.execute_query(f"EXPLAIN {cypher.text('ended_leases')}", given).summary.plan  # type: ignore[arg-type]
    shown = str(plan)
    assert "NodeIndexSeek" in shown
    assert "(unjudged, client) WHERE unjudged = true AND client = " in shown
    assert "Scan" not in shown
