"""One start of the server: from a prepared home and checked jars to a process that answers."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from dmcheck_cli.embedded import archive, process
from dmcheck_cli.embedded.configuration import environment, neo4j_conf, server_command
from dmcheck_cli.embedded.files import private_opener, write_private_file
from dmcheck_cli.embedded.remedies import java_trouble
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import NotConfigured, Temporary

USUAL_PORT = 7687

SECONDS_TO_READY = 180
"""A start takes 4 to 5 s; recovery after a crash took up to 26 s, and a busy machine may be several times slower."""

MIN_FREE_BYTES = 32 * 2**20
SECONDS_WITH_LITTLE_ROOM = 15
"""Without room for what it writes at startup (16 MB of log are preallocated), Neo4j neither gets ready nor exits: with
fewer bytes free than this, it is given no longer."""

LOG_LINES_SHOWN = 12

FULL = re.compile("No space left on device|Disk quota exceeded")
NO_MEMORY = re.compile("insufficient memory|Could not reserve|Cannot allocate memory|unable to create native thread")
"""Java's final messages about the machine. (`OutOfMemoryError: Java heap space` is not about the machine.)"""
TAKEN = "Address already in use"
NEEDED = "it takes about 650 MB, and 60 threads"


def launch(
    store: Store,
    version: str,
    jars: list[Path],
    last_port: int | None,
    seconds: float | None = None,
    java_options: Sequence[str] = (),
) -> tuple[int, int]:
    """Start the server and wait until it answers, for `seconds` at most (SECONDS_TO_READY): (pid, port).

    The port is the home's last one, so that connected clients find it again, else the usual one, else any free one.
    Raises Temporary or NotConfigured, with the end of its log, for a server that exits instead, and OSError when the
    disk is full.
    """
    limit = SECONDS_TO_READY if seconds is None else min(seconds, SECONDS_TO_READY)
    began = time.monotonic()
    command = server_command(jars, version, store.neo4j, [*archive.options(version, jars, store), *java_options])
    while True:
        port = process.free_port(*(one for one in (last_port, USUAL_PORT) if one is not None))
        write_private_file(store.neo4j / "conf" / "neo4j.conf", neo4j_conf(port))
        server = _spawn(store, command)
        try:
            status = _wait(store, server, port, limit - (time.monotonic() - began))
        except BaseException:  # Ctrl-C too: nothing is left behind
            server.kill()
            server.wait()
            raise
        if status is None:
            # The server is meant to outlive this process: without this, Popen would warn about it.
            pid, server.returncode = server.pid, 0
            archive.make_later(version, jars, store)
            return pid, port
        said = store.log.read_text("utf-8", errors="replace")
        if TAKEN not in said:
            raise _ended(store, status, said)
        # Another program took the port first: another home's server, or a connection that may be over by now.


def _spawn(store: Store, command: list[str]) -> subprocess.Popen[bytes]:
    with open(store.log, "wb", opener=private_opener) as log:
        try:
            return subprocess.Popen(
                command,
                cwd=store.home,
                env=environment(os.environ, store.neo4j),
                # It must not inherit the caller's pipes, or `dmcheck fetch | ...` would never end.
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C and a closing terminal must not reach it
                umask=0o077,  # otherwise others could read stores and logs
            )
        except OSError as error:
            raise java_trouble(error, command[0]) from error


def _wait(store: Store, server: subprocess.Popen[bytes], port: int, limit: float) -> int | None:
    """None as soon as the server is ready, its exit status if it exits first; otherwise raises Temporary or OSError."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < limit:
        status = server.poll()
        if status is not None:
            return status
        # Another program may be the one that answers. Check the port's owner last, as that takes longer.
        if process.speaks_bolt(port) and process.listens(server.pid, port):
            return None
        if waited > SECONDS_WITH_LITTLE_ROOM and shutil.disk_usage(store.home).free < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        time.sleep(0.05)
    raise Temporary(what=f"The embedded database was not ready within {limit:.0f} seconds.")


def _ended(store: Store, status: int, said: str) -> NotConfigured | Temporary:
    if FULL.search(said):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # A Java error's innermost cause comes last; stack frames and other noise would push it out of view.
    noise = re.compile(r"\s*$|\s+at |\s+\.\.\. |\S+ \S+ INFO ")
    shown = [line for line in said.splitlines() if not noise.match(line)]
    end = "\n".join(shown[-LOG_LINES_SHOWN:]) or "(it gave no reason)"
    how = f"with status {status}" if status >= 0 else f"by {_name(-status)}"
    starved = status == -signal.SIGKILL or NO_MEMORY.search(said) is not None
    why = f", most likely for want of memory ({NEEDED})" if starved else ""
    kind = Temporary if starved or status < 0 else NotConfigured
    return kind(what=f"The embedded database ended {how} while it started{why}. The end of {store.log}:\n{end}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
