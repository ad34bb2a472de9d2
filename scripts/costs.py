"""What each command and job costs the database: one structure, from which the table in the command reference is made,
and to which tests/integration/test_round_trips.py holds them, counting on the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """`command`: as it is called in the test, on a small graph; words in capitals are filled in there. `trips`: round
    trips there; connecting is not counted. `grows`: what more of them come with."""

    command: str
    trips: int
    grows: str = "constant"
    program: str = "dmcheck"
    stdin: str = ""

    @property
    def name(self) -> str:
        """The command without what the test gives it."""
        if self.program != "dmcheck":
            return f"dmcheck-{self.program.replace('_', '-')}"
        words = self.command.split()
        if words[0] in ("users", "client", "bucket", "schema"):
            return " ".join(words[:2])
        return words[0]


COSTS = (
    Cost("schema apply", 16, "one for each missing constraint or index; each step of an upgrade, per batch"),
    Cost("register --id 7 --screen-name seven", 1),
    Cost("client rename 7 sieben", 1),
    Cost("client suspend 7", 1),
    Cost("client resume 7", 1),
    Cost("users add -", 4, "per batch of users", stdin="newone\n"),
    Cost("users show newone", 6, "per batch of names"),
    Cost("users pending", 4, "per page"),
    Cost("users export", 6, "per page"),
    Cost("users retry newone", 2, "per batch of names"),
    Cost("prioritize newone", 2, "per batch of names"),
    Cost("users delete newone", 2, "per batch of names"),
    Cost("", 11, "per batch of users placed, and per slice of users looked at", program="make_buckets"),
    Cost("fetch --client 1", 1),
    Cost("bucket show BUCKET", 3),
    Cost("renew --client 1 --bucket BUCKET --lease LEASE", 1),
    Cost("release --client 1 --bucket BUCKET --lease LEASE", 1),
    Cost("submit --client 2", 1, "per part of a document with more answers than one statement takes", stdin="ANSWERS"),
    Cost("stats", 3),
    Cost("log", 3, "per page of events"),
    Cost("", 10, "per batch of leases", program="reclaim_leases"),
    Cost("", 5, "per batch of buckets", program="raise_starved"),
    Cost("", 11, "per batch of leases that ended and of users compared", program="judge_clients"),
    Cost("doctor", 11, "--deep: per slice of users and of buckets"),
    Cost("unregister --id 1 --screen-name client1", 1),
)
"""In the order of the test: each finds what those before it left."""


def table() -> list[str]:
    """The lines of the table in the command reference."""
    rows = [f"| `{cost.name}` | {cost.trips} | {cost.grows} |" for cost in COSTS]
    return ["| command or job | round trips | grows |", "| --- | --- | --- |", *rows]
