"""The domain model: users, leases, answers, clients, and what operators see of them. Plain values, without behaviour
that needs a database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dmcheck_cli.domain.policy.forecast import Forecast

ANSWERS = ("DM", "NON_DM", "UNKNOWN")


@dataclass(slots=True)
class User:
    """An account to check; the id is None if unknown.

    Not frozen: a fetch creates 180 of them per bucket, which took 66 µs frozen and takes 27 µs now.
    """

    screen_name: str
    id: int | None

    def document(self) -> dict[str, Any]:
        """As it stands in JSON. `id_str` is for programs that round large numbers: JavaScript, jq 1.6."""
        return {
            "screen_name": self.screen_name,
            "id": self.id,
            "id_str": None if self.id is None else str(self.id),
        }


@dataclass(slots=True)
class Checked:
    """A user whose answer is in force. `answered_by` is None where the client was deleted, `answered_at` where an older
    system stored no time. `verdict` and `confidence` follow from all opinions that count.

    Not frozen, as User: an export creates one per line.
    """

    screen_name: str
    id: int | None
    answer: str
    answered_by: int | None
    answered_at: str | None
    verdict: str
    confidence: float

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        content = User(self.screen_name, self.id).document()
        content["answer"], content["answered_by"], content["answered_at"] = (
            self.answer,
            self.answered_by,
            self.answered_at,
        )
        content["verdict"], content["confidence"] = self.verdict, self.confidence
        return content


@dataclass(frozen=True)
class Past:
    """An answer about a user. `kind` is answer (in force), second (a second opinion), overruled (it was in force, and
    others know better), withdrawn (`client distrust`) or rechecked (`prioritize --recheck` put it aside)."""

    client: int | None
    answer: str | None
    at: str | None
    kind: str


@dataclass(frozen=True)
class Known:
    """All that is known about a user: `state` is waiting, leased or checked; the answer in force; the bucket that it is
    in and the client that holds it; since when it is set aside (it then counts as waiting, until `users retry`); the
    verdict, how sure that is, and why; all its answers, newest first."""

    screen_name: str
    id: int | None
    state: str
    answer: str | None
    answered_by: int | None
    answered_at: str | None
    bucket: str | None
    client: int | None
    set_aside: str | None
    verdict: str
    confidence: float
    why: str
    history: list[Past]

    def document(self) -> dict[str, Any]:
        """As it stands in JSON: without the sentence, which is for people; `set_aside` only of a user who is."""
        left_out = {"why"} if self.set_aside else {"why", "set_aside"}
        content = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**User(self.screen_name, self.id).document(), **content, "history": [vars(p) for p in self.history]}


@dataclass(frozen=True)
class BucketState:
    """A bucket: `state` is waiting, leased or dead; `users` counts those without an answer; `since`: it waits, or is
    leased. `next_job` is the job that moves it if no client does, `next_job_seconds` when that is due (0: at its next
    run). Times are ISO 8601 in UTC."""

    bucket: str
    state: str
    priority: int | None
    users: int
    client: int | None
    lease: str | None
    since: str | None
    expires: str | None
    next_job: str
    next_job_seconds: int


@dataclass(frozen=True)
class Lease:
    """One bucket held by one client. `expires` is ISO 8601 in UTC; None if another system gave the lease."""

    bucket: str
    lease: str
    priority: int
    expires: str | None
    users: list[User]

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {**vars(self), "users": [user.document() for user in self.users]}


@dataclass(frozen=True)
class Answered:
    """The answers for one bucket under one lease: screen name -> one of ANSWERS, for those that have an answer."""

    bucket: str
    lease: str
    answers: dict[str, str]
    rounded: int = field(default=0, compare=False)
    """Ids that came back as other numbers than their `id_str`."""

    def names(self) -> list[str]:
        """The names as spelled, in an order without case.

        Of those that differ in case only (an importer may have stored both; they are one account to the platform), the
        one whose answer comes first in ANSWERS: UNKNOWN counts only if the account was never seen. That answer is for
        all of them.
        """
        weakest_first = sorted(self.answers, key=lambda name: ANSWERS.index(self.answers[name]), reverse=True)
        spelled = {name.lower(): name for name in weakest_first}
        return [spelled[name] for name in sorted(spelled)]

    def digests(self) -> list[str]:
        """SHA-256 of the answers, independent of their order and of the case of the names, to tell a repeated submit
        from a changed one; then the one that earlier releases stored, for which the case counted."""
        return [
            _digest({(name.lower(), answer) for name, answer in self.answers.items()}),
            _digest(self.answers.items()),
        ]


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

    def document(self) -> dict[str, Any]:
        """As it stands in JSON: `reason` only where there is one."""
        refused = [{"screen_name": name, "reason": "not_in_bucket"} for name in self.refused]
        shown: dict[str, Any] = {**vars(self), "refused": refused}
        return shown if self.reason is not None else {name: shown[name] for name in shown if name != "reason"}


@dataclass(frozen=True)
class Client:
    """A registered checker. Times are ISO 8601 in UTC; `first_registered` and `last_registered` may be None in a graph
    made by an older system. `state` is SUSPENDED while it is: since when, and for what reason."""

    id: int
    screen_name: str
    state: str
    capacity: int
    dm_from_id: int | None
    dm_from_screen_name: str | None
    first_registered: str | None
    last_registered: str | None
    suspended: str | None
    reason: str | None


@dataclass(frozen=True)
class Distrusted:
    """What came of withdrawing a client's opinions: of its answers in force, those withdrawn, those that others
    confirm, and those of the withdrawn whose users wait again; and its second opinions that were withdrawn."""

    withdrawn: int
    kept: int
    waiting: int
    seconds: int


@dataclass(frozen=True)
class Event:
    """Something that happened. `users` counts them; `reason` and `count` tell of refusals, `reason` of suspensions,
    too; `answers` of a submit. `at` is ISO 8601 in UTC."""

    at: str
    event: str
    client: int | None
    bucket: str | None
    lease: str | None
    users: int
    reason: str | None
    count: int | None
    answers: dict[str, int] | None

    def document(self) -> dict[str, Any]:
        """As it stands in JSON: `reason`, `count` and `answers` only where there are any."""
        more = ("reason", "count", "answers")
        return {name: value for name, value in vars(self).items() if name not in more or value is not None}


@dataclass(frozen=True)
class ClientStats:
    """A client, its counters (contract, section 3), and flags (see `flags`).

    `allowance` is how many leases it may hold: what it has earned, but no more than it stated (`capacity`).
    `judged_for` is the reason for its last verdict (answered, slow, unknown, died, refused), `judged_seconds` how long
    ago that was, `turnaround_seconds` how long the last answered bucket took. `limited_by` is why it may hold so many:
    suspended, inactive, contained, probation (one, until it has a record), unjudged (it has no record, and waits for
    judge_clients), newcomer (it was never judged), stated (it may hold what it stated), or the reason for its last
    verdict. `buckets_failed`: how many it gave back because COMMAND failed. `id` and `screen_name` are None where
    another program stored none.

    `compared` counts its answers that others were compared with, `contradicted` those that did not bear out; `record`:
    enough did. `checked_share`: of its answers other than DM, so many are asked again of others. `unjudged`: buckets
    that it holds or answered since judge_clients last looked. `suspended` and `contained`: since when. `release` is the
    release of dmcheck by which it last fetched ("0.3.0 (gate)": that of the gate); None before this was recorded.
    """

    id: int | None
    screen_name: str | None
    state: str
    capacity: int
    allowance: int
    limited_by: str
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
    answers: dict[str, int]
    users_checked: int
    users_unknown: int
    compared: int
    contradicted: int
    record: bool
    checked_share: float
    unjudged: int
    contained: str | None
    suspended: str | None
    suspend_reason: str | None
    last_access_time: str | None
    last_access_seconds: int | None
    first_registered: str | None
    last_registered: str | None
    next_fetch_seconds: int | None
    place: int | None
    flags: list[str]
    release: str | None = None


@dataclass(frozen=True)
class Wait:
    """How many seconds the oldest waiting bucket of a kind has waited (None: none waits), and when it is overdue."""

    oldest_seconds: int | None
    overdue_seconds: int


@dataclass(frozen=True)
class SystemStats:
    """The state of the system. Waiting: without an answer and not under lease, in a bucket or in none. Set aside:
    leases kept ending without an answer for them; of these, who was answered lacks another opinion, the others wait.
    Answers of the last day and hour are those of leases that ended then; the day before is the one before that."""

    users_total: int
    users_waiting: int
    users_leased: int
    users_checked: int
    users_set_aside: int
    users_set_aside_answered: int
    answers: dict[str, int]
    buckets_ready: int
    buckets_leased: int
    buckets_dead: int
    oldest_wait_seconds: int | None
    prioritized: Wait
    ordinary: Wait
    answered_last_hour: int
    answered_last_day: int
    answered_day_before: int
    estimated_end: Forecast | None
    clients_active: int
    clients_by_flag: dict[str, int]


def _digest(answers: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(answers)).encode()).hexdigest()
