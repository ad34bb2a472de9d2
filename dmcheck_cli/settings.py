"""Settings from outside: the environment, then a `.env` file in the current folder, then the file `dmcheck/env` in the
user's configuration folder, then defaults.

`Settings.load()` reads and checks everything at once, so an unreadable setting stops a command before it has done
anything. A setting that is present is either read or an error: ignoring one could lead to the wrong database.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dmcheck_cli import textfile
from dmcheck_cli.domain.limits import DEFAULTS, Limits
from dmcheck_cli.errors import NotConfigured

MAX_SECONDS = 1_000_000_000
"""About 31 years: past it, the database's date arithmetic could overflow."""


PASSWORDS = frozenset({"NEO4J_PASSWORD", "NEO4J_PASSWORD_FILE"})
"""Two ways to give one setting: a source that has either one replaces both."""

PATHS = frozenset({"NEO4J_PASSWORD_FILE", "DMCHECK_HOME", "DMCHECK_JARS_FOLDER", "DMCHECK_AUTHORIZED_KEYS"})
"""Settings that may contain any byte allowed in a file name."""

_ACCOUNT = r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_GATE = re.compile(rf"ssh://{_ACCOUNT}(?:{_HOST}|\[[0-9A-Fa-f:.]+\])(?::{_PORT})?|{_ACCOUNT}(?:{_HOST}|[0-9A-Fa-f:.]+)")
"""What `ssh` takes for a destination, and for nothing else: no option, and nothing that a ProxyCommand would run."""

_SURROGATES = re.compile("[\ud800-\udfff]")
"""How Python represents bytes that are not UTF-8."""

_BLANK_LINES = re.compile(r"(?:[^\S\r\n]*(?:\r\n|\n|\r))+")
"""The `.env` parser counts blank lines as part of the line that follows."""


def _setting(name: str, default: Any, meaning: str, least: int = 0, most: int = MAX_SECONDS) -> Any:
    return field(default=default, metadata={"name": name, "meaning": meaning, "least": least, "most": most})


@dataclass(frozen=True)
class Settings:
    """All settings, typed. The metadata of a field holds its variable's name and meaning (commands/README.md has them).

    The last two have no variable. `limits`: tests and simulations pass their own. `attended`: false in a
    gate, which may not start an embedded database that a person has stopped.
    """

    neo4j_uri: str | None = _setting("NEO4J_URI", None, "The Neo4j to use; unset: the embedded one.")
    neo4j_username: str = _setting("NEO4J_USERNAME", "neo4j", "The account of that Neo4j.")
    neo4j_password: str | None = _setting("NEO4J_PASSWORD", None, "Its password.")
    neo4j_password_file: str | None = _setting(
        "NEO4J_PASSWORD_FILE", None, "A file whose first line is the password. Nobody else may read it (mode 0600)."
    )
    neo4j_database: str | None = _setting("NEO4J_DATABASE", None, "The database; unset: the account's home database.")
    home: str | None = _setting("DMCHECK_HOME", None, "Folder of the embedded database; unset: the user's data folder.")
    jars_url: str | None = _setting(
        "DMCHECK_JARS_URL", None, "A Maven repository to fetch the embedded database's jars from, such as a mirror."
    )
    jars_folder: str | None = _setting("DMCHECK_JARS_FOLDER", None, "A folder that holds those jars.")
    java_options: str | None = _setting(
        "DMCHECK_JAVA_OPTIONS", None, "Options for the embedded database's Java, such as `-Xmx2g` for a larger heap."
    )
    gate: str | None = _setting(
        "DMCHECK_GATE", None, "Reach an operator's database through this gate: `user@host` or `ssh://user@host:port`."
    )
    client_id: str | None = _setting(
        "DMCHECK_CLIENT_ID", None, "The client that commands with `--client` act for, where that is not given."
    )
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
    keep_seconds: int = _setting(
        "DMCHECK_KEEP_SECONDS", 2_592_000, "How long ended leases and events are kept (30 days)."
    )
    max_unjudged: int = _setting(
        "DMCHECK_MAX_UNJUDGED",
        60,
        "How many buckets a client without a record may hold or have answered between two runs of judge_clients; 0: "
        "any number.",
    )
    buckets_per_client: int = _setting(
        "DMCHECK_BUCKETS_PER_CLIENT",
        0,
        "How many buckets wait for each active client; 0: as many in all as were taken in a quarter of an hour, at "
        "least two for each.",
        0,
        1000,
    )
    suspend_contained: int = _setting(
        "DMCHECK_SUSPEND_CONTAINED", 0, "1: judge_clients suspends whom it contains; 0: it does not."
    )
    authorized_keys: str | None = _setting(
        "DMCHECK_AUTHORIZED_KEYS", None, "The file of keys that `gate` keeps; unset: `~/.ssh/authorized_keys`."
    )
    gate_requests_per_minute: int = _setting(
        "DMCHECK_GATE_REQUESTS_PER_MINUTE",
        60,
        "How many requests a gate answers each client in a minute.",
        1,
        1_000_000,
    )
    gate_connections_per_key: int = _setting(
        "DMCHECK_GATE_CONNECTIONS_PER_KEY", 4, "How many connections a client may have to a gate at once.", 1, 1000
    )
    gate_connections: int = _setting(
        "DMCHECK_GATE_CONNECTIONS", 200, "How many connections a gate has at once.", 1, 100_000
    )
    limits: Limits = DEFAULTS
    attended: bool = True

    def bound(self, name: str) -> object:
        """A bound that statements use, by its name: a setting, or else one of `limits`."""
        return getattr(self if name in ("buckets_per_client", "lease_seconds", "max_unjudged") else self.limits, name)

    def refuse_gate(self) -> None:
        """Raises NotConfigured where DMCHECK_GATE is set: what needs a database must not start an empty one."""
        if self.gate is not None:
            raise NotConfigured(
                what=f"DMCHECK_GATE is set ({self.gate}): through a gate go fetch, submit, renew, release, work and "
                "stats of oneself. The operator does the rest, and registers clients. To use a database from here, "
                "unset it"
            )

    @classmethod
    def load(cls) -> Settings:
        """Read every setting.

        Raises NotConfigured, naming the variable or the file and line, for anything unreadable.
        """
        return replace(load_with_sources()[0], **_fixed)

    def password(self) -> str | None:
        """The password of NEO4J_URI's account, or None when none is given.

        Raises NotConfigured when NEO4J_PASSWORD_FILE cannot be read, or others may read it.
        """
        if self.neo4j_password is not None or self.neo4j_password_file is None:
            return self.neo4j_password
        path = expanded("NEO4J_PASSWORD_FILE", self.neo4j_password_file)
        password = textfile.read("NEO4J_PASSWORD_FILE", path, private=True).split("\n")[0].rstrip("\r")
        if not password:
            raise NotConfigured(what="NEO4J_PASSWORD_FILE cannot be used: its first line is empty")
        return password


_fixed: dict[str, Any] = {}


def fix(**values: Any) -> None:
    """Have `Settings.load` return these values from now on, whatever is set outside: we act for a stranger."""
    _fixed.update(values)


def outside(*more: str) -> dict[str, str]:
    """Our environment for a program that we start: without the database's password, which none of them needs, and
    without `more`."""
    return {name: value for name, value in os.environ.items() if name not in ("NEO4J_PASSWORD", *more)}


def variables() -> list[Field[Any]]:
    """The fields of Settings that a variable sets."""
    return [setting for setting in fields(Settings) if setting.metadata]


def expanded(variable: str, path: str) -> Path:
    """`path` with a leading `~` replaced by the user's home folder, taken from the variable HOME or the system.

    Raises NotConfigured, naming `variable`, when there is no such folder.
    """
    if not path.startswith("~"):
        return Path(path)
    first, slash, rest = path.partition("/")
    # An empty variable counts as unset; Python treats it differently.
    home = os.environ.get("HOME") or _home_by_account() if first == "~" else os.path.expanduser(first)
    if not os.path.isabs(home) or not os.path.isdir(home):
        whose = "HOME is not set, or" if first == "~" else f"there is no account {first[1:]!a}, or its home"
        raise NotConfigured(what=f"{variable} lies in a home folder ({first}), but {whose} is no folder: write it out")
    return Path(home + slash + rest)


def _home_by_account() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return ""


def load_with_sources() -> tuple[Settings, dict[str, str]]:
    """The settings, and where each variable that is set comes from: `environment`, `.env`, or the path of the user's
    file.

    Raises NotConfigured as `Settings.load` does.
    """
    given = _merged(_sources())
    values: dict[str, Any] = {}
    for setting in variables():
        raw, source = given.get(setting.metadata["name"], (None, ""))
        if raw is None:
            continue
        whole = isinstance(setting.default, int)
        try:
            values[setting.name] = (_whole_number if whole else _text)(raw, setting.metadata)
        except NotConfigured as error:
            where = "the environment" if source == "environment" else source
            raise NotConfigured(what=f"{error.message} (it comes from {where})") from None
    settings = Settings(**values)
    if settings.neo4j_password_file is not None and textfile.is_pipe(os.path.expanduser(settings.neo4j_password_file)):
        settings = replace(settings, neo4j_password=settings.password())  # it cannot be read a second time
    return settings, {name: source for name, (_, source) in given.items()}


def _sources() -> list[tuple[str, Mapping[str, str]]]:
    """All sources by name, weakest first."""
    own = _own_file()
    of_the_user = [(own, _read_file(own, own))] if own else []
    return [*of_the_user, (".env", _read_file(".env", ".env")), ("environment", os.environ)]


def _own_file() -> str | None:
    """The path of the user's file; None where there is no configuration folder."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        home = os.environ.get("HOME") or _home_by_account()
        if not os.path.isabs(home):
            return None
        folder = os.path.join(home, *(("Library", "Application Support") if sys.platform == "darwin" else (".config",)))
    return os.path.join(folder, "dmcheck", "env")


def _merged(sources: list[tuple[str, Mapping[str, str]]]) -> dict[str, tuple[str, str]]:
    """Values with their source, by variable; the sources come weakest first. An empty variable counts as unset."""
    merged: dict[str, tuple[str, str]] = {}
    for source, given in sources:
        found = {name: (value, source) for name, value in given.items() if value}
        if not PASSWORDS.isdisjoint(found):
            merged = {name: value for name, value in merged.items() if name not in PASSWORDS}
        merged |= found
    return merged


def _whole_number(raw: str, metadata: Any) -> int:
    least, most = metadata["least"], metadata["most"]
    text = raw.strip()
    # len() first: int() refuses very long texts with its own error.
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise NotConfigured(what=f"{metadata['name']} must be a whole number from {least} to {most}, not {raw[:40]!a}")


def _text(raw: str, metadata: Any) -> str:
    name = metadata["name"]
    if name == "NEO4J_PASSWORD":
        usable = not _SURROGATES.search(raw)
    else:
        usable = raw.isprintable() or (name in PATHS and "\0" not in raw)
    if not usable:
        raise NotConfigured(what=f"{name} has characters that it cannot have: control characters, or no UTF-8")
    if name == "DMCHECK_GATE" and not _GATE.fullmatch(raw):
        raise NotConfigured(what=f"DMCHECK_GATE must be user@host or ssh://user@host:port, not {raw[:40]!a}")
    return raw


def _read_file(path: str, name: str) -> dict[str, str]:
    """The variables of a file; none where there is no file. `name` is what messages call it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}  # a folder that may not be searched counts as having none
    except OSError as error:
        raise NotConfigured(what=f"{name} cannot be read: {error.strerror}") from error
    import io

    from dotenv.parser import parse_stream  # imported only when there is a .env

    ours = {setting.metadata["name"] for setting in variables()}
    found: dict[str, str] = {}
    for one in parse_stream(io.StringIO(textfile.read(name, path))):
        blank = _BLANK_LINES.match(one.original.string)
        line = one.original.line + (len(blank[0].splitlines()) if blank else 0)
        if one.error:
            raise NotConfigured(what=f"{name} cannot be read: line {line} is not NAME=value")
        if one.key is not None and not (one.key.isascii() and one.key.isprintable()):
            raise NotConfigured(
                what=f"{name} cannot be read: in line {line}, a name has a character that cannot be seen"
            )
        if one.key in ours and one.value is None:
            raise NotConfigured(what=f"{name} cannot be read: in line {line}, {one.key} has no value")
        if one.key is not None and one.value is not None:
            found[one.key] = one.value
    return found
