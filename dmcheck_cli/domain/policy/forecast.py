"""When all will be checked, estimated from how many answers came in each hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DAY = 24
"""Hours after which the record has every hour of the day, a nightly pause included."""

MAX_PAUSE = 8
"""Hours of a day in which clients may pause. A record shorter than a day may not show that pause yet."""

LIKELY_PAUSE = 0.7
"""Share of that pause to count on: from 0.65 to 0.7 the estimate is within a factor of 1.5 both for clients that never
pause and for those that pause for MAX_PAUSE (tests/unit/test_policy_forecast.py)."""

MARGIN = 0.1
"""Share by which the bounds differ from the estimate at least; more where one day brought more than another."""


@dataclass(frozen=True)
class Forecast:
    """Seconds until all is checked: an estimate, and the bounds between which it is likely to be."""

    seconds: int
    earliest: int
    latest: int


def forecast(remaining: int, hourly: Sequence[int]) -> Forecast | None:
    """The forecast for `remaining` users. `hourly`: answers in each hour of the record, the last one last.

    Each hour to come brings what that hour of the day brought before, on average. Hours of the day that the record does
    not have yet bring what a working hour brings, less LIKELY_PAUSE of the pause that may be still to come. The bounds
    count on none and on all of that pause, and on days as different as those of the record. None if nothing remains or
    nobody answers.
    """
    if remaining <= 0 or not any(hourly):
        return None
    record = hourly[len(hourly) % DAY :] if len(hourly) >= DAY else hourly
    working = [answers for answers in record if answers]
    unseen = max(DAY - len(record), 0)
    to_come = min(max(MAX_PAUSE - (len(record) - len(working)), 0), unseen)
    rate = sum(working) / len(working)
    days = [sum(record[start : start + DAY]) for start in range(0, len(record), DAY)]
    spread = max((max(days) - min(days)) / (max(days) + min(days)), MARGIN)
    times = []
    for pause, margin in ((to_come * LIKELY_PAUSE, 0.0), (0, spread), (to_come, -spread)):
        filler = rate * (1 - pause / unseen) if unseen else 0.0
        day = [_mean(record[-DAY + hour :: -DAY], filler) for hour in range(DAY)]
        times.append(_seconds(remaining, [answers * (1 + margin) for answers in day]))
    return Forecast(*times)


def _mean(seen: Sequence[int], otherwise: float) -> float:
    return sum(seen) / len(seen) if seen else otherwise


def _seconds(remaining: float, day: Sequence[float]) -> int:
    """How long `remaining` answers take, with so many in each hour of a day."""
    days, left = divmod(remaining, sum(day))
    for hour, answers in enumerate(day):
        if answers and left <= answers:
            return round((days * DAY + hour + left / answers) * 3600)
        left -= answers
    return round((days + 1) * DAY * 3600)
