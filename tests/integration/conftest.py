"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dmcheck_cli.database.connection import Database


@pytest.fixture
def sized(database: Database) -> Iterator[Callable[..., Database]]:
    """Gives the test database with other settings: `sized(bucket_size=5)`."""
    opened: list[Database] = []

    def other(**settings: Any) -> Database:
        opened.append(Database(replace(database.settings, **settings), "tests"))
        return opened[-1]

    yield other
    for one in opened:
        one.close()
