"""The checker of dmcheck_cli/checkers/demo.py; installed, it is `dmcheck-demo-checker`."""

from __future__ import annotations

import sys

from dmcheck_cli.checkers.demo import main

if __name__ == "__main__":
    sys.exit(main())
