"""Our operations: the real functions, through the real `Database`."""

from __future__ import annotations

import random
import uuid
from concurrent.futures import ThreadPoolExecutor

from benchmark.crowd import FIRST_CLIENT, Done, Operation, Worker
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Answered, Lease
from dmcheck_cli.transactions import answers, leases

CHANCES = (45, 45, 10)
"""Percentages of each answer in `ANSWERS`."""


def fetch(worker: Worker, buckets: int = 1) -> Operation:
    """Lease up to that many buckets, and keep the leases for `submit` or `release`."""

    def once() -> Done:
        found = _fetch(worker, buckets)
        worker.held.append(found)
        return Done(len(found), _names(found))

    return once


def submit(worker: Worker) -> Operation:
    """Answer the leases of one `fetch`, in one document."""

    def once() -> Done:
        mine = worker.held.pop()
        _submit(worker, mine)
        return Done(len(mine))

    return once


def release(worker: Worker) -> Operation:
    """Give back a bucket leased by `fetch`."""

    def once() -> Done:
        [lease] = worker.held.pop()
        leases.release(worker.database, worker.client, lease.bucket, lease.lease)
        return Done(1)

    return once


def cycle(worker: Worker) -> Operation:
    """Lease one bucket and answer it."""

    def once() -> Done:
        found = _fetch(worker, 1)
        _submit(worker, found)
        return Done(1, _names(found))

    return once


def first_fetches(worker: Worker, clients: int, of: int) -> Operation:
    """Let this process's share of that many clients, each on its own connection, lease their first bucket."""
    numbers = range(worker.number, clients, of)

    def one(number: int) -> list[str]:
        with Database(worker.settings, "bench") as database:
            return _names(leases.fetch(database, FIRST_CLIENT + number, 1, uuid.uuid4().hex))

    def once() -> Done:
        with ThreadPoolExecutor(len(numbers)) as threads:
            return Done(len(numbers), [name for names in threads.map(one, numbers) for name in names])

    return once


def forget(worker: Worker) -> Operation:
    """Drop what a server is about to forget: connections, leases."""

    def once() -> Done:
        worker.held.clear()
        for kept in ("database", "session", "driver"):
            if kept in worker.kept:
                worker.kept.pop(kept).close()
        return Done()

    return once


def _fetch(worker: Worker, buckets: int) -> list[Lease]:
    return leases.fetch(worker.database, worker.client, buckets, uuid.uuid4().hex)


def _submit(worker: Worker, mine: list[Lease]) -> None:
    document = []
    for lease in mine:
        found = random.choices(ANSWERS, CHANCES, k=len(lease.users))
        given = {user.screen_name: answer for user, answer in zip(lease.users, found, strict=True)}
        document.append(Answered(lease.bucket, lease.lease, given))
    for lease, report in zip(mine, answers.submit(worker.database, worker.client, document), strict=True):
        if report.status != "done" or report.accepted != len(lease.users):
            raise RuntimeError(f"an answered bucket was not taken whole: {report}")


def _names(found: list[Lease]) -> list[str]:
    return [user.screen_name for lease in found for user in lease.users]
