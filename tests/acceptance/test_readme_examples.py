"""README's paths, typed as they are printed, in their order, on an empty database."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.graphs import MAX_WAIT_SECONDS, prepare, wait_until
from support.invariants import Query
from support.programs import outside
from support.sshd import Sshd, needs_sshd
from support.x_api import serving

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions.results import checked

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.process


def lines(title: str) -> list[str]:
    """The shell lines under a heading of README."""
    _, _, rest = (ROOT / "README.md").read_text("utf-8").partition(f"## {title}\n")
    block = re.search(r"^```sh\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE)
    assert block
    return block[1].splitlines()


def test_the_operators_path(environment: dict[str, str], database: Database, query: Query) -> None:
    """Every line succeeds, and users are checked in the end."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    install, *rest = lines("For operators")
    assert install.startswith("pip install ")
    printed: dict[str, str] = {}
    for line in rest:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=ROOT,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        printed[line] = done.stdout
    exported = [json.loads(one) for one in printed["dmcheck users export --answer DM"].splitlines()]
    assert {one["answer"] for one in exported} == {"DM"}
    assert query("MATCH ()-[r:DM_YES|DM_NO|DM_UNKNOWN]->() RETURN count(r) > 0 AS some") == [{"some": True}]


@needs_sshd
def test_the_volunteers_path(
    environment: dict[str, str], neo4j_environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    """Only the address and the token are filled in. Ctrl-C ends it in order, and the operator has the list."""
    names = prepare(database, active=[7], users_to_check=30, size=10)
    install, *rest = lines("For volunteers")
    assert install == "pip install ."
    token = "a-token"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    account = {**neo4j_environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    with Sshd(tmp_path / "sshd", account) as sshd, serving() as api:
        machine = {**outside(), **sshd.volunteer("volunteer")}
        script = "\n".join(rest).replace("dmcheck@host", machine.pop("DMCHECK_GATE")).replace("=...", f"={token}")
        assert sshd.gate in script
        assert token in script
        line = ["dmcheck", "gate", "add", "--client", "42", "--screen-name", "x", "--key", sshd.key_of("volunteer")]
        operator = {**environment, "PATH": path, "DMCHECK_AUTHORIZED_KEYS": str(sshd.authorized_keys)}
        subprocess.run(line, env=operator, capture_output=True, check=True)
        for number, name in enumerate(names):
            api.add(1000 + number, name, receives_your_dm=number % 3 == 0, connection_status=[])
        volunteer = subprocess.Popen(
            ["bash", "-e", "-c", script],
            cwd=ROOT,
            env={**machine, "PATH": f"{machine['PATH']}{os.pathsep}{path}", "X_API_URL": api.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda: len(list(checked(database))) == len(names) or volunteer.poll() is not None)
        os.killpg(volunteer.pid, signal.SIGINT)
        out, err = volunteer.communicate(timeout=MAX_WAIT_SECONDS)
        assert volunteer.returncode == 0, out + err
        assert api.tokens == {f"Bearer {token}"}
    line = ["dmcheck", "users", "export", "--answer", "DM"]
    exported = subprocess.run(line, cwd=ROOT, env={**environment, "PATH": path}, capture_output=True, check=True).stdout
    open_accounts = [json.loads(one) for one in exported.splitlines()]
    assert [one["screen_name"] for one in open_accounts] == names[::3]
    assert {one["answered_by"] for one in open_accounts} == {42}
