"""`dmcheck users add`, `users delete` and `users pending`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Annotated

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.model import User
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import PENDING, Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import schema, users

BATCH = 5_000
"""Users that one transaction adds or deletes: about 0.2 s each, and little memory on either side."""

app = typer.Typer(help="Load, delete and list the users to be checked.", no_args_is_help=True)


@app.command(epilog="Example: dmcheck users add users.jsonl")
def add(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="The list; - or none: standard input.")] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Load users: JSON lines with "screen_name" and, if known, "id"; or plain names, one a line."""
    added = existing = 0
    with documents.open_file(file) as source, _rewindable(source) as whole:
        total = sum(1 for _ in documents.user_lines(documents.lines(whole)))
        whole.seek(0)
        with Database(Settings.load(), "users add") as database:
            schema.ensure(database)
            for batch in _with_progress(_batches(documents.user_lines(documents.lines(whole))), total):
                new, known = users.add(database, batch)
                added, existing = added + new, existing + known
    counts = Table("Users", ("added", "existing"), [(added, existing)])
    show.results(as_json, format, lambda: {"added": added, "existing": existing}, counts)


@app.command(epilog="Example: dmcheck users delete @someone")
def delete(
    names: Annotated[list[str], typer.Argument(metavar="SCREEN_NAME...", help="The users.")],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Delete users and their answers."""
    wanted = list(dict.fromkeys(documents.screen_name(name) for name in names))
    deleted = 0
    unknown: list[str] = []
    with Database(Settings.load(), "users delete") as database:
        for start in range(0, len(wanted), BATCH):
            gone, missing = users.delete(database, wanted[start : start + BATCH])
            deleted, unknown = deleted + gone, unknown + missing
    counts = Table("Users", ("deleted", "unknown"), [(deleted, len(unknown))])
    notes = [f"unknown: {', '.join(unknown)}"] if unknown else []
    show.results(as_json, format, lambda: {"deleted": deleted, "unknown": unknown}, counts, notes=notes)


@app.command(epilog="Example: dmcheck users pending --limit 20")
def pending(
    limit: Annotated[
        int | None,
        typer.Option(
            parser=documents.whole_number("A limit", 1, documents.MAX_ID),
            metavar="N",
            help="The most users to list; all unless said otherwise.",
        ),
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """List the users that are in no bucket yet and not checked."""
    with Database(Settings.load(), "users pending") as database:
        found = itertools.islice(users.pending(database), limit)
        if show.wants_json(as_json, format):
            show.streamed_document("users", (asdict(user) for user in found))
        else:
            show.table(PENDING.of(found), format)


def _rewindable(source: IO[bytes]) -> IO[bytes]:
    """The list is read twice, first to check all of it; a pipe is put aside in a temporary file for that."""
    if source.seekable():
        return source
    import tempfile

    copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    documents.copied(source, copy)
    copy.seek(0)
    return copy


def _batches(found: Iterator[User]) -> Iterator[list[User]]:
    """Batches with each name once; of a name that comes twice, the one with an id is kept."""
    while rows := list(itertools.islice(found, BATCH)):
        batch: dict[str, User] = {}
        for user in rows:
            if user.id is not None or user.screen_name not in batch:
                batch[user.screen_name] = user
        yield list(batch.values())


def _with_progress(batches: Iterator[list[User]], total: int) -> Iterator[list[User]]:
    """The batches, with a progress bar on stderr where it is a terminal and there is more than one."""
    if total <= BATCH or not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Adding users", total=total)
        for batch in batches:
            yield batch
            progress.advance(task, len(batch))
