"""`dmcheck users export` of a large user base, as a process: its rate, and the most memory that it takes.

python scripts/benchmark/export.py [USERS]      on a server of its own; 1,000,000 checked users unless said
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.processes import FETCH, environment
from dmcheck_cli.settings import Settings


@dataclass(frozen=True)
class Export:
    """Users written, in how many seconds, and the peak of resident memory in megabytes."""

    users: int
    seconds: float
    megabytes: float

    @property
    def rate(self) -> float:
        """Users a second."""
        return self.users / self.seconds


def run(settings: Settings) -> Export:
    """Export all checked users once, to a file. Raises RuntimeError when that fails."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "all.jsonl")
        command = [sys.executable, "-c", FETCH, "users", "export", str(file)]
        started = time.perf_counter()
        with subprocess.Popen(command, env=environment(settings), cwd=folder, stderr=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"users export: exit status {process.returncode}")
        with open(file, "rb") as written:
            users = sum(1 for _ in written)
    unit = 1 if sys.platform == "darwin" else 1024
    return Export(users, seconds, used.ru_maxrss * unit / 1e6)


def main() -> None:
    """Measure it, and print both figures."""
    from benchmark import graph

    with graph.servers(1) as [server]:
        graph.prepare(server.database, 1000)
        graph.add_checked(server.database, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, float("inf"))
        for _ in range(2):  # the second on a server that has run it
            found = run(server.settings)
            print(f"{found.users:,} users in {found.seconds:.1f} s: {found.rate:,.0f}/s, {found.megabytes:.0f} MB")


if __name__ == "__main__":
    main()
