"""The page on threats names tests that are there, each with a planted bug that takes its defence out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import dmcheck_cli

TESTS = Path(__file__).parents[1]
PAGE = (Path(dmcheck_cli.__file__).parent / "gate" / "SECURITY.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\|.*\| `\w+/test_", line)]
NAMED = sorted(set(re.findall(r"`(\w+/test_\w+\.py)::(\w+)`", PAGE)))


def test_each_line_names_a_test() -> None:
    """Of every threat, what it cannot do and which test holds that."""
    begins, ends = PAGE.index("| threat |"), PAGE.index("What they can:")
    lines = [line for line in PAGE[begins:ends].splitlines() if line.startswith("|")][2:]
    assert lines == ROWS
    assert len(ROWS) > 20


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_it_is_there_and_has_teeth(file: str, name: str) -> None:
    """The test exists, and a planted bug names it."""
    assert f"def {name}(" in (TESTS / file).read_text("utf-8")
    planted = tomllib.loads((TESTS / "teeth.toml").read_text("utf-8"))
    assert [bug for bug, about in planted.items() if f"tests/{file}::{name}" in about["tests"]]
