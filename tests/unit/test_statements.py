"""The files of statements: each opens with a header that says what it needs, gives and promises, and is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dmcheck_cli import cypher, transactions
from dmcheck_cli.transactions import health

NAMES = cypher.names()
PARTS = ("Parameters", "Columns", "Repeating")


def _header(name: str) -> str:
    """The comments that a statement opens with, as one text."""
    lines = []
    for line in cypher.source(name).splitlines():
        if not line.startswith("//") or line.startswith("// include:"):
            break
        lines.append(line.removeprefix("//").strip())
    return " ".join(lines)


def _section(name: str, part: str) -> str:
    after = _header(name).split(f"{part}:", 1)[1]
    ends = [after.index(f"{other}:") for other in PARTS if f" {other}:" in after]
    return after[: min(ends, default=len(after))].strip()


def _named(section: str) -> set[str]:
    """The parameters or columns that a section lists: the single words between its commas, explanations left out."""
    bare = section
    while bare != (bare := re.sub(r"\([^()]*\)|\{[^{}]*\}", "", bare)):
        pass
    words = (re.sub(r":.*", "", item).strip(" .") for item in re.split(r"[,.;]", bare))
    return {word for word in words if re.fullmatch(r"\w+", word)} - {"none"}


@pytest.mark.parametrize("name", NAMES)
def test_the_header_is_complete(name: str) -> None:
    """Purpose, parameters, columns and why repeating is safe are all there, in that order."""
    header = _header(name)
    found = [header.find(f"{part}:") for part in PARTS]
    assert 20 < found[0] < found[1] < found[2]
    assert all(len(_section(name, part)) >= len("none.") for part in PARTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_names_the_parameters(name: str) -> None:
    """Every parameter that the text uses is named in the header, and no other."""
    used = set(re.findall(r"\$(\w+)", cypher.text(name)))
    assert used == _named(_section(name, "Parameters"))


@pytest.mark.parametrize("name", NAMES)
def test_the_header_does_not_reach_the_database(name: str) -> None:
    """What is sent holds no comment and no line that was not pulled in."""
    assert "//" not in cypher.text(name)


def test_a_fragment_may_include_another() -> None:
    """What a fragment pulls in reaches the database as well: left out, its condition would hold for everything."""
    assert "// include: _uncheckable" in cypher.source("_give_back")
    condition = cypher.text("_uncheckable").strip()
    assert condition.startswith("WHERE NOT")
    assert condition in cypher.text("release_lease")


def test_an_unknown_statement_is_an_error() -> None:
    """A mistyped name is noticed, and a fragment's name is not among the statements."""
    with pytest.raises(FileNotFoundError):
        cypher.text("no_such_statement")
    assert NAMES
    assert not [name for name in NAMES if name.startswith("_")]


def test_every_fragment_is_used() -> None:
    """No shared text stands there for nobody; `_schema` is read by the schema's transactions, remedies by doctor."""
    fragments = {path.stem for path in Path(cypher.__file__).parent.glob("_*.cypher")}
    included = {found for name in {*NAMES, *fragments} for found in re.findall(r"include: (\w+)", cypher.source(name))}
    assert fragments == included | {"_schema"} | set(health.BY_HAND.values())


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    """The transactions run each statement of the folder, and none that is not in it."""
    run: set[str] = set()
    for module in Path(transactions.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
                first = node.args[0]
                assert isinstance(first, ast.Constant)
                run.add(first.value)
    assert run == set(NAMES)
