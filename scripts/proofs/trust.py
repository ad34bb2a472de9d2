"""Liars among honest clients: simulated clients, under the policy of trust alone, and under the real code.

In a round make_buckets fills the line, each client takes a bucket from a random place in it and answers, and
judge_clients runs. A contained client takes one in a round of eight, since it may hold only one lease.
"""

from __future__ import annotations

import random
import sys
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import mean

from tabulate import tabulate

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.domain.policy.trust.rules import ANSWERS, DM, NON_DM, RULES, UNKNOWN, Rules
from dmcheck_cli.domain.policy.trust.standing import Client, Standings
from dmcheck_cli.domain.policy.trust.verdict import Opinion, Verdict
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, clients, leases, results, schema, standings, users
from dmcheck_cli.transactions.standings import Read
from jobs import judge_clients, make_buckets
from proofs.allowance import empty
from proofs.outcome import Outcome

OPEN, GONE, ERROR, FOLLOWED = 0.10, 0.02, 0.005, 0.003
"""Shares of users who are open, who are gone; of honest look-ups that err; of closed users who follow a client."""

TARGET = 1 / 3
"""The share of closed doors that colluders call open."""

FIRST_CLIENTS = 3
"""Whose users one bucket takes second opinions from."""

EXCLUDED = 0.25
"""The share of all clients that may have been heard on users of one bucket: none of them gets it."""

CONTAINED_EVERY = 8
"""Rounds between two buckets of a contained client."""

WORDS = {"open": DM, "closed": NON_DM, "not_found": UNKNOWN}
"""Settled verdicts, and the answers that they stand for."""

PART = 5_000
"""Users that are added at once."""

MARKED = """MATCH (u)-[m:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: $bucket}) WHERE m.second IS NOT NULL
    RETURN u.screen_name AS name, m.second AS second"""
"""Who is in a bucket for a second opinion, and why."""

COMMAND = "python scripts/prove.py trust"

MAX_WRONG, MAX_EXTRA = 0.001, 0.05
"""Aims: the share of wrong ones among open; extra answers beyond the share of DMs."""

MAX_BUCKETS = {1: 5, 2: 8}
"""Buckets until the slowest bad client is contained, by how many wait for each client. The aim is 4: most are."""

MAX_APART = 0.15
"""Extra answers by which the real code and the policy alone may differ: it is chance who is contained when."""

SHOWN_BUCKETS = 12
"""In the picture."""

CONFIDENCES = (0.9, 0.99, 0.999)

EIGHT = ("guess", "guess", "all DM", "all NON_DM", "later DM", "later NON_DM", "collude", "collude")
TWENTY = ("collude",) * 20
CROWDS = {"eight bad clients": EIGHT, "twenty colluding clients": TWENTY}


@dataclass(frozen=True)
class Crowd:
    """What is simulated: clients, of whom `bad` are of these kinds; buckets that each client answers, on average; users
    in a bucket; buckets that wait per client."""

    clients: int = 100
    buckets: int = 100
    size: int = 180
    line: int = 1
    bad: tuple[str, ...] = EIGHT


@dataclass
class Result:
    """One run: users, and how many nobody answered; verdicts, and wrong ones; first answers DM, and open doors; extra
    answers by cause; of each bad client buckets (since it began to lie) and comparisons until it was contained; bad
    ones that were released; settled verdicts that are not the answer in force; the round in which an honest one was
    contained, and who still is; for each confidence how many verdicts have it, and are right."""

    users: int
    left: int = 0
    words: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    doors: int = 0
    dms: int = 0
    extra: Counter[str] = field(default_factory=Counter)
    kinds: dict[int, str] = field(default_factory=dict)
    contained: dict[int, tuple[int, int]] = field(default_factory=dict)
    released: int = 0
    overruled: int = 0
    honest: dict[int, int] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    calibration: dict[float, tuple[int, int]] = field(default_factory=dict)


class World(ABC):
    """A crowd, its users, what it says, and the rounds. How buckets are made, answered and judged is up to the kind."""

    def __init__(self, crowd: Crowd, seed: int) -> None:
        self.crowd = crowd
        self.random = random.Random(seed)
        self.kind = dict(enumerate(crowd.bad))
        total = int(crowd.clients * crowd.buckets * crowd.size / 1.17)
        self.truth = self.random.choices(ANSWERS, (OPEN, 1 - OPEN - GONE, GONE), k=total)
        self.target = self.random.choices((True, False), (TARGET, 1 - TARGET), k=total)
        self.said: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        self.round = 0
        self.result = Result(users=total)

    @abstractmethod
    def make_buckets(self) -> None:
        """Fill the line."""

    @abstractmethod
    def work(self, id: int) -> bool:
        """Take a bucket and answer it; returns whether there was one."""

    @abstractmethod
    def judge(self) -> None:
        """Compare what is new, and contain who is bad."""

    @abstractmethod
    def is_contained(self, id: int) -> bool:
        """Whether a client is contained now."""

    @abstractmethod
    def verdicts(self) -> Iterator[tuple[int, str, str, float]]:
        """Of each user whom anybody answered for: its number, the first answer, the verdict's word and confidence."""

    def run(self) -> Result:
        """All rounds, until nobody needs anything."""
        order = list(range(self.crowd.clients))
        idle = 0
        while idle < CONTAINED_EVERY and self.round < 30 * self.crowd.buckets:
            self.round += 1
            self.make_buckets()
            self.random.shuffle(order)
            worked = [self.work(id) for id in order if self.may_work(id)]
            self.judge()
            idle = 0 if any(worked) else idle + 1
        return self.summary()

    def may_work(self, id: int) -> bool:
        return not self.is_contained(id) or self.round % CONTAINED_EVERY == id % CONTAINED_EVERY

    def found(self, id: int, compared: int) -> None:
        """A client was contained after so many comparisons."""
        if id not in self.kind:
            self.result.honest[id] = self.round
        elif id not in self.result.contained:
            self.result.contained[id] = (len(self.said[id]) - self.turn(id), compared)

    def cause(self, why: str, user: int) -> str:
        return why if why != "dm" else "true DM" if self.truth[user] == DM else "false DM"

    def turn(self, id: int) -> int:
        """After how many buckets a client begins to lie."""
        return self.crowd.buckets // 2 if self.kind[id].startswith("later") else 0

    def answer(self, id: int, user: int) -> str:
        """What a client says about a user."""
        truth, kind, chance = self.truth[user], self.kind.get(id), self.random.random
        if kind is not None:
            if kind == "guess":
                return DM if chance() < 0.5 else NON_DM
            if kind == "collude":
                return DM if truth == NON_DM and self.target[user] else truth
            if len(self.said[id]) > self.turn(id):
                return kind.split()[1]
        # A user follows a client or does not: the same each time, but nobody asks twice.
        elif truth == NON_DM and chance() < FOLLOWED:
            return DM
        if chance() < ERROR:
            return self.random.choice([answer for answer in ANSWERS if answer != truth])
        return truth

    def summary(self) -> Result:
        """The verdicts, beside the truth."""
        result = self.result
        tallies = {bound: [0, 0] for bound in CONFIDENCES}
        answered = 0
        for user, first, word, confidence in self.verdicts():
            truth = self.truth[user]
            answered += 1
            result.words[word] += 1
            result.wrong[word] += word in WORDS and WORDS[word] != truth
            result.doors += truth == DM
            result.dms += first == DM
            if word in WORDS:
                for bound, tally in tallies.items():
                    tally[0] += confidence >= bound
                    tally[1] += confidence >= bound and WORDS[word] == truth
        result.left = len(self.truth) - answered
        result.calibration = {bound: (told, right) for bound, (told, right) in tallies.items()}
        result.kinds = self.kind
        result.held = [id for id in range(self.crowd.clients) if id not in self.kind and self.is_contained(id)]
        return result


class Simulation(World):
    """The policy alone, without a database."""

    def __init__(
        self, crowd: Crowd, seed: int, rules: Rules = RULES, court: Callable[..., Standings] = Standings
    ) -> None:
        super().__init__(crowd, seed)
        self.court = court({id: Client() for id in range(crowd.clients)}, rules)
        self.shares = {id: self.court.share(id) for id in self.court.clients}
        self.fresh = 0
        self.alone: list[Opinion | None] = [None] * len(self.truth)
        self.opinions: dict[int, list[Opinion]] = {}
        self.needs: dict[int, str] = {}
        self.needs_place: set[int] = set()
        self.conflicts: deque[int] = deque()
        self.dms: dict[int, deque[int]] = defaultdict(deque)
        self.others: dict[int, deque[int]] = defaultdict(deque)
        self.line: list[tuple[list[int], set[int]]] = []
        self.again: list[int] = []
        self.mixes: list[tuple[int, int, int, int]] = []
        self.common = 0.0

    def is_contained(self, id: int) -> bool:
        """Whether a client is contained now."""
        return self.court.clients[id].contained is not None

    def make_buckets(self) -> None:
        """Fill the line; second opinions are spread over all new buckets, at most a quarter of each: conflicts first,
        then DMs, from few first clients."""
        size, total = self.crowd.size, len(self.truth)
        room = self.crowd.clients * self.crowd.line - len(self.line)
        for left in range(room, 0, -1):
            users: list[int] = []
            heard: set[int] = set()
            quota = min(size // 4, -(-len(self.needs_place) // left)) if self.fresh < total else size
            waiting = [id for id in range(self.crowd.clients) if self.dms[id] or self.others[id]]
            firsts = self.random.sample(waiting, min(FIRST_CLIENTS, len(waiting)))
            queues = [self.conflicts, *(self.dms[id] for id in firsts), *(self.others[id] for id in firsts)]
            for queue in queues:
                others = EXCLUDED * self.crowd.clients * (0.8 if queue is self.conflicts else 1)
                while queue and len(users) < quota and len(heard) < others:
                    users.append(queue.popleft())
                    self.needs_place.discard(users[-1])
                    heard.update(opinion.client for opinion in self.heard(users[-1]))
            end = min(self.fresh + size - len(users), total)
            users += range(self.fresh, end)
            self.fresh = end
            if not users:
                return
            self.line.append((users, heard))

    def work(self, id: int) -> bool:
        """Take a bucket and answer it, as `submit` does: record, and mark who needs another opinion."""
        line = self.line
        free = [place for place in self.random.sample(range(len(line)), min(len(line), 64)) if id not in line[place][1]]
        if not free:
            return False
        line[free[0]], line[-1] = line[-1], line[free[0]]
        users, _ = line.pop()
        self.said[id].append((self.round, users))
        answers = Counter[str]()
        contained, draw, share = self.court.clients[id].contained is not None, self.random.random, self.shares[id]
        for user in users:
            again = self.alone[user] is not None
            opinion = Opinion(id, self.answer(id, user), self.round, doubted=contained, witness=again)
            if again:
                self.heard(user).append(opinion)
                self.result.extra[self.cause(self.needs.pop(user), user)] += 1
                self.again.append(user)
                continue
            self.alone[user] = opinion
            answers[opinion.answer] += 1
            if opinion.answer == DM or draw() < share:
                self.ask(user, "dm" if opinion.answer == DM else "contained" if contained else f"checks {share:.0%}")
        self.mixes.append((id, self.round, answers[DM], answers.total()))
        self.court.clients[id].answers = [
            before + answers[answer] for before, answer in zip(self.court.clients[id].answers, ANSWERS, strict=True)
        ]
        return True

    def judge(self) -> None:
        """The job: compare what is new, contain the worst first, look again without its word."""
        court = self.court
        for mix in self.mixes:
            court.saw_bucket(*mix)
        court.refresh()
        for user in self.again:
            self.look(user, 1)
        self.mixes, self.again = [], []
        while (id := court.worst()) is not None:
            self.found(id, sum(cell.compared for cell in court.clients[id].cells))
            since = court.contain(id, self.round)
            for at, members in self.said[id]:
                for user in members if at >= since else ():
                    for opinion in self.heard(user):
                        opinion.doubted = opinion.doubted or opinion.client == id
                    self.look(user)
        for id in list(court.released()):
            self.result.released += id in self.kind
            court.release(id, self.round)
        self.records()
        self.shares = {id: court.share(id) for id in court.clients}

    def records(self) -> None:
        """Who has a record now; all users are looked at again where the job does that."""
        court = self.court
        court.refresh()
        records = {id: court.has_record(client) for id, client in court.clients.items()}
        moved = court.moved(self.common, any(client.record for client in court.clients.values()))
        if moved:
            self.common = court.crowd.common
        lost = [id for id, client in court.clients.items() if client.record and not records[id]]
        for id, client in court.clients.items():
            client.record = records[id]
        if moved:
            again = {user for user, first in enumerate(self.alone) if first is not None}
        else:
            again = {user for id in lost for _, members in self.said[id] for user in members}
        for user in sorted(again):
            self.look(user)

    def heard(self, user: int) -> list[Opinion]:
        """All opinions on a user."""
        if user not in self.opinions:
            alone = self.alone[user]
            assert alone is not None
            self.opinions[user] = [alone]
        return self.opinions[user]

    def look(self, user: int, new: int = 0) -> None:
        verdict = self.court.count(self.heard(user), new)
        if verdict.need is not None:
            self.ask(user, verdict.need)

    def ask(self, user: int, why: str) -> None:
        """Put a user on the list of those who need another opinion."""
        if user not in self.needs:
            self.needs[user] = why
            first = self.heard(user)[0].client
            queues = {"conflict": self.conflicts, "dm": self.dms[first]}
            self.needs_place.add(user)
            queues.get(why, self.others[first]).append(user)

    def verdicts(self) -> Iterator[tuple[int, str, str, float]]:
        """Of each user whom anybody answered for."""
        self.court.refresh()
        alone: dict[tuple[int, str], Verdict] = {}
        for user, first in enumerate(self.alone):
            if first is None:
                continue
            key = (first.client, first.answer)
            if user in self.opinions or first.doubted:
                verdict = self.court.conclude(self.heard(user))
            else:
                if key not in alone:
                    alone[key] = self.court.conclude([first])
                verdict = alone[key]
            yield user, first.answer, verdict.word, verdict.confidence


class Real(World):
    """The real code: statements, jobs and the policy, in process, on a database that is emptied."""

    def __init__(self, crowd: Crowd, seed: int, settings: Settings) -> None:
        super().__init__(crowd, seed)
        self.database = Database(replace(settings, bucket_size=crowd.size, buckets_per_client=crowd.line), "trust")
        empty(self.database)
        schema.apply(self.database)
        for id in range(crowd.clients):
            clients.register(self.database, _known_as(id), f"client{id}")
        for first in range(0, len(self.truth), PART):
            part = range(first, min(first + PART, len(self.truth)))
            users.add(self.database, [User(f"u{user:07}", None) for user in part])
        self.first: dict[int, str] = {}
        self.checked: dict[int, str] = {}
        self.judged = Read(Standings({}))
        self.refused = 0
        self.look()

    def run(self) -> Result:
        """All rounds; then the connection is closed."""
        with self.database:
            return super().run()

    def is_contained(self, id: int) -> bool:
        """Whether a client is contained now."""
        return self.judged.standings.clients[_known_as(id)].contained is not None

    def make_buckets(self) -> None:
        """The job."""
        make_buckets.run(self.database)

    def work(self, id: int) -> bool:
        """`fetch` and `submit` of one bucket."""
        try:
            [lease] = leases.fetch(self.database, _known_as(id), 1, f"{self.round}")
        except NothingToFetch:
            self.refused += 1
            return False
        marked = self.database.run_text(MARKED, bucket=lease.bucket)
        why: dict[str, str] = {row["name"]: row["second"] for row in marked}
        self.said[id].append((self.round, [_number(user.screen_name) for user in lease.users]))
        said = {user.screen_name: self.answer(id, _number(user.screen_name)) for user in lease.users}
        [report] = answers.submit(self.database, _known_as(id), [Answered(lease.bucket, lease.lease, said)])
        assert report.status == "done", report
        share = self.judged.shares[_known_as(id)]
        for name, answer in said.items():
            user = _number(name)
            if name not in why:
                assert user not in self.first, f"{name} was handed out as if nobody had answered"
                self.first[user] = answer
                share = RULES.newcomer_share if share is None else share
                self.checked[user] = "contained" if share == 1 else f"checks {share:.0%}"
                continue
            need = why[name]
            self.result.extra[self.cause(self.checked[user] if need == "check" else need, user)] += 1
        return True

    def judge(self) -> None:
        """The job; then who is contained now and was not before, and the reverse."""
        judge_clients.run(self.database)
        before = {id: self.is_contained(id) for id in range(self.crowd.clients)}
        self.look()
        for id, was in before.items():
            if self.is_contained(id) and not was:
                cells = self.judged.standings.clients[_known_as(id)].cells
                self.found(id, sum(cell.compared for cell in cells))
            self.result.released += was and not self.is_contained(id) and id in self.kind

    def look(self) -> None:
        self.judged = standings.read(self.database)

    def verdicts(self) -> Iterator[tuple[int, str, str, float]]:
        """Of each user whom anybody answered for, as `users export` has them."""
        for one in results.checked(self.database):
            user = _number(one.screen_name)
            self.result.overruled += WORDS.get(one.verdict, one.answer) != one.answer
            yield user, self.first[user], one.verdict, one.confidence


def _known_as(id: int) -> int:
    """The id of a simulated client in the graph, where ids begin at 1."""
    return id + 1


def _number(name: str) -> int:
    """The number of a user, by its name."""
    return int(name[1:])


def believe_everyone(crowd: Crowd, seed: int) -> tuple[float, float]:
    """The share of wrong ones among `open`, and of extra answers, if the first answer counts."""
    told = Simulation(crowd, seed)
    said = [(told.answer(user % crowd.clients, user), told.truth[user]) for user in range(len(told.truth))]
    opened = [truth for answer, truth in said if answer == DM]
    return 1 - opened.count(DM) / len(opened), 0.0


def ask_twice(crowd: Crowd, seed: int) -> tuple[float, float]:
    """The same, if two clients are asked about each user, and both must say DM."""
    told = Simulation(crowd, seed)
    clients = range(crowd.clients)
    opened = []
    for user, truth in enumerate(told.truth):
        one, other = told.random.sample(clients, 2)
        if told.answer(one, user) == DM == told.answer(other, user):
            opened.append(truth)
    return 1 - opened.count(DM) / len(opened), 1.0


def figures(name: str, results: Sequence[Result]) -> list[object]:
    """A row of the table: means over the seeds, and the worst."""
    wrong = [result.wrong["open"] / max(result.words["open"], 1) for result in results]
    asked = sum(result.users - result.left for result in results)
    kinds: dict[str, list[tuple[int, int]]] = defaultdict(list)
    never = 0
    for result in results:
        for id, kind in result.kinds.items():
            never += id not in result.contained
            kinds[kind].append(result.contained.get(id, (10**6, 10**6)))
    until = ", ".join(
        f"{kind} {mean(buckets for buckets, _ in found):.1f} ({max(found)[0]}) / {mean(n for _, n in found):.0f}"
        for kind, found in kinds.items()
    )
    right = ", ".join(
        f"{bound}: {sum(r.calibration[bound][1] for r in results) / sum(r.calibration[bound][0] for r in results):.4%}"
        for bound in CONFIDENCES
    )
    return [
        name,
        f"{mean(wrong):.3%} ({max(wrong):.3%})",
        f"{sum(result.extra.total() for result in results) / asked:.1%}",
        f"{sum(result.dms for result in results) / asked:.1%}",
        until,
        sum(len(result.honest) for result in results),
        sum(result.released for result in results),
        right,
    ]


HEADS = (
    "crowd",
    "wrong open: mean (worst)",
    "extra",
    "said DM",
    "buckets: mean (worst) / comparisons until contained",
    "honest contained",
    "bad released",
    "right, of those at least so sure",
)


def causes(results: Sequence[Result]) -> str:
    """Extra answers by cause, in % of users."""
    total = sum((result.extra for result in results), Counter[str]())
    asked = sum(result.users - result.left for result in results)
    return ", ".join(f"{why} {count / asked:.2%}" for why, count in total.most_common())


def simulate(name: str, worlds: Callable[[int], World], seeds: Sequence[int]) -> list[Result]:
    """One run for each seed; prints the figures so far after each."""
    found: list[Result] = []
    for seed in seeds:
        found.append(worlds(seed).run())
        print(f"seed {seed}:", *figures(name, found[-1:]), sep=" | ", file=sys.stderr, flush=True)
    print(tabulate([figures(name, found)], headers=HEADS, tablefmt="github"), causes(found), sep="\n", flush=True)
    return found


def judged(name: str, injection: str, found: Sequence[Result], buckets: int | None = None) -> Outcome:
    """What these runs missed. `buckets`: within so many of lies each bad client must be contained (None: any)."""
    outcome = Outcome(name, injection, COMMAND, ok=sum(result.users for result in found))
    outcome.faults = sum(len(result.contained) for result in found)
    opened = sum(result.words["open"] for result in found)
    wrong = sum(result.wrong["open"] for result in found)
    late = [
        (seed, result.kinds[id], n)
        for seed, result in enumerate(found, 1)
        for id, (n, _) in result.contained.items()
        if buckets is not None and n > buckets
    ]
    honest = [result.honest for result in found if result.honest]
    broken = {
        f"{wrong} of {opened} open are wrong": wrong >= max(MAX_WRONG * opened, 2),
        f"honest clients contained: {honest}": bool(honest),
        f"contained late: {late}": bool(late),
        "settled verdicts that are not the answer in force": any(result.overruled for result in found),
    }
    for bound in CONFIDENCES:
        told, right = (sum(result.calibration[bound][i] for result in found) for i in (0, 1))
        broken[f"of {told} sure by {bound}, {right} are right"] = right < bound * told - 2
    outcome.violations = [what for what, holds in broken.items() if holds]
    return outcome


def extra(found: Sequence[Result]) -> float:
    """Extra answers for each user whom anybody answered for."""
    return sum(result.extra.total() for result in found) / sum(result.users - result.left for result in found)


def compare(settings: Settings, name: str, crowd: Crowd, seeds: Sequence[int], apart: float = MAX_APART) -> Outcome:
    """The real code beside the policy alone, with crowds of the same size. `apart`: by how much their extra answers may
    differ."""
    real = simulate(f"{name}, real code", partial(Real, crowd, settings=settings), seeds)
    alone = simulate(f"{name}, policy alone", partial(Simulation, crowd), seeds)
    outcome = judged(f"{name}: real code", f"{crowd.clients} clients, buckets of {crowd.size}", real)
    if abs(extra(real) - extra(alone)) > apart:
        outcome.violations.append(f"{extra(real):.1%} extra answers, {extra(alone):.1%} with the policy alone")
    return outcome


def run(
    settings: Settings,
    *,
    seeds: int = 20,
    clients: int = 100,
    buckets: int = 100,
    size: int = 180,
    line: int = 2,
    real: int = 4,
    real_buckets: int = 10,
    real_size: int = 20,
) -> list[Outcome]:
    """Eight bad clients of a hundred, then twenty who collude: the policy alone, `seeds` times; the real code, `real`
    times, with smaller buckets."""
    outcomes = []
    for name, bad in CROWDS.items():
        crowd = Crowd(clients, buckets, size, line, bad)
        if seeds:
            found = simulate(
                f"{name}, policy alone", lambda seed, crowd=crowd: Simulation(crowd, seed), range(1, seeds + 1)
            )  # type: ignore[misc]
            outcome = judged(f"{name}: policy alone", f"{clients} simulated clients", found, MAX_BUCKETS.get(line))
            said = sum(result.dms for result in found) / sum(result.users - result.left for result in found)
            if bad is EIGHT and extra(found) > said + MAX_EXTRA:
                outcome.violations.append(f"{extra(found):.1%} extra answers, {said:.1%} said DM")
            outcomes.append(outcome)
            for rule in (believe_everyone, ask_twice):
                wrong, more = rule(crowd, 1)
                print(f"{name}, {rule.__name__}: {wrong:.2%} of open are wrong, {more:.0%} extra answers")
        if real:
            outcomes.append(
                compare(settings, name, Crowd(clients, real_buckets, real_size, 1, bad), range(1, real + 1))
            )
    return outcomes


def until_contained(seeds: int, crowd: Crowd) -> dict[str, list[float]]:
    """For each kind of bad client, the share (%) that is not contained after 0, 1, 2, ... buckets of lies."""
    after: dict[str, list[int]] = defaultdict(list)
    for seed in range(1, seeds + 1):
        result = Simulation(crowd, seed).run()
        for id, kind in result.kinds.items():
            after[kind].append(result.contained.get(id, (crowd.buckets, 0))[0])
    return {kind: [100 * mean(one > n for one in found) for n in range(SHOWN_BUCKETS)] for kind, found in after.items()}


if __name__ == "__main__":
    options = dict(option.split("=") for option in sys.argv[1:])
    kinds = {"eight": EIGHT, "twenty": TWENTY}[options.pop("bad", "eight")]
    first, _, last = options.pop("seeds", "1-20").partition("-")
    rules = replace(
        RULES, **{name[6:]: float(options.pop(name)) for name in list(options) if name.startswith("rules.")}
    )
    crowd = Crowd(bad=kinds, **{name: int(value) for name, value in options.items()})
    simulate(" ".join(sys.argv[1:]), partial(Simulation, crowd, rules=rules), range(int(first), int(last or first) + 1))
