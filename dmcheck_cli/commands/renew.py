"""`dmcheck renew`."""

from __future__ import annotations

from dmcheck_cli.commands.options import Bucket, ClientId, LeaseId, client_of
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import RENEWED
from dmcheck_cli.service import connect
from dmcheck_cli.settings import Settings


def renew(
    bucket: Bucket, lease: LeaseId, client: ClientId = None, as_json: Json = False, format: Shape = Format.auto
) -> None:
    """Give a lease its full time again, from now."""
    settings = Settings.load()
    with connect(settings, client_of(client, settings), "renew") as service:
        expires = service.renew(bucket, lease)
    renewed = {"bucket": bucket, "lease": lease, "expires": expires}
    show.results(as_json, format, lambda: renewed, RENEWED.of([renewed]))
