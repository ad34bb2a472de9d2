"""The statements that every volunteer runs stay small, by the measures that `scripts/measures.py` prints."""

from __future__ import annotations

import measures
import pytest

from dmcheck_cli import cypher

MAX_SIZES = {"fetch_buckets": (67, 21, 13), "submit_answers": (114, 38, 29)}
"""Statement -> the most lines, names, and lines of a stage. For submit 75, 24 and 12 were aimed at: see DECISIONS."""

MAX_PARAMETERS = 6

EXAMPLE = """// A statement that nobody runs, with one of each thing that is counted.
// 1. Who asks.
MATCH (c:DMCheckClient {id: $client})-[:STATS]->(s)
SET c.id = c.id, s += {asked: CASE WHEN s.mood = 1 THEN $limits.window ELSE $limits.window END}
// 2. What it gets.
WITH *, reduce(sum = 0, n IN [x IN $given WHERE x = ')'] | sum + n) AS total
CALL (c, total) {
    UNWIND $given AS one

    MATCH (b {uuid: one})-[held:HELD]->() WHERE EXISTS { (b)<--(:User) }
    FOREACH (each IN [b] | CREATE (each)-[:BY {at: datetime({epochSeconds: 1})}]->(:Lease {id: 'a', bucket: b.uuid}))
    RETURN collect(b) AS taken
}
RETURN size(taken) AS count, [t IN taken | t.uuid] AS uuids
"""


def test_what_is_counted() -> None:
    """Each measure is what the script's docstring says."""
    size = measures.size(EXAMPLE)
    assert size == measures.Size(lines=11, names=12, parameters=3, depth=2, calls=1, cases=1, stages=[0, 2, 9])
    bare = "\n".join(line for line in EXAMPLE.splitlines() if not line.startswith("//"))
    names = {"c", "s", "sum", "n", "x", "total", "one", "b", "held", "each", "taken", "t"}
    assert measures.names(bare) == names
    assert measures.stored_properties([bare]) == {"id", "asked", "at", "bucket"}
    assert measures.lines("a" * 201 + "\n\n" + "b" * 100) == 4


def test_the_script_reads_what_is_sent() -> None:
    """Its texts, without comments, are those that the product runs."""
    texts = measures.statements(measures.working_tree())
    assert sorted(texts) == cypher.names()
    for name, text in texts.items():
        assert measures.without_comments(text) == cypher.text(name)


@pytest.mark.parametrize("name", MAX_SIZES)
def test_the_hot_statements_are_small(name: str) -> None:
    """Few lines, names and parameters, and each stage fits in a head."""
    size = measures.size(measures.statements(measures.working_tree())[name])
    lines, names, stage = MAX_SIZES[name]
    assert size.lines <= lines
    assert size.names <= names
    assert size.parameters <= MAX_PARAMETERS
    assert max(size.stages) <= stage, f"lines of the stages: {size.stages}"
    assert len(size.stages) > 1, "no stage is named"
