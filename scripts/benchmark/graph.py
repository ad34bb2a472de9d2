"""The graph that is measured on: users, clients, buckets, and putting them back between rounds."""

from __future__ import annotations

import time
from dataclasses import replace

from benchmark.crowd import FIRST_CLIENT
from dmcheck_cli.database.connection import Database
from dmcheck_cli.limits import BUCKETS_PER_CLIENT
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, schema
from jobs import make_buckets

BUCKET_SIZE = 180
CLIENTS = 12
"""Registered ones. More than ever run, so that more buckets wait than one round takes: with the last bucket gone,
a round would measure the waiting for it."""

BUCKETS = CLIENTS * BUCKETS_PER_CLIENT
USERS = BUCKETS * BUCKET_SIZE

PATIENCE = 600.0
"""Seconds for one statement that prepares the graph."""

BATCH = 10_000
"""Nodes that one transaction makes or deletes: it must fit into the embedded database's small heap."""


def user_name(number: int) -> str:
    """The screen name of one of the users that are handed out."""
    return f"bench_{number}"


def quick(settings: Settings) -> Settings:
    """These settings, with which one run of make_buckets fills all the room there is."""
    return replace(settings, bucket_size=BUCKET_SIZE, max_users_per_run=USERS, scan_users_per_run=2 * USERS)


def empty(database: Database) -> None:
    """Delete everything."""
    _batched(database, "MATCH (n:User)", "DETACH DELETE n")
    _batched(database, "MATCH (n)", "DETACH DELETE n")


def prepare(database: Database, users: int = USERS) -> None:
    """An empty database becomes one with our schema, clients, and users that nobody has checked."""
    schema.apply(database)
    for number in range(CLIENTS):
        clients.register(database, FIRST_CLIENT + number, f"bench_client_{number}", 1000)
    # As if all had long earned what they state: it is not what a client may hold that is measured.
    database.run_text("MATCH (:DMCheckClient)-[:STATS]->(s) SET s.allowance = 1000")
    for first in range(0, users, BATCH):
        numbers = range(first, min(first + BATCH, users))
        rows = [{"screen_name": user_name(number), "id": number} for number in numbers]
        database.run_text(
            "UNWIND $rows AS row CREATE (u:User) SET u.screen_name = row.screen_name, u.id = row.id", rows=rows
        )


def add_checked(database: Database, count: int, seconds: float) -> int:
    """Add users whom our clients have answered for, spread over all clients: `count`, or as many as were added when
    `seconds` are over. Returns how many."""
    deadline = time.monotonic() + seconds
    for start in range(0, count, BATCH):
        if time.monotonic() > deadline:
            return start
        database.run_text(
            "MATCH (c:DMCheckClient {id: $client}) UNWIND range($start, $end - 1) AS i"
            " CREATE (u:User {screen_name: 'checked_' + i, id: 10000000 + i}) CREATE (c)-[:DM_NO]->(u)",
            client=FIRST_CLIENT + (start // BATCH) % CLIENTS,
            start=start,
            end=min(start + BATCH, count),
            patience=PATIENCE,
        )
    return count


def waiting(database: Database) -> list[str]:
    """The uuids of the buckets that nobody holds."""
    rows = database.run_text(
        "MATCH (b:DMCheckBucket) WHERE NOT EXISTS { (b)-[:DMCHECKCLIENT]->() } RETURN b.uuid AS uuid"
    )
    return [row["uuid"] for row in rows]


def forget_work(database: Database) -> None:
    """Undo what the rounds did to the users that are handed out: leases, held buckets, answers."""
    _batched(database, "MATCH (n:DMCheckLease)", "DELETE n")
    _batched(database, "MATCH (n:DMCheckBucket) WHERE EXISTS { (n)-[:DMCHECKCLIENT]->() }", "DETACH DELETE n", 50)
    _batched(
        database,
        "MATCH (u:User)<-[n:DM_YES|DM_NO|DM_UNKNOWN]-() WHERE u.screen_name STARTS WITH 'bench_'",
        "DELETE n",
    )


def forget_plain(database: Database) -> None:
    """Undo `plain.create_by_name`."""
    _batched(database, "MATCH (:DMCheckClient)-[n:BENCH]->()", "DELETE n")


def refill(database: Database) -> tuple[int, float]:
    """Let make_buckets fill up the line; returns how many users it placed, and its seconds."""
    forget_work(database)
    started = time.perf_counter()
    made = make_buckets.run(database)
    return made.users, time.perf_counter() - started


def _batched(database: Database, match: str, action: str, rows: int = BATCH) -> None:
    database.run_text(f"{match} CALL (n) {{ {action} }} IN TRANSACTIONS OF {rows} ROWS", patience=PATIENCE)
