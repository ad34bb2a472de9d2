"""The tables of a run, and the same as one JSON document."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmark.processes import Processes
from benchmark.rounds import CONTESTS, Results
from benchmark.scale import FEW, Scale
from dmcheck_cli import show
from dmcheck_cli.show import Format

COLUMNS = ("what", "clients", "a second", "median ms", "p99 ms", "doubles", "errors")
AIMS = ("compared", "value", "aim", "met")


@dataclass(frozen=True)
class Aim:
    """A figure with what it should be: at least, or at most."""

    title: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it is what it should be."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def rates(results: dict[int, Results]) -> list[dict[str, Any]]:
    """One row for each contest and number of clients."""
    rows = []
    for contest in CONTESTS:
        for clients, found in results.items():
            latencies = found.latencies(contest.task, clients)
            rows.append(
                {
                    "what": contest.title,
                    "task": contest.task,
                    "clients": clients,
                    "per_second": found.rate(contest.task, clients),
                    "median_ms": median(latencies) * 1000,
                    "p99_ms": p99(latencies) * 1000,
                    "doubles": found.doubles(contest.task, clients) if _hands_out(contest.task) else None,
                    "errors": sum(len(one.errors) for one in found.rounds[contest.task, clients]),
                    "rounds": [one.rate for one in found.rounds[contest.task, clients]],
                }
            )
    return rows


def p99(latencies: list[float]) -> float:
    """What 99 of 100 do not exceed; `latencies` in order of size."""
    return latencies[min(len(latencies) * 99 // 100, len(latencies) - 1)]


def aims(results: dict[int, Results], scale: Scale, processes: Processes) -> list[Aim]:
    """Every aim, with 8 clients where clients compete."""
    most = max(results)
    found, at = results[most], f"{most} clients: "
    fetch, submit, cycle = "ours.fetch", "ours.submit", "ours.cycle"
    tails = [
        (title, found.latencies(task, most))
        for title, task in (("fetch", fetch), ("submit", submit), ("fetch + submit", cycle))
    ]
    doubles = sum(results[n].doubles(task, n) for n in results for task in (fetch, cycle))
    return [
        Aim(at + "fetch / write that returns 180", found.ratio(fetch, "plain.write_and_return", most), 0.75, True),
        Aim(at + "submit / 180 created by name", found.ratio(submit, "plain.create_by_name", most), 1.2, True),
        Aim(at + "whole cycle / old system as built", found.ratio(cycle, "old_system.as_built", most), 5, True),
        Aim(at + "whole cycle / its connection kept", found.ratio(cycle, "old_system.connection_kept", most), 3, True),
        Aim("buckets of ours handed out twice", doubles, 0, False),
        *(Aim(f"{at}{title}, p99 / median", p99(spent) / median(spent), 5, False) for title, spent in tails),
        Aim(f"fetch, {scale.many:,} / {FEW:,} users", scale.ratio(fetch), 1.3, False),
        Aim(f"submit, {scale.many:,} / {FEW:,} users", scale.ratio(submit), 1.3, False),
        Aim("process `dmcheck fetch` / bare script", processes.fetch_wall / processes.bare_wall, 1.3, False),
    ]


def further(results: dict[int, Results], scale: Scale, processes: Processes) -> list[tuple[str, str]]:
    """Figures without an aim."""
    placed = [rate for found in results.values() for rate in found.placed]
    cpu = processes.fetch_cpu / processes.bare_cpu
    return [
        ("make_buckets", f"{median(placed):,.0f} users/s ({len(placed)} runs)"),
        (
            f"make_buckets that finds nobody among {scale.many:,} users",
            f"{scale.search_seconds:.2f} s to look at {scale.search_users:,}",
        ),
        (
            f"for comparison: a trivial write, {scale.many:,} / {FEW:,} users",
            f"{scale.ratio('plain.write'):.2f}",
        ),
        ("process `dmcheck fetch`", f"{processes.fetch_wall * 1000:.0f} ms, {processes.fetch_cpu * 1000:.0f} ms CPU"),
        ("process of the bare script", f"{processes.bare_wall * 1000:.0f} ms, {processes.bare_cpu * 1000:.0f} ms CPU"),
        ("process, ratio of CPU times", f"{cpu:.2f} ({processes.pairs} pairs)"),
    ]


def tables(
    results: dict[int, Results], scale: Scale, processes: Processes, failures: list[str], version: str, shape: Format
) -> None:
    """Print all of it."""
    rows = [
        (
            row["what"],
            row["clients"],
            f"{row['per_second']:,.0f}",
            f"{row['median_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            row["doubles"],
            row["errors"],
        )
        for row in rates(results)
    ]
    counts = ", ".join(f"{len(found.rounds['ours.fetch', n])} with {n}" for n, found in results.items())
    show.table(f"Rates on Neo4j {version}: medians of rounds, {counts}", COLUMNS, rows, shape)
    show.line("")
    compared = [
        (aim.title, _figure(aim.value), f"{'>=' if aim.at_least else '<='} {aim.bound:g}", "yes" if aim.met else "no")
        for aim in aims(results, scale, processes)
    ]
    show.table("Aims: medians of ratios within a round", AIMS, compared, shape)
    show.line("")
    show.table("Further", ("what", "figure"), further(results, scale, processes), shape)
    for failure in failures[:10]:
        show.message(f"FAILED: {failure}")


def document(
    results: dict[int, Results], scale: Scale, processes: Processes, failures: list[str], version: str
) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "neo4j": version,
        "rates": rates(results),
        "make_buckets_users_per_second": [rate for found in results.values() for rate in found.placed],
        "aims": [
            {"what": aim.title, "value": aim.value, "bound": aim.bound, "at_least": aim.at_least, "met": aim.met}
            for aim in aims(results, scale, processes)
        ],
        "scale": {name: value for name, value in vars(scale).items() if name != "failures"},
        "process": {name: value for name, value in vars(processes).items() if name != "failures"},
        "failures": failures,
    }


def _hands_out(task: str) -> bool:
    return task in ("ours.fetch", "ours.cycle", "plain.claim") or task.startswith("old_system")


def _figure(value: float) -> str:
    return f"{value:.2f}" if value else "0"
