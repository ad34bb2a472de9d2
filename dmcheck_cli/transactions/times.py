"""Times from the database: text in any format, converted to one format here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dmcheck_cli.domain.limits import DEFAULTS

_ZONE_NAME = re.compile(r"\[[^]]*\]$")
"""What Neo4j appends to the offset of a time in a named zone: `[Europe/Berlin]`."""


def utc(stored: str | None) -> str | None:
    """A stored time in UTC, ISO 8601 to the millisecond: `2026-11-26T10:12:51.367Z`.

    None for anything that is not a time, as another program may have stored, and for a year outside 1 to 9999. A time
    without an offset is taken as UTC.
    """
    moment = _read(stored)
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(stored: str | None) -> float:
    """A stored time in seconds since 1970, to the millisecond; 0 for anything that is not a time."""
    moment = _read(stored)
    return 0.0 if moment is None else moment.replace(microsecond=moment.microsecond // 1000 * 1000).timestamp()


def since_1970(moment: float | None) -> str | None:
    """A time that is stored in seconds since 1970, as `utc` gives times. None for one that no calendar has."""
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def age(stored: str | None, now: str) -> int | None:
    """Whole seconds from a stored time to `now`; 0 for one in the future, None for anything that is not a time."""
    seconds = _between(stored, now)
    return None if seconds is None else max(seconds, 0)


def left(stored: str | None, now: str) -> int | None:
    """Whole seconds from `now` to a stored time; None for one that has passed, and for anything that is not a time."""
    seconds = _between(stored, now)
    return None if seconds is None or seconds >= 0 else -seconds


def ahead(stored: str | None, now: str) -> bool:
    """Whether a stored time is further in the future than clocks and locks explain (`max_skew_seconds`)."""
    seconds = _between(stored, now)
    return seconds is not None and seconds < -DEFAULTS.max_skew_seconds


def _between(stored: str | None, now: str) -> int | None:
    moment, reference = _read(stored), _read(now)
    return None if moment is None or reference is None else (reference - moment) // timedelta(seconds=1)


def _read(stored: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_ZONE_NAME.sub("", stored or ""))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
