"""The systemd units: each program that they start is one of ours, and they leave the embedded database running."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "jobs" / "systemd").iterdir())
README = (ROOT / "jobs" / "README.md").read_text("utf-8")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
JOBS = {name.removeprefix("dmcheck-") for name, module in SCRIPTS.items() if module.startswith("jobs.")}


def _read(unit: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit, "utf-8")
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_starts_programs_that_are_installed(unit: Path) -> None:
    """And names only units that are there; jobs/README.md names each."""
    found = _read(unit)
    assert found["Unit"]["Description"]
    for section in found.values():
        for name, value in section.items():
            if name in ("ExecStart", "ExecStop"):
                program = Path(value.split()[0])
                started = {f"dmcheck-{job}" for job in JOBS} if "%i" in program.name else {program.name}
                assert started <= set(SCRIPTS)
                assert program.parent == Path("/opt/dmcheck/.venv/bin")
            if name in ("Wants", "After"):
                ours = {one for one in value.split() if one.startswith("dmcheck")}
                assert ours <= {one.name for one in UNITS}
    assert f"`{unit.name}`" in README or f"{unit.stem.rstrip('@')}" in README


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_database_outlives_what_ends(unit: Path) -> None:
    """systemd ends what a oneshot unit leaves behind, unless it is told not to; the database's own unit stays."""
    found = _read(unit)
    if "Service" in found and found["Service"].get("Type") == "oneshot":
        assert found["Service"].get("RemainAfterExit") == "yes" or found["Service"]["KillMode"] == "process"
        assert found["Service"]["TimeoutStartSec"]


@pytest.mark.parametrize("unit", [one for one in UNITS if one.suffix == ".timer"], ids=lambda unit: unit.name)
def test_a_timer_has_a_service_and_is_installed(unit: Path) -> None:
    """Its own, or the template of all jobs."""
    names = {one.name for one in UNITS}
    assert {f"{unit.stem}.service", f"{unit.stem.partition('@')[0]}@.service"} & names
    assert _read(unit)["Install"]["WantedBy"] == "timers.target"
    assert _read(unit)["Timer"]["OnCalendar"]


def test_readme_starts_a_timer_for_each_job() -> None:
    """None is forgotten, and none is made up; the page has one, too."""
    started = " ".join(re.findall(r"systemctl enable --now (.*)", README))
    assert set(started.split()) == {"dmcheck-report.timer", *(f"dmcheck@{job}.timer" for job in JOBS)}
