"""Puts waiting users into buckets, until as many buckets wait as the active clients can use."""

from __future__ import annotations

import random
from math import ceil
from typing import NoReturn

from dmcheck_cli import entry
from dmcheck_cli.database.connection import Database
from dmcheck_cli.entry import Json, Version
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, schema, users
from dmcheck_cli.transactions.buckets import Made
from jobs.options import DryRun, app, summary

program = app()


@program.command(epilog="Example: dmcheck-make-buckets --dry-run")
def make_buckets(dry_run: DryRun = False, as_json: Json = False, version: Version = False) -> None:
    """Put waiting users into buckets, until as many buckets wait as the active clients can use."""
    with Database(Settings.load(), "make_buckets") as database:
        schema.ensure(database)
        made = run(database, dry_run)
    counts = {"buckets": made.buckets, "users": made.users, "waiting": made.waiting}
    summary("make_buckets", counts, dry_run, as_json, made.reason)


def run(database: Database, dry_run: bool = False) -> Made:
    """One run of the job: find waiting users, shuffle them, place them in batches."""
    settings = database.settings
    plan = buckets.plan(database)
    most = min(plan.room * settings.bucket_size, settings.max_users_per_run)
    names, cursor, left = find_waiting(database, plan.cursor, most, plan.outside)
    # Neighbours in the alphabet must not end up in one bucket: a client could tell whom it will get.
    random.SystemRandom().shuffle(names)
    parts = ceil(len(names) / settings.bucket_size)
    reason = None if parts else "no_clients" if not plan.active else "nobody_waits" if plan.room else "enough"
    if dry_run:
        return Made(parts, len(names), left, reason)
    done = users_done = 0
    per_batch = max(settings.limits.batch_users // settings.bucket_size, 1)
    for first in range(0, parts, per_batch):
        last = min(first + per_batch, parts)
        batch = names[first * len(names) // parts : last * len(names) // parts]
        made = buckets.place(database, batch)
        done, users_done = done + made.buckets, users_done + made.users
    buckets.finish(database, "make_buckets", cursor)
    # Another run may have made buckets of the same users: then there is room no more.
    return Made(done, users_done, left, reason or (None if done else "enough"))


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
