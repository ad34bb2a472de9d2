"""Measure `work` through a gate against `work` beside the database, and one `fetch` as a process.

    python scripts/gate_bench.py                    five minutes
    python scripts/gate_bench.py --rounds 3 --users 3600
    python scripts/gate_bench.py --pause 0.01       a checker that takes so many seconds for each user

An embedded server and an sshd of its own, on loopback; both ways are taken in turn, and each figure is the median of
all rounds. The checker answers at once, unless --pause says otherwise: that is the worst case, as a real one looks up
some 180 users in 15 minutes. Exit status 1 when a user was not answered exactly once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from environment import enter

enter()

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil
from benchmark import graph
from benchmark.processes import environment
from support.programs import launcher, outside
from support.sshd import Sshd
from tabulate import tabulate

from dmcheck_cli.database.connection import Database

CLIENT = graph.FIRST_CLIENT
WAYS = ("beside", "through the gate")
UNBOUNDED = {"DMCHECK_GATE_REQUESTS_PER_MINUTE": "100000", "DMCHECK_MAX_UNJUDGED": "0"}
"""The gate's bound on requests is not what is measured: the checker is thousands of times as fast as a real one."""

CHECKER = """
import sys, time
for line in sys.stdin:
    time.sleep(float(sys.argv[1]))
    sys.stdout.write(line.rstrip()[:-1] + ', "candm": "NON_DM"}\\n')
"""


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=9000, help="in each round of each way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds for each user")
    parser.add_argument("--fetches", type=int, default=10)
    given = parser.parse_args()
    with graph.servers(1) as [server], TemporaryDirectory(prefix="dmcheck-gate-") as name:
        folder = Path(name)
        operator = {**environment(server.settings), **UNBOUNDED}
        ours = ("NEO4J_", "DMCHECK_")
        account = {name: value for name, value in operator.items() if name.startswith(ours)}
        with Sshd(folder / "sshd", {**account, "XDG_STATE_HOME": str(folder / "state")}) as sshd:
            machine = sshd.volunteer("volunteer")
            graph.prepare(server.database, given.users)
            _call(
                {**operator, "DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys)},
                *("gate", "add", "--client", CLIENT, "--screen-name", "bench_client_0"),
                *("--key", sshd.key_of("volunteer")),
            )
            ways = dict(zip(WAYS, ({**operator, "HOME": name}, {**outside(), **machine}), strict=True))
            good = _work(server.database, ways, given)
            _fetch(server.database, ways, given.fetches)
    return 0 if good else 1


def _work(database: Database, ways: dict[str, dict[str, str]], given: argparse.Namespace) -> bool:
    """Users per second, from the start of `work --once` to its end."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    good = True
    for number in range(given.rounds + 1):
        for way, variables in ways.items() if number % 2 else reversed(ways.items()):
            graph.refill(database)
            command = ("work", "--once", "--json", "--client", CLIENT, "--", sys.executable, "-c", CHECKER, given.pause)
            began = time.perf_counter()
            summary = json.loads(_call(variables, *command))
            seconds = time.perf_counter() - began
            [row] = database.run_text(
                "MATCH (:DMCheckClient)-[a:DM_NO]->(u) RETURN count(a) AS a, count(DISTINCT u) AS u"
            )
            if not summary["users"] == row["a"] == row["u"] == given.users:
                print(f"{way}: {summary}, {row['a']} answers for {row['u']} of {given.users} users")
                good = False
            if number:  # the first warms up
                rates[way].append(given.users / seconds)
    ratio = median(through / beside for beside, through in zip(*(rates[way] for way in WAYS), strict=True))
    rows = [(way, *(f"{rate(rates[way]):.0f}" for rate in (min, median, max))) for way in WAYS]
    print(tabulate(rows, ("work", "users/s, least", "median", "most")))
    print(f"\nthrough the gate / beside the database: {ratio:.2f}, the median of the rounds\n")
    return good


def _fetch(database: Database, ways: dict[str, dict[str, str]], times: int) -> None:
    """One `fetch` as a process: its wall-clock time, its memory, and that of all processes of the volunteer's side."""
    rows = []
    for way, variables in ways.items():
        seconds, own, ssh = [], [], []
        for number in range(times + 1):
            graph.refill(database)
            began = time.perf_counter()
            process = _start(variables, "fetch", "--client", CLIENT, "--count", 1, "--json")
            memory = _watch(process)
            assert process.wait() == 0
            if number:
                seconds.append(time.perf_counter() - began)
                own.append(memory["own"])
                ssh.append(memory["ssh"])
        rows.append((way, f"{median(seconds):.2f}", f"{median(own):.0f}", f"{median(ssh):.0f}"))
    print(tabulate(rows, ("fetch", "seconds", "MB of dmcheck", "MB of ssh")))


def _watch(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """The most memory in MB that it and its ssh had, until it is done."""
    most = {"own": 0.0, "ssh": 0.0}
    ours = psutil.Process(process.pid)
    with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        while ours.status() != psutil.STATUS_ZOMBIE:
            for one in (ours, *ours.children()):
                kind = "own" if one is ours else "ssh" if one.name() == "ssh" else ""
                if kind:
                    most[kind] = max(most[kind], _peak(one.pid))
            time.sleep(0.01)
    return most


def _peak(pid: int) -> float:
    """The most memory that a program has had since it was started; not what `wait4` says, which counts our own."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _start(variables: dict[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    command = [*launcher("dmcheck"), *map(str, arguments)]
    return subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _call(variables: dict[str, str], *arguments: object) -> str:
    command = [*launcher("dmcheck"), *map(str, arguments)]
    return subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
