"""Settings: the environment, then a .env in the current folder, then defaults; what cannot be read is named."""

from __future__ import annotations

import json
import os
import pwd
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dmcheck_cli import cli, entry, textfile
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import PATHS, Settings, expanded, load_with_sources, variables

ALL = {setting.metadata["name"]: setting for setting in variables()}
NUMBERS = {name: setting for name, setting in ALL.items() if isinstance(setting.default, int)}
BAD = ("x", "1.5", "-1", "+1", "1e3", "1_000", "0x10", "1 000", "\u0661\u0662", "1\u00b2", "True", "9" * 5000, "9" * 20)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and an empty current folder."""
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_contract() -> None:
    """Without anything set, the numbers of the contract hold."""
    settings = Settings.load()
    assert settings == Settings()
    numbers = (settings.bucket_size, settings.max_users_per_run, settings.lease_seconds, settings.grace_seconds)
    assert numbers == (180, 18_000, 7200, 900)
    assert (settings.starved_seconds, settings.timeout_seconds) == (86_400, 30)
    assert (settings.neo4j_uri, settings.neo4j_username, settings.password()) == (None, "neo4j", None)


@pytest.mark.parametrize("name", ALL)
def test_each_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's value, and nobody else's, is the setting's."""
    value = min(ALL[name].metadata["most"], 17) if name in NUMBERS else "17"
    monkeypatch.setenv(name, str(value))
    changed: dict[str, Any] = {ALL[name].name: value}
    assert Settings.load() == Settings(**changed)


@pytest.mark.parametrize("bad", BAD, ids=ascii)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_read_is_named(name: str, bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number, a fraction, a negative or a too large one: exit 4, and the message names the variable."""
    monkeypatch.setenv(name, bad)
    with pytest.raises(NotConfigured, match=name):
        Settings.load()


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_have_bounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds themselves are taken, one beyond is not."""
    least, most = NUMBERS[name].metadata["least"], NUMBERS[name].metadata["most"]
    for value in (least, most):
        monkeypatch.setenv(name, str(value))
        assert getattr(Settings.load(), NUMBERS[name].name) == value
    for value in (least - 1, most + 1):
        monkeypatch.setenv(name, str(value))
        with pytest.raises(NotConfigured, match=name):
            Settings.load()


@pytest.mark.parametrize(
    "name", ["DMCHECK_LEASE_SECONDS", "DMCHECK_GRACE_SECONDS", "DMCHECK_STARVED_SECONDS", "DMCHECK_MAX_USERS_PER_RUN"]
)
def test_zero_is_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of the jobs are whole seconds from 0 up, so that everything can expire at once."""
    monkeypatch.setenv(name, "0")
    assert getattr(Settings.load(), NUMBERS[name].name) == 0


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """`NAME=` in a crontab or a unit file means the default."""
    for name in ALL:
        monkeypatch.setenv(name, "")
    assert Settings.load() == Settings()
    Path(".env").write_text("DMCHECK_GATE=dmcheck@host\nDMCHECK_HOME=\n")
    assert Settings.load() == Settings(gate="dmcheck@host")


def test_dotenv_fills_in_what_the_environment_does_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over .env, and .env over the defaults."""
    Path(".env").write_text("DMCHECK_BUCKET_SIZE=7\nDMCHECK_GRACE_SECONDS=8\nNEO4J_PASSWORD='a$b{c}'\n")
    monkeypatch.setenv("DMCHECK_GRACE_SECONDS", "9")
    settings = Settings.load()
    assert (settings.bucket_size, settings.grace_seconds, settings.neo4j_password) == (7, 9, "a$b{c}")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"A=1\nNEO4J_URI=\xff\xfe\n", "line 2"),
        (b"# two blank lines\n\n  \nNEO4J_URI: bolt://somewhere\n", "line 4"),
        (b"A=1\r\n\r\nNEO4J_URI='bolt://somewhere\r\n", "line 3"),
        (b"NEO4J_URI bolt://somewhere\n", "line 1"),
        (b"A=1\n\xef\xbb\xbfNEO4J_URI=bolt://somewhere\n", "line 2"),  # two files with marks, one after the other
        ("A=1\n\n\u200bNEO4J_URI=bolt://somewhere\n".encode(), "line 3"),
        (b"A\nB=2\n\nNEO4J_URI\n", "line 4"),
        (b"A=1\nNEO4J_URI=bolt://some\0where\n", "line 2"),
        ("NEO4J_URI=bolt://somewhere\n".encode("utf-16-le"), "line 1"),
        (b"A=1\n" * 300_000, "more than"),
    ],
    ids=[
        "encoding",
        "yaml",
        "quote",
        "blank",
        "mark",
        "unseen",
        "no value",
        "null",
        "utf-16 without a mark",
        "endless",
    ],
)
def test_a_dotenv_that_cannot_be_read_is_an_error(content: bytes, line: str) -> None:
    """A line that cannot be parsed, and what is no text, is named with its file and line, never passed over."""
    Path(".env").write_bytes(content)
    with pytest.raises(NotConfigured, match=rf"\.env cannot be read:.* {line}"):
        Settings.load()


def _folder() -> None:
    Path(".env").mkdir()


def _dead_link() -> None:
    Path(".env").symlink_to("/not/mounted/secrets.env")


def _loop() -> None:
    Path(".env").symlink_to(".env")


def _device() -> None:
    Path(".env").symlink_to("/dev/zero")


def _silent_pipe() -> None:
    os.mkfifo(".env")


@pytest.mark.parametrize("make", [_folder, _dead_link, _loop, _device, _silent_pipe])
def test_whatever_is_called_dotenv_is_read_or_is_an_error(
    make: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a dead link, a loop of links, a device without an end, a pipe that nobody writes to: exit 4."""
    monkeypatch.setattr(textfile, "MAX_SECONDS", 0.5)
    make()
    with pytest.raises(NotConfigured, match=r"\.env cannot be read"):
        Settings.load()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_dotenv_is_read_with_or_without_a_byte_order_mark(encoding: str) -> None:
    """The mark, which editors of Windows write, is no part of the first variable's name."""
    Path(".env").write_text("NEO4J_URI=bolt://höst\r\nexport DMCHECK_BUCKET_SIZE=7 # so many\r\n", encoding)
    assert (Settings.load().neo4j_uri, Settings.load().bucket_size) == ("bolt://höst", 7)


def test_a_named_pipe_is_read_whole() -> None:
    """As password managers mount a .env: written again for each reader, in pieces, after a while."""
    os.mkfifo(".env")

    def write() -> None:
        with open(".env", "w") as pipe:
            pipe.write("NEO4J_URI=bolt://some")
            pipe.flush()
            time.sleep(0.3)
            pipe.write("where\nNEO4J_PASSWORD=secret\n")

    writer = threading.Thread(target=write)
    writer.start()
    settings = Settings.load()
    writer.join()
    assert (settings.neo4j_uri, settings.password()) == ("bolt://somewhere", "secret")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may search every folder; tests/acceptance/test_surroundings.py")
def test_a_folder_that_may_not_be_searched_has_no_dotenv(tmp_path: Path) -> None:
    """Nothing can be seen there, so there is nothing that was passed over."""
    tmp_path.chmod(0)
    try:
        assert Settings.load() == Settings()
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_gone_has_no_dotenv(tmp_path: Path) -> None:
    """The current folder may have been deleted."""
    tmp_path.rmdir()
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("outside", "dotenv", "password"),
    [
        ({"NEO4J_PASSWORD_FILE": "secret"}, "NEO4J_PASSWORD=weaker\n", "from the file"),
        ({"NEO4J_PASSWORD": "stronger"}, "NEO4J_PASSWORD_FILE=secret\n", "stronger"),
        ({"NEO4J_PASSWORD": ""}, "NEO4J_PASSWORD_FILE=secret\n", "from the file"),
        ({}, "NEO4J_PASSWORD_FILE=secret\nNEO4J_PASSWORD=itself\n", "itself"),
    ],
)
def test_the_stronger_source_has_the_say_over_the_password(
    outside: dict[str, str], dotenv: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two variables for one thing, whichever the environment has wins over both of .env."""
    _private(b"from the file\n")
    Path(".env").write_text(dotenv)
    for name, value in outside.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().password() == password


TEXTS = [name for name in ALL if name not in NUMBERS and name not in PATHS and name != "NEO4J_PASSWORD"]


@pytest.mark.parametrize("bad", ["bolt://\u009bhost", "a\u202eb", "a\nb", "a\x1b[2Jb", "a\udc9bb"], ids=ascii)
@pytest.mark.parametrize("name", TEXTS)
def test_no_control_characters_in_a_setting(name: str, bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with them, or with bytes that are no UTF-8, is refused by name, and not repeated."""
    monkeypatch.setenv(name, bad)
    with pytest.raises(NotConfigured, match=f"^{name} has characters that it cannot have") as found:
        Settings.load()
    assert found.value.message.isprintable()


def test_a_password_may_be_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters too; but what is no UTF-8 could not be sent."""
    monkeypatch.setenv("NEO4J_PASSWORD", "a\u009b\n\tb")
    assert Settings.load().password() == "a\u009b\n\tb"
    monkeypatch.setenv("NEO4J_PASSWORD", "secret\udcff")
    with pytest.raises(NotConfigured, match=r"^NEO4J_PASSWORD has characters that it cannot have") as found:
        Settings.load()
    assert "secret" not in found.value.message


@pytest.mark.parametrize("home", [None, "", "relative/home", "/not/there", "file"])
def test_a_home_folder_that_is_missing_or_mistyped_is_named(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` never becomes a folder of that name, nor one in the current folder."""
    Path("file").touch()
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])  # an account without an entry, as containers have
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    with pytest.raises(NotConfigured, match=r"^DMCHECK_HOME lies in a home folder"):
        expanded("DMCHECK_HOME", "~/x")
    with pytest.raises(NotConfigured, match="NEO4J_PASSWORD_FILE"):
        Settings(neo4j_password_file="~/secret").password()


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HOME, else the account's; another account's must exist; what has no `~` is left alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("X", "~/a/b") == tmp_path / "a" / "b"
    assert expanded("X", "~") == tmp_path
    assert expanded("X", "a/~b") == Path("a/~b")
    with pytest.raises(NotConfigured, match="no account 'nobody-of-that-name'"):
        expanded("X", "~nobody-of-that-name/a")
    monkeypatch.setenv("HOME", "")
    assert expanded("X", "~") == Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret\n", "secret"),
        (b"secret\r\nmore\n", "secret"),
        (b" sp ace ", " sp ace "),
        ("gehäm".encode(), "gehäm"),
        ("gehäm\r\n".encode("utf-8-sig"), "gehäm"),
        ("gehäm\r\n".encode("utf-16"), "gehäm"),
    ],
)
def test_the_password_file_holds_it_in_its_first_line(content: bytes, password: str) -> None:
    """Line ends are not part of the password; spaces are."""
    _private(content)
    assert Settings(neo4j_password_file="secret").password() == password


def test_the_password_itself_wins_over_the_file() -> None:
    """With both set, the file is not even read."""
    assert Settings(neo4j_password="one", neo4j_password_file="/does/not/exist").password() == "one"


def test_a_password_that_comes_by_a_pipe_is_read_once() -> None:
    """As from `<(command)` in a shell: every later log-in of the same command has it too."""
    os.mkfifo("secret")
    writer = threading.Thread(target=Path("secret").write_text, args=("once\n",))
    writer.start()
    Path(".env").write_text("NEO4J_PASSWORD_FILE=secret\n")
    settings = Settings.load()
    writer.join()
    assert [settings.password(), settings.password()] == ["once", "once"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff", b"\xff", b"", b"\nsecret\n"])
def test_a_password_file_that_cannot_be_read_is_named(content: bytes | None) -> None:
    """A missing file, one that is no text, an empty first line: exit 4, and the message names the variable."""
    if content is not None:
        _private(content)
    with pytest.raises(NotConfigured, match=r"NEO4J_PASSWORD_FILE cannot be (read|used: its first line)"):
        Settings(neo4j_password_file="secret").password()


@pytest.mark.parametrize(
    ("mode", "others", "roots"),
    [(0o600, True, True), (0o400, True, True), (0o640, False, True), (0o440, False, True), (0o620, False, False)]
    + [(mode, False, False) for mode in (0o604, 0o644, 0o660, 0o601, 0o777)],
)
def test_a_password_file_that_others_may_read_is_refused(mode: int, others: bool, roots: bool) -> None:
    """As libpq does: only its owner may read it, or the group of one that is root's. Its content is not shown."""
    _private(b"geheim\n").chmod(mode)
    if os.geteuid() == 0:
        for owner, good in ((12345, others), (0, roots)):
            os.chown("secret", owner, -1)
            _used_or_refused(mode, good)
    elif mode & 0o400:
        _used_or_refused(mode, others)


def _used_or_refused(mode: int, good: bool) -> None:
    settings = Settings(neo4j_password_file="secret")
    if good:
        assert settings.password() == "geheim"
        return
    with pytest.raises(NotConfigured, match=rf"others may read 'secret' \(mode {mode:04o}\); `chmod 600`") as found:
        settings.password()
    assert "geheim" not in str(found.value)


def _private(content: bytes) -> Path:
    """A file `secret` that only its owner may read."""
    file = Path("secret")
    file.touch(0o600)
    file.write_bytes(content)
    return file


def test_each_setting_has_a_meaning_and_a_variable_of_its_own() -> None:
    """The reference's table of variables is made from these."""
    assert len(ALL) == len(variables())
    for name, setting in ALL.items():
        assert name.startswith(("NEO4J_", "DMCHECK_"))
        assert setting.metadata["meaning"].endswith(".")


class TestOfTheUser:
    """The file `dmcheck/env` in the user's configuration folder."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Where it would be."""
        path = tmp_path / "configuration" / "dmcheck" / "env"
        path.parent.mkdir(parents=True)
        return path

    def test_it_is_the_weakest(self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Environment, `.env`, this file, default; each setting with its source."""
        file.write_text("NEO4J_URI=bolt://own\nNEO4J_DATABASE=own\nDMCHECK_LEASE_SECONDS=1\nNEO4J_PASSWORD=own\n")
        (tmp_path / ".env").write_text("NEO4J_URI=bolt://dotenv\nDMCHECK_LEASE_SECONDS=2\n")
        monkeypatch.setenv("DMCHECK_LEASE_SECONDS", "3")
        settings, sources = load_with_sources()
        assert (settings.neo4j_uri, settings.neo4j_database, settings.lease_seconds) == ("bolt://dotenv", "own", 3)
        assert sources["NEO4J_URI"] == ".env"
        assert sources["NEO4J_DATABASE"] == sources["NEO4J_PASSWORD"] == str(file)
        assert sources["DMCHECK_LEASE_SECONDS"] == "environment"
        assert "NEO4J_USERNAME" not in sources

    def test_a_value_that_cannot_be_used_is_named_with_its_source(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Anyone who has three places to look at is told which it is."""
        wrong = "DMCHECK_LEASE_SECONDS=soon\n"
        told = "DMCHECK_LEASE_SECONDS must be a whole number .* not 'soon' .it comes from {}"
        file.write_text(wrong)
        with pytest.raises(NotConfigured, match=told.format(re.escape(str(file)))):
            load_with_sources()
        (tmp_path / ".env").write_text(wrong)
        with pytest.raises(NotConfigured, match=told.format(re.escape(".env"))):
            load_with_sources()
        monkeypatch.setenv("DMCHECK_LEASE_SECONDS", "soon")
        with pytest.raises(NotConfigured, match=told.format("the environment")):
            load_with_sources()

    def test_what_cannot_be_read_is_an_error(self, file: Path) -> None:
        """With the file's path; a file that is not there is none."""
        assert Settings.load() == Settings()
        file.write_text("no value\n")
        with pytest.raises(NotConfigured, match=f"{file}.*line 1"):
            Settings.load()

    def test_its_folder_is_in_the_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where XDG_CONFIG_HOME is not set or not absolute."""
        monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr("sys.platform", "linux")
        path = tmp_path / ".config" / "dmcheck" / "env"
        path.parent.mkdir(parents=True)
        path.write_text("DMCHECK_LEASE_SECONDS=9\n")
        assert Settings.load().lease_seconds == 9


def test_the_command_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Not inside an address either; nothing is started, and no database is needed."""
    monkeypatch.setenv("NEO4J_URI", "bolt://me:se/cret@host:7687?password=secret")
    monkeypatch.setenv("NEO4J_PASSWORD", "secret")
    monkeypatch.setenv("DMCHECK_JARS_URL", "https://me:secret@mirror/jars")
    assert entry.run(cli.app, ["settings", "--json"]) == 0
    text = capsys.readouterr().out
    assert "cret" not in text
    document = json.loads(text)
    assert document["database"] == {"uri": "bolt://host:7687", "embedded": False, "home": None}
    shown = {row["name"]: (row["value"], row["source"]) for row in document["settings"]}
    assert shown.keys() == ALL.keys()
    assert shown["NEO4J_PASSWORD"] == ("(hidden)", "environment")
    assert shown["DMCHECK_BUCKET_SIZE"] == (180, "default")
    monkeypatch.delenv("NEO4J_URI")
    monkeypatch.setenv("DMCHECK_HOME", str(tmp_path / "home"))
    assert entry.run(cli.app, ["settings", "--json"]) == 0
    database = json.loads(capsys.readouterr().out)["database"]
    assert database == {"uri": None, "embedded": True, "home": str(tmp_path / "home")}
    assert not (tmp_path / "home").exists()
