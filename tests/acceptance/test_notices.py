"""What commands say on stderr beside their result: more, less, about waiting, about how far they are, and on Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.graphs import prepare
from support.programs import JOBS, Result
from support.terminal import seen

from dmcheck_cli.database.connection import Database

Call = Callable[..., Result]
NOTE = "unknown: nobody"


class TestQuietAndVerbose:
    """`--quiet` and `--verbose`, before the command and behind it."""

    @pytest.mark.parametrize("options", [["-q", "prioritize"], ["prioritize", "--quiet"], ["-v", "prioritize", "-q"]])
    def test_quiet_leaves_out_notes(self, database: Database, direct: Call, options: list[str]) -> None:
        """The result stays, and so do errors."""
        prepare(database, active=[], users_to_check=2)
        assert NOTE in direct("prioritize", "user00000", "nobody").err
        quiet = direct(*options, "user00001", "nobody")
        assert (quiet.status, quiet.err) == (0, "")
        assert quiet.out
        assert direct(*options, "nobody").err.startswith("dmcheck: None of these users is known")

    @pytest.mark.parametrize("options", [["-v", "prioritize"], ["prioritize", "--verbose"]])
    def test_verbose_says_what_it_talks_to(
        self, database: Database, direct: Call, environment: dict[str, str], options: list[str]
    ) -> None:
        """The address, the account, each statement; no password. Stdout and the next command are as ever."""
        prepare(database, active=[], users_to_check=2)
        said = direct(*options, "user00000", "--json")
        assert said.status == 0
        assert said.document["prioritized"] == 1
        assert f"dmcheck: the database is {environment['NEO4J_URI']}, account neo4j" in said.err
        assert "dmcheck: prioritize_users: 1 rows in " in said.err
        assert environment["NEO4J_PASSWORD"] not in said.err
        assert direct("prioritize", "user00001").err == ""

    def test_verbose_says_what_is_tried_again(self, direct: Call) -> None:
        """Why, and when."""
        said = direct("-v", "stats", NEO4J_URI="bolt://localhost:1", DMCHECK_TIMEOUT_SECONDS="1")
        assert said.status == 75
        assert ": the next try is in " in said.err

    @pytest.mark.parametrize("job", JOBS)
    def test_jobs_have_both(self, direct: Call, job: str) -> None:
        """One line on stdout in any case."""
        assert "finish_job: " in direct("-v", program=job).err
        quiet = direct("-q", program=job)
        assert (quiet.status, quiet.err, quiet.out.count("\n")) == (0, "", 1)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"bolt://127.0.0.1:{server.getsockname()[1]}"


class TestWaiting:
    """A wait for the database."""

    @pytest.mark.parametrize("option", ["--json", "-q"])
    def test_a_long_one_is_told_on_a_terminal(
        self, environment: dict[str, str], tmp_path: Path, silent: str, option: str
    ) -> None:
        """Once; with `--quiet` not at all."""
        trouble = {**environment, "NEO4J_URI": silent, "DMCHECK_TIMEOUT_SECONDS": "4"}
        command = seen("stats", option, environment=trouble, folder=tmp_path)
        assert command.end() == 75
        told = f"Waiting for the database at {silent.removeprefix('bolt://')}, for 4 s at most ..."
        assert command.shown.count("Waiting for the database") == command.shown.count(told) == (option != "-q")

    def test_a_pipe_hears_nothing_of_it(self, direct: Call, silent: str) -> None:
        """There, only the outcome counts."""
        said = direct("stats", NEO4J_URI=silent, DMCHECK_TIMEOUT_SECONDS="3")
        assert said.status == 75
        assert "Waiting" not in said.err
