"""Which of equally urgent buckets a client gets can be neither predicted nor steered: statistics on the real code.

There are two questions. Is each waiting bucket drawn as often as any other (chi-square)? And can a client that wants
one particular bucket get it sooner than by drawing as many buckets blindly (random programs of everything a client can
do, a martingale's tail)? Both are judged at a fixed false alarm rate, FALSE_ALARMS per run: the draws are the
database's own, so no seed reproduces them.
"""

from __future__ import annotations

import math
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import NormalDist, mean

from support.graphs import pass_time, prepare
from support.programs import BUCKETS_PER_CLIENT

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered, Lease, User
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, clients, leases, schema, users
from jobs import make_buckets, reclaim_leases
from proofs.graph import empty
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py steering"

FALSE_ALARMS = 1e-6
"""How often a fair system is accused, per outcome."""

DRAWERS = range(1, 31)
"""Clients that draw in turn, once each before everything is forgotten: a client's last bucket ranks after its equals,
which is not measured here."""

ATTACKERS = (101, 102, 103, 104)
"""The ids of one attacker."""

OTHER = 105
"""A client that draws and gives back meanwhile."""

EQUALS = 80
"""Buckets of equal standing, more than a fetch considers. An attacker wants one of them."""

FORGET = """
    CALL () { MATCH (l:DMCheckLease) DELETE l }
    CALL () { MATCH (b:DMCheckBucket) SET b.edit_datetime = datetime() REMOVE b.newest, b.last_client }
    CALL () {
        MATCH (s:DMCheckClientStats) SET s.buckets_dead = 0 REMOVE s.allowance, s.next_fetch, s.last_access_time
    }"""
"""As if no bucket had ever been leased. The line stays as it is."""

TARGETS = {
    "made first": "ORDER BY size(elementId(b)), elementId(b)",
    "made last": "ORDER BY size(elementId(b)) DESC, elementId(b) DESC",
    "of the lowest uuid": "ORDER BY b.uuid",
    "at the front of the line": "ORDER BY b.place",
    "at the end of the line": "ORDER BY b.place DESC",
    "with the first name": "ORDER BY [(b)<-[:INDMCHECKBUCKET]-(u) | u.screen_name][0]",
}
"""Which bucket an attacker may want, and how it is found. In addition: one that it, or another client, has just had."""

HAD = ("given back by the attacker", "let die by the attacker", "given back by somebody else")

ACTIONS = (
    "fetch 1", "fetch some", "fetch 10", "release", "submit nothing", "let die", "register again", "renew", "repeat",
    "wait", "others draw",
)  # fmt: skip
"""What an attacker can do. "repeat" sends an earlier request once more, as any of its clients."""

WEIGHTS = (1, 3, 3, *[1] * (len(ACTIONS) - 3))
"""How often each is done: an attacker that seldom fetches cannot win."""

REQUESTS: dict[str, Callable[[random.Random, int], str]] = {
    "requests counted": lambda _, number: str(number),
    "requests at random": lambda rng, _: f"{rng.getrandbits(128):032x}",
    "requests alike for all ids": lambda _, number: f"same-{number // len(ATTACKERS)}",
}


def chi_square(counts: Sequence[int], at_once: int = 1, gaps: float = 1.0) -> tuple[float, float]:
    """How uneven counts are, and the chance of a higher value if all were equally likely.

    The `at_once` buckets of one draw are distinct, which evens out the counts by (n - at_once) / (n - 1); this is
    corrected, as is a known factor by which they are more uneven (`of_gaps`).
    """
    cells, expected = len(counts), sum(counts) / len(counts)
    statistic = sum((count - expected) ** 2 for count in counts) / expected * (cells - 1) / (cells - at_once) / gaps
    return statistic, 1 - _lower_gamma((cells - 1) / 2, statistic / 2)


def _lower_gamma(a: float, x: float) -> float:
    """The regularized lower incomplete gamma function P(a, x), by its series (NIST DLMF 8.7.1 with 8.2.4)."""
    if x <= 0:
        return 0.0
    term = total = 1.0
    step = 0
    while term > total * 1e-16:
        step += 1
        term *= x / (a + step)
        total += term
    return min(1.0, total * math.exp(a * math.log(x) - x - math.lgamma(a + 1)))


def of_gaps(equals: int) -> float:
    """How much more uneven counts are if more buckets wait than a fetch considers.

    At any moment a bucket's chance is the sum of the gaps before it, as many as the window is wide, which varies by 1 /
    sqrt(window). Clients cannot see the gaps, and giving back draws a new place for the bucket, so in the long run all
    are equal; but the times between two draws of a bucket vary more, by this factor.
    """
    return 1 + 2 / DEFAULTS.window * (1 - DEFAULTS.window / equals) if equals > DEFAULTS.window else 1.0


@dataclass
class Gain:
    """Wins against their chances, each taken when a bucket was drawn: the sum of the differences is a martingale,
    whatever the attacker does and whenever it stops."""

    wins: int = 0
    expected: float = 0.0
    variance: float = 0.0

    def add(self, chance: float, won: bool) -> None:
        """One more draw."""
        self.wins += won
        self.expected += chance
        self.variance += chance * (1 - chance)

    def merge(self, other: Gain) -> None:
        """Add another's draws."""
        self.wins += other.wins
        self.expected += other.expected
        self.variance += other.variance

    @property
    def z(self) -> float:
        """The gain in standard deviations."""
        return (self.wins - self.expected) / math.sqrt(self.variance) if self.variance else 0.0

    @property
    def tail(self) -> float:
        """A bound on the chance of such a gain if there is none (Freedman 1975, Theorem 1.6). Unlike the normal
        distribution's tail it also holds if few wins are expected."""
        gain, v = self.wins - self.expected, self.variance
        return math.exp(gain - (gain + v) * math.log1p(gain / v)) if gain > 0 and v > 0 else 1.0

    def __str__(self) -> str:
        return f"{self.wins} wins of {self.expected:.1f} expected, z = {self.z:+.1f}"


def fresh(database: Database, ids: Sequence[int], equals: int) -> list[str]:
    """An empty graph, clients, and `equals` buckets of one user each; returns the buckets in the order of creation."""
    empty(database)
    schema.apply(database)
    assert equals <= len(ids) * BUCKETS_PER_CLIENT, "make_buckets would not make so many for so few clients"
    prepare(database, ids, equals, 1)
    made = database.run_text(f"MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid {TARGETS['made first']}")
    assert len(made) == equals
    return [row["uuid"] for row in made]


def _release(database: Database, client: int, held: Sequence[Lease]) -> None:
    for lease in held:
        leases.release(database, client, lease.bucket, lease.lease)


def _submit_nothing(database: Database, client: int, held: Sequence[Lease]) -> None:
    answers.submit(database, client, [Answered(lease.bucket, lease.lease, {}) for lease in held])


def _register_again(database: Database, client: int, _: Sequence[Lease] = ()) -> None:
    clients.unregister(database, client, f"client{client}")
    clients.register(database, client, f"client{client}")


def _let_die(database: Database, _client: int, _: Sequence[Lease] = ()) -> None:
    for seconds in (database.settings.lease_seconds, database.settings.grace_seconds):
        pass_time(database.run_text, seconds + 1)
        reclaim_leases.run(database)


WAYS: dict[str, Callable[[Database, int, Sequence[Lease]], None]] = {
    "release": _release,
    "submit nothing": _submit_nothing,
    "register again": _register_again,
    "let die": _let_die,
}
"""How a client can get rid of unanswered leases. The last two end all that it holds."""


def give_back(database: Database, client: int, held: Sequence[Lease], way: str) -> None:
    """Get rid of leases by one of WAYS."""
    WAYS[way](database, client, held)


def drawn(database: Database, fetches: int, count: int, request: Callable[[int], str]) -> Iterator[list[str]]:
    """Fetches of `count` by DRAWERS in turn, each given back before the next; yields the buckets of each."""
    for number in range(fetches):
        turn = number % len(DRAWERS)
        if turn == 0:
            database.run_text(FORGET)
        database.run_text("MATCH (b:DMCheckBucket) REMOVE b.failures, b.failed_by")  # so that none is split
        got = leases.fetch(database, DRAWERS[turn], count, request(number))
        give_back(database, DRAWERS[turn], got, ("submit nothing", "register again", "release")[number % 3])
        yield [lease.bucket for lease in got]


def uniform(database: Database, equals: int, count: int, draws: int) -> Outcome:
    """`draws` buckets, `count` at a time, from `equals`: each is drawn as often as any other.

    If more wait than a fetch considers, the buckets of one fetch are near each other in the line, which alone would
    make a count of all uneven: then only one per fetch is counted.
    """
    outcome = Outcome(f"{equals} equals, {count} at a time", "drawn by clients in turn, given back", COMMAND)
    counted = count if equals <= DEFAULTS.window else 1
    line = fresh(database, DRAWERS, equals)
    times: Counter[str] = Counter()
    for got in drawn(database, draws // counted, count, lambda _: uuid.uuid4().hex):
        times.update(got if counted == count else [random.choice(got)])
        outcome.ok += 1
        if len(set(got)) != count:
            outcome.violations.append(f"{count} wanted, {len(set(got))} given")
    _judge(outcome, [times[bucket] for bucket in line], counted, of_gaps(equals))
    return outcome


def abandoned(database: Database, rounds: int, equals: int = 40) -> Outcome:
    """Buckets that one client let die, released, submitted without answers, or left by unregistering are drawn by the
    others as often as those it never had."""
    outcome = Outcome("buckets that somebody gave up", f"10 of {equals}, by each of the ways", COMMAND)
    fresh(database, [*DRAWERS, OTHER], equals)
    hits = draws = 0
    for number in range(rounds):
        database.run_text(FORGET)
        had = leases.fetch(database, OTHER, 10, uuid.uuid4().hex)
        give_back(database, OTHER, had, list(WAYS)[number % len(WAYS)])
        for client in DRAWERS:
            [got] = leases.fetch(database, client, 1, uuid.uuid4().hex)
            give_back(database, client, [got], "release")
            hits += got.bucket in {lease.bucket for lease in had}
            draws += 1
    outcome.ok = draws
    _judge(outcome, [hits, draws - hits], shares=(10, equals - 10))
    return outcome


def requests(database: Database, rounds: int, equals: int = 20) -> Iterator[Outcome]:
    """The bucket that comes first depends neither on the request's id nor on earlier events.

    Each round starts from a clean state; then 30 clients ask once each, with the same id or with 1, 2, 3...
    """
    for name, request in {
        "one request id for all": lambda number: "1",
        "request ids 1, 2, 3...": lambda number: str(number % len(DRAWERS) + 1),
    }.items():
        outcome = Outcome(name, f"{rounds} beginnings, the first of {len(DRAWERS)} clients", COMMAND)
        line = fresh(database, DRAWERS, equals)
        got = [line.index(first) for [first] in drawn(database, rounds * len(DRAWERS), 1, request)]
        outcome.ok = len(got)
        steps = Counter((b - a) % equals for a, b in pairwise(got))
        again = Counter((b - a) % equals for a, b in zip(got, got[len(DRAWERS) :], strict=False))
        _judge(outcome, [got.count(bucket) for bucket in range(equals)])
        _judge(outcome, [steps[step] for step in range(equals)], what="from one client to the next")
        _judge(outcome, [again[step] for step in range(equals)], what="from one beginning to the next")
        yield outcome


def _judge(
    outcome: Outcome,
    counts: Sequence[int],
    at_once: int = 1,
    gaps: float = 1.0,
    shares: Sequence[int] = (),
    what: str = "which",
) -> None:
    """Add the verdict on counts that should be even (or as `shares`) to an outcome."""
    if shares:
        z = (counts[0] - (n := sum(counts)) * (p := shares[0] / sum(shares))) / math.sqrt(n * p * (1 - p))
        chance, text = 2 * NormalDist().cdf(-abs(z)), f"{counts[0]} of {n}, {n * p:.0f} expected, z = {z:+.1f}"
    else:
        statistic, chance = chi_square(counts, at_once, gaps)
        text = f"{what}: {sum(counts)} draws, chi-square {statistic:.1f} of {len(counts) - 1}, p = {chance:.2g}"
    outcome.injection += f"; {text}"
    outcome.faults += sum(counts)
    if chance < FALSE_ALARMS:
        outcome.violations.append(f"not even: {text}; counts {sorted(counts)}")


@dataclass
class Strategy:
    """A program of an attacker: which action, by which of its ids, with which number."""

    target: str
    requests: str
    steps: list[tuple[str, int, int]]

    @property
    def families(self) -> set[str]:
        """The kinds of action that it shares with other strategies."""
        several = {"several ids"} if len({who for _, who, _ in self.steps}) > 1 else set()
        return {action for action, _, _ in self.steps} | {self.requests, f"wants the bucket {self.target}"} | several


def strategy(rng: random.Random) -> Strategy:
    """Up to 12 actions, at least one of them a fetch."""
    ids = rng.sample(ATTACKERS, rng.choice((1, 2, 4)))
    actions = [rng.choice(ACTIONS[:3]), *rng.choices(ACTIONS, WEIGHTS, k=rng.randint(3, 11))]
    steps = [(action, rng.choice(ids), rng.randint(1, 10)) for action in actions]
    return Strategy(rng.choice((*TARGETS, *HAD)), rng.choice(list(REQUESTS)), steps)


@dataclass
class Attack:
    """Runs a strategy until it has won or is finished."""

    database: Database
    plan: Strategy
    rng: random.Random
    outcome: Outcome
    target: str = ""
    gain: Gain = field(default_factory=Gain)
    seen: set[str] = field(default_factory=set)
    held: dict[int, list[Lease]] = field(default_factory=lambda: {id: [] for id in (*ATTACKERS, OTHER)})
    sent: list[tuple[int, str]] = field(default_factory=list)

    def run(self) -> Gain:
        """Returns the gain. In the end everything waits again."""
        self.database.run_text(FORGET)
        self.target = self._choose()
        for action, who, number in self.plan.steps:
            self._do(action, who, number)
            if self.gain.wins:
                break
        for id, held in self.held.items():
            if held:
                _register_again(self.database, id)
        return self.gain

    def _choose(self) -> str:
        if self.plan.target in TARGETS:
            order = TARGETS[self.plan.target]
            [row] = self.database.run_text(f"MATCH (b:DMCheckBucket) WITH b {order} LIMIT 1 RETURN b.uuid AS uuid")
            return str(row["uuid"])
        by = OTHER if self.plan.target == HAD[2] else ATTACKERS[0]
        had = leases.fetch(self.database, by, 1, "before")
        way = "let die" if self.plan.target == HAD[1] else self.rng.choice(list(WAYS)[:3])
        give_back(self.database, by, had, way)
        return had[0].bucket

    def _do(self, action: str, who: int, number: int) -> None:
        database, held = self.database, self.held[who]
        some = held[:number]
        if action.startswith("fetch"):
            count = {"fetch 1": 1, "fetch 10": 10}.get(action, number)
            self.sent.append((count, REQUESTS[self.plan.requests](self.rng, len(self.sent))))
            self._fetch(who, *self.sent[-1])
        elif action == "repeat" and self.sent:
            self._fetch(who, *self.rng.choice(self.sent))
        elif action == "release":
            _release(database, who, some)
            self.held[who] = held[number:]
        elif action == "submit nothing":
            _submit_nothing(database, who, some)
            self.held[who] = held[number:]
        elif action == "let die":
            _let_die(database, who)
            self.held = {id: [] for id in self.held}
        elif action == "register again":
            _register_again(database, who)
            self.held[who] = []
        elif action == "renew":
            for lease in some:
                leases.renew(database, who, lease.bucket, lease.lease)
        elif action == "wait":
            pass_time(database.run_text, number * 60)
        elif action == "others draw":
            _submit_nothing(database, OTHER, self.held[OTHER])
            self.held[OTHER] = leases.fetch(database, OTHER, 1 + number // 4, uuid.uuid4().hex)

    def _fetch(self, who: int, count: int, request: str) -> None:
        try:
            got = leases.fetch(self.database, who, count, request)
        except DmcheckError:
            self.outcome.refused += 1
            return
        self.outcome.ok += 1
        mine = {lease.lease for lease in self.held[who]}
        self.held[who] += [lease for lease in got if lease.lease not in mine]
        new = {lease.bucket for lease in got} - self.seen
        if new:
            # Among those it has not seen yet, each is equally likely to be the target.
            self.gain.add(len(new) / (EQUALS - len(self.seen)), self.target in new)
            self.seen |= new


def attacks(database: Database, strategies: int, seed: int) -> Outcome:
    """No strategy, and no kind of action, gets an attacker its target bucket sooner than as many buckets drawn blindly.
    Seeing more buckets by paying for them is no gain."""
    outcome = Outcome("attackers want one of 80 equals", f"{strategies} random programs (seed {seed})", COMMAND)
    rng = random.Random(seed)
    fresh(database, [*ATTACKERS, OTHER], EQUALS)
    gains: dict[str, Gain] = {"all": Gain()}
    for _ in range(strategies):
        plan = strategy(rng)
        gain = Attack(database, plan, rng, outcome).run()
        for family in {"all"} | plan.families:
            gains.setdefault(family, Gain()).merge(gain)
    largest = max(gains, key=lambda family: gains[family].z)
    outcome.injection += f": {gains['all']}; most of {len(gains)} kinds, {largest}: {gains[largest]}"
    outcome.faults = strategies
    outcome.violations += [
        f"{family}: {gain}" for family, gain in gains.items() if gain.tail < FALSE_ALARMS / len(gains)
    ]
    return outcome


def spread(ranks: Sequence[int]) -> float:
    """The mean distance between two of them."""
    ranks, n = sorted(ranks), len(ranks)
    return 2 * sum((2 * i - n + 1) * rank for i, rank in enumerate(ranks)) / (n * (n - 1))


def apart(database: Database, names: int, buckets: int, prioritized: bool = False) -> Outcome:
    """Members of a bucket are as far apart in the alphabet as if drawn blindly from `names` that wait: two of n numbers
    are (n + 1) / 3 apart, give or take 2 / sqrt(180 m) of n for the mean of m members."""
    how = "prioritize, in the order of the alphabet" if prioritized else f"room for {buckets} among {names:,} names"
    outcome = Outcome("neighbours in the alphabet", how, COMMAND)
    fresh(database, range(1, buckets // BUCKETS_PER_CLIENT + 2), 0)
    order = [f"n{number:07}" for number in range(names)]
    for first in range(0, names, 3000):
        users.add(database, [User(name, None) for name in order[first : first + 3000]])
    size = database.settings.bucket_size
    if prioritized:
        users.prioritize(database, order, DEFAULTS.default_priority // 10, False)
    else:
        with Database(replace(database.settings, max_users_per_run=size * buckets), "tests") as small:
            make_buckets.run(small)
    found = database.run_text(
        "MATCH (b:DMCheckBucket) RETURN [(b)<-[:INDMCHECKBUCKET]-(u) | toInteger(substring(u.screen_name, 1))] AS ranks"
    )
    outcome.ok = outcome.faults = len(found)
    if len(found) != buckets:
        outcome.violations.append(f"{buckets} buckets wanted, {len(found)} made")
    bound = NormalDist().inv_cdf(1 - FALSE_ALARMS / 2 / max(buckets, 1))
    apart = [spread(row["ranks"]) / (names + 1) for row in found]
    for share, row in zip(apart, found, strict=True):
        if abs(share - 1 / 3) > bound * 2 / math.sqrt(180 * len(row["ranks"])):
            outcome.violations.append(f"a bucket's members are {share:.3f} of all names apart, not 0.333")
    outcome.injection += f": {min(apart, default=0):.3f} to {max(apart, default=0):.3f} of all names apart, mean "
    outcome.injection += f"{mean(apart or [0]):.3f}, blindly 0.333"
    return outcome


UNIFORM = ((20, 1), (20, 10), (64, 1), (300, 1), (300, 10))
"""How many wait, how many are fetched at once."""


def run(settings: Settings, *, draws: int = 10_000, strategies: int = 1000, seed: int = 1) -> list[Outcome]:
    """The long form."""
    with Database(settings, "tests") as database:
        return [
            *(uniform(database, equals, count, draws) for equals, count in UNIFORM),
            abandoned(database, draws // 100),
            *requests(database, draws // 100),
            attacks(database, strategies, seed),
            apart(database, 20_000, 1),
            apart(database, 20_000, 50),
            apart(database, 1000, 6, prioritized=True),
        ]
