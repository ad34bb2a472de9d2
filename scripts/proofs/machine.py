"""The model-based test: any sequence of commands, jobs and time leaves the graph as the model predicts."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from support.graphs import pass_time
from support.invariants import INVARIANTS, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import Limits
from dmcheck_cli.domain.model import ANSWERS, Answered
from dmcheck_cli.domain.policy.trust import standing
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import standings, stats
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.graph import empty
from proofs.history import Recorder, read
from proofs.model import Bucket, Client, Lease, Model, Refusal, There, User
from proofs.outcome import Outcome

USERS = [f"user{i:02}" for i in range(12)]
CLIENTS = (1, 2, 3)
SIZE = 4
TICK, STEP = 200, 6000
"""Steps in which time passes, small and large, in seconds. A tick is longer than any test step takes on a busy
machine."""

LIMITS = Limits(
    start_allowance=3, tolerance=1, flood=2, pause_seconds=2 * TICK, max_skew_seconds=3 * TICK, batch_leases=1,
    step_seconds=9000,
)  # fmt: skip
"""Small enough that every limit is reached."""

LEASE, GRACE, KEEP = 15_000, 9100, 87_100
STARVED_PRIORITIZED, STARVED = 15_100, 33_100
"""Seconds; a lease lasts whole ticks."""

ALL_AT_ONCE = " UNION ALL ".join(INVARIANTS.values())

SEE = """
CALL () { MATCH (u:User) RETURN collect([u.screen_name,
    COLLECT { MATCH (u)-[m:INDMCHECKBUCKET]->(b) RETURN [b.uuid, m.priority, m.second] },
    COLLECT { MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND|DM_PAST]->(u) RETURN [c.id, type(r), r.candm,
        r.at.epochMillis / 1000.0, coalesce(r.witness, false), coalesce(r.overruled, false), r.counted, r.how]
        ORDER BY r.at },
    u.dmcheck_needs, u.dmcheck_asked, u.dmcheck_aside IS NOT NULL]) AS users }
CALL () { MATCH (b:DMCheckBucket) RETURN collect([b.uuid, b.priority, b.raised_from, b.newest, b.last_client,
    b.dead_datetime IS NOT NULL, TICKS(b.edit_datetime), b.failures, b.failed_by, coalesce(b.split, false),
    COLLECT { UNWIND b.heard AS id WITH id ORDER BY id RETURN id },
    COLLECT { MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c.id }]) AS buckets }
CALL () { MATCH (c:DMCheckClient)-[:STATS]->(s) RETURN collect([c.id, c.screen_name, c.state = 'ACTIVE', c.capacity,
    s.buckets_assigned, s.buckets_processed, s.buckets_fault, s.buckets_dead, s.allowance, s.faults_judged,
    s.judged_for, s.judged_datetime IS NOT NULL, s.turnaround_seconds, -TICKS(s.next_fetch),
    TICKS(s.last_access_time), c.suspended IS NOT NULL, s.processed_judged, s.share, s.contained,
    coalesce(s.doubted, []), s {.compared, .contradicted, .said, .pairs, .differ, .dm_pairs, .dm_differ,
    .watched, .record, .times, .sums}
    ]) AS clients }
CALL () { MATCH (l:DMCheckLease) RETURN collect([l.id, l.client, l.bucket, l.request, l.processed,
    coalesce(l.died, false), coalesce(l.unjudged, false), l.how, TICKS(l.ended), l.users, l.dm, l.non_dm, l.unknown,
    l.digest IS NOT NULL, l.refused, TICKS(l.assigned_datetime), l.first, coalesce(l.excused, false),
    l.ended.epochMillis / 1000.0]) AS leases }
RETURN users, buckets, clients, leases"""
SEE = re.sub(
    r"TICKS\(([a-z._]+)\)",
    r"toInteger(floor(toFloat(duration.inSeconds(\1, datetime()).seconds) / $tick)) * $tick",
    SEE,
)
"""Times as whole ticks elapsed since them."""

HOLD = """
CALL () {
    MATCH (b:DMCheckBucket)
    UNWIND ['assigned_datetime', 'renewed_datetime', 'dead_datetime', 'edit_datetime', 'expires'] AS time
    RETURN b AS node, time
    UNION ALL
    MATCH (l:DMCheckLease) UNWIND ['assigned_datetime', 'ended'] AS time RETURN l AS node, time
    UNION ALL
    MATCH (s:DMCheckClientStats) UNWIND ['last_access_time', 'next_fetch'] AS time RETURN s AS node, time
}
WITH node, time WHERE node[time] IS NOT NULL
SET node[time] = datetime.truncate('second', datetime()) - duration({
    seconds: toInteger(floor(toFloat(duration.inSeconds(node[time], datetime()).seconds) / $tick)) * $tick})"""
"""Removes the time that the test itself took: every stored time becomes a whole second, and whole ticks away from now,
so that differences between two of them are exact."""

LET_GO = 0.2
"""Seconds that may pass before that: decisions use whole seconds."""

KINDS = {"DM_YES": "DM", "DM_NO": "NON_DM", "DM_UNKNOWN": "UNKNOWN"}

pick = st.integers(0, 11)
counts = st.sampled_from([None, 1, 2, 3, 4])
some_users = st.lists(st.sampled_from(USERS), min_size=1, max_size=8, unique=True)
any_client = st.sampled_from([1, 2, 1, 2, 3])
any_answer = st.sampled_from(["DM", "NON_DM", "DM", "UNKNOWN"])
right = st.sampled_from([True, True, True, False])


class Machine(RuleBasedStateMachine):
    """Each rule does one thing to both, the graph and the model, and compares."""

    database: Database
    folder: Path
    seen: Outcome

    def __init__(self) -> None:
        super().__init__()
        self.query = self.database.run_text
        empty(self.database)
        self.own = Path(tempfile.mkdtemp(dir=self.folder))
        self.recorder = Recorder(self.own)
        self.settings = replace(
            self.database.settings,
            bucket_size=SIZE, lease_seconds=LEASE, grace_seconds=GRACE, keep_seconds=KEEP,
            starved_seconds=STARVED, starved_prioritized_seconds=STARVED_PRIORITIZED, buckets_per_client=2,
            max_unjudged=5, limits=LIMITS,
        )  # fmt: skip
        self.model = Model(self.settings)
        self.database.settings = self.settings
        self.actor = Actor(self.database, self.recorder)
        self.submitted: list[tuple[int, list[Answered]]] = []
        self.requests: list[tuple[int, str]] = []
        self.forgot = False
        self.held = time.monotonic()

    def teardown(self) -> None:
        """The end of one example: its history must also agree with the graph."""
        try:
            operations = read(self.own)
            self.seen.count(operations)
            if not self.forgot:  # forgotten leases cannot be checked against the history
                found = contradictions(operations, self.query)
                assert not found, found
        finally:
            self.recorder.close()
            for path in self.own.iterdir():
                path.unlink()
            self.own.rmdir()

    @initialize(made=st.booleans())
    def begin(self, made: bool) -> None:
        """Three clients and some users are there."""
        self.register(1, True, None)
        self.register(2, True, 2)
        self.register(3, True, None)
        self.add(USERS[:8])
        if made:
            self.make(18_000)
            self.fetch(1, 1, LEASE)

    # Rules that matter less, or undo what others build up, come up less often: they share a rule.

    @rule(act=st.sampled_from(["resume", "stats", "schema", "guess"]), id=any_client, which=pick)
    def look(self, act: str, id: int, which: int) -> None:
        """Operations that change little."""
        {
            "resume": lambda: self.resume(id),
            "stats": self.stats,
            "schema": self.apply_schema,
            "guess": lambda: self.submit_guess(id, which % 2 == 0, which),
        }[act]()

    @rule(
        comes=st.sampled_from([True, True, False]),
        id=any_client,
        right_name=right,
        capacity=st.sampled_from([None, 1, 4]),
    )
    def come_and_go(self, comes: bool, id: int, right_name: bool, capacity: int | None) -> None:
        """A client registers or unregisters."""
        if comes:
            self.register(id, right_name, capacity)
        else:
            self.unregister(id, right_name)

    @rule(act=st.sampled_from(["add", "add", "delete", "retry"]), names=some_users)
    def users_come_and_go(self, act: str, names: list[str]) -> None:
        """Users are added, deleted, or put back who were set aside."""
        if act == "add":
            self.add(names)
        elif act == "delete":
            self.delete(names[:2])
        else:
            named = names if len(names) > 1 else None
            self.same(lambda: self.actor.retry(named)["retried"], lambda: self.model.retry(named))

    @rule(which=pick, id=any_client, comes=st.booleans(), names=some_users)
    def wait_too_long(self, which: int, id: int, comes: bool, names: list[str]) -> None:
        """Overdue buckets are raised; half of the time a client then leases one, and users are prioritized under that
        lease."""
        self.pass_time(which * STEP)
        self.raise_starved()
        if comes:
            self.fetch(id, 1, LEASE)
            self.prioritize(names, 10, False, False)

    @rule(next_client=any_client, dead=st.sampled_from([True, False, False]))
    def all_leases_end(self, next_client: int, dead: bool) -> None:
        """All buckets come back, because time passes until every lease is dead and released, or because the clients
        give them back; another client is next then."""
        if dead:
            for steps in (3, 2):
                self.pass_time(steps * STEP)
                self.reclaim(LEASE, GRACE)
        else:
            for id in CLIENTS:
                self.give_all_back(id)
        self.fetch(next_client, 2, LEASE)

    @rule(
        id=any_client,
        count=counts,
        seconds=st.sampled_from([0, TICK, STEP, 2 * STEP]),
        candm=any_answer,
        judged=st.booleans(),
    )
    def work(self, id: int, count: int | None, seconds: int, candm: str, judged: bool) -> None:
        """A client does what it should: it takes some, needs its time, and answers what it holds."""
        self.fetch(id, count, LEASE)
        self.pass_time(seconds)
        self.answer_all(id, candm)
        if judged:
            self.judge()

    def answer_all(self, id: int, candm: str) -> None:
        """The same answer for all users whom it holds."""
        held = [(uuid, self.model.buckets[uuid].lease or "") for uuid in self.model.held(id)]
        if held:
            self.submit_as(
                id, [Answered(uuid, lease, dict.fromkeys(self.model.members(uuid), candm)) for uuid, lease in held]
            )

    @rule(
        order=st.permutations(CLIENTS),
        said=st.lists(any_answer, min_size=len(CLIENTS), max_size=len(CLIENTS)),
        judged=st.sampled_from([True, True, False]),
    )
    def talk(self, order: list[int], said: list[str], judged: bool) -> None:
        """One client after the other answers what there is, first and second opinions."""
        for id, candm in zip(order, said, strict=True):
            self.pass_time(3 * TICK)
            self.make(18_000)
            self.fetch(id, 4, LEASE)
            self.answer_all(id, candm)
            if judged:
                self.judge()

    @rule(id=any_client, count=counts)
    def change_mind(self, id: int, count: int | None) -> None:
        """A client gives back what it holds, and requests something else."""
        self.give_all_back(id)
        self.fetch(id, count, LEASE)

    def give_all_back(self, id: int) -> None:
        for uuid in self.model.held(id):
            self.release_as(id, uuid, self.model.buckets[uuid].lease or "")

    # Clients

    def register(self, id: int, right_name: bool, capacity: int | None) -> None:
        name = f"client{id}" if right_name or id not in self.model.clients else "somebody"
        self.same(
            lambda: self.actor.register(id, capacity, name)["client"]["capacity"],
            lambda: self.model.register(id, right_name, capacity),
        )

    def unregister(self, id: int, right_name: bool) -> None:
        name = f"client{id}" if right_name else "somebody"
        self.same(
            lambda: self.actor.unregister(id, name)["returned"],
            lambda: self.model.unregister(id, right_name),
        )

    # Leases

    @rule(id=any_client, count=counts, lease_seconds=st.sampled_from([LEASE, LEASE, 3000, 10_000_000]))
    def fetch(self, id: int, count: int | None, lease_seconds: int) -> None:
        self.requests.append((id, f"request{len(self.requests)}"))
        self.fetch_as(id, count, self.requests[-1][1], lease_seconds)

    @rule(id=st.sampled_from([1, 2]))
    def fetch_one(self, id: int) -> None:
        """The most common fetch."""
        self.fetch(id, 1, LEASE)

    @precondition(lambda self: self.requests)
    @rule(which=pick, id=st.sampled_from([None, None, None, *CLIENTS]), count=counts)
    def fetch_again(self, which: int, id: int | None, count: int | None) -> None:
        """The same request again; now and then from another client, which makes it a separate request."""
        owner, request = choose(self.requests, which)
        self.fetch_as(id or owner, count, request, LEASE)

    def fetch_as(self, id: int, count: int | None, request: str, lease_seconds: int) -> None:
        def expect() -> list[tuple[int, bool]]:
            return self.model.before_fetch(id, request, count)

        def fetch() -> list[tuple[int, bool]]:
            given = self.actor.fetch(id, count, request)
            for lease in given:
                assert sorted(user.screen_name for user in lease.users) == self.model.members(lease.bucket)
                assert lease.priority == self.model.buckets[lease.bucket].priority
            again = self.model.repeated(id, request)
            if again:
                assert {lease.lease for lease in given} == again
                return []
            what = [(lease.priority, self.model.own(id, lease.bucket)) for lease in given]
            assert [priority for priority, _ in what] == sorted(priority for priority, _ in what)
            self.model.fetched(id, request, given, lease_seconds)
            return sorted(what)

        self.database.settings = replace(self.settings, lease_seconds=lease_seconds)
        try:
            self.same(fetch, expect)
        finally:
            self.database.settings = self.settings

    def resume(self, id: int) -> None:
        def expect() -> list[tuple[str | None, list[str]]]:
            self.model.active(id)
            held = self.model.held(id)
            if not held:
                raise Refusal("nothing_to_fetch")
            return sorted((self.model.buckets[uuid].lease, self.model.members(uuid)) for uuid in held)

        def resume() -> list[tuple[str, list[str]]]:
            return sorted((x.lease, sorted(user.screen_name for user in x.users)) for x in self.actor.resume(id))

        self.same(resume, expect)

    @precondition(lambda self: self.model.every_lease)
    @rule(
        which=pick, id=st.sampled_from([None, None, *CLIENTS]), guessed=st.sampled_from([None, None, None, "guessed"])
    )
    def renew(self, which: int, id: int | None, guessed: str | None) -> None:
        lease, (owner, bucket, _) = choose(list(self.model.every_lease.items()), which)
        arguments = (id or owner, bucket, guessed or lease)

        def renew() -> None:
            self.actor.renew(*arguments)

        self.same(renew, lambda: self.model.renew(*arguments, LEASE))

    @precondition(lambda self: self.model.every_lease)
    @rule(which=pick, id=st.sampled_from([None, None, None, *CLIENTS]), failed=st.booleans())
    def release(self, which: int, id: int | None, failed: bool) -> None:
        """A lease is given back, held or not, newest or not, also because COMMAND failed; now and then by a
        stranger."""
        lease, (owner, bucket, _) = choose(list(reversed(self.model.every_lease.items())), which)
        self.release_as(id or owner, bucket, lease, failed)

    def release_as(self, id: int, bucket: str, lease: str, failed: bool = False) -> None:
        self.same(
            lambda: self.actor.release(id, bucket, lease, failed)["returned"],
            lambda: self.model.release(id, bucket, lease, failed),
        )

    @rule(id=any_client, times=st.integers(2, 5))
    def fail(self, id: int, times: int) -> None:
        """A client gives back again and again what its COMMAND fails on."""
        for _ in range(times):
            self.fetch(id, 1, LEASE)
            for uuid in self.model.held(id):
                self.release_as(id, uuid, self.model.buckets[uuid].lease or "", failed=True)

    # Answers

    @precondition(lambda self: self.model.every_lease)
    @rule(
        which=st.lists(pick, min_size=1, max_size=2),
        id=st.sampled_from([None, None, None, None, *CLIENTS]),
        candm=st.lists(st.sampled_from([*ANSWERS, *ANSWERS, None]), min_size=SIZE, max_size=SIZE),
        strangers=st.sampled_from([[], [], [], ["nobody"], USERS[:2], USERS[3:5]]),
    )
    def submit(self, which: list[int], id: int | None, candm: list[str | None], strangers: list[str]) -> None:
        """Whole, in part, empty, late, another client's, with strangers: any lease and any answers."""
        # The newest leases first: they are the held ones.
        chosen = [choose(list(reversed(self.model.every_lease.items())), one) for one in which]
        by_bucket = {bucket: (lease, owner, names) for lease, (owner, bucket, names) in chosen}
        answered = []
        for bucket, (lease, _, names) in by_bucket.items():
            answers = {name: said for name, said in zip(sorted(names), candm, strict=False) if said is not None}
            answered.append(Answered(bucket, lease, answers | dict.fromkeys(strangers, "DM")))
        self.submit_as(id or chosen[0][1][0], answered)

    @precondition(lambda self: self.model.every_lease)
    @rule(which=pick, candm=st.sampled_from(ANSWERS), only=st.sampled_from([0, 1, 2, SIZE, SIZE]))
    def answer(self, which: int, candm: str, only: int) -> None:
        """The common case: the owner answers none, the first, or all users of a lease, new or old."""
        lease, (owner, bucket, names) = choose(list(reversed(self.model.every_lease.items())), which)
        self.submit_as(owner, [Answered(bucket, lease, dict.fromkeys(sorted(names)[:only], candm))])

    def submit_guess(self, id: int, made_up: bool, which: int) -> None:
        """Under a lease that was never given, for a bucket that exists or not."""
        bucket = "0" * 32 if made_up or not self.model.buckets else choose(list(self.model.buckets), which)
        self.submit_as(id, [Answered(bucket, "guessed", {USERS[0]: "DM"})])

    @precondition(lambda self: self.submitted)
    @rule(which=pick, change=st.sampled_from([None, None, "alter", "cut"]))
    def submit_again(self, which: int, change: str | None) -> None:
        """The same document again, or a changed one."""
        id, answered = choose(self.submitted[::-1], which)
        if change == "alter":
            answered = [replace(one, answers=dict.fromkeys(one.answers, "UNKNOWN")) for one in answered]
        elif change == "cut":
            answered = [replace(one, answers=dict(list(one.answers.items())[1:])) for one in answered]
        else:
            answered = [replace(one, answers=dict(reversed(one.answers.items()))) for one in answered]
        self.submit_as(id, answered)

    def submit_as(self, id: int, answered: list[Answered]) -> None:
        self.submitted.append((id, answered))
        self.same(
            lambda: self.actor.submit(id, answered),
            lambda: self.model.submit(id, [(one.bucket, one.lease, one.answers) for one in answered]),
        )

    # Operators

    @rule(act=st.sampled_from(["suspend", "resume", "distrust", "distrust"]), id=any_client)
    def doubt(self, act: str, id: int) -> None:
        """An operator suspends a client, lets it go on, or takes back what it said."""
        if act == "suspend":
            self.same(lambda: self.actor.suspend(id)["returned"], lambda: self.model.suspend(id))
        elif act == "resume":
            self.same(
                lambda: self.actor.resume_client(id)["client"]["suspended"] is not None,
                lambda: self.model.resume_client(id),
            )
        else:
            self.same(
                lambda: tuple(self.actor.distrust(id).values())[1:4],
                lambda: self.model.distrust(id),
            )

    # Users

    def add(self, names: list[str]) -> None:
        self.same(lambda: tuple(self.actor.add(names).values()), lambda: self.model.add(names))

    def delete(self, names: list[str]) -> None:
        def delete() -> tuple[int, list[str]]:
            found = self.actor.delete(names)
            return found["deleted"], sorted(found["unknown"])

        self.same(delete, lambda: self.model.delete(names))

    @rule(names=some_users, priority=st.sampled_from([0, 10, 10, 200]), recheck=st.booleans(), makes=st.booleans())
    def prioritize(self, names: list[str], priority: int, recheck: bool, makes: bool) -> None:
        """Half of the time followed by make_buckets, as prioritized users limit how many it may make."""

        def prioritize() -> dict[str, Any]:
            found = self.actor.prioritize(names, priority, recheck)
            return {name: sorted(value) if isinstance(value, list) else value for name, value in found.items()}

        self.same(prioritize, lambda: self.model.prioritize(names, priority, recheck))
        if makes:
            self.make(18_000)

    # Jobs and time

    @rule(most=st.sampled_from([18_000, 18_000, 4, 0]))
    def make(self, most: int) -> None:
        self.database.settings = replace(self.settings, max_users_per_run=most)
        try:
            self.hold()
            self.model.make(most)
            made = tuple(self.actor.make().values())[:2]
            self.compare()
        finally:
            self.database.settings = self.settings
        assert made == self.model.made, f"told {made}, and made {self.model.made}"

    @rule(lease_seconds=st.sampled_from([*[LEASE] * 5, 0]), grace_seconds=st.sampled_from([GRACE, GRACE, 0]))
    def reclaim(self, lease_seconds: int, grace_seconds: int) -> None:
        self.database.settings = replace(self.settings, lease_seconds=lease_seconds, grace_seconds=grace_seconds)
        before = len(self.model.leases)
        try:
            self.same(
                lambda: tuple(self.actor.reclaim().values()),
                lambda: self.model.reclaim(lease_seconds, grace_seconds, KEEP),
            )
        finally:
            self.database.settings = self.settings
        self.forgot = self.forgot or len(self.model.leases) < before

    @rule()
    def judge(self) -> None:
        """How long a lease took, and when it ended, must be exact."""
        self.hold()
        self.compare()
        self.held = time.monotonic()
        self.same(self.actor.judge, self.model.judge)

    def raise_starved(self) -> None:
        self.same(lambda: self.actor.raise_starved()["raised"], self.model.raise_starved)

    def apply_schema(self) -> None:
        """Finds nothing to create and nothing to take over."""
        self.same(lambda: self.actor.schema()["applied"], list)

    def stats(self) -> None:
        """What operators see."""

        def read() -> tuple[dict[int, dict[str, Any]], dict[str, int | None]]:
            clients, system = stats.stats(self.database)
            names = (
                "allowance", "capacity", "judged_for", "turnaround_seconds", "held", "users_unknown", "users_checked"
            )  # fmt: skip
            return (
                {
                    client.id: {name: getattr(client, name) for name in names}
                    | {"oldest_lease_seconds": _ticks(client.oldest_lease_seconds)}
                    for client in clients
                    if client.id is not None
                },
                {
                    "prioritized": _ticks(system.prioritized.oldest_seconds),
                    "ordinary": _ticks(system.ordinary.oldest_seconds),
                },
            )

        self.same(read, self.model.stats)

    @rule(seconds=st.sampled_from([TICK, 2 * TICK, STEP, 2 * STEP, 3 * STEP, 6 * STEP]))
    def pass_time(self, seconds: int) -> None:
        """Every stored time moves back; the pause between fetches is two ticks."""
        pass_time(self.query, seconds)
        self.model.pass_time(seconds)
        self.compare()

    # Both

    def same(self, act: Callable[[], Any], expect: Callable[[], Any]) -> None:
        """Both do it, with the same result or the same refusal, and are then in the same state."""
        if time.monotonic() - self.held > LET_GO:
            self.hold()
        expected, got = _outcome(expect), _outcome(act)
        assert got == expected, f"gave {got}, not {expected}"
        self.compare()

    def hold(self) -> None:
        """Remove the time that the test took."""
        self.query(HOLD, tick=TICK)
        self.held = time.monotonic()

    def compare(self) -> None:
        """The whole graph matches the model, and breaks no invariant."""
        if self.query(ALL_AT_ONCE):
            raise AssertionError(broken(self.query))
        [row] = self.query(SEE, tick=TICK)
        self.model.settle(_decided(row))
        there, expected = _there(row), _expected(self.model)
        for what, parts in expected.items():
            assert there[what] == parts, f"{what} in the graph: {_difference(there[what], parts)}"
        self.seen.faults += 1


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (Refusal, DmcheckError) as refusal:
        return f"refused as {refusal.code}"


def _decided(row: dict[str, Any]) -> There:
    members: dict[str, set[str]] = {uuid: set() for uuid, *_ in row["buckets"]}
    for user in row["users"]:
        for place in user[1]:
            members[place[0]].add(user[0])
    return There(
        members,
        priorities={uuid: priority for uuid, priority, *_ in row["buckets"]},
        times={(name, one[0]): one[3] for name, _, said, *_ in row["users"] for one in said if one[1] != "DM_PAST"},
        needs={user[0]: user[3] for user in row["users"]},
        ended={lease[0]: lease[-1] for lease in row["leases"]},
        contained={client[0]: client[-3] for client in row["clients"]},
        doubted={client[0]: client[-2] for client in row["clients"]},
    )


def _there(row: dict[str, Any]) -> dict[str, dict[Any, Any]]:
    users = {}
    for name, places, said, needs, asked, aside in row["users"]:
        now = [(who, KINDS.get(kind, candm), kind in KINDS, *rest) for who, kind, candm, *rest, _ in said
               if kind != "DM_PAST"]  # fmt: skip
        past = Counter((who, candm, at, how) for who, kind, candm, at, *_, how in said if kind == "DM_PAST")
        users[name] = ([tuple(place) for place in places], now, past, needs and (needs, asked), aside)
    return {
        "users": users,
        "buckets": {uuid: tuple(rest) for uuid, *rest in row["buckets"]},
        "clients": {id: (*rest, _rounded(_stored(trust))) for id, *rest, trust in row["clients"]},
        "leases": {id: tuple(rest) for id, *rest, _ in row["leases"]},
    }


def _stored(trust: dict[str, Any]) -> dict[str, Any]:
    """What is known about a client; what was never stored is nothing."""
    never = {"compared": [0] * 4, "contradicted": [0] * 4, "said": [0] * 3, "pairs": 0, "differ": 0, "dm_pairs": 0,
             "dm_differ": 0, "watched": 0, "record": False, "times": [], "sums": []}  # fmt: skip
    return {name: nothing if trust[name] is None else trust[name] for name, nothing in never.items()}


def _rounded(trust: dict[str, Any]) -> dict[str, Any]:
    return trust | {"sums": [round(value, 6) + 0.0 for value in trust["sums"]]}


def _expected(model: Model) -> dict[str, dict[Any, Any]]:
    """What `_there` should find. Each tuple has the order of the query SEE."""
    return {
        "users": {name: _user(user) for name, user in model.users.items()},
        "buckets": {uuid: _bucket(bucket, model) for uuid, bucket in model.buckets.items()},
        "clients": {id: _client(id, client) for id, client in model.clients.items()},
        "leases": {id: _lease(lease) for id, lease in model.leases.items()},
    }


def _user(x: User) -> tuple[Any, ...]:
    return (
        [] if x.bucket is None else [(x.bucket, x.promised, x.second)],
        [(y.client, y.candm, y.force, y.at, y.witness, y.overruled, y.counted) for y in x.said],
        x.past,
        x.needs,
        x.aside,
    )


def _bucket(x: Bucket, model: Model) -> tuple[Any, ...]:
    return (
        x.priority,
        x.raised_from,
        x.lease,
        None if x.lease is None else model.leases[x.lease].client,
        x.dead_for is not None,
        x.age,
        x.failures,
        x.failed_by,
        x.split,
        sorted(x.heard or ()),
        [] if x.holder is None else [x.holder],
    )


def _client(id: int, x: Client) -> tuple[Any, ...]:
    return (
        f"client{id}",
        x.active,
        x.capacity,
        x.assigned,
        x.processed,
        x.fault,
        x.dead,
        x.allowance,
        x.faults_judged,
        x.judged_for,
        x.judged_for is not None,
        x.turnaround,
        x.next_fetch,
        x.seen,
        x.suspended,
        x.processed_judged,
        x.share,
        x.trust.contained,
        x.trust.doubted,
        _rounded(_known(x.trust)),
    )


def _lease(x: Lease) -> tuple[Any, ...]:
    return (
        x.client,
        x.bucket,
        x.request,
        x.processed,
        x.died,
        x.unjudged,
        x.how,
        x.ended_for,
        x.users,
        *((x.counts or {}).get(kind) for kind in ("dm", "non_dm", "unknown")),
        x.answers is not None,
        x.refused,
        x.age,
        x.first,
        x.excused,
    )


def _known(trust: standing.Client) -> dict[str, Any]:
    stored = standings.stored(trust)
    return {name: stored[name] for name in stored if name not in {"contained", "doubted"}} | {"record": trust.record}


def _difference(there: dict[Any, Any], expected: dict[Any, Any]) -> str:
    return "; ".join(
        f"{key}: {there.get(key)}, must be {expected.get(key)}"
        for key in sorted(there.keys() | expected.keys(), key=str)
        if there.get(key) != expected.get(key)
    )


def _ticks(seconds: int | None) -> int | None:
    return None if seconds is None else seconds // TICK * TICK


def choose(items: list[Any], which: int) -> Any:
    """One of the items; the same number picks the same one as long as the list is the same."""
    return items[which % len(items)]


def explore(settings: Settings, folder: Path, *, examples: int, steps: int, derandomize: bool) -> Outcome:
    """Run that many examples of that many steps.

    Raises AssertionError, with the shortest sequence of steps that shows it, when graph and model differ.
    """
    outcome = Outcome(
        "any sequence of commands",
        "Hypothesis chooses commands, refusals, repeats and moved stored times",
        f"python scripts/prove.py model --examples {examples} --steps {steps}",
    )
    with Database(settings, "model") as database:
        machine = type("Sequence", (Machine,), {"database": database, "folder": folder, "seen": outcome})
        run_state_machine_as_test(
            machine,
            settings=hypothesis.settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=derandomize,
                database=None,
                print_blob=True,
                report_multiple_bugs=False,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    return outcome


def run(settings: Settings, *, examples: int = 2000, steps: int = 100) -> list[Outcome]:
    """The long form."""
    with tempfile.TemporaryDirectory() as folder:
        return [explore(settings, Path(folder), examples=examples, steps=steps, derandomize=False)]
