"""A server that was started for clients who wait has its plans when they come."""

from __future__ import annotations

from dataclasses import replace

from homes import MAX_WAIT_SECONDS
from support.graphs import answers as answered
from support.graphs import prepare

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, leases


def _work(database: Database) -> None:
    """What clients do, in the forms in which most of them do it."""
    one = leases.fetch(database, 1, 1, "1" * 32)
    two = leases.fetch(database, 1, None, "2" * 32)
    assert (len(one), len(two)) == (1, 2)
    for document in (one, two):
        assert answers.submit(database, 1, [answered(lease) for lease in document])


def _plans(database: Database) -> str:
    [row] = database.run_text("CALL db.clearQueryCaches()")
    return str(row["value"])


def test_whoever_starts_the_server_has_it_plan_what_all_clients_run(settings: Settings) -> None:
    """Work on a server that was just started adds no plan to those that the start has left."""
    settings = replace(settings, timeout_seconds=MAX_WAIT_SECONDS)
    with Database(settings, "tests") as database:
        prepare(database, [1], 6, size=1)
        # Nobody was suspended, but the name is there: no plan is void when somebody is.
        assert {"key": "suspend_reason"} in database.run_text(
            "CALL db.propertyKeys() YIELD propertyKey RETURN propertyKey AS key"
        )
    plans = []
    for works in (False, True):
        server.stop(settings)
        with Database(settings, "tests") as database:
            database.run_text("RETURN 1")
            if works:
                _work(database)
            plans.append(_plans(database))
    assert plans[0] == plans[1]
