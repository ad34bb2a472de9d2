"""On a graph of another schema version every command and job that writes ends with 4 and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import answered, picture, prepare
from support.invariants import Query, broken
from support.programs import JOBS, Result

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database

pytestmark = pytest.mark.process

Call = Callable[..., Result]

OLDER = "REMOVE graph.version"
NEWER = f"SET graph.version = {cypher.SCHEMA + 1}"
UPGRADED_FURTHER = f"SET graph.upgrading = {cypher.SCHEMA + 1} REMOVE graph.version"
UPGRADED = f"SET graph.upgrading = {cypher.SCHEMA} REMOVE graph.version"

UPGRADE_GRAPH = "upgrade the graph with `dmcheck schema apply`"
UPGRADE_PROGRAM = "upgrade dmcheck on this machine, as it was installed (`pip install --upgrade dmcheck`)"

REFUSED = {
    "older": (OLDER, UPGRADE_GRAPH),
    "newer": (NEWER, UPGRADE_PROGRAM),
    "newer soon": (UPGRADED_FURTHER, UPGRADE_PROGRAM),
}

COMMANDS = [
    "register --id 44 --screen-name client44",
    "register --id 1 --screen-name client1 --capacity 3",
    "unregister --id 1 --screen-name client1",
    "fetch --client 1",
    "fetch --client 1 --resume",
    "fetch --client 1 --request-id mine",
    "fetch --client 99",
    "submit --client 1",
    "renew --client 1 --bucket {bucket} --lease {lease}",
    "release --client 1 --bucket {bucket} --lease {lease}",
    "work --client 1 --once -- cat",
    "prioritize user00000",
    "prioritize nobody",
    "users add",
    "users delete user00000",
]


@pytest.fixture
def given(database: Database, direct: Call) -> dict[str, Any]:
    """Two clients, six buckets of five users, and the document of one that client 1 holds by the request `mine`."""
    prepare(database, [1, 2], 30, size=5)
    document = direct("fetch", "--client", 1, "--count", 1, "--request-id", "mine", "--json").document
    return dict(document)


def alter(query: Query, how: str) -> None:
    """Make the graph one of another version."""
    query(f"MATCH (graph:DMCheckSchema {{name: 'graph'}}) {how}")


def words(command: str, given: dict[str, Any]) -> list[str]:
    """A command line, with the bucket and the lease that client 1 holds."""
    [bucket] = given["buckets"]
    return command.format(bucket=bucket["bucket"], lease=bucket["lease"]).split()


def with_json(command: list[str]) -> list[str]:
    """The command with --json, before COMMAND where there is one."""
    place = command.index("--") if "--" in command else len(command)
    return [*command[:place], "--json", *command[place:]]


def needs_upgrade(result: Result, what: str) -> None:
    """It ended with 4, and said which of the two to upgrade, and how."""
    assert (result.status, result.error["code"], result.error["retry_after"]) == (4, "upgrade_needed", None), result.err
    assert what in result.error["message"]
    assert "Traceback" not in result.err


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_writes(direct: Call, query: Query, given: dict[str, Any], command: str, kind: str) -> None:
    """Status 4, nothing but a tally of nothing on stdout, which of the two to upgrade, and the same graph."""
    alter(query, REFUSED[kind][0])
    before = picture(query)
    stdin = "newcomer\n" if command == "users add" else answered(given)
    result = direct(*with_json(words(command, given)), stdin=stdin)
    needs_upgrade(result, REFUSED[kind][1])
    assert result.out == "" or (command.startswith("work") and result.document["buckets"] == 0)
    assert picture(query) == before


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("job", JOBS)
def test_a_job(direct: Call, query: Query, given: dict[str, Any], job: str, kind: str) -> None:
    """So does each job, although all that it looks for is there to be done, and with --dry-run too."""
    query("CREATE (:User {screen_name: 'bare'})")
    alter(query, REFUSED[kind][0])
    before = picture(query)
    at_once = {"DMCHECK_LEASE_SECONDS": "0", "DMCHECK_GRACE_SECONDS": "0", "DMCHECK_STARVED_SECONDS": "0"}
    for arguments in ((), ("--dry-run",)):
        result = direct("--json", *arguments, program=job, **at_once)
        needs_upgrade(result, REFUSED[kind][1])
        assert result.out == ""
        assert picture(query) == before


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("command", ["stats", "stats --client 1", "users pending"])
@pytest.mark.usefixtures("given")
def test_a_command_that_counts_or_lists(direct: Call, query: Query, command: str, kind: str) -> None:
    """It refuses, too: it would not know what another version's graph means by waiting, leased or checked."""
    alter(query, REFUSED[kind][0])
    result = direct(*command.split(), "--json")
    needs_upgrade(result, REFUSED[kind][1])
    assert result.out == ""


@pytest.mark.parametrize("kind", ["newer", "newer soon"])
@pytest.mark.usefixtures("given")
def test_schema_apply_of_this_program_on_a_newer_graph(direct: Call, query: Query, kind: str) -> None:
    """It refuses before it makes any constraint or index, and takes no version back."""
    alter(query, REFUSED[kind][0])
    query("DROP INDEX dmcheck_lease_bucket IF EXISTS")
    before = picture(query)
    try:
        needs_upgrade(direct("schema", "apply", "--json"), UPGRADE_PROGRAM)
        assert picture(query) == before
        assert query("SHOW INDEXES YIELD name WHERE name = 'dmcheck_lease_bucket' RETURN name") == []
    finally:
        query(f"MATCH (graph:DMCheckSchema) SET graph.version = {cypher.SCHEMA} REMOVE graph.upgrading")
        assert direct("schema", "apply", "--json").document == {"applied": ["dmcheck_lease_bucket"]}


def test_after_the_upgrade_all_goes_on(direct: Call, query: Query, given: dict[str, Any]) -> None:
    """The operator does what the message says, and the volunteer repeats the same command: its lease is as it was."""
    alter(query, OLDER)
    submit = ("submit", "--client", 1, "--json")
    needs_upgrade(direct(*submit, stdin=answered(given)), UPGRADE_GRAPH)
    assert direct("schema", "apply", "--json").document == {
        "applied": [f"version {step}" for step in range(1, cypher.SCHEMA + 1)]
    }
    assert [report["status"] for report in direct(*submit, stdin=answered(given)).document["buckets"]] == ["done"]
    assert direct("schema", "apply", "--json").document == {"applied": []}
    assert broken(query) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_while_it_is_upgraded(direct: Call, query: Query, given: dict[str, Any], command: str) -> None:
    """Status 75: the same command again succeeds, once the upgrade, which another has begun, is finished."""
    alter(query, UPGRADED)
    before = picture(query)
    line = with_json(words(command, given))
    if command.startswith("work"):
        pytest.skip("work waits until the upgrade is over")
    result = direct(*line, stdin="newcomer\n" if command == "users add" else answered(given))
    assert (result.status, result.out, result.error["code"]) == (75, "", "temporary"), result.err
    assert "being upgraded" in result.error["message"]
    assert picture(query) == before


def test_as_the_shell_sees_it(run: Call, query: Query, given: dict[str, Any]) -> None:
    """Real processes: a volunteer's fetch, and a job that cron runs, say it in one line on stderr."""
    alter(query, OLDER)
    for program, arguments in (("dmcheck", ("fetch", "--client", 1)), ("make_buckets", ())):
        done = run(*arguments, program=program)
        assert (done.status, done.out, done.err.count("\n")) == (4, "", 1)
        assert UPGRADE_GRAPH in done.err
    alter(query, NEWER)
    done = run("submit", "--client", 1, stdin=answered(given))
    assert (done.status, done.out, done.err.count("\n")) == (4, "", 1)
    assert UPGRADE_PROGRAM in done.err
