"""The two ways that a client's verbs take (`domain/verbs.py`): to the database, or through a gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, ClientStats, Lease, Report, SystemStats
from dmcheck_cli.domain.verbs import Service
from dmcheck_cli.gate.remote import Remote
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, leases
from dmcheck_cli.transactions import stats as figures


class Direct:
    """The verbs, run directly on the database. `command`: the name under which its transactions appear there."""

    def __init__(self, settings: Settings, client: int, command: str) -> None:
        self._client = client
        self._database = Database(settings, command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lease_seconds(self) -> int:
        """See Service."""
        return self._database.settings.lease_seconds

    @property
    def place(self) -> str:
        """See Service."""
        return self._database.place

    def fetch(self, count: int | None, request: str) -> list[Lease]:
        """See Service."""
        return leases.fetch(self._database, self._client, count, request)

    def resume(self) -> list[Lease]:
        """See Service."""
        return leases.resume(self._database, self._client)

    def renew(self, bucket: str, lease: str) -> str:
        """See Service."""
        return leases.renew(self._database, self._client, bucket, lease)

    def release(self, bucket: str, lease: str, failed: bool = False) -> int:
        """See Service."""
        return leases.release(self._database, self._client, bucket, lease, failed)

    def submit(self, answered: list[Answered]) -> list[Report]:
        """See Service."""
        return answers.submit(self._database, self._client, answered)

    def stats(self) -> tuple[list[ClientStats], SystemStats]:
        """See Service."""
        return figures.stats(self._database, self._client)

    def hurry(self, seconds: int) -> None:
        """See Service."""
        self.close()
        self._database = Database(replace(self._database.settings, timeout_seconds=seconds), self._database.command)

    def close(self) -> None:
        """See Service."""
        self._database.close()


def connect(settings: Settings, client: int, command: str) -> Service:
    """The verbs of a client: through the gate where one is set, else on the database. Nothing is opened yet."""
    return Direct(settings, client, command) if settings.gate is None else Remote(settings, client)
