"""How every program of ours begins and ends: errors become a message and the documented exit status, in one place."""

from __future__ import annotations

import gc
import os
import sys
from itertools import pairwise
from typing import Annotated, NoReturn

import typer

from dmcheck_cli import show
from dmcheck_cli.errors import DmcheckError, OutputLost, SystemRefused, Usage
from dmcheck_cli.show import Format

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Shape = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(Format)}.", case_sensitive=False),
]


# Typer carries a click of its own from 0.26 on; this is whichever it uses.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(app: typer.Typer) -> NoReturn:
    """Run the program and end the process with its exit status."""
    # A command lives for a moment: looking for garbage while it starts cost 5 % of it, tearing the interpreter down
    # at its end another 10 % (DECISIONS.md). Long jobs still collect, only less often.
    gc.set_threshold(100_000)
    as_json = _asks_for_json(sys.argv[1:])
    status = _status(app, as_json)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as problem:
        status = status or _failed(OutputLost(what=problem.strerror), as_json)  # told before, if there was an error
    os._exit(status)


def _status(app: typer.Typer, as_json: bool) -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except DmcheckError as problem:
        return _failed(problem, as_json)
    except _UsageError as wrong:
        what = wrong.format_message()  # type: ignore[attr-defined]
        # Without arguments a program shows its help, which is all there is to say.
        return _failed(Usage(what=what), as_json) if what else Usage.exit_status
    except OSError as error:
        return _failed(SystemRefused(what=error), as_json)
    except (typer.Abort, KeyboardInterrupt):
        return 130  # what shells report for a program that was interrupted


def _failed(problem: DmcheckError, as_json: bool) -> int:
    try:
        show.error(problem, as_json)
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads stderr; the exit status still tells
    return problem.exit_status


def _asks_for_json(arguments: list[str]) -> bool:
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours or "--format=json" in ours or ("--format", "json") in pairwise(ours)
