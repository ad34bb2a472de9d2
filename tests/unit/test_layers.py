"""The structure of the product, read from its source: who may know whom, and where Cypher may stand."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dmcheck_cli
import jobs

ROOT = Path(dmcheck_cli.__file__).parent
JOBS = Path(jobs.__file__).parent
MODULES = sorted([*ROOT.rglob("*.py"), *JOBS.rglob("*.py")])

# From the bottom up: a part imports from lower layers and from itself only.
LAYERS = (
    ("",),
    ("errors", "backoff", "notices", "checkers"),
    ("textfile", "wholefile", "alerts", "cypher", "domain"),
    ("settings",),
    ("embedded",),
    ("database",),
    ("transactions", "gate"),
    ("service", "reporting"),
    ("entry", "worker"),
    ("commands", "jobs"),
    ("cli",),
    ("__main__",),
)
LAYER_OF = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}

CYPHER = re.compile(r"\b(MATCH|MERGE|UNWIND|DETACH DELETE|CREATE \(|RETURN \w|SET \w+\.|CALL \()")


def _name(module: Path) -> str:
    return ".".join(module.relative_to(ROOT.parent if ROOT in module.parents else JOBS.parent).with_suffix("").parts)


def _part(name: str) -> str:
    """The part of the product that a dotted module name belongs to; '' for the package itself."""
    top, *rest = name.split(".")
    if top == "jobs":
        return "jobs"
    return rest[0] if rest and rest[0] not in ("__init__", "__version__") else ""


def _imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all modules that are imported anywhere in a module, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from package import a` may import the module package.a
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_type_checking(tree: ast.Module) -> ast.Module:
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return ast.Module(kept, [])


@functools.cache
def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))


def _docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings: texts that stand as a statement of their own."""
    statements = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {id(value) for value in statements if isinstance(value, ast.Constant)}


def test_there_are_modules_to_look_at() -> None:
    """The tests below would prove nothing about an empty list."""
    assert len(MODULES) > 30
    assert {_part(_name(module)) for module in MODULES} <= set(LAYER_OF)


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_imports_go_one_way(module: Path) -> None:
    """A module imports from the layers below its own, and from its own part, never sideways or upwards."""
    mine = _part(_name(module))
    for imported in _imports(_tree(module)):
        if imported.split(".")[0] not in {"dmcheck_cli", "jobs"}:
            continue
        other = _part(imported)
        assert other in LAYER_OF, f"{imported} belongs to no layer"
        assert other == mine or LAYER_OF[other] < LAYER_OF[mine], f"{mine or 'the package'} must not import {imported}"


@pytest.mark.parametrize("module", [module for module in MODULES if _part(_name(module)) == "domain"], ids=_name)
def test_policy_depends_on_its_arguments_alone(module: Path) -> None:
    """What domain/ decides needs no database, no clock, no chance and no setting from outside."""
    known = set(_imports(_tree(module)))
    ours = {name for name in known if name.split(".")[0] == "dmcheck_cli"}
    assert {_part(name) for name in ours} <= {"domain", "errors"}
    others = {name.split(".")[0] for name in known - ours}
    # dateutil reads texts: it is given the time.
    assert others <= {"dateutil"} | sys.stdlib_module_names - {"datetime", "os", "random", "secrets", "time", "uuid"}


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_only_database_knows_the_driver(module: Path) -> None:
    """Nobody but dmcheck_cli/database imports neo4j; others may name its types."""
    known = {imported.split(".")[0] for imported in _imports(_without_type_checking(_tree(module)))}
    assert "neo4j" not in known or _part(_name(module)) == "database"


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_the_driver_is_imported_late(module: Path) -> None:
    """No module imports neo4j while it is being imported itself, so `--help` stays fast."""
    tree = _without_type_checking(_tree(module))
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert "neo4j" not in {imported.split(".")[0] for imported in _imports(at_once)}


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_no_command_reads_the_packages_metadata(module: Path) -> None:
    """Each fetch would import what reads them, for a text that the package holds itself."""
    assert not any(name.startswith("importlib.metadata") for name in _imports(_tree(module)))


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_cypher_stands_in_cypher_files_only(module: Path) -> None:
    """No Python module holds the text of a statement."""
    tree = _tree(module)
    docstrings = _docstrings(tree)
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    assert not [text for text in texts if CYPHER.search(text)]


def test_the_search_for_cypher_finds_every_statement() -> None:
    """The pattern of the test above matches each statement of ours, so it would see one that is in a wrong place."""
    statements = [path for path in (ROOT / "cypher").rglob("*.cypher") if not path.stem.startswith("_")]
    silent = {path.stem for path in statements if not CYPHER.search(path.read_text("utf-8"))}
    assert silent <= {
        "show_schema",
        "show_transactions",
        "end_transaction",
        "drop_index",
    }  # these are about the database itself
