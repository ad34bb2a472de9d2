"""The connection to Neo4j: one auto-commit statement at a time, in one round trip, within a bounded time.

An auto-commit statement needs one round trip, a managed transaction three; that gave about three times the rate
(DECISIONS.md). The driver does not retry auto-commit statements. `Database.run` does, safely: every statement is
written so that running it again after a lost answer does no harm.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from dmcheck_cli import cypher, notices
from dmcheck_cli.backoff import between_tries
from dmcheck_cli.database import account, address
from dmcheck_cli.database.failures import NEEDS_RESTART, Retryable, Trouble, from_driver, from_server
from dmcheck_cli.database.link import Link, Row, connect_seconds
from dmcheck_cli.database.sending import Guard, OutOfTime, Statement
from dmcheck_cli.errors import NotConfigured, Temporary
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    from dmcheck_cli.embedded.server import Server


UNATTENDED = frozenset(
    {"work", "watch", "make_buckets", "reclaim_leases", "raise_starved", "judge_clients", "export_metrics"}
)
"""Commands that run by themselves: they do not start an embedded database that a person has stopped."""


MAX_PATIENCE = 3
"""How many times DMCHECK_TIMEOUT_SECONDS a process gives a statement that the server took and did not finish in time.

After a restart the server plans the first fetch of all clients at once; a client that leaves ends its plan (DECISIONS).
A stop of `work` waits for this, and systemd by default waits 90 s for a stop."""

MAX_WARMING = 4
"""How many times that the process which starts the embedded server gives the first plans: nobody is served before."""

MAX_SILENT_SECONDS = 2.0
"""A person who waits longer than this is told for what."""


class Database:
    """A database to run statements on; opened at the first one.

    `command` is the name under which its transactions appear in `SHOW TRANSACTIONS`, with the rest of `about`.
    `account` counts what it costs. Not thread-safe. Close it, or use it as a context manager.
    """

    def __init__(self, settings: Settings, command: str) -> None:
        self.settings = settings
        self.command = command
        self.about = {"app": "dmcheck", "command": command}
        self.began = time.monotonic()
        self.account = account.opened()
        self._name = ""
        self._late: dict[str, int] = {}  # by statement: how many times the limit it gets next, unless 1
        self._guard = Guard(self._note_wait)
        self._since: float | None = None
        self._seconds = 0.0
        self._told = command == "work"  # which shows by itself what it waits for
        self._link: Link | None = None
        self._address: address.Address | None = None
        self._pid: int | None = None
        self._was_ended = False

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Harmless when nothing was opened."""
        self._unlink()
        self._guard.close()

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded database, which dmcheck starts and sets up automatically."""
        return self.settings.neo4j_uri is None

    @property
    def place(self) -> str:
        """A name of this database that does not depend on the scheme of NEO4J_URI, and holds no secret.

        Raises NotConfigured when NEO4J_URI is no address.
        """
        if self.settings.neo4j_uri is not None:
            return f"{address.read(self.settings.neo4j_uri).place}/{self.settings.neo4j_database or ''}"
        from dmcheck_cli.embedded.folders import home_folder

        return str(home_folder(self.settings))

    def run(self, statement: str, /, *, patience: float | None = None, **parameters: Any) -> list[Row]:
        """Run the statement of that name and return its rows, each a dict of its columns.

        Each statement may also use `$limits` (the bounds that it names), `$schema` (the version of the graph that it is
        written for) and `$repeated` (whether an earlier try may have been committed without its answer arriving).

        Transient errors (deadlocks, lost connections, a restart) are retried until DMCHECK_TIMEOUT_SECONDS, or
        `patience` seconds, have passed.

        Raises Temporary when the time is up (it says whether the statement may have been committed), NotConfigured when
        the database denies access, DatabaseRefused for permanent errors.
        """
        began = time.monotonic()
        self._name = statement
        try:
            rows = self.run_text(cypher.text(statement), patience=patience, **(self._ours(statement) | parameters))
        finally:
            self._name = ""
        notices.detail(f"{statement}: {len(rows)} rows in {(time.monotonic() - began) * 1000:.0f} ms")
        return rows

    def run_text(
        self, text: str, /, *, patience: float | None = None, once: bool = False, **parameters: Any
    ) -> list[Row]:
        """Like `run`, for a text; of the built-in parameters it gets only `$repeated`, once that is true. `once`: no
        retries."""
        if self.embedded and self._link is None:
            self._link = self._open(None)  # starting the server does not count against the limit
        usual = self.settings.timeout_seconds * self._late.get(text, 1)
        trouble = Trouble(usual if patience is None else patience)
        deadline = time.monotonic() + trouble.limit
        backoff = between_tries()
        self._since, self._seconds = time.monotonic(), trouble.limit
        self.account.statements += 1
        while True:
            statement = Statement(text, self._name)
            try:
                rows = self._try(statement, parameters, deadline)
                self.account.rows += len(rows)
                self._late.pop(text, None)
                return rows
            except OutOfTime as error:
                sent = statement.withdraw()
                trouble.note(Retryable("no answer", unknown=sent, connected=sent))
                if sent:
                    self._note_late(text)
                raise trouble.gave_up(self._address) from error
            except Retryable as passing:
                trouble.note(passing)
                if passing.unknown:
                    parameters["repeated"] = True
                delay = backoff.delay()
                if once or time.monotonic() + delay >= deadline:
                    self._unlink()  # what it waits for may be lost, and its routing table wrong
                    if passing.connected and statement.sent:
                        self._note_late(text)
                    raise trouble.gave_up(self._address) from passing
                if not passing.connected and not self.embedded:
                    self._look(trouble, deadline - time.monotonic())
                notices.detail(f"{passing.why}: the next try is in {delay:.1f} s")
                self._note_wait()
                time.sleep(delay)
                self.account.retries += 1

    def _book(self, statement: Statement) -> None:
        """Count a try, if it was sent."""
        if statement.sent_at is None:
            return
        seconds = time.monotonic() - statement.sent_at
        self.account.round_trips += 1
        self.account.waited += seconds
        logs = self.command in UNATTENDED or notices.level() is notices.Level.VERBOSE
        if logs and account.is_slow(statement.name, seconds):
            notices.warn(f"dmcheck: slow statement: {statement.name} took {seconds:.1f} s")

    def _note_late(self, text: str) -> None:
        """Give a statement that the server took and did not finish in time longer when it is run again."""
        self._late[text] = min(self._late.get(text, 1) + 1, MAX_PATIENCE)

    def _note_wait(self) -> None:
        """Tell a person, once, that this waits for the database. Called now and then while it does."""
        if self._told or self._since is None or time.monotonic() - self._since < MAX_SILENT_SECONDS:
            return
        if notices.live() and threading.current_thread() is threading.main_thread():
            self._told = True
            where = f" at {self._address.place}" if self._address and not self.embedded else ""
            notices.warn(f"Waiting for the database{where}, for {self._seconds:.0f} s at most ...")

    def _try(self, statement: Statement, parameters: Row, deadline: float) -> list[Row]:
        link = self._link or self._open(deadline - time.monotonic())
        self._link = None  # a link that hangs must not be waited for again, not even to close it
        left = max(deadline - time.monotonic(), 0.001)
        work = partial(link.run, statement, parameters, self.about, left)
        try:
            rows = self._guard.within(left, work, afterwards=link.close)
        except OutOfTime:
            raise
        except Retryable:
            self._link = link
            raise
        except Exception as error:
            self._link = link
            raise self._explained(error, statement.sent) from error
        finally:
            self._book(statement)
        self._link = link
        return rows

    def _explained(self, error: Exception, sent: bool) -> Exception:
        """What to raise for a driver error, after doing what it requires."""
        from neo4j.exceptions import DriverError, Neo4jError

        if isinstance(error, Neo4jError):
            if self.embedded and error.code == NEEDS_RESTART:
                self._end_embedded()
            return from_server(error, sent)
        if sent and not isinstance(error, DriverError | OSError):
            return error  # not a network problem
        if self.embedded:
            self._unlink()  # it may come back on another port
        return from_driver(error, sent)

    def _open(self, seconds: float | None) -> Link:
        """`seconds`: the limit for starting the embedded database; None: as long as it takes."""
        uri, username, password = self._log_in(seconds)
        self._address = address.read(uri)
        if notices.level() is notices.Level.VERBOSE:
            kind = f"embedded in {self.place}" if self.embedded else f"database {self.settings.neo4j_database or '-'}"
            notices.detail(f"the database is {self._address}, account {username}, {kind}")
        return Link(self.settings, uri, username, password)

    def _warm(self, server: Server) -> None:
        """Have a server that this process started plan the statements that all clients run. Failures do not matter: a
        real problem recurs when a client runs them."""
        from dmcheck_cli.database.warming import warm

        limit = float(self.settings.timeout_seconds * MAX_WARMING)
        with suppress(Exception):
            link = Link(self.settings, server.uri, server.username, server.password)
            self._guard.within(limit, partial(warm, link, self._ours, self.about, limit))

    def _ours(self, statement: str) -> Row:
        limits = {bound: self.settings.bound(bound) for bound in cypher.bounds(statement)}
        return {"limits": limits, "schema": cypher.SCHEMA, "repeated": False}

    def _unlink(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _log_in(self, seconds: float | None) -> tuple[str, str, str]:
        self.settings.refuse_gate()
        if self.settings.neo4j_uri is not None:
            password = self.settings.password()
            if password is None:
                raise NotConfigured(what="NEO4J_URI is set, but neither NEO4J_PASSWORD nor NEO4J_PASSWORD_FILE")
            return self.settings.neo4j_uri, self.settings.neo4j_username, password
        from dmcheck_cli.embedded.server import ensure_running

        try:
            unattended = self.command in UNATTENDED or not self.settings.attended
            server = ensure_running(self.settings, seconds=seconds, prepare=self._warm, unattended=unattended)
        except Temporary as problem:
            if seconds is None:
                raise
            raise Retryable(problem.message, unknown=False) from problem
        self._pid = server.pid
        return server.uri, server.username, server.password

    def _look(self, trouble: Trouble, left: float) -> None:
        """Find out, once, why connecting fails. Raises NotConfigured if it always will."""
        if self._address is None or trouble.looked:
            return
        from dmcheck_cli.database.look import look

        trouble.looked = True
        try:
            looking = partial(look, self._address, connect_seconds(self.settings))
            trouble.seen = self._guard.within(max(left, 0.001), looking) or ""
        except OutOfTime:
            trouble.seen = "no answer"

    def _end_embedded(self) -> None:
        """End the embedded database, once: after a full disk Neo4j refuses everything until restarted, which the next
        try does."""
        if not self._was_ended and self._pid is not None:
            from dmcheck_cli.embedded.server import kill

            self._unlink()
            kill(self.settings, self._pid)
            self._was_ended = True
