"""Every field of every command against texts that are meant to harm (support/hostile.py).

Whatever is given: a documented outcome, no statement but those in files, nothing raw on the terminal, nothing run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from support import hostile
from support.graphs import answered, picture, prepare
from support.in_process import call
from support.invariants import Query, broken
from support.programs import Result

import dmcheck_cli
from dmcheck_cli import cypher
from dmcheck_cli.database.connection import Database
from dmcheck_cli.database.link import Link
from dmcheck_cli.errors import MAX_MESSAGE, NOTHING_CAME_IN
from dmcheck_cli.settings import variables

Call = Callable[..., Result]

RAW = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no output has: controls but the end of a line, marks of direction, lone surrogates."""

WRITES = re.compile(r"\b(CREATE|MERGE|SET|REMOVE|DELETE)\b")

REFERENCE = Path(dmcheck_cli.__file__).parent / "commands" / "README.md"
CODES = {
    code: int(row[1])
    for row in re.finditer(r"^\| (\d+) \| [^|]* \| ([^|]*) \|$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    for code in re.findall(r"`([a-z_]+)`", row[2])
}
"""Status of each code, as documented."""

FIELDS = (
    "fetch --client {}",
    "fetch --client 1 --count {}",
    "fetch --client 1 --request-id {}",
    "fetch --client 1 --format {}",
    "submit --client {}",
    "submit --client 1 {}",
    "renew --client {} --bucket b --lease l",
    "renew --client 1 --bucket {} --lease l",
    "renew --client 1 --bucket b --lease {}",
    "release --client {} --bucket b --lease l",
    "release --client 1 --bucket {} --lease l",
    "release --client 1 --bucket b --lease {}",
    "register --id {} --screen-name a",
    "register --id 7 --screen-name {}",
    "register --id 7 --screen-name a --capacity {}",
    "register --id 7 --screen-name a --dm-from-id {} --dm-from-screen-name b",
    "register --id 7 --screen-name a --dm-from-id 8 --dm-from-screen-name {}",
    "unregister --id {} --screen-name a",
    "unregister --id 1 --screen-name {}",
    "prioritize {}",
    "prioritize --file {}",
    "prioritize user00000 --priority {}",
    "stats --client {}",
    "stats --sort {}",
    "stats --state {}",
    "stats --limit {}",
    "log --client {}",
    "log --user {}",
    "log --bucket {}",
    "log --since {}",
    "log --until {}",
    "log --limit {}",
    "bucket show {}",
    "users add {}",
    "users delete {}",
    "users pending --limit {}",
    "users show {}",
    "users retry {}",
    "users export out/{}",
    "users export --answer {}",
    "users export --verdict {}",
    "client rename {} a",
    "client rename 1 {}",
    "client suspend {}",
    "client suspend 1 --reason {}",
    "client resume {}",
    "client distrust {} --dry-run",
    "client distrust 1 --since {}",
    "client delete {} --dry-run",
    "report out/{}",
    "report out/x.html --client {}",
    "report out/x.html --bucket {}",
    "units out/{}",
    "server dump {}",
    "work --client {} -- cat",
    "work --client 1 --max-buckets {} --once -- no-such-program",
    "work --client 1 --jobs {} -- no-such-program",
    "work --client 1 --command-timeout {} -- no-such-program",
    "work --client 1 --kill-after {} -- no-such-program",
    "work --client 1 --log-format {} -- no-such-program",
    "work --client 1 -- {}",
    "work --client 1 --try {} -- cat",
    "{}",
)
"""Each field of each command; {} is what is given."""

DRAWN = ("report out",)
"""Commands that draw for seconds: a few payloads of each kind are given."""

MIN_GIVEN = 12
"""Payloads that are given to a field at least, whichever are drawn for it."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of all statements that are sent, in their order."""
    texts: list[str] = []
    run = Link.run

    def noting(link: Link, statement: Any, *more: Any) -> Any:
        texts.append(statement._text)
        return run(link, statement, *more)

    monkeypatch.setattr(Link, "run", noting)
    return texts


@pytest.fixture
def held(database: Database, direct: Call, tmp_path: Path) -> str:
    """Client 1 holds a bucket; the document that answers it. Files are written into `out`."""
    prepare(database, [1], 10, size=5)
    (tmp_path / "out").mkdir()
    return answered(direct("fetch", "--client", 1, "--count", 1, "--json").document)


def filled(field: str, payload: str) -> list[str]:
    """The arguments, with --json before what is given, which may be `--`."""
    words = [word.replace("{}", payload) for word in field.split()]
    at = next((i for i, word in enumerate(field.split()) if word.startswith("-") or "{}" in word), len(words))
    return [*words[:at], "--json", *words[at:]] if at else words


def judged(result: Result, shown: object) -> str | None:
    """Fail unless the result is documented; returns the code of a refusal."""
    assert "Traceback" not in result.err, shown
    assert RAW.search(result.out + result.err) is None, shown
    if result.status == 0:
        return None
    if not result.err.startswith('{"error"'):
        assert result.status in (2, 3), (shown, result)  # help, or an argument that took the place of --json
        return "usage"
    error = result.error
    assert CODES[error["code"]] == result.status, (shown, error)
    assert result.status in (1, 2, 3, 4) or error["message"] == NOTHING_CAME_IN, (shown, error)
    assert len(error["message"]) <= MAX_MESSAGE, shown
    return str(error["code"])


def given_to(field: str) -> Iterator[str]:
    """What is given to it."""
    for number, payload in enumerate(hostile.arguments()):
        if field.startswith(DRAWN) and number % (12 if hostile.WHOLE else 4):
            continue
        if "out/" in field and (".." in payload or payload.startswith("/")):
            continue  # it may write where it is told to
        yield payload


@pytest.mark.parametrize("field", FIELDS)
def test_each_field(direct: Call, query: Query, held: str, sent: list[str], tmp_path: Path, field: str) -> None:
    """A documented outcome; statements from files only; refused input changes nothing; nothing is run."""
    before, codes, count = picture(query), set(), 0
    del sent[:]
    for payload in given_to(field):
        was = len(sent)
        result = direct(*filled(field, payload), stdin=held if "submit" in field else b"")
        code = judged(result, (field, payload[:80]))
        codes.add(code)
        count += 1
        if code in ("malformed", "usage") and "report" not in field:  # which keeps its secret in the graph
            assert not any(map(WRITES.search, sent[was:])), (field, payload[:80])
    assert set(sent) <= {cypher.text(name) for name in cypher.names()}
    assert not list(tmp_path.rglob("*pwned*")) or "out/" in field
    if codes <= {"malformed", "usage", "not_configured"}:
        assert picture(query) == before
    assert broken(query) == []
    assert count >= MIN_GIVEN


MEMBERS = ("bucket", "lease", "users", "screen_name", "candm", "id", "id_str", "{}")
"""Of a document; the last is a key that nobody knows."""

RAW_VALUES = (
    *("null", "true", "-1", "1.5", "1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5000, "[]", "{}", "[[]]"),
    *('{"a": 1, "a": 2}', "[" * 100_000, '{"a":' * 100_000, "'x'", "undefined", '"\\ud800"', '"\\u0000"', '"a\nb"'),
    *('"a', "x", "", "//", '"a" "b"', "[1,]", '{"a"}', "0x1", "1_0", "+1", ".5", "\ufeff1", '"\\x41"'),
)
"""What stands in a document as it is, some of it no JSON."""


def documents(held: str, member: str) -> Iterator[str]:
    """The document with one member replaced by each payload, and by each raw value."""
    quoted = json.dumps("here")
    whole = json.loads(held)
    [bucket] = whole["buckets"]
    holder = bucket if member in ("bucket", "lease", "users") else bucket["users"][0]
    holder[member] = "here"
    text = json.dumps(whole)
    yield from (text.replace(quoted, json.dumps(payload)) for payload in hostile.payloads())
    yield from (text.replace(quoted, raw) for raw in RAW_VALUES)
    if member == "{}":
        yield from (text.replace('"{}"', json.dumps(payload)) for payload in hostile.payloads())


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_of_a_document(direct: Call, query: Query, held: str, sent: list[str], member: str) -> None:
    """A document is taken or refused as a whole; whoever is answered for is a user of the bucket."""
    for text in documents(held, member):
        result = direct("submit", "--client", 1, "--json", stdin=text.encode("utf-8", "surrogatepass"))
        judged(result, (member, text[:300]))
    assert set(sent) <= {cypher.text(name) for name in cypher.names()}
    assert broken(query) == []
    assert query("MATCH (u:User) RETURN count(u) AS n") == [{"n": 10}]


KEPT = ("bucket", "lease", "database", "screen_name", "candm")


@pytest.mark.parametrize("member", KEPT)
def test_each_member_of_what_work_has_kept(direct: Call, query: Query, held: str, sent: list[str], member: str) -> None:
    """The same for the lines of a file that `work` keeps its answers in."""
    good = {"bucket": "b", "lease": "l", "database": "d", "screen_name": "a", "candm": "DM"}
    before = picture(query, "buckets_fault", "last_access_time")
    del sent[:]
    for payload in hostile.payloads():
        lines = f"{json.dumps({**good, member: payload})}\n{json.dumps(good)}\n"
        judged(direct("submit", "--client", 1, "--json", stdin=lines), (member, payload[:80]))
    assert set(sent) <= {cypher.text(name) for name in cypher.names()}
    assert picture(query, "buckets_fault", "last_access_time") == before


LISTS = ("{}", '{"screen_name": JSON}', '{"screen_name": "a", "id": JSON}', '[{"username": JSON}]', "username,id\n{},1")


@pytest.mark.parametrize("form", LISTS)
def test_each_place_in_a_list(direct: Call, query: Query, held: str, sent: list[str], form: str) -> None:
    """Of any list, users whose names are names are added, or nothing is."""
    for payload in hostile.payloads():
        text = form.replace("{}", payload).replace("JSON", json.dumps(payload))
        judged(direct("users", "add", "--json", stdin=text.encode("utf-8", "surrogatepass")), (form, payload[:80]))
    assert set(sent) <= {cypher.text(name) for name in cypher.names()}
    names = [row["name"] for row in query("MATCH (u:User) RETURN u.screen_name AS name")]
    assert len(names) >= 10
    assert all(re.fullmatch("[A-Za-z0-9_]{1,20}", name) for name in names)
    assert broken(query) == []


FORMS = ("{}={}", "{}='{}'", '{}="{}"', "x={1}", "{1}")
"""Lines of a `.env`: a variable, a payload."""

SETTINGS = tuple(setting.metadata["name"] for setting in variables())


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    """Shown escaped or refused with 4; the password is never shown."""
    secret = "geheim" if name == "NEO4J_PASSWORD" else ""
    bare = {kept: value for kept, value in environment.items() if not kept.startswith(("NEO4J_", "DMCHECK_"))}
    for payload in hostile.arguments():
        result = call(("settings", "--json"), {**bare, name: secret + payload}, tmp_path)
        assert judged(result, (name, payload[:80])) in (None, "not_configured")
        assert not secret or secret not in result.out + result.err
    for form, payload in zip(cycle(FORMS), hostile.payloads(), strict=False):
        line = form.format(name, secret + payload)
        (tmp_path / ".env").write_bytes(line.encode("utf-8", "surrogatepass"))
        result = call(("settings", "--json"), bare, tmp_path)
        assert judged(result, (name, line[:80])) in (None, "not_configured")
        assert not secret or secret not in result.out + result.err
