"""How long is waited before the next try."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dmcheck_cli.backoff import Backoff, between_requests, between_tries


@pytest.mark.parametrize(("make", "first", "maximum"), [(between_tries, 0.02, 2.0), (between_requests, 1.0, 60.0)])
def test_waiting_grows_and_is_spread(make: Callable[[], Backoff], first: float, maximum: float) -> None:
    """Delays are drawn from 0 to a ceiling that doubles up to the longest."""
    drawn = [[one.delay() for _ in range(12)] for one in (make() for _ in range(200))]
    for nth, delays in enumerate(zip(*drawn, strict=True)):
        ceiling = min(first * 2**nth, maximum)
        assert max(delays) <= ceiling
        assert min(delays) < ceiling / 4
        assert max(delays) > ceiling * 3 / 4


def test_what_is_told_is_the_least() -> None:
    """The jitter comes on top of `retry_after`, so that those who were told the same do not come at once."""
    assert all(30 <= between_requests().delay(retry_after=30) <= 31 for _ in range(20))


def test_when_all_is_well_the_next_delay_is_short() -> None:
    """However long it had become."""
    backoff = Backoff(1, 60)
    for _ in range(10):
        backoff.delay()
    backoff.reset()
    assert backoff.delay() <= 1


def test_a_first_delay_beyond_the_longest_is_the_longest() -> None:
    """A time limit of hours makes nobody wait for hours."""
    assert all(between_requests(9999).delay() <= 60 for _ in range(20))
