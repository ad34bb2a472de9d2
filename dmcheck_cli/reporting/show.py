"""What people and scripts see: results on stdout, as a table or JSON; everything else on stderr."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dmcheck_cli import notices
from dmcheck_cli.errors import DmcheckError, OutputLost
from dmcheck_cli.reporting.forms import Marked, Means
from dmcheck_cli.reporting.views import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text


class Format(StrEnum):
    """How results are printed. `auto`: a rich table on a terminal, plain text elsewhere."""

    auto = "auto"
    table = "table"
    plain = "plain"
    github = "github"
    csv = "csv"
    tsv = "tsv"
    json = "json"


SEPARATORS = {Format.csv: ",", Format.tsv: "\t"}
"""What stands between cells in the formats that scripts read."""

COLOURS = {Means.GOOD: "green", Means.LOOK: "magenta", Means.BAD: "bold red", Means.GONE: "dim"}
"""Of the eight colours that every terminal has, those that can be read on black and on white (yellow and cyan vanish on
white, blue on black). The text says the same without them."""

_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What could control a terminal, forge a log line or change the reading order: control characters (C0, C1), line
separators, bidirectional controls (Unicode, UAX 9), and lone surrogates, which no encoding has."""


def escaped(text: str, keep: str = "") -> str:
    """`text` with the characters of _UNSAFE, except those in `keep`, written as Python escapes them in a string."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def document(value: dict[str, Any]) -> None:
    """Print one JSON document on a line of its own."""
    line(_json(value))


def streamed_document(name: str, items: Iterable[dict[str, Any]]) -> None:
    """Print `{name: [items]}` item by item, for lists that may be too long to hold.

    Nothing is printed before the first item is available, so an immediate failure leaves no partial document.
    """
    between = f'{{"{name}": ['
    for item in items:
        write(between + _json(item))
        between = ", "
    write(between if between != ", " else "")
    line("]}")


def json_line(value: dict[str, Any]) -> str:
    """One JSON document on a line of its own, in ASCII."""
    return json.dumps(value) + "\n"


def wants_json(as_json: bool, format: Format) -> bool:
    """Whether `--json` or `--format json` was given."""
    return as_json or format is Format.json


def results(
    as_json: bool, format: Format, content: Callable[[], dict[str, Any]], *tables: Table, notes: Iterable[str] = ()
) -> None:
    """Print a result in the requested format: one JSON document of `content`; the first table alone as csv or tsv, as
    scripts read it; or all tables with a blank line between. `notes` go to stderr."""
    if wants_json(as_json, format):
        document(content())
        return
    for number, one in enumerate(tables[:1] if format in SEPARATORS else tables):
        if number:
            line("")
        table(one, format)
    for note in notes:
        message(note)


def table(shown: Table, format: Format) -> None:
    """Print rows under column heads. Numbers are right-aligned, None is shown as `-`."""
    columns = shown.heads
    cells = [[_cell(value) for value in row] for row in shown.rows]
    if format is Format.table or (format is Format.auto and sys.stdout.isatty()):
        _rich_table(shown, cells)
        return
    if format in SEPARATORS:
        text = io.StringIO(newline="")
        rows = csv.writer(text, delimiter=SEPARATORS[format], lineterminator="\n")
        rows.writerows([columns, *cells])
        line(text.getvalue().removesuffix("\n"))
        return
    import tabulate

    tabulate.MIN_PADDING = 0  # otherwise a number column is wider than its head, and the line begins with blanks
    sides = _aligned(cells)
    style = "github" if format is Format.github else "plain"
    line(tabulate.tabulate(cells, headers=columns, tablefmt=style, disable_numparse=True, colalign=sides))


def line(text: str, end: str = "\n") -> None:
    """Print a result, or the last line of one.

    Raises OutputLost when it cannot be written (a closed pipe, a full disk).
    """
    write(text + end)
    try:
        sys.stdout.flush()
    except OSError as problem:
        raise OutputLost(what=problem.strerror) from problem


def message(text: str) -> None:
    """Print something for people that is not the result; nothing with `--quiet`."""
    if not notices.is_quiet():
        _say(text)


def error(problem: DmcheckError, as_json: bool) -> None:
    """Print why a command ends without success; a log of JSON lines has one form, whatever `as_json` says."""
    content = {"code": problem.code, "message": problem.message, "retry_after": problem.retry_after}
    if notices.logs():
        _say(notices.Event(problem.message, "error", "error", error=content))
    elif as_json:
        sys.stderr.write(_json({"error": content}) + "\n")
    else:
        _say(f"dmcheck: {problem.message}")


def _say(text: str) -> None:
    sys.stderr.write((notices.logged(text) if notices.logs() else escaped(text, keep="\n")) + "\n")


def write(text: str) -> None:
    """Print a part of a result. Raises OutputLost when it cannot be written."""
    try:
        sys.stdout.write(text)
    except OSError as problem:
        raise OutputLost(what=problem.strerror) from problem


def _rich_table(table: Table, cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console

    console = Console(file=sys.stdout, markup=False, highlight=False)
    shown = _fitting(console, table, cells)
    with console.capture() as text:
        console.print(shown)
    line(text.get().rstrip("\n"))


def fitted(shown: Table, width: int) -> RichTable:
    """The table for a part of a screen of `width` columns."""
    from rich.console import Console

    cells = [[_cell(value) for value in row] for row in shown.rows]
    return _fitting(Console(width=width, file=io.StringIO()), shown, cells, lists=False)


def _fitting(console: Console, table: Table, cells: Sequence[Sequence[str]], lists: bool = True) -> RichTable:
    """The table, as wide as the terminal at most: one row alone becomes a list if `lists`; several rows lose the
    columns of `table.drops`, in that order, and after that long cells are cut."""
    unbounded = console.options.update(max_width=10_000)
    kept = list(range(len(table.heads)))
    drops = [table.heads.index(head) for head in table.drops]
    while True:
        shown = _grid(table.title, [table.heads[i] for i in kept], [[row[i] for i in kept] for row in cells])
        if console.measure(shown, options=unbounded).maximum <= console.width:
            return shown
        if lists and len(cells) == 1:
            return _records(table.title, table.heads, cells)
        if not drops:
            return shown
        kept.remove(drops.pop(0))


def _grid(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> RichTable:
    from rich import box
    from rich.table import Table

    grid = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.pad_edge = grid.show_edge = False
    for column, side in zip(columns, _aligned(cells) or ["left"] * len(columns), strict=True):
        grid.add_column(column, justify="right" if side == "right" else "left", no_wrap=True, overflow="ellipsis")
    for row in cells:
        grid.add_row(*map(_coloured, row))
    return grid


def _records(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> RichTable:
    """One line per value, for rows wider than the terminal."""
    from rich import box
    from rich.table import Table

    records = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=False)
    records.pad_edge = records.show_edge = False
    records.add_column(style="dim", no_wrap=True)
    records.add_column(overflow="fold")
    for row in cells:
        for column, value in zip(columns, row, strict=True):
            records.add_row(column, _coloured(value))
        records.add_section()
    return records


def _coloured(cell: str) -> Text:
    from rich.text import Text

    means = cell.means if isinstance(cell, Marked) else None
    return Text(str(cell), style=COLOURS[means] if means else "")


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    return [_side(column) for column in zip(*cells, strict=True)]


def _side(column: Sequence[str]) -> str:
    values = [cell for cell in column if cell != "-"]
    return "right" if values and all(value.lstrip("-").isdigit() for value in values) else "left"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Marked):
        return Marked(escaped(value), value.means)
    if isinstance(value, list | tuple):
        return escaped(", ".join(map(str, value))) or "-"
    return escaped(str(value))


def _json(value: dict[str, Any]) -> str:
    # Keep all scripts readable where the encoding of the stream has all characters.
    text = json.dumps(value, ensure_ascii=not (sys.stdout.encoding or "utf-8").lower().startswith("utf"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
