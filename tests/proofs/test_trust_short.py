"""Bad clients among honest ones, and a noisy crowd, through the real code."""

from __future__ import annotations

import random

import crowds
from proofs import replay, trust

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy.trust.rules import DM, NON_DM

BAD = ("guess", "all DM", "all NON_DM")

MAX_APART = 0.7
"""Extra answers for each user by which two runs of so small a crowd may differ: of 400 with the policy alone nine in
ten took 0.40 to 0.55, and the worst 1.09."""

ITEMS, HARD = 120, 40

DAWID_SKENE = 106 / 120
"""The accuracy of crowd-kit 1.4's method on `noisy_crowd()`."""

MAX_BELOW = 2 / 120
"""By how much the policy alone was below the majority, at most, in 200 replays: it weighs workers, which of fifteen
opinions turns an even case or two. (That is more than the 0.01 which real crowds are held to.) In none of them was the
crowd taken for a calm one."""

MIN_USED = 8
"""Opinions for each item that are used at least where the crowd is found to be noisy; a calm one needs two."""


def test_bad_clients_are_contained_and_no_honest_one(database: Database) -> None:
    """Three of 24: no more wrong `open`, nor many more extra answers, than with the policy alone."""
    crowd = trust.Crowd(clients=24, buckets=8, size=20, bad=BAD)
    outcome = trust.compare(database.settings, "three bad clients", crowd, [1], apart=MAX_APART)
    outcome.check()
    assert outcome.faults == len(BAD)


def test_a_noisy_crowd_is_as_good_as_its_majority(database: Database) -> None:
    """Fifteen workers, a third of the items hard: that is found, and all items are looked at again."""
    told = noisy_crowd()
    assert crowds.dawid_skene(told) in (None, DAWID_SKENE)
    real, alone = replay.replay(told, 1, database.settings), crowds.replay(told, 1)
    assert min(real.used, alone.used) >= MIN_USED
    assert min(real.accuracy, alone.accuracy) >= crowds.majority(told) - MAX_BELOW - 1e-9


def noisy_crowd() -> crowds.Answers:
    """On an easy item a worker errs in 10 to 30 % of the cases, on a hard one in 45 %."""
    chance = random.Random(1)
    truth = {f"item{n}": chance.choice((DM, NON_DM)) for n in range(ITEMS)}
    hard = set(chance.sample(sorted(truth), HARD))
    said: dict[str, dict[str, str]] = {}
    for worker in range(15):
        error = chance.uniform(0.1, 0.3)
        wrong = {item: chance.random() < (0.45 if item in hard else error) for item in truth}
        said[f"worker{worker}"] = {
            item: (NON_DM if answer == DM else DM) if wrong[item] else answer for item, answer in truth.items()
        }
    return crowds.Answers("noisy", said, truth)
