"""All bounds, in one frozen object. It is part of the settings, and statements get it as one parameter, `$limits`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The numbers fixed by the contract, and our own bounds. Tests and simulations pass others."""

    default_priority: int = 100
    """The priority of ordinary buckets; lower is sooner (contract, section 3)."""

    prioritized: int = 10
    """The default priority of `prioritize` (contract, section 4)."""

    max_priority: int = 1_000_000
    """The least urgent priority that may be requested."""

    step_seconds: int = 900
    """An overdue bucket has priority -1, and one less for each further quarter of an hour. Nobody can request less than
    0, so no flood of prioritized users overtakes it. Cron raises buckets this often: finer steps would have no
    effect."""

    max_capacity: int = 1000
    """Contract, section 4."""

    max_fetch: int = 10
    """Contract, section 4."""

    default_fetch: int = 2
    """For a client that stated no capacity. A real account looks up about 180 users in 15 minutes, and a lease lasts
    two hours (contract, section 4)."""

    start_allowance: int = 10
    """Leases that a client may hold before it has earned more, unless it stated less (contract, section 3, rule 8)."""

    judge_seconds: int = 300
    """Between two runs of judge_clients (contract, section 5)."""

    newcomer_share: float = 0.25
    """Of the answers other than DM of a client that was never judged: so many need a second opinion."""

    second_share: int = 4
    """At most one user in so many of a bucket is there for a second opinion, while others wait (contract, 5)."""

    max_failures: tuple[int, int] = (3, 2)
    """Leases in a row without an answer after which a bucket's users go on in smaller ones; then a smaller one's."""

    split: float = 10.0
    """A smaller bucket has at most the size of the one before by this."""

    flood: int = 10
    """With at least this many UNKNOWN answers for one bucket, and a majority of them, the client has presumably lost
    its own access. Of 180 real accounts only a few are deleted; in a tiny bucket all may be."""

    max_speed: int = 1_000
    """Users per second between fetch and submit. X's API looks up 100 accounts in one request, and answers none in less
    than a tenth of a second. Whoever is faster has not looked."""

    window: int = 64
    """Buckets from which a fetch draws, starting at a random point of the queue (contract, rule 6). Each bucket's place
    in the queue is random, too, but the gaps between places are uneven. Over this many buckets that evens out: 10,000
    draws showed no difference between their chances (`scripts/prove.py steering`)."""

    tolerance: int = 30
    """Fetches after the first, without an answer in between, that are served at once: what a new client may hold,
    bucket by bucket, plus two more full fetches (contract, section 5: two fetches ahead)."""

    pause_seconds: int = 60
    """Between fetches beyond `tolerance`. Polling once per minute is cheap, and fast enough: cron makes buckets every
    15 minutes."""

    polls_per_second: int = 20
    """Combined polling rate of all clients while no bucket waits. An empty fetch costs 3 ms with its round trip."""

    quota_pause_seconds: int = 60
    """How long a client that is at its limit should wait before it looks again, unless it answers sooner."""

    min_buckets_per_client: int = 2
    """Buckets that wait for each active client at least, unless DMCHECK_BUCKETS_PER_CLIENT says otherwise. The more
    wait, the later a second opinion comes: see DECISIONS for what that costs."""

    taken_seconds: int = 900
    """As many buckets wait as were taken in this time: cron makes buckets so often."""

    first_clients: int = 3
    """Whose users one bucket takes second opinions from."""

    heard_share: float = 0.25
    """Of the clients that may witness, so many at most have answered for users of one bucket: none of them gets it."""

    max_new_clients_per_hour: int = 10_000
    """Registrations that the whole system accepts per hour. Otherwise a flood of fake clients could lease every bucket
    (design, 8.1.6)."""

    max_request_id: int = 200
    """Characters (contract, section 3)."""

    max_names: int = 20_000
    """Names that one `prioritize` accepts: they move in one transaction, which must end well within its time limit."""

    max_answers: int = 20_000
    """In one transaction. 36,000 fit into the embedded database's heap of 384 MB, 180,000 did not."""

    batch_users: int = 1_800
    """Users that one transaction of make_buckets places, ten buckets' worth: short enough (about 0.2 s) that
    `prioritize`, which waits for the same lock, is not held up."""

    batch_opinions: int = 1_000
    """Users whose opinions one transaction of judge_clients compares."""

    batch_leases: int = 100
    """Leases or buckets that one transaction of a job changes."""

    batch_raised: int = 1_000
    """Buckets that one transaction of raise_starved moves: it takes about 70 ms, most of it to read all waiting buckets
    (10,000 in that measurement)."""

    batch_withdrawn: int = 1_000
    """Users whose answers one transaction withdraws. Each takes 0.5 to 1 ms on a busy machine, and make_buckets waits
    for the batch; each batch sorts all names that the client answered (100,000: 0.2 s)."""

    batch_forgotten: int = 10_000
    """Users that one transaction makes forget a client."""

    batch_events: int = 1_000
    """Events that one statement reads."""

    batch_adopted: int = 500
    """Clients or buckets that one transaction of `schema apply` repairs."""

    batch_upgraded: int = 5_000
    """Nodes that one transaction of an upgrade changes."""

    scan_slice: int = 20_000
    """Users that one statement reads."""

    scan_buckets: int = 100
    """Buckets whose members one statement reads: 18,000 users."""

    max_skew_seconds: int = 60
    """How far a stored time may be in the future before it is attributed to a wrong clock. A statement reads its clock
    before it waits for locks, for DMCHECK_TIMEOUT_SECONDS (30) at most, and the clocks of cluster members differ."""


DEFAULTS = Limits()
"""What the command line checks its arguments against."""
