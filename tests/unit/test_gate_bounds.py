"""What one client, and all, may cost a gate; and how a conversation is read: sizes, times, ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dmcheck_cli.errors import (
    DmcheckError,
    GateFull,
    Malformed,
    NotAdmitted,
    NotConfigured,
    NotRegistered,
    OverQuota,
    Suspended,
    Temporary,
    TooFast,
    WrongClient,
)
from dmcheck_cli.gate import bounds as module
from dmcheck_cli.gate import serve, telling
from dmcheck_cli.gate.bounds import Bounds, refusals
from dmcheck_cli.gate.protocol import MAX_REQUEST_BYTES
from dmcheck_cli.settings import Settings

TIGHT = {"gate_requests_per_minute": 4, "gate_connections_per_key": 2, "gate_connections": 3}

HOLDER = """
import sys
from dmcheck_cli.gate.bounds import Bounds
from dmcheck_cli.settings import Settings
Bounds(Settings(gate_connections_per_key=2, gate_connections=3), int(sys.argv[1])).connect()
print("held", flush=True)
sys.stdin.read()
"""


TAKER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "REFUSAL_SECONDS", 0)
    monkeypatch.setattr(module, "TURN_AWAY_SECONDS", 0)


def _held(client: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(client)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_connections_of_a_client_and_in_all() -> None:
    """Those of processes that were killed are free at once."""
    settings = Settings(**TIGHT)
    holders = [_held(1), _held(1)]
    try:
        with pytest.raises(TooFast, match="2 connections"):
            Bounds(settings, 1).connect()
        holders.append(_held(2))
        with pytest.raises(GateFull):
            Bounds(settings, 3).connect()
        holders[0].kill()
        holders[0].wait()
        Bounds(settings, 3).connect()
    finally:
        for one in holders:
            one.kill()
            one.communicate()


def test_who_is_turned_away_waits_but_not_too_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while as many wait as may is refused at once."""
    slept: list[float] = []
    monkeypatch.setattr(module, "TURN_AWAY_SECONDS", 7)
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    monkeypatch.setattr(time, "sleep", slept.append)
    holders = [_held(1), _held(1)]
    try:
        one = Bounds(Settings(**TIGHT), 1)
        with pytest.raises(TooFast):
            one.connect()
        assert slept == [7]
        command = [sys.executable, "-c", TAKER, str(module.folder() / "waiting")]
        holders.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert holders[-1].stdout is not None
        assert holders[-1].stdout.readline() == b"taken\n"
        with pytest.raises(TooFast):
            one.connect()
        assert slept == [7]
    finally:
        for each in holders:
            each.kill()
            each.communicate()


def test_requests_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many at once as in ten seconds; who comes a little too soon waits; then it is refused, and not counted."""
    now, slept = [1000.0], [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    settings = Settings(gate_requests_per_minute=24)  # one in 2.5 seconds, four at once
    one, other = Bounds(settings, 1), Bounds(settings, 2)
    for _ in range(4):
        one.request()
    assert slept == [0]
    one.request()
    assert slept == [2.5]
    other.request()
    assert slept == [2.5]
    monkeypatch.setattr(time, "sleep", slept.append)
    for wait in (2.5, 5):
        one.request()
        assert slept[-1] == wait
    for _ in range(3):
        with pytest.raises(TooFast) as refused:
            one.request()
        assert refused.value.retry_after == 7.5
    now[0] += 60
    for _ in range(4):
        one.request()
        assert slept[-1] == 0
    now[0] = 5.0  # the machine was restarted, and its clock began at zero
    one.request()
    assert slept[-1] == 0


def test_refusals_are_counted_and_logged_in_files_that_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By client and code; the log has the whole message, without raw control characters."""
    monkeypatch.setattr(module, "MAX_LOG_BYTES", 2000)
    one = Bounds(Settings(), 1, "SHA256:one")
    one.request()
    for _ in range(40):
        one.refused(Malformed(what="bad \x1b\n\x9b\u202e"))
    Bounds(Settings(), 2).refused(NotAdmitted())
    found = refusals()
    assert [(each["client"], each["reason"], each["count"]) for each in found] == [
        (1, "malformed", 40),
        (2, "not_admitted", 1),
    ]
    assert found[0]["last"].endswith("Z")
    folder = tmp_path / "dmcheck" / "gate"
    logged = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    assert {(line["client"], line["key"]) for line in logged[-2:]} == {(1, "SHA256:one"), (2, None)}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3 * 2000 + 1000
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    lines = (folder / "log").read_text().splitlines() + (folder / "log.1").read_text().splitlines()
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert json.loads(lines[-1])["message"] == "bad \x1b\n\x9b\u202e"


def test_a_file_that_a_crash_cut_is_begun_anew(tmp_path: Path) -> None:
    Bounds(Settings(), 1).request()
    path = tmp_path / "dmcheck" / "gate" / "client-1"
    for content in (b'{"paid": 12', b"[]", b"\xff"):
        path.write_bytes(content)
        Bounds(Settings(), 1).request()
        assert refusals() == []
        assert "paid" in json.loads(path.read_bytes())


@pytest.mark.parametrize(
    "problem",
    [
        Temporary(what="cannot reach Neo4j at bolt://db.internal:7687"),
        NotConfigured(what="the database does not let us in: account neo4j"),
        PermissionError(13, "Permission denied", "/home/operator/secret"),
        KeyError("neo4j_password"),
        MemoryError(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_strangers_are_told_nothing_of_the_operators_side(problem: Exception) -> None:
    said = telling.outward(problem)
    for part in ("db.internal", "neo4j", "/home", "secret", ".py"):
        assert part not in said.message
    assert "repeat" in said.message or "ell the operator" in said.message


def test_what_is_about_them_they_are_told() -> None:
    for problem in (WrongClient(client=1, other=2), GateFull(), NotAdmitted(), Malformed(what="x")):
        assert telling.outward(problem) is problem


@pytest.mark.parametrize("problem", [NotRegistered(client=7), Suspended(client=7, reason=" (too fast)")])
def test_they_are_named_no_command_that_only_the_operator_can_give(problem: DmcheckError) -> None:
    """And the database has counted it."""
    said = telling.outward(problem)
    assert (said.code, said.exit_status, said.retry_after) == (problem.code, problem.exit_status, problem.retry_after)
    assert said.message.startswith("Client 7 is ")
    assert said.message.endswith(". Ask the operator.")
    assert "`" not in said.message
    assert not telling.is_counted(problem, said)


@pytest.mark.parametrize(
    ("problem", "counted"),
    [
        (TooFast(what="Client 1 asks too often", seconds=3), True),
        (WrongClient(client=1, other=2), True),
        (Malformed(what="x"), True),
        (Temporary(what="cannot reach Neo4j at bolt://db.internal:7687"), True),
        (OverQuota(client=1, held=2), False),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_gate_counts_what_it_refuses_and_what_it_does_not_tell(problem: DmcheckError, counted: bool) -> None:
    """What the database decides about a client is counted there."""
    assert telling.is_counted(problem, telling.outward(problem)) is counted


class Pipes:
    """A conversation in a thread: what the gate reads and writes. Nobody has a database here."""

    def __init__(self, admit: Callable[[], None] = lambda: None) -> None:
        source, self.to_gate = os.pipe()
        self.from_gate, sink = os.pipe()
        self.heard = os.fdopen(self.from_gate, "rb")

        class Nothing:
            lease_seconds = 7200

        def talk() -> None:
            service: Any = Nothing()
            serve.talk(service, 42, Bounds(Settings(gate_requests_per_minute=1000), 42), admit, "0", (source, sink))
            os.close(sink)
            os.close(source)

        self.thread = threading.Thread(target=talk)
        self.thread.start()
        assert json.loads(self.heard.readline())["client"] == 42

    def answer(self) -> dict[str, Any]:
        """The next answer, {} at the end."""
        line = self.heard.readline()
        return json.loads(line) if line else {}

    def send(self, content: bytes) -> None:
        """Write all of it."""
        left = memoryview(content)
        while left:
            left = left[os.write(self.to_gate, left) :]


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """A conversation that ends with the test."""
    pipes = Pipes()
    yield pipes
    with_suppressed_close(pipes.to_gate)
    pipes.thread.join(10)
    assert not pipes.thread.is_alive()
    pipes.heard.close()


def with_suppressed_close(descriptor: int) -> None:
    """Close it, unless the test has."""
    try:
        os.close(descriptor)
    except OSError:
        return


def test_half_a_line_ends_the_conversation_in_time(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that grows all the time, and an answer tells why."""
    monkeypatch.setattr(serve, "MAX_REQUEST_SECONDS", 0.3)
    began = time.monotonic()
    pipes.send(b'{"id": 1')
    for _ in range(3):
        time.sleep(0.05)
        pipes.send(b" ")
    assert pipes.answer()["error"]["code"] == "malformed"
    assert pipes.answer() == {}
    assert time.monotonic() - began < 5


def test_who_asks_nothing_is_left(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word, after the time for that."""
    monkeypatch.setattr(serve, "MAX_IDLE_SECONDS", 0.1)
    pipes.send(b"{}\n")
    assert pipes.answer()["error"]["code"] == "malformed"
    assert pipes.answer() == {}


def test_lines_that_are_too_long(pipes: Pipes) -> None:
    """One is skipped, and the conversation goes on; one without an end ends it. Two in one piece get two answers."""
    pipes.send(b"x" * MAX_REQUEST_BYTES + b"\n")
    assert f"{MAX_REQUEST_BYTES} bytes" in pipes.answer()["error"]["message"]
    pipes.send(b'{"id": 1}\n{"id": 2}\n')
    assert [pipes.answer()["id"], pipes.answer()["id"]] == [1, 2]
    writing = threading.Thread(target=_flood, args=(pipes,))
    writing.start()
    assert pipes.answer()["error"]["code"] == "malformed"
    assert pipes.answer() == {}
    writing.join(10)
    assert not writing.is_alive()


def _flood(pipes: Pipes) -> None:
    try:
        while True:
            pipes.send(b"x" * 65536)
    except OSError:
        return


def test_a_reader_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipe is full; the time for an answer to be taken is over."""
    monkeypatch.setattr(serve, "MAX_REQUEST_SECONDS", 0.1)
    reader, writer = os.pipe()
    with pytest.raises(serve.Ended):
        serve.send(writer, b"x" * 1_000_000)
    os.close(reader)
    with pytest.raises(serve.Ended):
        serve.send(writer, b"x")
    os.close(writer)


def test_who_is_removed_gets_one_answer() -> None:
    """And no more."""

    def admit() -> None:
        raise NotAdmitted

    removed = Pipes(admit)
    removed.send(b'{"id": 1, "verb": "stats"}\n{"id": 2, "verb": "stats"}\n')
    os.close(removed.to_gate)
    assert (removed.answer().get("error", {}).get("code"), removed.answer()) == ("not_admitted", {})
    removed.thread.join(10)
    removed.heard.close()
    assert [one["reason"] for one in refusals()] == ["not_admitted"]


def test_an_error_that_nobody_foresaw_is_answered(pipes: Pipes) -> None:
    """The service of this test has no verbs: that is a bug: the log has all of it and the stranger nothing."""
    pipes.send(b'{"id": 7, "verb": "stats"}\n')
    answer = pipes.answer()
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (7, 70, "bug")
    assert "Nothing" not in answer["error"]["message"]
    assert "has no attribute 'stats'" in (module.folder() / "log").read_text()
    pipes.send(b'{"id": 8}\n')
    assert pipes.answer()["error"]["code"] == "malformed"


@pytest.mark.parametrize(("content", "whole"), [(b"", b""), (b"{}", b"{}"), (b"x" * 100_000, b"x" * 100_000)])
def test_a_document_is_read_to_its_end(content: bytes, whole: bytes) -> None:
    reader, writer = os.pipe()
    writing = threading.Thread(target=lambda: (os.write(writer, content) if content else None, os.close(writer)))
    writing.start()
    assert serve.Input(reader).whole(5) == whole
    writing.join()
    os.close(reader)


def test_a_document_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of size, and of time from its first byte on."""
    monkeypatch.setattr(serve, "MAX_REQUEST_BYTES", 10)
    reader, writer = os.pipe()
    os.write(writer, b"x" * 11)
    with pytest.raises(Malformed):
        serve.Input(reader).whole(5)
    monkeypatch.setattr(serve, "MAX_REQUEST_SECONDS", 0.1)
    os.write(writer, b"x")
    with pytest.raises(serve.Stalled):
        serve.Input(reader).whole(5)
    os.close(reader)
    os.close(writer)
