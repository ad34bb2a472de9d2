"""The form of answers that are kept on disk until they are acknowledged: JSON lines, each complete in itself.

An answer is `{"bucket", "lease", "database", "screen_name", "candm"}`. `{"bucket", "lease", "database", "resumed"}`
says that COMMAND was started on a lease of an earlier run, `{"lease", "ended"}` that nothing of that lease is needed
any more.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dmcheck_cli.domain.model import ANSWERS, Answered

MAX_LINE = 64 * 1024
"""Bytes. A line has some 200."""


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
    # Written in one piece: this is done for every answer, and a whole json.dumps each took three times as long.
    head = json.dumps({"bucket": bucket, "lease": lease, "database": database})[:-1]
    return "".join(
        f'{head}, "screen_name": {json.dumps(name)}, "candm": "{answer}"}}\n' for name, answer in answers.items()
    ).encode()


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
    first = re.compile(rb"\s*(.*)").match(raw)
    said = _object(first[1]) if first else None
    return said is not None and "lease" in said and "buckets" not in said


def read(raw: bytes, most: float = math.inf) -> tuple[dict[str, KeptLease], int]:
    """What is kept, by lease, in the order of the file; and how many lines were left out because they are not whole.

    The first answer for a user counts. Leases that ended are left out. After `most` lines that are not whole the rest
    is not read.
    """
    kept: dict[str, KeptLease] = {}
    unreadable = 0
    for line in _lines_in(raw):
        if unreadable == most:
            break
        if line.isspace():
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


def _lines_in(raw: bytes) -> Iterator[bytes]:
    """One after the other, with their ends: a list of millions of short lines would take many times their bytes."""
    return iter(io.BytesIO(raw))


def _lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _object(line: bytes) -> dict[str, object] | None:
    if len(line) > MAX_LINE:
        return None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
