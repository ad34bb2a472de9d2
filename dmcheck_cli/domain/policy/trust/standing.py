"""What is concluded about clients: counts, who is contained, how much of what a client says is checked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log, sqrt

from dmcheck_cli.domain.policy.trust.rules import (
    DM,
    FIRST_DM,
    FIRST_OTHER,
    NON_DM,
    RULES,
    WITNESS_DM,
    WITNESS_OTHER,
    Rules,
)
from dmcheck_cli.domain.policy.trust.verdict import Crowd, Errors, Opinion, Verdict, agreed, conclude

NEVER = float("-inf")

MIN_ERROR, MAX_ERROR = 0.01, 0.5
"""Errors of several clients may have one cause: nobody is taken to be so good that two of them outvote a third for
sure. Who errs more than two times in three is not taken for one that tells the truth by its opposite."""


@dataclass(slots=True)
class Cell:
    """One kind of comparisons of one client: how many, how many of them contradicted it; `sums`, for each of its last
    buckets the evidence in nats that it is bad rather than honest."""

    compared: int = 0
    contradicted: int = 0
    sums: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Client:
    """What is stored about a client: its four cells; `times`, when it answered its last buckets, the earliest first;
    since when it is contained (None: it is not); how many buckets are still watched after an unlikely mix; the answers
    that it gave when it was asked first (DM, NON_DM, UNKNOWN); how many first answers other than DM it was the second
    to be asked about, and on how many of these it differed; about how many of its own DMs another was asked, and how
    often that one differed; its `dm_from_id`; `doubted`, when intervals begin and end in turn in which what it said
    does not count; whether it had a record when that was last worked out; when it first registered (seconds)."""

    cells: tuple[Cell, Cell, Cell, Cell] = field(default_factory=lambda: (Cell(), Cell(), Cell(), Cell()))
    times: list[float] = field(default_factory=list)
    contained: float | None = None
    watched: int = 0
    answers: list[int] = field(default_factory=lambda: [0, 0, 0])
    pairs: int = 0
    differ: int = 0
    dm_pairs: int = 0
    dm_differ: int = 0
    dm_from_id: int | None = None
    doubted: list[float] = field(default_factory=list)
    record: bool = False
    since: float = 0.0

    def doubts(self, at: float) -> bool:
        """Whether what it said at this time does not count."""
        return bisect_right(self.doubted, at) % 2 == 1

    def evidence(self) -> tuple[float, float]:
        """The strongest evidence that it has been bad lately, in nats: the largest sum of one cell from one bucket up
        to now. And when it answered that bucket."""
        most, since = 0.0, NEVER
        for cell in self.cells:
            total = 0.0
            for place in range(len(cell.sums) - 1, -1, -1):
                total += cell.sums[place]
                if total > most:
                    most, since = total, self.times[place]
        return most, since

    def bears_out(self, nats: float) -> bool:
        """Whether its first answers, from one bucket after it was contained up to now, speak for it in both cells."""
        dm = other = 0.0
        for place in range(len(self.times) - 1, -1, -1):
            if self.contained is None or self.times[place] <= self.contained:
                return False
            dm += self.cells[FIRST_DM].sums[place]
            other += self.cells[FIRST_OTHER].sums[place]
            if max(dm, other) <= -nats:
                return True
        return False

    def add_bucket(self, at: float, buckets: int) -> None:
        """Begin a sum for a bucket that was answered, and forget the earliest of more than `buckets`. While it is
        contained, those since then are put together instead: with small buckets it takes many until they bear out."""
        place = bisect_right(self.times, at)
        self.times.insert(place, at)
        for cell in self.cells:
            cell.sums.insert(place, 0.0)
        if len(self.times) > buckets:
            kept = self.contained is not None and self.times[0] > self.contained
            del self.times[int(kept)]
            for cell in self.cells:
                gone = cell.sums.pop(int(kept))
                cell.sums[0] += gone if kept else 0.0


class Standings:
    """All clients, as they are stored, and what follows from that for verdicts. `clients` is changed in place.

    `records`: whether to work out who has a record; otherwise it is as stored, and sums are not needed.
    """

    def __init__(self, clients: dict[int, Client], rules: Rules = RULES, records: bool = True) -> None:
        self.clients, self.rules, self._records = clients, rules, records
        self._begun = False
        self.refresh()

    def refresh(self) -> None:
        """Recalculate the crowd's numbers and the clients' errors, at the beginning of each run."""
        rules = self.rules
        calm = _usual(self.clients.values(), rules)
        pooled = _pooled(calm)
        shares = _shares(calm, rules)
        honest = tuple(
            max(least, min(0.5, rules.room * _rate(cell, least / rules.room, rules.prior_crowd)))
            for cell, least in zip(pooled, rules.honest, strict=True)
        )
        ratio = (1 - shares[0]) / shares[0]
        plain = Errors(rules.miss, rules.false_dm)
        base = _errors(pooled, ratio, plain, rules.prior_crowd)
        noise = min(max(_noise(calm, shares[0], rules), min(base.miss, base.false_dm)), rules.most_noise)
        if noise > rules.calm:
            base = Errors(max(base.miss, noise), max(base.false_dm, noise))
        common = min(max(noise - rules.calm, 0.0) * rules.common, 1.0)
        usual = Errors(_bounded(base.miss), _bounded(base.false_dm))
        self._begun = self._records and self._records_begin()
        self.errors = {
            id: Errors(
                *_errors_of(client, ratio, base, noise <= rules.calm, rules),
                self.has_record(client),
                client.dm_from_id,
                client.since,
            )
            for id, client in self.clients.items()
        }
        self.crowd = Crowd(shares, usual, any(one.record for one in self.errors.values()), honest, common)
        bad = [rules.bad_odds * share / (1 - share + rules.bad_odds * share) for share in honest]
        weight = 1 / (1 + rules.hard * common)
        self._steps = [
            (weight * log((1 - worse) / (1 - share)), weight * log(worse / share))
            for share, worse in zip(honest, bad, strict=True)
        ]

    def has_record(self, client: Client) -> bool:
        """Whether enough of its answers were compared and bore out, and of those of others that anybody has one."""
        if not self._records:
            return client.record
        return self._begun and self._qualifies(client)

    def _records_begin(self) -> bool:
        """Whether anybody has a record: from when those who would have one gave a fair share of all answers. Each DM
        is asked about until one of them says so, which costs much while they are few. It ends when none is left."""
        free = [client for client in self.clients.values() if client.contained is None]
        if any(client.record for client in free):
            return True
        proven = [sum(client.answers) for client in free if self._qualifies(client)]
        return bool(proven) and sum(proven) >= self.rules.record_share * sum(sum(client.answers) for client in free)

    def _qualifies(self, client: Client) -> bool:
        first_dm, first_other, witness_dm, witness_other = client.cells
        return (
            client.contained is None
            and first_dm.compared + witness_dm.compared >= self.rules.record_dm
            and first_other.compared + witness_other.compared >= self.rules.record_other
            and client.evidence()[0] < self.rules.bar / 2
        )

    def moved(self, before: float, records: bool) -> bool:
        """Whether all users have to be looked at again, who were last looked at when the correlation of errors was
        `before` and anybody (`records`) had a record: the same opinions now say more or less, whether anybody is
        believed alone may have changed, or a DM now needs somebody with a record."""
        now = self.crowd.common
        return abs(now - before) > self.rules.moved or (now > 0) != (before > 0) or (self.crowd.records and not records)

    def share(self, id: int) -> float:
        """The share of a client's answers other than DM that are checked. `submit` draws by it; of DMs all are."""
        client, rules = self.clients[id], self.rules
        if client.contained is not None or self.conclude([Opinion(id, NON_DM, 0.0)]).word != "closed":
            return 1.0
        if client.watched:
            return rules.watched_share
        return rules.share if self.errors[id].record else rules.newcomer_share

    def conclude(self, opinions: Sequence[Opinion]) -> Verdict:
        """The verdict on a user."""
        return conclude(opinions, self.errors, self.crowd, self.rules)

    def count(self, opinions: Sequence[Opinion], new: int = 0) -> Verdict:
        """Compare the opinions on one user, in the order in which they came, and count what has changed since they
        were last compared. `new`: how many of them, the last ones, nobody has looked at. Returns the verdict."""
        verdict = self.conclude(opinions)
        if len(opinions) - new < 2 <= len(opinions):
            self._pair(*opinions[:2])
        firm = agreed(verdict, self.rules)
        recent = max(opinion.at for opinion in opinions) - self.rules.window_seconds
        for opinion in opinions:
            # A contained client agrees with nobody, so it is compared with what is told about the user without it.
            known = verdict.settled and verdict.need is None if opinion.doubted else firm
            outcome = verdict.answer if known and opinion.at >= recent else None
            if outcome != opinion.counted and opinion.client in self.clients:
                if opinion.counted is not None:
                    self._add(opinion, opinion.counted, -1)
                if outcome is not None:
                    self._add(opinion, outcome, 1)
                opinion.counted = outcome
        return verdict

    def saw_bucket(self, id: int, at: float, dm: int, answers: int) -> bool:
        """A bucket that was answered: `dm` of `answers` users, who had no answer before, were said to be open. Returns
        whether so unlikely a mix (Chernoff's bound) makes checks of this client more frequent for a while."""
        client, usual = self.clients[id], self.crowd.shares[0]
        client.add_bucket(at, self.rules.buckets)
        unlikely = answers > 0 and answers * _divergence(dm / answers, usual) > self.rules.bar
        client.watched = self.rules.watched if unlikely else max(client.watched - 1, 0)
        return unlikely

    def worst(self) -> int | None:
        """The client with the most evidence against it, if that is enough to contain it. None, too, when so many are
        contained that the measure itself is in doubt: an operator must look."""
        free = [(client.evidence()[0], -id) for id, client in self.clients.items() if client.contained is None]
        evidence, id = max(free, default=(0.0, 0))
        most = max(self.rules.most_contained * len(self.clients), 1)
        return -id if evidence >= self.rules.bar and len(self.clients) - len(free) < most else None

    def contain(self, id: int, now: float) -> float:
        """Contain a client; returns since when what it said is doubted."""
        client, errors = self.clients[id], self.errors[id]
        client.contained = now
        self.errors[id] = replace(errors, record=False)
        since = max(client.evidence()[1], client.doubted[-1] if client.doubted else NEVER)
        client.doubted.append(since)
        return since

    def release(self, id: int, now: float) -> None:
        """End the containment: what it said meanwhile stays doubted, and its counts begin at zero."""
        fresh, client = Client(), self.clients[id]
        client.doubted.append(now)
        client.contained, client.cells, client.times = None, fresh.cells, fresh.times

    def released(self) -> Iterator[int]:
        """The contained clients whose answers since then bear out; `release` ends it."""
        for id, client in self.clients.items():
            if client.contained is not None and client.bears_out(self.rules.probation):
                yield id

    def _pair(self, first: Opinion, second: Opinion) -> None:
        """Count a first and a second opinion. Where they differ, a DM is the likelier error, whoever says it."""
        if first.doubted or second.doubted:
            return
        if first.answer == DM and first.client in self.clients:
            self.clients[first.client].dm_pairs += 1
            self.clients[first.client].dm_differ += second.answer != DM
        elif first.answer != DM and second.client in self.clients:
            self.clients[second.client].pairs += 1
            self.clients[second.client].differ += second.answer != first.answer

    def _add(self, opinion: Opinion, outcome: str, sign: int) -> None:
        """Count a comparison (1), or take it back (-1)."""
        client, bore_out = self.clients[opinion.client], opinion.answer == outcome
        if opinion.witness:
            kind = WITNESS_DM if outcome == DM else WITNESS_OTHER
        else:
            kind = FIRST_DM if opinion.answer == DM else FIRST_OTHER
        cell = client.cells[kind]
        cell.compared = max(cell.compared + sign, 0)
        cell.contradicted = max(cell.contradicted + (0 if bore_out else sign), 0)
        bucket = bisect_right(client.times, opinion.at) - 1
        if bucket >= 0:
            cell.sums[bucket] += sign * self._steps[kind][not bore_out]


def _divergence(share: float, usual: float) -> float:
    """Kullback and Leibler's, of two shares: 0 where they are the same."""
    pairs = ((share, usual), (1 - share, 1 - usual))
    return sum(a * log(a / b) for a, b in pairs if a > 0)


def _rate(cell: Cell, before: float, weight: float) -> float:
    """The share of contradictions, where `before` was known from `weight` comparisons."""
    return (cell.contradicted + before * weight) / (cell.compared + weight)


def _usual(clients: Iterable[Client], rules: Rules) -> list[Client]:
    """The clients that are not contained, without the quarter, rounded up, of those that were compared with which
    others differ most often: few bad ones must not set the measure for all. Pairs count, too: at first there is nothing
    else, and without the quarter some young crowds were taken for noisy ones, in which all that was said is asked
    again."""

    def compared(client: Client) -> int:
        return sum(cell.compared for cell in client.cells) + client.pairs + client.dm_pairs

    def differs(client: Client) -> float:
        contradicted = sum(cell.contradicted for cell in client.cells) + client.differ + client.dm_differ
        return (contradicted + 1) / (compared(client) + 20)

    free = sorted((client for client in clients if client.contained is None), key=differs)
    known = [client for client in free if compared(client)]
    return [client for client in free if not compared(client)] + known[: len(known) * 3 // 4]


def _pooled(clients: Sequence[Client]) -> tuple[Cell, ...]:
    return tuple(
        Cell(sum(c.cells[i].compared for c in clients), sum(c.cells[i].contradicted for c in clients)) for i in range(4)
    )


def _shares(clients: Sequence[Client], rules: Rules) -> tuple[float, float, float]:
    said = [sum(client.answers[i] for client in clients) + rules.shares[i] * rules.prior_answers for i in range(3)]
    total = sum(said)
    return (said[0] / total, said[1] / total, said[2] / total)


def _errors(cells: Sequence[Cell], ratio: float, before: Errors, weight: float) -> Errors:
    """How often who has these counts is wrong. `ratio`: other doors for each open one.

    Second opinions tell it directly. A first DM that bears out stands for `ratio` other doors on which the client was
    right, and each compared other answer for 1 / `ratio` open doors.
    """
    first_dm, first_other, witness_dm, witness_other = cells
    true_dm = first_dm.compared - first_dm.contradicted
    false = witness_other.contradicted + first_dm.contradicted
    others = witness_other.compared + first_dm.contradicted + true_dm * ratio
    missed = witness_dm.contradicted + first_other.contradicted
    opened = witness_dm.compared + max(first_other.compared / ratio, first_other.contradicted)
    return Errors(
        (missed + before.miss * weight) / (opened + weight), (false + before.false_dm * weight) / (others + weight)
    )


def _noise(clients: Sequence[Client], dms: float, rules: Rules) -> float:
    """The crowd's share of errors, by how often a second opinion differs from the first. `dms`: the share of DM.

    Pairs are drawn at random among those whose first answer is DM, and among the others, and need nobody who knows
    better. Two who err in a share e of their answers differ in a share 2 e (1 - e), half of it after a first DM."""
    prior, usual = rules.prior_pairs, rules.false_dm
    pairs = sum(client.pairs for client in clients) + prior
    differ = sum(client.differ for client in clients) + 2 * usual * prior
    dm_pairs = sum(client.dm_pairs for client in clients) + prior
    dm_differ = sum(client.dm_differ for client in clients) + min(usual / dms, 1.0) * prior
    both = dms * dm_differ / dm_pairs + (1 - dms) * differ / pairs
    return (1 - sqrt(max(1 - 2 * both, 0.0))) / 2


def _bounded(share: float) -> float:
    return min(max(share, MIN_ERROR), MAX_ERROR)


def _errors_of(client: Client, ratio: float, base: Errors, calm: bool, rules: Rules) -> tuple[float, float]:
    own = _errors(client.cells, ratio, base, rules.prior_client)
    miss, false_dm = _bounded(own.miss), _bounded(own.false_dm)
    if client.watched and calm:
        return max(miss, rules.watched_miss), max(false_dm, rules.watched_false_dm)
    return miss, false_dm
