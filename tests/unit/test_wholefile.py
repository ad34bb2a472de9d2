"""What takes the place of a file only when it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmcheck_cli.errors import Usage
from dmcheck_cli.wholefile import place


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/2", "/dev/stderr", "/dev/null", "/dev"])
def test_streams_and_devices_are_no_files(name: str) -> None:
    """What they lead to is open elsewhere, and would be replaced."""
    with pytest.raises(Usage, match="is not a file"):
        place(Path(name))


def test_links_lead_to_the_file(tmp_path: Path) -> None:
    """A link stays one: the file that it leads to is replaced, also one that is not there yet."""
    (tmp_path / "link").symlink_to("new")
    assert place(tmp_path / "link") == tmp_path / "new"
    with pytest.raises(Usage):
        place(tmp_path)
