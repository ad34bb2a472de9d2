"""Check formatting, style and types as CI does: `python3 scripts/check.py`; `--fix` first fixes what ruff can.

Needs Python 3.11 or newer and nothing else, like `scripts/test.py`. The exit status is 1 when a check fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import environment

FIXES = (("ruff", "check", "--fix", "--quiet", "."), ("ruff", "format", "--quiet", "."))
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))


def main() -> int:
    """Run all checks, even after one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fix", action="store_true", help="fix what can be fixed automatically")
    fix = parser.parse_args().fix
    try:
        programs = environment.ensure(tests=True)
    except environment.Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    failed = False
    for program, *arguments in (*FIXES, *CHECKS) if fix else CHECKS:
        done = subprocess.run([programs / program, *arguments], cwd=environment.ROOT, check=False)
        failed |= done.returncode != 0 and (program, *arguments) in CHECKS
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
