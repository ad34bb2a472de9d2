"""What `dmcheck fetch` costs as a process, against a bare script that imports the driver and makes one round trip."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmark import library
from benchmark.crowd import FIRST_CLIENT
from dmcheck_cli.settings import Settings

BARE = """\
import os
from neo4j import GraphDatabase

account = os.environ["NEO4J_USERNAME"], os.environ["NEO4J_PASSWORD"]
with GraphDatabase.driver(os.environ["NEO4J_URI"], auth=account) as driver, driver.session() as session:
    print(session.run("RETURN 1 AS one").single()["one"])
"""

FETCH = """\
from dmcheck_cli.cli import main

main()
"""
"""What the console script does."""

MIN_PAIRS = 5


@dataclass
class Processes:
    """Wall-clock and CPU seconds of each run, by program and whether with the driver's compiled parts; failures."""

    wall: dict[tuple[str, bool], list[float]] = field(default_factory=dict)
    cpu: dict[tuple[str, bool], list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def ratio(self, compiled: bool) -> float:
        """A fetch's wall-clock time as a multiple of the bare script's."""
        return median(self.wall["fetch", compiled]) / median(self.wall["bare", compiled])


def run(settings: Settings, pairs: int, until: float) -> Processes:
    """Run all in turn, `pairs` times or until the clock (time.monotonic) reaches `until`, but at least MIN_PAIRS times.

    One uncounted run comes first, as it reads files from disk.
    """
    found = Processes()
    arguments = ["fetch", "--client", str(FIRST_CLIENT), "--count", "1", "--json"]
    with TemporaryDirectory() as folder:
        commands = {}
        for compiled in (False, True) if library.installed() else (False,):
            for name, text in (("fetch", FETCH), ("bare", BARE)):
                script = Path(folder, f"{name}_{compiled}.py")
                script.write_text(text if compiled else f"{library.HIDE}\n{text}", "utf-8")
                commands[name, compiled] = [sys.executable, str(script), *(arguments if name == "fetch" else [])]
        for number in range(pairs + 1):
            if number > MIN_PAIRS and time.monotonic() > until:
                break
            for key, command in commands.items():
                wall, cpu, status = _time(command, environment(settings), folder)
                if status:
                    found.failures.append(f"{key[0]}, as a process: exit status {status}")
                if number:
                    found.wall.setdefault(key, []).append(wall)
                    found.cpu.setdefault(key, []).append(cpu)
    return found


def environment(settings: Settings) -> dict[str, str]:
    """For a process that uses this database."""
    ours = {
        "NEO4J_URI": settings.neo4j_uri or "",
        "NEO4J_USERNAME": settings.neo4j_username,
        "NEO4J_PASSWORD": settings.password() or "",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith(("DMCHECK_", "NEO4J_"))} | ours


def _time(command: list[str], environment: dict[str, str], folder: str) -> tuple[float, float, int]:
    """Wall-clock seconds, CPU seconds (user and system), exit status."""
    before = os.times()
    started = time.perf_counter()
    status = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode
    wall = time.perf_counter() - started
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent, status
