"""`dmcheck settings`."""

from __future__ import annotations

import re
from typing import Any

from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format
from dmcheck_cli.reporting.views import Table
from dmcheck_cli.settings import Settings, load_with_sources, variables

SECRET = "NEO4J_PASSWORD"
ADDRESSES = frozenset({"NEO4J_URI", "DMCHECK_JARS_URL"})
HIDDEN = "(hidden)"


def settings(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Show where each setting comes from, and which database is used. Nothing is started."""
    loaded, sources = load_with_sources()
    rows = [_row(loaded, one.name, one.metadata["name"], sources) for one in variables()]
    database = used(loaded)
    show.results(
        as_json,
        format,
        lambda: {"settings": rows, "database": database},
        Table("Settings", ("name", "value", "source"), [tuple(row.values()) for row in rows]),
        Table("Database", tuple(database), [tuple(database.values())]),
    )


def used(settings: Settings) -> dict[str, Any]:
    """The database that is used: its address (null: an embedded one that does not run), whether it is the embedded one,
    and the folder of that; or the gate, behind which it is."""
    if settings.gate is not None:
        return {"uri": None, "embedded": False, "home": None, "gate": settings.gate}
    if settings.neo4j_uri is not None:
        return {"uri": without_secrets(settings.neo4j_uri), "embedded": False, "home": None}
    from dmcheck_cli.embedded import server

    try:
        found = server.status(settings)
    except NotConfigured:  # it is not installed, or has no folder: anyone who uses it is told
        return {"uri": None, "embedded": True, "home": None}
    return {"uri": found["uri"], "embedded": True, "home": found["home"]}


def without_secrets(address: str) -> str:
    """An address without an account, a password or parameters, which may be in it though they should not."""
    return re.sub(r"[?#].*", "", re.sub(r"//.*@", "//", address))


def _row(settings: Settings, field: str, name: str, sources: dict[str, str]) -> dict[str, Any]:
    value = getattr(settings, field) if name in sources or name != SECRET else None
    if value is not None and name == SECRET:
        value = HIDDEN
    elif value is not None and name in ADDRESSES:
        value = without_secrets(value)
    return {"name": name, "value": value, "source": sources.get(name, "default")}
