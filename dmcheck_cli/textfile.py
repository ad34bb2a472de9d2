"""Small text files that contain settings: read whole, whatever kind of file and whatever encoding."""

from __future__ import annotations

import codecs
import os
import stat
import threading
from pathlib import Path

from dmcheck_cli.errors import NotConfigured

MAX_BYTES = 1024 * 1024
"""A settings file has a few lines. Anything larger is another file, or an endless one, such as a device."""

MAX_SECONDS = 30
"""For the whole read: opening a named pipe waits for its writer, which may have to ask a person first, as a password
manager does."""


OTHERS = 0o077
OTHERS_OF_ROOT = 0o037
"""The rights that a private file gives nobody. A group may read one of root's: that is how an administrator hands it to
one account. libpq has the same rule for private keys."""


def read(name: str, path: str | Path, private: bool = False) -> str:
    """The text of the file at `path`, without a byte order mark: UTF-8, or UTF-16 that begins with such a mark.
    `private`: others may not read it.

    Raises NotConfigured, which calls the file `name` and names the line that is not text.
    """
    raw = _read(name, path, private)
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw[: error.start].count(b"\n") + 1
        raise NotConfigured(what=f"{name} cannot be read: line {number} is not {error.encoding.upper()}") from error
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise NotConfigured(what=f"{name} cannot be read: line {number} has a null character, so it is no text")
    return text


def is_pipe(path: str | Path) -> bool:
    """Whether the file at `path` can be read only once."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _read(name: str, path: str | Path, private: bool) -> bytes:
    content: list[bytes] = []
    trouble: list[OSError | ValueError | NotConfigured] = []

    def look() -> None:
        try:
            with open(path, "rb") as file:
                if private:
                    _refuse_readable(name, path, os.fstat(file.fileno()))
                content.append(file.read(MAX_BYTES + 1))
        except (OSError, ValueError, NotConfigured) as error:  # ValueError: a null character in the path
            trouble.append(error)

    # There is no other way to bound the opening of a pipe: a non-blocking open reads as empty if the writer is late.
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(MAX_SECONDS)
    if looking.is_alive():
        raise NotConfigured(what=f"{name} cannot be read: nothing came within {MAX_SECONDS} seconds")
    if trouble:
        if isinstance(trouble[0], NotConfigured):
            raise trouble[0]
        reason = getattr(trouble[0], "strerror", None) or trouble[0]
        raise NotConfigured(what=f"{name} cannot be read: {reason}") from trouble[0]
    if len(content[0]) > MAX_BYTES:
        raise NotConfigured(what=f"{name} cannot be read: it has more than {MAX_BYTES} bytes")
    return content[0]


def _refuse_readable(name: str, path: str | Path, found: os.stat_result) -> None:
    """Raise NotConfigured for a file that others than its owner may read. Pipes and devices are no files."""
    forbidden = OTHERS_OF_ROOT if found.st_uid == 0 else OTHERS
    if os.name == "posix" and stat.S_ISREG(found.st_mode) and found.st_mode & forbidden:
        raise NotConfigured(
            what=f"{name} cannot be used: others may read {str(path)!a} (mode {stat.S_IMODE(found.st_mode):04o}); "
            "`chmod 600` it"
        )
