"""Sending one statement: whether it was sent at all, and giving up on one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from dmcheck_cli.database.failures import Retryable

T = TypeVar("T")

MAX_DEAF_SECONDS = 0.5
"""Python notices a signal that arrives just as a wait begins only when that wait ends, so waits are this short."""


class Statement:
    """The text of a statement, which records when it is read.

    The driver reads it only once it has a connection to send it on, so a failure before that has changed nothing. A
    statement that is read but then fails to be sent counts as sent, which errs on the safe side.
    """

    def __init__(self, text: str, name: str = "") -> None:
        """`name`: what to call it in a log; those without are not named there."""
        self.name = name
        self.sent = False
        self.sent_at: float | None = None
        self._text = text
        self._withdrawn = False
        self._lock = threading.Lock()

    def __str__(self) -> str:
        with self._lock:
            if self._withdrawn:
                raise TimeoutError
            self.sent = True
            self.sent_at = self.sent_at or time.monotonic()
        return self._text

    def withdraw(self) -> bool:
        """Keep it from being sent from now on; returns whether it already was."""
        with self._lock:
            self._withdrawn = True
            return self.sent


class OutOfTime(Exception):
    """The work was not done in time; it may still be running."""


class Guard:
    """Runs work in a thread that can be abandoned, one piece at a time, for one waiting thread.

    A silent connection cannot be interrupted from outside on all platforms. The thread starts when first needed, and is
    kept until it is abandoned or `close` is called.
    """

    def __init__(self, waiting: Callable[[], object] = lambda: None) -> None:
        """`waiting` is called about every MAX_DEAF_SECONDS while work is waited for."""
        self._helper: _Helper | None = None
        self._waiting = waiting

    def within(self, seconds: float, work: Callable[[], T], afterwards: Callable[[], object] = lambda: None) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises OutOfTime after `seconds`, and Retryable if the system cannot start another thread. After abandoned work,
        `afterwards` runs in the same thread.
        """
        helper, self._helper = self._helper, None
        if helper is None or not helper.alive():
            helper = _Helper()
        try:
            result, failure = helper.do(work, seconds, self._waiting)
        except BaseException:  # time is up, or the caller was interrupted: the next outcome would be the wrong one
            helper.end(afterwards)
            raise
        self._helper = helper
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the thread. The guard can be used again."""
        if self._helper is not None:
            self._helper.end()
            self._helper = None


class _Helper:
    """A thread that takes work from one queue and puts outcomes into another."""

    def __init__(self) -> None:
        self._works: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise Retryable("the system has no room for another thread", unknown=False) from error

    def alive(self) -> bool:
        """Whether the thread is running, which it is not in a forked process."""
        return self._thread.is_alive()

    def do(
        self, work: Callable[[], Any], seconds: float, waiting: Callable[[], object]
    ) -> tuple[Any, BaseException | None]:
        """What `work` returned, and what it raised."""
        self._works.put(work)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                return self._outcomes.get(timeout=min(left, MAX_DEAF_SECONDS))
            waiting()
        raise OutOfTime

    def end(self, last: Callable[[], object] = lambda: None) -> None:
        """Let the thread end after its current work and `last`."""
        self._works.put(last)
        self._works.put(None)

    def _serve(self) -> None:
        for work in iter(self._works.get, None):
            try:
                self._outcomes.put((work(), None))
            except BaseException as error:  # any error is for the thread that waits
                self._outcomes.put((None, error))
            del work  # it may hold much memory, and the next may take long to arrive
