"""`python -m dmcheck_cli` is `dmcheck`: the start of the program."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The console script. A gate's refusals come before the command line is assembled: that takes most of the time."""
    if sys.argv[1:3] == ["gate", "run"]:
        from dmcheck_cli.commands import gate_run

        gate_run.main(sys.argv[3:])
    try:
        from dmcheck_cli import cli
    except KeyboardInterrupt:
        from dmcheck_cli.errors import Interrupted

        problem = Interrupted(what="Nothing was changed.")
        sys.stderr.write(f"dmcheck: {problem.message}\n")
        raise SystemExit(problem.exit_status) from None
    cli.main()


if __name__ == "__main__":
    main()
