"""The simulation of clients that all return at once."""

from __future__ import annotations

from dataclasses import replace

import herd
import pytest

WORLD = herd.World(clients=400, outage=40.0, room=50)


@pytest.mark.parametrize("seed", range(3))
def test_everybody_is_served_and_the_queue_is_bounded(seed: int) -> None:
    """No sooner than the server can, no later than the longest pause and a statement's time; with less refused than
    if all tried again each second."""
    world = replace(WORLD, seed=seed)
    ours, fixed = (herd.Herd(world, tries, outage).run() for _, tries, outage in herd.policies(world))
    least = world.clients * (world.submit + world.fetch)
    assert least <= ours.all <= 60 + 2 * world.timeout
    assert 0 < ours.half < ours.all
    assert ours.queue <= world.room
    assert ours.refused < fixed.refused


def test_a_slow_server_serves_all_in_the_end() -> None:
    """Statements that take as long as a client waits do not help anybody, and are asked for again."""
    world = replace(WORLD, clients=60, timeout=3.0, submit=0.5)
    found = herd.Herd(world, *next(herd.policies(world))[1:]).run()
    assert found.given_up > 0
    assert found.all > world.clients * world.submit
