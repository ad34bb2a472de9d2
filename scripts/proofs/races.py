"""Races: commands and jobs in separate processes, released together, over small graphs that they compete for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from support.graphs import may_hold

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, Lease
from dmcheck_cli.errors import NothingToFetch
from dmcheck_cli.settings import Settings
from proofs.actor import Actor
from proofs.crew import Arena, Crew, Task, at_once
from proofs.history import Operation
from proofs.outcome import Outcome

LARGEST = 8
"""Processes in the largest race."""

JOBS = (Actor.make, Actor.reclaim, Actor.raise_starved, Actor.judge)


@dataclass(frozen=True)
class Race:
    """A race: its scene prepares the graph and returns what runs together; `extra` checks the result."""

    name: str
    scene: Callable[[Actor], Sequence[Task]]
    extra: Callable[[list[Operation]], list[str]] | None = None


def _whole(lease: Lease, candm: str = "DM") -> Answered:
    return Answered(lease.bucket, lease.lease, {user.screen_name: candm for user in lease.users})


def _part(lease: Lease) -> Answered:
    return Answered(lease.bucket, lease.lease, {lease.users[0].screen_name: "NON_DM"})


def _people(actor: Actor, clients: int, users: int) -> None:
    for id in range(1, clients + 1):
        actor.register(id)
    actor.add([f"user{i:02}" for i in range(users)])
    actor.make()


def _expire(actor: Actor, lease: Lease, milliseconds: int = -3_600_000) -> None:
    """The lease expires this many milliseconds from now."""
    actor.database.run_text(
        "MATCH (b:DMCheckBucket {uuid: $uuid}) SET b.expires = datetime() + duration({milliseconds: $ms})",
        uuid=lease.bucket,
        ms=milliseconds,
    )


def _die(actor: Actor, lease: Lease, milliseconds: int = 3_600_000) -> None:
    """The lease has been dead for the grace period plus this many milliseconds."""
    _expire(actor, lease)
    actor.mark_dead()
    actor.database.run_text(
        """MATCH (b:DMCheckBucket {uuid: $uuid})
        SET b.dead_datetime = datetime() - duration({seconds: $grace, milliseconds: $ms})""",
        uuid=lease.bucket,
        grace=actor.database.settings.grace_seconds,
        ms=milliseconds,
    )


def _starve(actor: Actor) -> None:
    actor.database.run_text("MATCH (b:DMCheckBucket) SET b.edit_datetime = b.edit_datetime - duration({days: 2})")


# The races that the issue names


def _few_buckets(actor: Actor) -> list[Task]:
    _people(actor, LARGEST, 9)
    return [(Actor.fetch, (id, 1)) for id in range(1, LARGEST + 1)]


def _all_given(raced: list[Operation]) -> list[str]:
    given = [bucket["bucket"] for x in raced if x.ok for bucket in x.result["buckets"]]
    return [] if len(given) == len(set(given)) == 3 else [f"3 buckets waited, and {given} were given"]


def _edge_of_dead(actor: Actor) -> list[Task]:
    _people(actor, 2, 3)
    [lease] = actor.fetch(1)
    _expire(actor, lease, 3)
    rival: Task = random.choice([(Actor.renew, (1, lease.bucket, lease.lease)), (Actor.submit, (1, [_part(lease)]))])
    return [(Actor.submit, (1, [_whole(lease)])), (Actor.mark_dead, ()), (Actor.mark_dead, ()), rival]


def _edge_of_release(actor: Actor) -> list[Task]:
    _people(actor, 2, 3)
    [lease] = actor.fetch(1)
    _die(actor, lease, -3)
    submit = random.choice([_whole, _part])(lease)
    return [(Actor.submit, (1, [submit])), (Actor.release_dead, ()), (Actor.release_dead, ()), (Actor.fetch, (2,))]


def _renew_at_the_edge(actor: Actor) -> list[Task]:
    _people(actor, 2, 3)
    [lease] = actor.fetch(1)
    _die(actor, lease, -3)
    return [(Actor.renew, (1, lease.bucket, lease.lease)), (Actor.reclaim, ()), (Actor.fetch, (2,))]


def _late_and_anew(actor: Actor) -> list[Task]:
    _people(actor, 2, 3)
    [lease] = actor.fetch(1)
    _die(actor, lease)
    actor.release_dead()
    return [(Actor.submit, (1, [_whole(lease)])), (Actor.fetch, (2,)), (Actor.fetch, (2,))]


def _same_submit(actor: Actor) -> list[Task]:
    _people(actor, 1, 3)
    [lease] = actor.fetch(1)
    return [(Actor.submit, (1, [_part(lease)]))] * 4


def _other_submits(actor: Actor) -> list[Task]:
    _people(actor, 1, 3)
    [lease] = actor.fetch(1)
    return [(Actor.submit, (1, [_whole(lease, candm)])) for candm in ("DM", "NON_DM", "UNKNOWN")]


def _one_taken(raced: list[Operation]) -> list[str]:
    taken = [x.result["buckets"][0]["status"] for x in raced if x.ok].count("done")
    return [] if taken == 1 else [f"{taken} of the different answers for one lease were taken"]


def _unregister_submit(actor: Actor) -> list[Task]:
    _people(actor, 2, 6)
    leases = actor.fetch(1)
    return [
        (Actor.submit, (1, [_whole(leases[0]), _part(leases[1])])),
        (Actor.unregister, (1,)),
        (Actor.fetch, (2,)),
    ]


def _prioritize_fetch(actor: Actor) -> list[Task]:
    _people(actor, 2, 9)
    names = [f"user{i:02}" for i in range(0, 9, 2)]
    return [(Actor.prioritize, (names,)), (Actor.fetch, (1, 2)), (Actor.fetch, (2, 2))]


def _prioritize_make(actor: Actor) -> list[Task]:
    actor.register(1)
    actor.add([f"user{i:02}" for i in range(9)])
    names = [f"user{i:02}" for i in range(0, 9, 2)]
    return [(Actor.prioritize, (names,)), (Actor.prioritize, (names[::-1], 5)), (Actor.make, ()), (Actor.make, ())]


def _delete_submit(actor: Actor) -> list[Task]:
    _people(actor, 1, 6)
    one, other = actor.fetch(1)
    names = [one.users[0].screen_name, *(user.screen_name for user in other.users)]
    return [(Actor.submit, (1, [_whole(one), _part(other)])), (Actor.delete, (names,)), (Actor.delete, (names[:2],))]


def _same_request(actor: Actor) -> list[Task]:
    _people(actor, 2, 9)
    return [(Actor.fetch, (1, 1, "the same"))] * 4


def _one_lease(raced: list[Operation]) -> list[str]:
    given = {bucket["lease"] for x in raced if x.ok for bucket in x.result["buckets"]}
    return [] if len(given) == 1 else [f"one request was given {given}"]


def _capacity(actor: Actor) -> list[Task]:
    _people(actor, 1, 12)
    actor.register(1, capacity=2)
    return [(Actor.fetch, (1, 1))] * 4


def _two_leases(raced: list[Operation]) -> list[str]:
    given = {bucket["lease"] for x in raced if x.ok for bucket in x.result["buckets"]}
    return [] if len(given) == 2 else [f"a client of capacity 2 was given {given}"]


def _first_registration(actor: Actor) -> list[Task]:
    return [(Actor.register, (1, None, f"client{i // 2}")) for i in range(4)]


def _one_name(raced: list[Operation]) -> list[str]:
    names = {x.arguments["screen_name"] for x in raced if x.ok}
    return [] if len(names) == 1 else [f"one id was registered by the names {names}"]


def _job(job: Callable[..., object]) -> Callable[[Actor], list[Task]]:
    def scene(actor: Actor) -> list[Task]:
        _busy(actor)
        return [(job, ())] * 4

    return scene


def _witness(actor: Actor) -> tuple[Lease, list[str]]:
    """Client 1 has said DM of three users; client 2 holds them for a second opinion, and client 3 is there."""
    actor.register(1)
    actor.register(2)
    actor.add([f"user{i:02}" for i in range(3)])
    actor.make()
    [lease] = actor.fetch(1, 1)
    actor.submit(1, [_whole(lease)])
    actor.make()
    [again] = actor.fetch(2, 1)
    actor.register(3)
    return again, [user.screen_name for user in again.users]


def _distrust_witness(actor: Actor) -> list[Task]:
    lease, names = _witness(actor)
    rival: Task = random.choice([(Actor.reclaim, ()), (Actor.prioritize, (names, 5, True)), (Actor.delete, (names,))])
    said = random.choice(["DM", "NON_DM"])
    return [(Actor.submit, (2, [_whole(lease, said)])), (Actor.distrust, (1,)), (Actor.make, ()), rival]


def _judge_witness(actor: Actor) -> list[Task]:
    lease, names = _witness(actor)
    actor.submit(2, [_whole(lease, random.choice(["DM", "NON_DM"]))])
    rivals: list[Task] = [
        (Actor.distrust, (random.choice([1, 2]),)),
        (Actor.prioritize, (names[:2], 5, True)),
        (Actor.delete, (names[:1],)),
        (Actor.forget, (1,)),
        (Actor.resume_client, (1,)),
        (Actor.make, ()),
    ]
    return [(Actor.judge, ()), (Actor.judge, ()), *random.sample(rivals, 2)]


def _suspend_all(actor: Actor) -> list[Task]:
    lease, _ = _witness(actor)
    verbs: list[Task] = [
        (Actor.submit, (2, [_whole(lease)])),
        (Actor.fetch, (2, 2)),
        (Actor.renew, (2, lease.bucket, lease.lease)),
        (Actor.unregister, (2,)),
        (Actor.register, (2,)),
    ]
    return [(Actor.suspend, (2,)), *random.sample(verbs, 2), (Actor.resume_client, (2,))]


def _first_reports(actor: Actor) -> list[Task]:
    _people(actor, 2, 0)
    actor.database.run_text("MATCH (graph:DMCheckSchema) REMOVE graph.secret")
    return [(Actor.report, ())] * 4


def _one_pseudonym(raced: list[Operation]) -> list[str]:
    given = {tuple(sorted(x.result["names"].items())) for x in raced if x.ok}
    return [] if len(given) == 1 else [f"the same clients were called {given}"]


SPLIT = """
MATCH (c:DMCheckClient {id: 1})-[:STATS]->(s)
CREATE (spare:DMCheckClient {id: 1, screen_name: c.screen_name, state: 'DEACTIVE', create_datetime: c.create_datetime})
CREATE (spare)-[:STATS]->(:DMCheckClientStats {buckets_assigned: 2, buckets_processed: 1, buckets_fault: 0,
    buckets_dead: 0})
SET s.buckets_assigned = s.buckets_assigned - 2, s.buckets_processed = s.buckets_processed - 1
WITH c, spare
CALL (c, spare) {
    MATCH (c)-[r:DM_YES]->(u) WITH spare, r, u LIMIT 3
    CREATE (spare)-[n:DM_YES]->(u) SET n = properties(r) DELETE r
}
CALL (c, spare) {
    MATCH (c)<-[r:DMCHECKCLIENT]-(b) WITH spare, r, b LIMIT 1
    CREATE (spare)<-[:DMCHECKCLIENT]-(b) DELETE r
}
"""
"""Puts a part of what client 1 has on another node of its id, as an older system did."""


def _several_nodes(actor: Actor) -> list[Task]:
    _people(actor, 1, 12)
    held = actor.fetch(1, 4)
    actor.submit(1, [_whole(lease) for lease in held[:2]])
    actor.database.run_text("DROP CONSTRAINT dmcheck_client_id IF EXISTS")
    actor.database.run_text(SPLIT)
    return [(Actor.join, (1,))] * 4


def _one_node(raced: list[Operation]) -> list[str]:
    whole = {"nodes": 1, "assigned": 4, "processed": 2, "answers": 6, "held": 2}
    seen = [{name: x.result[name] for name in whole} for x in raced if x.ok]
    return [f"the client came out as {one}" for one in seen if one != whole]


NAMED = [
    Race("distrust against a second opinion, make_buckets and reclaim, recheck or delete", _distrust_witness),
    Race("judge_clients against itself and what changes opinions", _judge_witness),
    Race("suspend and resume against the client's own verbs", _suspend_all),
    Race("fetch against fetch, fewer buckets than processes", _few_buckets, _all_given),
    Race("fetch against itself, by one request", _same_request, _one_lease),
    Race("fetch against fetch of one client, beyond its capacity", _capacity, _two_leases),
    Race("first registration against others of the same id", _first_registration, _one_name),
    Race("submit against marking dead, at the edge", _edge_of_dead),
    Race("submit against release and fetch, at the edge", _edge_of_release),
    Race("renew against reclaim and fetch, at the edge", _renew_at_the_edge),
    Race("late submit against fetch of the released bucket", _late_and_anew),
    Race("submit against itself, four times", _same_submit),
    Race("submits of one lease with different answers", _other_submits, _one_taken),
    Race("unregister against submit and fetch", _unregister_submit),
    Race("prioritize against fetch", _prioritize_fetch),
    Race("prioritize against make_buckets", _prioritize_make),
    Race("delete users against submit", _delete_submit),
    Race("report against itself, before there is a secret", _first_reports, _one_pseudonym),
    Race("schema apply against itself, with several nodes of one client", _several_nodes, _one_node),
    *(Race(f"{job.__name__} against itself, four times", _job(job)) for job in JOBS),
]


# All pairs


@dataclass
class _Scene:
    """A graph in which every command has something to do: an expired lease, a live one, one that has been dead for the
    grace period, one that was given back and a refusal to judge, a starved waiting bucket, and users in no bucket.
    Three users were answered: any of the buckets may be the one in which they are for a second opinion."""

    over: Lease
    fresh: Lease
    dead: Lease
    waiting: list[str]


def _busy(actor: Actor) -> _Scene:
    _people(actor, 3, 12)
    [said] = actor.fetch(3, 1)
    actor.submit(3, [_whole(said)])
    actor.make()
    [back] = actor.fetch(2, 1)
    actor.release(*_renewal(2, back))
    actor.submit(2, [Answered(back.bucket, "guessed", {})])
    over, fresh = actor.fetch(1, 2)
    [dead] = actor.fetch(2, 1)
    _die(actor, dead)
    _expire(actor, over)
    _starve(actor)
    actor.add(["user12", "user13", "user14"])
    leased = {user.screen_name for lease in (over, fresh, dead) for user in lease.users}
    return _Scene(over, fresh, dead, sorted({f"user{i:02}" for i in range(12)} - leased))


def _some(scene: _Scene) -> list[str]:
    """Users of every state: under each lease, waiting in a bucket, in no bucket, nonexistent."""
    leased = [lease.users[0].screen_name for lease in (scene.over, scene.fresh, scene.dead)]
    return [*leased, scene.waiting[0], "user12", "user20"]


COMMANDS: dict[str, Callable[[_Scene], Task]] = {
    "register": lambda scene: (Actor.register, (random.choice([1, 3]), 2)),
    "unregister": lambda scene: (Actor.unregister, (random.choice([1, 2]),)),
    "fetch": lambda scene: (Actor.fetch, (random.choice([1, 2]), 3)),
    "renew": lambda scene: (Actor.renew, random.choice([_renewal(1, scene.over), _renewal(2, scene.dead)])),
    "release": lambda scene: (Actor.release, random.choice([_renewal(1, scene.over), _renewal(2, scene.dead)])),
    "submit": lambda scene: random.choice(
        [
            (Actor.submit, (1, [_whole(scene.over), _part(scene.fresh)])),
            (Actor.submit, (2, [_part(scene.dead)])),
            (Actor.submit, (2, [_whole(scene.dead)])),
        ]
    ),
    "prioritize": lambda scene: (Actor.prioritize, (_some(scene), random.choice([5, 10]))),
    "prioritize --recheck": lambda scene: (Actor.prioritize, (_some(scene), 10, True)),
    "users add": lambda scene: (Actor.add, (["user12", "user20", "user21"],)),
    "users delete": lambda scene: (Actor.delete, (_some(scene),)),
    "make_buckets": lambda scene: (Actor.make, ()),
    "reclaim_leases, marking": lambda scene: (Actor.mark_dead, ()),
    "reclaim_leases, releasing": lambda scene: (Actor.release_dead, ()),
    "raise_starved": lambda scene: (Actor.raise_starved, ()),
    "judge_clients": lambda scene: (Actor.judge, ()),
    "schema apply": lambda scene: (Actor.schema, ()),
    "report": lambda scene: (Actor.report, ()),
    "users retry": lambda scene: (Actor.retry, ()),
    "client suspend": lambda scene: (Actor.suspend, (random.choice([1, 2]),)),
    "client resume": lambda scene: (Actor.resume_client, (random.choice([1, 2]),)),
    "client distrust": lambda scene: (Actor.distrust, (random.choice([1, 2]),)),
    "client rename": lambda scene: (Actor.rename, (1, "another")),
    "gate add --probation": lambda scene: (Actor.probation, (random.choice([1, 2]),)),
    "client delete": lambda scene: (Actor.forget, (random.choice([1, 2]),)),
}

PAIRS = list(combinations_with_replacement(COMMANDS, 2))


def _renewal(client: int, lease: Lease) -> tuple[int, str, str]:
    return client, lease.bucket, lease.lease


def pair(one: str, other: str) -> Race:
    """The race of two commands."""

    def scene(actor: Actor) -> list[Task]:
        there = _busy(actor)
        return [COMMANDS[one](there), COMMANDS[other](there)]

    return Race(f"{one} against {other}", scene)


# Running them


def run_race(race: Race, crew: Crew, database: Database, rounds: int) -> Outcome:
    """This many rounds of one race."""
    return _rounds(Outcome(race.name, _released(rounds), _command(rounds)), [race], crew, database, rounds)


def run_pairs(crew: Crew, database: Database, rounds: int, some: int | None = None) -> Outcome:
    """This many rounds of each pair of commands, or of `some` that are drawn."""
    chosen = PAIRS if some is None else random.sample(PAIRS, some)
    outcome = Outcome(f"{len(chosen)} of {len(PAIRS)} pairs of write commands", _released(rounds), _command(rounds))
    return _rounds(outcome, [pair(*names) for names in chosen], crew, database, rounds)


def _rounds(outcome: Outcome, races: Sequence[Race], crew: Crew, database: Database, rounds: int) -> Outcome:
    usual = database.settings
    database.settings = at_once(usual)
    try:
        arena = Arena(crew, database, outcome)
        for race in races:
            for _ in range(rounds):
                arena.round(race.scene, race.extra)
    finally:
        database.settings = usual
    return outcome


def _released(rounds: int) -> str:
    return f"processes released together by a barrier, {rounds} rounds"


def _command(rounds: int) -> str:
    return f"python scripts/prove.py races --rounds {rounds}"


def drain(actor: Actor, clients: Sequence[int]) -> None:
    """One process takes all that it can for each of its clients."""
    for id in clients:
        for _ in range(100):
            try:
                actor.fetch(id, 10)
            except NothingToFetch:
                return


def run_leases(crew: Crew, database: Database, leases: int) -> Outcome:
    """As many leases as there are buckets, taken by all processes at once."""
    outcome = Outcome(
        f"{leases} leases taken at once",
        f"{LARGEST} processes fetch until nothing is left",
        f"python scripts/prove.py races --leases {leases}",
    )
    per_process = -(-leases // LARGEST // 1000) + 1

    def scene(actor: Actor) -> list[Task]:
        actor.database.run_text(
            """UNWIND range(1, $leases) AS i CALL (i) {
                CREATE (:User {screen_name: 'u' + i})-[:INDMCHECKBUCKET]->(:DMCheckBucket {uuid: randomUUID(),
                    priority: 100, place: rand(), edit_datetime: datetime()}) } IN TRANSACTIONS OF 1000 ROWS""",
            leases=leases,
            patience=600,
        )
        ids = [range(i * per_process + 1, (i + 1) * per_process + 1) for i in range(LARGEST)]
        for id in range(1, LARGEST * per_process + 1):
            actor.register(id, 1000)
            may_hold(actor.database.run_text, id, 1000)
        return [(drain, (list(some),)) for some in ids]

    def extra(raced: list[Operation]) -> list[str]:
        given = [bucket["bucket"] for x in raced if x.ok for bucket in x.result["buckets"]]
        doubles = len(given) - len(set(given))
        return [] if doubles == 0 and len(given) == leases else [f"{doubles} doubles among {len(given)} of {leases}"]

    Arena(crew, database, outcome).round(scene, extra)
    [row] = database.run_text("MATCH (b)-[:DMCHECKCLIENT]->() RETURN count(*) AS held, count(DISTINCT b) AS buckets")
    if (row["held"], row["buckets"]) != (leases, leases):
        outcome.violations.append(f"the graph has {row}")
    outcome.faults = outcome.ok
    return outcome


def run(settings: Settings, *, rounds: int = 200, leases: int = 0) -> list[Outcome]:
    """The long form: every race, or with `leases` the one that counts duplicates."""
    with Database(settings, "races") as database, Crew(settings, LARGEST) as crew:
        if leases:
            return [run_leases(crew, database, leases)]
        return [*(run_race(race, crew, database, rounds) for race in NAMED), run_pairs(crew, database, rounds)]
