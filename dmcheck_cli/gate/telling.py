"""What strangers are told of an error, and which errors the gate counts and logs for the operator."""

from __future__ import annotations

import re

from dmcheck_cli.errors import (
    BUG,
    MALFORMED,
    NOT_CONFIGURED,
    NOTHING_CAME_IN,
    REFUSED,
    TEMPORARY,
    DatabaseRefused,
    DmcheckError,
    GateFull,
    NotAdmitted,
    NotRegistered,
    Overtaken,
    Suspended,
    SystemRefused,
    explained,
    told,
)

SENTENCES = {
    REFUSED: "The operator's database or machine refused this. Tell the operator, whose log says why.",
    NOT_CONFIGURED: "The operator's dmcheck cannot be used as it is set up. Tell the operator, whose log says why.",
    BUG: "This is a bug of the operator's side; it may have taken effect or not. Tell the operator, whose log has it.",
    TEMPORARY: "The operator's database gave no answer now; it may have taken effect or not: repeat the same command.",
}
"""By exit status. Code and status stay as they are."""

THEIRS = (GateFull, NotAdmitted, Overtaken)
"""Outcomes of these statuses that are about the stranger, and name nothing of the operator's."""

ONLY_THE_OPERATOR = (NotRegistered, Suspended)
"""Refusals whose message names a command that only the operator can give."""

REMEDY = re.compile(r"[:;] `dmcheck ")

GATES_OWN = frozenset({"not_admitted", "wrong_client", "too_fast"})
"""Codes of what the gate itself refuses; the database counts its own too_fast as well."""


def outward(error: Exception) -> DmcheckError:
    """What a stranger is told of an error. Messages may name the database's address, its account, files, statements."""
    problem = explained(error)
    if isinstance(problem, ONLY_THE_OPERATOR):
        said = REMEDY.split(problem.message)[0]
        return told(problem.code, f"{said}. Ask the operator.", problem.exit_status, problem.retry_after)
    inner = problem.exit_status in (NOT_CONFIGURED, BUG, TEMPORARY) or isinstance(
        problem, DatabaseRefused | SystemRefused
    )
    if not inner or isinstance(problem, THEIRS) or problem.message == NOTHING_CAME_IN:
        return problem
    return told(problem.code, SENTENCES[problem.exit_status], problem.exit_status, problem.retry_after)


def is_counted(problem: DmcheckError, said: DmcheckError) -> bool:
    """Whether the gate counts and logs a problem that it told a stranger as `said`: it refused the request itself, or
    it told less than it knows. All else is between the client and the database, which counts it."""
    less = said is not problem and not isinstance(problem, ONLY_THE_OPERATOR)
    return less or said.exit_status == MALFORMED or said.code in GATES_OWN
