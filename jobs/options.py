"""What the jobs' command lines and summaries share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dmcheck_cli import notices
from dmcheck_cli.entry import Program
from dmcheck_cli.reporting import show

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def app() -> Program:
    """An empty program for one job."""
    return Program(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def all_batches(step: Callable[[], int]) -> int:
    """Call `step`, which handles one batch in one transaction, until it finds nothing; returns how much it handled."""
    total = 0
    while handled := step():
        total += handled
    return total


def tell(event: str, text: str, **known: Any) -> None:
    """Write a line that only a log of JSON lines has."""
    if notices.records():
        show.message(notices.Event(text, event, **known))


def summary(job: str, counts: dict[str, int], dry_run: bool, as_json: bool, reason: str | None = None) -> None:
    """Print a job's summary line, with the time for a log, or one JSON document; `reason`: why it did nothing, if there
    is one to say."""
    if notices.logs():
        text = f"{job}: {', '.join(f'{name} {count}' for name, count in counts.items())}"
        known: dict[str, Any] = {"job": job, "dry_run": dry_run, "reason": reason, **counts}
        show.message(notices.Event(text, "finished", **known))
    if as_json:
        show.document(counts if reason is None else {**counts, "reason": reason})
    else:
        what = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        why = "" if reason is None else f" ({reason.replace('_', ' ')})"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        show.line(f"{now} {job}{' (dry run)' if dry_run else ''}: {what}{why}")
