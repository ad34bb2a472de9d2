"""`dmcheck fetch`, `dmcheck renew` and `dmcheck release`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from dmcheck_cli import parse, show
from dmcheck_cli.commands.options import Bucket, ClientId, LeaseId, client_of
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import NothingToFetch, Usage
from dmcheck_cli.limits import DEFAULTS
from dmcheck_cli.settings import Settings
from dmcheck_cli.show import Format
from dmcheck_cli.transactions import leases


def fetch(
    client: ClientId = None,
    count: Annotated[
        int | None,
        typer.Option(
            parser=parse.whole_number("A count", 1, DEFAULTS.max_fetch),
            metavar="N",
            help="The most buckets to lease; default: what the client stated as its capacity (at most 10), else 2.",
        ),
    ] = None,
    request_id: Annotated[
        str | None,
        typer.Option(
            parser=parse.request_id,
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
    with Database(settings, "fetch") as database:
        try:
            if resume:
                found = leases.resume(database, who)
            else:
                # A key of its own makes every fetch repeatable, so that a lost answer never leases twice.
                key = request_id or os.urandom(16).hex()
                found = leases.fetch(database, who, count, key)
        except NothingToFetch as problem:
            found, nothing = [], problem
    if as_json or format is Format.json:
        show.document({"client": who, "buckets": [asdict(lease) for lease in found]})
    elif found:
        rows = [(x.bucket, x.lease, x.priority, len(x.users), show.moment(x.expires)) for x in found]
        show.table("Leases", ("bucket", "lease", "priority", "users", "expires (UTC)"), rows, format)
    if nothing is not None:
        raise nothing
    return 0


def renew(
    bucket: Bucket, lease: LeaseId, client: ClientId = None, as_json: Json = False, format: Shape = Format.auto
) -> None:
    """Give a lease its full time again, from now."""
    settings = Settings.load()
    with Database(settings, "renew") as database:
        expires = leases.renew(database, client_of(client, settings), bucket, lease)
    if as_json or format is Format.json:
        show.document({"bucket": bucket, "lease": lease, "expires": expires})
    else:
        show.table("Lease", ("bucket", "lease", "expires (UTC)"), [(bucket, lease, show.moment(expires))], format)


def release(
    bucket: Bucket, lease: LeaseId, client: ClientId = None, as_json: Json = False, format: Shape = Format.auto
) -> None:
    """Give a bucket back unanswered. It waits again, and nothing is counted against the client."""
    settings = Settings.load()
    with Database(settings, "release") as database:
        returned = leases.release(database, client_of(client, settings), bucket, lease)
    if as_json or format is Format.json:
        show.document({"bucket": bucket, "lease": lease, "returned": returned})
    else:
        show.table("Given back", ("bucket", "lease", "users"), [(bucket, lease, returned)], format)
