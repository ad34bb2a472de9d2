"""Planted bugs: each is put into a copy of the project, and the suite must fail there.

A bug is an entry of `tests/teeth.toml`, named after what it breaks: what is wrong, the tests to run first, and which
text of a file is replaced by what. The rest of the suite runs only if those tests pass.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
import tomllib
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "teeth.toml"
PACKAGES = ("dmcheck_cli", "jobs")

NEVER = "tests/proofs/test_teeth_short.py"
"""The one test file that is left out: it checks that every bug fits, which fails in a copy with a bug."""

MAX_RUN_SECONDS = 600.0
"""The whole suite takes less; a suite that hangs does not pass."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)
_REASON = re.compile(r"^E   +(.+)$", re.MULTILINE)
_NO_PROOF = ("Neo.ClientError.Statement.SyntaxError", "so nothing was shown")
"""The messages of a test that failed for a reason other than the bug: a statement that is not valid Cypher, a proof run
in which nothing met."""


class Trouble(Exception):
    """A bug that cannot be judged: the text it replaces does not occur exactly once, or the result is not a program."""


@dataclass(frozen=True)
class Change:
    """In `file` (relative to the project), `new` replaces `old`, which occurs there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """A planted bug: its name, what is wrong with it, the tests expected to notice it, its changes."""

    name: str
    about: str
    tests: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Verdict:
    """The suite's result for a bug: the first test that failed (None: all passed), after how many seconds, and the
    first line of its message."""

    red: str | None
    seconds: float
    reason: str = ""


def bugs(names: Iterable[str] = ()) -> list[Bug]:
    """The planted bugs of those names, or all of them, by name. Raises Trouble for an unknown name."""
    found = tomllib.loads(TABLE.read_text("utf-8"))
    strange = set(names) - set(found)
    if strange:
        raise Trouble(f"there is no planted bug {', '.join(sorted(strange))}")
    return [_bug(name, found[name]) for name in sorted(found) if not names or name in names]


def _bug(name: str, entry: dict[str, Any]) -> Bug:
    changes = entry.get("changes") or [{key: entry[key] for key in ("file", "old", "new")}]
    return Bug(name, entry["about"], tuple(entry["tests"]), tuple(Change(**change) for change in changes))


class Copy:
    """A copy of the project in `folder`, with its own Python that finds the copy and never the original."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self._venv = folder / "venv"
        # A .pth file, not PYTHONPATH: some tests give their processes another environment.
        self._python = self._venv / "bin" / "python"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = ROOT / name, self.root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        subprocess.run(["git", "init", "--quiet"], cwd=self.root, check=True)
        self._make_python()

    def _make_python(self) -> None:
        venv.create(self._venv, symlinks=True)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(self._venv)}))
        # The tests' packages are found by their folder alone: its .pth files are not read, as they lead to the original
        # if that is installed in place.
        (packages / "teeth.pth").write_text(f"{self.root}\n{sysconfig.get_path('purelib')}\n")
        programs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
        for name, entry in programs.items():
            module, _, function = entry.partition(":")
            script = self._python.with_name(name)
            script.write_text(f"#!{self._python}\nfrom {module} import {function}\n{function}()\n")
            script.chmod(0o700)

    def check(self, bug: Bug) -> None:
        """Check that the bug fits the project as it is. Raises Trouble."""
        for change in bug.changes:
            times = (self.root / change.file).read_text("utf-8").count(change.old)
            if times != 1:
                raise Trouble(f"{bug.name} no longer fits: what it replaces is {times} times in {change.file}")

    @contextlib.contextmanager
    def planted(self, bug: Bug) -> Iterator[None]:
        """The bug is in while the block runs. Raises Trouble."""
        self.check(bug)
        before = {change.file: (self.root / change.file).read_text("utf-8") for change in bug.changes}
        try:
            for change in bug.changes:
                path = self.root / change.file
                path.write_text(path.read_text("utf-8").replace(change.old, change.new), "utf-8")
            yield
        finally:
            for file, text in before.items():
                (self.root / file).write_text(text, "utf-8")

    def imported(self, environment: Mapping[str, str]) -> list[Path]:
        """Where a process of the copy finds the project's packages."""
        code = f"import {', '.join(PACKAGES)}\nfor one in ({', '.join(PACKAGES)}): print(one.__file__)"
        # From a folder without them: the tests also start processes in their own folders.
        done = subprocess.run(
            [self._python, "-c", code],
            cwd=self._venv,
            env=_inherited(environment),
            capture_output=True,
            text=True,
            check=True,
        )
        return [Path(line) for line in done.stdout.splitlines()]

    def run(self, tests: Sequence[str], database: Mapping[str, str], seed: int = 0) -> Verdict:
        """Run tests of the copy until one fails, on the database named by the variables NEO4J_TEST_....

        Raises Trouble when the tests cannot run at all, or fail for a reason other than a bug.
        """
        command = [self._python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=short"]
        environment = {**_inherited(database), "PYTHONHASHSEED": str(seed)}
        started = time.monotonic()
        with subprocess.Popen(
            [*command, f"--hypothesis-seed={seed}", f"--ignore={NEVER}", *tests],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as pytest:
            try:
                said, _ = pytest.communicate(timeout=MAX_RUN_SECONDS)
            except subprocess.TimeoutExpired:
                return Verdict(f"(no end within {MAX_RUN_SECONDS:.0f} s)", MAX_RUN_SECONDS)
            finally:
                _end_group(pytest.pid)
        seconds = time.monotonic() - started
        if pytest.returncode not in (0, 1) or any(text in said for text in _NO_PROOF):
            raise Trouble(f"the tests prove nothing (status {pytest.returncode}):\n{said[-1500:]}")
        if pytest.returncode == 0:
            return Verdict(None, seconds)
        failed, reason = _FAILED.search(said), _REASON.search(said)
        return Verdict(failed[1] if failed else "(no test is named)", seconds, reason[1] if reason else "")


def judge(copy: Copy, bug: Bug, database: Mapping[str, str], seed: int = 0, named_only: bool = False) -> Verdict:
    """Plant the bug and run the tests that it names, then, if none failed, all others, unless `named_only`.

    Afterwards the copy is free of the bug again. Raises Trouble.
    """
    with copy.planted(bug):
        verdict = copy.run(bug.tests, database, seed)
        if verdict.red is None and not named_only:
            rest = copy.run([f"--deselect={test}" for test in bug.tests], database, seed)
            verdict = replace(rest, seconds=verdict.seconds + rest.seconds)
    return verdict


def _inherited(added: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would redirect Python or our programs."""
    astray = ("PYTHON", "NEO4J_", "DMCHECK_", "PYTEST_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(astray)}
    return {**kept, **added, "PYTHONDONTWRITEBYTECODE": "1"}


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(leader, signal.SIGKILL)


def is_inside(paths: Iterable[Path], folder: Path) -> bool:
    """Whether all of `paths` are files below `folder`."""
    return all(path.resolve().is_relative_to(folder.resolve()) for path in paths)
