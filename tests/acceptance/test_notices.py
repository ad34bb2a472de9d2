"""What commands say on stderr beside their result: more, less, about waiting, about how far they are, and on Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.graphs import prepare, transactions, wait_until_blocked, wait_until_gone
from support.invariants import Query
from support.programs import JOBS, Result
from support.terminal import seen

from dmcheck_cli.database.connection import Database

Call = Callable[..., Result]
REPEAT = "It may have taken effect or not: the same command may be repeated."
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


@pytest.mark.parametrize(
    ("command", "typed", "status"),
    [
        (("submit", "--client", 1), "", 75),
        (("users", "add"), "alice\n", 0),
        (("prioritize", "--file", "-"), "bob\n", 1),
    ],
)
def test_who_is_expected_to_type_is_told(
    database: Database,
    environment: dict[str, str],
    tmp_path: Path,
    command: tuple[object, ...],
    typed: str,
    status: int,
) -> None:
    """A command that reads from a terminal says so, and how that ends."""
    started = seen(*command, environment=environment, folder=tmp_path, all=True)
    started.wait_for("from the terminal; Ctrl-D ends it ...")
    started.type(typed + "\x04")
    assert started.end() == status


class TestLongCommands:
    """A person sees how far they are, and may stop them."""

    def test_users_add_is_interrupted_and_goes_on(
        self, database: Database, query: Query, direct: Call, environment: dict[str, str], tmp_path: Path
    ) -> None:
        """The bar shows what is done; Ctrl-C says how much that is at least; the same command does the rest."""
        names = [f"user{number:05}" for number in range(12_000)]
        (tmp_path / "list.txt").write_text("\n".join(names))
        with transactions(environment) as [held]:
            held.run("CREATE (:User {screen_name: $name})", name=names[7_000]).consume()
            command = seen("users", "add", "list.txt", environment=environment, folder=tmp_path)
            wait_until_blocked(query, "users add")
            command.wait_for("5000/12000")
            command.process.send_signal(signal.SIGINT)
            assert command.end() == 130
        assert "dmcheck: Interrupted. At least 5,000 of 12,000 users are added (" in command.shown
        assert command.out == ""
        wait_until_gone(query, "users add")
        done = direct("users", "add", "list.txt", "--json").document
        assert (done["added"], done["existing"]) == (7_000, 5_000)

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["users", "export", "old.jsonl"], "old.jsonl is as it was; the same command starts over."),
            (["users", "delete", "a", "b"], REPEAT),
            (
                ["prioritize", "--file", "old.jsonl"],
                REPEAT,
            ),
            (["schema", "apply"], "What was applied stays; the same command goes on from there."),
            (["stats"], "Nothing was changed."),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_ctrl_c_has_an_answer(
        self, environment: dict[str, str], tmp_path: Path, silent: str, arguments: list[str], told: str
    ) -> None:
        """130, what was done, how to go on, as JSON where that was asked for; no file is changed or left behind."""
        (tmp_path / "old.jsonl").write_text('{"screen_name": "old"}\n')
        for option in [] if "export" in arguments else ["--json"], []:
            command = seen(*arguments, *option, environment={**environment, "NEO4J_URI": silent}, folder=tmp_path)
            command.wait_for("Waiting for the database")
            command.process.send_signal(signal.SIGINT)
            assert command.end() == 130
            last = command.shown.strip().splitlines()[-1]
            expected = f"Interrupted. {told}"
            assert last == (f"dmcheck: {expected}" if not option else json.dumps({"error": error(expected)}))
        assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
        assert (tmp_path / "old.jsonl").read_text() == '{"screen_name": "old"}\n'


def error(message: str) -> dict[str, object]:
    """What the error of an interrupted command says."""
    return {"code": "interrupted", "message": message, "retry_after": None}
