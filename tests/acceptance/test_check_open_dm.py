"""`scripts/check_open_dm.py` against a local server that behaves as X's API v2 is documented to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from support import programs
from support.graphs import MAX_WAIT_SECONDS, prepare, start
from support.invariants import Query
from support.x_api import PROBLEMS, Answer, Server, serving

from dmcheck_cli.database.connection import Database

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_open_dm.py"
TOKEN = "a-token-of-the-test"
User = dict[str, Any]


@pytest.fixture
def api() -> Iterator[Server]:
    """The server, while the test runs."""
    with serving() as server:
        yield server


class Result(programs.Result):
    """How a run ended."""

    @property
    def users(self) -> dict[str, str | None]:
        """What was said, by name."""
        rows = [json.loads(line) for line in self.out.splitlines()]
        return {row["screen_name"]: row.get("candm") for row in rows if "screen_name" in row}


Run = Callable[..., Result]


@pytest.fixture
def check(api: Server) -> Run:
    """Runs the script as a process, on users or on a text."""

    def run(given: list[User] | str, *options: object, **variables: str | None) -> Result:
        text = given if isinstance(given, str) else "".join(json.dumps(user) + "\n" for user in given)
        settings = {**os.environ, "X_API_URL": api.url, "X_USER_TOKEN": TOKEN, "no_proxy": "*", **variables}
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--retry-delay", "0.01", *map(str, options)],
            input=text,
            capture_output=True,
            text=True,
            env={name: value for name, value in settings.items() if value is not None},
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def user(name: str, id: int | None = None) -> User:
    """A user as `work` gives it."""
    return {"screen_name": name, "id": id}


def limit(seconds: float, clock: float, remaining: int = 0) -> dict[str, str]:
    """The rate limit's headers of a server whose clock shows `clock`, that lets us in again after `seconds`."""
    return {
        "x-rate-limit-limit": "300",
        "x-rate-limit-remaining": str(remaining),
        "x-rate-limit-reset": str(int(clock + seconds)),
        "Date": formatdate(clock, usegmt=True),
    }


def test_what_the_api_says_becomes_an_answer(api: Server, check: Run) -> None:
    """True, false, not found and suspended, asked by id and by name (whatever its case), in one run."""
    api.add(1, "open_one", receives_your_dm=True, connection_status=["following"])
    api.add(2, "closed", receives_your_dm=False)
    api.add(3, "ByName", receives_your_dm=True)
    api.add(4, "locked", receives_your_dm=True)
    api.suspended = {"4", "banned"}
    asked = [user("open_one", 1), user("closed", 2), user("byname"), user("locked", 4), user("banned")]

    result = check([*asked, user("nobody"), user("was_deleted", 99)])

    assert (result.status, result.err) == (0, "")
    assert result.users == {
        "open_one": "DM",
        "closed": "NON_DM",
        "byname": "DM",
        "locked": "UNKNOWN",
        "banned": "UNKNOWN",
        "nobody": "UNKNOWN",
        "was_deleted": "UNKNOWN",
    }
    assert sorted(path for path, _, _ in api.asked) == ["/2/users", "/2/users/by"]
    assert api.tokens == {f"Bearer {TOKEN}"}


def test_what_it_does_not_say_is_no_answer(api: Server, check: Run) -> None:
    """The field is missing or odd, an error is of another kind, a user is left out, a name is none that the API takes:
    each is written without candm, also where one came in."""
    api.planned = [
        Answer(
            200,
            {
                "data": [{"id": "1", "username": "silent"}, {"id": "2", "username": "odd", "receives_your_dm": "yes"}],
                "errors": [{"value": "3", "resource_id": "3", "title": "Internal Error", "type": PROBLEMS + "other"}],
            },
        )
    ]
    asked = [user("silent", 1), user("odd", 2), user("failed", 3), {**user("left_out", 4), "candm": "DM"}]
    result = check([*asked, user("longer_than_names_are")])
    assert result.status == 0
    assert result.users == dict.fromkeys(["silent", "odd", "failed", "left_out", "longer_than_names_are"])


def test_a_renamed_account_is_answered_under_the_name_that_was_asked(api: Server, check: Run) -> None:
    """By id it is found under its new name; anyone who took the old name is somebody else."""
    api.add(1, "new_name", receives_your_dm=True)
    api.add(2, "old_name", receives_your_dm=False)
    assert check([user("old_name", 1)]).users == {"old_name": "DM"}


def test_many_go_in_hundreds(api: Server, check: Run) -> None:
    """250 with ids take three requests, and each gets its own answer."""
    for id in range(1, 251):
        api.add(id, f"user{id}", receives_your_dm=id % 2 == 0)
    result = check([user(f"user{id}", id) for id in range(1, 251)])
    assert [len(fields["ids"][0].split(",")) for _, fields, _ in api.asked] == [100, 100, 50]
    assert result.users == {f"user{id}": "DM" if id % 2 == 0 else "NON_DM" for id in range(1, 251)}


def test_a_document_of_fetch_comes_back_with_answers(api: Server, check: Run) -> None:
    """All else in it stays as it is."""
    api.add(1, "one", receives_your_dm=True)
    bucket = {"bucket": "b", "lease": "l", "priority": 100, "expires": "x", "users": [user("one", 1), user("two")]}
    document = {"client": 42, "buckets": [bucket, {**bucket, "bucket": "c", "users": []}]}
    result = check(json.dumps(document, indent=1))
    document["buckets"][0]["users"] = [{**user("one", 1), "candm": "DM"}, {**user("two"), "candm": "UNKNOWN"}]  # type: ignore[index]
    assert (result.status, json.loads(result.out)) == (0, document)
    assert json.loads(check('{"client": 42, "buckets": []}').out) == {"client": 42, "buckets": []}


@pytest.mark.parametrize("off", [0, -86_400, 86_400], ids=["right", "a day slow", "a day fast"])
def test_a_rate_limit_is_waited_for_by_the_servers_clock(api: Server, check: Run, off: int) -> None:
    """A 429 names a second to come; it is asked again then, not at once and not a day later."""
    api.add(1, "one", receives_your_dm=True)
    api.planned = [Answer(429, {"title": "Too Many Requests"}, limit(1, int(time.time()) + off))]
    result = check([user("one", 1)])
    assert (result.status, result.users) == (0, {"one": "DM"})
    assert "waiting" in result.err
    first, second = (moment for _, _, moment in api.asked)
    assert second - first >= 1.5  # the named second, and one because it was cut to whole seconds


def test_the_last_request_of_a_window_is_followed_by_a_wait(api: Server, check: Run) -> None:
    """`x-rate-limit-remaining: 0` on a success holds the next request back; where there is none, nobody waits."""
    clock = int(time.time())
    api.planned = [Answer(200, {"data": []}, limit(1, clock)), Answer(200, {"data": []}, limit(600, clock))]
    result = check([user("one", 1), user("two")])
    assert result.status == 0
    assert api.asked[1][2] - api.asked[0][2] >= 1


def test_a_rate_limit_that_is_too_far_away_ends_the_run(api: Server, check: Run) -> None:
    """Longer than --longest-wait: status 75, at once; what was answered before is there, and `work` is told for how
    long to pause."""
    for id in range(1, 151):
        api.add(id, f"user{id}", receives_your_dm=True)
    far = Answer(429, {}, limit(900, int(time.time())))
    api.planned = [Answer(200, api.look_up("ids", list(map(str, range(1, 101))))), far]
    result = check([user(f"user{id}", id) for id in range(1, 151)], "--longest-wait", 60)
    assert result.status == 75
    assert list(result.users.values()).count("DM") == 100
    assert list(result.users.values()).count(None) == 50
    assert "limit" in result.err
    assert 850 < json.loads(result.out.splitlines()[-1])["retry_after"] < 905


@pytest.mark.parametrize("status", [401, 403])
def test_not_let_in_ends_the_run(api: Server, check: Run, status: int) -> None:
    """Status 4, the API's own words, no answer, no second try."""
    api.planned = [Answer(status, {"title": "Unauthorized", "detail": "This token is no good"})]
    result = check([user("one", 1), user("two")])
    assert (result.status, result.out) == (4, "")
    assert "This token is no good" in result.err
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    "bad",
    [
        Answer(503, b"<html>over capacity</html>"),
        Answer(500, {}),
        Answer(200, {"data": []}, breaks=True),
        Answer(200, b"not JSON"),
        Answer(200, []),
    ],
    ids=["503", "500", "a broken connection", "no JSON", "no object"],
)
def test_what_passes_is_tried_again_a_bounded_number_of_times(api: Server, check: Run, bad: Answer) -> None:
    """Two failures and a success are a success; nothing but failures is 75 after --tries, without any answer."""
    api.add(1, "one", receives_your_dm=True)
    api.planned = [bad, bad]
    assert check([user("one", 1)]).users == {"one": "DM"}

    api.asked.clear()
    api.planned = [bad] * 10
    result = check([user("one", 1)], "--tries", 3)
    assert (result.status, result.users, len(api.asked)) == (75, {"one": None}, 3)


def test_a_request_that_is_refused_costs_its_own_users_only(api: Server, check: Run) -> None:
    """Status 400 is not repeated; the users of the next request are answered."""
    api.add(2, "two", receives_your_dm=True)
    api.planned = [Answer(400, {"title": "Invalid Request", "detail": "no such thing"})]
    result = check([user("one", 1), user("two")])
    assert (result.status, result.users, len(api.asked)) == (0, {"one": None, "two": "DM"}, 2)


def test_the_token_goes_nowhere_else(api: Server, check: Run) -> None:
    """A redirect is not followed, and an address that is neither https nor this machine is not asked."""
    api.planned = [Answer(302, {}, {"Location": f"{api.url}/2/users/by?usernames=elsewhere"})]
    result = check([user("one", 1)])
    assert (result.users, len(api.asked)) == ({"one": None}, 1)
    assert check([user("one", 1)], "--api", "http://api.example").status == 2


def test_nobody_there_is_temporary(check: Run) -> None:
    """A refused connection is tried again and then reported."""
    result = check([user("one", 1)], "--api", "http://127.0.0.1:1", "--tries", 2)
    assert (result.status, result.users) == (75, {"one": None})


@pytest.mark.parametrize("text", ["nonsense", '{"id": 1}', '{"buckets": [{}]}', "[1]", '{"buckets": 1}'])
def test_bad_input_is_named(api: Server, check: Run, text: str) -> None:
    """Status 2, and the API is not asked."""
    result = check(text)
    assert (result.status, result.out, api.asked) == (2, "", [])
    assert "input" in result.err


def test_without_a_token_nothing_is_asked(api: Server, check: Run) -> None:
    """Status 4, and the variable is named."""
    result = check([user("one", 1)], X_USER_TOKEN=None)
    assert (result.status, api.asked) == (4, [])
    assert "X_USER_TOKEN" in result.err


def test_work_drives_it(api: Server, database: Database, query: Query, environment: dict[str, str]) -> None:
    """As the COMMAND of `dmcheck work` it takes a bucket through, and the answers are in the graph."""
    prepare(database, [42], 6, size=3)
    for id in range(1000, 1005):
        api.add(id, f"renamed{id}", receives_your_dm=id % 2 == 0)
    here = {**environment, "X_API_URL": api.url, "X_USER_TOKEN": TOKEN, "no_proxy": "*"}
    with start(here, "work", "--json", "--client", 42, "--once", "--", sys.executable, SCRIPT) as process:
        out, _ = process.communicate(timeout=MAX_WAIT_SECONDS)
    assert (process.returncode, json.loads(out)["users"]) == (0, 6)
    rows = query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN type(r) AS kind, count(r) AS n")
    assert {row["kind"]: row["n"] for row in rows} == {"DM_YES": 3, "DM_NO": 2, "DM_UNKNOWN": 1}


def test_what_is_about_our_account_is_no_answer(api: Server, check: Run) -> None:
    """Who follows us takes our messages, perhaps not everyone's; whom we block takes none of ours."""
    ties = {"follower": (True, ["followed_by", "following"]), "followed": (True, ["following"]), "none": (True, [])}
    ties |= {"blocked": (False, ["blocking"]), "closed": (False, ["followed_by"])}
    for id, (name, (takes, status)) in enumerate(ties.items(), 1):
        api.add(id, name, receives_your_dm=takes, connection_status=status)
    told = check([user(name) for name in ties])
    assert told.users == {"follower": None, "followed": "DM", "none": "DM", "blocked": None, "closed": "NON_DM"}


def test_the_exact_id_is_asked_for(api: Server, check: Run) -> None:
    """Where a program before it rounded the number, the text beside it counts."""
    api.add(1234567890123456789, "one", receives_your_dm=True)
    given = {"screen_name": "one", "id": 1234567890123456800, "id_str": "1234567890123456789"}
    assert check([given]).users == {"one": "DM"}


EXAMPLES = {"check.py": [sys.executable], "check.sh": ["sh"], "check.mjs": ["node"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_for_writing_a_checker(
    api: Server, direct: Callable[..., Any], database: Database, query: Query, name: str
) -> None:
    """Each answers a bucket of 150 users in two requests through `work`; a limit is 75, with the users given back."""
    if shutil.which(EXAMPLES[name][0]) is None or (
        name == "check.sh" and not (shutil.which("jq") and shutil.which("curl"))
    ):
        pytest.skip("its interpreter is not there")
    names = prepare(database, [42], 150)
    query("MATCH (u:User) SET u.id = 1234567890000000000 + u.id")
    for i, one in enumerate(names):
        takes, status = i % 3 == 0, ["followed_by"] if i % 30 == 0 else []
        if i % 3 < 2:
            api.add(i, one.upper(), receives_your_dm=takes, connection_status=status)
    line = [*EXAMPLES[name], str(SCRIPT.parent / "checkers" / name)]
    settings = {**os.environ, "X_API_URL": api.url, "X_USER_TOKEN": TOKEN, "no_proxy": "*"}
    given = "".join(json.dumps({"screen_name": one, "id": 2**60 + 1, "id_str": str(2**60 + 1)}) + "\n" for one in names)
    api.planned.append(Answer(429, {}))

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line, input=given, env=settings, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS, check=False
        )

    limited, done = ask(), ask()
    assert (limited.returncode, '"candm"' in limited.stdout, done.returncode) == (75, False, 0)
    told = [json.loads(row) for row in done.stdout.splitlines()]
    expected = [None if i % 30 == 0 else ("DM", "NON_DM", "UNKNOWN")[i % 3] for i in range(150)]
    assert [row.get("candm") for row in told] == expected
    assert {row["id_str"] for row in told} == {str(2**60 + 1)}
    assert api.tokens == {f"Bearer {TOKEN}"}
    document = direct("fetch", "--client", 42, "--json").document
    by_name = {row["screen_name"]: row for row in told}
    for bucket in document["buckets"]:
        bucket["users"] = [by_name[row["screen_name"]] for row in bucket["users"]]
    [report] = direct("submit", "--client", 42, "--json", stdin=json.dumps(document)).document["buckets"]
    assert report["accepted"] == 145
