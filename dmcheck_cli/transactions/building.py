"""Builds the constraints and indexes that a database lacks, even while others do the same."""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection

from dmcheck_cli import cypher
from dmcheck_cli.database.aside import Aside
from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DatabaseRefused, Temporary
from dmcheck_cli.transactions.indexes import Index, Obstacle, Step, Transaction, Wanted, next_step, wanted

MAX_FILLING_SECONDS = 3600.0
"""For building one constraint or index; a million users took a few seconds (`scripts/bench.py`)."""

MAX_TRIES = 10
"""Tries to create or drop one of them. Others who apply the schema at the same time may make some fail."""

MAX_STILL_SECONDS = 10.0
"""How long an index that no dmcheck process fills may make no progress and still count as being filled: the server does
not show who fills an index, and one left by a killed server never progresses."""

POLL_SECONDS = 0.2
TELL_SECONDS = 5.0
"""Between two messages about what it is waiting for."""

Tell = Callable[[str], None]

# The server's message for a duplicate key: not a race, and the search for it may have taken minutes.
_TWO_NODES = re.compile(r"Both Node\(\d+\) and Node\(\d+\)")


def statements() -> list[str]:
    """The statements that create all of it, for a database administrator to read or run."""
    return cypher.source("_schema").splitlines()


def lacking(database: Database) -> list[Wanted]:
    """The constraints and indexes of `statements()` that the database lacks."""
    return _lacking(_indexes(database))


def obstacles(database: Database) -> list[tuple[str, str]]:
    """What others put in the place of something of ours: its description, and the Cypher statement that removes it."""
    indexes = _indexes(database)
    wants = _lacking(indexes)
    in_work = {each.builds for each in running(database) if each.builds} if wants else set()
    steps = [next_step(one, indexes, in_work) for one in wants]
    return [(step.what, step.remedy) for step in steps if isinstance(step, Obstacle)]


def build(database: Database, tell: Tell) -> None:
    """Create what is missing; returns when nothing is. `tell` is called with what it is waiting for.

    Raises DatabaseRefused when the graph violates a constraint (say, two clients with one id) or somebody else's index
    is in the way, Temporary when nothing progresses for DMCHECK_TIMEOUT_SECONDS, as behind a lock that is never
    released.
    """
    with Aside(database, MAX_FILLING_SECONDS) as aside:
        _Building(database, aside, tell).build()


class _Building:
    """Looks, takes the next step, and looks again, until nothing is missing.

    What was seen may be outdated a moment later: others build, fail and drop, too. So an error counts only if it
    recurs, and the look after it decides. Steps that nothing stands in the way of are taken without looking in
    between: Neo4j would plan each look again after a change of the schema (21 times on an empty graph), and creating
    what another has created meanwhile changes nothing.
    """

    def __init__(self, database: Database, aside: Aside, tell: Tell) -> None:
        self.database, self.aside, self.tell = database, aside, tell
        self.limit = database.settings.timeout_seconds
        self.began = self.told = self.moved = time.monotonic()
        self.seen: object = None
        self.current: Wanted | None = None
        self.ahead: list[Wanted] = []
        self.step = Step.WAIT
        self.tries: Counter[tuple[str, Step]] = Counter()

    def build(self) -> None:
        """Return when nothing is missing any more."""
        while True:
            indexes = _indexes(self.database)
            others = running(self.database)  # read after the indexes, so that builds started in between are seen
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
            while self.ahead and self.aside.succeeded:
                self.current = self.ahead.pop()
                self._create(self.current, indexes)
                self._wait()

    def _begin(self, lacking: list[Wanted], indexes: list[Index], running: list[Transaction]) -> None:
        """Start the first possible step; raises DatabaseRefused for the first that is not ours to take."""
        in_work = self._in_work(indexes, running)
        steps: defaultdict[Step, list[Wanted]] = defaultdict(list)
        for one in reversed(lacking):
            step = next_step(one, indexes, in_work)
            if isinstance(step, Obstacle):
                raise DatabaseRefused(what=f"{step.what}; in Cypher: {step.remedy}; then `dmcheck schema apply`")
            steps[step].append(one)
        self.step = Step.DROP if steps[Step.DROP] else Step.CREATE
        self.current = steps[self.step].pop() if steps[self.step] else None
        self.ahead = steps[Step.CREATE] if self.step is Step.CREATE else []
        if self.current is None:
            return
        if self.step is Step.CREATE:
            self._create(self.current, indexes)
        else:
            self._count(self.current, indexes)
            self.aside.run("drop_index", builds=self.current.name, name=self.current.name)

    def _create(self, one: Wanted, indexes: list[Index]) -> None:
        self._count(one, indexes)
        statement = one.statement
        self.aside.run_text(statement, builds=one.name)

    def _in_work(self, indexes: list[Index], running: list[Transaction]) -> set[str]:
        """The names of what others create or drop: dmcheck processes say so, and an index that grows counts, too."""
        ours = {each.builds for each in running if each.builds is not None}
        still = time.monotonic() - self.moved
        if still > MAX_STILL_SECONDS or not _holders(running, 0):
            return ours
        return ours | {index.name for index in indexes if index.state == "POPULATING"}

    def _count(self, one: Wanted, indexes: list[Index]) -> None:
        """Count one more try; raises DatabaseRefused after too many without effect."""
        self.tries[one.name, self.step] += 1
        if self.tries[one.name, self.step] <= MAX_TRIES:
            return
        failures = [index.failure for index in indexes if index.name == one.name and index.failure]
        if failures:
            raise DatabaseRefused(what=f"{one.name} cannot be filled: {' '.join(failures[0].split())}")
        raise DatabaseRefused(what=f"something else has the name {one.name}; in Cypher: DROP CONSTRAINT {one.name}")

    def _check(self, failure: BaseException | None) -> None:
        """Raise permanent errors; the next look decides about those that may be transient."""
        if failure is None or self.current is None:
            return
        key = self.current.name, self.step
        if isinstance(failure, Temporary):
            self.tries[key] -= 1  # bounded by time instead
        else:
            passes = isinstance(failure, DatabaseRefused) and not _TWO_NODES.search(failure.message)
            if not passes or self.tries[key] == MAX_TRIES:
                raise failure
        time.sleep(random.uniform(0, POLL_SECONDS * self.tries[key]))  # otherwise rivals collide again

    def _watch(self, lacking: list[Wanted], indexes: list[Index], running: list[Transaction]) -> None:
        """Report what it is waiting for; raises Temporary once nothing has progressed for the time limit.

        The server does not show whose locks a schema change waits for. It can only be a transaction that has been open
        for as long. Without one, an index that is being filled counts as progress, even while its figures do not
        change.
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
    """The transactions running in the database."""
    return [Transaction(**row) for row in database.run("show_transactions")]


def _lacking(indexes: list[Index]) -> list[Wanted]:
    return [one for one in map(wanted, statements()) if not any(map(one.is_met_by, indexes))]


def _holders(running: list[Transaction], seconds: float) -> list[Transaction]:
    """The transactions that hold locks and have been open for `seconds`, except those that build."""
    return [each for each in running if each.builds is None and each.locks > 0 and each.seconds >= int(seconds)]


def _is_filling(one: Wanted, index: Index, in_work: Collection[str | None]) -> bool:
    """Whether `index` is being filled for `one`: by a transaction that waits for it, or by the server alone."""
    if not (one.fits(index) and index.state == "POPULATING"):
        return False
    return index.owner is not None or not one.unique or index.name in in_work


def _waits_for(holders: list[Transaction], filling: list[Index]) -> str:
    """What it is waiting for, in a few words."""
    if holders:
        named = (f"{each.id} (from {each.origin}, open for {each.seconds} seconds)" for each in holders[:3])
        return f"waiting for the locks of {', '.join(named)}"
    if filling:
        return f"{filling[0].name} is being filled, {filling[0].percent:.0f} % so far"
    return "waiting for the database"
