"""Run the test suite against a real Neo4j: `python3 scripts/test.py [--fast] [--busy N] [pytest's arguments]`.

Needs Python 3.11 or newer and nothing else: the packages (pinned, see .ci/lock.txt) are installed into `.venv`. The
database is the embedded one, in a temporary folder, or the one that NEO4J_TEST_URI names (tests/conftest.py). Two
processes share the work, each with its own database, unless NEO4J_TEST_URI provides only one, or `-n` says otherwise.
The exit status is pytest's.

`--fast` runs the tests marked fast (their time: tests/README.md). `--busy 8` runs eight compute-bound processes beside
the tests, which must pass on such a machine as well. They end with this program, however it ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import environment

SHARED = ["-n", "2", "--dist", "loadfile"]
"""Most tests wait for another process half of the time; a file's tests stay together, as they share costly setup."""

MAX_BUSY = 64

COMPUTE = """
import os
parent = int(os.environ["DMCHECK_BUSY_FOR"])
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def main() -> int:
    """Make the environment and run pytest in it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)  # --help is pytest's
    parser.add_argument("--busy", type=int, choices=range(MAX_BUSY + 1), metavar="N", default=0)
    parser.add_argument("--fast", action="store_true")
    ours, rest = parser.parse_known_args()
    try:
        environment.ensure(tests=True)
        alone = "NEO4J_TEST_URI" in os.environ or any(one.startswith("-n") for one in rest)
        chosen = ["-m", "fast"] if ours.fast else []
        command = [str(environment.PYTHON), "-m", "pytest", *([] if alone else SHARED), *chosen, *rest]
        with busy(ours.busy):
            return subprocess.run(
                command, cwd=environment.ROOT, env=environment.quiet_environment(), check=False
            ).returncode
    except (environment.Trouble, OSError) as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    except KeyboardInterrupt:
        return 130


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run this many compute-bound processes during the block."""
    # They watch for their parent themselves, as it may be killed.
    variables = {**os.environ, "DMCHECK_BUSY_FOR": str(os.getpid())}
    computing: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            computing.append(subprocess.Popen([sys.executable, "-S", "-c", COMPUTE], env=variables))
        yield
    finally:
        for one in computing:
            one.kill()
            one.wait()


if __name__ == "__main__":
    sys.exit(main())
