"""Building the constraints and indexes that a database lacks, beside others who may do so at the same moment."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Collection

from dmcheck_cli import cypher
from dmcheck_cli.database.aside import Aside
from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DatabaseRefused, Temporary
from dmcheck_cli.transactions.indexes import Index, Obstacle, Step, Transaction, Wanted, next_step, wanted

MAX_FILLING_SECONDS = 3600.0
"""For one constraint or index to be built; a million users took a few seconds (`scripts/bench.py`)."""

MAX_TRIES = 10
"""Of creating or dropping one of them. Others who apply the schema at the same moment may spoil some."""

MAX_STILL_SECONDS = 10.0
"""For which an index that nobody of ours fills may stand still and yet be somebody's work: the server does not show
who fills an index, and what a killed server left behind stands still for ever."""

POLL_SECONDS = 0.2
TELL_SECONDS = 5.0
"""Between two words about what is waited for."""

Tell = Callable[[str], None]

# The server's words when a key is there twice: no race, and the look for it may have taken minutes.
_TWO_NODES = re.compile(r"Both Node\(\d+\) and Node\(\d+\)")


def statements() -> list[str]:
    """The statements that create all of it, for a database administrator to read or to run."""
    return cypher.source("_schema").splitlines()


def lacking(database: Database) -> list[Wanted]:
    """The constraints and indexes of `statements()` that the database lacks."""
    return _lacking(_indexes(database))


def obstacles(database: Database) -> list[tuple[str, str]]:
    """What others put where something of ours belongs: what it is, and the Cypher statement that takes it away."""
    indexes = _indexes(database)
    wants = _lacking(indexes)
    in_work = {each.builds for each in running(database) if each.builds} if wants else set()
    steps = [next_step(one, indexes, in_work) for one in wants]
    return [(step.what, step.remedy) for step in steps if isinstance(step, Obstacle)]


def build(database: Database, tell: Tell) -> None:
    """Create what is missing; returns when nothing is. `tell` is told what is waited for.

    Raises DatabaseRefused when the graph contradicts a constraint (say, two clients of one id) or somebody else's index
    is in the way, Temporary when nothing goes on for DMCHECK_TIMEOUT_SECONDS, as behind a lock that is not to be had.
    """
    with Aside(database, MAX_FILLING_SECONDS) as aside:
        _Building(database, aside, tell).build()


class _Building:
    """Looks, does the next step, and looks again, until nothing is missing.

    What was seen proves nothing a moment later: others build, fail and drop as well. So an error is only believed
    when it comes again, and what decides is the look after it.
    """

    def __init__(self, database: Database, aside: Aside, tell: Tell) -> None:
        self.database, self.aside, self.tell = database, aside, tell
        self.limit = database.settings.timeout_seconds
        self.began = self.told = self.moved = time.monotonic()
        self.seen: object = None
        self.current: Wanted | None = None
        self.step = Step.WAIT
        self.tries: Counter[tuple[str, Step]] = Counter()

    def build(self) -> None:
        """Returns when nothing is missing any more."""
        while True:
            indexes = _indexes(self.database)
            others = running(self.database)  # after it: who began to build in between is seen
            lacking = _lacking(indexes)
            if not lacking and not self.aside.busy:
                return
            if not self.aside.busy:
                self._check(self.aside.failure())
            if (indexes, self.current) != self.seen:
                self.seen, self.moved = (indexes, self.current), time.monotonic()
            self._watch(lacking, indexes, others)
            if not self.aside.busy:
                self._begin(lacking, indexes, others)
            self._wait()

    def _begin(self, lacking: list[Wanted], indexes: list[Index], running: list[Transaction]) -> None:
        """Begin the first step that can be done; raises DatabaseRefused for the first that is not ours to do."""
        in_work = self._in_work(indexes, running)
        steps: dict[Step, Wanted] = {}
        for one in reversed(lacking):
            step = next_step(one, indexes, in_work)
            if isinstance(step, Obstacle):
                raise DatabaseRefused(what=f"{step.what}; in Cypher: {step.remedy}; then `dmcheck schema apply`")
            steps[step] = one
        self.step = Step.DROP if Step.DROP in steps else Step.CREATE
        self.current = steps.get(self.step)
        if self.current is None:
            return
        self._count(self.current, indexes)
        if self.step is Step.DROP:
            self.aside.run("drop_index", builds=self.current.name, name=self.current.name)
        else:
            statement = self.current.statement
            self.aside.run_text(statement, builds=self.current.name)

    def _in_work(self, indexes: list[Index], running: list[Transaction]) -> set[str]:
        """The names of what others create or drop: those of dmcheck say so, and what grows is somebody's work, too."""
        ours = {each.builds for each in running if each.builds is not None}
        still = time.monotonic() - self.moved
        if still > MAX_STILL_SECONDS or not _holders(running, 0):
            return ours
        return ours | {index.name for index in indexes if index.state == "POPULATING"}

    def _count(self, one: Wanted, indexes: list[Index]) -> None:
        """Count one more try; raises DatabaseRefused when none of many had an effect."""
        self.tries[one.name, self.step] += 1
        if self.tries[one.name, self.step] <= MAX_TRIES:
            return
        failures = [index.failure for index in indexes if index.name == one.name and index.failure]
        if failures:
            raise DatabaseRefused(what=f"{one.name} cannot be filled: {' '.join(failures[0].split())}")
        raise DatabaseRefused(what=f"something else bears the name {one.name}; in Cypher: DROP CONSTRAINT {one.name}")

    def _check(self, failure: BaseException | None) -> None:
        """Raise what does not pass; for what may pass, there is the next look."""
        if failure is None or self.current is None:
            return
        key = self.current.name, self.step
        if isinstance(failure, Temporary):
            self.tries[key] -= 1  # the time bounds it
        else:
            passes = isinstance(failure, DatabaseRefused) and not _TWO_NODES.search(failure.message)
            if not passes or self.tries[key] == MAX_TRIES:
                raise failure
        time.sleep(random.uniform(0, POLL_SECONDS * self.tries[key]))  # else rivals meet again

    def _watch(self, lacking: list[Wanted], indexes: list[Index], running: list[Transaction]) -> None:
        """Tell what is waited for; raises Temporary once nothing has moved for the time limit.

        The server does not show whose locks a schema change waits for. It can only be somebody whose transaction has
        been open for as long. Without one, an index that is being filled is at work, also while its figures stand.
        """
        now = time.monotonic()
        holders = _holders(running, now - self.moved)
        in_work = {each.builds for each in running}
        filling = [index for one in lacking for index in indexes if _is_filling(one, index, in_work)]
        waits_for = _waits_for(holders, filling)
        stuck = now - self.moved > self.limit and (holders or not filling)
        if stuck or now - self.began > MAX_FILLING_SECONDS:
            if self.aside.busy:
                self.database.run("end_transaction", token=self.aside.token)
                self.aside.wait(self.limit)
            name = self.current.name if self.current else lacking[0].name
            raise Temporary(
                what=f"{name} could not be built within {self.limit} seconds: {waits_for}; what is built stays: "
                "repeat the same command"
            )
        if now - self.told > TELL_SECONDS and now - self.began > TELL_SECONDS:
            self.told = now
            self.tell(waits_for)

    def _wait(self) -> None:
        if self.current is None:
            time.sleep(POLL_SECONDS)
        else:
            self.aside.wait(POLL_SECONDS)


def _indexes(database: Database) -> list[Index]:
    return [Index(**row) for row in database.run("show_schema")]


def running(database: Database) -> list[Transaction]:
    """What goes on in the database."""
    return [Transaction(**row) for row in database.run("show_transactions")]


def _lacking(indexes: list[Index]) -> list[Wanted]:
    return [one for one in map(wanted, statements()) if not any(map(one.is_met_by, indexes))]


def _holders(running: list[Transaction], seconds: float) -> list[Transaction]:
    """Who holds locks, and has for `seconds`; without those that build."""
    return [each for each in running if each.builds is None and each.locks > 0 and each.seconds >= int(seconds)]


def _is_filling(one: Wanted, index: Index, in_work: Collection[str | None]) -> bool:
    """Whether `index` is being filled for `one`: by somebody who waits for it, or by the server itself."""
    if not (one.fits(index) and index.state == "POPULATING"):
        return False
    return index.owner is not None or not one.unique or index.name in in_work


def _waits_for(holders: list[Transaction], filling: list[Index]) -> str:
    """What is waited for, in a few words."""
    if holders:
        named = (f"{each.id} (from {each.origin}, open for {each.seconds} seconds)" for each in holders[:3])
        return f"waiting for the locks of {', '.join(named)}"
    if filling:
        return f"{filling[0].name} is being filled, {filling[0].percent:.0f} % so far"
    return "waiting for the database"
