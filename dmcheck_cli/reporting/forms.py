"""Formats single values for people."""

from __future__ import annotations

from enum import StrEnum


class Means(StrEnum):
    """What a value tells a person; on a terminal it gets a colour."""

    GOOD = "good"
    LOOK = "look"
    BAD = "bad"
    GONE = "gone"


class Marked(str):
    """A text that means something."""

    __slots__ = ("means",)

    means: Means | None

    def __new__(cls, text: object, means: Means | None) -> Marked:
        """`means`: None for an ordinary value."""
        marked = super().__new__(cls, text)
        marked.means = means
        return marked


STATES = {
    "ACTIVE": Means.GOOD,
    "DEACTIVE": Means.GONE,
    "leased": Means.GOOD,
    "checked": Means.GOOD,
    "done": Means.GOOD,
    "partial": Means.LOOK,
    "set aside": Means.LOOK,
    "refused": Means.BAD,
    "dead": Means.BAD,
}
"""What the states of clients, users and buckets mean, and those of what was submitted; others are ordinary."""


def state(text: str) -> Marked:
    """A state, marked with what it means."""
    return Marked(text, STATES.get(text))


def trouble(count: int) -> object:
    """A number that should be 0."""
    return Marked(count, Means.BAD) if count else count


def duration(seconds: int | None, units: int = 2) -> str:
    """Seconds in readable form, in the largest unit and the next ones: `1 d 3 h`; `-` for None."""
    if seconds is None:
        return "-"
    from dateutil.relativedelta import relativedelta

    parts = relativedelta(seconds=seconds).normalized()
    amounts = [(parts.days, "d"), (parts.hours, "h"), (parts.minutes, "min"), (parts.seconds, "s")]
    largest = next((i for i, (amount, _) in enumerate(amounts) if amount), len(amounts) - 1)
    shown = [f"{int(amount)} {unit}" for amount, unit in amounts[largest : largest + units] if amount]
    return " ".join(shown) or "0 s"


def moment(iso: str | None) -> str:
    """An ISO 8601 time, short: to the second, in UTC."""
    if iso is None:
        return "-"
    from dateutil.parser import isoparse
    from dateutil.tz import UTC

    return isoparse(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
