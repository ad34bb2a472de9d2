"""What `dmcheck stats`, `stats --watch` and `report` cost as processes, on a large graph and a hundredth of it: their
seconds, the most memory that they take, and how much they slow down clients that fetch and submit meanwhile.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmark import graph
from benchmark.crowd import FIRST_CLIENT, Crowd
from benchmark.graph import BUCKET_SIZE, KEPT, Server
from benchmark.processes import FETCH, environment
from dmcheck_cli.database.connection import Database
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.transactions import clients

PER_CLIENT = 500
SMALLER = 100
"""The small graph is so many times smaller in everything."""

MIN_USERS = SMALLER * 5 * BUCKET_SIZE
"""Of the large graph: a fifth of the users of the small one fill a bucket."""

RUNS = 7
PAIRS = 20
CYCLES = 20
CROWDS = (1, 8)
"""How many clients fetch and submit, without a pause: one leaves this machine something to do the rest with."""

LOOK_SECONDS = 0.02
"""Between two looks at the memory of a process."""

WATCHED = 1
"""Seconds between two refreshes of the measured `stats --watch`."""

COMMANDS = {"stats": ["stats"], "stats --watch": ["stats", "--watch"], "report": ["report", "page.html"]}
AIMS = {"stats": 1.0, "report": 10.0}
MAX_SLOWER = 0.05

MEASURED = ("command", "users", "clients", "seconds", "worst", "MB", "its CPU s", "server's CPU s", "growth", "aim")
SLOWED = ("meanwhile", "clients", "seconds of fetch + submit", "without", "slower by", "quarters of the pairs", "aim")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cost:
    """Of one command on one graph: its seconds in each run, its peak of resident memory in megabytes, and the seconds
    of CPU that it took itself and the server, which other load on the machine changes little. Of `stats --watch`
    seconds and the server's CPU are one refresh's."""

    seconds: list[float]
    megabytes: float
    cpu: float
    server: float


@dataclass
class Sight:
    """The costs by command, on the large graph (True) and on the small one; and the medians of the seconds of a fetch
    with its submit, with the command running and without, by command and number of clients, pair by pair."""

    users: int
    costs: dict[tuple[str, bool], Cost] = field(default_factory=dict)
    slowed: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    doubles: int = 0

    def slower(self, command: str, crowd: int) -> float:
        """How many times longer a fetch with its submit takes while the command runs."""
        with_it, without = zip(*self.slowed[command, crowd], strict=True)
        return float(median(with_it) / median(without))


def run(users: int, tell: Tell, pairs: int = PAIRS) -> Sight:
    """Make both graphs on servers of their own, and measure all. Raises RuntimeError when a command fails."""
    found = Sight(users)
    with graph.servers(2) as (large, small), TemporaryDirectory() as folder:
        for server, count in ((large, users), (small, users // SMALLER)):
            fill(server.database, count)
            tell(f"{count:,} users and {count // PER_CLIENT:,} clients")
        for command, (server, is_large) in itertools.product(COMMANDS, ((large, True), (small, False))):
            cost = found.costs[command, is_large] = _cost(command, server, folder)
            tell(
                f"{command}, {'large' if is_large else 'small'}: {median(cost.seconds):.2f} s, {cost.megabytes:.0f} MB"
            )
        crowd = Crowd((*CROWDS,), compiled=False)
        try:
            for command, size in itertools.product(COMMANDS, CROWDS):
                _slow(found, command, size, crowd, large, folder, pairs)
                tell(f"fetch + submit of {size} clients beside {command}: {found.slower(command, size) - 1:+.1%}")
        finally:
            crowd.close()
    return found


def fill(database: Database, users: int) -> None:
    """A graph in the middle of its work: of ten users two wait in buckets, two in none, and six are checked, one
    twice; the leases of a month."""
    graph.prepare(database, users // 5 // BUCKET_SIZE * BUCKET_SIZE)
    many = max(users // PER_CLIENT, 1)
    for number in range(graph.CLIENTS, many):
        clients.register(database, FIRST_CLIENT + number, f"bench_client_{number}", 1000)
    database.run_text(
        "MATCH (c:DMCheckClient)-[:STATS]->(s) WHERE c.id >= $end DETACH DELETE c, s", end=FIRST_CLIENT + many
    )
    database.run_text(
        "MATCH (c:DMCheckClient)-[:STATS]->(s) SET s.allowance = 1000, s.record = true, s.compared = [50, 30, 10, 5], "
        "s.contradicted = [c.id % 7, 0, 0, c.id % 2]"
    )
    for first in range(0, users * 4 // 5, graph.BATCH):
        for statement in (SOME_CHECKED, SOME_LEASES):
            database.run_text(
                statement,
                first=first,
                last=min(first + graph.BATCH, users * 4 // 5) - 1,
                base=FIRST_CLIENT,
                clients=many,
                size=BUCKET_SIZE,
                users=users,
                kept=KEPT,
            )


SOME_CHECKED = """
UNWIND range($first, $last) AS i
CREATE (u:User {screen_name: 'other_' + i, id: 10000000 + i})
WITH u, i WHERE i % 8 < 6
MATCH (c:DMCheckClient {id: $base + i / $size % $clients})
MATCH (d:DMCheckClient {id: $base + (i / $size + 7) % $clients})
FOREACH (x IN CASE WHEN i % 8 < 3 THEN [1] ELSE [] END | CREATE (c)-[:DM_YES {at: datetime()}]->(u))
FOREACH (x IN CASE WHEN i % 8 IN [3, 4] THEN [1] ELSE [] END | CREATE (c)-[:DM_NO {at: datetime()}]->(u))
FOREACH (x IN CASE WHEN i % 8 = 5 THEN [1] ELSE [] END | CREATE (c)-[:DM_UNKNOWN {at: datetime()}]->(u))
FOREACH (x IN CASE WHEN i % 8 = 0 THEN [1] ELSE [] END |
    CREATE (d)-[:DM_SECOND {at: datetime(), candm: CASE i % 40 WHEN 0 THEN 'NON_DM' ELSE 'DM' END}]->(u))
"""

SOME_LEASES = """
UNWIND range($first, $last, $size) AS i
WITH i, datetime() - duration({minutes: toInteger(30.0 * 24 * 60 * i / $users)}) AS ended
CREATE (:DMCheckLease {id: $kept + i, client: $base + i / $size % $clients, bucket: $kept + i, request: $kept + i,
    assigned_datetime: ended - duration('PT14M'), ended: ended, users: $size, died: i / $size % 9 = 0,
    how: ['answered', 'answered', 'answered', 'answered', 'answered', 'answered', 'died', 'released'][i / $size % 8],
    dm: 90, non_dm: 60, unknown: 30})
"""


def _cost(command: str, server: Server, folder: str) -> Cost:
    runs = [_watched(server, folder)] if command == "stats --watch" else [
        _process(command, server, folder) for _ in range(RUNS + 1)
    ][1:]  # fmt: skip
    return Cost(
        [one for cost in runs for one in cost.seconds],
        max(cost.megabytes for cost in runs),
        median(cost.cpu for cost in runs),
        median(cost.server for cost in runs),
    )


def _process(command: str, server: Server, folder: str) -> Cost:
    before, started = server.cpu(), time.perf_counter()
    with _started(command, server, folder) as process:
        used = _end(process, command)
    return Cost([time.perf_counter() - started], *used, server.cpu() - before)


def _watched(server: Server, folder: str) -> Cost:
    """Of RUNS refreshes, each begun WATCHED seconds after the end of the one before; the first two are not counted."""
    with _started("stats --watch", server, folder, "--interval", str(WATCHED)) as process:
        assert process.stdout is not None
        lines = [
            (time.perf_counter(), server.cpu(), _resident(process))
            for _ in zip(range(RUNS + 2), process.stdout, strict=False)
        ]
        process.send_signal(signal.SIGINT)
        process.stdout.read()  # a reader that is gone would be another end than this one
        used = _end(process, "stats --watch", max(line[2] for line in lines))
    (_, first, _), *_, (_, last, _) = counted = lines[1:]
    return Cost([b[0] - a[0] - WATCHED for a, b in itertools.pairwise(counted)], *used, (last - first) / RUNS)


def _started(command: str, server: Server, folder: str, *more: str) -> subprocess.Popen[bytes]:
    output = subprocess.PIPE if command == "stats --watch" else subprocess.DEVNULL
    words = [sys.executable, "-c", FETCH, *COMMANDS[command], *more]
    return subprocess.Popen(
        words, env=environment(server.settings), cwd=folder, stdout=output, stderr=subprocess.DEVNULL
    )


def _end(process: subprocess.Popen[bytes], command: str, peak: float = 0.0) -> tuple[float, float]:
    """Wait for it; the most resident memory that was seen (`peak`: so far) in megabytes, and its seconds of CPU.

    Not `ru_maxrss`: on Linux that begins with the memory of the process that started it."""
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        peak = max(peak, _resident(process))
        time.sleep(LOOK_SECONDS)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command}: exit status {process.returncode}")
    return peak, used.ru_utime + used.ru_stime


def _resident(process: subprocess.Popen[bytes]) -> float:
    with suppress(psutil.Error):
        return float(psutil.Process(process.pid).memory_info().rss) / 1e6
    return 0.0


def _slow(found: Sight, command: str, size: int, crowd: Crowd, server: Server, folder: str, wanted: int) -> None:
    """So many pairs of rounds, with the command running again and again, and without; which comes first alternates."""
    times = max(CYCLES // size, 4)
    pairs = found.slowed.setdefault((command, size), [])
    for number in range(wanted + 1):
        seconds = {}
        for running in (True, False) if number % 2 else (False, True):
            if len(graph.waiting(server.database)) < size * (times + 1):
                graph.refill(server.database)
            with _again_and_again(command, server, folder) if running else _nothing():
                measured = crowd.run(server.settings, "ours.cycle", size, times)
            found.failures += measured.errors
            found.doubles += measured.doubles
            seconds[running] = median(measured.latencies)
        if number:
            pairs.append((seconds[True], seconds[False]))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _again_and_again(command: str, server: Server, folder: str) -> Iterator[None]:
    """The command runs while the block does: started again whenever it ends, and `--watch` all the time."""
    ended, running = threading.Event(), threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            with _started(command, server, folder) as process:
                if process.stdout is not None:
                    process.stdout.readline()
                running.set()
                while process.poll() is None:
                    if ended.wait(0.02):
                        process.kill()
                if process.stdout is not None:
                    process.stdout.close()

    thread = threading.Thread(target=go_on)
    thread.start()
    running.wait(60)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def tables(found: Sight, shape: Format) -> None:
    """Print both tables."""
    rows = []
    for (command, is_large), cost in found.costs.items():
        users = found.users if is_large else found.users // SMALLER
        growth = median(cost.seconds) / median(found.costs[command, False].seconds) if is_large else None
        rows.append(
            (
                command, f"{users:,}", f"{users // PER_CLIENT:,}", f"{median(cost.seconds):.2f}",
                f"{max(cost.seconds):.2f}", f"{cost.megabytes:.0f}", f"{cost.cpu:.2f}", f"{cost.server:.2f}",
                "" if growth is None else f"x {growth:.1f}",
                _aim(median(cost.seconds), AIMS.get(command) if is_large else None, "{:g} s"),
            )
        )  # fmt: skip
    show.table(Table("A process of each (of --watch: one refresh)", MEASURED, rows), shape)
    show.line("")
    slowed = []
    for (command, size), pairs in found.slowed.items():
        low, _, high = quantiles([a / b - 1 for a, b in pairs], n=4, method="inclusive")
        medians = [median(side) for side in zip(*pairs, strict=True)]
        slowed.append(
            (
                command, size, *(f"{1000 * one:.1f} ms" for one in medians), f"{found.slower(command, size) - 1:+.1%}",
                f"{low:+.1%} to {high:+.1%}", _aim(found.slower(command, size) - 1, MAX_SLOWER, "{:.0%}"),
            )
        )  # fmt: skip
    show.table(Table("fetch + submit while it runs, and without", SLOWED, slowed), shape)
    for failure in found.failures[:10]:
        show.message(f"FAILED: {failure}")


def _aim(value: float, aim: float | None, form: str) -> str:
    return "" if aim is None else f"{form.format(aim)}: {'met' if value <= aim else 'missed'}"


def document(found: Sight) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "users": found.users,
        "costs": [
            {"command": command, "users": found.users if is_large else found.users // SMALLER, **asdict(cost)}
            for (command, is_large), cost in found.costs.items()
        ],
        "slowed": [
            {"command": command, "clients": size, "slower": found.slower(command, size), "pairs": pairs}
            for (command, size), pairs in found.slowed.items()
        ],
        "failures": found.failures,
    }
