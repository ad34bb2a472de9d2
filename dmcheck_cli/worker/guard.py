"""Ends COMMAND and everything it started when `work` is gone, however it ended.

Run as a program of its own, it waits for the end of its stdin, whose other end only `work` holds. It finds the
processes by a variable in their environment that every child inherits, in whatever session or group it is. Between a
fork and its exec a child holds the other end, too, so no process is missed. Elsewhere than on Linux there is no guard:
COMMAND then notices by its closed stdin and stdout.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

VARIABLE = "DMCHECK_WORK"
SECONDS = 5.0
"""For all of them to be gone; new ones may be started meanwhile."""


class Guard:
    """The guard of this process. `environment`: what COMMAND must be started with: what was given, and a mark."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        token = os.urandom(16).hex()
        self.environment = {**environment, VARIABLE: token}
        self._end = -1
        if sys.platform != "linux":
            return
        read, self._end = os.pipe()
        try:
            # -I and -S: it needs nothing but this file, and starts in 10 ms.
            command = [sys.executable, "-I", "-S", __file__, token]
            subprocess.run(command, stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        finally:
            os.close(read)

    def close(self) -> None:
        """End what COMMANDs have left behind."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1


def _marked(mark: bytes) -> list[int]:
    """A descriptor of each process that has `mark` in its environment."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(int(name))  # first, so that the number cannot become another process's
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    found.append(descriptor)
                    continue
            os.close(descriptor)
    return found


def _main(token: str) -> None:
    if os.fork():  # so that `work` has no child that is not a COMMAND
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    deadline = time.monotonic() + SECONDS
    while (found := _marked(f"{VARIABLE}={token}".encode())) and time.monotonic() < deadline:
        for descriptor in found:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        time.sleep(0.01)


if __name__ == "__main__":
    _main(sys.argv[1])
