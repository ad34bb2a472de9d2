"""The users of a list, each once: sorted out on disk, so that a list of any length takes little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import Temporary


@dataclass
class Batch:
    """Users whose names differ in more than case; `twice` names those that came with several ids."""

    users: list[User] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


class Collected:
    """The users of a list in a temporary database, which goes with the object."""

    def __init__(self, users: Iterable[User]) -> None:
        """Raises what `users` raises, and Temporary when there is no room for the temporary files."""
        self.conflicting: list[str] = []
        self.repeated = 0
        with _room():
            self._table = sqlite3.connect("")  # on disk, in a file without a name
            self._table.execute("CREATE TABLE given (name TEXT, id INTEGER)")
            self._table.executemany("INSERT INTO given VALUES (?, ?)", ((user.screen_name, user.id) for user in users))
            [(self.total,)] = self._table.execute("SELECT count(*) FROM given")

    def batches(self, size: int, replace: bool) -> Iterator[Batch]:
        """The users in order of name, at most `size` at a time; of ids the last counts.

        Names with several ids go to `conflicting` instead, unless `replace`. `repeated` counts the further lines of
        each name.
        """
        batch = Batch()
        with _room():
            rows = self._table.execute("SELECT name, id FROM given ORDER BY name COLLATE NOCASE, rowid")
            for _, same in groupby(rows, lambda row: row[0].lower()):
                lines = list(same)
                self.repeated += len(lines) - 1
                name = lines[0][0]
                ids = [id for _, id in lines if id is not None]
                twice = len(set(ids)) > 1
                if twice and not replace:
                    self.conflicting.append(name)
                    continue
                batch.users.append(User(name, ids[-1] if ids else None))
                if twice:
                    batch.twice.append(name)
                if len(batch.users) == size:
                    yield batch
                    batch = Batch()
        if batch.users:
            yield batch


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Temporary(what=f"The list needs room in the folder of temporary files (TMPDIR): {error}") from error
