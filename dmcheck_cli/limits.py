"""The numbers that the contract fixes, and the few bounds that are ours."""

from __future__ import annotations

DEFAULT_PRIORITY = 100
"""Of ordinary buckets; lower is sooner (contract, section 3)."""

PRIORITIZED = 10
"""What `prioritize` gives unless told otherwise (contract, section 4)."""

MOST_PRIORITY = 1_000_000
"""The least urgent priority that may be asked for."""

FRONT = -1
"""The priority of starved buckets. Nobody can ask for it: 0 is the most urgent that `prioritize` takes, so no flood
of prioritized users can push a starved bucket back."""

DEFAULT_CAPACITY = 10
MOST_CAPACITY = 1000
MOST_BUCKETS_PER_FETCH = 10
"""Contract, section 4."""

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

SCAN_SLICE = 20_000
"""Users that one statement looks at."""
