"""How a program ends when something is raised that no command expects: a documented status and a message, always."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest
import typer

from dmcheck_cli import entry
from dmcheck_cli.errors import PASSING, OutputLost


def _status(error: BaseException, as_json: bool = False) -> int:
    app = typer.Typer()

    @app.command()
    def fail(as_json: entry.Json = False) -> None:
        raise error

    return entry.run(app, ["--json"] if as_json else [])


@pytest.mark.parametrize(
    "error", [KeyError("x"), ValueError("v"), RuntimeError("r"), AssertionError(), LookupError("l\x9b"), TypeError("t")]
)
def test_what_nobody_foresaw_is_a_bug_and_says_so(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 70, which is not "refused"; what it was, where, in which version, and where to report it."""
    assert _status(error, as_json=True) == 70
    found = json.loads(capsys.readouterr().err)["error"]
    assert (found["code"], found["retry_after"]) == ("bug", None)
    assert _status(error) == 70
    said = capsys.readouterr().err
    for part in ("dmcheck: This is a bug of dmcheck 0.", type(error).__name__, "test_entry.py:", "report"):
        assert part in said
    assert said.count("\n") == 1
    assert said.strip().isprintable()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), 75),
        (RuntimeError("can't start new thread"), 75),
        *((OSError(number, os.strerror(number)), 75) for number in sorted(PASSING)),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 75),
        (OSError(errno.EBADF, "Bad file descriptor"), 75),
        (PermissionError(errno.EACCES, "Permission denied", "/a/file"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_what_a_machine_can_cause_is_no_bug(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it lacks for the moment is temporary; what it forbids is refused."""
    assert _status(error) == status
    assert "bug" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "as_json"),
    [
        (["--json"], True),
        (["--format", "json"], True),
        (["--format", "JSON"], True),
        (["--format=Json"], True),
        (["--format", "tsv"], False),
        (["work", "--", "checker", "--json"], False),
        ([], False),
    ],
)
def test_errors_are_json_however_that_was_asked_for(arguments: list[str], as_json: bool) -> None:
    """`--format` takes its values in any case, and what belongs to COMMAND asks for nothing."""
    assert entry._asks_for_json(arguments) is as_json


@pytest.mark.parametrize(
    ("arguments", "silent"),
    [
        (["stats", "--json"], True),
        (["users", "export", "--answer", "DM"], True),
        (["submit", "--help"], True),
        (["report", "--names"], True),
        (["schema", "apply", "--print"], True),
        (["schema", "apply"], False),
        (["work", "--client", "1", "--", "checker", "--help"], False),
        (["fetch", "--client", "1"], False),
        (["users", "add", "stats"], False),
    ],
)
def test_a_closed_pipe_is_silent_where_nothing_can_have_changed(
    arguments: list[str], silent: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reader has seen enough; the status says that not all was written."""
    assert entry._lost(OutputLost(what=os.strerror(errno.EPIPE)), arguments, False) == 75
    assert (capsys.readouterr().err == "") is silent
    assert entry._lost(OutputLost(what=os.strerror(errno.ENOSPC)), arguments, False) == 75
    assert "could not be written" in capsys.readouterr().err


def test_ctrl_c_while_the_program_is_loaded() -> None:
    """As at any other time: a sentence, and 130."""
    program = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "dmcheck_cli.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from dmcheck_cli.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "dmcheck: Interrupted. Nothing was changed.\n")
