"""What happens to a volunteer's machine while `dmcheck work` runs: kills, terminals, clocks, passwords, limits.

No finished answer is lost or asked for twice, and a lease is held only while something works on it.
"""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.graphs import MAX_WAIT_SECONDS, counters, pass_time, prepare, start, wait_until
from support.invariants import Query, broken
from support.programs import Result, launcher
from support.working import CLEAN, CLIENT, FILTER, Checker, Way, answered_users, ended, gone, held, noted, work

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import clients, leases
from dmcheck_cli.worker.signals import SAME_REQUEST_SECONDS
from jobs import reclaim_leases

Run = Callable[..., Result]
LOOP = ("work", "--json", "--client", CLIENT)
HALF = """
users = [json.loads(line) for line in sys.stdin]
for user in users if (here / "go").exists() else users[:len(users) // 2]:
    ask(user)
    say(user, "DM")
note("half")
wait_for("go")
"""
SILENT = "note('up')\nwait_for('go')\n" + FILTER


def asked(folder: Path) -> list[str]:
    """Whom COMMAND has looked up, in all runs."""
    return (folder / "asked").read_text().split()


def pending(run: Run) -> tuple[int, Path]:
    """How many answers are kept, and where."""
    shown = run("work", "--pending", "--client", CLIENT, "--json").document
    assert set(shown) == {"client", "answers", "file"}
    return shown["answers"], Path(shown["file"])


def killed_half_way(environment: dict[str, str], command: list[str], folder: Path, run: Run) -> Path:
    """A loop that is killed with -9 when half of a bucket of six is answered; returns the file."""
    with start(environment, *LOOP, "--", *command) as process:
        wait_until(lambda: bool(noted(folder, "half")) and pending(run)[0] == 3)
        process.kill()
    (folder / "go").touch()
    return pending(run)[1]


def test_after_a_kill_the_answers_are_handed_in_first(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """kill -9 in the middle of a bucket: the next `work` submits what was answered, and asks for nobody twice."""
    prepare(database, [CLIENT], 6, size=6)
    file = killed_half_way(environment, checker(HALF), tmp_path, run)
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(file.read_bytes() + b'{"bucket": "half of a li')  # the line in flight

    status, summary, err = work(environment, "--once", "--", *checker(HALF))

    assert (status, summary["users"], summary["failures"]) == (0, 6, CLEAN)
    assert any("3 kept answers handed in" in line for line in err)
    assert sorted(asked(tmp_path)) == sorted({*asked(tmp_path)})
    assert (answered_users(query), pending(run)[0]) == (6, 0)
    assert counters(query, CLIENT) == (2, 2, 0, 0)
    assert broken(query) == []


def test_another_machine_hands_them_in(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """`submit FILE` takes the file wherever it is, twice with the same result; a line that is half written is left
    out."""
    prepare(database, [CLIENT], 6, size=6)
    file = killed_half_way(environment, checker(HALF), tmp_path, run)
    carried = tmp_path / "stick"
    carried.write_bytes(file.read_bytes() + b'{"bucket": "half of a li')
    for _ in range(2):
        [report] = run("submit", "--client", CLIENT, carried, "--json", HOME="/nonexistent").document["buckets"]
        assert (report["status"], report["accepted"], report["returned"]) == ("partial", 3, 3)
    assert answered_users(query) == 3
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    older = "".join(json.dumps({**line, "lease": "older"}) + "\n" for line in lines)
    carried.write_text(older + file.read_text())
    refused, taken = json.loads(run("submit", "--client", CLIENT, carried, "--json").out)["buckets"]
    assert (refused["status"], taken["status"], taken["accepted"]) == ("refused", "partial", 3)
    carried.write_bytes(b"no line\n" + carried.read_bytes())
    assert run("submit", "--client", CLIENT, carried).status == 2


def test_a_lease_that_was_lost_meanwhile_is_told(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """The bucket was leased again: the kept answers are refused, said, and kept no longer."""
    prepare(database, [CLIENT, 43], 6, size=6)
    killed_half_way(environment, checker(HALF), tmp_path, run)
    [mine] = leases.resume(database, CLIENT)
    leases.release(database, CLIENT, mine.bucket, mine.lease)
    leases.fetch(database, 43, 1, "theirs")
    status, summary, err = work(environment, "--once", "--", *checker(HALF))
    assert (status, summary["failures"]["lease_lost"]) == (3, 1)
    assert any("3 kept answers come too late (lease_lost)" in line for line in err)
    assert pending(run)[0] == 0


def test_answers_for_another_database_stay(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """Answers that came from elsewhere are not handed in here, which would lose them; it says so."""
    prepare(database, [CLIENT])
    _, file = pending(run)
    file.parent.mkdir(parents=True)
    file.write_text('{"bucket": "b", "lease": "l", "database": "far:1/", "screen_name": "a", "candm": "DM"}\n')
    status, _, err = work(environment, "--once", "--", *checker(FILTER))
    assert (status, pending(run)[0]) == (3, 1)
    assert any("1 answers for another database are kept" in line for line in err)


def test_a_stop_while_the_database_is_away_says_what_is_kept(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """COMMAND has finished, the database is out of reach, SIGTERM: 75, the answers are kept, and the next run asks for
    nobody again."""
    prepare(database, [CLIENT], 8, size=4)
    host, port = environment["NEO4J_URI"].removeprefix("bolt://").split(":")
    looks_up = checker(
        "note('up')\nwait_for('go')\nfor line in sys.stdin:\n    ask(json.loads(line))\n    print("
        "line.replace('}', ', \"candm\": \"DM\"}'), end='', flush=True)\n"
    )
    with Way(host, int(port)) as way:
        through = {**environment, "NEO4J_URI": f"bolt://{host}:{way.port}", "DMCHECK_TIMEOUT_SECONDS": "1"}
        with start(through, *LOOP, "--", *looks_up) as process:
            wait_until(lambda: bool(noted(tmp_path, "up")))
            way.cut()
            (tmp_path / "go").touch()
            assert process.stderr is not None
            while "are kept" not in (line := process.stderr.readline()):
                assert line, "it says that it keeps them"
            process.send_signal(signal.SIGTERM)
            status, _, err = ended(process)
        assert status == 75
        assert any("4 answers are kept in" in line and "submit" in line for line in err)
        way.mend()
        status, summary, _ = work(through, "--once", "--", *looks_up)
    assert (status, summary["users"], len(asked(tmp_path))) == (0, 8, 8)
    assert answered_users(query) == 8


def test_a_second_loop_is_refused(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """One loop for each client on a machine: the second ends with 1, `already_running` and what to do, and begins
    nothing."""
    prepare(database, [CLIENT, 43], 8, size=4)
    with start(environment, *LOOP, "--max-buckets", 1, "--", *checker(SILENT)) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        status, summary, err = work(environment, "--once", "--", *checker(SILENT))
        error = json.loads(err[-1])["error"]
        assert (status, summary, error["code"], "--jobs" in error["message"]) == (1, None, "already_running", True)
        assert (len(noted(tmp_path, "up")), str(process.pid) in error["message"]) == (1, True)
        (tmp_path / "go").touch()
        assert ended(process)[0] == 0


def test_answers_of_a_bucket_at_work_are_not_handed_in_from_outside(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """`submit FILE` of what a loop has in hand, or of a copy, would lose what is answered later."""
    prepare(database, [CLIENT], 6, size=6)
    with start(environment, *LOOP, "--once", "--", *checker(HALF)) as process:
        wait_until(lambda: bool(noted(tmp_path, "half")) and pending(run)[0] == 3)
        file = pending(run)[1]
        copy = tmp_path / "copy"
        copy.write_bytes(file.read_bytes())
        for one in (file, copy):
            refused = run("submit", "--client", CLIENT, one, "--json")
            assert (refused.status, refused.error["code"]) == (1, "already_running")
        process.send_signal(signal.SIGTERM)
        status, summary, _ = ended(process)
    assert (status, summary["users"], answered_users(query)) == (0, 3, 3)
    assert run("submit", "--client", CLIENT, copy).status == 0


LATER = """
user = json.loads(sys.stdin.readline())
note("began")
if len(list(here.glob("began-*"))) < 3:
    {told}
    sys.exit(75)
say(user, "DM")
for line in sys.stdin:
    say(json.loads(line), "DM")
"""


@pytest.mark.parametrize(
    ("lease", "told", "waits", "assigned"),
    [
        (7200, "print('{\"retry_after\": 1.5}')", 3, 1),
        (7200, "pass", 10, 1),
        (2, "print('{\"retry_after\": 2}')", 4, 3),
        (7200, "print('{\"retry_after\": 0}')", 2, 1),
    ],
    ids=["as long as it says", "doubling", "longer than the lease lasts", "no time at all"],
)
def test_a_command_that_says_later_is_started_later(
    database: Database,
    query: Query,
    environment: dict[str, str],
    checker: Checker,
    lease: int,
    told: str,
    waits: float,
    assigned: int,
) -> None:
    """Exit status 75: a pause, no failure; the lease is kept if it outlasts the pause, else given back unpunished."""
    prepare(database, [CLIENT], 4, size=4)
    began = time.monotonic()
    patient = {**environment, "DMCHECK_LEASE_SECONDS": str(lease)}
    status, summary, err = work(patient, "--max-buckets", 1, "--", *checker(LATER.replace("{told}", told)))
    assert (status, summary["users"], summary["failures"]) == (0, 4, CLEAN)
    assert time.monotonic() - began >= waits
    assert sum("to be started again later" in line for line in err) == 2
    assert counters(query, CLIENT) == (assigned, 1, 0, 0)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP], ids=["the same", "another"])
def test_two_signals_at_once_are_one_request(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, second: int
) -> None:
    """`timeout` sends two: what was answered is submitted all the same."""
    prepare(database, [CLIENT], 6, size=6)
    with start(environment, *LOOP, "--", *checker(HALF)) as process:
        wait_until(lambda: bool(noted(tmp_path, "half")))
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + SAME_REQUEST_SECONDS * 0.9
        while process.poll() is None and time.monotonic() < until:  # also when it has handed in everything
            process.send_signal(second)
            time.sleep(0.001)
        status, summary, _ = ended(process)
    assert (status, summary["users"], held(query)) == (0, 3, 0)


def on_a_terminal(environment: dict[str, str], *arguments: object) -> tuple[subprocess.Popen[bytes], int, int]:
    """A `work` whose stderr is a terminal of its own; also our end of it, and its."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*launcher("dmcheck"), *map(str, arguments)],
        env={**environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        start_new_session=True,
    )
    return process, ours, theirs


def stops_reading(environment: dict[str, str], *arguments: object) -> tuple[subprocess.Popen[bytes], int]:
    """A `work` whose stderr is a full pipe; also the end that nobody reads."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    command = [*launcher("dmcheck"), *map(str, arguments)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=write)
    os.close(write)
    return process, read


@pytest.mark.parametrize("how", ["Ctrl-S", "a pipe that nobody reads"])
def test_no_output_holds_up_the_loop(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, how: str
) -> None:
    """Leases are renewed, buckets are done, and SIGTERM is obeyed, while nobody takes what it says."""
    prepare(database, [CLIENT], 8, size=4)
    slow = checker("time.sleep(2)\n" + FILTER)
    ends: tuple[int, ...]
    if how == "Ctrl-S":
        process, *ends = on_a_terminal(environment, *LOOP, "--", *slow)
        termios.tcflow(ends[1], termios.TCOOFF)
    else:
        process, *ends = stops_reading(environment, *LOOP, "--", *slow)
    try:
        wait_until(lambda: answered_users(query) == 8)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        for end in ends:
            os.close(end)
    assert counters(query, CLIENT) == (2, 2, 0, 0)


@pytest.mark.parametrize("hangs_up", [True, False], ids=["SIGHUP", "no signal"])
def test_a_terminal_that_is_gone_is_no_loss(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, hangs_up: bool
) -> None:
    """With SIGHUP it ends in order; without, it goes on. Either way what is answered arrives."""
    prepare(database, [CLIENT], 6, size=6)
    process, ours, theirs = on_a_terminal(environment, *LOOP, "--once", "--", *checker(HALF))
    os.close(theirs)
    wait_until(lambda: bool(noted(tmp_path, "half")))
    os.close(ours)
    if hangs_up:
        process.send_signal(signal.SIGHUP)
    else:
        (tmp_path / "go").touch()
    assert process.wait(MAX_WAIT_SECONDS) == 0
    assert (answered_users(query), held(query)) == (3, 0)


def test_nothing_outlives_a_killed_loop(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """kill -9 of `work` ends COMMAND, also one that answers at the end only, and a helper in a session of its own."""
    prepare(database, [CLIENT], 4, size=4)
    batch = checker(
        """
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "helper"], start_new_session=True)
note("up")
time.sleep(600)
"""
    )
    with start(environment, *LOOP, "--", *batch) as process:
        wait_until(lambda: len(noted(tmp_path, "up")) == 2)
        process.kill()
        process.wait()
        wait_until(lambda: all(gone(pid) for pid in noted(tmp_path, "up")))


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it was collected since it was listed
        return False


def test_as_process_1_it_collects_what_commands_leave(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """Helpers that end after their COMMAND do not stay as zombies."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a namespace of processes takes root and unshare")
    prepare(database, [CLIENT], 10, size=2)
    helper = checker("subprocess.Popen(['sleep', '0.1'], start_new_session=True, stdout=subprocess.DEVNULL)\n" + FILTER)
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *launcher("dmcheck"), *map(str, LOOP)]
    with subprocess.Popen([*command, "--", *helper], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "No bucket is waiting" in line:
                    break
            [loop] = psutil.Process(process.pid).children()
            wait_until(lambda: not any(_is_zombie(one) for one in loop.children()))
        finally:
            process.kill()


def test_without_descriptors_it_waits_and_goes_on(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """For a while the machine has no file descriptors: no thread dies, no lease is held for nothing, and when there are
    some again, every user is answered."""
    prepare(database, [CLIENT], 8, size=2)
    slow = checker("note('up')\ntime.sleep(0.5)\n" + FILTER)
    with start(environment, *LOOP, "--once", "--", *slow) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (6, 1024))
        assert process.stderr is not None
        while "Too many open files" not in (line := process.stderr.readline()):
            assert line, "it says what it lacks"
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        status, summary, err = ended(process)
    assert (status, summary["users"], held(query)) == (0, 8, 0), err


def test_a_changed_password_is_read_again(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The account's password changes, and its file only later: `work` keeps its answers and leases, and goes on."""
    prepare(database, [CLIENT], 8, size=4)
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text("first-password")
    query("CREATE OR REPLACE USER volunteer SET PASSWORD 'first-password' CHANGE NOT REQUIRED")
    bare = {name: value for name, value in environment.items() if name != "NEO4J_PASSWORD"}
    account = {**bare, "NEO4J_USERNAME": "volunteer", "NEO4J_PASSWORD_FILE": str(file)}
    try:
        with start({**account, "DMCHECK_LEASE_SECONDS": "3"}, *LOOP, "--once", "--", *checker(SILENT)) as process:
            wait_until(lambda: bool(noted(tmp_path, "up")))
            query("ALTER USER volunteer SET PASSWORD 'second-password' CHANGE NOT REQUIRED")
            database_forgets(query)
            (tmp_path / "go").touch()
            assert process.stderr is not None
            while "are kept" not in (line := process.stderr.readline()):
                assert line, "it says that it keeps them"
            file.write_text("second-password")
            status, summary, err = ended(process)
    finally:
        query("DROP USER volunteer")
    assert (status, summary["users"]) == (0, 8), err


def database_forgets(query: Query) -> None:
    """Break the connections of the account, as a restart would."""
    for row in query("CALL dbms.listConnections() YIELD connectionId, username WHERE username = 'volunteer' RETURN *"):
        query("CALL dbms.killConnection($id)", id=row["connectionId"])


def test_after_a_sleep_leases_are_renewed_at_once(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The machine slept for hours, and the bucket went to another client: that is found at once, not at the next
    renewal, and COMMAND is ended."""
    prepare(database, [CLIENT, 43], 4, size=4)
    with start(environment, *LOOP, "--max-buckets", 1, "--", *checker(SILENT)) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        process.send_signal(signal.SIGSTOP)
        pass_time(query, 3 * 3600)
        reclaim_leases.run(database)
        pass_time(query, 3600)
        reclaim_leases.run(database)
        assert len(leases.fetch(database, 43, 1, "theirs")) == 1
        process.send_signal(signal.SIGCONT)
        status, summary, _ = ended(process)
    assert (status, summary["failures"]) == (0, {**CLEAN, "lease_lost": 1})
    assert all(gone(pid) for pid in noted(tmp_path, "up"))


def test_answers_of_a_released_lease_are_taken_all_the_same(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The lease died and was released while the machine slept, and nobody took the bucket: what was answered counts."""
    prepare(database, [CLIENT], 6, size=6)
    with start(environment, *LOOP, "--max-buckets", 1, "--", *checker(HALF)) as process:
        wait_until(lambda: bool(noted(tmp_path, "half")))
        [mine] = leases.resume(database, CLIENT)
        leases.release(database, CLIENT, mine.bucket, mine.lease)
        process.send_signal(signal.SIGCONT)
        status, summary, _ = ended(process)
    assert (status, summary["users"], answered_users(query)) == (0, 3, 3)


def test_a_slow_client_leases_no_bucket_that_it_does_not_need_yet(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """While COMMAND works on its first bucket, a fast client gets the second."""
    prepare(database, [CLIENT, 43], 8, size=4)
    with start(environment, *LOOP, "--once", "--", *checker(SILENT)) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        fast = start(environment, "work", "--json", "--client", 43, "--once", "--", "sed", 's/}$/, "candm": "DM"}/')
        with fast as other:
            assert ended(other)[1]["users"] == 4
        (tmp_path / "go").touch()
        assert ended(process)[1]["users"] == 4


def test_a_bucket_on_which_every_run_dies_is_given_back(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, tmp_path: Path, run: Run
) -> None:
    """Resumed three times without an answer: given back as failed, counted, seen in `stats`; others are worked on."""
    prepare(database, [CLIENT], 4, size=4)
    for times in range(4):
        with start(environment, *LOOP, "--", *checker(SILENT)) as process:
            wait_until(lambda times=times: len(noted(tmp_path, "up")) == times + 1)
            process.kill()
    prepare(database, [], 4, size=4)
    (tmp_path / "go").touch()
    status, _, err = work(environment, "--once", "--", *checker(SILENT))
    assert (status, answered_users(query)) == (0, 4), err
    assert any("was resumed 3 times without an answer" in line for line in err)
    [client] = run("stats", "--client", CLIENT, "--json").document["clients"]
    assert (client["buckets_failed"], client["held"], client["buckets_dead"]) == (1, 0, 0)


def test_what_command_fails_on_is_counted(
    database: Database, query: Query, environment: dict[str, str], checker: Checker, run: Run
) -> None:
    """Five failures end the work; `stats` has them as buckets given back, which is no fault and no death."""
    prepare(database, [CLIENT], 8, size=4)
    assert work(environment, "--", *checker("sys.exit(1)"))[0] == 1
    [client] = run("stats", "--client", CLIENT, "--json").document["clients"]
    assert (client["buckets_failed"], client["buckets_fault"], client["buckets_dead"]) == (5, 0, 0)
    clients.unregister(database, CLIENT, f"client{CLIENT}")


def test_nothing_came_in(run: Run, database: Database) -> None:
    """The first stage of a pipe failed: that is temporary, and not the user's malformed document."""
    prepare(database, [CLIENT])
    for nothing in ("", " \n"):
        result = run("submit", "--client", CLIENT, "--json", stdin=nothing)
        assert (result.status, result.error["code"]) == (75, "temporary")
        assert "Nothing came in" in result.error["message"]
