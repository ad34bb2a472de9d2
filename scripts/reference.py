"""Write the command reference, `dmcheck_cli/commands/README.md`, from the programs: `python scripts/reference.py`.

What stands outside the two marks is written by hand and stays. A test compares the page with the programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import enter

enter()

import costs
from typer.main import get_command

from dmcheck_cli import cli
from dmcheck_cli.settings import variables

PAGE = Path(__file__).parents[1] / "dmcheck_cli" / "commands" / "README.md"
BEGIN, END = "<!-- begin {name} -->\n", "<!-- end {name} -->"
COMMON = frozenset({"--json", "--format", "--help", "--quiet", "--verbose", "--timings"})
"""Options of every command; the page explains them once."""


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")


def render(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, lines in (("commands", _commands()), ("settings", _settings()), ("costs", costs.table())):
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + "\n".join(lines) + "\n" + end + after
    return page


def commands() -> dict[str, Any]:
    """Every command of `dmcheck`, by its words."""
    return dict(_below(get_command(cli.app), "dmcheck"))


def _below(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _commands() -> Iterator[str]:
    for name, command in commands().items():
        yield f"\n### `{name}`\n"
        yield " ".join((command.help or "").split()) + "\n"
        yield f"```sh\n{(command.epilog or '').removeprefix('Example: ')}\n```"
        rows = [_row(parameter) for parameter in command.params if not COMMON & set(parameter.opts)]
        if rows:
            yield "\n| argument | meaning |\n| --- | --- |"
            yield from rows


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts if name.startswith("-"))
    shown = names or f"`{parameter.metavar or parameter.name.upper()}`"
    takes = f" {parameter.metavar}" if names and parameter.metavar and not parameter.is_flag else ""
    about = " ".join((getattr(parameter, "help", None) or "").split())
    default = parameter.default
    if names and not parameter.is_flag and isinstance(default, int | str) and default not in ("", False):
        about += f" Default: {default}."
    return f"| {shown}{takes} | {about}{' Required.' if names and parameter.required else ''} |"


def _settings() -> Iterator[str]:
    yield "| variable | default | meaning |\n| --- | --- | --- |"
    for one in variables():
        default = "" if one.default is None else f"`{one.default}` "
        yield f"| `{one.metadata['name']}` | {default}| {one.metadata['meaning']} |"


if __name__ == "__main__":
    main()
