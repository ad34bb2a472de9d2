"""Everything may be repeated: after a crash, a lost answer or a retry the graph is as if it had run once."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from dateutil.parser import isoparse
from support.cases import CASES, World, make_world
from support.graphs import answers, counters, pass_time, picture, prepare, refusal
from support.invariants import Query, broken

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain import documents
from dmcheck_cli.domain.model import Lease, Report
from dmcheck_cli.errors import LeaseLost, NothingToFetch, NotRegistered, OverQuota
from dmcheck_cli.transactions import buckets, clients
from dmcheck_cli.transactions.answers import parameters, submit
from dmcheck_cli.transactions.leases import fetch, release, renew, resume


@pytest.fixture
def world(database: Database) -> World:
    """A graph in which every statement finds something to do."""
    return make_world(database)


def test_every_statement_has_a_case() -> None:
    """A statement that is new must be shown to be repeatable, too."""
    assert list(CASES) == cypher.names()


@pytest.mark.parametrize("name", CASES)
def test_a_second_run_changes_nothing(database: Database, query: Query, world: World, name: str) -> None:
    """The first run does its work, the second nothing but to move a clock; reading statements do none at all."""
    case = CASES[name]
    parameters = case.parameters(world)
    if case.before:
        query(case.before)
    before = picture(query, *case.may_move, refusals=True)
    first = database.run(name, **parameters)
    between = picture(query, *case.may_move, refusals=True)
    second = database.run(name, **parameters)
    assert (between != before) == case.writes, "the first run finds something to do exactly if it writes"
    assert picture(query, *case.may_move, refusals=True) == between
    if case.same_answer:
        assert second == first
    assert broken(query) == []


def same(leases: list[Lease]) -> list[tuple[Any, ...]]:
    """Leases to compare, whatever their order and that of their users."""
    return sorted(
        (x.bucket, x.lease, x.priority, x.expires, tuple(sorted(user.screen_name for user in x.users))) for x in leases
    )


def held_by(query: Query, client: int) -> int:
    """How many leases a client holds."""
    [row] = query("MATCH (:DMCheckClient {id: $c})<-[r:DMCHECKCLIENT]-() RETURN count(r) AS n", c=client)
    return int(row["n"])


class TestFetch:
    """`fetch` with the same request id."""

    @pytest.mark.parametrize("count", [1, 3, 10])
    def test_the_same_leases_again(self, database: Database, query: Query, count: int) -> None:
        """Repeated, also with another count, it returns the same leases and takes nothing new."""
        prepare(database, [1], 60, size=5)
        first = fetch(database, 1, 3, "k")
        before = refusal(query)
        assert same(fetch(database, 1, count, "k")) == same(first)
        assert refusal(query) == before
        assert (held_by(query, 1), counters(query, 1)) == (3, (3, 0, 0, 0))

    def test_only_those_still_held(self, database: Database, query: Query) -> None:
        """A lease that has ended meanwhile is left out; nothing is taken in its place."""
        prepare(database, [1], 60, size=5)
        first = fetch(database, 1, 3, "k")
        submit(database, 1, [answers(first[0]), answers(first[1], only=2)])
        assert same(fetch(database, 1, 3, "k")) == same(first[2:])
        assert held_by(query, 1) == 1

    @pytest.mark.parametrize("ending", ["answered", "partly answered", "given back", "unregistered", "reclaimed"])
    def test_all_have_ended(self, database: Database, query: Query, sized: Any, ending: str) -> None:
        """Once all leases of a request have ended, in whatever way, it gets nothing, though buckets wait."""
        prepare(database, [1], 60, size=5)
        first = fetch(database, 1, 2, "k")
        match ending:
            case "answered":
                submit(database, 1, [answers(lease) for lease in first])
            case "partly answered":
                submit(database, 1, [answers(lease, only=1) for lease in first])
            case "given back":
                submit(database, 1, [answers(lease, only=0) for lease in first])
            case "unregistered":
                clients.unregister(database, 1, "client1")
                clients.register(database, 1, "client1")
            case _:
                at_once = sized(lease_seconds=0, grace_seconds=0)
                assert (len(buckets.mark_dead(at_once)), len(buckets.release_dead(at_once))) == (2, 2)
        before = refusal(query)
        with pytest.raises(NothingToFetch):
            fetch(database, 1, 2, "k")
        assert refusal(query) == before
        assert held_by(query, 1) == 0
        assert fetch(database, 1, 2, "another")

    def test_one_that_got_nothing_may_be_tried_again(self, database: Database) -> None:
        """Neither an empty line nor a full quota uses a request id up."""
        prepare(database, [1])
        with pytest.raises(NothingToFetch):
            fetch(database, 1, 1, "k")
        prepare(database, [], 10, size=5)
        [first] = fetch(database, 1, 1, "k")
        clients.register(database, 1, "client1", capacity=1)
        with pytest.raises(OverQuota):
            fetch(database, 1, 1, "k2")
        submit(database, 1, [answers(first)])
        assert fetch(database, 1, 1, "k2")

    def test_a_full_client_still_gets_its_own_again(self, database: Database) -> None:
        """The quota is for new leases; those of the request come back whatever it is now."""
        prepare(database, [1], 60, size=5)
        first = fetch(database, 1, 10, "k")
        assert len(first) == 10
        clients.register(database, 1, "client1", capacity=1)
        assert same(fetch(database, 1, 10, "k")) == same(first)

    def test_request_ids_belong_to_a_client(self, database: Database) -> None:
        """Another client's same request id is another request."""
        prepare(database, [1, 2], 60, size=5)
        mine, others = fetch(database, 1, 2, "k"), fetch(database, 2, 2, "k")
        assert not {lease.bucket for lease in mine} & {lease.bucket for lease in others}
        assert same(fetch(database, 2, 2, "k")) == same(others)

    def test_dead_and_renewed_leases_are_still_held(self, database: Database, query: Query, sized: Any) -> None:
        """A dead lease that is not released comes back too; a renewed one with its new time."""
        prepare(database, [1], 60, size=5)
        first = fetch(database, 1, 2, "k")
        assert len(buckets.mark_dead(sized(lease_seconds=0))) == 2
        assert same(fetch(database, 1, 2, "k")) == same(first)
        expires = renew(database, 1, first[0].bucket, first[0].lease)
        again = {lease.lease: lease for lease in fetch(database, 1, 2, "k")}
        assert again[first[0].lease] == replace(first[0], expires=expires, users=again[first[0].lease].users)

    def test_a_bucket_leased_anew_is_another_lease(self, database: Database, sized: Any) -> None:
        """The same bucket in the same hands by another request is not the old request's."""
        prepare(database, [1], 5, size=5)
        [first] = fetch(database, 1, 1, "k")
        submit(database, 1, [answers(first, only=1)])
        [second] = fetch(database, 1, 1, "k2")
        assert second.bucket == first.bucket
        assert second.lease != first.lease
        with pytest.raises(NothingToFetch):
            fetch(database, 1, 1, "k")
        assert same(resume(database, 1)) == same([second])


class TestSubmit:
    """`submit` of the same document."""

    @pytest.mark.parametrize("only", [None, 2, 0])
    def test_the_same_report_again(self, database: Database, query: Query, only: int | None) -> None:
        """Whole, in part or without any answer: the second time nothing changes and the report is the same."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        given = [answers(lease, only=only)]
        first = submit(database, 1, given)
        before = refusal(query)
        assert submit(database, 1, given) == first
        assert refusal(query) == before
        accepted = 5 if only is None else only
        status = "done" if accepted == 5 else "partial"
        assert first == [Report(lease.bucket, status, accepted, 5 - accepted)]
        assert counters(query, 1) == (1, 1 if accepted else 0, 0, 0)
        assert broken(query) == []

    def test_order_and_other_keys_do_not_matter(self, database: Database, query: Query) -> None:
        """The same answers are the same document, however they are written down; reports keep the order given."""
        prepare(database, [1], 10, size=5)
        pair = fetch(database, 1, 2, "k")
        written = [
            {
                "bucket": lease.bucket,
                "lease": lease.lease,
                "users": [{"screen_name": user.screen_name, "candm": "NON_DM"} for user in lease.users[:3]],
            }
            for lease in pair
        ]
        turned = [
            {
                "note": "second try",
                **bucket,
                "users": [{"candm": u["candm"], "screen_name": f"@{u['screen_name']}", "x": 1} for u in users[::-1]]
                + [{"screen_name": lease.users[4].screen_name, "candm": None}],
            }
            for bucket, lease in zip(written, pair, strict=True)
            for users in [bucket["users"]]
        ][::-1]
        first = submit(database, 1, documents.read_document(BytesIO(json.dumps({"buckets": written}).encode())))
        before = refusal(query)
        again = submit(database, 1, documents.read_document(BytesIO(json.dumps({"buckets": turned, "y": 2}).encode())))
        assert again == first[::-1]
        assert refusal(query) == before
        assert counters(query, 1) == (2, 2, 0, 0)

    @pytest.mark.parametrize("finished", [False, True])
    def test_after_the_bucket_was_leased_anew(self, database: Database, query: Query, finished: bool) -> None:
        """A part that was taken is reported again, while another works on the rest and after that; a change is not."""
        prepare(database, [1, 2], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        first = submit(database, 1, [answers(lease, only=2)])
        [rest] = fetch(database, 2, 1, "k")
        assert (rest.bucket, len(rest.users)) == (lease.bucket, 3)
        if finished:
            submit(database, 2, [answers(rest)])
        before = refusal(query)
        assert submit(database, 1, [answers(lease, only=2)]) == first
        [changed] = submit(database, 1, [answers(lease, only=3)])
        assert (changed.status, changed.reason) == ("refused", "payload_changed")
        assert refusal(query) == before
        assert counters(query, 1) == (1, 1, 1, 0)

    def test_a_refusal_is_refused_again_and_counted_each_time_it_is_asked(
        self, database: Database, query: Query
    ) -> None:
        """A client that asks twice is at fault twice; our own second try after a lost answer counts nothing."""
        prepare(database, [1, 2], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        for _ in range(2):
            assert submit(database, 2, [answers(lease)])[0].reason == "not_owner"
        assert counters(query, 2) == (0, 0, 2, 0)
        database.run("submit_answers", client=2, repeated=True, buckets=[parameters(answers(lease))])
        assert counters(query, 2) == (0, 0, 2, 0)

    def test_strangers_are_counted_once(self, database: Database, query: Query) -> None:
        """A bucket that named users outside it is one fault, however often its document is repeated."""
        prepare(database, [1], 10, size=5)
        one, other = fetch(database, 1, 2, "k")
        given = answers(one)
        given.answers.update({user.screen_name: "DM" for user in other.users})
        first = submit(database, 1, [given])
        assert first[0].refused == sorted(user.screen_name for user in other.users)
        assert submit(database, 1, [given]) == first
        assert counters(query, 1) == (2, 1, 1, 0)
        assert held_by(query, 1) == 1


class TestRelease:
    """A bucket that is given back, and given back again because the answer was lost."""

    @pytest.mark.parametrize("done", [False, True])
    def test_after_another_has_the_bucket(self, database: Database, query: Query, done: bool) -> None:
        """The same success as the first time, and the other client keeps what it has, or has finished."""
        prepare(database, [1, 2], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        assert release(database, 1, lease.bucket, lease.lease) == 5
        [other] = fetch(database, 2, 1, "k")
        if done:
            submit(database, 2, [answers(other)])
        assert release(database, 1, lease.bucket, lease.lease) == 5
        assert held_by(query, 2) == (0 if done else 1)
        assert (counters(query, 1), counters(query, 2)) == ((1, 0, 0, 0), (1, int(done), 0, 0))
        assert broken(query) == []


class TestLateWork:
    """Answers for a lease that is dead, released, or lost."""

    def test_dead(self, database: Database, query: Query, sized: Any) -> None:
        """A dead lease is still the newest: its work is taken, counted as processed and as dead, once each."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        assert len(buckets.mark_dead(sized(lease_seconds=0))) == 1
        for _ in range(2):
            assert submit(database, 1, [answers(lease)])[0].status == "done"
        assert counters(query, 1) == (1, 1, 0, 1)
        assert broken(query) == []

    @pytest.mark.parametrize("only", [None, 2])
    def test_released(self, database: Database, query: Query, sized: Any, only: int | None) -> None:
        """Released but not handed out again: taken, whole or in part; the rest waits on."""
        prepare(database, [1, 2], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert (len(buckets.mark_dead(at_once)), len(buckets.release_dead(at_once))) == (1, 1)
        first = submit(database, 1, [answers(lease, only=only)])
        assert first[0].accepted == (only or 5)
        assert submit(database, 1, [answers(lease, only=only)]) == first
        assert counters(query, 1) == (1, 1, 0, 1)
        assert broken(query) == []
        if only is not None:
            assert len(fetch(database, 2, 1, "k")[0].users) == 5 - only

    @pytest.mark.parametrize("to", [1, 2])
    def test_leased_anew(self, database: Database, query: Query, sized: Any, to: int) -> None:
        """Once handed out again, be it to the same client, the older lease is lost and nothing changes."""
        prepare(database, [1, 2], 5, size=5)
        [old] = fetch(database, 1, 1, "k")
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert (len(buckets.mark_dead(at_once)), len(buckets.release_dead(at_once))) == (1, 1)
        [new] = fetch(database, to, 1, "k2")
        before = refusal(query)
        assert submit(database, 1, [answers(old)])[0].reason == "lease_lost"
        with pytest.raises(LeaseLost):
            renew(database, 1, old.bucket, old.lease)
        assert refusal(query) == before
        assert submit(database, to, [answers(new)])[0].status == "done"
        assert submit(database, 1, [answers(old)])[0].reason == "lease_lost"
        assert broken(query) == []

    def test_a_client_that_left_and_came_back(self, database: Database, query: Query) -> None:
        """While it is away its answers are refused; registered again, its newest lease still counts."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        assert clients.unregister(database, 1, "client1")[1] == 1
        before = picture(query)
        for _ in range(2):
            with pytest.raises(NotRegistered):
                submit(database, 1, [answers(lease)])
        assert picture(query) == before
        clients.register(database, 1, "client1")
        assert submit(database, 1, [answers(lease)])[0].status == "done"
        assert counters(query, 1) == (1, 1, 0, 0)
        assert broken(query) == []


class TestRenewAndDeath:
    """`renew`, and how often a death is counted."""

    def test_a_dead_lease_lives_again(self, database: Database, query: Query, sized: Any) -> None:
        """Renewed before its release, it is not released, and ends when its new time is over."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        assert len(buckets.mark_dead(sized(lease_seconds=0))) == 1
        assert isoparse(renew(database, 1, lease.bucket, lease.lease)) > isoparse(lease.expires)
        assert len(buckets.release_dead(sized(grace_seconds=0))) == 0
        assert buckets.reclaimable(database) == (0, 0)
        pass_time(query, 7_300)
        assert len(buckets.mark_dead(database)) == 1
        assert counters(query, 1) == (1, 0, 0, 1)
        assert broken(query) == []

    def test_a_released_lease_does_not(self, database: Database, query: Query, sized: Any) -> None:
        """After the release the lease is over for good."""
        prepare(database, [1], 5, size=5)
        [lease] = fetch(database, 1, 1, "k")
        at_once = sized(lease_seconds=0, grace_seconds=0)
        assert (len(buckets.mark_dead(at_once)), len(buckets.release_dead(at_once))) == (1, 1)
        before = refusal(query)
        with pytest.raises(LeaseLost):
            renew(database, 1, lease.bucket, lease.lease)
        assert refusal(query) == before

    def test_a_death_is_counted_once(self, database: Database, query: Query, sized: Any) -> None:
        """Round after round, a dead lease keeps its time of death and its one count, until it is released."""
        prepare(database, [1], 5, size=5)
        fetch(database, 1, 1, "k")
        at_once = sized(lease_seconds=0)
        assert [len(buckets.mark_dead(at_once)) for _ in range(4)] == [1, 0, 0, 0]
        assert counters(query, 1) == (1, 0, 0, 1)
        pass_time(query, 900)
        assert len(buckets.mark_dead(at_once)) == 0
        assert [len(buckets.release_dead(database)) for _ in range(2)] == [1, 0]
        assert counters(query, 1) == (1, 0, 0, 1)
        fetch(database, 1, 1, "k2")
        assert len(buckets.mark_dead(at_once)) == 1
        assert counters(query, 1) == (2, 0, 0, 2)
