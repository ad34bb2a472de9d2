"""Sending one statement: whether it was sent at all, and giving up on one that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from dmcheck_cli.database.failures import Passing

T = TypeVar("T")


class Statement:
    """The text of a statement, which notes that it was asked for.

    The driver asks only once it has a connection to send it on: what fails before has changed nothing. One that asks
    and then fails to send counts as sent, which errs on the safe side.
    """

    def __init__(self, text: str) -> None:
        self.sent = False
        self._text = text
        self._withdrawn = False
        self._lock = threading.Lock()

    def __str__(self) -> str:
        with self._lock:
            if self._withdrawn:
                raise TimeoutError
            self.sent = True
        return self._text

    def withdraw(self) -> bool:
        """From now on it is not sent any more; returns whether it was."""
        with self._lock:
            self._withdrawn = True
            return self.sent


def within(seconds: float, work: Callable[[], T]) -> T:
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
    try:
        thread.start()
    except RuntimeError as error:
        raise Passing("the system has no room for another thread", unknown=False) from error
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if failure:
        raise failure[0]
    return outcome[0]
