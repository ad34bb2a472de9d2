"""From texts to values: everything that must be taken, and everything that must be refused, before any other effect."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from dmcheck_cli.domain import documents
from dmcheck_cli.domain.model import Answered
from dmcheck_cli.errors import DmcheckError, Malformed, Usage

MAX_ID = 2**63 - 1
ARABIC_DIGITS = "\u0661\u0662\u0663"
FULLWIDTH_DIGITS = "\uff11\uff12"
CYRILLIC_A = "\u0430"
LONE_SURROGATE = "\ud800"

BAD_NAMES: list[Any] = [
    "",
    "@",
    "@@a",
    "a" * 21,
    "@" + "a" * 21,
    "a b",
    " a",
    "a ",
    "a\n",
    "\ta",
    "a\x00b",
    "a\x1b[31m",
    "a\x7f",
    "a\u200b",
    "a-b",
    "a.b",
    "a@b",
    "a'b",
    f"{CYRILLIC_A}bc",
    ARABIC_DIGITS,
    LONE_SURROGATE,
    "\U0001f600",
    None,
    True,
    42,
    4.2,
    ["a"],
    {"a": 1},
]

BAD_IDS = [
    "",
    " ",
    "0",
    "00",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "1.0",
    "1e3",
    "0x10",
    "1_000",
    "1,000",
    ARABIC_DIGITS,
    FULLWIDTH_DIGITS,
    "1\u00b2",
    str(MAX_ID + 1),
    str(2**64),
    "9" * 5000,
    "abc",
    "1\x00",
    LONE_SURROGATE,
]

USER = {"screen_name": "alpha", "id": 1, "candm": "DM"}


def bucket(**changes: Any) -> dict[str, Any]:
    """One good bucket of a submit document, with members replaced; `...` leaves one out."""
    whole = {"bucket": "b1", "lease": "l1", "users": [USER], **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def document(*buckets: Any, **others: Any) -> str:
    """A submit document as a text."""
    return json.dumps({"buckets": list(buckets), **others})


BAD_DOCUMENTS: dict[str, str | bytes] = {
    "only a byte order mark": b"\xef\xbb\xbf",
    "not JSON": "hello",
    "cut short": document(bucket())[:-3],
    "two documents": document() * 2,
    "trailing text": document() + "x",
    "single quotes": "{'buckets': []}",
    "not UTF-8": b'{"buckets": [], "x": "\xff"}',
    "UTF-16": document().encode("utf-16"),
    "NUL bytes": b"\x00" * 10,
    "a bare control character in a text": '{"buckets": [], "x": "\x01"}',
    "100,000 open brackets": "[" * 100_000,
    "100,000 pairs of brackets": "[" * 100_000 + "]" * 100_000,
    "100,000 objects in each other": '{"buckets":' * 100_000 + "1" + "}" * 100_000,
    "100,000 brackets in an ignored key": '{"buckets": [], "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a number of 10,000 digits": '{"buckets": [], "x": ' + "9" * 10_000 + "}",
    "null": "null",
    "a number": "5",
    "a text": '"buckets"',
    "a list": "[]",
    "no buckets": "{}",
    "buckets in capitals": '{"Buckets": []}',
    **{f"buckets are {wrong!r}": json.dumps({"buckets": wrong}) for wrong in (None, True, 1, 1.5, "x", {}, {"a": 1})},
    **{f"a bucket is {wrong!r}": document(wrong) for wrong in (None, True, 1, "x", [], [USER])},
    **{f"no {name}": document(bucket(**{name: ...})) for name in ("bucket", "lease", "users")},
    **{
        f"{name} is {ascii(wrong)[:40]}": document(bucket(**{name: wrong}))
        for name in ("bucket", "lease")
        for wrong in (None, True, 1, 1.5, [], {}, "", "a\nb", "a\x00", "\x1b[2J", LONE_SURROGATE, "x" * 201)
    },
    **{f"users are {wrong!r}": document(bucket(users=wrong)) for wrong in (None, True, 1, "x", {}, USER)},
    **{f"a user is {wrong!r}": document(bucket(users=[wrong])) for wrong in (None, True, 1, "alpha", [], [USER])},
    "a user without a name": document(bucket(users=[{"id": 1, "candm": "DM"}])),
    **{
        f"a name is {ascii(wrong)[:40]}": document(bucket(users=[{**USER, "screen_name": wrong}]))
        for wrong in BAD_NAMES
    },
    **{
        f"candm is {wrong!r}": document(bucket(users=[{**USER, "candm": wrong}]))
        for wrong in ("", "dm", "DM ", "NONDM", "YES", "null", True, False, 0, 1, 1.5, [], ["DM"], {}, {"DM": 1})
    },
    "a user twice": document(bucket(users=[USER, USER])),
    "a user twice, once with an @": document(bucket(users=[USER, {"screen_name": "@alpha"}])),
    "a user twice, once without an answer": document(bucket(users=[USER, {**USER, "candm": None}])),
    "two answers for one user, under one name": document(bucket()).replace('"DM"', '"DM", "candm": "NON_DM"'),
    "a key twice, deep in what is ignored": document(bucket(), x=[[{}]]).replace("{}", '{"a": 1, "b": 2, "a": 1}'),
    "more values than any document has": document(bucket(), x=[[]] * 400_000),
    "a bucket twice": document(bucket(), bucket()),
    "a bucket twice, under two leases": document(bucket(), bucket(lease="l2", users=[])),
    "one bad user behind a good bucket": document(bucket(), bucket(bucket="b2", users=[{"screen_name": "a b"}])),
}


def read(text: str | bytes) -> list[Answered]:
    """What a document says."""
    return documents.read_document(io.BytesIO(text.encode() if isinstance(text, str) else text))


@pytest.mark.parametrize("text", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
def test_a_bad_document_is_malformed(text: str | bytes) -> None:
    """Whatever is wrong with a document, it is one short, printable message of code `malformed`, exit 2."""
    with pytest.raises(Malformed) as caught:
        read(text)
    assert (caught.value.code, caught.value.exit_status) == ("malformed", 2)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        document(),
        document(client=42, error=None, more={"deep": [[[1]]]}),
        "\ufeff" + document(),
        "  \n" + document() + "\n\n",
        document(priority=float("nan")),
    ],
)
def test_a_document_without_buckets_is_fine(text: str) -> None:
    """An empty list is no error, and keys that we do not know are ignored, whatever they hold."""
    assert read(text) == []


def test_a_good_document_is_read_as_it_says() -> None:
    """Answers are taken, users without one are left out, an @ is dropped, other keys are ignored."""
    users = [
        {"screen_name": "@alpha", "id": 1, "candm": "DM"},
        {"screen_name": "b", "id": "not looked at", "candm": "NON_DM", "why": [1]},
        {"screen_name": "_" * 20, "candm": "UNKNOWN"},
        {"screen_name": "silent"},
        {"screen_name": "also_silent", "candm": None},
    ]
    read_back = read(document(bucket(users=users, priority="x", expires=None), bucket(bucket="b2", users=[])))
    assert read_back == [
        Answered("b1", "l1", {"alpha": "DM", "b": "NON_DM", "_" * 20: "UNKNOWN"}),
        Answered("b2", "l1", {}),
    ]


def test_a_user_may_be_in_two_buckets_of_a_document() -> None:
    """Which bucket a user really is in is for the database to say."""
    assert len(read(document(bucket(), bucket(bucket="b2")))) == 2


def test_one_account_that_is_stored_in_two_cases() -> None:
    """Both may be in a bucket; they are one account, so one answer is for both: DM before NON_DM before UNKNOWN."""
    for first, second, counts in ("DM", "UNKNOWN", "alpha"), ("UNKNOWN", "NON_DM", "ALPHA"), ("NON_DM", "DM", "ALPHA"):
        spelled = (("alpha", first), ("ALPHA", second))
        twins = [{**USER, "screen_name": name, "candm": answer} for name, answer in spelled]
        [read_back] = read(document(bucket(users=twins)))
        assert (len(read_back.answers), read_back.names()) == (2, [counts])


@pytest.mark.parametrize(
    ("id", "rounded"), [(1234567890123456789, 0), (1234567890123456800, 1), (1.2e18, 1), (None, 0)]
)
def test_ids_that_came_back_rounded_are_counted(id: Any, rounded: int) -> None:
    """Where id_str tells; their answers are taken."""
    [one] = read(document(bucket(users=[{**USER, "id": id, "id_str": "1234567890123456789"}])))
    assert (one.rounded, one.answers) == (rounded, {"alpha": "DM"})


def test_a_document_of_10_mb_is_read() -> None:
    """Much that is ignored is no harm."""
    assert read(document(bucket(), padding="x" * 10_000_000))[0].answers == {"alpha": "DM"}


def test_a_document_beyond_all_bounds_is_refused_without_reading_all_of_it() -> None:
    """The reading itself is bounded, so an endless stdin ends."""

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= documents.MAX_KEPT_BYTES + 1
            return b" " * size

    with pytest.raises(Malformed, match="larger than"):
        documents.read_document(Endless())  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, -1])
def test_the_digest_knows_answers_and_nothing_else(order: int) -> None:
    """Order, other keys, an @, case and users without an answer make no difference; another answer does."""
    users = [{"screen_name": "a", "candm": "DM"}, {"screen_name": "b", "candm": "UNKNOWN"}]
    noisy = [{**user, "screen_name": "@" + str(user["screen_name"]).upper(), "x": 1} for user in users]
    [plain] = read(document(bucket(users=users)))
    [other] = read(document(bucket(users=[*noisy[::order], {"screen_name": "c"}])))
    [changed] = read(document(bucket(users=[users[0], {**users[1], "candm": "DM"}])))
    assert plain.digests()[0] == other.digests()[0]
    assert not set(plain.digests()) & set(changed.digests())


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda bad: ascii(bad)[:30])
def test_a_bad_id_is_malformed(bad: str) -> None:
    """Zero, negative, beyond 64 bits, underscores, digits of other scripts: all refused."""
    with pytest.raises(Malformed) as caught:
        documents.identifier(bad)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(("text", "id"), [("1", 1), ("042", 42), (str(MAX_ID), MAX_ID)])
def test_a_good_id(text: str, id: int) -> None:
    """From 1 to the largest 64-bit integer."""
    assert documents.identifier(text) == id


@pytest.mark.parametrize("bad", BAD_NAMES, ids=lambda bad: ascii(bad)[:30])
def test_a_bad_name_is_malformed(bad: object) -> None:
    """Control characters, 21 characters, none, other scripts, and everything that is no text."""
    with pytest.raises(Malformed) as caught:
        documents.screen_name(bad)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(("text", "name"), [("a", "a"), ("@a", "a"), ("a" * 20, "a" * 20), ("@" + "_" * 20, "_" * 20)])
def test_a_good_name(text: str, name: str) -> None:
    """1 to 20 characters, with or without a leading @, which is not part of it."""
    assert documents.screen_name(text) == name


@pytest.mark.parametrize("reader", [documents.request_id, documents.bucket_id, documents.lease_id])
def test_tokens_are_printable_and_up_to_200_characters(reader: Any) -> None:
    """Request ids, bucket uuids and lease ids share one rule; other scripts are printable too."""
    for good in ("x", "x" * 200, "key with spaces", "\u00fcmlaut \u6f22", '"; DROP', "$x"):
        assert reader(good) == good
    for bad in ("", "x" * 201, "a\n", "\t", "\x00", "\u200b", LONE_SURROGATE):
        with pytest.raises(Malformed):
            reader(bad)


def test_a_file_that_cannot_be_opened_is_a_usage_error(tmp_path: Path) -> None:
    """A missing file and a folder: exit 2, and the message names the path."""
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "deeper"):
        with pytest.raises(DmcheckError, match=str(path)) as caught:
            documents.open_file(str(path))
        assert isinstance(caught.value, Usage | Malformed)
