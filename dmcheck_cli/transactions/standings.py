"""What is known about the clients, as `domain/policy/trust` needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS
from dmcheck_cli.domain.policy.allowance import may_hold
from dmcheck_cli.domain.policy.trust.standing import Cell, Client, Standings
from dmcheck_cli.domain.policy.trust.verdict import Opinion

KINDS = dict(zip(ANSWERS, ("DM_YES", "DM_NO", "DM_UNKNOWN"), strict=True))
"""The relationship that stores each answer in force."""

ANSWER_OF = {kind: answer for answer, kind in KINDS.items()}

NOBODY = 0
"""In place of the id of a client that an older release deleted. Ids begin at 1; of a client that was deleted since, the
negative time of that is stored, in milliseconds."""

DOUBTED = -1
"""In place of that, for a client some of whose opinions were doubted when it was deleted: then all of them are."""

CELLS = 4


@dataclass
class Read:
    """What was read about the clients: standings; the share that each has stored; how many leases each may hold; who
    may take buckets; whose answers since when (seconds) are still to be looked at."""

    standings: Standings
    shares: dict[int, float | None] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    active: set[int] = field(default_factory=set)
    sweeping: dict[int, float] = field(default_factory=dict)


def read(database: Database, whole: bool = False) -> Read:
    """The standings of all clients. `whole`: with what counting needs; otherwise what verdicts need."""
    clients: dict[int, Client] = {}
    found = Read(Standings({}))
    for row in _rows(database, whole):
        id = row["id"]
        clients[id] = _client(row)
        found.shares[id] = row["share"]
        found.holds[id] = may_hold(row["capacity"], row["allowance"], database.settings.limits)
        if row["active"]:
            found.active.add(id)
        if row["sweeping"] is not None:
            found.sweeping[id] = row["sweeping"]
    found.standings = Standings(clients, records=whole)
    return found


def stored(client: Client) -> dict[str, Any]:
    """The properties of a client's counters that hold what is known about it."""
    return {
        "compared": [cell.compared for cell in client.cells],
        "contradicted": [cell.contradicted for cell in client.cells],
        "times": list(client.times),
        "sums": [round(value, 9) for cell in client.cells for value in cell.sums],
        "said": list(client.answers),
        "pairs": client.pairs,
        "differ": client.differ,
        "dm_pairs": client.dm_pairs,
        "dm_differ": client.dm_differ,
        "watched": client.watched,
        "contained": client.contained,
        "doubted": list(client.doubted),
    }


def opinion(clients: dict[int, Client], row: list[Any]) -> Opinion:
    """An opinion, from what statements return of one: client, kind of relationship, answer of a second opinion, time in
    seconds, the answer that it was compared with, whether it is a second opinion."""
    id, kind, candm, at, counted, witness = row
    client = clients.get(id) if type(id) is int else None
    return Opinion(
        client=id if type(id) is int else NOBODY,
        answer=ANSWER_OF.get(kind, candm),
        at=at,
        counted=counted or None,
        doubted=client.doubts(at) if client is not None else id == DOUBTED,
        witness=bool(witness),
    )


def counts(found: Any) -> list[int]:
    """The counts of a client's cells, as stored; zeros in place of anything else."""
    return [int(number) for number in _numbers(found, CELLS)]


def _rows(database: Database, whole: bool) -> Iterator[dict[str, Any]]:
    after, slice = 0, database.settings.limits.batch_upgraded
    while rows := database.run("read_standings", after=after, slice=slice, whole=whole):
        yield from rows
        after = rows[-1]["id"]


def _client(row: dict[str, Any]) -> Client:
    compared, contradicted = _numbers(row["compared"], CELLS), _numbers(row["contradicted"], CELLS)
    times, sums = row["times"] or [], row["sums"] or []
    if len(sums) != CELLS * len(times):
        times = sums = []
    n = len(times)
    cells = [Cell(int(compared[i]), int(contradicted[i]), sums[i * n : (i + 1) * n]) for i in range(CELLS)]
    return Client(
        cells=(cells[0], cells[1], cells[2], cells[3]),
        times=times,
        contained=next(iter(_finite([row["contained"]])), None),
        watched=row["watched"] or 0,
        answers=[int(number) for number in _numbers(row["said"], len(ANSWERS))],
        pairs=row["pairs"] or 0,
        differ=row["differ"] or 0,
        dm_pairs=row["dm_pairs"] or 0,
        dm_differ=row["dm_differ"] or 0,
        dm_from_id=row["dm_from_id"],
        doubted=_finite(row["doubted"]),
        record=row["record"],
        since=row["since"] or 0.0,
    )


def _numbers(found: Any, count: int) -> list[float]:
    """So many numbers as stored; zeros in place of anything else."""
    numbers = _finite(found)
    return numbers if len(numbers) == count else [0] * count


def _finite(found: Any) -> list[float]:
    """A list of numbers as stored; an empty one in place of anything else."""
    if isinstance(found, list) and all(isinstance(n, int | float) and isfinite(n) for n in found):
        return list(found)
    return []
