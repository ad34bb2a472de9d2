"""`dmcheck stats --watch`: reads again and again in a thread of its own, and shows what it read last.

A database that does not answer holds up that thread only, so the screen goes on, and ends when it is told to.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from dmcheck_cli import notices
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ClientStats
from dmcheck_cli.errors import DmcheckError, Temporary
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import duration
from dmcheck_cli.reporting.watch import History, Seen, Wish, line, screen
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions.jobs import last_runs
from dmcheck_cli.transactions.stats import stats

Chosen = Callable[[Sequence[ClientStats]], list[ClientStats]]
Outcome = Seen | DmcheckError

LOOK_SECONDS = 0.5
"""Between two looks at what the reader has read."""

MAX_KEY = 64

MAX_AGE_SECONDS = 5.0
"""Beyond which figures are said to be old, unless that is how often they are read."""

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
NOTICED = (*ENDING, signal.SIGTSTP, signal.SIGWINCH)


def watch(settings: Settings, client: int | None, chosen: Chosen, wish: Wish, as_json: bool) -> None:
    """Show the state of the system every `wish.interval` seconds until `q`, Ctrl-C or a signal.

    On a terminal a screen; elsewhere a line for each refresh, with `as_json` a JSON document. Raises what the first
    reading raises, and later what repeating does not mend.
    """
    with Database(settings, "stats") as database:
        first = _read(database, client)
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    outcomes.put(first)
    threading.Thread(target=_keep_reading, args=(settings, client, wish.interval, outcomes), daemon=True).start()
    with suppress(KeyboardInterrupt):
        if as_json or not _has_screen():
            _lines(outcomes, chosen, as_json)
        else:
            _Screen(outcomes, chosen, wish).run()


def _read(database: Database, client: int | None) -> Seen:
    clients, system = stats(database, client)
    return Seen(time.monotonic(), clients, system, last_runs(database))


def _keep_reading(
    settings: Settings, client: int | None, interval: float, outcomes: queue.SimpleQueue[Outcome]
) -> None:
    """Put an outcome every `interval` seconds; the last one is an error that repeating does not mend."""
    with Database(settings, "watch") as database:
        while True:
            time.sleep(interval)
            try:
                outcomes.put(_read(database, client))
            except Temporary as problem:
                outcomes.put(problem)
            except DmcheckError as problem:
                outcomes.put(problem)
                return


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _lines(outcomes: queue.SimpleQueue[Outcome], chosen: Chosen, as_json: bool) -> None:
    history = History()
    while True:
        outcome = outcomes.get()
        if isinstance(outcome, Temporary):
            show.message(f"dmcheck: {outcome.message}")
        elif isinstance(outcome, DmcheckError):
            raise outcome
        else:
            history.add(outcome)
            if as_json:
                found = [asdict(one) for one in chosen(outcome.clients)]
                show.document({"clients": found, "system": asdict(outcome.system)})
            else:
                show.line(line(outcome, history))


class _Screen:
    """The screen, on the terminal's other page, which leaves the first as it was."""

    def __init__(self, outcomes: queue.SimpleQueue[Outcome], chosen: Chosen, wish: Wish) -> None:
        from rich.console import Console

        self._outcomes, self._chosen, self._wish = outcomes, chosen, wish
        self._console = Console(markup=False, highlight=False)
        self._history = History()
        self._note = ""
        self._signals: list[int] = []
        self._seen: Seen | None = None
        self._shown: list[ClientStats] = []

    def run(self) -> None:
        """Show it until it ends. A signal that ends processes ends this one, once the terminal is as it was."""
        with _signals_to(self._signals) as woken, notices.diverted(self._say):
            while True:
                with _keys(), self._console.screen(hide_cursor=True) as page:
                    last = self._show_until_signal(page, woken)
                if last is None:
                    return
                with _default(last):
                    os.kill(os.getpid(), last)  # after SIGTSTP, this returns when the process is continued

    def _say(self, text: str) -> None:
        self._note = text

    def _show_until_signal(self, page: Any, woken: int) -> int | None:
        """The signal that came; None when a key ended it."""
        while True:
            self._take()
            if self._seen is not None:
                width, height = self._console.size
                note = self._old(self._seen) + self._note
                page.update(screen(self._seen, self._shown, self._history, note, self._wish, width, height))
            if self._key_ends(woken):
                return None
            while self._signals:
                if (number := self._signals.pop(0)) != signal.SIGWINCH:
                    return number

    def _old(self, seen: Seen) -> str:
        age = time.monotonic() - seen.at
        return f"Read {duration(round(age))} ago. " if age > max(2 * self._wish.interval, MAX_AGE_SECONDS) else ""

    def _take(self) -> None:
        with suppress(queue.Empty):
            while True:
                outcome = self._outcomes.get_nowait()
                if isinstance(outcome, Temporary):
                    self._note = outcome.message
                elif isinstance(outcome, DmcheckError):
                    raise outcome
                else:
                    self._history.add(outcome)
                    self._seen, self._shown, self._note = outcome, self._chosen(outcome.clients), ""

    def _key_ends(self, woken: int) -> bool:
        """Wait for a key, a signal or LOOK_SECONDS; whether it was a key that ends this."""
        keys = [sys.stdin.fileno()] if sys.stdin.isatty() else []
        ready = select.select([woken, *keys], [], [], LOOK_SECONDS)[0]
        if woken in ready:
            os.read(woken, MAX_KEY)
        if not set(keys) & set(ready):
            return False
        typed = os.read(keys[0], MAX_KEY)
        return not typed or b"q" in typed.lower()


@contextmanager
def _keys() -> Iterator[None]:
    """Keys come one by one, and are not shown."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


@contextmanager
def _signals_to(come: list[int]) -> Iterator[int]:
    """While the block runs, the signals of NOTICED are appended to `come`; yields a file that each makes readable."""
    woken, notice = os.pipe()
    os.set_blocking(notice, False)
    before = {one: signal.getsignal(one) for one in NOTICED if signal.getsignal(one) is not signal.SIG_IGN}
    old = signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
    for one in before:
        signal.signal(one, lambda number, _: come.append(number))
    try:
        yield woken
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(old)
        os.close(woken)
        os.close(notice)


@contextmanager
def _default(number: int) -> Iterator[None]:
    """While the block runs, the signal does what it does to any process."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)
