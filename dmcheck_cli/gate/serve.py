"""The gate's side of a conversation: requests are read within bounds, answered one by one, and counted.

What an operator must know goes to the gate's log; strangers are told what they can do about it.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dmcheck_cli.domain.verbs import Service
from dmcheck_cli.errors import DmcheckError, Malformed, NotAdmitted, explained
from dmcheck_cli.gate import protocol
from dmcheck_cli.gate.bounds import Bounds
from dmcheck_cli.gate.protocol import MAX_REQUEST_BYTES, Greeting, Request
from dmcheck_cli.gate.telling import is_counted, outward

MAX_REQUEST_SECONDS = 60.0
"""From the first byte of a request to its last, and for an answer to be taken."""

MAX_IDLE_SECONDS = 600.0
"""Between two requests. Then the connection ends; the other side connects again when it has something to ask."""

MAX_CONNECTION_SECONDS = 86_400.0
"""Then it ends after the next answer: a process that is older may be of an older release."""

MAX_SKIPPED_BYTES = 4 * MAX_REQUEST_BYTES
"""A line that is too long is read to its end up to here, so that the conversation can go on."""

PIECE = 65536


class Ended(Exception):
    """The other side has gone, or has nothing to ask for too long."""


class Input:
    """What the other side sends, read within times and sizes. `descriptor`: where from."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = bytearray()
        self._over = False

    def line(self, idle_seconds: float) -> bytes:
        """The next line, without its end, once it begins within `idle_seconds`.

        Raises Ended, Malformed for a line that is too long (then the next may follow), Stalled.
        """
        if not self._read:
            self._wait(idle_seconds)
        deadline = time.monotonic() + MAX_REQUEST_SECONDS
        searched, size = 0, 0
        while True:
            end = self._read.find(b"\n", searched)
            size += (len(self._read) if end < 0 else end + 1) - searched
            if end >= 0:
                line = bytes(self._read[:end])
                del self._read[: end + 1]
                if size > MAX_REQUEST_BYTES:
                    raise _too_long()
                return line
            if size > MAX_SKIPPED_BYTES:
                raise Stalled(_too_long())
            if size > MAX_REQUEST_BYTES:
                self._read.clear()
            searched = len(self._read)
            if self._over:
                raise Ended
            self._more(deadline)

    def whole(self, idle_seconds: float) -> bytes:
        """All that comes until its end, once it begins within `idle_seconds`. Raises Malformed, Ended, Stalled."""
        self._wait(idle_seconds, or_end=True)
        deadline = time.monotonic() + MAX_REQUEST_SECONDS
        while not self._over:
            if len(self._read) > MAX_REQUEST_BYTES:
                raise _too_long()
            self._more(deadline)
        return bytes(self._read)

    def _wait(self, seconds: float, or_end: bool = False) -> None:
        if not select.select([self._descriptor], [], [], seconds)[0]:
            raise Ended
        self._take()
        if self._over and not or_end:
            raise Ended

    def _more(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            raise Stalled(Malformed(what=f"A request must be whole within {MAX_REQUEST_SECONDS:.0f} seconds"))
        self._take()

    def _take(self) -> None:
        try:
            piece = os.read(self._descriptor, PIECE)
        except ConnectionError:
            piece = b""
        self._over = not piece
        self._read += piece


class Stalled(Exception):
    """The other side sends what cannot be answered: after `problem` is told, the connection ends."""

    def __init__(self, problem: DmcheckError) -> None:
        super().__init__(problem.message)
        self.problem = problem


def send(descriptor: int, line: bytes) -> None:
    """Write all of a line. Raises Ended when it is not taken within MAX_REQUEST_SECONDS, or nobody is there."""
    deadline = time.monotonic() + MAX_REQUEST_SECONDS
    os.set_blocking(descriptor, False)
    left = memoryview(line)
    while left:
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not select.select([], [descriptor], [], seconds)[1]:
            raise Ended
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise Ended from error


def talk(
    service: Service, client: int, bounds: Bounds, admit: Callable[[], None], release: str, streams: tuple[int, int]
) -> None:
    """Answer requests of a client until it goes. `admit` raises NotAdmitted once it may not come in any more.

    Returns also when a bound ends the conversation; what was refused is counted.
    """
    source, sink = Input(streams[0]), streams[1]
    began = time.monotonic()
    try:
        send(sink, Greeting(release, client, service.lease_seconds).line())
        while time.monotonic() - began < MAX_CONNECTION_SECONDS:
            line: bytes | Malformed
            try:
                line = source.line(MAX_IDLE_SECONDS)
            except Malformed as problem:
                line = problem
            answer, goes_on = _answer(service, client, bounds, admit, line)
            send(sink, answer)
            if not goes_on:
                return
    except Stalled as stalled:
        with suppress(Ended):
            send(sink, refusal(stalled.problem, bounds))
    except Ended:
        return


def refusal(problem: DmcheckError, bounds: Bounds) -> bytes:
    """The line that tells a refusal, which is counted."""
    bounds.refused(problem)
    return protocol.error_line(None, problem)


def _answer(
    service: Service, client: int, bounds: Bounds, admit: Callable[[], None], line: bytes | Malformed
) -> tuple[bytes, bool]:
    """The answer to a line, or to what was wrong with it, and whether the conversation goes on."""
    id = None
    try:
        admit()
        bounds.request()
        if isinstance(line, Malformed):
            raise line
        given = protocol.loaded(line)
        id = protocol.id_of(given)
        request = protocol.request(given, client)
        return protocol.result_line(request.id, _result(service, client, request)), True
    except Exception as error:
        problem = explained(error)
        said = outward(problem)
        if is_counted(problem, said):
            bounds.refused(problem)
        return protocol.error_line(id, said), not isinstance(problem, NotAdmitted)


def _result(service: Service, client: int, request: Request) -> dict[str, Any]:
    match request.verb:
        case "fetch":
            return protocol.leases_document(client, service.fetch(request.count, request.request_id))
        case "resume":
            return protocol.leases_document(client, service.resume())
        case "renew":
            expires = service.renew(request.bucket, request.lease)
            return {"bucket": request.bucket, "lease": request.lease, "expires": expires}
        case "release":
            returned = service.release(request.bucket, request.lease, request.failed)
            return {"bucket": request.bucket, "lease": request.lease, "returned": returned}
        case "submit":
            return protocol.reports_document(client, service.submit(request.answered))
        case _:
            return protocol.stats_document(*service.stats())


def _too_long() -> Malformed:
    return Malformed(what=f"A request has at most {MAX_REQUEST_BYTES} bytes")
