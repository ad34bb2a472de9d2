"""The form of answers that are kept on disk until they are acknowledged: JSON lines, each complete in itself.

An answer is `{"bucket", "lease", "database", "screen_name", "candm"}`. `{"bucket", "lease", "database", "resumed"}`
says that COMMAND was started on a lease of an earlier run, `{"lease", "ended"}` that nothing of that lease is needed
any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from dmcheck_cli.domain.model import ANSWERS, Answered


@dataclass
class KeptLease:
    """What is kept of one lease: its answers, and how often COMMAND was started on it in later runs. `database` is
    where it came from."""

    bucket: str
    lease: str
    database: str
    answers: dict[str, str] = field(default_factory=dict)
    resumed: int = 0

    def answered(self) -> Answered:
        """The answers, as `submit` takes them."""
        return Answered(self.bucket, self.lease, self.answers)


def answer_lines(bucket: str, lease: str, database: str, answers: dict[str, str]) -> bytes:
    """A line for each answer."""
    head = {"bucket": bucket, "lease": lease, "database": database}
    return _lines({**head, "screen_name": name, "candm": answer} for name, answer in answers.items())


def resumed_line(bucket: str, lease: str, database: str) -> bytes:
    """The line of one more start of COMMAND."""
    return _lines([{"bucket": bucket, "lease": lease, "database": database, "resumed": True}])


def ended_lines(leases: Iterable[str]) -> bytes:
    """A line for each lease that is over."""
    return _lines({"lease": lease, "ended": True} for lease in leases)


def lines_of(kept: KeptLease) -> bytes:
    """All lines of one lease."""
    again = resumed_line(kept.bucket, kept.lease, kept.database) * kept.resumed
    return again + answer_lines(kept.bucket, kept.lease, kept.database, kept.answers)


def looks_kept(raw: bytes) -> bool:
    """Whether a file begins with such a line, and is no document of `fetch`."""
    said = _object(raw.lstrip().partition(b"\n")[0])
    return said is not None and "lease" in said and "buckets" not in said


def read(raw: bytes) -> tuple[dict[str, KeptLease], int]:
    """What is kept, by lease, in the order of the file; and how many lines were left out because they are not whole.

    The first answer for a user counts. Leases that ended are left out.
    """
    kept: dict[str, KeptLease] = {}
    unreadable = 0
    for line in raw.splitlines():
        if not line.strip():
            continue
        said = _object(line)
        if said is None or not isinstance(lease := said.get("lease"), str):
            unreadable += 1
            continue
        if said.get("ended"):
            kept.pop(lease, None)
            continue
        bucket, name, answer = said.get("bucket"), said.get("screen_name"), said.get("candm")
        if not isinstance(bucket, str) or not (said.get("resumed") or (isinstance(name, str) and answer in ANSWERS)):
            unreadable += 1
            continue
        one = kept.setdefault(lease, KeptLease(bucket, lease, str(said.get("database"))))
        if said.get("resumed"):
            one.resumed += 1
        else:
            one.answers.setdefault(str(name), str(answer))
    return kept, unreadable


def _lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _object(line: bytes) -> dict[str, object] | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
