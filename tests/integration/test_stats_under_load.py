"""The figures of `stats`, compared with a count of the whole graph while clients work."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from support.graphs import MAX_WAIT_SECONDS, answers, prepare, transactions
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import Limits
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.transactions import leases, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.stats import stats
from jobs import make_buckets

CLIENTS = (1, 2, 3, 4)
SIZE = 6
LOOKS = 12

FREEZE = """
CALL () { MATCH (job:DMCheckJob) WITH job ORDER BY job.name SET job.name = job.name }
CALL () { MATCH (c:DMCheckClient) WITH c ORDER BY c.id REMOVE c.lock }
"""
"""Takes the locks that every statement takes first which moves a counted thing: nobody is half way behind it."""

COUNT = """
MATCH (u:User)
WITH u, EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS checked,
     EXISTS { (u)-[:INDMCHECKBUCKET]->()-[:DMCHECKCLIENT]->() } AS held
WITH count(*) AS total, sum(CASE WHEN checked THEN 1 ELSE 0 END) AS checked,
     sum(CASE WHEN held AND NOT checked THEN 1 ELSE 0 END) AS leased,
     sum(CASE WHEN NOT checked AND NOT held THEN 1 ELSE 0 END) AS waiting
CALL () {
    MATCH (b:DMCheckBucket) WITH b, EXISTS { (b)-[:DMCHECKCLIENT]->() } AS held
    RETURN sum(CASE WHEN held THEN 0 ELSE 1 END) AS ready, sum(CASE WHEN held THEN 1 ELSE 0 END) AS taken
}
CALL () {
    MATCH (c:DMCheckClient) OPTIONAL MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN]->()
    WITH c, count(r) AS answers, sum(CASE type(r) WHEN 'DM_UNKNOWN' THEN 1 ELSE 0 END) AS unknown ORDER BY c.id
    RETURN collect([c.id, answers, unknown]) AS answers
}
CALL () {
    MATCH (c:DMCheckClient) WITH c ORDER BY c.id
    RETURN collect([c.id, COUNT { (c)<-[:DMCHECKCLIENT]-() }, COUNT { MATCH (l:DMCheckLease {client: c.id}) },
        COUNT { MATCH (l:DMCheckLease {client: c.id}) WHERE l.how = 'answered' }]) AS leases
}
RETURN total, checked, leased, waiting, ready, taken, answers, leases
"""
"""Every user, bucket and lease, one by one: nothing from a count store, nothing from a counter."""


@contextmanager
def frozen(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """While the block runs no client and no job can change anything; gives a count of the whole graph."""
    with transactions(environment) as [held]:
        held.run(FREEZE).consume()
        yield dict(held.run(COUNT).single(strict=True))


def work(database: Database, client: int, done: threading.Event, log: list[str]) -> None:
    """Fetch, and answer all, or half, or give back, or keep, at random."""
    chance = random.Random(client)
    while not done.is_set():
        with suppress(DmcheckError):
            for lease in leases.fetch(database, client, chance.randint(1, 3), uuid.uuid4().hex):
                what = chance.choice(("all", "all", "half", "unknown", "release"))
                log.append(what)
                if what == "release":
                    leases.release(database, client, lease.bucket, lease.lease)
                else:
                    answer = "UNKNOWN" if what == "unknown" else "DM"
                    only = len(lease.users) // 2 if what == "half" else None
                    submit(database, client, [answers(lease, answer, only)])


def test_every_figure_is_that_of_the_whole_graph(
    environment: dict[str, str], database: Database, query: Query, sized: Callable[..., Database]
) -> None:
    """While four clients work, users are added and put into buckets, every count of `stats` is the exact one."""
    prepare(database, CLIENTS, 3000, size=SIZE)
    limits: Limits = replace(database.settings.limits, tolerance=1_000_000)
    maker = sized(bucket_size=SIZE)
    done = threading.Event()
    log: list[str] = []
    seen: list[int] = []
    crew = [
        threading.Thread(target=work, args=(sized(limits=limits), client, done, log), daemon=True) for client in CLIENTS
    ]
    for one in crew:
        one.start()
    try:
        for look in range(LOOKS):
            users.add(database, [User(f"later{look}_{i}", None) for i in range(20)])
            make_buckets.run(maker)
            before, until = len(log), time.monotonic() + MAX_WAIT_SECONDS
            while (known := len(log)) < before + 20:
                assert all(one.is_alive() for one in crew)
                assert time.monotonic() < until
                time.sleep(0.1)
                if len(log) == known:  # they have emptied the line
                    make_buckets.run(maker)
            with frozen(environment) as counted:
                clients, system = stats(database)
            seen.append(counted["checked"])
            assert system.users_total == counted["total"]
            assert system.users_checked == counted["checked"]
            assert system.users_leased == counted["leased"]
            assert system.users_waiting == counted["waiting"]
            assert (system.buckets_ready, system.buckets_leased + system.buckets_dead) == (
                counted["ready"],
                counted["taken"],
            )
            assert [[c.id, c.users_checked, c.users_unknown] for c in clients] == counted["answers"]
            assert [[c.id, c.held, c.buckets_assigned, c.buckets_processed] for c in clients] == counted["leases"]
    finally:
        done.set()
        for one in crew:
            one.join()
    assert len(set(seen)) > 1, "nobody worked"
    assert broken(query) == []
