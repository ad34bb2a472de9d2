"""Errors: one class per outcome, with the code that scripts read and the status that the shell sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dmcheck_cli import errors
from dmcheck_cli.errors import DmcheckError

DOCUMENTED = {1, 2, 3, 4, 70, 75, 130}
FROM_THE_CONTRACT = {
    "not_registered": 1,
    "suspended": 1,
    "unjudged": 1,
    "not_owner": 1,
    "lease_lost": 1,
    "unknown_bucket": 1,
    "unknown_user": 1,
    "wrong_details": 1,
    "over_quota": 1,
    "too_fast": 1,
    "payload_changed": 1,
    "malformed": 2,
    "usage": 2,
    "not_configured": 4,
    "upgrade_needed": 4,
    "bug": 70,
    "temporary": 75,
}


def _below(kind: type[DmcheckError]) -> Iterator[type[DmcheckError]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


CLASSES = sorted({kind for kind in _below(DmcheckError) if kind.__module__ == errors.__name__}, key=lambda k: k.code)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_has_a_code_and_a_documented_status(kind: type[DmcheckError]) -> None:
    """The code is its own, in snake_case; the exit status is one of the contract's."""
    assert "code" in vars(kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert kind.exit_status in DOCUMENTED


def test_codes_are_unique() -> None:
    """A script that reads a code knows which outcome it was."""
    codes = [kind.code for kind in CLASSES]
    assert len(codes) == len(set(codes))


def test_the_codes_of_the_contract_have_their_status() -> None:
    """Every code that the contract names exists, with the exit status that it gives."""
    statuses = {kind.code: kind.exit_status for kind in CLASSES}
    assert {code: statuses.get(code) for code in FROM_THE_CONTRACT} == FROM_THE_CONTRACT


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_template_is_the_message(kind: type[DmcheckError]) -> None:
    """The message is the template, one line, with its names filled in and none left open."""
    names = set(re.findall(r"{(\w+)}", kind.template))
    problem = kind(**dict.fromkeys(names, "{braces} in a value"))
    assert problem.message == str(problem)
    assert problem.message.strip()
    assert "\n" not in problem.message
    if names:
        assert "{braces} in a value" in problem.message


def test_retry_after_is_kept() -> None:
    """When to come back is part of the error, and None unless said."""
    assert errors.TooFast(what="x", seconds=5, retry_after=5).retry_after == 5
    assert errors.OverQuota(client=1, held=1, allowance=1, why="as it stated").retry_after is None
