"""README says all that there is, and nothing that is not there."""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from dmcheck_cli import cli, errors
from dmcheck_cli.settings import variables
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
EVERYWHERE = {"--json", "--format", "--help"}
JOBS = {
    "dmcheck-make-buckets": make_buckets.program,
    "dmcheck-reclaim-leases": reclaim_leases.program,
    "dmcheck-raise-starved": raise_starved.program,
    "dmcheck-judge-clients": judge_clients.program,
}


def commands(group: Any, path: str = "dmcheck") -> Iterator[tuple[str, Any]]:
    """Every command under a group, with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def options(command: Any) -> set[str]:
    """The long names of a command's options."""
    names = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
    return {name for name in names if name.startswith("--")} | {"--help"}


def blocks(language: str) -> list[str]:
    """The contents of README's fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """The text under a heading, down to the next one of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[2]


def tracked() -> list[Path]:
    """The files that belong to the project, by git: what it tracks, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


COMMANDS = dict(commands(get_command(cli.app)))
SYNOPSES = {re.match("dmcheck( [a-z]+)+", line)[0]: line for line in blocks("text")[0].splitlines()}  # type: ignore[index]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_synopsis_with_exactly_its_options(name: str) -> None:
    """No option is missing, none is there that the command does not take."""
    shown = set(re.findall(r"--[a-z-]+", SYNOPSES[name]))
    assert shown == options(COMMANDS[name]) - EVERYWHERE


def test_the_synopses_name_no_other_commands() -> None:
    """What README lists can be run."""
    assert SYNOPSES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_explained_and_has_an_example(name: str) -> None:
    """The table of commands has it."""
    word = name.removeprefix("dmcheck ")
    row = [line for line in section("Commands").splitlines() if re.match(rf"\| `{word.split()[0]}\b", line)]
    assert row
    assert any(word in line or all(f"`{part}" in line for part in word.split()[1:]) for line in row)
    assert all("`dmcheck " in line for line in row)


@pytest.mark.parametrize("option", sorted(EVERYWHERE))
def test_the_options_of_every_command_are_explained_once(option: str) -> None:
    """--json, --format and --help are named below the synopses, and every command does take them."""
    assert f"`{option}" in section("Commands")
    assert all(option in options(command) for command in COMMANDS.values())


@pytest.mark.parametrize("name", JOBS)
def test_each_job_and_its_options_appear(name: str) -> None:
    """The section on jobs has all of them, and each option of theirs."""
    assert f"`{name}`" in section("Jobs")
    for option in options(get_command(JOBS[name])) - {"--help"}:
        assert f"`{option}`" in section("Jobs")


def test_the_table_of_settings_is_what_the_settings_say() -> None:
    """Each variable with its default and its meaning, in their order, and no other."""
    expected = []
    for one in variables():
        default = "" if one.default is None else f"`{one.default}`"
        expected.append(f"| `{one.metadata['name']}` | {default} | {one.metadata['meaning']} |".replace("|  |", "| |"))
    shown = [line for line in section("Settings").splitlines() if line.startswith("| `")]
    assert shown == expected, "\n".join(expected)


def test_every_code_stands_in_the_row_of_its_exit_status() -> None:
    """The table of outcomes is that of errors.py, and nothing else."""
    rows = re.findall(r"^\| (\d+) \|.*?\| ([^|]*) \|$", section("How commands end"), re.MULTILINE)
    shown = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    ours = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.DmcheckError)]
    assert shown == {(one.exit_status, one.code) for one in ours if one is not errors.DmcheckError}
    assert {
        int(status) for status, _ in re.findall(r"^\| (\d+) \| (.)", section("How commands end"), re.MULTILINE)
    } == {
        0,
        errors.REFUSED,
        errors.MALFORMED,
        errors.NOTHING,
        errors.NOT_CONFIGURED,
        errors.BUG,
        errors.TEMPORARY,
        130,
    }


@pytest.mark.parametrize("command", ["python3 scripts/tour.py", "python3 scripts/test.py"])
def test_the_first_commands_stand_alone_to_be_pasted(command: str) -> None:
    """Each is all of a fenced block in Quick start, and its script is there."""
    assert f"\n```sh\n{command}\n```\n" in section("Quick start")
    assert (ROOT / command.split()[1]).is_file()


def test_the_source_map_names_every_folder_and_module() -> None:
    """And everything that it names exists."""
    shown = section("Source map")
    package = ROOT / "dmcheck_cli"
    modules = [path for path in package.iterdir() if path.suffix == ".py" and path.name != "__init__.py"]
    folders = [path for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"]
    for path in modules:
        assert f"`dmcheck_cli/{path.name}`" in shown
    for path in folders:
        assert f"`dmcheck_cli/{path.name}/`" in shown
    for folder in {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/*.py")}:
        assert f"`tests/{folder}/`" in shown
    for script in (ROOT / "scripts").iterdir():
        assert script.name == "__pycache__" or f"`{script.name}{'/' if script.is_dir() else ''}`" in shown
    for name in re.findall(r"^\| `([\w./]+)` \|", shown, re.MULTILINE):
        assert (ROOT / name).exists()


def test_links_lead_somewhere() -> None:
    """Every link and picture is a file of the project."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_pictures_load_nothing() -> None:
    """They are SVG without an address of a font or of anything else."""
    for picture in (ROOT / "scripts" / "pictures").glob("*.svg"):
        content = picture.read_text("utf-8")
        assert set(re.findall(r"https?://[^\"')\s]+", content)) == {"http://www.w3.org/2000/svg"}
        assert "url(http" not in content


def test_readme_can_be_read_in_one_go() -> None:
    """It stays under 470 lines."""
    assert len(README.splitlines()) < 470


def test_no_file_names_a_registry_or_a_machine() -> None:
    """The project works on machines that reach other registries, from any folder."""
    hosts = ("pypi|org", "pythonhosted|org", "maven|org", "repo1|maven", "npmjs|org", "crates|io", "golang|org")
    texts = [host.replace("|", ".") for host in hosts]
    texts += [
        "/".join(["", *parts]) for parts in (("work", "main"), ("work", "shared"), ("tmp", "dev"), ("opt", "wheels"))
    ]
    found = []
    for path in tracked():
        content = path.read_bytes()
        found += [(str(path.relative_to(ROOT)), text) for text in texts if text.encode() in content]
    assert found == []
