"""Reads a list of users in any form that people have it in: names, JSON, CSV, TSV, plain or compressed.

The form is told by the content. Everything here raises Malformed with the line and the reason, or Usage when the file
cannot be read, and has no other effect.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from dmcheck_cli.domain import documents
from dmcheck_cli.domain.documents import MAX_ID, shown
from dmcheck_cli.domain.model import User
from dmcheck_cli.errors import Malformed

MAX_LINE = 64 * 1024
"""The most bytes in a line of names or of JSON (contract, section 7). Objects of the platform's API take some 5 kB."""

MAX_VALUE = 4 * 1024 * 1024
"""The most characters of one JSON value that stands over many lines. Pages of an API have some 500 kB; this much is
read in order to say where the users in it are."""

MAX_PACKED = 3
"""How often a list may be packed: there are files that contain themselves."""

PIECE = 256 * 1024
"""Characters that are read at a time where the lines say nothing."""

EXACT = 2**53
"""From here on, programs that keep numbers as floats (JavaScript, jq 1.6, spreadsheets) round them."""

NAME_KEYS = ("screen_name", "username")
ID_KEYS = ("id_str", "id", "user_id")
"""Spellings of the two fields, the one that counts first."""

HEADINGS = frozenset(
    [
        "screen_name",
        "screenname",
        "screen_names",
        "username",
        "usernames",
        "user_name",
        "user",
        "users",
        "handle",
        "handles",
        "account",
        "accounts",
        "account_name",
        "name",
        "names",
        "twitter",
        "twitter_name",
        "twitter_handle",
        "twitter_account",
        "twitter_username",
        "id",
        "id_str",
        "ids",
        "user_id",
    ]
)
"""First lines that are the heading of a column."""

NO_VALUE = frozenset(("null", "none", "nan", "na", "undefined"))
"""What programs write where there is no name."""

_LIKE_ID = 16
"""Digits. No account has a name of so many digits, and most ids have more."""

_ADDRESS = re.compile(r"(?:https?://)?(?:[\w-]+\.)*(?:twitter|x)\.com/(?:#!/)?@?(\w{1,20})(?![\w-])", re.ASCII | re.I)
_FRACTION = re.compile(r"\+?(?=[0-9]*[.,eE])[0-9]*[.,]?[0-9]+[.,]?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BLANK = re.compile(r"[ \t\r\n]*")


class UserList:
    """The users of a list, in its order, repeated ones too. Iterate over it once."""

    def __init__(self, file: IO[bytes]) -> None:
        """`file` is read from where it stands, and stays open."""
        self._file = file
        self._text: io.TextIOBase = io.StringIO()
        self._encoding = "UTF-8"
        self._line = 0
        self._heading = ""
        self._headings: list[int] = []
        self._rounded = 0
        self._digits = 0
        self._prefix = ""

    def notes(self) -> list[str]:
        """What the reader made of the list that the person should know; complete after the last user."""
        notes = []
        if self._headings:
            more = f" and {len(self._headings) - 1} more" if len(self._headings) > 1 else ""
            notes.append(
                f"line {self._headings[0]}{more}: {shown(self._heading)} was taken as a heading, not as a user"
            )
        if self._rounded:
            notes.append(
                f"{self._rounded} times, a program had rounded the number in id: id_str beside it counts "
                "(read ids as text)"
            )
        return notes

    def __iter__(self) -> Iterator[User]:
        """The users. Raises Malformed and Usage."""
        try:
            with self._readable():
                self._text = self._decoded(self._file)
                yield from self._users()
        except Malformed as error:
            raise Malformed(what=f"Line {max(self._line, 1)}: {error.message}") from error

    def _users(self) -> Iterator[User]:
        for line in self._lines():
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if text.startswith("[") or text == "{":
                yield from self._json(line)
            elif text.startswith('"') or (not text.startswith("{") and re.search(r"[,;\t]", text)):
                yield from self._table(line)
            else:
                yield from self._names(text)

    # Lines: names, and JSON.

    def _names(self, text: str) -> Iterator[User]:
        """The first line, and all that follow: an object or a name each."""
        if text.lower() in HEADINGS:
            self._heading = text
        others = False
        while True:
            if not text or text.startswith("#"):
                pass
            elif text.startswith("{"):
                others = True
                yield self._user(self._object(text))
            elif text == self._heading:
                self._headings.append(self._line)
            else:
                name = self._name(text if "/" in text else text.partition("#")[0].rstrip())
                if text.isdigit():
                    self._digits = self._digits or self._line
                else:
                    others = True
                yield User(name, None)
            line = next(self._lines(), None)
            if line is None:
                break
            text = line.strip()
        if self._digits and not others:
            self._line = self._digits
            raise Malformed(
                what="every line of this list is digits only: these are ids, not names. A user needs its screen_name "
                "(for names of digits, write an @ before each)"
            )

    def _object(self, text: str) -> dict[str, Any]:
        if len(text) > MAX_LINE // 4 and len(text.encode()) > MAX_LINE:
            self._too_long(text)
        try:
            row: dict[str, Any] = documents.parsed(text)
        except (ValueError, RecursionError) as error:
            raise Malformed(what=f"this is not JSON: {error}") from error
        return row

    def _too_long(self, line: str) -> None:
        """Raise Malformed for a line that is too long: a page of an API is told from a long line."""
        if line.lstrip().startswith("{"):
            line += self._text.readline(MAX_VALUE)
            try:
                row = documents.parsed(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict) and not any(key in row for key in NAME_KEYS):
                self._user(row)
        raise Malformed(what=f"it is longer than {MAX_LINE} bytes; of JSON, screen_name and id_str are enough")

    # Tables: CSV, TSV.

    def _table(self, first: str) -> Iterator[User]:
        line = self._line
        separator = max("\t,;", key=first.count)
        head = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=separator))]
        wanted = {key: head.index(key) for key in (*NAME_KEYS, *ID_KEYS) if key in head}
        if twice := [key for key in wanted if head.count(key) > 1]:
            raise Malformed(what=f"the heading names {twice[0]} twice: keep one of these columns")
        if not any(key in wanted for key in NAME_KEYS):
            raise Malformed(
                what=f"this looks like a table, and its first line names no column screen_name or username; it has "
                f"{shown(', '.join(head))}: rename the column of the names, or keep that one alone"
            )
        rows = csv.reader(self._lines(), delimiter=separator, strict=True)
        try:
            for cells in rows:
                if not any(map(str.strip, cells)):
                    continue
                if len(cells) < len(head) or any(cell.strip() for cell in cells[len(head) :]):
                    raise Malformed(what=f"this row has {len(cells)} cells, and the heading has {len(head)}")
                if [cell.strip().lower() for cell in cells[: len(head)]] == head:
                    self._heading = self._heading or first.strip()
                    self._headings.append(self._line)
                    continue
                yield self._user({key: cells[place].strip() for key, place in wanted.items()}, plain=True)
        except csv.Error as error:
            self._line = max(self._line, line)
            raise Malformed(what=f"this is no row of a table: {error}") from error

    # JSON over many lines.

    def _json(self, first: str) -> Iterator[User]:
        for value in self._values(first):
            if isinstance(value, dict):
                yield self._user(value)
            elif isinstance(value, str):
                yield User(self._name(value), None)
            else:
                raise Malformed(what=f"a user is an object or a name, not {shown(value)}")

    def _values(self, buffer: str) -> Iterator[Any]:
        """The values of arrays, and objects outside of arrays, one after the other."""
        decode = documents.DECODER.raw_decode
        position = counted = 0
        state = "outside"  # of arrays; inside: "first", "value" (after a comma), "after" (a value)
        while True:
            position = _BLANK.match(buffer, position).end()  # type: ignore[union-attr]  # it matches the empty text
            self._line += buffer.count("\n", counted, position)
            counted = position
            at = buffer[position : position + 1]
            if not at:
                buffer, position, counted = self._more(""), 0, 0
                if buffer:
                    continue
                if state != "outside":
                    raise Malformed(what="the list ends in the middle: a ] is missing")
                return
            if state == "outside" and at == "[":
                state, self._prefix = "first", ".[]"
            elif state in {"first", "after"} and at == "]":
                state, self._prefix = "outside", ""
            elif state == "after" and at == ",":
                state = "value"
            elif state == "after" or at in "]," or (state == "outside" and at != "{"):
                raise Malformed(what=f"this is not JSON: {shown(buffer[position : position + 20])}")
            else:
                try:
                    value, position = decode(buffer, position)
                except RecursionError as error:
                    raise Malformed(what="this is not JSON that can be read: it is too deep") from error
                except ValueError as error:
                    longer = self._more(buffer[position:]) if len(buffer) - position < MAX_VALUE else ""
                    if len(longer) <= len(buffer) - position:
                        raise Malformed(what=f"this is not JSON: {getattr(error, 'msg', error)}") from error
                    buffer, position, counted = longer, 0, 0
                    continue
                yield value
                state = "outside" if state == "outside" else "after"
                continue
            position += 1

    def _more(self, rest: str) -> str:
        return rest + self._checked(self._text.read(max(PIECE, len(rest))))

    # One user.

    def _user(self, row: dict[str, Any], plain: bool = False) -> User:
        """`plain`: the values are texts, as in a table, where an empty one is none."""
        name, other = row.get("screen_name"), row.get("username")
        if name is None or (plain and not name):
            name, other = other, None
        if name is None or (plain and not name):
            raise Malformed(what=_without_name(row, self._prefix))
        known = self._name(name, plain)
        if other and isinstance(other, str) and self._name(other, plain).lower() != known.lower():
            raise Malformed(what=f"screen_name {shown(name)} and username {shown(other)} are two users")
        given = [(key, row[key]) for key in ID_KEYS if row.get(key) not in (None, "")]
        if plain:
            given = [(key, text) for key, text in given if text.lower() not in NO_VALUE]
        if len(given) > 1 and given[0][0] == "id_str":
            first = _id(known, *given[0])
            kept = [one for one in given[1:] if not _was_rounded(one[1], first, plain)]
            self._rounded += len(kept) < len(given) - 1
            given = [given[0], *kept]
        ids = {_id(known, key, value) for key, value in given}
        if len(ids) > 1:
            told = ", ".join(f"{key} {shown(value)}" for key, value in given)
            raise Malformed(what=f"the ids of {known} contradict each other: {told}")
        return User(known, ids.pop() if ids else None)

    def _name(self, text: Any, plain: bool = True) -> str:
        """A screen name. `plain`: it stands alone, so it may be something else that only looks like one."""
        if isinstance(text, str) and (found := _ADDRESS.match(text)):
            raise Malformed(what=f"{shown(text)} is an address, not a name; the name in it is {found[1]}")
        if isinstance(text, str) and "://" in text:
            raise Malformed(what=f"{shown(text)} is an address, not a name")
        name = documents.screen_name(text)
        if plain and not text.startswith("@"):
            if name.lower() in NO_VALUE:
                raise Malformed(what=f"{name} stands for no name; if an account is called so, write @{name}")
            if len(name) >= _LIKE_ID and name.isdigit():
                raise Malformed(what=f"{name} looks like an id, not a name; if an account is called so, write @{name}")
        return name

    # Bytes and texts.

    def _decoded(self, file: IO[bytes], packed: int = 0) -> io.TextIOBase:
        """The text of the file: unpacked, decoded, all ends of lines made one."""
        head = _full(file, 4)
        source = io.BufferedReader(_Joined(head, file), PIECE)
        if head.startswith(b"\x1f\x8b"):
            if packed == MAX_PACKED:
                raise Malformed(what=f"it is packed more than {MAX_PACKED} times")
            return self._decoded(io.BufferedReader(gzip.GzipFile(fileobj=source)), packed + 1)
        if head.startswith(b"PK\x03\x04"):
            raise Malformed(what="this is a ZIP file or a spreadsheet: unpack it, or save it as CSV in UTF-8")
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "UTF-16"
            return io.TextIOWrapper(source, "utf-16", errors="replace", newline=None)
        return io.TextIOWrapper(source, "utf-8-sig", errors="surrogateescape", newline=None)

    def _lines(self) -> Iterator[str]:
        """The lines that are left; those that are too long end in Malformed."""
        while True:
            line = self._text.readline(MAX_LINE + 1)
            if not line:
                return
            self._line += 1
            if not line.isascii():
                self._checked(line)
            if len(line) > MAX_LINE and not line.lstrip().startswith("["):  # an array may be one line
                self._too_long(line)
            yield line

    def _checked(self, text: str) -> str:
        """The text, if all of it could be decoded."""
        wrong = "\ufffd" in text if self._encoding == "UTF-16" else re.search("[\ud800-\udfff]", text)
        if wrong:
            raise Malformed(what=f"this is not {self._encoding}; save the list as UTF-8")
        return text

    @contextmanager
    def _readable(self) -> Iterator[None]:
        with documents.readable(self._file):
            try:
                yield
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:  # the second is an OSError, too
                raise Malformed(what=f"the compressed file is damaged: {error}") from error


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the file that they came from."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._rest, self._ended = head, file, False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        piece = self._head[: len(into)]
        if not piece and not self._ended:
            piece = _some(self._rest, len(into))
            self._ended = not piece  # a terminal goes on after its end, and the person would have to end it again
        self._head = self._head[len(into) :]
        into[: len(piece)] = piece
        return len(piece)


def _some(file: IO[bytes], size: int) -> bytes:
    """What there is, `size` bytes at most: of what a person types, a line."""
    return file.read1(size) if isinstance(file, io.BufferedReader) else file.read(size)


def _full(file: IO[bytes], size: int) -> bytes:
    """The next `size` bytes, fewer only at the end."""
    head = b""
    while len(head) < size and (more := file.read(size - len(head))):
        head += more
    return head


def _id(name: str, key: str, value: Any) -> int:
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.isdigit() and text.isascii() and len(text) < 20:
        text = int(text)
    if type(text) is int and 1 <= text <= MAX_ID:
        return text
    if (isinstance(text, float) and 0 < text < math.inf) or (isinstance(text, str) and _FRACTION.fullmatch(text)):
        raise Malformed(
            what=f"{key} of {name} is {shown(value)}: a program has rounded it; take it as text from where it came from"
        )
    raise Malformed(what=f"{key} of {name} is a whole number from 1 to {MAX_ID} or null, not {shown(value)}")


def _was_rounded(value: Any, right: int, plain: bool) -> bool:
    """Whether `value` is what a program that keeps numbers as floats makes of `right`, or that with fewer digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | (str if plain else int)):
        return False
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return False
    if number < EXACT or str(value) == str(right):
        return False
    mantissa, exponent, _ = str(value).lower().partition("e")
    digits = len(re.sub("[^0-9]", "", mantissa).strip("0"))
    return number == float(right) or bool(exponent and number == float(f"{right:.{max(digits - 1, 0)}e}"))


def _without_name(row: dict[str, Any], prefix: str) -> str:
    """What is said of an object that has no name: what it looks like, and how to take its users out."""
    found = _deeper(row)
    if found is None:
        return f"there is no screen_name or username; there are {shown(', '.join(row) or 'no fields')}"
    path, holder = found
    if "buckets" in row:
        looks = "a document of `dmcheck fetch`"
    elif path == ".properties":
        looks = "a graph's export"
    elif path in (".user", ".author"):
        looks = "tweets"
    else:
        looks = "a page of an API"
    key = next(key for key in NAME_KEYS if key in holder)
    return (
        f"this looks like {looks}: its users stand deeper down. "
        f"This takes them out (jq 1.7 or newer): jq -c '{prefix}{path} | select(.{key})'"
    )


def _deeper(row: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The path, as jq writes it, of the nearest object that has a name, and that object."""
    near: list[tuple[str, Any]] = [("", row)]
    for _ in range(6):
        further: list[tuple[str, Any]] = []
        for path, value in near:
            if isinstance(value, dict):
                if path and any(isinstance(value.get(key), str) for key in NAME_KEYS):
                    return path, value
                further += [(f"{path}{_step(key)}", inner) for key, inner in value.items()]
            elif isinstance(value, list):
                further += [(f"{path}[]", one) for one in value[:3]]
        near = further[:1000]
    return None


def _step(key: str) -> str:
    """A key as jq writes it in a path."""
    return f".{key}" if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else f".{json.dumps(key)}"
