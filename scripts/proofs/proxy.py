"""A proxy between the driver and Neo4j, on loopback, that does to a Bolt conversation what networks do.

It knows only where a Bolt statement begins and where its answer is complete, so that it can break the conversation
exactly before a statement, while its outcome is open, or after its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from support.graphs import MAX_WAIT_SECONDS

PASS = "pass"
DELAY = "delay"
SLICE = "slice"
RESET_BEFORE = "reset before the statement"
RESET_AT = "reset right after the statement"
RESET_AFTER = "reset after the commit, before the answer"
HALF_OPEN = "half-open"
BLACK_HOLE = "black hole before the statement"
BLACK_HOLE_AFTER = "black hole after the commit"
AT_CONNECT = (HALF_OPEN,)
FAULTS = (DELAY, SLICE, RESET_BEFORE, RESET_AT, RESET_AFTER, HALF_OPEN, BLACK_HOLE, BLACK_HOLE_AFTER)

_RUN = b"\xb3\x10"
"""The start of the message that carries a statement: a structure of three fields, signature RUN."""
_MAX_ANSWER_SECONDS = 5.0
"""Seconds that a reset after the commit waits for an answer that does not come (for example of a blocked statement)."""
_RST = struct.pack("ii", 1, 0)

Choice = Callable[[str], str]
"""What to do: called with "connect" for each connection and with "statement" for each statement."""


class Proxy:
    """Listens on its own port, in its own thread, while it is used as a context manager.

    `fired` counts the faults that really happened, `statements` the statements that passed or should have. `noticed` is
    called with the number of each statement, before anything is done with it.
    """

    listeners = 1
    """On how many ports it listens."""
    faults: Sequence[str] = FAULTS

    def __init__(self, port: int, choice: Choice, noticed: Callable[[int], None] = lambda number: None) -> None:
        self.fired: Counter[str] = Counter()
        self.statements = 0
        self.ports: list[int] = []
        self.target, self._choice, self._noticed = port, choice, noticed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"bolt://127.0.0.1:{self.ports[0]}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(MAX_WAIT_SECONDS), "the proxy does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(MAX_WAIT_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        servers = []
        for number in range(self.listeners):
            start = asyncio.start_server(partial(self._connected, number), "127.0.0.1", 0)
            servers.append(self._loop.run_until_complete(start))
            self.ports.append(servers[-1].sockets[0].getsockname()[1])
        self._ready.set()
        self._loop.run_forever()
        for server in servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        # The loop closes connections one iteration after the request: without that iteration, asyncio would warn about
        # them in some later test, whenever they are collected.
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _connected(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.converse(number, reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def converse(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the port of that number, until its end."""
        await _Conversation(self, reader, writer).run()

    def chosen(self, occasion: str) -> str:
        """What to do now; the caller counts a fault when it fires."""
        return self._choice(occasion)

    def statement(self) -> None:
        """A statement has come."""
        self.statements += 1
        self._noticed(self.statements)


class _Conversation:
    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.mode = PASS
        self.answered = asyncio.Event()

    async def run(self) -> None:
        if self.proxy.chosen("connect") in AT_CONNECT:
            self.proxy.fired[HALF_OPEN] += 1
            while await self.reader.read(65536):
                pass
            self.writer.close()
            return
        self.from_server, self.to_server = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        back = asyncio.ensure_future(self.backward())
        try:
            await self.forward()
        finally:
            back.cancel()
            self.to_server.transport.abort()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await back

    async def forward(self) -> None:
        while data := await self.reader.read(65536):
            if data[2:4] == _RUN:
                await asyncio.get_running_loop().run_in_executor(None, self.proxy.statement)
                if await self.broken(data):
                    return
            else:
                await self.send(self.to_server, data)

    async def broken(self, data: bytes) -> bool:
        """Handle a statement; True when the conversation is over."""
        self.mode = self.proxy.chosen("statement")
        self.answered.clear()
        if self.mode != PASS:
            self.proxy.fired[self.mode] += 1
        if self.mode == RESET_BEFORE:
            self.reset()
            return True
        if self.mode != BLACK_HOLE:
            await self.send(self.to_server, data)
        if self.mode == RESET_AT:
            self.reset()
            return True
        if self.mode == RESET_AFTER:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.answered.wait(), _MAX_ANSWER_SECONDS)
            self.reset()
            return True
        if self.mode in (BLACK_HOLE, BLACK_HOLE_AFTER):
            while await self.reader.read(65536):
                pass
            return True
        return False

    async def backward(self) -> None:
        tail = b""
        while data := await self.from_server.read(65536):
            tail = tail[-16:] + data
            # The last message of an answer: a SUCCESS with the bookmark of the commit, or a FAILURE.
            if b"bookmark" in tail or b"\xb1\x7f" in tail:
                self.answered.set()
                tail = b""
            if self.mode in (PASS, DELAY, SLICE):
                await self.send(self.writer, data)
        self.writer.close()

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.mode == DELAY:
            await asyncio.sleep(random.uniform(0, 0.05))
        size = 7 if self.mode == SLICE else len(data)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if self.mode == SLICE:
                await asyncio.sleep(0)

    def reset(self) -> None:
        """Break both sides at once, without closing the protocol."""
        reset(self.writer)
        reset(self.to_server)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection at once, without closing the protocol."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()


def sometimes(seed: int, rare: float = 0.002) -> Choice:
    """Faults at random: a third of the statements meet a reset; `rare` is for the faults that cost a time-out each."""
    chance = random.Random(seed)
    lock = threading.Lock()
    weights = {PASS: 0.6, DELAY: 0.03, SLICE: 0.03, RESET_BEFORE: 0.1, RESET_AT: 0.12, RESET_AFTER: 0.12}
    weights |= {BLACK_HOLE: rare, BLACK_HOLE_AFTER: rare}

    def choice(occasion: str) -> str:
        with lock:
            if occasion == "connect":
                return HALF_OPEN if chance.random() < rare else PASS
            return chance.choices(list(weights), list(weights.values()))[0]

    return choice


def always(fault: str, times: int = 1_000_000) -> Choice:
    """The same fault each time it can happen, at most `times`."""
    left = times

    def choice(occasion: str) -> str:
        nonlocal left
        if (occasion == "connect") != (fault in AT_CONNECT) or left == 0:
            return PASS
        left -= 1
        return fault

    return choice
