"""SIGTERM, SIGINT and SIGHUP: the first asks for an orderly shutdown, a later one ends the process at once. SIGCONT
tells that the process was stopped for a while."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

SAME_REQUEST_SECONDS = 1.0
"""Signals so soon after the first belong to it: `timeout` sends one to its child and one to the group, a terminal that
closes sends two kinds, and wrappers repeat what they get."""


@contextmanager
def stop_signals(
    first: Callable[[], None], second: Callable[[], None], continued: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """While the block runs, the first signal calls `first`; one that comes later than SAME_REQUEST_SECONDS after it
    calls `second` and ends the process. SIGCONT calls `continued`.

    All are called in a separate thread: a real handler interrupts whatever runs, which may hold the very lock that the
    handler needs. Ignored signals (`nohup`, `&` in a script) stay ignored. After a first signal those that follow the
    block do nothing: what still comes is a repeat, and the process is at its end.
    """
    asked = threading.Event()
    noticed, notice = os.pipe()
    os.set_blocking(notice, False)
    watched = (*STOPPING, signal.SIGCONT)
    before = {one: handler for one in watched if (handler := signal.getsignal(one)) is not signal.SIG_IGN}
    listener = threading.Thread(target=_listen, args=(noticed, asked, first, second, continued), daemon=True)
    listener.start()
    old = signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
    for one in before:
        signal.signal(one, _noticed)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        os.close(notice)
        listener.join()
        os.close(noticed)
        if not asked.is_set():
            for one, handler in before.items():
                signal.signal(one, handler)


def _noticed(*_: object) -> None:
    """Does nothing: because a handler is installed, Python writes the signal's number to the pipe."""


def _listen(
    noticed: int,
    asked: threading.Event,
    first: Callable[[], None],
    second: Callable[[], None],
    continued: Callable[[], None],
) -> None:
    since = 0.0
    while number := os.read(noticed, 1):
        if number[0] not in STOPPING:
            continued()
        elif not asked.is_set():
            since = time.monotonic()
            asked.set()
            first()
        elif time.monotonic() - since > SAME_REQUEST_SECONDS:
            second()
            os._exit(128 + number[0])  # what shells report for a process that a signal ended
