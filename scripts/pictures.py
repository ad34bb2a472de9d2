"""Draw the pictures in the pages: real commands on a small, real graph, as a terminal shows them, the live screen, the
page of `report`, a day of clients that earn and lose their allowance, and how soon bad clients are contained.

    python scripts/pictures.py [NAME ...]
    python scripts/pictures.py --crowds FOLDER

writes `scripts/pictures/NAME.svg` (of `page`: `.png`), without a NAME all of them; or, into FOLDER, what `stats` shows
of no, a few and many clients on terminals of several widths, to be looked at when its tables change. It needs
`dmcheck[embedded]`, for `page` also `dmcheck[report]` and Chromium, and uses a database in a temporary folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from environment import enter

enter()

from rich.console import Console
from rich.text import Text

from dmcheck_cli.checkers.demo import made_up_answer
from dmcheck_cli.database.connection import Database
from dmcheck_cli.reporting.watch import History, Seen, Wish, screen
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import jobs, schema, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from proofs import allowance, trust
from support.graphs import pass_time

SCRIPTS = Path(__file__).resolve().parent
FOLDER = SCRIPTS / "pictures"
COLUMNS = 120
"""Width of the terminal; a picture is as wide as its content."""

JOBS = ("make_buckets", "reclaim_leases", "raise_starved", "judge_clients")
MODULES = {"dmcheck": "dmcheck_cli.cli", **{job: f"jobs.{job}" for job in JOBS}}

HOURS = 24
MAX_SHOWN = 40
"""Leases at the top of the plot: the capacity that each client states."""

SHOWN = ("honest", "slow", "dying", "greedy")
COLOURS = ("#2e9e5b", "#3b82d6", "#d9822b", "#c2439c", "#8a63d2", "#c0392b")
"""Line colours; each is visible on a light and on a dark page."""

PLOT_STYLE = (
    "text{font:13px sans-serif;fill:#3c4043}.paper{fill:#fff}.grid{stroke:#9aa0a6;stroke-opacity:.4;fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
    "@media (prefers-color-scheme:dark){text{fill:#d0d4d9}.paper{fill:#1f2428}}"
)

COMMANDS = {"stats": ("stats",), "fetch": ("fetch", "--client", "42", "--count", "3")}
OTHERS = ("watch", "page", "allowance", "contained")
ALL = "all"
PATIENCE = {"DMCHECK_TIMEOUT_SECONDS": "300"}
"""A busy machine draws the same pictures."""

LINES = 24
"""Of the live screen."""

PAGE = (900, 1400)
"""Width and height of what is shown of the page, in pixels."""

CROWDS = (0, 3, 2000)
WIDTHS = (80, 120, 200)
"""Numbers of clients, and columns of the terminals on which `stats` shows them."""

CROWD = """UNWIND range(1, $count) AS i
CREATE (:DMCheckClient {id: CASE WHEN i % 50 = 7 THEN 1234567890123456000 + i ELSE i END, capacity: 10 + i % 90,
        screen_name: CASE i % 4 WHEN 0 THEN 'volunteer_' + i WHEN 1 THEN 'v' + i ELSE left('A_much_longer_name_', 20 -
            size(toString(i))) + i END, create_datetime: datetime() - duration({hours: i}),
        edit_datetime: datetime() - duration({hours: i}), state: CASE WHEN i % 10 = 9 THEN 'DEACTIVE' ELSE 'ACTIVE' END,
        suspended: CASE WHEN i % 400 = 5 THEN datetime() END})
    -[:STATS]->(:DMCheckClientStats {buckets_assigned: i * 13, buckets_processed: i * 11, buckets_fault: i % 3,
        buckets_dead: CASE WHEN i % 25 = 3 THEN i * 6 ELSE i % 2 END, last_access_time: datetime() -
        duration({minutes: i * i % 90000}), compared: [i * 9, i, i, i], contradicted: [i % 5, 0, 0, 0],
        contained: CASE WHEN i % 300 = 8 THEN 1700000000.0 END, release: '0.3.0'})"""
"""Clients of all kinds: with long names and ids, inactive, suspended, contained, dying."""

SEEDS = 5
"""Simulated crowds with bad clients."""


@dataclass(frozen=True)
class Axes:
    """What a plot shows: its title, and for each axis what it counts, to what, and in what steps."""

    title: str
    along: str
    wide: int
    steps: int
    up: str
    high: int
    rises: int


ALLOWANCE = Axes(
    "What an honest, a slow, a dying and a greedy client may hold over a day",
    "hours since registering",
    HOURS,
    3,
    "leases it may hold",
    MAX_SHOWN,
    10,
)
CONTAINED = Axes(
    "Bad clients that are not contained yet, by what they do",
    "buckets answered since it began to lie",
    trust.SHOWN_BUCKETS,
    1,
    "not contained (%)",
    100,
    25,
)


class Commands:
    """Runs our programs on the database of one home."""

    def __init__(self, home: str, columns: int = COLUMNS) -> None:
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("NEO4J_", "DMCHECK_"))}
        terminal = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
        # No settings file of the user's; each program runs in `home`, so no .env either leads to another database.
        self.environment = {**outside, **terminal, "DMCHECK_HOME": home, "XDG_CONFIG_HOME": home} | PATIENCE

    def run(self, *arguments: str, program: str = "dmcheck", stdin: str = "", **more: str) -> str:
        """Run a command and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", f"from {MODULES[program]} import main; main()", *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
            env={**self.environment, **more},
            cwd=self.environment["DMCHECK_HOME"],
            check=False,
        )
        return done.stdout

    def shown(self, *arguments: str) -> str:
        """A command's output as a terminal shows it."""
        ours, theirs = pty.openpty()
        code = f"from {MODULES['dmcheck']} import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=theirs,
            stdout=theirs,
            env=self.environment,
            cwd=self.environment["DMCHECK_HOME"],
        ):
            os.close(theirs)
            content = b""
            try:
                while piece := os.read(ours, 65536):
                    content += piece
            except OSError:
                pass  # how Linux reports that the other end of a terminal is closed
        os.close(ours)
        return content.decode("utf-8")

    def work(self, client: int, count: int, answered: float = 1.0) -> None:
        """Fetch buckets and answer them, or the first part of each."""
        document = json.loads(self.run("fetch", "--client", str(client), "--count", str(count), "--json"))
        for bucket in document["buckets"]:
            for user in bucket["users"][: int(len(bucket["users"]) * answered)]:
                user["candm"] = made_up_answer(user["screen_name"])
        self.run("submit", "--client", str(client), stdin=json.dumps(document))


def main() -> int:
    """Make a graph with some history, and draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("names", nargs="*", choices=[ALL, *COMMANDS, *OTHERS], default=ALL, metavar="NAME")
    parser.add_argument("--crowds", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    names = (*COMMANDS, *OTHERS) if given.names == ALL else given.names
    with TemporaryDirectory() as home:
        commands = Commands(home)
        try:
            if given.crowds:
                crowds(home, given.crowds)
                return 0
            fill(commands)
            for name, arguments in COMMANDS.items():
                if name in names:
                    write(name, drawn(commands, *arguments))
            if "watch" in names:
                write("watch", watched(commands, Settings(home=home)))
            if "page" in names:
                photograph(commands, Settings(home=home), Path(home) / "page.html")
            if "allowance" in names:
                write("allowance", plotted(a_day(Settings(home=home)), ALLOWANCE))
        finally:
            commands.run("server", "stop")
    if "contained" in names:
        write("contained", contained())
    return 0


def write(name: str, picture: str) -> None:
    """Keep a picture."""
    (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")


def fill(commands: Commands) -> None:
    """An honest client, a slow one, one that answers for strangers, and one whose leases die."""
    names = (SCRIPTS / "sample_users.jsonl").read_text(encoding="utf-8")
    commands.run("users", "add", stdin=names)
    for id, name in ((42, "first_volunteer"), (43, "second_volunteer"), (44, "confused_client"), (45, "dying_client")):
        commands.run("register", "--id", str(id), "--screen-name", name)
    commands.run(program="make_buckets", DMCHECK_BUCKET_SIZE="10")
    commands.run("fetch", "--client", "45", "--count", "3")
    commands.run(program="reclaim_leases", DMCHECK_LEASE_SECONDS="0")
    commands.run(program="reclaim_leases", DMCHECK_GRACE_SECONDS="0")
    commands.work(42, 4)
    commands.work(43, 2, answered=0.5)
    for _ in range(3):
        strange = {"bucket": "none", "lease": "none", "users": [{"screen_name": "NASA", "candm": "DM"}]}
        commands.run("submit", "--client", "44", stdin=json.dumps({"buckets": [strange]}))
    commands.run(program="judge_clients")
    commands.run(program="raise_starved")
    first = "\n".join(names.splitlines()[:30])
    commands.run("prioritize", "--file", "-", stdin=first, DMCHECK_BUCKET_SIZE="10")
    commands.run("fetch", "--client", "43", "--count", "1")


def drawn(commands: Commands, *arguments: str) -> str:
    """A command's picture, as SVG that loads no external resources."""
    line = " ".join(("dmcheck", *arguments))
    shown = Text.from_ansi(commands.shown(*arguments).replace("\r\n", "\n").rstrip("\n"))
    width = max(len(one.rstrip()) for one in shown.plain.splitlines())
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(Text(f"$ {line}", style="bold"))
    console.print(shown, no_wrap=True, crop=True)
    return framed(console, line)


def watched(commands: Commands, settings: Settings) -> str:
    """The live screen while a client works, as SVG."""
    history = History()
    with Database(settings, "pictures") as database:
        for _ in range(6):
            clients, system = stats.stats(database)
            seen = Seen(time.monotonic(), clients, system, jobs.last_runs(database))
            history.add(seen)
            commands.work(42, 1)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(screen(seen, seen.clients, history, "", Wish(), COLUMNS, LINES))
    return framed(console, "dmcheck stats --watch")


def crowds(home: str, folder: Path) -> None:
    """What `stats` shows of each of CROWDS on terminals of each of WIDTHS, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = Commands(home)
    names = (SCRIPTS / "sample_users.jsonl").read_text(encoding="utf-8")
    for count in CROWDS:
        with Database(Settings(home=home, timeout_seconds=300), "pictures") as database:
            schema.ensure(database)
            database.run_text("MATCH (n:DMCheckClient|DMCheckClientStats) DETACH DELETE n")
            database.run_text(CROWD, count=count)
        if count:
            commands.run("users", "add", stdin=names)
            commands.run(program="make_buckets", DMCHECK_BUCKET_SIZE="10")
            commands.work(1, 2)
            commands.run("fetch", "--client", "2", "--count", "2")
        for width in WIDTHS:
            for name, more in (("stats", ()), ("client", ("--client", "2"))):
                if count or not more:
                    picture = drawn(Commands(home, width), "stats", *more)
                    (folder / f"{name}-{count}-{width}.svg").write_text(picture, encoding="utf-8")


def photograph(commands: Commands, settings: Settings, page: Path) -> None:
    """The beginning of the page of `report`, as Chromium shows it, after a day of work: its times are moved back."""
    commands.run(program="make_buckets", DMCHECK_BUCKET_SIZE="5")
    with Database(settings, "pictures") as database:
        for number in range(16):
            pass_time(database.run_text, 3600 * (1 + number % 3))
            commands.work(42 + number % 2, 1)
    for job in JOBS:
        commands.run(program=job)
    commands.run("report", str(page))
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or "chrome"
    size = f"--window-size={PAGE[0]},{PAGE[1]}"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={page.parent}/c")
    shot = f"--screenshot={FOLDER / 'page.png'}"
    subprocess.run([browser, *options, size, shot, page.as_uri()], check=True, capture_output=True)


def framed(console: Console, line: str) -> str:
    """What a console has recorded, in a window."""
    picture = console.export_svg(title=line, unique_id="dmcheck")
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    return re.sub(r"\s*<!--.*?-->", "", picture, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


def a_day(settings: Settings) -> dict[str, list[int]]:
    """How many leases some kinds of clients may hold during a day, tick by tick, from the proof's simulation."""
    return {
        player.kind: [seen.allowance for seen in player.seen]
        for player in allowance.day(settings, HOURS)
        if player.kind in SHOWN
    }


def contained() -> str:
    """How many bad clients of each kind are not contained after so many buckets, with the policy alone."""
    return plotted(trust.until_contained(SEEDS, trust.Crowd(buckets=trust.SHOWN_BUCKETS, line=2)), CONTAINED)


def plotted(lines: Mapping[str, Sequence[float]], axes: Axes) -> str:
    """A step plot: each value holds until the next."""
    left, top, wide, high = 56, 24, 720, 300

    def x(along: float) -> float:
        return round(left + wide * along / axes.wide, 1)

    def y(up: float) -> float:
        return round(top + high * (1 - up / axes.high), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 150} {top + high + 56}" role="img">',
        f"<title>{axes.title}</title>",
        f"<style>{PLOT_STYLE}</style>",
        '<rect class="paper" width="100%" height="100%" rx="8"/>',
    ]
    for up in range(0, axes.high + 1, axes.rises):
        parts += [
            f'<path class="grid" d="M{left} {y(up)}h{wide}"/>',
            f'<text x="{left - 8}" y="{y(up) + 4}" text-anchor="end">{up}</text>',
        ]
    for along in range(0, axes.wide + 1, axes.steps):
        parts += [
            f'<path class="grid" d="M{x(along)} {top + high}v5"/>',
            f'<text x="{x(along)}" y="{top + high + 20}" text-anchor="middle">{along}</text>',
        ]
    parts += [
        f'<text x="{left + wide / 2}" y="{top + high + 42}" text-anchor="middle">{axes.along}</text>',
        f'<text transform="translate(18 {top + high / 2}) rotate(-90)" text-anchor="middle">{axes.up}</text>',
    ]
    for number, ((kind, values), colour) in enumerate(zip(lines.items(), COLOURS, strict=False)):
        step = axes.wide / len(values)
        path = f"M{x(0)} {y(values[0])}"
        for index, (before, now) in enumerate(pairwise(values), 1):
            if now != before:
                path += f"H{x(index * step)}V{y(now)}"
        at = top + 14 + 24 * number
        parts += [
            f'<path class="line" stroke="{colour}" d="{path}H{x(axes.wide)}"/>',
            f'<path class="line" stroke="{colour}" d="M{left + wide + 16} {at}h24"/>',
            f'<text x="{left + wide + 48}" y="{at + 4}">{kind}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    sys.exit(main())
