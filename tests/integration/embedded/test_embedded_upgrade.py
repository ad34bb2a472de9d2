"""The embedded database belongs to one user: the first command of a new release upgrades its graph."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

from homes import MAX_WAIT_SECONDS, environment
from releases.v0_1_0 import graph as old
from support.invariants import broken
from support.programs import launcher

from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded import server
from dmcheck_cli.settings import Settings

SAYS = "Upgrading the embedded database to this release of dmcheck"


def test_the_first_command_upgrades_and_says_so(settings: Settings) -> None:
    """On stderr, once; its leases go on, and the second command says nothing."""
    server.ensure_running(settings, progress=False)
    with Database(replace(settings, timeout_seconds=MAX_WAIT_SECONDS), "tests") as database:
        graph = old.make(database)
        command = [*launcher("dmcheck"), "fetch", "--client", str(old.FETCHING), "--resume", "--json"]
        patient = environment(settings, DMCHECK_TIMEOUT_SECONDS=str(MAX_WAIT_SECONDS))
        first, second = (
            subprocess.run(command, env=patient, capture_output=True, text=True, timeout=MAX_WAIT_SECONDS, check=False)
            for _ in range(2)
        )
        assert (first.returncode, first.stderr.splitlines()) == (0, [SAYS])
        assert (second.returncode, second.stderr) == (0, "")
        assert first.stdout == second.stdout
        given = {bucket["lease"] for bucket in json.loads(first.stdout)["buckets"]}
        assert given == {lease.lease for lease in graph.held}
        [row] = database.run("show_version")
        assert row["version"] == cypher.SCHEMA
        assert broken(database.run_text) == []
