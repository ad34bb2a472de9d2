"""All that reads what others wrote, fed with what is nearly right: it is taken, or refused in a line, and nothing else.

Each subject is a parser, and texts that it takes; Hypothesis changes their values and their bytes.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dmcheck_cli.database import address
from dmcheck_cli.domain import documents, kept, moments
from dmcheck_cli.domain.model import ANSWERS
from dmcheck_cli.domain.userlist import UserList
from dmcheck_cli.errors import MAX_MESSAGE, DmcheckError, Malformed, NotConfigured, Temporary, Usage, WrongClient
from dmcheck_cli.gate import keys, protocol
from dmcheck_cli.settings import Settings, load_with_sources
from proofs.outcome import Outcome

NAME = re.compile("[A-Za-z0-9_]{1,20}", re.ASCII)
TELLING = ("answers", "greetings")
"""Subjects that raise whatever error the other side tells."""
REFUSALS = (Malformed, Usage, Temporary, NotConfigured, WrongClient)


@dataclass(frozen=True)
class Subject:
    """`reads` takes bytes, and checks what it made of them. `good`: what it takes."""

    reads: Callable[[bytes], object]
    good: tuple[bytes, ...]


def _document(raw: bytes) -> None:
    for one in documents.read_document(io.BytesIO(raw)):
        assert one.bucket.isprintable()
        assert one.lease.isprintable()
        assert all(NAME.fullmatch(name) and answer in ANSWERS for name, answer in one.answers.items())


def _list(raw: bytes) -> None:
    for user in UserList(io.BytesIO(raw)):
        assert NAME.fullmatch(user.screen_name)
        assert user.id is None or 1 <= user.id <= documents.MAX_ID


def _request(raw: bytes) -> None:
    found = protocol.request(protocol.loaded(raw), 42)
    assert found.verb in protocol.FIELDS
    again = protocol.request(protocol.loaded(found.line()), 42)
    assert again == found


def _answer(raw: bytes) -> None:
    try:
        result = protocol.result(raw, 1)
        for read in (protocol.leases, protocol.reports, protocol.stats, protocol.expires, protocol.returned):
            try:
                read(result)
            except protocol.Nonsense:
                continue
    except protocol.Nonsense as nonsense:
        raise Malformed(what=nonsense) from nonsense


def _greeting(raw: bytes) -> None:
    try:
        protocol.greeting(raw)
    except protocol.Nonsense as nonsense:
        raise Malformed(what=nonsense) from nonsense


def _settings(raw: bytes) -> None:
    with TemporaryDirectory() as folder, mock.patch.dict("os.environ", {"XDG_CONFIG_HOME": folder}, clear=True):
        own = Path(folder) / "dmcheck" / "env"
        own.parent.mkdir()
        own.write_bytes(raw)
        found, _ = load_with_sources()
    assert isinstance(found, Settings)
    assert found.timeout_seconds >= 1
    assert found.bucket_size <= 10_000


def _key(raw: bytes) -> None:
    """A key that is taken becomes one line, which forces `gate run` and says whose it is."""
    file = keys.Keys(b"")
    file.add(42, "someone", keys.read_key(raw))
    assert file.content.count(b"\n") == 1
    assert file.content.startswith(b"restrict,command=")
    assert [line.client for line in file.lines] == [42]


def _keys(raw: bytes) -> None:
    """What is there stays, before and behind, whatever it is."""
    file = keys.Keys(raw)
    ours = {line.client for line in file.lines}
    file.add(42, "someone", keys.read_key(_OTHER))
    assert file.content.startswith(raw)
    assert {line.client for line in file.lines} == ours | {42}
    file.remove(42)
    assert file.content in (raw, raw + b"\n") or 42 in ours


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: read(raw.decode("utf-8", "surrogateescape"))


_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@host"

_OTHER = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/ you@host"

_USERS: list[dict[str, Any]] = [
    {"screen_name": "alpha", "id": 1234567890123456789, "id_str": "1234567890123456789", "candm": "DM"},
    {"screen_name": "@beta", "id": None, "candm": None, "x": [1.5, {"y": "\U0001f600\ud800"}]},
]
_BUCKETS = [{"bucket": "b1", "lease": "l1", "expires": "2026-01-01T00:00:00+00:00", "users": _USERS}]


def _lines(*values: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() + b"\n" for value in values)


SUBJECTS = {
    "documents": Subject(
        _document,
        (
            *_lines({"client": 1, "buckets": _BUCKETS}),
            kept.answer_lines("b", "l", "d", {"alpha": "DM", "beta": "UNKNOWN"}) + kept.ended_lines(["l"]),
        ),
    ),
    "lists of users": Subject(
        _list,
        (
            b"alpha\n@beta\n# gamma\n",
            b"".join(_lines(*_USERS)),
            json.dumps(_USERS, indent=1).encode("utf-16"),
            b'username,id,x\nalpha,1,"a\nb"\nbeta,,\n',
            b"id\tscreen_name\n1\talpha\n",
        ),
    ),
    "requests": Subject(
        _request,
        _lines(
            {"id": 1, "verb": "fetch", "count": 2, "request_id": "k", "client": 42},
            {"id": 2, "verb": "resume"},
            {"id": 3, "verb": "release", "bucket": "b", "lease": "l", "failed": True},
            {"id": 4, "verb": "submit", "buckets": _BUCKETS},
        ),
    ),
    "answers": Subject(
        _answer,
        _lines(
            {"id": 1, "result": {"client": 42, "buckets": _BUCKETS}},
            {"id": 1, "result": {"buckets": [{"bucket": "b", "status": "done", "accepted": 1, "refused": []}]}},
            {"id": 1, "result": {"expires": "2026-01-01", "returned": 3}},
            {"id": 1, "error": {"code": "suspended", "message": "m", "retry_after": 1.5}, "status": 1},
        ),
    ),
    "greetings": Subject(_greeting, _lines({"gate": 1, "dmcheck": "0.3.0", "client": 42, "lease_seconds": 7200})),
    "settings": Subject(
        _settings,
        (
            b"NEO4J_URI=bolt://host:7687\nexport NEO4J_PASSWORD='a b'\n# x\nDMCHECK_TIMEOUT_SECONDS=5\n",
            b'DMCHECK_GATE=dmcheck@host\nDMCHECK_CLIENT_ID="42"\nDMCHECK_BUCKET_SIZE=180\nX=${HOME}\n',
        ),
    ),
    "moments": Subject(
        _text(moments.moment),
        (b"2 hours ago", b"yesterday at 14:30", b"26 Nov 2026 14:30 UTC", b"2026-11-26T14:30:00Z"),
    ),
    "addresses": Subject(_text(address.read), (b"neo4j+s://host:7687", b"bolt://[::1]:7687?policy=x")),
    "keys": Subject(_key, (_KEY,)),
    "files of keys": Subject(
        _keys,
        (
            b'restrict,command="/bin/dmcheck gate run --client 7" ' + _KEY.replace(b"me@host", b"dmcheck:7:someone x"),
            b'# x\nfrom="*.org" ' + _KEY + b"\nssh-rsa AAAA you\n",
        ),
    ),
    "ids": Subject(_text(documents.identifier), (b"9223372036854775807",)),
}

_TEXTS = st.text(max_size=12) | st.text(st.characters(codec=None), max_size=8)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.integers(-(2**70), 2**70)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3))
_EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 6), st.binary(max_size=6)), max_size=3)
_SPLICES = st.sampled_from(
    (b'"', b"\\", b"\0", b"\xff", b"[", b"{", b"}", b",", b"\n", b"\r", b"NaN", b"\xed\xa0\x80", b"9" * 30)
)


@st.composite
def near(draw: st.DrawFn, good: tuple[bytes, ...]) -> bytes:
    """One of them, with a value replaced where it is JSON, and a few of its bytes."""
    raw = draw(st.sampled_from(good))
    if raw.startswith(b"{") and draw(st.booleans()):
        lines = raw.splitlines()
        lines[0] = json.dumps(_changed(draw, json.loads(lines[0]))).encode()
        raw = b"\n".join(lines)
    for place, gone, new in draw(_EDITS):
        at = place % (len(raw) + 1)
        raw = raw[:at] + (new or draw(_SPLICES)) + raw[at + gone :]
    return raw


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """The value, with one somewhere in it replaced, or beside a new one."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 7)):
            return {**value, draw(_TEXTS): draw(_VALUES)}
        return {**value, key: _changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(draw, value[at]), *value[at + 1 :]]
    return draw(_VALUES)


def explore(name: str, examples: int, derandomize: bool = False) -> Outcome:
    """So many texts for one subject."""
    subject, expected = SUBJECTS[name], (DmcheckError,) if name in TELLING else REFUSALS
    outcome = Outcome(f"{name}, nearly right", "Hypothesis", "python scripts/prove.py fuzz")

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(near(subject.good))
    def once(raw: bytes) -> None:
        outcome.faults += raw not in subject.good
        try:
            subject.reads(raw)
            outcome.ok += 1
        except expected as refusal:
            outcome.refused += 1
            if len(refusal.message) > MAX_MESSAGE:
                raise

    try:
        once()
    except Exception as found:  # whatever it is, it is a finding
        outcome.violations.append(f"{name}: {found!r} {' '.join(getattr(found, '__notes__', []))}")
    return outcome


def run(_settings: Settings, *, minutes: int = 10) -> list[Outcome]:
    """All subjects in turn, until the time is up."""
    outcomes: dict[str, Outcome] = {}
    deadline = time.monotonic() + 60 * minutes
    while time.monotonic() < deadline:
        for name in SUBJECTS:
            more = explore(name, 2000)
            whole = outcomes.setdefault(name, more)
            if whole is not more:
                whole.ok, whole.refused = whole.ok + more.ok, whole.refused + more.refused
                whole.faults += more.faults
                whole.violations += more.violations
    return list(outcomes.values())
