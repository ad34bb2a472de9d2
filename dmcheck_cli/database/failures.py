"""What the driver's and the server's errors mean for us: try again, or say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcheck_cli.errors import DatabaseRefused, NotConfigured, Temporary

if TYPE_CHECKING:
    import neo4j

_REFUSED_LOG_IN = ("Neo.ClientError.Security.", "Neo.ClientError.Database.DatabaseNotFound")
_KNOWN_RACES = (
    # Two MERGEs of one key at the same moment: the second finds the node of the first when it runs again.
    "Neo.ClientError.Schema.ConstraintValidationFailed",
    # A node was deleted between being read and being linked to: the next run no longer finds it.
    "Neo.ClientError.Statement.EntityNotFound",
)
_NEEDS_RESTART = ("Neo.DatabaseError.Transaction.TransactionStartFailed",)
_POINTLESS = ("Neo.TransientError.General.MemoryPoolOutOfMemoryError",)


class Passing(Exception):
    """An error after which trying again makes sense; `unknown`: the statement may have been committed."""

    def __init__(self, unknown: bool) -> None:
        self.unknown = unknown


def needs_restart(error: neo4j.exceptions.Neo4jError) -> bool:
    """Whether Neo4j refuses everything until it is started anew, as after a full disk."""
    return error.code in _NEEDS_RESTART


def from_server(error: neo4j.exceptions.Neo4jError) -> Exception:
    """What to raise for an error that the server answered with: Passing, NotConfigured, Temporary, DatabaseRefused."""
    code = error.code or ""
    if code.startswith(_REFUSED_LOG_IN):
        return NotConfigured(what=f"the database does not let us in: {error.message}")
    if code in _POINTLESS:
        return Temporary(what=f"the database is short of memory: {error.message}")
    if error.is_retryable() or code in _KNOWN_RACES:
        return Passing(unknown=False)
    if code.startswith("Neo.DatabaseError."):
        return Passing(unknown=True)
    if code.startswith("Neo.ClientError.Transaction."):  # ended by its time limit, or by an operator
        return Passing(unknown=False)
    return DatabaseRefused(what=error.message or code)


def from_driver(error: Exception) -> Exception:
    """What to raise for an error on the way to the server: Passing or NotConfigured."""
    from neo4j.exceptions import ConfigurationError, ServiceUnavailable, SessionExpired

    if isinstance(error, ServiceUnavailable | SessionExpired | OSError):
        return Passing(unknown=True)
    if isinstance(error, ConfigurationError):
        return NotConfigured(what=f"NEO4J_URI cannot be used: {error}")
    return Passing(unknown=True)


def gave_up(seconds: float, unknown: bool, cause: BaseException | None = None) -> Temporary:
    """The error that ends a command after `seconds` of trying."""
    why = f" ({cause})" if cause is not None and str(cause) else ""
    outcome = "it may have taken effect or not" if unknown else "nothing was changed"
    return Temporary(
        what=f"no success with the database within {seconds:g} seconds{why}; {outcome}: repeat the same command"
    )
