"""The verbs that a gate runs for a client: the functions of the command line, for that client alone.

No option that reads or writes a file, shows another client, or says more about this machine.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import typer

from dmcheck_cli import entry
from dmcheck_cli.commands import fetch, release, renew, stats, submit
from dmcheck_cli.errors import DmcheckError, Usage, WrongClient, explained
from dmcheck_cli.gate.bounds import Bounds
from dmcheck_cli.gate.telling import is_counted, outward

VERBS: tuple[tuple[Callable[..., Any], frozenset[str]], ...] = (
    (fetch.fetch, frozenset()),
    (submit.submit, frozenset({"file"})),
    (renew.renew, frozenset()),
    (release.release, frozenset()),
    (stats.stats, frozenset({"sort", "state", "flagged", "limit", "watch", "interval"})),
)
"""Each with the parameters that it is not given here."""


def answer(words: Sequence[str], client: int, bounds: Bounds) -> int:
    """Run a verb for a client on the process's streams; returns the exit status."""
    seen: list[DmcheckError] = []
    app = typer.Typer(
        help="What this gate of dmcheck answers.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(entry.common)
    for verb, without in VERBS:
        app.command()(_bound(verb, client, without, seen))
    status = entry.run(app, words)
    if status == Usage.exit_status and not seen:
        seen.append(Usage(what="not a verb or option of a gate"))
    for problem in seen:
        bounds.refused(problem)
    return status


def _bound(
    verb: Callable[..., Any], client: int, without: frozenset[str], seen: list[DmcheckError]
) -> Callable[..., Any]:
    """A command that acts for this client only, and tells nothing of the operator's side; `seen` gets what the
    gate counts."""

    @wraps(verb)
    def bound(**given: Any) -> Any:
        try:
            if given["client"] not in (None, client):
                raise WrongClient(client=client, other=given["client"])
            return verb(**{**given, "client": client})
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            problem = explained(error)
            said = outward(problem)
            if is_counted(problem, said):
                seen.append(problem)
            raise said from error

    whole = inspect.signature(verb, eval_str=True)
    kept = [one for name, one in whole.parameters.items() if name not in without]
    bound.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
    return bound
