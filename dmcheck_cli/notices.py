"""What a command says on stderr beside its result: notes, details for who asks, slow steps, how far it is.

How much of it is chosen once for the process, by `--quiet` and `--verbose`. Errors and warnings are always said.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS_TO_WRITE = 1.0
"""For a line to be taken. The caller may hold the lock of the embedded database, which everybody else waits for."""


class Level(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_level = Level.NORMAL
_taker: Callable[[str], None] | None = None
_logs = False


class Event(str):
    """A message with what a log of JSON lines has beside it: the event's name, its level, and what is known."""

    event: str
    level: str
    known: dict[str, Any]

    def __new__(cls, text: str, event: str, level: str = "info", **known: Any) -> Event:
        """`level`: info, warning, error or detail."""
        made = super().__new__(cls, text)
        made.event, made.level, made.known = event, level, known
        return made


def log_as_json(wanted: bool) -> None:
    """Whether each line on stderr is a JSON object from now on."""
    global _logs  # noqa: PLW0603 - one process has one stderr
    _logs = wanted


def logs() -> bool:
    """Whether each line on stderr is a JSON object."""
    return _logs


def records() -> bool:
    """Whether events are said that only a log has."""
    return _logs and not is_quiet()


def logged(text: str) -> str:
    """One line of the log, without its end, in ASCII. `at` is the time of this machine: the database may be away.

    What is no Event is a `note`.
    """
    said = text if isinstance(text, Event) else Event(text, "note")
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    content = {"at": at, "level": said.level, "event": said.event, "message": str(said), **said.known}
    return json.dumps(content).replace("\x7f", "\\u007f")


def choose(level: Level) -> None:
    """Say so much from now on."""
    global _level  # noqa: PLW0603 - one process has one stderr
    _level = level


def level() -> Level:
    """How much is said."""
    return _level


def is_quiet() -> bool:
    """Whether notes are left out."""
    return _level is Level.QUIET


def detail(text: str) -> None:
    """Say something that only `--verbose` asks for."""
    if _level is Level.VERBOSE:
        warn(Event(f"dmcheck: {text}", "detail", "detail"))


def warn(text: str) -> None:
    """Say something, with `--quiet`, too."""
    if _logs:
        line = logged(text if isinstance(text, Event) else Event(text, "warning", "warning"))
    else:
        # A path or a server's answer may contain terminal control characters.
        line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    if _taker is not None:
        _taker(line)
        return
    writing = threading.Thread(target=_write, args=(f"{line}\n",), daemon=True)
    writing.start()
    writing.join(SECONDS_TO_WRITE)


@contextmanager
def diverted(taker: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, `taker` gets what would be said on stderr, from any thread."""
    global _taker  # noqa: PLW0603 - one process has one stderr
    before, _taker = _taker, taker
    try:
        yield
    finally:
        _taker = before


def _write(line: str) -> None:
    with suppress(OSError):  # stderr may be closed
        try:
            descriptor = sys.stderr.fileno()
        except io.UnsupportedOperation:
            sys.stderr.write(line)
            return
        # Not sys.stderr.write: who is held up in that holds a lock, which the end of the process needs as well.
        os.write(descriptor, line.encode(errors="backslashreplace"))


@dataclass(frozen=True)
class Progress:
    """Slow steps: rich on a terminal, one plain line elsewhere. `shown`: False keeps quiet; `plain`: lines also on a
    terminal, for who must not wait for it."""

    shown: bool = True
    plain: bool = False

    def say(self, what: str) -> None:
        """Report an event: a line that stays, on a terminal too."""
        if self.shown and not is_quiet():
            warn(Event(what, "note"))

    def warn(self, what: str) -> None:
        """Report an event with `--quiet`, too."""
        if self.shown:
            warn(what)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show `what` while the block runs."""
        if not self._rich:
            self.say(f"{what} ...")
            yield
            return
        with doing(what):
            yield

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how many of `total` are done while the block runs, which calls the yielded function once for each."""
        if not self._rich:
            self.say(f"{what} ...")
        with counting(what, total if self._rich else 0) as advance:
            yield lambda: advance(1)

    @property
    def _rich(self) -> bool:
        return self.shown and not self.plain and live()


def live() -> bool:
    """Whether a person looks on: stderr is a terminal, and not `--quiet`, and no log of JSON lines."""
    return not is_quiet() and not _logs and sys.stderr.isatty()


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Show on a terminal `what` is done while the block runs."""
    if not live():
        yield
        return
    from rich.text import Text

    with _console().status(Text(what)):  # Text: a path in it is not markup
        yield


@contextmanager
def counting(what: str, total: int | None = None, least: int = 0) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many of `total` (None: not known) are done while the block runs.

    The block calls the yielded function with how many more are done. Nothing is shown for `least` or fewer.
    """
    if not live() or (total is not None and total <= least):
        yield lambda more: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), left)
    with Progress(*columns, console=_console(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def counted(things: Iterable[T], advance: Callable[[int], None]) -> Iterator[T]:
    """The same things; `advance` is told of every 1000 that were taken."""
    for number, thing in enumerate(things, 1):
        if number % 1000 == 0:
            advance(1000)
        yield thing


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)
