"""The newest Neo4j runs as well; a graph is not opened by an older one, nor unasked by the next release."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from homes import MAX_WAIT_SECONDS, PROJECT, Query, environment, kill

from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.administration import administer
from dmcheck_cli.embedded.parts import jars
from dmcheck_cli.embedded.progress import Progress
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

NEWEST = "2026.08.1"


def test_the_newest_release_runs_and_its_graph_is_closed_to_the_older(settings: Settings, query: Query) -> None:
    """It is asked for by its version; after it, the default version is refused."""
    folder = jars(Settings.load(), NEWEST, Progress(shown=False))[0].parent
    newest = replace(settings, jars_folder=str(folder))
    found = server.ensure_running(newest, version=NEWEST, progress=False)
    [component] = query(
        found, "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions"
    )
    assert component["versions"] == [NEWEST] == [found.version]
    server.stop(newest)
    with pytest.raises(NotConfigured, match=rf"{NEWEST}; 5\.26\.30, which is older"):
        server.ensure_running(settings, progress=False)
    assert server.status(settings)["version"] == NEWEST


@pytest.mark.parametrize(
    ("made_by", "version", "upgrade", "allowed"),
    [
        ("5.26.30", "5.26.30", False, True),
        ("5.26.30", "5.26.31", False, True),
        ("5.26.31", "5.26.30", True, False),
        ("5.26.30", "2026.08.1", False, False),
        ("5.26.30", "2026.08.1", True, True),
        ("2026.08.1", "5.26.30", True, False),
    ],
)
def test_which_version_opens_which_graph(
    tmp_path: Path, made_by: str, version: str, upgrade: bool, allowed: bool
) -> None:
    """The same or a later patch does; another release only when it is asked for; an older one never."""
    store = Store(tmp_path)
    store.prepare(made_by, upgrade=False)
    store.finish(made_by)
    if allowed:
        store.prepare(version, upgrade=upgrade)
    else:
        with pytest.raises(NotConfigured, match=made_by):
            store.prepare(version, upgrade=upgrade)
    assert store.version() == (version if allowed else made_by)


def test_a_dump_moves_the_graph(settings: Settings, tmp_path: Path, query: Query) -> None:
    """The script dumps it, of a killed server too; loaded elsewhere, it is there; a dump is not overwritten."""
    found = server.ensure_running(settings, progress=False)
    query(found, "CREATE (:Moved {n: 42})")
    kill(settings)

    script = [sys.executable, str(PROJECT / "scripts" / "dump_embedded.py"), str(tmp_path / "dumps")]
    outside = environment(settings)
    subprocess.run(script, env=outside, check=True, timeout=MAX_WAIT_SECONDS)

    dumped = tmp_path / "dumps" / "neo4j.dump"
    assert dumped.stat().st_mode & 0o077 == 0
    again = subprocess.run(script, env=outside, check=False, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS)
    assert (again.returncode, again.stdout) == (4, "")
    assert str(dumped) in again.stderr

    other = replace(settings, home=str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    store = Store(tmp_path / "other")
    store.prepare(found.version, upgrade=False)
    store.finish(found.version)
    administer(other, "database", "load", "neo4j", f"--from-path={dumped.parent}")
    try:
        moved = server.ensure_running(other, progress=False)
        assert query(moved, "MATCH (m:Moved) RETURN m.n AS n")[0]["n"] == 42
    finally:
        server.stop(other)


def test_there_is_nothing_to_dump_before_the_first_start(settings: Settings) -> None:
    """And none is made for it."""
    with pytest.raises(NotConfigured, match="no graph"):
        administer(settings, "database", "dump", "neo4j")
    assert not Path(str(settings.home)).exists()
