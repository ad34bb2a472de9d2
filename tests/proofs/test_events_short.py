"""Random events on a volunteer's machine: no look-up is lost or made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs import events

from dmcheck_cli.database.connection import Database


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the ends of a way that was cut
def test_no_look_up_is_lost_or_made_twice(database: Database, tmp_path: Path) -> None:
    """40 buckets, 12 events: every user is answered, and asked for once but for the lines in flight at a kill."""
    events.of_one_machine(database.settings, tmp_path, buckets=40, events=12).check()
