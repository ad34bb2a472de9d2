"""The tour: every line that it shows works, a second one too, and whatever ends it leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.graphs import MAX_WAIT_SECONDS
from support.programs import PROGRAMS

SCRIPTS = Path(__file__).parents[2] / "scripts"
WALK = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import environment, tour
environment.ensure = lambda tests: Path(sys.argv[2])
tour.HOME = Path(sys.argv[3])
sys.exit(tour.main())
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The tour with this environment's programs in place of `.venv`'s, on a home of the tests'."""
    folder = tmp_path_factory.mktemp("tour")
    programs, home = folder / "bin", folder / "with a space"
    programs.mkdir()
    for name, module in PROGRAMS.items():
        (programs / name).write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n")
        (programs / name).chmod(0o700)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o700)
    return [sys.executable, "-c", WALK, str(SCRIPTS), str(programs), str(home)]


@pytest.fixture
def home(command: list[str]) -> Iterator[Path]:
    """The tour's home, on which nothing runs afterwards."""
    yield Path(command[-1])
    assert servers(Path(command[-1])) == []


def servers(home: Path) -> list[int]:
    """The pids of all processes that have this home in their command line."""
    mark = f"--home-dir={os.path.realpath(home)}"
    found = psutil.process_iter(["cmdline"])
    return [one.pid for one in found if any(mark in word for word in one.info["cmdline"] or [])]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_tour_leaves_nothing_running(command: list[str], home: Path, how: signal.Signals) -> None:
    """Ctrl-C, or SIGTERM, while the server starts: exit 130, a sentence, no server, no traceback."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tour:
        assert tour.stderr
        while "Starting the embedded Neo4j" not in (line := tour.stderr.readline()):
            assert line, "the tour ended before it started a server"
        tour.send_signal(how)
        _, said = tour.communicate(timeout=MAX_WAIT_SECONDS)
    assert tour.returncode == 130
    assert "Interrupted; nothing is left running." in said
    assert "Traceback" not in said


def test_a_tour_after_an_interrupted_one_ends_with_everything_checked(command: list[str], home: Path) -> None:
    """It exits 0, shows its lines, checks all users, and the NEO4J_URI of the caller is left alone."""
    outside = {**os.environ, "NEO4J_URI": "bolt://127.0.0.1:1", "DMCHECK_LEASE_SECONDS": "wrong"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=5 * MAX_WAIT_SECONDS, env=outside, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "a demo, it checks nothing" in done.stderr
    users = (SCRIPTS / "sample_users.jsonl").read_text("utf-8").splitlines()
    assert f"make_buckets: buckets {len(users) // 20}, users {len(users)}" in done.stdout
    assert "marked dead 1, released 0" in done.stdout
    assert "marked dead 0, released 1" in done.stdout
    # Each bucket once, one that was made for urgent users, and the lease that died.
    assert f"judge_clients: judged {len(users) // 20 + 2}, " in done.stdout
    shown = [line.removeprefix("$ ") for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert any(line.startswith("dmcheck fetch --client 42 --count 2 --json | ") for line in shown)
    assert shown[-1].startswith("head -n ")
    head, first, *_ = done.stdout.partition("$ head -n ")[2].splitlines()[1:]
    assert head == "screen_name,id,answer,answered_by,answered_at,verdict,confidence"
    assert (first.split(",")[2], first.split(",")[5]) == ("DM", "open")
    system = done.stdout.split("all  waiting")[-1].splitlines()[1].split()
    assert system[:4] == [str(len(users)), "0", "0", str(len(users))]


def test_a_step_that_fails_ends_the_tour_with_its_status(command: list[str], home: Path, tmp_path: Path) -> None:
    """A missing folder of jars: exit 4, the reason, and no traceback."""
    variables = {**os.environ, "DMCHECK_JARS_FOLDER": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS, env=variables, check=False)
    assert done.returncode == 4
    assert "DMCHECK_JARS_FOLDER" in done.stderr
    assert "the tour ends here" in done.stderr
    assert "Traceback" not in done.stderr


def test_sample_users_are_names_each_once_without_made_up_ids() -> None:
    """About 200 accounts, valid names, no two that differ in case only, and no `id`."""
    users = [json.loads(line) for line in (SCRIPTS / "sample_users.jsonl").read_text("utf-8").splitlines()]
    names = [user["screen_name"] for user in users]
    assert all(user.keys() == {"screen_name"} for user in users)
    assert len({name.lower() for name in names}) == len(names) == 200
    # Twitter gives out 15 characters at most.
    assert all(name.replace("_", "").isalnum() and name.isascii() and len(name) <= 15 for name in names)


def check(document: str) -> subprocess.CompletedProcess[str]:
    """Run the demo checker on a document."""
    checker = [sys.executable, str(SCRIPTS / "demo_checker.py")]
    return subprocess.run(
        checker, input=document, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS, check=False
    )


def test_the_demo_checker_says_that_it_is_one_and_answers_alike_each_time() -> None:
    """Each user gets one of the three answers, all else stays, and stderr says that nothing was checked."""
    users = [{"screen_name": f"user{i}", "id": None} for i in range(200)]
    document = {"client": 1, "buckets": [{"bucket": "b", "lease": "l", "users": users}]}
    first, second = check(json.dumps(document)), check(json.dumps(document))
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert "checks nothing" in first.stderr
    answered = json.loads(first.stdout)
    answers = [user.pop("candm") for user in answered["buckets"][0]["users"]]
    assert answered == document
    assert set(answers) == {"DM", "NON_DM", "UNKNOWN"}


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"buckets": [{}]}', "no json"])
def test_the_demo_checker_refuses_what_is_no_document(document: str) -> None:
    """Exit 2, a sentence, and nothing on stdout that `submit` could take for answers."""
    done = check(document)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
