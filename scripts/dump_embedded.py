"""Dump the graph of the embedded database, to move it to a Neo4j server of one's own.

    python scripts/dump_embedded.py FOLDER

stops the embedded server (the next command that needs it starts it again) and writes FOLDER/neo4j.dump. On the
other server, with its database `neo4j` stopped, load it, and set NEO4J_URI for dmcheck from then on:

    neo4j-admin database load neo4j --from-path=FOLDER --overwrite-destination=true

That server's Neo4j has to be of the same version or a newer one. Needs `dmcheck[embedded]`, and reads the same
settings (DMCHECK_HOME). A dump that is in FOLDER already is kept: exit 4.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dmcheck_cli.embedded.administration import dump
from dmcheck_cli.errors import DmcheckError
from dmcheck_cli.settings import Settings


def main() -> int:
    """Dump into the folder of the command line; 0 when the dump is written, else as `dmcheck` exits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where neo4j.dump is written; made, for you alone, if missing")
    try:
        path = dump(Settings.load(), parser.parse_args().folder)
    except DmcheckError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_status
    sys.stderr.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
