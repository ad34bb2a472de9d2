"""The graph of the system before dmcheck, taken over in two runs, the first of which is killed: the short form."""

from __future__ import annotations

from proofs import takeover

from dmcheck_cli.database.connection import Database


def test_nothing_is_lost_when_the_first_run_is_killed(database: Database) -> None:
    """All answers are there, in their new types; the jobs run, and `doctor --deep` finds nothing."""
    for outcome in takeover.run(database.settings, users=1_000):
        outcome.check()
