"""Real people's answers with known truth, replayed through the policy of trust: each worker a client, each item a user.

    python scripts/crowds.py FOLDER
    python scripts/crowds.py FOLDER --real

`--real` replays them through the real code, too, on a Neo4j of its own (or, as the proofs, on one that it empties).
FOLDER holds pairs of files, NAME-label.csv (item, worker, label) and NAME-truth.csv (item, truth); 1 is taken for DM, 0
for NON_DM. Beside the policy stand majority vote on all answers, and Dawid and Skene's method, if crowd-kit is
installed (the dependency group `crowds`).
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from environment import enter

enter()

from tabulate import tabulate

from dmcheck_cli.domain.policy.trust.rules import DM, NON_DM, RULES, Rules
from dmcheck_cli.domain.policy.trust.standing import Client, Standings
from dmcheck_cli.domain.policy.trust.verdict import Opinion

BUCKET = 20
"""Items that a worker takes at once."""

PATIENCE = 10
"""Rounds in which nobody can answer anything, until the end."""

HEADS = (
    "set",
    "replayed by",
    "answers per item",
    "accuracy",
    "majority",
    "Dawid-Skene",
    "wrong of open",
    "contained",
    "seeds",
)


@dataclass(frozen=True)
class Answers:
    """A set: for each worker what it says about each item; the truth of each item."""

    name: str
    said: dict[str, dict[str, str]]
    truth: dict[str, str]


@dataclass(frozen=True)
class Replay:
    """One replay: answers used per item; the share of answers in force that are right; verdicts `open`, and how many of
    them are wrong; workers that were contained."""

    used: float
    accuracy: float
    opened: int
    wrong: int
    contained: int


def read(folder: Path) -> list[Answers]:
    """All sets of a folder."""
    sets = []
    for path in sorted(folder.glob("*-label.csv")):
        name = path.name.removesuffix("-label.csv")
        said: dict[str, dict[str, str]] = defaultdict(dict)
        for row in _rows(path):
            said[row["worker"]][row["item"]] = _answer(row["label"])
        truth = {row["item"]: _answer(row["truth"]) for row in _rows(folder / f"{name}-truth.csv")}
        sets.append(Answers(name, dict(said), truth))
    return sets


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _answer(label: str) -> str:
    return DM if label == "1" else NON_DM


def replay(answers: Answers, seed: int, rules: Rules = RULES) -> Replay:
    """Ask the workers as the policy wants, in random order, until it wants nothing more or nobody can answer."""
    chance = random.Random(seed)
    workers = list(answers.said)
    number = {worker: id for id, worker in enumerate(workers)}
    court = Standings({id: Client() for id in number.values()}, rules)
    heard: dict[str, list[Opinion]] = {item: [] for item in answers.truth}
    drawn: set[str] = set()
    left = {worker: set(said) & set(heard) for worker, said in answers.said.items()}
    clock, idle = 0, 0
    while idle < PATIENCE:
        clock, idle = clock + 1, idle + 1
        chance.shuffle(workers)
        for worker in workers:
            wanted = sorted(item for item in left[worker] if not heard[item] or item in drawn)
            mine = chance.sample(wanted, min(BUCKET, len(wanted)))
            idle = 0 if mine else idle
            _submit(
                court, number[worker], {item: answers.said[worker][item] for item in mine}, clock, heard, drawn, chance
            )
            left[worker].difference_update(mine)
        _judge(court, clock, heard, drawn)
    verdicts = {item: court.conclude(opinions) for item, opinions in heard.items() if opinions}
    opened = [item for item, verdict in verdicts.items() if verdict.word == "open"]
    return Replay(
        mean(len(opinions) for opinions in heard.values()),
        mean(item in verdicts and verdicts[item].answer == truth for item, truth in answers.truth.items()),
        len(opened),
        sum(answers.truth[item] != DM for item in opened),
        sum(client.contained is not None for client in court.clients.values()),
    )


def _submit(
    court: Standings,
    id: int,
    said: dict[str, str],
    clock: int,
    heard: dict[str, list[Opinion]],
    drawn: set[str],
    chance: random.Random,
) -> None:
    client, firsts = court.clients[id], Counter[str]()
    share = court.share(id)
    for item, answer in said.items():
        drawn.discard(item)
        if not heard[item]:
            firsts[answer] += 1
            if answer == DM or chance.random() < share:
                drawn.add(item)
        heard[item].append(Opinion(id, answer, clock, doubted=client.contained is not None, witness=bool(heard[item])))
    client.answers = [client.answers[0] + firsts[DM], client.answers[1] + firsts[NON_DM], client.answers[2]]
    if said:
        court.saw_bucket(id, clock, firsts[DM], firsts.total())


def _judge(court: Standings, clock: int, heard: dict[str, list[Opinion]], drawn: set[str]) -> None:
    court.refresh()
    asked = [item for item, opinions in heard.items() if opinions]
    for item in asked:
        court.count(heard[item], sum(opinion.at == clock for opinion in heard[item]))
    while (id := court.worst()) is not None:
        since = court.contain(id, clock)
        for item in asked:
            for opinion in heard[item]:
                opinion.doubted = opinion.doubted or (opinion.client == id and opinion.at >= since)
            court.count(heard[item])
    for id in list(court.released()):
        court.release(id, clock)
    drawn.update(item for item in asked if court.conclude(heard[item]).need is not None)


def majority(answers: Answers) -> float:
    """The accuracy of what most say, of all answers; of equally many, the expected one."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for said in answers.said.values():
        for item, answer in said.items():
            votes[item][answer] += 1
    return mean(
        1.0
        if votes[item][truth] * 2 > votes[item].total()
        else 0.5
        if votes[item][truth] * 2 == votes[item].total()
        else 0
        for item, truth in answers.truth.items()
    )


def dawid_skene(answers: Answers) -> float | None:
    """The accuracy of Dawid and Skene's method on all answers; None where crowd-kit is not installed."""
    try:
        import pandas
        from crowdkit.aggregation import DawidSkene
    except ImportError:
        return None
    rows = [(item, worker, answer) for worker, said in answers.said.items() for item, answer in said.items()]
    found = DawidSkene(n_iter=100).fit_predict(pandas.DataFrame(rows, columns=["task", "worker", "label"]))
    return mean(found[item] == truth for item, truth in answers.truth.items())


def row(answers: Answers, runs: Sequence[Replay], by: str) -> list[object]:
    """A row of the table: means over the replays."""
    skene = dawid_skene(answers)
    return [
        answers.name,
        by,
        f"{mean(run.used for run in runs):.1f}",
        f"{mean(run.accuracy for run in runs):.3f} (worst {min(run.accuracy for run in runs):.3f})",
        f"{majority(answers):.3f}",
        "not installed" if skene is None else f"{skene:.3f}",
        f"{sum(run.wrong for run in runs) / max(sum(run.opened for run in runs), 1):.1%}",
        f"{mean(run.contained for run in runs):.1f}",
        len(runs),
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10, help="replays of each set (10)")
    parser.add_argument("--real", action="store_true", help="through the real code, too")
    arguments = parser.parse_args()
    sets, seeds = read(arguments.folder), range(1, arguments.seeds + 1)
    rows = [row(answers, [replay(answers, seed) for seed in seeds], "the policy alone") for answers in sets]
    if arguments.real:
        rows += [row(answers, runs, "the real code") for answers, runs in zip(sets, _real(sets, seeds), strict=True)]
    print(tabulate(sorted(rows, key=lambda row: str(row[0])), headers=HEADS, tablefmt="github"))
    return 0


def _real(sets: Sequence[Answers], seeds: Sequence[int]) -> list[list[Replay]]:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from proofs import replay as real
    from prove import database_of_its_own

    with database_of_its_own() as settings:
        return [[real.replay(answers, seed, settings) for seed in seeds] for answers in sets]


if __name__ == "__main__":
    sys.exit(main())
