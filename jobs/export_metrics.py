"""Writes metrics for Prometheus into a textfile."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dmcheck_cli import __version__, entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.errors import PASSING, DmcheckError, Usage
from dmcheck_cli.notices import warn
from dmcheck_cli.reporting.metrics import Facts, Page, page
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, jobs
from dmcheck_cli.transactions.stats import stats
from dmcheck_cli.wholefile import beside, place
from jobs.options import DryRun, app, summary

MODE = 0o644
"""Of the file: node_exporter reads it, with another account."""

program = app()


@program.command(epilog="Example: dmcheck-export-metrics --output /var/lib/dmcheck/metrics/dmcheck.prom")
def export_metrics(
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where to; it is replaced once it is whole (*.prom).")
    ],
    dry_run: DryRun = False,
    as_json: Json = False,
    version: Version = False,
    log_format: Log = LogFormat.text,
) -> None:
    """Write metrics for Prometheus into FILE, which node_exporter's textfile collector reads."""
    with Database(Settings.load(), "export_metrics") as database:
        made = run(database, None if dry_run else output)
    summary("export_metrics", {"metrics": made.metrics, "samples": made.samples}, dry_run, as_json)


def run(database: Database, output: Path | None) -> Page:
    """One run of the job; without `output` nothing is written. Raises Usage when that cannot be written."""
    made = page(_read(database))
    if output is not None:
        write(output, made.text)
        try:
            buckets.finish(database, jobs.METRICS)
        except DmcheckError as problem:  # the file is there, and tells its age itself
            warn(f"That this ran could not be recorded: {problem.message}")
    return made


def write(output: Path, text: bytes) -> None:
    """Put `text` in the place of the file, whole or not at all.

    Raises Usage when it cannot be written, Temporary while another process writes it, OSError when there is no room.
    """
    try:
        target = place(output)
        with beside(target) as aside:
            with open(aside, "wb") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), MODE)
                os.fsync(file.fileno())
            os.replace(aside, target)
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise Usage(what=f"{str(output)!a} cannot be written: {error.strerror}") from error


def _read(database: Database) -> Facts:
    began = time.monotonic()
    clients, system = stats(database)
    records, started = jobs.records(database), jobs.started(database)
    seconds = time.monotonic() - began
    return Facts(__version__, clients, system, records, started, seconds)


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
