"""The constraints and indexes that the statements rely on."""

from __future__ import annotations

import re

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import SchemaMissing
from dmcheck_cli.transactions import adoption

LONGEST_WAIT = 3600.0
"""Seconds for one constraint or index to be built; a million users took a few seconds (`scripts/bench.py`)."""

_TARGET = re.compile(r"FOR \(n:(\w+)\) (REQUIRE|ON) \(?([^)]+?)\)?(?: IS UNIQUE)?$")


def statements() -> list[str]:
    """The statements that create all of it, for a database administrator to read or to run."""
    return cypher.source("_schema").splitlines()


def apply(database: Database) -> list[str]:
    """Create what is missing and take over what an older system left; returns the names of what was created.

    Raises DatabaseRefused when the graph contradicts a constraint (say, two clients of one id).
    """
    lacking = missing(database)
    for statement in lacking:
        database.run_text(statement, patience=LONGEST_WAIT)
    if lacking:
        database.run("await_indexes", seconds=int(LONGEST_WAIT), patience=LONGEST_WAIT)
    adoption.adopt(database)
    return [statement.split()[2] for statement in lacking]


def missing(database: Database) -> list[str]:
    """The statements of `statements()` whose constraint or index the database lacks."""
    there = {(row["label"], tuple(row["properties"]), row["unique"]) for row in database.run("show_schema")}
    return [statement for statement in statements() if _target(statement) not in there]


def ensure(database: Database) -> None:
    """Check that nothing is missing; the embedded database is equipped on the spot.

    Raises SchemaMissing for any other.
    """
    lacking = missing(database)
    if not lacking:
        return
    if not database.embedded:
        raise SchemaMissing(count=len(lacking))
    apply(database)


def _target(statement: str) -> tuple[str, tuple[str, ...], bool]:
    found = _TARGET.search(statement)
    if found is None:
        raise AssertionError(f"_schema.cypher has a line of an unknown form: {statement}")
    label, kind, properties = found.groups()
    return label, tuple(name.strip().removeprefix("n.") for name in properties.split(",")), kind == "REQUIRE"
