"""Dump the graph of the embedded database, to move it to your own Neo4j server.

    python scripts/dump_embedded.py FOLDER

stops the embedded server (the next command that needs it starts it again) and writes FOLDER/neo4j.dump. On the other
server, with its database `neo4j` stopped, load the dump, and from then on set NEO4J_URI for dmcheck:

    neo4j-admin database load neo4j --from-path=FOLDER --overwrite-destination=true

That server's Neo4j must be of the same version or newer. Needs `dmcheck[embedded]`, and reads the same settings
(DMCHECK_HOME). An existing dump in FOLDER is kept, and the exit status is then 4. Exits as `dmcheck` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmcheck_cli import entry
from dmcheck_cli.embedded.administration import dump
from dmcheck_cli.reporting import show
from dmcheck_cli.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets neo4j.dump; made, for you alone, if missing.")]


@app.command()
def main(folder: Folder) -> None:
    """Stop the embedded database and write its graph to FOLDER/neo4j.dump, for `neo4j-admin database load`."""
    show.message(str(dump(Settings.load(), folder)))


if __name__ == "__main__":
    entry.main(app)
