"""What the tests of the embedded database share: commands on a home, and the processes that run on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import neo4j
import psutil
from support.programs import outside

from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.configuration import home_argument
from dmcheck_cli.settings import Settings

PROJECT = Path(__file__).resolve().parents[3]

ENSURE_RUNNING = """
from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings
found = server.ensure_running(Settings.load())
print(found.pid, found.uri, found.password)
"""

MAX_WAIT_SECONDS = 300
"""Seconds after which a process that should have ended fails the test: ten starts at once on a machine that is eight
times slower than it should be end well before."""

Query = Callable[[server.Server, str], list[neo4j.Record]]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a command's environment says when these are its settings."""
    assert settings.home is not None
    folder = {} if settings.jars_folder is None else {"DMCHECK_JARS_FOLDER": settings.jars_folder}
    ours = {"PYTHONPATH": str(PROJECT), "DMCHECK_HOME": settings.home, **folder}
    return {**outside(), **ours, **more}


def start_command(settings: Settings, code: str = ENSURE_RUNNING, **more: str) -> subprocess.Popen[bytes]:
    """A process that runs `code`; with pipes, as a shell's `|` gives it."""
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(settings, **more), stdin=pipe, stdout=pipe, stderr=pipe)


def processes(settings: Settings) -> list[int]:
    """The pids of the servers that run on a home, by their command lines: however they came to be."""
    assert settings.home is not None
    argument = home_argument(Path(os.path.realpath(settings.home)) / "neo4j")
    alive = (one for one in psutil.process_iter(["cmdline", "status"]) if one.info["status"] != psutil.STATUS_ZOMBIE)
    return [one.pid for one in alive if argument in (one.info["cmdline"] or [])]


def kill(settings: Settings) -> None:
    """SIGKILL to the servers of a home; returns when they are gone (their command lines vanish a little earlier)."""
    for one in [psutil.Process(pid) for pid in processes(settings)]:
        one.kill()
        one.wait(MAX_WAIT_SECONDS)
