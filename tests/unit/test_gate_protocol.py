"""The conversation with a gate, both sides: what one writes the other reads, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dmcheck_cli.domain.model import Answered, Lease, Report, User
from dmcheck_cli.errors import LeaseLost, Malformed, NothingToFetch, Temporary, Usage, WrongClient
from dmcheck_cli.gate import protocol
from dmcheck_cli.gate.protocol import Greeting, Nonsense, Request

ANSWERED = [Answered("u", "l", {"NASA": "DM", "someone": "NON_DM"})]
REQUESTS = (
    Request(0, "fetch", count=None, request_id="K"),
    Request(1, "fetch", count=10, request_id="K"),
    Request(2, "resume"),
    Request(3, "renew", bucket="u", lease="l"),
    Request(4, "release", bucket="u", lease="l", failed=True),
    Request(5, "submit", answered=ANSWERED),
    Request(2**63 - 1, "stats"),
)
LEASES = [Lease("u", "l", 100, "2026-11-27T10:00:00Z", [User("NASA", 11348282), User("x", None)])]
REPORTS = [Report("u", "done", 3, 0), Report("v", "refused", reason="lease_lost"), Report("w", "partial", 1, 2, ["x"])]
GREETING = Greeting("0.3.0", 42, 7200)


def _read(text: str | bytes) -> Request:
    return protocol.request(protocol.loaded(text.encode() if isinstance(text, str) else text), 42)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: f"{one.id}-{one.verb}")
def test_a_request_arrives_as_it_was(request_: Request) -> None:
    """One line, which the gate reads as what it was made of."""
    line = request_.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert _read(line) == request_


def test_answers_arrive_as_they_were() -> None:
    """Leases, reports, greetings; errors as the class that has their code."""
    assert protocol.greeting(GREETING.line()) == GREETING
    line = protocol.result_line(7, protocol.leases_document(42, LEASES))
    assert protocol.leases(protocol.result(line, 7)) == LEASES
    line = protocol.result_line(7, protocol.reports_document(42, REPORTS))
    assert protocol.reports(protocol.result(line, 7)) == REPORTS
    for said in (NothingToFetch(what="No\u202e", retry_after=2.5), LeaseLost(bucket="u"), Temporary(what="later")):
        with pytest.raises(type(said)) as told:
            protocol.result(protocol.error_line(None, said), 7)
        assert (told.value.message, told.value.code, told.value.exit_status, told.value.retry_after) == (
            said.message,
            said.code,
            said.exit_status,
            said.retry_after,
        )


FETCH = '{"id": 1, "verb": "fetch", "request_id": "K"'


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", Malformed),
        ("fetch", Malformed),
        ("[1]", Malformed),
        ('"fetch"', Malformed),
        (FETCH, Malformed),
        (FETCH + "}{}", Malformed),
        (b'{"id": 1, "verb": "stats\xff"}', Malformed),
        ("\ufeff" + FETCH + "}", Malformed),
        ("[" * 100_000, Malformed),
        ('{"id": 1, "verb": "stats", "x": ' + "9" * 5000 + "}", Malformed),
        (FETCH + ', "id": 2}', Malformed),
        (FETCH + ', "request_id": "L"}', Malformed),
        (FETCH + ', "count": NaN}', Malformed),
        (FETCH + ', "count": Infinity}', Malformed),
        (FETCH + ', "count": 1.0}', Malformed),
        (FETCH + ', "count": true}', Malformed),
        (FETCH + ', "count": "2"}', Malformed),
        (FETCH + ', "count": 0}', Usage),
        (FETCH + ', "count": 11}', Usage),
        (FETCH + ', "count": -1}', Usage),
        (FETCH + ', "limits": {}}', Malformed),
        (FETCH + ', "lease_seconds": 10}', Malformed),
        (FETCH + ', "client": 43}', WrongClient),
        (FETCH + ', "client": "42"}', WrongClient),
        (FETCH + ', "client": 42.0}', WrongClient),
        (FETCH + ', "client": null}', WrongClient),
        ('{"id": 1, "verb": "fetch"}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": 5}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": ""}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": "\\ud800"}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": "\\u0000"}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": "\\u202e"}', Malformed),
        ('{"id": 1, "verb": "fetch", "request_id": "' + "x" * 201 + '"}', Malformed),
        ('{"verb": "stats"}', Malformed),
        ('{"id": null, "verb": "stats"}', Malformed),
        ('{"id": -1, "verb": "stats"}', Malformed),
        ('{"id": 9223372036854775808, "verb": "stats"}', Malformed),
        ('{"id": true, "verb": "stats"}', Malformed),
        ('{"id": "1", "verb": "stats"}', Malformed),
        ('{"id": 1}', Malformed),
        ('{"id": 1, "verb": ["stats"]}', Malformed),
        ('{"id": 1, "verb": "Stats"}', Malformed),
        ('{"id": 1, "verb": "register"}', Malformed),
        ('{"id": 1, "verb": "gate run"}', Malformed),
        ('{"id": 1, "verb": "__class__"}', Malformed),
        ('{"id": 1, "verb": "renew", "bucket": "u"}', Malformed),
        ('{"id": 1, "verb": "renew", "bucket": {"a": 1}, "lease": "l"}', Malformed),
        ('{"id": 1, "verb": "release", "bucket": "u", "lease": "l", "failed": 1}', Malformed),
        ('{"id": 1, "verb": "submit"}', Malformed),
        ('{"id": 1, "verb": "submit", "buckets": {}}', Malformed),
        ('{"id": 1, "verb": "submit", "buckets": [5]}', Malformed),
        (
            '{"id": 1, "verb": "submit", "buckets": [{"bucket": "u", "lease": "l", '
            '"users": [{"screen_name": "a", "candm": "DM", "candm": "NON_DM"}]}]}',
            Malformed,
        ),
        (
            '{"id": 1, "verb": "submit", "buckets": [{"bucket": "u", "lease": "l", '
            '"users": [{"screen_name": "a", "candm": "MAYBE"}]}]}',
            Malformed,
        ),
    ],
    ids=lambda one: (one if isinstance(one, str) else str(one))[:60] if isinstance(one, str | bytes) else one.__name__,
)
def test_what_is_no_request_is_refused(line: str | bytes, error: type[Exception]) -> None:
    """With a message that is short, whatever was sent."""
    with pytest.raises(error) as refused:
        _read(line)
    assert len(str(refused.value)) < 400
    assert str(refused.value).isascii()


def test_an_id_goes_back_even_if_the_request_is_wrong() -> None:
    """So that its sender knows which one."""
    assert protocol.id_of(protocol.loaded(b'{"id": 5, "verb": "nothing"}')) == 5
    assert protocol.id_of(protocol.loaded(b'{"id": 5.0}')) is None


def _answer(**more: Any) -> str:
    bucket = {"bucket": "u", "lease": "l", "priority": 1, "expires": None, "users": [{"screen_name": "x", "id": None}]}
    return json.dumps({"id": 7, "result": {"buckets": [bucket | more]}})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Welcome to example!",
        "[]",
        '{"id": 8, "result": {"buckets": []}}',
        '{"id": 7, "result": []}',
        '{"id": 7}',
        '{"id": 7, "result": {"buckets": 5}}',
        '{"id": 7, "result": {"buckets": [5]}}',
        '{"id": 7, "error": {"code": "x", "message": "m", "retry_after": null}, "status": 0}',
        '{"id": 7, "error": {"code": "x\\n", "message": "m", "retry_after": null}, "status": 1}',
        '{"id": 7, "error": {"code": "x", "message": 5, "retry_after": null}, "status": 1}',
        '{"id": 7, "error": {"code": "x", "message": "m", "retry_after": 1e300}, "status": 1}',
        '{"id": 7, "error": 5, "status": 1}',
        _answer(bucket=5),
        _answer(lease="\0"),
        _answer(priority="1"),
        _answer(priority=True),
        _answer(expires=5),
        _answer(users=[["x", 5]]),
        _answer(users=[{"screen_name": "../x", "id": 1}]),
        _answer(users=[{"screen_name": "x", "id": "5"}]),
    ],
)
def test_what_is_no_answer_is_nonsense(line: str) -> None:
    """The volunteer's side believes nothing that it cannot use."""
    with pytest.raises(Nonsense):
        protocol.leases(protocol.result(line.encode(), 7))
    with pytest.raises(Nonsense):
        protocol.greeting(line.encode())


def test_a_gate_of_another_version_is_nonsense() -> None:
    """A greeting says which it speaks; one with more in it is read."""
    said = json.loads(replace(GREETING, client=1).line())
    assert protocol.greeting(json.dumps(said | {"new": 1}).encode()).client == 1
    with pytest.raises(Nonsense):
        protocol.greeting(json.dumps(said | {"gate": 2}).encode())
