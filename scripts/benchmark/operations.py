"""What a client, an operator and the jobs do to a graph of `population`, each timed; then all is as it was before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

from benchmark.crowd import FIRST_CLIENT
from benchmark.graph import BUCKET_SIZE
from benchmark.population import NAME, WORKING, WORKING_NAME, Population
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, Lease
from dmcheck_cli.transactions import answers, leases, results, schema, users
from dmcheck_cli.transactions.stats import stats
from jobs import judge_clients, make_buckets, reclaim_leases

TIMES = 4
"""How often a client fetches and submits in a round, of the ten buckets that there are."""

DYING = 1
"""Leases that reclaim_leases marks dead in each round, and as many that it releases."""

NAMES = 20
"""Users that are prioritized, and shown."""

FETCH, SUBMIT = "fetch, one bucket of 180", "submit, one bucket of 180"
MAKE, LOOK = "make_buckets, 10 buckets", "make_buckets --dry-run, looks at all it may"
JUDGE = f"judge_clients, {TIMES + DYING} leases"
RECLAIM = f"reclaim_leases, {2 * DYING} leases"
STATS, PRIORITIZE, SHOW = "stats", f"prioritize, {NAMES} users", f"users show, {NAMES} users"
OPERATIONS = (FETCH, SUBMIT, MAKE, LOOK, JUDGE, RECLAIM, STATS, PRIORITIZE, SHOW)

_RESTORE = (
    # Second opinions that this client gave: their users need one again.
    """MATCH (:DMCheckClient {id: $client})-[r:DM_SECOND]->(u) WHERE r.at >= $began
    MATCH (u)<-[first:DM_YES]-(c) SET u.dmcheck_needs = 'dm', u.dmcheck_asked = c.id REMOVE first.counted DELETE r""",
    """MATCH (c)-[first:DM_YES]->(u:User)-[m:INDMCHECKBUCKET]->() WHERE m.second IS NOT NULL
    SET u.dmcheck_needs = m.second, u.dmcheck_asked = c.id""",
    "MATCH (b:DMCheckBucket) DETACH DELETE b",
    """MATCH (u:User) WHERE u.screen_name STARTS WITH $working OPTIONAL MATCH (u)<-[r]-(:DMCheckClient)
    REMOVE u.dmcheck_needs, u.dmcheck_asked, u.dmcheck_aside DELETE r""",
    "MATCH (l:DMCheckLease {client: $client}) WHERE l.request STARTS WITH 'flat ' DELETE l",
    "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) SET s = $stats",
    "MERGE (j:DMCheckJob {name: 'make_buckets'}) SET j.cursor = $working",
)


class Place:
    """A database that holds a population, and the busiest client, who works in it."""

    def __init__(self, database: Database, population: Population) -> None:
        self.population = population
        settings = replace(
            database.settings,
            bucket_size=BUCKET_SIZE,
            buckets_per_client=1000,
            max_unjudged=0,
            max_users_per_run=WORKING,
        )
        self._database = Database(settings, "bench")
        self._looking = replace(settings, max_users_per_run=18_000)
        [row] = database.run_text(
            "MATCH (:DMCheckClient {id: $client})-[:STATS]->(s) RETURN datetime() AS began, properties(s) AS stats",
            client=FIRST_CLIENT,
        )
        self._kept: dict[str, Any] = {"client": FIRST_CLIENT, "working": WORKING_NAME, **row}
        self._round = 0

    def close(self) -> None:
        """Give the connection up."""
        self._database.close()

    def round(self) -> dict[str, float]:
        """Seconds of each operation, those that are done several times each."""
        self._round += 1
        self.restore()
        database, found = self._database, {}
        found[MAKE], _ = _timed(lambda: make_buckets.run(database))
        held = self._fetched(found)
        found[SUBMIT] = min(_timed(lambda one=one: self._submit(one))[0] for one in held[:TIMES])
        self._age(held[TIMES:])
        found[RECLAIM], counts = _timed(lambda: reclaim_leases.run(database))
        if counts != (DYING, DYING):
            raise RuntimeError(f"reclaim_leases: {counts}")
        found[JUDGE], judged = _timed(lambda: judge_clients.run(database))
        if judged.leases != TIMES + DYING:
            raise RuntimeError(f"judge_clients: {judged.counts}")
        with closing(Database(self._looking, "bench")) as looking:
            looking.run_text("RETURN 1")  # connecting is not counted
            found[LOOK], _ = _timed(lambda: make_buckets.run(looking, dry_run=True))
        found[STATS], _ = _timed(lambda: stats(database))
        names = [row["name"] for row in database.run_text(
            """MATCH (u:User)-[:INDMCHECKBUCKET]->(b) WHERE b.place IS NOT NULL AND u.screen_name STARTS WITH $working
            RETURN u.screen_name AS name LIMIT $count""", working=WORKING_NAME, count=NAMES)]  # fmt: skip
        found[PRIORITIZE], _ = _timed(lambda: users.prioritize(database, names, 10, recheck=False))
        shown = [f"{NAME}{i:08}" for i in random.sample(range(self.population.users), NAMES)]
        found[SHOW], _ = _timed(lambda: self._show(shown))
        return found

    def restore(self) -> None:
        """As it was before the first round."""
        for statement in _RESTORE:
            self._database.run_text(
                statement, **{key: kept for key, kept in self._kept.items() if f"${key}" in statement}
            )

    def _fetched(self, found: dict[str, float]) -> list[Lease]:
        """Fetch one bucket after the other."""
        seconds, held = [], []
        for number in range(TIMES + 2 * DYING):
            request = f"flat {self._round} {number}"
            took, [lease] = _timed(lambda request=request: leases.fetch(self._database, FIRST_CLIENT, 1, request))
            seconds.append(took)
            held.append(lease)
        found[FETCH] = min(seconds)
        return held

    def _submit(self, lease: Lease) -> None:
        said = {
            user.screen_name: "NON_DM" if user.screen_name.startswith(WORKING_NAME) else "DM" for user in lease.users
        }
        [report] = answers.submit(self._database, FIRST_CLIENT, [Answered(lease.bucket, lease.lease, said)])
        if report.status != "done":
            raise RuntimeError(f"submit: {report}")

    def _age(self, held: list[Lease]) -> None:
        """The time of these leases is over; of the first ones for long."""
        self._database.run_text(
            """UNWIND range(0, size($uuids) - 1) AS i MATCH (b:DMCheckBucket {uuid: $uuids[i]})
            SET b.expires = datetime() - duration('PT2H'),
                b.dead_datetime = CASE WHEN i < $dead THEN datetime() - duration('PT1H') END""",
            uuids=[lease.bucket for lease in held],
            dead=DYING,
        )

    def _show(self, names: list[str]) -> None:
        schema.ensure(self._database)
        found = results.known(self._database, users.spelled(self._database, names).values())
        if len(found) != len(names):
            raise RuntimeError(f"users show: {len(found)} of {len(names)}")


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result
