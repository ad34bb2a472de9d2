"""`bucket show`: who holds a bucket, and what happens to it next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.graphs import pass_time, prepare
from support.invariants import Query

from dmcheck_cli.database.connection import Database


def test_a_bucket_in_each_state(direct: Callable[..., Any], database: Database, query: Query) -> None:
    """Waiting, leased, past its time, dead: with its holder, and the job that would move it."""
    prepare(database, [42], 4)
    [row] = query("MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid")

    def shown() -> dict[str, Any]:
        bucket: dict[str, Any] = direct("bucket", "show", row["uuid"], "--json").document["bucket"]
        assert bucket["users"] == 4
        return bucket

    def due(bucket: dict[str, Any], state: str, client: int | None, job: str, seconds: int) -> None:
        assert (bucket["state"], bucket["client"], bucket["next_job"]) == (state, client, job)
        assert seconds - 60 <= bucket["next_job_seconds"] <= seconds

    due(shown(), "waiting", None, "raise_starved", 86_400)
    pass_time(query, 80_000)
    due(shown(), "waiting", None, "raise_starved", 6_400)
    assert direct("fetch", "--client", 42, "--count", 1).status == 0
    due(shown(), "leased", 42, "reclaim_leases", 7_200)
    pass_time(query, 7_300)
    due(shown(), "leased", 42, "reclaim_leases", 0)
    assert direct(program="reclaim_leases").status == 0
    due(shown(), "dead", 42, "reclaim_leases", 900)
    assert "reclaim_leases in 1" in direct("bucket", "show", row["uuid"]).out


def test_an_unknown_bucket(direct: Callable[..., Any], database: Database) -> None:
    """Refused."""
    result = direct("bucket", "show", "0" * 32, "--json")
    assert (result.status, result.error["code"]) == (1, "unknown_bucket")
