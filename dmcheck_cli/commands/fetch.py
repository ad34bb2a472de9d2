"""`dmcheck fetch`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dmcheck_cli.commands.options import ClientId, client_of
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import NothingToFetch, Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import LEASES
from dmcheck_cli.service import connect
from dmcheck_cli.settings import Settings


def fetch(
    client: ClientId = None,
    count: Annotated[
        int | None,
        typer.Option(
            parser=documents.whole_number("A count", 1, DEFAULTS.max_fetch),
            metavar="N",
            help="The most buckets to lease; default: what the client stated as its capacity (at most 10), else 2.",
        ),
    ] = None,
    request_id: Annotated[
        str | None,
        typer.Option(
            parser=documents.request_id,
            metavar="KEY",
            help="A name for this fetch: repeated with it, it returns the same leases and takes nothing new.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Show the leases still held; take nothing new.")] = False,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> int:
    """Lease buckets of users to check."""
    if resume and (count is not None or request_id is not None):
        raise Usage(what="--resume takes neither --count nor --request-id")
    settings = Settings.load()
    who = client_of(client, settings)
    nothing: NothingToFetch | None = None
    with connect(settings, who, "fetch") as service:
        try:
            if resume:
                found = service.resume()
            else:
                # A key of its own makes every fetch repeatable, so that a lost answer never leases twice.
                key = request_id or os.urandom(16).hex()
                found = service.fetch(count, key)
        except NothingToFetch as problem:
            found, nothing = [], problem
    tables = [LEASES.of(found)] if found else []
    show.results(as_json, format, lambda: {"client": who, "buckets": [lease.document() for lease in found]}, *tables)
    if nothing is not None:
        raise nothing
    return 0
