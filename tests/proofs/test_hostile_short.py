"""Hostile requests against a gate behind a real sshd; all of them: `python scripts/prove.py hostile`."""

from __future__ import annotations

from pathlib import Path

from proofs import hostile
from support.programs import PLAIN
from support.sshd import needs_sshd

from dmcheck_cli.database.connection import Database
from dmcheck_cli.settings import Settings


@needs_sshd
def test_no_hostile_request_succeeds(database: Database, neo4j_environment: dict[str, str], tmp_path: Path) -> None:
    """One of eight of those that differ in their text, and all of what only sshd can refuse."""
    settings = Settings(
        neo4j_uri=neo4j_environment["NEO4J_URI"],
        neo4j_username=neo4j_environment.get("NEO4J_USERNAME", "neo4j"),
        neo4j_password=neo4j_environment["NEO4J_PASSWORD"],
        **PLAIN,
    )
    outcomes = hostile.against(database, settings, tmp_path, each=8)
    assert sum(one.refused for one in outcomes) > 50
    for one in outcomes:
        one.check()


def test_there_are_many() -> None:
    """At least 150 different ones, of every kind."""
    kinds = hostile.requests(each=1)
    assert sum(map(len, kinds.values())) >= 150
    assert all(kinds.values())
    names = [(kind, name) for kind, tries in kinds.items() for name, _ in tries]
    assert len(names) == len(set(names))
