"""The file of keys that sshd reads, `authorized_keys`: which key is which client's.

A line of ours forces a command on its key (`gate run`), and allows it nothing else. All other lines are somebody
else's, and stay as they are, byte for byte. The file is replaced as a whole, under a lock, and is its owner's alone.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dmcheck_cli.embedded.files import locked, make_private_folder, private_opener, sync_folder
from dmcheck_cli.errors import KeyTaken, Malformed, NotConfigured
from dmcheck_cli.settings import Settings, expanded

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16_384
"""The most that OpenSSH takes."""

MAX_KEY_BYTES = 8192
"""A line of a key of 16,384 bits has 2,800."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Some 40,000 keys. sshd reads all of them at each log-in."""

MAX_COMMENT = 100

LOCK_SECONDS = 60.0
"""For another `gate add`, which waits for the database while it holds the lock."""

_UNSAFE = re.compile(r"[^A-Za-z0-9@._+:-]+")
_OURS = re.compile(rb"dmcheck:([0-9]{1,19}):([A-Za-z0-9_]{1,20})(?: ([\x21-\x7e]+))?\s*")
_RUN = re.compile(rb"gate run --client ([0-9]{1,19})(?: --key (SHA256:[A-Za-z0-9+/]{43}))?$")
"""The command that a line forces. Those of earlier releases name no key."""
_BASE64 = re.compile(rb"AAAA[A-Za-z0-9+/]{16,}={0,2}")


@dataclass(frozen=True)
class Key:
    """A public key. `blob`: its bytes, which are compared; `comment`: what may be kept of the one that it came with."""

    type: str
    blob: bytes
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Line:
    """A line of ours: the key of a client."""

    client: int
    screen_name: str
    key: Key

    def document(self) -> dict[str, object]:
        """As it stands in JSON."""
        names = {"client": self.client, "screen_name": self.screen_name}
        return {**names, "fingerprint": self.key.fingerprint, "comment": self.key.comment}


def read_key(raw: bytes) -> Key:
    """The public key in a text as `ssh-keygen` writes it to a file `.pub`: one line, which begins with the type.

    Raises Malformed for anything else: options before the type, another kind of key, a certificate, a private key, a
    short RSA key, bytes that are no key.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if b"PRIVATE KEY" in raw:
        raise Malformed(what="This is a private key, which stays with its owner: give the file that ends in .pub")
    lines = [line for line in raw.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if len(lines) != 1 or len(raw) > MAX_KEY_BYTES:
        raise Malformed(what=f"One public key is expected, on one line of at most {MAX_KEY_BYTES} bytes")
    type, text, comment = [*lines[0].decode("latin-1").split(None, 2), "", "", ""][:3]
    if type not in _KINDS:
        from dmcheck_cli.domain.documents import shown  # which reading the file for each connection does without

        kinds = ", ".join(_KINDS)
        raise Malformed(
            what=f"A public key begins with its type ({kinds}), without options before it; not {shown(type)}"
        )
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:  # also where it is not ASCII
        blob = b""
    if base64.b64encode(blob).decode() != text:
        raise Malformed(what=f"What follows {type} is no key")
    if (wrong := _wrong(type, blob)) is not None:
        raise Malformed(what=f"This is no key of type {type} that is taken: {wrong}")
    return Key(type, blob, _UNSAFE.sub("-", comment.strip())[:MAX_COMMENT].strip("-"))


def path_of(settings: Settings) -> Path:
    """The file: DMCHECK_AUTHORIZED_KEYS, else that of the account. Raises NotConfigured where it has no home."""
    return expanded("DMCHECK_AUTHORIZED_KEYS", settings.authorized_keys or "~/.ssh/authorized_keys")


def read(path: Path) -> list[Line]:
    """Our lines of the file; none where there is no file. Raises NotConfigured when it cannot be read or trusted."""
    return [line for line in map(_line, _content(path).splitlines()) if line is not None]


class Keys:
    """The file while its lock is held (`editing`). Nothing is written before the block has ended."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def lines(self) -> list[Line]:
        """Our lines."""
        return [line for line in map(_line, self.content.splitlines()) if line is not None]

    def check(self, client: int, key: Key) -> None:
        """Raises KeyTaken when the key is another client's, or has a line that is not ours: sshd takes the first."""
        for number, raw in enumerate(self.content.splitlines(), 1):
            line = _line(raw)
            if line is not None and line.key.blob == key.blob and line.client != client:
                raise KeyTaken(owner=f"client {line.client}'s", remedy=f"`dmcheck gate remove --client {line.client}`")
            if line is None and key.blob in _blobs(raw):
                raise KeyTaken(owner=f"in line {number} already, which is not dmcheck's", remedy="whoever wrote that")

    def add(self, client: int, screen_name: str, key: Key) -> None:
        """Put a line at the end; where the key has one already, it gets the client's name of today. Raises what
        `check` raises."""
        self.check(client, key)
        for raw in self.content.splitlines(keepends=True):
            if (line := _line(raw)) is not None and line.key.blob == key.blob:
                before, now = f"dmcheck:{client}:{line.screen_name}", f"dmcheck:{client}:{screen_name}"
                self.content = self.content.replace(raw, raw.replace(before.encode(), now.encode()))
                return
        if self.content and not self.content.endswith(b"\n"):
            self.content += b"\n"
        name = f"dmcheck:{client}:{screen_name}" + (f" {key.comment}" if key.comment else "")
        self.content += f"{_options(client, key)} {key.type} {base64.b64encode(key.blob).decode()} {name}\n".encode()

    def remove(self, client: int) -> int:
        """Take out all lines of a client; returns how many there were."""
        lines = self.content.splitlines(keepends=True)
        kept = [raw for raw in lines if (line := _line(raw)) is None or line.client != client]
        self.content = b"".join(kept)
        return len(lines) - len(kept)


def forget(path: Path, client: int) -> int:
    """Take out all lines of a client, if the file has any; returns how many. Raises what `editing` raises."""
    if not any(line.client == client for line in read(path)):
        return 0
    with editing(path) as held:
        return held.remove(client)


@contextmanager
def editing(path: Path) -> Iterator[Keys]:
    """The file, to be changed by the block. What the block made of it is written at its end, unless it raises.

    Raises NotConfigured when the file or its folder cannot be trusted or written, Temporary while another process keeps
    the lock.
    """
    try:
        make_private_folder(path.parent)
        _refuse_shared(path.parent, "its folder")
        with locked(path.parent, LOCK_SECONDS):
            before = _content(path)
            keys = Keys(before)
            yield keys
            if keys.content != before:
                _replace(path, keys.content)
    except OSError as error:
        raise _unusable(path, f"{error.strerror}") from error


def _options(client: int, key: Key) -> str:
    """What a key of a client is allowed: to run this, whatever it asks for."""
    command = f"{shlex.join(_program())} gate run --client {client} --key {key.fingerprint}"
    if not command.isprintable():
        raise NotConfigured(what="dmcheck lies in a folder whose name sshd cannot be told: install it in another")
    escaped = command.replace('"', '\\"')
    return f'restrict,command="{escaped}"'


def _program() -> list[str]:
    """How this very dmcheck is called, from any folder."""
    beside = Path(sys.executable).with_name("dmcheck")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "dmcheck_cli"]


def _line(raw: bytes) -> Line | None:
    """What a line says, if it is ours: it forces `gate run` on its key, for the client that its comment names."""
    options, rest = _split(raw.strip())
    type, _, rest = rest.partition(b" ")
    text, _, comment = rest.strip().partition(b" ")
    named, forced = _OURS.fullmatch(comment.strip()), _RUN.search(_forced(options))
    if options.startswith(b"#") or named is None or forced is None or named[1] != forced[1]:
        return None
    try:
        key = Key(type.decode(), base64.b64decode(text, validate=True), (named[3] or b"").decode())
    except ValueError:
        return None
    if forced[2] is not None and forced[2].decode() != key.fingerprint:
        return None
    return Line(int(named[1]), named[2].decode(), key)


def _split(line: bytes) -> tuple[bytes, bytes]:
    """The options of a line, and the rest. A blank between quotes ends no options (sshd(8))."""
    quoted = False
    for at, one in enumerate(line):
        if one == ord('"') and line[at - 1 : at] != b"\\":
            quoted = not quoted
        elif one in b" \t" and not quoted:
            return line[:at], line[at:].strip()
    return b"", line


def _forced(options: bytes) -> bytes:
    found = re.search(rb'(?:^|,)command="((?:[^"\\]|\\.)*)"', options)
    return found[1] if found is not None else b""


def _blobs(raw: bytes) -> list[bytes]:
    """All that could be a key in a line that is not ours, and no comment."""
    if raw.lstrip().startswith(b"#"):
        return []
    found = []
    for text in _BASE64.findall(raw):
        bare = text.rstrip(b"=")
        try:
            found.append(base64.b64decode(bare + b"=" * (-len(bare) % 4)))
        except binascii.Error:
            continue
    return found


def _content(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    except OSError as error:
        why = "it is a link; name the file itself" if path.is_symlink() else error.strerror
        raise _unusable(path, str(why)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unusable(path, "it is no file")
        _refuse_shared(path, "it")
        _refuse_shared(path.parent, "its folder")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise _unusable(path, f"it has more than {MAX_FILE_BYTES} bytes")
    return content


def _refuse_shared(path: Path, what: str) -> None:
    """Whoever can write the file can log in as this account; sshd ignores such a file."""
    about = os.stat(path)
    if about.st_mode & 0o022:
        raise _unusable(path, f"others may write to {what}; `chmod go-w {shlex.quote(str(path))}` ends that")
    if about.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        raise _unusable(path, f"{what} belongs to another account")


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one. It stays its owner's, whoever runs this: sshd reads it as that."""
    owner = os.stat(path if path.exists() else path.parent)
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    with open(temporary, "xb", opener=private_opener) as file:
        file.write(content)
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def _unusable(path: Path, why: str) -> NotConfigured:
    return NotConfigured(what=f"{path} cannot be used for keys (DMCHECK_AUTHORIZED_KEYS): {why}")


def _wrong(type: str, blob: bytes) -> str | None:
    """What is wrong with the bytes of a key, None: nothing. They are fields, each with its length before it."""
    parts, left = [], blob
    while left:
        size = int.from_bytes(left[:4], "big")
        parts.append(left[4 : 4 + size])
        if len(left) < 4 + size:
            return "it is cut off"
        left = left[4 + size :]
    wanted = (type, *_KINDS[type])
    if len(parts) != len(wanted):
        return "it has more or less than it must have"
    for part, kind in zip(parts, wanted, strict=True):
        if not (_FIELDS[kind](part) if kind in _FIELDS else part == kind.encode()):
            return f"its {kind} is not right"
    if type == "ssh-rsa" and not MIN_RSA_BITS <= int.from_bytes(parts[2], "big").bit_length() <= MAX_RSA_BITS:
        return f"it must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
    return None


def _is_number(part: bytes) -> bool:
    """Whether it is a number above 0, in as few bytes as it needs."""
    return b"\1" <= part[:1] < b"\x80" or (part[:1] == b"\0" and part[1:2] >= b"\x80")


_FIELDS: dict[str, Callable[[bytes], bool]] = {
    "value of 32 bytes": lambda part: len(part) == 32,
    "application": lambda part: 0 < len(part) <= 255 and part.isascii() and part.decode().isprintable(),
    "number": _is_number,
    "point of 65 bytes": lambda part: len(part) == 65 and part[0] == 4,
    "point of 97 bytes": lambda part: len(part) == 97 and part[0] == 4,
    "point of 133 bytes": lambda part: len(part) == 133 and part[0] == 4,
}
"""The fields of keys that are not fixed texts."""

_KINDS: dict[str, tuple[str, ...]] = {
    "ssh-ed25519": ("value of 32 bytes",),
    "sk-ssh-ed25519@openssh.com": ("value of 32 bytes", "application"),
    "ecdsa-sha2-nistp256": ("nistp256", "point of 65 bytes"),
    "ecdsa-sha2-nistp384": ("nistp384", "point of 97 bytes"),
    "ecdsa-sha2-nistp521": ("nistp521", "point of 133 bytes"),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", "point of 65 bytes", "application"),
    "ssh-rsa": ("number", "number"),
}
"""The types of keys that are taken, and the fields of each after its name."""
