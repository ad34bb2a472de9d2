"""server.json: which process is a home's server, where it listens. Written once it is ready, by rename."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from dmcheck_cli.embedded import process
from dmcheck_cli.embedded.files import write_private_file

FILE = "server.json"


@dataclass(frozen=True)
class State:
    """`create_time` is the process's identity; a later process with the same pid has another."""

    pid: int
    create_time: str
    port: int
    version: str

    @property
    def uri(self) -> str:
        """Where the server answers, in the driver's form."""
        return f"bolt://127.0.0.1:{self.port}"

    def runs(self) -> bool:
        """Whether that very process is alive."""
        return process.identity(self.pid) == self.create_time

    def write(self, home: Path) -> None:
        """From now on this is the home's server. Raises OSError."""
        write_private_file(home / FILE, json.dumps(vars(self)) + "\n")

    def retire(self, home: Path) -> None:
        """From now on the home has no server, even while this one still runs; its port is kept for the next."""
        replace(self, create_time="").write(home)


def read(home: Path) -> State | None:
    """What the file says, true or stale; None when there is none, or not one of ours. Raises OSError."""
    try:
        with open(home / FILE, encoding="utf-8") as file:
            content = json.load(file)
        return State(int(content["pid"]), str(content["create_time"]), int(content["port"]), str(content["version"]))
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return None
