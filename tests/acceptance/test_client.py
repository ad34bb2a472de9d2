"""`client rename` and `client delete`: a person may change its name, and may be forgotten."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.graphs import answered, answers, prepare
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.transactions import clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release, renew

Call = Callable[..., Result]


def test_rename(direct: Call, database: Database) -> None:
    """It keeps its id, counters and leases, and registers by its new name from now on; repeatable."""
    prepare(database, [42], 5, size=5)
    direct("fetch", "--client", 42, "--request-id", "a")
    for _ in range(2):
        renamed = direct("client", "rename", 42, "@new_name", "--json")
        assert (renamed.status, renamed.document["client"]["screen_name"]) == (0, "new_name")
    assert direct("register", "--id", 42, "--screen-name", "new_name").status == 0
    assert direct("register", "--id", 42, "--screen-name", "client42", "--json").error["code"] == "wrong_details"
    [shown] = direct("stats", "--client", 42, "--json").document["clients"]
    assert (shown["held"], shown["buckets_assigned"]) == (1, 1)
    assert direct("client", "rename", 7, "nobody", "--json").error["code"] == "not_registered"
    assert direct("client", "rename", "x", "nobody", "--json").status == 2


def test_delete(direct: Call, database: Database, query: Query) -> None:
    """Nothing in the graph names the client any more; its answers stay in force, nameless; its bucket waits again."""
    prepare(database, [4242, 43], 15, size=5)
    query("MATCH (c:DMCheckClient {id: 4242}) SET c.dm_from_id = 4242")
    first = direct("fetch", "--client", 4242, "--count", 1, "--json").document
    direct("submit", "--client", 4242, stdin=answered(first))
    direct("fetch", "--client", 4242, "--count", 1, "--request-id", "of-client4242")
    direct("fetch", "--client", 43, "--count", 1)
    expected = {"deleted": 4242, "returned": 1, "answers": 5}
    assert direct("client", "delete", 4242, "--dry-run", "--json").document == expected
    assert direct("stats", "--client", 4242, "--json").document["clients"][0]["held"] == 1
    assert direct("client", "delete", 4242, "--json").document == expected
    whole = query("MATCH (n) RETURN labels(n) AS labels, properties(n) AS all UNION ALL MATCH ()-[n]->() "
                  "RETURN [type(n)] AS labels, properties(n) AS all")  # fmt: skip
    assert [row for row in whole if "4242" in str(row)] == []
    assert broken(query) == []
    shown = direct("stats", "--json").document
    assert ([one["id"] for one in shown["clients"]], shown["system"]["answers"]["DM"]) == ([43], 5)
    name = first["buckets"][0]["users"][0]["screen_name"]
    [user] = direct("users", "show", name, "--json").document["users"]
    assert (user["answer"], user["answered_by"], user["history"][0]["client"]) == ("DM", None, None)
    exported = [json.loads(line) for line in direct("users", "export").out.splitlines()]
    assert [one["answered_by"] for one in exported] == [None] * 5
    # Answered users can be checked again, and who was forgotten can come again.
    assert direct("prioritize", name, "--recheck", "--json").document["prioritized"] == 1
    assert broken(query) == []
    assert direct("client", "delete", 4242, "--json").document == {"deleted": 4242, "returned": 0, "answers": 0}
    assert direct("register", "--id", 4242, "--screen-name", "again").status == 0
    assert direct("fetch", "--client", 4242, "--json").status == 0


def test_delete_takes_the_keys_of_this_gate(direct: Call, database: Database, tmp_path: Path) -> None:
    """Whoever registers the id next does not let them in; where the file cannot be used, that is said."""
    prepare(database, [43], 1)
    key = b"\0\0\0\x0bssh-ed25519\0\0\0 " + 32 * b"k"
    public = f"ssh-ed25519 {base64.b64encode(key).decode()} me@host"
    file = tmp_path / "keys" / "authorized"
    for deleted in ("keys removed: 1", "were not looked for"):
        more = {"DMCHECK_AUTHORIZED_KEYS": str(file), "DMCHECK_CLIENT_ID": "42"}
        added = direct("gate", "add", "--screen-name", "a", stdin=public, **more)
        assert added.status == 0
        if "not" in deleted:
            file.chmod(0o666)
        assert "me@host" in file.read_text()
        assert direct("client", "delete", 42, "--dry-run", DMCHECK_AUTHORIZED_KEYS=str(file)).err == ""
        done = direct("client", "delete", 42, "--json", DMCHECK_AUTHORIZED_KEYS=str(file))
        assert (done.status, done.document["deleted"], deleted in done.err) == (0, 42, True)
        assert ("me@host" in file.read_text()) == ("not" in deleted)


def _delete(database: Database) -> Any:
    return clients.delete(database, 42)


RIVALS: dict[str, Callable[[Database, Any], Any]] = {
    "submit": lambda it, lease: submit(it, 42, [answers(lease)]),
    "fetch": lambda it, lease: fetch(it, 42, 2, "b"),
    "renew": lambda it, lease: renew(it, 42, lease.bucket, lease.lease),
    "release": lambda it, lease: release(it, 42, lease.bucket, lease.lease),
    "rename": lambda it, lease: clients.rename(it, 42, "other"),
    "register": lambda it, lease: clients.register(it, 42, "client42"),
    "unregister": lambda it, lease: clients.unregister(it, 42, "client42"),
    "delete": lambda it, lease: clients.delete(it, 42),
    "recheck": lambda it, lease: users.prioritize(it, ["checked", lease.users[0].screen_name], 10, True),
}


@pytest.mark.parametrize("rival", RIVALS)
def test_delete_against(database: Database, query: Query, rival: str) -> None:
    """Whichever comes first, the graph is sound, no user has two answers, and no lease names the client for nothing."""
    for _ in range(10):
        query("MATCH (n) WHERE NOT n:DMCheckSchema DETACH DELETE n")
        prepare(database, [42], 10, size=5)
        users.add(database, [User("checked", None)])
        query("MATCH (c:DMCheckClient {id: 42}), (u:User {screen_name: 'checked'}) CREATE (c)-[:DM_YES]->(u)")
        [lease] = fetch(database, 42, 1, "a")
        barrier = threading.Barrier(2)

        def work(task: Callable[[Database], Any], barrier: threading.Barrier = barrier) -> None:
            with Database(database.settings, "race") as own:
                own.run("count_users")
                barrier.wait()
                with suppress(DmcheckError):
                    task(own)

        tasks = [_delete, lambda it, lease=lease: RIVALS[rival](it, lease)]
        threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert broken(query) == []
        [there] = query("MATCH (c:DMCheckClient) RETURN count(c) AS n")
        assert there["n"] <= (rival == "register")
        [left] = query("MATCH (l:DMCheckLease) WHERE l.client = 42 RETURN count(l) AS n")
        assert left["n"] == 0
