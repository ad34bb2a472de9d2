"""`dmcheck report`."""

from __future__ import annotations

from typing import Annotated

import typer

from dmcheck_cli.commands.export import opened
from dmcheck_cli.commands.options import ClientId, client_of
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage, interruptible
from dmcheck_cli.reporting import page, show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions.report import findings
from dmcheck_cli.wholefile import file_or_stdout


def report(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Where to; - or none: standard output. FILE appears whole."),
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="Show who the clients are; else they have pseudonyms.")
    ] = False,
    client: ClientId = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket", parser=documents.bucket_id, metavar="UUID", help="Also draw the graph around this bucket."
        ),
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Write a page about the state of the system: one HTML file, to look at and to send around.

    It needs no scripts and no network. Clients have pseudonyms, the same on every page of a graph. --client and
    --bucket add a drawing of the graph around them.
    """
    path = file_or_stdout(file)
    if path is None and (as_json or format is not Format.auto):
        raise Usage(what="--json and --format say how long the page in FILE is: give FILE, or leave them out")
    page.needed()
    settings = Settings.load()
    if client is None and settings.client_id is not None:
        client = client_of(None, settings)
    with Database(settings, "report") as database:
        text = page.page(findings(database, names, client, bucket))
    if path is None:
        show.write(text)
        return
    with (
        interruptible(lambda: f"{show.escaped(str(path))} is as it was; the same command starts over."),
        opened(path) as sink,
    ):
        sink.write(text)
    size = path.stat().st_size if path.is_file() else len(text.encode())
    document = {"file": str(path), "bytes": size}
    show.results(as_json, format, lambda: document, Table("Page", ("file", "bytes"), [(str(path), size)]))
