"""SIGTERM, SIGINT and SIGHUP: the first asks for an orderly shutdown, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def stop_signals(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first signal calls `first`; the second calls `second` and ends the process.

    Both are called in a separate thread: a real handler interrupts whatever runs, which may hold the very lock that the
    handler needs. Ignored signals (`nohup`, `&` in a script) stay ignored.
    """
    noticed, notice = os.pipe()
    os.set_blocking(notice, False)
    before = {one: handler for one in STOPPING if (handler := signal.getsignal(one)) is not signal.SIG_IGN}
    listener = threading.Thread(target=_listen, args=(noticed, first, second), daemon=True)
    listener.start()
    old = signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
    for one in before:
        signal.signal(one, _noticed)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(old)
        os.close(notice)
        listener.join()
        os.close(noticed)


def _noticed(*_: object) -> None:
    """Does nothing: because a handler is installed, Python writes the signal's number to the pipe."""


def _listen(noticed: int, first: Callable[[], None], second: Callable[[], None]) -> None:
    if not os.read(noticed, 1):
        return
    first()
    number = os.read(noticed, 1)
    if number:
        second()
        os._exit(128 + number[0])  # what shells report for a process that a signal ended
