"""The connection to Neo4j: one auto-commit statement at a time, in one round trip, within a bounded time.

Auto-commit statements need one round trip where a managed transaction needs three, which gave about three times
the rate (DECISIONS.md). The driver does not retry them; `Database.run` does, and may: every statement is written
so that running it again after a lost answer does no harm.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from dmcheck_cli import cypher
from dmcheck_cli.database import address
from dmcheck_cli.database.failures import NEEDS_RESTART, Passing, Trouble, from_driver, from_server
from dmcheck_cli.database.retry import delays
from dmcheck_cli.database.sending import Statement, within
from dmcheck_cli.errors import NotConfigured, Temporary
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    import neo4j

Row = dict[str, Any]

MAX_CONNECT_SECONDS = 5.0
"""Seconds for one address of a host to take a connection, before the next one is tried: a lost packet costs one or
three, and a host that is switched off never answers."""


class Database:
    """A database to run statements on; opened at the first one.

    `command` is the name under which its transactions show up in `SHOW TRANSACTIONS`, with what else `about` says.
    Not for use by several threads at once. Close it, or use it as a context manager.
    """

    def __init__(self, settings: Settings, command: str) -> None:
        self.settings = settings
        self.command = command
        self.about = {"app": "dmcheck", "command": command}
        self._driver: neo4j.Driver | None = None
        self._address: address.Address | None = None
        self._pid: int | None = None
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

        Raises Temporary when the time is over (it says whether the statement may have been committed), NotConfigured
        when the database does not let us in, DatabaseRefused for what does not pass.
        """
        return self.run_text(cypher.text(statement), patience=patience, **parameters)

    def run_text(
        self, text: str, /, *, patience: float | None = None, once: bool = False, **parameters: Any
    ) -> list[Row]:
        """Like `run`, for the text of a statement. `once`: without trying again."""
        trouble = Trouble(self.settings.timeout_seconds if patience is None else patience)
        deadline = time.monotonic() + trouble.limit
        for attempt, delay in enumerate(delays()):
            statement = Statement(text)
            try:
                first_start = self.embedded and self._driver is None and attempt == 0
                started = time.monotonic()
                driver = self._open(None if first_start else deadline - started)
                if first_start:
                    deadline += time.monotonic() - started  # it takes its own time, which is not ours
                left = max(deadline - time.monotonic(), 0.001)
                return within(left, partial(self._once, driver, statement, parameters, left))
            except TimeoutError as error:
                self._driver = None  # a hung connection must not be waited for again, not even to say goodbye
                sent = statement.withdraw()
                trouble.note(Passing("no answer", unknown=sent, connected=sent))
                raise trouble.gave_up(self._address) from error
            except Passing as passing:
                trouble.note(passing)
                if "first_try" in parameters and passing.unknown:
                    parameters["first_try"] = False
                if once or time.monotonic() + delay >= deadline:
                    raise trouble.gave_up(self._address) from passing
                if not passing.connected and not self.embedded:
                    self._look(trouble, deadline - time.monotonic())
                time.sleep(delay)
        raise AssertionError("delays() never ends")

    def _open(self, seconds: float | None) -> neo4j.Driver:
        """The driver, made anew after it was given up. `seconds`: for a start of the embedded database."""
        if self._driver is None:
            from neo4j import GraphDatabase
            from neo4j.exceptions import ConfigurationError

            # The driver tells a log of its own about broken connections; what matters of it we say ourselves.
            logging.getLogger("neo4j").addHandler(logging.NullHandler())
            uri, username, password = self._log_in(seconds)
            self._address = address.read(uri)
            limit = float(self.settings.timeout_seconds)
            try:
                self._driver = GraphDatabase.driver(
                    uri,
                    auth=(username, password),
                    connection_timeout=self._connect_seconds(),
                    connection_acquisition_timeout=limit,
                    max_transaction_retry_time=0,
                    notifications_min_severity="OFF",
                    telemetry_disabled=True,
                    user_agent="dmcheck",
                )
            except (ConfigurationError, ValueError) as error:
                raise NotConfigured(what="the driver cannot use NEO4J_URI: it takes a scheme and host:port") from error
        return self._driver

    def _connect_seconds(self) -> float:
        return min(self.settings.timeout_seconds / 4, MAX_CONNECT_SECONDS)

    def _log_in(self, seconds: float | None) -> tuple[str, str, str]:
        if self.settings.neo4j_uri is not None:
            password = self.settings.password()
            if password is None:
                raise NotConfigured(what="NEO4J_URI is set, but neither NEO4J_PASSWORD nor NEO4J_PASSWORD_FILE")
            return self.settings.neo4j_uri, self.settings.neo4j_username, password
        from dmcheck_cli.embedded.server import ensure_running

        try:
            server = ensure_running(self.settings, seconds=seconds)
        except Temporary as problem:
            if seconds is None:
                raise
            raise Passing(problem.message, unknown=False) from problem
        self._pid = server.pid
        return server.uri, server.username, server.password

    def _look(self, trouble: Trouble, left: float) -> None:
        """Find out once why no connection comes about. Raises NotConfigured if none ever will."""
        if self._address is None or trouble.looked:
            return
        from dmcheck_cli.database.look import look

        trouble.looked = True
        try:
            trouble.seen = within(max(left, 0.001), partial(look, self._address, self._connect_seconds())) or ""
        except TimeoutError:
            trouble.seen = "no answer"

    def _end_embedded(self) -> None:
        """After a full disk Neo4j refuses everything until it is started anew, which the next try does: once."""
        if not self._was_ended and self._pid is not None:
            from dmcheck_cli.embedded.server import kill

            self._driver = None
            kill(self.settings, self._pid)
            self._was_ended = True

    def _once(self, driver: neo4j.Driver, statement: Statement, parameters: Row, seconds: float) -> list[Row]:
        from neo4j import Query
        from neo4j.exceptions import DriverError, Neo4jError

        query = Query(statement, metadata=self.about, timeout=seconds)  # type: ignore[arg-type]
        try:
            with driver.session(database=self.settings.neo4j_database, fetch_size=-1) as session:
                result = session.run(query, parameters)
                # Not record.data(), which looks for nodes in every value: that took a third of a fetch's time here.
                columns = result.keys()
                return [dict(zip(columns, record.values(), strict=True)) for record in result]
        except Neo4jError as error:
            if self.embedded and error.code == NEEDS_RESTART:
                self._end_embedded()
            raise from_server(error, statement.sent) from error
        except Exception as error:
            if statement.sent and not isinstance(error, DriverError | OSError):
                raise  # not the network's doing
            if self.embedded:
                self._driver = None  # it may be back on another port
            raise from_driver(error, statement.sent) from error
