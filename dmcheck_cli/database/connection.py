"""The connection to Neo4j: one auto-commit statement at a time, in one round trip, within a bounded time.

Auto-commit statements need one round trip where a managed transaction needs three, which gave about three times
the rate (DECISIONS.md). The driver does not retry them; `Database.run` does, and may: every statement is written
so that running it again after a lost answer does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from dmcheck_cli import cypher
from dmcheck_cli.database.failures import Passing, from_driver, from_server, gave_up, needs_restart
from dmcheck_cli.database.retry import delays
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    import neo4j

T = TypeVar("T")
Row = dict[str, Any]

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


class Database:
    """A database to run statements on; opened at the first one.

    `command` is the name under which its transactions show up in `SHOW TRANSACTIONS`. Not for use by several
    threads at once. Close it, or use it as a context manager.
    """

    def __init__(self, settings: Settings, command: str) -> None:
        self.settings = settings
        self.command = command
        self._driver: neo4j.Driver | None = None
        self._pid = 0
        self._was_ended = False

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye to the database. Harmless when nothing was opened."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded database, which dmcheck starts and equips by itself."""
        return self.settings.neo4j_uri is None

    def run(self, statement: str, /, *, patience: float | None = None, **parameters: Any) -> list[Row]:
        """Run the statement of that name and return its rows, each a dict of its columns.

        Errors that pass (deadlocks, lost connections, a restart) are tried again until DMCHECK_TIMEOUT_SECONDS, or
        `patience` seconds, are over. A parameter `first_try`, where given, is set to False once an earlier try may
        have been committed without its answer arriving.

        Raises Temporary when the time is over (the statement may have been committed), NotConfigured when the
        database does not let us in.
        """
        return self.run_text(cypher.text(statement), patience=patience, **parameters)

    def run_text(self, text: str, /, *, patience: float | None = None, **parameters: Any) -> list[Row]:
        """Like `run`, for the text of a statement."""
        limit = self.settings.timeout_seconds if patience is None else patience
        deadline = time.monotonic() + limit
        unknown = False
        for delay in delays():
            try:
                started = time.monotonic()
                driver = self._open(deadline - started)
                if self.embedded:
                    deadline += time.monotonic() - started  # starting a database takes its own time
                left = max(deadline - time.monotonic(), 0.001)
                return _within(left, partial(self._once, driver, text, parameters, left))
            except TimeoutError as error:
                self._driver = None  # a hung connection must not be waited for again, not even to say goodbye
                raise gave_up(limit, unknown=True) from error
            except Passing as passing:
                unknown = unknown or passing.unknown
                if "first_try" in parameters and passing.unknown:
                    parameters["first_try"] = False
                if time.monotonic() + delay >= deadline:
                    raise gave_up(limit, unknown, passing.__cause__) from passing
                time.sleep(delay)
        raise AssertionError("delays() never ends")

    def _open(self, seconds: float) -> neo4j.Driver:
        if self._driver is None:
            from neo4j import GraphDatabase
            from neo4j.exceptions import ConfigurationError

            # The driver tells a log of its own about broken connections; what matters of it we say ourselves.
            logging.getLogger("neo4j").addHandler(logging.NullHandler())
            uri, username, password = self._address()
            _check_uri(uri)
            seconds = max(seconds, 0.001)
            try:
                self._driver = GraphDatabase.driver(
                    uri,
                    auth=(username, password),
                    connection_timeout=seconds,
                    connection_acquisition_timeout=seconds,
                    max_transaction_retry_time=0,
                    notifications_min_severity="OFF",
                    telemetry_disabled=True,
                    user_agent="dmcheck",
                )
            except (ConfigurationError, ValueError) as error:
                raise NotConfigured(what=f"NEO4J_URI cannot be used: {error}") from error
        return self._driver

    def _address(self) -> tuple[str, str, str]:
        if self.settings.neo4j_uri is not None:
            password = self.settings.password()
            if password is None:
                raise NotConfigured(what="NEO4J_URI is set, but neither NEO4J_PASSWORD nor NEO4J_PASSWORD_FILE")
            return self.settings.neo4j_uri, self.settings.neo4j_username, password
        from dmcheck_cli.embedded.server import ensure_running

        server = ensure_running(self.settings)
        self._pid = server.pid
        return server.uri, server.username, server.password

    def _end_embedded(self) -> None:
        """After a full disk Neo4j refuses everything until it is started anew, which the next try does: once."""
        if not self._was_ended:
            from dmcheck_cli.embedded.server import kill

            self._driver = None
            kill(self.settings, self._pid)
            self._was_ended = True

    def _once(self, driver: neo4j.Driver, text: str, parameters: Row, seconds: float) -> list[Row]:
        from neo4j import Query
        from neo4j.exceptions import DriverError, Neo4jError

        about = {"app": "dmcheck", "command": self.command}
        query = Query(text, metadata=about, timeout=seconds)
        try:
            with driver.session(database=self.settings.neo4j_database, fetch_size=-1) as session:
                result = session.run(query, parameters)
                # Not record.data(), which looks for nodes in every value: that took a third of a fetch's time here.
                columns = result.keys()
                return [dict(zip(columns, record.values(), strict=True)) for record in result]
        except Neo4jError as error:
            if self.embedded and needs_restart(error):
                self._end_embedded()
            raise from_server(error) from error
        except (DriverError, OSError) as error:
            if self.embedded:
                self._driver = None  # it may be back on another port
            raise from_driver(error) from error


def _check_uri(uri: str) -> None:
    """Raise NotConfigured for what the driver would misread, or only stumble over when it connects."""
    try:
        parts = urlsplit(uri)
        usable = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise NotConfigured(what=f"NEO4J_URI must be one of {schemes} and a host, perhaps with :port")


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own and return what it returns; raises TimeoutError after `seconds`.

    A connection that has gone silent cannot be interrupted from outside on all platforms; it can be left behind.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # whatever it is belongs to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if failure:
        raise failure[0]
    return outcome[0]
