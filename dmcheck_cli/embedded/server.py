"""The embedded database's server: find it, start it once, stop it.

The operating system says whether it runs, never a stored list: a stale state file, a reused pid or a lock left by a
killed process does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dmcheck_cli.embedded import process, state
from dmcheck_cli.embedded.credentials import read_password
from dmcheck_cli.embedded.files import is_there, write_private_file
from dmcheck_cli.embedded.folders import LOADING, home_folder
from dmcheck_cli.embedded.remedies import explained
from dmcheck_cli.errors import Temporary
from dmcheck_cli.settings import Settings

if TYPE_CHECKING:
    from dmcheck_cli.notices import Progress

USERNAME = "neo4j"
"""The only account whose password can be set before the first start."""

HELD = "held"
"""The file in a home that says that it was stopped to be held."""

SECONDS_FOR_ANOTHERS_START = 900
"""How long to wait while another process starts the server, which may include fetching its parts."""


@dataclass(frozen=True)
class Server:
    """A running server, and how to log in to it."""

    uri: str
    username: str
    password: str
    pid: int
    home: str
    version: str


class Status(TypedDict):
    """`state` is "running" or "stopped"; uri and pid are None when stopped, version when there is no graph yet."""

    state: str
    uri: str | None
    pid: int | None
    home: str
    version: str | None


@explained
def find(settings: Settings) -> Server | None:
    """The running server of this home, or None.

    Every command starts with this: 0.1 to 0.4 ms, after 7 ms to import this module, and 10 to 20 ms more to
    import platformdirs if DMCHECK_HOME is not set.

    Raises NotConfigured when its password cannot be read.
    """
    home = home_folder(settings)
    last = state.read(home)
    return _server(home, last) if last is not None and last.runs() else None


@explained
def ensure_running(
    settings: Settings,
    *,
    version: str | None = None,
    progress: bool = True,
    seconds: float | None = None,
    prepare: Callable[[Server], None] = lambda server: None,
    unattended: bool = False,
) -> Server:
    """The running server of this home, started if need be: once, however many processes ask at the same time.

    `version`: of Neo4j, if not the default; asking for one also agrees to upgrade an older graph to it. A running
    server is returned whatever its version. `progress`: report slow steps on stderr. `seconds`: when to give up with
    Temporary, for a command with a time limit; a server that it started is removed completely. `prepare`: called with a
    newly started server before others can see it.
    `unattended`: leave it stopped, with Temporary, if it was stopped to be held.
    Raises NotConfigured for a problem that needs manual repair, Temporary for one that may pass.
    """
    settings.refuse_gate()
    found = find(settings)
    if found is not None:
        return found

    from dmcheck_cli.embedded.files import make_private_folder
    from dmcheck_cli.notices import Progress

    left = _countdown(seconds)
    home = home_folder(settings)
    make_private_folder(home)
    telling = Progress(progress, plain=unattended)
    with _lock(home, left()):
        found = find(settings)
        if found is not None:
            return found
        if unattended and is_there(home / HELD):
            raise Temporary(
                what="The embedded database was stopped with `dmcheck server stop`: `dmcheck server start` starts it"
            )
        _end_all(home, left())  # left behind by a start that was killed
        now = _start(settings, home, version, telling, left)
        started = _server(home, now)
        prepare(started)
        now.write(home)
        (home / HELD).unlink(missing_ok=True)
    return started


@explained
def stop(settings: Settings, hold: bool = False) -> bool:
    """End this home's server, and one that a killed load left; True if one was running. No process is left on return.

    `hold`: unattended programs do not start it again, until another one does.
    """
    with stopped(settings) as was_running:
        home = home_folder(settings)
        if hold and is_there(home):
            write_private_file(home / HELD, "")
    aside = home / LOADING
    return (is_there(aside) and stop(replace(settings, home=str(aside)))) or was_running


@explained
def kill(settings: Settings, pid: int) -> None:
    """End this home's server at once, if it is still the process `pid`: for one that refuses everything.

    A write that a full disk cut is still in its buffer, and an orderly stop writes it a second time, after the first.
    Neo4j 5.26.30 then read that log from the wrong offset, took an arbitrary number for a length, ran out of memory and
    never started again; a cut end alone it drops (`neo4j_conf`). Acknowledged writes are on the disk either way.
    """
    home = home_folder(settings)
    with _lock(home):
        last = state.read(home)
        if last is not None and last.pid == pid and last.runs():
            process.kill(pid)


@explained
def status(settings: Settings) -> Status:
    """Whether this home's server runs, and where."""
    from dmcheck_cli.embedded.store import Store

    home = home_folder(settings)
    last = state.read(home)
    if last is not None and last.runs():
        return Status(state="running", uri=last.uri, pid=last.pid, home=str(home), version=last.version)
    return Status(state="stopped", uri=None, pid=None, home=str(home), version=Store(home).version())


@contextmanager
def stopped(settings: Settings) -> Iterator[bool]:
    """Stop this home's server and keep it from being started while the block runs; yields whether it was running."""
    home = home_folder(settings)
    if not is_there(home):
        yield False
        return
    with _lock(home):
        yield _end_all(home)


def _start(
    settings: Settings, home: Path, version: str | None, telling: Progress, left: Callable[[], float | None]
) -> state.State:
    """Fetch what is missing, make the home ready and start the server; under its lock, with none running."""
    from dmcheck_cli.embedded.configuration import split_options
    from dmcheck_cli.embedded.launch import launch
    from dmcheck_cli.embedded.parts import DEFAULT_VERSION, jars
    from dmcheck_cli.embedded.store import Store

    wanted = version or DEFAULT_VERSION
    store = Store(home)
    new = store.prepare(wanted, upgrade=version is not None)
    parts = jars(settings, wanted, telling, left())
    if new:
        telling.warn(f"NEO4J_URI is not set: creating a new, empty database in {home}")
    last = state.read(home)
    with telling.doing(f"Starting the embedded Neo4j {wanted}"):
        options = split_options(settings.java_options or "")
        pid, port = launch(store, wanted, parts, last.port if last else None, left(), options)
    store.finish(wanted)
    return state.State(pid, process.identity(pid) or "", port, wanted)


def _server(home: Path, found: state.State) -> Server:
    return Server(found.uri, USERNAME, read_password(home), found.pid, str(home), found.version)


@contextmanager
def _lock(home: Path, seconds: float | None = None) -> Iterator[None]:
    from dmcheck_cli.embedded.files import locked

    with locked(home / "lock", SECONDS_FOR_ANOTHERS_START if seconds is None else seconds):
        yield


def _countdown(seconds: float | None) -> Callable[[], float | None]:
    """Returns the seconds left on each call; always None when there is no limit."""
    if seconds is None:
        return lambda: None
    deadline = time.monotonic() + seconds
    return lambda: max(deadline - time.monotonic(), 0)


def _end_all(home: Path, seconds: float | None = None) -> bool:
    """End this home's server, and any other process that runs on it; whether there was one. Needs the lock.

    One that does not stop is killed after `seconds`, if that is sooner than usual.
    """
    from dmcheck_cli.embedded.configuration import home_argument
    from dmcheck_cli.embedded.store import Store

    last = state.read(home)
    if last is not None:
        with suppress(OSError):  # on a full disk the stale entry stays; the operating system has the truth
            last.retire(home)
    pids = process.with_argument(home_argument(Store(home).neo4j))
    for pid in pids:
        process.end(pid, process.SECONDS_TO_END if seconds is None else min(seconds, process.SECONDS_TO_END))
    return bool(pids)
