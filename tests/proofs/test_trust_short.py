"""Bad clients among honest ones, and a noisy crowd, through the real code."""

from __future__ import annotations

import random

import crowds
from proofs import replay, trust

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.policy.trust.rules import DM, NON_DM

BAD = ("guess", "all DM", "all NON_DM")

DAWID_SKENE = 26 / 30
"""The accuracy of crowd-kit 1.4's method on `noisy_crowd()`."""


def test_bad_clients_are_contained_and_no_honest_one(database: Database) -> None:
    """Three of 24: no more wrong `open`, nor many more extra answers, than with the policy alone."""
    crowd = trust.Crowd(clients=24, buckets=8, size=20, bad=BAD)
    outcome = trust.compare(database.settings, "three bad clients", crowd, [1], apart=0.3)
    outcome.check()
    assert outcome.faults == len(BAD)


def test_a_noisy_crowd_is_as_good_as_its_majority(database: Database) -> None:
    """Fifteen workers on thirty items, a third of them hard. The policy alone comes to the same."""
    told = noisy_crowd()
    assert crowds.dawid_skene(told) in (None, DAWID_SKENE)
    real, alone = replay.replay(told, 1, database.settings), crowds.replay(told, 1)
    assert min(real.accuracy, alone.accuracy) >= crowds.majority(told) - 0.01
    assert abs(real.accuracy - alone.accuracy) <= 0.05


def noisy_crowd() -> crowds.Answers:
    """On an easy item a worker errs in 10 to 30 % of the cases, on a hard one in 45 %."""
    chance = random.Random(1)
    truth = {f"item{n}": chance.choice((DM, NON_DM)) for n in range(30)}
    hard = set(chance.sample(sorted(truth), 10))
    said: dict[str, dict[str, str]] = {}
    for worker in range(15):
        error = chance.uniform(0.1, 0.3)
        wrong = {item: chance.random() < (0.45 if item in hard else error) for item in truth}
        said[f"worker{worker}"] = {
            item: (NON_DM if answer == DM else DM) if wrong[item] else answer for item, answer in truth.items()
        }
    return crowds.Answers("noisy", said, truth)
