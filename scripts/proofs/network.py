"""Network faults: statements are delayed, split, lost before or after their commit, or never answered."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from support.graphs import wait_until
from support.invariants import broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings
from proofs.actor import Actor
from proofs.contradictions import contradictions
from proofs.graph import empty
from proofs.history import Recorder, read
from proofs.kills import SCENARIOS, Expected, Prepared, Scenario, ahead, bare_environment, expect, supply
from proofs.outcome import Outcome
from proofs.proxy import FAULTS, RESET_AFTER, RESET_AT, RESET_BEFORE, Proxy, always, sometimes
from proofs.workload import crowd, volunteers

COMMAND = "python scripts/prove.py network"
TEMPORARY = 75
MANY = 1_000_000
RESETS = (RESET_BEFORE, RESET_AT, RESET_AFTER)

SLACK, TIMES = 1.5, 5
"""What a command may take beyond DMCHECK_TIMEOUT_SECONDS, to start and to exit: these seconds, and this multiple of its
undisturbed time, which is longer on a busy machine."""


def port_of(settings: Settings) -> int:
    """The port on which the database of `settings` listens."""
    port = urlsplit(settings.neo4j_uri or "").port
    assert port is not None, f"{settings.neo4j_uri} names no port"
    return port


def through_transactions(
    settings: Settings, folder: Path, retries: int, clients: Sequence[int] = (1, 2, 3), seed: int = 0
) -> Outcome:
    """Volunteers work through the proxy until `retries` connections were reset."""
    outcome = Outcome("conversations delayed, sliced, reset, silenced", "asyncio Bolt proxy, at random", COMMAND)
    between = Proxy(port_of(settings), sometimes(seed))
    return volunteers_through(between, RESETS, retries, settings, folder, outcome, clients, seed)


def volunteers_through(
    between: Proxy,
    counted: Sequence[str],
    wanted_faults: int,
    settings: Settings,
    folder: Path,
    outcome: Outcome,
    clients: Sequence[int] = (1, 2, 3),
    seed: int = 0,
) -> Outcome:
    """Volunteers work through `between` until that many of the `counted` faults fired; the graph agrees with the
    history of the replies: each operation was done once or not at all, and counted once."""
    recorder = Recorder(folder)
    with Database(settings, "tests") as database:
        supply(Actor(database, recorder), clients, 0, 3000)
        with between as proxy:
            lied_to = replace(settings, neo4j_uri=proxy.uri, bucket_size=5, timeout_seconds=3)
            with crowd(volunteers(lied_to, folder, clients, seed=seed, seconds=3600)) as processes:
                rounds = 0
                while (done := _fired(proxy, counted)) < wanted_faults:
                    wanted = min(done + 200, wanted_faults)
                    wait_until(lambda wanted=wanted: _fired(proxy, counted) >= wanted)  # type: ignore[misc]
                    rounds += 1
                    supply(Actor(database, recorder), (), rounds, 1000)
                for process in processes:
                    process.kill()
            outcome.faults = _fired(proxy, proxy.faults)
        recorder.close()
        _all_over(database)
        operations = read(folder)
        outcome.count(operations)
        outcome.violations += broken(database.run_text)
        outcome.violations += contradictions(operations, database.run_text, calm=False)
    return outcome


def through_commands(
    settings: Settings,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    faults: Sequence[str] = FAULTS,
    seconds: int = 2,
) -> Outcome:
    """Real commands through a proxy with one constant fault."""
    outcome = Outcome("every command, each fault at every try", "asyncio Bolt proxy, always", COMMAND)
    return commands_through(Proxy, settings, environment, scenarios, faults, RESETS, seconds, outcome)


def commands_through(
    kind: type[Proxy],
    settings: Settings,
    environment: dict[str, str],
    scenarios: Sequence[Scenario],
    faults: Sequence[str],
    once: Sequence[str],
    seconds: int,
    outcome: Outcome,
) -> Outcome:
    """Real commands through a proxy of that `kind`, with one fault each time, and with those in `once` also a single
    time: they end in time, with 75 or success; what they left is all or nothing; repeated without the proxy, they print
    and leave what they should."""
    with Database(settings, "tests") as database:
        for scenario in scenarios:
            direct = {**environment, **scenario.variables}
            expected = expect(database, scenario, Prepared(direct, scenario.program))
            for fault in faults:
                for times in (1, MANY) if fault in once else (MANY,):  # silence lasts until the timeout
                    _one(kind, database, scenario, fault, times, direct, seconds, expected, outcome)
    return outcome


def _one(
    kind: type[Proxy],
    database: Database,
    scenario: Scenario,
    fault: str,
    times: int,
    direct: dict[str, str],
    seconds: int,
    expected: Expected,
    outcome: Outcome,
) -> None:
    where = f"{scenario.name}, {fault}, {'once' if times == 1 else 'always'}"
    with kind(port_of(database.settings), always(fault, times)) as proxy:
        lied_to = {**direct, "NEO4J_URI": proxy.uri, "DMCHECK_TIMEOUT_SECONDS": str(seconds)}
        arguments, stdin = scenario.arrange(database)
        processes = ahead([partial(Prepared, lied_to, scenario.program), partial(Prepared, direct, scenario.program)])
        process = next(processes)
        assert process.ready(), f"{where}: could not start"
        began = time.monotonic()
        ended = process.run(*arguments, stdin=stdin)
        took = time.monotonic() - began
    outcome.faults += proxy.fired[fault]
    if not proxy.fired:
        outcome.violations.append(f"{where}: did not happen")
    if took > seconds + SLACK + TIMES * expected.seconds:
        outcome.violations.append(f"{where}: took {took:.1f} s with a time limit of {seconds}")
    if "Traceback" in ended[2]:
        outcome.violations.append(f"{where}: {ended[2]}")
    if ended[0] == 0:
        expected.finished(database, where, ended, outcome)
        next(processes).drop()
        return
    if ended[0] != TEMPORARY:
        outcome.violations.append(f"{where}: ended with {ended[0]}: {ended[2]}")
    outcome.unknown += 1
    expected.left(database, where, outcome)
    expected.finished(database, f"{where}, repeated", next(processes).run(*arguments, stdin=stdin), outcome)


def _fired(proxy: Proxy, faults: Sequence[str]) -> int:
    return sum(proxy.fired[fault] for fault in faults)


def _all_over(database: Database) -> None:
    """Returns once no request of the volunteers still runs."""
    wait_until(
        lambda: (
            not database.run_text(
                "SHOW TRANSACTIONS YIELD metaData WHERE metaData.command STARTS WITH 'volunteer' RETURN 1 AS one"
            )
        )
    )


def run(settings: Settings, *, retries: int = 5000) -> list[Outcome]:
    """The long form: volunteers until `retries` resets, and every command through every fault."""
    with tempfile.TemporaryDirectory(prefix="dmcheck-network-") as name:
        folder = Path(name)
        (folder / "history").mkdir()
        with Database(settings, "tests") as database:
            empty(database)
        outcomes = [through_transactions(settings, folder / "history", retries)]
        with Database(settings, "tests") as database:
            empty(database)
        outcomes.append(through_commands(settings, bare_environment(settings, folder), SCENARIOS))
    return outcomes
