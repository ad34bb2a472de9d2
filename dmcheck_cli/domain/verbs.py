"""What a client can ask for, independent of transport: the verbs on which `work`, the commands and a gate stand."""

from __future__ import annotations

from typing import Protocol, Self

from dmcheck_cli.domain.model import Answered, ClientStats, Lease, Report, SystemStats


class Service(Protocol):
    """The verbs of one client. Each raises what the function of the same name in `transactions` raises. After
    Temporary, the same call can be repeated; the calls then have the effect of one.

    Close it, or use it as a context manager.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def lease_seconds(self) -> int:
        """How long a lease taken or renewed now lasts."""

    @property
    def place(self) -> str:
        """A name of the database that all ways to it share: answers that are kept belong there. Without secrets."""

    def fetch(self, count: int | None, request: str) -> list[Lease]:
        """Lease up to `count` buckets; the same `request` again gives the same leases."""

    def resume(self) -> list[Lease]:
        """The leases that the client holds."""

    def renew(self, bucket: str, lease: str) -> str:
        """Give a lease its full time again; returns the new expiry, ISO 8601 in UTC."""

    def release(self, bucket: str, lease: str, failed: bool = False) -> int:
        """Give a bucket back unanswered; returns how many of its users wait again. `failed`: COMMAND failed on it,
        which is counted."""

    def submit(self, answered: list[Answered]) -> list[Report]:
        """Hand in answers; a report for each bucket, in their order."""

    def stats(self) -> tuple[list[ClientStats], SystemStats]:
        """The client's own figures, and the system's."""

    def hurry(self, seconds: int) -> None:
        """Make each call from now on give up after `seconds`."""

    def close(self) -> None:
        """Close what it keeps open. It can be used again."""
