"""Which of the driver's two forms a process uses: the plain one, or the one with neo4j-rust-ext's compiled parts.

The driver uses the compiled parts whenever it can import them, so a process that must run without them hides them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

EXTRA = "neo4j-rust-ext"

COMPILED = ("neo4j._rust", "neo4j._codec.packstream._rust")
"""The modules of the extra: since driver 6, and before."""

HIDE = f"import sys; sys.modules.update(dict.fromkeys({COMPILED!r}))"
"""A line of Python that hides them. Importing a module whose entry is None fails as if it were not installed."""


def installed() -> bool:
    """Whether this Python has the extra."""
    try:
        return any(find_spec(name) for name in COMPILED)
    except ModuleNotFoundError:  # a parent package belongs to another version of the driver
        return False


def choose(compiled: bool) -> None:
    """Use the driver with or without its compiled parts. Call it before anything imports the driver.

    Raises RuntimeError when the driver is then not in the requested form.
    """
    if "neo4j" in sys.modules:
        raise RuntimeError("the driver was imported too early")
    if not compiled:
        sys.modules.update(dict.fromkeys(COMPILED))  # type: ignore[arg-type]
    import neo4j

    if any(sys.modules.get(name) for name in COMPILED) != compiled:
        raise RuntimeError(f"driver {neo4j.__version__} does not take {EXTRA} as expected")
