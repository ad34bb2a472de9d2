"""Exhausted resources: the disk under the database, the reader of stdout, the memory for a long list."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.graphs import MAX_WAIT_SECONDS, wait_until
from support.invariants import broken
from support.programs import MODULES, at_home, outside

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.launch import SECONDS_WITH_LITTLE_ROOM
from dmcheck_cli.settings import Settings
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.graph import empty
from proofs.history import Recorder, of_command, read
from proofs.kills import SCENARIOS, Prepared, Scenario, bare_environment, expect, supply
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py resources"
DMCHECK = [sys.executable, "-c", "from dmcheck_cli.cli import main; main()"]
DISK = 160
"""MB of the small disk: an empty graph with its logs takes about 60."""
IMPATIENCE, PATIENCE = 5, 60
"""Time limits in seconds: while the disk is full, when the command cannot succeed, and once there is room again."""
FOR_A_START = SECONDS_WITH_LITTLE_ROOM + 25
"""Seconds that a command may take beyond its time limit, as it may have to start the server, even on a busy machine.
Without room, a start that is not given up takes minutes."""
A_LITTLE = 65536
"""Bytes freed then: enough for a start to begin, too little for it to succeed."""
BATCH = 5000
MAX_BATCHES = 80
IN_TROUBLE = (0, 4, 75)
"""How a command may exit while the database has trouble (contract, section 6)."""
MORE_MEMORY = 48 * 1024
"""KB of peak client memory that a long list may take beyond a short one: a batch of users and its rows."""


def without_mount(folder: Path) -> str | None:
    """Why no small disk can be mounted here; None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting a small disk takes Linux and root"
    try:
        with small_disk(folder, 1):
            return None
    except subprocess.CalledProcessError as error:
        return f"a small disk cannot be mounted: {error.stderr.decode().strip()}"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A separate disk of that size, while the block runs."""
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(disk)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True, capture_output=True)


def full_disk(folder: Path) -> Outcome:
    """The disk under the embedded database fills up while commands write to it, and then gets room again.

    Commands exit with 75 or 4 and no traceback; nothing acknowledged is lost; once there is room, the same commands
    succeed.
    """
    outcome = Outcome("disk full under the database", "small tmpfs, filled", COMMAND)
    (folder / "history").mkdir()
    recorder = Recorder(folder / "history")
    with small_disk(folder, DISK) as disk:
        settings = at_home(disk / "home", bucket_size=5)
        environment = outside()
        environment |= {"DMCHECK_HOME": str(disk / "home"), "DMCHECK_TIMEOUT_SECONDS": str(IMPATIENCE)}
        try:
            with Database(settings, "tests") as database:
                supply(Actor(database, recorder), (1,), 0, 500)
            ballast = disk / "ballast"
            _fill(ballast)
            refused = None
            for number in range(MAX_BATCHES):
                names = [f"f{number}_{i}" for i in range(BATCH)]
                if _command(environment, recorder, outcome, "users add", names) != 0:
                    outcome.faults += 1
                    refused = names
                    break
            os.truncate(ballast, ballast.stat().st_size - A_LITTLE)
            for kind in ("fetch", "fetch", "users add"):
                if _command(environment, recorder, outcome, kind, [f"more{i}" for i in range(BATCH)]) != 0:
                    outcome.faults += 1
            ballast.unlink()
            environment["DMCHECK_TIMEOUT_SECONDS"] = str(PATIENCE)  # a new server must plan its first fetch
            for kind, names in (("users add", refused or []), ("fetch", [])):
                if _command(environment, recorder, outcome, kind, names) != 0:
                    outcome.violations.append(f"{kind} does not succeed although there is room again")
                    server.stop(settings)
                    if _command(environment, recorder, outcome, kind, names) != 0:
                        outcome.violations.append(f"{kind} does not succeed even after `dmcheck server stop`")
            with Database(at_home(disk / "home"), "tests") as database:
                operations = read(folder / "history")
                outcome.violations += broken(database.run_text)
                outcome.violations += contradictions(operations, database.run_text, calm=False)
            outcome.violations += _closed_in_vain(disk / "home" / "neo4j" / "logs" / "neo4j.log")
            outcome.count(operations)
        finally:
            recorder.close()
            server.stop(settings)
    return outcome


def _closed_in_vain(log: Path) -> list[str]:
    """A server that refused everything must not have closed its files: it would write the cut part once more."""
    refused = False
    for line in log.read_text("utf-8").splitlines():
        if "shutdown initiated" in line and refused:
            return ["the server closed its files after it had refused everything"]
        refused = "needs to be restarted" in line or (refused and "Starting..." not in line)
    return []


def _fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            return


def _command(environment: dict[str, str], recorder: Recorder, outcome: Outcome, kind: str, names: Sequence[str]) -> int:
    """Run one command as a process, record it, and judge its exit."""
    if kind == "fetch":
        request = f"r{time.monotonic_ns()}"
        arguments = ["fetch", "--client", "1", "--count", "1", "--request-id", request, "--json"]
        number = recorder.begin(kind, 1, {"count": 1, "request": request})
    else:
        arguments = ["users", "add", "--json"]
        number = recorder.begin(kind, None, {"names": list(names)})
    began = time.monotonic()
    done = subprocess.run(
        [*DMCHECK, *arguments],
        env=environment,
        input="".join(f"{name}\n" for name in names),
        capture_output=True,
        text=True,
        timeout=MAX_WAIT_SECONDS,
        check=False,
    )
    if done.returncode not in IN_TROUBLE or "Traceback" in done.stderr:
        outcome.violations.append(f"{kind} ended with {done.returncode}: {done.stderr[-500:]}")
    if (took := time.monotonic() - began) > int(environment["DMCHECK_TIMEOUT_SECONDS"]) + FOR_A_START:
        outcome.violations.append(f"{kind} took {took:.0f} seconds")
    # With 4 the database did not answer at all, which says nothing about an earlier attempt.
    told = ("unknown", None) if done.returncode == 4 else of_command(done.returncode, done.stdout, done.stderr)
    recorder.end(number, *told)
    return done.returncode


def lost_output(database: Database, environment: dict[str, str], scenarios: Sequence[Scenario]) -> Outcome:
    """stdout on a full disk, or a pipe without a reader: the command has taken effect, exits with 75 and says so
    without a traceback; repeated, it prints and leaves what it should."""
    outcome = Outcome("stdout on a full disk; a closed pipe", "/dev/full; closed read end", COMMAND)
    for scenario in scenarios:
        direct = {**environment, **scenario.variables}
        expected = expect(database, scenario, Prepared(direct, scenario.program))
        for way in ("full disk", "closed pipe"):
            where = f"{scenario.name}, {way}"
            arguments, stdin = scenario.arrange(database)
            with _nowhere(way) as nowhere:
                done = subprocess.run(
                    [sys.executable, "-c", f"from {MODULES[scenario.program]} import main; main()", *arguments],
                    env=direct,
                    input=stdin,
                    stdout=nowhere,
                    stderr=subprocess.PIPE,
                    text=True,
                    timeout=MAX_WAIT_SECONDS,
                    check=False,
                )
            if done.returncode == 75 and "has taken effect" in done.stderr:
                outcome.faults += 1
                outcome.unknown += 1
            else:
                outcome.violations.append(f"{where}: ended with {done.returncode}: {done.stderr[-300:]}")
            if "Traceback" in done.stderr or "Exception ignored" in done.stderr:
                outcome.violations.append(f"{where}: {done.stderr[-300:]}")
            expected.left(database, where, outcome)
            again = Prepared(direct, scenario.program).run(*arguments, stdin=stdin)
            expected.finished(database, f"{where}, repeated", again, outcome)
    return outcome


@contextmanager
def _nowhere(way: str) -> Iterator[int]:
    """A file descriptor that cannot be written to."""
    if way == "full disk":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        read_end, end = os.pipe()
        os.close(read_end)
    try:
        yield end
    finally:
        os.close(end)


def long_list(database: Database, environment: dict[str, str], folder: Path, count: int) -> Outcome:
    """A list of `count` names, killed in the middle and repeated: missing names are added, a third run adds nothing,
    and the client's memory exceeds that of a short list only by a fixed amount."""
    outcome = Outcome(f"a list of {count:,} names, killed in the middle", "kill -9 of users add", COMMAND)
    empty(database)
    _, short = _add(environment, _list(folder, "short", BATCH))
    names = _list(folder, "long", count)
    killed = subprocess.Popen([*DMCHECK, "users", "add", str(names)], env=environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: _users(database) > BATCH + min(count // 4, 4 * BATCH))
    killed.send_signal(signal.SIGKILL)
    if killed.wait() == -signal.SIGKILL:
        outcome.faults += 1
        outcome.unknown += 1
    wait_until(
        lambda: (
            not database.run_text(
                "SHOW TRANSACTIONS YIELD metaData WHERE metaData.command = 'users add' RETURN 1 AS one"
            )
        )
    )
    there = _users(database) - BATCH
    for added in (count - there, 0):
        told, peak = _add(environment, names)
        outcome.ok += 1
        if (told["added"], told["existing"]) != (added, count - added):
            outcome.violations.append(f"users add says {told} where {added} of {count} were missing")
        if peak > short + MORE_MEMORY:
            outcome.violations.append(f"{count} names took {peak} KB at the peak, {BATCH} took {short} KB")
        outcome.fault = (
            f"a list of {count:,} names, killed in the middle; peak {peak // 1024} MB ({BATCH:,}: {short // 1024})"
        )
    if _users(database) != count + BATCH:
        outcome.violations.append(f"there are {_users(database)} users of {count + BATCH}")
    return outcome


def _list(folder: Path, name: str, count: int) -> Path:
    path = folder / name
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{name}_{i:07}\n" for i in range(count))
    return path


def _add(environment: dict[str, str], names: Path) -> tuple[dict[str, int], int]:
    """Add a list; returns the command's result, and its peak resident memory in KB."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*DMCHECK, "users", "add", str(names), "--json"], env=environment, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"users add ended with {process.returncode}"
        out.seek(0)
        told: dict[str, int] = json.load(out)
    return told, usage.ru_maxrss


def _users(database: Database) -> int:
    [row] = database.run_text("MATCH (u:User) RETURN count(u) AS users")
    return int(row["users"])


def run(settings: Settings, *, names: int = 1_000_000) -> list[Outcome]:
    """The long form: a full disk, lost output of every command, and a list of `names` names."""
    outcomes = []
    folder = Path(tempfile.mkdtemp(prefix="dmcheck-resources-"))
    try:
        if (reason := without_mount(folder)) is None:
            outcomes.append(full_disk(folder))
        else:
            print(f"not run: {reason}", file=sys.stderr)
        environment = bare_environment(settings, folder)
        with Database(settings, "tests") as database:
            outcomes.append(long_list(database, environment, folder, names))
            empty(database)
            outcomes.append(lost_output(database, environment, SCENARIOS))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcomes
