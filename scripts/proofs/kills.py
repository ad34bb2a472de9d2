"""Kills: a client's process at each of its network calls, and the server under load.

`strace` kills the client: it can send SIGKILL as a process enters its Nth call of a kind. A kill on entry to a call is
a kill after the previous one, so together they cover both sides of each call. strace counts per thread, so the commands
are started in a way that does in one thread what they otherwise do in several.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from support.graphs import MAX_WAIT_SECONDS, answered, wait_until, wait_until_gone
from support.invariants import broken
from support.programs import MODULES, at_home, outside

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, Lease, User
from dmcheck_cli.embedded.launch import SECONDS_TO_READY
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, clients, leases, users
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.graph import empty
from proofs.history import Recorder, read
from proofs.outcome import Outcome
from proofs.workload import crowd, volunteers

CALLS = "?socket,?connect,sendto,recvfrom,?poll,?ppoll,shutdown,exit_group"
PATIENCE = MAX_WAIT_SECONDS
"""Seconds after which a process that has not ended fails the proof."""

KILLED = -signal.SIGKILL

_ONE_THREAD = """
import threading
from dmcheck_cli.database.sending import Guard
threading.Thread.start = threading.Thread.run
threading.Thread.join = lambda self, timeout=None: None
threading.Thread.is_alive = lambda self: False
Guard.within = lambda self, seconds, work, afterwards=None: work()
"""
_WAITING = """
import json, os, sys, neo4j
from {module} import main
os.write({said}, b".")
sys.argv[1:] = json.loads(os.read({go}, 65536))
main()
"""


class Prepared:
    """A command that has loaded everything and waits for its arguments, so that many can run one after the other
    without waiting for each one's start."""

    def __init__(
        self, environment: dict[str, str], program: str = "dmcheck", *, prefix: Sequence[str] = (), before: str = ""
    ) -> None:
        wait, self._go = os.pipe()
        self._ready, ready = os.pipe()
        code = before + _WAITING.format(module=MODULES[program], go=wait, said=ready)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", code],
            env=environment,
            pass_fds=(wait, ready),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        os.close(wait)
        os.close(ready)

    def ready(self) -> bool:
        """Returns True once it has loaded everything, False if it ended first."""
        if self._ready < 0:
            return True
        said = os.read(self._ready, 1)
        os.close(self._ready)
        self._ready = -1
        return bool(said)

    def go(self, *arguments: object) -> None:
        """Let it run."""
        self.ready()
        os.write(self._go, json.dumps([str(one) for one in arguments]).encode())
        os.close(self._go)

    def finish(self, stdin: str = "") -> tuple[int, str, str]:
        """Give it its input, and wait for its end: exit status, stdout, stderr."""
        out, err = self.process.communicate(stdin.encode(), PATIENCE)
        return self.process.returncode, out.decode(), err.decode()

    def run(self, *arguments: object, stdin: str = "") -> tuple[int, str, str]:
        """`go` and `finish`."""
        self.go(*arguments)
        return self.finish(stdin)

    def drop(self) -> None:
        """End it unused."""
        for end in (self._go, self._ready):
            with contextlib.suppress(OSError):
                os.close(end)
        self.process.kill()
        self.process.communicate()


def ahead(starts: Iterable[Callable[[], Prepared]], count: int = 3) -> Iterator[Prepared]:
    """The processes that `starts` start, in order, with `count` of them always being started."""
    waiting: deque[Prepared] = deque()
    try:
        for start in starts:
            waiting.append(start())
            if len(waiting) > count:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for one in waiting:
            one.drop()


def without_strace() -> str | None:
    """Why processes cannot be killed at their system calls here; None if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-f", "-o", os.devnull, sys.executable, "-c", ""],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[-200:]}"


_SHAPE = """
    CALL () { MATCH (n) WHERE NOT coalesce(n.event IN ['distrusted', 'refused'], false)
        RETURN collect([labels(n), properties(n)]) AS nodes }
    CALL () { MATCH (a)-[r]->(b)
        RETURN collect([type(r), properties(r), labels(a), properties(a), labels(b), properties(b)]) AS links }
    RETURN nodes, links"""
_CHANCE = re.compile(
    r"uuid|bucket|newest|place|cursor|expires|ended|at|next_fetch|.*_datetime|.*_time|turnaround_seconds|digest"
    r"|suspended|doubted|contained|round|share|dmcheck_aside|last_(seconds|statements|round_trips|rows|retries|waited_.*)"
)


def shape(database: Database) -> list[str]:
    """The whole graph without random values, times, and the events that tell of each run by itself: two runs of a
    command lead to the same shape."""
    [row] = database.run_text(_SHAPE)
    nodes = [f"{labels} {_lasting(labels, properties)}" for labels, properties in row["nodes"]]
    links = [
        f"{kind} {_lasting([], mine)} {a} {_lasting(a, p, named=kind != 'INDMCHECKBUCKET')} {b} {_lasting(b, q)}"
        for kind, mine, a, p, b, q in row["links"]
    ]
    return sorted(nodes + links)


def _lasting(labels: list[str], properties: dict[str, Any], named: bool = True) -> dict[str, Any]:
    chance = {"id"} if labels in (["DMCheckLease"], ["DMCheckFormerClient"]) or not named else set()
    if not named:  # the assignment of users to buckets is random
        chance.add("screen_name")
    return {
        key: "set" if key in chance or _CHANCE.fullmatch(key) else value
        for key, value in sorted(properties.items())
        if key != "lock"  # carries no information: it exists only to be written
    }


@dataclass(frozen=True)
class Scenario:
    """A command to be killed. `arrange` prepares the graph and returns the arguments and the input. `told` names the
    parts of the command's JSON document that a repetition must return again. `batches`, for a job or a command of
    several transactions, runs it, as it may be stopped between its batches."""

    name: str
    arrange: Callable[[Database], tuple[list[str], str]]
    program: str = "dmcheck"
    variables: dict[str, str] = field(default_factory=dict)
    told: Callable[[Any], Any] = lambda document: None
    batches: Callable[[Database], Any] | None = None


MEMBERS = [f"user{i:02}" for i in range(12)]
WAITING = [f"waiting{i}" for i in range(5)]


def arrange(database: Database) -> list[Lease]:
    """Two clients, 6 buckets of 2 users, 5 users in no bucket; the first client holds 2 leases, which are returned.

    All that the clients say is checked: chance would leave another graph each time.
    """
    empty(database)
    for id in (1, 2):
        clients.register(database, id, f"client{id}")
    database.run_text("MATCH (s:DMCheckClientStats) SET s.share = 1.0")
    users.add(database, [User(name, 1000 + i) for i, name in enumerate(MEMBERS)])
    with Database(replace(database.settings, bucket_size=2), "tests") as sized:
        make_buckets.run(sized)
    users.add(database, [User(name, None) for name in WAITING])
    return leases.fetch(database, 1, 2, "arranged")


def _plain(*arguments: str, stdin: str = "") -> Callable[[Database], tuple[list[str], str]]:
    def arranged(database: Database) -> tuple[list[str], str]:
        arrange(database)
        return list(arguments), stdin

    return arranged


def _submit(database: Database) -> tuple[list[str], str]:
    held = arrange(database)
    document = {"client": 1, "buckets": [_document(lease) for lease in held]}
    whole = json.loads(answered(document, "DM"))
    whole["buckets"][1]["users"][0]["candm"] = None  # only part of the second bucket
    whole["buckets"][1]["users"][1]["candm"] = "NON_DM"
    # The users in a bucket are random: renamed, two runs of the scenario lead to the same shape.
    for i, bucket in enumerate(whole["buckets"]):
        for j, user in enumerate(sorted(bucket["users"], key=lambda user: user["candm"] is None)):
            name = f"held{i}{j}"
            database.run_text(
                "MATCH (u:User {screen_name: $a}) SET u.screen_name = $b, u.id = $i",
                a=user["screen_name"],
                b=name,
                i=10 * i + j + 1,
            )
            user["screen_name"], user["id"] = name, 10 * i + j + 1
    # The remaining users are renumbered, so that they are the same ones too.
    left = [
        row["n"]
        for row in database.run_text(
            "MATCH (u:User) WHERE u.screen_name STARTS WITH 'user' RETURN u.screen_name AS n ORDER BY n"
        )
    ]
    for i, name in enumerate(left):
        database.run_text(
            "MATCH (u:User {screen_name: $a}) SET u.screen_name = $b, u.id = $i", a=name, b=f"left{i}", i=100 + i
        )
    return ["submit", "--client", "1", "--json"], json.dumps(whole)


def _document(lease: Lease) -> dict[str, Any]:
    return {
        "bucket": lease.bucket,
        "lease": lease.lease,
        "users": [{"screen_name": user.screen_name, "id": user.id} for user in lease.users],
    }


def _of_one_lease(command: str, database: Database) -> tuple[list[str], str]:
    lease = arrange(database)[0]
    return [command, "--client", "1", "--bucket", lease.bucket, "--lease", lease.lease], ""


def _reclaim(database: Database) -> tuple[list[str], str]:
    expired, dead = arrange(database)
    database.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.expires = datetime() - duration('PT1H')", uuid=expired.bucket
    )
    database.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.dead_datetime = datetime() - duration('P1D')", uuid=dead.bucket
    )
    return [], ""


def _starve(database: Database) -> tuple[list[str], str]:
    arrange(database)
    database.run_text("MATCH (b:DMCheckBucket) SET b.edit_datetime = datetime() - duration('P3D')")
    return [], ""


def _to_judge(database: Database) -> tuple[list[str], str]:
    """One lease was given back, one died, and a submit was refused: the client's allowance is halved twice."""
    back, died = arrange(database)
    leases.release(database, 1, back.bucket, back.lease)
    answers.submit(database, 1, [Answered(back.bucket, "guessed", {})])
    database.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.dead_datetime = datetime() - duration('P1D')", uuid=died.bucket
    )
    reclaim_leases.run(database)
    return [], ""


_SAID = """
    MATCH (s:DMCheckClientStats)<-[:STATS]-(:DMCheckClient {id: 1})
    SET s.contained = 1.0, s.doubted = [1.0], s.compared = [3, 0, 0, 0], s.contradicted = [3, 0, 0, 0]
    WITH * UNWIND $said AS one
    MATCH (c:DMCheckClient {id: one[0]}), (u:User {screen_name: 'waiting' + one[1]})
    CREATE (c)-[r:$(one[2])]->(u)
    SET r.at = datetime() - duration({hours: 3 - one[0]}), r.candm = one[3], r.witness = one[4],
        u.dmcheck_needs = CASE one[1] WHEN 2 THEN 'dm' ELSE 'look' END, u.dmcheck_asked = 1"""
SAID = [
    (1, 0, "DM_YES", None, None), (2, 0, "DM_SECOND", "DM", True),
    (1, 1, "DM_YES", None, None), (2, 1, "DM_SECOND", "NON_DM", True),
    (1, 2, "DM_YES", None, None),
    (1, 3, "DM_SECOND", "UNKNOWN", None), (2, 3, "DM_NO", None, True),
]  # fmt: skip
"""Opinions: client, user, kind, answer of a second one, whether a witness gave it. Of what the first client said one is
confirmed, one contradicted, one nobody else's, one not in force."""


def _opinions(*arguments: str) -> Callable[[Database], tuple[list[str], str]]:
    """The first client is contained; nobody has looked at the opinions yet."""

    def arranged(database: Database) -> tuple[list[str], str]:
        arrange(database)
        database.run_text(_SAID, said=SAID)
        return list(arguments), ""

    return arranged


def _aside(database: Database) -> tuple[list[str], str]:
    arrange(database)
    database.run_text("MATCH (u:User) WHERE u.screen_name IN $names SET u.dmcheck_aside = datetime()", names=WAITING)
    return ["users", "retry"], ""


SCENARIOS = [
    Scenario(
        "fetch",
        _plain("fetch", "--client", "2", "--count", "2", "--request-id", "again", "--json"),
        told=lambda document: len(document["buckets"]),
    ),
    Scenario(
        "submit",
        _submit,
        told=lambda document: [(b["status"], b["accepted"], b["returned"]) for b in document["buckets"]],
    ),
    Scenario("make_buckets", _plain(), "make_buckets", {"DMCHECK_BUCKET_SIZE": "2"}, batches=make_buckets.run),
    Scenario("register", _plain("register", "--id", "9", "--screen-name", "client9", "--capacity", "4")),
    Scenario("unregister", _plain("unregister", "--id", "1", "--screen-name", "client1")),
    Scenario("renew", partial(_of_one_lease, "renew")),
    Scenario("release", partial(_of_one_lease, "release")),
    Scenario("prioritize", _plain("prioritize", *WAITING[:3])),
    Scenario("users add", _plain("users", "add", stdin="".join(f"{name}\n" for name in ["new1", "new2", *WAITING]))),
    Scenario("users delete", _plain("users", "delete", *WAITING[:3])),
    Scenario("reclaim_leases", _reclaim, "reclaim_leases", batches=reclaim_leases.run),
    Scenario("raise_starved", _starve, "raise_starved", batches=raise_starved.run),
    Scenario("judge_clients", _to_judge, "judge_clients", batches=judge_clients.run),
    Scenario("judge_clients, opinions", _opinions(), "judge_clients", batches=judge_clients.run),
    Scenario("users retry", _aside),
    Scenario("client rename", _plain("client", "rename", "1", "another")),
    Scenario("client suspend", _plain("client", "suspend", "1", "--reason", "why")),
    Scenario("client resume", _opinions("client", "resume", "1")),
    Scenario("client distrust", _opinions("client", "distrust", "1")),
    Scenario("client delete", _opinions("client", "delete", "1"), batches=lambda database: clients.delete(database, 1)),
]


class _Watched(Database):
    """Notes the shape of the graph after each statement."""

    def __init__(self, watched: Database, settings: Settings) -> None:
        super().__init__(settings, "tests")
        self.watched = watched
        self.shapes: list[list[str]] = []

    def run_text(self, text: str, /, *, patience: float | None = None, **parameters: Any) -> list[dict[str, Any]]:
        rows = super().run_text(text, patience=patience, **parameters)
        self.shapes.append(shape(self.watched))
        return rows


@dataclass
class Expected:
    """What a scenario's command leaves and prints when undisturbed, and how long it takes; `allowed` is what may be
    seen when it is stopped."""

    scenario: Scenario
    allowed: list[list[str]]
    after: list[str]
    said: Any
    seconds: float

    def left(self, database: Database, where: str, outcome: Outcome) -> None:
        """Judge the graph that a stopped command left: as before, as after, or (for a job) as after a batch."""
        if _settled(database, self.scenario.name) not in self.allowed:
            outcome.violations.append(f"{where}: the graph is neither as before nor as after")

    def finished(self, database: Database, where: str, ended: tuple[int, str, str], outcome: Outcome) -> None:
        """Judge a command that ran to its end: after a stopped one, or in spite of a fault."""
        if ended[0] != 0:
            outcome.violations.append(f"{where}: ends with {ended[0]}: {ended[2]}")
            return
        outcome.ok += 1
        if _said(self.scenario, ended) != self.said:
            outcome.violations.append(f"{where}: says {ended[1]} and not {self.said}")
        if (now := shape(database)) != self.after:
            outcome.violations.append(f"{where}: leaves another graph: {difference(self.after, now)}")
        outcome.violations += [f"{where}: {what}" for what in broken(database.run_text)]


def expect(database: Database, scenario: Scenario, process: Prepared) -> Expected:
    """Run a scenario's command undisturbed."""
    arguments, stdin = scenario.arrange(database)
    before = shape(database)
    process.ready()
    began = time.monotonic()
    ended = process.run(*arguments, stdin=stdin)
    took = time.monotonic() - began
    assert ended[0] == 0, f"{scenario.name} fails even when nothing happens: {ended}"
    expected = Expected(scenario, [before], shape(database), _said(scenario, ended), took)
    expected.allowed.append(expected.after)
    if scenario.batches is not None:
        scenario.arrange(database)
        sized = replace(database.settings, bucket_size=int(scenario.variables.get("DMCHECK_BUCKET_SIZE", "180")))
        with _Watched(database, sized) as watched:
            scenario.batches(watched)
        expected.allowed += watched.shapes
    return expected


def at_each_call(
    database: Database,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    folder: Path,
    most: int | None = None,
) -> Outcome:
    """Kill each of the commands at each of its network calls, or at about `most` of them, and repeat it.

    After each kill the graph is as before the command or as after it (for a job: after one of its batches); repeated,
    the command succeeds, and prints and leaves what it does when undisturbed.
    """
    outcome = Outcome(
        "client killed on either side of each network call, every command",
        "strace -e inject=CALL:signal=KILL:when=N",
        "python scripts/prove.py kills",
    )
    for scenario in scenarios:
        _kill_one(database, {**environment, **scenario.variables}, scenario, folder, most, outcome)
    return outcome


def _kill_one(
    database: Database,
    environment: dict[str, str],
    scenario: Scenario,
    folder: Path,
    most: int | None,
    outcome: Outcome,
) -> None:
    trace = folder / "trace"
    expected = expect(database, scenario, _traced(environment, scenario, trace))
    points = _points(trace.read_text("utf-8"), most)
    starts: list[Callable[[], Prepared]] = []
    for call, number in points:
        starts.append(partial(_traced, environment, scenario, trace, call, number))
        starts.append(partial(Prepared, environment, scenario.program))
    processes = ahead(starts)
    for call, number in points:
        where = f"{scenario.name}, killed entering {call} number {number}"
        arguments, stdin = scenario.arrange(database)
        status, _, err = next(processes).run(*arguments, stdin=stdin)
        if status == KILLED:
            outcome.faults += 1
            outcome.unknown += 1
        else:
            outcome.violations.append(f"{where}: was not killed: {status} {err}")
        expected.left(database, where, outcome)
        expected.finished(database, f"{where}, repeated", next(processes).run(*arguments, stdin=stdin), outcome)


def difference(wanted: list[str], found: list[str]) -> str:
    """The differences between two shapes."""
    missing, more = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    return f"missing {list(missing.elements())[:3]}, too much {list(more.elements())[:3]}"


def _said(scenario: Scenario, ended: tuple[int, str, str]) -> Any:
    return scenario.told(json.loads(ended[1])) if ended[1].startswith("{") else None


def _traced(
    environment: dict[str, str], scenario: Scenario, trace: Path, call: str | None = None, number: int = 0
) -> Prepared:
    prefix = ["strace", "-f", "-qq", "-e", "signal=none"]
    if call is None:
        prefix += ["-e", f"trace={CALLS}", "-o", str(trace)]
    else:
        prefix += ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}", "-o", os.devnull]
    return Prepared(environment, scenario.program, prefix=prefix, before=_ONE_THREAD)


def _points(trace: str, most: int | None) -> list[tuple[str, int]]:
    """The calls of an undisturbed run, each with its number among those of its kind; with `most`, a sample of all, and
    those around every send."""
    seen: Counter[str] = Counter()
    points = []
    for name in re.findall(r"^\d+\s+(\w+)\(", trace, re.MULTILINE):
        seen[name] += 1
        points.append((name, seen[name]))
    if most is None or len(points) <= most:
        return points
    sent = [i for i, (name, _) in enumerate(points) if name == "sendto"]
    chosen = {i + side for i in sent[-3:] for side in (0, 1, 2)} | {len(points) - 1, len(points) - 2}
    rest = [i for i in range(len(points)) if i not in chosen]
    chosen |= {rest[k * len(rest) // most] for k in range(max(most - len(chosen), 0))}
    return [points[i] for i in sorted(chosen) if i < len(points)]


def _settled(database: Database, command: str) -> list[str]:
    """The shape of the graph once nothing of the killed command still runs."""
    wait_until_gone(database.run_text, command)
    last: list[str] = []

    def still() -> bool:
        nonlocal last
        now = shape(database)
        same, last = now == last, now
        return same

    wait_until(still)
    return last


def of_the_server(home: Path, folder: Path, kills: int, clients_: Sequence[int] = (1, 2, 3), seed: int = 0) -> Outcome:
    """Kill the embedded server at random moments while volunteers work; the next command starts it again.

    In the end the graph contains everything that was acknowledged, nothing twice, and work continues.
    """
    from dmcheck_cli.embedded import server

    outcome = Outcome("server killed under load", "kill -9 at random moments", "python scripts/prove.py kills")
    chance = random.Random(seed)
    settings = at_home(home, bucket_size=5, timeout_seconds=30)
    recorder = Recorder(folder)
    try:
        with Database(settings, "tests") as database:
            supply(Actor(database, recorder), clients_, 0, 2000)
            with crowd(
                volunteers(settings, folder, clients_, seed=seed, seconds=kills * SECONDS_TO_READY)
            ) as processes:
                for number in range(kills):
                    _work_goes_on(folder)
                    time.sleep(chance.uniform(0, 0.5))
                    running = server.find(settings)
                    assert running is not None, "the server ended by itself"
                    os.kill(running.pid, signal.SIGKILL)
                    outcome.faults += 1
                    if number % 10 == 9:
                        supply(Actor(database, recorder), (), number, 1000)
                _work_goes_on(folder)
                for process in processes:
                    process.kill()
            supply(Actor(database, recorder), (99,), "last", 10)
            operations = read(folder)
            outcome.count(operations)
            outcome.violations += broken(database.run_text)
            outcome.violations += contradictions(operations, database.run_text, calm=False)
    finally:
        recorder.close()
        server.stop(settings)
    return outcome


def supply(actor: Actor, ids: Sequence[int], batch: object, count: int) -> None:
    """Register clients, add users, put them into buckets: work for volunteers."""
    for id in ids:
        actor.register(id)
    actor.add([f"b{batch}_{i}" for i in range(count)])
    actor.make()


def _work_goes_on(folder: Path) -> None:
    """Returns once 20 more operations have been acknowledged, possibly after a server start."""
    known, deadline = _answers(folder), time.monotonic() + SECONDS_TO_READY
    while _answers(folder) <= known + 20:
        assert time.monotonic() < deadline, "nothing is acknowledged any more"
        time.sleep(0.2)


def _answers(folder: Path) -> int:
    """How many operations have been acknowledged so far."""
    return sum(path.read_bytes().count(b'"outcome": "ok"') for path in folder.glob("*.jsonl"))


def bare_environment(settings: Settings, home: Path) -> dict[str, str]:
    """The environment of a command that uses the database of `settings`."""
    way = {
        "NEO4J_URI": settings.neo4j_uri or "",
        "NEO4J_USERNAME": settings.neo4j_username,
        "NEO4J_PASSWORD": settings.neo4j_password or "",
    }
    return {**outside(), **way, "HOME": str(home)}


def run(settings: Settings, *, kills: int = 200) -> list[Outcome]:
    """The long form: every command at every call, and the server `kills` times."""
    with tempfile.TemporaryDirectory(prefix="dmcheck-kills-") as name, Database(settings, "tests") as database:
        folder = Path(name)
        for part in ("home", "history"):
            (folder / part).mkdir()
        outcomes = []
        if (reason := without_strace()) is None:
            outcomes.append(at_each_call(database, bare_environment(settings, folder), SCENARIOS, folder))
        else:
            print(f"not run: {reason}", file=sys.stderr)
        outcomes.append(of_the_server(folder / "home", folder / "history", kills))
    return outcomes
