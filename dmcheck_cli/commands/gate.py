"""`dmcheck gate add`, `remove`, `list` and `run`: volunteers who come through SSH."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli import notices, textfile
from dmcheck_cli.commands import gate_run
from dmcheck_cli.commands.options import ClientId, client_of, given_file
from dmcheck_cli.commands.register import Capacity, DmFromId, DmFromScreenName, together
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.gate import keys
from dmcheck_cli.gate.bounds import refusals
from dmcheck_cli.gate.keys import MAX_KEY_BYTES
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.forms import moment
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import CLIENT, Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients

app = Program(help="Let volunteers in through SSH, who need no password of the database.", no_args_is_help=True)

Client = Annotated[int, typer.Option("--client", parser=documents.identifier, metavar="ID", help="The client.")]
ScreenName = Annotated[
    str, typer.Option("--screen-name", parser=documents.screen_name, metavar="NAME", help="The client's Twitter name.")
]


@app.command(epilog="Example: dmcheck gate add --client 42 --screen-name @volunteer --key id_ed25519.pub")
def add(
    screen_name: ScreenName,
    client: ClientId = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="The public key; - or none: standard input.")
    ] = None,
    capacity: Capacity = None,
    dm_from_id: DmFromId = None,
    dm_from_screen_name: DmFromScreenName = None,
    probation: Annotated[
        bool,
        typer.Option("--probation", help="Leave it at one lease until it has a record."),
    ] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Register a client, and let its SSH key in. The same again changes nothing; a client may have several keys."""
    together(dm_from_id, dm_from_screen_name)
    settings = Settings.load()
    id = client_of(client, settings)
    if key is not None and textfile.is_pipe(os.path.realpath(key)):
        raise Usage(
            what=f"{key!a} is a named pipe, which may never have a writer: give a file, or - for standard input"
        )
    with given_file(key, "the public key") as source, documents.readable(source):
        given = keys.read_key(source.read(MAX_KEY_BYTES + 1))
    with keys.editing(keys.path_of(settings)) as held, Database(settings, "gate add") as database:
        held.check(id, given)
        added = clients.register(database, id, screen_name, capacity, dm_from_id, dm_from_screen_name)
        if probation and not clients.put_on_probation(database, id):
            show.message(f"client {id} has a record already: it is not on probation")
        warnings = [_same(*one) for one in clients.similar(database, id, screen_name)]
        held.add(id, screen_name, given)
    for warning in warnings:
        notices.warn(f"dmcheck: {warning}")
    key_of = Table("Key", ("client", "fingerprint", "comment"), [(id, given.fingerprint, given.comment)])
    content = {"client": asdict(added), "key": given.fingerprint} | ({"warnings": warnings} if warnings else {})
    show.results(as_json, format, lambda: content, CLIENT.of([added]), key_of)


@app.command(epilog="Example: dmcheck gate remove --client 42")
def remove(client: ClientId = None, as_json: Json = False, format: Shape = Format.auto) -> None:
    """Let none of a client's keys in any more. It stays registered, with what it holds and has answered."""
    settings = Settings.load()
    id = client_of(client, settings)
    with keys.editing(keys.path_of(settings)) as held:
        removed = held.remove(id)
    show.results(as_json, format, lambda: {"removed": removed}, Table("Removed", ("client", "keys"), [(id, removed)]))


@app.command("list", epilog="Example: dmcheck gate list --json")
def list_keys(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show which key is which client's, and what the gate has refused."""
    lines = keys.read(keys.path_of(Settings.load()))
    refused = refusals()
    rows = [(one.client, one.screen_name, one.key.fingerprint, one.key.comment) for one in lines]
    counts = [(one["client"], one["reason"], one["count"], moment(one["last"])) for one in refused]
    show.results(
        as_json,
        format,
        lambda: {"keys": [line.document() for line in lines], "refused": refused},
        Table("Keys", ("client", "screen name", "fingerprint", "comment"), rows, drops=("comment",)),
        *([Table("Refused", ("client", "reason", "times", "last (UTC)"), counts)] if counts else []),
    )


@app.command(epilog="Example: dmcheck gate run --client 42")
def run(
    client: Client,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="FINGERPRINT", help="The key that let it in, which must still be the client's."),
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> int:
    """Answer a client that came through SSH: what `gate add` has its key run. The command is in SSH_ORIGINAL_COMMAND,
    with its own --json."""
    return gate_run.run(client, key)


def _same(client: int, what: str) -> str:
    return f"client {client} has the same {what}: is it the same person?"
