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
        """The server's address, in the driver's form."""
        return f"bolt://127.0.0.1:{self.port}"

    def runs(self) -> bool:
        """Whether that same process is alive."""
        return process.identity(self.pid) == self.create_time

    def write(self, home: Path) -> None:
        """Make this the home's server. Raises OSError."""
        write_private_file(home / FILE, json.dumps(vars(self)) + "\n")

    def retire(self, home: Path) -> None:
        """Leave the home without a server, even while this one still runs; its port is kept for the next."""
        replace(self, create_time="").write(home)


def read(home: Path) -> State | None:
    """The file's content, current or stale; None if it is missing or not ours. Raises OSError."""
    try:
        with open(home / FILE, encoding="utf-8") as file:
            content = json.load(file)
        return State(int(content["pid"]), str(content["create_time"]), int(content["port"]), str(content["version"]))
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return None
