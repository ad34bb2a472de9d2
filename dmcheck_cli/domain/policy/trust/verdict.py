"""What is concluded about one user: verdict, confidence, answer in force, need of a further opinion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dmcheck_cli.domain.policy.trust.rules import ANSWERS, DM, NON_DM, RULES, UNKNOWN, Rules

Need = Literal["dm", "conflict", "contained", "unsure"]
Word = Literal["unchecked", "unconfirmed", "open", "closed", "not_found", "open_to_some"]


@dataclass(slots=True)
class Opinion:
    """What a client said about a user, and when (seconds). `counted`: the answer that it was compared with, as it
    stands in its client's counts; None: not compared. `doubted`: it counts for nothing, since its client was
    contained. `witness`: it is a second opinion, asked for after somebody else's answer. `client`: the id; of one that
    was deleted the negative time of that, in milliseconds."""

    client: int
    answer: str
    at: float
    counted: str | None = None
    doubted: bool = False
    witness: bool = False


@dataclass(frozen=True, slots=True)
class Errors:
    """How often a client is wrong: `miss`, of open doors; `false_dm`, of the others says DM. Whether it has a record,
    the `dm_from_id` that it stated, and when it first registered (seconds)."""

    miss: float
    false_dm: float
    record: bool = False
    dm_from_id: int | None = None
    since: float = 0.0

    def chances(self, answer: str) -> tuple[float, float, float]:
        """The chance that it says `answer`, where the truth is DM, NON_DM, UNKNOWN."""
        miss, false = self.miss, self.false_dm
        if answer == DM:
            return 1 - miss, false, false
        right = 1 - 1.5 * false
        return (miss / 2, right, false / 2) if answer == NON_DM else (miss / 2, false / 2, right)

    def alike(self, answer: str) -> tuple[float, float, float]:
        """The same, if it errs on all doors alike."""
        wrong = (self.miss + self.false_dm) / 2
        d, n, u = (1 - wrong if answer == one else wrong for one in ANSWERS)
        return d, n, u


@dataclass(frozen=True, slots=True)
class Crowd:
    """All clients together: the shares of DM, NON_DM and UNKNOWN; the errors of one of whom nothing is known; whether
    any client has a record; for each cell the share of comparisons that contradict an honest client; `common`, the
    correlation of errors (0: none)."""

    shares: tuple[float, float, float] = RULES.shares
    usual: Errors = Errors(RULES.miss, RULES.false_dm)
    records: bool = False
    honest: tuple[float, ...] = RULES.honest
    common: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word; the likeliest answer (None: nobody answered); how likely each answer is right; why another opinion is
    needed (None: it is not); how many say what, of those that count; the chance that the answer is right if no two
    errors had a common cause."""

    word: Word
    answer: str | None
    chances: Mapping[str, float]
    need: Need | None
    votes: Mapping[str, int] = field(default_factory=dict)
    each: float = 0.0

    @property
    def confidence(self) -> float:
        """The chance that the answer is right; 0 when nobody answered."""
        return self.chances[self.answer] if self.answer is not None else 0.0

    @property
    def settled(self) -> bool:
        """Whether it can be told to anybody as it is."""
        return self.word in {"open", "closed", "not_found"}

    def sentence(self) -> str:
        """Why, in one sentence, for an operator."""
        if self.answer is None:
            return "Nobody has answered."
        if self.need == "contained":
            return f"Only contained clients have answered, the last in force with {self.answer}."
        said = ", ".join(f"{count} {'says' if count == 1 else 'say'} {answer}" for answer, count in self.votes.items())
        sure = f"by what is known of them {self.answer} is right in {self.confidence:.2%} of such cases"
        why = {
            "dm": "; a DM needs a second client that says so, and one of them with a record",
            "conflict": "; more opinions are asked for",
            "unsure": "; that is not enough",
            None: "",
        }
        return f"Of the clients that count, {said}: {sure}{why[self.need]}."


def conclude(opinions: Sequence[Opinion], errors: Mapping[int, Errors], crowd: Crowd, rules: Rules = RULES) -> Verdict:
    """The verdict from all opinions on one user, in the order in which they came.

    `errors`: those of the clients; who is missing is taken for an unknown one.
    """
    if not opinions:
        return Verdict("unchecked", None, {}, None)
    counted = believed(opinions, errors)
    votes: dict[str, int] = {}
    chances = (1.0, 1.0, 1.0)
    record = not crowd.records
    for opinion in counted or opinions:
        one = errors.get(opinion.client, crowd.usual)
        votes[opinion.answer] = votes.get(opinion.answer, 0) + 1
        d, n, u = one.chances(opinion.answer) if crowd.common == 0 else one.alike(opinion.answer)
        chances = (chances[0] * d, chances[1] * n, chances[2] * u)
        record = record or (one.record and opinion.answer == DM)
    shares = crowd.shares if crowd.common == 0 else (1.0, 1.0, 1.0)
    d, n, u = (share * chance for share, chance in zip(shares, chances, strict=True))
    # Nobody is taken to be right who was not heard: the answer in force is one that was given.
    most, _, answer = max(
        (chance, votes[answer], answer) for chance, answer in zip((d, n, u), ANSWERS, strict=True) if answer in votes
    )
    each = most / (d + n + u)
    # Opinions whose errors have common causes say less together than each by itself.
    weight = 1 / (1 + crowd.common * (sum(votes.values()) - 1))
    weighed = [chance**weight for chance in (d, n, u)]
    total = sum(weighed)
    likely = {one: chance / total for one, chance in zip(ANSWERS, weighed, strict=True)}
    confidence = likely[answer]
    if not counted:
        return Verdict("unconfirmed", answer, likely, "contained", votes)
    # In a crowd with hard cases nobody is believed alone. A lone UNKNOWN is never sure, since few accounts are gone: it
    # is checked at random, as a NON_DM is, unless it is likelier wrong than right.
    alone = votes[answer] == 1 and len(votes) == 1
    bar = rules.sure if not alone else rules.sure_alone if answer != UNKNOWN else rules.gone_alone
    enough = confidence >= bar and not (alone and crowd.common > 0)
    need = _need(answer, enough, votes, record)
    word = _word(answer, enough if alone else confidence >= rules.outweighs, votes, record)
    return Verdict(word, answer, likely, need if len(opinions) < rules.max_opinions else None, votes, each)


def believed(opinions: Sequence[Opinion], errors: Mapping[int, Errors]) -> list[Opinion]:
    """The opinions that count: not doubted, and each independent of those before it.

    Who was deleted may have registered again, under any id: nobody who came after that is independent of it, and of
    several who were deleted only the first.
    """
    counted: list[Opinion] = []
    deleted: float | None = None
    clients: set[int] = set()
    sources: set[int] = set()
    for opinion in opinions:
        one = errors.get(opinion.client)
        source = one.dm_from_id if one else None
        if opinion.doubted or (one is not None and opinion.client in clients) or source in sources:
            continue
        if deleted is not None and (opinion.client < 0 or (one is not None and one.since >= deleted)):
            continue
        if opinion.client < 0:
            deleted = -opinion.client / 1000
        clients.add(opinion.client)
        if source is not None:
            sources.add(source)
        counted.append(opinion)
    return counted


def agreed(verdict: Verdict, rules: Rules = RULES) -> bool:
    """Whether others can be compared with it: two at least say so, more than contradict, and it is sure."""
    return verdict.answer is not None and _more(verdict.answer, verdict.votes) and verdict.each >= rules.sure


def _more(answer: str, votes: Mapping[str, int]) -> bool:
    """Whether two at least say so, and more than say otherwise."""
    return votes[answer] >= 2 and votes[answer] * 2 > sum(votes.values())


def _need(answer: str, enough: bool, votes: Mapping[str, int], record: bool) -> Need | None:
    if len(votes) > 1:
        return None if enough and _more(answer, votes) and (answer != DM or record) else "conflict"
    if answer == DM and (votes[DM] < 2 or not record):
        return "dm"
    return None if enough else "unsure"


def _word(answer: str, enough: bool, votes: Mapping[str, int], record: bool) -> Word:
    if len(votes) > 1 and not (enough and _more(answer, votes)):
        return "open_to_some" if DM in votes and NON_DM in votes else "unconfirmed"
    if answer == DM:
        return "open" if votes[DM] >= 2 and record else "unconfirmed"
    if votes[answer] == 1 and not enough:
        return "unconfirmed"
    return "not_found" if answer == UNKNOWN else "closed"
