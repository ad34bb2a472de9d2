"""Files and folders that only their owner can read, whatever the umask, and a lock between processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmcheck_cli.errors import NotConfigured, Temporary


def is_there(path: Path) -> bool:
    """Whether this name exists, even as a dangling link.

    Raises OSError where that cannot be determined; Path.exists would say no, and existing data would be overwritten.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def make_private_folder(path: Path) -> None:
    """Make a folder of mode 0700, with any missing parents; an existing one is left unchanged.

    Raises OSError.
    """
    if path.is_dir():
        return
    make_private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)  # a umask may have removed bits that we need


def private_opener(path: str, flags: int) -> int:
    """For open(..., opener=private_opener): creates the file with mode 0600."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def write_private_file(path: Path, text: str) -> None:
    """Replace a file of mode 0600 in one step: a reader sees the old text or the new, even after a power cut.

    Only one process may write a path at a time (the temporary name is fixed, so that a crash leaves at most one).
    Raises OSError.
    """
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    with open(temporary, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str | None:
    """The SHA-256 of a file, in hexadecimal digits; None if it does not exist. Raises OSError."""
    import hashlib  # every command imports this module, only a start needs hashlib

    try:
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold `path` exclusively: a lock file, or a folder that is there. The operating system frees it when this process
    ends, however it ends.

    The descriptor is closed on exec (Python's default), so a server launched under the lock does not keep it.
    Raises Temporary when another process holds it for longer than `seconds`, NotConfigured where there is no flock.
    """
    try:
        import fcntl
    except ImportError as error:
        raise NotConfigured(what="The embedded database does not run on this system: set NEO4J_URI.") from error

    descriptor = os.open(path, os.O_RDONLY) if path.is_dir() else private_opener(str(path), os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Temporary(what=f"Another process has held {path} for {seconds:.0f} seconds.") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
