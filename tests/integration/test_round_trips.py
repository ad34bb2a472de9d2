"""What each command and job costs, counted on the wire between the driver and the database."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from costs import COSTS, Cost
from proofs.proxy import PASS, Proxy
from support.graphs import MAX_WAIT_SECONDS, answered, prepare
from support.in_process import call
from support.programs import Result, launcher
from support.working import FILTER, Checker

from dmcheck_cli.database.address import read
from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions.leases import fetch

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
TOLD = re.compile(r"round trips: (\d+), statements: (\d+), rows: \d+, retries: 0, waited ")


def test_each_command_costs_what_the_table_says(
    database: Database, environment: Mapping[str, str], checker: Checker, tmp_path: Path
) -> None:
    """The proxy, `--timings` and the table of the command reference agree."""
    prepare(database, [1, 2, 3], 40, size=5)
    [held] = fetch(database, 1, 1, "held")
    [other] = fetch(database, 2, 1, "other")
    lease = {
        "bucket": other.bucket,
        "lease": other.lease,
        "users": [{"screen_name": one.screen_name, "id": one.id} for one in other.users],
    }
    (tmp_path / "key.pub").write_text(KEY)
    words = {
        "BUCKET": [held.bucket],
        "LEASE": [held.lease],
        "KEY": ["key.pub"],
        "CHECKER": checker(FILTER),
    }
    documents = {"ANSWERS": answered({"buckets": [lease]})}
    seen, wrong = {}, []
    with Proxy(read(environment["NEO4J_URI"]).port, lambda occasion: PASS) as proxy:
        through = {**environment, "NEO4J_URI": proxy.uri, "DMCHECK_AUTHORIZED_KEYS": str(tmp_path / "keys")}
        for cost in COSTS:
            proxy.statements = 0
            arguments = [one for word in cost.command.split() for one in words.get(word, [word])]
            if cost.alone:
                result = _process(cost, arguments, through, tmp_path)
            else:
                stdin = documents.get(cost.stdin, cost.stdin)
                result = call((*arguments, "--timings"), through, tmp_path, cost.program, stdin)
            said = TOLD.search(result.err)
            told = [int(said[1]), int(said[2])] if said else []
            # A gate tells its clients nothing of that kind.
            if result.status or (told != [proxy.statements] * 2 and not cost.command.startswith("gate run")):
                wrong.append(f"{cost.name}: {result.err} {result.out}")
            seen[cost.program, cost.command] = proxy.statements
    assert wrong == []
    assert seen == {(cost.program, cost.command): cost.trips for cost in COSTS}


def _process(cost: Cost, arguments: list[str], environment: Mapping[str, str], folder: Path) -> Result:
    """To its end; of `stats --watch` one refresh."""
    with subprocess.Popen(
        [*launcher(cost.program), "--timings", *arguments],
        env={**environment, "SSH_ORIGINAL_COMMAND": "fetch --json"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = ""
        if "--watch" in arguments:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=MAX_WAIT_SECONDS)
    return Result(process.returncode, line + out, err)
