"""`users delete` leaves nothing that names the user."""

from __future__ import annotations

from collections.abc import Callable

from support.graphs import answers, counters, picture, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Report
from dmcheck_cli.transactions import buckets, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, resume
from jobs import make_buckets


def test_no_name_is_left_anywhere(database: Database, query: Query) -> None:
    """Not in an answer, its history, a lease under way or over, a refused stranger, a bucket, nor where make_buckets
    goes on; and the receipts still give the reports that they gave."""
    names = prepare(database, [1, 2], 40, size=5)
    whole, part, held, other = fetch(database, 1, 4, "k")
    strange = answers(part, only=3)
    strange.answers[other.users[0].screen_name] = "DM"
    first = submit(database, 1, [answers(whole), strange])
    assert [report.refused for report in first] == [[], [other.users[0].screen_name]]
    users.prioritize(database, [user.screen_name for user in (*whole.users[:2], *held.users[:2])], 10, recheck=True)
    query("MATCH (job:DMCheckJob {name: 'make_buckets'}) SET job.cursor = $name", name=names[20])
    assert all(any(f"{name}'" in line for line in picture(query)) for name in names)

    assert users.delete(database, names) == (40, [])
    assert [line for line in picture(query) if any(name in line for name in names)] == []
    assert submit(database, 1, [answers(whole), strange]) == first
    assert broken(query) == []


def test_a_job_that_looked_at_a_user_before_does_not_name_it_after(
    database: Database, query: Query, sized: Callable[..., Database]
) -> None:
    """make_buckets notes where it goes on when it ends; one who was deleted meanwhile is not noted."""
    prepare(database, [1], 10, size=5)
    cursor = "user00003"
    assert make_buckets.find_waiting(sized(scan_users_per_run=4), "", 100, 0)[:2] == ([], cursor)
    users.delete(database, [cursor])
    buckets.finish(database, "make_buckets", cursor)
    assert [line for line in picture(query) if cursor in line] == []


def test_deleting_all_users_of_a_held_bucket_leaves_the_lease_to_its_client(database: Database, query: Query) -> None:
    """The client still holds it, with nobody in it, and its answers are no fault: they are for users who are gone."""
    prepare(database, [1], 6, size=3)
    [lease] = fetch(database, 1, 1, "k")
    assert users.delete(database, [user.screen_name for user in lease.users]) == (3, [])
    assert [(held.lease, held.users) for held in resume(database, 1)] == [(lease.lease, [])]
    assert submit(database, 1, [answers(lease)]) == [Report(lease.bucket, "done")]
    assert counters(query, 1)[2] == 0
    assert broken(query) == []
