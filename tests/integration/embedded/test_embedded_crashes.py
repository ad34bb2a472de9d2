"""Whatever is killed, and whatever it leaves behind, the next command starts the server again and loses nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from homes import Query, kill, processes, start_command

from dmcheck_cli.embedded import launch, process, server
from dmcheck_cli.embedded.configuration import neo4j_conf
from dmcheck_cli.embedded.files import locked
from dmcheck_cli.errors import NotConfigured, Temporary
from dmcheck_cli.settings import Settings

ROUNDS = 3


def home_of(settings: Settings) -> Path:
    assert settings.home is not None
    return Path(settings.home)


def test_a_start_that_was_killed_at_any_point_is_taken_up(settings: Settings, query: Query) -> None:
    """The starting command is killed, at random moments of the first start, or its Java is; then one command works."""
    moment = random.Random()
    for _ in range(ROUNDS):
        starting = start_command(settings)
        time.sleep(moment.uniform(0.1, 3))
        starting.kill()
        starting.communicate()
        if moment.random() < 0.5:
            kill(settings)

    found = server.ensure_running(settings, progress=False)

    assert query(found, "CREATE (:Written) RETURN 1 AS one")[0]["one"] == 1
    assert processes(settings) == [found.pid]


@pytest.mark.parametrize(
    "state",
    [
        "",
        "{",
        "[]",
        '{"pid": "x"}',
        json.dumps({"pid": os.getpid(), "create_time": "another's", "port": 7687, "version": "5.26.30"}),
        json.dumps({"pid": 2**22 + 1, "create_time": "gone", "port": 7687, "version": "5.26.30"}),
    ],
    ids=["empty", "half", "another shape", "no number", "a reused pid", "a dead pid"],
)
def test_a_stale_state_file_is_no_server(settings: Settings, state: str) -> None:
    """It is not believed, and the process that has its pid now is not touched (this one would end)."""
    home_of(settings).mkdir()
    (home_of(settings) / "server.json").write_text(state)
    assert server.find(settings) is None
    assert server.status(settings)["state"] == "stopped"
    assert server.stop(settings) is False


def test_a_server_without_its_state_file_is_ended_before_another_starts(settings: Settings) -> None:
    """There is never a second one on a home, and stop finds it too."""
    first = server.ensure_running(settings, progress=False)
    (home_of(settings) / "server.json").unlink()
    assert server.find(settings) is None
    assert server.stop(settings) is True
    assert processes(settings) == []
    assert not psutil.pid_exists(first.pid) or psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_ends_while_starting_says_why(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with its own words."""
    text = neo4j_conf(7687)
    monkeypatch.setattr(launch, "neo4j_conf", lambda port: f"{text}no.such.setting=1\n")
    begin = time.monotonic()
    with pytest.raises(NotConfigured, match=r"status 1(?s:.)*console\.log(?s:.)*no\.such\.setting"):
        server.ensure_running(settings, progress=False)
    assert time.monotonic() - begin < launch.SECONDS_TO_READY / 2


def test_a_server_that_does_not_get_ready_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time, and nothing of it is left running."""
    monkeypatch.setattr(launch, "SECONDS_TO_READY", 0.3)
    with pytest.raises(Temporary, match="not ready"):
        server.ensure_running(settings, progress=False)
    assert processes(settings) == []


def test_a_command_whose_time_is_limited_gives_a_start_up_in_time(settings: Settings) -> None:
    """Its own start, which leaves nothing behind, and another's start that it would have to wait for: Temporary."""
    with pytest.raises(Temporary, match="not ready"):
        server.ensure_running(settings, progress=False, seconds=0.5)
    assert processes(settings) == []
    with locked(home_of(settings) / "lock", 0), pytest.raises(Temporary, match="Another process"):
        server.ensure_running(settings, progress=False, seconds=0.5)


def test_a_limited_start_fetches_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jars that have gone from the cache would take longer than a command has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uncached = replace(settings, jars_folder=None, jars_url="http://127.0.0.1:1/")
    with pytest.raises(Temporary, match=r"lacks .*\.jar"):
        server.ensure_running(uncached, progress=False, seconds=60)


def test_a_server_whose_end_nobody_collects_is_gone(settings: Settings) -> None:
    """As in a container whose first process does not: stop returns at once, and another start is not held up."""
    first = server.ensure_running(settings, progress=False)
    begin = time.monotonic()
    assert server.stop(settings) is True
    assert time.monotonic() - begin < 2 * process.SECONDS_TO_END  # it neither waits for the zombie nor kills it
    assert psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE  # this process started it, and is as careless
    second = server.ensure_running(settings, progress=False)
    server.kill(settings, second.pid)
    assert processes(settings) == []


def test_a_broken_home_is_told_of_clearly(settings: Settings) -> None:
    """A home that is a file, a password that is gone: NotConfigured, which names the path."""
    home = home_of(settings)
    home.write_text("a file")
    for ask in (server.find, server.status, server.ensure_running):
        with pytest.raises(NotConfigured, match="DMCHECK_HOME"):
            ask(settings)
    home.unlink()

    graph = home / "neo4j" / "data"
    graph.mkdir(parents=True)
    (graph / "version").write_text("5.26.30\n")
    with pytest.raises(NotConfigured, match="password"):
        server.ensure_running(settings, progress=False)
    assert (graph / "version").exists()
    shutil.rmtree(home)
