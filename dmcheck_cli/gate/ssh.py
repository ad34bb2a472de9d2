"""One run of the system's `ssh` to a gate: a line is written, a line comes back, and what its end means.

The program is used, and not a library, for what people have set up for it: agent, configuration, known hosts, jumps.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, cast

from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.gate.protocol import MAX_ANSWER_BYTES, TALK
from dmcheck_cli.settings import outside

PIECE = 65536
"""Bytes read or written at a time."""

MAX_SAID_BYTES = 8192
"""What is kept of stderr: the end, where the reason stands."""

MAX_TELLING = 300
"""Characters of what ssh or the other side says, in a message of ours."""

MAX_LOOK_SECONDS = 1.0
"""Between two looks at the clock while an answer is awaited."""

TOKEN = "X_USER_TOKEN"
"""For the checker alone: a `SendEnv` of ssh's configuration could hand it on."""

MAX_END_SECONDS = 1.0
"""For ssh to end when it is asked to."""

FOR_GOOD = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is another than it was: ask the operator, and change `known_hosts` only if that is right",
    ),
    (
        "Host key verification failed",
        "its host key is not known here: run `ssh {gate}` once, compare the fingerprint with the operator's, say yes",
    ),
    ("Permission denied", "it does not take your key: the operator adds it with `dmcheck gate add`"),
    ("Too many authentication failures", "ssh offers too many keys: name the right one (IdentityFile, IdentitiesOnly)"),
    ("Name or service not known", "there is no such host"),
    ("nodename nor servname", "there is no such host"),
    ("No address associated", "there is no such host"),
    ("Unable to negotiate", "ssh and the host have no method in common"),
    ("Bad configuration option", "ssh cannot read its configuration"),
    ("bad configuration options", "ssh cannot read its configuration"),
    ("Bad owner or permissions", "ssh does not trust its configuration"),
)
"""What ssh says where trying again does not help, and what to say of it."""


class Lost(Exception):
    """The connection ended before the answer. `final`: what to raise instead of trying again."""

    def __init__(self, why: str, final: NotConfigured | None = None) -> None:
        super().__init__(why)
        self.why, self.final = why, final


class OutOfTime(Exception):
    """No answer until the time was up."""


class Ssh:
    """A connection to the gate, from its start until it is lost; close it. `seconds`: in all, for one request: a dead
    connection is noticed in half of that."""

    def __init__(self, gate: str, seconds: float) -> None:
        """Raises NotConfigured where there is no ssh, OSError where the machine lacks what a process needs."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": max(int(seconds / 3), 1),
            "ServerAliveInterval": max(int(seconds / 6), 1),
            "ServerAliveCountMax": 2,
            "ControlMaster": "no",  # one that stays behind would keep our pipes open
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
        }
        command = ["ssh", "-T", *(f"-o{name}={value}" for name, value in options.items()), "--", gate, TALK]
        self._gate = gate
        try:
            # In a session of its own: Ctrl-C is for us, who may still have answers to hand in. It ends with its stdin.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                env=outside(TOKEN),
            )
        except FileNotFoundError as error:
            raise NotConfigured(what="DMCHECK_GATE needs the program `ssh`, which is not there") from error
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = (cast(IO[bytes], pipe) for pipe in pipes)
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._heard = bytearray()
        self._said = b""

    def exchange(self, request: bytes, until: float, waiting: Callable[[], None]) -> bytes:
        """Write a line, or nothing, and read one, until then on the clock of time.monotonic(). `waiting` is called now
        and then.

        Raises Lost and OutOfTime; the connection is then of no further use.
        """
        left = memoryview(request)
        searched = 0
        with selectors.DefaultSelector() as ready:
            ready.register(self._stdout, selectors.EVENT_READ)
            ready.register(self._stderr, selectors.EVENT_READ)
            if left:
                ready.register(self._stdin, selectors.EVENT_WRITE)
            while True:
                if not left and (end := self._heard.find(b"\n", searched)) >= 0:
                    line = bytes(self._heard[:end])
                    del self._heard[: end + 1]
                    return line
                searched = len(self._heard)
                if searched > MAX_ANSWER_BYTES:
                    raise Lost("its answer has no end", self._never("its answer has no end"))
                seconds = until - time.monotonic()
                if seconds <= 0:
                    raise OutOfTime
                for key, _ in ready.select(min(seconds, MAX_LOOK_SECONDS)):
                    if key.fileobj is self._stdin:
                        left = self._write(left)
                        if not left:
                            ready.unregister(self._stdin)
                    elif key.fileobj is self._stderr:
                        if not self._listen():
                            ready.unregister(self._stderr)
                    elif not self._read():
                        raise self._lost()
                waiting()

    def silent(self) -> bool:
        """Whether it is there and has said nothing since the last answer: what it says unasked is its last word."""
        return self._read() and not self._heard

    def told(self) -> list[str]:
        """The lines that ssh has said on stderr since the last call."""
        self._listen()
        whole = self._said[: self._said.rfind(b"\n") + 1]
        self._said = self._said[len(whole) :]
        return [line for raw in whole.splitlines() if (line := raw.decode(errors="backslashreplace").strip())]

    def close(self) -> None:
        """End it, and wait for its end."""
        with suppress(OSError):
            self._stdin.close()
        self._process.terminate()
        try:
            self._process.wait(MAX_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._stderr.close()

    def _write(self, left: memoryview) -> memoryview:
        try:
            return left[os.write(self._stdin.fileno(), left[:PIECE]) :]
        except BlockingIOError:
            return left
        except OSError:  # a broken pipe: stdout tells of the end, and stderr of its reason
            raise self._lost() from None

    def _read(self) -> bool:
        """Take what is there; False at the end."""
        try:
            piece = os.read(self._stdout.fileno(), PIECE)
        except BlockingIOError:
            return True
        self._heard += piece
        return bool(piece)

    def _listen(self) -> bool:
        """Take what is there of stderr; False at its end."""
        while True:
            try:
                piece = os.read(self._stderr.fileno(), PIECE)
            except BlockingIOError:
                return True
            if not piece:
                return False
            self._said = (self._said + piece)[-MAX_SAID_BYTES:]

    def _lost(self) -> Lost:
        """What the end of the connection means, by what ssh says."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(MAX_END_SECONDS)
        self._listen()
        self._said += b"\n"  # the last line may have none
        said = self.told()
        for sign, meaning in FOR_GOOD:
            if found := [line for line in said if sign in line]:
                return Lost(meaning, self._never(f"{meaning.format(gate=self._gate)} ({short(found)})"))
        if self._process.returncode == NO_PROGRAM:
            return Lost("no gate", self._never(f"what answers there is no gate of dmcheck ({short(said)})"))
        return Lost(short(said) or "the connection was closed")

    def _never(self, why: str) -> NotConfigured:
        return NotConfigured(what=f"The gate {self._gate} cannot be used: {why}")


NO_PROGRAM = 127
"""What a shell over there reports for a command that it does not know."""


def short(lines: Iterable[str]) -> str:
    """The end of what somebody else says, in one line and without its full stop."""
    line = " ".join(" ".join(lines).split()).rstrip(".")
    return line if len(line) <= MAX_TELLING else "..." + line[-MAX_TELLING:]
