"""Three addresses in front of one server that behave to the driver as the members of a cluster do.

One leads and takes writes; the others serve reads. The server itself says what is a write: a statement at a member that
does not lead is run in read mode there. What a cluster does among its members is not here.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from typing import Any

from proofs import bolt
from proofs.proxy import PASS, Choice, Proxy, reset

MOVED = "another member leads"
ELECTION = "no member leads for a while"
LAGGING = "another member leads, and lags"
MOVED_DURING = "another member leads, before the commit"
MOVED_AFTER = "another member leads, after the commit"
DROPPED = "an address is gone, before the statement"
DROPPED_AFTER = "an address is gone, after the commit"
SILENT = "an address is silent, after the commit"
FAULTS = (MOVED, ELECTION, LAGGING, MOVED_DURING, MOVED_AFTER, DROPPED, DROPPED_AFTER, SILENT)

WAITED, TIMED_OUT, REFUSED = "a member waited for a bookmark", "a bookmark came too late", "a write at a reader"
"""Counted beside the faults, as what follows from them."""

MEMBERS = 3
ELECTION_SECONDS, ABSENT_SECONDS, LAG_SECONDS, BOOKMARK_SECONDS = 0.3, 1.0, 0.8, 0.3
"""For how long nobody leads; for how long an address is gone; by how much a new leader lags at most; for how long a
member waits for a bookmark."""

_CODES = {
    REFUSED: "Neo.ClientError.Cluster.NotALeader",
    TIMED_OUT: "Neo.TransientError.Transaction.BookmarkTimeout",
    MOVED_DURING: "Neo.TransientError.Transaction.LeaseExpired",
    MOVED_AFTER: "Neo.TransientError.Cluster.ReplicationFailure",
}
_WRITE_IN_READ_MODE = "Neo.ClientError.Statement.AccessMode"


class Cluster(Proxy):
    """Asks `choice` about each statement that reaches the leader in write mode.

    A member that lags makes statements with a bookmark wait. To reads without one it shows a graph without rows.
    `served` counts statements by member. `absent`: the addresses that are gone, and how.
    """

    listeners = MEMBERS
    faults = FAULTS

    def __init__(self, port: int, choice: Choice, *, seed: int = 0) -> None:
        super().__init__(port, choice)
        self.leader: int | None = 1  # not the one that NEO4J_URI names
        self.served = [0] * MEMBERS
        self.caught_up = [0.0] * MEMBERS
        self.shows_old = False
        self.absent: dict[int, str] = {}
        self._chance = random.Random(seed)
        self._open: set[_Member] = set()

    @property
    def uri(self) -> str:
        """The address of a member, for a driver that routes."""
        return f"neo4j://127.0.0.1:{self.ports[0]}"

    def lag(self, *members: int) -> None:
        """These lag until `catch_up`; reads without a bookmark see no rows there."""
        self.shows_old = True
        for member in members:
            self.caught_up[member] = math.inf

    def catch_up(self) -> None:
        """Nobody lags any more."""
        self.caught_up = [0.0] * MEMBERS

    def move(self, lag: float = 0.0) -> None:
        """Another member leads, one that is there; it lags for that many seconds."""
        others = [one for one in range(MEMBERS) if one != self.leader and one not in self.absent]
        self.leader = self._chance.choice(others)
        if lag:
            self.caught_up[self.leader] = time.monotonic() + lag

    def elect(self) -> None:
        """Nobody leads; later somebody does."""
        self.leader = None
        asyncio.get_running_loop().call_later(ELECTION_SECONDS, self.move)

    def drop(self, member: int, how: str) -> None:
        """That address is gone, its connections too; it comes back after a while, and one gone before comes back."""
        self.absent = {member: how}
        if self.leader == member:
            self.move()
        asyncio.get_running_loop().call_later(ABSENT_SECONDS, self.absent.pop, member, None)
        for one in self._open:
            if one.number == member and how != SILENT:
                one.reset()

    def lacks(self, member: int) -> bool:
        """Whether that member lags now."""
        return time.monotonic() < self.caught_up[member]

    def gone(self, member: int) -> str | None:
        """How that address is gone; None if it is there."""
        return self.absent.get(member)

    def draw(self, highest: float) -> float:
        """A random number of seconds."""
        return self._chance.uniform(0, highest)

    def routes(self, answer: bytes) -> bytes:
        """The server's answer to ROUTE, with our addresses."""
        [(answered, _)] = bolt.fields(answer)
        all_of_them = [f"127.0.0.1:{port}" for port in self.ports]
        leading = [] if self.leader is None else [all_of_them[self.leader]]
        roles = {"WRITE": leading, "READ": [one for one in all_of_them if one not in leading], "ROUTE": all_of_them}
        answered["rt"]["servers"] = [{"role": role, "addresses": ours} for role, ours in roles.items()]
        return bolt.message(bolt.SUCCESS, answered)

    async def converse(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to a member, until its end."""
        gone = self.gone(number)
        if gone == SILENT:
            await _swallow(reader)
        if gone is not None:
            return
        member = _Member(self, number, reader, writer)
        self._open.add(member)
        try:
            await member.run()
        finally:
            self._open.discard(member)


class _Member:
    """A connection to a member: one message after the other."""

    def __init__(
        self, cluster: Cluster, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.cluster, self.number, self.reader, self.writer = cluster, number, reader, writer
        self.failed = False
        self.fate = PASS
        self.sees_old = False

    async def run(self) -> None:
        self.from_server, self.to_server = await asyncio.open_connection("127.0.0.1", self.cluster.target)
        try:
            await bolt.shake_hands(self.reader, self.writer, self.from_server, self.to_server)
            while True:
                message = await bolt.read(self.reader)
                for answer in await self.answers(message):
                    self.writer.write(bolt.framed(answer))
                await self.writer.drain()
        finally:
            self.to_server.transport.abort()

    def reset(self) -> None:
        """Break both sides."""
        reset(self.writer)
        reset(self.to_server)

    async def answers(self, message: bytes) -> list[bytes]:
        """What the client gets for a message."""
        kind = message[1]
        if kind == bolt.RESET:
            self.failed, self.fate = False, PASS
        if self.failed:
            return [bytes([0xB0, bolt.IGNORED])]
        if kind == bolt.RUN:
            return await self.statement(message)
        if kind in (bolt.PULL, bolt.DISCARD):
            return await self.rows(message)
        if kind == bolt.GOODBYE:
            self.to_server.write(bolt.framed(message))
            return []
        answers = await self.ask(message)
        if kind == bolt.ROUTE and answers[-1][1] == bolt.SUCCESS:
            return [self.cluster.routes(answers[-1])]
        return answers

    async def statement(self, message: bytes) -> list[bytes]:
        """A RUN: refused, or sent on."""
        cluster = self.cluster
        _, _, (about, begins) = bolt.fields(message)
        cluster.statement()
        cluster.served[self.number] += 1
        if self.number == cluster.leader and about.get("mode") != "r":
            self.fate = await self.befalls(cluster.chosen("statement"))
        if self.number != cluster.leader:
            about["mode"] = "r"
        has_bookmarks = bool(about.get("bookmarks"))
        if has_bookmarks and cluster.lacks(self.number):
            until = time.monotonic() + BOOKMARK_SECONDS
            while cluster.lacks(self.number):
                if time.monotonic() > until:
                    return self.fail(TIMED_OUT)
                await asyncio.sleep(0.02)
            cluster.fired[WAITED] += 1
        self.sees_old = cluster.shows_old and cluster.lacks(self.number) and not has_bookmarks
        answers = await self.ask(message[:begins] + bolt.pack(about))
        return self.fail(REFUSED) if _is_write_in_read_mode(answers[-1]) else answers

    async def befalls(self, fault: str) -> str:
        """Let happen what happens before the statement; returns what is to happen at its end."""
        cluster = self.cluster
        if fault != PASS:
            cluster.fired[fault] += 1
        if fault == MOVED:
            cluster.move()
        elif fault == LAGGING:
            cluster.move(cluster.draw(LAG_SECONDS))
        elif fault == ELECTION:
            cluster.elect()
        elif fault == DROPPED:
            cluster.drop(self.number, fault)
            raise ConnectionResetError
        else:
            return fault
        return PASS

    async def rows(self, message: bytes) -> list[bytes]:
        """A PULL, after which the transaction is committed, or what is to happen instead."""
        fate, self.fate = self.fate, PASS
        if fate == MOVED_DURING:
            await self.ask(bolt.message(bolt.RESET))  # it ran, and is rolled back
            self.cluster.move()
            return self.fail(fate)
        answers = await self.ask(message)
        if _is_write_in_read_mode(answers[-1]):
            return self.fail(REFUSED)
        if fate == MOVED_AFTER:
            self.cluster.move()
            return self.fail(fate)
        if fate in (DROPPED_AFTER, SILENT):
            self.cluster.drop(self.number, fate)
            await _swallow(self.reader)
            raise ConnectionResetError
        if self.sees_old and answers[-1][1] == bolt.SUCCESS and bolt.fields(answers[-1])[0][0].get("type") == "r":
            return answers[-1:]
        return answers

    def fail(self, why: str) -> list[bytes]:
        """A failure, after which the client's messages are ignored until it sends RESET."""
        self.failed = True
        if why not in FAULTS:
            self.cluster.fired[why] += 1
        about = {"code": _CODES[why], "neo4j_code": _CODES[why], "message": why, "description": why}
        return [bolt.message(bolt.FAILURE, about | {"gql_status": "50N00", "diagnostic_record": {}})]

    async def ask(self, message: bytes) -> list[bytes]:
        """The server's answers: rows, and what it says at the end."""
        self.to_server.write(bolt.framed(message))
        await self.to_server.drain()
        answers = [await bolt.read(self.from_server)]
        while answers[-1][1] == bolt.RECORD:
            answers.append(await bolt.read(self.from_server))
        return answers


def _is_write_in_read_mode(answer: bytes) -> bool:
    if answer[1] != bolt.FAILURE:
        return False
    said: dict[str, Any] = bolt.fields(answer)[0][0]
    return _WRITE_IN_READ_MODE in (said.get("neo4j_code"), said.get("code"))


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


def now_and_then(seed: int, rare: float = 0.001) -> Choice:
    """Faults at random, for every fifth statement; `rare` is for silence, which costs a time-out."""
    chance = random.Random(seed)
    lock = threading.Lock()
    weights = dict.fromkeys(FAULTS, 0.03) | {SILENT: rare}
    weights[PASS] = 1 - sum(weights.values())

    def choice(occasion: str) -> str:
        with lock:
            return chance.choices(list(weights), list(weights.values()))[0]

    return choice
