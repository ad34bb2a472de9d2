"""Taking answers back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.limits import FLOOD, MOST_ALLOWANCE, START_ALLOWANCE
from dmcheck_cli.transactions.clients import not_registered

MOST_ANSWERS = 20_000
"""In one transaction. 36,000 passed within the embedded database's heap of 384 MB, 180,000 did not."""

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
    """Store answers and end the leases they belong to; reports in the order given.

    One transaction, unless the document holds more than MOST_ANSWERS: then one for each part of it. Whatever cuts that
    short, submitting the same document again gives the reports of the parts that were stored, and stores the rest.

    Raises NotRegistered. A refused bucket is a Report, not an error: the others are stored.
    """
    reports: dict[str, Report] = {}
    for part in _parts(answered):
        rows = database.run(
            "submit_answers",
            client=client,
            first_try=True,
            start_allowance=START_ALLOWANCE,
            most_allowance=MOST_ALLOWANCE,
            flood=FLOOD,
            buckets=[{"bucket": a.bucket, "lease": a.lease, "digest": a.digest(), "answers": a.answers} for a in part],
        )
        if not rows:
            raise not_registered(database, client)
        reports.update((row["bucket"], _report(row)) for row in rows)
    if not answered and not _active(database, client):
        raise not_registered(database, client)
    return [reports[a.bucket] for a in answered]


def _parts(answered: list[Answered]) -> Iterator[list[Answered]]:
    part: list[Answered] = []
    size = 0
    for one in answered:
        if part and size + len(one.answers) > MOST_ANSWERS:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.answers)
    if part:
        yield part


def _active(database: Database, client: int) -> bool:
    return bool(database.run("held_leases", client=client))


def _report(row: dict[str, Any]) -> Report:
    if row["outcome"] != "accepted":
        return Report(row["bucket"], "refused", reason=row["outcome"])
    status = "partial" if row["returned"] else "done"
    return Report(row["bucket"], status, row["accepted"], row["returned"], row["refused"])
