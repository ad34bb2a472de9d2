"""Run the whole test suite against a real Neo4j: `python3 scripts/test.py [pytest's arguments]`.

Needs Python 3.11 or newer and nothing else: the packages (pinned, see .ci/lock.txt) go into `.venv`. The database is
the embedded one, in a folder that goes with the run, or the one that NEO4J_TEST_URI names (tests/conftest.py).
Two processes share the work, each with a database of its own, unless NEO4J_TEST_URI leaves one only, or `-n` says
otherwise. The exit status is pytest's.
"""

from __future__ import annotations

import os
import subprocess
import sys

import environment

SHARED = ["-n", "2", "--dist", "loadfile"]
"""Most tests wait for another process half of the time; a file's tests stay together, as they share what is costly."""


def main() -> int:
    """Make the environment and run pytest in it."""
    try:
        environment.ensure(tests=True)
        alone = "NEO4J_TEST_URI" in os.environ or any(one.startswith("-n") for one in sys.argv[1:])
        command = [str(environment.PYTHON), "-m", "pytest", *([] if alone else SHARED), *sys.argv[1:]]
        return subprocess.run(
            command, cwd=environment.ROOT, env=environment.quiet_environment(), check=False
        ).returncode
    except (environment.Trouble, OSError) as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
