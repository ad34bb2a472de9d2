"""`--log-format json`: each line on stderr is one JSON object, with the event's name and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.graphs import pass_time, prepare
from support.invariants import Query
from support.programs import Result
from support.working import CLEAN, CLIENT, FILTER, Checker, work

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


NOISY = r"""
raw = sys.stderr.buffer
raw.write(b"begins\r1 %\r2 %\n\n\x1b[2J\xff " + "\u202e".encode() + b"x" * 20000 + b"\n")
raw.flush()
for line in sys.stdin:
    say(json.loads(line), "DM")
os.close(1)
raw.write((b"y" * 99 + b"\n") * 2000 + b"no end")
raw.flush()
"""
"""It writes more than a pipe holds after it has closed its stdout."""


def test_what_command_writes_is_a_line_of_the_log(
    database: Database, environment: dict[str, str], checker: Checker
) -> None:
    """Each line of it, with its bucket and lease; all of it, also of a COMMAND that ends with a flood."""
    prepare(database, [CLIENT], 4, size=4)
    status, summary, err = work(environment, "--once", "-q", "--log-format", "json", "--", *checker(NOISY))
    lines = [json.loads(line) for line in err]
    said = [line for line in lines if line["event"] == "command_stderr"]
    texts = [line["message"] for line in said]
    assert (status, summary["failures"], summary["users"]) == (0, CLEAN, 4)
    assert texts[:3] == ["begins", "1 %", "2 %"]
    long = [text for text in texts[3:] if "x" in text]
    assert "".join(long) == "\x1b[2J\\xff \u202e" + "x" * 20000
    lost = sum(int(line["message"].split()[0][1:]) for line in lines if line["event"] == "left_out")
    assert len(texts) + lost == 3 + len(long) + 2000 + 1
    assert all(
        (line["client"], line["level"]) == (CLIENT, "info") and line["bucket"] and line["lease"] for line in said
    )
    assert all(line.isascii() and line.isprintable() for line in err)


def test_a_trial_tells_it_too(direct: Callable[..., Result], checker: Checker, tmp_path: Path) -> None:
    """`work --try` runs COMMAND as `work` does."""
    (tmp_path / "users").write_text("somebody\n")
    words = ("work", "--try", tmp_path / "users", "--log-format", "json", "--json", "--")
    done = direct(*words, *checker("print('is here', file=sys.stderr)" + FILTER))
    assert done.status == 0
    assert [(line["event"], line["message"]) for line in map(json.loads, done.err.splitlines())] == [
        ("command_stderr", "is here")
    ]


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


def test_the_jobs_tell_each_lease_bucket_and_client(
    database: Database, direct: Callable[..., Result], query: Query
) -> None:
    """What was written, with its client, bucket and lease; nothing without the option, with `--quiet`, or again."""
    prepare(database, [CLIENT], 8, size=4)
    [given] = direct("fetch", "--client", CLIENT, "--count", "1", "--json").document["buckets"]

    def told(job: str, *more: str) -> list[dict[str, Any]]:
        done = direct(*more, "--log-format=json", program=job, DMCHECK_GRACE_SECONDS="1")
        assert done.status == 0
        lines = [json.loads(line) for line in done.err.splitlines()]
        known = ("event", "client", "bucket", "lease", "before", "now")
        others = ("finished", "warning")  # a slow machine warns of each statement
        return [{key: line[key] for key in known if key in line} for line in lines if line["event"] not in others]

    lease = {"client": CLIENT, "bucket": given["bucket"], "lease": given["lease"]}
    pass_time(query, 86_400 * 365)
    [waiting] = query("MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL RETURN b.uuid AS uuid")
    assert told("raise_starved") == [{"event": "raised", "bucket": waiting["uuid"]}]
    assert told("reclaim_leases") == [{"event": "died", **lease}]
    pass_time(query, 60)
    assert told("reclaim_leases", "--quiet") == []
    assert told("reclaim_leases") == []
    query("MATCH (s:DMCheckClientStats) SET s.allowance = 5")
    [lowered] = told("judge_clients", "--dry-run")
    assert (lowered["event"], lowered["client"], lowered["before"]) == ("lowered", CLIENT, 5)
    assert lowered["now"] < 5


def test_a_release_is_told(database: Database, direct: Callable[..., Result], query: Query) -> None:
    """By the job that releases what has been dead for the time of grace."""
    prepare(database, [CLIENT], 4, size=4)
    [given] = direct("fetch", "--client", CLIENT, "--count", "1", "--json").document["buckets"]
    pass_time(query, 86_400)
    assert direct(program="reclaim_leases").err == ""
    pass_time(query, 86_400)
    told = map(json.loads, direct("--log-format=json", program="reclaim_leases").err.splitlines())
    line, finished = (line for line in told if line["event"] != "warning")
    lease = ("released", CLIENT, given["bucket"], given["lease"])
    assert tuple(line[key] for key in ("event", "client", "bucket", "lease")) == lease
    assert (finished["event"], finished["released"]) == ("finished", 1)
