"""What each failure means: the table of the server's codes, the phases, the words, and the addresses that are shown."""

from __future__ import annotations

import socket
import ssl

import pytest
from neo4j.exceptions import (
    AuthConfigurationError,
    ConfigurationError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    UnsupportedServerProduct,
)

from dmcheck_cli.database import address
from dmcheck_cli.database.failures import (
    FINAL,
    MAX_RACES,
    SERVER,
    Meaning,
    Retryable,
    Trouble,
    from_driver,
    from_server,
)
from dmcheck_cli.database.sending import Guard, Statement
from dmcheck_cli.errors import DatabaseRefused, DmcheckError, NotConfigured

AGAIN, AGAIN_UNKNOWN, RACE = "tried again", "tried again, may have taken effect", "tried again a few times"
NOT_LET_IN, TEMPORARY, REFUSED = 4, 75, 1

# As https://neo4j.com/docs/status-codes/5/errors/all-errors/ lists them, by what they mean for us.
CODES: dict[str | int, tuple[str, ...]] = {
    AGAIN: (
        "ClientError.Cluster.NotALeader",
        "ClientError.Cluster.Routing",
        "ClientError.General.ForbiddenOnReadOnlyDatabase",
        "ClientError.Security.AuthProviderFailed",
        "ClientError.Security.AuthProviderTimeout",
        "ClientError.Security.AuthenticationRateLimit",
        "ClientError.Security.AuthorizationExpired",
        "ClientError.Transaction.LockClientStopped",
        "ClientError.Transaction.Terminated",
        "ClientError.Transaction.TransactionTimedOut",
        "ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "DatabaseError.Transaction.TransactionStartFailed",
        "TransientError.Database.DatabaseUnavailable",
        "TransientError.General.DatabaseUnavailable",
        "TransientError.Request.NoThreadsAvailable",
        "TransientError.Schema.SchemaModifiedConcurrently",
        "TransientError.Security.ModifiedConcurrently",
        "TransientError.Statement.ExternalResourceFailed",
        "TransientError.Transaction.BookmarkTimeout",
        "TransientError.Transaction.ConstraintsChanged",
        "TransientError.Transaction.DeadlockDetected",
        "TransientError.Transaction.InstanceStateChanged",
        "TransientError.Transaction.LeaseExpired",
        "TransientError.Transaction.LockAcquisitionTimeout",
        "TransientError.Transaction.MaximumTransactionLimitReached",
        "TransientError.Transaction.Outdated",
    ),
    AGAIN_UNKNOWN: (
        "DatabaseError.Cluster.ReplicationFailure",
        "DatabaseError.General.UnknownError",
        "DatabaseError.General.IndexCorruptionDetected",
        "DatabaseError.Statement.ExecutionFailed",
        "DatabaseError.Statement.RemoteExecutionFailed",
        "DatabaseError.Transaction.TransactionCommitFailed",
        "DatabaseError.Transaction.TransactionLogError",
        "DatabaseError.Transaction.TransactionTerminationFailed",
        "TransientError.Cluster.ReplicationFailure",
        "SomethingNew.General.NeverSeen",
    ),
    RACE: (
        "ClientError.Schema.ConstraintValidationFailed",
        "ClientError.Statement.EntityNotFound",
    ),
    NOT_LET_IN: (
        "ClientError.Database.DatabaseNotFound",
        "ClientError.Procedure.ProcedureNotFound",
        "ClientError.Security.CredentialsExpired",
        "ClientError.Security.EncryptionRequired",
        "ClientError.Security.Forbidden",
        "ClientError.Security.Invalid",
        "ClientError.Security.TokenExpired",
        "ClientError.Security.Unauthorized",
        "ClientError.Statement.SyntaxError",
    ),
    TEMPORARY: (
        "ClientError.General.TransactionOutOfMemoryError",
        "TransientError.General.MemoryPoolOutOfMemoryError",
        "TransientError.General.OutOfMemoryError",
        "TransientError.General.StackOverFlowError",
        "TransientError.General.TransactionMemoryLimit",
        "TransientError.General.TransactionOutOfMemoryError",
    ),
    REFUSED: (
        "ClientError.General.InvalidArguments",
        "ClientError.Procedure.ProcedureCallFailed",
        "ClientError.Procedure.TypeError",
        "ClientError.Request.Invalid",
        "ClientError.Schema.ConstraintAlreadyExists",
        "ClientError.Schema.EquivalentSchemaRuleAlreadyExists",
        "ClientError.Schema.IndexAlreadyExists",
        "ClientError.Schema.IndexWithNameAlreadyExists",
        "ClientError.Statement.ArgumentError",
        "ClientError.Statement.ArithmeticError",
        "ClientError.Statement.ParameterMissing",
        "ClientError.Statement.SemanticError",
        "ClientError.Statement.TypeError",
        "ClientError.Transaction.ForbiddenDueToTransactionType",
        "ClientError.Transaction.TransactionHookFailed",
        "DatabaseError.Schema.ConstraintCreationFailed",
        "DatabaseError.Schema.IndexCreationFailed",
    ),
}


def _answered(code: str, message: str = "no\nluck.") -> Neo4jError:
    kind: type[Neo4jError] = type("Answered", (Neo4jError,), {"code": code, "message": message})
    return kind()


@pytest.mark.parametrize(("code", "outcome"), [(code, outcome) for outcome, codes in CODES.items() for code in codes])
def test_each_code_of_the_server_has_its_outcome(code: str, outcome: str | int) -> None:
    """Every documented code is tried again, or ends the command with the status of its kind, as the table says."""
    result = from_server(_answered(f"Neo.{code}"), sent=True)

    if isinstance(result, Retryable):
        kinds = {(False, False): AGAIN, (True, False): AGAIN_UNKNOWN, (False, True): RACE}
        assert kinds[result.unknown, result.final is not None] == outcome
    else:
        assert isinstance(result, DmcheckError)
        assert result.exit_status == outcome
        assert "no luck" in result.message
        assert "\n" not in result.message


def test_each_line_of_the_table_is_reached() -> None:
    """No line stands behind one that already covers it, and what is not final is tried again."""
    for number, (prefix, _) in enumerate(SERVER):
        assert not [before for before, _ in SERVER[:number] if prefix.startswith(before)]
    assert set(Meaning) - set(FINAL) == {Meaning.PASSES, Meaning.UNKNOWN, Meaning.RACE}


def test_a_refused_log_in_changed_nothing() -> None:
    """An error that answers the log-in, not a statement, is never one whose outcome is unknown."""
    result = from_server(_answered("Neo.DatabaseError.General.UnknownError"), sent=False)
    assert isinstance(result, Retryable)
    assert not result.unknown


def test_a_badly_filled_graph_has_its_remedy() -> None:
    """Values that no statement of ours expects lead to the command that finds them."""
    assert "dmcheck doctor --deep" in str(from_server(_answered("Neo.ClientError.Statement.TypeError"), sent=True))


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(
    "error", [ServiceUnavailable("gone"), SessionExpired("gone"), ConnectionResetError(104, "Connection reset")]
)
def test_a_lost_connection_is_unknown_only_once_a_statement_was_sent(error: Exception, sent: bool) -> None:
    """What fails before the statement is sent has changed nothing; it is tried again in either case."""
    result = from_driver(error, sent)
    assert isinstance(result, Retryable)
    assert (result.unknown, result.connected) == (sent, sent)


@pytest.mark.parametrize(
    "error",
    [ConfigurationError("bolt://u:secret@h"), AuthConfigurationError("secret"), UnsupportedServerProduct("old")],
)
def test_what_the_driver_cannot_use_is_not_repeated(error: Exception) -> None:
    """A configuration that the driver refuses ends with 4, without its words: they could hold the address."""
    result = from_driver(error, sent=False)
    assert isinstance(result, NotConfigured)
    assert "secret" not in result.message


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (_caused(ServiceUnavailable("x"), ConnectionRefusedError(111, "Connection refused")), "connection refused"),
        (_caused(ValueError("x"), socket.gaierror(-2, "Name or service not known")), "name or service not known"),
        (
            _caused(
                ServiceUnavailable("x"),
                ExceptionGroup("all", [_caused(ServiceUnavailable("y"), OSError(113, "No route to host"))]),
            ),
            "no route to host",
        ),
        (_caused(ServiceUnavailable("x"), TimeoutError()), "no answer"),
        (ServiceUnavailable("Timed out trying to establish connection to ..."), "no answer"),
        (_caused(ServiceUnavailable("x"), ssl.SSLError(1, "[SSL] record layer failure")), "TLS failed"),
        (ServiceUnavailable("Couldn't connect to somewhere (resolved to ...)"), ""),
    ],
)
def test_the_cause_is_what_the_system_said(error: Exception, why: str) -> None:
    """However deep it is under the driver's errors, also in a group of them; never the driver's own text."""
    result = from_driver(error, sent=False)
    assert isinstance(result, Retryable)
    assert result.why == why


def test_the_words_in_the_end_tell_the_phase() -> None:
    """Never connected: where to, why, and that nothing was changed; once it may have been, that stays said."""
    trouble = Trouble(30)
    trouble.note(Retryable("connection refused", unknown=False, connected=False))
    assert trouble.gave_up("bolt://h:1").message == (
        "cannot reach Neo4j at bolt://h:1 (connection refused) within 30 seconds; nothing was changed: "
        "repeat the same command"
    )
    trouble.note(Retryable("", unknown=True))
    trouble.note(Retryable("deadlock", unknown=False))
    assert trouble.gave_up("bolt://h:1").message == (
        "no success with the database (deadlock) within 30 seconds; it may have taken effect or not: "
        "repeat the same command"
    )


def test_a_race_that_is_none_ends() -> None:
    """A key that is taken each time is refused after a few tries, not after the whole time limit."""
    trouble = Trouble(30)
    error = from_server(_answered("Neo.ClientError.Schema.ConstraintValidationFailed"), sent=True)
    assert isinstance(error, Retryable)
    for _ in range(MAX_RACES - 1):
        trouble.note(error)
    with pytest.raises(DatabaseRefused):
        trouble.note(error)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("bolt://h", "bolt://h:7687"),
        ("NEO4J+SSC://Graph.Example:1234/", "neo4j+ssc://graph.example:1234"),
        ("bolt+s://[::1]:7", "bolt+s://[::1]:7"),
        ("neo4j://h?policy=eu", "neo4j://h:7687"),
        ("bolt://bücher.example", "bolt://bücher.example:7687"),
    ],
)
def test_an_address_is_shown_without_the_rest(uri: str, shown: str) -> None:
    """Scheme, host and port are what messages show."""
    assert str(address.read(uri)) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "secret",
        "secret://h",
        "http://h:7474",
        "bolt://",
        "bolt://:7687",
        "bolt://h:0",
        "bolt://h:99999",
        "bolt://h:secret",
        "bolt://::1",
        "bolt://[::1",
        "bolt://a b",
        "bolt://a..b",
        f"bolt://{'a' * 64}.b",
        "bolt://h1:1,h2:2",
        "bolt://neo4j:secret@h",
        "bolt://secret@h",
        "bolt://:secret@h",
        "neo4j+s://neo4j:sec/ret@h",
        "neo4j+s://neo4j:sec#ret@h",
        "bolt://h/secret",
        "bolt://h#secret",
        "bolt://h?secret=1",
        "neo4j://h?secret",
        "neo4j://h?secret=1&secret=2",
        "neo4j://h?address=secret",
    ],
)
def test_an_address_that_cannot_be_used_is_never_repeated(uri: str) -> None:
    """Nothing of it: a password can stand anywhere in it."""
    with pytest.raises(NotConfigured) as refused:
        address.read(uri)
    assert "NEO4J_URI" in refused.value.message
    assert "sec" not in refused.value.message


def test_a_statement_knows_whether_it_was_sent() -> None:
    """It counts as sent once its text was asked for; withdrawn before, it is never sent at all."""
    one, other = Statement("RETURN 1"), Statement("RETURN 1")
    assert not one.sent
    assert str(one) == "RETURN 1"
    assert one.withdraw()
    assert not other.withdraw()
    with pytest.raises(TimeoutError):
        str(other)


def test_a_system_without_threads_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no further thread can be started, the command is tried again as with any trouble that passes."""

    def full(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", full)
    with pytest.raises(Retryable):
        Guard().within(1, lambda: 1)
