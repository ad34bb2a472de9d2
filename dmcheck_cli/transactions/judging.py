"""What judge_clients reads and writes, one transaction per call; `domain/policy` decides in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy.allowance import Client, EndedLease, Verdict
from dmcheck_cli.domain.policy.trust.standing import Client as Standing
from dmcheck_cli.domain.policy.trust.verdict import Opinion
from dmcheck_cli.transactions import schema
from dmcheck_cli.transactions.standings import ANSWER_OF, NOBODY, opinion, stored


@dataclass(frozen=True)
class Case:
    """What to judge about the client `id`: its new faults, and the `leases` (with their ids) that ended since it was
    last judged, in order of their ends. `left`: how many more ended after these. `faults` is the current total."""

    id: int
    client: Client
    leases: tuple[EndedLease, ...]
    lease_ids: tuple[str, ...]
    left: int
    faults: int


def cases(database: Database, after: int) -> list[Case]:
    """The next batch of clients, by id, after the id `after`, with what to judge about each; [] at the end.

    At most `batch_leases` clients, and ten times as many leases for each.
    """
    return [_case(row) for row in database.run("ended_leases", after=after)]


SEEN = ""
"""Stored in place of the answer that an opinion was compared with, where it was compared with none."""


class Overtaken(Exception):
    """Another run of the job has written since this one read, or what it read has changed: it has to read again."""


@dataclass(frozen=True)
class Heard:
    """A user and the opinions on it, in the order in which they came; `ids` are theirs in the graph; `seen`: whether
    each was looked at before; `in_force` is the place of the one in force (None: there is none)."""

    name: str
    opinions: list[Opinion]
    ids: list[str]
    seen: list[bool]
    in_force: int | None


@dataclass(frozen=True)
class Conclusion:
    """What to write about a user: why it needs another opinion (None: it does not), the place of the opinion that takes
    the place of the one in force (None: none does), the places of those whose `counted` changed, how many of these were
    compared for the first time, whether clients do not agree."""

    heard: Heard
    needs: str | None = None
    force: int | None = None
    counted: Sequence[int] = ()
    compared: int = 0
    disputed: bool = False


def begin(database: Database) -> tuple[int, float, float]:
    """How many batches were ever written, which `settle` and the others check; the correlation of errors at which all
    users were last looked at; the database's time in seconds."""
    [row] = database.run("begin_judging")
    return row["round"], row["common"], row["now"]


def settle(
    database: Database, round: int, judged: Iterable[tuple[Case, Verdict]], clients: Mapping[int, Standing]
) -> None:
    """Write the verdicts, and the standings of these clients, and mark what they are based on as judged, all in one
    transaction.

    Raises Overtaken, UpgradeNeeded on a graph of another version, and what else `schema.write` raises.
    """
    verdicts = [_verdict(case, verdict) | {"set": stored(clients[case.id])} for case, verdict in judged]
    _write(database, "set_allowances", round=round, verdicts=verdicts)


def new_opinions(database: Database, clients: dict[int, Standing]) -> list[Heard]:
    """The next users whose opinions are to be looked at: `batch_opinions` at most."""
    return [_heard(row, clients) for row in database.run("new_opinions")]


def conclude(
    database: Database, round: int, conclusions: Iterable[Conclusion], clients: Mapping[int, dict[str, Any]]
) -> None:
    """Write what was concluded about users, and the properties of the clients that this changed.

    Raises Overtaken also when the opinions on a user are not those that were read.
    """
    users = [
        {
            "name": one.heard.name,
            "opinions": one.heard.ids,
            "needs": one.needs,
            "asked": max(one.heard.opinions[0].client, NOBODY) if one.needs else None,
            "counted": [[one.heard.ids[place], one.heard.opinions[place].counted or SEEN] for place in one.counted],
            "force": None if one.force is None else one.heard.ids[one.force],
        }
        for one in conclusions
    ]
    if not _write(database, "settle_opinions", round=round, users=users, clients=_clients(clients))["settled"]:
        raise Overtaken


def set_clients(database: Database, round: int, clients: Mapping[int, dict[str, Any]], common: float) -> None:
    """Set properties of clients' counters, and at which correlation of errors all users are looked at. Raises
    Overtaken."""
    _write(database, "settle_clients", round=round, clients=_clients(clients), common=common)


def sweep(database: Database, client: int, since: float) -> int:
    """Mark a batch of the users about whom a client said something since then: they are to be looked at. Returns how
    many; 0 when it is done."""
    return int(schema.write_one(database, "sweep_opinions", client=client, since=since)["marked"])


def _write(database: Database, statement: str, **parameters: Any) -> dict[str, Any]:
    rows = schema.write(database, statement, **parameters)
    if not rows:
        raise Overtaken
    return rows[0]


def _clients(clients: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": id, "set": properties} for id, properties in clients.items()]


def _heard(row: dict[str, Any], clients: dict[int, Standing]) -> Heard:
    kinds = [found[2] for found in row["opinions"]]
    return Heard(
        name=row["name"],
        opinions=[opinion(clients, found[1:]) for found in row["opinions"]],
        ids=[found[0] for found in row["opinions"]],
        seen=[found[5] is not None for found in row["opinions"]],
        in_force=next((place for place, kind in enumerate(kinds) if kind in ANSWER_OF), None),
    )


def _case(row: dict[str, Any]) -> Case:
    return Case(
        id=row["client"],
        client=Client(
            capacity=row["capacity"],
            allowance=row["allowance"],
            assigned=row["assigned"],
            processed=row["processed"],
            new_faults=row["faults"] - row["faults_judged"],
            answered_later=row["answered_later"],
            contained=row["contained"],
            probation=row["probation"],
        ),
        leases=tuple(_lease(lease) for lease in row["leases"]),
        lease_ids=tuple(lease["id"] for lease in row["leases"]),
        left=row["left"],
        faults=row["faults"],
    )


def _lease(found: dict[str, Any]) -> EndedLease:
    return EndedLease(
        how=found["how"],
        began=found["began"] / 1000,
        ended=found["ended"] / 1000,
        users=found["users"] or 0,
        dm=found["dm"] or 0,
        non_dm=found["non_dm"] or 0,
        unknown=found["unknown"] or 0,
        first=None if found["first"] is None else tuple(found["first"]),
        died=bool(found["died"]),
        excused=bool(found["excused"]),
        processed_before=found["processed_before"],
    )


def _verdict(case: Case, verdict: Verdict) -> dict[str, Any]:
    return {
        "client": case.id,
        "faults": case.faults,
        "leases": list(case.lease_ids),
        "allowance": verdict.allowance,
        "reason": verdict.reason,
        "turnaround": verdict.turnaround_seconds,
    }
