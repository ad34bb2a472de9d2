"""crontab.example works when pasted: its lines run as cron would run them, by /bin/sh in a bare environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.graphs import MAX_WAIT_SECONDS
from support.programs import PROGRAMS, launcher, outside

from dmcheck_cli.database.connection import Database

CRONTAB = Path(__file__).parents[2] / "crontab.example"
JOBS = ("dmcheck-reclaim-leases", "dmcheck-make-buckets", "dmcheck-raise-starved", "dmcheck-judge-clients")


@dataclass(frozen=True)
class Entry:
    """One line of a crontab: when, and what."""

    minutes: list[int]
    hour: str
    command: str


def parsed() -> tuple[dict[str, str], list[Entry]]:
    """The variables and the entries of the file, read as cron reads them."""
    variables: dict[str, str] = {}
    entries = []
    for line in CRONTAB.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        assigned = re.fullmatch(r"(\w+)\s*=\s*(.*)", line)
        if assigned:
            assert not entries, "a variable after an entry does not hold for that entry"
            variables[assigned[1]] = assigned[2]
        else:
            minutes, hour, day, month, weekday, command = line.split(None, 5)
            assert (day, month, weekday) == ("*", "*", "*")
            entries.append(Entry([int(minute) for minute in minutes.split(",")], hour, command))
    return variables, entries


@dataclass(frozen=True)
class Cron:
    """What cron knows: the file's variables, with those set that it says to set, and the entries by program."""

    home: Path
    variables: dict[str, str]

    def run(self, program: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run the entry of that program as cron does."""
        [entry] = [one for one in parsed()[1] if f'"$BIN/{program}"' in one.command]
        return self.start(entry.command, **more)

    def start(self, line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run what stands after the times of an entry."""
        bare = {"HOME": str(self.home), "LOGNAME": "someone", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            ["/bin/sh", "-c", line],
            env={**bare, **self.variables, **more},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )


@pytest.fixture
def cron(database: Database, neo4j_environment: dict[str, str], tmp_path: Path) -> Cron:
    """A cron whose crontab is the example with its variables set: these programs, the test's database."""
    home, programs, secret = tmp_path / "home", tmp_path / "bin", tmp_path / "password"
    home.mkdir()
    programs.mkdir()
    for name, module in PROGRAMS.items():
        start = f"#!{sys.executable}\nfrom {module} import main\nmain()\n"
        (programs / name).write_text(start)
        (programs / name).chmod(0o700)
    secret.touch(0o600)
    secret.write_text(neo4j_environment["NEO4J_PASSWORD"] + "\n")
    given = {
        "BIN": str(programs),
        "NEO4J_URI": neo4j_environment["NEO4J_URI"],
        "NEO4J_USERNAME": neo4j_environment.get("NEO4J_USERNAME", "neo4j"),
        "NEO4J_PASSWORD_FILE": str(secret),
    }
    variables = parsed()[0]
    assert given.keys() <= variables.keys()
    return Cron(home, {**variables, **given})


def test_the_jobs_do_their_work(cron: Cron, query: Callable[..., list[dict[str, Any]]]) -> None:
    """Each entry exits 0, says nothing that would be mailed, has its effect, and leaves a line in the log."""
    query(
        "CREATE (:DMCheckClient {id: 1, screen_name: 'one', state: 'ACTIVE', create_datetime: datetime(), "
        "edit_datetime: datetime()})-[:STATS]->(:DMCheckClientStats {buckets_assigned: 1, buckets_processed: 0, "
        "buckets_fault: 0, buckets_dead: 0}) CREATE (:User {screen_name: 'bare'})"
    )
    query(
        "MATCH (c:DMCheckClient) CREATE (:User {screen_name: 'held'})-[:INDMCHECKBUCKET]->(b:DMCheckBucket {uuid: 'b1',"
        "priority: 100, newest: 'l1', edit_datetime: datetime(), assigned_datetime: datetime() - duration('P1D'), "
        "expires: datetime() - duration('PT20H')})-[:DMCHECKCLIENT]->(c) "
        "CREATE (:DMCheckLease {id: 'l1', client: 1, request: 'r', bucket: 'b1', "
        "assigned_datetime: b.assigned_datetime, unjudged: true})"
    )
    query(
        "CREATE (:User {screen_name: 'old'})-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: 'b2', priority: 100, "
        "place: 0.5, edit_datetime: datetime() - duration('P2D')})"
    )
    for program in JOBS:
        done = cron.run(program)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    [found] = query(
        "MATCH (b:DMCheckBucket {uuid: 'b1'}) MATCH (:User {screen_name: 'bare'})-[:INDMCHECKBUCKET]->(made) "
        "MATCH (old:DMCheckBucket {uuid: 'b2'}) "
        "RETURN b.dead_datetime IS NOT NULL AS dead, made.priority AS made, old.priority < 0 AS raised"
    )
    assert found == {"dead": True, "made": 100, "raised": True}
    logged = (cron.home / "dmcheck-jobs.log").read_text()
    assert re.sub(r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", logged) == (
        "reclaim_leases: marked dead 1, released 0\nmake_buckets: buckets 1, users 1, waiting 0\n"
        "raise_starved: raised 1\n"
        "judge_clients: judged 0, raised 0, lowered 0, compared 0, disputed 0, suspended 0\n"
    )


@pytest.mark.parametrize(("program", "file"), [("export-metrics", "dmcheck.prom"), ("report", "dmcheck.html")])
def test_what_needs_the_extra_once_its_mark_is_taken_away(cron: Cron, program: str, file: str) -> None:
    """It writes its file, is not due with another job, and a line is in the log."""
    marked = [one[2:] for one in CRONTAB.read_text("utf-8").splitlines() if re.match(r"# \d[\d,]+ \*", one)]
    due = [minute for line in marked for minute in line.split()[0].split(",")]
    assert len(set(due)) == len(due)
    assert not {int(minute) for minute in due} & {minute for entry in parsed()[1] for minute in entry.minutes}
    [line] = [one for one in marked if program in one]
    done = cron.start(line.split(None, 5)[5].replace("/var/lib/dmcheck/metrics/", f"{cron.home}/"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (cron.home / file).stat().st_mode & 0o777 == 0o644
    assert len((cron.home / "dmcheck-jobs.log").read_text().splitlines()) == 1
    if program == "export-metrics":
        assert b"export_metrics" in cron.run("dmcheck").stdout


def test_the_doctor_is_silent_while_all_is_well(cron: Cron) -> None:
    """Its report is mailed when a job never ran, and is kept back once all have run."""
    missed = cron.run("dmcheck")
    assert missed.returncode == 0  # of `cat`
    assert b"make_buckets" in missed.stdout
    for program in JOBS:
        cron.run(program)
    well = cron.run("dmcheck")
    assert (well.returncode, well.stdout, well.stderr) == (0, b"", b"")


def test_a_round_is_left_out_while_the_last_one_runs(cron: Cron) -> None:
    """With its lock held, an entry ends at once and says nothing."""
    lock = cron.home / ".dmcheck-make.lock"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.readline()  # cat answers, so the lock is held
        done = cron.run("dmcheck-make-buckets")
        holder.stdin.close()
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert not (cron.home / "dmcheck-jobs.log").read_text()


def test_trouble_is_mailed(cron: Cron) -> None:
    """What goes wrong is said on stderr, which cron mails, and nowhere else."""
    done = cron.run("dmcheck-make-buckets", NEO4J_PASSWORD_FILE="/does/not/exist")
    assert done.returncode == 4
    assert b"NEO4J_PASSWORD_FILE" in done.stderr


def test_the_log_of_the_jobs_is_bounded(cron: Cron) -> None:
    """One of more than 10 MB takes the place of the one before; a smaller one, or none, is left alone in silence."""
    [entry] = [one for one in parsed()[1] if "$BIN" not in one.command]
    log, before = cron.home / "dmcheck-jobs.log", cron.home / "dmcheck-jobs.log.1"
    before.write_text("before\n")
    for size, kept in ((None, 7), (10 * 2**20, 7), (10 * 2**20 + 1, 10 * 2**20 + 1)):
        if size is not None:
            log.write_bytes(b"x" * size)
        done = cron.start(entry.command)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert before.stat().st_size == kept
    assert not log.exists()


def test_each_entry_is_fit_for_cron() -> None:
    """Absolute paths, a lock, a time limit, no % (which cron would cut at), minutes of its own, documented rates."""
    variables, entries = parsed()
    assert variables["BIN"].startswith("/")
    assert variables["SHELL"] == "/bin/sh"
    assert "MAILTO" in variables
    assert not any("$" in value for value in variables.values()), "cron does not expand these"
    minutes = [minute for entry in entries for minute in entry.minutes]
    assert len(set(minutes)) == len(minutes)
    assert not {0, 15, 30, 45} & set(minutes)
    for entry in entries:
        assert "%" not in entry.command
        assert "$BIN" not in entry.command or re.match(
            r'flock -n "\$HOME/\.dmcheck-\w+\.lock" timeout -k 30 \d+ "\$BIN/dmcheck', entry.command
        )
    rates = {
        program: [(len(e.minutes), e.hour) for e in entries if f'"$BIN/{program}"' in e.command] for program in PROGRAMS
    }
    assert rates == {
        "dmcheck": [(1, "6")],
        "dmcheck-make-buckets": [(4, "*")],
        "dmcheck-reclaim-leases": [(4, "*")],
        "dmcheck-raise-starved": [(4, "*")],
        "dmcheck-judge-clients": [(12, "*")],
        "dmcheck-export-metrics": [],  # only with Prometheus
    }


def test_whoever_has_only_the_package_has_all_of_it(tmp_path: Path) -> None:
    """The wheel alone prints the crontab and the units, with the paths of its programs, and has the checkers."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, tmp_path, CRONTAB.parent], check=True, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(installed)

    def printed(*arguments: str) -> str:
        line = [*launcher("dmcheck"), *arguments]
        environment = {**outside(), "PYTHONPATH": str(installed)}
        done = subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    here = str(Path(sys.executable).parent)
    assert printed("crontab") == CRONTAB.read_text("utf-8").replace("/opt/dmcheck/.venv/bin", here)
    units = {one.name: one.read_text("utf-8") for one in (CRONTAB.parent / "jobs" / "systemd").iterdir()}
    folder = tmp_path / "units"
    folder.mkdir()
    assert json.loads(printed("units", str(folder), "--json"))["units"].keys() == units.keys()
    for name, text in units.items():
        assert (folder / name).read_text("utf-8") == text.replace("/opt/dmcheck/.venv/bin", here)
        assert f"# ==== {name}\n" in printed("units")
    programs = (next(installed.glob("*.dist-info")) / "entry_points.txt").read_text("utf-8")
    for program in ("dmcheck-check-open-dm", "dmcheck-demo-checker"):
        assert f"{program} = dmcheck_cli.checkers." in programs
