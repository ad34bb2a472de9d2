"""The protocol with COMMAND: JSON lines in both directions. COMMAND's output is not trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.domain.model import ANSWERS, User

MAX_LINE = 64 * 1024
"""Bytes. A checker may add anything it knows to a user's line; a longer line is garbage and is not kept in memory."""

MAX_SHOWN = 160
"""Characters of a line that a message shows."""

CHOICE = '"DM", "NON_DM" or "UNKNOWN"'

MAX_RETRY_AFTER = 86_400.0
"""Seconds that COMMAND may ask for. The longest limits of such platforms are counted by the day."""


@dataclass
class Conversation:
    """One bucket's users, and what COMMAND has said about them so far. `keep` is called with new answers, before
    anything else is done with them; `retry_after`: when COMMAND wants to be started again, in seconds."""

    users: list[User]
    keep: Callable[[dict[str, str]], None] = lambda answers: None
    retry_after: float | None = None
    answers: dict[str, str] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)
    garbage: int = 0
    strangers: int = 0
    answered_twice: int = 0
    problem: str = ""
    """The first line that was no answer, and why; "" for none."""

    def __post_init__(self) -> None:
        # COMMAND may write names in another case; of two that differ in case only, each is meant by its exact name.
        self._names = {user.screen_name.lower(): user.screen_name for user in self.users}
        self._names |= {user.screen_name: user.screen_name for user in self.users}
        self._rest = b""
        self._skipping = False
        self._new: dict[str, str] = {}
        self._bare = ""

    @property
    def objection(self) -> str:
        """What its author should know, if anything: the first line that was no answer, or that no line was one."""
        if self.problem or self.answers or not self._bare:
            return self.problem
        return f'no user has an answer: {self._bare} has no "candm", which is {CHOICE}'

    @property
    def heard(self) -> int:
        """How many users it has said something meaningful about; a growing number is progress."""
        return len(self.answers) + len(self.undecided)

    @property
    def noise(self) -> int:
        """How many lines carried no information."""
        return self.garbage + self.strangers + self.answered_twice

    def question(self) -> bytes:
        """The input for COMMAND's stdin."""
        return "".join(json.dumps(user.document()) + "\n" for user in self.users).encode()

    def hear(self, data: bytes) -> None:
        """Process a piece of COMMAND's stdout, wherever it was cut."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._skipping:
                self._line(line)
            self._skipping = False
        if len(rest) > MAX_LINE and not self._skipping:
            self.garbage += 1
            self._object_to(rest, f"is longer than {MAX_LINE} bytes")
            self._skipping = True
        self._rest = b"" if self._skipping else rest
        self._keep()

    def end(self) -> None:
        """Process the end of the output: a last line need not end with a newline."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""
            self._keep()

    def _keep(self) -> None:
        if self._new:
            self.keep(self._new)
            self._new = {}

    def _object_to(self, line: bytes, objection: str) -> None:
        self.problem = self.problem or f"{_shown(line)} {objection}"

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):  # ValueError: also for bytes that are not UTF-8
            said = None
        name, answer, objection = _read(said)
        if name is None and (seconds := _retry_after(said)) is not None:
            self.retry_after = seconds
        elif name is None:
            self.garbage += 1
            self._object_to(line, objection)
        elif (name := self._names.get(name) or self._names.get(name.lower())) is None:
            self.strangers += 1
            self._object_to(line, "is about a user who is not in the bucket")
        elif name in self.answers:
            # The first answer counts: nothing says which of two is right.
            self.answered_twice += answer is not None
        elif answer is None:
            self.undecided.add(name)
            self._bare = self._bare or _shown(line)
        else:
            self.undecided.discard(name)
            self.answers[name] = self._new[name] = answer


def _shown(line: bytes) -> str:
    """A line as a message shows it."""
    text = line.decode("utf-8", "backslashreplace").strip()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _read(said: Any) -> tuple[str | None, str | None, str]:
    """The name and the answer, if any; no name, and what is wrong, when the line makes no sense."""
    if not isinstance(said, dict):
        return None, None, 'is no JSON object such as {"screen_name": "someone", "candm": "DM"}'
    name, answer = said.get("screen_name"), said.get("candm")
    if not isinstance(name, str):
        return None, None, 'has no "screen_name"'
    if not (answer is None or answer in ANSWERS):
        return None, None, f'has another "candm" than {CHOICE}'
    return name.removeprefix("@"), answer, ""


def _retry_after(said: Any) -> float | None:
    """The seconds that a line `{"retry_after": seconds}` asks for, if it is one."""
    seconds = said.get("retry_after") if isinstance(said, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not (0 <= seconds < math.inf):
        return None
    return min(float(seconds), MAX_RETRY_AFTER)
