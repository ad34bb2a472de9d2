"""What a home keeps while its server is stopped: the graph, its password, and the Neo4j version that made it.

The graph's folder always has a file that names the version which made it. As long as that file also says `unfinished`,
no server has been ready on that folder and no write to it was acknowledged, so an interrupted start is undone by
recreating the folder.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dmcheck_cli.embedded.credentials import auth_ini, make_password, read_password
from dmcheck_cli.embedded.files import is_there, make_private_folder, sync_folder, write_private_file
from dmcheck_cli.errors import NotConfigured

UNFINISHED = "unfinished"

OURS = frozenset({"lock", "server.json", "password", "neo4j", "loading", "held"})
"""What a home contains if it has no other use."""


@dataclass(frozen=True)
class Store:
    """The files of one home, see `dmcheck_cli.embedded`; all methods may raise OSError."""

    home: Path

    @property
    def neo4j(self) -> Path:
        """What Neo4j calls its home."""
        return self.home / "neo4j"

    @property
    def log(self) -> Path:
        """The server's output since its last start."""
        return self.neo4j / "logs" / "console.log"

    @property
    def classes(self) -> Path:
        """The classes that the server has loaded; exists only until an archive has been made from them."""
        return self.neo4j / "logs" / "classes.txt"

    def version(self) -> str | None:
        """The Neo4j version that last ran on the graph; None if there is no graph, or its version is not recorded."""
        words = self._version_words()
        return words[0] if words and UNFINISHED not in words else None

    def prepare(self, version: str, upgrade: bool) -> bool:
        """Make the home ready for a server of that version; True if its graph is a new, empty one.

        `upgrade`: allow opening an older release's graph, which that release can then no longer open.
        Raises NotConfigured when this version must not open the graph, or its password is missing.
        """
        self._take_over_home()
        for folder in (self.neo4j / "conf", self.neo4j / "logs"):
            make_private_folder(folder)
        if not is_there(self._data) and is_there(self._old):
            self._old.rename(self._data)  # a load was killed between its two renames
        if not is_there(self._data) or UNFINISHED in self._version_words():
            self._make_data(version)
            return True
        self._check_version(version, upgrade)
        # Before the start, not after: an interrupted upgrade may already have closed the graph to the older version.
        self.finish(version)
        password = read_password(self.home)  # without it the graph is of no use
        # Neo4j reads it only if it finds no accounts; without it, Neo4j would accept `neo4j` with password `neo4j`.
        if not is_there(self._auth_file):
            make_private_folder(self._auth_file.parent)
            write_private_file(self._auth_file, auth_ini(password))
        return False

    def finish(self, version: str) -> None:
        """Record that a server of that version is ready: from now on the graph is never discarded."""
        write_private_file(self._version_file, f"{version}\n")

    def copy_empty(self, home: Path) -> None:
        """Make another home with a new, empty graph of the same version, and the same password."""
        make_private_folder(home)
        other = Store(home)
        version = self.version() or ""
        other.prepare(version, upgrade=False)
        password = read_password(self.home)
        write_private_file(home / "password", f"{password}\n")
        write_private_file(other._auth_file, auth_ini(password))
        other.finish(version)

    def take(self, home: Path) -> None:
        """Replace the graph with that of another home with the same password. Both must be stopped.

        After a crash in the middle, `prepare` finds the old graph or the new one.
        """
        shutil.rmtree(self._old, ignore_errors=True)
        self._data.rename(self._old)
        Store(home)._data.rename(self._data)
        sync_folder(self.neo4j)
        shutil.rmtree(self._old, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.neo4j / "data"

    @property
    def _old(self) -> Path:
        return self.neo4j / "data.old"

    @property
    def _auth_file(self) -> Path:
        return self._data / "dbms" / "auth.ini"

    @property
    def _version_file(self) -> Path:
        return self._data / "version"

    def _version_words(self) -> list[str]:
        try:
            return self._version_file.read_text("utf-8").split()
        except (FileNotFoundError, UnicodeDecodeError):
            return []

    def _take_over_home(self) -> None:
        # A folder that also has other files, such as a user's home folder, keeps its mode.
        if {name.removesuffix(".part") for name in os.listdir(self.home)} <= OURS:
            self.home.chmod(0o700)

    def _make_data(self, version: str) -> None:
        make_private_folder(self.neo4j)
        new = self.neo4j / "data.part"
        shutil.rmtree(new, ignore_errors=True)
        if is_there(self._data):
            self._data.rename(new)  # in one step, so that `version` never vanishes before the rest of it
            shutil.rmtree(new)
        password = make_password(self.home)
        for folder in (new, new / "dbms"):
            make_private_folder(folder)
        write_private_file(new / "dbms" / "auth.ini", auth_ini(password))
        write_private_file(new / "version", f"{version} {UNFINISHED}\n")
        new.rename(self._data)
        sync_folder(self.neo4j)

    def _check_version(self, version: str, upgrade: bool) -> None:
        made_by = self.version()
        if made_by is None or made_by == version:
            return
        made_by_numbers, numbers = _numbers(made_by), _numbers(version)
        if made_by_numbers > numbers:
            raise NotConfigured(
                what=f"The graph in {self.home} was made by Neo4j {made_by}; {version}, which is older, cannot open "
                f"it. Use the dmcheck that made it, or move it to a server of your own with a dump."
            )
        # Versions that differ only in their last number (5.26.30, 5.26.31) share a store format.
        if made_by_numbers[:2] != numbers[:2] and not upgrade:
            raise NotConfigured(
                what=f"The graph in {self.home} was made by Neo4j {made_by}. Opening it with {version} would be for "
                f"good, so it is not done unasked. Use the dmcheck that made it, dump it first, or "
                f"start this version explicitly."
            )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".") if number.isdigit()]
