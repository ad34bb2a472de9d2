"""How many leases a client may hold: an example of each rule, and what holds whatever a client does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcheck_cli.domain.limits import Limits
from dmcheck_cli.domain.policy.allowance import Client, EndedLease, Verdict, judge, may_hold

LIMITS = Limits()
START, FLOOD = LIMITS.start_allowance, LIMITS.flood
LEASE = 7200


def client(allowance: int | None = None, capacity: int | None = 40, **more: Any) -> Client:
    """Who answered all that it took, but for what is said."""
    return Client(**{"capacity": capacity, "allowance": allowance, "assigned": 100, "processed": 100, **more})


def answered(took: float = 60, ended: float = 10_000, **more: Any) -> EndedLease:
    """A bucket of four users, all answered."""
    return EndedLease(**{"how": "answered", "began": ended - took, "ended": ended, "users": 4, "dm": 4, **more})


def ended(how: str, **more: Any) -> EndedLease:
    """A lease that ended without answers."""
    return EndedLease(**{"how": how, "began": 0, "ended": LEASE, "users": 4, **more})


def verdict(of: Client, *leases: EndedLease) -> Verdict:
    """With the bounds and the lease time that are usual."""
    return judge(of, leases, LEASE, LIMITS)


def told(found: Verdict) -> tuple[int, str | None]:
    """The number, and the reason."""
    return found.allowance, found.reason


def one_by_one(count: int, took: float) -> list[EndedLease]:
    """So many buckets worked on one after the other, each taken when the one before was answered."""
    return [answered(took, ended=took * (number + 1), processed_before=100 - count + number) for number in range(count)]


BLIND = answered(dm=0, users=FLOOD, unknown=FLOOD)
DIED = ended("died", died=True)


@pytest.mark.parametrize(
    ("before", "lease", "after", "reason"),
    [
        (None, answered(), 11, "answered"),
        (20, answered(), 21, "answered"),
        (40, answered(), 40, "answered"),
        (20, answered(0), 21, "answered"),
        (20, answered(-5), 21, "answered"),
        (23, answered(LEASE / 24), 24, "answered"),
        (24, answered(LEASE / 24), 24, "answered"),
        (20, answered(LEASE / 8), 8, "slow"),
        (20, answered(3 * LEASE), 1, "slow"),
        (20, answered(LEASE / 8, died=True), 20, None),
        (20, answered(dm=2), 21, "answered"),
        (20, answered(dm=0, non_dm=1, unknown=1), 21, "answered"),
        (20, answered(dm=1), 20, None),
        (20, answered(dm=0, users=0), 20, None),
        (20, BLIND, 10, "unknown"),
        (20, replace(BLIND, died=True), 10, "unknown"),
        (20, answered(users=2 * FLOOD, dm=FLOOD - 1, unknown=FLOOD), 10, "unknown"),
        (20, answered(users=2 * FLOOD, dm=FLOOD, unknown=FLOOD), 21, "answered"),
        (20, answered(users=FLOOD - 1, dm=0, unknown=FLOOD - 1), 21, "answered"),
        (20, DIED, 10, "died"),
        (1, DIED, 1, "died"),
        (20, ended("released"), 20, None),
        (20, ended("released", died=True), 20, None),
        (20, ended("returned"), 20, None),
        (20, ended("something new"), 20, None),
    ],
)
def test_one_lease(before: int | None, lease: EndedLease, after: int, reason: str | None) -> None:
    """What each kind of lease does to a client that states 40."""
    assert told(verdict(client(before), lease)) == (after, reason)


@pytest.mark.parametrize(("faults", "after"), [(-3, 20), (0, 20), (1, 10), (2, 5), (4, 1), (10**18, 1)])
def test_each_new_fault_halves(faults: int, after: int) -> None:
    """From 20; a total that went down is no fault."""
    assert told(verdict(client(20, new_faults=faults))) == (after, "refused" if faults > 0 else None)


@pytest.mark.parametrize(
    ("stated", "before", "after"),
    [(1, None, 1), (4, None, 2), (4, 30, 2), (10, None, 5), (None, None, 5), (1000, 500, 250)],
)
def test_a_failure_halves_what_the_client_may_hold(stated: int | None, before: int | None, after: int) -> None:
    """Which is no more than it stated, nor than 10 where it stated nothing: each failure is felt."""
    assert verdict(client(before, stated), DIED).allowance == after


@pytest.mark.parametrize(
    ("stated", "before", "processed", "after"),
    [
        (40, 10, 75, 11),
        (40, 10, 74, 10),
        (40, 9, 1, 10),
        (40, 30, 1, 30),
        (10, 10, 100, 10),
        (None, 10, 100, 10),
        (3, 2, 100, 3),
        (3, 9, 100, 10),
        (3, 10, 100, 10),
        (12, 30, 100, 30),
    ],
)
def test_how_far_it_rises(stated: int | None, before: int, processed: int, after: int) -> None:
    """Up to 10 for everybody; beyond, up to what the client states, if it answered three of four leases. What was
    earned stays when less is stated."""
    assert verdict(client(before, stated, processed=processed), answered()).allowance == after


def test_a_client_that_took_nothing_yet_is_no_bad_one() -> None:
    """Counters that another program emptied: 0 of 0 are three of four."""
    assert verdict(client(10, assigned=0, processed=0), answered()).allowance == 11


def test_buckets_answered_together_count_together() -> None:
    """Ten in half a lease are twenty in a whole one, though each took half of it."""
    together = [answered(LEASE / 2, processed_before=90)] * 10
    assert told(verdict(client(10), *together)) == (20, "answered")
    assert told(verdict(client(30), *together)) == (20, "slow")


def test_buckets_worked_on_one_after_the_other() -> None:
    """Eight in a lease's time, one at a time in hand: eight."""
    assert told(verdict(client(20), *one_by_one(5, LEASE / 8))) == (8, "slow")
    assert told(verdict(client(8), *one_by_one(5, LEASE / 8))) == (8, "answered")
    assert told(verdict(client(1), *one_by_one(5, LEASE / 8))) == (6, "answered")
    assert verdict(client(20, answered_later=2), *one_by_one(5, LEASE / 8)[:3]).allowance == 8


def test_what_was_answered_later_does_not_speak_for_an_earlier_bucket() -> None:
    """An hour for one: two in a lease, whatever came after it."""
    slow = answered(LEASE / 2, ended=LEASE / 2, processed_before=97)
    later = answered(60, ended=LEASE, dm=1)
    assert told(verdict(client(20), slow, later, later)) == (2, "slow")


def test_buckets_in_hand_side_by_side() -> None:
    """Four in hand, each an hour: the fourth was answered when all were, so four took the time of one."""
    side_by_side = [answered(LEASE / 2, ended=LEASE / 2 + number, processed_before=96) for number in range(4)]
    assert verdict(client(20), *side_by_side).allowance == 5  # 2, then 3, 4 and 5 as the others show 4, 6 and 8


@pytest.mark.parametrize(
    ("before", "leases", "faults", "after", "reason"),
    [
        (20, [answered(), DIED], 0, 10, "died"),
        (20, [DIED, answered()], 0, 11, "died"),
        (4, [DIED, *[answered()] * 5], 0, 7, "answered"),
        (20, [DIED, BLIND], 0, 5, "unknown"),
        (20, [answered()], 1, 11, "refused"),
        (20, [DIED], 1, 5, "died"),
        (20, [answered(), ended("released")], 0, 21, "answered"),
        (20, [answered(LEASE / 5), DIED, answered(LEASE / 4)], 0, 3, "died"),
        (20, [], 0, 20, None),
    ],
)
def test_several_facts(before: int, leases: list[EndedLease], faults: int, after: int, reason: str | None) -> None:
    """One after the other, faults first; the reason is why the number fell last, or that it rose in all."""
    assert told(verdict(client(before, new_faults=faults), *leases)) == (after, reason)


@pytest.mark.parametrize(
    ("leases", "seconds"),
    [
        ([answered(90.7), answered(30)], 90),
        ([answered(30), replace(answered(500), died=True)], 30),
        ([DIED], None),
        ([BLIND], 60),
    ],
)
def test_turnaround(leases: list[EndedLease], seconds: int | None) -> None:
    """The longest that a bucket took which was answered in time; late ones do not count."""
    assert verdict(client(), *leases).turnaround_seconds == seconds


@pytest.mark.parametrize(("lease", "took"), [(0, 50), (7200, 0), (0, 0)])
def test_no_time_at_all_is_no_slowness(lease: int, took: float) -> None:
    """A lease time of 0 seconds, with which tests make everything expire, and buckets answered at once."""
    assert told(judge(client(20), [answered(took)], lease, LIMITS)) == (21, "answered")


def test_other_limits() -> None:
    """All bounds come from the Limits that are passed."""
    limits = Limits(start_allowance=3, flood=2)
    assert judge(client(), [answered()], LEASE, limits).allowance == 4
    assert told(judge(client(), [answered(dm=0, unknown=2)], LEASE, limits)) == (1, "unknown")
    assert may_hold(None, None, limits) == 3


@pytest.mark.parametrize(
    ("stated", "earned", "holds"),
    [(None, None, 10), (4, None, 4), (40, None, 10), (40, 13, 13), (12, 13, 12), (40, 0, 1)],
)
def test_may_hold(stated: int | None, earned: int | None, holds: int) -> None:
    """The smaller of what was earned and what was stated; never less than one."""
    assert may_hold(stated, earned, LIMITS) == holds


counts = st.integers(0, 2_000)
seconds = st.floats(0, 100_000, allow_nan=False)
whole = st.one_of(st.none(), st.integers(-5, 2_000))
leases = st.lists(
    st.builds(
        EndedLease,
        how=st.sampled_from(["answered", "answered", "released", "died", "returned"]),
        began=seconds,
        ended=seconds,
        users=st.integers(0, 40),
        dm=st.integers(0, 30),
        non_dm=st.integers(0, 30),
        unknown=st.integers(0, 30),
        died=st.booleans(),
        processed_before=st.one_of(st.none(), counts),
    ),
    max_size=12,
).map(lambda some: sorted(some, key=lambda lease: lease.ended))
clients = st.builds(
    Client, capacity=whole, allowance=whole, assigned=counts, processed=counts, new_faults=st.integers(-2, 9)
)
lease_times = st.integers(0, 20_000)


@given(clients, leases, lease_times)
def test_it_stays_within_bounds(of: Client, some: list[EndedLease], lease: int) -> None:
    """A client may hold from 1 to what it states, and earns no more than the largest of what it had, it states, 10."""
    found = judge(of, some, lease, LIMITS).allowance
    assert 1 <= found <= max(of.allowance or START, of.capacity or START, START)
    assert 1 <= may_hold(of.capacity, found, LIMITS) <= max(of.capacity or START, 1)


@given(clients, leases, lease_times)
def test_nothing_new_changes_nothing(of: Client, some: list[EndedLease], lease: int) -> None:
    """Without leases and faults, and by leases that were only given back."""
    idle = replace(of, new_faults=0)
    unchanged = judge(idle, [], lease, LIMITS)
    assert unchanged == Verdict(max(START if of.allowance is None else of.allowance, 1), None, None)
    given_back = [replace(one, how="released", dm=0, non_dm=0, unknown=0) for one in some]
    assert judge(idle, given_back, lease, LIMITS) == unchanged


@given(clients, leases, lease_times)
def test_the_same_facts_give_the_same_verdict(of: Client, some: list[EndedLease], lease: int) -> None:
    """And what is passed is left as it was."""
    before = list(some)
    assert judge(of, some, lease, LIMITS) == judge(of, tuple(some), lease, LIMITS)
    assert some == before


@given(clients, leases, lease_times, st.integers(0, 12))
def test_one_run_or_two_come_to_the_same(of: Client, some: list[EndedLease], lease: int, cut: int) -> None:
    """However the leases fall into batches, as long as they are judged in order: each is judged once and alike."""
    first, rest = some[:cut], some[cut:]
    # What ended at the same moment ended in one submit.
    later = sum(one.how == "answered" and (not first or one.ended > first[-1].ended) for one in rest)
    halfway = judge(replace(of, answered_later=later), first, lease, LIMITS)
    end = judge(replace(of, allowance=halfway.allowance, new_faults=0), rest, lease, LIMITS)
    assert end.allowance == judge(of, some, lease, LIMITS).allowance


@given(clients, leases, lease_times, st.integers(0, 11))
def test_a_failure_never_helps(of: Client, some: list[EndedLease], lease: int, which: int) -> None:
    """Whoever lets one more lease die, or has one more submit refused, may hold no more for it at the end."""
    found = judge(of, some, lease, LIMITS).allowance
    place = min(which, len(some))
    died = ended("died", ended=some[place].ended if place < len(some) else 200_000)
    assert judge(of, [*some[:place], died, *some[place:]], lease, LIMITS).allowance <= max(found, 1)
    refused = replace(of, new_faults=max(of.new_faults, 0) + 1)
    assert judge(refused, some, lease, LIMITS).allowance <= found


@given(clients, leases, lease_times, st.integers(1, 50))
def test_who_has_earned_more_ends_with_no_less(of: Client, some: list[EndedLease], lease: int, more: int) -> None:
    """The same deeds lead two clients to the same side of each other as before."""
    richer = replace(of, allowance=(START if of.allowance is None else of.allowance) + more)
    assert judge(richer, some, lease, LIMITS).allowance >= judge(of, some, lease, LIMITS).allowance


@given(clients, leases, st.integers(1, 20_000), st.integers(1, 20_000))
def test_longer_leases_never_cost_anything(of: Client, some: list[EndedLease], lease: int, more: int) -> None:
    """Who has more time for each bucket finishes more of them in the time of a lease."""
    assert judge(of, some, lease + more, LIMITS).allowance >= judge(of, some, lease, LIMITS).allowance


def test_who_is_on_probation_holds_one_lease_whatever_it_earns() -> None:
    """As who is contained; afterwards it earns from there."""
    assert told(verdict(client(allowance=1, probation=True), *[answered()] * 20)) == (1, "answered")
    assert told(verdict(client(allowance=10, probation=True))) == (1, None)
    assert told(verdict(client(allowance=1), answered(), answered())) == (3, "answered")
