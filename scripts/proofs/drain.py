"""Loops: volunteers who run only `dmcheck work`, killed at random, while the database restarts under them.

Everything is real: each loop is a process, with a checker that works well on most days only; the loops use the embedded
database and restart it themselves. Kills and restarts happen at random points of the work, not of the clock, so that
work is in flight whatever the machine's speed; if the loops outpace the kills, they get more users.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.invariants import Query, broken
from support.programs import at_home, launcher, outside
from tabulate import tabulate

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.launch import SECONDS_TO_READY
from dmcheck_cli.errors import Temporary
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, schema, users
from jobs import judge_clients, make_buckets, reclaim_leases
from proofs.fairness import jain
from proofs.kills import KILLED, PATIENCE
from proofs.outcome import Outcome

TICK = 0.1
"""Seconds between two looks at the graph."""

TICKS_PER_JOB = 10

BUCKET_SIZE = 20
"""Users per bucket: about 20 buckets for each of 50 loops, enough to test fairness."""

MAX_STILLNESS_SECONDS = SECONDS_TO_READY + 60
"""Seconds without a new answer after which the loops count as stuck: a restart, and a loop's longest pause."""

MORE, MAX_GROWTH = 5 * BUCKET_SIZE, 10
"""Users added when all are answered before every event has happened, and the maximum growth factor of the total."""

LOOPS_AT_ONCE = 2
"""Loops that may be starting at once: Python's start takes half a second of CPU."""

CHECKER = """
import json, os, random, sys, time
folder, client = sys.argv[1:]
say = lambda line: print(line if isinstance(line, str) else json.dumps(line), flush=True)
users = [json.loads(line) for line in sys.stdin]
mood = random.random()
dies_at = -1
if mood < 0.1:  # it ends with an error, now or later
    dies_at = random.randrange(len(users))
lazy = 0.3 if mood > 0.85 else 0.0  # it skips some, or says that it cannot tell
try:
    with open(os.path.join(folder, f"{client}-{os.getpid()}"), "a") as journal:
        for i, user in enumerate(users):
            if i == dies_at:
                os._exit(3)
            time.sleep(random.uniform(0, 0.06))
            if random.random() < 0.004:
                time.sleep(random.choice([0.5, 30]))
            if random.random() < 0.01:
                say(random.choice(["no answer", {"screen_name": "a_stranger", "candm": "DM"}]))
            if random.random() < lazy:
                if random.random() < 0.5:
                    say({**user, "candm": None})
                continue
            answer = random.choices(["DM", "NON_DM", "UNKNOWN"], [5, 4, 1])[0]
            journal.write(json.dumps([user["screen_name"], answer]) + "\\n")
            journal.flush()
            say({**user, "candm": answer})
except BrokenPipeError:  # its loop was killed
    os._exit(0)
"""


@dataclass
class Run:
    """One process of `dmcheck work`, and where its output is."""

    client: int
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def up(self) -> bool:
        """Whether it has printed something: it has logged in, and handles signals."""
        return self.err.stat().st_size > 0

    def summary(self) -> dict[str, Any] | None:
        """Its final summary."""
        text = self.out.read_text("utf-8")
        return dict(json.loads(text)) if text else None


@dataclass
class Fleet:
    """All loops, including ended ones. `due`: ids of those to be started, each at its own time."""

    settings: Settings
    folder: Path
    chance: random.Random
    running: dict[int, Run] = field(default_factory=dict)
    ended: list[Run] = field(default_factory=list)
    due: list[tuple[float, int]] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)
    newest: int = 0

    def new(self, database: Database) -> None:
        """A client that never existed before."""
        self.newest += 1
        clients.register(database, self.newest, f"client{self.newest}")
        self.due.append((time.monotonic(), self.newest))

    def start_some(self) -> None:
        """Start those whose time has come, but only a few at once."""
        starting = sum(not run.up() for run in self.running.values())
        for moment, id in sorted(self.due):
            if starting >= LOOPS_AT_ONCE or moment > time.monotonic():
                return
            starting += 1
            self.due.remove((moment, id))
            self.running[id] = self._start(id)

    def start_all(self) -> None:
        """Start all that are due, a few at once; returns when each that runs is up."""
        deadline = time.monotonic() + MAX_STILLNESS_SECONDS + PATIENCE * len(self.due)
        while self.due or not all(run.up() for run in self.running.values()):
            assert time.monotonic() < deadline, "a loop says nothing"
            self.start_some()
            time.sleep(TICK)

    def kill(self, id: int, database: Database) -> None:
        """Kill it; usually it comes back soon, sometimes another replaces it, sometimes none does."""
        what_next = self.chance.random()
        if what_next < 0.2:
            self.new(database)
        run = self.running.pop(id)
        run.process.kill()
        run.process.wait()
        self.ended.append(run)
        self.killed.add(id)
        if what_next > 0.4:
            self.due.append((time.monotonic() + self.chance.uniform(0, 3), id))

    def stop(self) -> None:
        """End all in an orderly way, and wait for them."""
        self.due.clear()
        self.start_all()
        for run in self.running.values():
            run.process.send_signal(signal.SIGTERM)
        for run in self.running.values():
            run.process.wait(PATIENCE)
        self.ended += self.running.values()
        self.running = {}

    def kill_all(self) -> None:
        """Kill what is left, whatever happened."""
        for run in self.running.values():
            run.process.kill()
            run.process.wait()

    def _start(self, id: int) -> Run:
        number = len(self.ended) + len(self.running)
        out, err = (self.folder / f"{id}-{number}.{name}" for name in ("out", "err"))
        checker = [sys.executable, "-I", "-S", self.folder / "checker.py", self.folder / "said", id]
        options = ["--client", id, "--json", "--command-timeout", 5, "--kill-after", 1]
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*launcher("dmcheck"), *map(str, ["work", *options, "--", *checker])],
                env=_environment(self.settings),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        return Run(id, process, out, err)


def of_the_loops(
    folder: Path, *, loops: int, users_to_check: int, kills: int, restarts: int, lease_seconds: int = 20, seed: int = 0
) -> Outcome:
    """Have this many loops work off all users, through kills of loops and restarts of the database, and judge the
    result.

    ok: leases that were answered; refused: answers for a bucket that another client held; unknown: leases that died.
    """
    outcome = Outcome(
        f"{restarts} restarts of the database and {kills} kills of loops, {loops} loops, {users_to_check:,} users",
        "`kill -9` of `dmcheck work`; `kill -9` and orderly stop of the server",
        "python scripts/prove.py drain",
    )
    chance = random.Random(seed)
    (folder / "said").mkdir()
    (folder / "checker.py").write_text(CHECKER)
    settings = at_home(
        folder / "home",
        bucket_size=BUCKET_SIZE,
        lease_seconds=lease_seconds,
        grace_seconds=lease_seconds // 4,
    )
    fleet = Fleet(settings, folder, chance)
    began = time.monotonic()
    try:
        with Database(settings, "tests") as database:
            schema.apply(database)
            _add(database, range(users_to_check))
            for _ in range(loops):
                fleet.new(database)
            fleet.start_all()  # while no bucket waits, so that all start equal
            events = _events(chance, users_to_check, kills, restarts)
            total, lowest = _drain(database, fleet, events, users_to_check, outcome)
            fleet.stop()
            _judge(database.run_text, fleet, total, outcome)
            print(_report(database.run_text, fleet, loops, lowest, time.monotonic() - began))
    finally:
        fleet.kill_all()
        server.stop(settings)
    return outcome


def _events(chance: random.Random, total: int, kills: int, restarts: int) -> list[tuple[int, str]]:
    """The events, each with the number of answers after which it happens."""
    # Kills come before the last restart: while the database is down no answers are seen, and then many at once.
    latest = 0.95 * restarts / (restarts + 1) if restarts else 0.9
    events = [(int(chance.uniform(0.03, latest) * total), "kill a loop") for _ in range(kills)]
    for number in range(restarts):
        events.append(((number + 1) * total // (restarts + 1), "kill the server" if number % 2 else "stop the server"))
    return sorted(events)


def _add(database: Database, numbers: range) -> None:
    users.add(database, [User(f"user{i:05}", 1000 + i) for i in numbers])


def _drain(
    database: Database, fleet: Fleet, events: list[tuple[int, str]], total: int, outcome: Outcome
) -> tuple[int, dict[int, int]]:
    """Runs until all events have happened and all users are answered: the jobs run, events happen, loops start.

    Returns the final number of users, and each client's lowest allowance.
    """
    lowest: dict[int, int] = {}
    answered, moved_at, tick, most = 0, time.monotonic(), 0, MAX_GROWTH * total
    while events or answered < total:
        with suppress(Temporary):  # the database is restarting
            if tick % TICKS_PER_JOB == 0:
                make_buckets.run(database)
                reclaim_leases.run(database)
                judge_clients.run(database)
                _note_allowances(database.run_text, lowest)
            now = _answered(database.run_text)
            if now > answered:
                answered, moved_at = now, time.monotonic()
            if events and events[0][0] <= answered and _happens(events[0][1], database, fleet):
                events.pop(0)
                outcome.faults += 1
            if events and answered >= total:
                assert total < most, f"it never comes to {events}"
                _add(database, range(total, total + MORE))
                total += MORE
        for id, run in list(fleet.running.items()):
            if run.process.poll() is not None:
                fleet.ended.append(fleet.running.pop(id))
        fleet.start_some()
        assert time.monotonic() < moved_at + MAX_STILLNESS_SECONDS, (
            f"nothing is answered any more, after {answered} users"
        )
        tick += 1
        time.sleep(TICK)
    return total, lowest


def _happens(what: str, database: Database, fleet: Fleet) -> bool:
    """Do it, if it can hit work in flight; returns whether it was done."""
    holding = {row["id"] for row in database.run_text("MATCH (c)<-[:DMCHECKCLIENT]-() RETURN DISTINCT c.id AS id")}
    at_work = sorted(id for id, run in fleet.running.items() if id in holding and run.process.poll() is None)
    if not at_work:
        return False
    if what == "kill a loop":
        fleet.kill(fleet.chance.choice(at_work), database)
    elif what == "stop the server":
        server.stop(fleet.settings)
    else:
        running = server.find(fleet.settings)
        if running is None:
            return False
        os.kill(running.pid, signal.SIGKILL)
    return True


def _answered(query: Query) -> int:
    counts = [query(f"MATCH ()-[r:{kind}]->() RETURN count(r) AS n")[0]["n"] for kind in ("DM_YES", "DM_NO")]
    return int(sum(counts) + query("MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS n")[0]["n"])


def _note_allowances(query: Query, lowest: dict[int, int]) -> None:
    for id, allowance in _allowances(query).items():
        lowest[id] = min(lowest.get(id, allowance), allowance)


def _allowances(query: Query) -> dict[int, int]:
    """What each client may hold, if it has been judged yet."""
    rows = query(
        "MATCH (c:DMCheckClient)-[:STATS]->(s) WHERE s.allowance IS NOT NULL RETURN c.id AS id, s.allowance AS n"
    )
    return {row["id"]: row["n"] for row in rows}


_LEFT = """
    MATCH (b:DMCheckBucket) WHERE EXISTS { (b)<-[m:INDMCHECKBUCKET]-() WHERE m.second IS NULL } RETURN b.uuid AS b"""
_ONCE_EACH = """
    MATCH (u:User) WITH u, COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS times
    WHERE times <> 1 RETURN u.screen_name AS name, times"""
_STANDING = """
    MATCH (c:DMCheckClient)-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u:User)
    RETURN u.screen_name AS name, c.id AS client,
           CASE type(r) WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' ELSE 'UNKNOWN' END AS answer"""
_COUNTERS = """
    MATCH (c:DMCheckClient)-[:STATS]->(s)
    OPTIONAL MATCH (l:DMCheckLease {client: c.id})
    RETURN c.id AS id, [s.buckets_assigned, s.buckets_processed, s.buckets_dead] AS counted,
           [count(l), count(CASE l.how WHEN 'answered' THEN 1 END), count(CASE WHEN l.died THEN 1 END)] AS leases,
           sum(l.dm + l.non_dm + l.unknown) AS users, s.buckets_fault AS refused,
           COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->() } AS answers"""


def _judge(query: Query, fleet: Fleet, total: int, outcome: Outcome) -> None:
    """Every user was answered once, by the client on record; all counts agree; every loop ended as it should."""
    found = outcome.violations
    found += broken(query)
    found += [f"{row['name']} has {row['times']} answers" for row in query(_ONCE_EACH)]
    found += [f"bucket {row['b']} is left" for row in query(_LEFT)]
    said = _said(fleet.folder / "said")
    found += [f"nobody ever said {row}" for row in query(_STANDING) if tuple(row.values()) not in said]
    rows = query(_COUNTERS)
    [again] = query("MATCH ()-[r:DM_SECOND]->() RETURN count(r) AS n")
    if (users_accepted := sum(row["users"] for row in rows)) != total + again["n"]:
        found.append(
            f"the leases tell of {users_accepted} answers, and there are {total} users, {again['n']} asked again"
        )
    for row in rows:
        if row["counted"] != row["leases"] or row["users"] != row["answers"]:
            found.append(f"counters and leases of client {row['id']} differ: {row}")
        outcome.ok += row["counted"][1]
        outcome.unknown += row["counted"][2]
        outcome.refused += row["refused"]
    for run in fleet.ended:
        found += _wrong_with(run, fleet.killed, {row["id"]: row for row in rows})


def _wrong_with(run: Run, killed: set[int], rows: dict[int, Any]) -> list[str]:
    """What is wrong with the end of one loop: only killed ones may end otherwise than with 0."""
    where, told = f"a loop of client {run.client}", run.err.read_text("utf-8")
    wrong = [f"{where}: {told[-2000:]}"] if "Traceback" in told else []
    status = run.process.returncode
    if status == KILLED and run.client in killed:
        return wrong
    summary = run.summary()
    if status != 0 or summary is None:
        return [*wrong, f"{where} ended with {status}: {told[-500:]}"]
    row = rows[run.client]
    if run.client not in killed and (summary["buckets"], summary["users"]) != (row["counted"][1], row["answers"]):
        wrong.append(f"{where} tells of {summary}, the graph of {row}")
    return wrong


def _said(folder: Path) -> set[tuple[str, int, str]]:
    """Every answer of every checker: name, client, answer."""
    said = set()
    for path in folder.iterdir():
        client = int(path.name.partition("-")[0])
        lines = path.read_text("utf-8").splitlines()
        said |= {(name, client, answer) for name, answer in map(json.loads, lines)}
    return said


def _report(query: Query, fleet: Fleet, loops: int, lowest: dict[int, int], seconds: float) -> str:
    """How the loops fared: those never killed, those killed and restarted, and those that came later."""
    last = {run.client for run in fleet.ended if run.process.returncode == 0}
    processed = {row["id"]: row["counted"][1] for row in query(_COUNTERS)}
    allowances = _allowances(query)
    rows = []
    first = set(range(1, loops + 1))
    kinds = {
        "never killed": last & first - fleet.killed,
        "killed, came back": last & fleet.killed,
        "came in place of others": last - first - fleet.killed,
    }
    for name, ids in kinds.items():
        if not ids:
            continue
        buckets = sorted(processed[id] for id in ids)
        low = min(lowest.get(id, 10) for id in ids)
        end = sorted(allowances.get(id, 10) for id in ids)
        spread = f"{buckets[0]} / {buckets[len(buckets) // 2]} / {buckets[-1]}"
        rows.append([name, len(ids), spread, f"{jain(buckets):.3f}", low, f"{end[0]} / {end[len(end) // 2]}"])
    head = [
        "loops",
        "count",
        "buckets: least / median / most",
        "Jain",
        "lowest allowance",
        "at the end: least / median",
    ]
    failures: Counter[str] = Counter()
    for run in fleet.ended:
        failures.update((run.summary() or {}).get("failures", {}))
    told = ", ".join(f"{kind} {times}" for kind, times in sorted(failures.items()))
    return f"{tabulate(rows, headers=head, tablefmt='github')}\n\n{seconds:.0f} seconds; the loops tell of {told}"


def _environment(settings: Settings) -> dict[str, str]:
    """The environment of a loop that uses the embedded database of `settings`."""
    own = {"DMCHECK_HOME": str(settings.home), "XDG_STATE_HOME": str(settings.home)}
    return {**outside(), **own, "DMCHECK_LEASE_SECONDS": str(settings.lease_seconds)}


def run(
    settings: Settings, *, loops: int = 50, users: int = 20_000, kills: int = 40, restarts: int = 2
) -> list[Outcome]:
    """The long form, on its own embedded database."""
    with tempfile.TemporaryDirectory(prefix="dmcheck-drain-") as name:
        return [of_the_loops(Path(name), loops=loops, users_to_check=users, kills=kills, restarts=restarts)]
