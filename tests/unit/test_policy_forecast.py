"""The estimated end: exact where the rate is steady, near where clients pause at night."""

from __future__ import annotations

import pytest

from dmcheck_cli.domain.policy.forecast import Forecast, forecast


@pytest.mark.parametrize(
    ("remaining", "hourly", "expected"),
    [
        (0, [10], None),
        (100, [], None),
        (100, [0, 0], None),
        (2400, [100] * 24, Forecast(86_400, 78_545, 96_000)),  # a steady day: another one
        (
            2400,
            [50] * 24 + [100] * 24,
            Forecast(115_200, 86_400, 172_800),
        ),  # one day brought twice as much
        (1000, [100] * 5, Forecast(51_045, 32_727, 68_800)),  # shorter than a day: a pause is allowed for
    ],
)
def test_a_record(remaining: int, hourly: list[int], expected: Forecast | None) -> None:
    """The mean rate, and bounds a tenth wider than what was seen."""
    assert forecast(remaining, hourly) == expected


@pytest.mark.parametrize("pause", [0, 4, 8])
@pytest.mark.parametrize("begins", range(0, 24, 3))
def test_two_days_with_a_pause_at_night(pause: int, begins: int) -> None:
    """From a tenth of the work on the estimate is within a factor of 1.5, whenever in the day the work began."""
    awake = [(begins + hour) % 24 >= pause for hour in range(48)]
    total = 100 * sum(awake)
    done = [100 * one for one in awake]
    first = awake.index(True)  # the record begins with the first answer
    for hour in range(first + 1, 48):
        remaining = total - sum(done[:hour])
        if total - remaining >= total / 10 and remaining and done[hour - 1]:
            found = forecast(remaining, done[first:hour])
            assert found is not None
            left = 3600 * (max(i for i in range(48) if awake[i]) + 1 - hour)
            if left >= 12 * 3600:  # a night more or less decides over the rest
                assert left / 1.5 <= found.seconds <= left * 1.5
            assert found.earliest < found.seconds < found.latest
