"""Which users go into one bucket."""

from __future__ import annotations

import pytest

from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.policy.mixing import Needing, Planned, plan

ABLE: dict[int, int | None] = dict.fromkeys(range(1, 101))


def needing(count: int, client: int = 1, *more: int, source: int | None = None) -> list[Needing]:
    """Users whom `client` answered for, and `more`."""
    sources = frozenset() if source is None else frozenset({source})
    return [Needing(f"again{client}x{i}", frozenset({client, *more}), sources) for i in range(count)]


def made(
    fresh: int,
    seconds: list[Needing],
    size: int = 180,
    room: int = 100,
    most: int = 18_000,
    waits: bool = True,
    able: dict[int, int | None] = ABLE,
    line: tuple[frozenset[int], ...] = (),
) -> list[Planned]:
    """The planned buckets."""
    names = [f"fresh{i}" for i in range(fresh)]
    return plan(names, seconds, able, size, room, most, waits, DEFAULTS, line)


def sizes(planned: list[Planned]) -> list[tuple[int, int]]:
    """Users without an answer, and second opinions, of each bucket."""
    return sorted(((len(one.fresh), len(one.seconds)) for one in planned), reverse=True)


@pytest.mark.parametrize(
    ("fresh", "seconds", "waits", "expected"),
    [
        (0, 0, False, []),
        (181, 0, True, [(91, 0), (90, 0)]),
        (270, 1_000, True, [(135, 45), (135, 0)]),
        (350, 10, True, [(175, 5), (175, 0)]),
        (10, 100, True, [(10, 3)]),
        (10, 100, False, [(10, 3), (0, 97)]),
        (0, 200, True, []),
        (0, 200, False, [(0, 100), (0, 100)]),
    ],
)
def test_a_quarter_at_most(fresh: int, seconds: int, waits: bool, expected: list[tuple[int, int]]) -> None:
    """Spread evenly; a bucket of second opinions alone only while nobody else waits outside."""
    assert sizes(made(fresh, needing(seconds), waits=waits)) == expected


def test_room_and_users_are_bounded() -> None:
    """Neither more buckets than there is room for, nor more users than a run may place."""
    assert sizes(made(1_000, needing(1_000), room=2)) == [(180, 0), (180, 0)]
    assert sum(map(sum, sizes(made(100, needing(1_000), most=100, waits=False)))) == 100
    assert made(100, needing(10), room=0) == []


def test_few_clients_are_excluded_from_a_bucket() -> None:
    """Three first clients at most, and a quarter of those who may witness; the others stay for the next bucket."""
    seconds = [one for client in range(1, 11) for one in needing(5, client)]
    planned = made(540, seconds)
    for one in planned:
        assert len({name.split("x")[0] for name in one.seconds}) <= DEFAULTS.first_clients
    assert sum(len(one.seconds) for one in planned) == 50
    [one] = made(60, [needing(1, client)[0] for client in range(1, 21)])
    assert len(one.seconds) == DEFAULTS.first_clients
    heard_by_many = needing(5, 1, *range(2, 25)) + needing(5, 30, *range(31, 55))
    for one in made(400, heard_by_many):
        assert len({name.split("x")[0] for name in one.seconds}) <= 1


def test_who_works_finds_half_of_the_line() -> None:
    """Buckets that wait for somebody who does not come cannot fill it; those that wait already count."""
    for waiting, expected in (((), 2), ([{1}] * 3, 0), ([{1}, {2}, {3}], 2), ([set()] * 3, 3), ([{2}] * 9, 4)):
        planned = made(480, needing(200, 1), room=4, most=640, line=tuple(map(frozenset, waiting)))
        assert sum(bool(one.seconds) for one in planned) == expected
    both = [one for pair in zip(needing(80, 1), needing(80, 2), strict=True) for one in pair]
    assert all(one.seconds for one in made(480, both, able={1: None, 2: None}))


def test_somebody_is_left_who_may_take_it() -> None:
    """Who was answered for by all that may witness is in no bucket; `dm_from_id` counts as the client does."""
    two: dict[int, int | None] = {1: 11, 2: 12}
    assert sizes(made(180, needing(10, 1), able=two)) == [(90, 5), (90, 0)]
    assert sizes(made(180, needing(10, 1, 2), able=two)) == [(180, 0)]
    assert sizes(made(180, needing(10, 3, source=11), able={1: 11})) == [(180, 0)]
    mixed = made(180, [one for pair in zip(needing(9, 1), needing(9, 2), strict=True) for one in pair], able=two)
    assert all(len({name.split("x")[0] for name in one.seconds}) == 1 for one in mixed)
    of_two = {id: 11 if id < 5 else 12 for id in range(1, 9)}
    [one] = made(60, needing(5, 1, source=11) + needing(5, 5, source=12), able=of_two)
    assert len({name.split("x")[0] for name in one.seconds}) == 1
    assert made(0, needing(5), able={}, waits=False) == []
