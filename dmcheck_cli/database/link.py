"""The driver and its session, through which statements are sent."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dmcheck_cli.database.sending import Statement
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    import neo4j

Row = dict[str, Any]

MAX_CONNECT_SECONDS = 5.0
"""Seconds for one address of a host to accept a connection before the next is tried: a lost packet costs one or three,
and a host that is switched off never answers."""


@contextmanager
def _absent(*packages: str) -> Iterator[None]:
    """Import as if these were not installed, unless they are in use. The driver loads them wherever they are, to
    convert types that we never send: numpy (dmcheck[report]) took a quarter of its import, 0.1 s of each command."""
    kept_out = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(kept_out))  # type: ignore[arg-type]  # None is how Python notes that there is none
    try:
        yield
    finally:
        for name in kept_out:
            del sys.modules[name]


def connect_seconds(settings: Settings) -> float:
    """How long one address of the host may take to accept a connection."""
    return min(settings.timeout_seconds / 4, MAX_CONNECT_SECONDS)


class Link:
    """One driver, and one session.

    Within one session each statement sees what the previous one wrote, whichever cluster member it runs on. Failures do
    not end it: the next try sees that too, and the driver knows for which database to note that another member leads.
    (A new session would not know, and ask the former leader until its routing table is too old, after 300 s.)
    """

    def __init__(self, settings: Settings, uri: str, username: str, password: str) -> None:
        """Does not connect yet. Raises NotConfigured when the driver rejects `uri`, or is not installed."""
        try:
            with _absent("numpy", "pandas", "pyarrow"):
                from neo4j import GraphDatabase
            from neo4j.exceptions import ConfigurationError
        except ModuleNotFoundError as error:
            raise NotConfigured(
                what="the driver is not installed: `pip install neo4j` for a database, or set DMCHECK_GATE"
            ) from error

        # The driver logs broken connections; we report what matters ourselves.
        logging.getLogger("neo4j").addHandler(logging.NullHandler())
        self._database = settings.neo4j_database
        self._session: neo4j.Session | None = None
        try:
            self._driver = GraphDatabase.driver(
                uri,
                auth=(username, password),
                connection_timeout=connect_seconds(settings),
                connection_acquisition_timeout=float(settings.timeout_seconds),
                max_transaction_retry_time=0,
                notifications_min_severity="OFF",
                telemetry_disabled=True,
                user_agent="dmcheck",
            )
        except (ConfigurationError, ValueError) as error:
            raise NotConfigured(what="the driver cannot use NEO4J_URI: it takes a scheme and host:port") from error

    def run(self, statement: Statement, parameters: Row, about: dict[str, Any], seconds: float) -> list[Row]:
        """Send the statement and fetch all its rows. `about`: the transaction's metadata; `seconds`: the server's
        limit.

        Raises what the driver raises.
        """
        from neo4j import Query
        from neo4j.exceptions import DriverError, Neo4jError

        query = Query(statement, metadata=about, timeout=seconds)  # type: ignore[arg-type]
        if self._session is None:
            self._session = self._driver.session(database=self._database, fetch_size=-1)
        try:
            result = self._session.run(query, parameters)
            # Not record.data(), which looks for nodes in every value: that took a third of the time of a fetch.
            columns = result.keys()
            return [dict(zip(columns, record, strict=True)) for record in result]
        except (DriverError, Neo4jError):
            raise
        except BaseException:
            self._end_session()
            raise

    def close(self) -> None:
        """Close the session and the driver."""
        self._end_session()
        self._driver.close()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
