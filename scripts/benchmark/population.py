"""A graph as it is after months of work: users of whom 99 % are checked, their clients, and the records of leases.

It is written as files in the form that Neo4j's bulk importer takes, which fills the embedded database of a new server;
a database that runs already takes the same files by statements.
"""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.crowd import FIRST_CLIENT
from benchmark.graph import BUCKET_SIZE
from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import building

MAX_ANSWERS = 100_000
"""Of the busiest clients."""

BUSY = 5
"""Clients that have as many, or a tenth of all each where there are fewer; the others share the rest."""

WORKING = 1_800
"""Users without an answer, the same in every graph, who are handed out while it is measured."""

WORKING_NAME = "Work_"
NAME = "Flat_"

DAYS = 30
"""For so long leases are kept: those of all answers ended in this time."""

MAX_SECONDS = 7200
"""To build the indexes of ten million users."""

ROWS = 5_000
"""Of one statement."""

LABELS = {
    "users": "User;DMCheckName",
    "clients": "DMCheckClient",
    "stats": "DMCheckClientStats",
    "leases": "DMCheckLease",
}
"""Of the nodes in each file."""

VERSION = f":ID(schema),name,version:long,lock:boolean,:LABEL\n0,graph,{cypher.SCHEMA},true,DMCheckSchema\n"
"""The file of the node that says which version a graph has."""


@dataclass(frozen=True)
class Population:
    """So many users, of whom every hundredth has no answer and every tenth takes messages; so many clients."""

    users: int
    clients: int

    @property
    def answers(self) -> int:
        """In force."""
        return self.users - (self.users + 99) // 100

    @property
    def most(self) -> int:
        """Answers of each busy client."""
        if self.clients <= 2 * BUSY:
            return self.answers // self.clients
        return min(MAX_ANSWERS, self.answers // (2 * BUSY))

    def client_of(self, answer: int) -> int:
        """Who gave an answer, by its number: a place among the clients."""
        if answer < BUSY * self.most:
            return answer // self.most
        return BUSY + (answer - BUSY * self.most) % (self.clients - BUSY)

    def answers_of(self, client: int) -> int:
        """How many answers in force a client has."""
        if client < BUSY:
            return self.most
        rest, others = self.answers - BUSY * self.most, self.clients - BUSY
        return rest // others + ((client - BUSY) < rest % others)

    def write(self, folder: Path) -> None:
        """All files."""
        for name, (header, lines) in self._files().items():
            with (folder / f"{name}.csv").open("w", encoding="ascii") as file:
                file.write(f"{header}\n")
                file.writelines(lines())

    def _files(self) -> dict[str, tuple[str, Callable[[], Iterator[str]]]]:
        return {
            "users": (
                ":ID(user),screen_name,dmcheck_name,id:long,dmcheck_needs,dmcheck_asked:long,:LABEL",
                self._users,
            ),
            "clients": (
                ":ID(client),id:long,screen_name,state,capacity:long,create_datetime:datetime,edit_datetime:datetime,"
                ":LABEL",
                self._clients,
            ),
            "stats": (
                ":ID(stats),buckets_assigned:long,buckets_processed:long,processed_judged:long,buckets_fault:long,"
                "buckets_dead:long,faults_judged:long,allowance:long,record:boolean,share:double,said:long[],"
                "compared:long[],contradicted:long[],times:double[],sums:double[],last_access_time:datetime,:LABEL",
                self._stats,
            ),
            "leases": (
                ":ID(lease),id,client:long,bucket,request,assigned_datetime:datetime,ended:datetime,how,users:long,"
                "dm:long,non_dm:long,unknown:long,digest,processed:long,:LABEL",
                self._leases,
            ),
            "counters": (":START_ID(client),:END_ID(stats),:TYPE", self._counters),
            "answers": (
                ":START_ID(client),:END_ID(user),at:datetime,candm,witness:boolean,counted,:TYPE",
                self._answers,
            ),
        }

    def _users(self) -> Iterator[str]:
        label, answer = LABELS["users"], 0
        for i in range(self.users):
            needs = ","
            if i % 100:
                # One in a hundred waits for a second opinion, but for none of the first client, which is measured.
                client = self.client_of(answer)
                needs = f"dm,{FIRST_CLIENT + client}" if i % 100 == 50 and client else ","
                answer += 1
            yield f"{i},{NAME}{i:08},flat_{i:08},{i + 1},{needs},{label}\n"
        for i in range(self.users, self.users + WORKING):
            yield f"{i},{WORKING_NAME}{i:08},work_{i:08},{i + 1},,,{label}\n"

    def _clients(self) -> Iterator[str]:
        at = _moment(DAYS)
        for n in range(self.clients):
            yield f"{n},{FIRST_CLIENT + n},flat_client_{n},ACTIVE,1000,{at},{at},{LABELS['clients']}\n"

    def _stats(self) -> Iterator[str]:
        now, seconds = _moment(0), datetime.now(UTC).timestamp()
        times = ";".join(f"{seconds - 3600 * (32 - n):.3f}" for n in range(32))
        sums = ";".join(["-0.01"] * 128)
        for n in range(self.clients):
            answers = self.answers_of(n)
            leases = -(-answers // BUCKET_SIZE)
            said = f"{answers // 10};{answers - 2 * (answers // 10)};{answers // 10}"
            yield (
                f"{n},{leases},{leases},{leases},0,0,0,1000,true,0.02,{said},50;100;50;100,0;0;0;0,{times},{sums},"
                f"{now},{LABELS['stats']}\n"
            )

    def _leases(self) -> Iterator[str]:
        number, total = 0, sum(-(-self.answers_of(n) // BUCKET_SIZE) for n in range(self.clients))
        for n in range(self.clients):
            answers = self.answers_of(n)
            for lease in range(-(-answers // BUCKET_SIZE)):
                size = min(BUCKET_SIZE, answers - lease * BUCKET_SIZE)
                days = DAYS * (number % total + 1) / (total + 1)
                began, ended = _moment(days, 900), _moment(days)
                counts = f"{size},{size // 10},{size - 2 * (size // 10)},{size // 10}"
                yield (
                    f"{number},{number:036x},{FIRST_CLIENT + n},{number:032x},r{number},{began},{ended},answered,"
                    f"{counts},{number:064x},{lease},{LABELS['leases']}\n"
                )
                number += 1

    def _counters(self) -> Iterator[str]:
        for n in range(self.clients):
            yield f"{n},{n},STATS\n"

    def _answers(self) -> Iterator[str]:
        at, later, answer = _moment(3), _moment(2), 0
        kinds = ["DM_YES", "DM_UNKNOWN", *["DM_NO"] * 8]
        for i in range(self.users):
            if not i % 100:
                continue
            client = self.client_of(answer)
            answer += 1
            if i % 10:
                yield f"{client},{i},{at},,,,{kinds[i % 10]}\n"
            elif i % 100 == 50 and client:
                yield f"{client},{i},{at},,,,DM_YES\n"
            else:
                yield f"{client},{i},{at},,,DM,DM_YES\n{(client + 1) % self.clients},{i},{later},DM,true,DM,DM_SECOND\n"


def imported(home: Settings, population: Population) -> None:
    """Have Neo4j's bulk importer make the graph of an embedded server that was never started.

    Raises RuntimeError, with the importer's last lines, when it fails.
    """
    from dmcheck_cli.embedded.administration import MAIN_CLASS
    from dmcheck_cli.embedded.configuration import environment, java
    from dmcheck_cli.embedded.folders import home_folder
    from dmcheck_cli.embedded.parts import DEFAULT_VERSION, jars
    from dmcheck_cli.embedded.store import Store

    store = Store(home_folder(home))
    store.prepare(DEFAULT_VERSION, upgrade=False)
    store.finish(DEFAULT_VERSION)
    with TemporaryDirectory(prefix="dmcheck-flat-") as name:
        folder = Path(name)
        population.write(folder)
        (folder / "schema.csv").write_text(VERSION, "ascii")
        command = [*java(jars(home, DEFAULT_VERSION, Progress(False))), "-Xmx2g", MAIN_CLASS]
        command += ["database", "import", "full", "neo4j", "--id-type=integer", "--array-delimiter=;"]
        command += ["--overwrite-destination=true", "--max-off-heap-memory=2g", f"--report-file={folder / 'report'}"]
        command += [f"--nodes={folder / one}.csv" for one in (*LABELS, "schema")]
        command += [f"--relationships={folder / one}.csv" for one in ("counters", "answers")]
        # It is not run by `administer`: that has Java's quick compiler only, which is slow for so much work.
        around = environment(os.environ, store.neo4j)
        done = subprocess.run(command, env=around, capture_output=True, text=True, start_new_session=True, check=False)
    if done.returncode:
        raise RuntimeError("\n".join((done.stdout + done.stderr).splitlines()[-20:]))


def indexed(database: Database) -> None:
    """Build the constraints and indexes of a graph that was imported."""
    with Database(replace(database.settings, timeout_seconds=MAX_SECONDS), "bench") as patient:
        building.build(patient, lambda text: None)


def inserted(database: Database, population: Population) -> None:
    """Fill an empty database that has the schema, by statements."""
    made: dict[str, list[str]] = {}
    with TemporaryDirectory(prefix="dmcheck-flat-") as name:
        folder = Path(name)
        population.write(folder)
        for kind in LABELS:
            made[kind[:-1] if kind != "stats" else kind] = [
                row["id"]
                for rows in _read(folder / f"{kind}.csv")
                for row in database.run_text(
                    """UNWIND $rows AS row CREATE (n:$(row.labels)) SET n = row.properties
                    RETURN elementId(n) AS id""",
                    rows=[{"labels": row.pop(":LABEL").split(";"), "properties": row} for row in rows],
                )
            ]
        for kind, ends in (("counters", ("client", "stats")), ("answers", ("client", "user"))):
            for rows in _read(folder / f"{kind}.csv"):
                database.run_text(
                    """UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.ends[0]
                    MATCH (b) WHERE elementId(b) = row.ends[1]
                    CREATE (a)-[r:$(row.type)]->(b) SET r = row.properties""",
                    rows=[_link(row, [made[end] for end in ends], ends) for row in rows],
                )


def _link(row: dict[str, Any], made: list[list[str]], ends: tuple[str, str]) -> dict[str, Any]:
    first, second = row.pop(f":START_ID({ends[0]})"), row.pop(f":END_ID({ends[1]})")
    return {"ends": [made[0][int(first)], made[1][int(second)]], "type": row.pop(":TYPE"), "properties": row}


def _read(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, some at a time, as values of the types that its header names; without the ids of nodes."""
    with path.open(encoding="ascii", newline="") as file:
        reader = csv.DictReader(file)
        while rows := list(islice(reader, ROWS)):
            yield [
                dict(_value(key, text) for key, text in row.items() if text and not key.startswith(":ID("))
                for row in rows
            ]


def _value(key: str, text: str) -> tuple[str, Any]:
    name, _, kind = key.partition(":")
    if not name:
        return key, text
    made = _TYPES.get(kind.removesuffix("[]"), str)
    return name, [made(one) for one in text.split(";")] if kind.endswith("[]") else made(text)


_TYPES: dict[str, Callable[[str], Any]] = {
    "long": int,
    "double": float,
    "boolean": lambda text: text == "true",
    "datetime": datetime.fromisoformat,
}


def _moment(days: float, seconds: float = 0) -> str:
    """So long ago."""
    then = datetime.now(UTC) - timedelta(days=days, seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
