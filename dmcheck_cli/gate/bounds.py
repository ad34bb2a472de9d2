"""What one client, and all together, may cost: connections at once, requests in a minute; and what was refused.

All of it is in files under the state folder, one for each client. Locks on their bytes are the connections: the
operating system frees them when a process ends, however it ends. Nothing here needs the database, or much of Python:
a refusal must be cheap.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmcheck_cli import notices
from dmcheck_cli.embedded.files import make_private_folder, private_opener
from dmcheck_cli.embedded.folders import state_folder
from dmcheck_cli.errors import DmcheckError, GateFull, NotConfigured, TooFast, spread
from dmcheck_cli.settings import Settings

BURST_SECONDS = 10.0
"""Requests of so long may come at once. A minute's, by 20 clients, kept two cores busy for half a minute."""

MAX_PATIENCE_SECONDS = 5.0
"""Who is a little too fast is answered later; who would have to wait longer is refused."""

REFUSAL_SECONDS = 1.0
"""Before each refusal to who is too fast. Who never waits could otherwise keep a processor busy with them."""

TURN_AWAY_SECONDS = 5.0
"""Before a connection too many is refused: who connects in a loop, and waits for the answer, is slowed down."""

MAX_WAITING = 50
"""Processes that wait so long at once; what comes beyond is refused at once, so that memory is bounded."""

BUSY_SECONDS = 30.0
"""After which it is worth to look for a free connection again."""

MAX_LOG_BYTES = 1024 * 1024
"""Of the log, and as many of the one before it."""

MAX_REASONS = 40
"""Reasons that are counted apart: more than there are codes."""


class Bounds:
    """The bounds of one connection of a client, by the key of that fingerprint. Raises OSError where the files cannot
    be used."""

    def __init__(self, settings: Settings, client: int, key: str | None = None) -> None:
        self._settings, self._client, self._key = settings, client, key
        self._folder = folder()
        make_private_folder(self._folder)
        # Opened once: closing any descriptor of a file frees all locks of the process on its bytes.
        self._own = _opened(self._folder / f"client-{client}")
        self._all = _opened(self._folder / "connections")

    def connect(self) -> None:
        """Take up one of the client's connections, and one of all, until the process ends.

        Raises TooFast when the client has as many as it may, GateFull when all are taken.
        """
        most = self._settings.gate_connections_per_key
        if not _take(self._own, most):
            self._turn_away()
            wait = spread(BUSY_SECONDS)
            what = f"Client {self._client} has {most} connections to this gate, as many as it may"
            raise TooFast(what=what, seconds=wait, retry_after=wait)
        if not _take(self._all, self._settings.gate_connections):
            self._turn_away()
            raise GateFull(retry_after=spread(BUSY_SECONDS))

    def _turn_away(self) -> None:
        waiting = _opened(self._folder / "waiting")
        if _take(waiting, MAX_WAITING):
            time.sleep(TURN_AWAY_SECONDS)
        os.close(waiting)

    def request(self) -> None:
        """Count a request; wait if it comes a little too soon.

        Raises TooFast, after a moment, when it comes much too soon; that one is not counted.
        """
        between = 60 / self._settings.gate_requests_per_minute
        with self._record() as record:
            now = time.monotonic()
            # The time at which all requests so far are paid for, if each costs `between`.
            paid = max(float(record.get("paid", 0)), now)
            if paid > now + max(BURST_SECONDS, between) + MAX_PATIENCE_SECONDS:
                paid = now  # the machine was restarted, and its clock began at zero
            wait = paid - now - max(BURST_SECONDS - between, 0)
            if wait <= MAX_PATIENCE_SECONDS:
                record["paid"] = paid + between
        if wait > MAX_PATIENCE_SECONDS:
            time.sleep(REFUSAL_SECONDS)
            what = f"Client {self._client} makes more than {self._settings.gate_requests_per_minute} requests a minute"
            after = round(wait, 1)
            raise TooFast(what=what, seconds=after, retry_after=after)
        time.sleep(max(wait, 0))

    def refused(self, problem: DmcheckError) -> None:
        """Count and log a refusal, with its whole message; never raises."""
        with suppress(OSError), self._record() as record:
            counts = record.setdefault("refused", {})
            if problem.code in counts or len(counts) < MAX_REASONS:
                at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
                counts[problem.code] = [counts.get(problem.code, [0])[0] + 1, at]
        log(self._client, self._key, problem.message, problem.code)

    @contextmanager
    def _record(self) -> Iterator[dict[str, Any]]:
        """What is known about the client's requests, to be changed by the block; no other process does so meanwhile."""
        import fcntl

        fcntl.flock(self._own, fcntl.LOCK_EX)
        try:
            record = _read(os.pread(self._own, 65536, 0))
            yield record
            content = json.dumps(record).encode()
            os.pwrite(self._own, content, 0)
            os.ftruncate(self._own, len(content))
        finally:
            fcntl.flock(self._own, fcntl.LOCK_UN)


def folder() -> Path:
    """Where the files are; raises NotConfigured where there is no place for them."""
    return state_folder() / "gate"


def log(client: int, key: str | None, what: str, reason: str = "note") -> None:
    """Write a line about a client and its key's fingerprint to the gate's log, which is bounded; never raises."""
    event = notices.Event(what, "gate", "warning", client=client, key=key, reason=reason)
    with suppress(OSError, NotConfigured):
        path = folder() / "log"
        make_private_folder(path.parent)
        with open(path, "ab", opener=private_opener) as file:
            file.write(f"{notices.logged(event)}\n".encode())
            if file.tell() > MAX_LOG_BYTES:
                os.replace(path, path.with_name("log.1"))


def refusals() -> list[dict[str, Any]]:
    """What was refused so far: client, reason (a code), count, and when last (ISO 8601)."""
    found = []
    for path in sorted(folder().glob("client-*")):
        with suppress(OSError):
            counts = _read(path.read_bytes()).get("refused", {})
            client = int(path.name.removeprefix("client-"))
            found += [
                {"client": client, "reason": reason, "count": count, "last": last}
                for reason, (count, last) in counts.items()
            ]
    return found


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _take(descriptor: int, most: int) -> bool:
    """Lock one of the first bytes of the file, whether it has them or not."""
    import fcntl

    first = random.randrange(most)
    for number in range(most):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, (first + number) % most)
            return True
        except (BlockingIOError, PermissionError):  # systems differ in which they raise
            continue
    return False


def _read(raw: bytes) -> dict[str, Any]:
    """Nothing, where a crash or a full disk left half of it."""
    try:
        found = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
