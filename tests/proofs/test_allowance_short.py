"""A day of clients of every kind, and equal ones."""

from __future__ import annotations

from proofs import allowance, fairness

from dmcheck_cli.database.connection import Database


def test_clients_of_every_kind_are_given_what_they_deserve(database: Database) -> None:
    """Six hours of virtual time: the honest client holds all that it states, the slow one what it finishes in the time
    of a lease, the dying, the greedy and the refused one no more than a newcomer, and the blind one a single lease."""
    [outcome] = allowance.run(database.settings, hours=6)
    outcome.check()


def test_equal_clients_get_equal_shares(database: Database) -> None:
    """Twenty with enough for all, and twenty of whom only sixteen can be served a round: Jain's index >= 0.99."""
    for outcome in fairness.run(database.settings, clients=20, each=10, rounds=40):
        outcome.check()


def test_the_index_of_fairness() -> None:
    """1 when all have the same, 1/n when one has everything."""
    assert fairness.jain([3, 3, 3]) == 1
    assert fairness.jain([5, 0, 0, 0]) == 0.25
    assert fairness.jain([0, 0]) == 1
