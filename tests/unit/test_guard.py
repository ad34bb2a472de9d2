"""Work that hangs is left behind, and what comes after it gets its own outcomes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from support.graphs import MAX_WAIT_SECONDS, MUCH_LONGER

from dmcheck_cli.database.sending import Guard, OutOfTime


@pytest.fixture
def guard() -> Iterator[Guard]:
    """One that ends with the test."""
    guard = Guard()
    yield guard
    guard.close()


def _thread(guard: Guard) -> threading.Thread:
    return guard.within(MAX_WAIT_SECONDS, threading.current_thread)


def test_one_thread_does_all_work(guard: Guard) -> None:
    """It is kept from one piece to the next, also over one that fails, and its failures are the caller's."""
    first = _thread(guard)
    with pytest.raises(ZeroDivisionError):
        guard.within(MAX_WAIT_SECONDS, lambda: 1 // 0)
    assert _thread(guard) is first is not threading.current_thread()


def test_a_closed_one_ends_its_thread_and_can_be_used_again(guard: Guard) -> None:
    """Nothing of it is left; the next work starts another thread."""
    first = _thread(guard)
    guard.close()
    first.join(MAX_WAIT_SECONDS)
    assert not first.is_alive()
    assert _thread(guard) is not first


def test_what_hangs_is_left_behind(guard: Guard) -> None:
    """The next work is done by another thread and gets its own outcome; the first one tidies up and ends."""
    hang = threading.Event()
    tidied: list[threading.Thread] = []
    first = _thread(guard)
    with pytest.raises(OutOfTime):
        guard.within(0.01, hang.wait, afterwards=lambda: tidied.append(threading.current_thread()))
    assert guard.within(MAX_WAIT_SECONDS, lambda: "mine") == "mine"
    hang.set()
    first.join(MAX_WAIT_SECONDS)
    assert not first.is_alive()
    assert tidied == [first]
    assert guard.within(MAX_WAIT_SECONDS, lambda: "mine, too") == "mine, too"


def test_whoever_waits_can_be_interrupted(guard: Guard) -> None:
    """Ctrl-C ends the waiting, also when it comes just as that begins; the outcome of what was waited for is nobody's.

    Python alone missed one signal in a hundred until the wait was over, so two hundred are sent.
    """
    main = threading.get_ident()
    for _ in range(200):
        hang = threading.Event()

        def interrupt(hang: threading.Event = hang) -> str:
            signal.pthread_kill(main, signal.SIGINT)
            hang.wait()
            return "too late"

        with pytest.raises(KeyboardInterrupt):
            guard.within(MUCH_LONGER, interrupt)
        hang.set()
    assert guard.within(MAX_WAIT_SECONDS, lambda: "mine") == "mine"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_process_that_was_forked_off_has_a_thread_of_its_own() -> None:
    """Threads stay with the parent."""
    program = (
        "import os; from dmcheck_cli.database.sending import Guard; guard = Guard(); guard.within(9, os.getpid);"
        f"child = os.fork(); mine = guard.within({MAX_WAIT_SECONDS}, os.getpid) == os.getpid();"
        "os._exit(not mine) if child == 0 else os._exit(os.waitpid(child, 0)[1] or not mine)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=MAX_WAIT_SECONDS, check=False).returncode == 0


def test_a_program_ends_beside_work_that_hangs() -> None:
    """Also one that ends in the ordinary way, waiting for its threads."""
    program = (
        "import threading; from dmcheck_cli.database.sending import Guard, OutOfTime\n"
        "try: Guard().within(0.01, threading.Event().wait)\n"
        "except OutOfTime: print('left')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=MAX_WAIT_SECONDS, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [b"left"], b"")
