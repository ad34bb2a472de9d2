"""`stats --watch` as a person has it: on a terminal, and without one."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from proofs.proxy import PASS, RESET_BEFORE, Proxy
from support.graphs import MAX_WAIT_SECONDS, prepare, wait_until
from support.invariants import Query
from support.programs import Result, launcher
from support.terminal import Seen, seen

from dmcheck_cli.database.address import read
from dmcheck_cli.database.connection import Database

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
WATCH = ("stats", "--watch", "--interval", "1")


def _modes(terminal: Seen) -> Any:
    return termios.tcgetattr(terminal._terminal)


def _begun(environment: Mapping[str, str], folder: Path, *more: object) -> tuple[Seen, Any]:
    shown = seen(*WATCH, *more, environment=environment, folder=folder, all=True)
    before = _modes(shown)
    shown.wait_for("q ends.")
    wait_until(lambda: _modes(shown) != before)
    return shown, before


def _kept_open(shown: Seen) -> int:
    """The program's end of the terminal: once nobody has it open, its modes are gone."""
    ioctl = fcntl.ioctl(shown._terminal, getattr(termios, "TIOCGPTPEER", 0x5441), os.O_RDWR | os.O_NOCTTY)
    return int(ioctl)


def _left_as_it_was(shown: Seen) -> bool:
    return all(shown.raw.count(one) == shown.raw.count(other) > 0 for one, other in ((ENTER, LEAVE), (HIDE, SHOW)))


@pytest.mark.parametrize(
    ("end", "status"),
    [("q", 0), (signal.SIGINT, 0), (signal.SIGTERM, -15), (signal.SIGHUP, -1), (signal.SIGQUIT, -3)],
)
def test_it_ends_and_leaves_the_terminal_as_it_was(
    database: Database, environment: dict[str, str], tmp_path: Path, query: Query, end: Any, status: int
) -> None:
    """By a key, Ctrl-C or a signal: the first page, the cursor and the echo are back. Names are shown escaped."""
    prepare(database, [42], 4)
    query("MATCH (c:DMCheckClient) SET c.screen_name = 'a\x1b[9mb'")
    shown, before = _begun(environment, tmp_path)
    theirs = _kept_open(shown)
    assert "a\\x1b[9mb" in shown.shown
    if end == "q":
        shown.type(end)
    else:
        shown.process.send_signal(end)
    assert shown.process.wait(MAX_WAIT_SECONDS) == status
    assert _modes(shown) == before
    os.close(theirs)
    assert shown.end() == status
    assert _left_as_it_was(shown), shown.raw


def test_it_follows_the_window_and_a_stop(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    """A new size is used at once; after Ctrl-Z the terminal is the shell's, and `fg` brings the screen back."""
    prepare(database, [42], 4)
    shown, _ = _begun(environment, tmp_path)
    fcntl.ioctl(shown._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 9, 40, 0, 0))
    at = len(shown.raw)
    shown.process.send_signal(signal.SIGWINCH)
    wait_until(lambda: b"q ends." in shown.raw[at:])
    shown.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: LEAVE in shown.raw)  # where nobody would continue it (no shell), the system does not stop it
    shown.process.send_signal(signal.SIGCONT)
    wait_until(lambda: b"q ends." in shown.raw.partition(LEAVE)[2].partition(ENTER)[2])
    shown.type("q")
    assert shown.end() == 0
    assert _left_as_it_was(shown)


def test_it_outlives_the_database(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    """It says that it is gone and how old the figures are, goes on when it is back, and ends at once meanwhile."""
    prepare(database, [42], 4)
    broken = False
    with Proxy(read(environment["NEO4J_URI"]).port, lambda occasion: RESET_BEFORE if broken else PASS) as proxy:
        through = {**environment, "NEO4J_URI": proxy.uri, "DMCHECK_TIMEOUT_SECONDS": "5"}
        shown, _ = _begun(through, tmp_path)
        broken = True
        shown.wait_for("connection")
        shown.wait_for(" s ago. ")
        at = len(shown.raw)
        broken = False
        wait_until(lambda: b"q ends." in shown.raw[at:])
        shown.type("q")
        assert shown.end() == 0


@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_terminal_each_refresh_is_a_line(
    database: Database, environment: dict[str, str], tmp_path: Path, as_json: bool
) -> None:
    """Or a document, the same as without --watch; Ctrl-C ends it with 0."""
    prepare(database, [42], 4)
    arguments = [*launcher("dmcheck"), *WATCH, *(["--json"] if as_json else [])]
    with subprocess.Popen(arguments, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(MAX_WAIT_SECONDS) == 0
    for one in lines:
        if as_json:
            assert json.loads(one)["system"]["users_total"] == 4
        else:
            assert one.startswith("users 4, checked 0, waiting 4, leased 0, buckets waiting ")


@pytest.mark.parametrize("wrong", [["--interval", "0.5"], ["--interval", "nan"], ["--format", "csv"]])
def test_wrong_usage(direct: Callable[..., Result], wrong: list[str]) -> None:
    """Said before anything is read."""
    assert direct("stats", "--watch", *wrong).status == 2
