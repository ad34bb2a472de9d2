"""scripts/benchmark: what a run reports, and which form of the driver its processes use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"

TITLES = {
    "fetch / write and return 180 users": 0.75,
    "submit / create 180 answers and delete a bucket": 0.85,
    "fetch + submit / old system, connection kept": 4.5,
    "fetch, 1,000,000 / 10,000 users": 1.2,
    "submit, 1,000,000 / 10,000 users": 1.2,
    "fetch process / bare script": 1.2,
    "users handed out twice": 0,
    "50 clients' first fetches after a start, seconds": 3,
    "planning fetch_buckets, milliseconds": 250,
}


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes the findings of a run in which every round took the same time, the fast form of the driver half of it."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmark import rounds
    from benchmark.crowd import Round
    from benchmark.processes import Processes
    from benchmark.report import Findings
    from benchmark.scale import Scale
    from benchmark.start import Start

    def make(doubles: int = 0) -> Any:
        results = rounds.Results(8, doubles=doubles)
        for contest in (contest for group in rounds.SHORT for contest in group):
            for compiled, rate in ((False, 100.0), (True, 200.0)):
                results.rounds[contest, compiled] = [Round(rate, [0.01, 0.02], 0, [])] * 3
        seconds = {"ours.fetch": [0.01], "ours.submit": [0.02]}
        spent = {(name, False): [0.5] for name in ("fetch", "bare")}
        start = Start(2.0, 5.0, {"fetch_buckets": 0.2})
        return Findings("5", 1_000_000, {8: results}, Scale(seconds, seconds), Processes(spent, spent), start)

    return make


def test_the_figures_have_their_titles_and_aims(findings: Callable[..., Any]) -> None:
    """Anyone who reads the document finds each figure of the project's aims by its title, with what it should be."""
    from benchmark import report

    document = report.document(findings())
    aims = {figure["title"]: figure["aim"] for figure in document["figures"] if figure["aim"] is not None}
    assert TITLES.items() <= aims.items()
    assert all(isinstance(figure["value"], int | float) for figure in document["figures"])


def test_both_sides_of_a_comparison_use_one_form_of_the_driver(findings: Callable[..., Any]) -> None:
    """All rounds are alike but for the form of the driver, so every ratio of rates is 1."""
    figures = {figure.title: figure for figure in findings().figures()}
    for extra in ("", ", with neo4j-rust-ext"):
        assert figures[f"fetch / write and return 180 users{extra}"].value == 1
        assert figures[f"fetch + submit / old system, connection kept{extra}"].value == 1


def test_a_user_handed_out_twice_misses_the_aim(findings: Callable[..., Any]) -> None:
    """One is too many."""
    met = {doubles: {f.title: f.met for f in findings(doubles).figures()} for doubles in (0, 1)}
    assert met[0]["users handed out twice"]
    assert not met[1]["users handed out twice"]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_process_uses_the_form_that_it_chose(compiled: bool) -> None:
    """Without the compiled parts, also where they are installed; with them, or it says that they are missing."""
    look = f"from benchmark import library; library.choose({compiled}); print(library.installed())"
    done = subprocess.run([sys.executable, "-c", look], cwd=SCRIPTS, capture_output=True, text=True, check=False)
    if "does not take neo4j-rust-ext" in done.stderr:
        assert compiled
        pytest.skip("neo4j-rust-ext is not installed")
    assert done.returncode == 0, done.stderr
