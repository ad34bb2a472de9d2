"""What takes the place of a file only when it is whole: written beside it, and renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dmcheck_cli.errors import Temporary, Usage

STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")
"""Folders of what is no file, or leads to one that somebody has open, which would be replaced."""

STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of standard output."""


def file_or_stdout(named: object | None) -> Path | None:
    """The path of what a person named to write to; None for standard output."""
    return None if named is None or str(named) in STDOUT else Path(str(named))


def place(path: Path) -> Path:
    """Where the file is that is to be replaced, whatever links lead there. Raises Usage where there can be none."""
    found = Path(os.path.realpath(path))
    if os.path.abspath(path.parent) in STREAMS or (found.exists() and not found.is_file()):
        raise Usage(what=f"{str(path)!a} is not a file")
    return found


@contextmanager
def beside(target: Path, folder: bool = False) -> Iterator[Path]:
    """A new, empty file (or folder) beside `target`, for the block to fill and to rename; gone after the block.

    Only one process has it at a time. A killed one leaves it behind; the next removes that first.

    Raises Temporary while another process has it, OSError when it cannot be made.
    """
    path = target.with_name(f".{target.name}.part")
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            _claim(descriptor, target)
            _remove(path)
        finally:
            os.close(descriptor)
    try:
        if folder:
            path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise _taken(target) from None
    try:
        _claim(descriptor, target)
        yield path
    finally:
        _remove(path)
        os.close(descriptor)


def _claim(descriptor: int, target: Path) -> None:
    """Lock it until this process closes it or ends; a file system without locks has none."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(target) from None
    except OSError:
        return


def _taken(target: Path) -> Temporary:
    return Temporary(what=f"Another command is writing {str(target)!a}: repeat this one when that has ended")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
