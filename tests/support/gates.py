"""What stands in for the other side of a gate: a program named `ssh` that follows a script."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GREETING = {"gate": 1, "dmcheck": "9.9.9", "client": 42, "lease_seconds": 600}
SILENCE = "silence"
END = "end"

PROGRAM = f"""#!{sys.executable} -IS
import json, os, sys, time
from pathlib import Path
here = Path(__file__).parent
with open(here / "arguments", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
runs = json.loads((here / "script").read_text())
number = len((here / "arguments").read_text().splitlines())
run = runs[min(number, len(runs)) - 1]
(here / "pid").write_text(str(os.getpid()))
print(run.get("stderr", ""), end="", file=sys.stderr, flush=True)
for number, answer in enumerate(run.get("answers", [])):
    line = "" if number == 0 else sys.stdin.readline()
    if line:
        with open(here / "requests", "a") as file:
            file.write(line)
    elif number:
        break
    if answer == {SILENCE!r}:
        sys.stdin.read()
        time.sleep(60)
    if answer == {END!r}:
        break
    text = answer if isinstance(answer, str) else json.dumps(answer)
    if isinstance(answer, dict) and answer.get("id") == "same":
        text = json.dumps({{**answer, "id": json.loads(line)["id"]}})
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
else:
    if run.get("answers") and not run.get("ends"):
        sys.stdin.read()
sys.exit(run.get("status", 0))
"""


class FakeGate:
    """A folder with a program `ssh`, which follows one run of `script` after the other, and the last from then on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "ssh"
        program.write_text(PROGRAM)
        program.chmod(0o700)

    def follows(self, *runs: dict[str, Any]) -> None:
        """A run has `stderr`, the `answers` (a greeting first, then one to each request), `ends` and the `status`."""
        (self.folder / "script").write_text(json.dumps(runs))

    def arguments(self) -> list[list[str]]:
        """Of each run so far."""
        return self._lines("arguments")

    def requests(self) -> list[dict[str, Any]]:
        """All requests so far, of all runs."""
        return self._lines("requests")

    def pid(self) -> int:
        """Of the last run."""
        return int((self.folder / "pid").read_text())

    def _lines(self, name: str) -> list[Any]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answer(**result: Any) -> dict[str, Any]:
    """The answer to whatever was asked."""
    return {"id": "same", "result": result}


def refusal(code: str, status: int, retry_after: float | None = None) -> dict[str, Any]:
    """An error as the answer to whatever was asked."""
    error = {"code": code, "message": f"It is {code}.", "retry_after": retry_after}
    return {"id": "same", "error": error, "status": status}
