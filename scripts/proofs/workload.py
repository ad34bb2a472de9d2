"""Volunteers, good and bad, each a separate process that acts at random and records its results."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from support.graphs import MAX_WAIT_SECONDS

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Answered, Lease
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from proofs.actor import Actor
from proofs.history import Recorder

CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Volunteer:
    """How one volunteer acts: until `seconds` have passed, `operations` were done, or `folder` has a file `stop`. With
    `jobs`, it also runs the jobs. `actor` is its release of dmcheck."""

    settings: Settings
    folder: Path
    client: int
    seed: int
    seconds: float = 5.0
    operations: int = 1_000_000
    jobs: bool = True
    actor: type[Actor] = Actor


def act(volunteer: Volunteer) -> None:
    """One volunteer's life: fetch, answer all or part, submit, repeat, renew, be late, try other clients' leases."""
    chance = random.Random(volunteer.seed)
    with Database(volunteer.settings, f"volunteer {volunteer.client}") as database:
        life = _Life(volunteer.actor(database, Recorder(volunteer.folder)), volunteer.client, chance, volunteer.jobs)
        deadline = time.monotonic() + volunteer.seconds
        for _ in range(volunteer.operations):
            if time.monotonic() >= deadline or (volunteer.folder / "stop").exists():
                return
            with suppress(DmcheckError):  # recorded in the history
                life.step()


@contextmanager
def crowd(volunteers: Sequence[Volunteer]) -> Iterator[list[BaseProcess]]:
    """Volunteers as running processes, to be disturbed meanwhile; leaving waits for them to end.

    Raises AssertionError when one crashed or hangs; one that was killed on purpose is no crash.
    """
    processes: list[BaseProcess] = [CONTEXT.Process(target=act, args=(volunteer,)) for volunteer in volunteers]
    for process in processes:
        process.start()
    try:
        yield processes
        longest = max(volunteer.seconds + volunteer.settings.timeout_seconds for volunteer in volunteers)
        deadline = time.monotonic() + longest + MAX_WAIT_SECONDS
        for process in processes:
            process.join(max(deadline - time.monotonic(), 0))
            assert process.exitcode is not None, "a volunteer hangs"
            assert process.exitcode <= 0, "a volunteer crashed; its traceback is above"
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()


def volunteers(
    settings: Settings, folder: Path, clients: Sequence[int], *, seed: int = 0, seconds: float = 5.0, jobs: bool = True
) -> list[Volunteer]:
    """One volunteer per client, each with its own probabilities."""
    return [Volunteer(settings, folder, id, seed * 1000 + id, seconds, jobs=jobs) for id in clients]


class _Life:
    def __init__(self, actor: Actor, client: int, chance: random.Random, jobs: bool) -> None:
        self.actor, self.client, self.chance, self.jobs = actor, client, chance, jobs
        self.held: list[Lease] = []
        self.ended: list[Answered] = []
        self.requests: list[str] = []

    def step(self) -> None:
        """One act, chosen at random."""
        acts = [self.fetch] * 4 + [self.submit] * 6 + [self.repeat_submit, self.repeat_fetch, self.renew, self.resume]
        acts += [self.give_back, self.strange, self.foreign] + ([self.job] * 2 if self.jobs else [])
        self.chance.choice(acts)()

    def fetch(self) -> None:
        request = f"{self.client}-{self.chance.getrandbits(64):x}"
        self.requests.append(request)
        self.keep(self.actor.fetch(self.client, self.chance.randint(1, 3), request))

    def keep(self, leases: list[Lease]) -> None:
        known = {lease.lease for lease in self.held}
        self.held += [lease for lease in leases if lease.lease not in known]

    def submit(self) -> None:
        if not self.held:
            return self.fetch()
        self.chance.shuffle(self.held)
        leases = [self.held.pop() for _ in range(min(self.chance.randint(1, 2), len(self.held)))]
        answered = [self.answers(lease) for lease in leases]
        self.ended += answered
        self.actor.submit(self.client, answered)
        return None

    def answers(self, lease: Lease) -> Answered:
        users = [user.screen_name for user in lease.users]
        some = users if self.chance.random() < 0.7 else self.chance.sample(users, self.chance.randint(0, len(users)))
        return Answered(lease.bucket, lease.lease, {name: self.chance.choice(ANSWERS) for name in some})

    def repeat_submit(self) -> None:
        if self.ended:
            self.actor.submit(self.client, [self.chance.choice(self.ended)])

    def repeat_fetch(self) -> None:
        if self.requests:
            self.keep(self.actor.fetch(self.client, 2, self.chance.choice(self.requests)))

    def renew(self) -> None:
        if self.held:
            lease = self.chance.choice(self.held)
            self.actor.renew(self.client, lease.bucket, lease.lease)

    def give_back(self) -> None:
        if self.held:
            lease = self.held.pop()
            self.actor.release(self.client, lease.bucket, lease.lease)

    def resume(self) -> None:
        self.keep(self.actor.resume(self.client))

    def strange(self) -> None:
        """Answers that differ from those that ended the lease, or name a user outside the bucket."""
        if not self.ended:
            return
        old = self.chance.choice(self.ended)
        self.actor.submit(self.client, [replace(old, answers={**old.answers, f"stranger{self.client}": "DM"})])

    def foreign(self) -> None:
        """An answer under a lease that was never given."""
        if self.held:
            lease = self.chance.choice(self.held)
            self.actor.submit(self.client, [Answered(lease.bucket, f"guessed{self.chance.random()}", {})])

    def job(self) -> None:
        self.chance.choice(self.actor.jobs)()
