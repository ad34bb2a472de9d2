"""What happens when a database comes back and all clients come with it: a simulation, and real processes beside it.

    python scripts/herd.py --clients 10000 --outage 600
    python scripts/herd.py --real 200 --outage 120      so many real processes and a real restart, beside the simulation

Clients are those of `dmcheck work`, with its own back-off: a statement is tried again and again until its time is up,
then the client pauses, longer each time. Each has a submit and a fetch to do. The table compares that with clients that
try again after a fixed second, without jitter. What is assumed about the server are the options: a fetch and a submit
together take 5.3 ms (156 to 228 a second were measured with 8 clients on two cores), the embedded server runs 20
statements at once and lets 1,000 wait, the costs of a plan, of a connection and of a refusal are guesses.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from environment import enter

enter()

from tabulate import tabulate

from dmcheck_cli.backoff import Backoff, between_requests, between_tries

Delays = Callable[[], Backoff]

LAST_SECONDS = 60.0
"""Of the outage, in which the tries are counted: by then the pauses are as long as they get."""


class Fixed(Backoff):
    """A second, always."""

    def __init__(self) -> None:
        super().__init__(1.0, 1.0)

    def delay(self, retry_after: float | None = None) -> float:
        """Seconds to wait now."""
        return 1.0


@dataclass(frozen=True)
class World:
    """What is assumed. `at_once`: statements that the server runs at once; `room`: how many it takes in, with those
    that wait; it refuses others. Times in seconds: `submit`, `fetch`, `connect`, `refuse` and `plan` are the server's
    work for one, all cores together. All that run when the first of a kind comes are planned."""

    clients: int = 10_000
    outage: float = 600.0
    timeout: float = 30.0
    at_once: int = 20
    room: int = 1020
    plan: float = 0.15
    submit: float = 0.0035
    fetch: float = 0.0018
    connect: float = 0.001
    refuse: float = 0.0001
    seed: int = 0


@dataclass
class Found:
    """What came out. Times count from the return of the database. `tries`: a second, at the end of the outage."""

    tries: float = 0.0
    queue: int = 0
    refused: int = 0
    given_up: int = 0
    half: float = 0.0
    all: float = 0.0


class _Client:
    def __init__(self, world: World, outage: Backoff) -> None:
        self.left = [world.submit, world.fetch]
        self.outage = outage
        self.connected = False
        self.tries: Backoff | None = None  # while a statement is being tried
        self.deadline = 0.0
        self.number = 0  # of the try that waits at the server


class Herd:
    """One run: `tries` gives the delays within a statement, `outage` those between statements that failed."""

    def __init__(self, world: World, tries: Delays, outage: Delays) -> None:
        random.seed(world.seed)
        self.world, self.found = world, Found()
        self._tries = tries
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[float, _Client], None], _Client]] = []
        self._waiting: deque[tuple[_Client, int]] = deque()
        self._queued = self._served = 0
        self._busy_until = 0.0
        self._planned: set[int] = set()  # by how many statements their client had left
        self._served_now: tuple[_Client, int] | None = None
        self._refused_before = 0
        for _ in range(world.clients):
            self._at(random.uniform(-world.outage, 10 - world.outage), self._begin, _Client(world, outage()))

    def run(self) -> Found:
        """Until every client is served."""
        while self._events:
            now, _, work, client = heapq.heappop(self._events)
            work(now, client)
        self.found.tries = self._refused_before / LAST_SECONDS
        return self.found

    def _at(self, when: float, work: Callable[[float, _Client], None], client: _Client) -> None:
        heapq.heappush(self._events, (when, next(self._order), work, client))

    def _begin(self, now: float, client: _Client) -> None:
        client.tries, client.deadline = self._tries(), now + self.world.timeout
        self._try(now, client)

    def _try(self, now: float, client: _Client) -> None:
        if now < 0:
            client.connected = False
            self._refused_before += now > -LAST_SECONDS
            return self._again(now, client)
        if self._queued >= self.world.room:
            self.found.refused += 1
            self._busy_until = max(self._busy_until, now) + self.world.refuse
            return self._again(now, client)
        client.number += 1
        self._queued += 1
        self.found.queue = max(self.found.queue, self._queued)
        self._waiting.append((client, client.number))
        self._at(client.deadline, self._expire, client)
        return self._serve(now, client)

    def _again(self, now: float, client: _Client) -> None:
        assert client.tries is not None
        delay = client.tries.delay()
        if now + delay >= client.deadline:
            return self._give_up(now, client)
        return self._at(now + delay, self._try, client)

    def _give_up(self, now: float, client: _Client) -> None:
        self.found.given_up += now >= 0
        client.tries, client.connected = None, False
        self._at(now + client.outage.delay(), self._begin, client)

    def _expire(self, now: float, client: _Client) -> None:
        """The client's time is up, if it still waits for that try."""
        if client.tries is None or now < client.deadline:
            return
        waits = (client, client.number)
        if waits in self._waiting:
            self._waiting.remove(waits)
            self._queued -= 1
            self._give_up(now, client)
        elif self._served_now == waits:
            client.number += 1  # what it gets comes too late
            self._give_up(now, client)

    def _serve(self, now: float, client: _Client) -> None:
        if self._served_now is not None or not self._waiting:
            return
        self._served_now = self._waiting.popleft()
        chosen = self._served_now[0]
        cost = chosen.left[0] + (0.0 if chosen.connected else self.world.connect)
        chosen.connected = True
        if len(chosen.left) not in self._planned:
            self._planned.add(len(chosen.left))
            cost += self.world.plan * min(self.world.at_once, self.world.clients)
        self._busy_until = max(self._busy_until, now) + cost
        self._at(self._busy_until, self._done, chosen)

    def _done(self, now: float, client: _Client) -> None:
        served, self._served_now = self._served_now, None
        self._queued -= 1
        if served == (client, client.number):
            client.tries = None
            client.outage.reset()
            client.left.pop(0)
            if client.left:
                self._begin(now, client)
            else:
                self._finished(now)
        self._serve(now, client)

    def _finished(self, now: float) -> None:
        self._served += 1
        if 2 * self._served >= self.world.clients and not self.found.half:
            self.found.half = now
        self.found.all = now


def policies(world: World) -> Iterator[tuple[str, Delays, Delays]]:
    """The policies that are compared: a name, the delays between tries, those after a statement that gave up."""
    yield "dmcheck work", between_tries, lambda: between_requests(world.timeout / 2)
    yield "a fixed second", Fixed, Fixed


HEAD = ("clients", "policy", "tries/s while gone", "longest queue", "refused", "gave up", "half served", "all served")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for one in fields(World):
        parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default, help="default: %(default)s")
    parser.add_argument("--real", type=int, metavar="N", help="compare with N processes of `work` on this machine")
    given = vars(parser.parse_args())
    real = given.pop("real")
    world = replace(World(**given), clients=real or given["clients"])
    rows: list[list[object]] = []
    if real:
        row, outage = _real(world)
        rows, world = [row], replace(world, outage=outage)
    for clients in sorted({world.clients} if real else {world.clients // 10, world.clients}):
        of_this = replace(world, clients=clients)
        for name, tries, pauses in policies(of_this):
            x = Herd(of_this, tries, pauses).run()
            rows.append([clients, name, f"{x.tries:.0f}", x.queue, x.refused, x.given_up, *_served(x.half, x.all)])
    least = world.clients * (world.submit + world.fetch + world.connect)
    print(tabulate(rows, headers=HEAD, tablefmt="github"))
    print(f"\nThe server's work alone for {world.clients} clients: {least:.0f} s.")


def _real(world: World) -> tuple[list[object], float]:
    """The row of real processes (what the server's queue is cannot be seen from outside), and how many seconds their
    database was gone: the restart comes on top of what was asked for."""
    from scaling import returning

    found = returning.run(world.clients, world.outage, lambda text: print(text, file=sys.stderr))
    if found.doubles:
        raise SystemExit(f"{found.doubles} users were answered twice")
    tries = "?" if found.tries is None else f"{found.tries:.0f}"
    row = [world.clients, "real processes", tries, "?", "?", found.given_up, *_served(found.half, found.all)]
    return row, found.outage


def _served(half: float, everyone: float) -> list[str]:
    return [f"{half:.0f} s", f"{everyone:.0f} s"]


if __name__ == "__main__":
    main()
