"""The page of `dmcheck report`: one HTML file that needs no script and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import Marked, duration, moment
from dmcheck_cli.reporting.page import drawing, figures
from dmcheck_cli.reporting.views import BUCKETS, PROGRESS, SYSTEM, WAITS, Table
from dmcheck_cli.transactions.report import DAYS, Ended, Findings, Worker

MAX_ROWS = 50
"""Clients that the table lists; a plot shows all."""

HOURS = 48

MISSING = "The page needs the Python package {package}: pip install 'dmcheck[report]'."


@dataclass(frozen=True)
class Section:
    """A question and its answer: a sentence, a plot (SVG, or None), and the tables that say the same."""

    id: str
    title: str
    text: str
    plot: str | None
    tables: list[Table]


def needed() -> None:
    """Raises NotConfigured when the extra `report` is not installed."""
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise NotConfigured(what=MISSING.format(package=error.name)) from error
    del jinja2


def page(found: Findings) -> str:
    """The page, ready to be written. Raises NotConfigured when the extra `report` is not installed."""
    needed()
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    pages = Environment(
        loader=PackageLoader(__name__, "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    pages.filters |= {"shown": _shown, "means": lambda value: Markup(_classed(value))}
    return pages.get_template("page.html.j2").render(
        now=moment(found.now),
        found=found,
        sections=[
            _progress(found), *_rates(found), _workers(found), _disagreements(found), _waits(found), _leases(found),
            _costs(found),
        ],
        drawings=[drawing.layout(one) for one in found.around],
    )  # fmt: skip


def _shown(value: object) -> str:
    """A value of a table as text, without characters that hide or turn others around."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else show.escaped(str(value))


def _classed(value: object) -> str:
    return f' class="{value.means}"' if isinstance(value, Marked) and value.means else ""


def _progress(found: Findings) -> Section:
    system = found.system
    share = system.users_checked / system.users_total if system.users_total else 0.0
    text = f"{system.users_checked:,} of {system.users_total:,} users are checked ({share:.1%})."
    end = system.estimated_end
    if end is not None:
        text += (
            f" All will be checked in about {duration(end.seconds)}: {duration(end.earliest)} "
            f"at the earliest, {duration(end.latest)} at the latest."
        )
    elif system.users_total > system.users_checked:
        text += " When all will be checked cannot be told: nobody has answered in the last two days."
    aside = system.users_set_aside - system.users_set_aside_answered
    parts = [
        ("checked", system.users_checked, figures.GOOD),
        ("leased", system.users_leased, figures.MAIN),
        ("waiting", max(system.users_waiting - aside, 0), figures.LOOK),
        ("set aside", aside, figures.BAD),
    ]
    plot = figures.shares(parts) if system.users_total else None
    return Section(
        "progress", "How far are we, and when will it be done?", text, plot,
        [SYSTEM.of([system]), PROGRESS.of([system]), BUCKETS.of([system])],
    )  # fmt: skip


def _rates(found: Findings) -> Iterable[Section]:
    now = _hour(found.now)
    hourly, daily = Counter[int](), Counter[int]()
    for one in found.ended:
        hourly[now - one.hour] += one.accepted
        daily[(now - one.hour) // 24] += one.accepted
    for id, title, counts, most, unit in (
        ("hours", "How fast, by hour?", hourly, HOURS, "h"), ("days", "How fast, by day?", daily, DAYS, "d"),
    ):  # fmt: skip
        values = [counts[ago] for ago in range(most - 1, -1, -1)]
        text = f"{sum(values):,} answers in the last {most} {'hours' if unit == 'h' else 'days'}"
        text += f"; most in one: {max(values):,}." if any(values) else "."
        rows = [(f"{most - 1 - i} {unit} ago", value) for i, value in enumerate(values) if value][::-1]
        plot = figures.bars(values, unit) if any(values) else None
        yield Section(id, title, text, plot, [Table("Answers", ("when", "answers"), rows)])


def _hour(iso: str) -> int:
    from dmcheck_cli.transactions import times

    return int(times.seconds(iso) // 3600)


def _workers(found: Findings) -> Section:
    active = [one for one in found.workers if one.stats.state == "ACTIVE"]
    busy = sorted(found.workers, key=lambda one: (-len(one.stats.flags) * (one.stats.state == "ACTIVE"), -one.answers))
    text = (
        f"{len(active):,} of {len(found.workers):,} clients are active; "
        f"{sum(one.answers > 0 for one in found.workers):,} answered in the last {DAYS} days."
    )
    if len(busy) > MAX_ROWS:
        text += f" The table shows {MAX_ROWS}, those with flags first; {len(busy) - MAX_ROWS:,} more are left out."
    drawn = [one for one in found.workers if one.per_hour and one.stats.compared]
    undrawn = len(found.workers) - len(drawn)
    if undrawn:
        text += f" The plot lacks {undrawn:,} that answered nothing lately or were never compared."
    plot = (
        figures.dots([(one.per_hour or 0.0, _agreement(one) or 0.0, bool(one.stats.flags)) for one in drawn])
        if drawn
        else None
    )
    heads = ("client", "state", "answers", "per hour", "agreement", "compared", "dead", "fault", "flags")
    rows = [
        (
            one.name, one.stats.state, one.answers, one.per_hour, None if _agreement(one) is None else
            f"{_agreement(one):.0%}", one.stats.compared, one.stats.buckets_dead, one.stats.buckets_fault,
            ", ".join(one.stats.flags),
        )
        for one in busy[:MAX_ROWS]
    ]  # fmt: skip
    return Section("clients", "Who does the work, and how reliably?", text, plot, [Table("Clients", heads, rows)])


def _agreement(one: Worker) -> float | None:
    compared = one.stats.compared
    return 1 - one.stats.contradicted / compared if compared else None


def _disagreements(found: Findings) -> Section:
    text = f"{found.opinions:,} second opinions of {found.pairs_compared:,} pairs of clients were compared."
    if found.opinions_left_out:
        text += f" {found.opinions_left_out:,} more were left out."
    text += " The pairs that differ most often:" if found.pairs else " None differs."
    rows = [(one.first, one.second, one.compared, one.differing) for one in found.pairs]
    plot = figures.ranks([(f"{a} / {b}", differing) for a, b, _, differing in rows[:10]]) if rows else None
    heads = ("answer in force", "second opinion", "compared", "differing")
    return Section("disagreements", "Who disagrees with whom?", text, plot, [Table("Pairs", heads, rows)])


def _waits(found: Findings) -> Section:
    system = found.system
    kinds = [("prioritized", system.prioritized), ("ordinary", system.ordinary)]
    late = [name for name, wait in kinds if (wait.oldest_seconds or 0) > wait.overdue_seconds]
    buckets = sum(count for _, _, count in found.waits)
    text = f"{buckets:,} buckets wait. "
    text += f"The oldest {' and the oldest '.join(late)} one waits longer than its bound." if late else (
        "None waits longer than its bound."
    )  # fmt: skip
    rows = [("prioritized" if urgent else "ordinary", f"{hours} h", count) for urgent, hours, count in found.waits]
    plot = figures.waits(found.waits, [wait.overdue_seconds / 3600 for _, wait in kinds]) if buckets else None
    waiting = Table("Waiting buckets", ("kind", "waits (hours begun)", "buckets"), rows)
    return Section("waits", "How long do users wait, against the bounds?", text, plot, [WAITS.of(kinds), waiting])


FATES = {"answered": "answered in time", "late": "answered late", "died": "died", "released": "given back"}


def _fate(one: Ended) -> str:
    return FATES.get("late" if one.how == "answered" and one.late else one.how, one.how)


def _leases(found: Findings) -> Section:
    fates = Counter[str]()
    for one in found.ended:
        fates[_fate(one)] += one.leases
    held = found.system.buckets_leased + found.system.buckets_dead
    if held:
        fates["still held"] = held
    total = sum(fates.values())
    text = f"{total:,} leases were given that ended in the last {DAYS} days or are still held."
    rows = [(fate, count, f"{count / total:.1%}") for fate, count in fates.most_common()]
    plot = figures.flow(fates.most_common()) if total else None
    return Section("leases", "What became of leases?", text, plot, [Table("Leases", ("fate", "leases", "share"), rows)])


def _costs(found: Findings) -> Section:
    heads = ("job", "last success (UTC)", "ago", "took (s)", "statements", "round trips", "rows", "waited (s)")
    rows: Sequence[tuple[object, ...]] = [
        (
            run.name, moment(run.last_success_time), duration(run.seconds_ago), run.seconds, run.statements,
            run.round_trips, run.rows, run.waited,
        )
        for run in found.runs
    ]  # fmt: skip
    text = "The last run of each job in seconds, and what it asked of the database."
    timed = [(run.name, run.seconds) for run in found.runs if run.seconds]
    plot = figures.ranks(timed) if timed else None
    return Section("costs", "What do the jobs and the database cost?", text, plot, [Table("Jobs", heads, rows)])
