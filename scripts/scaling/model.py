"""A discrete-event simulation of clients and one database, and the arithmetic of what grows with them.

A client leases a bucket, checks its accounts, and hands in the answers. What it asks of the database is served by
processors in slices, as operating systems share them out. Some of the database's work for it nobody waits for (its Java
compiles, collects garbage, writes to disk), but it takes the processors from others. Nothing here measures:
`measuring.py` does.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

SLICE = 0.002
"""Seconds for which a processor serves one operation before it takes the next."""


@dataclass(frozen=True)
class Costs:
    """What was measured, per bucket that is fetched and answered unless it says otherwise. `server`, `client`: seconds
    of CPU of the database and of the client, for which the client waits; `wait`: seconds that pass on nobody's CPU;
    `behind`: seconds of the database's CPU that nobody waits for; `make`, `judge`: seconds in the jobs. `user_bytes`,
    `answer_bytes`, `lease_bytes`: on disk, for each."""

    server: float
    client: float
    wait: float
    behind: float
    make: float
    judge: float
    user_bytes: float
    answer_bytes: float
    lease_bytes: float
    bucket_size: int = 180
    cores: int = 2


@dataclass(frozen=True)
class World:
    """What is assumed of clients and operators. `pace`: seconds in which a client checks a bucket; `opinions`: answers
    per user; `dead`: the share of leases that die; `cores`: of the server; `cron`: seconds between two runs of
    make_buckets; `per_run`: users that one run places at most; `judging`: seconds between two runs of judge_clients;
    `idle`: seconds for which a client keeps its connection after it was used; `connection_bytes`: of the server's
    memory, for each; `keep`: seconds for which the records of leases are kept."""

    pace: float = 900.0
    opinions: float = 1.2
    dead: float = 0.02
    cores: int = 2
    cron: float = 900.0
    per_run: int = 18_000
    judging: float = 300.0
    idle: float = 60.0
    connection_bytes: float = 200_000.0
    keep: float = 2_592_000.0


@dataclass(frozen=True)
class Run:
    """What a simulation counted: buckets answered per second; seconds from asking the database to its answer (median,
    99 of 100), fetch and submit together; the share of the server's processors that was used."""

    rate: float
    median: float
    p99: float
    busy: float


NOBODY = -1
"""Whom an operation belongs to that no client waits for."""


class Processors:
    """Processors that serve operations in slices, one after the other."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.used = 0.0
        self._free = cores
        self._queue: deque[list[float]] = deque()

    def ask(self, operation: list[float]) -> None:
        """Put an operation in line: [seconds left, number]."""
        self._queue.append(operation)

    def start(self) -> Iterator[tuple[float, list[float]]]:
        """The slices that begin now: their seconds, and the operation."""
        while self._free and self._queue:
            operation = self._queue.popleft()
            self._free -= 1
            length = min(operation[0], SLICE)
            self.used += length
            yield length, operation

    def end(self, operation: list[float], length: float) -> bool:
        """A slice is over; returns whether the operation is done. Otherwise it waits for its next one."""
        self._free += 1
        operation[0] -= length
        if operation[0] > 1e-9:
            self._queue.append(operation)
            return False
        return True


def simulate(
    costs: Costs, clients: int, cores: int, pace: float, seconds: float, *, together: bool = False, seed: int = 1
) -> Run:
    """Clients that work for `seconds`; the first fifth of that time does not count. `pace`: mean seconds to check a
    bucket; 0: they only fetch and answer, as in the benchmark. `together`: they run on the server's own processors.
    """
    random.seed(seed)
    shared = Processors(cores)
    events: list[tuple[float, int, str, list[float], float]] = []
    begun = [0.0] * clients
    took: list[float] = []
    order = 0

    def push(at: float, what: str, operation: list[float], length: float = 0.0) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, what, operation, length))

    for number in range(clients):
        push(random.uniform(0, pace), "ask", [0.0, number])
    now, settled, used_before = 0.0, seconds / 5, 0.0
    while events and now < seconds:
        now, _, what, operation, length = heapq.heappop(events)
        number = int(operation[1])
        if now <= settled:
            used_before = shared.used
        if what == "ask":
            begun[number] = now
            own = costs.client if together else 0.0
            demand = (costs.server + own) * random.uniform(0.8, 1.2)
            push(now + costs.wait + (0.0 if together else costs.client), "served", [demand, number])
        elif what == "served":
            shared.ask(operation)
        elif shared.end(operation, length) and number >= 0:
            shared.ask([costs.behind, NOBODY])
            if now > settled:
                took.append(now - begun[number])
            push(now + random.expovariate(1 / pace) if pace else now, "ask", [0.0, number])
        for slice_, served in shared.start():
            push(now + slice_, "slice", served, slice_)
    took.sort()
    counted = max(now - settled, 1e-9)
    if not took:
        return Run(0.0, float("inf"), float("inf"), (shared.used - used_before) / counted / cores)
    return Run(
        rate=len(took) / counted,
        median=took[len(took) // 2],
        p99=took[min(int(len(took) * 0.99), len(took) - 1)],
        busy=(shared.used - used_before) / counted / cores,
    )


def fitted(costs: Costs, clients: int, cores: int, rate: float, seconds: float = 20.0) -> float:
    """The `behind` with which the model has the measured `rate` of that many clients on the server's own processors;
    0 where it is not faster without any."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        if simulate(replace(costs, behind=middle), clients, cores, 0.0, seconds, together=True).rate > rate:
            low = middle
        else:
            high = middle
    return low if low > 1e-5 else 0.0


@dataclass(frozen=True)
class Part:
    """One part of the system, the share of its limit that is used (above 1: it gives way), and what to turn."""

    name: str
    share: float
    turn: str


def parts(costs: Costs, world: World, clients: int) -> list[Part]:
    """What so many clients, who always have work, ask of each part; the one nearest to its limit first."""
    rate = clients / (world.pace + costs.client + costs.wait + costs.server)
    jobs = rate * (costs.make + costs.judge)
    found = [
        Part(
            "users that make_buckets places",
            rate * costs.bucket_size / (world.per_run / world.cron),
            "DMCHECK_MAX_USERS_PER_RUN, or run make_buckets more often",
        ),
        Part(
            "the database's processors",
            (rate * (costs.server + costs.behind) + jobs) / world.cores,
            "more cores; larger buckets",
        ),
        Part("the time of make_buckets", rate * costs.make, "larger buckets"),
        Part("the time of judge_clients", rate * costs.judge, "larger buckets; more than one graph"),
    ]
    return sorted(found, key=lambda part: -part.share)


def most_clients(costs: Costs, world: World, name: str) -> int:
    """How many clients the part of that name carries."""
    return int(1 / next(part.share for part in parts(costs, world, 1) if part.name == name))


def days(costs: Costs, world: World, clients: int, users: int) -> float:
    """Days until all users are checked, second opinions included, while nothing gives way."""
    per_second = clients * costs.bucket_size / (world.pace + costs.client + costs.wait + costs.server)
    return users * world.opinions / (1 - world.dead) / per_second / 86_400


def connections(world: World, clients: int) -> float:
    """Open connections at any moment."""
    return clients * min(world.idle / world.pace, 1.0)


def disk(costs: Costs, world: World, clients: int, users: int) -> float:
    """Bytes on disk when all users are checked: users, answers, the records of leases that are kept."""
    leases = min(users * world.opinions / costs.bucket_size, clients / world.pace * world.keep)
    return users * costs.user_bytes + users * world.opinions * costs.answer_bytes + leases * costs.lease_bytes
