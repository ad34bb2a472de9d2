"""`dmcheck work`: real processes of it, with small checkers that are good, slow, silent, noisy, deaf or broken."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.graphs import MAX_WAIT_SECONDS, counters, may_hold, pass_time, prepare, start, wait_until
from support.invariants import Query, broken
from support.programs import at_home
from support.working import (
    CLEAN,
    CLIENT,
    FILTER,
    Checker,
    Way,
    answered_users,
    ended,
    gone,
    held,
    interruptible,
    noted,
    work,
)

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.embedded import server
from dmcheck_cli.embedded.parts import DEFAULT_VERSION, jars
from dmcheck_cli.errors import TooFast
from dmcheck_cli.notices import Progress
from dmcheck_cli.service import Direct
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import clients, leases, schema
from dmcheck_cli.worker.command import Command, Ending
from dmcheck_cli.worker.fetcher import Fetcher
from dmcheck_cli.worker.keeping import AnswerFile
from dmcheck_cli.worker.loop import Limits, Loop
from dmcheck_cli.worker.pool import Pool
from dmcheck_cli.worker.protocol import MAX_LINE, Conversation
from dmcheck_cli.worker.signals import SAME_REQUEST_SECONDS

BATCH = """
users = [json.loads(line) for line in sys.stdin]
for user in reversed(users):
    say(user, "NON_DM")
"""
ECHO = """
for line in sys.stdin:
    print(line, end="")
"""
HALF_THEN_WAIT = """
users = [json.loads(line) for line in sys.stdin]
for user in users[:len(users) // 2]:
    say(user, "DM")
note("half")
wait_for("go")
for user in users[len(users) // 2:]:
    say(user, "DM")
"""


@pytest.mark.parametrize("body", [FILTER, BATCH], ids=["filter", "batch"])
def test_once_works_off_what_there_is(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, body: str
) -> None:
    """Filters and batches alike are taken through all buckets; then it ends with 0, a summary, and nothing held."""
    prepare(database, [CLIENT], 20, size=4)

    status, summary, _ = work(environment, "--once", "--", *checker(body))

    assert (status, summary) == (0, {"client": CLIENT, "buckets": 5, "users": 20, "failures": CLEAN})
    assert answered_users(query) == 20
    assert counters(query, CLIENT) == (5, 5, 0, 0)
    assert broken(query) == []


def test_nothing_to_do(database: Database, environment: dict[str, str], checker: Checker) -> None:
    """With --once and no bucket it ends with 3, with a summary all the same."""
    prepare(database, [CLIENT])
    status, summary, err = work(environment, "--once", "--", *checker(FILTER))
    assert (status, summary["buckets"]) == (3, 0)
    assert json.loads(err[-1])["error"]["code"] == "nothing_to_fetch"


def test_what_was_held_is_resumed(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """A lease from before is worked on first, under its own id; no other is taken where --max-buckets forbids it."""
    prepare(database, [CLIENT], 8, size=4)
    [lease] = leases.fetch(database, CLIENT, 1, "before")

    status, summary, _ = work(environment, "--max-buckets", 1, "--", *checker(FILTER))

    assert (status, summary["buckets"], summary["users"]) == (0, 1, 4)
    ended = query("MATCH (l:DMCheckLease {id: $id}) RETURN l.how AS how, l.dm AS dm", id=lease.lease)
    assert ended == [{"how": "answered", "dm": 4}]
    assert counters(query, CLIENT) == (1, 1, 0, 0)


def test_resumed_leases_beyond_the_limit_are_given_back(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """Three were held, one may be worked on: the other two wait again, unpunished."""
    prepare(database, [CLIENT], 12, size=4)
    leases.fetch(database, CLIENT, 3, "before")
    status, summary, _ = work(environment, "--max-buckets", 1, "--", *checker(FILTER))
    assert (status, summary["buckets"]) == (0, 1)
    assert held(query) == 0
    assert counters(query, CLIENT) == (3, 1, 0, 0)


def test_a_small_quota_is_worked_with(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """A client that may hold one lease gets its next bucket when it has handed in the last."""
    clients.register(database, CLIENT, "client", capacity=1)
    prepare(database, [], 12, size=4)

    status, summary, _ = work(environment, "--once", "--jobs", 2, "--", *checker(FILTER))

    assert (status, summary["users"], summary["failures"]) == (0, 12, CLEAN)


def test_a_stop_hands_in_what_is_answered_and_gives_back_the_rest(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """SIGTERM: half of a bucket is submitted, the bucket that waited is released, no process is left, status 0."""
    prepare(database, [CLIENT], 12, size=6)
    with start(environment, "work", "--json", "--client", CLIENT, "--", *checker(HALF_THEN_WAIT)) as process:
        wait_until(lambda: bool(noted(tmp_path, "half")) and held(query) == 2)
        process.send_signal(signal.SIGTERM)
        status, summary, _ = ended(process)

    assert (status, summary["buckets"], summary["users"], summary["failures"]) == (0, 1, 3, CLEAN)
    assert (answered_users(query), held(query)) == (3, 0)
    assert counters(query, CLIENT) == (2, 1, 0, 0)
    assert all(gone(pid) for pid in noted(tmp_path, "half"))
    assert broken(query) == []


def test_a_deaf_command_is_killed_with_all_that_it_started(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """A COMMAND and a child of its own that ignore SIGTERM get SIGKILL after --kill-after; Ctrl-C is a stop, too."""
    prepare(database, [CLIENT], 4, size=4)
    deaf = checker(
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.DEVNULL)
    wait_for("child_is_up")
else:
    (here / "child_is_up").touch()
note("deaf")
time.sleep(600)
"""
    )
    arguments = ("work", "--json", "--client", CLIENT, "--kill-after", 0.2, "--", *deaf)
    with interruptible(), start(environment, *arguments) as process:
        wait_until(lambda: len(noted(tmp_path, "deaf")) == 2)
        process.send_signal(signal.SIGINT)
        status, summary, _ = ended(process)

    assert (status, summary["buckets"], held(query)) == (0, 0, 0)
    wait_until(lambda: all(gone(pid) for pid in noted(tmp_path, "deaf")))


def test_a_second_signal_ends_at_once(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """It does not wait for a COMMAND that takes long to end; that one is killed. The lease stays, to be resumed."""
    prepare(database, [CLIENT], 4, size=4)
    slow_to_end = checker(
        """
def on_term(*_):
    note("asked")
    time.sleep(600)
signal.signal(signal.SIGTERM, on_term)
note("up")
time.sleep(600)
"""
    )
    with start(environment, "work", "--client", CLIENT, "--kill-after", 600, "--", *slow_to_end) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: bool(noted(tmp_path, "asked")))
        time.sleep(SAME_REQUEST_SECONDS + 0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(MAX_WAIT_SECONDS) == 128 + signal.SIGTERM

    wait_until(lambda: all(gone(pid) for pid in noted(tmp_path, "up")))
    assert held(query) == 1


def test_jobs_run_side_by_side(database: Database, query: Query, environment: dict[str, str], checker: Checker) -> None:
    """With --jobs 3 three COMMANDs are at work at one moment: each of the first three waits for the others."""
    prepare(database, [CLIENT], 18, size=3)
    together = checker("note('here')\nwhile len(list(here.glob('here-*'))) < 3:\n    time.sleep(0.02)\n" + FILTER)
    status, summary, _ = work(environment, "--once", "--jobs", 3, "--", *together)
    assert (status, summary["buckets"], summary["users"]) == (0, 6, 18)
    assert counters(query, CLIENT) == (6, 6, 0, 0)
    assert broken(query) == []


def test_nonsense_is_counted_and_does_no_harm(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """Lines that are no answer, answers for strangers and second answers change nothing; a last line needs no end."""
    prepare(database, [CLIENT], 4, size=4)
    noisy = checker(
        """
users = [json.loads(line) for line in sys.stdin]
sys.stdout.buffer.write(b"\\xff\\xfe not text\\n" + b"x" * 200_000 + b"\\n[1]\\n\\n")
sys.stdout.flush()
say({"screen_name": users[0]["screen_name"]}, "PERHAPS")
say({"screen_name": "a_stranger"}, "DM")
for user in users[:-1]:
    say(user, "DM")
say(users[0], "NON_DM")
print(json.dumps({"screen_name": "@" + users[-1]["screen_name"], "candm": "DM"}), end="")
"""
    )
    status, summary, _ = work(environment, "--once", "--", *noisy)
    assert (status, summary["users"]) == (0, 4)
    assert summary["failures"] == {**CLEAN, "garbage": 4, "strangers": 1, "answered_twice": 1}
    assert len(query("MATCH ()-[r:DM_YES]->() RETURN r")) == 4
    assert counters(query, CLIENT) == (1, 1, 0, 0)  # no fault: strangers are not even submitted


def test_the_answers_of_a_command_that_fails_are_used(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """Two of four are answered before it dies: they are submitted, the others wait again; --once does not try again."""
    prepare(database, [CLIENT], 4, size=4)
    dying = checker("for _ in range(2):\n    say(json.loads(sys.stdin.readline()), 'DM')\nsys.exit(7)\n")
    status, summary, err = work(environment, "--once", "--", *dying)
    assert (status, summary["buckets"], summary["users"]) == (0, 1, 2)
    assert summary["failures"] == {**CLEAN, "command_failed": 1}
    assert any("exit status 7" in line for line in err)
    assert (answered_users(query), held(query)) == (2, 0)


@pytest.mark.parametrize(
    ("body", "kind"),
    [("sys.exit(1)", "command_failed"), ("os.kill(os.getpid(), signal.SIGKILL)", "command_failed"), ("", "no_answers")],
    ids=["fails", "is killed", "says nothing"],
)
def test_a_command_that_always_fails_ends_the_work(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, body: str, kind: str
) -> None:
    """After five failures without an answer it ends with 1 and `command_failed`, and has given everything back."""
    prepare(database, [CLIENT], 8, size=4)
    status, summary, err = work(environment, "--", *checker(body))
    assert status == 1
    assert json.loads(err[-1])["error"]["code"] == "command_failed"
    assert summary["failures"] == {**CLEAN, kind: 5}
    assert (held(query), answered_users(query)) == (0, 0)
    assert counters(query, CLIENT)[1:] == (0, 0, 0)


def test_a_hanging_command_is_ended(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """No new answer for --command-timeout: it is ended, counted, and what it had answered is used."""
    prepare(database, [CLIENT], 4, size=4)
    arguments = ("--once", "--command-timeout", 0.5, "--kill-after", 0.2)
    status, summary, _ = work(
        environment, *arguments, "--", *checker("say(json.loads(input()), 'DM')\ntime.sleep(600)")
    )
    assert (status, summary["users"]) == (0, 1)
    assert summary["failures"] == {**CLEAN, "command_timeout": 1}
    assert held(query) == 0


def test_a_command_that_cannot_tell_is_no_failure(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """Lines without candm are no answer: the bucket is given back, unpunished, and with --once not begun again."""
    prepare(database, [CLIENT], 8, size=4)
    status, summary, _ = work(environment, "--once", "--", *checker("note('began')\n" + ECHO))
    assert (status, summary["buckets"], summary["failures"]) == (0, 0, CLEAN)
    assert held(query) == 0
    assert counters(query, CLIENT)[1:] == (0, 0, 0)


def test_leases_are_renewed_while_a_command_works(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The bucket at work gets its full time again, long before it is over, and no other is held while nothing is known
    of COMMAND's pace; meanwhile nothing is a zombie, and waiting costs no processor time."""
    prepare(database, [CLIENT], 8, size=4)
    arguments = ("work", "--json", "--client", CLIENT, "--once", "--", *checker("wait_for('go')\n" + FILTER))
    with start({**environment, "DMCHECK_LEASE_SECONDS": "3"}, *arguments) as process:
        renewed = "MATCH (b:DMCheckBucket) WHERE b.renewed_datetime > b.assigned_datetime RETURN b.uuid AS b"
        wait_until(lambda: len(query(renewed)) == 1)
        assert held(query) == 1
        itself = psutil.Process(process.pid)
        assert [one.status() for one in itself.children()].count(psutil.STATUS_ZOMBIE) == 0
        before = sum(itself.cpu_times()[:2])
        time.sleep(0.5)
        assert sum(itself.cpu_times()[:2]) - before < 0.25
        (tmp_path / "go").touch()
        status, summary, _ = ended(process)
    assert (status, summary["users"], summary["failures"]) == (0, 8, CLEAN)


def test_a_lost_lease_is_dropped(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The bucket went to another client while COMMAND worked: COMMAND is ended, the loss counted, work goes on."""
    prepare(database, [CLIENT, 43], 4, size=4)
    arguments = ("work", "--json", "--client", CLIENT, "--max-buckets", 1, "--", *checker("note('up')\nwait_for('go')"))
    with start({**environment, "DMCHECK_LEASE_SECONDS": "3"}, *arguments) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        [mine] = leases.resume(database, CLIENT)
        leases.release(database, CLIENT, mine.bucket, mine.lease)
        leases.fetch(database, 43, 1, "theirs")
        status, summary, _ = ended(process)
    assert (status, summary["buckets"]) == (0, 0)
    assert summary["failures"] == {**CLEAN, "lease_lost": 1}
    assert all(gone(pid) for pid in noted(tmp_path, "up"))
    assert [lease.bucket for lease in leases.resume(database, 43)] == [mine.bucket]


def test_an_idle_loop_finds_new_buckets_and_stops(
    database: Database, query: Query, environment: dict[str, str], checker: Checker
) -> None:
    """Where nothing waits it looks again later; SIGTERM while it is idle ends it with 0."""
    prepare(database, [CLIENT])
    with start(environment, "work", "--json", "--client", CLIENT, "--", *checker(FILTER)) as process:
        assert process.stderr is not None
        assert "No bucket is waiting" in process.stderr.readline()
        prepare(database, [], 4, size=4)
        wait_until(lambda: answered_users(query) == 4)
        process.send_signal(signal.SIGTERM)
        status, summary, _ = ended(process)
    assert (status, summary["users"]) == (0, 4)


def test_who_may_not_work_is_told_at_once(database: Database, environment: dict[str, str], checker: Checker) -> None:
    """Not registered: 1. Rejected by the database: 4. No such COMMAND, or none: 2. Nothing is begun."""
    good = checker(FILTER)
    wrong = {**environment, "NEO4J_PASSWORD": "wrong" * 3}
    for where, command, expected, code in (
        (environment, good, 1, "not_registered"),
        (wrong, good, 4, "not_configured"),
        (environment, ["./no-such-checker"], 2, "usage"),
        (environment, [], 2, "usage"),
    ):
        status, _, err = work(where, "--", *command)
        assert (status, json.loads(err[-1])["error"]["code"]) == (expected, code)


def test_unregistering_ends_the_work(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """A client that is unregistered while COMMAND works ends with 1, and COMMAND with it."""
    prepare(database, [CLIENT], 4, size=4)
    arguments = ("work", "--json", "--client", CLIENT, "--", *checker("note('up')\nwait_for('go')"))
    with start({**environment, "DMCHECK_LEASE_SECONDS": "3"}, *arguments) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        clients.unregister(database, CLIENT, f"client{CLIENT}")
        status, _, err = ended(process)
    assert status == 1
    assert json.loads(err[-1])["error"]["code"] == "not_registered"
    assert all(gone(pid) for pid in noted(tmp_path, "up"))


def test_answers_are_kept_while_the_database_is_away(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The way to the database is cut while COMMAND works: its answers are handed in once it is there again."""
    prepare(database, [CLIENT], 8, size=4)
    host, port = environment["NEO4J_URI"].removeprefix("bolt://").split(":")
    with Way(host, int(port)) as way:
        through = {**environment, "NEO4J_URI": f"bolt://127.0.0.1:{way.port}", "DMCHECK_TIMEOUT_SECONDS": "1"}
        arguments = (
            "work",
            "--json",
            "--client",
            CLIENT,
            "--once",
            "--",
            *checker("note('up')\nwait_for('go')\n" + FILTER),
        )
        with start(through, *arguments) as process:
            wait_until(lambda: bool(noted(tmp_path, "up")))
            way.cut()
            (tmp_path / "go").touch()
            assert process.stderr is not None
            while "are kept" not in (line := process.stderr.readline()):
                assert line, "it says that it keeps them"
            way.mend()
            status, summary, _ = ended(process)
    assert (status, summary["buckets"], summary["users"]) == (0, 2, 8)
    assert summary["failures"]["temporary"] >= 1
    assert counters(query, CLIENT) == (2, 2, 0, 0)


def test_a_restart_of_the_embedded_database_is_survived(
    environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The server is killed with -9 while COMMAND works: it is started again, and every user is answered once."""
    folder = jars(Settings.load(), DEFAULT_VERSION, Progress(shown=False))[0].parent
    settings = at_home(tmp_path / "home", jars_folder=str(folder))
    kept = {name: value for name, value in environment.items() if not name.startswith("NEO4J_")}
    here = {**kept, "DMCHECK_HOME": str(settings.home), "DMCHECK_JARS_FOLDER": str(folder)}
    try:
        with Database(settings, "tests") as database:
            schema.apply(database)
            prepare(database, [CLIENT], 8, size=4)
        command = checker("note('up')\nwait_for('go')\n" + FILTER)
        with start(here, "work", "--json", "--client", CLIENT, "--once", "--", *command) as process:
            wait_until(lambda: bool(noted(tmp_path, "up")))
            running = server.find(settings)
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
            (tmp_path / "go").touch()
            status, summary, _ = ended(process)
        assert (status, summary["users"]) == (0, 8)
        with Database(settings, "tests") as database:
            assert answered_users(database.run_text) == 8
            assert broken(database.run_text) == []
    finally:
        server.stop(settings)


def test_a_terminal_gets_a_live_line(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """On a terminal, stderr has a line that says what is at work; it is gone in the end, and stdout is not touched."""
    prepare(database, [CLIENT], 4, size=4)
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "from dmcheck_cli.cli import main; main()",
        "work",
        "--json",
        "--client",
        str(CLIENT),
    ]
    with subprocess.Popen(
        [*command, "--once", "--", *checker(HALF_THEN_WAIT)],
        env={**environment, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"1 in work (2 of 4 users)" not in seen:
            seen += os.read(ours, 4096)
        (tmp_path / "go").touch()
        with suppress(OSError):  # that is how a terminal tells that nobody writes to it any more
            while piece := os.read(ours, 4096):
                seen += piece
        out, _ = process.communicate(timeout=MAX_WAIT_SECONDS)
    os.close(ours)
    assert (process.returncode, json.loads(out)["users"]) == (0, 4)
    assert b"4 of 4 users answered" in seen
    assert seen.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h"))  # the line is erased, the cursor is back


def test_a_bucket_larger_than_any_pipe(checker: Checker) -> None:
    """A filter whose input and output both exceed what pipes hold is neither starved nor choked."""
    users = [User(f"user{i:05}", i + 1) for i in range(8000)]
    wordy = checker("for line in sys.stdin:\n    say({**json.loads(line), 'more': 'x' * 500}, 'DM')\n")
    ending, said = drive(wordy, users)
    assert (ending, len(said.answers)) == (Ending.done, 8000)


def test_progress_keeps_a_slow_command_alive(checker: Checker) -> None:
    """The timeout counts from the last new answer: what takes longer as a whole is not ended."""
    users = [User(f"user{i}", None) for i in range(12)]
    slow = checker("for line in sys.stdin:\n    time.sleep(0.5)\n    say(json.loads(line), 'DM')\n")
    began = time.monotonic()
    ending, said = drive(slow, users, timeout=5)
    assert (ending, len(said.answers)) == (Ending.done, 12)
    assert time.monotonic() - began > 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("while True:\n    print('y')\n", Ending.failed),
        ("say(json.loads(input()), 'DM')\nos.close(1)\ntime.sleep(600)\n", Ending.done),
        ("say(json.loads(input()), 'DM')\nsubprocess.Popen(['sleep', '5'])\n", Ending.done),
        ("os.close(0)\nsay({'screen_name': 'user0'}, 'DM')\n", Ending.done),
    ],
    ids=["floods", "closes its stdout and stays", "leaves a child with its stdout", "does not read"],
)
def test_odd_commands_are_ended_in_time(checker: Checker, body: str, expected: Ending) -> None:
    """Each has ended, long before its timeout, and what made sense of its output is there."""
    began = time.monotonic()
    ending, said = drive(checker(body), [User(f"user{i}", None) for i in range(5000)])
    assert ending is expected
    assert len(said.answers) == (expected is Ending.done)
    assert time.monotonic() - began < 60


def test_an_endless_line_takes_no_memory() -> None:
    """What is longer than a line can be is not kept; it counts as one line of garbage, and the next line is heard."""
    said = Conversation([User("someone", 1)])
    for _ in range(100):
        said.hear(b"x" * MAX_LINE)
        assert len(said._rest) <= MAX_LINE
    said.hear(b'x\n{"screen_name": "someone", "candm": "UNKNOWN"}\n')
    assert (said.garbage, said.answers) == (1, {"someone": "UNKNOWN"})


def test_answers_may_come_in_any_pieces() -> None:
    """However the output is cut, it is heard the same."""
    said = Conversation([User("someone", 1)])
    for byte in b'{"screen_name": "someone", "candm": null}\n{"screen_name": "someone", "candm": "DM"}':
        said.hear(bytes([byte]))
    said.end()
    assert (said.answers, said.undecided, said.noise) == ({"someone": "DM"}, set(), 0)


@pytest.fixture
def service(database: Database) -> Iterator[Direct]:
    """The client's verbs."""
    with Direct(database.settings, CLIENT, "tests") as one:
        yield one


def test_who_was_too_fast_waits_as_told_and_goes_on(service: Direct, database: Database, query: Query) -> None:
    """Also with --once: a pause is not the end of the buckets. It is told once, and ends with the time it named."""
    prepare(database, [CLIENT], 8, size=4)
    told: list[str] = []
    fetcher = Fetcher(service, True, told.append)
    query("MATCH (s:DMCheckClientStats) SET s.next_fetch = datetime() + duration('PT1M')")
    began = time.monotonic()
    for _ in range(2):
        assert fetcher.fetch(2) == []
        assert isinstance(fetcher.refusal, TooFast)
        assert fetcher.refusal.retry_after is not None
        assert not fetcher.exhausted
        assert fetcher.at >= began + fetcher.refusal.retry_after
    assert ["keeps fetching without submitting" in line for line in told] == [True]
    pass_time(query, 60)
    assert len(fetcher.fetch(2)) == 2


def test_a_small_allowance_is_told_once(service: Direct, database: Database, query: Query) -> None:
    """Who wants two buckets and may hold one is refused after each bucket, and hears of it when that begins; once one
    ends, it may ask at once."""
    prepare(database, [CLIENT], 12, size=4)
    may_hold(query, CLIENT, 1)
    told: list[str] = []
    fetcher = Fetcher(service, False, told.append)
    for _ in range(3):
        [lease] = fetcher.fetch(2)
        assert fetcher.fetch(1) == []
        assert fetcher.at > time.monotonic() + 30
        leases.release(database, CLIENT, lease.bucket, lease.lease)
        fetcher.freed(0)
        assert fetcher.at <= time.monotonic()
    assert ["holds as many leases as it may (1)" in line for line in told] == [True]


def test_a_repeated_request_whose_leases_have_ended_is_not_the_end(service: Direct, database: Database) -> None:
    """The outcome of a fetch was unknown for so long that what it leased was released: other buckets still wait."""
    prepare(database, [CLIENT], 8, size=4)
    [lease] = leases.fetch(database, CLIENT, 1, "unknown outcome")
    leases.release(database, CLIENT, lease.bucket, lease.lease)
    fetcher = Fetcher(service, True, print)
    fetcher._request = "unknown outcome"
    assert fetcher.fetch(2) == []
    assert not fetcher.exhausted
    assert fetcher.at <= time.monotonic()
    assert len(fetcher.fetch(2)) == 2


def test_a_lease_lost_after_its_command_ended_is_no_failure(
    service: Direct, database: Database, tmp_path: Path
) -> None:
    """Nor one of the few tries of a COMMAND that has answered nothing yet: else, with none left and too few failures to
    end the work, the next bucket would be held for ever."""
    prepare(database, [CLIENT, 43], 4, size=4)
    file = AnswerFile(tmp_path, CLIENT, service.place)
    file.open()
    pool = Pool(["false"], 1, 60, 1)
    loop = Loop(service, CLIENT, pool, file, Limits(), 10)
    pool.start()
    loop._turn()
    wait_until(lambda: not pool.finished.empty())
    [mine] = leases.resume(database, CLIENT)
    leases.release(database, CLIENT, mine.bucket, mine.lease)
    leases.fetch(database, 43, 1, "theirs")
    loop._holdings.doubt_all()
    loop._turn()
    loop._wait()
    assert (loop.summary.failures["lease_lost"], loop._fruitless, pool._tries) == (1, 0, 0)
    pool.stop()
    pool.join()
    file.close()


def drive(command: list[str], users: list[User], timeout: float = 60) -> tuple[Ending, Conversation]:
    """One COMMAND, without a database."""
    said = Conversation(users)
    child = Command(command, said, timeout, kill_after=0.3)
    try:
        return child.run(), said
    finally:
        child.close()
