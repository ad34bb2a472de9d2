"""Wrong clocks change nothing; stopped, overtaken and killed jobs do no harm."""

from __future__ import annotations

from pathlib import Path

from proofs import clocks
from proofs.kills import SCENARIOS

from dmcheck_cli.database.connection import Database


def test_clocks_wrong_by_a_day_change_nothing(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    """fetch, renew and the jobs with a clock a day ahead and a day behind leave what they leave with a right one,
    and store the database's times."""
    some = [one for one in SCENARIOS if one.name in ("fetch", "renew", "make_buckets", "reclaim_leases")]
    clocks.wrong(database, environment, some, tmp_path).check()


def test_a_job_stopped_beyond_its_next_tick_does_no_harm(database: Database, environment: dict[str, str]) -> None:
    """make_buckets, reclaim_leases and judge_clients, stopped at some statements while the next run does the work:
    continued, they leave what one run leaves."""
    some = [job for job in clocks.JOBS if job.name != "raise_starved"]
    clocks.stopped_jobs(database.settings, environment, some, both=False, most=3).check()


def test_a_job_killed_between_batches_leaves_whole_buckets(database: Database, environment: dict[str, str]) -> None:
    """make_buckets killed before some of its statements: what was made is whole, and the next run makes the rest."""
    clocks.killed_between_batches(database.settings, environment, most=3).check()
