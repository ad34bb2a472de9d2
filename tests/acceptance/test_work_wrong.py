"""The likeliest first checkers, which are wrong: `work` ends soon and says why; `work --try` needs no database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.graphs import prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database

NOTE = "import os, sys; open(os.environ['STARTS'], 'a').write('.'); "
"""Notes each start."""

WRONG = {
    "cat": ("sys.stdout.write(sys.stdin.read())", '"candm", which is "DM", "NON_DM" or "UNKNOWN"'),
    "another word": (
        '[print(line.strip()[:-1] + \', "candm": "YES"}\') for line in sys.stdin]',
        'has another "candm" than "DM", "NON_DM" or "UNKNOWN"',
    ),
    "a traceback on stdout": ("sys.stdin.read(); print('Traceback (most recent call last):')", "is no JSON object"),
    "true": ("[print('true') for line in sys.stdin]", "true is no JSON object"),
    "other names": (
        '[print(\'{"screen_name": "elsewhere", "candm": "DM"}\') for line in sys.stdin]',
        "is about a user who is not in the bucket",
    ),
    "silence": ("sys.stdin.read()", "nothing"),
    "an error": ("sys.stdin.read(); sys.exit(3)", "status 3"),
}


@pytest.mark.process
@pytest.mark.parametrize("jobs", [1, 8])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_is_started_five_times_at_most(
    run: Callable[..., Any], database: Database, query: Query, tmp_path: Path, wrong: str, jobs: int
) -> None:
    """Exit 1 with an offending line and what was expected; all buckets wait again."""
    prepare(database, [42], 20, size=1)
    query("MATCH (c:DMCheckClient) SET c.capacity = 20")
    code, said = WRONG[wrong]
    starts = tmp_path / "starts"

    done = run(
        "work", "--client", 42, "--jobs", jobs, "--json", "--", sys.executable, "-c", NOTE + code, STARTS=str(starts)
    )

    assert (done.status, done.error["code"]) == (1, "command_failed")
    assert said in done.error["message"]
    assert 1 <= len(starts.read_text()) <= 5
    assert query("MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS n") == [{"n": 0}]
    assert broken(query) == []


GOOD = "import json, sys; [print(json.dumps({**json.loads(line), 'candm': 'DM'})) for line in sys.stdin]"
NOWHERE = {"NEO4J_URI": "bolt://127.0.0.1:1", "NEO4J_PASSWORD": "none", "DMCHECK_BUCKET_SIZE": "2"}


@pytest.mark.process
def test_a_trial_shows_what_would_be_submitted(run: Callable[..., Any], tmp_path: Path) -> None:
    """On a file as `users add` takes it, in buckets, without a database."""
    (tmp_path / "list.csv").write_text("username,user_id\nalice,1\n@bob,\ncarol,3\n")
    done = run("work", "--try", "list.csv", "--json", "--", sys.executable, "-c", GOOD, **NOWHERE)
    assert (done.status, done.err) == (0, "")
    assert done.document == {
        "users": [
            {"screen_name": "alice", "id": 1, "id_str": "1", "candm": "DM"},
            {"screen_name": "bob", "id": None, "id_str": None, "candm": "DM"},
            {"screen_name": "carol", "id": 3, "id_str": "3", "candm": "DM"},
        ],
        "answers": {"DM": 3, "NON_DM": 0, "UNKNOWN": 0},
        "problems": [],
    }


@pytest.mark.process
@pytest.mark.parametrize("wrong", WRONG)
def test_a_trial_finds_what_is_wrong(run: Callable[..., Any], tmp_path: Path, wrong: str) -> None:
    """Exit 1, and the document with the problems."""
    code, said = WRONG[wrong]
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", NOTE + code]
    done = run(
        "work", "--try", "-", "--json", "--", *command, stdin="alice\nbob\ncarol\n", STARTS=str(starts), **NOWHERE
    )
    assert (done.status, done.error["code"]) == (1, "command_failed")
    assert done.document["problems"]
    assert any(said in problem for problem in done.document["problems"])
    assert said in done.error["message"]
    assert len(starts.read_text()) == 1
