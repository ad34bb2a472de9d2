"""Taking answers back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions.clients import not_registered

ANSWERS = ("DM", "NON_DM", "UNKNOWN")


@dataclass(frozen=True)
class Answered:
    """The answers for one bucket under one lease: screen name -> one of ANSWERS, for those that have an answer."""

    bucket: str
    lease: str
    answers: dict[str, str]

    def digest(self) -> str:
        """SHA-256 of the answers, whatever their order: how a repeated submit is told from a changed one."""
        return hashlib.sha256(json.dumps(sorted(self.answers.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Report:
    """What became of one bucket. `status` is done, partial or refused (then `reason` says why); `accepted` and
    `returned` count users; `refused` names users that exist, but not in this bucket."""

    bucket: str
    status: str
    accepted: int = 0
    returned: int = 0
    refused: list[str] = field(default_factory=list)
    reason: str | None = None


def submit(database: Database, client: int, answered: list[Answered]) -> list[Report]:
    """Store answers and end the leases they belong to, all in one transaction; reports in the order given.

    Raises NotRegistered. A refused bucket is a Report, not an error: the others are stored.
    """
    rows = database.run(
        "submit_answers",
        client=client,
        first_try=True,
        buckets=[{"bucket": a.bucket, "lease": a.lease, "digest": a.digest(), "answers": a.answers} for a in answered],
    )
    if not rows and (answered or not _active(database, client)):
        raise not_registered(database, client)
    reports = {row["bucket"]: _report(row) for row in rows}
    return [reports[a.bucket] for a in answered]


def _active(database: Database, client: int) -> bool:
    return bool(database.run("held_leases", client=client))


def _report(row: dict[str, object]) -> Report:
    bucket, outcome = str(row["bucket"]), str(row["outcome"])
    if outcome != "accepted":
        return Report(bucket, "refused", reason=outcome)
    returned = int(str(row["returned"]))
    return Report(
        bucket,
        "partial" if returned else "done",
        accepted=int(str(row["accepted"])),
        returned=returned,
        refused=list(row["refused"]),  # type: ignore[call-overload]
    )
