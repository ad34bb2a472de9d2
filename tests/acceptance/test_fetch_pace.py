"""Who takes without answering is told to slow down; who answers may take as often as it likes; all come back spread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from support.graphs import answered, answers, pass_time, prepare, refusal
from support.invariants import Query, broken
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS, Limits
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import DmcheckError, NothingToFetch, OverQuota, TooFast
from dmcheck_cli.transactions import users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch, release
from jobs import make_buckets

ME = 42
PAUSE = DEFAULTS.pause_seconds
TIGHT = Limits(tolerance=5)
AT_ONCE = TIGHT.tolerance + 1
"""Fetches without an answer that are served whenever they come."""
SPREAD_OF = 200
"""Refusals that are looked at."""

Run = Callable[..., Result]


@pytest.fixture
def line(database: Database) -> Iterator[Database]:
    """One client, and 20 buckets of one user each; a client soon fetches too fast here."""
    prepare(database, [ME], 20, size=1)
    with Database(replace(database.settings, limits=TIGHT), "tests") as few:
        yield few


NO_OPINIONS = {"compared": 0, "disputed": 0, "suspended": 0}


def vain(database: Database, name: str) -> None:
    """Take a bucket and give it back."""
    [lease] = fetch(database, ME, 1, name)
    release(database, ME, lease.bucket, lease.lease)


def next_fetch(query: Query, seconds: float) -> None:
    """As if the client had to wait so long before its next fetch."""
    query(
        """MATCH (:DMCheckClient {id: $id})-[:STATS]->(s)
        SET s.next_fetch = datetime() + duration({milliseconds: toInteger($seconds * 1000)})""",
        id=ME,
        seconds=seconds,
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


def test_who_answers_what_it_takes_may_ask_as_often_as_it_likes(line: Database) -> None:
    """Twenty buckets, one after the other, as fast as they come: never too fast."""
    for number in range(20):
        [lease] = fetch(line, ME, 1, f"fetch {number}")
        assert submit(line, ME, [answers(lease)])[0].status == "done"


def test_who_takes_and_gives_back_is_served_so_often_and_then_once_a_minute(line: Database, query: Query) -> None:
    """The first and those that are tolerated; then one fetch in each pause, and no more."""
    for number in range(AT_ONCE):
        vain(line, f"vain {number}")
    for number in range(3):
        # A slow machine may have taken longer than a pause to get here, but then it takes as long again.
        refusals(line, TooFast, 2)
        pass_time(query, PAUSE)
        vain(line, f"later {number}")
    refusals(line, TooFast, 2)


def test_the_time_that_nobody_asked_counts_up_to_a_bound(line: Database, query: Query) -> None:
    """After a day away a client is served as often as a new one, not for each minute of the day."""
    for number in range(AT_ONCE):
        vain(line, f"before {number}")
    pass_time(query, 86_400)
    for number in range(AT_ONCE):
        vain(line, f"after {number}")
    refusals(line, TooFast, 2)


def test_a_refusal_as_the_shell_sees_it(line: Database, query: Query, run: Run) -> None:
    """Exit 1, nothing on stdout, the code, and when to come back; a person reads the seconds."""
    next_fetch(query, PAUSE)
    machine = run("fetch", "--client", ME, "--json")
    assert (machine.status, machine.out, machine.error["code"]) == (1, "", "too_fast")
    assert 0 < machine.error["retry_after"] <= PAUSE
    assert "keeps fetching without submitting" in machine.error["message"]
    next_fetch(query, PAUSE)
    person = run("fetch", "--client", ME)
    assert (person.status, person.out) == (1, "")
    assert person.err.startswith("dmcheck: Client 42 keeps fetching without submitting: try again in ")
    assert person.err.endswith(" seconds.\n")


def test_who_comes_back_when_told_is_served(line: Database, query: Query) -> None:
    """Five times: refused, waited for as long as it was told, served."""
    next_fetch(query, PAUSE)
    for number in range(5):
        [seconds] = refusals(line, TooFast, 1)
        assert 0 < seconds <= PAUSE
        query(
            "MATCH (s:DMCheckClientStats) SET s.next_fetch = s.next_fetch - duration({milliseconds: $told})",
            told=round(seconds * 1000),
        )
        vain(line, f"as told {number}")


@pytest.mark.parametrize("ahead", [PAUSE + 30, 86_400, 10 * 366 * 86_400])
def test_a_clock_that_was_ahead_shuts_nobody_out(line: Database, query: Query, ahead: int) -> None:
    """A stored moment that no fetch can have set, from a clock that was then put right, refuses nothing; after the next
    answer the client is as fast as any."""
    next_fetch(query, ahead)
    for number in range(AT_ONCE):
        vain(line, f"vain {number}")
    [lease] = fetch(line, ME, 1, "answered")
    assert submit(line, ME, [answers(lease)])[0].status == "done"
    for number in range(AT_ONCE):
        vain(line, f"again {number}")
    refusals(line, TooFast, 2)


def test_a_refusal_changes_nothing(line: Database, query: Query) -> None:
    """The graph after it is the graph before it, but for the time of the last access: asking does not put off."""
    next_fetch(query, PAUSE)
    before = refusal(query)
    for number in range(3):
        with pytest.raises(TooFast):
            fetch(line, ME, 10, f"early {number}")
    assert refusal(query) == before


def test_what_it_holds_it_may_ask_for_at_any_time(line: Database, query: Query, run: Run) -> None:
    """The same request again, and `--resume`, are answered although a new request would be refused."""
    given = run("fetch", "--client", ME, "--count", 2, "--request-id", "first", "--json").document
    next_fetch(query, PAUSE)
    assert run("fetch", "--client", ME, "--count", 1, "--json").error["code"] == "too_fast"
    again = run("fetch", "--client", ME, "--count", 2, "--request-id", "first", "--json")
    resumed = run("fetch", "--client", ME, "--resume", "--json")
    held = {bucket["lease"] for bucket in given["buckets"]}
    for result in (again, resumed):
        assert result.status == 0
        assert {bucket["lease"] for bucket in result.document["buckets"]} == held
    assert len(held) == 2


def test_an_accepted_answer_ends_it(line: Database, query: Query, run: Run) -> None:
    """The whole pipe: too fast; what was held is answered; the next fetch is served at once, and so are the next."""
    given = run("fetch", "--client", ME, "--count", 1, "--json").document
    next_fetch(query, PAUSE)
    assert run("fetch", "--client", ME, "--json").error["code"] == "too_fast"
    assert run("submit", "--client", ME, stdin=answered(given)).status == 0
    assert len(run("fetch", "--client", ME, "--count", 10, "--json").document["buckets"]) == 10
    assert broken(query) == []


@pytest.mark.parametrize(("only", "candm", "ends"), [(10, "DM", True), (10, "UNKNOWN", True), (9, "DM", False)])
def test_half_of_a_bucket_ends_it(database: Database, query: Query, only: int, candm: str, ends: bool) -> None:
    """Answers for ten of twenty users, whatever they say, end the pause; nine do not."""
    prepare(database, [ME], 40, size=20)
    [lease] = fetch(database, ME, 1, "first")
    next_fetch(query, PAUSE)
    assert submit(database, ME, [answers(lease, candm, only)])[0].accepted == only
    if ends:
        assert len(fetch(database, ME, 1, "second")) == 1
    else:
        refusals(database, TooFast, 1)


@pytest.mark.parametrize("nothing", ["refused", "empty", "released"])
def test_what_is_no_answer_does_not_end_it(database: Database, query: Query, nothing: str) -> None:
    """A refused submit, one without answers, and a release leave a client as fast as it was."""
    prepare(database, [ME], 40, size=20)
    [lease] = fetch(database, ME, 1, "first")
    next_fetch(query, PAUSE)
    if nothing == "empty":
        submit(database, ME, [answers(lease, only=0)])
    elif nothing == "released":
        release(database, ME, lease.bucket, lease.lease)
    else:
        [report] = submit(database, ME, [answers(Lease(lease.bucket, "no such lease", 1, "", lease.users))])
        assert report.reason == "lease_lost"
    refusals(database, TooFast, 1)


def test_asking_in_vain_for_buckets_that_are_not_there_is_not_too_fast(line: Database, query: Query) -> None:
    """Nothing was taken, so there is nothing to answer: many asks, and then a bucket comes and is given at once."""
    query("MATCH (n) WHERE n:User OR n:DMCheckBucket DETACH DELETE n")
    for number in range(2 * AT_ONCE):
        with pytest.raises(NothingToFetch):
            fetch(line, ME, 1, f"vain {number}")
    users.add(line, [User("late", None)])
    make_buckets.run(line)
    assert len(fetch(line, ME, 1, "now")) == 1


# Refusals say when to come back, each at another time


def spread_out(times: list[float], least: float) -> None:
    """All within `least` and half as much more, in all quarters of it."""
    assert all(least <= time <= 1.5 * least for time in times)
    quarters = {min(int((time - least) / (least / 8)), 3) for time in times}
    assert quarters == {0, 1, 2, 3}


def test_over_quota_spreads(line: Database) -> None:
    """A minute to a minute and a half."""
    fetch(line, ME, 10, "all")
    spread_out(refusals(line, OverQuota), DEFAULTS.quota_pause_seconds)


def test_too_fast_spreads(line: Database, query: Query) -> None:
    """What is left of the pause, and up to half as much more, but never more than a whole pause."""
    times = []
    for _ in range(20):
        next_fetch(query, PAUSE / 2)
        times += refusals(line, TooFast, 2)
    assert all(0 < time <= 1.5 * (PAUSE / 2 + 1) for time in times)
    assert len(set(times)) > 20
    assert max(times) - min(times) > 4
    next_fetch(query, PAUSE)
    assert all(time <= PAUSE for time in refusals(line, TooFast, 10))


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
    """What it may hold of what it stated, what it was judged for and when, and its turnaround: once the job has run."""
    run("register", "--id", ME, "--screen-name", f"client{ME}", "--capacity", 40)
    given = run("fetch", "--client", ME, "--count", 3, "--json").document
    pass_time(query, 600)
    run("submit", "--client", ME, stdin=answered(given))
    fetch(line, ME, 1, "one more")

    def shown() -> dict[str, object]:
        return dict(run("stats", "--client", ME, "--json").document["clients"][0])

    before = shown()
    assert (before["capacity"], before["allowance"], before["held"], before["judged_for"]) == (40, 10, 1, None)
    assert run("--json", program="judge_clients").document == {"judged": 3, "raised": 1, "lowered": 0} | NO_OPINIONS
    after = shown()
    assert (after["capacity"], after["allowance"], after["judged_for"]) == (40, 13, "answered")
    assert isinstance(after["judged_seconds"], int)
    assert isinstance(after["turnaround_seconds"], int)
    assert 600 <= after["turnaround_seconds"] <= 660
    told = run("stats", "--client", ME).out
    for word in ("states", "may hold", "judged for", "answered", "turnaround", "10 min"):
        assert word in told
    run("submit", "--client", ME, stdin=json.dumps({"buckets": [{"bucket": "x", "lease": "y", "users": []}]}))
    assert shown()["allowance"] == 13
    assert run("--json", program="judge_clients").document == {"judged": 0, "raised": 0, "lowered": 1} | NO_OPINIONS
    assert (shown()["allowance"], shown()["judged_for"]) == (6, "refused")
    assert run("--json", program="judge_clients").document == {"judged": 0, "raised": 0, "lowered": 0} | NO_OPINIONS
