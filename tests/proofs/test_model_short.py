"""The model-based test in its short form."""

from __future__ import annotations

from pathlib import Path

from proofs.machine import explore

from dmcheck_cli.database.connection import Database


def test_any_sequence_of_commands_leaves_the_graph_as_the_model_has_it(database: Database, tmp_path: Path) -> None:
    """60 sequences of 30 commands, refusals, repeats and time passing: results, refusals and the whole graph are
    what a model of a few dictionaries says, after every step."""
    explore(database.settings, tmp_path, examples=60, steps=30, derandomize=True).check()
