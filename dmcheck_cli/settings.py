"""What can be set from outside: the environment, then a `.env` file in the current folder, then defaults.

`Settings.load()` reads and checks all of it at once, so a setting that cannot be read stops a command before
it has done anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dmcheck_cli.errors import NotConfigured

LONGEST_SECONDS = 1_000_000_000
"""About 31 years: past it, the database's date arithmetic could overflow."""


def _setting(name: str, default: Any, meaning: str, least: int = 0, most: int = LONGEST_SECONDS) -> Any:
    return field(default=default, metadata={"name": name, "meaning": meaning, "least": least, "most": most})


@dataclass(frozen=True)
class Settings:
    """All settings, typed. Each field's metadata holds its variable's name and meaning (README lists them)."""

    neo4j_uri: str | None = _setting("NEO4J_URI", None, "The Neo4j to use; unset: the embedded one.")
    neo4j_username: str = _setting("NEO4J_USERNAME", "neo4j", "The account of that Neo4j.")
    neo4j_password: str | None = _setting("NEO4J_PASSWORD", None, "Its password.")
    neo4j_password_file: str | None = _setting("NEO4J_PASSWORD_FILE", None, "A file whose first line is the password.")
    neo4j_database: str | None = _setting("NEO4J_DATABASE", None, "The database; unset: the account's home database.")
    home: str | None = _setting("DMCHECK_HOME", None, "Folder of the embedded database; unset: the user's data folder.")
    jars_url: str | None = _setting(
        "DMCHECK_JARS_URL", None, "A Maven repository to fetch the embedded database's jars from, such as a mirror."
    )
    jars_folder: str | None = _setting("DMCHECK_JARS_FOLDER", None, "A folder that holds those jars.")
    client_id: str | None = _setting("DMCHECK_CLIENT_ID", None, "The client that `fetch` and `submit` act for.")
    timeout_seconds: int = _setting("DMCHECK_TIMEOUT_SECONDS", 30, "A command ends within this of database trouble.", 1)
    lease_seconds: int = _setting("DMCHECK_LEASE_SECONDS", 7200, "How long a lease lasts from fetch or renew.")
    grace_seconds: int = _setting("DMCHECK_GRACE_SECONDS", 900, "How long a dead lease is kept before it is released.")
    starved_seconds: int = _setting("DMCHECK_STARVED_SECONDS", 86_400, "A bucket that waited longer moves up.")
    starved_prioritized_seconds: int = _setting(
        "DMCHECK_STARVED_PRIORITIZED_SECONDS", 3600, "So does a prioritized one that waited longer than this."
    )
    bucket_size: int = _setting("DMCHECK_BUCKET_SIZE", 180, "The most users in a bucket.", 1, 10_000)
    max_users_per_run: int = _setting("DMCHECK_MAX_USERS_PER_RUN", 18_000, "How many users one make_buckets places.")
    scan_users_per_run: int = _setting(
        "DMCHECK_SCAN_USERS_PER_RUN", 500_000, "How many users one make_buckets looks at.", 1
    )
    keep_seconds: int = _setting("DMCHECK_KEEP_SECONDS", 2_592_000, "How long ended leases are remembered (30 days).")

    @classmethod
    def load(cls) -> Settings:
        """Read every setting.

        Raises NotConfigured, naming the variable, for a value that cannot be read.
        """
        # An empty variable is one that is not set.
        outside = {**_dotenv(), **{name: value for name, value in os.environ.items() if value}}
        values: dict[str, Any] = {}
        for setting in fields(cls):
            raw = outside.get(setting.metadata["name"])
            if not raw:
                continue
            whole = isinstance(setting.default, int)
            values[setting.name] = _whole_number(raw, setting.metadata) if whole else raw
        return cls(**values)

    def password(self) -> str | None:
        """The password of NEO4J_URI's account, or None when none is given.

        Raises NotConfigured when NEO4J_PASSWORD_FILE cannot be read.
        """
        if self.neo4j_password is not None or self.neo4j_password_file is None:
            return self.neo4j_password
        try:
            return Path(self.neo4j_password_file).expanduser().read_text("utf-8").split("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise NotConfigured(what=f"NEO4J_PASSWORD_FILE cannot be read: {error}") from error


def _whole_number(raw: str, metadata: Any) -> int:
    least, most = metadata["least"], metadata["most"]
    text = raw.strip()
    # len() first: int() refuses very long texts with an error of its own.
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise NotConfigured(what=f"{metadata['name']} must be a whole number from {least} to {most}, not {raw[:40]!r}")


def _dotenv() -> dict[str, str]:
    path = Path(".env")
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # only who has a .env pays for it

    try:
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(what=f".env cannot be read: {error}") from error
