"""How many clients and users one server carries, and what gives way first: a model, and what it was checked against.

    python scripts/scale.py                  tables for 100 to 1,000,000 clients, from what was measured last
    python scripts/scale.py --measure        measure here first (five minutes, alone on the machine), compare the model
                                             with it; --write keeps it in scripts/scaling/measured.json
    python scripts/scale.py --disk 1000000   measure what so many users take up on disk, and what else is kept
    python scripts/scale.py --plot FILE.svg  the model beside the measurements
    python scripts/scale.py --pace 60        any assumption can be another: --help lists them

The model is fitted to 1 and 8 clients; what it says of 20 and 50 is a forecast. Its assumptions: a client checks a
bucket in `pace` seconds and always has work; clients run on machines of their own; the database's time is spent on its
processors, none of it on waiting for a disk beyond what one client waits; what its Java does behind each operation
takes as long for each (`behind`); a larger server has more of the same processors.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

from environment import enter

enter()

from scaling.model import Costs, Run, World, connections, days, disk, fitted, most_clients, parts, simulate

from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table

MEASURED = Path(__file__).parent / "scaling" / "measured.json"
FITTED, FORETOLD = (1, 8), (20, 50)
CLIENTS = tuple(10**n for n in range(2, 7))
USERS = tuple(10**n for n in range(6, 10))
MAX_SIMULATED = 100_000
"""More clients than this are far beyond what a server carries; the arithmetic of the parts says so."""


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep what was measured")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of the measurement (10)")
    parser.add_argument("--disk", type=int, metavar="USERS", help="measure what takes up disk, and nothing else")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    for one in fields(World):
        kind = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default, metavar=kind.__name__)
    arguments = parser.parse_args()
    if arguments.disk:
        table = _disk(arguments.disk)
        show.results(arguments.json, Format.auto, lambda: {table.title: table.rows}, table)
        return 0
    world = World(**{one.name: getattr(arguments, one.name) for one in fields(World)})
    if arguments.measure:
        rates, costs = _measured(arguments.rounds)
        if arguments.write:
            kept = {"rates": rates, "costs": asdict(costs)}
            MEASURED.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    else:
        kept = json.loads(MEASURED.read_text("utf-8"))
        rates, costs = {int(size): one for size, one in kept["rates"].items()}, Costs(**kept["costs"])
    compared = {size: (one["rate"], _foretold(costs, size).rate) for size, one in rates.items()}
    if arguments.plot:
        _plot(arguments.plot, costs, compared)
    tables = [_comparison(compared), _cost(costs), *_foretelling(costs, world)]
    show.results(arguments.json, Format.auto, lambda: {one.title: one.rows for one in tables}, *tables)
    return 0


def _disk(users: int) -> Table:
    from scaling import measuring

    rows = [
        (one.what, f"{one.count:,}", f"{one.bytes / 1e6:,.1f}", f"{one.each:.0f}", f"{one.logs / 1e6:.1f}")
        for one in measuring.disk(users)
    ]
    heads = ("what", "stored", "MB", "bytes each", "MB of transaction logs")
    return Table("On disk, after a checkpoint", heads, rows)


def _measured(rounds: int) -> tuple[dict[int, dict[str, float]], Costs]:
    from scaling import measuring

    began, cores = time.monotonic(), os.cpu_count() or 1
    rates, costs = measuring.measure(
        rounds, cores, lambda text: show.message(f"[{time.monotonic() - began:4.0f} s] {text}")
    )
    return rates, replace(costs, behind=fitted(costs, FITTED[1], cores, rates[FITTED[1]]["rate"]))


def _foretold(costs: Costs, clients: int) -> Run:
    return simulate(costs, clients, costs.cores, 0.0, 20.0, together=True)


def _comparison(compared: dict[int, tuple[float, float]]) -> Table:
    rows = [
        (
            size,
            "fitted" if size in FITTED else "foretold",
            round(measured, 1),
            round(model, 1),
            f"{model / measured - 1:+.0%}",
        )
        for size, (measured, model) in compared.items()
    ]
    return Table(
        "Buckets fetched and answered per second", ("clients", "model", "measured", "by the model", "off"), rows
    )


def _cost(costs: Costs) -> Table:
    def milli(seconds: float) -> str:
        return f"{seconds * 1000:.2f} ms"

    rows = [
        ("the database, per bucket fetched and answered", milli(costs.server)),
        ("the client, per bucket", milli(costs.client)),
        ("waits, per bucket", milli(costs.wait)),
        ("the database, behind that, nobody waits for it", milli(costs.behind)),
        ("make_buckets, per bucket", milli(costs.make)),
        ("judge_clients, per lease that ended", milli(costs.judge)),
        ("disk, per user", f"{costs.user_bytes:.0f} bytes"),
        ("disk, per answer", f"{costs.answer_bytes:.0f} bytes"),
        ("disk, per lease that is kept", f"{costs.lease_bytes:.0f} bytes"),
    ]
    return Table("What it costs", ("what", "measured"), rows)


def _foretelling(costs: Costs, world: World) -> list[Table]:
    rows = []
    for clients in CLIENTS:
        first, second = parts(costs, world, clients)[:2]
        run = simulate(costs, clients, world.cores, world.pace, 1200.0) if clients <= MAX_SIMULATED else None
        carried = clients < most_clients(costs, world, "the database's processors")
        rows.append(
            (
                f"{clients:,}",
                f"{run.rate * costs.bucket_size:,.0f}" if run is not None and carried else "-",
                f"{run.p99 * 1000:,.0f} ms" if run is not None and carried else "more than it carries",
                f"{connections(world, clients):,.0f}",
                f"{connections(world, clients) * world.connection_bytes / 1e6:,.0f} MB",
                f"{first.name}: {first.share:.0%}",
                f"{second.name}: {second.share:.0%}",
            )
        )
    heads = ("clients", "users/s asked of", "p99 of the database", "connections", "their memory", "nearest", "next")
    limits = [(part.name, f"{most_clients(costs, world, part.name):,}", part.turn) for part in parts(costs, world, 1)]
    sizes = [
        (
            f"{users:,}",
            f"{disk(costs, world, 1000, users) / 1e9:,.1f} GB",
            *(f"{days(costs, world, clients, users):,.1f}" for clients in CLIENTS[:3]),
        )
        for users in USERS
    ]
    few = tuple(f"days with {clients:,} clients" for clients in CLIENTS[:3])
    return [
        Table("If nothing else gave way", heads, rows),
        Table("What each part carries", ("part", "clients", "what to turn"), limits),
        Table("Disk and days", ("users", "disk", *few), sizes),
    ]


def _plot(path: Path, costs: Costs, compared: dict[int, tuple[float, float]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams |= {"svg.hashsalt": "dmcheck", "svg.fonttype": "none"}  # the same picture each time; text as text
    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    sizes = range(1, max(compared) + 1)
    axes.plot(sizes, [_foretold(costs, size).rate for size in sizes], label="model, fitted to 1 and 8")
    axes.plot(list(compared), [measured for measured, _ in compared.values()], "o", label="measured")
    axes.set_xlabel("clients at once, on the server's own processors")
    axes.set_ylabel("buckets per second")
    axes.set_ylim(0, 1.2 * max(measured for measured, _ in compared.values()))
    axes.legend()
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None}, bbox_inches="tight")
    # Nothing but the picture: no addresses of vocabularies.
    bare = re.sub(
        r"<!DOCTYPE.*?>|<metadata>.*?</metadata>| xmlns:xlink=\S+?(?=[ >])", "", drawn.getvalue(), flags=re.DOTALL
    )
    path.write_text(bare.replace("xlink:href", "href"), "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
