"""The screen of `stats --watch` from data alone: it fits, says what is wrong first, and nothing in it is raw."""

from __future__ import annotations

import io
from dataclasses import fields
from typing import Any

import pytest
from rich.console import Console

from dmcheck_cli.domain.model import ClientStats, SystemStats, Wait
from dmcheck_cli.reporting.watch import BLOCKS, History, Seen, Wish, line, screen
from dmcheck_cli.transactions.jobs import JOBS, LastRun

SIZES = [(20, 5), (80, 24), (120, 40), (200, 50)]


def _client(id: int, **more: Any) -> ClientStats:
    nothing: dict[str, Any] = {one.name: 0 for one in fields(ClientStats)}
    known = {"id": id, "screen_name": "x" * 20, "state": "ACTIVE", "answers": {}, "flags": ["unresponsive", "hasty"]}
    return ClientStats(**{**nothing, **known, **more})


def _seen(at: float, clients: list[ClientStats], checked: int = 0, users: int = 10**9) -> Seen:
    nothing: dict[str, Any] = {one.name: 10**6 for one in fields(SystemStats)}
    answers = {"DM": 1, "NON_DM": 2, "UNKNOWN": 3}
    known = {"users_total": users, "users_checked": checked, "answers": answers, "estimated_end": None}
    waits = {"prioritized": Wait(9000, 3600), "ordinary": Wait(None, 86400), "clients_by_flag": {"hasty": 3}}
    jobs = [LastRun(name, *[None] * 2, False, *[None] * 6) for name in JOBS]
    return Seen(at, clients, SystemStats(**{**nothing, **known, **waits}), jobs)


def _shown(seen: Seen, history: History, width: int, height: int, note: str = "", limit: int = 0) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as text:
        console.print(screen(seen, seen.clients, history, note, Wish(2, limit), width, height))
    return text.get().splitlines()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("clients", [0, 3, 2000])
def test_it_fits(size: tuple[int, int], clients: int) -> None:
    """No line is wider than the screen, none is too many, and the last one says how to end it. What is left out is
    counted."""
    history = History()
    known = [_client(id) for id in range(clients)]
    for number in range(40):
        seen = _seen(number * 2.0, known, 10 * number)
        history.add(seen)
    lines = _shown(seen, history, *size)
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    assert lines[-1].startswith("Every 2 s. q ends.")
    if size >= (80, 24):
        assert any("never" in one for one in lines)
        assert clients != 3 or sum("x" * 20 in one for one in lines) == 3
        named = sum(" x" in one for one in lines)
        assert clients != 2000 or f"{2000 - named:,} more clients" in lines[-2]
    if size == (200, 50) and clients == 2000:
        assert "1,995 more clients" in _shown(seen, history, *size, limit=5)[-2]


def test_nothing_is_raw() -> None:
    """Neither a stored name nor what a server said reaches the terminal as a control character."""
    seen = _seen(0, [_client(1, screen_name="a\x1b[2J\u202e[red]b")])
    history = History()
    history.add(seen)
    text = "\n".join(_shown(seen, history, 200, 50, note="gone\x1b]0;x\x07"))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "a\\x1b[2J\\u202e[red]b" in text
    assert "gone\\x1b" in text


def test_rates_are_of_the_last_minutes() -> None:
    """None at first; then what came, by the time that passed, within ten minutes; never below 0."""
    history = History()
    history.add(_seen(0, [], 1000))
    assert history.rates() == [None] * 4
    assert "answers a minute -" in line(_seen(0, [], 1000), history)
    history.add(_seen(30, [], 1060))
    assert history.rates()[0] == 120
    history.add(_seen(60, [], 1060))
    assert history.trend(0) == BLOCKS[-1] + BLOCKS[0]
    history.add(_seen(10_000, [_client(1, buckets_assigned=5)], 900))
    assert len(history.points) == 1
    history.add(_seen(10_060, [_client(1, buckets_assigned=15)], 800))
    assert history.rates() == [0, 10, 0, 0]
    assert "answers a minute 0" in line(_seen(10_060, [], 800), history)
