"""The model of how far one server carries (scripts/scaling): what must hold of it whatever was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scaling.model import Costs, World, days, disk, fitted, most_clients, parts, simulate

COSTS = Costs(
    server=0.006,
    client=0.003,
    wait=0.001,
    behind=0.0,
    make=0.004,
    judge=0.004,
    user_bytes=200,
    answer_bytes=70,
    lease_bytes=700,
)


def test_one_client_waits_for_itself_only() -> None:
    """Its rate is one bucket in the sum of all times."""
    assert simulate(COSTS, 1, 2, 0.0, 20.0, together=True).rate == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("clients", [8, 20, 50])
def test_many_clients_get_what_the_processors_can_do(clients: int) -> None:
    """Two processors, 9 ms for each bucket: 222 a second, and the wait grows with the number of clients."""
    run = simulate(COSTS, clients, 2, 0.0, 20.0, together=True)
    assert run.rate == pytest.approx(2 / 0.009, rel=0.03)
    assert run.busy == pytest.approx(1, abs=0.02)
    assert run.median == pytest.approx(clients / run.rate, rel=0.1)  # Little's law


def test_clients_that_check_accounts_leave_the_server_idle() -> None:
    """1,000 clients with a bucket in 100 s: ten a second, 6 ms each, on two processors."""
    run = simulate(COSTS, 1000, 2, 100.0, 400.0)
    assert run.rate == pytest.approx(10, rel=0.1)
    assert run.busy == pytest.approx(0.03, rel=0.15)
    assert run.p99 < 0.02


def test_what_nobody_waits_for_takes_processors_only() -> None:
    """One client on two processors does not notice it; eight get less."""
    loaded = replace(COSTS, behind=0.003)
    assert simulate(loaded, 1, 2, 0.0, 20.0, together=True).rate == pytest.approx(100, rel=0.02)
    assert simulate(loaded, 8, 2, 0.0, 20.0, together=True).rate == pytest.approx(2 / 0.012, rel=0.03)


def test_the_fit_finds_what_was_put_in() -> None:
    """A rate that the model itself foretold leads back to what made it."""
    rate = simulate(replace(COSTS, behind=0.002), 8, 2, 0.0, 20.0, together=True).rate
    assert fitted(COSTS, 8, 2, rate) == pytest.approx(0.002, rel=0.1)
    assert fitted(COSTS, 8, 2, 1000.0) == 0.0


def test_with_the_settings_as_they_are_make_buckets_gives_way_first() -> None:
    """18,000 users in a quarter of an hour are 100 buckets: as many clients, if each checks one in that time."""
    world = World()
    first = parts(COSTS, world, 1)[0]
    assert first.name == "users that make_buckets places"
    assert most_clients(COSTS, world, first.name) == 100
    assert most_clients(COSTS, replace(world, per_run=180_000), first.name) == 1000
    assert parts(COSTS, replace(world, per_run=180_000_000), 1)[0].name == "the database's processors"


def test_days_and_disk_grow_with_the_users() -> None:
    """Twice the users take twice as long, and as many bytes more, once no more leases are kept."""
    world = World()
    assert days(COSTS, world, 100, 2_000_000) == pytest.approx(2 * days(COSTS, world, 100, 1_000_000))
    assert days(COSTS, world, 200, 1_000_000) == pytest.approx(days(COSTS, world, 100, 1_000_000) / 2)
    more = disk(COSTS, world, 10, 2 * 10**9) - disk(COSTS, world, 10, 10**9)
    assert more == pytest.approx(10**9 * (200 + 1.2 * 70))
