"""The drawing of a part of the graph: clients, buckets and users in three columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmcheck_cli.reporting import show
from dmcheck_cli.transactions.report import Around

COLUMNS = {"client": 20, "bucket": 240, "user": 470}
ROW, WIDTH, MAX_NAME = 22, 640, 22


@dataclass(frozen=True)
class Placed:
    """A node at its place; `title` is its whole name."""

    kind: str
    x: int
    y: int
    name: str
    title: str


@dataclass(frozen=True)
class Link:
    """A line between two places."""

    x1: int
    y1: int
    x2: int
    y2: int
    type: str
    shape: str
    ends: tuple[str, str]


@dataclass(frozen=True)
class Drawing:
    """Where everything stands."""

    around: Around
    width: int
    height: int
    nodes: Sequence[Placed]
    links: Sequence[Link]
    types: Sequence[tuple[str, str]]


def layout(around: Around) -> Drawing:
    """Each kind in a column of its own, evenly over the height, in the order in which they were found."""
    most = max(sum(node.kind == kind for node in around.nodes) for kind in COLUMNS)
    height = max(most, 3) * ROW + ROW
    placed: dict[str, Placed] = {}
    for kind, x in COLUMNS.items():
        column = [node for node in around.nodes if node.kind == kind]
        for number, node in enumerate(column):
            y = round(ROW + (height - ROW) * (number + 0.5) / len(column)) - ROW // 2
            name = show.escaped(node.name)
            short = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
            placed[node.id] = Placed(kind, x, y, short, name)
    links = [
        Link(
            placed[a].x, placed[a].y, placed[b].x, placed[b].y, type, _shape(type), (placed[a].title, placed[b].title)
        )
        for a, b, type in around.links
    ]  # fmt: skip
    types = sorted({(link.type, link.shape) for link in links})
    return Drawing(around, WIDTH, height, list(placed.values()), links, types)


def _shape(type: str) -> str:
    first = type.split(" ", maxsplit=1)[0]
    return {"DM_YES": "good", "DM_NO": "bad", "DM_UNKNOWN": "look", "DMCHECKCLIENT": "main"}.get(
        first, "ink" if first == "INDMCHECKBUCKET" else "dashed"
    )
