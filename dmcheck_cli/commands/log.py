"""`dmcheck log`."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from dmcheck_cli.commands.options import ClientId, narrowed_to
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents, moments
from dmcheck_cli.domain.moments import Moment
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import UnknownUser
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import EVENTS
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import log as activity
from dmcheck_cli.transactions import users


def log(
    client: ClientId = None,
    user: Annotated[
        str | None,
        typer.Option(
            parser=documents.screen_name,
            metavar="SCREEN_NAME",
            help="Only the leases of the submit that answered for this user, and that of the bucket that it is in.",
        ),
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(parser=documents.bucket_id, metavar="UUID", help="Only of this bucket.")
    ] = None,
    since: Annotated[
        Moment | None,
        typer.Option(
            parser=moments.moment,
            metavar="WHEN",
            help="From then on: '2 hours ago', yesterday, ISO 8601; UTC unless it says another zone.",
        ),
    ] = None,
    until: Annotated[Moment | None, typer.Option(parser=moments.moment, metavar="WHEN", help="Up to then.")] = None,
    limit: Annotated[
        int,
        typer.Option(
            parser=documents.whole_number("A limit", 1, documents.MAX_ID), metavar="N", help="The most events to show."
        ),
    ] = 100,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Show what happened, newest first: leases, submits, refusals, and what became of clients."""
    loaded = Settings.load()
    client = narrowed_to(client, loaded)
    with Database(loaded, "log") as database:
        if user is not None:
            stored = users.spelled(database, [user])
            if user not in stored:
                raise UnknownUser(names=user)
            user = stored[user]
        begin, end = activity.moment(database, since), activity.moment(database, until)
        found = itertools.islice(activity.events(database, client, user, bucket, begin, end), limit)
        if show.wants_json(as_json, format):
            show.streamed_document("events", (event.document() for event in found))
        else:
            show.table(EVENTS.of(found), format)
