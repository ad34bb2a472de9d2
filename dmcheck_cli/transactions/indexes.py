"""What the database has, compared with what the statements need: name, kind, labels, properties, state and owner count.

missing                                             create it
ours by name, but of another shape, failed, or left
behind without its constraint by a killed server    drop it, then create
being filled, or being created by somebody          wait
somebody else's, in the place of ours               an obstacle: theirs to drop, with a statement that we name
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto

_STATEMENT = re.compile(
    r"\w+ (CONSTRAINT|INDEX) (\w+) IF NOT EXISTS FOR \(n:(\w+)\) (?:REQUIRE|ON) \(?([^)]+?)\)?(?: IS UNIQUE)?"
)


@dataclass(frozen=True)
class Index:
    """A row of `show_schema`; `owner` is the constraint that it belongs to."""

    name: str
    type: str
    entity: str
    labels: list[str]
    properties: list[str]
    owner: str | None
    state: str
    percent: float
    failure: str


@dataclass(frozen=True)
class Transaction:
    """A row of `show_transactions`; `app` is 'dmcheck' for ours, `builds` the constraint or index of ours that it
    creates or drops."""

    id: str
    app: str | None
    builds: str | None
    locks: int
    origin: str | None
    seconds: int


@dataclass(frozen=True)
class Wanted:
    """A constraint or index of ours, and the statement that creates it."""

    name: str
    unique: bool
    label: str
    properties: list[str]
    statement: str

    def __str__(self) -> str:
        kind = "the constraint" if self.unique else "the index"
        return f"{kind} {self.name} of {self.label} ({', '.join(self.properties)})"

    def fits(self, index: Index) -> bool:
        """Whether `index` is of the same kind, on the same properties of the same label."""
        kind = index.type, index.entity, index.labels, index.properties
        return kind == ("RANGE", "NODE", [self.label], self.properties)

    def is_met_by(self, index: Index) -> bool:
        """Whether `index` leaves nothing to do. Any constraint that owns such an index makes the key unique."""
        return self.fits(index) and index.state == "ONLINE" and (not self.unique or index.owner is not None)


class Step(Enum):
    """What to do next for something that is missing."""

    CREATE = auto()
    DROP = auto()
    WAIT = auto()


@dataclass(frozen=True)
class Obstacle:
    """What is in the place of ours, and the one Cypher statement that removes it."""

    what: str
    remedy: str


def wanted(statement: str) -> Wanted:
    """What a line of `_schema.cypher` creates."""
    found = _STATEMENT.fullmatch(statement)
    if found is None:
        raise AssertionError(f"_schema.cypher has a line of an unknown form: {statement}")
    kind, name, label, properties = found.groups()
    names = [one.strip().removeprefix("n.") for one in properties.split(",")]
    return Wanted(name, kind == "CONSTRAINT", label, names, statement)


def next_step(one: Wanted, indexes: Iterable[Index], in_work: Collection[str]) -> Step | Obstacle:
    """What to do about `one`, which no index satisfies. `in_work`: the names of what somebody is creating or
    dropping."""
    steps = [_step(one, index, in_work) for index in indexes if index.name == one.name or one.fits(index)]
    obstacles = [step for step in steps if isinstance(step, Obstacle)]
    if obstacles:
        return obstacles[0]
    return next((step for step in (Step.DROP, Step.WAIT) if step in steps), Step.CREATE)


def _step(one: Wanted, index: Index, in_work: Collection[str]) -> Step | Obstacle:
    of = f"of {'|'.join(index.labels)} ({', '.join(index.properties)})"
    if index.owner is not None:
        if one.fits(index) and index.state == "POPULATING":
            return Step.WAIT
        what = f"the constraint {index.owner} {of} stands where {one} belongs"
        return Obstacle(what, f"DROP CONSTRAINT {quoted(index.owner)}")
    if index.name in in_work:
        return Step.WAIT
    if one.fits(index) and not one.unique and index.state == "POPULATING":
        return Step.WAIT
    if index.name == one.name:
        return Step.DROP
    return Obstacle(f"the index {index.name} {of} stands where {one} belongs", f"DROP INDEX {quoted(index.name)}")


def quoted(name: str) -> str:
    """`name` as it is written in Cypher."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else "`" + name.replace("`", "``") + "`"
