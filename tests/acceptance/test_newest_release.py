"""The newest Neo4j release works as well: the main job, as commands, on an embedded server of that version."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from driving import LONGEST_WAIT
from launching import OURS, launcher

from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings

NEWEST = "2026.08.1"


@pytest.fixture
def newest(tmp_path: Path):
    """The environment of a home whose server is of the newest release."""
    settings = Settings(home=str(tmp_path / "home"))
    server.ensure_running(settings, version=NEWEST)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    yield {**inherited, "DMCHECK_HOME": str(tmp_path / "home")}
    server.stop(settings)


def test_the_main_job_on_the_newest_release(newest: dict[str, str], tmp_path: Path) -> None:
    """Users in, buckets made, leased, answered whole and in part, given back, reclaimed, prioritized, seen."""

    def run(*arguments: str, program: str = "dmcheck", stdin: str = "", **variables: str) -> dict:
        done = subprocess.run(
            [*launcher(program), *arguments, "--json"],
            input=stdin.encode(),
            capture_output=True,
            env={**newest, **variables},
            cwd=tmp_path,
            timeout=LONGEST_WAIT,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    assert run("server", "status")["version"] == NEWEST
    assert run("users", "add", stdin="\n".join(f"user{i}" for i in range(40)))["added"] == 40
    run("register", "--id", "1", "--screen-name", "one")
    made = run(program="make_buckets", DMCHECK_BUCKET_SIZE="10")
    assert made == {"buckets": 4, "users": 40}

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
