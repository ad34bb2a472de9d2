"""The loop that volunteers run, as it is run: many of them, killed at random, on a database that goes down."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs import drain


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a connection that hung is not waited for
def test_loops_answer_every_user_once_through_kills_and_a_restart(tmp_path: Path) -> None:
    """Five loops, two kills, one orderly restart of the embedded database: each user has one answer, which the
    checker of that very client gave; counters, leases and what the loops tell agree; nothing is held; all end well."""
    drain.of_the_loops(tmp_path, loops=5, users_to_check=300, kills=2, restarts=1, lease_seconds=4).check()
