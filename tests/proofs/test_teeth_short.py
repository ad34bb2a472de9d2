"""The suite notices defects: planted bugs in their short form. `scripts/teeth.py` shows it for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from proofs.teeth import Copy, bugs, is_inside, judge

from dmcheck_cli.database.connection import Database

QUICK = ("late-work-refused", "document-user-twice", "submit-owner-not-compared")
"""Bugs that a test notices within a few seconds."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the project."""
    return Copy(tmp_path_factory.mktemp("teeth"))


def test_there_are_many_planted_bugs_and_all_still_fit(copy: Copy) -> None:
    """Each replaces a text that the project has once as it is, and each names tests that are there."""
    planted = bugs()
    assert len(planted) >= 90
    for bug in planted:
        copy.check(bug)
        for test in bug.tests:
            file, *names = test.split("::")
            text = (copy.root / file).read_text("utf-8")
            assert [name for name in names if f"def {name}(" not in text and f"class {name}:" not in text] == [], test


def test_a_copy_runs_its_own_code(copy: Copy, tmp_path: Path) -> None:
    """Even if the project is installed in place, and for processes with another PYTHONPATH, the copy's code is
    what is imported: else every bug would stay unnoticed."""
    assert is_inside(copy.imported({"PYTHONPATH": str(tmp_path)}), copy.root)


@pytest.mark.parametrize("name", QUICK)
def test_the_suite_goes_red(copy: Copy, database: Database, neo4j_environment: dict[str, str], name: str) -> None:
    """With the bug, a test that it names fails, and it is a test that fails, not a statement that is no Cypher."""
    [bug] = bugs([name])
    way = {variable.replace("NEO4J_", "NEO4J_TEST_"): value for variable, value in neo4j_environment.items()}
    verdict = judge(copy, bug, {**way, "NEO4J_TEST_EMPTIES_IT": "yes"}, named_only=True)
    assert verdict.red is not None
    assert verdict.red.startswith(tuple(bug.tests)), f"{verdict.red}: {verdict.reason}"
