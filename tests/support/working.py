"""What tests of `dmcheck work` share: small checkers, loops run to their end, a way to the database that can be cut."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from support.graphs import MAX_WAIT_SECONDS, start
from support.invariants import Query

CLIENT = 42
KINDS = ("command_failed", "command_timeout", "no_answers", "garbage")
MORE_KINDS = ("strangers", "answered_twice", "lease_lost", "temporary")
CLEAN = dict.fromkeys(KINDS + MORE_KINDS, 0)

FILTER = """
for line in sys.stdin:
    say(json.loads(line), "DM")
"""

PRELUDE = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
here = Path(__file__).parent
def ask(user):
    with open(here / "asked", "a") as file:
        file.write(user["screen_name"] + "\\n")
def say(user, candm):
    print(json.dumps({**user, "candm": candm}), flush=True)
def note(what):
    (here / f"{what}-{os.getpid()}").touch()
def wait_for(what):
    while not (here / what).exists():
        time.sleep(0.02)
"""

Checker = Callable[[str], list[str]]


def checkers(folder: Path) -> Checker:
    """Makes a checker of a few lines of Python; returns its command line."""

    def make(body: str) -> list[str]:
        script = folder / "checker.py"
        script.write_text(PRELUDE + body)
        return [sys.executable, str(script)]

    return make


def noted(folder: Path, what: str) -> list[int]:
    """The pids of the checkers that noted this."""
    return [int(path.name.removeprefix(f"{what}-")) for path in folder.glob(f"{what}-*")]


def ended(process: subprocess.Popen[str]) -> tuple[int, Any, list[str]]:
    """Waits for the end of a `work --json`: its exit status, the summary, the lines on stderr."""
    out, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    return process.returncode, json.loads(out) if out else None, err.splitlines()


def work(environment: dict[str, str], *arguments: object) -> tuple[int, Any, list[str]]:
    """A `dmcheck work --json` of CLIENT, to its end."""
    with start(environment, "work", "--json", "--client", CLIENT, *arguments) as process:
        return ended(process)


def answered_users(query: Query) -> int:
    """How many users have an answer."""
    [row] = query("MATCH (u:User) WHERE EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } RETURN count(u) AS n")
    return int(row["n"])


def held(query: Query) -> int:
    """How many leases are held."""
    return len(query("MATCH (b)-[:DMCHECKCLIENT]->() RETURN b.uuid AS b"))


@contextmanager
def interruptible() -> Iterator[None]:
    """Programs started meanwhile obey Ctrl-C, also where the tests themselves were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def gone(pid: int) -> bool:
    """Whether a process is no more, and not a zombie either."""
    return not psutil.pid_exists(pid)


class Way:
    """A way to the database that can be cut and mended: what a restart of a server looks like from outside."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._entrance = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._entrance.getsockname()[1]
        self._open = True
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Way:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._entrance.shutdown(socket.SHUT_RDWR)
        self._entrance.close()

    def cut(self) -> None:
        """Every connection breaks, and every new one, too."""
        self._open = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """New connections go through again."""
        self._open = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._entrance.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._ends += (near, far)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
    source.close()
