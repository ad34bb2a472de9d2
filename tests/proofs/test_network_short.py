"""Whatever the network does: once or not at all, and within the stated time."""

from __future__ import annotations

from pathlib import Path

from proofs import kills, network, proxy

from dmcheck_cli.database.connection import Database


def test_what_is_repeated_over_a_lying_network_is_done_once_or_not_at_all(database: Database, tmp_path: Path) -> None:
    """Volunteers whose conversations are delayed, sliced, reset before and after the commit, and silenced: what they
    were told agrees with the graph, and nothing is counted twice."""
    network.through_transactions(database.settings, tmp_path, 200).check()


def test_commands_end_in_their_time_on_a_bad_network_and_may_be_repeated(
    database: Database, environment: dict[str, str]
) -> None:
    """fetch and submit through each fault, once and at every try: they end within DMCHECK_TIMEOUT_SECONDS, with 0 or
    75; what they left is all or nothing; repeated, they give what they should."""
    faults = (proxy.RESET_AFTER, proxy.HALF_OPEN, proxy.BLACK_HOLE_AFTER)
    network.through_commands(database.settings, environment, kills.SCENARIOS[:2], faults).check()


def test_a_broken_connection_leaves_nothing_on_stderr_but_the_error(
    database: Database, environment: dict[str, str]
) -> None:
    """The driver's own messages about a lost connection are not the command's: a script that reads the error of
    --json from stderr finds that document and nothing else; a command that succeeds in the end says nothing."""
    for times, status, lines in ((1, 0, 0), (network.MANY, 75, 1)):
        with proxy.Proxy(network.port_of(database.settings), proxy.always(proxy.RESET_AFTER, times)) as lying:
            lied_to = {**environment, "NEO4J_URI": lying.uri, "DMCHECK_TIMEOUT_SECONDS": "2"}
            ended = kills.Prepared(lied_to).run("stats", "--json")
        assert lying.fired[proxy.RESET_AFTER] > 0
        assert ended[0] == status
        assert len(ended[2].splitlines()) == lines, ended[2]
