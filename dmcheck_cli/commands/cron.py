"""`dmcheck crontab` and `dmcheck units`: what has the jobs run, for cron and for systemd."""

from __future__ import annotations

import sysconfig
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from dmcheck_cli.entry import Json, Shape
from dmcheck_cli.errors import Usage
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format

EXAMPLE_FOLDER = "/opt/dmcheck/.venv/bin"
"""Where the files say that the programs are; what is printed has the folder of these programs in its place."""


def crontab(as_json: Json = False, format: Shape = Format.auto) -> None:
    """Print the jobs' crontab, to be changed at its top and pasted into `crontab -e`."""
    text = _here(_crontab())
    if show.wants_json(as_json, format):
        show.document({"crontab": text})
    else:
        show.line(text, end="")


def units(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where to write them, a file each; none: print them.")
    ] = None,
    as_json: Json = False,
    format: Shape = Format.auto,
) -> None:
    """Print the systemd units of the jobs, of `work` and of the embedded database, or write them to FOLDER."""
    found = {
        one.name: _here(one.read_text("utf-8"))
        for one in sorted(resources.files("jobs").joinpath("systemd").iterdir(), key=lambda one: one.name)
    }
    if folder is not None:
        _write(found, folder)
    if show.wants_json(as_json, format):
        show.document({"units": found})
    elif folder is None:
        show.line("\n".join(f"# ==== {name}\n{text}" for name, text in found.items()), end="")
    else:
        show.message(f"{len(found)} units were written to {show.escaped(str(folder))}: change the account in them")


def _write(units: dict[str, str], folder: Path) -> None:
    try:
        for name, text in units.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise Usage(what=f"{str(folder)!a} cannot be written to: {error.strerror}") from error


def _crontab() -> str:
    """Of an installed package it lies beside the jobs, of a checkout at its top."""
    package = resources.files("jobs")
    for place in (package.joinpath("crontab.example"), package.joinpath("..", "crontab.example")):
        if place.is_file():
            return place.read_text("utf-8")
    raise FileNotFoundError("crontab.example")


def _here(text: str) -> str:
    return text.replace(EXAMPLE_FOLDER, sysconfig.get_path("scripts"))
