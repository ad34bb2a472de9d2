"""Our programs as processes: how their command lines begin, and how they ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmcheck_cli.settings import Settings

OURS = ("NEO4J_", "DMCHECK_")
JAVA_OPTIONS = "DMCHECK_JAVA_OPTIONS"
LINE = "DMCHECK_BUCKETS_PER_CLIENT"
UNJUDGED = "DMCHECK_MAX_UNJUDGED"
BUCKETS_PER_CLIENT = 20
"""Buckets that wait for each client in the tests, unless they are about that."""
PLAIN = {"buckets_per_client": BUCKETS_PER_CLIENT, "max_unjudged": 0}
"""Settings of tests and proofs that are not about trust: the line has a fixed length, and nobody waits to be judged."""

JOBS = ("make_buckets", "reclaim_leases", "raise_starved", "judge_clients")
METRICS = "export_metrics"
"""The one job that is told something: where to write."""
MODULES = {"dmcheck": "dmcheck_cli.cli", **{job: f"jobs.{job}" for job in (*JOBS, METRICS)}}
PROGRAMS = {name if name == "dmcheck" else f"dmcheck-{name.replace('_', '-')}": MODULES[name] for name in MODULES}
"""What is installed, and the module with its `main`."""


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


def outside(*kept: str) -> dict[str, str]:
    """This process's environment without our settings, except those `kept`, the options for Java, and PLAIN."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((*OURS, "XDG_STATE_HOME")) or name in (JAVA_OPTIONS, LINE, UNJUDGED, *kept)
    }


def at_home(home: Path, **more: Any) -> Settings:
    """Settings that lead to the embedded database in a folder, with the same options for Java."""
    return Settings(home=str(home), java_options=os.environ.get(JAVA_OPTIONS), **{**PLAIN, **more})


def plainly() -> None:
    """Programs that this process starts have PLAIN, and do not ignore signals.

    What is ignored here is ignored by them: in the background of a shell, under nohup.
    """
    os.environ.setdefault(LINE, str(BUCKETS_PER_CLIENT))
    os.environ.setdefault(UNJUDGED, "0")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for one in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(one) is signal.SIG_IGN:
            signal.signal(one, signal.SIG_DFL)


def launcher(program: str) -> list[str]:
    """The start of a command line that runs one of our programs with this Python."""
    return [sys.executable, "-c", f"from {MODULES[program]} import main; main()"]
