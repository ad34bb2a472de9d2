"""`--log-format json`: each line on stderr is one JSON object, with the event's name and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import prepare
from support.programs import Result
from support.working import CLIENT, FILTER, Checker, work

from dmcheck_cli import notices
from dmcheck_cli.database.connection import Database


def test_a_line_is_one_object_in_ascii() -> None:
    """Whatever the text has in it, the line has no end and no control character of its own."""
    line = notices.logged(notices.Event("a\nb\x1b[2J\x7f\u202e", "refused", "warning", client=1))
    content = json.loads(line)
    assert line.isascii()
    assert line.isprintable()
    assert content.pop("at").endswith("Z")
    assert content == {"level": "warning", "event": "refused", "message": "a\nb\x1b[2J\x7f\u202e", "client": 1}
    assert json.loads(notices.logged("b"))["event"] == "note"


def test_work_tells_each_bucket(database: Database, environment: dict[str, str], checker: Checker) -> None:
    """What was fetched is submitted; then the refusal and the end. The summary stays on stdout, no password is told."""
    prepare(database, [CLIENT], 8, size=4)
    status, summary, err = work(environment, "--once", "-v", "--log-format", "json", "--", *checker(FILTER))
    lines: list[dict[str, Any]] = [json.loads(line) for line in err]
    assert (status, summary["buckets"]) == (0, 2)
    assert all({"at", "level", "event", "message"} <= set(line) for line in lines)
    for event in ("fetched", "submitted"):
        assert sum(line["event"] == event for line in lines) == 2
    told = [line for line in lines if "lease" in line]
    for lease in {line["lease"] for line in told}:
        events = [line["event"] for line in told if line["lease"] == lease]
        assert (events[0], events[-1]) == ("fetched", "submitted")
    assert all(line["client"] == CLIENT and line["bucket"] for line in told)
    assert [line["reason"] for line in lines if line["event"] == "refused"][-1] == "nothing_to_fetch"
    assert lines[-1]["event"] == "stopped"
    assert environment["NEO4J_PASSWORD"] not in "".join(err)


def test_an_error_is_the_last_line(database: Database, environment: dict[str, str], checker: Checker) -> None:
    """Of one form, with `--json` too."""
    prepare(database, [CLIENT])
    status, _, err = work(environment, "--once", "--log-format", "json", "--", *checker(FILTER))
    last = json.loads(err[-1])
    assert (status, last["level"], last["event"]) == (3, "error", "error")
    assert last["error"]["code"] == "nothing_to_fetch"


@pytest.mark.parametrize("wrong", [(), ("--nonsense",)])
def test_a_job(database: Database, direct: Callable[..., Result], wrong: tuple[str, ...]) -> None:
    """Its counts; of wrong usage the error."""
    prepare(database, [CLIENT], users_to_check=2)
    done = direct("--log-format=json", "--json", "-v", "--timings", *wrong, program="make_buckets")
    lines = {line["event"]: line for line in map(json.loads, done.err.splitlines())}
    if wrong:
        assert (done.status, lines["error"]["error"]["code"]) == (2, "usage")
    else:
        assert done.status == 0
        assert lines["finished"]["job"] == "make_buckets"
        assert done.document.items() <= lines["finished"].items()
        assert {"detail", "timings"} <= set(lines)
