"""What this process cost the database: statements, round trips, rows, and the time it waited."""

from __future__ import annotations

from dataclasses import dataclass, fields

SLOW_SECONDS = 1.0
"""A statement that takes longer is named on the stderr of jobs, of `work`, and with `--verbose`."""


@dataclass
class Account:
    """The cost of what one `Database` ran.

    `statements`: asked for. `round_trips`: sent, those tried again too; one each. `rows`: received. `retries`: tries
    after the first. `waited`: seconds from sending until the last row or the failure. Connecting, logging in, starting
    the embedded database and the pauses between tries are not counted.
    """

    statements: int = 0
    round_trips: int = 0
    rows: int = 0
    retries: int = 0
    waited: float = 0.0

    def __str__(self) -> str:
        return (
            f"round trips: {self.round_trips}, statements: {self.statements}, rows: {self.rows}, "
            f"retries: {self.retries}, waited {self.waited:.3f} s"
        )


_opened: list[Account] = []
_slow: set[str] = set()


def opened() -> Account:
    """A new account, which `total` includes."""
    account = Account()
    _opened.append(account)
    return account


def total() -> Account:
    """The sum of all accounts of this process since `forget`."""
    return Account(**{one.name: sum(getattr(account, one.name) for account in _opened) for one in fields(Account)})


def forget() -> None:
    """Begin at 0: another program starts in this process."""
    _opened.clear()
    _slow.clear()


def is_slow(statement: str, seconds: float) -> bool:
    """Whether to report that a statement was slow: once for each name, never for one without."""
    if not statement or seconds <= SLOW_SECONDS or statement in _slow:
        return False
    _slow.add(statement)
    return True
