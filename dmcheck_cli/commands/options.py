"""Options that several commands share."""

from __future__ import annotations

from typing import IO, Annotated

import typer

from dmcheck_cli.domain import documents
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.settings import Settings

ClientId = Annotated[
    int | None,
    typer.Option("--client", parser=documents.identifier, metavar="ID", help="The client; else DMCHECK_CLIENT_ID."),
]
Id = Annotated[int, typer.Option("--id", parser=documents.identifier, metavar="ID", help="The client's Twitter id.")]
ScreenName = Annotated[
    str, typer.Option("--screen-name", parser=documents.screen_name, metavar="NAME", help="The client's Twitter name.")
]
Bucket = Annotated[str, typer.Option("--bucket", parser=documents.bucket_id, metavar="UUID", help="The bucket.")]
LeaseId = Annotated[str, typer.Option("--lease", parser=documents.lease_id, metavar="ID", help="Its lease.")]


def given_file(path: str | None, what: str) -> IO[bytes]:
    """The file to read, or standard input; a person at a terminal is told that it waits for them. Raises Usage."""
    source = documents.open_file(path)
    if source.isatty():
        show.message(f"Reading {what} from the terminal; Ctrl-D ends it ...")
    return source


def client_of(given: int | None, settings: Settings) -> int:
    """The client to act for: the option's, or the environment's.

    Raises Usage when neither says, Malformed when the environment's is no id.
    """
    if given is not None:
        return given
    if settings.client_id is None:
        raise Usage(what="Which client? Give --client ID or set DMCHECK_CLIENT_ID")
    return documents.identifier(settings.client_id)


def narrowed_to(given: int | None, settings: Settings) -> int | None:
    """The client that alone is shown: the option's, or the environment's, which is said; None: all are.

    Raises Malformed when the environment's is no id.
    """
    if given is not None or settings.client_id is None:
        return given
    client = client_of(None, settings)
    show.message(f"only client {client}, as DMCHECK_CLIENT_ID says")
    return client
