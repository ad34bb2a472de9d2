"""What reads the texts of others, fed with what is nearly right, in its short form."""

from __future__ import annotations

import pytest
from proofs import fuzz


@pytest.mark.parametrize("name", fuzz.SUBJECTS)
def test_whatever_comes_is_read_or_refused(name: str) -> None:
    """300 texts for each parser: a value that keeps its rules, or one of the refusals that are documented."""
    fuzz.explore(name, 300, derandomize=True).check()
