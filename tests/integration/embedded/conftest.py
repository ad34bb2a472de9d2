"""A home of its own for each test, whose server is always stopped; the jars come from the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import neo4j
import pytest
from homes import Query, processes
from support.programs import at_home

from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.parts import DEFAULT_VERSION, jars
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings


@pytest.fixture(scope="session")
def jars_folder() -> str:
    """A folder with the default version's jars, fetched once per machine (or DMCHECK_JARS_FOLDER, DMCHECK_JARS_URL)."""
    return str(jars(Settings.load(), DEFAULT_VERSION, Progress(shown=False))[0].parent)


@pytest.fixture
def settings(tmp_path: Path, jars_folder: str) -> Iterator[Settings]:
    """Settings with an empty home; whatever runs on it in the end is stopped."""
    made = at_home(tmp_path / "home", jars_folder=jars_folder)
    yield made
    server.stop(made)
    assert processes(made) == []


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, jars_folder: str) -> Iterator[tuple[Settings, server.Server]]:
    """A server for tests that only look at it."""
    made = at_home(tmp_path_factory.mktemp("running") / "home", jars_folder=jars_folder)
    yield made, server.ensure_running(made, progress=False)
    server.stop(made)


@pytest.fixture
def query() -> Query:
    """Runs one statement, once: no retry hides what a server that just became ready says."""

    def run(found: server.Server, statement: str) -> list[neo4j.Record]:
        with (
            neo4j.GraphDatabase.driver(found.uri, auth=(found.username, found.password)) as driver,
            driver.session() as session,
        ):
            return list(session.run(statement))

    return run
