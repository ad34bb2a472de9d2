"""A volunteer's first session, as dmcheck_cli/gate/README.md shows it: typed line by line, with what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.graphs import MAX_WAIT_SECONDS, prepare
from support.invariants import Query
from support.programs import outside
from support.sshd import Sshd, needs_sshd
from support.working import answered_users
from support.x_api import serving

import dmcheck_cli
from dmcheck_cli.database.connection import Database

PAGE = Path(dmcheck_cli.__file__).parent / "gate" / "README.md"

pytestmark = [needs_sshd, pytest.mark.process]

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

ASKED = """#!/bin/sh
printf '%s' "$1" >&2
echo yes >&2
echo yes
"""
"""What answers where ssh asks a person."""


def session() -> Iterator[tuple[str, str, str]]:
    """Who types what, and what is shown: all of the page's transcripts, in their order."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        yield from re.findall(r"^(\w+)\$ (.*)\n((?:(?!\w+\$ ).*\n)*)", block, re.MULTILINE)


def pattern(shown: str) -> str:
    """`...` stands for anything in a line, and alone for any lines."""
    lines = [re.escape(line).replace(re.escape("..."), ".*") + "\n" for line in shown.splitlines()]
    return "".join("(?s:.*)" if line == ".*\n" else line for line in lines)


def test_the_first_session(
    database: Database, query: Query, environment: dict[str, str], neo4j_environment: dict[str, str], tmp_path: Path
) -> None:
    """Only names, keys and addresses are other ones."""
    names = prepare(database, [43], 360, size=180)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    account = {**neo4j_environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    with Sshd(tmp_path / "sshd", account) as sshd, serving() as api:
        for number, one in enumerate(names):
            api.add(1000 + number, one, receives_your_dm=number % 3 == 0, connection_status=[])
        new = sshd.volunteer("volunteer", new=True)
        askpass = tmp_path / "askpass"
        askpass.write_text(ASKED)
        askpass.chmod(0o700)
        machines = {
            "operator": {**environment, "PATH": path, "DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys)},
            "volunteer": {
                **{name: value for name, value in outside().items() if name != "DMCHECK_GATE"},
                **{name: value for name, value in new.items() if name != "DMCHECK_GATE"},
                **{"PATH": f"{Path(new['PATH'].split(os.pathsep)[0])}{os.pathsep}{path}", "COLUMNS": "120"},
                **{"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "X_API_URL": api.url},
            },
        }
        typed = 0
        exported: dict[str, list[str]] = {"operator": [], "volunteer": []}
        for who, line, shown in session():
            command = line.replace("dmcheck@host", sshd.gate).replace(HOST_KEY, str(sshd.host_key))
            done = subprocess.run(
                ["bash", "-c", "\n".join([*exported[who], command])],
                cwd=tmp_path,
                env=machines[who],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=MAX_WAIT_SECONDS,
                check=False,
            )
            print(f"{who}$ {command}\n{done.stdout}", end="")
            assert done.returncode == 0, (line, done.stdout)
            assert re.fullmatch(pattern(shown), done.stdout.replace(sshd.gate, "dmcheck@host")), (line, done.stdout)
            if line.startswith("export "):  # a token may be anything
                exported[who].append(command)
            if line.startswith("cat ") and who == "volunteer":
                (tmp_path / "volunteer.pub").write_text(done.stdout)  # the mail
            typed += 1
    assert typed >= 8
    assert answered_users(query) == 360
