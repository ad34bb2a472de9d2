"""What came out: the answers for users, and what is known about each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Checked, Known, Past
from dmcheck_cli.transactions import schema, times
from dmcheck_cli.transactions.leases import stored_id

KINDS = dict(zip(ANSWERS, ("DM_YES", "DM_NO", "DM_UNKNOWN"), strict=True))
"""The relationship that stores each answer."""

_ANSWER_OF = {kind: answer for answer, kind in KINDS.items()}

NONE = Past(None, None, None, "answer")
"""In place of an answer in force, for a user who has none."""

BATCH = 1_000
"""Users whose history one statement reads."""


def known(database: Database, names: Iterable[str]) -> list[Known]:
    """All that is known about users, in the order of `names`, which are spelled as stored; those deleted meanwhile are
    left out."""
    wanted = list(names)
    found: list[Known] = []
    for start in range(0, len(wanted), BATCH):
        found += map(_known, database.run("show_users", names=wanted[start : start + BATCH]))
    return found


def checked(database: Database, answers: Collection[str] = ANSWERS) -> Iterator[Checked]:
    """Every user with one of these answers in force, in order of name.

    The users are read in slices, each of one moment. So each user comes once at most, with an answer that was in force
    at a moment of the run, and a user that had one of these answers all the while is there. Raises what `schema.ensure`
    raises.
    """
    schema.ensure(database)
    kinds = [KINDS[answer] for answer in answers]
    after: str | None = ""
    while after is not None:
        slice = database.settings.limits.scan_slice
        [row] = database.run("export_users", after=after, slice=slice, kinds=kinds)
        for name, id, kind, client, at in row["users"]:
            yield Checked(name, stored_id(id), _ANSWER_OF[kind], stored_id(client), times.utc(at))
        after = row["last"]


def _known(row: dict[str, Any]) -> Known:
    past = [
        Past(
            client=stored_id(client),
            answer=_ANSWER_OF.get(kind, candm),
            at=times.utc(at),
            kind="answer" if kind in _ANSWER_OF else "rechecked",
        )
        for kind, candm, client, at in row["answers"]
    ]
    history = sorted(past, key=lambda one: (one.at or "", one.kind == "answer"), reverse=True)
    in_force = next((one for one in history if one.kind == "answer"), NONE)
    state = "waiting" if row["client"] is None else "leased"
    return Known(
        screen_name=row["name"],
        id=stored_id(row["id"]),
        state=state if in_force is NONE else "checked",
        answer=in_force.answer,
        answered_by=in_force.client,
        answered_at=in_force.at,
        bucket=row["bucket"],
        client=row["client"],
        history=history,
    )
