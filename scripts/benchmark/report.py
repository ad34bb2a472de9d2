"""The figures of a run, as tables and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from benchmark import library, rounds
from benchmark.export import Export
from benchmark.graph import CLIENTS
from benchmark.processes import Processes
from benchmark.rounds import Contest, Results
from benchmark.scale import LINE_SIZE, LONG_LINE, SHORT_LINE, UNCHECKED, Scale
from benchmark.start import Start
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table

COLUMNS = ("figure", "value", "aim", "met", "moonshot", "quarters of the rounds")
RATES = (
    "what",
    "clients",
    "driver",
    "buckets a second",
    "median ms",
    "p99 ms",
    "server µs",
    "client µs",
    "twice",
    "errors",
)

MAIN = 8
"""The number of clients for figures whose titles give none."""


@dataclass(frozen=True)
class Figure:
    """A measured number. `aim` is its minimum or maximum; `low` and `high` are the quartiles of the single rounds,
    where it is the median of rounds: they show the noise."""

    title: str
    value: float
    aim: float | None = None
    at_least: bool = False
    moonshot: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it meets its aim; None without one."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


@dataclass
class Findings:
    """All findings of a run: rates by number of clients; `left_out` says what was not measured, and why."""

    neo4j: str
    users: int
    results: dict[int, Results]
    scale: Scale
    processes: Processes
    start: Start
    line: Scale | None = None
    export: Export | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def doubles(self) -> int:
        """Users that ours handed out twice."""
        parts = [*self.results.values(), self.scale, self.start, *([self.line] if self.line else [])]
        return sum(one.doubles for one in parts)

    @property
    def failures(self) -> list[str]:
        """Failures of ours."""
        parts = [*self.results.values(), self.scale, self.processes, self.start, *([self.line] if self.line else [])]
        return [failure for one in parts for failure in one.failures]

    def figures(self) -> list[Figure]:
        """Every figure, the aims of the project first."""
        return [*self._rates(MAIN, ""), *self._single(), *self._further()]

    def _rates(self, clients: int, suffix: str) -> Iterator[Figure]:
        for compiled, extra in ((False, ""), (True, f", with {library.EXTRA}")):
            end = f"{suffix}{extra}"
            for one, other, aim, moonshot in (
                (rounds.FETCH, rounds.RETURN, 0.75, 0.9),
                (rounds.SUBMIT, rounds.CREATE, 0.85, 0.95),
                (rounds.CYCLE, rounds.OLD, 4.5, None),
                (rounds.AGAIN, rounds.RETURN, None, None),
                (rounds.FETCH_TEN, rounds.RETURN, None, None),
                (rounds.SUBMIT_TEN, rounds.CREATE, None, None),
                (rounds.CYCLE, rounds.OLD_AS_BUILT, None, None),
                (rounds.CYCLE, rounds.POSTGRES, None, 1.0),
            ):
                found = self._ratio(clients, one, other, compiled)
                if found is not None:
                    held = {"aim": aim, "at_least": True} if aim and clients == MAIN else {}
                    yield Figure(f"{one.title} / {other.title}{end}", moonshot=moonshot, **found, **held)

    def _ratio(self, clients: int, one: Contest, other: Contest, compiled: bool) -> dict[str, Any] | None:
        """The ratio of the medians of both rates, and the quartiles of the rounds' ratios."""
        results = self.results[clients]
        # PostgreSQL's client library has only one form.
        ours, theirs = results.rates(one, compiled), results.rates(other, compiled and other is not rounds.POSTGRES)
        if not ours or not theirs:
            return None
        low, _, high = quantiles([a / b for a, b in zip(ours, theirs, strict=True)], n=4, method="inclusive")
        return {"value": median(ours) / median(theirs), "low": low, "high": high}

    def _single(self) -> Iterator[Figure]:
        many, few = f"{self.users:,}", f"{UNCHECKED:,}"
        yield Figure(f"fetch, {many} / {few} users", self.scale.ratio("ours.fetch"), 1.2)
        yield Figure(f"submit, {many} / {few} users", self.scale.ratio("ours.submit"), 1.2)
        for compiled in sorted({compiled for _, compiled in self.processes.wall}):
            extra = f", with {library.EXTRA}" if compiled else ""
            yield Figure(f"fetch process / bare script{extra}", self.processes.ratio(compiled), 1.2)
        yield Figure("users handed out twice", self.doubles, 0)
        yield Figure(f"{CLIENTS} clients' first fetches after a start, seconds", self.start.fetches, 3.0)
        for statement, seconds in self.start.planning.items():
            yield Figure(f"planning {statement}, milliseconds", seconds * 1000, 250)
        if self.line:
            title = f"fetch, lines of {LONG_LINE:,} / {SHORT_LINE} buckets of {LINE_SIZE}"
            yield Figure(title, self.line.ratio("ours.fetch"), 1.1)

    def _further(self) -> Iterator[Figure]:
        for clients, results in self.results.items():
            if clients != MAIN:
                yield from self._rates(clients, f", {clients} client{'s'[: clients > 1]}")
            for contest in (rounds.FETCH, rounds.SUBMIT, rounds.CYCLE):
                spent = results.latencies(contest)
                title = f"{contest.title}, p99 / median, {clients} client{'s'[: clients > 1]}"
                yield Figure(title, p99(spent) / median(spent))
        yield Figure("start of the server and one command, seconds", self.start.started)
        if self.export:
            yield Figure(f"export of {self.export.users:,} users, users a second", self.export.rate)
            yield Figure(f"export of {self.export.users:,} users, MB of memory", self.export.megabytes)
        for name in ("fetch", "bare"):
            yield Figure(f"{name} process, milliseconds of CPU", median(self.processes.cpu[name, False]) * 1000)

    def rows(self) -> list[dict[str, Any]]:
        """One row per contest, number of clients and form of the driver."""
        return [
            {
                "what": contest.title,
                "clients": clients,
                "driver": library.EXTRA if compiled else "plain",
                "per_second": median(results.rates(contest, compiled)),
                "median_ms": median(results.latencies(contest, compiled)) * 1000,
                "p99_ms": p99(results.latencies(contest, compiled)) * 1000,
                **dict(zip(("server_cpu_us", "client_cpu_us"), results.spent(contest, compiled), strict=True)),
                "doubles": sum(one.doubles for one in found),
                "errors": sum(len(one.errors) for one in found),
                "rounds": results.rates(contest, compiled),
            }
            for clients, results in self.results.items()
            for (contest, compiled), found in results.rounds.items()
        ]


def p99(latencies: list[float]) -> float:
    """The 99th percentile of sorted `latencies`."""
    return latencies[min(len(latencies) * 99 // 100, len(latencies) - 1)]


def tables(findings: Findings, shape: Format) -> None:
    """Print all of it."""
    rows = [
        (one.title, _number(one.value), _aim(one), _met(one), _number(one.moonshot), _quarters(one))
        for one in findings.figures()
    ]
    show.table(Table(f"Figures on Neo4j {findings.neo4j}, {MAIN} clients unless said otherwise", COLUMNS, rows), shape)
    show.line("")
    rates = [
        (
            row["what"],
            row["clients"],
            row["driver"],
            f"{row['per_second']:,.0f}",
            f"{row['median_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            _number(row["server_cpu_us"]),
            _number(row["client_cpu_us"]),
            row["doubles"],
            row["errors"],
        )
        for row in findings.rows()
    ]
    counts = ", ".join(f"{len(r.rates(rounds.FETCH))} with {n}" for n, r in findings.results.items())
    show.table(Table(f"Rates and CPU of an operation: medians of rounds, {counts}", RATES, rates), shape)
    for text in findings.left_out:
        show.message(f"left out: {text}")
    for failure in findings.failures[:10]:
        show.message(f"FAILED: {failure}")


def document(findings: Findings) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "neo4j": findings.neo4j,
        "figures": [{**asdict(one), "met": one.met} for one in findings.figures()],
        "rates": findings.rows(),
        "left_out": findings.left_out,
        "failures": findings.failures,
    }


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value in (0, 1) or value >= 100 else f"{value:.2f}"


def _aim(one: Figure) -> str:
    return "" if one.aim is None else f"{'>=' if one.at_least else '<='} {one.aim:g}"


def _met(one: Figure) -> str:
    return "" if one.met is None else ("yes" if one.met else "no")


def _quarters(one: Figure) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
