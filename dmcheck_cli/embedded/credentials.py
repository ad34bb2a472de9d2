"""The password of the embedded database: random, kept in a private file, given to Neo4j before it starts."""

from __future__ import annotations

from pathlib import Path

from dmcheck_cli.embedded.files import write_private_file
from dmcheck_cli.errors import NotConfigured

# Every command reads the password, only a first start makes one: that alone imports hashlib and secrets.

HASH_ROUNDS = 1024


def read_password(home: Path) -> str:
    """The password of the account `neo4j`; raises NotConfigured when it is missing, OSError when it is unreadable."""
    path = _path(home)
    try:
        password = path.read_text("utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        password = ""
    if not password:
        raise NotConfigured(
            what=f"The password of the embedded database is not in {path} any more: put that file back, "
            f"or move {home} away to begin with an empty graph."
        )
    return password


def make_password(home: Path) -> str:
    """Write a new password of 43 characters (256 bits) and return it."""
    import secrets

    password = secrets.token_urlsafe(32)
    write_private_file(_path(home), f"{password}\n")
    return password


def auth_ini(password: str) -> str:
    """The text of data/dbms/auth.ini, which gives the account `neo4j` its password at the first start.

    The format is Neo4j's own: the algorithm, the digest, the salt, the number of rounds. `neo4j-admin dbms
    set-initial-password` writes the same, but takes seconds and shows the password to anyone who runs `ps`.
    """
    import hashlib
    import secrets

    salt = secrets.token_bytes(32)
    digest = hashlib.sha256(salt + password.encode("utf-8")).digest()
    for _ in range(HASH_ROUNDS - 1):
        digest = hashlib.sha256(digest).digest()
    return f"neo4j:SHA-256,{digest.hex()},{salt.hex()},{HASH_ROUNDS}:\n"


def _path(home: Path) -> Path:
    return home / "password"
