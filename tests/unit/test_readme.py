"""README and the pages beside the code say all that there is, and nothing that is not there."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import costs
import pytest
import reference
import typer
from typer.main import get_command

from dmcheck_cli import errors
from dmcheck_cli.domain.policy.flags import FLAGS

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
JOBS = {
    name: import_module(place.partition(":")[0]).program for name, place in SCRIPTS.items() if place.startswith("jobs.")
}


def options(command: Any) -> set[str]:
    """The long names of a command's options."""
    names = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
    return {name for name in names if name.startswith("--")} | {"--help"}


def section(page: Path, title: str) -> str:
    """The text of a page under a heading, down to the next one of its rank."""
    text = page.read_text("utf-8")
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[2]


def tracked() -> list[Path]:
    """The files that belong to the project, by git: what it tracks, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.skipif(
    tuple(map(int, typer.__version__.split(".")[:2])) < (0, 24),
    reason="older releases of Typer do not keep all help texts",
)
def test_the_command_reference_is_what_the_programs_say() -> None:
    """Commands, options, examples and settings; `python scripts/reference.py` writes it."""
    page = reference.PAGE.read_text("utf-8")
    assert reference.render(page) == page


@pytest.mark.parametrize("option", sorted(reference.COMMON))
def test_the_options_of_every_command_are_explained_once(option: str) -> None:
    """--json, --format and --help are explained above the commands, and every command takes them."""
    assert f"`{option}" in reference.PAGE.read_text("utf-8").partition("## How commands end")[0]
    assert all(option in options(command) for command in reference.commands().values())


def test_each_command_has_an_example() -> None:
    """One that begins with its words."""
    for name, command in reference.commands().items():
        assert command.epilog.startswith(f"Example: {name}")


def test_each_command_and_job_has_its_cost() -> None:
    """A row that is counted on the wire, or the reason why none is."""
    counted = {cost.name.split(" --")[0] for cost in costs.COSTS}
    assert counted.isdisjoint(costs.UNCOUNTED)
    everything = {name.removeprefix("dmcheck ") for name in reference.commands()} | JOBS.keys()
    assert counted | costs.UNCOUNTED.keys() == everything


@pytest.mark.parametrize("name", JOBS)
def test_each_job_and_its_options_appear(name: str) -> None:
    """The page on jobs has all of them, and each option of theirs."""
    page = (ROOT / "jobs" / "README.md").read_text("utf-8")
    assert f"`{name}`" in page
    for option in options(get_command(JOBS[name])) - {"--help"}:
        assert f"`{option}`" in page


def test_every_code_stands_in_the_row_of_its_exit_status() -> None:
    """The table of outcomes is that of errors.py, and nothing else."""
    rows = re.findall(r"^\| (\d+) \|.*?\| ([^|]*) \|$", section(reference.PAGE, "How commands end"), re.MULTILINE)
    shown = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    ours = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.DmcheckError)]
    assert shown == {(one.exit_status, one.code) for one in ours if one is not errors.DmcheckError}
    statuses = re.findall(r"^\| (\d+) \|", section(reference.PAGE, "How commands end"), re.MULTILINE)
    assert {int(status) for status in statuses} == {
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
    assert f"\n```sh\n{command}\n```\n" in section(ROOT / "README.md", "Quick start")
    assert (ROOT / command.split()[1]).is_file()


def test_the_map_names_every_folder_and_module() -> None:
    """And everything that it names exists."""
    shown = section(ROOT / ".github" / "CONTRIBUTING.md", "The map")
    package = ROOT / "dmcheck_cli"
    modules = [path for path in package.iterdir() if path.suffix == ".py" and not path.stem.startswith("__")]
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
        assert (ROOT / name).exists() or (ROOT / "dmcheck_cli" / name).exists()


def test_every_flag_is_explained() -> None:
    """The table of flags has each of them, and no other."""
    table = re.findall(r"^\| `(\w+)` \|", section(reference.PAGE, "Flags in `stats`"), re.MULTILINE)
    assert sorted(table) == sorted(FLAGS)


def test_links_lead_somewhere() -> None:
    """Every link and picture is a file of the project, or a heading of such a page."""
    missing = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
            path = (page.parent / target).resolve() if target else page
            titles = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE) if heading else []
            if not path.exists() or heading not in ["", *(title.lower().replace(" ", "-") for title in titles)]:
                missing.append((page.name, target, heading))
    assert missing == []


def test_pictures_load_nothing() -> None:
    """They are SVG without an address of a font or of anything else."""
    for picture in (ROOT / "scripts" / "pictures").glob("*.svg"):
        content = picture.read_text("utf-8")
        assert set(re.findall(r"https?://[^\"')\s]+", content)) == {"http://www.w3.org/2000/svg"}
        assert "url(http" not in content


def test_readme_can_be_read_in_one_go() -> None:
    """It has at most 250 lines."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


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


def test_every_metric_and_alert_is_explained() -> None:
    """The page beside the rules says what each means; rules ask for metrics that there are."""
    page = (ROOT / "dmcheck_cli" / "alerts" / "README.md").read_text("utf-8")
    rules = (ROOT / "dmcheck_cli" / "alerts" / "dmcheck.yml").read_text("utf-8")
    source = (ROOT / "dmcheck_cli" / "reporting" / "metrics.py").read_text("utf-8")
    told = re.findall(r"^\| `(\w+)", page, re.MULTILINE)
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert [name for name in told if name.startswith("Dmcheck")] == alerts
    assert set(re.findall(r"\bdmcheck_\w+", rules)) <= set(told)
    assert all(any(one.startswith(name) for one in told) for name in re.findall(r'"(dmcheck_\w+)"', source))


@pytest.mark.parametrize("program", ["bench.py", "crowds.py", "prove.py", "teeth.py"])
def test_a_program_of_ours_starts_in_any_folder(program: str, tmp_path: Path) -> None:
    """It finds all that it imports."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / "scripts" / program), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="these tests have another environment than .venv")
def test_a_program_of_ours_goes_on_with_the_packages_that_it_needs(tmp_path: Path) -> None:
    """Started by a Python that has none."""
    command = [sys.executable, "-S", str(ROOT / "scripts" / "herd.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--outage" in done.stdout
