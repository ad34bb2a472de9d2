"""A checker for trying out dmcheck: it checks nothing and makes up its answers.

    dmcheck fetch --client 42 --json | dmcheck-demo-checker | dmcheck submit --client 42

Reads the document of `fetch --json` on stdin and writes it to stdout with "candm" added to each user: always the same
answer for the same name, derived from its hash. Standard library only, no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

SHARES = (("DM", 55), ("NON_DM", 35), ("UNKNOWN", 10))
"""Out of a hundred names."""


def main() -> int:
    """Answer the document on stdin; 2 if there is none."""
    try:
        document = json.load(sys.stdin)
        users = [user for bucket in document["buckets"] for user in bucket["users"]]
        for user in users:
            user["candm"] = made_up_answer(user["screen_name"])
    except (ValueError, LookupError, TypeError):
        sys.stderr.write("demo_checker: no document of `dmcheck fetch --json` on stdin\n")
        return 2
    sys.stderr.write(f"demo_checker: a demo, it checks nothing: {len(users)} answers are made up\n")
    return _print(document)


def made_up_answer(screen_name: str) -> str:
    """One of the three answers, with about the frequencies of SHARES."""
    place = int.from_bytes(hashlib.sha256(screen_name.encode()).digest()[:4], "big") % 100
    for answer, share in SHARES:
        if place < share:
            return answer
        place -= share
    raise AssertionError("the shares sum up to a hundred")


def _print(document: Any) -> int:
    try:
        print(json.dumps(document), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain again on exit
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
