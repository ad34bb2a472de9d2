"""`dmcheck users add`, `users delete`, `users pending`, `users show` and `users retry`."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from dmcheck_cli import notices
from dmcheck_cli.commands.collected import Collected
from dmcheck_cli.commands.options import given_file
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.userlist import UserList
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import UnknownUser, interruptible
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import KNOWN, PENDING, WHY, Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import results, schema, users

BATCH = 5_000
"""Users that one transaction adds or deletes: about 0.2 s each, and little memory on either side."""

app = Program(help="Load, delete and list the users to be checked.", no_args_is_help=True)


@app.command(epilog="Example: dmcheck users add users.jsonl")
def add(
    file: Annotated[str | None, typer.Argument(metavar="[FILE]", help="The list; - or none: standard input.")] = None,
    replace_ids: Annotated[
        bool, typer.Option("--replace-ids", help="Take the list's ids where others are known; of several, the last.")
    ] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Load users: names, JSON lines or an array, CSV or TSV with a heading; UTF-8 or UTF-16, also gzipped."""
    with (
        given_file(file, "the list") as source,
        interruptible(lambda: "The list was only being read: nothing was changed."),
        notices.counting("Reading the list") as read,
    ):
        given = UserList(source)
        # Nobody who types the list wants to see it counted.
        collected = Collected(given if source.isatty() or not notices.live() else notices.counted(given, read))
    for note in given.notes():
        show.message(note)
    sums = dict.fromkeys(("added", "existing", "filled"), 0)
    with Database(Settings.load(), "users add") as database:
        schema.ensure(database)
        users.name_all(database)
        conflicting: list[str] = []
        through = 0
        with (
            interruptible(lambda: _stopped(through, collected.total, "added")),
            notices.counting("Adding users", collected.total, BATCH) as advance,
        ):
            for batch in collected.batches(BATCH, replace_ids):
                done = users.add(database, batch.users, replace_ids, batch.twice)
                for kind in sums:
                    sums[kind] += getattr(done, kind)
                conflicting += done.conflicting
                through += len(batch.users)
                advance(len(batch.users))
    conflicting = collected.conflicting + conflicting
    columns = (*sums, "conflicting", "repeated")
    counts = Table("Users", columns, [(*sums.values(), len(conflicting), collected.repeated)])
    notes = [f"other ids than known, nothing was changed: {documents.some(conflicting)}"] if conflicting else []
    content = {**sums, "conflicting": conflicting, "repeated": collected.repeated}
    show.results(as_json, format, lambda: content, counts, notes=notes)


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
        stored = users.spelled(database, wanted)
        wanted = list(dict.fromkeys(stored.get(name, name) for name in wanted))
        with (
            interruptible(lambda: _stopped(deleted + len(unknown), len(wanted), "deleted")),
            notices.counting("Deleting users", len(wanted), BATCH) as advance,
        ):
            for start in range(0, len(wanted), BATCH):
                gone, missing = users.delete(database, wanted[start : start + BATCH])
                deleted, unknown = deleted + gone, unknown + missing
                advance(gone + len(missing))
    counts = Table("Users", ("deleted", "unknown"), [(deleted, len(unknown))])
    notes = [f"unknown: {documents.some(unknown)}"] if unknown else []
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
            show.streamed_document("users", (user.document() for user in found))
        else:
            show.table(PENDING.of(found), format)


@app.command(name="show", epilog="Example: dmcheck users show @someone @another")
def show_(
    names: Annotated[list[str], typer.Argument(metavar="SCREEN_NAME...", help="The users.")],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Show all that is known about users: state, answer, who gave it and when, verdict and why, other answers."""
    wanted = list(dict.fromkeys(documents.screen_name(name) for name in names))
    with Database(Settings.load(), "users show") as database:
        schema.ensure(database)
        stored = users.spelled(database, wanted)
        found = results.known(database, dict.fromkeys(stored.values()))
    unknown = [name for name in wanted if name not in stored]
    if not found:
        raise UnknownUser(names=documents.some(wanted))
    notes = [f"unknown: {documents.some(unknown)}"] if unknown else []
    content = {"users": [user.document() for user in found], "unknown": unknown}
    show.results(as_json, format, lambda: content, KNOWN.of(found), WHY.of(found), notes=notes)


@app.command(epilog="Example: dmcheck users retry @someone")
def retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SCREEN_NAME...]", help="The users; all unless some are named.")
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Put users back who were set aside because leases kept failing on them."""
    wanted = list(dict.fromkeys(documents.screen_name(name) for name in names or []))
    retried = 0
    stored: dict[str, str] = {}
    with Database(Settings.load(), "users retry") as database:
        if wanted:
            stored = users.spelled(database, wanted)
            found = list(dict.fromkeys(stored.values()))
            for start in range(0, len(found), BATCH):
                retried += users.retry(database, found[start : start + BATCH])
        else:
            while batch := users.retry(database, None):
                retried += batch
    unknown = [name for name in wanted if name not in stored]
    counts = Table("Users", ("retried", "unknown"), [(retried, len(unknown))])
    notes = [f"unknown: {documents.some(unknown)}"] if unknown else []
    show.results(as_json, format, lambda: {"retried": retried, "unknown": unknown}, counts, notes=notes)


def _stopped(done: int, total: int, what: str) -> str:
    return (
        f"At least {done:,} of {total:,} users are {what} (what was stored, or is unknown, counts as {what}); the same "
        "command goes on from there."
    )
