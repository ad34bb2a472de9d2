"""`dmcheck work`."""

from __future__ import annotations

import math
import os
import select
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmcheck_cli import cypher
from dmcheck_cli.commands.options import ClientId, client_of, given_file
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.userlist import UserList
from dmcheck_cli.entry import Json, Log, LogFormat, Shape, lasts
from dmcheck_cli.errors import CommandFailed, DmcheckError, OutputLost, Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.service import connect
from dmcheck_cli.settings import MAX_SECONDS, Settings, outside

if TYPE_CHECKING:
    from dmcheck_cli.worker.guard import Guard
    from dmcheck_cli.worker.keeping import AnswerFile
    from dmcheck_cli.worker.loop import Loop
    from dmcheck_cli.worker.pool import Pool
    from dmcheck_cli.worker.summary import Summary

CONTEXT: dict[str, Any] = {"allow_interspersed_args": False}
"""What follows COMMAND belongs to it."""

MAX_JOBS = DEFAULTS.max_capacity // 2
"""Each job holds up to two buckets: one at work, and the next when that one is nearly done."""

SECONDS_TO_PRINT = 5.0
"""For stdout to take the summary, which fits into any pipe that is read now and then."""


Command = Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND ...", help="The checker, with its arguments.")]
Once = Annotated[bool, typer.Option("--once", help="End when no bucket waits, instead of waiting for more.")]
MaxBuckets = Annotated[int | None, typer.Option(min=1, metavar="N", help="End after so many buckets.")]
Jobs = Annotated[int, typer.Option(min=1, max=MAX_JOBS, metavar="N", help="COMMANDs that run at once.")]
CommandTimeout = Annotated[
    float,
    typer.Option(min=0.1, max=MAX_SECONDS, metavar="SECONDS", help="End a COMMAND that answers nothing so long."),
]
KillAfter = Annotated[
    float, typer.Option(min=0, max=3600, metavar="SECONDS", help="From SIGTERM to SIGKILL, where one must be ended.")
]
Pending = Annotated[
    bool, typer.Option("--pending", help="Show how many answers are kept on this machine, and where; do nothing.")
]
Trial = Annotated[
    str | None,
    typer.Option(
        "--try", metavar="FILE", help="Run COMMAND on a file of users (- is stdin), and show what it would submit."
    ),
]


def work(
    command: Command = None,
    client: ClientId = None,
    once: Once = False,
    max_buckets: MaxBuckets = None,
    jobs: Jobs = 1,
    command_timeout: CommandTimeout = 3600,
    kill_after: KillAfter = 5,
    pending: Pending = False,
    trial: Trial = None,
    as_json: Json = False,
    format: Shape = Format.auto,
    log_format: Log = LogFormat.text,
) -> int:
    """Work by itself: lease buckets, have COMMAND check their users, hand in the answers, until it is stopped.

    A new COMMAND is started for each bucket. It reads users from its stdin, one JSON object a line ("screen_name",
    "id"), until the end, and writes them to its stdout with "candm": "DM", "NON_DM" or "UNKNOWN" put on each. Its
    exit status 75 means later.
    """
    settings = Settings.load()
    if trial is not None:
        _try(trial, _checked(command), settings.bucket_size, command_timeout, kill_after, as_json, format)
        return 0
    who = client_of(client, settings)
    if pending:
        _show_kept(who, as_json, format)
        return 0
    command = _checked(command)
    if math.isnan(command_timeout) or math.isnan(kill_after):
        raise Usage(what="SECONDS is a number")

    from dmcheck_cli.embedded.folders import state_folder
    from dmcheck_cli.worker.guard import Guard
    from dmcheck_cli.worker.keeping import AnswerFile
    from dmcheck_cli.worker.loop import Limits, Loop
    from dmcheck_cli.worker.pool import Pool

    lasts()
    if settings.gate is None:
        cypher.load()
    service = connect(settings, who, "work")
    file = AnswerFile(state_folder(), who, service.place)
    file.open()
    guard = Guard(outside())
    pool = Pool(command, jobs, command_timeout, kill_after, environment=guard.environment)
    loop = Loop(service, who, pool, file, Limits(jobs, once, max_buckets or math.inf), settings.timeout_seconds)
    _run(loop, pool, file, guard, lambda: _show_summary(loop.summary, who, as_json, format))
    return 0


def _run(loop: Loop, pool: Pool, file: AnswerFile, guard: Guard, ended: Callable[[], None]) -> None:
    """Run the loop until its end or a signal; then call `ended`, also if it failed. Raises why it failed.

    Signals are handled until `ended` returns: the second one of a kind ends all at once.
    """
    from dmcheck_cli.worker import progress, signals

    teller = progress.Teller(loop.state)

    def end_at_once() -> None:
        pool.kill()
        teller.abandon(file.told())

    problem: DmcheckError | None = None
    with signals.stop_signals(loop.stop, end_at_once, loop.continued):
        try:
            loop.run(teller.say)
        except DmcheckError as error:
            problem = error
        finally:
            guard.close()
            if kept_answers := file.told():
                teller.say(kept_answers)
            if not teller.close():
                sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - nobody takes what is written there
            file.close()
        ended()
    if problem is not None:
        raise problem


def _show_summary(summary: Summary, client: int, as_json: bool, format: Format) -> None:
    heads = ("client", "buckets", "users", "failures")
    done = Table("Work done", heads, [(client, summary.buckets, summary.users, summary.trouble())])
    _wait_for_stdout()
    show.results(as_json, format, lambda: summary.document(client), done)


def _show_kept(client: int, as_json: bool, format: Format) -> None:
    from dmcheck_cli.embedded.folders import state_folder
    from dmcheck_cli.worker import keeping

    path, answers = keeping.pending(state_folder(), client)
    kept = {"client": client, "answers": answers, "file": str(path)}
    show.results(as_json, format, lambda: kept, Table("Kept answers", tuple(kept), [tuple(kept.values())]))


def _checked(command: list[str] | None) -> list[str]:
    if not command:
        raise Usage(what="Missing argument '-- COMMAND ...'")
    if shutil.which(command[0]) is None:
        raise Usage(what=f"COMMAND cannot be run: there is no program {command[0]}")
    return command


def _try(
    file: str, command: list[str], size: int, timeout: float, kill_after: float, as_json: bool, format: Format
) -> None:
    """Run COMMAND on a file of users. Raises CommandFailed with the first problem."""
    from dmcheck_cli.worker import trial

    with given_file(file, "the list") as source:
        given = UserList(source)
        users = list({user.screen_name.lower(): user for user in given}.values())
    for note in given.notes():
        show.message(note)
    done = trial.run(command, users, size, timeout, kill_after)
    document = done.document()
    show.results(
        as_json,
        format,
        lambda: document,
        Table("Answers", ("screen name", "answer"), [(user.screen_name, answer) for user, answer in done.users]),
        Table("Counts", tuple(document["answers"]), [tuple(document["answers"].values())]),
    )
    if done.problems:
        raise CommandFailed(what="; ".join(done.problems))


def _wait_for_stdout() -> None:
    """Return once stdout takes something; raises OutputLost when it is held up."""
    with suppress(OSError, ValueError):  # it is closed, or no file: writing tells
        if not select.select([], [sys.stdout.fileno()], [], SECONDS_TO_PRINT)[1]:
            raise OutputLost(what="nobody takes it")
