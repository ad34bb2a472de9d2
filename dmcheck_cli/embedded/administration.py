"""Runs Neo4j's own administration tool on the stopped graph of a home, to dump it or to load a dump."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dmcheck_cli.embedded.configuration import environment, java
from dmcheck_cli.embedded.files import is_there, make_private_folder
from dmcheck_cli.embedded.folders import home_folder
from dmcheck_cli.embedded.parts import jars
from dmcheck_cli.embedded.progress import Progress
from dmcheck_cli.embedded.remedies import DUMP, explained, java_trouble, using
from dmcheck_cli.embedded.server import ensure_running, stopped
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

MAIN_CLASS = "org.neo4j.cli.AdminTool"
"""What the script `neo4j-admin` of a Neo4j distribution runs; it is in the same jars as the server."""

LINES_SHOWN = 5


@explained
def dump(settings: Settings, folder: Path) -> Path:
    """Stop the server and write the graph to `folder` (made, private, if missing); returns the dump's path.

    Raises NotConfigured when there is no graph yet, or a dump of that name already exists.
    """
    with using(DUMP, folder):
        dumped = folder.absolute() / "neo4j.dump"
        if is_there(dumped):
            raise NotConfigured(what=f"{dumped} is there already: name another folder, or move it away.")
    version = Store(home_folder(settings)).version()
    if version is not None:
        # A graph whose server was killed must be recovered first, or the tool refuses it.
        ensure_running(settings, version=version)
    with using(DUMP, folder):
        make_private_folder(folder)
    administer(settings, "database", "dump", "neo4j", f"--to-path={dumped.parent}")
    return dumped


@explained
def administer(settings: Settings, *arguments: str) -> None:
    """Stop the server and run `neo4j-admin` with these arguments on its home.

    The server cannot be started meanwhile; the next command that needs it starts it.
    Raises NotConfigured when there is no graph yet, or, with the tool's last lines, when the tool fails.
    """
    home = home_folder(settings)
    store, progress = Store(home), Progress()
    with stopped(settings):
        version = store.version()
        if version is None:
            raise NotConfigured(what=f"There is no graph in {home}.")
        command = [*java(jars(settings, version, progress)), MAIN_CLASS, *arguments]
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
        raise NotConfigured(what=f"neo4j-admin {' '.join(arguments)} failed:\n{said}")
