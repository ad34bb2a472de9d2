"""Calls a program of ours within the test's own process: all of its path from the arguments to the exit status.

It takes a tenth of the time of a real process, so a table of bad arguments can be long. Every class of outcome is
shown with real processes as well.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

MODULES = {
    "dmcheck": "dmcheck_cli.cli",
    "make_buckets": "jobs.make_buckets",
    "reclaim_leases": "jobs.reclaim_leases",
    "raise_starved": "jobs.raise_starved",
}


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error on stderr, of a call with --json."""
        whole = json.loads(self.err.splitlines()[-1])
        assert list(whole) == ["error"]
        assert list(whole["error"]) == ["code", "message", "retry_after"]
        return dict(whole["error"])


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
) -> Outcome:
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
    return Outcome(status, out.getvalue(), err.getvalue())
