"""`dmcheck gate run`: one volunteer's connection, from sshd to the verbs. Never a shell.

The command that the volunteer gave is in SSH_ORIGINAL_COMMAND; the client is the key's. What bounds refuse is refused
before anything large is imported.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from dmcheck_cli import __version__, notices, settings
from dmcheck_cli.errors import DmcheckError, Malformed, NotAdmitted, Usage, WrongClient, explained
from dmcheck_cli.gate import keys
from dmcheck_cli.gate.bounds import Bounds, log
from dmcheck_cli.gate.telling import outward
from dmcheck_cli.settings import Settings

MAX_COMMAND = 4096
"""Characters of a command: an option's value has 200 at most."""

MAX_VERB_SECONDS = 900
"""After which a verb is ended, whatever it waits for: a reader that does not read, or an embedded database's start."""

WHAT_THIS_IS = """This is a gate of dmcheck. It gives no shell; set DMCHECK_GATE to this address and use `dmcheck work`,
or give a verb: fetch, submit, renew, release, stats, help.
"""


def main(arguments: Sequence[str]) -> None:
    """End the process with the gate's answer, if the arguments are those of a key's line; return if they are others."""
    if arguments[:1] == ["--client"] and arguments[2:3] in ([], ["--key"]) and len(arguments) in (2, 4):
        client, *key = arguments[1::2]
        if client.isascii() and client.isdigit():
            os._exit(run(int(client), *key))


def run(client: int, key: str | None = None) -> int:
    """Answer what SSH_ORIGINAL_COMMAND asks for, for this client; returns the exit status. `key`: the fingerprint of
    the key that it came with (None: the lines of earlier releases name none)."""
    settings.fix(gate=None, client_id=str(client), attended=False)
    notices.choose(notices.Level.NORMAL)
    asked = os.environ.pop("SSH_ORIGINAL_COMMAND", "")
    talks = asked.split(" ")[0] == "talk"
    as_json = "json" in asked
    try:
        loaded = Settings.load()
        bounds = Bounds(loaded, client, key)
    except Exception as error:
        problem = explained(error)
        log(client, key, problem.message, problem.code)
        return _tell(outward(problem), talks, as_json)
    with notices.diverted(partial(log, client, key)):
        try:
            admission = Admission(loaded, client, key)
            admission.check()
            bounds.connect()
            bounds.request()
            words = _words(asked)
            _refuse_others(words, client)
            if talks:
                return _talk(loaded, client, bounds, admission, words)
            return _verb(client, bounds, admission, words)
        except Exception as error:
            problem = explained(error)
            bounds.refused(problem)
            return _tell(outward(problem), talks, as_json)


class Admission:
    """Whether the key of that fingerprint is a client's in the file, which is looked at again when it has changed.
    Where it is not said which key let it in, it must be one of those that the client had at first."""

    def __init__(self, loaded: Settings, client: int, key: str | None = None) -> None:
        self._path, self._client, self._key = keys.path_of(loaded), client, key
        self._seen: tuple[int, ...] = ()
        self._keys: frozenset[bytes] | None = None

    def check(self) -> None:
        """Raises NotAdmitted when it is not, NotConfigured when the file cannot be read or trusted."""
        try:
            about = os.stat(self._path)
        except FileNotFoundError:
            raise NotAdmitted from None
        now = (about.st_ino, about.st_mtime_ns, about.st_ctime_ns, about.st_size)
        if now != self._seen:
            there = frozenset(
                line.key.blob
                for line in keys.read(self._path)
                if line.client == self._client and self._key in (None, line.key.fingerprint)
            )
            self._keys = there if self._keys is None else there & self._keys
            if not self._keys:
                raise NotAdmitted
        self._seen = now


def _talk(loaded: Settings, client: int, bounds: Bounds, admission: Admission, words: list[str]) -> int:
    from dmcheck_cli.gate import serve
    from dmcheck_cli.gate.protocol import TALK
    from dmcheck_cli.service import Direct

    if words != TALK.split(" "):
        raise Malformed(what=f"This gate understands `{TALK}`, not {shlex.join(words)[:80]!a}")
    with Direct(loaded, client, "gate") as service:
        serve.talk(service, client, bounds, admission.check, __version__, (0, 1))
    return 0


def _verb(client: int, bounds: Bounds, admission: Admission, words: list[str]) -> int:
    if words[:1] == ["dmcheck"]:
        words = words[1:]
    if words in (["help"], ["version"]):  # ssh takes what begins with a dash for itself
        words = [f"--{words[0]}"]
    if not words:
        bounds.refused(Usage(what="no command"))
        sys.stderr.write(WHAT_THIS_IS)
        return Usage.exit_status
    if words[0] == "submit":
        _read_stdin()
        admission.check()  # it may be hours later
    signal.alarm(MAX_VERB_SECONDS)
    from dmcheck_cli.commands.gate_verbs import answer

    return answer(words, client, bounds)


def _read_stdin() -> None:
    """Read the document while this process is small: the checker in the pipe may take its time."""
    from dmcheck_cli.gate import serve

    try:
        document = serve.Input(0).whole(serve.MAX_CONNECTION_SECONDS)
    except serve.Stalled as stalled:
        raise stalled.problem from None
    except serve.Ended:
        document = b""
    sys.stdin = io.TextIOWrapper(io.BytesIO(document))


def _refuse_others(words: list[str], client: int) -> None:
    """Raises WrongClient where any word names another: of an option given twice, the verb sees the last."""
    for word, value in pairwise([*words, ""]):
        name, is_given, own = word.partition("=")
        named = own if is_given else value
        if name == "--client" and named.isascii() and named.isdigit() and int(named[:20]) != client:
            raise WrongClient(client=client, other=named[:20])


def _words(asked: str) -> list[str]:
    """The words of a command as a shell would split it; none of its other powers. Raises Usage."""
    if len(asked) > MAX_COMMAND:
        raise Usage(what=f"A command has at most {MAX_COMMAND} characters")
    try:
        return shlex.split(asked)
    except ValueError as error:
        raise Usage(what=f"The command cannot be read: {error}") from None


def _tell(problem: DmcheckError, talks: bool, as_json: bool) -> int:
    """As `show.error` does, without importing it."""
    error = {"code": problem.code, "message": problem.message, "retry_after": problem.retry_after}
    if talks:
        line = json.dumps({"id": None, "error": error, "status": problem.exit_status})
        os.write(1, f"{line}\n".encode())
    else:
        text = json.dumps({"error": error}) if as_json else ascii(f"dmcheck: {problem.message}")[1:-1]
        os.write(2, f"{text}\n".encode())
    return problem.exit_status
