"""How results look: cells, durations, tables in every format, and a stdout that nobody reads."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dmcheck_cli import errors
from dmcheck_cli.errors import Malformed, OutputLost, Temporary
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import duration, moment, state, trouble
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table

COLUMNS = ("name", "count", "notes")
ROWS = [("alpha", 5, ["x", "y"]), ("b", 1000, []), ("c", None, "free")]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (97_200, "1 d 3 h"),
        (86_401, "1 d"),
        (40 * 86_400, "40 d"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: int | None, shown: str) -> None:
    """Smaller units than the two largest are left out, and so are zeros."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3661, "1 h"), (59, "59 s"), (0, "0 s"), (None, "-")])
def test_durations_in_one_unit(seconds: int | None, shown: str) -> None:
    """With one unit only the largest is said."""
    assert duration(seconds, units=1) == shown


@pytest.mark.parametrize(
    ("iso", "shown"),
    [
        (None, "-"),
        ("2026-01-31T23:59:59.123456789Z", "2026-01-31 23:59:59"),
        ("2026-02-01T01:00:00+02:00", "2026-01-31 23:00:00"),
    ],
)
def test_moments_are_in_utc_to_the_second(iso: str | None, shown: str) -> None:
    """Whatever zone the database reports, people read UTC."""
    assert moment(iso) == shown


def test_a_plain_table_aligns_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Piped output is plain text: heads, then a line a row; lists are joined, nothing is shown as `-`."""
    show.table(Table("Title", COLUMNS, ROWS), Format.auto)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert [line.split() for line in lines[1:]] == [["alpha", "5", "x,", "y"], ["b", "1000", "-"], ["c", "-", "free"]]
    assert lines[1].index("5") + 1 == lines[2].index("1000") + 4  # units under units


@pytest.mark.parametrize(("format", "between"), [(Format.tsv, "\t"), (Format.csv, ",")])
def test_what_scripts_read_is_one_table_without_padding(
    format: Format, between: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first table alone, quoted where a cell has the separator."""
    first, second = Table("Title", COLUMNS, ROWS), Table("Second", ("other",), [("no",)])
    show.results(False, format, dict, first, second)
    read = list(csv.reader(io.StringIO(capsys.readouterr().out), delimiter=between))
    assert read == [["name", "count", "notes"], ["alpha", "5", "x, y"], ["b", "1000", "-"], ["c", "-", "free"]]


@pytest.mark.parametrize(
    ("columns", "shown"), [("60", "first second third"), ("30", "first third"), ("16", "first"), ("8", "first")]
)
def test_many_rows_stay_a_table_on_a_narrow_terminal(
    columns: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns are dropped in the stated order; then cells are cut. A row stays a line."""
    monkeypatch.setenv("COLUMNS", columns)
    rows = [("f" * 12, "s" * 12, "t" * 12)] * 40
    show.table(Table("Title", ("first", "second", "third"), rows, drops=("second", "third")), Format.table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == shown.split()
    assert len(lines) == 43
    assert max(map(len, lines)) <= int(columns)


def test_github_has_bars(capsys: pytest.CaptureFixture[str]) -> None:
    """The table can be pasted into a GitHub comment."""
    show.table(Table("Title", COLUMNS, ROWS), Format.github)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert all(line.startswith("|") and line.endswith("|") for line in lines)
    assert set(lines[1]) <= set("|-: ")


@pytest.mark.parametrize("format", [Format.table, Format.plain, Format.github, Format.tsv, Format.csv])
def test_a_table_without_rows_still_has_its_heads(format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to show is no error in any format."""
    show.table(Table("Title", COLUMNS, []), format)
    out = capsys.readouterr().out
    assert all(column in out for column in COLUMNS)


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_a_rich_table_loses_nothing(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At any width every value is there in full, no line is wider than the terminal, and markup is shown as it is."""
    monkeypatch.setenv("COLUMNS", columns)
    values = ("[red]x[/red]", "7f3c2a9e41d84b0f9a2c5e6d7f8a9b0c")
    show.table(Table("Title", ("first", "second"), [values]), Format.table)
    out = capsys.readouterr().out
    squeezed = "".join(out.split())
    assert all(value in squeezed for value in values)
    assert max(map(len, out.splitlines())) <= int(columns)


def test_a_document_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document, on a line of its own, readable for people of all scripts."""
    show.document({"name": "ä\n", "n": None})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "ä" in out
    assert json.loads(out) == {"name": "ä\n", "n": None}


STEERING = "\x1b[2J \x7f \x85 \x9b31m \u061c \u200e \u200f \u2028 \u202e \u2066 \u2069 \udc9b \ud800"


def test_nothing_that_is_shown_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters, bidirectional controls and lone surrogates are escaped in documents, tables and messages."""
    show.document({"name": STEERING})
    out = capsys.readouterr().out
    assert out.strip().isprintable()
    assert json.loads(out) == {"name": STEERING}
    show.streamed_document("users", iter([{"name": STEERING}]))
    for shape in (Format.table, Format.plain, Format.github, Format.tsv):
        show.table(Table("Title", ("name", "number"), [(STEERING, 1), ([STEERING, "a\tb\nc"], 2)]), shape)
    show.message(STEERING)
    for as_json in (False, True):
        show.error(Malformed(what=f"not {STEERING}"), as_json)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        rows = text.replace("\t", " ").split("\n")
        assert all(row.isprintable() for row in rows), [ascii(row) for row in rows if not row.isprintable()]
    assert r"\x9b31m" in shown.err
    assert r"\u202e" in shown.err
    assert r"a\tb\nc" in shown.out


def test_a_document_is_json_in_every_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stdout cannot have a character, the document still says which it is."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace"))
    show.document({"name": "ä"})
    assert json.loads(raw.getvalue()) == {"name": "ä"}


def test_what_fails_before_the_first_item_leaves_no_half_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of stdout finds a document or nothing."""

    def failing() -> Iterator[dict[str, Any]]:
        raise Temporary(what="no database")
        yield {}

    with pytest.raises(Temporary):
        show.streamed_document("users", failing())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_streamed_document_is_one_document(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Written item by item, it reads as if it had been written at once."""
    items = [{"screen_name": f"u{i}", "id": None} for i in range(count)]
    show.streamed_document("users", iter(items))
    assert json.loads(capsys.readouterr().out) == {"users": items}


def test_errors_go_to_stderr_in_both_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the message, a script the code, the message and when to come back; stdout stays empty."""
    problem = errors.TooFast(what="Slow down", seconds=5, retry_after=5)
    show.error(problem, as_json=False)
    show.error(problem, as_json=True)
    captured = capsys.readouterr()
    text, machine = captured.err.splitlines()
    assert captured.out == ""
    assert text == f"dmcheck: {problem.message}"
    assert json.loads(machine) == {"error": {"code": "too_fast", "message": problem.message, "retry_after": 5}}


class _Full(io.StringIO):
    """A stdout on a full disk."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


class _Closed(io.StringIO):
    """A stdout whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("stdout", [_Full, _Closed])
def test_a_result_that_cannot_be_written_is_no_success(
    stdout: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost result is `output_lost`, exit 75, whichever call notices it; the message says why."""
    monkeypatch.setattr(sys, "stdout", stdout())
    with pytest.raises(OutputLost, match=r"No space left|Broken pipe") as caught:
        show.document({"n": 1})
    assert (caught.value.code, caught.value.exit_status) == ("output_lost", 75)
    assert caught.value.message.endswith("has taken effect. The same command may be repeated.")


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False), ({}, False)],
    ids=["asked for", "NO_COLOR", "a pipe"],
)
def test_colours_mean_something(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is dead is red, what is active green; the text is the same without colours, and no other format has them."""
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm")
    rows = [(state("dead"), trouble(3)), (state("ACTIVE"), trouble(0))]
    shown = Table("All", ("state", "count"), rows)
    show.table(shown, Format.table)
    out = capsys.readouterr().out
    codes = {"\x1b[1;31mdead", "\x1b[32mACTIVE"}
    assert all((code in out) is coloured for code in codes)
    assert coloured or not re.search(r"\x1b\[[0-9;]*3[0-9]", out)
    for form in set(Format) - {Format.table, Format.json}:
        show.table(shown, form)
        assert "\x1b" not in capsys.readouterr().out
