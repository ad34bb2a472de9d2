"""A local server that behaves as X's API v2 is documented to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROBLEMS = "https://api.twitter.com/2/problems/"


@dataclass
class Answer:
    """What the server says next, whatever it is asked. `breaks`: it hangs up in the middle."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False


class Server(ThreadingHTTPServer):
    """The API: `accounts` are what exists, by id; `planned` answers come before it looks at them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accounts: dict[str, dict[str, Any]] = {}
        self.suspended: set[str] = set()
        self.planned: list[Answer] = []
        self.asked: list[tuple[str, dict[str, list[str]], float]] = []
        self.tokens: set[str | None] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, id: int, username: str, **more: Any) -> None:
        """One more account."""
        self.accounts[str(id)] = {"id": str(id), "name": username.title(), "username": username, **more}

    def find(self, parameter: str, value: str) -> dict[str, Any] | None:
        """The account of that id, or of that name whatever its case."""
        if parameter == "ids":
            return self.accounts.get(value)
        return next((one for one in self.accounts.values() if one["username"].lower() == value.lower()), None)

    def look_up(self, parameter: str, values: list[str]) -> dict[str, Any]:
        """What the documentation shows: `data` for those that are there, `errors` for those that are not."""
        data, errors = [], []
        for value in values:
            found = self.find(parameter, value)
            if value in self.suspended:
                about = {"title": "Forbidden", "detail": f"User has been suspended: [{value}]."}
                kind = PROBLEMS + "not-authorized-for-resource"
            elif found is None:
                detail = f"Could not find user with {parameter}: [{value}]."
                about, kind = {"title": "Not Found Error", "detail": detail}, PROBLEMS + "resource-not-found"
            else:
                data.append(found)
                continue
            same = {"value": value, "resource_id": value, "parameter": parameter, "resource_type": "user"}
            errors.append({**same, **about, "type": kind})
        return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """The two look-ups."""
        url = urlsplit(self.path)
        fields = parse_qs(url.query)
        self.server.asked.append((url.path, fields, time.monotonic()))
        self.server.tokens.add(self.headers["Authorization"])
        parameter = {"/2/users": "ids", "/2/users/by": "usernames"}[url.path]
        values = fields[parameter][0].split(",")
        assert 1 <= len(values) <= 100
        assert fields["user.fields"] == ["receives_your_dm,connection_status"]
        answer = self.server.planned.pop(0) if self.server.planned else None
        self._send(answer or Answer(200, self.server.look_up(parameter, values)))

    def _send(self, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response_only(answer.status)
        for name, value in {"Date": formatdate(usegmt=True), **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:3] if answer.breaks else body)
        self.close_connection = True

    def log_message(self, format: str, *_: object) -> None:
        """Nothing: stderr belongs to the tests."""


@contextmanager
def serving() -> Iterator[Server]:
    """The server, while the block runs."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
