"""The longest wait: the real code in virtual time, against the bound that its settings give.

A bucket is overdue after DMCHECK_STARVED_SECONDS, a prioritized one after DMCHECK_STARVED_PRIORITIZED_SECONDS. The next
run of raise_starved puts it before all buckets that are not overdue and all that became overdue more than a step
(`step_seconds`) later, so it is leased after the remaining ones. Its wait is at most

      the time after which it is overdue
    + the longest time from a run of raise_starved until clients have fetched after the next one
    + buckets that are overdue before it, or at most a step after it, / buckets that clients take per second

All of these numbers come from the settings and the run: no bound is set by hand.
"""

from __future__ import annotations

import random
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from support.graphs import answers, may_hold, pass_time
from support.invariants import broken
from support.programs import BUCKETS_PER_CLIENT
from tabulate import tabulate

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import NothingToFetch, OverQuota
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, leases, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.buckets import longest_waits
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases
from proofs.graph import empty
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py waits"
PRIORITIZED_KIND, ORDINARY, MARKED, BARE = "prioritized", "ordinary", "prioritized under lease", "in no bucket yet"
TICK = 900
"""Seconds between two runs of the jobs, and between two fetches of a client, as in cron."""
KEEP = 2 * 3600
"""Seconds for which ended leases are kept here before reclaim_leases forgets them: time must be shifted for each."""
NEVER = 1_000_000
"""So many failures do not happen."""
BATCH = 2500
"""Users that are added or prioritized at once."""


@dataclass
class Stay:
    """The wait of a user, or of the bucket that holds it alone.

    It began at `since` and ended at `until` (None: it still waits). At `in_line` its bucket joined the line, and
    `before` is the longest that may pass until then.
    """

    name: str
    kind: str
    since: float
    in_line: float
    before: float = 0.0
    until: float | None = None


@dataclass(frozen=True)
class Row:
    """One printed row per kind and scenario, in seconds. `bound` belongs to the longest wait; `left` is the smallest
    margin of any wait to its own bound."""

    scenario: str
    kind: str
    served: int
    waiting: int
    longest: float
    bound: float | None
    left: float | None


class World:
    """A database with clients, in which time passes tick by tick, and what waits in it.

    The time is the database's: what was passed by moving stored times back, plus real elapsed time.
    """

    def __init__(self, database: Database, active: int, rate: int, tick: int = TICK, raises: bool = True) -> None:
        """`rate` is how many buckets all answering clients together take per tick."""
        self.database = database
        self.ids = range(1, active + 1)
        self.rate = rate
        self.raises = raises
        self.waiting: dict[str, Stay] = {}
        self.over: list[Stay] = []
        self.ok = self.refused = 0
        self.violations: list[str] = []
        self.longest_round = self._longest_tick = float(tick)
        self._tick = tick
        self._passed = 0
        self._began = time.monotonic()
        self._rounds = [0.0]
        self._in_front: list[int] = []
        for id in self.ids:
            clients.register(database, id, f"client{id}")

    def now(self) -> float:
        """Seconds since the world began."""
        return self._passed + time.monotonic() - self._began

    def next_tick(self) -> None:
        """Let a tick pass, then run the jobs that give dead leases back, judge, and raise overdue buckets."""
        self._passed += self._tick
        pass_time(self.database.run_text, self._tick)
        reclaim_leases.run(self.database)
        judge_clients.run(self.database)
        self._rounds.append(self.now())
        self._longest_tick = max(self._longest_tick, self._rounds[-1] - self._rounds[-2])
        if self.raises:
            raise_starved.run(self.database)
            self._in_front.append(self._overdue_soon())

    def end_round(self, taken: int) -> None:
        """The clients have fetched what they take in this tick."""
        self.longest_round = max(self.longest_round, self.now() - self._rounds[-2])
        if taken < self.rate and (left := self._line()):
            self.violations.append(f"clients took {taken} of {self.rate} buckets although {left} more waited")

    def add(self, names: Sequence[str]) -> None:
        """New users, in no bucket."""
        for first in range(0, len(names), BATCH):
            users.add(self.database, [User(name, None) for name in names[first : first + BATCH]])
        self.ok += len(names)

    def prioritize(self, names: Sequence[str], priority: int = DEFAULTS.prioritized) -> None:
        """Users who are in line or in no bucket move into buckets of that priority, and wait there from now on."""
        kind = PRIORITIZED_KIND if priority < DEFAULTS.default_priority else ORDINARY
        for first in range(0, len(names), BATCH):
            part = list(names[first : first + BATCH])
            users.prioritize(self.database, part, priority, recheck=False)
            self.waiting.update((name, Stay(name, kind, self.now(), self.now())) for name in part)
        self.ok += len(names)

    def fetch(self, id: int, count: int, honest: bool = True) -> list[Lease]:
        """A client fetches, and the users it gets stop waiting. Returns nothing when there is nothing for it."""
        try:
            found = leases.fetch(self.database, id, count, uuid.uuid4().hex)
        except (NothingToFetch, OverQuota) as none:
            self.refused += 1
            if honest and isinstance(none, OverQuota):
                self.violations.append(f"client {id} answers all that it takes, and gets nothing: {none}")
            return []
        self.ok += len(found)
        for name in (user.screen_name for lease in found for user in lease.users):
            if (stay := self.waiting.pop(name, None)) is not None:
                stay.until = self.now()
                self.over.append(stay)
        return found

    def submit(self, id: int, held: Sequence[Lease], only: int | None = None) -> None:
        """A client answers all users of its leases, or the first `only` of each."""
        for report in submit(self.database, id, [answers(lease, only=only) for lease in held]):
            self.ok += 1
            if report.status == "refused":
                self.violations.append(f"client {id}: an answer in time is refused: {report}")

    def work(self) -> None:
        """Each client fetches its share of `rate` and answers it at once, as long as anything waits."""
        taken, most = 0, self.rate // len(self.ids)
        for id in self.ids:
            held = self.fetch(id, most)
            if not held:
                break
            self.submit(id, held)
            taken += len(held)
        self.end_round(taken)

    def bound(self, kind: str, since: float) -> float:
        """The longest that a bucket waiting since then may wait, in seconds (see the module)."""
        prioritized, ordinary = longest_waits(self.database.settings)
        overdue = prioritized if kind in (PRIORITIZED_KIND, MARKED) else ordinary
        run = bisect_left(self._rounds, since + overdue, lo=1) - 1
        in_front = self._in_front[run] if run < len(self._in_front) else 0
        return overdue + self.longest_round + in_front * self._longest_tick / self.rate

    def judge(self, scenario: str, kinds: Sequence[str]) -> list[Row]:
        """Check every wait against its bound; an unserved wait lasts until now."""
        now = self.now()
        rows = []
        for kind in kinds:
            waits: list[tuple[float, float]] = []
            waiting = 0
            for stay in (*self.over, *self.waiting.values()):
                if stay.kind != kind:
                    continue
                waiting += stay.until is None
                wait = (now if stay.until is None else stay.until) - stay.since
                bound = stay.before + self.bound(kind, stay.in_line)
                waits.append((wait, bound))
                if self.raises and wait > bound:
                    self.violations.append(
                        f"{scenario}: {stay.name} ({kind}) waited {_hours(wait)} h since hour {_hours(stay.since)}"
                        f"{' and still does' * (stay.until is None)}; bound {_hours(bound)} h"
                    )
            longest, bound = max(waits, default=(0.0, 0.0))
            left = min((most - wait for wait, most in waits), default=0.0)
            judged = (bound, left) if self.raises else (None, None)
            rows.append(Row(scenario, kind, len(waits) - waiting, waiting, longest, *judged))
        return rows

    def outcome(self, fault: str, injection: str, faults: int) -> Outcome:
        """The result of the run, with the graph's invariants."""
        self.violations += broken(self.database.run_text)
        return Outcome(fault, injection, COMMAND, self.ok, self.refused, 0, faults, self.violations)

    def _overdue_soon(self) -> int:
        """Buckets that are overdue, or will be within a step: no others can precede one that is raised now."""
        prioritized, ordinary = longest_waits(self.database.settings)
        [row] = self.database.run_text(
            """MATCH (b:DMCheckBucket)
            WITH duration.inSeconds(b.edit_datetime, datetime()).seconds AS age,
                 CASE WHEN coalesce(b.raised_from, b.priority) < $default THEN $prioritized ELSE $ordinary END AS most
            RETURN count(CASE WHEN age >= most - $step THEN 1 END) AS buckets""",
            default=DEFAULTS.default_priority,
            prioritized=prioritized,
            ordinary=ordinary,
            step=DEFAULTS.step_seconds,
        )
        return int(row["buckets"])

    def _line(self) -> int:
        [row] = self.database.run_text("MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL RETURN count(b) AS buckets")
        return int(row["buckets"])


def flood(
    settings: Settings,
    percent: int,
    *,
    ticks: int,
    buckets: int,
    active: int,
    tick: int = TICK,
    raises: bool = True,
    whole: bool = True,
) -> tuple[Outcome, list[Row]]:
    """`buckets` ordinary buckets wait while prioritized ones come at `percent` of what the clients can take.

    It runs for `ticks`, or without `whole` until none of the ordinary ones waits. Without `raises` nothing is raised:
    they wait forever, which shows that the flood is one.
    """
    scenario = f"flood of {percent} %" if raises else f"flood of {percent} %, nothing raised"
    with _fresh(settings, 1) as database:
        world = World(database, active, active * DEFAULTS.max_fetch, tick, raises)
        ordinary = [f"ordinary{number}" for number in range(buckets)]
        world.add(ordinary)
        world.prioritize(ordinary, DEFAULTS.default_priority)
        left, faults = set(ordinary), 0
        for number in range(ticks):
            faults += _one_flood(world, f"p{number}_", percent, bool(left))
            world.work()
            left &= world.waiting.keys()
            if not left and not whole:
                break
        if not raises and len(left) < buckets:
            world.violations.append(f"{scenario}: ordinary buckets were served: this flood starves nobody")
        rows = world.judge(scenario, (PRIORITIZED_KIND, ORDINARY))
        return world.outcome(f"{scenario}, {buckets} ordinary buckets", _INJECTION, faults), rows


def bare_users(
    settings: Settings, percent: int, *, ticks: int, active: int, size: int = 5, tick: int = TICK
) -> tuple[Outcome, list[Row]]:
    """Users are in no bucket while prioritized ones fill the line: make_buckets gives ordinary ones half of it.

    Twice as many wait as there are places: the others get theirs as soon as the first have been leased.
    """
    with (
        _fresh(settings, 1) as database,
        Database(replace(database.settings, bucket_size=size), "make_buckets") as jobs,
    ):
        world = World(database, active, active * DEFAULTS.max_fetch, tick)
        places, turns = active * BUCKETS_PER_CLIENT // 2, 2
        first = [f"first{number}" for number in range(places * 2)]
        world.add(first)
        world.prioritize(first)
        bare = [f"bare{number}" for number in range(places * turns * size)]
        world.add(bare)
        world.waiting.update((name, Stay(name, BARE, world.now(), world.now())) for name in bare)
        left, faults, placed = set(bare), 0, set[str]()
        for number in range(ticks):
            faults += _one_flood(world, f"p{number}_", percent, bool(left))
            make_buckets.run(jobs)
            fresh = _in_buckets(database, left - placed)
            placed |= fresh
            for name in fresh:
                world.waiting[name].in_line = world.now()
            world.work()
            left &= world.waiting.keys()
        # A place in line is free again at the latest after its bucket's bound and a run of make_buckets.
        stays = [stay for stay in (*world.over, *world.waiting.values()) if stay.kind == BARE]
        bounds = (world.bound(ORDINARY, stay.in_line) for stay in stays if stay.name in placed)
        turn = max(bounds, default=0.0) + world.longest_round
        for stay in stays:
            # From the second turn on, second opinions take up to half of the places.
            stay.before = 2 * (turns - 1) * turn + world.longest_round
        rows = world.judge(f"flood of {percent} %, users in no bucket", (PRIORITIZED_KIND, BARE))
        return world.outcome(f"flood of {percent} %, {len(bare)} users in no bucket", _INJECTION, faults), rows


def from_prioritize_to_lease(
    settings: Settings, *, ticks: int, active: int, size: int = 4, tick: int = TICK, seed: int = 1
) -> tuple[Outcome, list[Row]]:
    """Prioritizes users who wait in ordinary buckets, and users under lease.

    Most clients answer, a quarter of the leases only in part; a seventh of the clients never do. Usually half of what
    clients can take is prioritized, every 24th tick three times as much as they can take. A user under a dead lease
    waits again after the lease, the grace period, and two runs of reclaim_leases: one marks it dead, one gives it back.
    """
    dice = random.Random(seed)
    with _fresh(settings, size) as database:
        silent = max(active // 7, 1)
        world = World(database, active, 2 * (active - silent), tick)
        leased = _UnderLease(world, silent, dice)
        added = 0
        for number in range(ticks):
            world.next_tick()
            leased.wait_again(_in_buckets(database, leased.marked, ready=True))
            more = world.rate * size * (12 if number == 0 else 1) // 2
            world.add([f"user{added + i}" for i in range(more)])
            added += more
            make_buckets.run(database)
            ordinary = _ordinary(database)
            wanted = world.rate * size * (6 if number % 24 == 12 else 1) // 2
            world.prioritize(dice.sample(ordinary, min(wanted, len(ordinary))))
            leased.prioritize()
            world.end_round(leased.work())
        leased.judge()
        rows = world.judge("from prioritize to lease", (PRIORITIZED_KIND, MARKED))
        return world.outcome(
            f"prioritize, {silent} of {active} clients die", "waiting, under lease, bursts", leased.deaths
        ), rows


@dataclass
class _UnderLease:
    """Users who are prioritized under lease, in a world whose first `silent` clients never answer. `marked`: when each
    was, of those who have neither been answered nor come back; `deaths`: leases that nobody answers."""

    world: World
    silent: int
    dice: random.Random
    held: dict[int, list[Lease]] = field(default_factory=dict)
    marked: dict[str, float] = field(default_factory=dict)
    deaths: int = 0

    def wait_again(self, names: Iterable[str]) -> None:
        """Marked users are in a waiting bucket."""
        for name in names:
            self.world.waiting[name] = Stay(name, MARKED, self.marked.pop(name), self.world.now())

    def prioritize(self) -> None:
        """Half of the users that a silent client holds, a quarter of those that another holds."""
        database = self.world.database
        for id, mine in self.held.items():
            names = sorted(_in_buckets(database, [user.screen_name for lease in mine for user in lease.users]))
            chosen = self.dice.sample(names, len(names) // (2 if id <= self.silent else 4))
            if chosen:
                users.prioritize(database, chosen, DEFAULTS.prioritized, recheck=False)
            self.marked.update((name, self.world.now()) for name in chosen)

    def work(self) -> int:
        """Each client answers, unless it is silent, and fetches; returns how many buckets the answering ones took."""
        taken = 0
        for id in self.world.ids:
            if id <= self.silent:
                may_hold(self.world.database.run_text, id, DEFAULTS.max_fetch)
                self.held[id] = self.world.fetch(id, DEFAULTS.max_fetch, honest=False)
                self.deaths += len(self.held[id])
                continue
            for lease in self.held.get(id, []):
                self._answer(id, lease)
            self.held[id] = self.world.fetch(id, 2)
            taken += len(self.held[id])
        return taken

    def _answer(self, id: int, lease: Lease) -> None:
        only = len(lease.users) // 2 + 1 if self.dice.random() < 0.25 else len(lease.users)
        self.world.submit(id, [lease], only)
        for user in lease.users[:only]:
            self.marked.pop(user.screen_name, None)
        self.wait_again(user.screen_name for user in lease.users[only:] if user.screen_name in self.marked)

    def judge(self) -> None:
        """Whoever was marked came back in time."""
        world, settings = self.world, self.world.database.settings
        returned = settings.lease_seconds + settings.grace_seconds + 2 * world.longest_round
        for stay in (*world.over, *world.waiting.values()):
            if stay.kind == MARKED:
                stay.before = returned
                if stay.in_line - stay.since > returned:
                    world.violations.append(
                        f"{stay.name} came back {_hours(stay.in_line - stay.since)} h after a lease"
                    )
        late = [name for name, since in self.marked.items() if world.now() - since > returned]
        world.violations += [f"{name} is under a dead lease for ever" for name in late]


_INJECTION = "priority 10 without end, moved times"


def _one_flood(world: World, prefix: str, percent: int, counts: bool) -> int:
    """A tick passes, and new users are prioritized; returns how many if that `counts`."""
    world.next_tick()
    names = [f"{prefix}{i}" for i in range(world.rate * percent // 100)]
    world.add(names)
    world.prioritize(names)
    return len(names) if counts else 0


@contextmanager
def _fresh(settings: Settings, size: int) -> Iterator[Database]:
    """A connection to an empty graph, for buckets of that size, which are not split.

    The bound counts buckets, as clients do; one that nobody answers would become up to ten.
    """
    whole = replace(settings.limits, max_failures=(NEVER, NEVER))
    with Database(replace(settings, bucket_size=size, keep_seconds=KEEP, limits=whole), "tests") as database:
        empty(database)
        yield database


def _in_buckets(database: Database, names: Iterable[str], ready: bool = False) -> set[str]:
    """Those of the users who are in a bucket, for a first answer; with `ready`, in a waiting one."""
    rows = database.run_text(
        """UNWIND $names AS name
        MATCH (:User {screen_name: name})-[m:INDMCHECKBUCKET]->(b)
        WHERE m.second IS NULL AND (NOT $ready OR b.place IS NOT NULL)
        RETURN name""",
        names=list(names),
        ready=ready,
    )
    return {row["name"] for row in rows}


def _ordinary(database: Database) -> list[str]:
    """The users who wait for a first answer in ordinary buckets that were not raised."""
    rows = database.run_text(
        """MATCH (u:User)-[m:INDMCHECKBUCKET]->(b:DMCheckBucket)
        WHERE b.place IS NOT NULL AND b.priority = $priority AND m.second IS NULL
        RETURN u.screen_name AS name ORDER BY name""",
        priority=DEFAULTS.default_priority,
    )
    return [row["name"] for row in rows]


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"


def table(rows: Sequence[Row]) -> str:
    """The longest waits and their bounds, in hours."""
    head = [
        "scenario",
        "kind",
        "served",
        "still waiting",
        "longest wait (h)",
        "its bound (h)",
        "least left to a bound (h)",
    ]
    cells = [
        [
            row.scenario,
            row.kind,
            row.served,
            row.waiting,
            _hours(row.longest),
            *("none" if value is None else _hours(value) for value in (row.bound, row.left)),
        ]
        for row in rows
    ]
    return tabulate(
        cells, headers=head, tablefmt="github", disable_numparse=True, colalign=("left",) * 2 + ("right",) * 5
    )


def run(settings: Settings, *, days: int = 3, clients: int = 20, buckets: int = 10_000) -> list[Outcome]:
    """The long form: floods above and below what clients can take, in ticks of a quarter of an hour."""
    ticks = days * 86_400 // TICK
    scenarios: list[Callable[[], tuple[Outcome, list[Row]]]] = [
        lambda: flood(settings, 105, ticks=ticks, buckets=buckets, active=clients),
        lambda: flood(settings, 50, ticks=ticks, buckets=buckets, active=clients, whole=False),
        lambda: flood(settings, 105, ticks=ticks // 2, buckets=buckets, active=clients, raises=False),
        lambda: bare_users(settings, 105, ticks=ticks, active=clients),
        lambda: from_prioritize_to_lease(settings, ticks=ticks, active=clients),
    ]
    outcomes, rows = [], []
    for scenario in scenarios:
        outcome, found = scenario()
        outcomes.append(outcome)
        rows += found
    print(table(rows), end="\n\n")
    return outcomes
