"""What runs out is said plainly, loses nothing that was acknowledged, and work goes on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs import resources
from proofs.kills import SCENARIOS

from dmcheck_cli.database.connection import Database


def test_a_full_disk_under_the_database_loses_nothing_and_passes(tmp_path: Path) -> None:
    """Commands on a full disk end with 75 or 4, without a traceback; all that was acknowledged is there when there is
    room again, and the same commands then succeed."""
    if (reason := resources.without_mount(tmp_path)) is not None:
        pytest.skip(reason)
    resources.full_disk(tmp_path).check()


def test_output_that_nobody_takes_is_an_error_and_the_command_may_be_repeated(
    database: Database, environment: dict[str, str]
) -> None:
    """fetch, submit and make_buckets with stdout on a full disk or a closed pipe: 75, no traceback, and repeated they
    say and leave what they should."""
    resources.lost_output(database, environment, SCENARIOS[:3]).check()


def test_a_long_list_is_streamed_and_can_be_resumed_by_repeating(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    """50,000 names, killed in the middle: repeated, exactly the missing ones are added; again, none; the client's
    memory is bounded."""
    resources.long_list(database, environment, tmp_path, 50_000).check()
