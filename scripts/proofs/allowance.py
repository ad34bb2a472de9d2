"""What clients of every kind may hold during a day: the real code, in virtual time.

All of them state a capacity of 40 leases. What they earn depends on what they do with them.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from statistics import mean

from support.graphs import answers as answered
from support.graphs import pass_time
from support.invariants import broken
from support.programs import BUCKETS_PER_CLIENT
from tabulate import tabulate

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import ClientStats, Lease, User
from dmcheck_cli.errors import NothingToFetch, OverQuota, TooFast
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, clients, leases, schema, stats, users
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py allowance"

TICK = 300
"""Seconds of virtual time between two actions of the clients, and between two runs of judge_clients."""

JOBS_EVERY = 3
"""Ticks between two runs of the other jobs: a quarter of an hour, as in cron."""

CAPACITY = 40
"""What each client states."""

LEASE, GRACE, SIZE = 7200, 900, 12
"""Seconds, seconds, users per bucket: enough for a flood of UNKNOWN, and few enough for a day in a minute."""

LIFE = LEASE // TICK
"""Ticks until a lease expires."""

SETTLED = 5 * 3600 // TICK
"""Ticks after which the slow client's allowance must match what it finishes: its first ten leases have died, and it has
tested once or twice whether it can do more."""

SOON = 3 * 3600 // TICK
"""Ticks after which the allowance of the others must match their behaviour."""

AT_ONCE = 5
"""Buckets that a quick client finishes per tick."""

SLOW = 10
"""Ticks that the slow client needs for one bucket: 50 minutes, so it finishes two within a lease."""


VANISHES = 42
"""Ticks between two disappearances of the dying client: three and a half hours."""


@dataclass
class Held:
    """A lease that a client holds, the tick at which it was taken, and how many the client had taken before."""

    lease: Lease
    since: int
    number: int


class Player(ABC):
    """A client, what it does at each tick (`act`, by kind), and what the graph recorded about it after each tick."""

    def __init__(self, database: Database, id: int) -> None:
        self.database, self.id = database, id
        self.tick = 0
        self.hands: list[Held] = []
        self.taken = 0
        self.useful = 0  # ticks for which it held leases that it then answered
        self.seen: list[ClientStats] = []

    @property
    def kind(self) -> str:
        """Its name in tables."""
        return type(self).__name__.lower()

    @abstractmethod
    def act(self) -> None:
        """What it does at a tick."""

    def take(self) -> None:
        """Request everything that it may hold."""
        given = DEFAULTS.max_fetch
        while given == DEFAULTS.max_fetch:
            try:
                taken = leases.fetch(self.database, self.id, given, f"{self.tick} {random.random()}")
            except (OverQuota, TooFast, NothingToFetch):
                return
            given = len(taken)
            self.hands += [Held(lease, self.tick, self.taken + i) for i, lease in enumerate(taken)]
            self.taken += given

    def answer(self, some: list[Held], candm: str = "DM") -> None:
        """Answer all users of these leases."""
        if some:
            answers.submit(self.database, self.id, [answered(one.lease, candm) for one in some])
        for one in some:
            self.hands.remove(one)
            self.useful += self.tick - one.since

    def drop_expired(self) -> None:
        """Forget expired leases; reclaim_leases takes them away."""
        self.hands = [one for one in self.hands if self.tick - one.since < LIFE]

    def earlier(self) -> list[Held]:
        """The leases it holds from earlier ticks."""
        return [one for one in self.hands if one.since < self.tick]

    @property
    def wasted(self) -> float:
        """Bucket-hours for which it held leases that it never answered, or has not answered yet."""
        return (sum(one.held for one in self.seen) - self.useful) * TICK / 3600


class Honest(Player):
    """Answers five buckets per tick, and takes all it may."""

    def act(self) -> None:
        self.answer(self.earlier()[:AT_ONCE])
        self.take()


class Slow(Player):
    """Works on one bucket after another, and takes all it may."""

    def __init__(self, database: Database, id: int) -> None:
        super().__init__(database, id)
        self.working: tuple[Held, int] | None = None  # the lease it works on, since which tick

    def act(self) -> None:
        self.drop_expired()
        if self.working and self.working[0] not in self.hands:
            self.working = None
        if self.working and self.tick - self.working[1] >= SLOW:
            self.answer([self.working[0]])
            self.working = None
        self.take()
        if not self.working and self.hands:
            self.working = (self.hands[0], self.tick)


class Dying(Honest):
    """Works like an honest one for half an hour, then vanishes for three hours; what it held dies."""

    def act(self) -> None:
        self.drop_expired()
        if self.tick % VANISHES < VANISHES // 7:
            super().act()


class Greedy(Player):
    """Takes all it may, answers one in ten at once, and lets the others die."""

    def act(self) -> None:
        self.drop_expired()
        self.answer([one for one in self.earlier() if one.number % 10 == 0])
        self.take()


class Churning(Greedy):
    """As greedy, but releases the other leases before they die, to take new ones."""

    def act(self) -> None:
        for one in [one for one in self.hands if self.tick - one.since >= LIFE - 1]:
            leases.release(self.database, self.id, one.lease.bucket, one.lease.lease)
            self.hands.remove(one)
        super().act()


class Blind(Player):
    """As quick as an honest one, but answers UNKNOWN for everybody."""

    def act(self) -> None:
        self.answer(self.earlier()[:AT_ONCE], "UNKNOWN")
        self.take()


class Refused(Player):
    """Answers like an honest one, and submits each answered lease again with other answers an hour later."""

    def __init__(self, database: Database, id: int) -> None:
        super().__init__(database, id)
        self.done: list[Held] = []

    def act(self) -> None:
        old = [one for one in self.done if self.tick - one.since >= 12][:AT_ONCE]
        if old:
            answers.submit(self.database, self.id, [answered(one.lease, "NON_DM") for one in old])
        self.done = [one for one in self.done if one not in old]
        now = self.earlier()[:AT_ONCE]
        self.answer(now)
        self.done += now
        self.take()


KINDS: tuple[type[Player], ...] = (Honest, Slow, Dying, Greedy, Churning, Blind, Refused)


def empty(database: Database) -> None:
    """Delete every node, in batches that fit into a small heap."""
    database.run_text("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS", patience=300)


def day(settings: Settings, hours: int) -> list[Player]:
    """Run clients of all kinds side by side for this many hours; returns them with the observations."""
    times = replace(settings, lease_seconds=LEASE, grace_seconds=GRACE, bucket_size=SIZE, keep_seconds=6 * 3600)
    with Database(times, "allowance") as database:
        empty(database)
        schema.apply(database)
        players = [kind(database, id) for id, kind in enumerate(KINDS, 1)]
        for player in players:
            clients.register(database, player.id, player.kind, CAPACITY)
        added = 0
        for tick in range(hours * 3600 // TICK):
            if tick:
                pass_time(database.run_text, TICK)
            if tick % JOBS_EVERY == 0:
                reclaim_leases.run(database)
                added = supply(database, added, len(players))
                make_buckets.run(database)
                raise_starved.run(database)
            for player in random.sample(players, len(players)):
                player.tick = tick
                player.act()
            judge_clients.run(database)
            seen = {one.id: one for one in stats.stats(database)[0]}
            for player in players:
                player.seen.append(seen[player.id])
    return players


def supply(database: Database, added: int, active: int) -> int:
    """Add users, so that the line never runs dry; returns the total added so far."""
    _, system = stats.stats(database)
    missing = 2 * active * BUCKETS_PER_CLIENT * SIZE - system.users_waiting
    if missing > 0:
        users.add(database, [User(f"user{added + i:06}", None) for i in range(missing)])
        added += missing
    return added


def violations(player: Player) -> list[str]:
    """What is wrong with a client's day."""
    allowed, held = [one.allowance for one in player.seen], [one.held for one in player.seen]
    hours, later = len(held) * TICK / 3600, allowed[SOON:]
    wrong = {
        f"may hold {min(allowed)} to {max(allowed)} leases": not 1 <= min(allowed) <= max(allowed) <= CAPACITY,
        f"was given {allowed[0]} to begin with": allowed[0] != DEFAULTS.start_allowance,
        # It took them under what the judging of the tick before had left it.
        "took more than it may hold": any(
            now > before and now > may
            for before, now, may in zip([0, *held], held, [DEFAULTS.start_allowance, *allowed], strict=False)
        ),
        # Registering a new client gives as many, so a lower bound would be pointless.
        f"held {player.wasted:.0f} bucket-hours without an answer": player.wasted > hours * DEFAULTS.start_allowance,
    }
    end = player.seen[-1]
    match player:
        case Dying() | Greedy() | Refused():
            wrong[f"may hold {max(later)}"] = max(later) > DEFAULTS.start_allowance
        case Blind():
            wrong[f"may hold {max(later)}"] = max(later) > 1
        case Honest():
            wrong[f"may hold only {min(later)}"] = min(later) < CAPACITY
            wrong[f"{end.buckets_dead} leases died"] = end.buckets_dead > 0
        case Slow():
            died = end.buckets_dead - player.seen[SETTLED].buckets_dead
            wrong[f"{died} leases died after it was known"] = died > 0
            wrong[f"held {max(held[SETTLED:])}, and finishes {LIFE // SLOW}"] = max(held[SETTLED:]) > LIFE // SLOW
    return [f"{player.kind}: {what}" for what, is_so in wrong.items() if is_so]


def shown(players: list[Player], format: str = "github") -> str:
    """Each client's day as a table."""
    heads = ("client", "leases", "answered", "died", "refused", "first", "least", "most", "last", "held", "unanswered")
    rows = []
    for player in players:
        end, allowed = player.seen[-1], [one.allowance for one in player.seen]
        counts = (end.buckets_assigned, end.buckets_processed, end.buckets_dead, end.buckets_fault)
        in_vain = player.wasted / (len(allowed) * TICK / 3600)
        held = mean(one.held for one in player.seen)
        rows.append((player.kind, *counts, allowed[0], min(allowed), max(allowed), allowed[-1], held, in_vain))
    return tabulate(rows, heads, tablefmt=format, floatfmt=".1f")


def run(settings: Settings, *, hours: int = 24) -> list[Outcome]:
    """What clients of every kind may hold during a day, in virtual time; prints a table of them."""
    assert hours * 3600 // TICK > SETTLED, "too short to judge the slow client"
    players = day(settings, hours)
    print(shown(players), "\n")
    ends = [player.seen[-1] for player in players]
    with Database(settings, "allowance") as database:
        found = broken(database.run_text)
    return [
        Outcome(
            "leases die, submits are refused, users are not seen",
            f"clients of {len(KINDS)} kinds, {hours} hours of virtual time",
            COMMAND,
            ok=sum(end.buckets_processed for end in ends),
            refused=sum(end.buckets_fault for end in ends),
            faults=sum(end.buckets_fault + end.buckets_dead for end in ends),
            violations=found + [what for player in players for what in violations(player)],
        )
    ]
