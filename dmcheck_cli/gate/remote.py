"""The verbs of a client through a gate: one `ssh` for many requests, started again when it is lost.

Every request may be repeated, so one whose answer did not come is: on a new connection, with the same id of a fetch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

from dmcheck_cli import notices
from dmcheck_cli.backoff import between_connections
from dmcheck_cli.database import account
from dmcheck_cli.domain.documents import shown
from dmcheck_cli.domain.model import Answered, ClientStats, Lease, Report, SystemStats
from dmcheck_cli.errors import REFUSALS, Malformed, NotConfigured, Temporary, WrongClient
from dmcheck_cli.gate import protocol
from dmcheck_cli.gate.protocol import Nonsense, Request
from dmcheck_cli.gate.ssh import Lost, OutOfTime, Ssh
from dmcheck_cli.settings import Settings

T = TypeVar("T")

MAX_ANSWERS = 20_000
"""Answers in one request: half of what a line may hold."""

MAX_SILENT_SECONDS = 2.0
"""A person who waits longer than this is told for what."""

MAX_TOLD = 100
"""Different lines of ssh that are shown; a host that says more is not listened to."""


class Remote:
    """A Service (see `domain/verbs.py`) through the gate that `settings` names. It connects at the first request. Not
    thread-safe.

    Every verb raises also NotConfigured, when ssh or the gate does not let the client in, and Temporary, when the gate
    gave no answer within the time; that says whether the request was sent.
    """

    def __init__(self, settings: Settings, client: int) -> None:
        assert settings.gate is not None
        self.lease_seconds = settings.lease_seconds  # until the gate says how long it is there
        self._gate = settings.gate
        self._seconds = settings.timeout_seconds
        self._client = client
        self._ssh: Ssh | None = None
        self._number = 0
        self._told: set[str] = set()
        self._waits = False
        self._account = account.opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> str:
        """See Service. The gate's address: two operators may both have their database at localhost."""
        return self._gate if self._gate.startswith("ssh://") else f"ssh://{self._gate}"

    def fetch(self, count: int | None, request: str) -> list[Lease]:
        """See Service."""
        return self._read(protocol.leases, self._ask("fetch", count=count, request_id=request))

    def resume(self) -> list[Lease]:
        """See Service."""
        return self._read(protocol.leases, self._ask("resume"))

    def renew(self, bucket: str, lease: str) -> str:
        """See Service."""
        return self._read(protocol.expires, self._ask("renew", bucket=bucket, lease=lease))

    def release(self, bucket: str, lease: str, failed: bool = False) -> int:
        """See Service."""
        return self._read(protocol.returned, self._ask("release", bucket=bucket, lease=lease, failed=failed))

    def submit(self, answered: list[Answered]) -> list[Report]:
        """See Service. Raises Malformed for a bucket with more answers than a gate takes."""
        reports: list[Report] = []
        for part in _parts(answered):
            found = self._read(protocol.reports, self._ask("submit", answered=part))
            if [one.bucket for one in found] != [one.bucket for one in part]:
                raise self._nonsense("reports of other buckets")
            if unknown := [one.reason for one in found if one.reason is not None and one.reason not in REFUSALS]:
                raise self._nonsense(f"a bucket refused for {shown(unknown[0])}")
            reports += found
        return reports

    def stats(self) -> tuple[list[ClientStats], SystemStats]:
        """See Service."""
        return self._read(protocol.stats, self._ask("stats"))

    def hurry(self, seconds: int) -> None:
        """See Service."""
        self._seconds = seconds

    def close(self) -> None:
        """See Service."""
        if self._ssh is not None:
            self._ssh.close()
            self._ssh = None

    def _read(self, read: Callable[[dict[str, Any]], T], result: dict[str, Any]) -> T:
        try:
            return read(result)
        except Nonsense as error:
            raise self._nonsense(error) from error

    def _ask(self, verb: str, **given: Any) -> dict[str, Any]:
        """The result of a request, which is repeated on a new connection when the answer does not come."""
        self._number += 1
        request = Request(self._number, verb, **given)
        line = request.line()
        if len(line) > protocol.MAX_REQUEST_BYTES:
            raise Malformed(what=f"A gate takes {protocol.MAX_REQUEST_BYTES} bytes at a time; this is {len(line)}")
        began = time.monotonic()
        until = began + self._seconds
        self._account.statements += 1
        backoff = between_connections()
        sent, why = False, "no answer"
        while True:
            try:
                ssh = self._connected(began, until)
                sent = True
                return self._answer(ssh, request, line, began, until)
            except OutOfTime:
                raise self._gave_up(sent, why) from None
            except Lost as lost:
                if lost.final is not None:
                    raise lost.final from lost
                why = lost.why
            delay = backoff.delay()
            if time.monotonic() + delay >= until:
                raise self._gave_up(sent, why)
            notices.detail(f"{why}: the next connection to the gate is tried in {delay:.1f} s")
            time.sleep(delay)
            self._account.retries += 1

    def _answer(self, ssh: Ssh, request: Request, line: bytes, began: float, until: float) -> dict[str, Any]:
        asked = time.monotonic()
        self._account.round_trips += 1
        try:
            answer = self._exchange(ssh, line, began, until)
        finally:
            self._account.waited += time.monotonic() - asked
        try:
            return protocol.result(answer, request.id)
        except Nonsense as error:
            raise self._nonsense(error) from error

    def _connected(self, began: float, until: float) -> Ssh:
        """A connection over which the gate has let this client in."""
        if self._ssh is not None and not self._ssh.silent():
            self.close()  # it has ended meanwhile, and perhaps said why
        if self._ssh is not None:
            return self._ssh
        self._ssh = Ssh(self._gate, self._seconds)
        line = self._exchange(self._ssh, b"", began, until)
        try:
            greeting = protocol.greeting(line)
        except Nonsense as error:
            raise self._nonsense(f"it says {shown(line.decode(errors='replace'))}") from error
        except Exception:
            self.close()
            raise
        if greeting.client != self._client:
            self.close()
            raise WrongClient(client=greeting.client, other=self._client)
        self.lease_seconds = greeting.lease_seconds
        notices.detail(f"the gate {self._gate} is of dmcheck {greeting.dmcheck}")
        return self._ssh

    def _exchange(self, ssh: Ssh, line: bytes, began: float, until: float) -> bytes:
        """Raises Lost and OutOfTime; whatever it raises, the connection is closed: an answer may still come."""
        try:
            answer = ssh.exchange(line, until, lambda: self._note_wait(began))
        except BaseException:
            self.close()
            raise
        for said in ssh.told():
            if said not in self._told and len(self._told) < MAX_TOLD:
                self._told.add(said)
                notices.warn(f"ssh: {said}")
        return answer

    def _note_wait(self, began: float) -> None:
        """Tell a person, once, that this waits for the gate."""
        if self._waits or time.monotonic() - began < MAX_SILENT_SECONDS:
            return
        if notices.live() and threading.current_thread() is threading.main_thread():
            self._waits = True
            notices.warn(f"Waiting for the gate {self._gate}, for {self._seconds} s at most ...")

    def _nonsense(self, why: object) -> NotConfigured:
        self.close()
        return NotConfigured(what=f"What answers at {self._gate} is no gate of this release of dmcheck: {why}")

    def _gave_up(self, sent: bool, why: str) -> Temporary:
        effect = "it may have taken effect or not" if sent else "nothing was changed"
        return Temporary(
            what=f"no success with the gate {self._gate} ({why}) within {self._seconds} seconds; {effect}: repeat the "
            "same command"
        )


def _parts(answered: list[Answered]) -> Iterator[list[Answered]]:
    """The document in parts that fit a line, none with two leases of one bucket, as what `work` has kept may have."""
    part: dict[str, Answered] = {}
    size = 0
    for one in answered:
        larger = len(one.answers) + 10  # the ids of bucket and lease may be as long as ten answers
        if part and (one.bucket in part or size + larger > MAX_ANSWERS):
            yield list(part.values())
            part, size = {}, 0
        part[one.bucket] = one
        size += larger
    yield list(part.values())
