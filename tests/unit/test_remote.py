"""The volunteer's side of a gate, against an `ssh` that follows a script: every end that a connection can have."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.gates import END, GREETING, SILENCE, FakeGate, answer, refusal

from dmcheck_cli import notices
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.errors import DmcheckError, NotConfigured, NothingToFetch, OverQuota, Temporary, WrongClient
from dmcheck_cli.gate.remote import Remote
from dmcheck_cli.gate.ssh import FOR_GOOD
from dmcheck_cli.settings import Settings

EXPIRES = answer(expires="2026-11-27T10:00:00Z")
GOOD: dict[str, Any] = {"answers": [GREETING, *[EXPIRES] * 3]}


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGate:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return FakeGate(tmp_path)


@pytest.fixture
def remote() -> Iterator[Remote]:
    with Remote(Settings(gate="dmcheck@host", timeout_seconds=10), 42) as one:
        yield one


def renew(remote: Remote) -> str:
    return remote.renew("a bucket", "a lease")


def test_one_connection_serves_many_requests(gate: FakeGate, remote: Remote) -> None:
    """ssh is given nothing to ask a person for, and no port or agent of ours; it is gone after `close`."""
    gate.follows(GOOD)
    assert [renew(remote) for _ in range(3)] == ["2026-11-27T10:00:00Z"] * 3
    assert remote.lease_seconds == 600
    assert [one["id"] for one in gate.requests()] == [1, 2, 3]
    [arguments] = gate.arguments()
    assert arguments[-3:] == ["--", "dmcheck@host", "talk 1"]
    assert {"-oBatchMode=yes", "-oForwardAgent=no", "-oClearAllForwardings=yes", "-oServerAliveInterval=1"} <= set(
        arguments
    )
    assert os.getsid(gate.pid()) != os.getsid(0), "Ctrl-C reaches ssh before the answers are handed in"
    remote.close()
    assert not psutil.pid_exists(gate.pid())


@pytest.mark.parametrize("said", [sign for sign, _ in FOR_GOOD])
def test_what_does_not_pass_is_not_tried_again(gate: FakeGate, remote: Remote, said: str) -> None:
    gate.follows({"stderr": f"dmcheck@host: {said} (here).\r\n", "status": 255}, GOOD)
    with pytest.raises(NotConfigured, match="The gate dmcheck@host cannot be used: ") as caught:
        renew(remote)
    assert said in caught.value.message
    assert "{" not in caught.value.message
    assert len(gate.arguments()) == 1


LOST = [
    {"stderr": "ssh: connect to host host port 22: Connection refused\r\n", "status": 255},
    {"answers": [GREETING], "ends": True},
    {"answers": [GREETING, END]},
    {"answers": [END]},
]


@pytest.mark.parametrize("lost", LOST)
def test_a_request_whose_answer_did_not_come_is_repeated(gate: FakeGate, remote: Remote, lost: dict[str, Any]) -> None:
    gate.follows(lost, GOOD)
    assert renew(remote) == "2026-11-27T10:00:00Z"
    assert len(gate.arguments()) == 2
    first = gate.requests()[0]
    assert all(one == first for one in gate.requests())


def test_a_repeated_fetch_has_the_same_request_id(gate: FakeGate, remote: Remote) -> None:
    gate.follows({"answers": [GREETING, END]}, {"answers": [GREETING, answer(buckets=[])]})
    assert remote.fetch(2, "K") == []
    assert [(one["verb"], one["count"], one["request_id"]) for one in gate.requests()] == [("fetch", 2, "K")] * 2


def test_a_last_word_between_two_requests_is_no_answer(gate: FakeGate, remote: Remote) -> None:
    """A gate that ends an idle connection says so: what comes next goes to a new one."""
    gate.follows({"answers": [GREETING, EXPIRES, refusal("temporary", 75)]}, GOOD)
    renew(remote)
    assert remote._ssh is not None
    os.write(remote._ssh._stdin.fileno(), b'{"id": 7}\n')
    while remote._ssh.silent():
        time.sleep(0.01)
    assert renew(remote) == "2026-11-27T10:00:00Z"
    assert len(gate.arguments()) == 2


@pytest.mark.parametrize(
    ("answers", "said"),
    [([SILENCE], "nothing was changed"), ([GREETING, SILENCE], "it may have taken effect or not")],
)
def test_silence_ends_in_time(gate: FakeGate, remote: Remote, answers: list[Any], said: str) -> None:
    """It says honestly whether the request was sent; ssh, which would wait for ever, is ended."""
    gate.follows({"answers": answers})
    remote.hurry(1)
    began = time.monotonic()
    with pytest.raises(Temporary, match=said):
        renew(remote)
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(gate.pid())


def test_lost_connections_end_in_time(gate: FakeGate, remote: Remote) -> None:
    gate.follows(LOST[0])
    remote.hurry(1)
    with pytest.raises(Temporary, match=r"Connection refused\) within 1 seconds; nothing was changed"):
        renew(remote)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (refusal("over_quota", 1, 7.5), OverQuota),
        (refusal("nothing_to_fetch", 3), NothingToFetch),
        (refusal("temporary", 75, 3.0), Temporary),
        (refusal("of_tomorrow", 75, 3.0), Temporary),
        (refusal("of_tomorrow", 4), NotConfigured),
        (refusal("of_tomorrow", 1), DmcheckError),
    ],
)
def test_errors_come_back_as_they_were(
    gate: FakeGate, remote: Remote, told: dict[str, Any], kind: type[DmcheckError]
) -> None:
    """With code, status, words and time; and the connection goes on."""
    gate.follows({"answers": [GREETING, told, EXPIRES]})
    with pytest.raises(kind) as caught:
        renew(remote)
    error = caught.value
    shown = {"code": error.code, "message": error.message, "retry_after": error.retry_after}
    assert (shown, error.exit_status) == (told["error"], told["status"])
    renew(remote)
    assert len(gate.arguments()) == 1


@pytest.mark.parametrize(
    "answers",
    [
        ["Welcome to host!"],
        [{**GREETING, "gate": 2}],
        [{**GREETING, "lease_seconds": "many"}],
        [GREETING, "no JSON"],
        [GREETING, {"id": 77, "result": {"expires": "2026-11-27T10:00:00Z"}}],
        [GREETING, answer(expires=7)],
        [GREETING, {"id": "same", "error": {"code": "x", "message": "y", "retry_after": -1}, "status": 1}],
    ],
)
def test_what_is_no_gate_is_said_and_left(gate: FakeGate, remote: Remote, answers: list[Any]) -> None:
    gate.follows({"answers": answers})
    with pytest.raises(NotConfigured, match="What answers at dmcheck@host is no gate"):
        renew(remote)
    assert not psutil.pid_exists(gate.pid())


def test_a_shell_without_dmcheck_is_no_gate(gate: FakeGate, remote: Remote) -> None:
    gate.follows({"stderr": "bash: line 1: talk: command not found\n", "status": 127})
    with pytest.raises(NotConfigured, match="no gate of dmcheck"):
        renew(remote)


def test_a_key_of_another_client_is_refused_here(gate: FakeGate, remote: Remote) -> None:
    gate.follows({"answers": [{**GREETING, "client": 43}]})
    with pytest.raises(WrongClient, match=r"client 43's.*42"):
        renew(remote)


@pytest.mark.parametrize(
    "bucket",
    [
        {"bucket": "another", "status": "done", "accepted": 1, "returned": 0, "refused": []},
        {"bucket": "B", "status": "refused", "accepted": 0, "returned": 0, "refused": [], "reason": "mood"},
    ],
)
def test_reports_that_do_not_fit_acknowledge_nothing(gate: FakeGate, remote: Remote, bucket: dict[str, Any]) -> None:
    gate.follows({"answers": [GREETING, answer(buckets=[bucket])]})
    with pytest.raises(NotConfigured, match="is no gate"):
        remote.submit([Answered("B", "L", {"NASA": "DM"})])


def test_two_leases_of_a_bucket_go_in_two_requests(gate: FakeGate, remote: Remote) -> None:
    """As `work` may have kept them; a document has a bucket once."""
    done = {"bucket": "B", "status": "done", "accepted": 1, "returned": 0, "refused": []}
    gate.follows({"answers": [GREETING, *[answer(buckets=[done])] * 2]})
    reports = remote.submit([Answered("B", lease, {"NASA": "DM"}) for lease in "LM"])
    assert [one.accepted for one in reports] == [1, 1]
    assert [[one["lease"] for one in request["buckets"]] for request in gate.requests()] == [["L"], ["M"]]


def test_what_ssh_says_is_shown_once_and_escaped(
    gate: FakeGate, remote: Remote, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also on a connection that works: a host may say what it likes there."""
    run = {"stderr": "a banner\x1b[2J\u202e\n", "answers": [GREETING, EXPIRES, END]}
    gate.follows(run, run)
    notices.choose(notices.Level.NORMAL)
    for _ in range(3):
        renew(remote)
    assert capfd.readouterr().err == "ssh: a banner\\x1b[2J\\u202e\n"


def test_without_ssh(remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotConfigured, match="needs the program `ssh`"):
        renew(remote)
