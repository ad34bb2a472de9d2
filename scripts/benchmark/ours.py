"""What is measured of ours: the real functions, through the real `Database`."""

from __future__ import annotations

import random
import uuid

from benchmark.crowd import Operation, Worker
from dmcheck_cli.transactions import answers, leases
from dmcheck_cli.transactions.leases import Lease

CHANCES = (45, 45, 10)
"""Of each answer in `answers.ANSWERS`, in percent."""


def fetch(worker: Worker) -> Operation:
    """Lease one bucket, and keep the lease for `submit`."""

    def once() -> list[str]:
        found = leases.fetch(worker.database, worker.client, 1, uuid.uuid4().hex)
        worker.held += found
        return [lease.bucket for lease in found]

    return once


def submit(worker: Worker) -> Operation:
    """Answer one bucket that `fetch` has leased."""

    def once() -> list[str]:
        lease = worker.held.pop()
        _submit(worker, lease)
        return [lease.bucket]

    return once


def cycle(worker: Worker) -> Operation:
    """Lease one bucket and answer it."""

    def once() -> list[str]:
        [lease] = leases.fetch(worker.database, worker.client, 1, uuid.uuid4().hex)
        _submit(worker, lease)
        return [lease.bucket]

    return once


def _submit(worker: Worker, lease: Lease) -> None:
    found = random.choices(answers.ANSWERS, CHANCES, k=len(lease.users))
    given = {user.screen_name: answer for user, answer in zip(lease.users, found, strict=True)}
    [report] = answers.submit(worker.database, worker.client, [answers.Answered(lease.bucket, lease.lease, given)])
    if report.status != "done" or report.accepted != len(lease.users):
        raise RuntimeError(f"an answered bucket was not taken whole: {report}")
