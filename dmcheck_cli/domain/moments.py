"""Moments as people write them: `2 hours ago`, `yesterday`, `26 Nov 2026 14:30`, ISO 8601.

What says no zone is in UTC. A date of numbers only is ISO 8601: of `01/02/2026` nobody knows which is the day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dmcheck_cli.domain import documents
from dmcheck_cli.errors import Malformed

_UNITS = {
    "seconds": ("second", "sec", "s"),
    "minutes": ("minute", "min", "m"),
    "hours": ("hour", "hr", "h"),
    "days": ("day", "d"),
    "weeks": ("week", "wk", "w"),
    "months": ("month",),
    "years": ("year", "yr", "y"),
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for one in names for name in (one, f"{one}s")}

_AGO = re.compile(r"(an?|[0-9]{1,9}) ?([a-z]+) ago")
_DAY = re.compile(r"(now|today|yesterday)(?: (?:at )?([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?))?")
_MONTH = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?")

MAX_LENGTH = 60

_SAMPLE = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Moment:
    """A moment that may depend on what time it is."""

    text: str

    def at(self, now: str) -> str:
        """The moment in ISO 8601, in UTC; `now` is the time of the database.

        Raises Malformed where it is none, or outside the years 1 to 9999.
        """
        from dateutil.tz import UTC

        try:
            return str(_read(" ".join(self.text.split()), now).astimezone(UTC).isoformat())
        except (ValueError, OverflowError, TypeError) as error:
            raise Malformed(
                what='A time is written as "2 hours ago", "yesterday", "26 Nov 2026 14:30" or 2026-11-26T14:30:00Z '
                f"(UTC unless it says another zone), not {documents.shown(self.text)}"
            ) from error


def moment(text: str) -> Moment:
    """A moment from what somebody wrote. Raises Malformed."""
    given = Moment(text)
    given.at(_SAMPLE)
    return given


def _read(text: str, now: str) -> Any:
    from dateutil.parser import isoparse, parse
    from dateutil.relativedelta import relativedelta
    from dateutil.tz import UTC

    present, lower = isoparse(now).astimezone(UTC), text.lower()
    if not text.isascii() or len(text) > MAX_LENGTH:
        raise ValueError(text)
    if (ago := _AGO.fullmatch(lower)) is not None:
        number, unit = ago.groups()
        if unit not in _UNIT_OF:
            raise ValueError(unit)
        return present - relativedelta(**{_UNIT_OF[unit]: int(number) if number.isdigit() else 1})  # type: ignore[arg-type]
    midnight = present.replace(hour=0, minute=0, second=0, microsecond=0)
    if (day := _DAY.fullmatch(lower)) is not None:
        name, time = day.groups()
        begins = midnight - relativedelta(days=1 if name == "yesterday" else 0)
        if name == "now" and time is None:
            return present
        return begins if time is None else parse(time, default=begins)
    if _TIME.fullmatch(lower):
        return parse(text, default=midnight)
    if _MONTH.search(lower):
        # What the text leaves out, the parser takes from the default.
        one, other = (parse(text, default=isoparse(default), tzinfos=_zone) for default in ("2001-02-03", "2004-05-06"))
        if one != other:
            raise ValueError(text)
        return one
    found = isoparse(re.sub(r"(?<=[0-9]) (?=[0-9]{2}:)", "T", text))
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _zone(name: str | None, offset: int | None) -> Any:
    """The zone of a parsed text. Names of zones mean several; UTC alone does not."""
    from dateutil.tz import UTC, tzoffset

    if name not in (None, "UTC", "GMT", "Z", "z"):
        raise ValueError(name)
    return UTC if not offset else tzoffset(None, offset)
