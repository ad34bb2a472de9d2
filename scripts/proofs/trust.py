"""Liars among honest clients: the policy of trust on simulated clients, without a database.

In a round make_buckets fills the line, each client takes a bucket from a random place in it and answers, and
judge_clients runs. A contained client takes one in a round of eight, since it may hold only one lease.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dmcheck_cli.domain.policy.trust.rules import ANSWERS, DM, NON_DM, RULES, UNKNOWN, Rules
from dmcheck_cli.domain.policy.trust.standing import Client, Standings
from dmcheck_cli.domain.policy.trust.verdict import Opinion

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

CONFIDENCES = (0.9, 0.99, 0.999)

EIGHT = ("guess", "guess", "all DM", "all NON_DM", "later DM", "later NON_DM", "collude", "collude")
TWENTY = ("collude",) * 20


@dataclass(frozen=True)
class Crowd:
    """What is simulated: clients, of whom `bad` are of these kinds; buckets that each client answers, on average; users
    in a bucket; buckets that wait per client."""

    clients: int = 100
    buckets: int = 100
    size: int = 180
    line: int = 2
    bad: tuple[str, ...] = EIGHT


@dataclass
class Result:
    """One run: users, and how many nobody answered; verdicts, and wrong ones; first answers DM, and open doors; extra
    answers by cause; of each bad client buckets (since it began to lie) and comparisons until it was contained; the
    round in which an honest one was, and who still is; for each confidence how many verdicts have it, and are right."""

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
    honest: dict[int, int] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    calibration: dict[float, tuple[int, int]] = field(default_factory=dict)


class Simulation:
    """A crowd, its users, and what it said."""

    def __init__(
        self, crowd: Crowd, seed: int, rules: Rules = RULES, court: Callable[..., Standings] = Standings
    ) -> None:
        self.crowd, self.rules = crowd, rules
        self.random = random.Random(seed)
        self.kind = dict(enumerate(crowd.bad))
        self.court = court({id: Client() for id in range(crowd.clients)}, rules)
        self.shares = {id: self.court.share(id) for id in self.court.clients}
        total = int(crowd.clients * crowd.buckets * crowd.size / 1.17)
        self.truth = self.random.choices(ANSWERS, (OPEN, 1 - OPEN - GONE, GONE), k=total)
        self.target = self.random.choices((True, False), (TARGET, 1 - TARGET), k=total)
        self.fresh = 0
        self.alone: list[Opinion | None] = [None] * total
        self.opinions: dict[int, list[Opinion]] = {}
        self.said: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        self.needs: dict[int, str] = {}
        self.conflicts: deque[int] = deque()
        self.queues: dict[int, deque[int]] = defaultdict(deque)
        self.line: list[tuple[list[int], set[int]]] = []
        self.again: list[int] = []
        self.mixes: list[tuple[int, int, int, int]] = []
        self.round = 0
        self.result = Result(users=total)

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
        return self.court.clients[id].contained is None or self.round % CONTAINED_EVERY == id % CONTAINED_EVERY

    def make_buckets(self) -> None:
        """Fill the line; at most a quarter of a bucket are second opinions: conflicts first, from few first clients."""
        size, total = self.crowd.size, len(self.truth)
        while len(self.line) < self.crowd.clients * self.crowd.line:
            users: list[int] = []
            heard: set[int] = set()
            quota = size // 4 if self.fresh < total else size
            waiting = [id for id, queue in self.queues.items() if queue]
            firsts = self.random.sample(waiting, min(FIRST_CLIENTS, len(waiting)))
            for queue in (self.conflicts, *(self.queues[id] for id in firsts)):
                room = EXCLUDED * self.crowd.clients * (0.8 if queue is self.conflicts else 1)
                while queue and len(users) < quota and len(heard) < room:
                    users.append(queue.popleft())
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
            opinion = Opinion(id, self.answer(id, user), self.round, doubted=contained)
            if self.alone[user] is not None:
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
            before + answers[answer]
            for before, answer in zip(self.court.clients[id].answers, ANSWERS, strict=True)
        ]
        return True

    def judge(self) -> None:
        """The job: compare what is new, contain the worst first, look again without its word."""
        court = self.court
        court.refresh()
        for mix in self.mixes:
            court.saw_bucket(*mix)
        for user in self.again:
            self.look(user)
        self.mixes, self.again = [], []
        while (id := court.worst()) is not None:
            compared = sum(cell.compared for cell in court.clients[id].cells)
            if id not in self.kind:
                self.result.honest[id] = self.round
                print(self.round, id, [(c.compared,c.contradicted,round(sum(c.sums),1)) for c in court.clients[id].cells])
            elif id not in self.result.contained:
                self.result.contained[id] = (len(self.said[id]) - self.turn(id), compared)
            since = court.contain(id, self.round)
            for at, users in self.said[id]:
                for user in users if at >= since else ():
                    for opinion in self.heard(user):
                        opinion.doubted = opinion.doubted or opinion.client == id
                    self.look(user)
        for id in list(court.released()):
            if id in self.kind:
                print(self.round, "released", id, self.kind[id], [(c.compared,c.contradicted,round(sum(c.sums),1)) for c in court.clients[id].cells])
            self.result.released += id in self.kind
            court.release(id)
        self.shares = {id: court.share(id) for id in court.clients}

    def heard(self, user: int) -> list[Opinion]:
        """All opinions on a user."""
        if user not in self.opinions:
            alone = self.alone[user]
            assert alone is not None
            self.opinions[user] = [alone]
        return self.opinions[user]

    def look(self, user: int) -> None:
        verdict = self.court.count(self.heard(user))
        if verdict.need is not None:
            self.ask(user, verdict.need)

    def ask(self, user: int, why: str) -> None:
        """Put a user on the list of those who need another opinion."""
        if user not in self.needs:
            self.needs[user] = why
            queue = self.conflicts if why == "conflict" else self.queues[self.heard(user)[0].client]
            queue.append(user)

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
        result, court = self.result, self.court
        court.refresh()
        tallies = {bound: [0, 0] for bound in CONFIDENCES}
        alone: dict[tuple[int, str], tuple[str, float]] = {}
        words = {"open": DM, "closed": NON_DM, "not_found": UNKNOWN}
        for user, truth in enumerate(self.truth):
            first = self.alone[user]
            if first is None:
                result.left += 1
                continue
            key = (first.client, first.answer)
            if user in self.opinions or first.doubted:
                verdict = court.conclude(self.heard(user))
                word, confidence = verdict.word, verdict.confidence
            else:
                if key not in alone:
                    verdict = court.conclude([first])
                    alone[key] = (verdict.word, verdict.confidence)
                word, confidence = alone[key]
            result.words[word] += 1
            result.wrong[word] += word in words and words[word] != truth
            result.doors += truth == DM
            result.dms += first.answer == DM
            if word in words:
                for bound, tally in tallies.items():
                    tally[0] += confidence >= bound
                    tally[1] += confidence >= bound and words[word] == truth
        result.calibration = {bound: (told, right) for bound, (told, right) in tallies.items()}
        result.kinds = self.kind
        result.held = [id for id, client in court.clients.items() if client.contained is not None and id not in self.kind]
        return result


def row(name: str, result: Result) -> str:
    """One line of figures."""
    asked = result.users - result.left
    extra = ", ".join(f"{why} {count / asked:.2%}" for why, count in result.extra.most_common())
    opened = max(result.words["open"], 1)
    bad = "; ".join(
        f"{kind} {result.contained[id][0]}b/{result.contained[id][1]}" if id in result.contained else f"{kind} never"
        for id, kind in result.kinds.items()
    )
    right = ", ".join(f"{bound}: {good / max(told, 1):.4%} of {told}" for bound, (told, good) in result.calibration.items())
    return (
        f"{name}: users {asked}, wrong open {result.wrong['open']}/{opened} {result.wrong['open'] / opened:.3%}"
        f" (found {(opened - result.wrong['open']) / max(result.doors, 1):.1%}), DM {result.dms / asked:.1%},"
        f" extra {result.extra.total() / asked:.2%}: {extra}\n  words {dict(result.words)} wrong {dict(result.wrong)}\n"
        f"  contained {bad}; bad released {result.released}; honest contained {result.honest}, still {result.held}\n"
        f"  calibration {right}"
    )


if __name__ == "__main__":
    import sys
    import time

    options = dict(option.split("=") for option in sys.argv[1:])
    bad = TWENTY if options.pop("bad", "eight") == "twenty" else EIGHT
    seeds = options.pop("seeds", "1").split("-")
    rules = replace(RULES, **{name[6:]: float(options.pop(name)) for name in list(options) if name.startswith("rules.")})
    numbers = {name: int(value) for name, value in options.items()}
    for seed in range(int(seeds[0]), int(seeds[-1]) + 1):
        began = time.process_time()
        print(row(f"seed {seed}", Simulation(Crowd(bad=bad, **numbers), seed, rules).run()), flush=True)
        print(f"  {time.process_time() - began:.1f} s of CPU time", flush=True)
