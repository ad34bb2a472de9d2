"""What the operating system knows about a process: whether it is the same one, whether it listens, how to end it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dmcheck_cli.errors import NotConfigured, Temporary

SECONDS_TO_END = 10
"""After SIGTERM; stopping took 0.3 to 0.7 s. The SIGKILL that then follows loses nothing that was acknowledged."""

HANDSHAKE = bytes.fromhex("6060b017 00080805 00020404 00000000 00000000")
"""Bolt's magic number and four proposals: versions 5.0 to 5.8, 4.2 to 4.4, nothing, nothing."""


def identity(pid: int) -> str | None:
    """A text that no other process on this machine has ever had, or None when the process is gone.

    On Linux it comes from /proc: the boot, and the clock tick at which the process started. That takes 0.05 ms, against
    40 ms to import psutil, and unlike a date it does not change when the clock is set. A zombie counts as gone.
    """
    if sys.platform != "linux":
        return _identity_by_psutil(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may contain anything: the state (field 3) follows the last parenthesis.
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        return None
    state, start = fields[0], fields[19].decode("ascii")
    return None if state in (b"Z", b"X") else f"{boot}/{start}"


def _identity_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


def with_argument(argument: str) -> list[int]:
    """The pids of the live processes that were started with exactly this argument."""
    import psutil

    with _asking():
        found = [one.pid for one in psutil.process_iter(["cmdline"]) if argument in (one.info["cmdline"] or ())]
    return [pid for pid in found if identity(pid) is not None]


def end(pid: int, seconds: float = SECONDS_TO_END) -> None:
    """End a process: SIGTERM, then SIGKILL after `seconds`; returns when it is gone.

    Raises NotConfigured for another account's process, Temporary for one that survives SIGKILL.
    """
    was = identity(pid)
    if was is not None:
        _signal(pid, signal.SIGTERM)
        if not _is_gone(pid, was, seconds):
            _kill(pid, was)


def kill(pid: int) -> None:
    """End a process at once, without letting it write anything; returns when it is gone. Raises as `end` does."""
    was = identity(pid)
    if was is not None:
        _kill(pid, was)


def _kill(pid: int, was: str) -> None:
    _signal(pid, signal.SIGKILL)
    if not _is_gone(pid, was, SECONDS_TO_END):
        raise Temporary(what=f"Process {pid} has not ended {SECONDS_TO_END} seconds after SIGKILL.")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise NotConfigured(
            what=f"The embedded database's server, process {pid}, belongs to another account: end it from there."
        ) from error


def _is_gone(pid: int, was: str, seconds: float) -> bool:
    """Whether the process ends within `seconds`. Does not wait for it as a child: its parent may never reap it."""
    deadline = time.monotonic() + seconds
    while identity(pid) == was:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def listens(pid: int, port: int) -> bool:
    """Whether this process listens on the port, and not another one that took it first."""
    import psutil

    with _asking():
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except psutil.NoSuchProcess:
            return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


@contextmanager
def _asking() -> Iterator[None]:
    """psutil raises RuntimeError or ValueError, besides its own errors, if /proc is not what it expects."""
    import psutil

    try:
        yield
    except (psutil.Error, RuntimeError, ValueError) as error:
        raise NotConfigured(
            what="The embedded database has to know its process, but this system does not tell "
            f"({type(error).__name__}): set NEO4J_URI to use a Neo4j of your own."
        ) from error


def speaks_bolt(port: int) -> bool:
    """Whether a server on loopback agrees on a version of Bolt."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(HANDSHAKE)
            return any(connection.recv(4))
    except OSError:
        return False


def free_port(*preferred: int) -> int:
    """The first of the preferred ports that is unused on loopback, else one that the system chooses."""
    for port in (*preferred, 0):
        with socket.socket() as probe:
            # As Java does: a killed server's connections do not block its port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()  # Linux lets two such sockets bind one port, but not listen on it
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Temporary(
        what="No port is free on 127.0.0.1, where the embedded database listens. Is the loopback device up?"
    )
