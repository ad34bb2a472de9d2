"""What the export tells, and what the alert rules make of it, by promtool."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dmcheck_cli.alerts import RULES
from dmcheck_cli.database.connection import Database
from jobs import export_metrics

BEFORE, AFTER = 60, 45
"""Minutes that are well, and minutes with the trouble."""

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing (apt: prometheus)")
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is missing (apt has it)")

Series = dict[str, str]


def exported(database: Database, file: Path) -> Series:
    """What a run of the export leaves in the file: each series, and its number."""
    export_metrics.run(database, file)
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {series: number for series, _, number in (line.rpartition(" ") for line in lines)}


def story(alert: str, before: Series, after: Series, writes: bool = True) -> dict[str, Any]:
    """A test for promtool: an hour as before, when nothing fires, then as after, when only `alert` does; `writes`: the
    export goes on."""
    series = []
    for name in sorted(before.keys() | after.keys()):
        values = [before.get(name, "_")] * BEFORE + [after.get(name, "_")] * AFTER
        if name == "dmcheck_export_timestamp_seconds":  # promtool's time begins at 0
            values = [str(60 * (minute if writes else min(minute, BEFORE))) for minute in range(BEFORE + AFTER)]
        series.append({"series": name, "values": " ".join(values).replace("+Inf", "Inf")})
    firing = 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0'
    fired = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
    return {
        "name": alert,
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{BEFORE - 1}m", "exp_samples": []},
            {"expr": firing, "eval_time": f"{BEFORE + AFTER - 1}m", "exp_samples": fired},
        ],
    }


def holds(stories: Sequence[dict[str, Any]], folder: Path) -> None:
    """Have promtool tell the stories."""
    file = folder / "stories.yml"
    # JSON is YAML, too.
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": stories}))
    promtool("test", "rules", file)


def promtool(*arguments: object) -> None:
    """Run it; it must be content."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
