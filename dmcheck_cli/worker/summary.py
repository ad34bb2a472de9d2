"""What a run has done and what went wrong, as the summary shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.worker.protocol import Conversation

FAILURES = (
    "command_failed",  # COMMANDs that ended with a non-zero exit status or by a signal, or could not be started
    "command_timeout",  # COMMANDs that were ended because they made no progress
    "no_answers",  # COMMANDs that succeeded without saying anything
    "garbage",  # lines that are not answers
    "strangers",  # answers for users who are not in the bucket
    "answered_twice",  # further answers for a user; the first one counts
    "lease_lost",  # buckets that were no longer ours
    "temporary",  # times the database was unreachable
)


@dataclass
class Summary:
    """`buckets` whose answers were accepted, `users` answered in them, and `failures` by kind (see FAILURES)."""

    buckets: int = 0
    users: int = 0
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAILURES, 0))

    def failed(self, kind: str, times: int = 1) -> None:
        """Count a failure."""
        self.failures[kind] += times

    def noticed(self, said: Conversation) -> None:
        """Count what COMMAND said and should not have said."""
        self.failed("garbage", said.garbage)
        self.failed("strangers", said.strangers)
        self.failed("answered_twice", said.answered_twice)

    def document(self, client: int) -> dict[str, Any]:
        """The summary, for scripts."""
        return {"client": client, "buckets": self.buckets, "users": self.users, "failures": self.failures}

    def trouble(self) -> str:
        """The failures, for people; `-` for none."""
        return ", ".join(f"{kind} {times}" for kind, times in self.failures.items() if times) or "-"
