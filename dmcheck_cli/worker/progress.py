"""Tells a person, on stderr, how the work goes: one live line on a terminal, a plain line for each event elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dmcheck_cli import show

UPDATES_PER_SECOND = 2


@contextmanager
def telling(state: Callable[[], str]) -> Iterator[Callable[[str], None]]:
    """Yields what to call with each event; on a terminal, `state()` is shown and kept up to date beneath."""
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)

    def line() -> Text:
        return Text(state(), no_wrap=True, overflow="ellipsis")

    with Live(
        get_renderable=line,
        console=console,
        refresh_per_second=UPDATES_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield lambda text: console.print(Text(text))


def _plain(text: str) -> None:
    # Nobody may be reading it any more: no reason to stop the work.
    with contextlib.suppress(OSError):
        show.message(text)
        sys.stderr.flush()
