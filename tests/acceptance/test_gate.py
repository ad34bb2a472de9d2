"""The gate behind a real sshd: the operator's commands, one verb at a time, a conversation, and what is refused."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.graphs import MAX_WAIT_SECONDS, prepare
from support.invariants import Query, broken
from support.programs import Result
from support.sshd import Sshd, keygen, needs_sshd

from dmcheck_cli import __version__
from dmcheck_cli.database.connection import Database

Run = Callable[..., Result]
ROOT = Path(__file__).parents[2]
CHECKER = shlex.join([sys.executable, str(ROOT / "scripts" / "demo_checker.py")])


@pytest.fixture
def sshd(database: Database, environment: dict[str, str], tmp_path: Path) -> Iterator[Sshd]:
    """A gate before the test database, to which nobody has a key."""
    given = {**environment, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}
    with Sshd(tmp_path / "sshd", given) as running:
        yield running


@pytest.fixture
def operate(sshd: Sshd, direct: Run, tmp_path: Path) -> Run:
    """The operator's command line."""

    def command(*arguments: object, **variables: str) -> Result:
        keys = {"DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys), "XDG_STATE_HOME": str(tmp_path / "state")}
        return direct(*arguments, **{**keys, **variables})

    return command


class Volunteer:
    """A volunteer with nothing but ssh and a key."""

    def __init__(self, sshd: Sshd, name: str = "volunteer") -> None:
        self.environment = sshd.volunteer(name)
        self.key = sshd.key_of(name)
        self.where = sshd.gate

    def ssh(self, *words: str, stdin: str | bytes = b"", options: tuple[str, ...] = ()) -> Result:
        """Run ssh with a command."""
        done = subprocess.run(
            ["ssh", "-oBatchMode=yes", *options, self.where, *words],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            env=self.environment,
            capture_output=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def talking(self, command: str = "talk 1") -> Iterator[subprocess.Popen[bytes]]:
        """An open conversation, whose greeting was not read."""
        with subprocess.Popen(
            ["ssh", "-T", "-oBatchMode=yes", self.where, command],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def ask(process: subprocess.Popen[bytes], **request: Any) -> dict[str, Any]:
    """The answer to one request."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    return heard(process)


def _log(sshd: Sshd) -> str:
    """The gate's log."""
    return (sshd.folder.parent / "state" / "dmcheck" / "gate" / "log").read_text()


def heard(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The next line from the gate; {} at its end."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return dict(json.loads(line)) if line else {}


@pytest.fixture
def volunteer(sshd: Sshd, operate: Run, database: Database) -> Volunteer:
    """A volunteer with a key at the gate, and users to check."""
    prepare(database, [1], 40, size=10)
    one = Volunteer(sshd)
    added = operate("gate", "add", "--client", 42, "--screen-name", "@volunteer", "--key", one.key, "--json")
    assert (added.status, added.err) == (0, "")
    return one


@needs_sshd
def test_the_pipe_without_dmcheck_on_the_volunteers_machine(
    sshd: Sshd, volunteer: Volunteer, query: Query, tmp_path: Path
) -> None:
    """`ssh host fetch --json | checker | ssh host submit` until nothing is left: each user is answered once."""
    ssh = f"ssh -oBatchMode=yes {volunteer.where}"
    line = f"{ssh} fetch --count 2 --json | {CHECKER} | {ssh} submit --json"
    for _ in range(2):
        done = subprocess.run(["sh", "-c", line], env=volunteer.environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert [one["status"] for one in json.loads(done.stdout)["buckets"]] == ["done", "done"]
    assert query("MATCH (:DMCheckClient {id: 42})-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN count(r) AS n") == [{"n": 40}]
    used = query("MATCH (s:DMCheckClientStats) RETURN s.release AS release ORDER BY release")  # null comes last
    assert [one["release"] for one in used] == [f"{__version__} (gate)", None]
    assert broken(query) == []
    nothing = volunteer.ssh("fetch", "--json")
    assert (nothing.status, json.loads(nothing.out), nothing.error["code"]) == (
        3,
        {"client": 42, "buckets": []},
        "nothing_to_fetch",
    )


@needs_sshd
def test_each_verb_is_that_of_the_command_line(volunteer: Volunteer, operate: Run) -> None:
    """Documents, tables and statuses; the client is the key's."""
    [taken] = json.loads(volunteer.ssh("fetch --count 1 --request-id 'a b' --json").out)["buckets"]
    again = volunteer.ssh("dmcheck", "fetch", "--resume", "--client", "42", "--json")
    assert [one["lease"] for one in json.loads(again.out)["buckets"]] == [taken["lease"]]
    named = ("--bucket", taken["bucket"], "--lease", taken["lease"])
    assert json.loads(volunteer.ssh("renew", *named, "--json").out)["lease"] == taken["lease"]
    assert json.loads(volunteer.ssh("release", *named, "--format=json").out)["returned"] == 10
    stats = json.loads(volunteer.ssh("stats", "--json").out)
    assert [one["id"] for one in stats["clients"]] == [42]
    assert stats["system"]["users_total"] == 40
    assert volunteer.ssh("stats").out.startswith("id ")
    assert volunteer.ssh("version").out.startswith("dmcheck ")
    helped = volunteer.ssh("dmcheck --help")
    assert (helped.status, [verb in helped.out for verb in ("fetch", "submit", "register")]) == (0, [True, True, False])
    empty = volunteer.ssh("submit", "--json")
    assert (empty.status, empty.error["code"]) == (75, "temporary")
    assert "Nothing came in" in empty.error["message"]
    other = volunteer.ssh("fetch", "--client", "1", "--json")
    assert (other.status, other.error["code"]) == (1, "wrong_client")
    twice = volunteer.ssh("fetch", "--client", "43", "--client", "42", "--json")
    assert (twice.status, twice.error["code"]) == (1, "wrong_client")
    nobody = volunteer.ssh()
    assert (nobody.status, nobody.out) == (2, "")
    assert "It gives no shell" in nobody.err
    assert {one["reason"] for one in operate("gate", "list", "--json").document["refused"]} == {"wrong_client", "usage"}


@needs_sshd
def test_a_conversation(volunteer: Volunteer) -> None:
    """A greeting, then an answer to each request, also to wrong ones; one client's."""
    with volunteer.talking() as process:
        greeting = heard(process)
        assert (greeting["gate"], greeting["client"], greeting["lease_seconds"]) == (1, 42, 7200)
        assert "127.0.0.1" not in json.dumps(greeting)
        fetched = ask(process, id=1, verb="fetch", count=2, request_id="K")
        [first, second] = fetched["result"]["buckets"]
        held = sorted([first["lease"], second["lease"]])
        for again in (ask(process, id=2, verb="resume"), ask(process, id=3, verb="fetch", request_id="K")):
            assert again["result"]["client"] == 42
            assert sorted(one["lease"] for one in again["result"]["buckets"]) == held
        renewed = ask(process, id=4, verb="renew", bucket=first["bucket"], lease=first["lease"])
        assert renewed["result"]["expires"] >= first["expires"]
        given = ask(process, id=5, verb="release", bucket=first["bucket"], lease=first["lease"], failed=True)
        assert given == {"id": 5, "result": {"bucket": first["bucket"], "lease": first["lease"], "returned": 10}}
        users = [{**user, "candm": "DM"} for user in second["users"]]
        document = {"client": 42, "buckets": [{**second, "users": users}, {**second, "bucket": "x"}]}
        done, refused = ask(process, id=6, verb="submit", **document)["result"]["buckets"]
        assert (done["status"], done["accepted"], refused["reason"]) == ("done", 10, "unknown_bucket")
        wrong = ask(process, id=7, verb="fetch", request_id="L", client=1)
        assert (wrong["id"], wrong["error"]["code"], wrong["status"]) == (7, "wrong_client", 1)
        assert ask(process, id=8, verb="renew", bucket="no", lease="no")["error"]["code"] == "unknown_bucket"
        assert ask(process, id="9", verb="stats")["error"]["code"] == "malformed"
        [own] = ask(process, id=10, verb="stats")["result"]["clients"]
        assert (own["id"], own["buckets_processed"], own["buckets_failed"]) == (42, 1, 1)
        assert process.stdin is not None
        process.stdin.close()
        assert heard(process) == {}
        assert process.wait(MAX_WAIT_SECONDS) == 0


def test_a_key_in_a_pipe_that_nobody_writes_to(direct: Run, database: Database, query: Query, tmp_path: Path) -> None:
    """A wrong path ends at once, before anything is registered; the shell's own pipes are read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    given = ("gate", "add", "--client", 42, "--screen-name", "a", "--json", "--key")
    for name in ("pipe", "link"):
        refused = direct(*given, tmp_path / name)
        assert (refused.status, refused.error["code"]) == (2, "usage")
    assert query("MATCH (c:DMCheckClient) RETURN c") == []
    ours, theirs = os.pipe()
    os.write(theirs, b"no key\n")
    os.close(theirs)
    assert direct(*given, f"/dev/fd/{ours}").error["code"] == "malformed"
    os.close(ours)


@needs_sshd
def test_a_key_that_is_removed_while_it_is_connected(volunteer: Volunteer, sshd: Sshd, operate: Run) -> None:
    """Its next request is refused, which ends the conversation; new connections are refused by sshd."""
    with volunteer.talking() as process:
        assert heard(process)["client"] == 42
        assert "result" in ask(process, id=1, verb="stats")
        assert operate("gate", "remove", "--client", 42, "--json").document == {"removed": 1}
        refused = ask(process, id=2, verb="fetch", request_id="K")
        assert (refused["error"]["code"], refused["status"]) == ("not_admitted", 4)
        assert heard(process) == {}
    late = volunteer.ssh("fetch")
    assert late.status == 255
    assert "Permission denied" in late.err
    assert operate("gate", "remove", "--client", 42, "--json").document == {"removed": 0}


@needs_sshd
def test_who_comes_in(volunteer: Volunteer, sshd: Sshd, operate: Run, query: Query, tmp_path: Path) -> None:
    """add shows whose key it is, warns of what clients share, and refuses a key that another client has."""
    listed = operate("gate", "list", "--json").document["keys"]
    fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", volunteer.key], capture_output=True, check=True).stdout
    assert [one["client"] for one in listed] == [42]
    assert listed[0]["fingerprint"] in fingerprint.decode().split()
    before = sshd.authorized_keys.read_bytes()
    taken = operate("gate", "add", "--client", 43, "--screen-name", "other", "--key", volunteer.key, "--json")
    assert (taken.status, taken.error["code"]) == (1, "key_taken")
    assert query("MATCH (c:DMCheckClient {id: 43}) RETURN c") == []
    second = tmp_path / "second"
    keygen(second)
    more = ("--dm-from-id", 7, "--dm-from-screen-name", "sender", "--capacity", 3)
    key = second.with_suffix(".pub").read_text()
    added = operate("gate", "add", "--client", 44, "--screen-name", "@Volunteer", *more, "--json", stdin=key)
    assert added.status == 0
    assert added.document["warnings"] == ["client 42 has the same name: is it the same person?"]
    assert "client 42 has the same name" in added.err
    assert (added.document["client"]["capacity"], added.document["client"]["dm_from_id"]) == (3, 7)
    query("MATCH (c:DMCheckClient {id: 44}) SET c.screen_name = 'another'")
    own = ("gate", "add", "--client", 42, "--screen-name", "volunteer", "--key", volunteer.key, "--json")
    assert "warnings" not in operate(*own).document
    shared = operate(*own, "--dm-from-id", 7, "--dm-from-screen-name", "sender")
    assert shared.document["warnings"] == ["client 44 has the same dm_from_id: is it the same person?"]
    assert sshd.authorized_keys.read_bytes().startswith(before)
    assert operate("client", "suspend", 42).status == 0
    assert volunteer.ssh("fetch", "--json").error["code"] == "suspended"
    again = operate(*own)
    assert (again.status, again.error["code"]) == (1, "suspended")


@needs_sshd
def test_bounds(volunteer: Volunteer, sshd: Sshd, operate: Run) -> None:
    """Connections of a key and in all, requests in a minute: told, counted and logged."""
    sshd.set(DMCHECK_GATE_CONNECTIONS_PER_KEY="2", DMCHECK_GATE_CONNECTIONS="3")
    other = Volunteer(sshd, "other")
    assert operate("gate", "add", "--client", 43, "--screen-name", "other", "--key", other.key).status == 0
    with volunteer.talking() as one, volunteer.talking() as two, other.talking() as three:
        assert [heard(process)["gate"] for process in (one, two, three)] == [1, 1, 1]
        more = volunteer.ssh("fetch", "--json")
        assert (more.status, more.error["code"]) == (1, "too_fast")
        assert "2 connections" in more.error["message"]
        full = other.ssh("fetch", "--json")
        assert (full.status, full.error["code"]) == (75, "gate_full")
        assert full.error["retry_after"] > 0
    sshd.set(DMCHECK_GATE_REQUESTS_PER_MINUTE="1")
    with volunteer.talking() as process:
        assert heard(process)["gate"] == 1
        refused = ask(process, id=1, verb="stats")
        assert (refused["id"], refused["error"]["code"], refused["status"]) == (None, "too_fast", 1)
        assert "1 requests a minute" in refused["error"]["message"]
    shown = operate("gate", "list", "--json").document["refused"]
    assert [(one["client"], one["reason"], one["count"]) for one in shown] == [
        (42, "too_fast", 2),
        (43, "gate_full", 1),
    ]
    assert [json.loads(line)["reason"] for line in _log(sshd).splitlines()] == ["too_fast", "gate_full", "too_fast"]


@needs_sshd
def test_what_is_about_the_operator_stays_there(volunteer: Volunteer, sshd: Sshd, operate: Run) -> None:
    """A database that cannot be reached: the volunteer reads what to do, the log has the address."""
    sshd.set(NEO4J_URI="bolt://127.0.0.1:1", DMCHECK_TIMEOUT_SECONDS="1")
    told = volunteer.ssh("fetch", "--json")
    assert (told.status, told.error["code"]) == (75, "temporary")
    with volunteer.talking() as process:
        heard(process)
        said = ask(process, id=1, verb="stats")
    assert (said["status"], said["error"]["message"]) == (75, told.error["message"])
    assert "127.0.0.1" not in told.err + json.dumps(said)
    assert _log(sshd).count("cannot reach Neo4j at bolt://127.0.0.1:1") == 2


def test_a_gate_without_a_key_file_lets_nobody_in(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """Whatever runs `gate run`: the file decides. DMCHECK_GATE is ignored."""
    outside = {**environment, "DMCHECK_AUTHORIZED_KEYS": str(tmp_path / "none"), "SSH_ORIGINAL_COMMAND": "fetch --json"}
    command = [sys.executable, "-m", "dmcheck_cli", "gate", "run", "--client", "42"]
    for more in ({}, {"DMCHECK_GATE": "other@host"}):
        done = subprocess.run(
            command,
            env={**outside, **more, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert (done.returncode, json.loads(done.stderr)["error"]["code"]) == (4, "not_admitted")
    broken = {**outside, "DMCHECK_LEASE_SECONDS": "abc", "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(
        command, env={**broken, "PYTHONPATH": str(ROOT)}, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    assert (done.returncode, b"LEASE_SECONDS" in done.stderr) == (4, False)
    assert "DMCHECK_LEASE_SECONDS" in (tmp_path / "state" / "dmcheck" / "gate" / "log").read_text()
    assert os.listdir(tmp_path)
