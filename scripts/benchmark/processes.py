"""What `dmcheck fetch` costs as a process, against a bare script that imports the driver and makes one round trip."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmark.crowd import FIRST_CLIENT
from dmcheck_cli.settings import Settings

BARE = """\
import os
from neo4j import GraphDatabase

account = os.environ["NEO4J_USERNAME"], os.environ["NEO4J_PASSWORD"]
with GraphDatabase.driver(os.environ["NEO4J_URI"], auth=account) as driver, driver.session() as session:
    print(session.run("RETURN 1 AS one").single()["one"])
"""


@dataclass(frozen=True)
class Processes:
    """Median seconds of each, on the wall and of the processor."""

    fetch_wall: float
    fetch_cpu: float
    bare_wall: float
    bare_cpu: float
    pairs: int
    failures: list[str]


def run(settings: Settings, pairs: int) -> Processes:
    """Run both in turn, `pairs` times, after once that does not count (files come from the disk then)."""
    failures: list[str] = []
    measured: dict[str, list[tuple[float, float]]] = {"fetch": [], "bare": []}
    with TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE, "utf-8")
        commands = {
            "fetch": [*_dmcheck(), "fetch", "--client", str(FIRST_CLIENT), "--count", "1", "--json"],
            "bare": [sys.executable, str(bare)],
        }
        for number in range(pairs + 1):
            for name, command in commands.items():
                wall, cpu, status = _time(command, _environment(settings), folder)
                if status:
                    failures.append(f"{name}, as a process: exit status {status}")
                if number:
                    measured[name].append((wall, cpu))
    (fetch_wall, fetch_cpu), (bare_wall, bare_cpu) = (
        tuple(median(column) for column in zip(*measured[name], strict=True)) for name in ("fetch", "bare")
    )
    return Processes(fetch_wall, fetch_cpu, bare_wall, bare_cpu, pairs, failures)


def _dmcheck() -> list[str]:
    """The console script of this Python, else what it does."""
    script = Path(sys.executable).with_name("dmcheck")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from dmcheck_cli.cli import main; main()"]


def _environment(settings: Settings) -> dict[str, str]:
    ours = {
        "NEO4J_URI": settings.neo4j_uri or "",
        "NEO4J_USERNAME": settings.neo4j_username,
        "NEO4J_PASSWORD": settings.password() or "",
        "NEO4J_DATABASE": settings.neo4j_database or "",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith(("DMCHECK_", "NEO4J_"))} | ours


def _time(command: list[str], environment: dict[str, str], folder: str) -> tuple[float, float, int]:
    """Seconds on the wall, seconds of the processor (user and system), exit status."""
    before = os.times()
    started = time.perf_counter()
    status = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode
    wall = time.perf_counter() - started
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent, status
