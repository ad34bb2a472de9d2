"""`work` and its friends through a real sshd: what a volunteer does, and what happens to the connection meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.graphs import MAX_WAIT_SECONDS, prepare, start, wait_until
from support.invariants import Query, broken
from support.programs import Result, launcher, outside
from support.sshd import Sshd, needs_sshd
from support.working import CLEAN, CLIENT, FILTER, Checker, Way, answered_users, ended, gone, held, noted

from dmcheck_cli.database.connection import Database

pytestmark = [needs_sshd, pytest.mark.process]

SLOW = "note('up')\nwait_for('go')\n" + FILTER
ASKING = (
    "for line in sys.stdin:\n    user = json.loads(line)\n    ask(user)\n    time.sleep(0.01)\n    say(user, 'DM')\n"
)

Run = Callable[..., Result]


@pytest.fixture
def sshd(database: Database, neo4j_environment: dict[str, str], tmp_path: Path) -> Iterator[Sshd]:
    """The operator's machine; the account of its gate reads the database's password."""
    account = {
        **neo4j_environment,
        "XDG_STATE_HOME": str(tmp_path / "operator"),
        "DMCHECK_MAX_UNJUDGED": "0",
        "DMCHECK_GATE_REQUESTS_PER_MINUTE": "6000",
    }
    with Sshd(tmp_path / "sshd", account) as one:
        yield one


@pytest.fixture
def way(sshd: Sshd) -> Iterator[Way]:
    """The volunteer's network, which can be cut."""
    with Way("127.0.0.1", sshd.port) as one:
        yield one


@pytest.fixture
def volunteer(sshd: Sshd, way: Way, run: Run) -> dict[str, str]:
    """The environment of the machine of CLIENT, whose key the operator has added: no database, no password."""
    machine = sshd.volunteer("volunteer", way.port)
    add = ("gate", "add", "--client", CLIENT, "--screen-name", "@volunteer", "--key", sshd.key_of("volunteer"))
    added = run(*add, DMCHECK_AUTHORIZED_KEYS=str(sshd.authorized_keys))
    assert added.status == 0, added.err
    return {**outside(), **machine, "COLUMNS": "120", "DMCHECK_TIMEOUT_SECONDS": "20"}


def ssh_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The connections that a command of ours has open."""
    with suppress(psutil.NoSuchProcess):
        return [one for one in psutil.Process(process.pid).children() if one.name() == "ssh"]
    return []


def asked(folder: Path) -> list[str]:
    """The users that checkers were asked for, once for each time."""
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def in_order(database: Database, query: Query, users: int) -> None:
    """All are answered, every lease was answered, and the graph is whole."""
    assert answered_users(query) == users
    assert held(query) == 0
    [row] = query("MATCH (:DMCheckClient {id: $id})-[:STATS]->(s) RETURN s", id=CLIENT)
    assert row["s"]["buckets_assigned"] == row["s"]["buckets_processed"] == users // 4
    assert row["s"]["buckets_fault"] == row["s"]["buckets_dead"] == 0
    assert broken(query) == []


@pytest.mark.parametrize("kind", ["ssh is killed", "the network is cut", "the gate's process is killed"])
def test_connections_that_end_cost_nothing(
    kind: str,
    database: Database,
    query: Query,
    volunteer: dict[str, str],
    way: Way,
    sshd: Sshd,
    checker: Checker,
    tmp_path: Path,
) -> None:
    """Again and again, at any moment: no answer is lost, and no user is asked for twice."""
    prepare(database, [], 80, size=4)
    arguments = ("work", "--json", "--once", "--client", CLIENT, "--", *checker(ASKING))
    losses = 0
    with start({**volunteer, "DMCHECK_TIMEOUT_SECONDS": "60"}, *arguments) as process:
        while process.poll() is None and losses < 5:
            wait_until(lambda: process.poll() is not None or bool(ssh_of(process)))
            more = answered_users(query) + 1
            wait_until(lambda more=more: process.poll() is not None or answered_users(query) >= more)
            time.sleep(random.uniform(0, 0.1))
            if kind == "the network is cut":
                way.cut()
                way.mend()
                losses += 1
                continue
            for one in ssh_of(process) if kind == "ssh is killed" else gates(sshd):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
                    losses += 1
        status, summary, err = ended(process)
    assert status == 0, err
    assert losses >= 3, "too few connections were lost to show anything"
    assert (summary["users"], summary["failures"]) == (80, CLEAN)
    assert sorted(asked(tmp_path)) == sorted(set(asked(tmp_path)))
    in_order(database, query, 80)


def test_a_connection_that_falls_silent_is_left(
    database: Database, query: Query, volunteer: dict[str, str], sshd: Sshd, checker: Checker, tmp_path: Path
) -> None:
    """Nobody closes it, as where a router forgot it: ssh notices in half of the time, and the request is repeated."""
    prepare(database, [], 4, size=4)
    arguments = ("work", "--json", "--once", "--client", CLIENT, "--", *checker(SLOW))
    assert sshd._process is not None
    stopped = []
    try:
        with start({**volunteer, "DMCHECK_TIMEOUT_SECONDS": "30"}, *arguments) as process:
            wait_until(lambda: bool(noted(tmp_path, "up")))
            for one in psutil.Process(sshd._process.pid).children():
                one.suspend()
                stopped.append(one)
            (tmp_path / "go").touch()
            status, summary, err = ended(process)
    finally:
        for one in stopped:
            one.kill()
    assert stopped
    assert status == 0, err
    assert (summary["users"], summary["failures"]) == (4, CLEAN)
    in_order(database, query, 4)


def gates(sshd: Sshd) -> list[psutil.Process]:
    """The gate's processes on the operator's machine."""
    assert sshd._process is not None
    found = psutil.Process(sshd._process.pid).children(recursive=True)
    return [one for one in found if "gate run" in " ".join(one.cmdline())]


def test_a_gate_that_is_away_is_waited_for(
    database: Database, query: Query, volunteer: dict[str, str], way: Way, checker: Checker, tmp_path: Path
) -> None:
    """COMMAND goes on meanwhile, its answers are kept, and handed in when the gate is back."""
    prepare(database, [], 8, size=4)
    arguments = ("work", "--json", "--once", "--client", CLIENT, "--", *checker(SLOW))
    with start({**volunteer, "DMCHECK_TIMEOUT_SECONDS": "3"}, *arguments) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        way.cut()
        (tmp_path / "go").touch()
        assert process.stderr is not None
        while "the answers of 1 buckets are kept" not in (line := process.stderr.readline()):
            assert "no success with the gate" in line
        way.mend()
        status, summary, err = ended(process)
    assert status == 0, err
    assert summary["users"] == 8
    assert summary["failures"]["temporary"] >= 1
    in_order(database, query, 8)


def test_ctrl_c_hands_in_through_the_gate(
    database: Database, query: Query, volunteer: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The whole group gets the signal, as from a terminal: ssh must not end before the answers are handed in."""
    prepare(database, [], 8, size=4)
    body = "user = json.loads(sys.stdin.readline())\nsay(user, 'DM')\nnote('up')\nwait_for('go')\n"
    process = subprocess.Popen(
        [*launcher("dmcheck"), "work", "--json", "--client", str(CLIENT), "--", *checker(body)],
        env=volunteer,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        [ssh] = ssh_of(process)
        os.killpg(process.pid, signal.SIGINT)
        status, summary, err = ended(process)
    assert status == 0, err
    assert summary["users"] == 1
    assert answered_users(query) == 1
    assert held(query) == 0
    assert gone(ssh.pid)


def test_ssh_ends_with_a_loop_that_is_killed(
    database: Database, volunteer: dict[str, str], checker: Checker, tmp_path: Path, sshd: Sshd
) -> None:
    """kill -9: its stdin closes, so nothing stays behind on either machine."""
    prepare(database, [], 8, size=4)
    with start(volunteer, "work", "--client", CLIENT, "--", *checker(SLOW)) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        [ssh] = ssh_of(process)
        process.kill()
        wait_until(lambda: gone(ssh.pid))
        wait_until(lambda: not gates(sshd))


def test_a_removed_key_ends_the_loop(
    database: Database, volunteer: dict[str, str], checker: Checker, tmp_path: Path, sshd: Sshd, run: Run
) -> None:
    """At its next request, on a connection that is open; what it has answered stays on its machine, and is told."""
    prepare(database, [], 4, size=4)
    with start(volunteer, "work", "--json", "--client", CLIENT, "--", *checker(SLOW)) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        removed = run("gate", "remove", "--client", CLIENT, DMCHECK_AUTHORIZED_KEYS=str(sshd.authorized_keys))
        assert removed.status == 0
        (tmp_path / "go").touch()
        status, _, err = ended(process)
    assert (status, json.loads(err[-1])["error"]["code"]) == (4, "not_admitted")
    assert any("4 answers are kept in" in line for line in err)


def test_every_verb_through_the_gate(database: Database, query: Query, volunteer: dict[str, str], run: Run) -> None:
    """Documents, statuses and errors are those of the commands beside the database."""
    prepare(database, [], 12, size=4)

    def there(*arguments: object, stdin: str = "", client: int = CLIENT) -> Result:
        with start(volunteer, *arguments, "--client", client, "--json", stdin=stdin) as process:
            out, err = process.communicate(timeout=MAX_WAIT_SECONDS)
        return Result(process.returncode, out, err)

    def alike(*arguments: object, stdin: str = "") -> Result:
        far = there(*arguments, stdin=stdin)
        near = run(*arguments, "--client", CLIENT, "--json", stdin=stdin)
        assert (far.status, shape(far)) == (near.status, shape(near))
        return far

    taken = alike("fetch", "--count", 2, "--request-id", "K")
    fetched = taken.document
    assert shape(alike("fetch", "--resume")) == shape(taken)
    first, second = ({"--bucket": one["bucket"], "--lease": one["lease"]} for one in fetched["buckets"])
    renew, release = (
        [verb, *(part for pair in one.items() for part in pair)]
        for verb, one in (("renew", first), ("release", second))
    )
    assert alike(*renew).document["expires"] > fetched["buckets"][0]["expires"]
    assert alike(*release).document["returned"] == 4
    answer = [{**user, "candm": "DM"} for user in fetched["buckets"][0]["users"]]
    document = json.dumps({"buckets": [{**fetched["buckets"][0], "users": answer}]})
    assert alike("submit", stdin=document).document["buckets"][0]["accepted"] == 4
    assert alike("submit", stdin=document.replace('"DM"', '"NON_DM"')).error["code"] == "payload_changed"
    assert alike(*renew).error["code"] == "lease_lost"
    assert alike("submit", stdin="{}").status == 2
    assert alike("stats").document["clients"][0]["buckets_processed"] == 1
    assert there("stats", "--watch").status == 2
    other = there("fetch", client=43)
    assert (other.status, other.error["code"]) == (1, "wrong_client")


def shape(result: Result) -> Any:
    """What two runs one after the other must have in common: everything but times, and the order of users."""
    if not result.out:
        return json.loads(result.err.splitlines()[-1])["error"] | {"retry_after": None}

    def compared(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: compared(one)
                for name, one in value.items()
                if not name.endswith(("_seconds", "_time", "expires"))
            }
        return sorted(map(compared, value), key=repr) if isinstance(value, list) else value

    return compared(result.document)
