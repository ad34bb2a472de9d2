"""Formats single values for people."""

from __future__ import annotations


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
