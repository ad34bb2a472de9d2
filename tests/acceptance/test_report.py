"""`dmcheck report`: the page of a real graph."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.graphs import answers, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import report
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch

CALLED = re.compile(r"client-[0-9a-f]{8}")


@pytest.fixture
def worked(database: Database, query: Query) -> str:
    """Clients 4200042 and 4300043, where the second contradicted the first on one user; returns the bucket that the
    first holds."""
    prepare(database, [4200042, 4300043], 40, size=10)
    done, held = fetch(database, 4200042, 2, "k")
    submit(database, 4200042, [answers(done)])
    query(
        """MATCH (u:User {screen_name: $name}), (c:DMCheckClient {id: 4300043})
        CREATE (c)-[:DM_SECOND {candm: 'NON_DM', at: datetime()}]->(u)""",
        name=done.users[0].screen_name,
    )
    return held.bucket


def test_the_page_answers_and_names_nobody(run: Callable[..., Any], worked: str, query: Query) -> None:
    """Clients have pseudonyms, the same each time, also in the drawing and in its statement."""
    first, second = (run("report", "--client", 4200042, "--bucket", worked) for _ in range(2))
    assert first.status == second.status == 0
    text = first.out
    assert text.startswith("<!DOCTYPE html>")
    assert "10 of 40 users are checked" in text
    assert "4200042" not in text
    assert "client4200042" not in text
    called = set(CALLED.findall(text))
    assert len(called) == 2
    assert set(CALLED.findall(second.out)) == called
    assert worked in text
    assert "$client" in text
    [pair] = re.findall(r"<td>(client-\w+)</td><td>(client-\w+)</td><td>1</td><td>1</td>", text)
    assert set(pair) == called
    query("MATCH (c:DMCheckClient {id: 4300043}) SET c.suspended = datetime()")
    assert set(CALLED.findall(run("report").out)) == called


def test_names_are_shown_when_asked_for(run: Callable[..., Any], worked: str, query: Query) -> None:
    """And the statement of the drawing then shows the same: it can be run as it stands."""
    text = run("report", "--names", DMCHECK_CLIENT_ID="4200042").out
    assert "4200042 @client4200042" in text
    assert not CALLED.findall(text)
    [statement] = re.findall(r"<pre><code>(.*?)</code>", text, re.DOTALL)
    rows = query(re.sub("RETURN [*]", "RETURN p", statement.replace("&lt;", "<").replace("&gt;", ">")))
    assert len(rows) == 1 + 10 + 10  # itself, the users that it holds, and those that it answered for


def test_a_file_appears_whole(run: Callable[..., Any], worked: str, tmp_path: Path) -> None:
    """It is replaced at once and keeps its mode; what cannot be done leaves it as it was."""
    file = tmp_path / "status.html"
    document = run("report", file, "--json").document
    assert document == {"file": str(file), "bytes": file.stat().st_size}
    file.chmod(0o640)
    assert run("report", file).status == 0
    assert file.stat().st_mode & 0o777 == 0o640
    before = file.read_bytes()
    for arguments, status, code in (
        (("--client", 99), 1, "not_registered"),
        (("--bucket", "0d5bd7b6-37a8-4ab0-b8c2-000000000000"), 1, "unknown_bucket"),
        (("--client", "x"), 2, "malformed"),
    ):
        refused = run("report", file, "--json", *arguments)
        assert (refused.status, refused.error["code"]) == (status, code)
    assert run("report", "--json").status == 2
    assert file.read_bytes() == before
    assert list(tmp_path.glob(".*part")) == []


def test_reports_at_once_agree_on_the_pseudonyms(database: Database, query: Query, worked: str) -> None:
    """The secret of a graph is made once, also by several reports at the same moment."""
    query("MATCH (graph:DMCheckSchema {name: 'graph'}) REMOVE graph.secret")
    found: list[set[str]] = []

    def look() -> None:
        with Database(database.settings, "tests") as own:
            found.append({one.name for one in report.findings(own, named=False).workers})

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one == found[0] for one in found)
    assert broken(query) == []


def test_a_bucket_shows_at_most_a_hundred_nodes(run: Callable[..., Any], database: Database) -> None:
    """What is left out is said."""
    prepare(database, [1], 180)
    [lease] = fetch(database, 1, 1, "k")
    found = report.findings(database, True, bucket=lease.bucket)
    [around] = found.around
    assert len(around.nodes) == 60 <= report.MAX_NODES
    assert around.left_out == 180 - 58
    assert "122 more relationships are left out" in run("report", "--bucket", lease.bucket).out
