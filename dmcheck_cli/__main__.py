"""`python -m dmcheck_cli` is `dmcheck`."""

from dmcheck_cli.cli import main

main()
