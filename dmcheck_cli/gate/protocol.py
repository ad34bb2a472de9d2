"""What is said in a conversation with a gate: one JSON object per line, in both directions (README.md).

Both sides use this module: the volunteer's makes requests and reads answers, the operator's the reverse. Nothing that
the other side sends is trusted: what makes no sense is Malformed at the gate, Nonsense at the volunteer's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from dmcheck_cli.domain import documents
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import Answered, ClientStats, Lease, Report, SystemStats
from dmcheck_cli.errors import STATUSES, DmcheckError, Malformed, WrongClient, told

PROTOCOL = 1
"""The version of the conversation."""

TALK = f"talk {PROTOCOL}"
"""What the volunteer's side asks ssh to run."""

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""The longest line to the gate, with its end: some 200 buckets of 180 answered users, or two of 10,000."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""The longest line from it: ten buckets of 10,000 users take 9 MB."""

MAX_WAIT_SECONDS = 86_400
"""The longest time after which the gate may ask for a retry."""

_CODE = re.compile("[a-z_]{1,40}")


class Nonsense(ValueError):
    """What came from the other side is no greeting, or no answer to what was asked."""


@dataclass(frozen=True)
class Greeting:
    """What the gate says first."""

    dmcheck: str
    client: int
    lease_seconds: int

    def line(self) -> bytes:
        """As it is sent."""
        return _line({"gate": PROTOCOL, **vars(self)})


@dataclass(frozen=True)
class Request:
    """One request. A verb uses those fields that FIELDS names for it."""

    id: int
    verb: str
    count: int | None = None
    request_id: str = ""
    bucket: str = ""
    lease: str = ""
    failed: bool = False
    answered: list[Answered] = field(default_factory=list)

    def line(self) -> bytes:
        """As it is sent. Compare its length with MAX_REQUEST_BYTES before that."""
        given = {**vars(self), "buckets": [_given(one) for one in self.answered]}
        return _line({"id": self.id, "verb": self.verb, **{name: given[name] for name in FIELDS[self.verb]}})


FIELDS: dict[str, tuple[str, ...]] = {
    "fetch": ("count", "request_id"),
    "resume": (),
    "renew": ("bucket", "lease"),
    "release": ("bucket", "lease", "failed"),
    "submit": ("buckets",),
    "stats": (),
}
"""The verbs, and what a request of each has beside `id`, `verb` and `client`."""

OPTIONAL = frozenset({"count", "failed"})
"""Fields that may be missing."""


# The gate's side: requests are read, answers are written.


def loaded(line: bytes) -> dict[str, Any]:
    """The object on a line. Raises Malformed: no UTF-8, no JSON, a key twice, NaN, something else than an object."""
    try:
        found = json.loads(line.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else documents.shown(str(error))
        raise Malformed(what=f"A request is one JSON object on a line: {why}") from error
    if not isinstance(found, dict):
        raise Malformed(what=f"A request is one JSON object on a line, not {documents.shown(found)}")
    return found


def id_of(given: dict[str, Any]) -> int | None:
    """The id with which an answer to this request goes back, None if it has none."""
    id = given.get("id")
    return id if type(id) is int and 0 <= id <= documents.MAX_ID else None


def request(given: dict[str, Any], client: int) -> Request:
    """The request of a client. Raises Malformed, Usage, and WrongClient when it names another client."""
    id, verb = id_of(given), given.get("verb")
    if id is None:
        raise Malformed(
            what=f"id is a whole number from 0 to {documents.MAX_ID}, not {documents.shown(given.get('id'))}"
        )
    if not isinstance(verb, str) or verb not in FIELDS:
        raise Malformed(what=f"verb is one of {', '.join(FIELDS)}, not {documents.shown(verb)}")
    if "client" in given and not (type(given["client"]) is int and given["client"] == client):
        raise WrongClient(client=client, other=documents.shown(given["client"]))
    if unknown := sorted(given.keys() - {"id", "verb", "client", *FIELDS[verb]}):
        raise Malformed(what=f"{verb} has no {documents.shown(unknown[0])}")
    if missing := [name for name in FIELDS[verb] if name not in given and name not in OPTIONAL]:
        raise Malformed(what=f"{verb} needs {missing[0]!r}")
    values: dict[str, Any] = {name: _READERS[name](given[name]) for name in FIELDS[verb] if name in given}
    if "buckets" in values:
        values["answered"] = values.pop("buckets")
    return Request(id, verb, **values)


def result_line(id: int, result: dict[str, Any]) -> bytes:
    """The answer of a request that succeeded."""
    return _line({"id": id, "result": result})


def error_line(id: int | None, problem: DmcheckError) -> bytes:
    """The answer of one that did not; without an id it is about a line that is no request, or the last line."""
    content = {"code": problem.code, "message": problem.message, "retry_after": problem.retry_after}
    return _line({"id": id, "error": content, "status": problem.exit_status})


def leases_document(client: int, leases: Iterable[Lease]) -> dict[str, Any]:
    """What `fetch` returns."""
    return {"client": client, "buckets": [lease.document() for lease in leases]}


def reports_document(client: int, reports: Iterable[Report]) -> dict[str, Any]:
    """What `submit` returns."""
    return {"client": client, "buckets": [report.document() for report in reports]}


def stats_document(clients: Iterable[ClientStats], system: SystemStats) -> dict[str, Any]:
    """What `stats` returns."""
    return {"clients": [asdict(one) for one in clients], "system": asdict(system)}


# The volunteer's side: answers are read.


def greeting(line: bytes) -> Greeting:
    """The gate's first line. Raises Nonsense (also when it speaks another version), and what the gate says instead."""
    found = _object(line)
    if "error" in found:
        raise _told(found)
    if found.get("gate") != PROTOCOL:
        raise Nonsense(f"protocol {documents.shown(found.get('gate'))}, not {PROTOCOL}")
    said: Greeting = _made(Greeting, found, "greeting")
    return said


def result(line: bytes, id: int) -> dict[str, Any]:
    """The result of the request of that id. Raises what the gate says instead, and Nonsense."""
    found = _object(line)
    if "error" in found and found.get("id") in (id, None):
        raise _told(found)
    if found.get("id") != id:
        raise Nonsense(f"an answer to {documents.shown(found.get('id'))}, not to {id}")
    content: dict[str, Any] = _made(dict[str, Any], found.get("result"), "result")
    return content


def leases(result: dict[str, Any]) -> list[Lease]:
    """The leases of a `fetch` or `resume`. Raises Nonsense."""
    found: list[Lease] = _made(list[Lease], result.get("buckets"), "buckets")
    for lease in found:
        for name in (lease.bucket, lease.lease):
            _parsed(documents.bucket_id, name)
        for user in lease.users:
            _parsed(documents.screen_name, user.screen_name)
    return found


def expires(result: dict[str, Any]) -> str:
    """When the lease of a `renew` ends. Raises Nonsense."""
    found: str = _made(str, result.get("expires"), "expires")
    return found


def returned(result: dict[str, Any]) -> int:
    """How many users wait again after a `release`. Raises Nonsense."""
    found: int = _made(int, result.get("returned"), "returned")
    return found


def reports(result: dict[str, Any]) -> list[Report]:
    """The reports of a `submit`. Raises Nonsense."""
    shown: list[dict[str, Any]] = _made(list[dict[str, Any]], result.get("buckets"), "buckets")
    named = [_made(list[dict[str, str]], one.get("refused"), "refused") for one in shown]
    lists = [
        {**one, "refused": [user.get("screen_name") for user in users]} for one, users in zip(shown, named, strict=True)
    ]
    found: list[Report] = _made(list[Report], lists, "buckets")
    return found


def stats(result: dict[str, Any]) -> tuple[list[ClientStats], SystemStats]:
    """The numbers of a `stats`. Raises Nonsense."""
    clients: list[ClientStats] = _made(list[ClientStats], result.get("clients"), "clients")
    system: SystemStats = _made(SystemStats, result.get("system"), "system")
    return clients, system


def _line(content: dict[str, Any]) -> bytes:
    """In ASCII: JSON escapes everything else, also what separates lines for some readers."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _given(one: Answered) -> dict[str, Any]:
    users = [{"screen_name": name, "candm": answer} for name, answer in one.answers.items()]
    return {"bucket": one.bucket, "lease": one.lease, "users": users}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _count(given: object) -> int | None:
    if given is None:
        return None
    if type(given) is not int:
        raise Malformed(what=f"count is a whole number or null, not {documents.shown(given)}")
    return documents.whole_number("A count", 1, DEFAULTS.max_fetch)(given)


def _text(name: str, read: Callable[[str], str]) -> Callable[[object], str]:
    def reader(given: object) -> str:
        if not isinstance(given, str):
            raise Malformed(what=f"{name} is a text, not {documents.shown(given)}")
        return read(given)

    return reader


def _failed(given: object) -> bool:
    if not isinstance(given, bool):
        raise Malformed(what=f"failed is true or false, not {documents.shown(given)}")
    return given


_READERS: dict[str, Callable[[object], Any]] = {
    "count": _count,
    "request_id": _text("request_id", documents.request_id),
    "bucket": _text("bucket", documents.bucket_id),
    "lease": _text("lease", documents.lease_id),
    "failed": _failed,
    "buckets": lambda given: documents.answers_in({"buckets": given}),
}


def _object(line: bytes) -> dict[str, Any]:
    try:
        return loaded(line)
    except Malformed as error:
        raise Nonsense(error.message) from error


@cache
def _fields(kind: type[Any]) -> list[tuple[str, Any, bool]]:
    """The fields of a dataclass: name, type, and whether it has no default. Once: 180 users took 4 ms of a fetch."""
    hints = get_type_hints(kind)
    return [
        (one.name, hints[one.name], one.default is MISSING is one.default_factory) for one in fields(kind) if one.init
    ]


def _made(kind: Any, value: Any, where: str) -> Any:
    """A value of that type from its JSON: a dataclass from its fields; a newer gate may send more of them.

    Raises Nonsense.
    """
    if is_dataclass(kind) and isinstance(kind, type):
        _made(dict, value, where)
        return kind(
            **{
                name: _made(hint, value.get(name), f"{where}.{name}")
                for name, hint, needed in _fields(kind)
                if needed or name in value
            }
        )
    outer, inner = get_origin(kind), get_args(kind)
    if outer is UnionType:  # X | None
        return None if value is None else _made(inner[0], value, where)
    if outer is list:
        return [_made(inner[0], one, where) for one in _made(list, value, where)]
    if outer is dict:
        return {name: _made(inner[1], one, f"{where}.{name}") for name, one in _made(dict, value, where).items()}
    if kind is Any:
        return value
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise Nonsense(f"{where} is {documents.shown(value)}")
    return value


def _parsed(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except Malformed as error:
        raise Nonsense(error.message) from error


def _told(found: dict[str, Any]) -> DmcheckError:
    error = _made(dict[str, Any], found["error"], "error")
    code, message = _made(str, error.get("code"), "code"), _made(str, error.get("message"), "message")
    status, wait = (
        _made(int, found.get("status"), "status"),
        _made(float | None, error.get("retry_after"), "retry_after"),
    )
    if status not in STATUSES or not _CODE.fullmatch(code) or not (wait is None or 0 <= wait <= MAX_WAIT_SECONDS):
        raise Nonsense(f"an error {documents.shown(code)} of status {status}, to be repeated in {wait} s")
    return told(code, message, status, wait)
