"""What an operator is told to look at, by a client's counters alone."""

from __future__ import annotations

from typing import Any

import pytest

from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.policy.flags import HOARD_SECONDS, MIN_COUNT, flags

SOUND: dict[str, Any] = {
    "dead": 0, "buckets_assigned": 100, "buckets_processed": 100, "buckets_fault": 0, "buckets_dead": 0,
    "suspended": None, "contained": None, "cells": [(0, 0, 0.15), (40, 0, 0.005)], "hasty": 0,
    "held": 0, "users_checked": 1000, "users_unknown": 20, "oldest_lease_seconds": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("counters", "raised"),
    [
        ({}, []),
        ({"dead": 1}, ["unresponsive"]),
        ({"buckets_dead": MIN_COUNT, "buckets_assigned": MIN_COUNT * 4}, []),
        ({"buckets_dead": MIN_COUNT, "buckets_assigned": MIN_COUNT * 4 - 1}, ["dying"]),
        ({"buckets_dead": MIN_COUNT - 1, "buckets_assigned": MIN_COUNT - 1}, []),
        ({"buckets_fault": MIN_COUNT, "buckets_processed": MIN_COUNT * 10, "buckets_assigned": MIN_COUNT * 10}, []),
        (
            {"buckets_fault": MIN_COUNT, "buckets_processed": MIN_COUNT * 10 - 1, "buckets_assigned": MIN_COUNT * 10},
            ["faulty"],
        ),
        ({"buckets_fault": MIN_COUNT - 1, "buckets_processed": 0, "buckets_assigned": MIN_COUNT}, []),
        ({"users_checked": DEFAULTS.flood * 2, "users_unknown": DEFAULTS.flood}, []),
        ({"users_checked": DEFAULTS.flood * 2 - 1, "users_unknown": DEFAULTS.flood}, ["blind"]),
        ({"users_checked": DEFAULTS.flood - 1, "users_unknown": DEFAULTS.flood - 1}, []),
        ({"buckets_assigned": 10, "buckets_processed": 0}, ["returning"]),
        ({"buckets_assigned": 9, "buckets_processed": 0}, []),
        ({"buckets_assigned": 30, "buckets_processed": 15, "held": 1}, []),
        ({"buckets_assigned": 30, "buckets_processed": 10, "buckets_dead": 5}, []),
        ({"suspended": "2026-11-26T10:12:51.367Z"}, ["suspended"]),
        ({"contained": "2026-11-26T10:12:51.367Z"}, ["contained"]),
        ({"cells": [(20, 3, 0.15), (1, 1, 0.005)]}, []),
        ({"cells": [(20, 9, 0.15), (400, 2, 0.005), (0, 0, 0.02)]}, []),
        ({"cells": [(20, 10, 0.15)]}, ["disagreement"]),
        ({"cells": [(40, 4, 0.005)]}, ["disagreement"]),
        ({"cells": [(2, 2, 0.005)]}, ["disagreement"]),
        ({"cells": [(0, 5, 0.005)]}, []),
        ({"hasty": MIN_COUNT - 1}, []),
        ({"hasty": MIN_COUNT}, ["hasty"]),
        ({"oldest_lease_seconds": 0}, []),
        ({"oldest_lease_seconds": HOARD_SECONDS - 1}, []),
        ({"oldest_lease_seconds": HOARD_SECONDS}, ["hoarding"]),
    ],
)
def test_a_flag_is_raised_from_its_bound_on(counters: dict[str, Any], raised: list[str]) -> None:
    """Not before it, and no other flag with it."""
    assert flags(SOUND | counters) == raised


def test_all_that_is_wrong_is_said() -> None:
    """One flag does not hide another."""
    everything = {
        "suspended": "now",
        "contained": "now",
        "cells": [(100, 90, 0.15)],
        "hasty": 9,
        "dead": 1,
        "buckets_dead": 90,
        "buckets_fault": 90,
        "users_unknown": 900,
    }
    assert set(flags(SOUND | everything | {"oldest_lease_seconds": HOARD_SECONDS})) == {
        "suspended", "contained", "disagreement", "hasty", "unresponsive", "dying", "faulty", "blind", "hoarding"
    }  # fmt: skip
