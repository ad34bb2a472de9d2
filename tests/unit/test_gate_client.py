"""A volunteer's machine with DMCHECK_GATE: which commands go through it, and that it needs no driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.gates import END, GREETING, FakeGate, answer, refusal
from support.in_process import call
from support.programs import outside

from dmcheck_cli.settings import Settings

GATE = "DMCHECK_GATE"
GOOD = [
    "host",
    "dmcheck@host",
    "dmcheck@host.example.org",
    "ssh://dmcheck@host:2222",
    "d-m.c_k@::1",
    "ssh://d@[::1]:22",
]
BAD = [
    "-oProxyCommand=id",
    "dmcheck@-oProxyCommand=id",
    "ssh://-oProxyCommand=id",
    "dmcheck@host:22",
    "dmcheck@host;id",
    "$(id)@host",
    "`id`@host",
    "a b@host",
    "dmcheck@host extra",
    "@host",
    "dmcheck@",
    "ssh://dmcheck@host:port",
    "ssh://dmcheck@host/path",
    "http://host",
    "dmcheck@h\u00f6st",
]
OTHERS: list[tuple[str, tuple[str, ...]]] = [  # and `server start`, which is about the embedded one
    ("dmcheck", ("users", "add", "users.txt")),
    ("dmcheck", ("users", "pending")),
    ("dmcheck", ("register", "--id", "42", "--screen-name", "x")),
    ("dmcheck", ("unregister", "--id", "42", "--screen-name", "x")),
    ("dmcheck", ("prioritize", "NASA")),
    ("dmcheck", ("log",)),
    ("dmcheck", ("client", "suspend", "42")),
    ("dmcheck", ("schema", "apply")),
    ("dmcheck", ("doctor",)),
    ("make_buckets", ()),
    ("judge_clients", ()),
]
WITHOUT_DRIVER = "import sys; sys.modules['neo4j'] = None; from dmcheck_cli.cli import main; main()"
LEASE = {
    "bucket": "B",
    "lease": "L",
    "priority": 100,
    "expires": None,
    "users": [{"screen_name": "NASA", "id": 11348282, "id_str": "11348282"}],
}


@pytest.mark.parametrize("gate", GOOD)
def test_what_ssh_takes_for_a_destination(gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GATE, gate)
    assert Settings.load().gate == gate


@pytest.mark.parametrize("gate", BAD)
def test_a_gate_is_no_option_and_no_command(gate: str, tmp_path: Path) -> None:
    result = call(("settings", "--json"), {**outside(), GATE: gate}, tmp_path)
    assert (result.status, result.error["code"]) == (4, "not_configured")
    assert GATE in result.error["message"]


@pytest.mark.parametrize(
    ("program", "arguments", "uri"),
    [
        ("dmcheck", ("server", "start"), ""),
        *((*other, uri) for other in OTHERS for uri in ("", "bolt://127.0.0.1:1")),
    ],
)
def test_what_needs_a_database_starts_none(program: str, arguments: tuple[str, ...], uri: str, tmp_path: Path) -> None:
    """Not even an empty one that would say that nothing is to be done; and uses none whose address is set as well."""
    (tmp_path / "users.txt").write_text("NASA\n")
    home = tmp_path / "home"
    environment = {**outside(), GATE: "dmcheck@host", "DMCHECK_HOME": str(home), "NEO4J_URI": uri}
    environment |= {"NEO4J_PASSWORD": "x", "DMCHECK_TIMEOUT_SECONDS": "1"}
    result = call((*arguments, "--json"), environment, tmp_path, program)
    assert (result.status, result.error["code"]) == (4, "not_configured")
    assert "The operator does the rest, and registers clients" in result.error["message"]
    assert not home.exists()


def test_settings_say_that_there_is_a_gate(tmp_path: Path) -> None:
    result = call(("settings", "--json"), {**outside(), GATE: "dmcheck@host"}, tmp_path)
    assert result.document["database"] == {"uri": None, "embedded": False, "home": None, "gate": "dmcheck@host"}


def without_driver(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a Python that has no package `neo4j`."""
    command = [sys.executable, "-c", WITHOUT_DRIVER, *arguments]
    given = {**outside("PATH"), "HOME": str(folder), **environment}
    return subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, check=False, input="")


@pytest.mark.parametrize("verb", ["fetch", "submit", "renew", "release", "work", "stats"])
def test_help_needs_no_driver(verb: str, tmp_path: Path) -> None:
    assert without_driver(tmp_path, verb, "--help").returncode == 0


def test_through_the_gate_without_a_driver(tmp_path: Path) -> None:
    """`fetch`, and the whole loop, which waits where the gate is asked too often, and comes back when it is lost."""
    gate = FakeGate(tmp_path)
    report = {"bucket": "B", "status": "done", "accepted": 1, "returned": 0, "refused": []}
    nothing, too_fast = refusal("nothing_to_fetch", 3, 5.0), refusal("too_fast", 1, 0.1)
    taken, done = answer(buckets=[LEASE]), answer(buckets=[report])
    gate.follows(
        {"answers": [GREETING, taken]},
        {"answers": [GREETING, nothing, taken, too_fast, END]},
        {"answers": [GREETING, done, nothing]},
    )
    checker = tmp_path / "checker"
    checker.write_text(f"#!{sys.executable}\nprint('{json.dumps({'screen_name': 'NASA', 'candm': 'DM'})}')\n")
    checker.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {GATE: "dmcheck@host", "PATH": path, "DMCHECK_TIMEOUT_SECONDS": "5"}
    fetched = without_driver(tmp_path, "fetch", "--client", "42", "--json", **environment)
    assert (fetched.returncode, fetched.stderr) == (0, "")
    assert json.loads(fetched.stdout) == {"client": 42, "buckets": [LEASE]}
    worked = without_driver(tmp_path, "work", "--client", "42", "--once", "--json", "--", str(checker), **environment)
    assert worked.returncode == 0, worked.stderr
    assert json.loads(worked.stdout)["users"] == 1
    assert [one["verb"] for one in gate.requests()] == ["fetch", "resume", "fetch", *["submit"] * 3, "fetch"]
    assert len(gate.arguments()) == 3, "one connection for all of `work`, until it is lost"


def test_a_database_without_a_driver_is_named(tmp_path: Path) -> None:
    environment = {"NEO4J_URI": "bolt://127.0.0.1:1", "NEO4J_PASSWORD": "x"}
    result = without_driver(tmp_path, "fetch", "--client", "42", **environment)
    assert result.returncode == 4
    assert "the driver is not installed: `pip install neo4j`" in result.stderr
