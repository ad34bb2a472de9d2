"""scripts/environment.py: when `.venv` is made, made again, and used again."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "environment.py"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, for a checkout of its own; what it would run is noted in `ran`, and `works` says if .venv works."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "lock.txt").write_text("pinned")
    (tmp_path / "pyproject.toml").write_text("bounds")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOCK", tmp_path / ".ci" / "lock.txt")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp")
    module.works, module.ran = True, []
    monkeypatch.setattr(module, "_works", lambda: module.works)
    monkeypatch.setattr(module, "_run", lambda what, *command: module.ran.append(what))
    return module


def made(environment: ModuleType, tests: bool) -> list[str]:
    """What `ensure` runs."""
    environment.ran.clear()
    environment.ensure(tests)
    return list(environment.ran)


ANEW = "making .venv"
PLAIN = ["installing dmcheck"]
PINNED = ["installing the pinned packages", "installing dmcheck"]


@pytest.mark.parametrize(("tests", "steps"), [(False, PLAIN), (True, PINNED)])
def test_an_unchanged_environment_is_used_again(environment: ModuleType, tests: bool, steps: list[str]) -> None:
    """The second time, nothing runs."""
    assert made(environment, tests) == steps
    assert made(environment, tests) == []


def test_a_missing_or_broken_one_is_made_anew(environment: ModuleType) -> None:
    """Without a Python and a pip that work, .venv is made before anything is installed."""
    environment.works = False
    assert made(environment, False) == [ANEW, *PLAIN]


def test_a_half_made_one_is_made_anew(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install that was interrupted or failed leaves packages that nobody can rely on."""

    def fail(what: str, *command: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(environment, "_run", fail)
        with pytest.raises(KeyboardInterrupt):
            environment.ensure(False)
    assert made(environment, False) == [ANEW, *PLAIN]


def test_the_tests_environment_serves_the_tour_but_not_the_other_way(environment: ModuleType) -> None:
    """The tour after the tests installs nothing; the tests after the tour do."""
    made(environment, False)
    assert made(environment, True) == PINNED
    assert made(environment, False) == []


@pytest.mark.parametrize(("name", "anew"), [("pyproject.toml", True), (".ci/lock.txt", True), ("README.md", False)])
def test_changed_bounds_or_pins_are_installed(environment: ModuleType, name: str, anew: bool) -> None:
    """A change of pyproject.toml or of the pins is installed into the environment that is there; no other is."""
    made(environment, True)
    (environment.ROOT / name).write_text("changed")
    assert made(environment, True) == (PINNED if anew else [])


def test_a_moved_checkout_gets_its_own(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """dmcheck is installed in place, so another place needs another install."""
    made(environment, True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "pyproject.toml").write_text("bounds")
    monkeypatch.setattr(environment, "ROOT", other)
    assert made(environment, True) == PINNED


def test_an_older_python_is_told_so(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence names both versions."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(environment.Trouble, match=r"Python 3\.11 or newer, and this is 3\.9\."):
        environment.ensure(False)


def test_a_program_that_is_terminated_ends_what_it_began() -> None:
    """As it does when it is interrupted: its servers would else go on."""
    script = (
        "import time\nfrom environment import ended_in_order\n"
        "with ended_in_order():\n try:\n  print('began', flush=True); time.sleep(60)\n finally:\n  print('ended')"
    )
    program = subprocess.Popen([sys.executable, "-c", script], cwd=SCRIPT.parent, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "began\n"
    program.terminate()
    assert program.communicate(timeout=30)[0] == "ended\n"
    assert program.returncode == 128 + signal.SIGTERM
