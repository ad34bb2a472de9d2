"""An operator's questions: each command of the table in the reference answers its question."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import reference
from support.graphs import answered, prepare
from support.invariants import Query

from dmcheck_cli.database.connection import Database

TABLE = dict(
    re.findall(r"^\| ([A-Z][^|]*\?) \| `(dmcheck [^`]*)` \|$", reference.PAGE.read_text("utf-8"), re.MULTILINE)
)

ANSWERS: dict[str, tuple[str, ...]] = {
    "Who holds bucket U?": ("held by", "42"),
    "What happens next to bucket U?": ("reclaim_leases in",),
    "Why does client I get nothing, and until when?": ("may hold", "holds", "may ask again in"),
    "When will all be done?": ("all checked in", "at the latest"),
    "How fast is it now, against the day before?": ("last hour", "last day", "day before"),
    "Which clients fail?": ("dying", "43"),
    "Is cron running?": ("make_buckets", "last success (UTC)"),
    "Who still uses an older dmcheck?": ("active clients",),
    "Why may client I hold so few, and what is it trusted for?": ("because", "checked"),
    "Which users take messages, for sure?": ('"answer": "DM"', '"answered_by": 42', '"verdict": "open"'),
    "Why is this the verdict on user X?": ("2 say DM",),
    "Who answered user X, and when?": ("DM", "42", "at (UTC)"),
    "Which database is this?": ("NEO4J_URI", "bolt://127.0.0.1", "embedded"),
}


@pytest.mark.parametrize("question", TABLE)
def test_a_question(direct: Callable[..., Any], database: Database, query: Query, question: str) -> None:
    """One leased bucket, one answered, a client whose leases die."""
    prepare(database, [42, 43], 40, size=5)
    first = direct("fetch", "--client", 42, "--count", 1, "--json").document
    assert direct("submit", "--client", 42, stdin=answered(first)).status == 0
    second = direct("fetch", "--client", 42, "--count", 1, "--json").document
    query("MATCH (:DMCheckClient {id: 43})-[:STATS]->(s) SET s.buckets_assigned = 10, s.buckets_dead = 9")
    query("MERGE (j:DMCheckJob {name: 'make_buckets'}) SET j.last_success_time = datetime()")
    query(
        """MATCH (u:User {screen_name: $name}), (c:DMCheckClient {id: 43})
        CREATE (c)-[:DM_SECOND {candm: 'DM', at: datetime(), witness: true}]->(u)""",
        name=first["buckets"][0]["users"][0]["screen_name"],
    )
    names = {
        "U": second["buckets"][0]["bucket"], "I": "42", "X": first["buckets"][0]["users"][0]["screen_name"]
    }  # fmt: skip

    result = direct(*(names.get(word, word) for word in shlex.split(TABLE[question])[1:]))

    assert [text for text in ANSWERS[question] if text not in result.out] == [], result.out + result.err


def test_every_question_has_an_answer() -> None:
    """The table and this file have the same questions."""
    assert TABLE.keys() == ANSWERS.keys()
