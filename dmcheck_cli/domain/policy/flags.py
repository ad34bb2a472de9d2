"""What an operator should look at, from a client's counters."""

from __future__ import annotations

from math import log
from typing import Any

from dmcheck_cli.domain.limits import DEFAULTS

FLAGS = (
    "suspended",
    "contained",
    "disagreement",
    "unresponsive",
    "dying",
    "blind",
    "hoarding",
    "returning",
    "faulty",
    "hasty",
)
"""All that `flags` may return, in its order."""

MIN_COUNT = 3
"""Fewer dead leases or faults than this are forgiven: a laptop may have been closed once."""

HOARD_SECONDS = 86_400
"""A bucket of 180 takes a checker minutes to a few hours; a client that renews its lease for a day is not working on
it."""

CHANCE_NATS = 6.0
"""An honest client is contradicted so often once in e^6 = 400 times at most. It is half of what contains a client."""


def flags(counters: dict[str, Any]) -> list[str]:
    """What an operator should look at (design, 10.1), given a client's counters.

    `suspended`, `contained`: it is. `disagreement`: of its answers that were compared (`cells`: how many, how many of
    them contradicted, and the share that is usual for an honest client), too many to be chance did not bear out.
    `hasty`: at least MIN_COUNT leases were answered faster than anybody can check. `returning`: at least flood leases,
    and more than half of all, ended with no answer and without dying. `unresponsive`: holds a dead lease. `dying`: at
    least MIN_COUNT leases, and more than a quarter of all, died. `faulty`: at least MIN_COUNT faults, and more than one
    per ten processed buckets. `blind`: more than half of its answers are UNKNOWN, and too many to be chance.
    `hoarding`: has kept a lease alive for HOARD_SECONDS.
    """
    dead, fault = counters["buckets_dead"], counters["buckets_fault"]
    returned = counters["buckets_assigned"] - counters["held"] - counters["buckets_processed"] - dead
    signs = {
        "suspended": counters["suspended"] is not None,
        "contained": counters["contained"] is not None,
        "disagreement": any(_unlikely(*cell) for cell in counters["cells"]),
        "unresponsive": counters["dead"] > 0,
        "dying": dead >= MIN_COUNT and dead * 4 > counters["buckets_assigned"],
        "blind": counters["users_unknown"] >= DEFAULTS.flood
        and counters["users_unknown"] * 2 > counters["users_checked"],
        "hoarding": (counters["oldest_lease_seconds"] or 0) >= HOARD_SECONDS,
        "returning": returned >= DEFAULTS.flood and returned * 2 > counters["buckets_assigned"],
        "faulty": fault >= MIN_COUNT and fault * 10 > counters["buckets_processed"],
        "hasty": counters["hasty"] >= MIN_COUNT,
    }
    return [flag for flag in FLAGS if signs[flag]]


def _unlikely(compared: int, contradicted: int, usual: float) -> bool:
    """Whether so many contradictions have a chance of e^-CHANCE_NATS at most (Chernoff's bound)."""
    if contradicted <= usual * compared:
        return False
    share = min(contradicted / compared, 1.0) if compared else 1.0
    pairs = ((share, usual), (1 - share, 1 - usual))
    return compared * sum(a * log(a / b) for a, b in pairs if a > 0) >= CHANCE_NATS
