"""The file of keys: what is a key, what a line of ours is, and that other lines stay as they are."""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dmcheck_cli.commands.gate_run import Admission
from dmcheck_cli.errors import KeyTaken, Malformed, NotAdmitted, NotConfigured
from dmcheck_cli.gate import keys
from dmcheck_cli.gate.keys import Key, editing, read, read_key
from dmcheck_cli.settings import Settings

KINDS = (("ed25519", 256), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048), ("rsa", 3072))


def _field(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _text(type: str, *parts: bytes, more: bytes = b"") -> str:
    return f"{type} {base64.b64encode(_field(type.encode(), *parts) + more).decode()}"


POINT = b"\4" + 64 * b"\1"
NUMBER = b"\1\0\1"
GOOD = _text("ssh-ed25519", 32 * b"k")
OTHER = _text("ssh-ed25519", 32 * b"o")
RSA = _text("ssh-rsa", NUMBER, b"\0\x80" + 255 * b"\1")


def _key(text: str) -> Key:
    return read_key(text.encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of keys that is not there yet, nor its folder."""
    return tmp_path / ".ssh" / "authorized_keys"


def _add(path: Path, client: int, text: str, screen_name: str = "volunteer") -> None:
    with editing(path) as held:
        held.add(client, screen_name, _key(text))


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_keys_of_openssh_are_taken(kind: str, bits: int, tmp_path: Path) -> None:
    """With the fingerprint that OpenSSH shows."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-b", str(bits), "-N", "", "-C", "me@host", "-f", tmp_path / "key"], check=True
    )
    key = read_key((tmp_path / "key.pub").read_bytes())
    shown = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], capture_output=True, check=True).stdout
    assert key.fingerprint in shown.decode().split()
    assert key.comment == "me@host"


@pytest.mark.parametrize(
    "text",
    [
        RSA,
        f"\n# mine\n{GOOD} \r\n",
        f"\ufeff{GOOD} me@host\r\n",
        GOOD.replace(" ", "\t"),
        _text("sk-ssh-ed25519@openssh.com", 32 * b"k", b"ssh:"),
        _text("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:dmcheck"),
    ],
)
def test_other_keys_that_are_taken(text: str) -> None:
    """Of a hardware token; with blank lines and comments around."""
    assert _key(text).fingerprint.startswith("SHA256:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        GOOD + "=",
        "ssh-ed25519 !" + GOOD.split()[1],
        GOOD[:-5],
        GOOD + "\n" + OTHER,
        GOOD.replace("ssh-ed25519", "SSH-ED25519"),
        f'command="sh" {GOOD}',
        f"restrict {GOOD}",
        f"cert-authority {GOOD}",
        f"@revoked {GOOD}",
        f"\x00{GOOD}",
        _text("ssh-dss", NUMBER, NUMBER, NUMBER, NUMBER),
        _text("ssh-ed25519-cert-v01@openssh.com", 32 * b"n", 32 * b"k"),
        _text("ssh-rsa", NUMBER, b"\0\x80" + 127 * b"\1"),
        _text("ssh-rsa", NUMBER, b"\0\x80" + 4096 * b"\1"),
        _text("ssh-rsa", NUMBER, b"\0\0\x80" + 255 * b"\1"),
        _text("ssh-rsa", NUMBER, b"\x80" + 255 * b"\1"),
        _text("ssh-rsa", b"", b"\0\x80" + 255 * b"\1"),
        _text("ssh-ed25519", 31 * b"k"),
        _text("ssh-ed25519", 32 * b"k", b"more"),
        _text("ssh-ed25519", 32 * b"k", more=b"\0"),
        _text("ssh-ed25519", 32 * b"k", more=b"\xff\xff\xff\xff"),
        "ssh-ed25519 " + RSA.split()[1],
        _text("ecdsa-sha2-nistp256", b"nistp384", POINT),
        _text("ecdsa-sha2-nistp256", b"nistp256", POINT[:-1]),
        _text("ecdsa-sha2-nistp256", b"nistp256", b"\2" + POINT[1:]),
        _text("sk-ssh-ed25519@openssh.com", 32 * b"k", b""),
        _text("sk-ssh-ed25519@openssh.com", 32 * b"k", b"a\n"),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 " + "A" * 9000,
        "\ud800",
    ],
    ids=lambda text: ascii(text)[1:50],
)
def test_what_is_no_key_is_refused(text: str, path: Path) -> None:
    """Nothing but one key that begins with its type."""
    with pytest.raises(Malformed):
        read_key(text.encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("me@host", "me@host"),
        ("", ""),
        ('my "laptop"; rm -rf ~ \x1b[31m', "my-laptop-rm--rf-31m"),
        ("x" * 500, "x" * 100),
        ("dmcheck:1:other", "dmcheck:1:other"),
        ("\u202e\u00e9", ""),
    ],
)
def test_a_comment_is_kept_in_safe_characters(given: str, kept: str, path: Path) -> None:
    """And a line with it is still the client's own."""
    assert _key(f"{GOOD} {given}").comment == kept
    _add(path, 42, f"{GOOD} {given}")
    assert [(line.client, line.key.comment) for line in read(path)] == [(42, kept)]


def test_a_line_forces_the_gate_and_allows_nothing_else(path: Path) -> None:
    """The very line; file and folder are the owner's alone, whatever the umask."""
    before = os.umask(0)
    try:
        _add(path, 42, f"{GOOD} me@host")
    finally:
        os.umask(before)
    program = Path(sys.executable).with_name("dmcheck")
    assert (
        path.read_text() == f'restrict,command="{program} gate run --client 42 --key {_key(GOOD).fingerprint}" {GOOD} '
        "dmcheck:42:volunteer me@host\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["authorized_keys"]


def test_a_program_in_a_folder_with_odd_characters(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line is still recognised; the shell gets the path as it is."""
    monkeypatch.setattr(keys, "_program", lambda: ['/opt/it\'s "here", $HOME/dmcheck'])
    _add(path, 42, GOOD)
    assert [line.client for line in read(path)] == [42]
    monkeypatch.setattr(keys, "_program", lambda: ["/opt/a\nb/dmcheck"])
    with pytest.raises(NotConfigured):
        _add(path, 43, OTHER)


FOREIGN = (
    b"# the operator's\n",
    b"\n",
    b"ssh-ed25519 " + OTHER.split()[1].encode() + b" operator\r\n",
    b'command="echo gate run --client 42" ' + RSA.encode() + b" \xff\xfe\n",
    b'command="/d gate run --client 42 --key SHA256:' + 43 * b"A" + b'" ' + RSA.encode() + b" dmcheck:42:volunteer\n",
    b"dmcheck:42:volunteer\n",
    b"#" + GOOD.encode() + b" dmcheck:42:volunteer\n",
    b"no newline at the end",
)


def test_other_lines_stay_byte_for_byte(path: Path) -> None:
    """When a key is added, added again, and removed; the last line gets the newline that it lacks."""
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"".join(FOREIGN))
    _add(path, 42, GOOD)
    whole = path.read_bytes()
    assert whole.startswith(b"".join(FOREIGN) + b"\nrestrict,")
    _add(path, 42, GOOD)
    assert path.read_bytes() == whole
    path.write_bytes(b"\r\n".join(whole.splitlines()) + b"\r\n")  # somebody's editor
    assert [line.client for line in read(path)] == [42]
    path.write_bytes(whole)
    with editing(path) as held:
        assert held.remove(42) == 1
        assert held.remove(42) == 0
    assert path.read_bytes() == b"".join(FOREIGN) + b"\n"


def test_a_key_belongs_to_one_client_and_a_client_may_have_several(path: Path) -> None:
    """Also a key that has a line which is not ours: its owner would not come through the gate."""
    _add(path, 42, GOOD)
    _add(path, 42, RSA)
    with pytest.raises(KeyTaken) as taken:
        _add(path, 43, GOOD)
    assert "client 42" in taken.value.message
    assert [line.client for line in read(path)] == [42, 42]
    for foreign in (OTHER, f'from="10.0.0.1" {OTHER} x', f"cert-authority {OTHER}", OTHER.rstrip("=")):
        path.write_text(foreign + "\n")
        with pytest.raises(KeyTaken):
            _add(path, 43, OTHER)
        assert path.read_text() == foreign + "\n"
    path.write_text(f"# {OTHER}\n")
    _add(path, 43, OTHER)


def test_a_line_that_somebody_narrowed_is_still_ours(path: Path) -> None:
    """Options may be added to it; a line whose command or comment names another client is not ours."""
    _add(path, 42, GOOD)
    line = path.read_text()
    path.write_text(line.replace("restrict,", 'restrict,from="10.0.0.0/8",'))
    assert [one.client for one in read(path)] == [42]
    for changed in (line.replace("--client 42", "--client 43"), line.replace(":42:", ":43:"), f"#{line}"):
        path.write_text(changed)
        assert read(path) == []


def test_a_line_gets_the_name_of_today_and_keeps_the_rest(path: Path) -> None:
    """What somebody added to it, and the comment of the key."""
    _add(path, 42, f"{GOOD} me@host", "before")
    narrowed = path.read_text().replace("restrict,", 'restrict,from="10.0.0.0/8",')
    path.write_text(narrowed)
    _add(path, 42, f"{GOOD} another", "today")
    assert path.read_text() == narrowed.replace(":before ", ":today ")
    assert [line.screen_name for line in read(path)] == ["today"]


def test_a_forgotten_client_has_no_key(path: Path) -> None:
    """Whoever has none leaves everything as it is: no file, no folder, nothing that must be trusted to be written."""
    assert keys.forget(path, 42) == 0
    assert not path.parent.exists()
    for client, key in ((42, GOOD), (42, RSA), (43, OTHER)):
        _add(path, client, key)
    assert (keys.forget(path, 42), keys.forget(path, 42)) == (2, 0)
    assert [line.client for line in read(path)] == [43]


def test_files_that_cannot_be_trusted_are_refused(path: Path, tmp_path: Path) -> None:
    """A link, a folder or file that others may write to, what is no file; nothing is changed."""
    path.parent.mkdir(mode=0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    path.symlink_to(elsewhere)
    with pytest.raises(NotConfigured, match="link"):
        _add(path, 42, GOOD)
    path.unlink()
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        make()
        for use in (read, lambda path: _add(path, 42, GOOD)):
            with pytest.raises(NotConfigured, match="cannot be used for keys"):
                use(path)
        path.rmdir() if path.is_dir() else path.unlink()
    path.write_text("")
    path.chmod(0o620)
    with pytest.raises(NotConfigured, match="chmod go-w"):
        _add(path, 42, GOOD)
    with pytest.raises(NotConfigured):
        read(path)
    path.chmod(0o600)
    path.parent.chmod(0o777)
    for use in (read, lambda path: _add(path, 42, GOOD)):
        with pytest.raises(NotConfigured, match="folder"):
            use(path)
    with pytest.raises(NotConfigured, match="/proc/self/mem cannot be used for keys"):
        read(Path("/proc/self/mem"))
    assert path.read_text() == elsewhere.read_text() == ""


def test_a_block_that_raises_changes_nothing(path: Path) -> None:
    """So a client that cannot be registered has no key."""
    _add(path, 42, GOOD)
    before = path.read_bytes()

    def change() -> None:
        with editing(path) as held:
            held.remove(42)
            held.add(43, "volunteer", _key(OTHER))
            held.check(44, _key(OTHER))

    with pytest.raises(KeyTaken):
        change()
    assert path.read_bytes() == before


ADDER = """
import sys
from pathlib import Path
from dmcheck_cli.gate.keys import editing, read_key
for number, text in enumerate(sys.argv[3:]):
    with editing(Path(sys.argv[1])) as held:
        held.add(int(sys.argv[2]) + number, "volunteer", read_key(text.encode()))
"""


def test_several_at_the_same_moment_lose_nothing(path: Path) -> None:
    """Four processes that add ten keys each; a reader in between sees whole lines only."""
    texts = [_text("ssh-ed25519", b"%016d" % number + 16 * b"k") for number in range(40)]
    running = [
        subprocess.Popen([sys.executable, "-c", ADDER, path, str(10 * part + 10), *texts[10 * part : 10 * part + 10]])
        for part in range(4)
    ]
    while any(one.poll() is None for one in running):
        content = path.read_bytes() if path.exists() else b""
        assert content == b"" or content.endswith(b"\n")
    assert [one.wait() for one in running] == [0] * 4
    assert sorted(line.client for line in read(path)) == list(range(10, 50))


def test_a_connection_ends_when_its_keys_are_gone_though_the_client_has_another(path: Path) -> None:
    """A key that is changed for another: the connection that the old one made is over. One that is added ends none."""
    admission = Admission(Settings(authorized_keys=str(path)), 42)
    _add(path, 42, GOOD)
    admission.check()
    _add(path, 42, OTHER)
    admission.check()
    with editing(path) as held:
        assert held.remove(42) == 2
    _add(path, 42, RSA)
    with pytest.raises(NotAdmitted):
        admission.check()
    Admission(Settings(authorized_keys=str(path)), 42).check()


def test_a_key_that_is_taken_out_by_hand_is_out_though_the_client_has_another(path: Path) -> None:
    """Each line says which key it lets in. Those of earlier releases do not: there, any that the client had will do."""
    _add(path, 42, GOOD)
    _add(path, 42, OTHER)
    settings = Settings(authorized_keys=str(path))
    both = [Admission(settings, 42, _key(text).fingerprint) for text in (GOOD, OTHER)]
    either = Admission(settings, 42)
    for one in (*both, either):
        one.check()
    kept = path.read_text().splitlines(keepends=True)[1]
    path.write_text(re.sub(' --key [^"]*', "", kept))
    assert [line.key.blob for line in read(path)] == [_key(OTHER).blob]
    either.check()
    both[1].check()
    with pytest.raises(NotAdmitted):
        both[0].check()
