"""What a process says it cost the database, from the accounts of all its connections."""

from __future__ import annotations

import pytest

from dmcheck_cli import entry
from dmcheck_cli.database import account
from dmcheck_cli.errors import Temporary


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("arguments", [[], ["--timings"], ["-q", "--timings"], ["--timings", "--json"]])
def test_timings_are_said_when_asked_for(arguments: list[str], fails: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """All connections together, once, from 0 for each program; before an error, whose message stays the last line."""
    app = entry.Program()

    @app.command()
    def work(as_json: entry.Json = False) -> None:
        for _ in range(2):
            one = account.opened()
            one.statements, one.round_trips, one.rows, one.retries, one.waited = 1, 2, 10, 1, 0.25
        if fails:
            raise Temporary(what="x")

    for _ in range(2):
        assert entry.run(app, arguments) == (75 if fails else 0)
        said = capsys.readouterr().err.splitlines()
        expected = "round trips: 4, statements: 2, rows: 20, retries: 2, waited 0.500 s"
        assert said[: 1 if arguments else 0] == ([expected] if arguments else [])
        assert len(said) == bool(arguments) + fails


def test_a_slow_statement_is_named_once() -> None:
    """One with a name, above the limit."""
    account.forget()
    assert [account.is_slow(*one) for one in (("a", 0.9), ("a", 1.1), ("a", 2), ("", 9), ("b", 2))] == [
        False,
        True,
        False,
        False,
        True,
    ]
    account.forget()
