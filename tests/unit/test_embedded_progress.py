"""What is said while the embedded database starts holds up nobody."""

import os
import sys
import time
from contextlib import suppress

import pytest

from dmcheck_cli.notices import SECONDS_TO_WRITE, Progress


def test_a_reader_that_stopped_holds_up_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts the database holds a lock that every other command waits for."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 4096)
    os.set_blocking(write, True)
    with open(write, "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        began = time.monotonic()
        with Progress(plain=True).doing("Starting"):
            assert time.monotonic() - began < SECONDS_TO_WRITE + 5
        os.close(read)  # which ends the write
