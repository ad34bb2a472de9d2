"""The driver is loaded without what it would load beside it wherever that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = """
from dmcheck_cli.database.link import Link
from dmcheck_cli.settings import Settings

Link(Settings(), "bolt://127.0.0.1:1", "neo4j", "secret").close()
"""


@pytest.mark.parametrize("package", ["numpy", "pandas", "pyarrow"])
def test_packages_that_only_convert_types_are_not_loaded(tmp_path: Path, package: str) -> None:
    """They stay available to the rest of the process, and what it uses already stays in use."""
    (tmp_path / f"{package}.py").write_text("print('loaded')\n")

    def run(program: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=False)
        return done.stdout.decode()

    if package != "pyarrow":  # Only newer drivers load it.
        assert run("import neo4j") == "loaded\n"
    assert run(f"{OPEN}print('opened')") == "opened\n"
    assert run(f"{OPEN}import {package}") == "loaded\n"
    used = f"import {package}; from dmcheck_cli.database.link import _absent"
    assert run(f"{used}\nwith _absent('{package}'):\n    import {package}\n    print('used')") == "loaded\nused\n"
