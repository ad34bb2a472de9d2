"""A walk through every command and job, with the status by which each ends: for surroundings that must not matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import leases
from support.programs import Result

CHECKER = r"""sed 's/}$/, "candm": "DM"}/'"""
USERS = [f"user{i}" for i in range(30)]
SIZE = 5


@dataclass(frozen=True)
class Step:
    """One command or job; `status`: how it ends in ordinary surroundings; `prints`: whether it has a result."""

    program: str
    arguments: tuple[object, ...]
    status: int = 0
    prints: bool = True

    @property
    def name(self) -> str:
        """The step, as a person would type it."""
        return " ".join([self.program, *map(str, self.arguments)])


Start = Callable[[Step], Result]


def steps(database: Database, folder: Path) -> Iterator[Step]:
    """The steps, each made when its turn comes: some need what the ones before have left in the database.

    `database` is an empty graph; `folder` may be written to; buckets hold SIZE users. At the end five users are left,
    one of them checked, and the client is inactive: see `graph_after`.
    """
    (folder / "users.txt").write_text("\n".join(USERS))
    (folder / "checker").write_text(f"#!/bin/sh\nexec {CHECKER}\n")
    (folder / "checker").chmod(0o755)
    yield Step("dmcheck", ("--help",))
    yield Step("dmcheck", ("schema", "apply", "--print"))
    yield Step("dmcheck", ("schema", "apply"))
    yield Step("dmcheck", ("register", "--id", 42, "--screen-name", "@volunteer"))
    yield Step("dmcheck", ("users", "add", folder / "users.txt"))
    yield Step("dmcheck", ("users", "add"))  # from a standard input with nothing in it
    yield Step("dmcheck", ("users", "pending"))
    yield Step("make_buckets", ())
    yield Step("raise_starved", ())
    yield Step("dmcheck", ("prioritize", "@user0"))
    yield Step("dmcheck", ("prioritize", "nobody"), status=1, prints=False)
    yield Step("dmcheck", ("fetch", "--client", 42, "--count", 2, "--request-id", "walk"))
    first, second = leases.resume(database, 42)
    yield Step("dmcheck", ("renew", "--client", 42, "--bucket", first.bucket, "--lease", first.lease))
    yield Step("dmcheck", ("release", "--client", 42, "--bucket", second.bucket, "--lease", second.lease))
    document = {"buckets": [asdict(first)]}
    document["buckets"][0]["users"] = [{**user, "candm": "DM"} for user in asdict(first)["users"]]
    (folder / "answers.json").write_text(json.dumps(document))
    yield Step("dmcheck", ("submit", "--client", 42, folder / "answers.json"))
    yield Step("dmcheck", ("submit", "--client", 42), status=75, prints=False)  # nothing came in
    yield Step("reclaim_leases", ())
    yield Step("judge_clients", ())
    yield Step("dmcheck", ("work", "--client", 42, "--once", "--", folder / "checker"))
    yield Step("dmcheck", ("fetch", "--client", 42, "--resume"), status=3, prints=False)
    yield Step("dmcheck", ("stats",))
    yield Step("dmcheck", ("stats", "--client", 43), status=1, prints=False)
    yield Step("dmcheck", ("doctor", "--deep"))
    yield Step("dmcheck", ("users", "delete", *USERS[5:], "nobody"))
    yield Step("dmcheck", ("unregister", "--id", 42, "--screen-name", "volunteer"))
    yield Step("dmcheck", ("fetch", "--client", 42), status=1, prints=False)
    yield Step("dmcheck", ("server", "status"), status=2, prints=False)  # NEO4J_URI is set
    yield Step("dmcheck", ("no-such-command",), status=2, prints=False)


def graph_after(database: Database) -> dict[str, object]:
    """What the walk has left, in numbers."""
    [row] = database.run_text(
        "MATCH (c:DMCheckClient)-[:STATS]->(s) RETURN COUNT { (:User) } AS users,"
        " COUNT { (c)-[:DM_YES]->() } AS answers, COUNT { (:DMCheckBucket) } AS buckets, c.state AS state,"
        " s.buckets_assigned AS assigned,"
        " s.buckets_processed AS processed, s.buckets_fault AS fault, s.buckets_dead AS dead"
    )
    return row


LEFT = {
    "users": 5,
    "answers": 5,
    "buckets": 0,
    "state": "DEACTIVE",
    "assigned": 8,
    "processed": 7,
    "fault": 0,
    "dead": 0,
}
