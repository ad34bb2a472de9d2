"""Parses what people and programs give us: ids, names, documents, lists of users.

Everything here raises Malformed with a message that says what is wrong and where, and has no other effect.
"""

from __future__ import annotations

import json
import re
import reprlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dmcheck_cli.domain import kept
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import ANSWERS, Answered
from dmcheck_cli.errors import NOTHING_CAME_IN, Malformed, Temporary, Usage

MAX_ID = 2**63 - 1
"""The largest number that the database can store (and that Twitter assigns)."""

MAX_BYTES = 10 * 1024 * 1024
"""The largest document that `submit` reads; ten buckets of 180 users take about 0.2 MB, of 10,000 users 10 MB."""

MAX_VALUES = 700_000
"""The most values in it, those of the users' other fields included: a list of empty objects would take 24 times the
memory that its text takes (tests/proofs/test_hostile_memory.py)."""

MAX_KEPT_BYTES = 32 * 1024 * 1024
"""The largest file of answers that `work` has kept: some 170,000 of them."""

MAX_SENSELESS = 1000
"""Lines of it that make no sense after which the rest is not read."""

MAX_SHOWN = 60
"""Characters of a value that a message repeats."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MAX_SHOWN
"""Looks at the beginning of a value only: what was given may be all of a large document."""

_NAME = re.compile(r"@?([A-Za-z0-9_]{1,20})", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def identifier(text: str) -> int:
    """An account's id: digits only, from 1 to MAX_ID."""
    if _DIGITS.fullmatch(text) and 1 <= int(text) <= MAX_ID:
        return int(text)
    raise Malformed(what=f"An id is a whole number from 1 to {MAX_ID}, not {shown(text)}")


def whole_number(what: str, least: int, most: int) -> Callable[[object], int]:
    """A parser for whole numbers from `least` to `most`, written in digits only. (Defaults pass through it, too.)"""

    def read(given: object) -> int:
        text = str(given)
        if _DIGITS.fullmatch(text) and least <= int(text) <= most:
            return int(text)
        raise Usage(what=f"{what} is a whole number from {least} to {most}, not {shown(text)}")

    return read


def screen_name(text: object) -> str:
    """An account's name, with or without a leading @: 1 to 20 of A-Za-z0-9_. Returned without the @."""
    found = _NAME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise Malformed(what=f"A screen name is 1 to 20 of A-Z, a-z, 0-9 and _, not {shown(text)}")
    return found[1]


def request_id(text: str) -> str:
    """A caller's name for a fetch: 1 to 200 printable characters."""
    return _token(text, "A request id")


def bucket_id(text: str) -> str:
    """A bucket's uuid, as `fetch` returned it."""
    return _token(text, "A bucket")


def lease_id(text: str) -> str:
    """A lease's id, as `fetch` returned it."""
    return _token(text, "A lease")


def reason(text: str) -> str:
    """Why an operator does something: 1 to 200 printable characters."""
    return _token(text, "A reason")


def read_document(file: IO[bytes]) -> list[Answered]:
    """The document from `fetch --json`, with `candm` added to the users who were checked; or what `work` has kept.

    Raises Usage when the file cannot be read, Temporary when there is nothing in it, Malformed.
    """
    with readable(file):
        raw = file.read(MAX_KEPT_BYTES + 1)
    is_kept = kept.looks_kept(raw)
    if len(raw) > (most := MAX_KEPT_BYTES if is_kept else MAX_BYTES):
        raise Malformed(what=f"The document is larger than {most} bytes: submit fewer buckets at a time")
    if not raw or raw.isspace():
        raise Temporary(what=NOTHING_CAME_IN)
    if is_kept:
        return _kept(raw)
    if sum(map(raw.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise Malformed(what=f"The document has more than {MAX_VALUES} values: submit fewer buckets at a time")
    try:
        document = parsed(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Malformed(what=f"The document is not JSON: {error}") from error
    return answers_in(document)


def parsed(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError, and Malformed for an object that has a key twice."""
    return DECODER.decode(text)


def answers_in(document: object) -> list[Answered]:
    """The answers of such a document, as JSON has it. Raises Malformed."""
    buckets = _member(document, "buckets", list, "The document")
    answered = [_answered(bucket, f"buckets[{i}]") for i, bucket in enumerate(buckets)]
    _once((one.bucket for one in answered), "Bucket")
    return answered


def open_file(path: str | None) -> IO[bytes]:
    """The file to read, or standard input for None and `-`. Raises Usage when it cannot be opened."""
    if path is None or path == "-":
        return sys.stdin.buffer
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise Usage(what=f"{path!a} cannot be read: {error.strerror}") from error


@contextmanager
def readable(file: IO[bytes]) -> Iterator[None]:
    """A file that opens may still be unreadable: a broken disk, the memory of a process."""
    try:
        yield
    except OSError as error:
        name = "Standard input" if file is sys.stdin.buffer else ascii(file.name)
        raise Usage(what=f"{name} cannot be read: {error.strerror}") from error


def _answered(bucket: Any, where: str) -> Answered:
    uuid = _token(_member(bucket, "bucket", str, where), f"{where}.bucket")
    lease = _token(_member(bucket, "lease", str, where), f"{where}.lease")
    answers: dict[str, str | None] = {}
    rounded = 0
    for i, user in enumerate(_member(bucket, "users", list, where)):
        name = screen_name(_member(user, "screen_name", str, f"{where}.users[{i}]"))
        answer = user.get("candm")
        if answer is not None and answer not in ANSWERS:
            raise Malformed(
                what=f"{where}.users[{i}].candm is one of {', '.join(ANSWERS)} or null, not {shown(answer)}"
            )
        if name in answers:
            raise Malformed(what=f"User {name} is in bucket {uuid} twice")
        answers[name] = answer
        rounded += _was_rounded(user.get("id"), user.get("id_str"))
    return Answered(uuid, lease, {name: answer for name, answer in answers.items() if answer is not None}, rounded)


def _kept(raw: bytes) -> list[Answered]:
    """What `work` has kept. A line that is not whole is left out only at the end, where a crash leaves one."""
    found, unreadable = kept.read(raw, most=MAX_SENSELESS)
    _, last = kept.read(raw[raw.rstrip().rfind(b"\n") + 1 :])
    if unreadable > last:
        raise Malformed(what=f"{unreadable - last} lines of the kept answers make no sense")
    for one in found.values():
        _token(one.bucket, "A kept bucket")
        _token(one.lease, "A kept lease")
        for name in one.answers:
            screen_name(name)
    return [one.answered() for one in found.values() if one.answers]


def _was_rounded(id: Any, text: Any) -> bool:
    """Whether a program made another number of an id that stands beside it as a text."""
    return isinstance(id, int | float) and isinstance(text, str) and str(id) != text


def _member(holder: Any, name: str, kind: type, where: str) -> Any:
    if not isinstance(holder, dict):
        raise Malformed(what=f"{where} must be an object, not {shown(holder)}")
    if name not in holder:
        raise Malformed(what=f"{where} has no {name!r}")
    value = holder[name]
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "a text"
        raise Malformed(what=f"{where}.{name} must be {wanted}, not {shown(value)}")
    return value


def _token(text: str, what: str) -> str:
    if 1 <= len(text) <= DEFAULTS.max_request_id and text.isprintable():
        return text
    raise Malformed(what=f"{what} is 1 to {DEFAULTS.max_request_id} printable characters, not {shown(text)}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise Malformed(what=f"An object has two values for {shown(name)}")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object)
"""What says two things under one name says neither."""


def _once(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Malformed(what=f"{what} {name} is in the document twice")
        seen.add(name)


def shown(value: object) -> str:
    """A value that was given, short and in ASCII, for a message."""
    text = ascii(value[:MAX_SHOWN]) if isinstance(value, str) else _SHORT.repr(value)
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def some(names: list[str]) -> str:
    """A few of the names, and how many more there are."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
