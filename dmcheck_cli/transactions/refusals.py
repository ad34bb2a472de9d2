"""Counts what is refused, for the activity log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DmcheckError

COUNTED = frozenset(
    {
        "lease_lost",
        "not_in_bucket",
        "not_owner",
        "not_registered",
        "over_quota",
        "payload_changed",
        "suspended",
        "too_fast",
        "unjudged",
        "unknown_bucket",
        "wrong_details",
    }
)
"""The codes of what a client is refused for."""

MAX_SECONDS = 5.0
"""Trouble with the database may hold up the message of a refusal for so long."""

P = ParamSpec("P")
T = TypeVar("T")


def counted(call: Callable[Concatenate[Database, int, P], T]) -> Callable[Concatenate[Database, int, P], T]:
    """A verb of a client (database, its id, ...) whose refusals are counted, and then raised as they were."""

    @wraps(call)
    def counting(database: Database, client: int, /, *more: P.args, **named: P.kwargs) -> T:
        try:
            return call(database, client, *more, **named)
        except DmcheckError as refusal:
            if refusal.code in COUNTED:
                count(database, client, refusal.code)
            raise

    return counting


def count(database: Database, client: int, reason: str, times: int = 1) -> None:
    """Count a refusal of the client's by its reason. What goes wrong with that is not the client's concern."""
    patience = min(MAX_SECONDS, database.settings.timeout_seconds)
    with suppress(DmcheckError):
        database.run("count_refusal", patience=patience, client=client, reason=reason, count=times)
