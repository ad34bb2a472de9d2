"""The files of statements: each opens with a header that says what it needs, gives and promises, and is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import measures
import pytest

import dmcheck_cli
import jobs
from dmcheck_cli import cypher
from dmcheck_cli.transactions import health, report

ROOT = Path(dmcheck_cli.__file__).parent
TRANSACTIONS = ROOT / "transactions"
MODULES = sorted([*ROOT.rglob("*.py"), *Path(jobs.__file__).parent.rglob("*.py")])

NAMES = cypher.names()
UPGRADES = [name for name in NAMES if re.match("(begin_|finish_)?upgrade", name)]
PARTS = ("Parameters", "Columns", "Repeating")
KNOWN_NAMES = set(re.findall(r"'(\w+)'", cypher.text("create_names")))
MAPS = {"attributes", "given", "item", "java", "limits", "metaData", "one", "row", "user", "verdict", "x"}
"""Variables of statements that are neither nodes nor relationships."""


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


def _calls(module: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.Call))


def _told_a_statement(module: Path) -> set[str]:
    """The functions of a module that run a statement whose name they are given."""
    functions = (node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.FunctionDef))
    parameters = {one.name: [arg.arg for arg in (*one.args.posonlyargs, *one.args.args)] for one in functions}
    return {name for name, names in parameters.items() if names[:2] == ["database", "statement"]}


OF_THE_SCHEMA = _told_a_statement(TRANSACTIONS / "schema.py")


def _run_by(module: Path) -> Iterator[ast.expr]:
    """What a module gives as the name of the statement wherever it runs one."""
    own = _told_a_statement(module)
    for call in _calls(module):
        match call.func:
            case ast.Attribute(value=ast.Name(id="database") | ast.Attribute(attr="database" | "aside"), attr="run"):
                yield call.args[0]
            case ast.Attribute(value=ast.Name(id="schema"), attr=name) if name in OF_THE_SCHEMA:
                yield call.args[1]
            case ast.Name(id=name) if name in own:
                yield call.args[1]


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
    assert "// include: _checked" in cypher.source("_waiting")
    condition = cypher.text("_checked").strip()
    assert condition.startswith("EXISTS")
    assert condition in cypher.text("place_users")


def test_an_unknown_statement_is_an_error() -> None:
    """A mistyped name is noticed, and a fragment's name is not among the statements."""
    with pytest.raises(KeyError):
        cypher.text("no_such_statement")
    assert NAMES
    assert not [name for name in NAMES if name.startswith("_")]


def test_no_two_files_have_one_name() -> None:
    """A statement is known by its name alone, whatever folder it is in."""
    files = list((ROOT / "cypher").rglob("*.cypher"))
    assert len({path.stem for path in files}) == len(files)


def test_every_fragment_is_used() -> None:
    """No shared text stands there for nobody; `_schema` is read by the schema's transactions, remedies by doctor."""
    fragments = {path.stem for path in Path(cypher.__file__).parent.rglob("_*.cypher")}
    included = {found for name in {*NAMES, *fragments} for found in re.findall(r"include: (\w+)", cypher.source(name))}
    assert fragments == included | {"_schema"} | set(health.BY_HAND.values()) | set(report.AROUND.values())


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    """The transactions run each statement of the folder, and none that is not in it."""
    assert {name.value for module in MODULES for name in _run_by(module) if isinstance(name, ast.Constant)} == set(
        NAMES
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT.parent)))
def test_statements_are_named_never_built(module: Path) -> None:
    """Statements are run by a constant name, in transactions/ only; values come in as parameters only.

    `run_text` takes a text as it is: outside database/, only the schema is built so, by the lines of its own file.
    """
    for name in _run_by(module):
        assert module.parent == TRANSACTIONS, f"line {name.lineno}"
        passed_on = isinstance(name, ast.Name) and name.id == "statement"
        assert passed_on or isinstance(name, ast.Constant), f"line {name.lineno}: not a constant name"
    for call in _calls(module):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "run_text" and module.parent.name != "database":
            assert module == TRANSACTIONS / "building.py"
            assert isinstance(call.args[0], ast.Name)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("upgrade_", "adopt_"))])
def test_a_new_graph_knows_every_name_of_a_statement(name: str) -> None:
    """Else the statement would be planned again when the name appears. Names of older systems need not be known."""
    text = re.sub(r"'[^']*'", "", cypher.text(name))
    properties = {key for variable, key in re.findall(r"\b([a-z]\w*)\.(\w+)\b(?!\()", text) if variable not in MAPS}
    labels = set(re.findall(r"[:|]([A-Z]\w+)", text)) - {"DM", "NONDM", "NONEXIST", "NonDM"}
    assert properties | labels | measures.stored_properties([text]) <= KNOWN_NAMES


def test_a_new_graph_knows_no_name_that_is_not_used() -> None:
    """Each stands in a statement."""
    used = {word for name in NAMES if name != "create_names" for word in re.findall(r"\w+", cypher.text(name))}
    assert used >= KNOWN_NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_writes_checks_the_version_first(name: str) -> None:
    """In the same transaction. Upgrades check how far they are; two statements are about the server, not the graph; two
    make a graph ready for the constraints and the plans, whatever its version."""
    text = cypher.text(name)
    writes = re.search(r"\b(SET|CREATE|MERGE|DELETE|REMOVE|DROP|TERMINATE|db\.create\w+)\b", text) is not None
    assert writes == ("reads only" not in _section(name, "Repeating"))
    if name in UPGRADES:
        assert re.match(r"(MATCH|MERGE) \((graph)?:DMCheckSchema {name: 'graph'", text)
        assert re.search(r"graph\.upgrading\b.*= \$step|upgrading: \$step|\$step IN \[graph.upgrading", text)
    elif writes and name not in ("drop_index", "end_transaction", "merge_clients", "create_names"):
        assert text.startswith(cypher.text("_graph"))


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "cypher").rglob("*.cypher")))
def test_checked_and_waiting_have_one_name_each(name: str) -> None:
    """`_checked` and `_unplaced` ask whether a user has an answer, and is in no bucket; other statements only count
    answers and buckets, go through them, or ask whether the graph has any."""
    asked = re.findall(r"EXISTS {[^{}]*}|COUNT {[^{}]*} [=>] 0", cypher.source(name))
    checked = [question for question in asked if re.search(r"\(\w+\)<?-\[:(DM_YES|DM_NO|DM_UNKNOWN)", question)]
    waiting = [question for question in asked if re.search(r":INDMCHECKBUCKET\]->\((:\w+)?\)", question)]
    assert len(checked) == (name == "_checked"), checked
    assert len(waiting) == (name == "_unplaced"), waiting
