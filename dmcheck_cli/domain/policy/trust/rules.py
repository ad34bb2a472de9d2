"""The numbers of trust, in one frozen object; `scripts/proofs/trust.py` shows what they cost and bring."""

from __future__ import annotations

from dataclasses import dataclass

DM, NON_DM, UNKNOWN = "DM", "NON_DM", "UNKNOWN"
ANSWERS = (DM, NON_DM, UNKNOWN)

FIRST_DM, FIRST_OTHER, WITNESS_DM, WITNESS_OTHER = range(4)
"""The cells in which comparisons are counted: asked first, by what the client said; asked as a witness, by what came
out. All DMs are compared, and few other answers; a witness sees mostly open doors. One count would mix four rates."""


@dataclass(frozen=True)
class Rules:
    """Tests and simulations pass others."""

    honest: tuple[float, float, float, float] = (0.15, 0.005, 0.02, 0.03)
    """For each cell the share of an honest client's comparisons that contradict it, at most. An honest error is 1 in
    200 look-ups: of those who say DM, where 1 door in 10 is open, that is 1 in 20. The rest is room."""

    bad_odds: float = 10.0
    """How many times the odds of a contradiction are those of an honest client, for a bad one."""

    room: float = 2.0
    """A crowd that is contradicted more often than `honest` sets its own measure: so many times its usual share."""

    bar: float = 12.0
    """Nats. From any bucket on, an honest client reaches it by chance once in e^12 = 160,000 times at most. A mix of
    answers that is less likely than that is watched."""

    probation: float = 4.0
    """Nats that must speak for a contained client, in both cells of first answers, until that ends: 5 DMs and 90 others
    that bear out."""

    buckets: int = 32
    """A client's last ones: the evidence of each is kept apart. Answers bear out sooner than they are
    contradicted, which takes two others: so evidence is added up in the order in which answers were given."""

    most_contained: float = 1 / 3
    """Share of all clients. Where more seem bad, nobody can tell who is."""

    record_dm: int = 10
    record_other: int = 40
    """Compared answers of each class, first ones or second opinions, that make a record."""

    record_share: float = 0.25
    """Of all answers that those gave who would have a record, at least, before anybody has one."""

    newcomer_share: float = 0.25
    share: float = 0.02
    """Of the answers other than DM that are checked: before and after a client has a record."""

    watched: int = 8
    watched_share: float = 0.5
    """Buckets that are watched after an unlikely mix, and the share of their answers other than DM that are checked."""

    watched_miss: float = 0.5
    watched_false_dm: float = 0.1
    """Least errors that are assumed of a watched client in a calm crowd: two others outweigh it. Who says NON_DM of
    everybody is then contradicted one opinion sooner."""

    sure: float = 0.99
    """Least confidence of what two or more say, with which others are compared, and more opinions are not asked for."""

    sure_alone: float = 0.95
    """The same for what one client says other than DM: it is checked at random, and wrong ones are found."""

    gone_alone: float = 0.5
    """The same for a lone UNKNOWN."""

    outweighs: float = 0.8
    """Least confidence of what is concluded from answers that differ."""

    max_opinions: int = 40
    """On one user. Where so many do not settle it, more will not."""

    window_seconds: float = 7 * 86_400
    """Opinions further apart than this are not compared: doors change."""

    miss: float = 0.02
    false_dm: float = 0.01
    """Errors on open and on other doors, assumed for an unknown client in an unknown crowd."""

    calm: float = 0.02
    """A crowd that errs more often than this is taken to have hard cases, on which errors have common causes."""

    most_noise: float = 1 / 3
    """A crowd is taken to err no more often than this: otherwise few pairs could make all its answers worthless."""

    common: float = 12.0
    """By what the share of errors beyond `calm` is multiplied, to be the correlation of errors (1 at most)."""

    moved: float = 0.1
    """By how much that correlation changes, at least, before all users are looked at again."""

    hard: float = 2.5
    """By what that correlation is multiplied, to discount the evidence against a client: hard cases are no proof."""

    prior_pairs: float = 5.0
    """Pairs of opinions as many as the usual errors count for, in a crowd's."""

    prior_answers: float = 20.0
    """Answers as many as `shares` count for, in a crowd's."""

    shares: tuple[float, float, float] = (0.10, 0.88, 0.02)
    """Of DM, NON_DM, UNKNOWN, assumed for an unknown crowd."""

    prior_client: float = 30.0
    """Comparisons as many as the crowd's usual errors count for, in a client's own."""

    prior_crowd: float = 40.0
    """Comparisons as many as the numbers above count for, in a crowd's."""


RULES = Rules()
