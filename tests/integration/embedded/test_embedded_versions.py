"""The newest Neo4j runs as well; a graph is not opened by an older one, nor unasked by the next release."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from homes import MAX_WAIT_SECONDS, Query, environment, kill, processes
from support.programs import JOBS, launcher

from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.administration import administer
from dmcheck_cli.embedded.parts import jars
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.notices import Progress
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


def dmcheck(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on that home."""
    line = [*launcher("dmcheck"), *arguments]
    return subprocess.run(
        line, env=environment(settings), check=False, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS
    )


def test_a_dump_moves_the_graph(settings: Settings, tmp_path: Path, query: Query) -> None:
    """It is dumped, of a killed server too, and loaded elsewhere: there it is sound and goes on working. What has users
    is replaced only when told to, and stays when the dump is none."""
    assert dmcheck(settings, "register", "--id", "1", "--screen-name", "one").returncode == 0
    listed = tmp_path / "users.csv"
    listed.write_text("username\nalice\nbob\n")
    assert dmcheck(settings, "users", "add", str(listed)).returncode == 0
    kill(settings)
    file = tmp_path / "my.dump"
    (tmp_path / ".my.dump.part").mkdir()
    (tmp_path / ".my.dump.part" / "neo4j.dump").write_text("what a killed one left")
    file.write_text("an older one")
    done = dmcheck(settings, "server", "dump", str(file), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"file": str(file), "bytes": file.stat().st_size})
    assert file.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir()} == {"home", "users.csv", "my.dump"}

    other = replace(settings, home=str(tmp_path / "other"))
    try:
        assert dmcheck(other, "users", "add", str(listed)).returncode == 0
        assert dmcheck(other, "users", "delete", "bob").returncode == 0
        refused = dmcheck(other, "server", "load", str(file))
        assert (refused.returncode, "--replace" in refused.stderr) == (2, True)
        no_dump = tmp_path / "none.dump"
        for content, said in ((b"x" * 10_000, "it is no dump"), (file.read_bytes()[:-9], "it is cut short or damaged")):
            no_dump.write_bytes(content)
            refused = dmcheck(other, "server", "load", str(no_dump), "--replace")
            assert (refused.returncode, said in refused.stderr) == (2, True)
        assert dmcheck(other, "server", "load", str(tmp_path / "missing"), "--replace").returncode == 2
        assert json.loads(dmcheck(other, "stats", "--json").stdout)["system"]["users_total"] == 1
        assert dmcheck(other, "server", "load", str(file), "--replace").returncode == 0
        assert dmcheck(other, "users", "pending").stdout.split()[-4::2] == ["alice", "bob"]
        assert not (Path(str(other.home)) / "loading").exists()
        for job in JOBS:
            assert subprocess.run([*launcher(job)], env=environment(other), check=False).returncode == 0
        assert dmcheck(other, "doctor", "--deep").returncode == 0
        assert len(json.loads(dmcheck(other, "fetch", "--client", "1", "--json").stdout)["buckets"][0]["users"]) == 2
    finally:
        server.stop(other)


@pytest.mark.parametrize("renamed", [False, True])
def test_a_load_that_was_killed_leaves_the_old_graph(settings: Settings, query: Query, renamed: bool) -> None:
    """Before, and between its two renames."""
    query(server.ensure_running(settings, progress=False), "CREATE (:Old)")
    kill(settings)
    home = Path(str(settings.home))
    Store(home).copy_empty(home / "loading")
    if renamed:
        (home / "neo4j" / "data").rename(home / "neo4j" / "data.old")
    assert len(query(server.ensure_running(settings, progress=False), "MATCH (n:Old) RETURN n")) == 1


def test_a_stop_ends_what_a_killed_load_left_running(settings: Settings) -> None:
    """The dump is tried on a server of its own, in a folder of the home."""
    aside = replace(settings, home=str(Path(str(settings.home)) / "loading"))
    server.ensure_running(aside, progress=False)
    assert len(processes(aside)) == 1
    assert server.stop(settings)
    assert processes(aside) == []


def test_a_stop_holds_against_whoever_works_unattended(settings: Settings) -> None:
    """Jobs and `work` leave it stopped and say so, until it is started."""
    server.ensure_running(settings, progress=False)
    assert dmcheck(settings, "server", "stop").returncode == 0
    job = subprocess.run(
        launcher("make_buckets"), env=environment(settings), check=False, capture_output=True, text=True
    )
    assert (job.returncode, "server start" in job.stderr) == (75, True)
    assert server.find(settings) is None
    assert dmcheck(settings, "server", "start").returncode == 0
    assert subprocess.run(launcher("make_buckets"), env=environment(settings), check=False).returncode == 0


def test_there_is_nothing_to_dump_before_the_first_start(settings: Settings) -> None:
    """And none is made for it."""
    with pytest.raises(NotConfigured, match="no graph"):
        administer(settings, "database", "dump", "neo4j")
    assert not Path(str(settings.home)).exists()
