"""Where our files are: the embedded database, its jars, kept answers. Never in a folder that depends on the working
directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings, expanded

LOADING = "loading"
"""The folder in a home where a dump is loaded, a home by itself."""


def home_folder(settings: Settings) -> Path:
    """The home, which need not exist: DMCHECK_HOME, else `dmcheck` in the platform's user data folder.

    Raises NotConfigured if there is no such folder, or if its path contains a dangling link.
    """
    if settings.home is not None:
        home = expanded("DMCHECK_HOME", settings.home)
    else:
        from platformdirs import user_data_dir

        ways_out = "HOME, or DMCHECK_HOME (the database's folder)"
        home = _of_the_user(user_data_dir, "XDG_DATA_HOME", "the embedded database", ways_out)
    for one in (home, *home.parents):
        # Usually an unmounted disk: the database exists there, and must not be recreated in its place.
        if os.path.islink(one) and not os.path.exists(one):
            raise NotConfigured(what=f"The embedded database is not there: {one} is a link that leads nowhere.")
    try:
        # One name per folder: the server's process is recognised by it.
        return Path(os.path.realpath(home))
    except OSError as error:
        raise NotConfigured(
            what=f"DMCHECK_HOME is a relative path ({home}), and the current folder is gone."
        ) from error


def cache_folder() -> Path:
    """The user's cache folder, the same for all homes; raises NotConfigured if there is none."""
    from platformdirs import user_cache_dir

    ways_out = "HOME, XDG_CACHE_HOME (a folder for caches) or DMCHECK_JARS_FOLDER (one that has the jars)"
    return _of_the_user(user_cache_dir, "XDG_CACHE_HOME", "Neo4j's jars", ways_out)


def state_folder() -> Path:
    """The user's folder for what programs keep from run to run; raises NotConfigured if there is none."""
    from platformdirs import user_state_dir

    return _of_the_user(user_state_dir, "XDG_STATE_HOME", "kept answers", "HOME or XDG_STATE_HOME")


def _of_the_user(where: Callable[[str], str], variable: str, what: str, ways_out: str) -> Path:
    """Our folder according to platformdirs. Its releases treat a missing, empty or relative HOME or `variable`
    differently: a folder named `~`, one in the root or in the current folder, RuntimeError."""
    given = os.environ.get(variable, "").strip()
    if given:
        if not os.path.isabs(given):
            raise NotConfigured(what=f"There is no folder for {what}: {variable} must be an absolute path.")
        with suppress(RuntimeError):
            if (folder := Path(where("dmcheck"))).is_relative_to(given):
                return folder
    try:
        home = expanded("HOME", "~")
    except NotConfigured as error:
        wrong = "HOME is no folder with an absolute path" if os.environ.get("HOME") else "HOME is not set"
        raise NotConfigured(what=f"There is no folder for {what}, as {wrong}: set {ways_out}.") from error
    folder = Path(where("dmcheck"))
    return folder if folder.is_relative_to(home) else home / folder.relative_to("/")  # an empty HOME means the root
