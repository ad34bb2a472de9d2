"""The activity log: what happened, from the records of leases and the events."""

from __future__ import annotations

from collections.abc import Iterator

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Event
from dmcheck_cli.domain.moments import Moment
from dmcheck_cli.transactions import schema, times
from dmcheck_cli.transactions.leases import stored_id

EVER = "0001-01-01T00:00:00Z"
NEVER = "9999-12-31T23:59:59.999999999Z"


def moment(database: Database, given: Moment | None) -> str | None:
    """A moment in ISO 8601, by the clock of the database."""
    if given is None:
        return None
    [row] = database.run("tell_time")
    return given.at(row["now"])


def events(
    database: Database,
    client: int | None = None,
    user: str | None = None,
    bucket: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[Event]:
    """What happened between `since` and `until` (ISO 8601, both included), newest first, slice by slice.

    `user` is spelled as stored: the leases in which it was answered for, and that of the bucket that it is in. Raises
    what `schema.ensure` raises.
    """
    schema.ensure(database)
    slice = database.settings.limits.batch_events
    at, key = until or NEVER, "\uffff"
    while True:
        rows = database.run(
            "show_log", client=client, user=user, bucket=bucket, since=since or EVER, until=at, key=key, slice=slice
        )
        for row in rows:
            yield Event(
                at=times.utc(row["at"]) or row["at"],
                event=row["event"],
                client=stored_id(row["client"]),
                bucket=row["bucket"],
                lease=row["lease"],
                users=row["users"],
                reason=row["reason"],
                count=row["count"],
                answers=row["said"] and dict(zip(ANSWERS, row["said"], strict=True)),
            )
        if len(rows) < slice:
            return
        at, key = rows[-1]["at"], rows[-1]["key"]
