"""What all tests share: one real Neo4j for the whole run, an empty graph for each test, and commands as subprocesses.

By default the Neo4j is the embedded one, in a folder of its own that goes with the run; `NEO4J_TEST_VERSION` picks
another pinned version of it. `NEO4J_TEST_URI` names another database
(with `NEO4J_TEST_PASSWORD`, and `NEO4J_TEST_USERNAME` unless it is `neo4j`). The tests EMPTY that database, so
`NEO4J_TEST_EMPTIES_IT=yes` must confirm it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import pytest
from support.graphs import MAX_WAIT_SECONDS
from support.in_process import call
from support.programs import JAVA_OPTIONS, PLAIN, Result, at_home, launcher, outside, plainly
from support.working import Checker, checkers

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema

os.environ.setdefault(JAVA_OPTIONS, "-XX:TieredStopAtLevel=1")
"""Java's quick compiler alone for the servers that single tests start: they end before the other has paid."""
plainly()

PLANS_STAY = "dbms.cypher.min_replan_interval=1h\ndbms.cypher.statistics_divergence_threshold=1.0\n"
"""Each test fills an empty graph, after which Neo4j plans every statement again: half of the server's time
(tests/acceptance/test_output.py and tests/integration/test_jobs.py: 71 instead of 136 s of Java's CPU)."""

hypothesis.settings.register_profile("dmcheck", deadline=None)
hypothesis.settings.load_profile("dmcheck")
"""A machine that is busy is no defect: nothing here is timed."""

FAST = (
    "unit",
    "integration/test_jobs.py",
    "acceptance/test_fetch.py",
    "acceptance/test_submit.py",
    "acceptance/test_stats.py",
    "acceptance/test_register.py",
)
"""The part that is marked `fast`: what needs no database, the verbs of a client and the jobs of the line."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the other files alone when only the fast part is wanted: reading them took a fifth of its time."""
    return True if _only_fast(config) and collection_path.is_file() and not _is_fast(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast part."""
    for item in items:
        if _is_fast(item.path):
            item.add_marker("fast")


def _is_fast(path: Path) -> bool:
    here = Path(__file__).parent
    return any(path.is_relative_to(here / one) for one in FAST)


def _only_fast(config: pytest.Config) -> bool:
    return str(config.option.markexpr) == "fast"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out the tests of the fast part: those of the database to one process, which alone has to start a server
    and have it plan the statements. Half of that work is saved, and the other process has as long to do."""
    if not _only_fast(config):
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneDatabase(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(super()._split_scope(nodeid)) if nodeid.startswith("tests/unit/") else "database"

    return OneDatabase(config, log)


@pytest.fixture(scope="session")
def neo4j_environment(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[dict[str, str]]:
    """The environment variables that lead to the test database."""
    if "NEO4J_TEST_URI" in os.environ:
        if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
            pytest.exit("Several processes cannot share the database at NEO4J_TEST_URI: leave out -n", 4)
        if os.environ.get("NEO4J_TEST_EMPTIES_IT") != "yes":
            pytest.exit("The tests empty the database at NEO4J_TEST_URI: set NEO4J_TEST_EMPTIES_IT=yes to confirm", 4)
        names = {"URI": "NEO4J_URI", "USERNAME": "NEO4J_USERNAME", "PASSWORD": "NEO4J_PASSWORD"}
        given = {ours: os.environ.get(f"NEO4J_TEST_{name}") for name, ours in names.items()}
        yield {name: value for name, value in given.items() if value is not None}
        return
    from dmcheck_cli.embedded import launch, server
    from dmcheck_cli.embedded.configuration import neo4j_conf

    home = tmp_path_factory.mktemp("home")
    settings = at_home(home)
    if not _only_fast(pytestconfig):
        # Both compilers: this server plans some thousand statements, the later ones in a third of the time
        # (test_repeating.py alone: 115 instead of 158 s).
        settings = replace(settings, java_options=None)
    version = os.environ.get("NEO4J_TEST_VERSION")
    with (
        mock.patch.object(launch, "neo4j_conf", lambda port: neo4j_conf(port) + PLANS_STAY),
        _archive(_only_fast(pytestconfig)),
    ):
        running = server.ensure_running(settings, version=version)
    try:
        yield {"NEO4J_URI": running.uri, "NEO4J_USERNAME": running.username, "NEO4J_PASSWORD": running.password}
    finally:
        server.stop(settings)


def _archive(only_fast: bool) -> Any:
    """Java's archive is not made where this server is the only one; else at once, as some sixty start after it."""
    from dmcheck_cli.embedded import archive

    if only_fast:
        return mock.patch.object(archive, "make_later")
    return mock.patch.object(archive, "NICENESS", 0)


@pytest.fixture(scope="session")
def connection(neo4j_environment: dict[str, str]) -> Iterator[Database]:
    """One connection for the whole run, to a database with our schema."""
    settings = Settings(
        neo4j_uri=neo4j_environment["NEO4J_URI"],
        neo4j_username=neo4j_environment.get("NEO4J_USERNAME", "neo4j"),
        neo4j_password=neo4j_environment["NEO4J_PASSWORD"],
        timeout_seconds=int(MAX_WAIT_SECONDS),  # a machine that is busy is no trouble with the database
        **PLAIN,
    )
    with Database(settings, "tests") as database:
        empty(database)
        schema.apply(database)
        yield database


@pytest.fixture
def database(connection: Database) -> Database:
    """The same connection, to an empty graph."""
    empty(connection)
    return connection


@pytest.fixture
def query(database: Database) -> Callable[..., list[dict[str, Any]]]:
    """Runs any Cypher text and returns its rows: to arrange what no command can, to move stored times, to look."""
    return database.run_text


@pytest.fixture
def environment(neo4j_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A bare environment for subprocesses, with the way to the test database."""
    return {**outside(), **neo4j_environment, "HOME": str(tmp_path), "COLUMNS": "120"}


@pytest.fixture
def direct(database: Database, environment: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    """Calls `dmcheck` (or a job, by `program`) within this process; variables that are None are taken away."""

    def command(
        *arguments: object, program: str = "dmcheck", stdin: str | bytes = b"", **variables: str | None
    ) -> Result:
        merged = {**environment, **variables}
        kept = {name: value for name, value in merged.items() if value is not None}
        return call(arguments, kept, tmp_path, program, stdin)

    return command


@pytest.fixture
def run(
    request: pytest.FixtureRequest, direct: Callable[..., Result], environment: dict[str, str], tmp_path: Path
) -> Callable[..., Result]:
    """As `direct`; in a test that is marked `process` a real process, with arguments, stdin and further variables."""

    def command(*arguments: object, program: str = "dmcheck", stdin: str | bytes = b"", **variables: str) -> Result:
        done = subprocess.run(
            [*launcher(program), *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**environment, **variables},
            cwd=tmp_path,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return command if request.node.get_closest_marker("process") else direct


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    """Makes a checker of a few lines of Python in the test's folder; returns its command line."""
    return checkers(tmp_path)


def empty(database: Database) -> None:
    """Delete every node but the one that says which version the graph is of."""
    database.run_text(
        "MATCH (n) WHERE NOT n:DMCheckSchema CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 2000 ROWS", patience=300
    )
    database.run_text(
        """MERGE (graph:DMCheckSchema {name: 'graph'})
        SET graph.version = $version, graph.lock = true REMOVE graph.upgrading""",
        version=cypher.SCHEMA,
    )
