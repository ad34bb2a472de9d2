"""Which users go into one bucket: those whom nobody has answered for, and some who need a second opinion."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import ceil

from dmcheck_cli.domain.limits import Limits

NEEDS = ("conflict", "unsure", "contained", "dm", "check")
"""Why a user needs another opinion, the most pressing first."""

LOOK_AHEAD = 200
"""Users who are passed over for one bucket, at most."""

LINE_SHARE = 0.5
"""Of the line, so much at most excludes one client while users without an answer wait. Otherwise buckets that wait for
somebody who does not come could fill the line, and whoever works would find nothing."""


@dataclass(frozen=True)
class Needing:
    """A user who needs another opinion; the ids of the clients that answered, and their `dm_from_id`s."""

    name: str
    heard: frozenset[int]
    sources: frozenset[int]


@dataclass
class Planned:
    """A bucket to be made: names of users without an answer, and of those who are there for a second opinion."""

    fresh: list[str] = field(default_factory=list)
    seconds: list[str] = field(default_factory=list)


def share(fresh: int, most: int, limits: Limits) -> int:
    """How many second opinions may be mixed into `fresh` users, `most` users in all: a quarter of each bucket."""
    return min(fresh // (limits.second_share - 1), most // limits.second_share)


def plan(
    fresh: Sequence[str],
    needing: Sequence[Needing],
    able: Mapping[int, int | None],
    size: int,
    room: int,
    most: int,
    waits: bool,
    limits: Limits,
    line: Sequence[Set[int]] = (),
) -> list[Planned]:
    """Up to `room` buckets of at most `size` users, `most` in all, as equal as they can be.

    `fresh` are in random order; of `needing`, those who share their first clients follow each other. `able`: the
    clients that may witness, with their `dm_from_id`; each bucket leaves one of them at least. `waits`: whether users
    without an answer are left who are in no bucket; then no bucket is of second opinions alone. `line`: for each
    waiting bucket, who of `able` may not take it.
    """
    most = min(most, room * size)
    queue = deque(one for one in needing if _leaves_one(able, one.heard, one.sources))
    mixed = _mixed(list(fresh)[:most], queue, able, size, most, limits, line)
    if waits or len(mixed) == room:
        return mixed
    left = most - sum(len(one.fresh) + len(one.seconds) for one in mixed)
    return mixed + _alone(queue, able, size, room - len(mixed), left, limits)


def _mixed(
    fresh: list[str],
    queue: deque[Needing],
    able: Mapping[int, int | None],
    size: int,
    most: int,
    limits: Limits,
    line: Sequence[Set[int]],
) -> list[Planned]:
    """Buckets of all of `fresh`, with second opinions spread evenly over them."""
    wanted = min(share(len(fresh), most, limits), len(queue), max(most - len(fresh), 0))
    parts = ceil((len(fresh) + wanted) / size)
    planned = []
    times = Counter(id for ids in line for id in ids)
    often = max(int(LINE_SHARE * (len(line) + parts)), 1)
    for i in range(parts):
        members = fresh[i * len(fresh) // parts : (i + 1) * len(fresh) // parts]
        quota = (i + 1) * wanted // parts - i * wanted // parts
        quota = min(quota, size - len(members), share(len(members), size, limits))
        names, excluded = _take(queue, able, quota, limits, {id for id, n in times.items() if n >= often})
        times.update(excluded)
        planned.append(Planned(members, names))
    return planned


def _alone(
    queue: deque[Needing], able: Mapping[int, int | None], size: int, room: int, most: int, limits: Limits
) -> list[Planned]:
    """Buckets of second opinions alone."""
    planned: list[Planned] = []
    while queue and most > 0 and len(planned) < room:
        parts = min(ceil(min(len(queue), most) / size), room - len(planned))
        names, _ = _take(queue, able, min(ceil(min(len(queue), most) / parts), size), limits, set())
        if not names:
            break
        planned.append(Planned([], names))
        most -= len(names)
    return planned


def excluded(able: Mapping[int, int | None], heard: Set[int], sources: Set[int]) -> Set[int]:
    """Those who answered, or whose `dm_from_id` did."""
    return {id for id, source in able.items() if id in heard or (source is not None and source in sources)}


def _take(
    queue: deque[Needing], able: Mapping[int, int | None], quota: int, limits: Limits, barred: Set[int]
) -> tuple[list[str], Set[int]]:
    """Take up to `quota` users out of the queue whose earlier clients are few; the others stay, in their order. Returns
    them, and who may not take their bucket: none of `barred`."""
    names: list[str] = []
    heard: set[int] = set()
    sources: set[int] = set()
    passed: list[Needing] = []
    firsts, widest = 0, max(limits.heard_share * len(able), 1)
    while queue and len(names) < quota and len(passed) < LOOK_AHEAD:
        one = queue.popleft()
        more, both, of_both = one.heard - heard, heard | one.heard, sources | one.sources
        few = not more or (firsts < limits.first_clients and len(both) <= widest)
        kept = not any(id in both or able.get(id, 0) in of_both for id in barred)
        if not kept or (names and not (few and _leaves_one(able, both, of_both))):
            passed.append(one)
            continue
        names.append(one.name)
        firsts += bool(more)
        heard, sources = both, of_both
    queue.extendleft(reversed(passed))
    return names, excluded(able, heard, sources)


def _leaves_one(able: Mapping[int, int | None], heard: Set[int], sources: Set[int]) -> bool:
    """Whether a client is left that has answered for none of them, and whose `dm_from_id` has not either."""
    return any(id not in heard and (source is None or source not in sources) for id, source in able.items())
