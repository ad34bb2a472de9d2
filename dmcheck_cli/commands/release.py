"""`dmcheck release`."""

from __future__ import annotations

from dmcheck_cli.commands.options import Bucket, ClientId, LeaseId, client_of
from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.service import connect
from dmcheck_cli.settings import Settings


def release(
    bucket: Bucket, lease: LeaseId, client: ClientId = None, as_json: Json = False, format: Shape = Format.auto
) -> None:
    """Give a bucket back unanswered. It waits again, and nothing is counted against the client."""
    settings = Settings.load()
    with connect(settings, client_of(client, settings), "release") as service:
        returned = service.release(bucket, lease)
    given_back = Table("Given back", ("bucket", "lease", "users"), [(bucket, lease, returned)])
    show.results(as_json, format, lambda: {"bucket": bucket, "lease": lease, "returned": returned}, given_back)
