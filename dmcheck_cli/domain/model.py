"""The domain model: users, leases, answers, clients, and what operators see of them. Plain values, without behaviour
that needs a database."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

ANSWERS = ("DM", "NON_DM", "UNKNOWN")


@dataclass(slots=True)
class User:
    """An account to check; the id is None if unknown.

    Not frozen: a fetch creates 180 of them per bucket, which took 66 µs frozen and takes 27 µs now.
    """

    screen_name: str
    id: int | None


@dataclass(frozen=True)
class Lease:
    """One bucket held by one client. `expires` is ISO 8601 in UTC; None if another system gave the lease."""

    bucket: str
    lease: str
    priority: int
    expires: str | None
    users: list[User]


@dataclass(frozen=True)
class Answered:
    """The answers for one bucket under one lease: screen name -> one of ANSWERS, for those that have an answer."""

    bucket: str
    lease: str
    answers: dict[str, str]

    def digest(self) -> str:
        """SHA-256 of the answers, independent of their order: tells a repeated submit from a changed one."""
        return hashlib.sha256(json.dumps(sorted(self.answers.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Report:
    """The outcome of one bucket. `status` is done, partial or refused (then `reason` says why); `accepted` and
    `returned` count users; `refused` names users that exist, but not in this bucket."""

    bucket: str
    status: str
    accepted: int = 0
    returned: int = 0
    refused: list[str] = field(default_factory=list)
    reason: str | None = None


@dataclass(frozen=True)
class Client:
    """A registered checker. Times are ISO 8601 in UTC; `first_registered` and `last_registered` may be None in a graph
    made by an older system."""

    id: int
    screen_name: str
    state: str
    capacity: int
    dm_from_id: int | None
    dm_from_screen_name: str | None
    first_registered: str | None
    last_registered: str | None


@dataclass(frozen=True)
class ClientStats:
    """A client, its counters (contract, section 3), and flags (see `flags`).

    `allowance` is how many leases it may hold: what it has earned, but no more than it stated (`capacity`).
    `judged_for` is the reason for its last verdict (answered, slow, unknown, died, refused), `judged_seconds` how long
    ago that was, `turnaround_seconds` how long the last answered bucket took. `buckets_failed`: how many it gave back
    because COMMAND failed. `id` and `screen_name` are None where another program stored none.
    """

    id: int | None
    screen_name: str | None
    state: str
    capacity: int
    allowance: int
    judged_for: str | None
    judged_seconds: int | None
    turnaround_seconds: int | None
    held: int
    oldest_lease_seconds: int | None
    buckets_assigned: int
    buckets_processed: int
    buckets_fault: int
    buckets_dead: int
    buckets_failed: int
    users_checked: int
    users_unknown: int
    last_access_time: str | None
    last_access_seconds: int | None
    first_registered: str | None
    last_registered: str | None
    flags: list[str]


@dataclass(frozen=True)
class Wait:
    """How many seconds the oldest waiting bucket of a kind has waited (None: none waits), and when it is overdue."""

    oldest_seconds: int | None
    overdue_seconds: int


@dataclass(frozen=True)
class SystemStats:
    """The state of the system. Waiting: without an answer and not under lease, in a bucket or in none."""

    users_total: int
    users_waiting: int
    users_leased: int
    users_checked: int
    buckets_ready: int
    buckets_leased: int
    buckets_dead: int
    oldest_wait_seconds: int | None
    prioritized: Wait
    ordinary: Wait
