"""Bad input: each kind ends with its exit status and code, says nothing on stdout, and leaves the graph as it was.

The long tables of bad documents, names and ids stand in tests/unit/test_parse.py; here the whole way is walked,
from the arguments to the database.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.graphs import MAX_WAIT_SECONDS, MUCH_LONGER, answered, picture, prepare
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database

pytestmark = pytest.mark.process

Call = Callable[..., Result]
Run = Callable[..., Any]

NUMBERS = (
    "DMCHECK_TIMEOUT_SECONDS",
    "DMCHECK_LEASE_SECONDS",
    "DMCHECK_GRACE_SECONDS",
    "DMCHECK_STARVED_SECONDS",
    "DMCHECK_BUCKET_SIZE",
    "DMCHECK_MAX_USERS_PER_RUN",
    "DMCHECK_SCAN_USERS_PER_RUN",
    "DMCHECK_KEEP_SECONDS",
)
ARABIC_DIGITS = "\u0661\u0662\u0663"
NOT_UTF8 = "\udcff"  # how a byte that is no UTF-8 arrives in an argument
IDS = ("", "0", "-1", "9223372036854775808", "1_000", "1.0", ARABIC_DIGITS, NOT_UTF8, "x")
NAMES = ("", "@", "a" * 21, "a b", "a\x1b[31m", "a\n", ARABIC_DIGITS, NOT_UTF8)

MALFORMED: list[tuple[str, ...]] = [
    *(("fetch", "--client", id) for id in IDS),
    *(("register", "--id", id, "--screen-name", "a") for id in IDS),
    *(("register", "--id", "7", "--screen-name", name) for name in NAMES),
    *(("unregister", "--id", "42", "--screen-name", name) for name in NAMES[:3]),
    ("unregister", "--id", "-42", "--screen-name", "client42"),
    ("register", "--id", "7", "--screen-name", "a", "--dm-from-id", "0", "--dm-from-screen-name", "b"),
    ("register", "--id", "7", "--screen-name", "a", "--dm-from-id", "8", "--dm-from-screen-name", "b c"),
    ("submit", "--client", "0"),
    ("stats", "--client", "x"),
    ("renew", "--client", "0", "--bucket", "b", "--lease", "l"),
    ("renew", "--client", "42", "--bucket", "", "--lease", "l"),
    ("renew", "--client", "42", "--bucket", "b", "--lease", "l\n"),
    ("renew", "--client", "42", "--bucket", "b" * 201, "--lease", "l"),
    *(("fetch", "--client", "42", "--request-id", key) for key in ("", "k" * 201, "a\tb", "a\x00b", NOT_UTF8)),
    *(("prioritize", "user00000", name) for name in NAMES),
    *(("users", "delete", "user00000", name) for name in NAMES),
]

USAGE: list[tuple[str, ...]] = [
    ("no-such-command",),
    ("users",),
    ("users", "no-such-command"),
    ("fetch",),
    ("submit",),
    ("renew",),
    ("renew", "--client", "42", "--bucket", "b"),
    ("renew", "--bucket", "b", "--lease", "l"),
    ("register",),
    ("register", "--id", "7"),
    ("register", "--screen-name", "a"),
    ("unregister", "--id", "42"),
    ("fetch", "--client", "42", "--no-such-option"),
    ("fetch", "--client", "42", "surplus"),
    *(("fetch", "--client", "42", "--count", count) for count in ("0", "11", "-1", "x", "1.5", "", "9" * 30)),
    ("fetch", "--client", "42", "--resume", "--count", "1"),
    ("fetch", "--client", "42", "--resume", "--request-id", "k"),
    ("fetch", "--client", "42", "--format", "xml"),
    *(("register", "--id", "7", "--screen-name", "a", "--capacity", n) for n in ("0", "-1", "1001", "x", "1.5", "")),
    ("register", "--id", "7", "--screen-name", "a", "--dm-from-id", "8"),
    ("register", "--id", "7", "--screen-name", "a", "--dm-from-screen-name", "b"),
    ("prioritize",),
    *(("prioritize", "user00000", "--priority", n) for n in ("-1", "1000001", "x", "1.5", "", "9" * 30)),
    ("prioritize", "--file", "missing"),
    ("prioritize", "--file", "."),
    ("users", "delete"),
    ("users", "add", "missing"),
    ("users", "add", "."),
    *(("users", "pending", "--limit", n) for n in ("0", "-1", "x")),
    ("submit", "--client", "42", "missing"),
    ("submit", "--client", "42", "."),
    ("submit", "--client", "42", "a", "b"),
    ("schema",),
    ("server", "status"),  # NEO4J_URI is set
]


@pytest.fixture
def held(database: Database, direct: Call) -> str:
    """Client 42 holds one bucket of 5, and more are waiting; the document that would answer it whole."""
    prepare(database, [42], 20, size=5)
    return answered(direct("fetch", "--client", 42, "--count", 1, "--json").document)


@pytest.fixture
def unchanged(query: Query) -> Callable[[], Any]:
    """A context in which the graph must not change by a single property."""

    @contextmanager
    def watch() -> Iterator[None]:
        before = picture(query)
        yield
        assert picture(query) == before

    return watch


def refused(result: Any, status: int, code: str) -> None:
    """The call with --json ended so: nothing on stdout, one JSON error on stderr, no traceback."""
    assert (result.status, result.error["code"]) == (status, code), result.err
    assert result.error["message"]
    assert result.error["retry_after"] is None
    assert result.out == ""
    assert "Traceback" not in result.err


def test_malformed_arguments(direct: Call, held: str, unchanged: Any) -> None:
    """Ids, names, keys that cannot be: exit 2, `malformed`, an unchanged graph."""
    with unchanged():
        for arguments in MALFORMED:
            refused(direct(*arguments, "--json", stdin=held), 2, "malformed")


def test_wrong_usage(direct: Call, held: str, unchanged: Any) -> None:
    """Unknown commands and options, missing ones, numbers out of range, files that are not there: exit 2, `usage`."""
    with unchanged():
        for arguments in USAGE:
            refused(direct(*arguments, "--json", stdin=held), 2, "usage")
        refused(direct("fetch", "--json", "--client"), 2, "usage")


def test_wrong_usage_of_jobs(direct: Call, held: str, unchanged: Any) -> None:
    """Jobs take no arguments and no unknown options."""
    with unchanged():
        for program in ("make_buckets", "reclaim_leases", "raise_starved"):
            refused(direct("surplus", "--json", program=program), 2, "usage")
            refused(direct("--no-such-option", "--json", program=program), 2, "usage")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("fetch", "--client", "9223372036854775808"), 2, "malformed"),
        (("fetch", "--client", "42", "--count", "11"), 2, "usage"),
        (("register", "--id", "7", "--screen-name", NOT_UTF8), 2, "malformed"),
        (("no-such-command",), 2, "usage"),
    ],
)
def test_processes_say_it_too(
    run: Run, held: str, unchanged: Any, arguments: tuple[str, ...], status: int, code: str
) -> None:
    """A real process ends with the same status and the same error."""
    with unchanged():
        refused(run(*arguments, "--json"), status, code)


def test_without_json_a_person_reads_one_line(run: Run, held: str, unchanged: Any) -> None:
    """The same error as a message: on stderr, one line, no traceback and no JSON."""
    with unchanged():
        result = run("fetch", "--client", "0")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("dmcheck: An id is a whole number")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("spelling", [("--json",), ("--format", "json"), ("--format=json",)])
def test_every_spelling_of_json_gives_json_errors(direct: Call, spelling: tuple[str, ...]) -> None:
    """Who asked for JSON in any way gets the error as JSON, wherever the option stands."""
    refused(direct("fetch", *spelling, "--client", "0"), 2, "malformed")


DOCUMENTS: dict[str, bytes] = {
    "not JSON": b"hello",
    "a list": b"[]",
    "no buckets": b"{}",
    "buckets of a wrong type": b'{"buckets": {}}',
    "not UTF-8": b'{"buckets": [], "x": "\xff"}',
    "100,000 brackets": b"[" * 100_000,
    "10 MB of garbage": b"x" * 10_000_000,
    "10 MB of a list": b"[" + b"1," * 5_000_000 + b"1]",
}


@pytest.mark.parametrize("way", ["stdin", "-", "file"])
def test_bad_documents(direct: Call, held: str, unchanged: Any, tmp_path: Path, way: str) -> None:
    """Whatever comes instead of a document, from stdin or a file: exit 2, `malformed`, an unchanged graph."""
    with unchanged():
        for content in DOCUMENTS.values():
            (tmp_path / "document").write_bytes(content)
            file = {"stdin": (), "-": ("-",), "file": ("document",)}[way]
            refused(direct("submit", "--client", 42, *file, "--json", stdin=content), 2, "malformed")


def test_one_bad_user_refuses_the_whole_document(direct: Call, held: str, unchanged: Any) -> None:
    """Nothing of a malformed document is taken, however good the rest of it is."""
    spoilt: list[Callable[[dict[str, Any]], object]] = [
        lambda bucket: bucket["users"][-1].update(candm="MAYBE"),
        lambda bucket: bucket["users"][-1].update(candm=["DM"]),
        lambda bucket: bucket["users"][-1].update(screen_name="a b"),
        lambda bucket: bucket["users"][-1].update(screen_name="\ud800"),
        lambda bucket: bucket["users"].append(bucket["users"][0]),
        lambda bucket: bucket.update(lease=5),
        lambda bucket: bucket.update(bucket="\udc00"),
        lambda bucket: bucket.pop("users"),
    ]
    with unchanged():
        for spoil in spoilt:
            document = json.loads(held)
            spoil(document["buckets"][0])
            refused(direct("submit", "--client", 42, "--json", stdin=json.dumps(document)), 2, "malformed")
        document = json.loads(held)
        document["buckets"] *= 2
        refused(direct("submit", "--client", 42, "--json", stdin=json.dumps(document)), 2, "malformed")


def test_a_document_of_10_mb_is_taken(run: Run, held: str, query: Query) -> None:
    """Much content that is ignored does not keep the answers from being stored."""
    padded = json.dumps({**json.loads(held), "padding": "x" * 10_000_000})
    result = run("submit", "--client", 42, "--json", stdin=padded)
    assert result.status == 0
    assert result.document["buckets"][0]["status"] == "done"
    assert query("MATCH ()-[r:DM_YES]->() RETURN count(r) AS n") == [{"n": 5}]
    assert broken(query) == []


def test_10_mb_of_garbage_in_a_process(run: Run, held: str, unchanged: Any) -> None:
    """A real process refuses it like any other bad document."""
    with unchanged():
        refused(run("submit", "--client", 42, "--json", stdin=b"\x00" * 10_000_000), 2, "malformed")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(direct: Call, held: str, unchanged: Any, tmp_path: Path) -> None:
    """A file without the right to read it: exit 2, `usage`."""
    (tmp_path / "secret").write_text(held)
    (tmp_path / "secret").chmod(0)
    with unchanged():
        refused(direct("submit", "--client", 42, "secret", "--json"), 2, "usage")


@pytest.mark.parametrize("bad", [b"a b", b'{"screen_name": "x", "id": 0}', b"{", b"\xff", b"x" * 5000])
@pytest.mark.parametrize("command", [("users", "add", "-"), ("prioritize", "--file", "-")])
def test_a_malformed_line_is_named_and_nothing_is_done(
    direct: Call, held: str, unchanged: Any, command: tuple[str, ...], bad: bytes
) -> None:
    """The whole list is checked first: a bad line behind more good ones than a batch holds still stops all of it."""
    lines = [b"newcomer%05d" % i for i in range(5_500)]
    with unchanged():
        result = direct(*command, "--json", stdin=b"\n".join([*lines, bad, b"after"]))
        refused(result, 2, "malformed")
    assert "Line 5501" in result.error["message"]


def test_a_client_id_from_the_environment_is_checked_too(direct: Call, held: str, unchanged: Any) -> None:
    """DMCHECK_CLIENT_ID must be an id; with --client it is not looked at."""
    with unchanged():
        for command in ("fetch", "submit"):
            refused(direct(command, "--json", stdin=held, DMCHECK_CLIENT_ID="x"), 2, "malformed")
    assert direct("submit", "--client", 42, "--json", stdin=held, DMCHECK_CLIENT_ID="x").status == 0


@pytest.mark.parametrize("name", NUMBERS)
def test_a_setting_that_cannot_be_read(direct: Call, held: str, unchanged: Any, name: str) -> None:
    """Not a number, negative, too large: exit 4, `not_configured`, and the message names the variable."""
    with unchanged():
        for bad in ("x", "-1", "1.5", "9" * 30, ARABIC_DIGITS):
            for program, arguments in (("dmcheck", ("stats",)), ("make_buckets", ())):
                result = direct(*arguments, "--json", program=program, **{name: bad})
                refused(result, 4, "not_configured")
                assert name in result.error["message"]


@pytest.mark.parametrize("program", ["make_buckets", "reclaim_leases", "raise_starved"])
def test_a_job_with_a_bad_setting_as_a_process(run: Run, held: str, unchanged: Any, program: str) -> None:
    """As cron sees it: exit 4."""
    with unchanged():
        refused(run("--json", program=program, DMCHECK_LEASE_SECONDS="two hours"), 4, "not_configured")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:7687", "127.0.0.1:7687", "bolt", "bolt+x://127.0.0.1", "nonsense", "://", "bolt://h:x"]
)
def test_an_address_that_cannot_be_used(direct: Call, uri: str) -> None:
    """A scheme that is not Bolt's, or no address at all: exit 4 at once."""
    refused(direct("stats", "--json", NEO4J_URI=uri), 4, "not_configured")


def test_no_password(direct: Call) -> None:
    """NEO4J_URI without a password: exit 4."""
    refused(direct("stats", "--json", NEO4J_PASSWORD=None), 4, "not_configured")
    refused(direct("stats", "--json", NEO4J_PASSWORD=None, NEO4J_PASSWORD_FILE="missing"), 4, "not_configured")


def test_a_wrong_password_and_a_wrong_account(direct: Call, query: Query) -> None:
    """The database does not let us in: exit 4, and the password is not repeated in the message."""
    for wrong in ({"NEO4J_PASSWORD": "wrong-secret"}, {"NEO4J_USERNAME": "nobody"}):
        result = direct("stats", "--json", **wrong)
        refused(result, 4, "not_configured")
        assert "secret" not in result.err
        query("RETURN 1 AS fine")  # a success in between keeps the database from locking the account


def test_an_unknown_database(direct: Call) -> None:
    """NEO4J_DATABASE names one that is not there: exit 4."""
    refused(direct("stats", "--json", NEO4J_DATABASE="nowhere"), 4, "not_configured")


def test_a_password_file(direct: Call, environment: dict[str, str], tmp_path: Path) -> None:
    """The password may stand in a file."""
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "secret").write_text(environment["NEO4J_PASSWORD"] + "\n")
    assert direct("stats", "--json", NEO4J_PASSWORD=None, NEO4J_PASSWORD_FILE="secret").status == 0
    (tmp_path / "secret").chmod(0o644)
    result = direct("stats", "--json", NEO4J_PASSWORD=None, NEO4J_PASSWORD_FILE="secret")
    refused(result, 4, "not_configured")
    assert environment["NEO4J_PASSWORD"] not in result.err


def test_dotenv_is_used_for_what_the_environment_does_not_set(
    direct: Call, environment: dict[str, str], tmp_path: Path
) -> None:
    """A .env in the current folder gives the way to the database; a variable that is set wins over it."""
    lines = [f"{name}='{value}'" for name, value in environment.items() if name.startswith("NEO4J_")]
    (tmp_path / ".env").write_text("\n".join([*lines, "DMCHECK_CLIENT_ID=42", "DMCHECK_BUCKET_SIZE=x"]))
    away = {name: None for name in environment if name.startswith("NEO4J_")}
    refused(direct("fetch", "--json", **away), 4, "not_configured")  # the bucket size of .env
    refused(direct("fetch", "--json", **away, DMCHECK_BUCKET_SIZE="5"), 1, "not_registered")  # so 42 was asked for
    refused(
        direct("fetch", "--json", **{**away, "NEO4J_URI": "nonsense"}, DMCHECK_BUCKET_SIZE="5"), 4, "not_configured"
    )


def test_nothing_listens_there(run: Run, unchanged: Any) -> None:
    """No server: exit 75 within about DMCHECK_TIMEOUT_SECONDS, and the message says to repeat."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # taken, but nobody listens
        began = time.monotonic()
        result = run(
            "stats", "--json", NEO4J_URI=f"bolt://127.0.0.1:{port.getsockname()[1]}", DMCHECK_TIMEOUT_SECONDS="2"
        )
        took = time.monotonic() - began
    refused(result, 75, "temporary")
    assert took < MUCH_LONGER
    assert "repeat the same command" in result.error["message"]


@pytest.mark.parametrize(
    ("scheme", "program", "arguments"),
    [("bolt", "dmcheck", ("submit", "--client", "42")), ("neo4j", "dmcheck", ("stats",)), ("bolt", "make_buckets", ())],
)
def test_a_server_that_never_answers(
    run: Run, held: str, unchanged: Any, scheme: str, program: str, arguments: tuple[str, ...]
) -> None:
    """A connection that is taken and stays silent: exit 75 in time, whatever the process's threads still wait for."""
    with socket.socket() as hole, unchanged():
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        uri = f"{scheme}://127.0.0.1:{hole.getsockname()[1]}"
        began = time.monotonic()
        result = run(*arguments, "--json", program=program, stdin=held, NEO4J_URI=uri, DMCHECK_TIMEOUT_SECONDS="1")
        took = time.monotonic() - began
    refused(result, 75, "temporary")
    assert took < MUCH_LONGER


@pytest.mark.parametrize("stdout", ["closed pipe", "full disk"])
def test_a_fetch_whose_output_is_lost(
    environment: dict[str, str], direct: Call, database: Database, query: Query, stdout: str
) -> None:
    """Nobody could take the result: exit 75, `output_lost`; the lease is kept, and --resume gives it again."""
    prepare(database, [42], 10, size=5)
    if stdout == "full disk" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code = "from dmcheck_cli.cli import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer if stdout == "closed pipe" else "/dev/full", "wb") as lost:
        done = subprocess.run(
            [sys.executable, "-c", code, "fetch", "--client", "42", "--count", "1", "--json"],
            env=environment,
            stdout=lost,
            stderr=subprocess.PIPE,
            text=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
    if stdout == "full disk":
        os.close(writer)
    assert done.returncode == 75
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "output_lost"
    assert error["message"].endswith("has taken effect. `dmcheck fetch --resume` shows the leases.")
    [lease] = query("MATCH (b)-[:DMCHECKCLIENT]->() RETURN b.uuid AS bucket, b.newest AS lease")
    [again] = direct("fetch", "--client", 42, "--resume", "--json").document["buckets"]
    assert (again["bucket"], again["lease"], len(again["users"])) == (lease["bucket"], lease["lease"], 5)
    assert broken(query) == []
