"""Real people's answers through the real code: each worker a client, each item a user.

A worker answered some of the items only. So each bucket is made of what its worker can answer and what needs an answer;
make_buckets, which hands out at random, would ask for what nobody knows. Everything else is as ever: `place_users`,
`fetch`, `submit`, `judge_clients`, `users export`.
"""

from __future__ import annotations

import random
from dataclasses import replace

from crowds import BUCKET, Answers, Replay

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.domain.policy.trust.rules import DM
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import answers, buckets, clients, leases, results, schema, standings, users
from jobs import judge_clients
from proofs.allowance import empty

WANTED = """UNWIND $names AS name MATCH (u:User {screen_name: name})
    WITH name, u, EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS answered
    WHERE NOT answered OR u.dmcheck_needs <> 'look'
    RETURN name, answered ORDER BY name"""
"""Of these users, those who need an answer or another opinion, and whether they were answered."""

OPINIONS = "MATCH (:User)<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-() RETURN count(r) AS opinions"

LINE = 1000
"""Buckets that may wait for each client: there is room for every bucket that a worker needs."""


def replay(told: Answers, seed: int, settings: Settings) -> Replay:
    """Ask the workers as the policy wants, in random order, until it wants nothing more or nobody can answer."""
    chance = random.Random(seed)
    workers = list(told.said)
    number = {worker: id for id, worker in enumerate(workers, 1)}
    name = {item: f"item{place}" for place, item in enumerate(sorted(told.truth))}
    item = {name: item for item, name in name.items()}
    with Database(replace(settings, bucket_size=BUCKET, buckets_per_client=LINE), "crowds") as database:
        empty(database)
        schema.apply(database)
        for id in number.values():
            clients.register(database, id, f"worker{id}")
        users.add(database, [User(name, None) for name in item])
        left = {worker: {name[item] for item in said if item in name} for worker, said in told.said.items()}
        asked = True
        while asked:
            asked = False
            chance.shuffle(workers)
            for worker in workers:
                found = database.run_text(WANTED, names=sorted(left[worker]))
                mine = chance.sample(found, min(BUCKET, len(found)))
                if mine:
                    asked = True
                    said = {row["name"]: told.said[worker][item[row["name"]]] for row in mine}
                    _say(database, number[worker], said, [row["name"] for row in mine if row["answered"]])
                    left[worker].difference_update(said)
            judge_clients.run(database)
        checked = {item[one.screen_name]: one for one in results.checked(database)}
        [row] = database.run_text(OPINIONS)
        known = standings.read(database).standings
    opened = [item for item, one in checked.items() if one.verdict == "open"]
    return Replay(
        row["opinions"] / len(told.truth),
        sum(item in checked and checked[item].answer == truth for item, truth in told.truth.items()) / len(told.truth),
        len(opened),
        sum(told.truth[item] != DM for item in opened),
        sum(client.contained is not None for client in known.clients.values()),
    )


def _say(database: Database, client: int, said: dict[str, str], seconds: list[str]) -> None:
    """A bucket of these users alone waits; the client takes it and answers it."""
    made = buckets.place(database, [list(said)], seconds)
    assert made.users == len(said), made
    [lease] = leases.fetch(database, client, 1, "-".join((str(client), *said)))
    assert {user.screen_name for user in lease.users} == set(said)
    [report] = answers.submit(database, client, [Answered(lease.bucket, lease.lease, said)])
    assert report.status == "done", report
