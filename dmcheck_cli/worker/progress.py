"""Reports progress to people, on stderr: one live line on a terminal, one plain line per event elsewhere.

Only a thread of its own writes. A terminal held with Ctrl-S, a log collector that does not read, a terminal that is
gone or a full disk hold up that thread, and nobody else.
"""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from dmcheck_cli import notices
from dmcheck_cli.reporting.show import escaped
from dmcheck_cli.worker.pool import HeldLease
from dmcheck_cli.worker.summary import Summary

if TYPE_CHECKING:
    from rich.live import Live

UPDATES_PER_SECOND = 2

MAX_WAITING = 1000
"""Messages kept for a reader that is slow; what comes beyond is counted and left out."""

SECONDS_TO_END = 2.0
"""For the last messages to be written."""

SHOW_CURSOR = "\x1b[?25h"


def line(client: int, summary: Summary, running: Sequence[HeldLease], waiting: int) -> str:
    """The current state: what is done, what COMMANDs are working on, how many buckets wait, and what went wrong so
    far."""
    heard = sum(held.conversation.heard for held in running)
    asked = sum(len(held.lease.users) for held in running)
    parts = [
        f"client {client}",
        f"{summary.buckets:,} buckets and {summary.users:,} users done",
        f"{len(running)} in work ({heard:,} of {asked:,} users)",
        f"{waiting} waiting",
    ]
    trouble = summary.trouble()
    return "; ".join(parts if trouble == "-" else [*parts, trouble])


class Teller:
    """Writes messages to stderr; on a terminal, `state()` is shown below them and kept up to date."""

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state
        self._messages: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._left_out = 0
        self._is_terminal = notices.live() and notices.level() is notices.Level.NORMAL  # else they would mix
        self._out = _own_stderr()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Have a message written, without waiting for it. May be called from any thread."""
        try:
            self._messages.put_nowait(text)
        except queue.Full:
            self._left_out += 1

    def close(self) -> bool:
        """Write what is waiting, for SECONDS_TO_END at most; returns whether all was taken."""
        with suppress(queue.Full):
            self._messages.put(None, timeout=SECONDS_TO_END)
        self._thread.join(SECONDS_TO_END)
        return not self._thread.is_alive()

    def abandon(self, text: str) -> None:
        """A last message before the process ends at once; left out if it cannot be written at once."""
        message = (SHOW_CURSOR if self._is_terminal else "") + (_written(text) + "\n" if text else "")
        with suppress(OSError):
            if message and select.select([], [2], [], 0)[1]:
                os.write(2, message.encode())

    def _run(self) -> None:
        if self._is_terminal:
            with suppress(OSError):
                self._run_live()
                return
            # The terminal is gone: what is said from now on reaches nobody.
        while (text := self._messages.get()) is not None:
            self._write(text)

    def _write(self, text: str) -> None:
        if self._left_out:
            left, self._left_out = self._left_out, 0
            self._write(text)
            text = notices.Event(f"({left} messages were left out: nobody took them)", "left_out", "warning")
        with suppress(OSError):  # the reader is gone, or the disk is full: no reason to stop the work
            self._out.write(_written(text) + "\n")
            self._out.flush()

    def _run_live(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=self._out, force_terminal=True)

        def shown() -> Text:
            return Text(self._state(), no_wrap=True, overflow="ellipsis")

        with Live(
            get_renderable=shown,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            self._follow(live, lambda text: console.print(Text(text)))

    def _follow(self, live: Live, show: Callable[[str], None]) -> None:
        while True:
            live.refresh()
            try:
                text = self._messages.get(timeout=1 / UPDATES_PER_SECOND)
            except queue.Empty:
                continue
            if text is None:
                return
            show(escaped(text, keep="\n"))


def _written(text: str) -> str:
    return notices.logged(text) if notices.logs() else escaped(text, keep="\n")


def _own_stderr() -> TextIO:
    """Stderr as a file of its own: a thread held up in a write to sys.stderr holds its lock, which the end of the
    process needs as well."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except OSError:  # it is no file, or the machine has no descriptor left
        return sys.stderr
    return open(descriptor, "w", encoding=sys.stderr.encoding, errors="backslashreplace")
