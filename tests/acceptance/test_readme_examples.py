"""README's paths, typed as they are printed, in their order, on an empty database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.graphs import MAX_WAIT_SECONDS
from support.invariants import Query

from dmcheck_cli.database.connection import Database

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.process


def lines(title: str) -> list[str]:
    """The shell lines under a heading of README."""
    _, _, rest = (ROOT / "README.md").read_text("utf-8").partition(f"## {title}\n")
    block = re.search(r"^```sh\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE)
    assert block
    return block[1].splitlines()


def test_the_operators_path(environment: dict[str, str], database: Database, query: Query) -> None:
    """Every line succeeds, and users are checked in the end."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    install, *rest = lines("For operators")
    assert install.startswith("pip install ")
    printed: dict[str, str] = {}
    for line in rest:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=ROOT,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        printed[line] = done.stdout
    exported = [json.loads(one) for one in printed["dmcheck users export --answer DM"].splitlines()]
    assert {one["answer"] for one in exported} == {"DM"}
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN count(r) > 0 AS some") == [{"some": True}]
