"""`dmcheck work`."""

from __future__ import annotations

import math
import shutil
import sys
from typing import Annotated, Any

import typer

from dmcheck_cli import cypher
from dmcheck_cli.commands.options import ClientId, client_of
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import DmcheckError, Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.service import Direct
from dmcheck_cli.settings import MAX_SECONDS, Settings

CONTEXT: dict[str, Any] = {"allow_interspersed_args": False}
"""What follows COMMAND belongs to it."""

MAX_JOBS = DEFAULTS.max_capacity // 2
"""Each job holds two buckets: one at work, one that waits."""


def work(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND ...", help="The checker, with its arguments.")],
    client: ClientId = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when no bucket waits, instead of waiting for more.")
    ] = False,
    max_buckets: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after so many buckets.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=MAX_JOBS, metavar="N", help="COMMANDs that run at once.")] = 1,
    command_timeout: Annotated[
        float,
        typer.Option(min=0.1, max=MAX_SECONDS, metavar="SECONDS", help="End a COMMAND that answers nothing so long."),
    ] = 3600,
    kill_after: Annotated[
        float,
        typer.Option(min=0, max=3600, metavar="SECONDS", help="From SIGTERM to SIGKILL, where one must be ended."),
    ] = 5,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> int:
    """Work by itself: lease buckets, have COMMAND check their users, hand in the answers, until it is stopped.

    COMMAND is started anew for each bucket. It reads users from its stdin, one JSON object a line ("screen_name",
    "id"), until the end, and writes them to its stdout with "candm": "DM", "NON_DM" or "UNKNOWN" put on each.
    """
    from dmcheck_cli.worker import progress, signals
    from dmcheck_cli.worker.loop import Limits, Loop
    from dmcheck_cli.worker.pool import Pool

    settings = Settings.load()
    who = client_of(client, settings)
    if shutil.which(command[0]) is None:
        raise Usage(what=f"COMMAND cannot be run: there is no program {command[0]}")
    if math.isnan(command_timeout) or math.isnan(kill_after):
        raise Usage(what="SECONDS is a number")
    pool = Pool(command, jobs, command_timeout, kill_after)
    cypher.load()
    service = Direct(settings, who, "work")
    loop = Loop(service, who, pool, Limits(jobs, once, max_buckets or math.inf), settings.timeout_seconds)

    def end_at_once() -> None:
        pool.kill()
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # the live line hides the cursor
            sys.stderr.flush()

    problem: DmcheckError | None = None
    with signals.stop_signals(loop.stop, end_at_once), progress.live_status(loop.state) as say:
        try:
            loop.run(say)
        except DmcheckError as error:
            problem = error
    summary = loop.summary
    done = Table(
        "Work done",
        ("client", "buckets", "users", "failures"),
        [(who, summary.buckets, summary.users, summary.trouble())],
    )
    show.results(as_json, format, lambda: summary.document(who), done)
    if problem is not None:
        raise problem
    return 0
