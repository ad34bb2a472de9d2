"""Races in their short form: a few rounds each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proofs.crew import Crew
from proofs.races import LARGEST, NAMED, PAIRS, Race, run_leases, run_pairs, run_race

from dmcheck_cli.database.connection import Database


@pytest.fixture(scope="module")
def crew(connection: Database) -> Iterator[Crew]:
    """Processes with connections of their own."""
    with Crew(connection.settings, LARGEST) as crew:
        yield crew


@pytest.mark.parametrize("race", NAMED, ids=lambda race: race.name)
def test_whoever_wins_the_graph_and_what_each_was_told_agree(race: Race, crew: Crew, database: Database) -> None:
    """Nothing is given twice, lost or counted twice, in whatever order they come."""
    run_race(race, crew, database, rounds=5).check()


def test_every_two_write_commands_can_run_at_the_same_moment(crew: Crew, database: Database) -> None:
    """A quarter of the pairs, others each time; each command has something to do to what the other one changes."""
    run_pairs(crew, database, rounds=1, some=len(PAIRS) // 4).check()


def test_processes_that_drain_the_line_get_each_bucket_once(crew: Crew, database: Database) -> None:
    """2,000 leases, none of them double, none left."""
    run_leases(crew, database, 2000).check()
