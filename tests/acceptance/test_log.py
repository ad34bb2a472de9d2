"""`log`: what happened, from the records of leases and a few events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.graphs import answered, pass_time, prepare
from support.invariants import Query
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.transactions import log, refusals
from jobs import reclaim_leases

Call = Callable[..., Result]


def events(direct: Call, *options: object) -> list[dict[str, Any]]:
    """The events that `log` shows."""
    return direct("log", *options, "--json").document["events"]


@pytest.fixture
def story(direct: Call, database: Database) -> dict[str, Any]:
    """Client 42 answered a bucket, gave one back, and let one die; 43 is refused one, and holds it in the end."""
    prepare(database, [42, 43], 5, size=5)
    said = direct("fetch", "--client", 42, "--json").document
    direct("submit", "--client", 42, stdin=answered(said, "NON_DM", only=3))
    [lease] = direct("fetch", "--client", 42, "--json").document["buckets"]
    named = ("--bucket", lease["bucket"], "--lease", lease["lease"])
    direct("release", "--client", 42, *named)
    direct("fetch", "--client", 42)
    for _ in range(2):
        direct(program="reclaim_leases", DMCHECK_LEASE_SECONDS="0", DMCHECK_GRACE_SECONDS="0")
    for _ in range(2):
        assert direct("release", "--client", 43, *named).status == 1
    direct("fetch", "--client", 43)
    return {"bucket": lease["bucket"], "user": said["buckets"][0]["users"][0]["screen_name"]}


def test_the_whole_story(direct: Call, story: dict[str, Any]) -> None:
    """Newest first, each with its client, bucket, lease and users."""
    found = events(direct)
    assert [one["event"] for one in found] == [
        *("leased", "refused", "died", "leased", "released", "leased", "submitted", "leased"),
        *("registered", "registered"),
    ]
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    held, refused, died, *_, submitted, first, _, _ = found
    assert (held["client"], held["bucket"], held["users"]) == (43, story["bucket"], 2)
    assert {name: refused[name] for name in ("client", "reason", "count", "users")} == {
        "client": 43, "reason": "not_owner", "count": 2, "users": 0,
    }  # fmt: skip
    assert (died["client"], died["users"]) == (42, 2)
    assert (submitted["users"], submitted["answers"]) == (5, {"DM": 0, "NON_DM": 3, "UNKNOWN": 0})
    assert submitted["lease"] == first["lease"]
    assert set(first) == {"at", "event", "client", "bucket", "lease", "users"}


def test_a_death_is_told_at_once_and_stays_told(direct: Call, database: Database, query: Query) -> None:
    """As soon as the lease is marked dead; also after a late answer, a release and a renewal; once for each lease.
    Where an earlier release recorded no time, when its bucket was released."""
    prepare(database, [42], 15, size=5)
    late, released, revived = direct("fetch", "--client", 42, "--count", 3, "--json").document["buckets"]
    direct(program="reclaim_leases", DMCHECK_LEASE_SECONDS="0")
    assert [one["event"] for one in events(direct)][:6] == ["died"] * 3 + ["leased"] * 3
    [told] = events(direct, "--bucket", late["bucket"], "--limit", 1)
    assert (told["event"], told["lease"], told["users"]) == ("died", late["lease"], 5)
    direct("renew", "--client", 42, "--bucket", revived["bucket"], "--lease", revived["lease"])
    pass_time(query, 1000)
    direct(program="reclaim_leases")
    assert direct("submit", "--client", 42, stdin=answered({"buckets": [late, revived]})).status == 0
    stories = {}
    for one in (late, released, revived):
        stories[one["bucket"]] = [event["event"] for event in events(direct, "--bucket", one["bucket"])]
        assert [e for e in events(direct) if e["bucket"] == one["bucket"]] == events(direct, "--bucket", one["bucket"])
    assert list(stories.values()) == [
        ["submitted", "died", "leased"],
        ["died", "leased"],
        ["submitted", "died", "leased"],
    ]
    query("MATCH (l:DMCheckLease) REMOVE l.dead_datetime")
    again = [[event["event"] for event in events(direct, "--bucket", one)] for one in stories]
    assert again == [["submitted", "leased"], ["died", "leased"], ["submitted", "leased"]]


def test_what_is_asked_for(direct: Call, story: dict[str, Any]) -> None:
    """One client, one bucket, one user, a number; a user tells the leases of its answers and of its bucket."""
    assert [one["event"] for one in events(direct, "--client", 43)] == ["leased", "refused", "registered"]
    assert len(events(direct, "--bucket", story["bucket"])) == 7
    assert [one["event"] for one in events(direct, "--bucket", story["bucket"], "--client", 43)] == ["leased"]
    assert [one["event"] for one in events(direct, "--user", story["user"])] == ["submitted", "leased"]
    assert len(events(direct, "--limit", 3)) == 3
    assert events(direct, "--bucket", "nothing") == events(direct, "--client", 7) == []
    unknown = direct("log", "--user", "nobody", "--json")
    assert (unknown.status, unknown.error["code"]) == (1, "unknown_user")
    waiting = [user for user in ("user00000", "user00001", "user00002", "user00003", "user00004")
               if [e["event"] for e in events(direct, "--user", user)] == ["leased"]]  # fmt: skip
    assert len(waiting) == 2
    assert "submitted" in direct("log").out


def test_a_client_that_was_deleted(direct: Call, database: Database, story: dict[str, Any]) -> None:
    """The leases of its answers are still told, without its id."""
    assert direct("client", "delete", 42).status == 0
    told = events(direct, "--user", story["user"])
    assert [(one["event"], one["client"]) for one in told] == [("submitted", None), ("leased", None)]


def test_when(direct: Call, query: Query, story: dict[str, Any]) -> None:
    """--since and --until, as people write them; what is no time is malformed."""
    pass_time(query, 7200)
    assert "leased" not in {one["event"] for one in events(direct, "--since", "1 hour ago")}
    assert {one["event"] for one in events(direct, "--until", "an hour ago")} <= {
        "leased",
        "submitted",
        "released",
        "died",
    }
    assert len(events(direct, "--until", "90 minutes ago", "--since", "3 hours ago")) == 7
    assert events(direct, "--since", "2199-01-01") == []
    for option in ("--since", "--until"):
        malformed = direct("log", option, "the day before", "--json")
        assert (malformed.status, malformed.error["code"]) == (2, "malformed")
    assert direct("log", "--limit", "0").status == 2


def test_slice_by_slice(database: Database, query: Query) -> None:
    """However many happened at one moment, each comes once, in order."""
    query(
        """UNWIND range(1, $n) AS i
        CREATE (:DMCheckLease {id: 'l' + i, client: 1, bucket: 'b', assigned_datetime: datetime('2026-01-01'),
            ended: datetime('2026-01-02'), how: 'answered', users: 1, dm: 1, non_dm: 0, unknown: 0}),
        (:DMCheckEvent {at: datetime('2026-01-02'), event: 'resumed', client: 1, users: 0})""",
        n=DEFAULTS.batch_events + 10,
    )
    found = list(log.events(database))
    assert len(found) == 3 * (DEFAULTS.batch_events + 10)
    assert len({(one.lease, one.event) for one in found if one.lease}) == 2 * (DEFAULTS.batch_events + 10)
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)


def test_refusals_cannot_fill_the_database(direct: Call, database: Database, query: Query) -> None:
    """One node for each client, reason and hour; all ids that are not registered share one."""
    prepare(database, [42])
    for stranger in range(100, 110):
        assert direct("fetch", "--client", stranger).status == 1
    for _ in range(3):
        direct("register", "--id", 42, "--screen-name", "other")
    document = '{"buckets": [{"bucket": "a", "lease": "x", "users": []}, {"bucket": "b", "lease": "x", "users": []}]}'
    direct("submit", "--client", 42, stdin=document)
    rows = query(
        "MATCH (e:DMCheckEvent {event: 'refused'}) RETURN e.client AS c, e.reason AS r, e.count AS n ORDER BY r"
    )
    at_most = [(row["c"], row["r"], row["n"]) for row in rows]
    if len(rows) == 3:  # within one hour
        assert at_most == [(None, "not_registered", 10), (42, "unknown_bucket", 2), (42, "wrong_details", 3)]
    assert sum(row["n"] for row in rows) == 15


def test_a_register_that_changes_nothing_is_no_event(direct: Call) -> None:
    """A script that registers each minute leaves one."""
    for capacity in ((), ("--capacity", 3), ("--capacity", 3), ()):
        direct("register", "--id", 42, "--screen-name", "a", *capacity)
    for _ in range(2):
        direct("unregister", "--id", 42, "--screen-name", "a")
    assert [one["event"] for one in events(direct)] == ["unregistered", "registered", "registered"]


def test_events_are_forgotten_as_leases_are(database: Database, query: Query) -> None:
    """After DMCHECK_KEEP_SECONDS, by reclaim_leases."""
    prepare(database, [42])
    refusals.count(database, 42, "over_quota")
    reclaim_leases.run(database)
    assert len(query("MATCH (e:DMCheckEvent) RETURN e")) == 2
    query("MATCH (e:DMCheckEvent) SET e.at = e.at - duration('P31D')")
    reclaim_leases.run(database)
    assert query("MATCH (e:DMCheckEvent) RETURN e") == []
