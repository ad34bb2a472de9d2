"""Hostile requests against a gate behind a real sshd: none gets what it asks for, reads or changes anything.

A request succeeds when its answer is no refusal, when it has something of the operator's in it (the password, the
database's address, a file), when it leaves a file, or when the graph is another afterwards.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from support.graphs import prepare
from support.programs import launcher, outside
from support.sshd import Sshd

from dmcheck_cli.database.address import read as read_address
from dmcheck_cli.database.connection import Database
from dmcheck_cli.gate.protocol import MAX_REQUEST_BYTES
from dmcheck_cli.settings import Settings
from proofs.graph import empty
from proofs.outcome import Outcome

COMMAND = "python scripts/prove.py hostile"
CLIENT = 42
PATIENCE = 100
"""Seconds for one request; the longest allowed is half a line, which ends after 60."""

SEPARATORS = r"""
fetch; touch {c}
fetch && touch {c}
fetch || touch {c}
fetch | touch {c}
fetch & touch {c}
;touch {c}
&& touch {c}
|touch {c}
stats --json;touch {c}
help; touch {c}
talk 1; touch {c}
talk 1 && touch {c}
'fetch; touch {c}'
"fetch; touch {c}"
fetch\; touch {c}
fetch\ntouch {c}
\ntouch {c}
fetch\r\ntouch {c}
{ touch {c}; }
(touch {c})
! touch {c}
exec touch {c}
eval touch {c}
. {c}
: > {c}
fetch > {c}
fetch >> {c}
fetch 2> {c}
stats --json > {c}
submit < /etc/passwd
fetch <(touch {c})
"""

SUBSTITUTIONS = """
$(touch {c})
`touch {c}`
fetch $(touch {c})
fetch `touch {c}`
fetch --count $(touch {c})
fetch --request-id
fetch --count ${IFS}1
fetch --count $((1+1))
fetch --client $CLIENT
fetch --client ${SSH_CONNECTION}
renew --bucket $(cat /etc/passwd) --lease x
renew --bucket `id` --lease `id`
renew --bucket "$(id)" --lease "$(id)"
renew --bucket '{{7*7}}' --lease '%s%s%n'
renew --bucket '{0.__class__}' --lease '{settings.neo4j_password}'
renew --bucket '%(neo4j_password)s' --lease '${NEO4J_PASSWORD}'
$SHELL
${PATH:0:1}bin${PATH:0:1}sh
~/.ssh/authorized_keys
*
"""

PROGRAMS = """
sh
/bin/sh -i
bash -c 'touch {c}'
-c 'touch {c}'
python3 -c 'open("{c}","w")'
env
printenv NEO4J_PASSWORD
cat /etc/passwd
cat ~/.ssh/authorized_keys
ls -la /
id
touch {c}
cypher-shell
scp -t {c}
scp -f /etc/passwd
scp -r -t /tmp
/usr/lib/openssh/sftp-server
internal-sftp
sftp-server -d /
rsync --server -e.LsfxC . {c}
git-upload-pack /
git-receive-pack '{c}'
svnserve -t
tar cf - /etc
mosh-server new
netcat 127.0.0.1 22
ssh localhost
./dmcheck fetch
/usr/bin/dmcheck stats
../dmcheck stats
dmcheck dmcheck stats
DMCHECK stats
"""

VERBS = """
register --id 43 --screen-name other
unregister --id 1 --screen-name client1
work -- touch {c}
work --client 42 -- sh
users add /etc/passwd
users export {c}
users delete user00001
users show user00001
prioritize user00001
client suspend 1
client delete 1
client distrust 1
gate add --client 42 --screen-name x
gate add --client 1 --screen-name client1 --key /etc/passwd
gate remove --client 1
gate list --json
gate run --client 1
schema apply
doctor --deep
settings --json
log --client 1
bucket show x
report {c}
server stop
server dump {c}
crontab
units {c}
export
"""

OPTIONS = """
fetch --client 1
fetch --client=1 --json
fetch --client 0x2a
fetch --client 42.0
fetch --client -42
fetch --client 99999999999999999999
fetch --client 42 --client 1
fetch --count 1000000000
fetch --count -1
fetch --count 0
fetch --count 1e1
fetch --count NaN
fetch --verbose
fetch -v
fetch --timings
fetch --log-format json
fetch --install-completion
fetch --show-completion
fetch --format ../../etc/passwd
fetch --gate x
fetch --limits 1
fetch --resume --count 2
fetch extra
fetch -- --json
stats --watch
stats --client 1
stats --sort id
stats --limit 0
submit --client 1
submit /etc/passwd
submit -
submit /dev/zero
submit /proc/self/mem
submit /proc/self/environ
submit {c}
submit --file /etc/passwd
renew --bucket x
renew --bucket x --lease y --client 1
release --bucket x --lease y --failed
talk
talk 0
talk 2
talk 1 2
talk 1 --client 1
talk\t1
"""

CYPHER = (
    "' OR 1=1 //",
    "x'}) DETACH DELETE n //",
    "x\\u0027 MATCH (n) DETACH DELETE n //",
    '"}) MATCH (n) SET n.x = 1 //',
    "`; CALL dbms.shutdown() //",
    "$limits",
    "{uuid: 'x'}",
    "../../../etc/passwd",
    "; touch {c}",
    "$(touch {c})",
    "%s%n%x",
    "<script>",
    "\U0001f600",
)
"""In place of a bucket, a lease or a name."""

LINES = (
    "",
    "{}",
    "[]",
    "null",
    "0",
    '"fetch"',
    "fetch",
    "GET / HTTP/1.1",
    "{",
    '{"id": 1}',
    '{"verb": "stats"}',
    '{"id": 1, "verb": "shell"}',
    '{"id": 1, "verb": "register", "screen_name": "x"}',
    '{"id": 1, "verb": "stats", "client": 1}',
    '{"id": 1, "verb": "stats", "client": [42]}',
    '{"id": 1, "verb": "stats", "client": 42, "client": 1}',
    '{"id": 1, "id": 2, "verb": "stats"}',
    '{"id": NaN, "verb": "stats"}',
    '{"id": 1e400, "verb": "stats"}',
    '{"id": {"$gt": 0}, "verb": "stats"}',
    '{"id": 1, "verb": "stats", "statement": "MATCH (n) RETURN n"}',
    '{"id": 1, "verb": "stats", "settings": {"neo4j_uri": "bolt://evil"}}',
    '{"id": 1, "verb": "fetch"}',
    '{"id": 1, "verb": "fetch", "request_id": "K", "lease_seconds": 1000000}',
    '{"id": 1, "verb": "fetch", "request_id": "K", "count": 1000000}',
    '{"id": 1, "verb": "fetch", "request_id": "K", "count": [1]}',
    '{"id": 1, "verb": "fetch", "request_id": {"a": 1}}',
    '{"id": 1, "verb": "fetch", "request_id": "\\u0000"}',
    '{"id": 1, "verb": "fetch", "request_id": "\\ud800"}',
    '{"id": 1, "verb": "fetch", "request_id": "\\u009b31m"}',
    '{"id": 1, "verb": "fetch", "request_id": "' + 300 * "x" + '"}',
    '{"id": 1, "verb": "submit", "buckets": "/etc/passwd"}',
    '{"id": 1, "verb": "submit", "file": "/etc/passwd", "buckets": []}',
    '{"id": 1, "verb": "submit", "buckets": [[]]}',
    '{"id": 1, "verb": "release", "bucket": "x", "lease": "y", "failed": "yes"}',
    '{"id": 1, "verb": "renew", "bucket": null, "lease": null}',
    '{"id": 1, "verb": "__import__(\\"os\\").system(\\"id\\")"}',
    '{"id": 1, "verb": "stats", "__proto__": {"client": 1}}',
)

BINARY: tuple[tuple[str, bytes], ...] = (
    ("the start of Bolt", b"\x60\x60\xb0\x17\0\0\x04\x04\0\0\0\0\0\0\0\0\0\0\0\0\n"),
    ("no UTF-8", b'{"id": 1, "verb": "stats\xff"}\n'),
    ("a byte order mark", b'\xef\xbb\xbf{"id": 1, "verb": "stats"}\n'),
    ("UTF-16", '{"id": 1, "verb": "stats"}\n'.encode("utf-16")),
    ("nulls", b"\0" * 1000 + b"\n"),
    ("terminal controls", b'{"id": 1, "verb": "\x1b]0;x\x07"}\n'),
    ("all bytes", bytes(range(256)) + b"\n"),
    ("deep nesting", b'{"id": 1, "verb": ' + b"[" * 200_000 + b"\n"),
    ("a number of a million digits", b'{"id": ' + b"9" * 1_000_000 + b', "verb": "stats"}\n'),
    ("a line that is too long", b'{"id": 1, "verb": "stats", "x": "' + b"x" * MAX_REQUEST_BYTES + b'"}\n'),
    ("a line without an end", b"x" * (5 * MAX_REQUEST_BYTES)),
    ("half a line, then the end", b'{"id": 1, "verb": "stats"}'),
)

SETTINGS = (
    "NEO4J_URI=bolt://127.0.0.1:1",
    "NEO4J_PASSWORD=x",
    "DMCHECK_CLIENT_ID=1",
    "DMCHECK_GATE=evil@host",
    "DMCHECK_AUTHORIZED_KEYS=/dev/null",
    "DMCHECK_GATE_CONNECTIONS=0",
    "DMCHECK_TIMEOUT_SECONDS=x",
    "DMCHECK_HOME=/nowhere",
    "HOME=/nowhere",
    "XDG_CONFIG_HOME={f}",
    "PYTHONPATH={f}",
    "PYTHONHOME=/nowhere",
    "PYTHONINSPECT=1",
    "LD_PRELOAD=/nowhere.so",
    "BASH_ENV={f}/sh",
    "ENV={f}/sh",
    "PATH={f}",
    "IFS=/",
    "SSH_ORIGINAL_COMMAND=stats --client 1",
)
"""Variables that the volunteer's ssh sends along. Each would be seen in the answer of `stats`, or leave a file."""


@dataclass
class Gate:
    """What the requests go to, and what would show that one has succeeded."""

    sshd: Sshd
    folder: Path
    environment: Mapping[str, str]
    canary: Path
    secrets: tuple[str, ...]
    database: Database
    neo4j: tuple[str, int]
    sockets: str

    def ssh(self, *words: str, stdin: bytes = b"", options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[bytes]:
        """Run the volunteer's ssh; its connection is shared, which leaves the log-in out."""
        shared = ("-oControlMaster=auto", "-oControlPersist=60", f"-oControlPath={self.sockets}/%C")
        command = ["ssh", "-oBatchMode=yes", *(options or shared), self.sshd.gate, *words]
        return subprocess.run(
            command, input=stdin, env=self.environment, capture_output=True, timeout=PATIENCE, check=False
        )

    def graph(self) -> list[str]:
        """All of the graph but the log of events, which counts the database's own refusals, and when a client asked."""
        nodes = (
            "MATCH (n) WHERE NOT n:DMCheckEvent RETURN elementId(n) AS id, labels(n) AS of, "
            "[name IN keys(n) WHERE name <> 'last_access_time' | [name, n[name]]] AS has"
        )
        links = "MATCH (a)-[r]->(b) RETURN elementId(r) AS id, type(r) AS of, properties(r) AS has"
        rows = [*self.database.run_text(nodes), *self.database.run_text(links)]
        return [repr(sorted(row.items())) for row in rows]


Try = Callable[[Gate], str | None]
"""Makes one request; returns what it achieved, None if nothing."""


def run(settings: Settings, *, each: int = 1) -> list[Outcome]:
    """All requests, or one of `each` of those that differ in their text only."""
    with Database(settings, "prove") as database, tempfile.TemporaryDirectory(prefix="dmcheck-hostile-") as folder:
        return against(database, settings, Path(folder), each)


def against(database: Database, settings: Settings, folder: Path, each: int = 1) -> list[Outcome]:
    """The requests against a gate before this database, whose files go to the folder."""
    empty(database)
    prepare(database, [1], 40, size=10)
    with _gate(database, settings, folder) as gate:
        return [_outcome(gate, kind, tries) for kind, tries in requests(each).items()]


def requests(each: int) -> dict[str, list[tuple[str, Try]]]:
    """By kind: what each is, and how it is made."""

    def commands(text: str) -> list[tuple[str, Try]]:
        return [(line, _command(line)) for line in text.strip("\n").split("\n")[::each] if line]

    lines = [(line, _line(f"{line}\n".encode())) for line in LINES[::each]]
    lines += [(f"{field}: {text}", _injected(field, text)) for text in CYPHER[::each] for field in FIELDS]
    return {
        "separators and redirections": commands(SEPARATORS),
        "substitutions, patterns, formats": commands(SUBSTITUTIONS),
        "other programs": commands(PROGRAMS),
        "verbs of the operator": commands(VERBS),
        "options, paths, other clients": commands(OPTIONS),
        "sizes of a command": [("a command of 100,000 characters", _command("fetch " + "x" * 100_000))],
        "a conversation: requests": lines,
        "a conversation: bytes": [(name, _line(content)) for name, content in BINARY],
        "variables": [(one, _variable(one)) for one in SETTINGS[::each]],
        "what sshd can do": [(name, work) for name, work in CHANNELS],
        **({"half a line for ever": [("60 seconds", _stalls)]} if each == 1 else {}),
    }


def _outcome(gate: Gate, kind: str, tries: list[tuple[str, Try]]) -> Outcome:
    outcome = Outcome(f"hostile: {kind}", "a volunteer's ssh, a real sshd", COMMAND)
    before = gate.graph()
    for name, attempt in tries:
        try:
            achieved = attempt(gate)
        except subprocess.TimeoutExpired:
            achieved = f"it was still there after {PATIENCE} seconds"
        if gate.canary.exists():
            gate.canary.unlink()
            achieved = "it left a file"
        outcome.faults += 1
        if achieved is None:
            outcome.refused += 1
        else:
            outcome.ok += 1
            outcome.violations.append(f"{name[:80]!a}: {achieved}")
    if changed := sorted(set(gate.graph()) ^ set(before)):
        outcome.violations.append(f"the graph has changed: {changed}")
    return outcome


def _told(gate: Gate, done: subprocess.CompletedProcess[bytes]) -> str | None:
    """What an answer gives away."""
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    found = [secret for secret in gate.secrets if secret in text]
    if "Traceback" in text:
        found.append("a traceback")
    return f"it was told {found}" if found else None


def _command(command: str) -> Try:
    def attempt(gate: Gate) -> str | None:
        line = command.replace("\\r", "\r").replace("\\n", "\n").replace("{c}", str(gate.canary))
        done = gate.ssh("--", line) if line.startswith("-") else gate.ssh(line)
        if (told := _told(gate, done)) is not None:
            return told
        return (
            None if done.returncode in (1, 2) else f"status {done.returncode}: {done.stdout[:80]!a}{done.stderr[:80]!a}"
        )

    return attempt


def _line(content: bytes) -> Try:
    """A request in a conversation must be answered by an error, or by the end."""

    def attempt(gate: Gate) -> str | None:
        done = gate.ssh("talk 1", stdin=content)
        if (told := _told(gate, done)) is not None:
            return told
        if not done.stdout.startswith(b'{"gate":1,'):
            return f"there was no greeting, so nothing was tried: {done.stderr[:80]!a}"
        _, *answers = done.stdout.splitlines()
        refused = [json.loads(answer) for answer in answers]
        return None if all("error" in one and one["status"] in (1, 2) for one in refused) else f"{answers[0][:80]!a}"

    return attempt


FIELDS = ("bucket", "lease", "screen_name")


def _injected(field: str, text: str) -> Try:
    users = [{"screen_name": text if field == "screen_name" else "user00001", "candm": "DM"}]
    named = {"bucket": "x", "lease": "x", **({field: text} if field != "screen_name" else {})}
    request = {"id": 1, "verb": "submit", "buckets": [{**named, "users": users}]}
    if field != "screen_name":
        request = {"id": 1, "verb": "renew", **named}
    return lambda gate: _line(json.dumps(request).replace("{c}", str(gate.canary)).encode() + b"\n")(gate)


def _variable(given: str) -> Try:
    def attempt(gate: Gate) -> str | None:
        name, _, value = given.partition("=")
        setting = f'-oSetEnv={name}="{value.replace("{f}", str(gate.folder / "evil"))}"'
        done = gate.ssh("stats --json", options=(setting,))
        if (told := _told(gate, done)) is not None:
            return told
        if done.returncode or done.stderr:
            return f"it had an effect: {done.stderr[:80]!a}"
        clients = [one["id"] for one in json.loads(done.stdout)["clients"]]
        return None if clients == [CLIENT] else f"it saw {clients}"

    return attempt


def _stalls(gate: Gate) -> str | None:
    began = time.monotonic()
    with _talking(gate) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"id": 1, "verb": "st')
        process.stdin.flush()
        process.stdout.readline()
        answer = process.stdout.read()
    seconds = time.monotonic() - began
    return None if b"60 seconds" in answer and seconds < 70 else f"after {seconds:.0f} seconds: {answer[:80]!a}"


@contextmanager
def _talking(gate: Gate, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ["ssh", "-oBatchMode=yes", *options, gate.sshd.gate, "talk 1"]
    with subprocess.Popen(
        command, env=gate.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _served(gate: Gate) -> psutil.Process:
    """The gate's process of the one open conversation."""
    sshd = psutil.Process(gate.sshd.pid)
    [process] = [one for one in sshd.children(recursive=True) if "gate" in one.cmdline() and one.name() != "sh"]
    return process


def _session(*options: str, forbidden: str) -> Try:
    """A conversation whose process must have neither a terminal nor the variable."""

    def attempt(gate: Gate) -> str | None:
        with _talking(gate, *options) as process:
            assert process.stdout is not None
            if b'"gate"' not in process.stdout.readline():
                return None
            served = _served(gate)
            has = [served.environ().get(forbidden), served.terminal()]
        return None if has == [None, None] else f"it has {has}"

    return attempt


def _forward(*options: str) -> Try:
    """ssh must not be able to set it up, and ends."""

    def attempt(gate: Gate) -> str | None:
        host, port = gate.neo4j
        given = tuple(one.format(neo4j=f"{host}:{port}", folder=gate.folder) for one in options)
        done = gate.ssh(options=("-oExitOnForwardFailure=yes", "-N", *given))
        return None if done.returncode == 255 else f"status {done.returncode}"

    return attempt


def _through(*options: str) -> Try:
    """A port of ours that leads to the database: nothing may come back from it."""

    def attempt(gate: Gate) -> str | None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            own = free.getsockname()[1]
        host, port = gate.neo4j
        given = [one.format(own=own, neo4j=f"{host}:{port}") for one in options]
        command = ["ssh", "-oBatchMode=yes", "-N", *given, gate.sshd.gate]
        with subprocess.Popen(command, env=gate.environment, stderr=subprocess.DEVNULL) as process:
            try:
                answer = _bolt(own, socks=(host, port) if given[0].startswith("-D") else None)
            finally:
                process.kill()
        return None if answer == b"" else f"the database answered {answer!a}"

    return attempt


def _bolt(own: int, socks: tuple[str, int] | None) -> bytes:
    """What comes back through a forwarded port for the start of Bolt."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", own), 5) as client:
            client.settimeout(5)
            if socks is not None:
                client.sendall(b"\5\1\0")
                client.recv(2)
                client.sendall(b"\5\1\0\1" + socket.inet_aton(socks[0]) + socks[1].to_bytes(2, "big"))
                if client.recv(10)[1:2] != b"\0":
                    return b""
            client.sendall(b"\x60\x60\xb0\x17\0\0\x04\x04" + b"\0" * 12)
            with suppress(ConnectionError):
                return client.recv(4)
            return b""
        time.sleep(0.05)
    return b"nobody listened"


def _copies(*program: str) -> Try:
    """A program that speaks over ssh must fail, and get nothing."""

    def attempt(gate: Gate) -> str | None:
        words = [one.format(gate=gate.sshd.gate, own=gate.folder / "got", c=gate.canary) for one in program]
        ssh = gate.folder.joinpath("sshd", "volunteer", "bin", "ssh")
        done = subprocess.run(
            [words[0], "-S", str(ssh), "-oBatchMode=yes", *words[1:]],
            env=gate.environment,
            input=b"get /etc/passwd\nput /etc/hostname\n",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return None if done.returncode and not (gate.folder / "got").exists() else f"status {done.returncode}"

    return attempt


def _subsystem(name: str) -> Try:
    def attempt(gate: Gate) -> str | None:
        done = gate.ssh(name, options=("-s",), stdin=b"\0\0\0\5\1\0\0\0\3")
        return None if done.returncode and not done.stdout else f"it answered {done.stdout[:40]!a}"

    return attempt


CHANNELS: tuple[tuple[str, Try], ...] = (
    ("a port there leads here (-R)", _forward("-R", "0:127.0.0.1:1")),
    ("a socket there leads here (-R)", _forward("-R", "{folder}/socket:127.0.0.1:1")),
    ("a dynamic port there (-R)", _forward("-R", "0")),
    ("standard streams to the database (-W)", _forward("-W", "{neo4j}")),
    ("a tunnel device (-w)", _forward("-w", "any")),
    ("a port here leads to the database (-L)", _through("-L", "{own}:{neo4j}")),
    ("SOCKS here (-D)", _through("-D", "{own}")),
    ("agent forwarding (-A)", _session("-A", forbidden="SSH_AUTH_SOCK")),
    ("X11 (-X)", _session("-X", forbidden="DISPLAY")),
    ("trusted X11 (-Y)", _session("-Y", forbidden="DISPLAY")),
    ("a terminal (-tt)", _session("-tt", forbidden="SSH_TTY")),
    ("the subsystem sftp", _subsystem("sftp")),
    ("another subsystem", _subsystem("netconf")),
    ("sftp", _copies("sftp", "-b", "-", "{gate}")),
    ("scp from there", _copies("scp", "{gate}:/etc/passwd", "{own}")),
    ("scp from there, by the old protocol", _copies("scp", "-O", "{gate}:/etc/passwd", "{own}")),
    ("scp to there", _copies("scp", "/etc/hostname", "{gate}:{c}")),
    ("scp to there, by the old protocol", _copies("scp", "-O", "/etc/hostname", "{gate}:{c}")),
)


@contextmanager
def _gate(database: Database, settings: Settings, folder: Path) -> Iterator[Gate]:
    """A gate with one client, whose machine this is; whoever gets through is seen."""
    assert settings.neo4j_uri is not None
    assert settings.neo4j_password is not None
    address = read_address(settings.neo4j_uri)
    host, _, port = address.place.rpartition(":")
    bare = {name: value for name, value in outside().items() if name in ("PATH", "LANG", "DMCHECK_BUCKETS_PER_CLIENT")}
    ours = {
        **bare,
        "NEO4J_URI": settings.neo4j_uri,
        "NEO4J_USERNAME": settings.neo4j_username,
        "NEO4J_PASSWORD": settings.neo4j_password,
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DMCHECK_GATE_REQUESTS_PER_MINUTE": "1000000",
        "DMCHECK_GATE_CONNECTIONS_PER_KEY": "50",
    }
    evil = folder / "evil"
    evil.mkdir()
    canary = folder / "canary"
    (evil / "sitecustomize.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (evil / "sh").write_text(f"touch {canary}\n")
    (evil / "dmcheck").mkdir()
    (evil / "dmcheck" / "env").write_text("NEO4J_URI=bolt://127.0.0.1:1\n")
    # The path of a socket must be short.
    with Sshd(folder / "sshd", ours) as sshd, tempfile.TemporaryDirectory(prefix="dmcheck-") as sockets:
        volunteer = sshd.volunteer("volunteer")
        subprocess.run(
            [*launcher("dmcheck"), "gate", "add", f"--client={CLIENT}", "--screen-name=volunteer"],
            env={**os.environ, **ours, "DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys)},
            input=sshd.key_of("volunteer").read_bytes(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        secrets = (
            settings.neo4j_password,
            address.place,
            f":{port}",
            "root:x:0:0",
            "restrict,command",
            str(folder / "state"),
            f"{getpass.getuser()}:x:",
        )
        gate = Gate(sshd, folder, volunteer, canary, secrets, database, (host, int(port)), sockets)
        try:
            yield gate
        finally:
            gate.ssh("-O", "exit")


if __name__ == "__main__":
    sys.exit("python scripts/prove.py hostile")
