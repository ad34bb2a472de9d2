"""What each command and job costs the database: one structure, from which the table in the command reference is made,
and to which tests/integration/test_round_trips.py holds them, counting on the wire."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("users", "client", "bucket", "gate", "schema", "server")


@dataclass(frozen=True)
class Cost:
    """`command`: as it is called in the test, on a small graph; words in capitals are filled in there. `trips`: round
    trips there, one for each statement; connecting is not counted. `grows`: what more of them come with.
    `alone`: it is a process in the test, since it does not end by itself or changes its own process."""

    command: str
    trips: int
    grows: str = "constant"
    program: str = "dmcheck"
    stdin: str = ""
    alone: bool = False
    shown: str = ""

    @property
    def name(self) -> str:
        """The command without what the test gives it."""
        if self.program != "dmcheck":
            return f"dmcheck-{self.program.replace('_', '-')}"
        words = self.command.split()
        return self.shown or " ".join(words[: 2 if words[0] in GROUPS else 1])


COSTS = (
    Cost("schema apply", 18, "one for each missing constraint or index; each step of an upgrade, per batch"),
    Cost("register --id 7 --screen-name seven", 1),
    Cost("client rename 7 sieben", 1),
    Cost("client suspend 7", 1),
    Cost("client resume 7", 1),
    Cost("gate add --client 8 --screen-name eight --key KEY", 2, "one more with --probation"),
    Cost("gate run --client 8", 1, "each request costs what its command does", alone=True),
    Cost("gate list", 0, "a file of keys only"),
    Cost("gate remove --client 8", 0, "a file of keys only"),
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
    Cost(
        "work --client 3 --max-buckets 1 -- CHECKER",
        3,
        "two per bucket; one per third of a lease that it is held; one per try while nothing waits",
        alone=True,
    ),
    Cost("stats", 3),
    Cost("stats --watch --interval 86400", 4, "per refresh", alone=True, shown="stats --watch"),
    Cost("report page.html", 18, "one more for each of --client and --bucket"),
    Cost("log", 3, "per page of events"),
    Cost("", 10, "per batch of leases", program="reclaim_leases"),
    Cost("", 5, "per batch of buckets", program="raise_starved"),
    Cost("", 11, "per batch of leases that ended and of users compared", program="judge_clients"),
    Cost("--output metrics.prom", 6, program="export_metrics"),
    Cost("doctor", 11),
    Cost("doctor --deep", 22, "per slice of users and of buckets", shown="doctor --deep"),
    Cost("client distrust 2", 4, "per batch of answers"),
    Cost("client delete 2", 5, "per batch of answers, leases and events"),
    Cost("unregister --id 1 --screen-name client1", 1),
    Cost("settings", 0, "starts no database"),
    Cost("crontab", 0, "starts no database"),
    Cost("units", 0, "starts no database"),
)
"""In the order of the test: each finds what those before it left."""

EMBEDDED_ONLY = "files and processes of the embedded database"
UNCOUNTED = {
    "server start": f"{EMBEDDED_ONLY}; a new or older graph costs it what `schema apply` does",
    "server stop": EMBEDDED_ONLY,
    "server status": EMBEDDED_ONLY,
    "server dump": EMBEDDED_ONLY,
    "server load": f"{EMBEDDED_ONLY}; one statement first: whether there are users",
}
"""Commands that no proxy stands before: why."""


def table() -> list[str]:
    """The lines of the table in the command reference."""
    rows = [f"| `{cost.name}` | {cost.trips} | {cost.grows} |" for cost in COSTS]
    rows += [f"| `{name}` | - | {why} |" for name, why in UNCOUNTED.items()]
    return ["| command or job | statements, one a round trip | grows |", "| --- | --- | --- |", *rows]
