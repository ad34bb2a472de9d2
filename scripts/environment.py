"""The `.venv` of a checkout: made by its first script, reused by the next, rebuilt when broken.

    python3 scripts/environment.py         what `dmcheck` needs, the embedded database and `fast` included
    python3 scripts/environment.py tests   also what the tests and the checks of the code need

Standard library only, because nothing else is installed yet. dmcheck is installed in place from the checkout, so code
changes need no reinstall. The tests get the pinned, hashed versions of `.ci/lock.txt`; everything else gets what pip
chooses within the bounds of `pyproject.toml`, as in a user's install.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / ".ci" / "lock.txt"

STAMP = VENV / "dmcheck-environment"
"""Says what the folder was made from. While it says `unfinished`, the folder's contents cannot be trusted."""

UNFINISHED = "unfinished"

OLDEST = (3, 11)


class Trouble(Exception):
    """Why there is no environment, and the remedy, in one sentence."""


def ensure(tests: bool) -> Path:
    """Make `.venv`, or check that it is up to date; returns its folder of programs. Raises Trouble."""
    if sys.version_info < OLDEST:
        raise Trouble("dmcheck needs Python 3.11 or newer, and this is {}.{}.".format(*sys.version_info))
    with _alone():
        # An environment for the tests also serves the other scripts.
        wanted = [_description(True)] if tests else [_description(False), _description(True)]
        if _stamp() not in wanted:
            _make(tests, wanted[0])
    return VENV / "bin"


def enter() -> None:
    """Go on in the Python of `.venv`, made where it is missing, unless this one has what the tests need."""
    if importlib.util.find_spec("hypothesis") is not None:
        return
    try:
        ensure(tests=True)
    except (Trouble, OSError) as trouble:
        sys.exit(f"{trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
    os.execve(PYTHON, [str(PYTHON), *sys.argv], quiet_environment())


@contextmanager
def ended_in_order() -> Iterator[None]:
    """During the block SIGTERM ends this program as Ctrl-C does: servers that it started are stopped."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def quiet_environment() -> dict[str, str]:
    """This process's environment, without what would redirect Python or pip."""
    astray = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
    return {name: value for name, value in os.environ.items() if name not in astray}


def _make(tests: bool, description: str) -> None:
    sys.stderr.write("Installing dmcheck into .venv (half a minute, or a few on a slow line) ...\n")
    if _stamp() == UNFINISHED or not _works():
        _run("making .venv", sys.executable, "-m", "venv", "--clear", str(VENV))
    STAMP.write_text(UNFINISHED, encoding="utf-8")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if tests:
        _run("installing the pinned packages", *pip, "--require-hashes", "--requirement", str(LOCK))
        # dmcheck's build tool is among the pinned packages: nothing else is fetched.
        _run("installing dmcheck", *pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    else:
        _run("installing dmcheck", *pip, "--editable", ".[embedded,fast]")
    STAMP.write_text(description, encoding="utf-8")


def _works() -> bool:
    """Whether there is an environment with a recent enough Python and a pip."""
    look = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        done = subprocess.run([str(PYTHON), "-c", look], capture_output=True, env=quiet_environment(), check=False)
    except OSError:
        return False
    return done.returncode == 0


def _run(what: str, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=2,
        env=quiet_environment(),
        close_fds=False,  # see _alone
        check=False,
    )
    if done.returncode != 0:
        hint = " On Debian and Ubuntu, `apt install python3-venv` may be missing." if "venv" in command else ""
        raise Trouble(f"{what[0].upper()}{what[1:]} failed; the lines above say why.{hint}")


def _stamp() -> str | None:
    try:
        return STAMP.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _description(tests: bool) -> str:
    """One line that changes whenever the environment must be rebuilt; it includes the checkout's path."""
    content = (ROOT / "pyproject.toml").read_bytes() + (LOCK.read_bytes() if tests else b"")
    return f"{'tests' if tests else 'use'} {hashlib.sha256(content).hexdigest()} {ROOT}"


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: a second one waits, then finds the work done."""
    import fcntl

    folder = os.open(ROOT, os.O_RDONLY)
    # pip inherits the lock: if this process is killed, the next one waits until its pip has stopped writing.
    os.set_inheritable(folder, True)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main() -> int:
    """Make the environment that the command line asks for; 0 on success."""
    try:
        ensure(tests=sys.argv[1:] == ["tests"])
    except (Trouble, OSError) as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
