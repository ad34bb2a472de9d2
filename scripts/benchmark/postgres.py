"""The same work in plain SQL on our own PostgreSQL: one statement to fetch, one to submit, fsync on.

Left out in its favour: dying leases, allowances, all but the default priority, refusals, foreign keys. Both statements
are prepared by the client library, psycopg with its compiled parts.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmark.crowd import FIRST_CLIENT, Done, Operation, Worker
from benchmark.graph import BUCKET_SIZE
from benchmark.ours import CHANCES

BUCKETS = 5_000
ACCOUNT = "postgres"
"""The account that Debian's package creates: PostgreSQL does not run as root."""

SECONDS_TO_READY = 30.0

SCHEMA = """
CREATE TABLE users (id bigint PRIMARY KEY, screen_name text UNIQUE NOT NULL);
CREATE TABLE clients (id bigint PRIMARY KEY, state text NOT NULL, assigned bigint NOT NULL DEFAULT 0,
    processed bigint NOT NULL DEFAULT 0, last_access timestamptz);
CREATE TABLE buckets (uuid uuid PRIMARY KEY, priority int NOT NULL, place float8, lease uuid, client bigint,
    assigned timestamptz, expires timestamptz);
CREATE TABLE members (bucket uuid, user_id bigint, PRIMARY KEY (bucket, user_id));
CREATE TABLE leases (id uuid PRIMARY KEY, client bigint NOT NULL, bucket uuid NOT NULL, request text NOT NULL,
    assigned timestamptz NOT NULL, ended timestamptz, how text, users int, digest text);
CREATE TABLE answers (user_id bigint PRIMARY KEY, client bigint NOT NULL, answer text NOT NULL,
    at timestamptz NOT NULL);
CREATE INDEX ON buckets (priority, place) WHERE place IS NOT NULL;
CREATE INDEX ON leases (client, request);
CREATE INDEX ON leases (ended);
INSERT INTO clients (id, state) SELECT {first} + n, 'ACTIVE' FROM generate_series(0, 99) n;
INSERT INTO users SELECT n, 'bench_' || n FROM generate_series(0, {users} - 1) n;
INSERT INTO buckets (uuid, priority, place) SELECT gen_random_uuid(), 100, random() FROM generate_series(1, {buckets});
INSERT INTO members SELECT b.uuid, u.id FROM (SELECT uuid, row_number() OVER () - 1 AS n FROM buckets) b
    JOIN users u ON u.id / {size} = b.n;
ANALYZE;
"""

FETCH = """
WITH client AS (
    UPDATE clients SET last_access = now(), assigned = assigned + 1 WHERE id = %(client)s AND state = 'ACTIVE'
    RETURNING id
), picked AS (
    SELECT uuid FROM buckets WHERE priority = 100 AND place >= %(start)s
    ORDER BY priority, place LIMIT 1 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE buckets b SET place = NULL, lease = gen_random_uuid(), client = client.id, assigned = now(),
        expires = now() + interval '2 hours'
    FROM picked, client WHERE b.uuid = picked.uuid RETURNING b.*
), recorded AS (
    INSERT INTO leases (id, client, bucket, request, assigned)
    SELECT lease, client, uuid, %(request)s, assigned FROM claimed
)
SELECT c.uuid, c.lease, c.expires, array_agg(u.screen_name), array_agg(u.id)
FROM claimed c JOIN members m ON m.bucket = c.uuid JOIN users u ON u.id = m.user_id GROUP BY 1, 2, 3
"""

SUBMIT = """
WITH held AS (
    SELECT uuid, client FROM buckets WHERE uuid = %(bucket)s AND lease = %(lease)s AND client = %(client)s FOR UPDATE
), stored AS (
    INSERT INTO answers SELECT u.id, held.client, given.answer, now()
    FROM held JOIN members m ON m.bucket = held.uuid JOIN users u ON u.id = m.user_id
    JOIN unnest(%(names)s::text[], %(answers)s::text[]) AS given (name, answer) ON given.name = u.screen_name
    RETURNING 1
), unlinked AS (
    DELETE FROM members USING held WHERE bucket = held.uuid
), removed AS (
    DELETE FROM buckets USING held WHERE buckets.uuid = held.uuid
), ended AS (
    UPDATE leases SET ended = now(), how = 'answered', users = %(users)s, digest = %(digest)s
    FROM held WHERE id = %(lease)s AND digest IS NULL
), counted AS (
    UPDATE clients SET processed = processed + 1, last_access = now() FROM held WHERE id = held.client
)
SELECT count(*) FROM stored
"""


def missing() -> str | None:
    """What this machine lacks to run it; None if nothing."""
    if _programs() is None:
        return "PostgreSQL (Debian: apt install postgresql)"
    if find_spec("psycopg") is None:
        return "its client library (pip install 'psycopg[binary]')"
    return None


@contextmanager
def running() -> Iterator[str]:
    """A new server with waiting buckets; yields how to connect to it. Removed when the block ends."""
    import psycopg

    programs = _programs()
    assert programs is not None
    folder = Path(mkdtemp(prefix="dmcheck-bench-"))
    as_root: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, ACCOUNT, ACCOUNT)
        as_root = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
    quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **as_root}
    server = None
    try:
        data = str(folder / "data")
        command = [programs / "initdb", "-D", data, "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, **quiet)
        server = subprocess.Popen([programs / "postgres", "-D", data, "-k", str(folder), "-h", ""], **quiet)
        how = f"host={folder} user={ACCOUNT} dbname=postgres"
        _wait(how)
        with psycopg.connect(how, autocommit=True) as connection:
            sizes = {"first": FIRST_CLIENT, "buckets": BUCKETS, "users": BUCKETS * BUCKET_SIZE, "size": BUCKET_SIZE}
            connection.execute(SCHEMA.format(**sizes))
        yield how
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # does not wait for clients
            server.wait()
        shutil.rmtree(folder)


def cycle(worker: Worker, connect: str) -> Operation:
    """Lease one bucket and answer it, as `ours.cycle` does."""
    import psycopg

    if "postgres" not in worker.kept:
        worker.kept["postgres"] = psycopg.connect(connect, autocommit=True)
    connection = worker.kept["postgres"]

    def once() -> Done:
        row = None
        for start in (random.random(), 0.0):
            given = {"client": worker.client, "start": start, "request": uuid.uuid4().hex}
            row = row or connection.execute(FETCH, given, prepare=True).fetchone()
        if row is None:
            raise RuntimeError("no bucket waits")
        bucket, lease, _, names, _ = row
        answers = random.choices(("DM", "NON_DM", "UNKNOWN"), CHANCES, k=len(names))
        given = {"client": worker.client, "bucket": bucket, "lease": lease, "names": names, "answers": answers}
        digest = sha256(repr(sorted(zip(names, answers, strict=True))).encode()).hexdigest()
        given |= {"digest": digest, "users": len(names)}
        [stored] = connection.execute(SUBMIT, given, prepare=True).fetchone()
        if stored != BUCKET_SIZE:
            raise RuntimeError(f"{stored} answers were stored")
        return Done(1, names)

    return once


def _programs() -> Path | None:
    """The folder with initdb and postgres: Debian's newest, else the one on the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", "")]))
    return None if found is None else Path(found).resolve().parent


def _wait(how: str) -> None:
    import psycopg

    deadline = time.monotonic() + SECONDS_TO_READY
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            psycopg.connect(how).close()
            return
        time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not get ready")
