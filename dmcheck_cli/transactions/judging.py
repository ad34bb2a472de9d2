"""What judge_clients reads and writes, one transaction per call; `domain/policy` decides in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy.allowance import Client, EndedLease, Verdict
from dmcheck_cli.transactions import schema


@dataclass(frozen=True)
class Case:
    """What to judge about the client `id`: its new faults, and the `leases` (with their ids) that ended since it was
    last judged, in order of their ends. `left`: how many more ended after these. `faults` is the current total,
    `faults_judged` the total when the client was last judged."""

    id: int
    client: Client
    leases: tuple[EndedLease, ...]
    lease_ids: tuple[str, ...]
    left: int
    faults: int
    faults_judged: int


def cases(database: Database, after: int) -> list[Case]:
    """The next batch of clients, by id, after the id `after`, with what to judge about each; [] at the end.

    At most `batch_leases` clients, and ten times as many leases for each.
    """
    return [_case(row) for row in database.run("ended_leases", after=after)]


def settle(database: Database, judged: Iterable[tuple[Case, Verdict]]) -> set[int]:
    """Write the verdicts and mark what they are based on as judged, all in one transaction.

    Returns the ids of the clients that were settled, without those that another run judged since `cases` read them.
    Raises UpgradeNeeded on a graph of another version, and what else `schema.write_one` raises.
    """
    row = schema.write_one(database, "set_allowances", verdicts=[_verdict(case, verdict) for case, verdict in judged])
    return set(row["judged"])


def _case(row: dict[str, Any]) -> Case:
    return Case(
        id=row["client"],
        client=Client(
            capacity=row["capacity"],
            allowance=row["allowance"],
            assigned=row["assigned"],
            processed=row["processed"],
            new_faults=row["faults"] - row["faults_judged"],
            answered_later=row["answered_later"],
        ),
        leases=tuple(_lease(lease) for lease in row["leases"]),
        lease_ids=tuple(lease["id"] for lease in row["leases"]),
        left=row["left"],
        faults=row["faults"],
        faults_judged=row["faults_judged"],
    )


def _lease(found: dict[str, Any]) -> EndedLease:
    return EndedLease(
        how=found["how"],
        began=found["began"] / 1000,
        ended=found["ended"] / 1000,
        users=found["users"] or 0,
        dm=found["dm"] or 0,
        non_dm=found["non_dm"] or 0,
        unknown=found["unknown"] or 0,
        died=bool(found["died"]),
        processed_before=found["processed_before"],
    )


def _verdict(case: Case, verdict: Verdict) -> dict[str, Any]:
    return {
        "client": case.id,
        "before": case.client.allowance,
        "faults_judged": case.faults_judged,
        "faults": case.faults,
        "leases": list(case.lease_ids),
        "allowance": verdict.allowance,
        "reason": verdict.reason,
        "turnaround": verdict.turnaround_seconds,
    }
