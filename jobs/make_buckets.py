"""Puts waiting users into buckets, until as many buckets wait as the active clients can use."""

from __future__ import annotations

import random
from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy import mixing
from dmcheck_cli.domain.policy.mixing import Needing, Planned
from dmcheck_cli.entry import Json, Log, LogFormat, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema, standings, users
from dmcheck_cli.transactions.buckets import Made
from jobs.options import DryRun, all_batches, app, summary

program = app()


@program.command(epilog="Example: dmcheck-make-buckets --dry-run")
def make_buckets(
    dry_run: DryRun = False, as_json: Json = False, version: Version = False, log_format: Log = LogFormat.text
) -> None:
    """Put waiting users into buckets, until as many buckets wait as the active clients can use."""
    with Database(Settings.load(), "make_buckets") as database:
        schema.ensure(database)
        made = run(database, dry_run)
    counts = {"buckets": made.buckets, "users": made.users, "waiting": made.waiting}
    summary("make_buckets", counts, dry_run, as_json, made.reason)


def run(database: Database, dry_run: bool = False) -> Made:
    """One run of the job: find who waits and who needs another opinion, mix them, place them in batches."""
    settings, limits = database.settings, database.settings.limits
    if not dry_run:
        all_batches(lambda: buckets.free(database))
        all_batches(lambda: buckets.split(database))
    plan = buckets.plan(database)
    most = min(plan.room * settings.bucket_size, settings.max_users_per_run)
    able, needing = _second_opinions(database, most)
    mixed = min(most // limits.second_share, len(needing))
    names, cursor, left = find_waiting(database, plan.cursor, most - mixed, plan.outside)
    # Neighbours in the alphabet must not end up in one bucket: a client could tell whom it will get.
    chance = random.SystemRandom()
    chance.shuffle(names)
    line = [mixing.excluded(able, *said) for said in plan.line]
    planned = mixing.plan(names, needing, able, settings.bucket_size, plan.room, most, left > 0, limits, line)
    users = sum(len(one.fresh) + len(one.seconds) for one in planned)
    reason = None if planned else "no_clients" if not plan.active else "nobody_waits" if plan.room else "enough"
    if dry_run:
        return Made(len(planned), users, left, reason)
    made = placed = 0
    per_batch = max(limits.batch_users // settings.bucket_size, 1)
    for first in range(0, len(planned), per_batch):
        batch = planned[first : first + per_batch]
        seconds = [name for one in batch for name in one.seconds]
        done = buckets.place(database, [_shuffled(one, chance) for one in batch], seconds)
        made, placed = made + done.buckets, placed + done.users
    buckets.finish(database, "make_buckets", cursor)
    # Another run may have made buckets of the same users: then there is room no more.
    return Made(made, placed, left, reason or (None if made else "enough"))


def _second_opinions(database: Database, most: int) -> tuple[dict[int, int | None], list[Needing]]:
    """The clients that may witness, with their `dm_from_id`; and who needs another opinion."""
    read = standings.read(database)
    clients = read.standings.clients
    able = {id: clients[id].dm_from_id for id in read.active if clients[id].contained is None}
    start = random.SystemRandom().choice(list(clients)) if clients else 0
    return able, buckets.needing(database, start, most) if able else []


def _shuffled(planned: Planned, chance: random.Random) -> list[str]:
    """The users of a bucket in random order: nobody can tell who was answered before."""
    names = planned.fresh + planned.seconds
    chance.shuffle(names)
    return names


def find_waiting(database: Database, cursor: str, most: int, outside: int) -> tuple[list[str], str, int]:
    """Up to `most` names of users that wait in no bucket, where the next run continues, and how many more were seen.

    `outside`: how many there may be. While there may be more than were found, it looks until it sees some.

    Scans the users in name order from `cursor`, wrapping around, and reads no more than DMCHECK_SCAN_USERS_PER_RUN of
    them and none twice: every user's turn comes, at a bounded cost per run. If more users wait in a slice than are
    wanted, some are drawn at random, and the next run reads the slice again: taking them in order would put neighbours
    in the alphabet into one bucket.
    """
    names: list[str] = []
    budget, start, wrapped = database.settings.scan_users_per_run, cursor, False
    while budget > 0 and (len(names) < most or len(names) < outside):
        found = users.scan(database, cursor, min(database.settings.limits.scan_slice, budget))
        budget -= found.seen
        waiting = [user.screen_name for user in found.waiting if not (wrapped and user.screen_name > start)]
        if len(names) + len(waiting) > most:
            left = len(names) + len(waiting) - most
            return names + random.SystemRandom().sample(waiting, most - len(names)), cursor, left
        names += waiting
        if found.last is not None and not (wrapped and found.last > start):
            cursor = found.last
        elif wrapped or not start:
            return names, start, 0
        else:
            cursor, wrapped = "", True
    return names, cursor, 0


def main() -> NoReturn:
    """The console script."""
    entry.main(program)


if __name__ == "__main__":
    main()
