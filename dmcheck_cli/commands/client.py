"""`dmcheck client rename`, `suspend`, `resume`, `distrust` and `delete`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli import notices
from dmcheck_cli.commands.unregister import put_back
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents, moments
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Distrusted
from dmcheck_cli.domain.moments import Moment
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import DmcheckError, interruptible
from dmcheck_cli.gate import keys
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import CLIENT, Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, log, schema

app = Program(help="Rename, suspend, distrust and forget clients.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(parser=documents.identifier, metavar="ID", help="The client's Twitter id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.command(epilog="Example: dmcheck client rename 42 @new_name")
def rename(
    id: Id,
    screen_name: Annotated[
        str, typer.Argument(parser=documents.screen_name, metavar="SCREEN_NAME", help="Its account's new name.")
    ],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Give a client the new name of its account. It keeps its id, counters and leases."""
    with Database(Settings.load(), "client rename") as database:
        client = clients.rename(database, id, screen_name)
    show.results(as_json, format, lambda: {"client": asdict(client)}, CLIENT.of([client]))


@app.command(epilog="Example: dmcheck client suspend 42 --reason 'answers DM for everybody'")
def suspend(
    id: Id,
    reason: Annotated[
        str | None, typer.Option(parser=documents.reason, metavar="TEXT", help="Why; the client is told.")
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Put back what a client holds, and refuse it until it is resumed. Its answers stay."""
    with Database(Settings.load(), "client suspend") as database:
        client, returned = clients.suspend(database, id, reason)
    notes = [put_back(returned)]
    show.results(as_json, format, lambda: {"client": asdict(client)}, CLIENT.of([client]), notes=notes)


@app.command(epilog="Example: dmcheck client resume 42")
def resume(id: Id, as_json: Json = False, format: Shape = Format.auto) -> None:
    """End a client's suspension and its containment. What it said while contained stays doubted."""
    with Database(Settings.load(), "client resume") as database:
        client = clients.resume(database, id)
    show.results(as_json, format, lambda: {"client": asdict(client)}, CLIENT.of([client]))


@app.command(epilog="Example: dmcheck client distrust 42 --since '2 days ago' --dry-run")
def distrust(
    id: Id,
    since: Annotated[
        Moment | None,
        typer.Option(
            parser=moments.moment,
            metavar="WHEN",
            help="Only what it said from then on: '2 hours ago', yesterday, ISO 8601; UTC unless it says another zone.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Withdraw what a client said, except what others confirm. It is not suspended by that. It can be repeated."""
    with Database(Settings.load(), "client distrust") as database:
        schema.ensure(database)
        total = clients.count(database, id)
        begin = log.moment(database, since)
        done = Distrusted(0, 0, 0, 0)
        with (
            interruptible(lambda: _stopped(done, total, dry_run)),
            notices.counting("Looking at answers", total, DEFAULTS.batch_withdrawn) as advance,
        ):
            for now in clients.distrust(database, id, begin, dry_run):
                advance(now.withdrawn + now.kept - done.withdrawn - done.kept)
                done = now
    content = {"client": id, "withdrawn": done.withdrawn, "kept": done.kept, "waiting": done.waiting}
    columns = ("would withdraw" if dry_run else "withdrawn", "kept", "waiting", "second opinions")
    shown = Table("Answers", columns, [(done.withdrawn, done.kept, done.waiting, done.seconds)])
    show.results(as_json, format, lambda: content, shown)


@app.command(epilog="Example: dmcheck client delete 42 --dry-run")
def delete(
    id: Id,
    dry_run: DryRun = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Forget a person: what the client holds is put back; its id, names and counters go. Its answers stay, nameless."""
    settings = Settings.load()
    with Database(settings, "client delete") as database:
        schema.ensure(database)
        returned, answers = clients.delete(database, id, dry_run)
    if not dry_run:
        _remove_keys(settings, id)
    done = Table("Client", ("would delete" if dry_run else "deleted", "returned", "answers"), [(id, returned, answers)])
    show.results(as_json, format, lambda: {"deleted": id, "returned": returned, "answers": answers}, done)


def _remove_keys(settings: Settings, id: int) -> None:
    """Remove the client's keys if this account is the gate, or whoever registers the id next could log in with them."""
    try:
        removed = keys.forget(keys.path_of(settings), id)
    except DmcheckError as problem:
        notices.warn(f"dmcheck: the client was deleted, but its keys were not looked for: {problem.message}")
    else:
        if removed:
            show.message(f"keys removed: {removed}")


def _stopped(done: Distrusted, total: int, dry_run: bool) -> str:
    if dry_run:
        return "Nothing was changed."
    return f"Of about {total} answers {done.withdrawn} were withdrawn and {done.kept} kept; the same command goes on."
