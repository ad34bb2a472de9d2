"""The proofs in their long forms: `python scripts/prove.py races --rounds 200`.

Each starts its own Neo4j in a temporary folder, or uses NEO4J_TEST_URI as the tests do (and EMPTIES it). It prints the
table of tests/README.md and exits 1 on any violation.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from environment import ended_in_order, enter

enter()

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from proofs.outcome import Outcome, table
from support.graphs import MAX_WAIT_SECONDS
from support.programs import PLAIN, plainly

Run = Callable[..., list[Outcome]]

PROOFS = {
    "model": "proofs.machine",
    "races": "proofs.races",
    "kills": "proofs.kills",
    "network": "proofs.network",
    "cluster": "proofs.cluster",
    "clocks": "proofs.clocks",
    "resources": "proofs.resources",
    "allowance": "proofs.allowance",
    "fairness": "proofs.fairness",
    "waits": "proofs.waits",
    "trust": "proofs.trust",
    "drain": "proofs.drain",
    "steering": "proofs.steering",
    "upgrade": "proofs.upgrade",
    "takeover": "proofs.takeover",
    "events": "proofs.events",
    "fuzz": "proofs.fuzz",
    "hostile": "proofs.hostile",
}
"""Sub-command -> module. Its function `run(settings, *, ...)` returns Outcomes; its keyword arguments, integers whose
defaults are the long form, become the options of the sub-command."""

PATIENT: dict[str, Any] = {**PLAIN, "timeout_seconds": int(MAX_WAIT_SECONDS)}
"""As in the suite: a machine that is busy is no trouble with the database."""


def main() -> int:
    """Run one proof; the exit status is 1 when it failed."""
    arguments = vars(_parser().parse_args())
    name = arguments.pop("proof")
    plainly()
    with database_of_its_own() as settings:
        with Database(settings, "prove") as database:
            schema.apply(database)
        outcomes = _run_of(name)(settings, **arguments)
    print(table(outcomes))
    failed = False
    for outcome in outcomes:
        try:
            outcome.check()
        except AssertionError as violated:
            failed = True
            print(violated, file=sys.stderr)
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="proof", required=True)
    for name, module in PROOFS.items():
        about = inspect.getdoc(import_module(module)) or ""
        command = commands.add_parser(name, help=about.partition("\n")[0].replace("%", "%%"))
        for option, parameter in inspect.signature(_run_of(name)).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                command.add_argument(f"--{option}", type=int, default=parameter.default, help="default: %(default)s")
    return parser


def _run_of(name: str) -> Run:
    run: Run = import_module(PROOFS[name]).run
    return run


@contextmanager
def database_of_its_own() -> Iterator[Settings]:
    """How to reach the test database, as in the tests."""
    uri = os.environ.get("NEO4J_TEST_URI")
    if uri is not None:
        if os.environ.get("NEO4J_TEST_EMPTIES_IT") != "yes":
            sys.exit("The proofs empty the database at NEO4J_TEST_URI: set NEO4J_TEST_EMPTIES_IT=yes to confirm")
        name = os.environ.get("NEO4J_TEST_USERNAME", "neo4j")
        password = os.environ.get("NEO4J_TEST_PASSWORD")
        yield Settings(neo4j_uri=uri, neo4j_username=name, neo4j_password=password, **PATIENT)
        return
    with ended_in_order(), tempfile.TemporaryDirectory(prefix="dmcheck-prove-") as home:
        settings = Settings(home=home)
        running = server.ensure_running(settings)
        try:
            yield Settings(
                home=home,
                neo4j_uri=running.uri,
                neo4j_username=running.username,
                neo4j_password=running.password,
                **PATIENT,
            )
        finally:
            server.stop(settings)


if __name__ == "__main__":
    sys.exit(main())
