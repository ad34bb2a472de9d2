"""Every command and job in every surroundings: streams that are closed, folders that may not be searched, no HOME,
process 1, stripped docstrings. None of it changes how a command ends or what it leaves in the graph."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.graphs import counters, prepare
from support.programs import MODULES, Result
from support.walk import CHECKER, LEFT, SIZE, Step, graph_after, steps

from dmcheck_cli.database.connection import Database

WITHOUT_RIGHTS = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "


@dataclass(frozen=True)
class Surroundings:
    """`around`: a shell line that runs "$@" in them; `needs`: programs; `less`: variables that are taken away."""

    around: str = 'exec "$@"'
    needs: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    closed: frozenset[int] = field(default_factory=frozenset)


def _closed(*numbers: int) -> Surroundings:
    streams = "".join(("<&-", " >&-", " 2>&-")[number] for number in numbers)
    return Surroundings(f'exec "$@" {streams}', closed=frozenset(numbers))


UNSEARCHABLE = "mkdir -p locked && cd locked && chmod 000 . && exec " + (WITHOUT_RIGHTS if os.geteuid() == 0 else "")

SURROUNDINGS = {
    "stdin and stderr closed": _closed(0, 2),
    "stdout closed": _closed(1),
    "all closed": _closed(0, 1, 2),
    "unsearchable folder, no HOME, process 1, python -OO, locale C": Surroundings(
        f'{UNSEARCHABLE}env LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 unshare --pid --fork --kill-child "$@"',
        needs=("setpriv", "unshare"),
        python=("-OO",),
        less=("HOME", "USER", "LOGNAME"),
    ),
}


def expected(step: Step, closed: frozenset[int]) -> int:
    """Contract, section 4: the status that it would have had, or 75 where the result could not be written."""
    return 75 if 1 in closed and step.prints else step.status


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_every_command_and_job_ends_as_documented_in_any_surroundings(
    name: str, database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    """The statuses, no traceback, a sentence for each refusal, and the same graph at the end."""
    around = SURROUNDINGS[name]
    for program in around.needs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no program {program}")
    if "unshare" in around.needs and os.geteuid() != 0:
        pytest.skip("a namespace of processes takes root")
    start, wrong = _starter(around, environment, tmp_path), []
    for step in steps(database, tmp_path):
        ended = start(step)
        is_well = (
            ended.status == expected(step, around.closed),
            "Traceback" not in ended.err,
            ended.status == 0 or 2 in around.closed or len(ended.err) >= 30,  # it says why
            not step.prints or 1 in around.closed or ended.out,
        )
        if not all(is_well):
            wrong.append((step.name, is_well, ended))
    assert wrong == []
    assert graph_after(database) == LEFT


def _starter(around: Surroundings, environment: dict[str, str], folder: Path) -> Callable[[Step], Result]:
    variables = {name: value for name, value in environment.items() if name not in around.less}
    variables |= {"DMCHECK_BUCKET_SIZE": str(SIZE), "XDG_STATE_HOME": str(folder / "state")}

    def start(step: Step) -> Result:
        launch = f"from {MODULES[step.program]} import main; main()"
        command = [sys.executable, *around.python, "-c", launch, *map(str, step.arguments)]
        done = subprocess.run(
            ["sh", "-c", around.around, "sh", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=variables,
            cwd=folder,
            timeout=300,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return start


def test_a_result_that_could_not_be_written_can_be_had_again(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    """`fetch --json >&-` has leased, so it must not say "refused": 75, and `--resume` shows the leases."""
    closed, open_ = (_starter(around, environment, tmp_path) for around in (_closed(1), Surroundings()))
    prepare(database, [42], 10, size=5)
    lost = closed(Step("dmcheck", ("fetch", "--client", 42, "--count", 1, "--json")))
    assert (lost.status, lost.error["code"]) == (75, "output_lost")
    held = open_(Step("dmcheck", ("fetch", "--client", 42, "--resume", "--json")))
    assert len(held.document["buckets"]) == 1


def test_a_program_that_is_started_writes_into_no_connection(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    """With stdout and stderr closed, what COMMAND says on its stderr goes nowhere, not into what took that number."""
    noisy = tmp_path / "checker"
    noisy.write_text(f"#!/bin/sh\necho noise >&2\necho noise >&2\nexec {CHECKER}\n")
    noisy.chmod(0o755)
    prepare(database, [42], 10, size=5)
    step = Step("dmcheck", ("work", "--client", 42, "--once", "--", noisy))
    assert _starter(_closed(0, 1, 2), environment, tmp_path)(step).status == 75
    assert counters(database.run_text, 42) == (2, 2, 0, 0)
