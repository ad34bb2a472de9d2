"""`dmcheck bucket show`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Program, Shape
from dmcheck_cli.reporting import show as output
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import BUCKET
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema

app = Program(help="Look at one bucket.", no_args_is_help=True)


@app.command(epilog="Example: dmcheck bucket show UUID")
def show(
    bucket: Annotated[str, typer.Argument(parser=documents.bucket_id, metavar="UUID", help="The bucket.")],
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Show who holds a bucket, and what happens to it next."""
    with Database(Settings.load(), "bucket show") as database:
        schema.ensure(database)
        found = buckets.show(database, bucket)
    output.results(as_json, format, lambda: {"bucket": asdict(found)}, BUCKET.of([found]))
