"""Events on a volunteer's machine while one `dmcheck work` runs: look-ups made against answers acknowledged.

Kills, signals, a way to the database that breaks, a process that is stopped, no file descriptors, a terminal that
nobody reads, a source that says "later", a COMMAND that fails. COMMAND notes each look-up before it says the answer. No
user may be looked up twice, except for what is in flight at a `kill -9`, and none may stay unanswered.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

import psutil
from support.invariants import Query, broken
from support.programs import launcher, outside
from support.working import Way

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, users
from jobs import make_buckets, reclaim_leases
from proofs.graph import empty
from proofs.outcome import Outcome

CLIENT = 42

LEASE_SECONDS = 60

IN_FLIGHT = 1
"""Look-ups at a kill whose line the loop has not read yet. Those that COMMAND makes from then on until it is ended are
counted apart: nobody is left to take them."""

MAX_STILLNESS_SECONDS = 180.0
"""Seconds without a new answer after which the loop counts as stuck."""

MAX_OUTAGE_SECONDS = 2.0

CHECKER = """
import json, os, random, signal, sys, time
folder, pace = sys.argv[1], float(sys.argv[2])
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
mood = random.random()
users = [json.loads(line) for line in sys.stdin]
stop_at = random.randrange(len(users) + 1) if mood < 0.06 else len(users)
with open(os.path.join(folder, "asked"), "a") as journal:
    for user in users[:stop_at]:
        while os.path.exists(os.path.join(folder, "hold")) and not ended and os.getppid() != 1:
            time.sleep(0.01)
        if ended or os.getppid() == 1:
            break
        time.sleep(pace)
        journal.write(user["screen_name"] + "\\n")
        journal.flush()
        print(json.dumps({**user, "candm": "DM"}), flush=True)
if mood < 0.03:
    print(json.dumps({"retry_after": 0.2}), flush=True)
    sys.exit(75)
sys.exit(3 if mood < 0.06 else 0)
"""
"""In a small part of its runs it stops early, and says "later" or fails."""


@dataclass
class Machine:
    """The one loop and what is around it."""

    folder: Path
    environment: dict[str, str]
    command: list[str]
    way: Way
    chance: random.Random
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    kills: int = 0
    unheard: int = 0
    memory: list[int] = field(default_factory=list)  # of the process that runs, in bytes
    max_memory: int = 0
    max_descriptors: int = 0

    def run(self) -> subprocess.Popen[bytes]:
        """The loop, started if there is none."""
        if self.process is None or self.process.poll() is not None:
            self.starts += 1
            self.memory.clear()
            err = open(self.folder / "err", "ab")  # noqa: SIM115 - the process keeps it
            arguments = ["work", "--json", "--client", str(CLIENT), "--kill-after", "20", "--", *self.command]
            self.process = subprocess.Popen(
                [*launcher("dmcheck"), *arguments], env=self.environment, stdout=subprocess.DEVNULL, stderr=err
            )
            err.close()
        return self.process

    def asked(self) -> int:
        """How many look-ups COMMAND has made."""
        journal = self.folder / "asked"
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    def hold(self, held: bool) -> None:
        """Whether COMMAND waits before its next look-up."""
        file = self.folder / "hold"
        if held:
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def measure(self) -> None:
        """Note its memory and descriptors."""
        if self.process is not None and self.process.poll() is None:
            try:
                seen = psutil.Process(self.process.pid)
                self.memory.append(seen.memory_info().rss)
                self.max_memory = max(self.max_memory, self.memory[-1])
                self.max_descriptors = max(self.max_descriptors, seen.num_fds())
            except psutil.Error:
                return

    def grew(self) -> str:
        """The memory of the process that runs: the mean of each tenth of its time, in MB."""
        tenths = [self.memory[len(self.memory) * i // 10 : len(self.memory) * (i + 1) // 10] for i in range(10)]
        return " ".join(f"{mean(one) / 2**20:.0f}" for one in tenths if one)


def _kill(machine: Machine, pid: int) -> None:
    """Kill it, and count what COMMAND asks until the guard has ended it."""
    commands = psutil.Process(pid).children(recursive=True)
    asked = machine.asked()
    machine.kills += 1
    os.kill(pid, signal.SIGKILL)
    _, left = psutil.wait_procs(commands, timeout=MAX_STILLNESS_SECONDS)
    assert not left, "COMMAND outlives its loop"
    machine.unheard += machine.asked() - asked


def _stop(machine: Machine, pid: int) -> None:
    os.kill(pid, machine.chance.choice([signal.SIGTERM, signal.SIGHUP]))
    if machine.chance.random() < 0.5:
        os.kill(pid, signal.SIGTERM)  # the same request


def _sleep(machine: Machine, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(machine.chance.uniform(0, 0.5))
    os.kill(pid, signal.SIGCONT)


def _cut(machine: Machine, pid: int) -> None:
    machine.way.cut()
    time.sleep(machine.chance.uniform(0, MAX_OUTAGE_SECONDS))
    if machine.chance.random() < 0.3:
        machine.chance.choice([_kill, _stop])(machine, pid)
        time.sleep(0.3)
    machine.way.mend()


def _starve(machine: Machine, pid: int) -> None:
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE, (6, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
    time.sleep(machine.chance.uniform(0, 0.5))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


EVENTS: tuple[tuple[str, Callable[[Machine, int], None]], ...] = (
    ("kill -9", _kill),
    ("stop", _stop),
    ("sleep", _sleep),
    ("outage", _cut),
    ("no descriptors", _starve),
)


def of_one_machine(
    settings: Settings, folder: Path, *, buckets: int, events: int, size: int = 20, pace: float = 0.002, seed: int = 1
) -> Outcome:
    """Take one loop through `buckets` with `events` at random moments of the work, and count."""
    outcome = Outcome(
        f"one loop, {buckets} buckets of {size}, {events} events: look-ups against answers acknowledged",
        "kills, signals, outages, sleeps, no descriptors; COMMAND fails or says later",
        "python scripts/prove.py events",
    )
    chance = random.Random(seed)
    total = buckets * size
    with Database(replace(settings, bucket_size=size), "prove") as database:
        empty(database)
        clients.register(database, CLIENT, "volunteer")
        users.add(database, [User(f"user{i:07}", 1000 + i) for i in range(total)])
        with Way(*_host(settings)) as way:
            machine = Machine(folder, _environment(settings, folder, way), _checker(folder, pace), way, chance)
            happened = _drive(database, machine, sorted(chance.randrange(total) for _ in range(events)), total)
            machine.run().send_signal(signal.SIGTERM)
            machine.run().wait(60)
        _judge(database.run_text, folder, machine, total, outcome)
        outcome.faults = sum(happened.values())
        outcome.injection += (
            f" ({', '.join(f'{name} {times}' for name, times in sorted(happened.items()))}; {machine.starts} starts; "
            f"at most {machine.max_memory // 2**20} MB, {machine.max_descriptors} descriptors; MB of the last one from "
            f"its start to its end: {machine.grew()})"
        )
    return outcome


def _drive(database: Database, machine: Machine, moments: list[int], total: int) -> Counter[str]:
    """Runs until all events have happened and all users are answered."""
    happened: Counter[str] = Counter()
    answered, moved_at, tick = -1, time.monotonic(), 0
    while moments or answered < total:
        process = machine.run()
        # A bucket whose leases keep failing is split, and its last user set aside; that is not what is tried here.
        database.run_text("MATCH (b:DMCheckBucket) WHERE b.failures IS NOT NULL REMOVE b.failures, b.failed_by")
        if tick % 20 == 0:
            make_buckets.run(database)
            reclaim_leases.run(database)
            # Who takes buckets and is killed before it answers is slowed down; that is not what is tried here.
            database.run_text("MATCH (s:DMCheckClientStats) REMOVE s.next_fetch")
            machine.measure()
        now = _answered(database.run_text)
        if now > answered:
            answered, moved_at = now, time.monotonic()
        # Where events take longer than the work between them, COMMAND waits for them: none is to happen to a loop that
        # has nothing left to do.
        machine.hold(bool(moments) and moments[0] <= answered)
        if moments and moments[0] <= answered and _has_begun(machine):
            name, happen = machine.chance.choice(EVENTS)
            if process.poll() is None:
                happen(machine, process.pid)
                happened[name] += 1
            moments.pop(0)
            moved_at = time.monotonic()
        assert time.monotonic() < moved_at + MAX_STILLNESS_SECONDS, f"no new answer after {answered} of {total}"
        tick += 1
        time.sleep(0.05)
    return happened


def _has_begun(machine: Machine) -> bool:
    """Whether it handles signals: before that, a stop is a kill."""
    assert machine.process is not None
    try:
        caught = next(
            line for line in Path(f"/proc/{machine.process.pid}/status").read_text().splitlines() if "SigCgt" in line
        )
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def _judge(query: Query, folder: Path, machine: Machine, total: int, outcome: Outcome) -> None:
    asked = Counter((folder / "asked").read_text("utf-8").split())
    again = sum(times - 1 for times in asked.values())
    if again > IN_FLIGHT * machine.kills + machine.unheard:
        outcome.violations.append(
            f"{again} look-ups were made again; the loop was killed {machine.kills} times, and COMMAND then made "
            f"{machine.unheard} before it was ended"
        )
    if (answered := _answered(query)) != total:
        outcome.violations.append(f"{total - answered} users have no answer")
    outcome.violations += broken(query)
    outcome.ok, outcome.refused, outcome.unknown = answered, 0, again


def _answered(query: Query) -> int:
    return int(query("MATCH ()-[r:DM_YES]->() RETURN count(r) AS n")[0]["n"])


def _host(settings: Settings) -> tuple[str, int]:
    assert settings.neo4j_uri is not None
    host, port = settings.neo4j_uri.partition("://")[2].split(":")
    return host, int(port)


def _environment(settings: Settings, folder: Path, way: Way) -> dict[str, str]:
    return {
        **outside(),
        "HOME": str(folder),
        "NEO4J_URI": f"bolt://{_host(settings)[0]}:{way.port}",
        "NEO4J_USERNAME": settings.neo4j_username,
        "NEO4J_PASSWORD": str(settings.neo4j_password),
        "DMCHECK_TIMEOUT_SECONDS": "2",
        "DMCHECK_LEASE_SECONDS": str(LEASE_SECONDS),
    }


def _checker(folder: Path, pace: float) -> list[str]:
    script = folder / "checker.py"
    script.write_text(CHECKER)
    return [sys.executable, "-S", str(script), str(folder), str(pace)]


def run(
    settings: Settings, *, buckets: int = 10_000, events: int = 1_000, size: int = 20, seed: int = 1
) -> list[Outcome]:
    """The long form."""
    with tempfile.TemporaryDirectory(prefix="dmcheck-events-") as name:
        return [of_one_machine(settings, Path(name), buckets=buckets, events=events, size=size, seed=seed)]
