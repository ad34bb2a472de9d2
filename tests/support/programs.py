"""Our programs as processes: how their command lines begin, and how they ended."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

OURS = ("NEO4J_", "DMCHECK_")
MODULES = {
    "dmcheck": "dmcheck_cli.cli",
    "make_buckets": "jobs.make_buckets",
    "reclaim_leases": "jobs.reclaim_leases",
    "raise_starved": "jobs.raise_starved",
    "judge_clients": "jobs.judge_clients",
}


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error on stderr, of a command that ran with --json."""
        whole = json.loads(self.err.splitlines()[-1])
        assert list(whole) == ["error"]
        assert list(whole["error"]) == ["code", "message", "retry_after"]
        return dict(whole["error"])


def launcher(program: str) -> list[str]:
    """The start of a command line that runs one of our programs with this Python."""
    return [sys.executable, "-c", f"from {MODULES[program]} import main; main()"]
