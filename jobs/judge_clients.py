"""Judges clients by the leases that ended since the last run: sets how many leases each may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy import allowance
from dmcheck_cli.entry import Json, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, judging, schema
from jobs.options import DryRun, app, summary

program = app()


@dataclass
class Judged:
    """How many leases were judged, and how many each client might hold before and may hold now."""

    leases: int = 0
    held: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The summary."""
        changes = self.held.values()
        return {
            "judged": self.leases,
            "raised": sum(now > before for before, now in changes),
            "lowered": sum(now < before for before, now in changes),
        }


@program.command(epilog="Example: dmcheck-judge-clients --dry-run")
def judge_clients(dry_run: DryRun = False, as_json: Json = False, version: Version = False) -> None:
    """Judge clients by the leases that ended since the last run: set how many leases each may hold."""
    with Database(Settings.load(), "judge_clients") as database:
        schema.ensure(database)
        judged = run(database, dry_run)
    summary("judge_clients", judged.counts, dry_run, as_json)


def run(database: Database, dry_run: bool = False) -> Judged:
    """One run of the job: goes through the clients until no lease is left to judge.

    A dry run looks only at the first batch of each client's leases to predict the new number.
    """
    judged = Judged()
    while _go_through(database, judged, dry_run):
        pass
    if not dry_run:
        buckets.finish(database, "judge_clients")
    return judged


def _go_through(database: Database, judged: Judged, dry_run: bool) -> bool:
    """Go through the clients once; returns whether judged clients have leases left."""
    settings, after, left = database.settings, 0, False
    while cases := judging.cases(database, after):
        after = cases[-1].id
        verdicts = [
            (case, allowance.judge(case.client, case.leases, settings.lease_seconds, settings.limits)) for case in cases
        ]
        settled = {case.id for case in cases} if dry_run else judging.settle(database, verdicts)
        for case, verdict in verdicts:
            if case.id not in settled:
                continue  # another run judged it
            judged.leases += len(case.leases) + (case.left if dry_run else 0)
            left = left or case.left > 0
            now = allowance.may_hold(case.client.capacity, verdict.allowance, settings.limits)
            before = allowance.may_hold(case.client.capacity, case.client.allowance, settings.limits)
            judged.held[case.id] = (judged.held.get(case.id, (before,))[0], now)
    return left and not dry_run


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
