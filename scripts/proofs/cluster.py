"""A cluster as the driver sees it: leaders move, members lag or are gone; commands end in time, once or not at all.

Shown is the client's part: `router.py` puts three addresses in front of one server.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from proofs import router
from proofs.graph import empty
from proofs.kills import SCENARIOS, Scenario, at_each_call, bare_environment, without_strace
from proofs.network import commands_through, port_of, volunteers_through
from proofs.outcome import Outcome
from proofs.proxy import PASS
from proofs.router import Cluster

COMMAND = "python scripts/prove.py cluster"
HOW = "router with three addresses"
PASSING = tuple(fault for fault in router.FAULTS if fault != router.SILENT)
"""The faults that cost no time-out."""
WANTED = (*PASSING, router.WAITED, router.TIMED_OUT, router.REFUSED)


def through_transactions(settings: Settings, folder: Path, faults: int, seed: int = 0) -> Outcome:
    """Volunteers work through the router until that many faults fired."""
    outcome = Outcome("leaders move, members lag, addresses go", f"{HOW}, at random", COMMAND)
    between = Cluster(port_of(settings), router.now_and_then(seed), seed=seed)
    volunteers_through(between, PASSING, faults, settings, folder, outcome, seed=seed)
    outcome.violations += [f"did not happen: {what}" for what in WANTED if not between.fired[what]]
    return outcome


def through_commands(
    settings: Settings,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    faults: Sequence[str] = router.FAULTS,
    seconds: int = 2,
) -> Outcome:
    """Real commands through the router, with each fault at one statement and at each."""
    outcome = Outcome("every command, each fault of a cluster at every try", f"{HOW}, always", COMMAND)
    return commands_through(Cluster, settings, environment, scenarios, faults, PASSING, seconds, outcome)


def killed(
    database: Database,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    folder: Path,
    most: int | None = None,
) -> Outcome:
    """Real commands through the router, killed at their network calls."""
    with Cluster(port_of(database.settings), lambda occasion: PASS) as cluster:
        through = {**environment, "NEO4J_URI": cluster.uri}
        outcome = at_each_call(database, through, scenarios, folder, most)
    outcome.fault, outcome.command = f"{outcome.fault}, through neo4j://", COMMAND
    return outcome


def run(settings: Settings, *, faults: int = 2000) -> list[Outcome]:
    """The long form: volunteers until `faults` faults, every command through every fault and killed at every call."""
    with tempfile.TemporaryDirectory(prefix="dmcheck-cluster-") as name, Database(settings, "tests") as database:
        folder = Path(name)
        (folder / "history").mkdir()
        empty(database)
        outcomes = [through_transactions(settings, folder / "history", faults)]
        empty(database)
        environment = bare_environment(settings, folder)
        outcomes.append(through_commands(settings, environment, SCENARIOS))
        if (reason := without_strace()) is None:
            outcomes.append(killed(database, environment, SCENARIOS, folder))
        else:
            print(f"not run: {reason}", file=sys.stderr)
    return outcomes
