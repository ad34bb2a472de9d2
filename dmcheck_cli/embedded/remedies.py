"""Turns a refusal by the operating system into an outcome that says what is wrong and what helps."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from dmcheck_cli.embedded.extra import needs_extra
from dmcheck_cli.embedded.folders import home_folder
from dmcheck_cli.errors import DmcheckError, NotConfigured, Temporary
from dmcheck_cli.settings import Settings

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

LACKING = {
    errno.EMFILE: "this process may open no further file (ulimit -n)",
    errno.ENFILE: "the system opens no further file",
    errno.EAGAIN: "the system starts no further process or thread (ulimit -u, or the limit of a container)",
    errno.ENOMEM: "there is not enough memory",
    errno.ENOBUFS: "the system has no room for a further connection",
}
"""What the machine lacks now but may have later."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """Files of one kind: what they are, what they need, how to put them elsewhere."""

    what: str
    needs: str
    elsewhere: str


HOME = Place(
    "the embedded database",
    "a new database takes 60 MB",
    "DMCHECK_HOME names another folder, with another database in it",
)
CACHE = Place(
    "the cache of Neo4j's jars",
    "they take 130 MB",
    "XDG_CACHE_HOME names another folder for caches, DMCHECK_JARS_FOLDER one that has the jars",
)
JARS = Place(
    "the folder of Neo4j's jars",
    "they take 130 MB",
    "DMCHECK_JARS_FOLDER names it; unset, the jars are fetched into a cache",
)
DUMP = Place("the dump", "it takes less than the database", "Name another folder")


def explained(
    function: Callable[Concatenate[Settings, Parameters], Result],
) -> Callable[Concatenate[Settings, Parameters], Result]:
    """Wrap a function so that what the machine lacks or forbids becomes NotConfigured or Temporary."""

    @needs_extra
    @functools.wraps(function)
    def wrapper(settings: Settings, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(settings, *args, **kwargs)
        except OSError as error:
            raise trouble(error, HOME, home_folder(settings)) from error
        except MemoryError as error:
            raise Temporary(what=f"For {HOME.what}, {LACKING[errno.ENOMEM]}.") from error
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            raise Temporary(what=f"For {HOME.what}, {LACKING[errno.EAGAIN]}.") from error

    return wrapper


@contextmanager
def using(place: Place, folder: Path) -> Iterator[None]:
    """Within the block, an OSError is trouble with that place."""
    try:
        yield
    except OSError as error:
        raise trouble(error, place, folder) from error


def trouble(error: OSError, place: Place, folder: Path) -> DmcheckError:
    """The outcome for an error with the files of a place, in `folder`."""
    number = error.errno or 0
    if number in FULL:
        return Temporary(
            what=f"No room for {place.what} on the disk of {folder} ({error.strerror}): make some, {place.needs}. "
            f"{place.elsewhere}."
        )
    if number in LACKING:
        return Temporary(what=f"For {place.what}, {LACKING[number]}.")
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
    wrong = f"Cannot use {place.what}: {path}: {error.strerror or error}"
    if number in (errno.EACCES, errno.EPERM):
        wrong += f"; {_whose(path)}"
    return NotConfigured(what=f"{wrong}. {place.elsewhere}.")


def java_trouble(error: OSError, java: str) -> DmcheckError:
    """The outcome when Java could not be executed."""
    if error.errno in LACKING:
        return Temporary(what=f"For Java, {LACKING[error.errno]}.")
    return NotConfigured(
        what=f"Java cannot be executed: {java}: {error.strerror}. It needs a disk that is not mounted noexec, and the "
        f"system that it was installed for (it was not made for musl): install 'dmcheck[embedded]' there, or set "
        f"NEO4J_URI to use a Neo4j of your own."
    )


def _whose(path: Path) -> str:
    """Who can open the path, or else its nearest visible ancestor."""
    for one in (path, *path.parents):
        try:
            owner = one.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            return f"{one} belongs to {_name(owner)}: give it to the account that runs dmcheck, or use that account"
        return f"{one} is yours, but its mode forbids it: chmod u+rwx"
    return "nothing on the way there can be seen"


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"
