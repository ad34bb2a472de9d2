"""A graph of the system before dmcheck, taken over: a dry run, a run that is killed in the middle, another, the jobs.

It prints the seconds of each step and what was changed.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releases import old_system
from support.graphs import answered
from support.invariants import broken
from support.programs import launcher, outside

from dmcheck_cli.database.address import read
from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from proofs.graph import empty
from proofs.outcome import Outcome
from proofs.proxy import PASS, Proxy

MAX_SECONDS = 3600

OLD = "MATCH ()-[r:DM|NonDM|NONDM|NONEXIST]->() RETURN count(r) AS n"
NEW = "MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_PAST]->() RETURN count(r) AS n"
BY_KIND = """
MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_PAST]->() RETURN type(r) AS kind, count(r) AS n
UNION ALL MATCH (c:DMCheckClient) RETURN 'clients' AS kind, count(c) AS n
UNION ALL MATCH (u:User) WHERE COUNT { (u)-[:INDMCHECKBUCKET]->() } > 1 RETURN 'in two buckets' AS kind, count(u) AS n
UNION ALL MATCH (b:DMCheckBucket) WHERE b.uuid IS NULL RETURN 'buckets without a uuid' AS kind, count(b) AS n
"""
AS_IT_IS = """
MATCH (n) RETURN labels(n)[0] AS kind, count(n) AS n, sum(size(keys(n))) AS properties
UNION ALL MATCH ()-[r]->() RETURN type(r) AS kind, count(r) AS n, sum(size(keys(r))) AS properties
"""


@dataclass
class _Old:
    """The graph, and the programs that work on it; `violations` takes what is wrong."""

    settings: Settings
    query: Callable[..., list[dict[str, Any]]]
    folder: Path
    outcome: Outcome

    def start(self, uri: str | None, *arguments: object, program: str = "dmcheck", **more: str) -> Any:
        """A program of ours, with pipes."""
        way = {
            "NEO4J_URI": uri or self.settings.neo4j_uri or "",
            "NEO4J_USERNAME": self.settings.neo4j_username,
            "NEO4J_PASSWORD": self.settings.password() or "",
            "DMCHECK_TIMEOUT_SECONDS": str(self.settings.timeout_seconds),
            "HOME": str(self.folder),
        }
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        words = [*launcher(program), *map(str, arguments), "--json"]
        return subprocess.Popen(words, env={**outside(), **way, **more}, cwd=self.folder, text=True, **pipes)

    def run(self, *arguments: object, program: str = "dmcheck", stdin: str = "", **more: str) -> Any:
        """The document of a program that succeeds; its seconds are printed."""
        name = " ".join(map(str, arguments)) or program
        began = time.monotonic()
        out, err = self.start(None, *arguments, program=program, **more).communicate(stdin, MAX_SECONDS)
        seconds = time.monotonic() - began
        self.outcome.ok += bool(out)
        try:
            document = json.loads(out)
        except ValueError:
            self.outcome.violations.append(f"{name}: {err}")
            return {}
        shown = json.dumps(document)
        print(f"{name}: {seconds:.1f} s: {shown[:300]}{'...' if len(shown) > 300 else ''}")
        return document

    def count(self, text: str) -> int:
        """What a statement counts."""
        [row] = self.query(text)
        return int(row["n"])

    def must(self, what: str, found: object, right: object) -> None:
        """Note it, if it is not right."""
        if found != right:
            self.outcome.violations.append(f"{what}: {found}, not {right}")


def run(settings: Settings, *, users: int = 100_000) -> list[Outcome]:
    """The graph of this many users, a multiple of 100."""
    outcome = Outcome(
        f"the graph of the system before, {users:,} users; a fault is a kill in the middle of `schema apply`",
        "SIGKILL at a statement, once half of the answers are taken over",
        f"python scripts/prove.py takeover --users {users}",
    )
    with Database(settings, "takeover") as database, tempfile.TemporaryDirectory() as folder:
        query = database.run_text
        old = _Old(settings, query, Path(folder), outcome)
        empty(database)
        query("DROP CONSTRAINT dmcheck_client_id IF EXISTS")
        query("MATCH (graph:DMCheckSchema) DELETE graph")
        began = time.monotonic()
        old_system.fill(query, users)
        print(f"a graph of {users:,} users made: {time.monotonic() - began:.1f} s")
        _take_over(old, users)
        _work(old)
    return [outcome]


def _take_over(old: _Old, users: int) -> None:
    before, answers = old.query(AS_IT_IS), old.count(OLD)
    dry = old.run("schema", "apply", "--dry-run")
    old.must("a dry run left", old.query(AS_IT_IS), before)
    _killed_in_the_middle(old, answers)
    old.must("answers after the kill", old.count(OLD) + old.count(NEW), answers)
    done = old.run("schema", "apply")
    old.must("applied in two runs", set(done.get("applied", [])) <= set(dry.get("applied", [])), True)
    old.must("a third run applied", old.run("schema", "apply"), {"applied": []})
    tenth = users // 10
    # Of what there is none there is no row: users in two buckets, buckets without a uuid.
    kinds = {"DM_YES": tenth, "DM_NO": 2 * tenth, "DM_PAST": tenth, "DM_UNKNOWN": tenth, "clients": 5}
    old.must("in the graph are", {row["kind"]: row["n"] for row in old.query(BY_KIND)}, kinds)
    old.outcome.violations += broken(old.query)


def _killed_in_the_middle(old: _Old, answers: int) -> None:
    port = read(old.settings.neo4j_uri or "").port
    begun: list[Any] = []
    one_at_a_time = threading.Lock()
    with Database(old.settings, "takeover") as beside:

        def look(number: int) -> None:
            if not begun or begun[0].poll() is not None:
                return
            with one_at_a_time:  # it has several connections, and the proxy serves each
                [row] = beside.run_text(OLD)
            if row["n"] <= answers // 2:
                begun[0].kill()

        with Proxy(port, lambda occasion: PASS, look) as proxy:
            began = time.monotonic()
            begun.append(old.start(proxy.uri, "schema", "apply"))
            begun[0].communicate(timeout=MAX_SECONDS)
    killed = begun[0].returncode == -9
    left = old.count(OLD)
    old.outcome.faults += killed
    old.outcome.unknown += killed
    print(
        f"schema apply, killed: {time.monotonic() - began:.1f} s, {proxy.statements} statements; {left:,} answers left"
    )


def _work(old: _Old) -> None:
    """Every job, and a client's round; then nothing is wrong."""
    for _ in range(2):  # what was in flight is marked dead, and then given back
        old.run(program="reclaim_leases", DMCHECK_GRACE_SECONDS="0")
    old.run("register", "--id", 9, "--screen-name", "nine")
    made = old.run(program="make_buckets")
    old.must("make_buckets made buckets", made.get("buckets", 0) > 0 or made.get("reason") == "enough", True)
    given = old.run("fetch", "--client", 9)
    old.run("submit", "--client", 9, stdin=answered(given, "NON_DM") if given else "")
    for job in ("raise_starved", "judge_clients"):
        old.run(program=job)
    old.must("doctor --deep finds", old.run("doctor", "--deep").get("problems"), [])
