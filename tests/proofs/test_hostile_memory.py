"""What never ends, or is made to swell, given as every kind of file: refused within 5 seconds and 200 MB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.graphs import MAX_WAIT_SECONDS
from support.programs import outside

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc and /dev/zero are Linux's"),
]

MAX_MB = 200
MAX_SECONDS = 5.0
"""Of processor time: a busy machine is no defect."""

MEASURED = """
import os
leave = os._exit
def told(status):
    with open("/proc/self/status") as file:
        peak = next(line.split()[1] for line in file if line.startswith("VmHWM"))
    with open("measured", "w") as file:
        file.write(f"{peak} {sum(os.times()[:2])}")
    leave(status)
os._exit = told
from dmcheck_cli.cli import main
main()
"""
"""Runs dmcheck, and writes its peak in kB and its seconds. (What wait4 says includes the process that forked it.)"""

GIB = 1024**3

SWOLLEN = {
    "empty objects": b'{"buckets": [' + b"{}," * 349_000 + b"{}]}",
    "too many empty objects": b'{"buckets": [' + b"{}," * 3_400_000 + b"{}]}",
    "small objects": b'{"buckets": [' + b'{"":0},' * 349_000 + b"{}]}",
    "wide texts": b'{"buckets": [' + '"\U0001f600a",'.encode() * 690_000 + b"{}]}",
    "one wide text": '{"x": "\U0001f600'.encode() + b"a" * 10_000_000 + b'", "buckets": [0]}',
    "one line": b'{"lease": [' + b"[]," * 9_000_000 + b"[]]}",
    "kept answers that make no sense": b'{"lease": "a"}\n' + b"a\n" * 16_000_000,
    "kept answers without end": b'{"lease": "a"}\n' + b"a\n" * 20_000_000,
    "a page in an array": b'[{"x": [' + b"{}," * 1_390_000 + b"{}]}]",
    "a page over many lines": b'[\n{"x":\n[' + '"\U0001f600",'.encode() * 1_500_000 + b'""]}]',
}

Way = tuple[tuple[str, ...], str, int]
"""The arguments, where else the file is given, and the status."""

LIST = ("users", "add")
WAYS: dict[str, Way] = {
    "the document of submit": (("submit", "--client", "1", "FILE"), "", 2),
    "the document on stdin": (("submit", "--client", "1"), "<", 2),
    "a list": ((*LIST, "FILE"), "", 2),
    "a list on stdin": (LIST, "<", 2),
    "prioritize": (("prioritize", "--file", "FILE"), "", 2),
    "work --try": (("work", "--client", "1", "--try", "FILE", "--", "cat"), "", 2),
    "the password": (("stats",), "NEO4J_PASSWORD_FILE", 4),
    "a .env": (("stats",), ".env", 4),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files: one of 1 GiB that takes no room, and those of SWOLLEN."""
    folder = tmp_path_factory.mktemp("files")
    with open(folder / "1 GiB", "wb") as file:
        os.truncate(file.fileno(), GIB)
    (folder / "1 GiB").chmod(0o600)
    for name, content in SWOLLEN.items():
        (folder / name).write_bytes(content)
    return folder


@contextmanager
def pipe(path: Path, piece: bytes) -> Iterator[None]:
    """A named pipe whose writer never ends, as long as anybody reads."""
    os.mkfifo(path, 0o600)

    def write() -> None:
        with suppress(OSError), open(path, "wb", buffering=0) as file:
            while True:
                file.write(piece)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield
    with suppress(OSError):  # let it see that nobody reads
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    writer.join(MAX_WAIT_SECONDS)


def limited(folder: Path, way: Way, file: Path) -> None:
    """Give it in that way; fail unless it ends as it says, in time and in little memory."""
    arguments, where, status = way
    (folder / "here").mkdir()
    if where == ".env":
        (folder / "here" / ".env").symlink_to(file)
    password = {where: str(file)} if where == "NEO4J_PASSWORD_FILE" else {"NEO4J_PASSWORD": "x"}
    with open(file if where == "<" else os.devnull, "rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *(str(file) if one == "FILE" else one for one in arguments)],
            stdin=stdin,
            capture_output=True,
            env={
                **outside(),
                "HOME": str(folder),
                "NEO4J_URI": "bolt://127.0.0.1:1",
                "DMCHECK_TIMEOUT_SECONDS": "1",
                **password,
            },
            cwd=folder / "here",
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
    peak, seconds = (folder / "here" / "measured").read_text().split()
    assert done.returncode == status, done.stderr[-500:]
    assert b"Traceback" not in done.stderr
    assert int(peak) < MAX_MB * 1024
    assert float(seconds) < MAX_SECONDS
    assert len(done.stderr) < 5000


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("file", ["/dev/zero", "/proc/self/mem", "1 GiB", "/dev/random"])
def test_what_never_ends(files: Path, tmp_path: Path, way: str, file: str) -> None:
    """Devices, the memory of a process, a file of 1 GiB."""
    limited(tmp_path, WAYS[way], files / file)


@pytest.mark.parametrize("way", WAYS)
def test_a_pipe_whose_writer_never_ends(tmp_path: Path, way: str) -> None:
    """It is read up to a bound. (One whose writer says nothing is waited for, as pipes are.)"""
    with pipe(tmp_path / "pipe", b"[" + b"x" * 65_535):
        limited(tmp_path, WAYS[way], tmp_path / "pipe")


@pytest.mark.parametrize("name", SWOLLEN)
@pytest.mark.parametrize("way", ["the document of submit", "a list"])
def test_what_takes_more_memory_than_room(files: Path, tmp_path: Path, way: str, name: str) -> None:
    """JSON whose values are many times larger than their texts."""
    limited(tmp_path, WAYS[way], files / name)


def test_the_largest_document_is_read(files: Path, tmp_path: Path) -> None:
    """Ten buckets of 8,000 answered users stay within the bounds: it goes on to the database, which is not there."""
    user = {"id": 1234567890123456789, "id_str": "1234567890123456789", "candm": "NON_DM"}
    users = [{"screen_name": f"a_long_name_{i}", **user} for i in range(8000)]
    buckets = [{"bucket": f"{i}", "lease": "l", "users": users} for i in range(10)]
    (tmp_path / "document").write_text(json.dumps({"buckets": buckets}))
    limited(tmp_path, (("submit", "--client", "1", "FILE"), "", 75), tmp_path / "document")
