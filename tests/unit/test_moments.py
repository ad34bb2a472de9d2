"""Moments as people write them."""

from __future__ import annotations

import pytest

from dmcheck_cli.domain.moments import moment
from dmcheck_cli.errors import Malformed

NOW = "2026-11-27T10:20:30.5Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-27T10:20:30.500000+00:00"),
        ("today", "2026-11-27T00:00:00+00:00"),
        ("Yesterday", "2026-11-26T00:00:00+00:00"),
        ("yesterday at 14:30", "2026-11-26T14:30:00+00:00"),
        ("2 hours ago", "2026-11-27T08:20:30.500000+00:00"),
        (" 90  min ago ", "2026-11-27T08:50:30.500000+00:00"),
        ("an hour ago", "2026-11-27T09:20:30.500000+00:00"),
        ("1 month ago", "2026-10-27T10:20:30.500000+00:00"),
        ("3d ago", "2026-11-24T10:20:30.500000+00:00"),
        ("14:30", "2026-11-27T14:30:00+00:00"),
        ("26 Nov 2026 14:30", "2026-11-26T14:30:00+00:00"),
        ("Nov 26 2026, 2:30 pm UTC", "2026-11-26T14:30:00+00:00"),
        ("26 Nov 2026 14:30 +0530", "2026-11-26T09:00:00+00:00"),
        ("2026-11-26", "2026-11-26T00:00:00+00:00"),
        ("2026-11-26 14:30", "2026-11-26T14:30:00+00:00"),
        ("2026-11-26T14:30:00.123Z", "2026-11-26T14:30:00.123000+00:00"),
        ("2026-11-26T14:30:00+02:00", "2026-11-26T12:30:00+00:00"),
        ("20261126T1430", "2026-11-26T14:30:00+00:00"),
    ],
)
def test_what_people_write(text: str, expected: str) -> None:
    """In UTC unless it says another zone; relative to the given time."""
    assert moment(text).at(NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "soon", "2 moons ago", "ago", "-1 hours ago", "9999 years ago", "999999999 days ago", "12", "0"),
        *("01/02/2026", "2026-13-01", "2026-02-30", "26 Nov 2026 14:30 CET", "26 Nov 2026 25:00", "monday", "25:00"),
        *("٢ hours ago", "2026-11-26T14:30:00[Europe/Berlin]", "x" * 1000, "\x1b[31m", "0001-01-01T00:00:00+14:00"),
        *("nov", "nov 2026", "26 nov", "november rain"),
    ],
)
def test_what_is_none(text: str) -> None:
    """It is refused with a message that is safe to show."""
    with pytest.raises(Malformed) as raised:
        moment(text)
    assert raised.value.message.isascii()
    assert raised.value.message.isprintable()
