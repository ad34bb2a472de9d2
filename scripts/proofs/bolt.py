"""As much of Bolt 5 as the cluster in `cluster.py` needs: messages, the values in them, and the handshake."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

HELLO, GOODBYE, RESET, RUN, DISCARD, PULL, ROUTE = 0x01, 0x02, 0x0F, 0x10, 0x2F, 0x3F, 0x66
SUCCESS, RECORD, IGNORED, FAILURE = 0x70, 0x71, 0x7E, 0x7F

_MANIFEST = b"\x00\x00\x01\xff"
"""The server's answer when both sides then choose a version from its list."""
_MAX_CHUNK = 0xFFFF
_NUMBERS = {0xC1: ">d", 0xC8: ">b", 0xC9: ">h", 0xCA: ">i", 0xCB: ">q"}
_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD8: 1, 0xD9: 2, 0xDA: 4}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_TINY = {0x80: 0xD0, 0x90: 0xD4, 0xA0: 0xD8, 0xB0: 0xB0}
"""The marker of a small text, list, map or structure -> of a larger one."""


async def read(stream: asyncio.StreamReader) -> bytes:
    """The next message, without its chunks.

    Raises asyncio.IncompleteReadError at the end of the stream.
    """
    message = b""
    while True:
        size = int.from_bytes(await stream.readexactly(2), "big")
        if size:
            message += await stream.readexactly(size)
        elif message:
            return message


def framed(message: bytes) -> bytes:
    """The message in chunks, as it is sent."""
    parts = [message[at : at + _MAX_CHUNK] for at in range(0, len(message), _MAX_CHUNK)]
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts) + b"\0\0"


async def shake_hands(
    client: asyncio.StreamReader,
    to_client: asyncio.StreamWriter,
    server: asyncio.StreamReader,
    to_server: asyncio.StreamWriter,
) -> None:
    """Let client and server agree on a version."""
    to_server.write(await client.readexactly(20))
    chosen = await server.readexactly(4)
    to_client.write(chosen)
    if chosen == _MANIFEST:
        count = await _varint(server)
        to_client.write(count + await server.readexactly(4 * count[0]) + await _varint(server))
        to_server.write(await client.readexactly(4) + await _varint(client))


async def _varint(stream: asyncio.StreamReader) -> bytes:
    read = b""
    while not read or read[-1] & 0x80:
        read += await stream.readexactly(1)
    return read


def message(kind: int, *fields: Any) -> bytes:
    """A message of that kind."""
    return bytes([0xB0 + len(fields), kind]) + b"".join(pack(field) for field in fields)


def fields(message: bytes) -> list[tuple[Any, int]]:
    """The fields of a message, each with the place where it begins."""
    found, at = [], 2
    for _ in range(message[0] & 0x0F):
        begins = at
        value, at = unpack(message, at)
        found.append((value, begins))
    return found


def pack(value: Any) -> bytes:
    """A value in PackStream: None, a truth value, a number, a text, a list or a map."""
    if value is None or isinstance(value, bool):
        return bytes([{None: 0xC0, False: 0xC2, True: 0xC3}[value]])
    if isinstance(value, int):
        return b"\xcb" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xc1" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return _head(0xD2, len(data)) + data
    if isinstance(value, dict):
        return _head(0xDA, len(value)) + b"".join(pack(key) + pack(one) for key, one in value.items())
    return _head(0xD6, len(value)) + b"".join(pack(one) for one in value)


def _head(marker: int, size: int) -> bytes:
    return bytes([marker]) + struct.pack(">I", size)


def unpack(data: bytes, at: int) -> tuple[Any, int]:
    """The value that begins there, and the place behind it. A structure is the list of its fields."""
    marker, at = data[at], at + 1
    if marker < 0x80 or marker >= 0xF0:
        return struct.unpack("b", bytes([marker]))[0], at
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], at
    if marker in _NUMBERS:
        size = struct.calcsize(_NUMBERS[marker])
        return struct.unpack_from(_NUMBERS[marker], data, at)[0], at + size
    if marker < 0xC0:
        kind, size = _TINY[marker & 0xF0], marker & 0x0F
    else:
        width = _SIZES[marker]
        kind, size, at = marker & 0xFC, int.from_bytes(data[at : at + width], "big"), at + width
    if kind in (0xCC, 0xD0):
        raw = data[at : at + size]
        return (raw.decode() if kind == 0xD0 else raw), at + size
    if kind == 0xB0:
        at += 1  # its signature
    items = []
    for _ in range(2 * size if kind == 0xD8 else size):
        item, at = unpack(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if kind == 0xD8 else items), at
