"""Plots as SVG whose colours follow the page: matplotlib draws in stand-ins, which become variables of its CSS."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAIN, GOOD, LOOK, BAD, INK, GRID = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
"""Stand-ins for the colours of the page."""

VARIABLES = {MAIN: "main", GOOD: "good", LOOK: "look", BAD: "bad", INK: "ink", GRID: "grid"}

WIDTH = 6.4
"""Inches at 72 units each."""

FATES = {"answered in time": GOOD, "answered late": LOOK, "died": BAD}


def _svg(height: float, draw: Any) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "dmcheck",
        "font.size": 11,
        "text.parse_math": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GRID,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": GRID,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(text.getvalue())


def _inline(text: str) -> str:
    """The element alone, with ids of its own, the page's colours and font, and nothing for a screen reader: the table
    says the same."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns:xlink|xmlns|version)="[^"]*"', "", text).replace("xlink:href", "href")
    used = set(re.findall(r'(?:href="|url\()#(\w+)', text))
    mark = f"p{uuid4().hex[:8]}"
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{mark}{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="|url\()#(\w+)', rf"\1#{mark}\2", text)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    return text.replace("<svg", '<svg aria-hidden="true"', 1)


def shares(parts: Sequence[tuple[str, int, str]]) -> str:
    """One bar of all users, by state."""
    total = sum(count for _, count, _ in parts) or 1

    def draw(axes: Axes) -> None:
        at = 0.0
        for name, count, colour in parts:
            axes.barh([0], [count / total * 100], left=[at], color=colour, label=f"{name} {count:,}", height=0.5)
            at += count / total * 100
        axes.set_yticks([])
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of all users")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)

    return _svg(2.2, draw)


def bars(values: Sequence[int], unit: str) -> str:
    """Answers in each hour or day, the last one now."""

    def draw(axes: Axes) -> None:
        axes.bar(range(1 - len(values), 1), values, color=MAIN, width=0.8)
        axes.set_xlabel("hours ago" if unit == "h" else "days ago")
        _counts(axes)
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}")

    return _svg(2.8, draw)


def _counts(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def dots(clients: Sequence[tuple[float, float, bool]]) -> str:
    """Clients by their answers an hour and their share of answers that bore out; those with a flag stand out by form
    and colour."""
    from matplotlib.ticker import LogLocator

    def draw(axes: Axes) -> None:
        for flagged, colour, marker, name in ((False, MAIN, "o", "without flags"), (True, BAD, "^", "with a flag")):
            chosen = [(speed, share * 100) for speed, share, flag in clients if flag == flagged]
            if chosen:
                axes.plot(*zip(*chosen, strict=True), marker, color=colour, alpha=0.6, markersize=6, label=name)
        axes.set_xscale("log")
        slowest, fastest = min(speed for speed, _, _ in clients) / 2, max(speed for speed, _, _ in clients) * 2
        axes.set_xlim(slowest, fastest)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if fastest < 30 * slowest else (1,)))
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
        axes.set_ylim(min(min(y for _, y, _ in clients) * 100 - 5, 80), 102)
        axes.set_xlabel("answers an hour (of held leases)")
        axes.set_ylabel("agreement, %")
        axes.grid()
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)

    return _svg(3.6, draw)


def ranks(rows: Sequence[tuple[str, float | None]]) -> str:
    """A bar for each name, the first one on top."""

    def draw(axes: Axes) -> None:
        drawn = axes.barh(range(len(rows)), [value or 0 for _, value in rows], color=MAIN, height=0.6)
        axes.bar_label(drawn, [f"{value:,.3g}" for _, value in rows], padding=3)
        axes.set_yticks(range(len(rows)), [_short(name) for name, _ in rows])
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xticks([])

    return _svg(0.6 + 0.32 * len(rows), draw)


def _short(name: str, most: int = 40) -> str:
    from dmcheck_cli.reporting import show

    name = show.escaped(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def waits(found: Sequence[tuple[bool, int, int]], bounds: Sequence[float]) -> str:
    """Waiting buckets by the hours that they have waited, with the bound of each kind."""

    def draw(axes: Axes) -> None:
        below = dict.fromkeys(range(49), 0)
        for urgent, colour, name in ((True, LOOK, "prioritized"), (False, MAIN, "ordinary")):
            chosen = [(hours, count) for kind, hours, count in found if kind == urgent]
            if chosen:
                hours, counts = zip(*chosen, strict=True)
                axes.bar([h + 0.5 for h in hours], counts, bottom=[below[h] for h in hours], color=colour, label=name)
                below |= {h: below[h] + count for h, count in chosen}
        for bound, name, style in zip(bounds, ("bound, prioritized", "bound, ordinary"), (":", "--"), strict=True):
            if bound <= 48:
                axes.axvline(bound, color=BAD, linestyle=style, label=name)
        axes.set_xlabel("hours waited (48: or more)")
        axes.set_ylabel("buckets")
        _counts(axes)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)

    return _svg(3.2, draw)


def flow(fates: Sequence[tuple[str, int]]) -> str:
    """A band from all leases to each of their fates, as wide as there are many."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    total, gap = sum(count for _, count in fates), 0.14
    places = []
    top = 0.0
    for name, count in fates:
        places.append((name, count, top))
        top += max(count / total, 0.02) + gap

    def draw(axes: Axes) -> None:
        begun = (top - gap - 1) / 2
        for name, count, at in places:
            size = count / total
            corners = [(0, begun), (0.5, begun), (0.5, at), (1, at)]
            back = [(1, at + size), (0.5, at + size), (0.5, begun + size), (0, begun + size)]
            codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3]
            axes.add_patch(
                PathPatch(Path(corners + back, codes), color=FATES.get(name, MAIN), alpha=0.75, linewidth=0.5)
            )
            axes.text(1.03, at + size / 2, f"{name} {count:,}", va="center")
            begun += size
        axes.text(-0.03, (top - gap) / 2, f"given {total:,}", va="center", ha="right")
        axes.set_xlim(-0.5, 1.8)
        axes.set_ylim(top, -0.1)
        axes.axis("off")

    return _svg(max(1.6, 0.55 * len(fates) + 1.2), draw)
