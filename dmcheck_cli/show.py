"""What people and scripts see: results on stdout, as a table or JSON; everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from dmcheck_cli.errors import DmcheckError


class Format(StrEnum):
    """How results are printed. `auto`: a rich table on a terminal, plain text elsewhere."""

    auto = "auto"
    table = "table"
    plain = "plain"
    github = "github"
    tsv = "tsv"
    json = "json"


def document(value: dict[str, Any]) -> None:
    """Print one JSON document on a line of its own."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def streamed_document(name: str, items: Iterable[dict[str, Any]]) -> None:
    """Print `{name: [items]}` item by item, for lists that may be too long to hold."""
    sys.stdout.write(f'{{"{name}": [')
    for i, item in enumerate(items):
        sys.stdout.write((", " if i else "") + json.dumps(item, ensure_ascii=False))
    sys.stdout.write("]}\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], format: Format) -> None:
    """Print rows under column heads. Numbers are aligned to the right, None is shown as `-`."""
    cells = [[_cell(value) for value in row] for row in rows]
    if format is Format.table or (format is Format.auto and sys.stdout.isatty()):
        _rich_table(title, columns, cells)
        return
    from tabulate import tabulate

    styles = {Format.github: "github", Format.tsv: "tsv"}
    style = styles.get(format, "plain")
    sys.stdout.write(tabulate(cells, headers=columns, tablefmt=style, disable_numparse=True, colalign=_aligned(cells)) + "\n")


def line(text: str) -> None:
    """Print a result that is one line."""
    sys.stdout.write(text + "\n")


def message(text: str) -> None:
    """Tell the person something that is not the result."""
    sys.stderr.write(text + "\n")


def error(problem: DmcheckError, as_json: bool) -> None:
    """Tell why a command ends without success."""
    if as_json:
        content = {"code": problem.code, "message": problem.message, "retry_after": problem.retry_after}
        sys.stderr.write(json.dumps({"error": content}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"dmcheck: {problem.message}\n")


def duration(seconds: int | None) -> str:
    """Seconds as a person says them, in the two largest units: `1 d 3 h`."""
    if seconds is None:
        return "-"
    from dateutil.relativedelta import relativedelta

    parts = relativedelta(seconds=seconds).normalized()
    units = [(parts.days, "d"), (parts.hours, "h"), (parts.minutes, "min"), (parts.seconds, "s")]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    return " ".join(f"{int(amount)} {unit}" for amount, unit in units[:2] if amount or len(units) == 1)


def moment(iso: str | None) -> str:
    """An ISO 8601 time, short: to the second, in UTC."""
    if iso is None:
        return "-"
    from dateutil.parser import isoparse
    from dateutil.tz import UTC

    return isoparse(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _rich_table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, side in zip(columns, _aligned(cells) or ["left"] * len(columns), strict=True):
        grid.add_column(column, justify="right" if side == "right" else "left", overflow="fold")
    for row in cells:
        grid.add_row(*row)
    Console(file=sys.stdout, markup=False, highlight=False).print(grid)


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    return ["right" if all(_is_number(cell) for cell in column) else "left" for column in zip(*cells, strict=True)]


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.lstrip("-").replace(",", "").isdigit()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)
