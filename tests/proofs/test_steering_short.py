"""What a client gets can neither be predicted nor steered, in short forms; and what it had last comes last."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from proofs import steering
from proofs.steering import Gain, chi_square, fresh, give_back
from support.graphs import may_hold
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.transactions import answers, clients, leases, users
from jobs import make_buckets


@pytest.mark.parametrize(
    ("statistic", "degrees", "chance"),
    [(3.8415, 1, 0.05), (30.1435, 19, 0.05), (92.010, 63, 0.01), (423.60, 299, 2.7e-6)],
)
def test_the_chance_of_a_chi_square_is_that_of_the_tables(statistic: float, degrees: int, chance: float) -> None:
    """Of equal counts but two, one higher and one lower by `off`, the statistic is 2 off^2 / mean."""
    mean = 1_000_000
    off = round(math.sqrt(statistic * mean / 2))
    found, p = chi_square([mean + off, mean - off, *[mean] * (degrees - 1)])
    assert found == pytest.approx(statistic, rel=0.001)
    assert p == pytest.approx(chance, rel=0.05)


def test_a_client_that_always_gets_what_it_wants_is_noticed() -> None:
    """40 wins at a chance of an eighth each, against 5 of 40."""
    steered, blind = Gain(), Gain()
    for number in range(40):
        steered.add(1 / 8, True)
        blind.add(1 / 8, number % 8 == 0)
    assert steered.tail < steering.FALSE_ALARMS / 30
    assert blind.tail > 0.1


@pytest.mark.parametrize(("equals", "count", "draws"), [(20, 1, 200), (20, 10, 600), (80, 1, 320)])
def test_each_of_the_buckets_that_wait_is_drawn_as_often_as_any_other(
    database: Database, equals: int, count: int, draws: int
) -> None:
    """Chi-square, false alarms 1 in a million."""
    steering.uniform(database, equals, count, draws).check()


def test_others_get_what_a_client_gave_up_as_often_as_anything_else(database: Database) -> None:
    """Ten of forty buckets that one client let die, released, submitted nothing for, or left by unregistering."""
    steering.abandoned(database, 4).check()


def test_the_first_bucket_does_not_depend_on_request_ids_or_on_what_came_before(database: Database) -> None:
    """The same id for all clients; 1, 2, 3... again and again."""
    for outcome in steering.requests(database, 3):
        outcome.check()


def test_no_strategy_brings_a_client_the_bucket_that_it_wants(database: Database) -> None:
    """60 random programs of fetching, giving back, letting die, other ids, request ids, waiting."""
    steering.attacks(database, 60, random.randrange(1_000_000)).check()


@pytest.mark.parametrize(("way", "equals"), [("release", 40), ("submit nothing", 200), ("register again", 40)])
def test_what_a_client_gave_back_comes_after_all_that_it_never_had(database: Database, way: str, equals: int) -> None:
    """It had all but ten: it gets those ten first. Then, with nothing else of that urgency, what it had."""
    _had_all_but_ten(database, way, equals)


def test_what_a_client_let_die_comes_after_all_that_it_never_had(database: Database) -> None:
    """190 of 200 leases died: it gets the other ten first, and then what it had."""
    _had_all_but_ten(database, "let die", 200)


def _had_all_but_ten(database: Database, way: str, equals: int) -> None:
    line = fresh(database, range(1, 11), equals)
    clients.register(database, 1, "client1", 1000)
    may_hold(database.run_text, 1, equals)
    held = [lease for n in range(equals // 10 - 1) for lease in leases.fetch(database, 1, 10, f"r{n}")]
    give_back(database, 1, held, way)
    may_hold(database.run_text, 1, equals)
    had = {lease.bucket for lease in held}
    assert len(had) == equals - 10
    assert {lease.bucket for lease in leases.fetch(database, 1, 10, "first")} == set(line) - had
    again = {lease.bucket for lease in leases.fetch(database, 1, 10, "then")}
    assert len(again) == 10
    assert again <= had
    assert broken(database.run_text) == []


def test_what_a_client_had_comes_last_of_its_urgency_and_before_what_is_less_urgent(database: Database) -> None:
    """A prioritized bucket that it let die: the other prioritized one comes first, the ordinary ones after both."""
    fresh(database, [1], 10)
    for name in ("user00000", "user00001"):
        users.prioritize(database, [name], 10, False)
    [first] = leases.fetch(database, 1, 1, "1")
    give_back(database, 1, [first], "let die")
    [second, third, fourth] = [leases.fetch(database, 1, 1, request)[0] for request in "234"]
    assert [lease.priority for lease in (first, second, third, fourth)] == [10, 10, 10, 100]
    assert second.bucket != first.bucket
    assert third.bucket == first.bucket


@pytest.mark.parametrize(("names", "buckets"), [(20_000, 1), (3000, 6)])
def test_members_of_a_bucket_are_not_neighbours_in_the_alphabet(database: Database, names: int, buckets: int) -> None:
    """Also where there is room for one bucket only among 20,000 waiting names."""
    steering.apart(database, names, buckets).check()


def test_prioritized_users_are_mixed_however_they_were_named(database: Database) -> None:
    """A thousand names in the order of the alphabet."""
    steering.apart(database, 1000, 6, prioritized=True).check()


@pytest.mark.parametrize("scan", [400, 500_000])
def test_every_user_is_placed_once_in_a_bounded_number_of_runs_while_names_are_added(
    database: Database, query: Query, scan: int
) -> None:
    """A run places all that it may, or it has looked at all that it may and moves on: N / most + 2 (N / looked at + 1)
    runs are enough for N names, in two turns round the list, the second one for what was added behind the first."""
    fresh(database, [1], 0)
    first, later = [f"n{i:05}" for i in range(0, 1500, 2)], [f"n{i:05}" for i in range(1, 1500, 2)]
    random.shuffle(later)
    users.add(database, [User(name, None) for name in first])
    placed: list[str] = []
    most, runs = 110, 0
    bound = math.ceil(1500 / most) + 2 * (math.ceil(1500 / scan) + 1)
    few = replace(database.settings, max_users_per_run=most, scan_users_per_run=scan, bucket_size=20)
    with Database(few, "tests") as small:
        while len(placed) < 1500 and runs <= bound:
            runs += 1
            made = make_buckets.run(small)
            assert made.users <= most
            if made.users:
                got = leases.fetch(database, 1, 10, f"{runs}")
                placed += [user.screen_name for lease in got for user in lease.users]
                done = [Answered(x.bucket, x.lease, {user.screen_name: "DM" for user in x.users}) for x in got]
                answers.submit(database, 1, done)
            if later:
                users.add(database, [User(later.pop(), None) for _ in range(min(50, len(later)))])
    assert sorted(placed) == sorted(first + [f"n{i:05}" for i in range(1, 1500, 2)])
    assert runs <= bound
    assert broken(query) == []
