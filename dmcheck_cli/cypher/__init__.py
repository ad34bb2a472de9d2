"""All Cypher of the project: one statement per file, named after what it does, in folders by subject.

Each file opens with a comment header: purpose, parameters, columns, and why repeating it is safe. Text that several
statements share is in one file whose name begins with `_`, and is pulled in by a line `// include: NAME`.

Five rules hold in all of them.

* Locks are taken in one order: the placing lock (`DMCheckJob`), clients by id, buckets by uuid, and only then
  relationships and users. Statements that meet then wait for each other and seldom deadlock.
* `REMOVE x.lock` locks clients and buckets. It takes the node's write lock, leaves no trace, and skips a node
  deleted meanwhile (its properties then read as null). Nothing reads `lock`, so the planner need not separate
  it from reads. It would do nothing in a database without a property of that name, so the node that stores the
  graph's version has one (`begin_upgrade`). Elsewhere the lock is `SET x.key = x.key` with a key that never
  changes.
* A value read before a lock proves nothing after it. The planner may even serve a property it has already read
  from its cache, so every deciding value is read behind the lock, on a variable that was not asked for that
  property before.
* "If" is `FOREACH (x IN CASE WHEN ... THEN [x] ELSE [] END | ...)` where only writes follow, and
  `CALL (x) { WITH x WHERE ... }` where something must be read, which FOREACH cannot do.
* The database's clock is the only clock, and values come in only as parameters.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SCHEMA = 2
"""The version of the graph that the statements are written for. Every statement that writes checks it first
(`_graph`), in its own transaction: two releases on one graph could break each other's rules."""

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r"^ *// include: (\w+)\n", re.MULTILINE)


@cache
def text(name: str) -> str:
    """The statement called `name`, ready to run: includes pulled in, comments left out.

    Raises KeyError when there is none of that name.
    """
    return re.sub(r"^ *//.*\n", "", _whole(name), flags=re.MULTILINE)


@cache
def bounds(name: str) -> frozenset[str]:
    """The fields of Limits that the statement called `name` uses. Packing all 27 took 62 µs, six take 15."""
    return frozenset(re.findall(r"\$limits\.(\w+)", text(name)))


def source(name: str) -> str:
    """The file of the statement or fragment `name`, as it was written.

    Raises KeyError when there is none of that name.
    """
    return _files()[name].read_text("utf-8")


@cache
def _files() -> dict[str, Path]:
    """Every statement and fragment by its name, which no other has, whatever its folder."""
    return {path.stem: path for path in _FOLDER.rglob("*.cypher")}


def _whole(name: str) -> str:
    """The file, with its includes and theirs pulled in."""
    return _INCLUDE.sub(lambda found: _whole(found[1]), source(name))


def load() -> None:
    """Read all statements now. A program that runs for days would else read some of them from a newer installation."""
    for name in names():
        text(name)


def names() -> list[str]:
    """The names of all statements, in alphabetical order, without the fragments."""
    return sorted(name for name in _files() if not name.startswith("_"))
