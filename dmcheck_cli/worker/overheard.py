"""What COMMAND writes on its stderr, line by line: for `--log-format json`, in which it would be no line of the log."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_LINE = 16_384
"""Bytes; a longer line is told in pieces."""

_END = re.compile(rb"[\r\n]+")
"""A progress bar ends its lines with the first of these."""


class Overheard:
    """Tells each line that has something in it. Bytes that are no UTF-8 are told as escapes."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._begun = b""

    def hear(self, data: bytes) -> None:
        """Take the next piece."""
        *lines, self._begun = _END.split(self._begun + data)
        for line in lines:
            self._say(line)
        if len(self._begun) > MAX_LINE:
            self.end()

    def end(self) -> None:
        """Tell what has no end yet."""
        self._say(self._begun)
        self._begun = b""

    def _say(self, line: bytes) -> None:
        for start in range(0, len(line), MAX_LINE):
            if text := line[start : start + MAX_LINE].decode(errors="backslashreplace").rstrip():
                self._tell(text)
