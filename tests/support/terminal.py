"""A program of ours with a terminal for its stderr, and perhaps for all its streams."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from support.graphs import MAX_WAIT_SECONDS, wait_until
from support.programs import launcher


class Seen:
    """A running program; `shown` is what its terminal got so far, without the sequences that move the cursor."""

    def __init__(
        self, arguments: tuple[object, ...], environment: Mapping[str, str], folder: Path, program: str, all: bool
    ) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*launcher(program), *map(str, arguments)],
            stdin=theirs if all else subprocess.DEVNULL,
            stdout=theirs if all else subprocess.PIPE,
            stderr=theirs,
            env={**environment, "TERM": "xterm"},
            cwd=folder,
        )
        os.close(theirs)
        self._terminal = ours
        self.raw = b""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """All lines; those of a bar follow each other."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode("utf-8", "replace")).replace("\r", "\n")

    def wait_for(self, text: str) -> None:
        """Return when the terminal got `text`."""
        wait_until(lambda: text in self.shown or self.process.poll() is not None)
        assert text in self.shown, self.shown

    def type(self, text: str) -> None:
        """As a person does."""
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Wait for its end; returns its exit status."""
        if self.process.stdout is not None:
            with self.process.stdout:
                self.out = self.process.stdout.read().decode()
        status = self.process.wait(MAX_WAIT_SECONDS)
        self._reader.join(MAX_WAIT_SECONDS)
        return status

    def _read(self, terminal: int) -> None:
        try:
            while chunk := os.read(terminal, 4096):
                self.raw += chunk
        except OSError:  # how Linux says that nobody has the other end any more
            pass
        os.close(terminal)


def seen(
    *arguments: object, environment: Mapping[str, str], folder: Path, program: str = "dmcheck", all: bool = False
) -> Seen:
    """Start `program`; `all`: its stdin and stdout are the terminal, too."""
    return Seen(arguments, environment, folder, program, all)
