"""Metrics in Prometheus's text format, for the textfile collector of node_exporter.

Counters (`_total`) are only what never goes down: the sums of the clients' counters, those of deleted clients included.
All else is a gauge: what is in the graph comes and goes, records of leases and events end after DMCHECK_KEEP_SECONDS,
comparisons are withdrawn, and a job's record is that of its last run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from dmcheck_cli.domain.model import ClientStats, SystemStats
from dmcheck_cli.domain.policy.flags import FLAGS
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.transactions.jobs import COUNTERS, LastRun, Records

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Values = float | Mapping[str, float]
"""A number, or one for each value of a label."""

MISSING = "Metrics need the Python package {package}: pip install 'dmcheck[report]'."

STATES = ("ACTIVE", "DEACTIVE", "SUSPENDED")


@dataclass(frozen=True)
class Facts:
    """What is published. `started`: when the database was, in seconds since 1970 (None: not known); `seconds`: what
    reading all this took."""

    version: str
    clients: Sequence[ClientStats]
    system: SystemStats
    records: Records
    started: float | None
    seconds: float


@dataclass(frozen=True)
class Page:
    """The text of a textfile, and how many metrics and samples it has."""

    text: bytes
    metrics: int
    samples: int


def page(facts: Facts) -> Page:
    """The textfile. Raises NotConfigured when the extra `report` is not installed."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ModuleNotFoundError as error:
        raise NotConfigured(what=MISSING.format(package=error.name)) from error

    registry = CollectorRegistry()
    families = _Families(facts)
    registry.register(families)
    return Page(generate_latest(registry), len(families.made), sum(len(one.samples) for one in families.made))


class _Families:
    """Makes what is published; `collect` is what a registry asks for it."""

    def __init__(self, facts: Facts) -> None:
        self.made: list[Metric] = []
        self._users(facts.system)
        self._waits(facts.system)
        self._clients(facts.clients, facts.system)
        self._leases(facts.clients, facts.records.former)
        self._jobs(facts.records.runs)
        self._gauge("dmcheck_info", "The version of dmcheck that wrote this.", {facts.version: 1}, "version")
        self._gauge("dmcheck_export_timestamp_seconds", "When this was written, since 1970.", facts.records.now)
        self._gauge("dmcheck_export_duration_seconds", "What reading all this took.", facts.seconds)
        if facts.started is not None:
            about = "When the database was last started, since 1970."
            self._gauge("dmcheck_database_start_timestamp_seconds", about, facts.started)

    def collect(self) -> Iterable[Metric]:
        """The families, in their order."""
        return self.made

    def _users(self, system: SystemStats) -> None:
        states = {
            "waiting": system.users_waiting,
            "leased": system.users_leased,
            "checked": system.users_checked,
        }
        self._gauge("dmcheck_users", "Users by state; those set aside wait, too.", states, "state")
        self._gauge("dmcheck_users_set_aside", "Users whose leases kept failing.", system.users_set_aside)
        self._gauge("dmcheck_users_answered", "Users by the answer in force.", system.answers, "answer")
        self._gauge("dmcheck_answers_last_hour", "Answers of the last hour.", system.answered_last_hour)
        buckets = {"ready": system.buckets_ready, "leased": system.buckets_leased, "dead": system.buckets_dead}
        self._gauge("dmcheck_buckets", "Buckets by state.", buckets, "state")

    def _waits(self, system: SystemStats) -> None:
        waits = {"prioritized": system.prioritized, "ordinary": system.ordinary}
        oldest = {kind: wait.oldest_seconds or 0 for kind, wait in waits.items()}
        bounds = {kind: wait.overdue_seconds for kind, wait in waits.items()}
        self._gauge("dmcheck_oldest_wait_seconds", "How long the oldest ready bucket has waited.", oldest, "kind")
        self._gauge("dmcheck_wait_bound_seconds", "After that a ready bucket is overdue.", bounds, "kind")

    def _clients(self, clients: Sequence[ClientStats], system: SystemStats) -> None:
        states = Counter(client.state for client in clients)
        self._gauge("dmcheck_clients", "Clients by state.", {s.lower(): states[s] for s in STATES}, "state")
        flagged = {flag: system.clients_by_flag.get(flag, 0) for flag in FLAGS}
        self._gauge("dmcheck_clients_flagged", "Clients by flag; one may have several.", flagged, "flag")
        seen = [one.last_access_seconds for one in clients if one.state == "ACTIVE"]
        self._gauge(
            "dmcheck_clients_last_access_seconds",
            "How long ago any active client was here last; +Inf: none ever.",
            min((ago for ago in seen if ago is not None), default=inf),
        )
        for name in ("compared", "contradicted"):
            total = sum(getattr(one, name) for one in clients)
            self._gauge(f"dmcheck_answers_{name}", f"Answers of today's clients that were {name}.", total)

    def _leases(self, clients: Sequence[ClientStats], former: Mapping[str, int]) -> None:
        given, answered, refused, died, failed = (
            former.get(name, 0) + sum(getattr(one, name) for one in clients) for name in COUNTERS
        )
        self._counter("dmcheck_leases_given", "Leases that were given.", given)
        outcomes = {"answered": answered, "died": died, "failed": failed}
        about = "Leases by how they ended; one that died and was answered late is both. failed: COMMAND did."
        self._counter("dmcheck_leases_ended", about, outcomes, "outcome")
        self._counter("dmcheck_buckets_refused", "Buckets of submits that were refused.", refused)

    def _jobs(self, runs: Sequence[LastRun]) -> None:
        ago = {run.name: inf if run.seconds_ago is None else run.seconds_ago for run in runs}
        about = "How long ago the job last completed; +Inf: never."
        self._gauge("dmcheck_job_since_last_success_seconds", about, ago, "name")
        for name, part, about in (
            ("duration_seconds", "seconds", "How long the job's last run took."),
            ("statements", "statements", "Statements of the job's last run."),
            ("round_trips", "round_trips", "Round trips to the database of the job's last run."),
            ("rows", "rows", "Rows that the job's last run read."),
            ("retries", "retries", "Statements that the job's last run tried again."),
            ("waited_seconds", "waited", "How long the job's last run waited for the database."),
        ):
            known = {run.name: value for run in runs if (value := getattr(run, part)) is not None}
            self._gauge(f"dmcheck_job_{name}", about, known, "name")

    def _gauge(self, name: str, about: str, values: Values, label: str = "") -> None:
        from prometheus_client.core import GaugeMetricFamily

        self._add(GaugeMetricFamily(name, about, labels=[label] if label else []), values)

    def _counter(self, name: str, about: str, values: Values, label: str = "") -> None:
        from prometheus_client.core import CounterMetricFamily

        self._add(CounterMetricFamily(name, about, labels=[label] if label else []), values)

    def _add(self, family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> None:
        labelled = values.items() if isinstance(values, Mapping) else [(None, values)]
        for value, number in labelled:
            family.add_metric([] if value is None else [value], number)
        self.made.append(family)
