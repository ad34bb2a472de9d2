"""The views: which columns a result has and what they contain, defined once for every output format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dmcheck_cli.domain.model import (
    BucketState,
    Client,
    ClientStats,
    Event,
    Known,
    Lease,
    Report,
    SystemStats,
    User,
    Wait,
)
from dmcheck_cli.reporting.forms import Marked, Means, duration, moment, state, trouble

T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """A title, heads of columns, and rows of as many values. `drops`: the heads of columns that a narrow terminal does
    without, first to last."""

    title: str
    heads: tuple[str, ...]
    rows: Iterable[tuple[object, ...]]
    drops: tuple[str, ...] = ()


@dataclass(frozen=True)
class View(Generic[T]):
    """A table of things of one kind: for each column its head, and how to get its value from a thing."""

    title: str
    columns: tuple[tuple[str, Callable[[T], object]], ...]
    drops: tuple[str, ...] = ()

    def of(self, things: Iterable[T]) -> Table:
        """The table of these things, one row each, generated as it is read."""
        rows = (tuple(value(thing) for _, value in self.columns) for thing in things)
        return Table(self.title, tuple(head for head, _ in self.columns), rows, self.drops)


def _flags(client: ClientStats) -> Marked | None:
    active = client.state == "ACTIVE"
    shown = ", ".join((["inactive"] if client.state == "DEACTIVE" else []) + client.flags)
    return Marked(shown, Means.LOOK if client.flags and active else Means.GONE) if shown else None


def _oldest(wait: Wait) -> str:
    overdue = (wait.oldest_seconds or 0) > wait.overdue_seconds
    return Marked(duration(wait.oldest_seconds), Means.BAD if overdue else None)


def _flags_of_all(system: SystemStats) -> Marked | None:
    found = [f"{flag} {count}" for flag, count in sorted(system.clients_by_flag.items())]
    return Marked(", ".join(found), Means.LOOK) if found else None


CLIENTS: View[ClientStats] = View(
    "Clients",
    (
        ("id", lambda c: c.id),
        ("name", lambda c: c.screen_name),
        ("held", lambda c: f"{c.held}/{c.allowance}"),
        ("given", lambda c: c.buckets_assigned),
        ("done", lambda c: c.buckets_processed),
        ("fault", lambda c: c.buckets_fault),
        ("dead", lambda c: c.buckets_dead),
        ("contradicted", lambda c: f"{c.contradicted}/{c.compared}"),
        ("seen", lambda c: duration(c.last_access_seconds, units=1)),
        ("flags", _flags),
    ),
    drops=("given", "dead", "fault", "contradicted", "seen"),
)

ALLOWANCE: View[ClientStats] = View(
    "Allowance",
    (
        ("states", lambda c: c.capacity),
        ("may hold", lambda c: c.allowance),
        ("because", lambda c: c.limited_by),
        ("holds", lambda c: c.held),
        ("COMMAND failed", lambda c: c.buckets_failed),
        ("judged for", lambda c: c.judged_for),
        ("last judged", lambda c: None if c.judged_seconds is None else f"{duration(c.judged_seconds, units=1)} ago"),
        ("turnaround", lambda c: duration(c.turnaround_seconds)),
        ("oldest lease", lambda c: duration(c.oldest_lease_seconds)),
    ),
)

TRUST: View[ClientStats] = View(
    "Trust",
    (
        ("compared", lambda c: c.compared),
        ("contradicted", lambda c: c.contradicted),
        ("record", lambda c: c.record),
        ("checked by others", lambda c: f"{c.checked_share:.0%}"),
        ("not judged yet", lambda c: c.unjudged),
        ("contained since (UTC)", lambda c: moment(c.contained)),
        ("suspended since (UTC)", lambda c: moment(c.suspended)),
        ("reason", lambda c: c.suspend_reason),
    ),
)

OWN: View[ClientStats] = View(
    "Answers",
    (
        ("DM", lambda c: c.answers["DM"]),
        ("NON_DM", lambda c: c.answers["NON_DM"]),
        ("UNKNOWN", lambda c: c.answers["UNKNOWN"]),
        ("place among the active", lambda c: c.place),
        ("may ask again in", lambda c: duration(c.next_fetch_seconds)),
        ("last used dmcheck", lambda c: c.release),
    ),
)

SYSTEM: View[SystemStats] = View(
    "Users",
    (
        ("all", lambda s: s.users_total),
        ("waiting", lambda s: s.users_waiting),
        ("leased", lambda s: s.users_leased),
        ("checked", lambda s: s.users_checked),
        ("set aside", lambda s: s.users_set_aside),
        ("DM", lambda s: s.answers["DM"]),
        ("NON_DM", lambda s: s.answers["NON_DM"]),
        ("UNKNOWN", lambda s: s.answers["UNKNOWN"]),
    ),
)

PROGRESS: View[SystemStats] = View(
    "Answers",
    (
        ("last hour", lambda s: s.answered_last_hour),
        ("last day", lambda s: s.answered_last_day),
        ("day before", lambda s: s.answered_day_before),
        ("all checked in", lambda s: s.estimated_end and duration(s.estimated_end.seconds)),
        ("at the earliest", lambda s: s.estimated_end and duration(s.estimated_end.earliest, units=1)),
        ("at the latest", lambda s: s.estimated_end and duration(s.estimated_end.latest, units=1)),
    ),
)

BUCKETS: View[SystemStats] = View(
    "Buckets and active clients",
    (
        ("waiting", lambda s: s.buckets_ready),
        ("leased", lambda s: s.buckets_leased),
        ("dead", lambda s: trouble(s.buckets_dead)),
        ("active clients", lambda s: s.clients_active),
        ("flags", _flags_of_all),
    ),
)

WAITS: View[tuple[str, Wait]] = View(
    "Waits",
    (
        ("kind", lambda w: w[0]),
        ("oldest wait", lambda w: _oldest(w[1])),
        ("overdue after", lambda w: duration(w[1].overdue_seconds)),
    ),
)

CLIENT: View[Client] = View(
    "Client",
    (
        ("id", lambda c: c.id),
        ("screen name", lambda c: c.screen_name),
        ("state", lambda c: state(c.state)),
        ("capacity", lambda c: c.capacity),
        ("first registered", lambda c: moment(c.first_registered)),
        ("last registered", lambda c: moment(c.last_registered)),
        ("suspended (UTC)", lambda c: moment(c.suspended)),
        ("reason", lambda c: c.reason),
    ),
    drops=("reason", "suspended (UTC)"),
)

BUCKET: View[BucketState] = View(
    "Bucket",
    (
        ("bucket", lambda b: b.bucket),
        ("state", lambda b: state(b.state)),
        ("priority", lambda b: b.priority),
        ("users", lambda b: b.users),
        ("held by", lambda b: b.client),
        ("since (UTC)", lambda b: moment(b.since)),
        ("expires (UTC)", lambda b: moment(b.expires)),
        ("if no client acts", lambda b: f"{b.next_job} in {duration(b.next_job_seconds)}"),
    ),
)

LEASES: View[Lease] = View(
    "Leases",
    (
        ("bucket", lambda x: x.bucket),
        ("lease", lambda x: x.lease),
        ("priority", lambda x: x.priority),
        ("users", lambda x: len(x.users)),
        ("expires (UTC)", lambda x: moment(x.expires)),
    ),
    drops=("users", "priority", "expires (UTC)"),
)

RENEWED: View[dict[str, str]] = View(
    "Lease",
    (
        ("bucket", lambda x: x["bucket"]),
        ("lease", lambda x: x["lease"]),
        ("expires (UTC)", lambda x: moment(x["expires"])),
    ),
)

REPORTS: View[Report] = View(
    "Submitted",
    (
        ("bucket", lambda r: r.bucket),
        ("status", lambda r: state(r.status)),
        ("accepted", lambda r: r.accepted),
        ("returned", lambda r: r.returned),
        ("refused users", lambda r: r.refused),
        ("reason", lambda r: r.reason),
    ),
    drops=("returned", "accepted", "refused users"),
)

KNOWN: View[Known] = View(
    "Users",
    (
        ("screen name", lambda u: u.screen_name),
        ("id", lambda u: u.id),
        ("state", lambda u: state("set aside" if u.set_aside and u.state == "waiting" else u.state)),
        ("answer", lambda u: u.answer),
        ("by", lambda u: u.answered_by),
        ("at (UTC)", lambda u: moment(u.answered_at)),
        ("verdict", lambda u: u.verdict),
        ("confidence", lambda u: u.confidence),
        ("bucket", lambda u: u.bucket),
        ("client", lambda u: u.client),
        ("other answers", lambda u: [f"{one.answer} ({one.kind})" for one in u.history if one.kind != "answer"]),
    ),
    drops=("bucket", "client", "other answers", "id"),
)

WHY: View[Known] = View("Why", (("screen name", lambda u: u.screen_name), ("why", lambda u: u.why)))

PENDING: View[User] = View("Pending", (("screen name", lambda u: u.screen_name), ("id", lambda u: u.id)))

EVENTS: View[Event] = View(
    "Events",
    (
        ("at (UTC)", lambda e: moment(e.at)),
        ("event", lambda e: e.event),
        ("client", lambda e: e.client),
        ("users", lambda e: e.users),
        ("reason", lambda e: e.reason),
        ("count", lambda e: e.count),
        ("bucket", lambda e: e.bucket),
        ("lease", lambda e: e.lease),
    ),
    drops=("lease", "bucket"),
)
