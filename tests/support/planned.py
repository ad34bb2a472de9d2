"""Statements planned ahead: the server plans one at a time for whoever waits for it, while another core is idle."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread

from support.cases import CASES, World

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.warming import NO_VERSION
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings

NOBODY = World(*[Lease("0" * 32, "0" * 36, 1, None, [User(f"nobody{i}", i) for i in range(5)])] * 4, "nobody", "no")


def ahead(settings: Settings, names: list[str], end: Event) -> Thread:
    """Have the server plan these statements, in this order, until `end`; returns the thread that sees to it.

    Each is run for a version that no graph has, or it only reads: nothing changes.
    """

    def run() -> None:
        with Database(settings, "tests") as database:
            for name in names:
                if end.is_set():
                    return
                assert cypher.text(name).startswith(cypher.text("_graph")) or not CASES[name].writes
                with suppress(DmcheckError):
                    database.run(name, **{"schema": NO_VERSION, **CASES[name].parameters(NOBODY)})

    thread = Thread(target=run)
    thread.start()
    return thread
