"""What each command and job costs, counted on the wire between the driver and the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from costs import COSTS
from proofs.proxy import PASS, Proxy
from support.graphs import answered, prepare
from support.in_process import call

from dmcheck_cli.database.address import read
from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions.leases import fetch


def test_each_command_costs_what_the_table_says(
    database: Database, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """The proxy, `--timings` and the table of the command reference agree."""
    prepare(database, [1, 2], 40, size=5)
    [held] = fetch(database, 1, 1, "held")
    [other] = fetch(database, 2, 1, "other")
    lease = {
        "bucket": other.bucket,
        "lease": other.lease,
        "users": [{"screen_name": one.screen_name, "id": one.id} for one in other.users],
    }
    words = {
        "BUCKET": held.bucket,
        "LEASE": held.lease,
        "ANSWERS": answered({"buckets": [lease]}),
    }
    seen, wrong = {}, []
    with Proxy(read(environment["NEO4J_URI"]).port, lambda occasion: PASS) as proxy:
        through = {**environment, "NEO4J_URI": proxy.uri}
        for cost in COSTS:
            proxy.statements = 0
            arguments = [words.get(word, word) for word in cost.command.split()]
            stdin = words.get(cost.stdin, cost.stdin)
            result = call((*arguments, "--timings"), through, tmp_path, cost.program, stdin)
            what = f"{cost.name}: {result.err} {result.out}"
            said = re.search(r"round trips: (\d+), statements: (\d+), rows: \d+, retries: 0, waited ", result.err)
            if result.status or said is None or not int(said[1]) == int(said[2]) == proxy.statements:
                wrong.append(what)
            seen[cost.program, cost.command] = proxy.statements
    assert wrong == []
    assert seen == {(cost.program, cost.command): cost.trips for cost in COSTS}
