"""Who asks without answering is told to slow down; who answers may ask as often as it likes; all come back spread."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil

import pytest
from driving import answered, answers, may_hold, pass_time, picture, prepare
from invariants import Query, broken
from launching import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DmcheckError, NothingToFetch, OverQuota, TooFast
from dmcheck_cli.limits import LONGEST_PAUSE, QUOTA_PAUSE, START_ALLOWANCE, TOLERANCE
from dmcheck_cli.transactions import clients, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import Lease, User, fetch, release
from jobs import make_buckets

ME = 42
AT_ONCE = START_ALLOWANCE + TOLERANCE
"""Fetches without an answer that are served whenever they come."""
SPREAD_OF = 200
"""Refusals that are looked at."""

Run = Callable[..., Result]


@pytest.fixture
def line(database: Database) -> Database:
    """One client, and 20 buckets of one user each."""
    prepare(database, [ME], 20, size=1)
    return database


def vain(database: Database, name: str) -> Lease:
    """Take a bucket and give it back."""
    [lease] = fetch(database, ME, 1, name)
    release(database, ME, lease.bucket, lease.lease)
    return lease


def asked(query: Query, times: int) -> None:
    """As if the client had just fetched so often since its last answer."""
    query(
        "MATCH (:DMCheckClient {id: $id})-[:STATS]->(s) SET s.asked = $times, s.last_access_time = datetime()",
        id=ME,
        times=times,
    )


def refusals(database: Database, kind: type[DmcheckError], count: int = SPREAD_OF) -> list[float]:
    """The `retry_after` of so many refusals."""
    times = []
    for number in range(count):
        with pytest.raises(kind) as refused:
            fetch(database, ME, 1, f"ask {number}")
        assert refused.value.retry_after is not None
        times.append(refused.value.retry_after)
    return times


def test_who_answers_what_it_takes_may_ask_as_often_as_it_likes(database: Database) -> None:
    """A hundred buckets, one after the other, as fast as they come: never too fast."""
    prepare(database, [ME, *range(1, 5)], 100, size=1)
    for number in range(100):
        [lease] = fetch(database, ME, 1, f"fetch {number}")
        assert submit(database, ME, [answers(lease)])[0].status == "done"


def test_who_asks_and_gives_back_is_served_so_often_and_no_more(line: Database, query: Query) -> None:
    """Its allowance and 20 times; then it must wait, longer each time, until it is refused."""
    for number in range(AT_ONCE):
        vain(line, f"vain {number}")

    def go_on() -> None:  # a slow machine may have waited a second by chance, but not two, four, eight ...
        for number in range(8):
            vain(line, f"more {number}")

    with pytest.raises(TooFast):
        go_on()


def test_a_refusal_as_the_shell_sees_it(line: Database, query: Query, run: Run) -> None:
    """Exit 1, nothing on stdout, the code, and when to come back; a person reads the seconds."""
    asked(query, AT_ONCE + 5)
    machine = run("fetch", "--client", ME, "--json")
    assert (machine.status, machine.out, machine.error["code"]) == (1, "", "too_fast")
    assert 20 < machine.error["retry_after"] <= 1.5 * 32
    assert "asks again and again, and answers nothing" in machine.error["message"]
    person = run("fetch", "--client", ME)
    assert (person.status, person.out) == (1, "")
    assert person.err.startswith("dmcheck: Client 42 asks again and again")
    assert " seconds" in person.err
    assert "Traceback" not in person.err


@pytest.mark.parametrize(
    ("beyond", "pause"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (900, 60)]
)
def test_the_pause_doubles_up_to_a_minute(line: Database, query: Query, beyond: int, pause: int) -> None:
    """1, 2, 4 ... 60 seconds since the last access: served then, and refused two seconds before."""
    asked(query, AT_ONCE + beyond)
    if pause > 2:
        pass_time(query, pause - 2)
        with pytest.raises(TooFast) as refused:
            fetch(line, ME, 1, "too early")
        assert 0 < (refused.value.retry_after or 0) <= 1.5 * 2
        pass_time(query, 2)
    else:
        pass_time(query, pause)
    assert len(fetch(line, ME, 1, "in time")) == 1


def test_who_comes_back_when_told_is_never_refused_again(line: Database, query: Query) -> None:
    """Ten times: refused, waited for as long as it was told, served."""
    asked(query, AT_ONCE)
    told = []
    for number in range(10):
        try:
            vain(line, f"at once {number}")
        except TooFast as refused:
            told.append(refused.retry_after or 0)
            pass_time(query, ceil(told[-1]))
            vain(line, f"as told {number}")
    assert len(told) > 5
    assert all(0 < seconds <= LONGEST_PAUSE for seconds in told)


def test_a_refusal_changes_nothing(line: Database, query: Query) -> None:
    """The graph after it is the graph before it, the time of the last access included: asking does not put off."""
    asked(query, AT_ONCE + 6)
    before = picture(query)
    for number in range(3):
        with pytest.raises(TooFast):
            fetch(line, ME, 10, f"early {number}")
    assert picture(query) == before


def test_what_it_holds_it_may_ask_for_at_any_time(line: Database, query: Query, run: Run) -> None:
    """The same request again, and `--resume`, are answered although a new request would be refused."""
    given = run("fetch", "--client", ME, "--count", 2, "--request-id", "first", "--json").document
    asked(query, AT_ONCE + 6)
    assert run("fetch", "--client", ME, "--count", 1, "--json").error["code"] == "too_fast"
    again = run("fetch", "--client", ME, "--count", 2, "--request-id", "first", "--json")
    resumed = run("fetch", "--client", ME, "--resume", "--json")
    held = {bucket["lease"] for bucket in given["buckets"]}
    for result in (again, resumed):
        assert result.status == 0
        assert {bucket["lease"] for bucket in result.document["buckets"]} == held
    assert len(held) == 2


def test_an_accepted_answer_ends_it(line: Database, query: Query, run: Run) -> None:
    """The whole pipe: too fast; what was held is answered; the next fetch is served at once."""
    given = run("fetch", "--client", ME, "--count", 1, "--json").document
    asked(query, AT_ONCE + 6)
    assert run("fetch", "--client", ME, "--json").error["code"] == "too_fast"
    assert run("submit", "--client", ME, stdin=answered(given)).status == 0
    assert len(run("fetch", "--client", ME, "--json").document["buckets"]) == 10
    assert broken(query) == []


@pytest.mark.parametrize("nothing", ["refused", "empty", "unknown"])
def test_what_is_no_answer_does_not_end_it(database: Database, query: Query, nothing: str) -> None:
    """A refused submit, one without answers, and one that knows nobody leave a client as fast as it was."""
    prepare(database, [ME], 40, size=20)
    [lease] = fetch(database, ME, 1, "first")
    asked(query, AT_ONCE + 6)
    if nothing == "empty":
        submit(database, ME, [answers(lease, only=0)])
    elif nothing == "unknown":
        submit(database, ME, [answers(lease, "UNKNOWN")])
    else:
        [report] = submit(database, ME, [answers(Lease(lease.bucket, "no such lease", 1, "", lease.users))])
        assert report.reason == "lease_lost"
    with pytest.raises(TooFast):
        fetch(database, ME, 1, "second")


def test_asking_in_vain_for_buckets_that_are_not_there_is_not_too_fast(database: Database) -> None:
    """Nothing was taken, so there is nothing to answer: 60 asks, and then a bucket comes and is given at once."""
    prepare(database, [ME])
    for number in range(2 * AT_ONCE):
        with pytest.raises(NothingToFetch):
            fetch(database, ME, 1, f"vain {number}")
    users.add(database, [User("late", None)])
    make_buckets.run(database)
    assert len(fetch(database, ME, 1, "now")) == 1


def test_who_may_hold_more_may_ask_more_often(line: Database, query: Query) -> None:
    """A client that may hold 100 is not too fast where one that may hold 10 is."""
    clients.register(line, ME, f"client{ME}", 100)
    asked(query, AT_ONCE + 6)
    with pytest.raises(TooFast):
        fetch(line, ME, 1, "with 10")
    may_hold(query, ME, 100)
    assert len(fetch(line, ME, 1, "with 100")) == 1


# Refusals say when to come back, each at another time


def spread_out(times: list[float], least: float) -> None:
    """All within `least` and half as much more, in all quarters of it."""
    assert all(least <= time <= 1.5 * least for time in times)
    quarters = {min(int((time - least) / (least / 8)), 3) for time in times}
    assert quarters == {0, 1, 2, 3}


def test_over_quota_spreads(line: Database) -> None:
    """A minute to a minute and a half."""
    fetch(line, ME, 10, "all")
    spread_out(refusals(line, OverQuota), QUOTA_PAUSE)


def test_too_fast_spreads(line: Database, query: Query) -> None:
    """What is left of the pause, and up to half as much more, but never more than the longest pause."""
    asked(query, AT_ONCE + 5)
    times = refusals(line, TooFast, 40)
    # The clock runs on meanwhile, so the least of them gets less.
    assert all(0 < time <= 1.5 * 32 for time in times)
    assert len(set(times)) > 20
    assert max(times) - min(times) > 4
    asked(query, AT_ONCE + 60)
    assert all(LONGEST_PAUSE / 2 < time <= LONGEST_PAUSE for time in refusals(line, TooFast, 10))


@pytest.mark.parametrize(("known", "least"), [(1, 1), (400, 20)])
def test_nothing_to_fetch_spreads(database: Database, query: Query, known: int, least: int) -> None:
    """The more clients there are, the later: 20 a second come back in all."""
    prepare(database, [ME])
    query("UNWIND range(1001, 999 + $known) AS id CREATE (:DMCheckClient {id: id, state: 'ACTIVE'})", known=known)
    times = refusals(database, NothingToFetch)
    assert all(least <= time <= 1.5 * least for time in times)
    assert len(set(times)) > (5 if least == 1 else SPREAD_OF / 4)
    assert max(times) - min(times) >= least / 4


def test_nothing_to_fetch_is_exit_3_with_a_time(line: Database, query: Query, run: Run) -> None:
    """The document without buckets on stdout, `nothing_to_fetch` and its `retry_after` on stderr."""
    query("MATCH (b:DMCheckBucket) DETACH DELETE b")
    result = run("fetch", "--client", ME, "--json")
    assert (result.status, result.document) == (3, {"client": ME, "buckets": []})
    assert result.error["code"] == "nothing_to_fetch"
    assert result.error["retry_after"] >= 1


def test_stats_of_a_client_show_the_decision(line: Database, query: Query, run: Run) -> None:
    """What it may hold of what it stated, what it was judged for and when, its turnaround, and how often it asked."""
    run("register", "--id", ME, "--screen-name", f"client{ME}", "--capacity", 40)
    given = run("fetch", "--client", ME, "--count", 3, "--json").document
    pass_time(query, 600)
    run("submit", "--client", ME, stdin=answered(given))
    pass_time(query, 60)
    fetch(line, ME, 1, "one more")
    shown = run("stats", "--client", ME, "--json").document["clients"][0]
    assert (shown["capacity"], shown["allowance"], shown["held"], shown["asked"]) == (40, 13, 1, 1)
    assert shown["judged_for"] == "answered"
    assert shown["judged_seconds"] >= 0
    assert 600 <= shown["turnaround_seconds"] <= 660
    told = run("stats", "--client", ME).out
    for word in ("states", "may hold", "judged for", "answered", "turnaround", "10 min"):
        assert word in told
    run("submit", "--client", ME, stdin=json.dumps({"buckets": [{"bucket": "x", "lease": "y", "users": []}]}))
    shown = run("stats", "--client", ME, "--json").document["clients"][0]
    assert (shown["allowance"], shown["judged_for"]) == (6, "refused")
