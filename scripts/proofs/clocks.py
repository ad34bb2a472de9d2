"""Wrong clocks, and jobs that are stopped, overtaken, resumed, or killed between their batches.

One process's clock is shifted by libfaketime if it is installed (Debian: `faketime`), else by a `sitecustomize` that
shifts `time.time` and `datetime`. Jobs are stopped when one of their statements passes the proxy.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from support.graphs import MAX_WAIT_SECONDS, wait_until
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, users
from jobs import make_buckets
from proofs.graph import empty
from proofs.kills import KILLED, SCENARIOS, Prepared, Scenario, bare_environment, expect, shape
from proofs.network import port_of
from proofs.outcome import Outcome
from proofs.proxy import BLACK_HOLE, PASS, Choice, Proxy

COMMAND = "python scripts/prove.py clocks"
DAY = 86_400
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")

_SITE = """
import datetime as d, time
_time, _ns, _shift = time.time, time.time_ns, {seconds}
time.time = lambda: _time() + _shift
time.time_ns = lambda: _ns() + _shift * 10**9
class datetime(d.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
    @classmethod
    def utcnow(cls):
        return cls.now(d.timezone.utc).replace(tzinfo=None)
d.datetime = datetime
"""


def shifted(environment: dict[str, str], seconds: int, folder: Path) -> tuple[dict[str, str], str]:
    """The environment of a process whose clock is `seconds` fast (or slow), and what shifts it."""
    for place in LIBRARIES:
        library = Path(place) / "faketime" / "libfaketimeMT.so.1"
        if library.exists():
            fake = {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}s", "DONT_FAKE_MONOTONIC": "1"}
            return {**environment, **fake}, "libfaketime"
    site = folder / f"clock{seconds}"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE.format(seconds=seconds), "utf-8")
    return {**environment, "PYTHONPATH": str(site)}, "sitecustomize"


def wrong(database: Database, environment: dict[str, str], scenarios: Sequence[Scenario], folder: Path) -> Outcome:
    """Commands and jobs whose clock is a day fast or slow leave the same graph as with a right one, and every time they
    store is the database's."""
    outcome = Outcome("clocks of clients and cron wrong by a day", "", COMMAND)
    for scenario in scenarios:
        sound = {**environment, **scenario.variables}
        expected = expect(database, scenario, Prepared(sound, scenario.program))
        ages = _ages(database)
        for seconds in (DAY, -DAY):
            where = f"{scenario.name}, clock {seconds:+d} s"
            fake, outcome.injection = shifted(sound, seconds, folder)
            if abs(_clock(fake) - _clock(sound) - seconds) < 60:
                outcome.faults += 1
            arguments, stdin = scenario.arrange(database)
            ended = Prepared(fake, scenario.program).run(*arguments, stdin=stdin)
            expected.finished(database, where, ended, outcome)
            if (now := _ages(database)) != ages:
                outcome.violations.append(f"{where}: stored times are {now} and not {ages} days from the database's")
    return outcome


def _clock(environment: dict[str, str]) -> float:
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"], env=environment, capture_output=True, check=True
    )
    return float(told.stdout)


def _ages(database: Database) -> list[int]:
    """The difference between each stored time and the database's clock, in whole days, rounded."""
    rows = database.run_text(
        """CALL () { MATCH (n) RETURN n UNION ALL MATCH ()-[n]->() RETURN n }
        UNWIND [k IN keys(n) WHERE n[k] IS :: ZONED DATETIME] AS k
        RETURN toInteger(round(duration.inSeconds(datetime(), n[k]).seconds / 86400.0)) AS days ORDER BY days"""
    )
    return [row["days"] for row in rows]


def stopped_jobs(
    settings: Settings,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    *,
    both: bool = True,
    most: int | None = None,
) -> Outcome:
    """Jobs stopped (SIGSTOP) at each of their statements, beyond the statement's time limit; meanwhile the next tick's
    run does the work; when resumed, they change nothing that was done, and exit with 0 or 75.

    Each is stopped in two ways: with its statement on its way to the database, and with the statement held back until
    the other run is over. The two alternate from statement to statement, unless `both`. `most`: of each job, only so
    many statements, drawn by chance.
    """
    outcome = Outcome("job stopped beyond its next tick, overtaken, continued", "SIGSTOP at each statement", COMMAND)
    with Database(settings, "tests") as database:
        for scenario in scenarios:
            direct = {**environment, **scenario.variables}
            with Proxy(port_of(settings), _pass) as proxy:
                expected = expect(database, scenario, Prepared({**direct, "NEO4J_URI": proxy.uri}, scenario.program))
                statements = proxy.statements
            for number in _drawn(statements, most):
                for held in (False, True) if both else (number % 2 == 0,):
                    where = f"{scenario.name}, stopped at statement {number}{', which was held' if held else ''}"
                    _stop(database, scenario, direct, number, held, expected.after, where, outcome)
    return outcome


def _stop(
    database: Database,
    scenario: Scenario,
    direct: dict[str, str],
    number: int,
    held: bool,
    after: list[str],
    where: str,
    outcome: Outcome,
) -> None:
    stopped, over = threading.Event(), threading.Event()

    def noticed(count: int) -> None:
        if count == number:
            job.process.send_signal(signal.SIGSTOP)
            stopped.set()
            if held:
                over.wait(MAX_WAIT_SECONDS)

    with Proxy(port_of(database.settings), _pass, noticed) as proxy:
        scenario.arrange(database)
        job = Prepared({**direct, "NEO4J_URI": proxy.uri}, scenario.program)
        other = Prepared(direct, scenario.program)
        job.go()
        if not stopped.wait(MAX_WAIT_SECONDS):
            outcome.violations.append(f"{where}: was not stopped")
        wait_until(lambda: _state(job.process.pid) == "T")
        outcome.faults += 1
        told = other.run()
        if told[0] == 0:
            outcome.ok += 1
        else:
            outcome.violations.append(f"{where}: the next tick's run ends with {told[0]}: {told[2]}")
        over.set()
        job.process.send_signal(signal.SIGCONT)
        ended = job.finish()
    if ended[0] == 0:
        outcome.ok += 1
    elif ended[0] == 75:
        outcome.unknown += 1
    else:
        outcome.violations.append(f"{where}: continued, it ends with {ended[0]}: {ended[2]}")
    if shape(database) != after:
        outcome.violations.append(f"{where}: the graph is not what one run leaves")
    outcome.violations += [f"{where}: {what}" for what in broken(database.run_text)]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


def _pass(occasion: str) -> str:
    return PASS


def _drawn(statements: int, most: int | None) -> list[int]:
    """The numbers of the statements at which something happens, in their order."""
    return sorted(random.sample(range(1, statements + 1), min(statements, most or statements)))


def killed_between_batches(settings: Settings, environment: dict[str, str], most: int | None = None) -> Outcome:
    """make_buckets, with three batches to place, is killed before each of its statements (or before `most` of them,
    drawn by chance, the last two among them): existing buckets are whole, and the next run makes the rest, each user in
    one bucket."""
    outcome = Outcome("job killed between batches", "SIGKILL as a statement passes the proxy", COMMAND)
    total, size = 5400, 180

    def arranged(database: Database) -> None:
        empty(database)
        for id in (1, 2):
            clients.register(database, id, f"client{id}")
        users.add(database, [User(f"u{i:05}", None) for i in range(total)])

    with Database(replace(settings, bucket_size=size), "tests") as database:
        arranged(database)
        with Proxy(port_of(settings), _pass) as proxy:
            status = Prepared({**environment, "NEO4J_URI": proxy.uri}, "make_buckets").run()[0]
            statements = proxy.statements
        assert status == 0, "make_buckets fails even when nothing happens"
        sizes = set()
        for number in sorted({*_drawn(statements, most), statements - 1, statements}):
            arranged(database)
            if _killed_at(settings, environment, number):
                outcome.faults += 1
                outcome.unknown += 1
            made = _sizes(database)
            sizes.add(len(made))
            where = f"make_buckets, killed before statement {number}"
            if any(one != size for one in made):
                outcome.violations.append(f"{where}: buckets of {sorted(set(made))}")
            rest = make_buckets.run(database)
            outcome.ok += 1
            if rest.buckets + len(made) != total // size or sorted(set(_sizes(database))) != [size]:
                outcome.violations.append(f"{where}: {len(made)} buckets, then {rest}")
            outcome.violations += [f"{where}: {what}" for what in broken(database.run_text)]
        if len(sizes) < 2:
            outcome.violations.append(f"no run was killed between batches: buckets made {sorted(sizes)}")
    return outcome


def _killed_at(settings: Settings, environment: dict[str, str], number: int) -> bool:
    """Run make_buckets and kill it as its statement of that number arrives, which is then dropped."""

    def noticed(count: int) -> None:
        if count == number:
            job.process.kill()
            job.process.wait()

    with Proxy(port_of(settings), _hole_from(number), noticed) as proxy:
        job = Prepared({**environment, "NEO4J_URI": proxy.uri}, "make_buckets")
        return job.run()[0] == KILLED


def _hole_from(number: int) -> Choice:
    """Passes the statements before that number and drops the rest: their sender is dead."""
    seen = 0

    def choice(occasion: str) -> str:
        nonlocal seen
        seen += occasion == "statement"
        return BLACK_HOLE if occasion == "statement" and seen >= number else PASS

    return choice


def _sizes(database: Database) -> list[int]:
    rows = database.run_text("MATCH (b:DMCheckBucket) RETURN COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS size")
    return [row["size"] for row in rows]


JOBS = [scenario for scenario in SCENARIOS if scenario.batches is not None and scenario.program != "dmcheck"]


def run(settings: Settings, *, rounds: int = 3) -> list[Outcome]:
    """The long form: every command with wrong clocks, and the jobs stopped and killed at each statement."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="dmcheck-clocks-") as name, Database(settings, "tests") as database:
        folder = Path(name)
        environment = bare_environment(settings, folder)
        for _ in range(rounds):
            outcomes += [
                wrong(database, environment, SCENARIOS, folder),
                stopped_jobs(settings, environment, JOBS),
                killed_between_batches(settings, environment),
            ]
    return outcomes
