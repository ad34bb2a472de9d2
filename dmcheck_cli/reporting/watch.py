"""The screen of `stats --watch`: what it shows, from data alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from dmcheck_cli.domain.model import ClientStats, SystemStats
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import Marked, Means, duration
from dmcheck_cli.reporting.show import COLOURS
from dmcheck_cli.reporting.views import BUCKETS, CLIENTS, PROGRESS, SYSTEM, View
from dmcheck_cli.transactions.health import LATE
from dmcheck_cli.transactions.jobs import LastRun

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
MAX_TREND = 24
"""Refreshes that a trend shows."""

MAX_RATE_SECONDS = 600.0
"""Rates are of the time watched, and of the last ten minutes at most."""

MIN_ROWS = 2


@dataclass(frozen=True)
class Seen:
    """What one refresh read; `at`: seconds by any clock that only goes forward."""

    at: float
    clients: Sequence[ClientStats]
    system: SystemStats
    jobs: Sequence[LastRun]


COUNTED: tuple[tuple[str, Callable[[Seen], int]], ...] = (
    ("answers", lambda s: s.system.users_checked),
    ("buckets given", lambda s: sum(one.buckets_assigned for one in s.clients)),
    ("done", lambda s: sum(one.buckets_processed for one in s.clients)),
    ("died", lambda s: sum(one.buckets_dead for one in s.clients)),
)
"""What only grows, and is shown as a rate."""


@dataclass
class History:
    """The counters of the last refreshes."""

    points: deque[tuple[float, tuple[int, ...]]] = field(default_factory=deque)

    def add(self, seen: Seen) -> None:
        """Remember the counters, and forget what is older than MAX_RATE_SECONDS."""
        self.points.append((seen.at, tuple(value(seen) for _, value in COUNTED)))
        while seen.at - self.points[0][0] > MAX_RATE_SECONDS:
            self.points.popleft()

    def rates(self) -> list[float | None]:
        """For each of COUNTED how many a minute; None after a single refresh."""
        (first, before), (last, after) = self.points[0], self.points[-1]
        if last <= first:
            return [None] * len(COUNTED)
        return [max(now - then, 0) * 60 / (last - first) for then, now in zip(before, after, strict=True)]

    def trend(self, which: int) -> str:
        """How much came between each two refreshes, as blocks."""
        steps = [
            max(after[which] - before[which], 0) / (last - first)
            for (first, before), (last, after) in pairwise([*self.points][-MAX_TREND - 1 :])
            if last > first
        ]
        most = max(steps, default=0)
        return "".join(BLOCKS[round(step / most * (len(BLOCKS) - 1)) if most else 0] for step in steps)


@dataclass(frozen=True)
class Wish:
    """What was asked for: seconds between refreshes, and how many clients at most (0: as many as fit)."""

    interval: float = 2.0
    limit: int = 0


def screen(
    seen: Seen, shown: Sequence[ClientStats], history: History, note: str, wish: Wish, width: int, height: int
) -> Group:
    """The screen, of `width` columns and at most `height` lines. `shown`: the clients, most urgent first; those that do
    not fit are counted. `note`: what is wrong with reading, or ''."""
    from rich.console import Group
    from rich.text import Text

    lines = [
        *_packed("Users", _pairs(SYSTEM, seen.system), width),
        *_packed("Buckets", _pairs(BUCKETS, seen.system), width),
        *_packed("Waits", [("prioritized", _wait(seen, "prioritized")), ("ordinary", _wait(seen, "ordinary"))], width),
        *_packed("Answers", _pairs(PROGRESS, seen.system), width),
        *_packed("A minute", _rates(history), width),
        *_packed("Jobs", [(job.name, _ago(job)) for job in seen.jobs], width),
    ]
    foot = Text(
        show.escaped(note) or f"Every {wish.interval:g} s. q ends.", style=COLOURS[Means.BAD] if note else "dim"
    )
    foot.truncate(width, overflow="ellipsis")
    room = height - 1 - len(lines) - 4  # blank, title, heads, rule
    if room < MIN_ROWS:
        return Group(*lines[: max(height - 1, 0)], foot)
    fitting = min(len(shown), wish.limit or len(shown))
    rows = shown[: fitting if fitting == len(shown) <= room else min(fitting, room - 1)]
    table = show.fitted(CLIENTS.of(rows), width)
    left = [Text(f"{len(shown) - len(rows):,} more clients", style="dim")] if len(rows) < len(shown) else []
    return Group(*lines, Text(""), table, *left, foot)


def line(seen: Seen, history: History) -> str:
    """One refresh as one line, for who reads no screen."""
    system = seen.system
    [answers, *_] = history.rates()
    parts = [
        f"users {system.users_total}",
        f"checked {system.users_checked}",
        f"waiting {system.users_waiting}",
        f"leased {system.users_leased}",
        f"buckets waiting {system.buckets_ready}",
        f"leased {system.buckets_leased}",
        f"dead {system.buckets_dead}",
        f"active clients {system.clients_active}",
        f"flagged {sum(bool(one.flags) for one in seen.clients)}",
        f"answers a minute {'-' if answers is None else f'{answers:.0f}'}",
    ]
    return ", ".join(parts)


def _pairs(view: View[SystemStats], system: SystemStats) -> list[tuple[str, object]]:
    return [(head, value(system)) for head, value in view.columns]


def _wait(seen: Seen, kind: str) -> object:
    wait = getattr(seen.system, kind)
    overdue = (wait.oldest_seconds or 0) > wait.overdue_seconds
    text = f"{duration(wait.oldest_seconds)} of {duration(wait.overdue_seconds)}"
    return Marked(text, Means.BAD if overdue else None)


def _ago(job: LastRun) -> Marked:
    late = job.seconds_ago is None or job.seconds_ago > LATE
    text = "never" if job.seconds_ago is None else f"{duration(job.seconds_ago, units=1)} ago"
    return Marked(text, Means.BAD if late else None)


def _rates(history: History) -> list[tuple[str, object]]:
    rates = history.rates()
    shown: list[tuple[str, object]] = [
        (name, "-" if rate is None else f"{rate:,.1f}") for (name, _), rate in zip(COUNTED, rates, strict=True)
    ]
    trend = history.trend(0)
    return [*shown, ("trend of answers", trend)] if trend else shown


def _packed(title: str, pairs: Sequence[tuple[str, object]], width: int) -> list[Text]:
    """`title` and the pairs of name and value, in as few lines as they need."""
    from rich.text import Text

    lines = [Text(f"{title:<9}", style="bold")]
    for name, value in pairs:
        means = value.means if isinstance(value, Marked) else None
        text = show.escaped("-" if value is None else str(value))
        part = Text.assemble((f" {name} ", "dim"), (text, COLOURS[means] if means else "bold"), " ")
        if lines[-1].cell_len + part.cell_len > width and len(lines[-1]) > len(title):
            lines.append(Text(" " * 9))
        lines[-1] = Text.assemble(lines[-1], part)
    for one in lines:
        one.no_wrap = True
        one.truncate(width, overflow="ellipsis")
    return lines
