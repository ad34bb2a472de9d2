"""Plans the statements that all clients run, on behalf of the process that starts the embedded server.

A newly started server plans each statement again for every client that sends it meanwhile, and all its code is slow at
first. A run that does nothing caches its plan, and does more than EXPLAIN: for 50 first fetches at once the server took
37 and 41 s of CPU time with no plan, 17 and 18 s after EXPLAIN, 4 s after one run (on a busy machine).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dmcheck_cli import cypher
from dmcheck_cli.database.link import Link, Row
from dmcheck_cli.database.sending import Statement

_FETCH: Row = {"client": 0, "request": "0" * 32, "count": 0, "release": "0.0.0"}
_BUCKET: Row = {
    "bucket": "0" * 32,
    "lease": "0" * 36,
    "digests": ["0" * 64],
    "answers": 1,
    "names": ["someone", "", ""],
    "spelled": "someone",
}

HOT: tuple[tuple[str, Row], ...] = (
    ("fetch_buckets", _FETCH),
    ("submit_answers", {"client": 0, "buckets": [_BUCKET]}),
    ("submit_answers", {"client": 0, "buckets": [_BUCKET] * 2}),
)
"""The statements, with parameters as most clients pass them. Neo4j 5.26 caches one plan per combination of parameter
types and of text and list sizes in steps (1, 2 to 10, 11 to 100); the contents of a map do not matter."""


NO_VERSION = -1
"""No graph has this version, so a statement written for it finds no graph and changes nothing."""


def warm(link: Link, ours: Callable[[str], Row], about: dict[str, Any], seconds: float) -> None:
    """Run the statements without effect, if the graph has our version; then close `link`.

    `ours`: maps a statement's name to the parameters that it gets besides its own. Raises what the driver raises.
    """
    try:
        [graph] = link.run(Statement(cypher.text("show_version")), {}, about, seconds)
        if graph["version"] == cypher.SCHEMA:
            for name, parameters in HOT:
                nothing = ours(name) | {"schema": NO_VERSION} | parameters
                link.run(Statement(cypher.text(name)), nothing, about, seconds)
    finally:
        link.close()
