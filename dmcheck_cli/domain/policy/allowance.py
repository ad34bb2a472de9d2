"""How many leases a client may hold, decided from how its last leases ended (README.md lists the rules)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from dmcheck_cli.domain.limits import Limits

MAX_FAULTS = 64
"""More would make no difference: halved this often, every number is 1."""


@dataclass(frozen=True)
class Client:
    """What is known about a client: how many leases it stated that it can hold, and how many it has earned (None: it
    stated nothing, was never judged); its totals of leases taken and answered; how many of its submits were refused
    since it was last judged; how many of the answered leases ended after those to be judged; whether it may hold one
    lease only, whatever it earns: it is contained, or on probation until it has a record."""

    capacity: int | None
    allowance: int | None
    assigned: int
    processed: int
    new_faults: int = 0
    answered_later: int = 0
    contained: bool = False
    probation: bool = False


@dataclass(frozen=True)
class EndedLease:
    """One lease: how it ended ('answered', 'released', 'died', 'returned'), when it began and ended (seconds, both on
    the same clock), how many users it had, how many answers of each kind, whether it was ever marked dead, and how many
    leases the client had answered when it took this one (None: not known). `first`: how many of the answers of each
    kind were for users who had none (None: all). `excused`: others had failed on its bucket before."""

    how: str
    began: float
    ended: float
    users: int
    dm: int = 0
    non_dm: int = 0
    unknown: int = 0
    died: bool = False
    processed_before: int | None = None
    first: tuple[int, int, int] | None = None
    excused: bool = False

    @property
    def answers(self) -> int:
        """Users who got an answer."""
        return self.dm + self.non_dm + self.unknown

    @property
    def took(self) -> float:
        """Seconds from hand-out to end; 0 if the clock was set back in between."""
        return max(self.ended - self.began, 0.0)

    def is_blind(self, limits: Limits) -> bool:
        """So many UNKNOWN answers, and a majority, that the client has probably lost its own access."""
        return self.unknown >= limits.flood and self.unknown * 2 > self.answers

    def tells_speed(self) -> bool:
        """Whether it was answered in time, for at least half of its users."""
        return self.how == "answered" and not self.died and 0 < self.answers >= self.users / 2


@dataclass(frozen=True)
class Verdict:
    """How many leases the client has earned; why ('answered', 'slow', 'unknown', 'died', 'refused'; None: nothing was
    learned, and the number is as before); the longest time that one of the buckets took (seconds; None: unknown)."""

    allowance: int
    reason: str | None
    turnaround_seconds: int | None


def may_hold(capacity: int | None, allowance: int | None, limits: Limits) -> int:
    """How many leases a client may hold: what it has earned, but no more than it stated."""
    return min(_earned(allowance, limits), _stated(capacity, limits))


def judge(client: Client, leases: Sequence[EndedLease], lease_seconds: int, limits: Limits) -> Verdict:
    """What the client has earned after its new faults and after `leases`, which are in order of their ends.

    `lease_seconds` is how long a lease lasts.
    """
    stated, before = _stated(client.capacity, limits), _earned(client.allowance, limits)
    held_to_one = client.contained or client.probation
    ceiling = 1 if held_to_one else limits.start_allowance
    if not held_to_one and client.processed * 4 >= client.assigned * 3:
        ceiling = max(ceiling, stated)
    number, lowered_for = 1 if held_to_one else before, None
    facts = list(_facts(client, leases, lease_seconds, limits))
    for fact in facts:
        if isinstance(fact, str):
            # Half of what it may hold now: a failure costs a client that stated little as much as any other.
            number, lowered_for = max(min(number, stated) // 2, 1), fact
        elif fact < number:
            number, lowered_for = max(int(fact), 1), "slow"
        elif fact >= number + 1 and number < ceiling:
            number += 1
    why = "answered" if number > before or lowered_for is None else lowered_for
    longest = max((lease.took for lease in leases if lease.tells_speed()), default=None)
    return Verdict(number, why if facts else None, None if longest is None else int(longest))


def _facts(client: Client, leases: Sequence[EndedLease], lease_seconds: int, limits: Limits) -> Iterator[str | float]:
    """The facts about the client: the name of each failure; for each bucket that it answered in time, how many it
    finishes in the time of one lease. Faults come first: their times are unknown."""
    yield from repeat("refused", min(max(client.new_faults, 0), MAX_FAULTS))
    ends = [lease.ended for lease in leases if lease.how == "answered"]
    total = client.processed - client.answered_later
    for lease in leases:
        if lease.how == "died":
            if not lease.excused:
                yield "died"
        elif lease.is_blind(limits):
            yield "unknown"
        elif lease.tells_speed():
            answered = total - (len(ends) - bisect_right(ends, lease.ended))
            meanwhile = 1 if lease.processed_before is None else max(answered - lease.processed_before, 1)
            # Little's law: what it answered while it had this bucket, times how often that time fits into a lease.
            yield meanwhile * (lease_seconds / lease.took if lease_seconds and lease.took else limits.max_capacity)


def _earned(allowance: int | None, limits: Limits) -> int:
    return limits.start_allowance if allowance is None else max(allowance, 1)


def _stated(capacity: int | None, limits: Limits) -> int:
    return limits.start_allowance if capacity is None else max(capacity, 1)
