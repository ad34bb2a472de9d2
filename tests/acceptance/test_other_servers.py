"""Every command and job on other servers than the reference: the newest Neo4j release, and one in another time zone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.in_process import call
from support.programs import Result, at_home, outside
from support.walk import LEFT, SIZE, Step, graph_after, steps

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import configuration, launch, server
from dmcheck_cli.transactions import schema

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TIMES = {"expires", "first_registered", "last_registered", "last_access_time", "last_success_time"}


@dataclass(frozen=True)
class Kind:
    """A server: the version of Neo4j, and lines that its administrator has put into neo4j.conf."""

    version: str | None = None
    lines: str = ""


KINDS = {
    "newest": Kind(version="2026.08.1"),
    "Kathmandu": Kind(lines="db.temporal.timezone=Asia/Kathmandu\n"),
}


@pytest.fixture(scope="module", params=KINDS)
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A connection to a server of that kind, with our schema."""
    kind = KINDS[request.param]
    settings = at_home(tmp_path_factory.mktemp("home"))
    with mock.patch.object(launch, "neo4j_conf", lambda port: configuration.neo4j_conf(port) + kind.lines):
        running = server.ensure_running(settings, version=kind.version)
    remote = replace(settings, neo4j_uri=running.uri, neo4j_username=running.username, neo4j_password=running.password)
    try:
        with Database(remote, "tests") as database:
            schema.apply(database)
            yield database
    finally:
        server.stop(settings)


@pytest.fixture
def start(other: Database, tmp_path: Path) -> Callable[..., Result]:
    """Runs one step on an empty graph of that server, with further arguments and stdin."""
    other.run_text("MATCH (n) WHERE NOT n:DMCheckSchema DETACH DELETE n")
    ours = {
        "NEO4J_URI": other.settings.neo4j_uri or "",
        "NEO4J_PASSWORD": other.settings.neo4j_password or "",
        "DMCHECK_BUCKET_SIZE": str(SIZE),
        "HOME": str(tmp_path),
    }

    def step(one: Step, *more: str, stdin: str = "", **variables: str) -> Result:
        # What is an option of COMMAND's, behind `--`, is none of ours.
        cut = one.arguments.index("--") if "--" in one.arguments else len(one.arguments)
        arguments = (*one.arguments[:cut], *more, *one.arguments[cut:])
        return call(arguments, {**outside(), **ours, **variables}, tmp_path, one.program, stdin)

    return step


def times(document: Any) -> Iterator[tuple[str, Any]]:
    """Every time in a document, by its name."""
    if isinstance(document, dict):
        yield from ((name, value) for name, value in document.items() if name in TIMES)
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from times(value)


def test_every_command_and_job_ends_as_on_the_reference(
    other: Database, start: Callable[..., Result], tmp_path: Path
) -> None:
    """The statuses as documented, no traceback, the same graph at the end, and every time in UTC, near now."""
    wrong, seen = [], set()
    for step in steps(other, tmp_path):
        ended = start(step, *([] if "--help" in step.arguments else ["--json"]))
        if ended.status != step.status or "Traceback" in ended.err:
            wrong.append((step.name, ended))
        if ended.out and "--help" not in step.arguments:
            for name, value in times(ended.document):
                seen.add(name)
                assert TIME.fullmatch(value), f"{step.name}: {name} is {value}"
                now = datetime.now(datetime.fromisoformat(value).tzinfo)
                assert abs(datetime.fromisoformat(value) - now) < timedelta(hours=2, minutes=5)
    assert wrong == []
    assert graph_after(other) == LEFT
    assert seen == TIMES


def test_a_time_that_another_system_stored_with_a_zone_is_told_in_utc(
    other: Database, start: Callable[..., Result]
) -> None:
    """Whatever the zone of a stored time, its JSON is in UTC, and its table shows the same moment."""
    other.run_text(
        """CREATE (:DMCheckClient {id: 5, screen_name: 'five', state: 'DEACTIVE',
            create_datetime: datetime('2025-01-02T03:04:05[Europe/Berlin]'),
            edit_datetime: datetime('2025-07-02T03:04:05.123456789+05:45')})-[:STATS]->(:DMCheckClientStats {
            buckets_assigned: 0, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0})"""
    )
    register = Step("dmcheck", ("unregister", "--id", 5, "--screen-name", "five"))
    client = start(register, "--json").document["client"]
    assert client["first_registered"] == "2025-01-02T02:04:05.000Z"
    assert client["last_registered"] == "2025-07-01T21:19:05.123Z"
    assert "2025-01-02 02:04:05" in start(register).out


def test_the_main_job(start: Callable[..., Result]) -> None:
    """Users in, buckets made, leased, answered whole and in part, given back, reclaimed, prioritized, seen."""

    def run(*arguments: str, program: str = "dmcheck", stdin: str = "", **variables: str) -> Any:
        ended = start(Step(program, arguments), "--json", stdin=stdin, **variables)
        assert ended.status == 0, ended.err
        return ended.document

    assert run("users", "add", stdin="\n".join(f"user{i}" for i in range(40)))["added"] == 40
    run("register", "--id", "1", "--screen-name", "one")
    made = run(program="make_buckets", DMCHECK_BUCKET_SIZE="10")
    assert made == {"buckets": 4, "users": 40, "waiting": 0}

    document = run("fetch", "--client", "1", "--count", "2")
    for user in document["buckets"][0]["users"] + document["buckets"][1]["users"][:4]:
        user["candm"] = "DM"
    report = run("submit", "--client", "1", stdin=json.dumps(document))
    assert [(b["status"], b["accepted"], b["returned"]) for b in report["buckets"]] == [
        ("done", 10, 0),
        ("partial", 4, 6),
    ]
    assert run("submit", "--client", "1", stdin=json.dumps(document)) == report

    run("fetch", "--client", "1", "--count", "1")
    assert run(program="reclaim_leases", DMCHECK_LEASE_SECONDS="0") == {"marked_dead": 1, "released": 0}
    assert run(program="reclaim_leases", DMCHECK_GRACE_SECONDS="0") == {"marked_dead": 0, "released": 1}
    waiting = document["buckets"][1]["users"][5]["screen_name"]
    assert run("prioritize", waiting)["prioritized"] == 1
    assert [u["screen_name"] for u in run("fetch", "--client", "1", "--count", "1")["buckets"][0]["users"]] == [waiting]
    system = run("stats")["system"]
    assert (system["users_total"], system["users_checked"], system["users_leased"]) == (40, 14, 1)
    assert run("unregister", "--id", "1", "--screen-name", "one")["returned"] == 1
