"""A tour of dmcheck from scratch: `python3 scripts/tour.py`.

Needs Python 3.11 or newer, and shows each step as the shell line that it runs. The packages are installed into `.venv`,
the tour's database into `.tour`, both in this checkout: dmcheck's regular database is not touched. Each tour begins
with an empty database; its server is stopped at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from shlex import quote
from typing import NoReturn

import environment
from environment import ROOT

HOME = ROOT / ".tour"

MAX_ROUNDS = 60
"""Maximum fetches until nothing waits; five suffice."""

FETCH = "dmcheck fetch --client {client} --count 2 --json"
CHECK = "python scripts/demo_checker.py"
SUBMIT = "dmcheck submit --client {client}"
MAKE = "DMCHECK_BUCKET_SIZE=20 DMCHECK_BUCKETS_PER_CLIENT=20 dmcheck-make-buckets"
PIPE = f"{FETCH} | {CHECK} | {SUBMIT}"


class Failed(Exception):
    """A step ended with an unexpected status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The step above failed with exit status {status}, so the tour ends here.")
        self.status = status


class Tour:
    """Runs lines with /bin/sh in one setting: where the programs are, where the database is."""

    def __init__(self, programs: Path, home: Path) -> None:
        self.home = home
        places = f'PATH={quote(str(programs))}:"$PATH" DMCHECK_HOME={quote(str(home))}'
        # Empty: whatever this shell or a .env sets, the tour never touches another database.
        self.setting = f"export {places} NEO4J_URI="
        outside = environment.quiet_environment()
        kept = {name: value for name, value in outside.items() if not name.startswith(("NEO4J_", "DMCHECK_"))}
        jars = {name: value for name, value in outside.items() if name.startswith("DMCHECK_JARS_")}
        self.environment = {**kept, **jars}
        self.running: subprocess.Popen[str] | None = None

    def say(self, text: str) -> None:
        """Print a remark for the reader."""
        print(f"\n{_styled('# ' + text, '2')}", flush=True)

    def show(self, line: str) -> None:
        """Print a line that is about to run."""
        print(_styled(f"$ {line}", "1"), flush=True)

    def run(self, line: str, allowed: tuple[int, ...] = (0,)) -> None:
        """Show a line and run it. Raises Failed if its status is not allowed."""
        self.show(line)
        self._shell(line, allowed)

    def waiting(self) -> int:
        """How many users still wait, according to `dmcheck stats --json`."""
        return int(json.loads(self._shell("dmcheck stats --json", (0,), capture=True))["system"]["users_waiting"])

    def ready(self) -> int:
        """How many buckets wait to be fetched."""
        return int(json.loads(self._shell("dmcheck stats --json", (0,), capture=True))["system"]["buckets_ready"])

    def begin(self) -> None:
        """Remove what the last tour left: its server, if that tour was killed, and its database."""
        if self.home.is_dir():
            self._shell("dmcheck server stop --json", (0,), capture=True)
            shutil.rmtree(self.home)
        self.home.mkdir(0o700, parents=True)

    def end(self) -> None:
        """Stop what still runs, and the database's server, whatever signals come."""
        for name in SIGNALS:
            signal.signal(name, signal.SIG_IGN)
        if self.running is not None:
            # The whole pipeline: a command that kept running would start the server again.
            for how in (signal.SIGINT, signal.SIGKILL):
                try:
                    os.killpg(self.running.pid, how)
                    self.running.wait(10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        if self.home.is_dir():
            self._shell("dmcheck server stop", (0,), capture=True)

    def _shell(self, line: str, allowed: tuple[int, ...], capture: bool = False) -> str:
        # Its own process group, so that a whole pipeline can be stopped.
        self.running = subprocess.Popen(
            ["/bin/sh", "-c", f"{self.setting}\n{line}"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            process_group=0,
        )
        out, _ = self.running.communicate()
        status, self.running = self.running.returncode, None
        if status not in allowed:
            raise Failed(status)
        return out or ""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def walk(programs: Path, home: Path) -> None:
    """The tour itself, with an environment's programs, on a database in `home`. Raises Failed."""
    tour = Tour(programs, home)
    try:
        tour.begin()
        _steps(tour)
    finally:
        tour.end()


def _steps(tour: Tour) -> None:
    tour.say("The programs, and a database that is the tour's own.")
    tour.show(tour.setting)
    tour.run("dmcheck server start")
    tour.say("An operator loads users, and two volunteers register their clients.")
    tour.run("dmcheck users add scripts/sample_users.jsonl")
    tour.run("dmcheck register --id 42 --screen-name @first_volunteer")
    tour.run("dmcheck register --id 43 --screen-name @second_volunteer --capacity 4")
    tour.say("cron runs this job every quarter of an hour: users go into buckets, mixed.")
    tour.run(MAKE)
    tour.say("A client leases a bucket, and is never heard of again.")
    tour.run('dmcheck fetch --client 43 --count 1 --json > "$DMCHECK_HOME/lost.json"')
    tour.say("Another job marks its lease dead (after 2 hours; here at once), and releases it (15 minutes later).")
    tour.run("DMCHECK_LEASE_SECONDS=0 dmcheck-reclaim-leases")
    tour.run("dmcheck stats --client 43")
    tour.run("DMCHECK_GRACE_SECONDS=0 dmcheck-reclaim-leases")
    tour.say("Some users cannot wait: they go to the front, into a bucket of priority 10.")
    tour.run("dmcheck prioritize @NASA @britishmuseum @metoffice")
    tour.say("The next client that fetches gets them, and can ask again what it holds.")
    tour.run("dmcheck fetch --client 42 --count 1")
    tour.run(f"dmcheck fetch --client 42 --resume --json | {CHECK} | dmcheck submit --client 42")
    tour.say("Both clients: fetch, check, submit, until nothing is left.")
    for _, client in zip(range(MAX_ROUNDS), cycle((42, 43)), strict=False):
        if not tour.waiting():
            break
        tour.run(PIPE.format(client=client))
    tour.say("Nothing to fetch: exit status 3.")
    tour.run("dmcheck fetch --client 42", allowed=(3,))
    tour.say("Every five minutes a job judges clients by how their leases ended: how many each may hold from now on.")
    tour.run("dmcheck-judge-clients")
    tour.say(
        "Each DM needs a second client that says so: such users go into new buckets, and the other client gets them."
    )
    tour.run(MAKE)
    for _, client in zip(range(MAX_ROUNDS), cycle((42, 43)), strict=False):
        if not tour.ready():
            break
        tour.run(PIPE.format(client=client))
    tour.run("dmcheck-judge-clients")
    tour.say("Who did what, and the whole.")
    tour.run("dmcheck stats")
    tour.say("And what came out: the accounts that take messages from everyone, as two clients say; its first lines.")
    tour.run('dmcheck users export "$DMCHECK_HOME/open.csv" --verdict open')
    tour.run('head -n 4 "$DMCHECK_HOME/open.csv"')


def main() -> int:
    """Make the environment, run the tour, say where things are."""
    for name in SIGNALS:
        signal.signal(name, _interrupted)
    try:
        walk(environment.ensure(tests=False), HOME)
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        return failed.status
    except (environment.Trouble, OSError) as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; nothing is left running.\n")
        return 130
    print(
        "\nThe tour's server is stopped. To look around in what it left, set the line `export` from above and run\n"
        "`dmcheck stats`, say, which starts the server again; `dmcheck server stop` ends it."
    )
    return 0


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _styled(text: str, style: str) -> str:
    return f"\033[{style}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


if __name__ == "__main__":
    sys.exit(main())
