"""Judges clients by the leases that ended since the last run: sets how many leases each may hold, compares what they
said about the same users, and contains who is contradicted too often."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy import allowance
from dmcheck_cli.domain.policy.allowance import EndedLease
from dmcheck_cli.domain.policy.trust.standing import Client as Standing
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.errors import NotRegistered
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, clients, judging, schema, standings
from dmcheck_cli.transactions.judging import Case, Conclusion, Heard, Overtaken
from dmcheck_cli.transactions.standings import stored
from jobs.options import DryRun, app, summary, tell

MAX_TRIES = 20
"""Times that a run reads again because another one has written meanwhile. That one does what is left."""

MAX_ROUNDS = 3
"""Times that shares are worked out after looking at the opinions that the last ones called for."""

SUSPENDED_FOR = "contained by judge_clients"
"""The reason of a suspension by rule (DMCHECK_SUSPEND_CONTAINED)."""

program = app()


@dataclass
class Judged:
    """How many leases were judged; how many each client might hold before and may hold now, judged or contained; how
    many opinions were compared for the first time; users about whom clients do not agree; clients that were
    suspended."""

    leases: int = 0
    held: dict[int, tuple[int, int]] = field(default_factory=dict)
    compared: int = 0
    disputed_users: set[str] = field(default_factory=set)
    suspended: int = 0

    @property
    def disputed(self) -> int:
        """How many users clients do not agree about; one may be looked at more than once in a run."""
        return len(self.disputed_users)

    @property
    def counts(self) -> dict[str, int]:
        """The summary."""
        changes = self.held.values()
        return {
            "judged": self.leases,
            "raised": sum(now > before for before, now in changes),
            "lowered": sum(now < before for before, now in changes),
            "compared": self.compared,
            "disputed": self.disputed,
            "suspended": self.suspended,
        }


@program.command(epilog="Example: dmcheck-judge-clients --dry-run")
def judge_clients(
    dry_run: DryRun = False, as_json: Json = False, version: Version = False, log_format: Log = LogFormat.text
) -> None:
    """Judge clients by the leases that ended since the last run, and by what others say of the same users."""
    with Database(Settings.load(), "judge_clients") as database:
        schema.ensure(database)
        judged = run(database, dry_run)
    summary("judge_clients", judged.counts, dry_run, as_json)


def run(database: Database, dry_run: bool = False) -> Judged:
    """One run of the job: goes on until no lease is left to judge and no opinion to look at.

    A dry run looks only at the first batches.
    """
    judged = Judged()
    for _ in range(MAX_TRIES):
        try:
            _Run(database, judged, dry_run).go()
            break
        except Overtaken:
            continue
    for id, (before, now) in judged.held.items():
        if before != now:
            event, known = "raised" if now > before else "lowered", {"client": id, "before": before, "now": now}
            tell(event, f"client {id}: may hold {now} leases instead of {before}", dry_run=dry_run, **known)
    if not dry_run:
        buckets.finish(database, "judge_clients")
    return judged


class _Run:
    """One reading of the standings, kept up to date by what is written. Whatever is written by others ends it."""

    def __init__(self, database: Database, judged: Judged, dry_run: bool) -> None:
        self.database, self.judged, self.dry_run = database, judged, dry_run
        self.settings = database.settings
        self.round, self.common, self.now = judging.begin(database)
        self.read = standings.read(database, whole=True)
        self.court = self.read.standings
        self.clients = self.court.clients

    def go(self) -> None:
        """Leases, opinions, and then who is contained, the worst first; at the end records and shares.

        Raises Overtaken when another run has written, or somebody has changed what was read.
        """
        while self._leases():
            pass
        for id, since in self.read.sweeping.items():
            self._sweep(id, since)
        self.court.refresh()
        self._opinions()
        while not self.dry_run and (worst := self.court.worst()) is not None:
            self._contain(worst)
            self._opinions()
        for id in [] if self.dry_run else list(self.court.released()):
            self._release(id)
        for _ in range(MAX_ROUNDS):
            if not self._shares():
                break
            self._opinions()

    def _leases(self) -> bool:
        """Judge the leases of each client once; returns whether some are left."""
        after, left = 0, False
        while cases := judging.cases(self.database, after):
            after = cases[-1].id
            verdicts = [
                (case, allowance.judge(case.client, case.leases, self.settings.lease_seconds, self.settings.limits))
                for case in cases
            ]
            for case in cases:
                self._learn(case)
            if not self.dry_run:
                judging.settle(self.database, self.round, verdicts, self.clients)
                self.round += 1
            for case, verdict in verdicts:
                self.judged.leases += len(case.leases) + (case.left if self.dry_run else 0)
                left = left or case.left > 0
                now = allowance.may_hold(case.client.capacity, verdict.allowance, self.settings.limits)
                before = allowance.may_hold(case.client.capacity, case.client.allowance, self.settings.limits)
                self.judged.held[case.id] = (self.judged.held.get(case.id, (before,))[0], now)
        return left and not self.dry_run

    def _learn(self, case: Case) -> None:
        """What the buckets tell that a client answered: its mix of answers."""
        client = self.clients.setdefault(case.id, Standing())
        for lease in case.leases:
            if lease.how == "answered":
                first = _first(lease)
                client.answers = [before + more for before, more in zip(client.answers, first, strict=True)]
                self.court.saw_bucket(case.id, lease.ended, first[0], sum(first))

    def _opinions(self) -> None:
        """Compare the opinions on all users who are to be looked at."""
        while heard := judging.new_opinions(self.database, self.clients):
            changed: set[int] = set()
            conclusions = [self._conclude(one, changed) for one in heard]
            if not self.dry_run:
                judging.conclude(self.database, self.round, conclusions, self._stored(changed))
                self.round += 1
            # Only now: what could not be written is concluded again.
            self.judged.compared += sum(one.compared for one in conclusions)
            self.judged.disputed_users.update(one.heard.name for one in conclusions if one.disputed)
            if self.dry_run:
                break

    def _conclude(self, heard: Heard, changed: set[int]) -> Conclusion:
        """Compare the opinions on one user. Adds to `changed` the clients whose counts that changes."""
        opinions = heard.opinions
        if not opinions:
            return Conclusion(heard)
        before = [opinion.counted for opinion in opinions]
        new = next((n for n, seen in enumerate(reversed(heard.seen)) if seen), len(opinions))
        verdict = self.court.count(opinions, new)
        changes = [opinion.counted != old for opinion, old in zip(opinions, before, strict=True)]
        counted = [place for place, change in enumerate(changes) if change or not heard.seen[place]]
        if new or any(changes):
            changed.update(opinion.client for opinion in opinions if opinion.client in self.clients)
        said = [place for place, opinion in enumerate(opinions) if opinion.answer == verdict.answer]
        overruled = heard.in_force is not None and heard.in_force not in said and verdict.need != "contained"
        return Conclusion(
            heard,
            needs=verdict.need,
            force=said[0] if overruled else None,
            counted=counted,
            compared=sum(before[place] is None for place, change in enumerate(changes) if change),
            disputed=len(verdict.votes) > 1,
        )

    def _contain(self, id: int) -> None:
        """Contain a client, and have the users looked at about whom it said something while it was bad; all of them, if
        it had a record, since a DM may have rested on that."""
        since, client = self.court.contain(id, self.now), self.clients[id]
        since = 0.0 if client.record else since
        client.record, self.read.shares[id] = False, 1.0
        self._set({id: stored(client) | {"sweeping": since, "allowance": 1, "record": False, "share": 1.0}})
        self.judged.held[id] = (self.judged.held.get(id, (self.read.holds.get(id, 1),))[0], 1)
        tell("contained", f"client {id}: others contradict it too often, its answers decide nothing alone", client=id)
        if self.settings.suspend_contained:
            with suppress(NotRegistered):  # it was deleted meanwhile
                clients.suspend(self.database, id, SUSPENDED_FOR)
                self.judged.suspended += 1
                tell("suspended", f"client {id}: {SUSPENDED_FOR}", client=id, reason=SUSPENDED_FOR)
        self._sweep(id, since)

    def _sweep(self, id: int, since: float) -> None:
        while not self.dry_run and judging.sweep(self.database, id, since):
            pass

    def _release(self, id: int) -> None:
        self.court.release(id, self.now)
        self._set({id: stored(self.clients[id])})
        tell("no_longer_contained", f"client {id}: others agree with it again", client=id)

    def _shares(self) -> bool:
        """Store who has a record, and how much of what each says is checked, where that changed. All answers of a
        client are looked at again that is no longer believed alone, and those of all clients when the crowd turns out
        to err more or less often: the same opinions then say less or more. Returns whether some are."""
        self.court.refresh()
        changes: dict[int, dict[str, Any]] = {}
        records = any(client.record for client in self.clients.values())
        moved = self.court.moved(self.common, records)
        if moved:
            self.common = self.court.crowd.common
        for id, client in self.clients.items():
            record, share = self.court.has_record(client), self.court.share(id)
            if moved or (record, share) != (client.record, self.read.shares.get(id)):
                changes[id] = {"record": record, "share": share} | ({"probation": None} if record else {})
                if moved or (client.record and not record) or (share == 1.0 and client.contained is None):
                    changes[id]["sweeping"] = 0.0
                client.record, self.read.shares[id] = record, share
        if not changes or self.dry_run:
            return False
        self._set(changes)
        again = [id for id, change in changes.items() if "sweeping" in change]
        for id in again:
            self._sweep(id, 0.0)
        return bool(again)

    def _stored(self, ids: Collection[int]) -> dict[int, dict[str, Any]]:
        return {id: stored(self.clients[id]) for id in sorted(ids)}

    def _set(self, changes: dict[int, dict[str, Any]]) -> None:
        judging.set_clients(self.database, self.round, changes, self.common)
        self.round += 1


def _first(lease: EndedLease) -> tuple[int, int, int]:
    """How many answers of each kind were for users who had none."""
    return lease.first if lease.first is not None else (lease.dm, lease.non_dm, lease.unknown)


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
