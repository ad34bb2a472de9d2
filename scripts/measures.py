"""How large the statements, the product and the tests are, before and after: `python scripts/measures.py`.

Before is a git revision (`--before`, default: release 0.1.0), after is the working tree; without git's history only the
latter. `--statement NAME` adds its stages; `--seconds fast` and `--seconds whole` also run these tests of the working
tree, and say how long they took; `--json` prints one document.

What is counted per statement, with its includes, without comments and empty lines:

    lines        of 100 columns, including indentation; a longer line counts as several
    names        distinct variables: of nodes and relationships in patterns, after AS, before IN, in FOREACH, any() and
                 reduce(); not: the result's columns, labels, keys of maps and properties, parameters, columns of YIELD
    parameters   distinct words after $
    depth        nesting of subqueries (CALL, EXISTS, COUNT, COLLECT) and FOREACH
    CALL, CASE   how many of each
    stage        lines of the longest part between two comments of the form `// 1. ...`, or before the first

Stored properties are the distinct keys that statements set, or give to what they create, whatever the label. Lines of
product, tests and proofs are the non-empty lines of .py and .cypher files, without the data in tests/releases. The
proofs' program (`scripts/proofs`, formerly `tests/harness`) counts as tests. Complexity is McCabe's, of the product's
functions, as ruff counts it (C901).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from environment import enter

enter()

from tabulate import tabulate

ROOT = Path(__file__).parents[1]
STATEMENTS = "dmcheck_cli/cypher/"
RELEASE_0_1_0 = "ad2ea10"

COLUMNS = 100

TOPS = ("dmcheck_cli", "jobs", "tests", "scripts/proofs")

_SUFFIXES = (".py", ".cypher")
_TESTS = ("tests/", "scripts/proofs/")
_HEAD = (
    "",
    "stored properties",
    "product: lines",
    "files",
    "largest file",
    "mean complexity",
    "worst",
    "tests: lines",
    "files",
    "tests / product",
)
_INCLUDE = re.compile(r"^ *// include: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)
_STAGE = re.compile(r"^ *// \d+\. .*\n", re.MULTILINE)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_OPENS = re.compile(r"\b(?:CALL(?: *\([^()]*\))?|EXISTS|COUNT|COLLECT) *\{|\bFOREACH *\(")
_NAME = r"([a-z_]\w*)"
_NAMES = (
    rf"\bAS {_NAME}",
    rf"[(\[,]\s*{_NAME} IN\b",
    rf"\breduce\(\s*{_NAME} =",
    rf"(?<!\w)\({_NAME}(?=[:){{]| \{{)",
    rf"\[{_NAME}?:",
    rf"\b(?:MATCH|CREATE|MERGE) {_NAME} = \(",
)
_NO_NAMES = {"", "true", "false", "null"}
_SET = re.compile(r"(?:\bSET|,)\s+\w+\.(\w+)\s*=")
_MAP = re.compile(r"(?:[(:]\w+|\+=) \{((?:[^{}]|\{[^{}]*\})*)\}")
_KEY = re.compile(r"(?:^|,)\s*(\w+):(?!:)")
_CLAUSE = re.compile(
    r"\b(?:SET|WITH|RETURN|MATCH|OPTIONAL|CREATE|MERGE|DELETE|DETACH|REMOVE|CALL|UNWIND|FOREACH|UNION|ON)\b"
)
_KEYS_SET = re.compile(r"FOREACH \((\w+) IN (\[[^\]]*\]) \|\s*SET \w+\[\1\]")

Files = dict[str, str]
"""Path from the root, with slashes -> text."""


@dataclass(frozen=True)
class Size:
    """The measures of one statement; `stages` holds the lines of each stage."""

    lines: int
    names: int
    parameters: int
    depth: int
    calls: int
    cases: int
    stages: list[int]


@dataclass(frozen=True)
class Project:
    """The measures of the whole project; for the largest file its lines, for the worst function its complexity."""

    stored_properties: int
    product_lines: int
    product_files: int
    largest_file: int
    mean_complexity: float
    worst_complexity: int
    test_lines: int
    test_files: int
    tests_per_product_line: float


def working_tree() -> Files:
    """The current files."""
    paths = (path for top in TOPS for path in sorted((ROOT / top).rglob("*")))
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths if path.suffix in _SUFFIXES}


def revision(name: str) -> Files | None:
    """The files at a git revision; None if git does not know it."""
    listed = _git("ls-tree", "-r", "--name-only", name, *TOPS)
    if listed is None:
        return None
    return {path: _git("show", f"{name}:{path}") or "" for path in listed.splitlines() if path.endswith(_SUFFIXES)}


def statements(files: Files) -> dict[str, str]:
    """Name -> text with includes pulled in and comments kept. Fragments (`_name`) and lists of statements are left
    out."""
    found = (Path(path) for path in files if path.startswith(STATEMENTS) and path.endswith(".cypher"))
    sources = {path.stem: files[path.as_posix()] for path in found}
    return {name: _whole(text, sources) for name, text in sorted(sources.items()) if not name.startswith("_")}


def size(text: str) -> Size:
    """The measures of a statement, from its text with includes and comments."""
    bare = without_comments(text)
    plain = _TEXT.sub("''", bare)
    return Size(
        lines=lines(bare),
        names=len(names(plain)),
        parameters=len(set(re.findall(r"\$(\w+)", plain))),
        depth=_depth(plain),
        calls=len(re.findall(r"\bCALL\b", plain)),
        cases=len(re.findall(r"\bCASE\b", plain)),
        stages=[lines(without_comments(stage)) for stage in _STAGE.split(text)],
    )


def without_comments(text: str) -> str:
    """The part of a text that reaches the database."""
    return _COMMENT.sub("", text)


def lines(text: str) -> int:
    """How many lines of COLUMNS a text needs; empty ones do not count."""
    return sum(-(-len(line.rstrip()) // COLUMNS) for line in text.splitlines() if line.strip())


def names(text: str) -> set[str]:
    """The distinct variables that a statement without comments introduces, except its result columns."""
    *body, columns = re.split(r"^(?=RETURN\b)", text, flags=re.MULTILINE)
    introducing = "".join(body) + re.sub(r" AS \w+", "", columns) if body else text
    return {found for pattern in _NAMES for found in re.findall(pattern, introducing)} - _NO_NAMES


def stored_properties(texts: list[str]) -> set[str]:
    """The keys that statements without comments store."""
    found: set[str] = set()
    for text in texts:
        found.update(key for clause in _clauses(text, "SET") for key in _SET.findall(clause))
        for clause in (*_clauses(text, "SET"), *_clauses(text, "CREATE"), *_clauses(text, "MERGE")):
            for body in _MAP.findall(clause):
                found.update(_KEY.findall(re.sub(r"\{[^{}]*\}", "", body)))
        found.update(key for _, keys in _KEYS_SET.findall(text) for key in re.findall(r"'(\w+)'", keys))
    return found


def project(files: Files) -> Project:
    """The measures of product and tests."""
    texts = [without_comments(text) for text in statements(files).values()]

    def sizes(*tops: str) -> list[int]:
        chosen = (text for path, text in files.items() if path.startswith(tops) and "/releases/" not in path)
        return [sum(1 for line in text.splitlines() if line.strip()) for text in chosen]

    product, tests = sizes("dmcheck_cli/", "jobs/"), sizes(*_TESTS)
    found = complexities({path: text for path, text in files.items() if path.startswith(("dmcheck_cli/", "jobs/"))})
    return Project(
        stored_properties=len(stored_properties(texts)),
        product_lines=sum(product),
        product_files=len(product),
        largest_file=max(product),
        mean_complexity=round(sum(found) / len(found), 2),
        worst_complexity=max(found),
        test_lines=sum(tests),
        test_files=len(tests),
        tests_per_product_line=round(sum(tests) / sum(product), 2),
    )


def complexities(files: Files) -> list[int]:
    """McCabe's number for each function in these files, in no particular order."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(text for path, text in files.items() if path.endswith(".py")):
            Path(folder, f"m{number}.py").write_text(text, "utf-8")
        rules = ["--isolated", "--select", "C901", "--config", "lint.mccabe.max-complexity=0"]
        command = [sys.executable, "-m", "ruff", "check", *rules, "--output-format", "json", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [int(re.findall(r"\((\d+) >", one["message"])[0]) for one in json.loads(done.stdout)]


def seconds(part: str) -> dict[str, object]:
    """Run the tests, `part` "fast" or "whole"; returns how long that took, pytest's status, and what it competed with:
    the processors, and the load of the machine just before."""
    command = [sys.executable, str(ROOT / "scripts" / "test.py"), "-q", *(["--fast"] if part == "fast" else [])]
    load = round(os.getloadavg()[0], 1)
    began = time.monotonic()
    status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    return {
        "tests": part,
        "seconds": round(time.monotonic() - began),
        "status": status,
        "processors": os.cpu_count(),
        "load before": load,
    }


def _whole(text: str, sources: dict[str, str]) -> str:
    return _INCLUDE.sub(lambda found: _whole(sources[found[1]], sources), text)


def _depth(text: str) -> int:
    """The nesting depth of subqueries and FOREACH."""
    opening = {found.end() - 1 for found in _OPENS.finditer(text)}
    open_now: list[bool] = []
    deepest = 0
    for place, character in enumerate(text):
        if character in "({[":
            open_now.append(place in opening)
            deepest = max(deepest, sum(open_now))
        elif character in ")}]" and open_now:
            open_now.pop()
    return deepest


def _clauses(text: str, keyword: str) -> Iterator[str]:
    """Each clause that begins with `keyword`, up to the next one."""
    for found in _CLAUSE.finditer(text):
        if found[0] == keyword:
            after = _CLAUSE.search(text, found.end())
            yield text[found.start() : after.start() if after else len(text)]


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def main() -> None:
    """Print the tables, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default=RELEASE_0_1_0, help="a git revision; default: %(default)s")
    parser.add_argument("--statement", action="append", default=[], help="print the lines of each of its stages")
    parser.add_argument("--seconds", action="append", default=[], choices=("fast", "whole"), help="time these tests")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    trees = {"before": revision(arguments.before), "after": working_tree()}
    sizes = {when: _sizes(files) for when, files in trees.items() if files is not None}
    projects = {when: project(files) for when, files in trees.items() if files is not None}
    timed = [seconds(part) for part in arguments.seconds]
    if arguments.json:
        document: dict[str, object] = {
            when: {"statements": {name: asdict(one) for name, one in found.items()}, **asdict(projects[when])}
            for when, found in sizes.items()
        }
        print(json.dumps(document | ({"tests": timed} if timed else {}), indent=2))
        return
    print(_table(sizes))
    print()
    print(tabulate([[when, *asdict(one).values()] for when, one in projects.items()], _HEAD, tablefmt="github"))
    if timed:
        print(f"\n{tabulate(timed, 'keys', tablefmt='github')}")
    for name in arguments.statement:
        print(
            f"\nstages of {name}:", *(f"{when} {found[name].stages}" for when, found in sizes.items() if name in found)
        )


def _sizes(files: Files) -> dict[str, Size]:
    return {name: size(text) for name, text in statements(files).items()}


def _table(sizes: dict[str, dict[str, Size]]) -> str:
    """One row per statement; each cell shows before -> after, or one number if they are equal or one is missing."""
    measures: dict[str, Callable[[Size], int]] = {
        "lines": lambda one: one.lines,
        "names": lambda one: one.names,
        "parameters": lambda one: one.parameters,
        "depth": lambda one: one.depth,
        "CALL": lambda one: one.calls,
        "CASE": lambda one: one.cases,
        "longest stage": lambda one: max(one.stages),
    }
    rows = []
    for name in sorted({name for found in sizes.values() for name in found}):
        there = [found.get(name) for found in sizes.values()]
        cells = [["-" if one is None else str(measure(one)) for one in there] for measure in measures.values()]
        rows.append([name, *(" -> ".join(dict.fromkeys(cell)) for cell in cells)])
    return tabulate(rows, ["statement", *measures], tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
