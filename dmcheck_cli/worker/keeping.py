"""What COMMAND has answered, in a file until it is acknowledged; and the lock that allows one loop for each client.

The file outlives the process: the next `work` of the client hands it in first, and `dmcheck submit` takes it anywhere.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dmcheck_cli.domain import kept
from dmcheck_cli.domain.kept import KeptLease
from dmcheck_cli.domain.model import Lease
from dmcheck_cli.embedded.files import make_private_folder, private_opener, write_private_file
from dmcheck_cli.errors import AlreadyRunning, NotConfigured

SYNC_SECONDS = 1.0
"""Age at which an answer that is not acknowledged is synced, for the case that the power fails. Those of a fast COMMAND
are acknowledged before."""

MAX_DEAD_BYTES = 1024 * 1024
"""Bytes after which the file is written again without what was acknowledged: some 30 buckets of 180 users."""


def pending(folder: Path, client: int) -> tuple[Path, int]:
    """The file of a client, and how many answers are in it.

    Raises NotConfigured when it cannot be read.
    """
    path = _path(folder, client)
    try:
        found, _ = kept.read(path.read_bytes())
    except FileNotFoundError:
        return path, 0
    except OSError as error:
        raise NotConfigured(what=f"{path} cannot be read: {error.strerror}") from error
    return path, sum(len(one.answers) for one in found.values())


def refuse_in_hand(folder: Path, client: int, database: str, leases: Iterable[str]) -> None:
    """Raises AlreadyRunning when a loop of the client is at work on any of these leases of the database: who submits
    half of one's answers ends it, and the rest comes too late. What is kept for another one is in nobody's hand."""
    try:
        found, _ = kept.read(_path(folder, client).read_bytes())
        if not any(lease in found and found[lease].database == database for lease in leases):
            return
        lock = os.open(_lock_path(folder, client), os.O_RDONLY)
    except OSError:
        return  # no loop of this user
    try:
        _lock_or_refuse(lock, client)
    finally:
        os.close(lock)


def _lock_or_refuse(lock: int, client: int) -> None:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        raise AlreadyRunning(client=client, holder=holder or "unknown") from None


def _lock_path(folder: Path, client: int) -> Path:
    return folder / f"work-{client}.lock"


def _path(folder: Path, client: int) -> Path:
    return folder / f"answers-{client}.jsonl"


class AnswerFile:
    """The file of one client. `database` names where its answers belong: kept ones of another database stay where they
    are. Safe to use from several threads; none of its methods but `open` raises."""

    def __init__(self, folder: Path, client: int, database: str) -> None:
        self.path = _path(folder, client)
        self.say: Callable[[str], None] = lambda text: None  # where trouble is told
        self.earlier: dict[str, KeptLease] = {}
        self.elsewhere = 0
        self._lock_path = _lock_path(folder, client)
        self._client = client
        self._database = database
        self._lock = threading.Lock()
        self._file = self._locked = -1
        self._unwritten = b""
        self._counts: dict[str, int] = {}  # by lease: how many answers are kept
        self._size = 0
        self._unsynced: dict[str, float] = {}  # by lease: since when
        self._trouble = ""

    def open(self) -> None:
        """Take the lock, and read what an earlier run has kept into `earlier`.

        `elsewhere` counts the answers of other databases. Raises AlreadyRunning, and NotConfigured where no file can be
        written.
        """
        try:
            make_private_folder(self.path.parent)
            self._take_lock()
            self._file = private_opener(str(self.path), os.O_RDWR | os.O_CREAT | os.O_APPEND)
            raw = self.path.read_bytes()
            whole = raw.rfind(b"\n") + 1  # what follows is the line that a crash cut
            if len(raw) > whole:
                os.ftruncate(self._file, whole)
        except OSError as error:
            raise NotConfigured(
                what=f"Answers cannot be kept in {self.path} ({error.strerror}): set XDG_STATE_HOME to another folder"
            ) from error
        found, _ = kept.read(raw[:whole])
        self._size = whole
        self._counts = {lease: len(one.answers) for lease, one in found.items()}
        self.earlier = {lease: one for lease, one in found.items() if one.database == self._database}
        self.elsewhere = sum(len(one.answers) for one in found.values()) - sum(
            len(one.answers) for one in self.earlier.values()
        )

    def close(self) -> None:
        """Release the lock."""
        with self._lock:
            for descriptor in (self._file, self._locked):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._locked = -1

    @property
    def count(self) -> int:
        """How many answers are kept."""
        return sum(self._counts.values())

    def resumed(self, lease: Lease) -> None:
        """COMMAND is about to start on a lease of an earlier run."""
        with self._lock:
            self._counts.setdefault(lease.lease, 0)
            self._append(kept.resumed_line(lease.bucket, lease.lease, self._database))

    def answered(self, lease: Lease, answers: dict[str, str]) -> None:
        """COMMAND has given these answers."""
        with self._lock:
            self._counts[lease.lease] = self._counts.get(lease.lease, 0) + len(answers)
            self._unsynced.setdefault(lease.lease, time.monotonic())
            self._append(kept.answer_lines(lease.bucket, lease.lease, self._database, answers))

    def ended(self, leases: Iterable[str]) -> None:
        """Nothing of these leases is needed any more: it was acknowledged, or there was nothing."""
        with self._lock:
            over = [lease for lease in leases if self._counts.pop(lease, None) is not None]
            for lease in over:
                self._unsynced.pop(lease, None)
            if not over:
                return
            if not self._counts:
                self._unwritten = b""
                try:
                    os.ftruncate(self._file, 0)
                    self._size = 0
                    return
                except OSError as error:
                    self._note(error)
            self._append(kept.ended_lines(over))
            if self._size > MAX_DEAD_BYTES:
                self._write_anew()

    def sync(self, age: float = 0.0) -> None:
        """Let what is kept survive a power cut, too, if some of it is older than `age` seconds."""
        with self._lock:
            if not self._unsynced or time.monotonic() - min(self._unsynced.values()) < age:
                return
            self._unsynced = {}
            try:
                os.fsync(self._file)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):  # some file systems cannot
                    self._note(error)

    def told(self) -> str:
        """What to say at an end without a submit; nothing when nothing is kept."""
        if not self.count:
            return ""
        where = f"the next `dmcheck work --client {self._client}` hands them in first"
        return (
            f"{self.count} answers are kept in {self.path}: {where}, or `dmcheck submit --client {self._client} "
            f"{self.path}`, on any machine"
        )

    def _take_lock(self) -> None:
        if importlib.util.find_spec("fcntl") is None:
            raise NotConfigured(what="`dmcheck work` does not run on this system")
        lock = private_opener(str(self._lock_path), os.O_RDWR | os.O_CREAT)
        try:
            _lock_or_refuse(lock, self._client)
        except AlreadyRunning:
            os.close(lock)
            raise
        self._locked = lock
        os.ftruncate(self._locked, 0)
        os.write(self._locked, f"{os.getpid()}\n".encode())

    def _append(self, lines: bytes) -> None:
        """Write lines, after those that could not be written before. A half line is completed by the next write."""
        self._unwritten += lines
        try:
            while self._unwritten:
                written = os.write(self._file, self._unwritten)
                self._size += written
                self._unwritten = self._unwritten[written:]
            self._trouble = ""
        except OSError as error:
            self._note(error)

    def _write_anew(self) -> None:
        try:
            found, _ = kept.read(self.path.read_bytes() + self._unwritten)
            text = b"".join(kept.lines_of(one) for one in found.values())
            write_private_file(self.path, text.decode())
            file = private_opener(str(self.path), os.O_RDWR | os.O_APPEND)
        except OSError as error:
            self._note(error)
            return
        os.close(self._file)
        self._file, self._size, self._unwritten = file, len(text), b""

    def _note(self, error: OSError) -> None:
        """Say it, once. Work goes on: the answers are still in memory, and are handed in from there."""
        reason = error.strerror or str(error)
        if reason != self._trouble:
            self.say(f"answers cannot be kept in {self.path} ({reason}): until they are handed in, a kill loses them")
        self._trouble = reason
