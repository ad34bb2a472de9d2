"""Calls a program of ours within the test's own process: all of its path from the arguments to the exit status.

It takes a tenth of the time of a real process, so a table of bad arguments can be long. Every class of outcome is
shown with real processes as well.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from launching import MODULES, Result


class _Ended(BaseException):
    """Stands for the end of the process."""

    def __init__(self, status: int) -> None:
        self.status = status


def _end(status: int) -> None:
    raise _Ended(status)


def call(
    arguments: tuple[object, ...],
    environment: Mapping[str, str],
    folder: Path,
    program: str = "dmcheck",
    stdin: str | bytes = b"",
) -> Result:
    """Run `program` with these arguments, variables and stdin, in `folder`."""
    main = importlib.import_module(MODULES[program]).main
    given = io.TextIOWrapper(io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin))
    out, err, threshold, status = io.StringIO(), io.StringIO(), gc.get_threshold(), None
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", [program, *map(str, arguments)]),
        mock.patch.object(sys, "stdin", given),
        mock.patch.object(os, "_exit", _end),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except _Ended as ended:
            status = ended.status
        finally:
            gc.set_threshold(*threshold)
    assert status is not None, "a program ends by an exit status"
    return Result(status, out.getvalue(), err.getvalue())
