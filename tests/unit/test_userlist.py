"""Lists of users as people have them: what is taken, what is refused with its line, and what is said."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
from functools import reduce
from typing import Any

import pytest

from dmcheck_cli.commands.collected import Batch, Collected
from dmcheck_cli.domain import userlist
from dmcheck_cli.domain.model import User
from dmcheck_cli.domain.userlist import UserList
from dmcheck_cli.errors import Malformed

BIG = 1234567890123456789
ROUNDED = 1234567890123456800
SHEET = "1199999999999999999"


def read(text: str | bytes) -> list[User]:
    """The users of a list."""
    return list(UserList(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def refused(text: str | bytes) -> str:
    """Why a list is refused."""
    with pytest.raises(Malformed) as caught:
        read(text)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    return caught.value.message


AB = [User("alice", 1), User("bob", None)]
NAMES = [User("alice", None), User("bob", None)]
PRETTY = json.dumps([{"screen_name": "alice", "id": 1}, {"username": "bob"}], indent=2)

GOOD: dict[str, tuple[str | bytes, list[User]]] = {
    "nothing": ("", []),
    "blank lines and comments": ("\n# who\n  \n", []),
    "names": ("alice\n@bob\n", NAMES),
    "names with blanks and remarks": ("# ours\n  alice \n\n@bob # a friend", NAMES),
    "names and JSON": ('alice\n{"screen_name": "bob"}\n', NAMES),
    "CRLF": ("alice\r\nbob\r\n", NAMES),
    "CR": ("alice\rbob\r", NAMES),
    "a byte order mark": ("\ufeffalice\nbob", NAMES),
    "UTF-16, little": ("\ufeffalice\r\nbob\r\n".encode("utf-16-le"), NAMES),
    "UTF-16, big": (b"\xfe\xff" + "alice\nbob\n".encode("utf-16-be"), NAMES),
    "gzip": (gzip.compress(b"alice\n") + gzip.compress(b"bob\n"), NAMES),
    "gzip of UTF-16": (gzip.compress("alice\nbob\n".encode("utf-16")), NAMES),
    "JSON lines": ('{"screen_name": "alice", "id": 1, "x": [1]}\n\n{"username": "@bob"}', AB),
    "JSON lines with ids as texts": (f'{{"screen_name": "a", "id_str": "{BIG}"}}', [User("a", BIG)]),
    "JSON lines, user_id": ('{"username": "a", "user_id": "12"}', [User("a", 12)]),
    "id and id_str agree": (f'{{"screen_name": "a", "id": {BIG}, "id_str": "{BIG}"}}', [User("a", BIG)]),
    "a null id beside one": ('{"screen_name": "a", "id": null, "id_str": "3"}', [User("a", 3)]),
    "placeholders as names of JSON": ('{"screen_name": "@null"}', [User("null", None)]),
    "an empty id": ('{"screen_name": "alice", "id_str": "1", "id": ""}\n{"screen_name": "bob", "id": ""}', AB),
    "an array": ('[{"screen_name": "alice", "id": "1"}, {"screen_name": "bob", "id": null}]', AB),
    "an array over many lines": (PRETTY, AB),
    "an array after a mark, with CRLF": (("\ufeff" + PRETTY).replace("\n", "\r\n"), AB),
    "arrays one after the other": ('["alice"]\n[]\n["bob"]\n', NAMES),
    "objects over many lines": ('{\n"screen_name": "alice"\n}\n{\n"screen_name": "bob"\n}\n', NAMES),
    "a long array": (json.dumps([{"screen_name": f"u{i}", "x": "y" * 90} for i in range(9000)]), [
        User(f"u{i}", None) for i in range(9000)
    ]),
    "CSV": ('name,Screen_Name,id\n"A, the first",alice,1\n\n"say ""x""\n2",bob,\n', AB),
    "CSV with semicolons": ("id;username\n1;alice\n;bob\n", AB),
    "CSV quoted, of one column": ('"screen_name"\n"alice"\n"bob"\n', NAMES),
    "CSV with cells that say nothing": ("username,id\nalice,1\nbob,NaN\n", AB),
    "CSV with empty cells too many": ("username,id\nalice,1,\nbob,,,\n", AB),
    "TSV": ("id_str\tscreen_name\n1\talice\n\tbob\n", AB),
    "one column with a heading": ("Handle\nalice\nbob\n", NAMES),
    "heading again in the middle": ("username,id\nalice,1\nusername,id\nbob,\n", AB),
    "digits among names": ("alice\n12345\n", [User("alice", None), User("12345", None)]),
    "digits with an @": (f"@12345\n@{BIG}\n", [User("12345", None), User(str(BIG), None)]),
    "placeholders with an @": ("@null\n@NaN", [User("null", None), User("NaN", None)]),
    "a heading with an @": ("@twitter\n", [User("twitter", None)]),
    "a long object": (f'{{"screen_name": "alice", "x": "{"x" * 60_000}"}}\nbob', NAMES),
}  # fmt: skip

BAD: dict[str, tuple[str | bytes, str]] = {
    "ids": (f"{BIG}\n15989001\n", f"Line 1: {BIG} looks like an id, not a name"),
    "short ids": ("# followers\n15989001\n12\n", "Line 2: every line of this list is digits only"),
    "ids below a heading": ("id\n12\n", "Line 2: every line of this list is digits only"),
    "ids in an array": ("[12, 13]", "Line 1: a user is an object or a name, not 12"),
    "ids as texts in an array": (f'["{BIG}"]', "looks like an id"),
    "ids in a table": (f"username,x\n{BIG},1\n", "Line 2: .*looks like an id"),
    **{word: (f"alice\n{word}\n", f"Line 2: {word} stands for no name.* @{word}")
       for word in ("null", "None", "nan", "NA", "undefined")},
    "no value in a table": ("username,id\nalice,1\nNA,2\n", "Line 3: NA stands for no name"),
    "no name in a table": ("username,id\nalice,1\n,2\n", "Line 3: there is no screen_name"),
    "an address": ("alice\nhttps://twitter.com/NASA?lang=en\n", "Line 2: .*the name in it is NASA"),
    "an old address": ("mobile.twitter.com/#!/NASA", "the name in it is NASA"),
    "an address of a post": ("https://x.com/@NASA/status/1", "the name in it is NASA"),
    "an address elsewhere": ("https://example.org/NASA", "is an address, not a name"),
    "an address in JSON": ('{"screen_name": "https://x.com/NASA"}', "Line 1: .*the name in it is NASA"),
    "several columns without a heading": ("alice,1\nbob,2\n", "names no column screen_name or username"),
    "a table without names": ("id,followers\n1,2\n", "names no column screen_name.* 'id, followers'"),
    "a row that is too short": ("username,id\nalice\n", "Line 2: this row has 1 cells, and the heading has 2"),
    "a row that is too long": ("username,id\nalice,1,2\n", "Line 2: this row has 3 cells, and the heading has 2"),
    "quotes without end": ('username,x\nalice,"1\nbob,2\n', "Line 3: this is no row of a table"),
    "text after quotes": ('username,x\nalice,"1"2\n', "Line 2: this is no row of a table"),
    "a sheet's id": ("username,id\nalice,1.23457E+18\n", "Line 2: id of alice is .*a program has rounded it"),
    "a German sheet's id": ("username;id\nalice;1,23457E+18\n", "Line 2: id of alice is .*a program has rounded it"),
    "a fraction": ('{"screen_name": "a", "id": 12.0}', "a program has rounded it"),
    "a float": ('{"screen_name": "a", "id": 1.2e18}', "a program has rounded it"),
    "a fraction as text": ('{"screen_name": "a", "id": "12.0"}', "a program has rounded it"),
    "two ids": ('{"screen_name": "a", "id": 12, "id_str": "13"}', "ids of a contradict each other: id_str '13', id 12"),
    "two large ids as texts": (f'{{"screen_name": "a", "id": "{ROUNDED}", "id_str": "{BIG}"}}', "contradict"),
    "an id far from id_str": (f'{{"screen_name": "a", "id": {ROUNDED}, "id_str": "{BIG + 9999}"}}', "contradict"),
    "a negative id": ("username,id\na,-5\n", "id of a is a whole number from 1 .*, not '-5'"),
    "an id that is no number": ('{"screen_name": "a", "id": NaN}', "id of a is a whole number from 1 .*, not nan"),
    "an id and a user_id": (f'{{"username": "a", "id": {BIG}, "user_id": 13}}', "contradict"),
    "two names": ('{"screen_name": "a", "username": "b"}', "are two users"),
    "no name": ('{"id": 12, "name": "Alice"}', "there is no screen_name or username; there are 'id, name'"),
    "nothing": ("alice\n{}", "Line 2: there is no screen_name or username; there are 'no fields'"),
    "cut short": ('[{"screen_name": "a"},\n{"screen_name": "b"}', "Line 2: the list ends in the middle"),
    "cut within": ('[\n{"screen_name": "a"},\n{"screen_na', "Line 3: this is not JSON"),
    "a comma too many": ('["a",]', "this is not JSON"),
    "no comma": ('["a" "b"]', "this is not JSON"),
    "text behind": ('["a"]\nx', "Line 2: this is not JSON: 'x'"),
    "lists in a list": ('[["a"]]', "a user is an object or a name"),
    "deep": ("[" * 100_000, "Line 1: "),
    "not UTF-8": (b"alice\n\xe4\n", "Line 2: this is not UTF-8"),
    "not UTF-8, in an array": (b'["\xe4"]', "Line 1: this is not UTF-8"),
    "not UTF-16": (b"\xff\xfea\x00\n\x00\x00\xd8a\x00", "Line 2: this is not UTF-16"),
    "a sheet": (b"PK\x03\x04xxx", "ZIP file or a spreadsheet"),
    "gzip cut short": (gzip.compress(b"alice\n" * 99)[:-9], "compressed file is damaged"),
    "gzip damaged": (gzip.compress(b"alice\n" * 99)[:12] + b"x" * 30, "compressed file is damaged"),
    "gzip, four times": (reduce(lambda packed, _: gzip.compress(packed), range(4), b"a"), "more than 3 times"),
    "two names for one user": (b'{"screen_name": "a", "screen_name": "b"}', "two values for 'screen_name'"),
    "two ids in an array": (b'[{"screen_name": "a", "id": 1, "id": 2}]', "two values for 'id'"),
    "gzip with a wrong sum": (gzip.compress(b"alice\n")[:-8] + b"x" * 8, "compressed file is damaged"),
    "a field twice in the heading": ("screen_name,Screen_Name\na,b\n", "Line 1: the heading names screen_name twice"),
    "a long name": ("alice\n" + "x" * 70_000, "Line 2: it is longer than 65536 bytes"),
    "a long object": (f'{{"screen_name": "a", "x": "{"x" * 70_000}"}}', "Line 1: it is longer than 65536 bytes"),
}  # fmt: skip

USER = {"id": "12", "username": "alice"}
V1 = {"id": 12, "id_str": "12", "screen_name": "alice"}
DEEPER: dict[str, tuple[Any, str]] = {
    "a page": ({"data": [USER], "meta": {"result_count": 1}}, "a page of an API"),
    "a long page": ({"data": [USER], "meta": {"x": "x" * 70_000}}, "a page of an API"),
    "posts and authors": ({"data": [{"id": "1", "text": "x"}], "includes": {"users": [USER]}}, "a page of an API"),
    "a page of the older API": ({"users": [V1], "next_cursor": 0}, "a page of an API"),
    "tweets": ({"created_at": "x", "id": 111, "user": V1}, "tweets"),
    "a graph's export": ({"type": "node", "labels": ["User"], "properties": V1}, "a graph's export"),
    "a fetch": ({"client": 1, "buckets": [{"bucket": "b", "users": [V1]}]}, "a document of `dmcheck fetch`"),
    "odd keys": ({"a b": {"c": V1}}, "a page of an API"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "users"), GOOD.values(), ids=GOOD.keys())
def test_a_list_is_read(text: str | bytes, users: list[User]) -> None:
    """Every form that people have, told by its content."""
    assert read(text) == users


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=BAD.keys())
def test_a_list_that_would_mislead_is_refused(text: str | bytes, why: str) -> None:
    """With the line and the reason."""
    message = refused(text)
    assert message.startswith("Line ")

    assert re.search(why, message), message


@pytest.mark.parametrize("pretty", [None, 1])
@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(("value", "looks"), DEEPER.values(), ids=DEEPER.keys())
def test_users_that_stand_deeper_are_pointed_at(value: Any, looks: str, array: bool, pretty: int | None) -> None:
    """What it looks like, and the command that takes them out, which works."""
    text = json.dumps([value] if array else value, indent=pretty)
    message = refused(text)
    assert f"looks like {looks}" in message
    command = message.split("jq -c '")[1].removesuffix("'")
    if shutil.which("jq"):
        taken = subprocess.run(["jq", "-c", command], input=text.encode(), capture_output=True, check=True).stdout
        assert read(taken) == [User("alice", 12)]


BAD_LINES: list[str | bytes] = [
    "a b",
    "a,b",
    "a\x00",
    b"\xff\xfe",
    '"alpha"',
    "[]",
    "{",
    '{"screen_name": null}',
    '{"screen_name": "a"} {"screen_name": "b"}',
    '{"screen_name": "a\\u0000"}',
    '{"screen_name": "a\\ud800"}',
    '{"screen_name": "' + "a" * 21 + '"}',
    "x" * 5000,
    *(
        f'{{"screen_name": "a", "id": {id}}}'
        for id in (
            "0",
            "-1",
            '"-5"',
            "-Infinity",
            "true",
            '"0"',
            '"x"',
            "[]",
            "{}",
            "9223372036854775808",
            "1e3",
            "NaN",
            "9" * 5000,
        )
    ),
]


@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda bad: ascii(bad)[:40])
def test_a_bad_line_is_named(bad: str | bytes) -> None:
    """The message says which line is wrong, counted from 1."""
    line = bad.encode() if isinstance(bad, str) else bad
    assert refused(b"fine\n\n" + line + b"\n").startswith("Line 3:")


def test_what_was_not_taken_as_it_stood_is_said() -> None:
    """A heading, and ids that a program has rounded."""
    headings = UserList(io.BytesIO(b"handle\nalice\nhandle\n"))
    assert list(headings) == [User("alice", None)]
    assert headings.notes() == ["line 1 and 1 more: 'handle' was taken as a heading, not as a user"]
    lines = [
        {"screen_name": "a", "id": ROUNDED, "id_str": str(BIG)},
        {"screen_name": "b", "id": 1.2e18, "id_str": SHEET},
    ]
    rounded = UserList(io.BytesIO("\n".join(map(json.dumps, lines)).encode()))
    assert list(rounded) == [User("a", BIG), User("b", int(SHEET))]
    assert [note.split(":")[0] for note in rounded.notes()] == ["2 times, a program had rounded the number in id"]
    table = UserList(io.BytesIO(f"screen_name,id,id_str\na,{ROUNDED},{BIG}\nb,1.2E+18,{SHEET}\n".encode()))
    assert list(table) == [User("a", BIG), User("b", int(SHEET))]
    assert len(table.notes()) == 1


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pieces_of_any_size_are_the_same_list(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A value that is cut anywhere is read on; a pipe may give a byte at a time."""
    monkeypatch.setattr(userlist, "PIECE", size)

    class Slow(io.BytesIO):
        def read(self, limit: int | None = -1) -> bytes:
            return super().read(1 if limit else 0)

    for text, users in (GOOD["an array over many lines"], GOOD["CSV"], GOOD["UTF-16, little"], GOOD["gzip"]):
        assert list(UserList(Slow(text.encode() if isinstance(text, str) else text))) == users


def collect(users: list[User], replace: bool = False, size: int = 100) -> tuple[Collected, list[Batch]]:
    """The list, sorted out."""
    collected = Collected(users)
    return collected, list(collected.batches(size, replace))


def test_each_user_comes_once() -> None:
    """Whatever the case of its name; the first spelling stays, and an id that any line has."""
    given = [User("b", None), User("Alice", None), User("alice", 7), User("ALICE", 7), User("B", None), User("c", 1)]
    collected, batches = collect(given, size=2)
    assert [batch.users for batch in batches] == [[User("Alice", 7), User("b", None)], [User("c", 1)]]
    assert (collected.total, collected.repeated, collected.conflicting) == (6, 3, [])


def test_several_ids_of_one_user_conflict() -> None:
    """It is left out; or the last id counts, if ids are to be replaced."""
    given = [User("a", 1), User("a", 2), User("A", None), User("b", 3)]
    collected, batches = collect(given)
    assert (batches, collected.conflicting, collected.repeated) == ([Batch([User("b", 3)], [])], ["a"], 2)
    collected, batches = collect(given, replace=True)
    assert (batches, collected.conflicting) == ([Batch([User("a", 2), User("b", 3)], ["a"])], [])
