"""The jobs: what they do, how much of it in one run, and what they leave alone (contract, section 5)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.graphs import MAX_WAIT_SECONDS, answers, counters, pass_time, picture, prepare
from support.in_process import call
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.transactions import clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.buckets import Made
from dmcheck_cli.transactions.leases import fetch, renew, resume
from jobs import make_buckets, raise_starved, reclaim_leases

Sized = Callable[..., Database]
JOBS = ("make_buckets", "reclaim_leases", "raise_starved")


def add(database: Database, count: int, prefix: str = "user") -> list[str]:
    """Add users who wait in no bucket; returns their names."""
    names = [f"{prefix}{i:05}" for i in range(count)]
    users.add(database, [User(name, None) for name in names])
    return names


def sizes(query: Query) -> list[int]:
    """How many users are in each bucket, largest first."""
    rows = query("MATCH (b:DMCheckBucket) RETURN COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS n ORDER BY n DESC")
    return [row["n"] for row in rows]


def waiting(query: Query) -> set[str]:
    """The names of users in buckets."""
    return {row["name"] for row in query("MATCH (u)-[:INDMCHECKBUCKET]->() RETURN u.screen_name AS name")}


class TestMakeBuckets:
    """`make_buckets`."""

    @pytest.mark.parametrize(
        ("count", "size", "expected"),
        [
            (200, 180, [100, 100]),
            (180, 180, [180]),
            (181, 180, [91, 90]),
            (1, 180, [1]),
            (10, 3, [3, 3, 2, 2]),
            (7, 1, [1] * 7),
            (0, 180, []),
        ],
    )
    def test_sizes_are_as_equal_as_they_can_be(
        self, database: Database, query: Query, sized: Sized, count: int, size: int, expected: list[int]
    ) -> None:
        """As few buckets as hold all users, none more than one user larger than another."""
        prepare(database, [1])
        if count:
            add(database, count)
        assert make_buckets.run(sized(bucket_size=size)) == Made(len(expected), count)
        assert sizes(query) == expected
        assert broken(query) == []

    def test_sizes_are_equal_across_batches(self, database: Database, query: Query, sized: Sized) -> None:
        """A run of several transactions divides all of its users equally, not batch by batch."""
        prepare(database, [1, 2])
        add(database, 2_000)
        assert make_buckets.run(sized(bucket_size=60)).users == 2_000
        assert set(sizes(query)) == {58, 59}
        assert len(sizes(query)) == 34

    def test_the_target_is_twenty_for_each_active_client(self, database: Database, query: Query, sized: Sized) -> None:
        """Active clients x 10 x 2 buckets wait after a run; leased ones do not wait, inactive clients ask for none."""
        add(database, 100)
        one_each = sized(bucket_size=1)
        assert make_buckets.run(one_each) == Made(0, 0)
        prepare(database, [1, 2, 3])
        clients.unregister(database, 3, "client3")
        assert make_buckets.run(one_each) == Made(40, 40)
        assert make_buckets.run(one_each) == Made(0, 0)
        fetch(database, 1, 7, "k")
        assert make_buckets.run(one_each) == Made(7, 7)
        clients.unregister(database, 1, "client1")
        assert make_buckets.run(one_each) == Made(0, 0)
        assert len(sizes(query)) == 47
        assert broken(query) == []

    @pytest.mark.parametrize(("most", "expected"), [(0, []), (1, [1]), (7, [4, 3]), (10, [5, 5]), (18_000, [5] * 4)])
    def test_the_most_users_per_run(
        self, database: Database, query: Query, sized: Sized, most: int, expected: list[int]
    ) -> None:
        """DMCHECK_MAX_USERS_PER_RUN bounds a run; 0 places nobody; the next run goes on."""
        prepare(database, [1])
        names = add(database, 20)
        small = sized(bucket_size=5, max_users_per_run=most)
        make_buckets.run(small)
        assert sizes(query) == expected
        for _ in range(25 if most else 0):
            make_buckets.run(small)
        assert waiting(query) == (set(names) if most > 1 else set(names[: 20 * most]))
        assert broken(query) == []

    def test_buckets_have_what_the_contract_says(self, database: Database, query: Query, sized: Sized) -> None:
        """A new bucket waits at the default priority, since now, in nobody's hands."""
        prepare(database, [1])
        add(database, 3)
        make_buckets.run(database)
        [row] = query(
            """MATCH (b:DMCheckBucket)
            RETURN b.priority AS priority, size(b.uuid) AS uuid, b.assigned_datetime AS since,
            b.dead_datetime AS dead, b.edit_datetime > datetime() - duration('PT1M') AS new"""
        )
        assert row == {"priority": 100, "uuid": 32, "since": None, "dead": None, "new": True}

    def test_bare_users_are_found(self, database: Database, query: Query) -> None:
        """`User` nodes of other programs, with nothing of ours on them, are bucketed; checked ones are left alone."""
        prepare(database, [1], 5, size=5)
        submit(database, 1, [answers(fetch(database, 1, 1, "k")[0])])
        query("UNWIND range(1, 3) AS i CREATE (:User {screen_name: 'bare' + i})")
        query("CREATE (:User {screen_name: 'Tweets', id: 5, followers: 7})-[:TWEETED]->(:Tweet)")
        assert make_buckets.run(database) == Made(1, 4)
        assert waiting(query) == {"bare1", "bare2", "bare3", "Tweets"}

    def test_invalid_names_are_passed_over(self, database: Database, query: Query) -> None:
        """Nobody could answer for a name that is none; it neither gets into a bucket nor stops the job."""
        prepare(database, [1])
        query("UNWIND $names AS name CREATE (:User {screen_name: name})", names=["a b", "", "x" * 21, "\u0430bc", "@a"])
        query("CREATE (:User {id: 5}) CREATE (:User {screen_name: 7}) CREATE (:User {screen_name: 'good'})")
        assert make_buckets.run(database) == Made(1, 1)
        assert waiting(query) == {"good"}
        assert [user.screen_name for user in users.pending(database)] == []

    def test_members_are_not_neighbours_in_the_alphabet(self, database: Database, query: Query, sized: Sized) -> None:
        """Users are mixed: 200 in 20 buckets of 10 never end up in the order of their names."""
        prepare(database, [1])
        names = add(database, 200)
        make_buckets.run(sized(bucket_size=10))
        rows = query("MATCH (u)-[:INDMCHECKBUCKET]->(b) RETURN b.uuid AS bucket, u.screen_name AS name")
        neighbours = sum(
            (one["bucket"] == other["bucket"]) and names.index(other["name"]) == names.index(one["name"]) + 1
            for one in rows
            for other in rows
        )
        assert neighbours < 60  # of 199 pairs; 9 are expected, in the order of names it would be 180

    @pytest.mark.parametrize("room", ["enough", "little"])
    def test_the_search_is_bounded_and_finds_each_in_the_end(
        self, database: Database, query: Query, sized: Sized, monkeypatch: pytest.MonkeyPatch, room: str
    ) -> None:
        """No run looks at more users than DMCHECK_SCAN_USERS_PER_RUN; run after run, around the end, each is found."""
        seen: list[int] = []
        real = users.scan

        def counted(*arguments: Any) -> users.Scanned:
            found = real(*arguments)
            seen.append(found.seen)
            return found

        monkeypatch.setattr(users, "scan", counted)
        prepare(database, [1])
        query(
            """MATCH (c:DMCheckClient {id: 1}) UNWIND range(100, 149) AS i
            CREATE (c)-[:DM_YES]->(:User {screen_name: 'm' + i})"""
        )
        small = sized(bucket_size=5, scan_users_per_run=10, max_users_per_run=5 if room == "enough" else 1)
        late = {"a1", "a2", "m1205", "z1", "z2"}
        for name in sorted(late):
            query("CREATE (:User {screen_name: $name})", name=name)
        for _ in range(12):
            seen.clear()
            make_buckets.run(small)
            assert sum(seen) <= 10
        assert waiting(query) == late
        query("CREATE (:User {screen_name: 'a0'}) CREATE (:User {screen_name: 'z9'})")  # before and behind the cursor
        for _ in range(12):
            make_buckets.run(small)
        assert waiting(query) == late | {"a0", "z9"}
        assert broken(query) == []

    def test_a_deleted_user_at_the_cursor_is_no_matter(self, database: Database, query: Query, sized: Sized) -> None:
        """The cursor is no node: the search goes on where the user was, and does not name it."""
        prepare(database, [1])
        names = add(database, 10)
        small = sized(bucket_size=5, scan_users_per_run=5)
        make_buckets.run(small)
        [row] = query("MATCH (job:DMCheckJob {name: 'make_buckets'}) RETURN job.cursor AS cursor")
        assert users.delete(database, [row["cursor"]]) == (1, [])
        assert query("MATCH (job {cursor: $cursor}) RETURN job", cursor=row["cursor"]) == []
        for _ in range(3):
            make_buckets.run(small)
        assert waiting(query) == set(names) - {row["cursor"]}

    def test_a_run_without_room_looks_only_until_somebody_waits(
        self, database: Database, sized: Sized, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With enough buckets waiting, the users are read until one is seen who waits; when nobody does, not at all."""
        prepare(database, [1], 20, size=1)
        looks: list[int] = []
        scan = users.scan
        monkeypatch.setattr(users, "scan", lambda *given: looks.append(1) or scan(*given))
        assert make_buckets.run(sized(bucket_size=1)) == Made(0, 0)
        assert looks == []
        add(database, 5, prefix="more")
        assert make_buckets.run(sized(bucket_size=1)) == Made(0, 0)
        assert 1 <= len(looks) <= 2  # the slice behind the last name of the run before, and from the beginning


class TestReclaimLeases:
    """`reclaim_leases`."""

    def test_a_lease_dies_when_its_time_is_over(self, database: Database, query: Query) -> None:
        """Not before 7,200 seconds, then once; released 900 seconds later, with its users, at its priority."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        pass_time(query, 7_100)
        assert reclaim_leases.run(database) == (0, 0)
        pass_time(query, 110)
        assert [reclaim_leases.run(database) for _ in range(3)] == [(1, 0), (0, 0), (0, 0)]
        pass_time(query, 890)
        assert reclaim_leases.run(database) == (0, 0)
        assert resume(database, 1)[0].lease == lease.lease  # dead, and still held
        pass_time(query, 20)
        assert [reclaim_leases.run(database) for _ in range(2)] == [(0, 1), (0, 0)]
        assert counters(query, 1) == (1, 0, 0, 1)
        [again] = fetch(database, 1, 1, "k2")
        assert (again.bucket, again.priority, len(again.users)) == (lease.bucket, 100, 5)
        assert broken(query) == []

    def test_no_client_gives_itself_a_longer_lease(self, database: Database, query: Query, sized: Sized) -> None:
        """The job's own DMCHECK_LEASE_SECONDS counts from fetch and from renew, whatever the client had set."""
        prepare(database, [1], 10, size=5)
        greedy = sized(lease_seconds=1_000_000)
        one, other = fetch(greedy, 1, 2, "k")
        pass_time(query, 7_000)
        renew(greedy, 1, other.bucket, other.lease)
        assert reclaim_leases.run(database) == (0, 0)
        pass_time(query, 300)
        assert reclaim_leases.run(database) == (1, 0)
        assert query("MATCH (b:DMCheckBucket) WHERE b.dead_datetime IS NOT NULL RETURN b.uuid AS b") == [
            {"b": one.bucket}
        ]
        pass_time(query, 7_000)
        assert reclaim_leases.run(database)[0] == 1

    def test_a_client_may_give_itself_a_shorter_one(self, database: Database, query: Query, sized: Sized) -> None:
        """What was promised at the fetch is kept, if it ends earlier."""
        prepare(database, [1], 5, size=5)
        fetch(sized(lease_seconds=60), 1, 1, "k")
        pass_time(query, 50)
        assert reclaim_leases.run(database) == (0, 0)
        pass_time(query, 20)
        assert reclaim_leases.run(database) == (1, 0)

    def test_renewing_keeps_a_lease_alive(self, database: Database, query: Query) -> None:
        """Each renewal gives the full time again, any number of times."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        for _ in range(3):
            pass_time(query, 7_000)
            renew(database, 1, lease.bucket, lease.lease)
            assert reclaim_leases.run(database) == (0, 0)
        assert counters(query, 1) == (1, 0, 0, 0)

    def test_a_round_never_releases_what_it_marked(self, database: Database, query: Query, sized: Sized) -> None:
        """Even with 0 seconds everywhere it takes two rounds."""
        prepare(database, [1], 15, size=5)
        fetch(database, 1, 3, "k")
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert reclaim_leases.run(at_once) == (3, 0)
        assert query("MATCH ()-[r:DMCHECKCLIENT]->() RETURN count(r) AS n") == [{"n": 3}]
        assert reclaim_leases.run(at_once) == (0, 3)
        assert reclaim_leases.run(at_once) == (0, 0)
        assert counters(query, 1) == (3, 0, 0, 3)
        assert broken(query) == []

    def test_more_leases_than_a_batch(self, database: Database, query: Query, sized: Sized) -> None:
        """One run goes on until all are done."""
        several = range(1, 1 + DEFAULTS.batch_leases // 10 + 2)
        prepare(database, several, 10 * len(several), size=1)
        for id in several:
            fetch(database, id, 10, "k")
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert reclaim_leases.run(at_once) == (10 * len(several), 0)
        assert reclaim_leases.run(at_once) == (0, 10 * len(several))
        assert broken(query) == []

    def test_prioritized_users_go_where_they_were_wanted(self, database: Database, query: Query, sized: Sized) -> None:
        """A user who was prioritized under lease comes back in a bucket of that priority, the others as before."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        wanted = lease.users[0].screen_name
        users.prioritize(database, [wanted], 3, False)
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert [reclaim_leases.run(at_once) for _ in range(2)] == [(1, 0), (0, 1)]
        first, second = fetch(database, 1, 2, "k2")
        assert {first.priority, second.priority} == {3, 100}
        urgent = first if first.priority == 3 else second
        assert [user.screen_name for user in urgent.users] == [wanted]
        assert broken(query) == []

    def test_old_leases_are_forgotten(self, database: Database, query: Query, sized: Sized) -> None:
        """Ended leases go after DMCHECK_KEEP_SECONDS, but not the newest of a bucket that is still there."""
        prepare(database, [1], 15, size=5)
        done, part, held = fetch(database, 1, 3, "k")
        submit(database, 1, [answers(done), answers(part, only=1)])
        known = "MATCH (l:DMCheckLease) RETURN l.id AS id"
        assert reclaim_leases.run(database) == (0, 0)
        assert len(query(known)) == 3
        query("MATCH (l:DMCheckLease) SET l.ended = l.ended - duration('P31D')")
        reclaim_leases.run(database)
        assert {row["id"] for row in query(known)} == {part.lease, held.lease}
        assert submit(database, 1, [answers(part, only=1)])[0].status == "partial"


class TestRaiseStarved:
    """`raise_starved`."""

    def test_what_waited_too_long_comes_first(self, database: Database, query: Query) -> None:
        """After more than 86,400 seconds a bucket moves before everything that anybody can ask for."""
        prepare(database, [1], 5, size=5)
        pass_time(query, 86_300)
        assert raise_starved.run(database) == 0
        pass_time(query, 200)
        assert [raise_starved.run(database) for _ in range(2)] == [1, 0]
        [old] = query("MATCH (b:DMCheckBucket) RETURN b.uuid AS uuid, b.priority AS priority")
        assert old["priority"] < 0
        add(database, 30, prefix="flood")
        users.prioritize(database, [f"flood{i:05}" for i in range(30)], 0, False)
        assert [lease.bucket for lease in fetch(database, 1, 1, "k")] == [old["uuid"]]

    def test_leased_buckets_do_not_wait(self, database: Database, query: Query, sized: Sized) -> None:
        """What somebody holds is not raised, however long ago it was made."""
        prepare(database, [1], 10, size=5)
        fetch(database, 1, 1, "k")
        pass_time(query, 100_000)
        assert raise_starved.run(database) == 1
        assert query("MATCH (b)-[:DMCHECKCLIENT]->() RETURN b.priority AS p") == [{"p": 100}]

    def test_zero_seconds_raise_all_that_waits(self, database: Database, query: Query, sized: Sized) -> None:
        """With 0 everything that waits has waited too long, batch after batch."""
        several = range(1, 9)
        prepare(database, several, DEFAULTS.batch_leases + 5, size=1)
        assert [raise_starved.run(sized(starved_seconds=0)) for _ in range(2)] == [DEFAULTS.batch_leases + 5, 0]
        assert broken(query) == []


@pytest.fixture
def to_do(database: Database, query: Query) -> None:
    """Something to do for each job: users in no bucket, an expired and a long dead lease, a starved bucket."""
    prepare(database, [1], 20, size=5)
    expired, dead = fetch(database, 1, 2, "k")
    query("MATCH (b {uuid: $b}) SET b.expires = datetime() - duration('PT1S')", b=expired.bucket)
    query("MATCH (b {uuid: $b}) SET b.dead_datetime = datetime() - duration('PT1H')", b=dead.bucket)
    query(
        "MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL WITH b LIMIT 1 SET b.edit_datetime = datetime('2020-01-01')"
    )
    add(database, 12, prefix="more")


@pytest.mark.parametrize(
    ("program", "document", "line"),
    [
        ("make_buckets", {"buckets": 3, "users": 12, "waiting": 0}, "make_buckets: buckets 3, users 12, waiting 0"),
        ("reclaim_leases", {"marked_dead": 1, "released": 1}, "reclaim_leases: marked dead 1, released 1"),
        ("raise_starved", {"raised": 1}, "raise_starved: raised 1"),
    ],
)
def test_a_dry_run_tells_and_changes_nothing(
    query: Query,
    environment: dict[str, str],
    tmp_path: Path,
    to_do: None,
    program: str,
    document: dict[str, int],
    line: str,
) -> None:
    """What --dry-run tells is what the run then does; it leaves the graph as it was, down to the last property."""
    variables = {**environment, "DMCHECK_BUCKET_SIZE": "5"}
    before = picture(query)
    assert call(("--dry-run", "--json"), variables, tmp_path, program).document == document
    assert call(("--dry-run",), variables, tmp_path, program).out.endswith(f"Z {line.replace(':', ' (dry run):')}\n")
    assert picture(query) == before
    assert call(("--json",), variables, tmp_path, program).document == document
    assert picture(query) != before
    assert broken(query) == []


@pytest.mark.parametrize("program", JOBS)
def test_jobs_run_as_modules(environment: dict[str, str], query: Query, to_do: None, program: str) -> None:
    """`python -m jobs.X`, as cron calls it: exit 0, one line, and its success is noted for operators."""
    done = subprocess.run(
        [sys.executable, "-m", f"jobs.{program}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_WAIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert f"Z {program}: " in done.stdout
    assert query("MATCH (job:DMCheckJob {name: $p}) RETURN job.last_success_time IS NOT NULL AS ok", p=program) == [
        {"ok": True}
    ]


@pytest.mark.parametrize("program", JOBS)
@pytest.mark.parametrize("name", ["LEASE", "GRACE", "STARVED"])
def test_times_of_zero_are_taken(
    environment: dict[str, str], tmp_path: Path, database: Database, program: str, name: str
) -> None:
    """Each of the three times may be 0, for each job."""
    outcome = call((), {**environment, f"DMCHECK_{name}_SECONDS": "0"}, tmp_path, program)
    assert (outcome.status, outcome.err) == (0, "")


class TestWhyNoBucketIsMade:
    """make_buckets says who waits on, and why it made no bucket."""

    @pytest.mark.parametrize("slice", [1, 3, 20_000])
    def test_reasons(self, database: Database, query: Callable, slice: int) -> None:
        """No client, enough buckets, nobody waits; `waiting` is not 0 while anybody does."""
        limits = replace(database.settings.limits, scan_slice=slice)
        changed = replace(database.settings, bucket_size=2, buckets_per_client=2, limits=limits)
        with Database(changed, "tests") as small:

            def run(**settings: int) -> tuple[int, int, str | None]:
                small.settings = replace(small.settings, **settings)
                dry, made = make_buckets.run(small, dry_run=True), make_buckets.run(small)
                assert (dry, dry.waiting, dry.reason) == (made, made.waiting, made.reason)
                return made.buckets, min(made.waiting, 1), made.reason

            users.add(database, [User(f"u{i}", None) for i in range(6)])
            query("CREATE (:User {screen_name: 'no name'})")
            assert run() == (0, 1, "no_clients")
            clients.register(database, 1, "one")
            assert run(max_users_per_run=2) == (1, 1, None)
            assert run(max_users_per_run=9) == (1, 1, None)
            assert run() == (0, 1, "enough")
            clients.register(database, 2, "two")
            assert run() == (1, 0, None)
            assert run() == (0, 0, "nobody_waits")
