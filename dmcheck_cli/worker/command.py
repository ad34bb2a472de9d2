"""Drives one COMMAND through one bucket.

Each bucket gets a new COMMAND, whose stdin is closed after the last user. Checkers come in two kinds: filters that
answer line by line, and batches that read all their input before they answer (they ask an API for 100 accounts at a
time). Only end of input works for both. A COMMAND that outlived its bucket would need a protocol to mark the end of a
bucket, and a faulty one would spoil more than one bucket. Starting a process costs less than a thousandth of 180 API
requests.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from enum import StrEnum

from dmcheck_cli.errors import PASSING, TEMPORARY
from dmcheck_cli.worker.overheard import Overheard
from dmcheck_cli.worker.protocol import Conversation

PIECE = 65536
"""Bytes read or written at a time."""

LARGEST_PIPE = 1024 * 1024
"""The most bytes that a pipe holds (on Linux; fewer elsewhere)."""

MAX_NOISE = 10_000
"""Meaningless lines after which COMMAND is ended: one that floods us would keep a processor busy for nothing."""

MAX_SLEEP = 1.0
"""Seconds between checks for whether COMMAND has ended although something it started keeps its stdout open."""


LISTEN_SECONDS = 0.05
"""Between two looks at the stderr of a COMMAND that has closed its stdout and has not ended yet: it would wait for us
once the pipe is full."""


class Ending(StrEnum):
    """How a COMMAND ended."""

    done = "done"
    failed = "command_failed"
    timed_out = "command_timeout"
    cancelled = "cancelled"
    later = "later"
    """It said so (exit status 75), or the machine lacks what a process needs."""


ENDINGS = {0: Ending.done, TEMPORARY: Ending.later}
"""What COMMAND's exit status means; any other is a failure."""

_births = threading.Lock()
"""Held while a COMMAND is started, until its number is in _children."""

_children: set[int] = set()
"""The COMMANDs whose ends their threads wait for."""


def reap() -> None:
    """Collect the processes that COMMANDs left behind, where they become our children: as process 1 of a container."""
    if os.getpid() != 1:
        return
    with _births, contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in _children:
                return  # its thread collects it; the others have their turn the next time
            os.waitpid(found.si_pid, os.WNOHANG)


class Command:
    """One run of COMMAND. `timeout`: seconds without progress after which it is ended; `kill_after`: seconds between
    SIGTERM and SIGKILL; `environment`: None for ours; `overheard`: takes what it writes on stderr, which else is ours.
    Call `close` when nobody will call `cancel` any more.

    Raises OSError when the machine lacks file descriptors.
    """

    def __init__(
        self,
        command: list[str],
        conversation: Conversation,
        timeout: float,
        kill_after: float,
        environment: Mapping[str, str] | None = None,
        overheard: Overheard | None = None,
    ) -> None:
        self.conversation = conversation
        self.why = ""
        self._environment = environment
        self._overheard = overheard
        self._command = command
        self._timeout = timeout
        self._kill_after = kill_after
        self._kill_at = 0.0
        self._woken, self._wake = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None

    def cancel(self) -> None:
        """Have it ended; called from another thread. Its answers so far are kept."""
        os.write(self._wake, b".")

    def kill(self) -> None:
        """Kill it and everything it started, at once; called from another thread."""
        if self._process is not None:
            self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Release operating system resources."""
        os.close(self._woken)
        os.close(self._wake)

    def run(self) -> Ending:
        """Run it until it ends, however that happens. `why` then explains a bad ending."""
        try:
            with _births:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=None if self._overheard is None else subprocess.PIPE,
                    bufsize=0,
                    env=self._environment,
                    # Its own process group: Ctrl-C reaches only us, and we end COMMAND with everything it started in
                    # order.
                    start_new_session=True,
                )
                _children.add(process.pid)
        except OSError as error:
            self.why = f"it cannot be started: {error.strerror}"
            return Ending.later if error.errno in PASSING else Ending.failed
        self._process = process
        try:
            with process:
                try:
                    return self._drive(process)
                finally:
                    if process.poll() is None:
                        self._signal(signal.SIGKILL)
                    self._listen(process)
                    if self._overheard is not None:
                        self._overheard.end()
        finally:
            _children.discard(process.pid)

    def _drive(self, process: subprocess.Popen[bytes]) -> Ending:
        early = self._talk(process)
        self.conversation.end()
        if early is None:
            if self._ends(process, self._kill_after):
                self.why = _reason(process.returncode)
                return ENDINGS.get(process.returncode, Ending.failed)
            self._ask_to_end()  # its stdout is closed, so all its answers have arrived
        self._ends(process, self._kill_at - time.monotonic())
        # Also kill what it started and left running. No other group can have this number yet: process ids are assigned
        # in turn.
        self._signal(signal.SIGKILL)
        process.wait()
        return early or Ending.done

    def _talk(self, process: subprocess.Popen[bytes]) -> Ending | None:
        """Write and read until COMMAND has reported everything, or had to be ended early; returns why it was ended
        early."""
        assert process.stdin is not None
        assert process.stdout is not None
        question = memoryview(self.conversation.question())
        early: Ending | None = None
        deadline = time.monotonic() + self._timeout
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            if process.stderr is not None:
                os.set_blocking(process.stderr.fileno(), False)
                selector.register(process.stderr, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                heard = self.conversation.heard
                ready = [key.fileobj for key, _ in selector.select(_between(deadline - time.monotonic()))]
                if process.stdin in ready:
                    question = _write(process.stdin.fileno(), question)
                if process.stderr in ready and self._listen(process):
                    selector.unregister(process.stderr)
                has_ended = process.poll() is not None  # checked before the last read of its output
                if _hear(process.stdout.fileno(), self.conversation) or has_ended:
                    return early
                if early is None:
                    if self.conversation.heard > heard:
                        deadline = time.monotonic() + self._timeout
                    early = self._too_long(cancelled=self._woken in ready, deadline=deadline)
                    if early is not None:
                        self._ask_to_end()  # it may still report what it knows
                        deadline = self._kill_at
                        selector.unregister(self._woken)
                elif time.monotonic() >= deadline:
                    return early
                if not process.stdin.closed and (not question or early is not None):
                    selector.unregister(process.stdin)
                    process.stdin.close()

    def _listen(self, process: subprocess.Popen[bytes]) -> bool:
        """Take what it has written on stderr; True when there will be no more."""
        if process.stderr is None or self._overheard is None:
            return True
        return _hear(process.stderr.fileno(), self._overheard)

    def _ends(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Whether it ends within `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(left if self._listen(process) else min(left, LISTEN_SECONDS))
                return True
            if left == 0.0:
                return False

    def _too_long(self, cancelled: bool, deadline: float) -> Ending | None:
        """Why it must be ended now, if it must."""
        if cancelled:
            return Ending.cancelled
        if self.conversation.noise > MAX_NOISE:
            self.why = f"more than {MAX_NOISE} lines of its output made no sense"
            return Ending.failed
        if time.monotonic() >= deadline:
            self.why = f"no new answer for {self._timeout:g} seconds"
            return Ending.timed_out
        return None

    def _ask_to_end(self) -> None:
        self._kill_at = time.monotonic() + self._kill_after
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # macOS raises PermissionError for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _write(file: int, data: memoryview) -> memoryview:
    """Write what fits now; returns what is left, which is nothing once the reader is gone."""
    try:
        return data[os.write(file, data[:PIECE]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return memoryview(b"")


def _hear(file: int, listener: Conversation | Overheard) -> bool:
    """Read what is available now, but no more than a pipe can hold; True at end of file."""
    for _ in range(LARGEST_PIPE // PIECE):
        try:
            data = os.read(file, PIECE)
        except BlockingIOError:
            return False
        if not data:
            return True
        listener.hear(data)
    return False


def _between(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_SLEEP)


def _reason(status: int) -> str:
    if status < 0:
        return f"it was ended by signal {-status}"
    return f"it ended with exit status {status}"
