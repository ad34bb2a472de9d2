"""Settings: the environment, then a .env in the current folder, then defaults; what cannot be read is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings

ALL = {setting.metadata["name"]: setting for setting in fields(Settings)}
NUMBERS = {name: setting for name, setting in ALL.items() if isinstance(setting.default, int)}
BAD = ("x", "1.5", "-1", "+1", "1e3", "1_000", "0x10", "1 000", "\u0661\u0662", "1\u00b2", "True", "9" * 5000, "9" * 20)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and an empty current folder."""
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
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
    monkeypatch.setenv(name, "17")
    changed: dict[str, Any] = {ALL[name].name: 17 if name in NUMBERS else "17"}
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


def test_dotenv_fills_in_what_the_environment_does_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over .env, and .env over the defaults."""
    Path(".env").write_text("DMCHECK_BUCKET_SIZE=7\nDMCHECK_GRACE_SECONDS=8\nNEO4J_PASSWORD='a$b{c}'\n")
    monkeypatch.setenv("DMCHECK_GRACE_SECONDS", "9")
    settings = Settings.load()
    assert (settings.bucket_size, settings.grace_seconds, settings.neo4j_password) == (7, 9, "a$b{c}")


def test_a_dotenv_that_cannot_be_read_is_an_error() -> None:
    """A .env that is no text is not passed over in silence."""
    Path(".env").write_bytes(b"NEO4J_URI=\xff\xfe\n")
    with pytest.raises(NotConfigured, match=r"\.env"):
        Settings.load()


@pytest.mark.parametrize(
    ("content", "password"),
    [(b"secret\n", "secret"), (b"secret\r\nmore\n", "secret"), (b" sp ace ", " sp ace "), ("gehäm".encode(), "gehäm")],
)
def test_the_password_file_holds_it_in_its_first_line(content: bytes, password: str) -> None:
    """Line ends are not part of the password; spaces are."""
    Path("secret").write_bytes(content)
    assert Settings(neo4j_password_file="secret").password() == password


def test_the_password_itself_wins_over_the_file() -> None:
    """With both set, the file is not even read."""
    assert Settings(neo4j_password="one", neo4j_password_file="/does/not/exist").password() == "one"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_password_file_that_cannot_be_read_is_named(content: bytes | None) -> None:
    """A missing file and one that is no text: exit 4, and the message names the variable."""
    if content is not None:
        Path("secret").write_bytes(content)
    with pytest.raises(NotConfigured, match="NEO4J_PASSWORD_FILE"):
        Settings(neo4j_password_file="secret").password()


def test_each_setting_has_a_meaning_and_a_variable_of_its_own() -> None:
    """README's table of variables is made from these."""
    assert len(ALL) == len(fields(Settings))
    for name, setting in ALL.items():
        assert name.startswith(("NEO4J_", "DMCHECK_"))
        assert setting.metadata["meaning"].endswith(".")
