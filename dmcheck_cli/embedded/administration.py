"""Runs Neo4j's own administration tool on the stopped graph of a home, to dump it or to load a dump."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dmcheck_cli.embedded.configuration import environment, java
from dmcheck_cli.embedded.folders import LOADING, home_folder
from dmcheck_cli.embedded.parts import jars
from dmcheck_cli.embedded.remedies import DUMP, HOME, explained, java_trouble, trouble, using
from dmcheck_cli.embedded.server import ensure_running, stop, stopped
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import Malformed, NotConfigured
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings
from dmcheck_cli.wholefile import beside

SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's quick compiler alone: a dump of a small graph took 3.0 instead of 4.8 s of CPU."""

MAIN_CLASS = "org.neo4j.cli.AdminTool"
"""What the script `neo4j-admin` of a Neo4j distribution runs; it is in the same jars as the server."""

LINES_SHOWN = 5

_DAMAGED = re.compile(r"(ZstdIOException[^\n]*|EOFException[^\n]*)|Not a valid Neo4j archive")
"""What the tool says of a dump that is not whole, and of what is none."""


class ToolFailed(NotConfigured):
    """`neo4j-admin` failed; the message has its last lines."""


@explained
def dump(settings: Settings, file: Path) -> int:
    """Stop the server and write the graph to `file`, which appears whole, over an older one; returns its size in bytes.

    Raises NotConfigured when there is no graph yet.
    """
    with using(DUMP, file):
        whole = file.absolute()
        if not whole.parent.is_dir():
            raise NotConfigured(what=f"Cannot use the dump: {whole.parent} is no folder. {DUMP.elsewhere}.")
    version = Store(home_folder(settings)).version()
    if version is not None:
        # A graph whose server was killed must be recovered first, or the tool refuses it.
        ensure_running(settings, version=version)
    with using(DUMP, file), beside(whole, folder=True) as aside:
        administer(settings, "database", "dump", "neo4j", f"--to-path={aside}")
        dumped = Path(aside, "neo4j.dump")
        size = dumped.stat().st_size
        os.replace(dumped, whole)
    return size


@contextmanager
def loaded(settings: Settings, file: Path) -> Iterator[Settings]:
    """Load a dump into a home aside, and yield its settings; after the block it takes the place of the graph.

    If the block or the loading fails, the graph stays as it was. There must be a graph.
    Raises Malformed for a file that is no whole dump, and what `administer` and `ensure_running` raise.
    """
    home = home_folder(settings)
    aside = replace(settings, home=str(home / LOADING))
    _remove(aside)
    try:
        Store(home).copy_empty(Path(str(aside.home)))
        folder = Path(str(aside.home), "dump")
        folder.mkdir()
        (folder / "neo4j.dump").symlink_to(file.absolute())
        try:
            administer(aside, "database", "load", "neo4j", f"--from-path={folder}", "--overwrite-destination=true")
        except ToolFailed as error:
            if (found := _DAMAGED.search(error.message)) is not None:
                why = f"it is cut short or damaged ({found[0]})" if found[1] else "it is no dump"
                raise Malformed(what=f"{str(file)!a} cannot be loaded: {why}; the database is as it was") from error
            raise
        yield aside
        stop(aside)
        with stopped(settings):
            Store(home).take(Path(str(aside.home)))
    except OSError as error:
        raise trouble(error, HOME, home) from error
    finally:
        _remove(aside)


def _remove(aside: Settings) -> None:
    stop(aside)
    shutil.rmtree(str(aside.home), ignore_errors=True)


@explained
def administer(settings: Settings, *arguments: str) -> None:
    """Stop the server and run `neo4j-admin` with these arguments on its home.

    The server cannot be started meanwhile; the next command that needs it starts it.
    Raises NotConfigured when there is no graph yet, ToolFailed when the tool fails.
    """
    home = home_folder(settings)
    store, progress = Store(home), Progress()
    with stopped(settings):
        version = store.version()
        if version is None:
            raise NotConfigured(what=f"There is no graph in {home}.")
        command = [*java(jars(settings, version, progress)), *SHORT_LIVED, MAIN_CLASS, *arguments]
        with progress.doing(f"neo4j-admin {' '.join(arguments)}"):
            try:
                done = subprocess.run(
                    command,
                    env=environment(os.environ, store.neo4j),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    umask=0o077,
                    check=False,
                )
            except OSError as error:
                raise java_trouble(error, command[0]) from error
    if done.returncode != 0:
        said = "\n".join(done.stdout.decode("utf-8", "replace").splitlines()[-LINES_SHOWN:])
        raise ToolFailed(what=f"neo4j-admin {' '.join(arguments)} failed:\n{said}")
