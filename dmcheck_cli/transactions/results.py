"""What came out: the answers for users, what follows from them, and what is known about each user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Checked, Known, Past
from dmcheck_cli.domain.policy.trust.standing import Standings
from dmcheck_cli.domain.policy.trust.verdict import Opinion, Verdict
from dmcheck_cli.transactions import schema, standings, times
from dmcheck_cli.transactions.leases import stored_id
from dmcheck_cli.transactions.standings import ANSWER_OF, KINDS

NONE = Past(None, None, None, "answer")
"""In place of an answer in force, for a user who has none."""

SECOND, PAST = "DM_SECOND", "DM_PAST"

BATCH = 1_000
"""Users whose history one statement reads."""

MAX_KEPT = 50_000
"""Conclusions that are kept, some 10 MB: those from one answer of 10,000 clients, and the usual pairs."""

DIGITS = 6
"""Of a confidence, behind the point."""

Said = tuple[int, str, str | None]
"""An opinion: the client's id (0 or a negative number: it was deleted), the answer, and its time as
stored."""


class Conclusions:
    """Verdicts by what is known about the clients at one moment. Who said what decides, so each is worked out once."""

    def __init__(self, known: Standings) -> None:
        self._known = known
        self._doubting = {id for id, client in known.clients.items() if client.doubted} | {standings.DOUBTED}
        self._kept: dict[tuple[tuple[int, str, bool], ...], Verdict] = {}
        self._alone: dict[tuple[int, str], Verdict] = {}

    def of(self, said: list[Said]) -> Verdict:
        """The verdict from all opinions on one user, in any order."""
        if len(said) == 1 and said[0][0] not in self._doubting:
            # Of most users, so a short way for them.
            client, answer, _ = said[0]
            verdict = self._alone.get((client, answer))
            if verdict is None:
                verdict = self._alone[client, answer] = self._conclude(((client, answer, False),))
            return verdict
        said.sort(key=lambda one: times.seconds(one[2]))
        key = tuple((client, answer, self._doubts(client, at)) for client, answer, at in said)
        verdict = self._kept.get(key)
        if verdict is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            verdict = self._kept[key] = self._conclude(key)
        return verdict

    def _doubts(self, client: int, at: str | None) -> bool:
        if client == standings.DOUBTED:
            return True
        return client in self._doubting and self._known.clients[client].doubts(times.seconds(at))

    def _conclude(self, key: tuple[tuple[int, str, bool], ...]) -> Verdict:
        return self._known.conclude([Opinion(client, answer, 0.0, doubted=doubted) for client, answer, doubted in key])


def _who(client: object) -> int:
    return client if type(client) is int else standings.NOBODY


def conclusions(database: Database) -> Conclusions:
    """Verdicts by what is known now."""
    return Conclusions(standings.read(database).standings)


def known(database: Database, names: Iterable[str]) -> list[Known]:
    """All that is known about users, in the order of `names`, which are spelled as stored; those deleted meanwhile are
    left out."""
    wanted = list(names)
    verdicts = conclusions(database)
    found: list[Known] = []
    for start in range(0, len(wanted), BATCH):
        rows = database.run("show_users", names=wanted[start : start + BATCH])
        found += [_known(row, verdicts) for row in rows]
    return found


def checked(
    database: Database, answers: Collection[str] = ANSWERS, verdicts: Collection[str] | None = None
) -> Iterator[Checked]:
    """Every user with one of these answers in force and one of these verdicts (None: any), in order of name.

    The users are read in slices, each of one moment. So each user comes once at most, with an answer that was in force
    at a moment of the run, and a user that had one of these answers all the while is there. What is known about clients
    is read once. Raises what `schema.ensure` raises.
    """
    schema.ensure(database)
    concluded = conclusions(database)
    kinds = [*(KINDS[answer] for answer in answers), SECOND]
    after: str | None = ""
    while after is not None:
        slice = database.settings.limits.scan_slice
        [row] = database.run("export_users", after=after, slice=slice, kinds=kinds)
        seconds: dict[str, list[Said]] = {}
        for name, _, kind, client, at, candm in row["users"]:
            if kind == SECOND:
                seconds.setdefault(name, []).append((_who(client), candm, at))
        for name, id, kind, client, at, _ in row["users"]:
            if kind != SECOND:
                by, answer = stored_id(client), ANSWER_OF[kind]
                verdict = concluded.of([(_who(client), answer, at), *seconds.get(name, ())])
                word, sure = verdict.word, round(verdict.chances[answer], DIGITS)
                if verdicts is None or word in verdicts:
                    yield Checked(name, stored_id(id), answer, by, times.utc(at), word, sure)
        after = row["last"]


def _known(row: dict[str, Any], verdicts: Conclusions) -> Known:
    opinions = [
        (_who(client), ANSWER_OF.get(kind, candm), at)
        for kind, client, at, candm, _, _ in row["answers"]
        if kind != PAST
    ]
    past = [
        Past(
            client=stored_id(client),
            answer=ANSWER_OF.get(kind, candm),
            at=times.utc(at),
            kind=_kind(kind, overruled, how),
        )
        for kind, client, at, candm, overruled, how in row["answers"]
    ]
    history = sorted(past, key=lambda one: (one.at or "", one.kind == "answer"), reverse=True)
    in_force = next((one for one in history if one.kind == "answer"), NONE)
    state = "waiting" if row["client"] is None else "leased"
    verdict = verdicts.of(opinions)
    return Known(
        screen_name=row["name"],
        id=stored_id(row["id"]),
        state=state if in_force is NONE else "checked",
        answer=in_force.answer,
        answered_by=in_force.client,
        answered_at=in_force.at,
        bucket=row["bucket"],
        client=row["client"],
        set_aside=times.utc(row["aside"]),
        verdict=verdict.word,
        confidence=round(verdict.chances.get(in_force.answer or "", 0.0), DIGITS),
        why=verdict.sentence(),
        history=history,
    )


def _kind(kind: str, overruled: Any, how: Any) -> str:
    if kind == SECOND:
        return "overruled" if overruled else "second"
    if kind == PAST:
        return "withdrawn" if how == "withdrawn" else "rechecked"
    return "answer"
