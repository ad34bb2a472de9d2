"""Where the database's password and a checker's token are not: arguments, children, outputs, logs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.graphs import prepare, start, wait_until
from support.programs import Result
from support.working import CLIENT, FILTER, Checker, ended, noted

from dmcheck_cli.database.connection import Database
from dmcheck_cli.embedded.configuration import environment as of_java

pytestmark = pytest.mark.process

Call = Callable[..., Result]

DUMP = "(here / f'env-{os.getpid()}').write_text(json.dumps(dict(os.environ)))\n"
SHOWING = DUMP + "note('up')\nwait_for('go')\n" + FILTER


def shown_by_ps(pid: int) -> str:
    """What everybody on the machine may read of a process; nothing of one that has ended."""
    try:
        return "\0".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_what_work_starts_gets_no_password(
    database: Database, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """COMMAND has no password in its environment; `work`, COMMAND and the guard have none in their arguments."""
    prepare(database, [CLIENT], 4, size=4)
    password = environment["NEO4J_PASSWORD"]
    before = set(psutil.pids())
    loop = ("work", "--json", "--client", CLIENT, "--once", "--", *checker(SHOWING))
    with start({**environment, "X_USER_TOKEN": "its own"}, *loop) as process:
        wait_until(lambda: bool(noted(tmp_path, "up")))
        [command] = noted(tmp_path, "up")
        given = psutil.Process(command).environ()
        shown = {pid: shown_by_ps(pid) for pid in set(psutil.pids()) - before}
        assert {command, process.pid} <= shown.keys()
        assert any(given["DMCHECK_WORK"] in one for one in shown.values()), "the guard"
        assert not any(password in one for one in shown.values())
        assert password not in given.values()
        assert given["X_USER_TOKEN"] == "its own"
        (tmp_path / "go").touch()
        status, summary, _ = ended(process)
    assert (status, summary["users"]) == (0, 4)


def test_a_trial_gets_no_password(run: Call, checker: Checker, environment: dict[str, str], tmp_path: Path) -> None:
    """`work --try` starts COMMAND with the same."""
    (tmp_path / "list").write_text("alpha\n")
    assert run("work", "--try", "list", "--", *checker(DUMP + FILTER)).status == 0
    [given] = [json.loads(file.read_text()) for file in tmp_path.glob("env-*")]
    assert environment["NEO4J_PASSWORD"] not in given.values()
    assert given["NEO4J_URI"] == environment["NEO4J_URI"]


def test_java_gets_no_secret() -> None:
    """The embedded server outlives who started it, and keeps nothing of theirs."""
    given = of_java({"NEO4J_PASSWORD": "a", "NEO4J_URI": "b", "X_USER_TOKEN": "c", "PATH": "/bin"}, Path("/home"))
    assert not {"a", "b", "c"} & set(given.values())
    assert given["PATH"] == "/bin"


SECRET = "geheim-7f3a"
NOWHERE = {"NEO4J_URI": "bolt://127.0.0.1:1", "DMCHECK_TIMEOUT_SECONDS": "1"}
TELLING: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("stats", "--verbose", "--timings"), {}),
    (("stats", "--verbose", "--timings"), NOWHERE),
    (("stats", "--json"), {"NEO4J_USERNAME": "nobody"}),
    (("stats", "--verbose"), {"NEO4J_URI": "bolt://neo4j:{secret}@127.0.0.1:1"}),
    (("stats",), {**NOWHERE, "NEO4J_URI": "neo4j+s://127.0.0.1:1?password={secret}"}),
    (("stats",), {"NEO4J_DATABASE": "nowhere"}),
    (("settings", "--json"), {}),
    (("settings",), {"NEO4J_URI": "bolt://neo4j:{secret}@127.0.0.1:1"}),
    (("doctor", "--deep", "--verbose"), {}),
    (("fetch", "--client", "42", "--verbose"), {}),
    (("work", "--client", "42", "--log-format", "json", "--once", "--", "cat"), {}),
)


@pytest.mark.parametrize(
    ("arguments", "more", "by"),
    [*((*one, "variable") for one in TELLING), *((*TELLING[0], by) for by in ("file", "dotenv"))],
)
def test_no_output_shows_it(
    direct: Call, database: Database, tmp_path: Path, arguments: tuple[str, ...], more: dict[str, str], by: str
) -> None:
    """Neither results, messages, details nor logs, whether the account is accepted or not (a wrong password here)."""
    given: dict[str, str | None] = {"NEO4J_USERNAME": "nobody", **{k: v.format(secret=SECRET) for k, v in more.items()}}
    given["NEO4J_PASSWORD"] = SECRET if by == "variable" else None
    if by == "file":
        (tmp_path / "secret").touch(0o600)
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        given["NEO4J_PASSWORD_FILE"] = "secret"
    elif by == "dotenv":
        (tmp_path / ".env").write_text(f"NEO4J_PASSWORD={SECRET}\n")
    result = direct(*arguments, **given)
    assert result.status in (0, 4, 75)
    assert SECRET not in result.out + result.err
    assert result.out or result.err


@pytest.mark.parametrize("arguments", [one for one, more in TELLING if not more], ids=" ".join)
def test_who_is_let_in_does_not_show_it(
    direct: Call, database: Database, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    """The same with the right password."""
    result = direct(*arguments)
    assert environment["NEO4J_PASSWORD"] not in result.out + result.err


def test_files_of_ours_are_for_us_alone(
    database: Database, run: Call, environment: dict[str, str], checker: Checker, tmp_path: Path
) -> None:
    """What `work` keeps may be read by its account alone, whatever the umask is."""
    prepare(database, [CLIENT], 4, size=4)
    old = os.umask(0)
    try:
        assert run("work", "--client", CLIENT, "--once", "--", *checker(FILTER)).status == 0
    finally:
        os.umask(old)
    files = [path for path in (tmp_path / ".local").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []
