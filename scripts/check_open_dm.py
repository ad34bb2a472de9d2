"""The checker of dmcheck_cli/checkers/open_dm.py; installed, it is `dmcheck-check-open-dm`."""

from __future__ import annotations

import sys

from dmcheck_cli.checkers.open_dm import main

if __name__ == "__main__":
    sys.exit(main())
