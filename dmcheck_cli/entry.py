"""How every program of ours begins and ends: errors become a message and the documented exit status, in one place."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import click
import typer

from dmcheck_cli import show
from dmcheck_cli.errors import DmcheckError, Temporary, Usage
from dmcheck_cli.show import Format

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Shape = Annotated[Format, typer.Option("--format", help="How to print the result.", case_sensitive=False)]


class OutputLost(Temporary):
    """The result could not be written ({what}), but the command has taken effect. Leases can be had again with
    `dmcheck fetch --resume`."""

    code = "output_lost"


def run(app: typer.Typer) -> NoReturn:
    """Run the program and end the process with its exit status."""
    as_json = _asks_for_json(sys.argv[1:])
    try:
        status = _status(app, as_json)
        sys.stdout.flush()
    except OSError as error:
        status = _failed(OutputLost(what=error.strerror or error), as_json)
        # What is left in the buffer cannot be written; the interpreter must not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


def _status(app: typer.Typer, as_json: bool) -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except DmcheckError as problem:
        return _failed(problem, as_json)
    except click.exceptions.NoArgsIsHelpError as asked:
        sys.stderr.write(asked.format_message() + "\n")
        return Usage.exit_status
    except click.ClickException as wrong:
        return _failed(Usage(what=wrong.format_message()), as_json)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130  # what shells report for a program that was interrupted


def _failed(problem: DmcheckError, as_json: bool) -> int:
    try:
        show.error(problem, as_json)
    except OSError:
        pass  # nobody reads stderr; the exit status still tells
    return problem.exit_status


def _asks_for_json(arguments: list[str]) -> bool:
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours or "--format=json" in ours or ("--format", "json") in zip(ours, ours[1:], strict=False)
