"""Tries COMMAND on a list of users, without a database: what `work` would submit, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.domain.model import ANSWERS, User
from dmcheck_cli.notices import Event, logs, warn
from dmcheck_cli.settings import outside
from dmcheck_cli.worker.command import Command, Ending
from dmcheck_cli.worker.overheard import Overheard
from dmcheck_cli.worker.protocol import Conversation


@dataclass
class Trial:
    """What COMMAND said: an answer or None for each user, and what is wrong with it."""

    users: list[tuple[User, str | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        counts = Counter(answer for _, answer in self.users)
        return {
            "users": [{**user.document(), "candm": answer} for user, answer in self.users],
            "answers": {answer: counts[answer] for answer in ANSWERS},
            "problems": self.problems,
        }


def run(command: list[str], users: list[User], size: int, timeout: float, kill_after: float) -> Trial:
    """Run COMMAND on these users, `size` at a time, as `work` does; the first bucket with a problem is the last."""
    trial = Trial()
    for bucket in _batches(users, size):
        said = Conversation(bucket)
        heard = Overheard(lambda text: warn(Event(text, "command_stderr"))) if logs() else None
        running = Command(command, said, timeout, kill_after, outside(), heard)
        try:
            ending = running.run()
        finally:
            running.close()
        trial.users += [(user, said.answers.get(user.screen_name)) for user in bucket]
        trial.problems += _problems(said, ending, running.why)
        if trial.problems:
            break
    return trial


def _batches(users: list[User], size: int) -> Iterator[list[User]]:
    return (users[start : start + size] for start in range(0, len(users), size))


def _problems(said: Conversation, ending: Ending, why: str) -> Iterator[str]:
    if said.objection:
        yield f"COMMAND's output: {said.objection}"
    if ending in (Ending.failed, Ending.timed_out):
        yield f"COMMAND failed: {why}"
    elif ending is Ending.later:
        yield "COMMAND wants to be started again later (exit status 75)"
    elif not said.heard and not said.objection:
        yield 'COMMAND said nothing: it reads users from stdin, and writes them to stdout with "candm"'
    if said.answered_twice:
        yield f"{said.answered_twice} users were answered twice; the first answer counts"
