"""Reports progress to people, on stderr: one live line on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dmcheck_cli.reporting import show
from dmcheck_cli.worker.pool import HeldLease
from dmcheck_cli.worker.summary import Summary

UPDATES_PER_SECOND = 2


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


@contextmanager
def live_status(state: Callable[[], str]) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with each event; on a terminal, `state()` is shown below and kept up to date."""
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)

    def live() -> Text:
        return Text(state(), no_wrap=True, overflow="ellipsis")

    with Live(
        get_renderable=live,
        console=console,
        refresh_per_second=UPDATES_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield lambda text: console.print(Text(text))


def _plain(text: str) -> None:
    # The reader of stderr may be gone; that is no reason to stop the work.
    with contextlib.suppress(OSError):
        show.message(text)
        sys.stderr.flush()
