"""A statement that may take long, on its own connection, while the caller watches it and can end it."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database


class Aside:
    """Runs one statement at a time beside `database`, each tried once.

    The metadata of its transactions contain `token` and what the current statement `builds`.
    """

    def __init__(self, database: Database, patience: float) -> None:
        self.token = os.urandom(8).hex()
        self._patience = patience
        self._database = Database(database.settings, database.command)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.busy:
            self._database.close()

    @property
    def busy(self) -> bool:
        """Whether the last statement is still running."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def succeeded(self) -> bool:
        """Whether the last statement has ended without an error."""
        return self._thread is not None and not self._thread.is_alive() and self._failure is None

    def run(self, statement: str, *, builds: str, **parameters: Any) -> None:
        """Start the statement of that name."""
        self.run_text(cypher.text(statement), builds=builds, **parameters)

    def run_text(self, text: str, *, builds: str, **parameters: Any) -> None:
        """Start a statement, given as text. The previous one must have ended."""
        self._failure = None
        self._database.about |= {"token": self.token, "builds": builds}
        self._thread = threading.Thread(target=partial(self._work, text, parameters), daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Return when the statement has ended, or after `seconds`."""
        if self._thread is not None:
            self._thread.join(seconds)

    def failure(self) -> BaseException | None:
        """How the last statement failed, reported only once; None if it did not, or is still running."""
        failure, self._failure = self._failure, None
        return failure

    def _work(self, text: str, parameters: dict[str, Any]) -> None:
        try:
            self._database.run_text(text, patience=self._patience, once=True, **parameters)
        except BaseException as error:  # any error is for the thread that watches
            self._failure = error
