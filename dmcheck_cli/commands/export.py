"""`dmcheck users export`."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

import typer

from dmcheck_cli import notices
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Checked
from dmcheck_cli.entry import Json
from dmcheck_cli.errors import PASSING, Usage, interruptible
from dmcheck_cli.reporting import show
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import results
from dmcheck_cli.wholefile import beside, file_or_stdout, place

COLUMNS = ("screen_name", "id", "answer", "answered_by", "answered_at", "verdict", "confidence")


class Form(StrEnum):
    """How the users are written."""

    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"


class Answer(StrEnum):
    """An answer, in any case."""

    DM = "DM"
    NON_DM = "NON_DM"
    UNKNOWN = "UNKNOWN"


class Verdict(StrEnum):
    """A verdict on a user who has an answer."""

    unconfirmed = "unconfirmed"
    open = "open"
    closed = "closed"
    not_found = "not_found"
    open_to_some = "open_to_some"


class Sink(Protocol):
    """Where texts are written."""

    def write(self, text: str, /) -> object:
        """Write a text."""


File = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="Where to; - or none: standard output. FILE appears whole, gzipped if it ends in .gz.",
    ),
]
WithAnswer = Annotated[
    list[Answer] | None,
    typer.Option(
        metavar="ANSWER",
        help="Only users with this answer: DM, NON_DM or UNKNOWN. May be repeated.",
        case_sensitive=False,
    ),
]
WithVerdict = Annotated[
    list[Verdict] | None,
    typer.Option(
        metavar="VERDICT",
        help=f"Only users with this verdict: {', '.join(Verdict)}. May be repeated.",
        case_sensitive=False,
    ),
]
FileForm = Annotated[
    Form | None,
    typer.Option(
        metavar="FORMAT",
        help="One of jsonl, csv, tsv; default: FILE's suffix (before .gz), else jsonl.",
        case_sensitive=False,
    ),
]


def export(
    file: File = None,
    answer: WithAnswer = None,
    verdict: WithVerdict = None,
    format: FileForm = None,
    as_json: Json = False,
) -> None:
    """Write every user whose answer is in force, one a line, in order of name.

    Each comes once. Users that are answered meanwhile may be missing; nobody else is. The verdict follows from
    all opinions that count, and from what was known about the clients when it began.
    """
    path = file_or_stdout(file)
    if as_json and path is None:
        raise Usage(what="--json says how many users were written to FILE: give FILE, or leave --json out")
    wanted = [str(one) for one in answer or ANSWERS]
    with Database(Settings.load(), "users export") as database:
        users = results.checked(database, wanted, [str(one) for one in verdict or Verdict])
        if path is None:
            _write(users, show, format or Form.jsonl)
            show.line("", end="")
            return
        with (
            interruptible(lambda: f"{show.escaped(str(path))} is as it was; the same command starts over."),
            notices.counting("Writing users") as advance,
            opened(path) as sink,
        ):
            count = _write(notices.counted(users, advance), sink, format or _by_suffix(path))
    if as_json:
        show.document({"exported": count})
    else:
        show.message(f"{count} users were written to {show.escaped(str(path))}")


def _write(users: Iterable[Checked], sink: Sink, form: Form) -> int:
    """Write the users; returns how many. Nothing is written before the database has answered."""
    count = 0
    rows = _with_first(users)
    if form is Form.jsonl:
        for user in rows:
            count += 1
            sink.write(show.json_line(user.document()))
        return count
    writer = csv.writer(sink, delimiter="\t" if form is Form.tsv else ",", lineterminator="\n")
    writer.writerow(COLUMNS)
    for user in rows:
        count += 1
        name = show.escaped(user.screen_name)  # other programs store names that are none
        writer.writerow((name, *(getattr(user, column) for column in COLUMNS[1:])))
    return count


def _with_first(users: Iterable[Checked]) -> Iterator[Checked]:
    """The users, the first one looked for at once."""
    rest = iter(users)
    first = next(rest, None)

    def whole() -> Iterator[Checked]:
        if first is not None:
            yield first
            yield from rest

    return whole()


def _by_suffix(path: Path) -> Form:
    suffix = path.suffixes[-2:-1] if _is_packed(path) else path.suffixes[-1:]
    form = "".join(suffix).lower().removeprefix(".")
    return Form(form) if form in tuple(Form) else Form.jsonl


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


@contextmanager
def opened(path: Path) -> Iterator[Sink]:
    """A file beside `path`, which takes its place when all went well; gzipped if its name says so. A pipe or a device
    is written to itself.

    Raises Usage when it cannot be written, Temporary when another command writes it, and OSError when there is no room.
    """
    try:
        if path.exists() and not path.is_file():
            with _texts(path, path) as sink:
                yield sink
            return
        target = place(path)
        with beside(target) as aside:
            with _texts(aside, path) as sink:
                yield sink
            with open(aside, "rb") as file:
                with suppress(FileNotFoundError):  # whom the old file was hidden from, the new one is, too
                    os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
                os.fsync(file.fileno())
            os.replace(aside, target)
    except OSError as error:
        if error.errno not in PASSING:
            raise Usage(what=f"{str(path)!a} cannot be written: {error.strerror}") from error
        raise


@contextmanager
def _texts(path: Path, named: Path) -> Iterator[Sink]:
    with open(path, "wb") as raw:
        if not _is_packed(named):
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file
            return
        import gzip

        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            yield file
