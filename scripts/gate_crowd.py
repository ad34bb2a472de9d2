"""Measure what many volunteers at a gate cost, and what a flood by some of them does to an honest one.

    python scripts/gate_crowd.py                                  three minutes
    python scripts/gate_crowd.py --connected 50 --keys 20 --seconds 40

An embedded server and an sshd of its own, on loopback. Memory: so many conversations that have each made a request; of
each process its proportional set (pages that several share are divided among them), of the gate and of sshd. The flood:
every key has as many open conversations as it may, and each asks again as soon as it has an answer; then all keys
also make new connections without a pause. Five honest clients have one conversation each, and ask nearly every second:
the most that the bounds allow. The attackers run on the same machine, which they also keep busy with their own ssh.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from environment import enter

enter()

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psutil
from benchmark import graph
from benchmark.processes import environment
from support.programs import launcher
from support.sshd import Sshd
from tabulate import tabulate

HONEST = range(1, 6)
PAUSE = 1.0
PER_KEY = 4
"""Conversations of each attacker: as many as a gate allows unless it is told otherwise."""


class Talk:
    """A conversation of a volunteer."""

    def __init__(self, gate: str, machine: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            ["ssh", "-T", "-oBatchMode=yes", gate, "talk 1"],
            env=dict(machine),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._from = self.process.stdin, self.process.stdout
        self.greeting = self._from.readline()

    def ask(self) -> dict[str, object]:
        """One request that reads and locks; {} when nobody answers."""
        try:
            self._to.write(b'{"id": 1, "verb": "resume"}\n')
            self._to.flush()
            line = self._from.readline()
        except OSError:
            return {}
        return dict(json.loads(line)) if line else {}

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self._to.close()
        self._from.close()


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connected", type=int, default=50, help="conversations whose memory is measured")
    parser.add_argument("--keys", type=int, default=20, help="attackers")
    parser.add_argument("--seconds", type=int, default=40, help="of each phase")
    given = parser.parse_args()
    with graph.servers(1) as [server], TemporaryDirectory(prefix="dmcheck-gate-") as name:
        folder = Path(name)
        graph.prepare(server.database, 1000)
        operator = environment(server.settings)
        own = {key: value for key, value in operator.items() if key.startswith(("NEO4J_", "DMCHECK_"))}
        own |= {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(Path(__file__).parents[1])}
        many = {"DMCHECK_GATE_CONNECTIONS_PER_KEY": "1000"}
        with _gate(folder / "crowded", {**own, **many}, operator, [HONEST[0]]) as crowd:
            _memory(*crowd, given.connected)
        with _gate(folder / "flooded", own, operator, [*HONEST, *range(100, 100 + given.keys)]) as (sshd, machines):
            _flood(sshd, machines, given.seconds)
    return 0


@contextmanager
def _gate(
    folder: Path, own: dict[str, str], operator: dict[str, str], ids: list[int]
) -> Iterator[tuple[Sshd, list[dict[str, str]]]]:
    with Sshd(folder, own) as sshd:
        machines = [sshd.volunteer(f"volunteer{id}") for id in ids]
        for id in ids:
            subprocess.run(
                [*launcher("dmcheck"), "gate", "add", f"--client={id}", f"--screen-name=volunteer{id}"],
                env={**operator, "DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys)},
                input=sshd.key_of(f"volunteer{id}").read_bytes(),
                stdout=subprocess.DEVNULL,
                check=True,
            )
        yield sshd, machines


def _memory(sshd: Sshd, machines: list[dict[str, str]], count: int) -> None:
    with ExitStack() as stack:
        for _ in range(count):
            talk = Talk(sshd.gate, machines[0])
            stack.callback(talk.close)
            assert "error" in talk.ask() or b"gate" in talk.greeting
        found: dict[str, list[float]] = {"gate": [], "sshd": []}
        for process in psutil.Process(sshd.pid).children(recursive=True):
            kind = "gate" if "gate" in process.cmdline() and "run" in process.cmdline() else "sshd"
            found[kind].append(process.memory_full_info().pss / 2**20)
    rows = [(kind, len(sizes), f"{sum(sizes) / count:.1f}", f"{max(sizes):.1f}") for kind, sizes in found.items()]
    total = sum(map(sum, found.values())) / count
    rows.append(("both", count, f"{total:.1f}", ""))
    print(tabulate(rows, ("memory", "processes", "MB for each conversation", "most of one process")))
    print(f"\n1,000 connected volunteers: {total * 1000 / 1024:.0f} GB\n")


def _flood(sshd: Sshd, machines: list[dict[str, str]], seconds: int) -> None:
    honest = [Talk(sshd.gate, machine) for machine in machines[: len(HONEST)]]
    attackers = machines[len(HONEST) :]
    phases = [("alone", _latencies(honest, seconds), Counter[str]())]
    ended = threading.Event()
    answers: Counter[str] = Counter()
    talks = [Talk(sshd.gate, machine) for machine in attackers for _ in range(PER_KEY)]
    for talk in talks:
        talk.ask()  # connects to the database
    threads = [threading.Thread(target=_asks, args=(talk, ended, answers)) for talk in talks]
    for one in threads:
        one.start()
    phases.append((f"{len(talks)} conversations flood", _latencies(honest, seconds), answers.copy()))
    more = [threading.Thread(target=_connects, args=(sshd.gate, one, ended, answers)) for one in attackers]
    for one in more:
        one.start()
    before = answers.copy()
    phases.append(("... and new connections", _latencies(honest, seconds), answers - before))
    ended.set()
    for talk in talks + honest:
        talk.close()
    for one in threads + more:
        one.join()
    rows = []
    usual = quantiles(phases[0][1], n=100)[98]
    for name, waits, told in phases:
        p99 = quantiles(waits, n=100)[98]
        served = sum(told[kind] for kind in ("result", "nothing_to_fetch"))
        row = (name, len(waits), f"{median(waits) * 1000:.0f}", f"{p99 * 1000:.0f}", f"{p99 / usual:.1f}", served)
        rows.append((*row, told["too_fast"], told["ended"]))
    heads = (
        "honest clients",
        "requests",
        "median ms",
        "p99 ms",
        "p99 / alone",
        "attackers served",
        "refused",
        "connections",
    )
    print(tabulate(rows, heads))


def _latencies(talks: list[Talk], seconds: int) -> list[float]:
    """Of requests, one every PAUSE seconds in each conversation; the first ones warm up."""
    found: list[float] = []

    def ask(talk: Talk) -> None:
        until = time.perf_counter() + seconds
        talk.ask()
        while time.perf_counter() < until:
            time.sleep(PAUSE)
            began = time.perf_counter()
            answer = talk.ask()
            found.append(time.perf_counter() - began)
            assert _kind(answer) == "nothing_to_fetch", answer

    threads = [threading.Thread(target=ask, args=(talk,)) for talk in talks]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def _asks(talk: Talk, ended: threading.Event, answers: Counter[str]) -> None:
    while not ended.is_set() and (answer := talk.ask()):
        answers[_kind(answer)] += 1


def _connects(gate: str, machine: dict[str, str], ended: threading.Event, answers: Counter[str]) -> None:
    while not ended.is_set():
        command = ["ssh", "-oBatchMode=yes", gate, "stats"]
        subprocess.run(command, env=machine, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        answers["ended"] += 1


def _kind(answer: dict[str, object]) -> str:
    error = answer.get("error")
    return str(error["code"]) if isinstance(error, dict) else "result"


if __name__ == "__main__":
    sys.exit(main())
