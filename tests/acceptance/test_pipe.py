"""The main use, `fetch --json | checker | submit`, over a whole list, by two clients at the same time.

The list is the official accounts of the members of the United States Congress where a checkout has it beside itself
(`../shared/data/congress_users.jsonl`), else the sample that the project ships.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.graphs import MAX_WAIT_SECONDS, counters
from support.invariants import Query, broken
from support.programs import Result, launcher

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
LISTS = (ROOT.parent / "shared" / "data" / "congress_users.jsonl", ROOT / "scripts" / "sample_users.jsonl")


def test_every_user_of_a_real_list_is_answered_once(
    run: Callable[..., Result], query: Query, environment: dict[str, str], tmp_path: Path
) -> None:
    """With buckets of 20: each user has exactly one answer, no bucket is left, and the counters are exact."""
    listed = next(path for path in LISTS if path.is_file())
    names = {json.loads(line)["screen_name"] for line in listed.read_text("utf-8").splitlines()}
    assert run("users", "add", listed, "--json").document["added"] == len(names)
    for id in (1, 2):
        run("register", "--id", id, "--screen-name", f"client{id}")
    expected = -(-len(names) // 20)

    made = run("--json", program="make_buckets", DMCHECK_BUCKET_SIZE="20").document
    assert made == {"buckets": expected, "users": len(names), "waiting": 0}
    program = shlex.join(launcher("dmcheck"))
    checker = shlex.join([sys.executable, str(ROOT / "scripts" / "demo_checker.py")])
    # Each client goes on until a fetch has nothing for it (exit status 3); `submit` takes the empty document, too.
    loop = (
        f"while {program} fetch --client ID --count 4 --json > ID.json; do "
        f"{checker} < ID.json | {program} submit --client ID --json || exit 1; done; test -s ID.json"
    )
    loops = [
        subprocess.Popen(
            ["/bin/sh", "-c", loop.replace("ID", str(id))], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
        )
        for id in (1, 2)
    ]
    assert [one.wait(MAX_WAIT_SECONDS) for one in loops] == [0, 0]

    answered = query("MATCH (:DMCheckClient)-[r:DM_YES|DM_NO|DM_UNKNOWN]->(u:User) RETURN u.screen_name AS name")
    assert sorted(row["name"] for row in answered) == sorted(names)
    assert query("MATCH (b:DMCheckBucket) RETURN b.uuid AS left") == []
    both = zip(counters(query, 1), counters(query, 2), strict=True)
    assert [one + other for one, other in both] == [expected, expected, 0, 0]  # assigned, processed, fault, dead
    assert broken(query) == []
