"""The parts of `work` that need no database: what is kept on disk, the clocks, pauses, and the page of its states."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import dmcheck_cli
from dmcheck_cli.domain import kept
from dmcheck_cli.domain.model import Lease, User
from dmcheck_cli.errors import AlreadyRunning
from dmcheck_cli.worker.clock import GAP, Clock
from dmcheck_cli.worker.keeping import MAX_DEAD_BYTES, AnswerFile, pending, refuse_in_hand
from dmcheck_cli.worker.overheard import MAX_LINE, Overheard
from dmcheck_cli.worker.pool import FIRST_PAUSE, MAX_PAUSE, Pool
from dmcheck_cli.worker.protocol import MAX_RETRY_AFTER, Conversation

TESTS = Path(__file__).parents[1]
LEASE = Lease("bucket", "lease", 100, None, [User("a", 1), User("b", 2)])
OTHER = Lease("other", "another", 100, None, [User("c", 3)])


def opened(folder: Path, database: str = "here") -> AnswerFile:
    """The file of client 42."""
    file = AnswerFile(folder, 42, database)
    file.open()
    return file


def test_wherever_the_file_is_cut_only_the_line_in_flight_is_lost(tmp_path: Path) -> None:
    """A crash at each byte: what was whole is there, for `work` and for `submit`."""
    raw = kept.resumed_line("bucket", "lease", "here") + kept.answer_lines(
        "bucket", "lease", "here", {"a": "DM", "b": "NON_DM"}
    )
    path = tmp_path / "answers-42.jsonl"
    for end in range(len(raw) + 1):
        path.write_bytes(raw[:end])
        whole = raw[:end].count(b"\n")
        file = opened(tmp_path)
        assert [len(one.answers) for one in file.earlier.values()] == [max(whole - 1, 0)][:whole]
        file.answered(OTHER, {"c": "DM"})  # and the next line is whole again
        file.close()
        assert pending(tmp_path, 42) == (path, max(whole - 1, 0) + 1)


def test_what_was_acknowledged_is_kept_no_longer(tmp_path: Path) -> None:
    """The file is empty when nothing is left in it, and small however much went through it."""
    file = opened(tmp_path)
    file.answered(OTHER, {"c": "DM"})
    for _ in range(MAX_DEAD_BYTES // 50):
        file.answered(LEASE, {"a": "DM"})
        file.ended(["lease"])
        assert file.path.stat().st_size <= MAX_DEAD_BYTES + 1000
    assert (file.count, pending(tmp_path, 42)[1]) == (1, 1)
    file.ended(["another"])
    assert file.path.read_bytes() == b""
    file.close()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """A second one is refused until the first is closed, and so is who hands in what that has; answers of another
    database are not its own."""
    first = opened(tmp_path, "there")
    first.answered(LEASE, {"a": "DM", "b": "DM"})
    with pytest.raises(AlreadyRunning):
        opened(tmp_path)
    with pytest.raises(AlreadyRunning):
        refuse_in_hand(tmp_path, 42, "there", ["none", "lease"])
    refuse_in_hand(tmp_path, 42, "here", ["none", "lease"])
    refuse_in_hand(tmp_path, 42, "there", ["none"])
    first.close()
    refuse_in_hand(tmp_path, 42, "there", ["lease"])
    second = opened(tmp_path)
    assert (second.earlier, second.elsewhere) == ({}, 2)
    second.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_once_and_made_up_for(tmp_path: Path) -> None:
    """While nothing can be written work goes on; once it can, the file has all that is not acknowledged."""
    file = opened(tmp_path)
    told: list[str] = []
    file.say = told.append
    real, file._file = file._file, os.open("/dev/full", os.O_WRONLY)
    file.answered(LEASE, {"a": "DM"})
    file.answered(LEASE, {"b": "DM"})
    assert ["No space left" in text for text in told] == [True]
    os.close(file._file)
    file._file = real
    file.answered(OTHER, {"c": "DM"})
    assert pending(tmp_path, 42)[1] == 3
    file.close()


def test_the_clock_sees_a_sleep_and_no_slow_drift() -> None:
    """The wall clock went on and the other did not; also when the process was stopped."""
    now = {"wall": 1000.0, "monotonic": 50.0}
    clock = Clock(lambda: now["wall"], lambda: now["monotonic"])
    now["wall"] += 10
    now["monotonic"] += 10 - GAP / 2
    assert not clock.jumped()
    now["wall"] += 3600
    assert clock.jumped()
    clock.settle()
    assert not clock.jumped()
    clock.continued()
    assert clock.jumped()


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    """Without a word of its own; of three that say "later" at the same moment, one lengthens the pause."""
    pool = Pool(["true"], 1, 1, 1)
    now, lengths = 0.0, []
    for _ in range(10):
        for _ in range(3):
            pool._postpone(now, None)
        lengths.append(pool.paused_until() - now)
        now = pool.paused_until()
    assert lengths == [min(FIRST_PAUSE * 2**n, MAX_PAUSE) for n in range(10)]
    pool._postpone(now, 7.0)
    assert pool.paused_until() == now + 7


@pytest.mark.parametrize(
    ("said", "expected"),
    [("5", 5.0), ("0.5", 0.5), ("1e9", MAX_RETRY_AFTER), ("-1", None), ("true", None), ('"5"', None), ("NaN", None)],
)
def test_how_long_command_may_ask_for(said: str, expected: float | None) -> None:
    """A number of seconds, at most a day; anything else is garbage."""
    heard = Conversation([User("a", 1)])
    heard.hear(f'{{"retry_after": {said}}}\n'.encode())
    assert (heard.retry_after, heard.garbage) == (expected, int(expected is None))


def test_names_may_come_back_in_another_case() -> None:
    """They are those that were given, each with its exact id; twins are told apart by their exact names."""
    told = Conversation([User("NASA", 2**60 + 1), User("who", None), User("WHO", None)])
    lines = [json.loads(line) for line in told.question().splitlines()]
    assert [line["id_str"] for line in lines] == [str(2**60 + 1), None, None]
    for name, answer in (("nasa", "DM"), ("WHO", "NON_DM"), ("who", "DM"), ("nobody", "DM")):
        told.hear(json.dumps({"screen_name": name, "candm": answer}).encode() + b"\n")
    assert (told.answers, told.strangers) == ({"NASA": "DM", "WHO": "NON_DM", "who": "DM"}, 1)


def test_each_arrow_of_the_state_machine_has_its_test() -> None:
    """The page beside loop.py draws no state without arrows, and names no test that is not there."""
    page = (Path(dmcheck_cli.__file__).parent / "worker" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| `([\w/]+\.py)::(\w+)` \|$", page, re.MULTILINE)
    drawn = {int(number) for number in re.findall(r"\((\d+)\)", page.partition("```")[2].partition("```")[0])}
    assert drawn == {int(number) for number, _, _ in rows}
    assert len(drawn) > 10
    for _, file, test in rows:
        assert f"def {test}(" in (TESTS / file).read_text("utf-8"), test


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_stderr_is_told_line_by_line(size: int) -> None:
    """However it arrives; what is longer than a line may be comes in pieces, and none is lost."""
    told: list[str] = []
    heard = Overheard(told.append)
    raw = b"one\r\n\n  \ntwo\rthree \n\xff" + MAX_LINE * b"x" + b"\nfour"
    for start in range(0, len(raw), size):
        heard.hear(raw[start : start + size])
    heard.end()
    heard.end()
    assert told[:3] + told[-1:] == ["one", "two", "three", "four"]
    assert "".join(told[3:-1]) == "\\xff" + MAX_LINE * "x"
    assert all(len(line) <= MAX_LINE + 3 for line in told)
