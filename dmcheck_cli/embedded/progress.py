"""Tells a person, on stderr, about slow steps: rich on a terminal, one plain line elsewhere, or nothing."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

SECONDS_TO_WRITE = 1.0
"""For a line to be taken. The caller holds the lock of the embedded database, which everybody else waits for."""


@dataclass(frozen=True)
class Progress:
    """`shown`: False keeps quiet; `plain`: lines also on a terminal, for who must not wait for it."""

    shown: bool = True
    plain: bool = False

    def say(self, what: str) -> None:
        """Report an event: a line that stays, on a terminal too."""
        if self.shown:
            # A path may contain terminal control characters.
            line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in what)
            writing = threading.Thread(target=_write, args=(f"{line}\n",), daemon=True)
            writing.start()
            writing.join(SECONDS_TO_WRITE)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show `what` while the block runs."""
        self._line(what)
        if not self._rich:
            yield
            return
        from rich.text import Text

        with self._console().status(Text(what)):  # Text: a path in it is not markup
            yield

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how many of `total` are done while the block runs, which calls the yielded function once for each."""
        self._line(what)
        if not self._rich:
            yield lambda: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=self._console(), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)

    @property
    def _rich(self) -> bool:
        return self.shown and not self.plain and sys.stderr.isatty()

    def _line(self, what: str) -> None:
        if not self._rich:
            self.say(f"{what} ...")

    def _console(self) -> Any:
        from rich.console import Console

        return Console(stderr=True)


def _write(line: str) -> None:
    with suppress(OSError):  # stderr may be closed
        try:
            descriptor = sys.stderr.fileno()
        except io.UnsupportedOperation:
            sys.stderr.write(line)
            return
        # Not sys.stderr.write: who is held up in that holds a lock, which the end of the process needs as well.
        os.write(descriptor, line.encode(errors="backslashreplace"))
