"""The busy processes of `scripts/test.py --busy` compute beside the tests, and never outlive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.graphs import wait_until

from dmcheck_cli.embedded import process

SCRIPTS = Path(__file__).parents[2] / "scripts"

HOLD = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import test
with test.busy(2):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["leaves", "is interrupted", "is killed"])
def test_they_end_with_whoever_started_them(end: str) -> None:
    """However that one ends."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        computing = psutil.Process(holder.pid).children()
        wait_until(lambda: all(one.cpu_times().user > 0.1 for one in computing))
        assert len(computing) == 2
        if end == "leaves":
            holder.stdin.close()
        elif end == "is interrupted":
            holder.send_signal(2)
        else:
            holder.kill()
        wait_until(lambda: not any(process.identity(one.pid) for one in computing))


@pytest.mark.parametrize("count", ["-1", "65", "many"])
def test_their_number_is_bounded(count: str) -> None:
    """Else it is wrong usage, before anything is installed or started."""
    command = [sys.executable, str(SCRIPTS / "test.py"), "--busy", count]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
