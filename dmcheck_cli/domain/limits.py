"""All bounds, in one frozen object. It travels with the settings, and statements get it as one parameter, `$limits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The numbers that the contract fixes, and the bounds that are ours. Tests and simulations pass others."""

    default_priority: int = 100
    """Of ordinary buckets; lower is sooner (contract, section 3)."""

    prioritized: int = 10
    """What `prioritize` gives unless told otherwise (contract, section 4)."""

    max_priority: int = 1_000_000
    """The least urgent priority that may be asked for."""

    step_seconds: int = 900
    """An overdue bucket has priority -1, and one less for each further quarter of an hour. Nobody can ask for less than
    0, so no flood of prioritized users comes before it. As often as cron raises: finer steps would not be seen."""

    max_capacity: int = 1000
    """Contract, section 4."""

    max_fetch: int = 10
    """Contract, section 4."""

    default_fetch: int = 2
    """For a client that stated no capacity. A real account looks up some 180 users in 15 minutes, and a lease lasts two
    hours (contract, section 4)."""

    start_allowance: int = 10
    """Leases that a client may hold before it has earned more, unless it stated less (contract, section 3, rule 8)."""

    flood: int = 10
    """With at least this many UNKNOWN answers for one bucket, and a majority of them, the client is taken to have lost
    its own access. Of 180 real accounts only a few are deleted; of a tiny bucket all may be."""

    window: int = 64
    """Buckets from which a fetch draws, from a random point of the line on (contract, rule 6). The place of each in the
    line is random too, but the gaps between places are uneven, and that evens out over so many: the chance of each is
    the same within what 10,000 draws could tell (`scripts/prove.py steering`)."""

    tolerance: int = 30
    """Fetches after the first, without an answer in between, that are served at once: what a newcomer may hold, bucket
    by bucket, and two more full fetches (contract, section 5: two fetches ahead)."""

    pause_seconds: int = 60
    """Between the fetches beyond `tolerance`. Polling once a minute is cheap, and fast enough: cron makes buckets every
    15 minutes."""

    polls_per_second: int = 20
    """Combined polling rate of all clients while no bucket waits. An empty fetch costs 3 ms with its round trip."""

    quota_pause_seconds: int = 60
    """After which a client that holds all that it may should look again, unless it has answered before."""

    buckets_per_client: int = 20
    """How many buckets should wait for each active client: 10 a fetch, two fetches ahead (contract, section 5)."""

    max_new_clients_per_hour: int = 10_000
    """Registrations that the whole system takes in an hour. A flood of made-up clients could otherwise lease every
    bucket there is (design, 8.1.6)."""

    max_request_id: int = 200
    """Characters (contract, section 3)."""

    max_names: int = 20_000
    """Names that one `prioritize` takes: they move in one transaction, which must end well within its time limit."""

    max_answers: int = 20_000
    """In one transaction. 36,000 passed within the embedded database's heap of 384 MB, 180,000 did not."""

    batch_users: int = 1_800
    """Users that one transaction of make_buckets places, ten buckets' worth: short enough (about 0.2 s) that
    `prioritize`, which waits for the same lock, is not held up."""

    batch_leases: int = 100
    """Leases or buckets that one transaction of a job changes."""

    batch_raised: int = 1_000
    """Buckets that one transaction of raise_starved moves: it takes about 70 ms, most of it to look at all that wait
    (10,000 in that measurement)."""

    batch_adopted: int = 500
    """Clients or buckets that one transaction of `schema apply` puts right."""

    batch_upgraded: int = 5_000
    """Nodes that one transaction of an upgrade changes."""

    scan_slice: int = 20_000
    """Users that one statement looks at."""

    scan_buckets: int = 100
    """Buckets whose members one statement looks at: 18,000 users."""

    max_skew_seconds: int = 60
    """How far a stored time may lie in the future before it is taken for a wrong clock's. A statement's own clock is
    read before it waits for locks, for DMCHECK_TIMEOUT_SECONDS (30) at most, and the clocks of a cluster's members
    differ."""


DEFAULTS = Limits()
"""What the command line checks its arguments against."""
