"""Real processes of `dmcheck work` and a real restart of their database: what scripts/herd.py simulates.

Each client holds a bucket, whose COMMAND ends while the database is gone: it has a submit and a fetch to do when the
database is back.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmark import graph
from benchmark.crowd import FIRST_CLIENT
from benchmark.graph import BUCKET_SIZE, Server
from benchmark.processes import environment

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server as embedded
from dmcheck_cli.transactions import clients, schema

LAST_SECONDS = 60.0
"""Of the outage, in which the tries are counted."""

MAX_SECONDS = 900.0
"""For all to lease their first buckets, and for all to be served."""

COMMAND = ["sh", "-c", 'read go < "$0"; sed "s/}$/, \\"candm\\": \\"NON_DM\\"}/"']
"""Waits for whoever opens the pipe that it is given, and answers."""

STARTED_AT_ONCE = 10

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Returned:
    """Tries to connect a second, at the end of the outage (None: the system does not count them); statements that ran
    out of time after the database's return; seconds from that until half of the clients, and all, were served; users
    that were answered twice; seconds for which the database was gone."""

    tries: float | None
    given_up: int
    half: float
    all: float
    doubles: int
    outage: float


def run(count: int, outage: float, tell: Tell) -> Returned:
    """Have so many clients wait out a restart of their database. Raises RuntimeError when not all are served."""
    with graph.servers(1) as [server], TemporaryDirectory(prefix="dmcheck-herd-") as name:
        folder = Path(name)
        _prepare(server.database, count)
        os.mkfifo(folder / "go")
        with _working(server, folder, count, tell):
            tell(f"{count} processes hold a bucket each")
            server.database.close()
            gone = time.time()
            embedded.stop(server.home)
            with _kept(server):
                tries = _gone(folder, outage)
            # Starts the server, as the first command does.
            with Database(replace(server.home, timeout_seconds=graph.PATIENCE), "bench") as first:
                first.run_text("RETURN 1")
            now = embedded.find(server.home)
            if now is None or now.uri != server.settings.neo4j_uri:
                raise RuntimeError("another program has taken the port of the database")
            back = time.time()
            tell("the database is back")
            _until(lambda: len(_served(server.database)) >= count)
        times = sorted(at - back for at in _served(server.database))
        given_up = sum(_given_up(path, back) for path in folder.glob("*.err"))
        [row] = server.database.run_text(
            """MATCH (u:User)<-[r:DM_YES|DM_NO|DM_UNKNOWN]-() WITH u, count(r) AS n WHERE n > 1
            RETURN count(u) AS doubles"""
        )
    return Returned(tries, given_up, max(times[count // 2], 0.0), max(times[-1], 0.0), row["doubles"], back - gone)


def _prepare(database: Database, count: int) -> None:
    schema.apply(database)
    for number in range(count):
        clients.register(database, FIRST_CLIENT + number, f"herd_{number}")
    graph.add_users(database, 0, 4 * count * BUCKET_SIZE)  # a quick client takes several buckets
    graph.refill(database)


@contextmanager
def _working(server: Server, folder: Path, count: int, tell: Tell) -> Iterator[None]:
    """`work` of each client, from when each holds a bucket; killed in the end."""
    # They are forked from one process that has imported everything: starting Python 200 times takes minutes of CPU.
    context = get_context("forkserver")
    context.set_forkserver_preload(["neo4j", "dmcheck_cli.cli", "dmcheck_cli.worker.loop", "scaling.returning"])
    given = environment(server.settings) | {"XDG_STATE_HOME": str(folder), "HOME": str(folder)}
    running: list[BaseProcess] = []
    try:
        for number in range(count):
            process = context.Process(target=_work, args=(FIRST_CLIENT + number, folder, given))
            process.start()
            running.append(process)
            if not len(running) % STARTED_AT_ONCE:
                _until(lambda: _held(server.database) >= len(running))
                tell(f"{len(running)} processes work")
        _until(lambda: _held(server.database) == count)
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.join()


def _work(client: int, folder: Path, given: dict[str, str]) -> None:
    """`dmcheck work`, in a process that was forked for it."""
    os.environ.clear()
    os.environ.update(given)
    os.chdir(folder)
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        path = name if name == os.devnull else f"{client}.{name}"
        os.dup2(os.open(path, flags | os.O_CREAT, 0o600), number)
    sys.argv = ["dmcheck", "work", "--client", str(client), "--log-format", "json", "--", *COMMAND, "go"]
    from dmcheck_cli.cli import main

    main()


@contextmanager
def _kept(server: Server) -> Iterator[None]:
    """Keep the server's port from other programs. Nobody listens, so that connections are refused."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", urlsplit(server.settings.neo4j_uri or "").port or 0))
        yield


def _gone(folder: Path, outage: float) -> float | None:
    """Let all COMMANDs end, and wait for the end of the outage; returns how many tries to connect there were a second,
    at its end."""
    over = threading.Event()

    def let_go() -> None:
        while not over.wait(0.05):
            with suppress(OSError):  # nobody waits
                os.close(os.open(folder / "go", os.O_WRONLY | os.O_NONBLOCK))

    opener = threading.Thread(target=let_go)
    opener.start()
    last = min(LAST_SECONDS, outage / 2)
    time.sleep(outage - last)
    before = _failed_attempts()
    time.sleep(last)
    after = _failed_attempts()
    over.set()
    opener.join()
    return None if before is None or after is None else (after - before) / last


def _failed_attempts() -> int | None:
    """Connections that were refused so far, of the whole system."""
    try:
        heads, values = [
            line.split() for line in Path("/proc/net/snmp").read_text("ascii").splitlines() if line.startswith("Tcp:")
        ]
    except (OSError, ValueError):
        return None
    return int(values[heads.index("AttemptFails")])


def _held(database: Database) -> int:
    [row] = database.run_text("MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->() RETURN count(b) AS held")
    return int(row["held"])


def _served(database: Database) -> list[float]:
    """When each client that has submitted got its next bucket, in seconds since 1970."""
    rows = database.run_text(
        """MATCH (l:DMCheckLease) WHERE l.how = 'answered'
        MATCH (next:DMCheckLease {client: l.client}) WHERE next.ended IS NULL
        RETURN next.client AS client, max(next.assigned_datetime.epochMillis) / 1000.0 AS at"""
    )
    return [row["at"] for row in rows]


def _given_up(path: Path, since: float) -> int:
    """How often a statement of a client ran out of time after that."""
    said = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.startswith("{")]
    return sum(one["event"] == "cannot_reach" and datetime.fromisoformat(one["at"]).timestamp() > since for one in said)


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {MAX_SECONDS:.0f} s")
        time.sleep(0.5)
