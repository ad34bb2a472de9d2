"""Does the suite notice? Puts each planted bug of tests/teeth.toml into a copy of the project and runs the tests there.

    python scripts/teeth.py                        all bugs
    python scripts/teeth.py fetch-no-lock ...      some
    python scripts/teeth.py --seeds 3 --jobs 2     each with three seeds, two at a time

The database is the embedded one, in a temporary folder, started once for each of the `--jobs`; or the one that
NEO4J_TEST_URI names, as for the tests (they EMPTY it). First the tests that the bugs name must pass without any bug.
Prints a table; the exit status is 1 when a bug goes unnoticed or no longer fits.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

from environment import ended_in_order, enter

enter()

from tabulate import tabulate

from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from proofs.teeth import Bug, Copy, Trouble, bugs, is_inside, judge

Place = tuple[Copy, dict[str, str]]
"""Where tests run: a copy of the project, and the variables that point it to its own database."""

Row = tuple[str, str, float, str]
"""A bug, the tests that failed, seconds, and how many of how many seeds noticed it."""


def main() -> int:
    """Judge all bugs, or the named ones."""
    arguments = _parser().parse_args()
    try:
        planted = bugs(arguments.names)
        with ended_in_order(), ExitStack() as stack:
            free: SimpleQueue[Place] = SimpleQueue()
            for _ in range(arguments.jobs):
                free.put(stack.enter_context(_place(arguments.jobs)))
            if not arguments.unchecked:
                _see_green(free, planted)
            with ThreadPoolExecutor(arguments.jobs) as pool:
                work = [pool.submit(_row, free, bug, arguments.seeds, arguments.named_only) for bug in planted]
                try:
                    rows = [one.result() for one in work]
                except BaseException:  # Ctrl-C too: bugs not yet begun are cancelled
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    print(tabulate(rows, ("bug", "red in", "seconds", "seeds red"), floatfmt=".0f", tablefmt="github"))
    noticed = sum(_all_red(row) for row in rows)
    print(f"\nplanted {len(rows)}, red with every seed {noticed}")
    return int(noticed != len(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="BUG", help="the name of a bug in tests/teeth.toml; default: all")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, with other hash and Hypothesis seeds")
    parser.add_argument("--jobs", type=int, default=1, help="how many bugs to judge at a time")
    parser.add_argument("--named-only", action="store_true", help="leave it at the tests that each bug names")
    parser.add_argument("--unchecked", action="store_true", help="do not first run these tests without a bug")
    return parser


def _see_green(free: SimpleQueue[Place], planted: list[Bug]) -> None:
    """Run the tests that the bugs name, without any bug. Raises Trouble when one fails."""
    copy, database = free.get()
    found = copy.imported(database)
    if not is_inside(found, copy.root):
        raise Trouble(f"the copy in {copy.root} does not import itself, but {', '.join(map(str, found))}")
    tests = sorted({test for bug in planted for test in bug.tests})
    verdict = copy.run(tests, database)
    if verdict.red is not None:
        raise Trouble(f"without any bug, {verdict.red} fails")
    _tell(f"green without any bug: {' '.join(tests)} ({verdict.seconds:.0f} s)")
    free.put((copy, database))


def _row(free: SimpleQueue[Place], bug: Bug, seeds: int, named_only: bool) -> Row:
    copy, database = free.get()
    red: list[str] = []
    seconds = 0.0
    try:
        for seed in range(seeds):
            verdict = judge(copy, bug, database, seed, named_only)
            seconds += verdict.seconds
            if verdict.red is not None:
                red.append(verdict.red)
                _tell(f"{bug.name}: {verdict.red}: {verdict.reason} ({verdict.seconds:.0f} s)")
    except Trouble as trouble:
        _tell(f"{bug.name}: {trouble}")
        return bug.name, "the bug is of no use", seconds, f"0/{seeds}"
    finally:
        free.put((copy, database))
    if not red:
        _tell(f"{bug.name}: NOT NOTICED ({seconds:.0f} s)")
    return bug.name, ", ".join(dict.fromkeys(red)) or "nothing: NOT NOTICED", seconds / seeds, f"{len(red)}/{seeds}"


def _all_red(row: Row) -> bool:
    red, _, seeds = row[3].partition("/")
    return red == seeds


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _place(places: int) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="dmcheck-teeth-") as folder:
        copy = Copy(Path(folder))
        if "NEO4J_TEST_URI" in os.environ:
            if os.environ.get("NEO4J_TEST_EMPTIES_IT") != "yes":
                raise Trouble("The tests empty the database at NEO4J_TEST_URI: set NEO4J_TEST_EMPTIES_IT=yes")
            if places > 1:
                raise Trouble("NEO4J_TEST_URI is one database, which --jobs cannot share")
            yield copy, {name: value for name, value in os.environ.items() if name.startswith("NEO4J_TEST_")}
            return
        settings = Settings(home=str(Path(folder, "home")))
        running = server.ensure_running(settings)
        try:
            yield (
                copy,
                {
                    "NEO4J_TEST_URI": running.uri,
                    "NEO4J_TEST_USERNAME": running.username,
                    "NEO4J_TEST_PASSWORD": running.password,
                    "NEO4J_TEST_EMPTIES_IT": "yes",
                },
            )
        finally:
            server.stop(settings)


if __name__ == "__main__":
    sys.exit(main())
