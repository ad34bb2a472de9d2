"""Calls a program of ours within the test's own process: all of its path from the arguments to the exit status.

It takes a tenth of the time of a real process, so a table of bad arguments can be long. Every class of outcome is
shown with real processes as well.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import typer

from dmcheck_cli import entry
from support.programs import MODULES, Result


def call(
    arguments: tuple[object, ...],
    environment: Mapping[str, str],
    folder: Path,
    program: str = "dmcheck",
    stdin: str | bytes = b"",
) -> Result:
    """Run `program` with these arguments, variables and stdin, in `folder`."""
    given = io.TextIOWrapper(io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin))
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", [program]),  # its name in a usage line
        mock.patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = entry.run(_built(program), [str(one) for one in arguments])
    return Result(status, out.getvalue(), err.getvalue())


@cache
def _built(program: str) -> Any:
    """The program with its commands and options put together, which takes Typer 25 ms, longer than most calls."""
    module = importlib.import_module(MODULES[program])
    return typer.main.get_command(module.app if program == "dmcheck" else module.program)
