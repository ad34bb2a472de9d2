"""Whatever is killed, wherever: nothing is half done, nothing acknowledged is lost, everything can go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs import kills

from dmcheck_cli.database.connection import Database


def test_a_client_killed_at_any_network_call_leaves_all_or_nothing_and_may_repeat(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    """fetch, submit and make_buckets, killed on either side of their network calls: the graph is as before or as
    after; repeated, they say and leave what they do when nothing happens."""
    if (reason := kills.without_strace()) is not None:
        pytest.skip(reason)
    kills.at_each_call(database, environment, kills.SCENARIOS[:3], tmp_path, most=8).check()


def test_a_server_killed_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Volunteers work while the embedded server is killed twice; the next command starts it again. The history
    of what they were told agrees with the graph, and work goes on."""
    for part in ("home", "history"):
        (tmp_path / part).mkdir()
    kills.of_the_server(tmp_path / "home", tmp_path / "history", 2).check()
