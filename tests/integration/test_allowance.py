"""What a client may hold: what it does with real leases, what judge_clients makes of that, what fetch then gives it.

Each rule with exact numbers: `tests/unit/test_policy_allowance.py`. The job itself: `test_judge_clients.py`.
"""

from __future__ import annotations

import pytest
from support.graphs import answers, counters, may_hold, pass_time, picture, prepare, refusal
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered, ClientStats, Lease, Report
from dmcheck_cli.errors import OverQuota
from dmcheck_cli.transactions import clients
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release, renew
from dmcheck_cli.transactions.stats import stats
from jobs import judge_clients, reclaim_leases

ME, OTHER = 1, 2
HOUR = 3600
LEASE = 2 * HOUR
GRACE = 900
START, FLOOD = DEFAULTS.start_allowance, DEFAULTS.flood


def seen(database: Database, id: int = ME) -> ClientStats:
    """What `stats --client` says."""
    [[client], _] = stats(database, id)
    return client


def allowance(database: Database, id: int = ME) -> int:
    """How many leases the client may hold once the job has run."""
    judge_clients.run(database)
    return seen(database, id).allowance


def take(database: Database, count: int, id: int = ME) -> list[Lease]:
    """Fetch so many buckets, by tens."""
    taken: list[Lease] = []
    while len(taken) < count:
        taken += fetch(database, id, min(count - len(taken), 10), f"request {seen(database, id).buckets_assigned}")
    return taken


def answer(database: Database, some: list[Lease], candm: str = "DM", only: int | None = None) -> list[Report]:
    """Answer these in one submit."""
    return submit(database, ME, [answers(one, candm, only) for one in some])


def refused(database: Database) -> None:
    """Submit what is refused."""
    [report] = submit(database, ME, [Answered("no such bucket", "no such lease", {})])
    assert report.reason == "unknown_bucket"


def let_die(database: Database, query: Query) -> None:
    """All leases end, and are released when their grace is over."""
    pass_time(query, LEASE + 1)
    reclaim_leases.run(database)
    pass_time(query, GRACE + 1)
    reclaim_leases.run(database)


@pytest.fixture
def line(database: Database) -> Database:
    """One client that states 40, a line of 80 buckets of one user each."""
    prepare(database, [ME, OTHER, 3, 4], 80, size=1)
    clients.register(database, ME, "client1", 40)
    return database


@pytest.mark.parametrize("stated", [None, 1, 9, 10, 11, 1000])
def test_a_new_client_may_hold_what_it_states_up_to_ten(line: Database, stated: int | None) -> None:
    """The smaller of its capacity and 10; then it is over quota. The job has nothing to say of it."""
    clients.register(line, 9, "new", stated)
    expected = min(stated or START, START)
    assert seen(line, 9).allowance == allowance(line, 9) == expected
    assert len(fetch(line, 9, 10, "first")) == expected
    with pytest.raises(OverQuota):
        fetch(line, 9, 1, "second")


def test_each_answered_bucket_raises_by_one_up_to_the_capacity(line: Database) -> None:
    """10, 11, 12, 13, and 13 again, for a client that states 13; stats say why and when."""
    clients.register(line, ME, "client1", 13)
    steps = []
    for _ in range(5):
        answer(line, take(line, 1))
        steps.append(allowance(line))
    assert steps == [11, 12, 13, 13, 13]
    assert seen(line).judged_for == "answered"
    assert (seen(line).judged_seconds or 0) < HOUR


def test_what_was_earned_is_what_fetch_gives(line: Database) -> None:
    """Ten answered: 10 as before until the job runs, then 20, in two fetches of ten."""
    answer(line, take(line, 10))
    assert seen(line).allowance == START
    assert allowance(line) == 20
    take(line, 20)
    with pytest.raises(OverQuota):
        fetch(line, ME, 1, "more")


def test_a_small_capacity_does_not_keep_a_client_from_earning_up_to_ten(line: Database, query: Query) -> None:
    """A client that states 5 and may hold 1 earns on to 10 unseen, so that it may hold 10 once it states more."""
    clients.register(line, ME, "client1", 5)
    may_hold(query, ME, 1)
    for _ in range(12):
        answer(line, take(line, 1))
    assert allowance(line) == 5
    clients.register(line, ME, "client1", 40)
    assert allowance(line) == 10


@pytest.mark.parametrize(("told", "raised"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)])
def test_a_part_counts_from_half_of_the_users_on(database: Database, told: int, raised: int) -> None:
    """Of four users: one answered is no answered bucket, two are."""
    prepare(database, [ME], 4, size=4)
    clients.register(database, ME, "client1", 40)
    answer(database, take(database, 1), only=told)
    assert allowance(database) == START + raised


@pytest.mark.parametrize(("dead", "left"), [(1, 20), (2, 10), (3, 5), (6, 1), (9, 1)])
def test_each_dead_lease_halves(line: Database, query: Query, dead: int, left: int) -> None:
    """From 40: by two for each lease that dies; never below 1."""
    may_hold(query, ME, 40)
    take(line, dead)
    let_die(line, query)
    assert (allowance(line), seen(line).judged_for) == (left, "died")
    assert allowance(line) == left


def test_a_dead_lease_counts_once_it_is_released(line: Database, query: Query) -> None:
    """Marked dead: 10 still, since it may be answered yet; released: 5, and 5 for ever after."""
    take(line, 1)
    pass_time(query, LEASE + 1)
    assert reclaim_leases.run(line) == (1, 0)
    assert allowance(line) == 10
    pass_time(query, GRACE + 1)
    assert reclaim_leases.run(line) == (0, 1)
    assert [allowance(line), allowance(line)] == [5, 5]


def test_a_lease_that_dies_twice_halves_once(line: Database, query: Query) -> None:
    """Dead, renewed, dead again, released: 5, and dead once in the counters."""
    [lease] = take(line, 1)
    pass_time(query, LEASE + 1)
    reclaim_leases.run(line)
    assert allowance(line) == 10
    renew(line, ME, lease.bucket, lease.lease)
    let_die(line, query)
    assert (allowance(line), counters(query, ME)[3]) == (5, 1)


def test_a_refused_submit_halves_and_changes_nothing_else(line: Database, query: Query) -> None:
    """10, 5, 2, 1, 1; in the graph a refusal itself moves nothing but `buckets_fault` and `last_access_time`."""
    take(line, 1)
    steps = []
    for _ in range(4):
        before = refusal(query)
        refused(line)
        assert refusal(query) == before
        steps.append(allowance(line))
    assert steps == [5, 2, 1, 1]
    assert (counters(query, ME)[2], seen(line).judged_for) == (4, "refused")


def test_refusals_are_taken_off_once(line: Database) -> None:
    """10; refused: 5; answered: 6; answered: 7; refused: 3."""
    steps = []
    for act in ("refused", "answered", "answered", "refused"):
        if act == "refused":
            refused(line)
        else:
            answer(line, take(line, 1))
        steps.append(allowance(line))
    assert steps == [5, 6, 7, 3]


def test_refusals_and_deaths_together(line: Database, query: Query) -> None:
    """20; in one run, a refusal and a dead lease: 5; answered: 6."""
    may_hold(query, ME, 20)
    take(line, 1)
    refused(line)
    let_die(line, query)
    assert allowance(line) == 5
    answer(line, take(line, 1))
    assert allowance(line) == 6


def test_strangers_in_an_accepted_bucket_halve(line: Database) -> None:
    """Answered, for its own user and for one of another bucket: halved to 5, then raised to 6."""
    mine, other = take(line, 2)
    named = {user.screen_name: "DM" for user in mine.users + other.users}
    [report] = submit(line, ME, [Answered(mine.bucket, mine.lease, named)])
    assert (report.status, len(report.refused)) == ("done", 1)
    assert (allowance(line), seen(line).judged_for) == (6, "refused")


def test_a_repeated_submit_changes_nothing(line: Database, query: Query) -> None:
    """Neither raised again, nor is anything else in the graph another but the time of the last access."""
    some = take(line, 3)
    first = answer(line, some)
    assert allowance(line) == 13
    before = picture(query, "last_access_time")
    assert answer(line, some) == first
    assert picture(query, "last_access_time") == before
    assert allowance(line) == 13


@pytest.mark.parametrize(
    ("unknown", "others", "expected", "why"),
    [
        (FLOOD, FLOOD - 1, 5, "unknown"),
        (FLOOD, FLOOD, 11, "answered"),
        (FLOOD - 1, 0, 11, "answered"),
        (2 * FLOOD, 0, 5, "unknown"),
    ],
)
def test_a_flood_of_unknown_halves(database: Database, unknown: int, others: int, expected: int, why: str) -> None:
    """Ten or more, and more than half of the bucket's answers; fewer, or half of them, count as any answer."""
    prepare(database, [ME], unknown + others, size=unknown + others)
    clients.register(database, ME, "client1", 40)
    [lease] = take(database, 1)
    told = {user.screen_name: "UNKNOWN" if i < unknown else "DM" for i, user in enumerate(lease.users)}
    submit(database, ME, [Answered(lease.bucket, lease.lease, told)])
    assert (allowance(database), seen(database).judged_for) == (expected, why)


def test_who_sees_nobody_comes_down_to_one(database: Database) -> None:
    """Five buckets full of UNKNOWN in one submit: 10 to 1."""
    prepare(database, [ME], 5 * FLOOD, size=FLOOD)
    answer(database, take(database, 5), "UNKNOWN")
    assert allowance(database) == 1


# Turnaround: nobody is given what it cannot finish before the lease ends


def test_who_needs_most_of_a_lease_for_one_bucket_may_hold_one(line: Database, query: Query) -> None:
    """One held, answered after an hour and a half of two: from 10 to 1, and stats show the turnaround."""
    some = take(line, 1)
    pass_time(query, LEASE * 3 // 4)
    answer(line, some)
    assert allowance(line) == 1
    assert seen(line).judged_for == "slow"
    assert LEASE * 3 // 4 <= (seen(line).turnaround_seconds or 0) <= LEASE * 3 // 4 + 300


def test_ten_answered_together_after_half_a_lease_lower_nothing(line: Database, query: Query) -> None:
    """In half of a lease's time it finished ten, so it finishes twenty in all of it: raised to no more than that."""
    some = take(line, 10)
    pass_time(query, LEASE // 2 - 300)
    answer(line, some)
    assert allowance(line) == 20
    more = take(line, 20)
    pass_time(query, LEASE - 600)
    answer(line, more)
    assert 20 <= allowance(line) <= 21


def test_ten_worked_on_side_by_side_and_answered_one_by_one_lower_little(line: Database, query: Query) -> None:
    """Each took half a lease: the first answer alone shows two in a lease, but with the tenth it is back at ten,
    whether the job runs in between or not."""
    for each in (True, False):
        may_hold(query, ME, 10)
        some = take(line, 10)
        pass_time(query, LEASE // 2)
        for one in some:
            answer(line, [one])
            if each:
                judge_clients.run(line)
        assert 10 <= allowance(line) <= 11


def test_one_after_the_other_settles_at_what_a_lease_has_time_for(line: Database, query: Query) -> None:
    """50 minutes a bucket, always all that it may hold in hand: it settles at two, and then no lease dies."""
    may_hold(query, ME, 1)
    hands: list[Lease] = []
    held = []
    for _ in range(12):
        hands += take(line, allowance(line) - len(hands)) if allowance(line) > len(hands) else []
        held.append(len(hands))
        pass_time(query, 50 * 60)
        assert reclaim_leases.run(line) == (0, 0)
        answer(line, [hands.pop(0)])
    assert held == [1] + [2] * 11


@pytest.mark.parametrize("before", [True, False], ids=["job between", "job after"])
def test_a_late_answer_of_a_released_lease_raises_nothing(line: Database, query: Query, before: bool) -> None:
    """Released and answered before anybody else got it: no quick work. If the job saw the death first, that is
    judged (5); if it sees the answer, nothing is (10)."""
    some = take(line, 1)
    let_die(line, query)
    if before:
        assert allowance(line) == 5
    assert answer(line, some)[0].status == "done"
    assert allowance(line) == (5 if before else 10)
    assert broken(query) == []


def test_a_late_answer_before_release_costs_nothing_and_raises_nothing(line: Database, query: Query) -> None:
    """Dead, and answered within the time of grace: 10 still."""
    some = take(line, 1)
    pass_time(query, LEASE + 1)
    assert reclaim_leases.run(line) == (1, 0)
    answer(line, some)
    assert (allowance(line), seen(line).judged_for) == (10, None)


def test_giving_back_is_not_punished(line: Database) -> None:
    """Fetched and released, again and again: still 10."""
    for _ in range(5):
        for one in take(line, 3):
            release(line, ME, one.bucket, one.lease)
    assert (allowance(line), seen(line).judged_for) == (START, None)


def test_who_answers_one_of_ten_and_gives_back_the_others_earns_nothing_beyond_ten(line: Database) -> None:
    """Beyond what a newcomer may hold, the allowance is for clients that answer what they take: three of four."""
    for _ in range(4):
        one, *others = take(line, 10)
        answer(line, [one])
        for other in others:
            release(line, ME, other.bucket, other.lease)
    assert allowance(line) == START


def test_registering_again_keeps_what_was_earned_and_what_was_lost(line: Database, query: Query) -> None:
    """Unregistered and registered again, with a held lease given back: 13 before and after; 1 before and after."""
    answer(line, take(line, 3))
    judge_clients.run(line)
    take(line, 2)
    assert clients.unregister(line, ME, "client1")[1] == 2
    clients.register(line, ME, "client1")
    assert allowance(line) == 13
    may_hold(query, ME, 1)
    clients.unregister(line, ME, "client1")
    clients.register(line, ME, "client1", 40)
    assert seen(line).allowance == allowance(line) == 1


def test_a_lowered_capacity_bounds_at_once_and_a_raised_one_must_be_earned(line: Database) -> None:
    """13 earned; 4 stated: 4; 40 stated: the 13 that were earned. A new client that states 2 and then 1000: 10."""
    answer(line, take(line, 3))
    judge_clients.run(line)
    stated = []
    for capacity in (4, 40, 12, 1000):
        clients.register(line, ME, "client1", capacity)
        stated.append(seen(line).allowance)
    assert stated == [4, 13, 12, 13]
    clients.register(line, 9, "new", 2)
    assert seen(line, 9).allowance == 2
    clients.register(line, 9, "new", 1000)
    assert seen(line, 9).allowance == START


def test_who_holds_more_than_it_may_keeps_it_and_gets_no_more(line: Database) -> None:
    """Five held, four stated: nothing is taken away; over quota until two are answered."""
    some = take(line, 5)
    clients.register(line, ME, "client1", 4)
    assert seen(line).held == 5
    for part in (some[:1], some[1:2]):
        with pytest.raises(OverQuota):
            fetch(line, ME, 1, f"{len(part)} more")
        answer(line, part)
    assert len(fetch(line, ME, 10, "now")) == 1


def test_over_quota_says_when_to_come_back(line: Database) -> None:
    """After a minute to a minute and a half; and how to find out what it may hold."""
    take(line, 10)
    with pytest.raises(OverQuota) as raised:
        fetch(line, ME, 1, "more")
    assert "dmcheck stats --client 1" in raised.value.message
    pause = DEFAULTS.quota_pause_seconds
    assert pause <= (raised.value.retry_after or 0) <= 1.5 * pause


def test_what_is_missing_in_an_older_graph_counts_as_a_start(line: Database, query: Query) -> None:
    """Counters without anything of the allowance: 10 at most, less by half for each fault on record."""
    query("MATCH (c:DMCheckClient {id: $id})-[:STATS]->(s) SET s.buckets_fault = 1", id=ME)
    assert allowance(line) == 5
    answer(line, take(line, 1))
    assert allowance(line) == 6


@pytest.mark.parametrize(("stated", "earned"), [(3, 10), (12, 12)])
def test_no_more_is_earned_than_can_be_held(database: Database, query: Query, stated: int, earned: int) -> None:
    """Nor than ten: who has answered well for long comes down as fast as anybody else when its leases die."""
    prepare(database, [1], 15, size=1)
    clients.register(database, 1, "client1", capacity=stated)
    for number in range(15):
        submit(database, 1, [answers(lease) for lease in fetch(database, 1, 1, f"{number}")])
    judge_clients.run(database)
    assert query("MATCH (s:DMCheckClientStats) RETURN s.allowance AS allowance") == [{"allowance": earned}]
