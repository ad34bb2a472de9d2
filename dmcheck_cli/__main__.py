"""`python -m dmcheck_cli` is `dmcheck`: the start of the program."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The console script. A gate's refusals come before the command line is assembled: that takes most of the time."""
    if sys.argv[1:3] == ["gate", "run"]:
        from dmcheck_cli.commands import gate_run

        gate_run.main(sys.argv[3:])
    from dmcheck_cli import cli

    cli.main()


if __name__ == "__main__":
    main()
