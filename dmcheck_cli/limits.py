"""The numbers that the contract fixes, and the few bounds that are ours."""

from __future__ import annotations

DEFAULT_PRIORITY = 100
"""Of ordinary buckets; lower is sooner (contract, section 3)."""

PRIORITIZED = 10
"""What `prioritize` gives unless told otherwise (contract, section 4)."""

MOST_PRIORITY = 1_000_000
"""The least urgent priority that may be asked for."""

STEP_SECONDS = 900
"""An overdue bucket has priority -1, and one less for each further quarter of an hour. Nobody can ask for less than
0, so no flood of prioritized users comes before it. As often as cron raises: finer steps would not be seen."""

DEFAULT_CAPACITY = 10
MOST_CAPACITY = 1000
MOST_BUCKETS_PER_FETCH = 10
"""Contract, section 4."""

START_ALLOWANCE = 10
"""Leases that a client may hold before it has earned more, if it states that it can: the contract's default
capacity."""

MOST_ALLOWANCE = MOST_CAPACITY
"""What a bucket that was answered at once says that a client could hold: no bound but its capacity."""

FLOOD = 10
"""UNKNOWN answers for one bucket from which on, if they are more than half, the client is taken to have lost its own
access. Of a bucket of 180 real accounts a few are gone; of a small one all may be."""

WINDOW = 64
"""Buckets from which a fetch draws, from a random point of the line on. The place of each in the line is random too,
but the gaps between places are uneven, and that evens out over so many: the chance of each is the same within what
10,000 draws could tell (`scripts/prove.py steering`)."""

TOLERANCE = 20
"""Fetches without an answer in between, beyond the allowance, that are served at once: the whole allowance bucket by
bucket, and two more full fetches (contract, section 5: two fetches ahead)."""

LONGEST_PAUSE = 60
"""Seconds: each fetch beyond TOLERANCE must come later than the one before, up to this. Who polls once a minute costs
nothing, and learns of new buckets soon enough: cron makes them every 15 minutes."""

ASKS_PER_SECOND = 20
"""At which all clients together come back when no bucket waits: a fetch in vain takes 3 ms, the way included."""

QUOTA_PAUSE = 60
"""Seconds after which a client that holds all that it may should look again, unless it has answered before."""

BUCKETS_PER_CLIENT = 20
"""How many buckets should wait for each active client: 10 a fetch, two fetches ahead (contract, section 5)."""

MOST_NEW_CLIENTS_PER_HOUR = 10_000
"""New registrations that the whole system takes in an hour. A flood of made-up clients could otherwise lease every
bucket there is (design, 8.1.6)."""

LONGEST_REQUEST_ID = 200
"""Characters (contract, section 3)."""

MOST_NAMES = 20_000
"""Names that one `prioritize` takes: they move in one transaction, which must end well within its time limit."""

BATCH_USERS = 1_800
"""Users that one transaction of make_buckets places, ten buckets' worth: short enough (about 0.2 s) that
`prioritize`, which waits for the same lock, is not held up."""

BATCH_LEASES = 100
"""Leases or buckets that one transaction of a job changes."""

BATCH_RAISED = 1_000
"""Buckets that one transaction of raise_starved moves: it takes about 70 ms, most of it to look at
all that wait (10,000 in that measurement)."""

SCAN_SLICE = 20_000
"""Users that one statement looks at."""

MAX_SKEW_SECONDS = 60
"""How far a stored time may lie in the future before it is taken for a wrong clock's. A statement's own clock is read
before it waits for locks, for DMCHECK_TIMEOUT_SECONDS (30) at most, and the clocks of a cluster's members differ."""

BATCH_ADOPTED = 500
"""Clients or buckets that one transaction of `schema apply` puts right."""

SCAN_BUCKETS = 100
"""Buckets whose members one statement looks at: 18,000 users."""
