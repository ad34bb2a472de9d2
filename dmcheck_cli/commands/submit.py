"""`dmcheck submit`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from dmcheck_cli.commands.options import ClientId, client_of, given_file
from dmcheck_cli.domain import documents
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import REFUSALS, NotConfigured
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import REPORTS
from dmcheck_cli.service import connect
from dmcheck_cli.settings import Settings


def submit(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The document; - or none: standard input.")
    ] = None,
    client: ClientId = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Hand in answers: the document that fetch --json gave, with "candm" put on each user that was checked."""
    from dmcheck_cli.embedded.folders import state_folder
    from dmcheck_cli.worker import keeping

    settings = Settings.load()
    who = client_of(client, settings)
    with given_file(file, "the document") as source:
        answered = documents.read_document(source)
    if any(one.rounded for one in answered):
        show.message(
            "Some ids came back as other numbers: the checker's language rounds them. The answers are taken; "
            "to look accounts up by id, use id_str"
        )
    with connect(settings, who, "submit") as service:
        place = service.place
        with suppress(NotConfigured):  # no folder of the user: no loop either
            keeping.refuse_in_hand(state_folder(), who, place, [one.lease for one in answered])
        reports = service.submit(answered)
    tables = [REPORTS.of(reports)] if reports else []
    show.results(
        as_json, format, lambda: {"client": who, "buckets": [report.document() for report in reports]}, *tables
    )
    for report in reports:
        if report.reason is not None:
            raise REFUSALS[report.reason](bucket=report.bucket)
