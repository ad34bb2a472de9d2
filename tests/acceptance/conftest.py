"""What the acceptance tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.in_process import call
from support.programs import Result

from dmcheck_cli.database.connection import Database


@pytest.fixture
def direct(database: Database, environment: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    """Calls `dmcheck` (or a job, by `program`) within this process; variables that are None are taken away."""

    def command(
        *arguments: object, program: str = "dmcheck", stdin: str | bytes = b"", **variables: str | None
    ) -> Result:
        merged = {**environment, **variables}
        kept = {name: value for name, value in merged.items() if value is not None}
        return call(arguments, kept, tmp_path, program, stdin)

    return command
