"""Whether a graph has what the statements need (constraints, indexes, version), and how to bring it there."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Any

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Row
from dmcheck_cli.errors import DatabaseRefused, NotConfigured, SchemaMissing, Temporary, UpgradeNeeded
from dmcheck_cli.transactions import adoption, building, upgrade_1, upgrade_2
from dmcheck_cli.transactions.building import POLL_SECONDS, Tell, obstacles, statements

__all__ = ["Tell", "apply", "ensure", "missing", "obstacles", "other_version", "statements", "write", "write_one"]

STEPS = {1: upgrade_1.upgrade, 2: upgrade_2.upgrade}
"""The upgrade from the previous version to each version, in batches that may be repeated."""


def write(database: Database, statement: str, /, **parameters: Any) -> list[Row]:
    """Run a statement that writes; on a graph of another version than ours it does nothing and returns no row.

    Raises SchemaMissing, UpgradeNeeded and Temporary as `ensure` does.
    """
    rows = database.run(statement, **parameters)
    if rows:
        return rows
    ensure(database)
    # The statement itself may have returned no row, or an upgrade may have finished meanwhile.
    return database.run(statement, **parameters)


def write_one(database: Database, statement: str, /, **parameters: Any) -> Row:
    """Like `write`, for a statement that always returns one row. Raises Temporary while the version changes."""
    rows = write(database, statement, **parameters)
    if not rows:
        raise Temporary(what="The graph is being upgraded: repeat the same command")
    return rows[0]


def apply(database: Database, tell: Tell = lambda text: None) -> list[str]:
    """As `apply_all`; returns the names of what was missing, and `version N` for each upgrade step."""
    return apply_all(database, tell)[0]


def apply_all(database: Database, tell: Tell = lambda text: None) -> tuple[list[str], Counter[str]]:
    """Create what is missing, upgrade the graph to our version, and repair what an older system left.

    Returns the names of what was missing with `version N` for each upgrade step, and what `adoption.adopt` returns. It
    is safe to run any number of times at once, while clients and jobs run, and again after a crash. `tell` is called
    with what it is waiting for. Raises UpgradeNeeded on a graph of a newer version, and what `building.build` raises.
    """
    version, upgrading, fresh = _look(database)
    _refuse_newer(version, upgrading)
    lacking = [one.name for one in building.lacking(database)]
    if not fresh:
        adoption.merge(database, tell)
    if lacking:
        building.build(database, tell)
    # An account that may not create names needs none to work: statements are only planned more often.
    with suppress(DatabaseRefused, NotConfigured):
        database.run("create_names")
    done = [f"version {step}" for step in range(1, cypher.SCHEMA + 1) if _upgrade(database, step)]
    return lacking + done, Counter() if fresh else adoption.adopt(database, tell)


def would_apply(database: Database) -> list[str]:
    """What `apply` would return, if nothing else changed the graph meanwhile. Changes nothing."""
    version, upgrading, _ = _look(database)
    _refuse_newer(version, upgrading)
    lacking = [one.name for one in building.lacking(database)]
    return lacking + [f"version {step}" for step in range((version or 0) + 1, cypher.SCHEMA + 1)]


def missing(database: Database) -> list[str]:
    """The statements of `statements()` whose constraint or index the database lacks."""
    return [one.statement for one in building.lacking(database)]


def ensure(database: Database) -> None:
    """Make sure that nothing is missing and that the graph has our version.

    The embedded database is set up on the spot; a graph with our constraints that holds nothing of ours yet gets our
    version. Otherwise raises SchemaMissing when it lacks constraints or indexes, UpgradeNeeded when it has another
    version, Temporary while it is upgraded.
    """
    lacking = missing(database)
    version, upgrading, fresh = _look(database)
    if not lacking and version == cypher.SCHEMA:
        return
    _refuse_newer(version, upgrading)
    if database.embedded:
        if not fresh and version != cypher.SCHEMA:
            from dmcheck_cli.notices import Progress

            Progress().say("Upgrading the embedded database to this release of dmcheck")
        apply(database)
    elif fresh and not lacking:
        for step in range(1, cypher.SCHEMA + 1):
            _upgrade(database, step)
    elif fresh or len(lacking) == len(statements()):
        raise SchemaMissing(count=len(lacking))
    elif upgrading is not None:
        raise Temporary(
            what=f"The graph is being upgraded to schema version {upgrading}: repeat the same command in a moment; if "
            "the upgrade was cut short, `dmcheck schema apply` finishes it"
        )
    elif version != cypher.SCHEMA:
        raise UpgradeNeeded(
            what=f"The graph is of schema version {version or 0}, and this dmcheck needs {cypher.SCHEMA}: upgrade the "
            "graph with `dmcheck schema apply`"
        )
    else:
        raise SchemaMissing(count=len(lacking))


def other_version(database: Database) -> tuple[str, str] | None:
    """What is wrong with the graph's version, and the shell command that repairs it; None if it is ours."""
    version, upgrading, _ = _look(database)
    if version == cypher.SCHEMA:
        return None
    if max(version or 0, upgrading or 0) > cypher.SCHEMA:
        return "the graph is of a newer version than this dmcheck", "pip install --upgrade dmcheck"
    if upgrading is not None:
        return "the graph is being upgraded, or that was cut short", "dmcheck schema apply"
    return "the graph is of an older version than this dmcheck", "dmcheck schema apply"


def _look(database: Database) -> tuple[int | None, int | None, bool]:
    """The graph's version, the one that it is being upgraded to, and whether it holds nothing but users."""
    [row] = database.run("show_version")
    return row["version"], row["upgrading"], row["fresh"]


def _refuse_newer(version: int | None, upgrading: int | None) -> None:
    newest = max(version or 0, upgrading or 0)
    if newest > cypher.SCHEMA:
        raise UpgradeNeeded(
            what=f"The graph is of schema version {newest}, and this dmcheck knows only {cypher.SCHEMA}: upgrade "
            "dmcheck on this machine, as it was installed (`pip install --upgrade dmcheck`)"
        )


def _upgrade(database: Database, step: int) -> bool:
    """Upgrade the graph to version `step`, unless it has it already; returns whether it was upgraded."""
    if not database.run("begin_upgrade", step=step):
        return False
    # Transactions that saw the previous version may still be running.
    before = {each.id for each in building.running(database) if each.app == "dmcheck" and each.builds is None}
    deadline = time.monotonic() + database.settings.timeout_seconds
    while before & {each.id for each in building.running(database)}:
        if time.monotonic() > deadline:
            raise Temporary(what="Commands that began before the upgrade do not end: repeat the same command")
        time.sleep(POLL_SECONDS)
    _, _, fresh = _look(database)
    if not fresh:  # planning what finds nothing takes a new server seconds
        STEPS[step](database)
    return bool(database.run("finish_upgrade", step=step))
