"""A checker for `dmcheck work`: asks X's API v2 whether accounts take direct messages from yours.

    export X_USER_TOKEN=...      # your account's OAuth 2.0 user token (scopes users.read and tweet.read)
    dmcheck work --client 42 -- dmcheck-check-open-dm
    dmcheck fetch --client 42 --json | dmcheck-check-open-dm | dmcheck submit --client 42

Reads JSON lines as `work` sends them, or the document of `fetch --json`, and writes the same with `candm` added: DM or
NON_DM according to `receives_your_dm`, UNKNOWN for accounts that are not found or suspended. Users for whom the API
returns none of these get no `candm`, so they wait again. Users with an id are looked up by id, whatever their current
name. Needs only Python's standard library.

DM means open to everyone. `receives_your_dm` is about your account: it is also true for accounts that follow you, and
false for those that you block. So accounts that follow yours and take its messages get no `candm`, nor do those that it
blocks (`connection_status` tells): they need another volunteer. Ask from an account that few people follow.

Exit status: 0 all users were looked up; 2 unreadable input; 4 no token, or the API rejected it; 75 the API stayed
unreachable or rate-limited, so some users were not looked up (the answers so far are written; to `work` also
`{"retry_after": seconds}`, if the API says when its limit ends).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

MALFORMED, NOT_LET_IN, TEMPORARY = 2, 4, 75

PER_REQUEST = 100
"""Maximum accounts per request."""

SECONDS_PER_REQUEST = 30

MARGIN = 1.0
"""Seconds to wait beyond the API's reset time, which is rounded down to whole seconds."""

NAME = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
"""What the API accepts as a username; one invalid name would fail the whole request."""

User = dict[str, Any]


class GaveUp(Exception):
    """Ends the run with a message and an exit status."""

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Rejects redirects: one would send the token to an arbitrary host."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


class Api:
    """X's API v2, called no faster than it allows. `longest_wait` limits each wait for the rate limit, `tries` the
    attempts per request."""

    def __init__(self, base: str, token: str, longest_wait: float, tries: int, retry_delay: float) -> None:
        self._base = base.rstrip("/")
        self._token = token
        self._longest_wait = longest_wait
        self._tries = tries
        self._retry_delay = retry_delay
        self._not_before = 0.0
        self._opener = urllib.request.build_opener(NoRedirect)

    def ask(self, path: str, key: str, values: list[str]) -> dict[str, Any]:
        """The answer to one request; {} if the API rejects the request as invalid."""
        fields = {key: ",".join(values), "user.fields": "receives_your_dm,connection_status"}
        url = f"{self._base}{path}?{urllib.parse.urlencode(fields, safe=',')}"
        why = ""
        for attempt in range(self._tries):
            self._wait()
            try:
                return self._once(url)
            except urllib.error.HTTPError as error:
                why = f"status {error.code}"
                if self._refused(error):
                    return {}
                if error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
                    continue
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = str(error) or type(error).__name__
            if attempt + 1 < self._tries:
                time.sleep(random.uniform(0, self._retry_delay * 2**attempt))
        raise GaveUp(f"the API did not answer ({why}) in {self._tries} tries", TEMPORARY)

    def _wait(self) -> None:
        seconds = self._not_before - time.monotonic()
        if seconds > self._longest_wait:
            raise GaveUp(f"the API's limit is over in {seconds:.0f} seconds only", TEMPORARY, seconds)
        if seconds > 0:
            say(f"waiting {seconds:.0f} seconds for the API's limit")
            time.sleep(seconds)

    def _once(self, url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        with self._opener.open(request, timeout=SECONDS_PER_REQUEST) as response:
            answer = json.loads(response.read())
        if not isinstance(answer, dict):
            raise ValueError("the answer is no object")
        if response.headers.get("x-rate-limit-remaining") == "0":
            self._wait_for_reset(response.headers, default=0)
        return answer

    def _refused(self, error: urllib.error.HTTPError) -> bool:
        """True when a retry would change nothing; otherwise notes how long to wait."""
        with error:
            if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
                raise GaveUp(f"the API does not let us in (status {error.code}: {_detail(error)})", NOT_LET_IN)
            if error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
                self._wait_for_reset(error.headers, default=60)
                return False
            if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                say(f"status {error.code}: {_detail(error)}")
                return True
            return False

    def _wait_for_reset(self, headers: Message, default: float) -> None:
        """Delay the next request until the limit resets, by the server's clock: ours may be wrong."""
        try:
            now = parsedate_to_datetime(headers["date"]).timestamp() if headers["date"] else time.time()
            seconds = max(float(headers["x-rate-limit-reset"]) - now, 0.0) + MARGIN
        except (TypeError, ValueError):
            seconds = default
        self._not_before = time.monotonic() + seconds


def check(users: list[User], api: Api) -> Iterator[list[User]]:
    """Add `candm` to the users; yields them request by request."""
    for user in users:
        user.pop("candm", None)
    with_id = [user for user in users if user.get("id") is not None]
    by_name = [user for user in users if user.get("id") is None and NAME.fullmatch(user["screen_name"])]
    yield [user for user in users if user.get("id") is None and not NAME.fullmatch(user["screen_name"])]
    for group in _groups(with_id):
        answer(group, api.ask("/2/users", "ids", _values(group, "id")), "id", "id")
        yield group
    for group in _groups(by_name):
        answer(group, api.ask("/2/users/by", "usernames", _values(group, "screen_name")), "screen_name", "username")
        yield group


def answer(users: list[User], told: dict[str, Any], ours: str, theirs: str) -> None:
    """Add to each user the API's answer; users missing from it stay unchanged."""
    answers: dict[str, str] = {}
    for problem in _objects(told.get("errors")):
        if _is_gone(problem):
            answers |= {_key(problem[name]): "UNKNOWN" for name in ("value", "resource_id") if name in problem}
    for account in _objects(told.get("data")):
        takes = account.get("receives_your_dm")
        if isinstance(takes, bool) and not _is_about_us(takes, account.get("connection_status")):
            answers[_key(account.get(theirs))] = "DM" if takes else "NON_DM"
    for user in users:
        if _key(_value(user, ours)) in answers:
            user["candm"] = answers[_key(_value(user, ours))]


def _is_about_us(takes: bool, status: Any) -> bool:
    """Whether an account's relation to ours may be the reason for what it says: it follows us, or we block it."""
    return isinstance(status, list) and ("followed_by" if takes else "blocking") in status


def _is_gone(problem: dict[str, Any]) -> bool:
    if str(problem.get("type")).endswith("/resource-not-found"):
        return True
    return problem.get("title") == "Forbidden" and "suspended" in str(problem.get("detail"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _key(value: object) -> str:
    return str(value).lower()  # names are case-insensitive


def _groups(users: list[User]) -> Iterator[list[User]]:
    for start in range(0, len(users), PER_REQUEST):
        yield users[start : start + PER_REQUEST]


def _values(users: list[User], key: str) -> list[str]:
    return list(dict.fromkeys(_value(user, key) for user in users))


def _value(user: User, key: str) -> str:
    """The name, or the id: as text where it stands as text, because a program may have rounded the number."""
    return str((key == "id" and user.get("id_str")) or user[key])


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        body = json.loads(error.read())
        return str(body.get("detail") or body.get("title") or error.reason)
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return str(error.reason)


def read(raw: bytes) -> tuple[dict[str, Any] | None, list[User]]:
    """The document, if there is one, and the users; raises ValueError for anything else."""
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if isinstance(document, dict) and "buckets" in document:
        users = [user for bucket in document["buckets"] for user in bucket["users"]]
    else:
        document, users = None, [json.loads(line) for line in raw.splitlines() if line.strip()]
    for user in users:
        if not isinstance(user, dict) or not isinstance(user.get("screen_name"), str):
            raise ValueError("a user has no screen_name")
    return document, users


def say(text: str) -> None:
    """Write a message to stderr; stdout is for answers."""
    sys.stderr.write(f"check_open_dm: {text}\n")
    sys.stderr.flush()


def run(arguments: argparse.Namespace) -> int:
    """Check the users on stdin; returns the exit status."""
    token = os.environ.get("X_USER_TOKEN", "").strip()
    if not token:
        raise GaveUp("X_USER_TOKEN must hold your account's OAuth 2.0 user token", NOT_LET_IN)
    host = urllib.parse.urlsplit(arguments.api)
    if host.scheme != "https" and host.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise GaveUp("--api must be an https address: the token would go over the network in the clear", MALFORMED)
    try:
        document, users = read(sys.stdin.buffer.read())
    except (ValueError, LookupError, TypeError) as error:
        raise GaveUp(f"the input is neither JSON lines nor a document of fetch: {error}", MALFORMED) from error
    api = Api(arguments.api, token, arguments.longest_wait, arguments.tries, arguments.retry_delay)
    problem: GaveUp | None = None
    written: set[int] = set()
    try:
        for group in check(users, api):
            if document is None:
                _write(group)
                written.update(map(id, group))
    except GaveUp as gave_up:
        problem = gave_up
    if problem is not None and problem.status == NOT_LET_IN:
        raise problem
    if document is None:
        _write([user for user in users if id(user) not in written])
        if problem is not None and problem.retry_after is not None:
            _write([{"retry_after": round(problem.retry_after, 1)}])
    else:
        sys.stdout.write(json.dumps(document) + "\n")
    if problem is not None:
        raise problem
    return 0


def _write(users: list[User]) -> None:
    sys.stdout.write("".join(json.dumps(user) + "\n" for user in users))
    sys.stdout.flush()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api", default=os.environ.get("X_API_URL", "https://api.x.com"), help="or X_API_URL")
    parser.add_argument("--longest-wait", type=float, default=1000, metavar="SECONDS", help="for a rate limit to end")
    parser.add_argument("--tries", type=int, default=5, metavar="N", help="for each request")
    parser.add_argument(
        "--retry-delay", type=float, default=1, metavar="SECONDS", help="at most, before the second try"
    )
    try:
        return run(parser.parse_args())
    except GaveUp as gave_up:
        say(str(gave_up))
        return gave_up.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains on exit
        return TEMPORARY


if __name__ == "__main__":
    sys.exit(main())
