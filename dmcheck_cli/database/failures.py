"""What a failure means: whether it is transient, whether the statement may have taken effect, and what to say.

Three phases: no statement was sent (nothing was changed, whatever happened); one was sent but no answer came (it may
have taken effect); the server answered (see SERVER). One table serves every command.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING

from dmcheck_cli.errors import DatabaseRefused, DmcheckError, NotConfigured, Temporary

if TYPE_CHECKING:
    import neo4j


class Meaning(Enum):
    """What an answer from the server means."""

    PASSES = auto()
    """Nothing was changed; it is retried."""
    UNKNOWN = auto()
    """It may have been committed; it is retried."""
    RACE = auto()
    """Nothing was changed; it is retried a few times, after which it does not count as a race."""
    NOT_LET_IN = auto()
    NO_DATABASE = auto()
    TOO_OLD = auto()
    NO_MEMORY = auto()
    BADLY_FILLED = auto()
    REFUSED = auto()


SERVER: tuple[tuple[str, Meaning], ...] = (
    ("Neo.ClientError.Security.AuthenticationRateLimit", Meaning.PASSES),
    ("Neo.ClientError.Security.AuthProvider", Meaning.PASSES),  # ...Timeout, ...Failed
    ("Neo.ClientError.Security.AuthorizationExpired", Meaning.PASSES),
    ("Neo.ClientError.Security.", Meaning.NOT_LET_IN),
    ("Neo.ClientError.Database.", Meaning.NO_DATABASE),
    ("Neo.ClientError.Cluster.", Meaning.PASSES),  # another member leads
    ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", Meaning.PASSES),  # from a member that does not lead
    ("Neo.ClientError.General.TransactionOutOfMemoryError", Meaning.NO_MEMORY),
    # Our statements are fixed, so every server that is new enough understands them.
    ("Neo.ClientError.Statement.SyntaxError", Meaning.TOO_OLD),
    ("Neo.ClientError.Statement.RuntimeUnsupportedError", Meaning.TOO_OLD),
    ("Neo.ClientError.Procedure.ProcedureNotFound", Meaning.TOO_OLD),
    ("Neo.ClientError.Procedure.ProcedureCallFailed", Meaning.BADLY_FILLED),  # also date() and similar
    ("Neo.ClientError.Procedure.TypeError", Meaning.BADLY_FILLED),
    ("Neo.ClientError.Statement.TypeError", Meaning.BADLY_FILLED),
    ("Neo.ClientError.Statement.ArithmeticError", Meaning.BADLY_FILLED),
    ("Neo.ClientError.Statement.ArgumentError", Meaning.BADLY_FILLED),
    ("Neo.ClientError.Statement.SemanticError", Meaning.BADLY_FILLED),  # a MERGE by a property that is null
    # A node was deleted between being read and being linked to: the next run no longer finds it.
    ("Neo.ClientError.Statement.EntityNotFound", Meaning.RACE),
    # Two MERGEs of one key at the same moment: when retried, the second finds the node of the first.
    ("Neo.ClientError.Schema.ConstraintValidationFailed", Meaning.RACE),
    ("Neo.ClientError.Transaction.ForbiddenDueToTransactionType", Meaning.REFUSED),
    ("Neo.ClientError.Transaction.TransactionHookFailed", Meaning.REFUSED),  # a trigger that somebody installed
    ("Neo.ClientError.Transaction.TransactionEventHandlerFailed", Meaning.REFUSED),
    ("Neo.ClientError.Transaction.", Meaning.PASSES),  # ended by its time limit, or by an operator
    ("Neo.ClientError.", Meaning.REFUSED),
    ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", Meaning.NO_MEMORY),
    ("Neo.TransientError.General.OutOfMemoryError", Meaning.NO_MEMORY),
    ("Neo.TransientError.General.StackOverFlowError", Meaning.NO_MEMORY),
    ("Neo.TransientError.General.Transaction", Meaning.NO_MEMORY),  # ...MemoryLimit, ...OutOfMemoryError
    ("Neo.TransientError.Cluster.", Meaning.UNKNOWN),  # not yet replicated to enough members
    ("Neo.TransientError.", Meaning.PASSES),
    ("Neo.DatabaseError.Schema.", Meaning.REFUSED),
    ("Neo.DatabaseError.Transaction.TransactionStartFailed", Meaning.PASSES),
    ("", Meaning.UNKNOWN),
)
"""The server's error codes, by prefix: the first match applies."""

FINAL: dict[Meaning, tuple[type[DmcheckError], str]] = {
    Meaning.NOT_LET_IN: (NotConfigured, "the database does not let us in: {why}"),
    Meaning.NO_DATABASE: (NotConfigured, "NEO4J_DATABASE cannot be used: {why}"),
    Meaning.TOO_OLD: (NotConfigured, "Neo4j 5.26 or newer is needed; this one answered: {why}"),
    Meaning.NO_MEMORY: (Temporary, "the database is short of memory: {why}"),
    Meaning.BADLY_FILLED: (DatabaseRefused, "{why} (`dmcheck doctor --deep` tells what in the graph is unusual)"),
    Meaning.REFUSED: (DatabaseRefused, "{why}"),
}
"""The meanings that end the command at once, with their error and message; all others are retried."""

MAX_RACES = 10
"""Tries after which a taken key no longer counts as a race: a single rival has finished after the first."""

NEEDS_RESTART = "Neo.DatabaseError.Transaction.TransactionStartFailed"
"""Neo4j refuses everything until it is restarted, as after a full disk."""


class Retryable(Exception):
    """A failure that is worth retrying.

    `unknown`: the statement may have been committed. `connected`: it was sent. `final`: what to raise if it occurs
    MAX_RACES times.
    """

    def __init__(self, why: str, *, unknown: bool, connected: bool = True, final: DmcheckError | None = None) -> None:
        super().__init__(why)
        self.why, self.unknown, self.connected, self.final = why, unknown, connected, final


def meaning(code: str) -> Meaning:
    """What the server's `code` means."""
    return next(meaning for prefix, meaning in SERVER if code.startswith(prefix))


def from_server(error: neo4j.exceptions.Neo4jError, sent: bool) -> Exception:
    """What to raise for an error from the server: Retryable, NotConfigured, Temporary or DatabaseRefused.

    `sent`: whether a statement was sent, or only the login.
    """
    code = error.code or ""
    why = one_line(error.message or code)
    means = meaning(code)
    kind, words = FINAL.get(means, (DatabaseRefused, "{why}"))
    final = kind(what=words.format(why=why))
    if means in FINAL:
        return final
    return Retryable(why, unknown=sent and means is Meaning.UNKNOWN, final=final if means is Meaning.RACE else None)


def from_driver(error: Exception, sent: bool) -> Exception:
    """What to raise for a failure on the way to or from the server: Retryable or NotConfigured."""
    from neo4j.exceptions import ConfigurationError, UnsupportedServerProduct, WriteServiceUnavailable

    # Older versions of the driver raise a private class for this.
    if isinstance(error, UnsupportedServerProduct) or type(error).__name__ == "BoltHandshakeError":
        return NotConfigured(what="Neo4j 5.26 or newer is needed: NEO4J_URI leads to another server")
    if isinstance(error, ConfigurationError) and not sent:  # its text could repeat NEO4J_URI
        return NotConfigured(what=f"the driver cannot use NEO4J_URI or the account ({type(error).__name__})")
    if isinstance(error, WriteServiceUnavailable):  # a refusal; the driver takes it for a failure of its own
        return Retryable("this member of a cluster does not lead; neo4j:// finds the one that does", unknown=False)
    if isinstance(error.__cause__, WriteServiceUnavailable):
        return Retryable("no member of the cluster leads", unknown=False)
    return Retryable(_cause(error), unknown=sent, connected=sent)


class Trouble:
    """What went wrong while one statement was tried for `limit` seconds.

    `seen`: what our own probe found (see `look`), `looked`: whether it ran.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seen, self.looked = "", False
        self._last: Retryable | None = None
        self._unknown = False
        self._races = 0

    def note(self, passing: Retryable) -> None:
        """Record a failure. Raises its final error if it occurred too often for a race."""
        self._last = passing
        self._unknown = self._unknown or passing.unknown
        self._races += passing.final is not None
        if passing.final is not None and self._races >= MAX_RACES:
            raise passing.final from passing

    def gave_up(self, address: object) -> Temporary:
        """The error that ends the command when the time is up; `address` is what it tried to reach."""
        connected = self._last is None or self._last.connected
        what = "no success with the database" if connected else f"cannot reach Neo4j at {address}"
        why = (self._last.why if self._last else "") or self.seen
        effect = "it may have taken effect or not" if self._unknown else "nothing was changed"
        reason = f" ({why})" if why else ""
        return Temporary(what=f"{what}{reason} within {self.limit:g} seconds; {effect}: repeat the same command")


def one_line(text: str) -> str:
    """`text` without line breaks and without its full stop, which would end up in the middle of our sentence."""
    return " ".join(text.split()).rstrip(".")


def _cause(error: BaseException) -> str:
    """What the system reported as the cause of the driver's failure, if known."""
    from dmcheck_cli.database.look import reason

    for one in _chain(error):
        if isinstance(one, OSError):
            return one_line(reason(one))
    return "no answer" if "imed out" in str(error) else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*getattr(one, "exceptions", ()), one.__cause__, one.__context__]
