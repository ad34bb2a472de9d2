"""Requests and their outcomes. Each process writes its own file; all are read together at the end.

An operation is recorded before it starts and again when it has ended, so a killed process leaves an operation of
unknown outcome behind, and no reply it received is lost.
"""

from __future__ import annotations

import json
import math
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from dmcheck_cli.errors import DmcheckError, Overtaken, Temporary

OK = "ok"
UNKNOWN = "unknown"
TEMPORARY = 75


@dataclass(frozen=True)
class Operation:
    """One command. `outcome` is OK, UNKNOWN or the code of the refusal; `result` is the command's JSON document.

    `began` and `ended` are readings of this machine's monotonic clock, shared by all processes. An operation of unknown
    outcome may take effect at any time, so it never ends.
    """

    kind: str
    client: int | None
    arguments: dict[str, Any]
    outcome: str
    result: Any
    began: float
    ended: float

    @property
    def ok(self) -> bool:
        """It was acknowledged."""
        return self.outcome == OK

    @property
    def unknown(self) -> bool:
        """It may have taken effect or not."""
        return self.outcome == UNKNOWN

    @property
    def effective(self) -> bool:
        """It took effect, or may have."""
        return self.ok or self.unknown

    def before(self, other: Operation) -> bool:
        """It had ended when the other one began."""
        return self.ended < other.began


class Recorder:
    """Records the operations of one process, in its own file within `folder`."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._number = 0

    def run(self, kind: str, client: int | None, arguments: dict[str, Any], work: Callable[[], Any]) -> Any:
        """Do `work` and return what it returns, a document or a dataclass; raises what it raises."""
        number = self.begin(kind, client, arguments)
        try:
            result = work()
        except Overtaken as refusal:  # which changed nothing
            self.end(number, refusal.code)
            raise
        except Temporary:
            self.end(number, UNKNOWN)
            raise
        except DmcheckError as refusal:
            self.end(number, refusal.code)
            raise
        self.end(number, OK, result)
        return result

    def begin(self, kind: str, client: int | None, arguments: dict[str, Any]) -> int:
        """Record that an operation starts; returns its number, for `end`."""
        self._number += 1
        line = {"n": self._number, "kind": kind, "client": client, "arguments": arguments, "began": time.monotonic()}
        self._write(line)
        return self._number

    def end(self, number: int, outcome: str, result: Any = None) -> None:
        """Record how it ended."""
        self._write({"n": number, "outcome": outcome, "result": _plain(result), "ended": time.monotonic()})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def of_command(status: int, out: str, err: str) -> tuple[str, Any]:
    """Outcome and result of a command that ran as a process with --json, for `Recorder.end`."""
    if status == 0 or (status == 1 and out.strip()):  # a partly refused submit reports on stdout
        return OK, json.loads(out) if out.strip() else None
    if status < 0 or status == TEMPORARY:
        return UNKNOWN, None
    return str(json.loads(err.splitlines()[-1])["error"]["code"]), None


def read(folder: Path) -> list[Operation]:
    """All records in `folder`, in the order in which the operations began."""
    found = []
    for path in folder.glob("*.jsonl"):
        begun: dict[int, dict[str, Any]] = {}
        ended: dict[int, dict[str, Any]] = {}
        for text in path.read_text("utf-8").splitlines():
            line = json.loads(text)
            (begun if "kind" in line else ended)[line["n"]] = line
        for number, line in begun.items():
            end = ended.get(number, {"outcome": UNKNOWN, "result": None, "ended": math.inf})
            until = math.inf if end["outcome"] == UNKNOWN else end["ended"]
            found.append(
                Operation(
                    line["kind"],
                    line["client"],
                    line["arguments"],
                    end["outcome"],
                    end["result"],
                    line["began"],
                    until,
                )
            )
    return sorted(found, key=lambda operation: operation.began)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value
