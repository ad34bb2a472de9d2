"""Every way in which a command can end without success: one class per outcome.

`template` is the message for people, with `{names}` filled from the keyword arguments (not a docstring, which
`python -OO` would strip). `code` is what scripts read (`{"error": {"code": ...}}`), `exit_status` what the shell sees;
the contract fixes both.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dmcheck_cli import __version__

PASSING = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})
"""Resources that the machine lacks now and may have later."""

REFUSED = 1
MALFORMED = 2
NOTHING = 3
NOT_CONFIGURED = 4
BUG = 70
TEMPORARY = 75
INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""

MAX_MESSAGE = 4000
"""Characters. What was given, and what a server says, may be of any length."""

STATUSES = frozenset({REFUSED, MALFORMED, NOTHING, NOT_CONFIGURED, BUG, TEMPORARY, INTERRUPTED})
"""All statuses but 0."""


class DmcheckError(Exception):
    """The base class of all outcomes."""

    template = "{what}"
    code = "error"
    exit_status = REFUSED

    def __init__(self, *, retry_after: float | None = None, **details: object) -> None:
        """`details` fill the message; `retry_after` is the number of seconds after which a retry makes sense."""
        self.message = self.template.format(**details)
        if len(self.message) > MAX_MESSAGE:
            self.message = self.message[: MAX_MESSAGE - 3] + "..."
        self.retry_after = retry_after
        super().__init__(self.message)


def spread(seconds: float) -> float:
    """`seconds` plus up to half as many, at random: clients turned away together must not return together."""
    return round(seconds * random.uniform(1, 1.5), 1)


class NotRegistered(DmcheckError):
    template = (
        "Client {client} is not registered, or was unregistered: `dmcheck register --id {client} --screen-name ...`."
    )
    code = "not_registered"


class WrongDetails(DmcheckError):
    template = (
        "Client {client} is known by another screen name; nothing was changed. If its account has a new name: "
        "`dmcheck client rename {client} NAME`."
    )
    code = "wrong_details"


class Suspended(DmcheckError):
    template = "Client {client} is suspended{reason}; `dmcheck client resume {client}` ends that."
    code = "suspended"


class OverQuota(DmcheckError):
    template = (
        "Client {client} holds as many leases as it may ({held}): submit some first "
        "(`dmcheck stats --client {client}` says what it may hold)."
    )
    code = "over_quota"


class Unjudged(DmcheckError):
    template = (
        "Client {client} has no record yet, and has taken as many buckets as it may until it is judged. The job "
        "judge_clients runs every 5 minutes: try again in {seconds} seconds."
    )
    code = "unjudged"


class TooFast(DmcheckError):
    template = "{what}: try again in {seconds} seconds."
    code = "too_fast"


class NotOwner(DmcheckError):
    template = "The lease of bucket {bucket} is another client's."
    code = "not_owner"


class LeaseLost(DmcheckError):
    template = (
        "The lease of bucket {bucket} is over: it was answered or given back, or the bucket was leased again. "
        "`dmcheck fetch` leases others."
    )
    code = "lease_lost"


class NotInBucket(DmcheckError):
    template = "None of the answers for bucket {bucket} is for a user of it; its lease is still held."
    code = "not_in_bucket"


class PayloadChanged(DmcheckError):
    template = "The lease of bucket {bucket} was already answered, with other answers; the first ones count."
    code = "payload_changed"


class UnknownBucket(DmcheckError):
    template = "There is no bucket {bucket}: it was never there, or all its users are answered."
    code = "unknown_bucket"


class UnknownUser(DmcheckError):
    template = "None of these users is known: {names}; nothing was changed. `dmcheck users add` adds users."
    code = "unknown_user"


class AmbiguousName(DmcheckError):
    template = (
        "Several users are stored whose names differ in case only: {names}; nothing was changed. Write the one that "
        "is meant exactly so."
    )
    code = "ambiguous_name"


class WrongClient(DmcheckError):
    template = "This key is client {client}'s: it cannot act for {other}."
    code = "wrong_client"


class NotAdmitted(DmcheckError):
    template = "This key is not admitted any more, or not yet: ask the operator."
    code = "not_admitted"
    exit_status = NOT_CONFIGURED


class KeyTaken(DmcheckError):
    template = "This key is {owner}: {remedy} can take it away; nothing was changed."
    code = "key_taken"


REFUSALS: dict[str, type[DmcheckError]] = {
    refusal.code: refusal for refusal in (UnknownBucket, NotOwner, LeaseLost, PayloadChanged, NotInBucket)
}
"""The error for each `outcome` of a statement, and `reason` of a bucket, that is a refusal."""


class Malformed(DmcheckError):
    code = "malformed"
    exit_status = MALFORMED


class Usage(DmcheckError):
    code = "usage"
    exit_status = MALFORMED


class AlreadyRunning(DmcheckError):
    template = (
        "A `work` of client {client} runs on this machine already (process {holder}): give that one --jobs N for more "
        "at once, or end it first."
    )
    code = "already_running"


class CommandFailed(DmcheckError):
    code = "command_failed"


class NothingToFetch(DmcheckError):
    code = "nothing_to_fetch"
    exit_status = NOTHING


class NotConfigured(DmcheckError):
    code = "not_configured"
    exit_status = NOT_CONFIGURED


class SchemaMissing(DmcheckError):
    template = "The database lacks {count} of dmcheck's constraints and indexes: run `dmcheck schema apply`."
    code = "schema_missing"
    exit_status = NOT_CONFIGURED


class UpgradeNeeded(DmcheckError):
    code = "upgrade_needed"
    exit_status = NOT_CONFIGURED


NOTHING_CAME_IN = "Nothing came in: the command before this one failed, or had nothing; nothing was changed"
"""A Temporary of `submit`."""


class Temporary(DmcheckError):
    code = "temporary"
    exit_status = TEMPORARY


class Overtaken(Temporary):
    template = "Client {client} has just been registered or resumed: repeat the same command."
    code = "overtaken"


class GateFull(Temporary):
    template = "This gate has as many connections as it may; nothing was changed: repeat the same command."
    code = "gate_full"


class OutputLost(Temporary):
    template = (
        "The result could not be written ({what}), but the command has taken effect. The same command may be repeated."
    )
    code = "output_lost"


class Interrupted(DmcheckError):
    template = "Interrupted. {what}"
    code = "interrupted"
    exit_status = INTERRUPTED


class DatabaseRefused(DmcheckError):
    template = "The database refused the statement: {what}"
    code = "database_refused"


class SystemRefused(DmcheckError):
    template = "The operating system refused: {what}"
    code = "system_refused"


class Bug(DmcheckError):
    template = (
        "This is a bug of dmcheck {version}: {what}. Whether the command took effect is not known. Please report it, "
        "with this line and the command, where you have dmcheck from (README, Bugs)."
    )
    code = "bug"
    exit_status = BUG


def told(code: str, message: str, exit_status: int, retry_after: float | None = None) -> DmcheckError:
    """The outcome that another dmcheck told, in its words: of the class of that code, or else, where this release has
    no such code, of a class with that exit status, so that what is temporary is waited for."""
    kinds = [DmcheckError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if (kind.code, kind.exit_status) == (code, exit_status)), None) or next(
        (kind for kind in (Temporary, NotConfigured) if kind.exit_status == exit_status), DmcheckError
    )
    outcome = found.__new__(found, message)
    outcome.message, outcome.retry_after, outcome.code, outcome.exit_status = message, retry_after, code, exit_status
    return outcome


@contextmanager
def interruptible(told: Callable[[], str]) -> Iterator[None]:
    """Where Ctrl-C ends the block, raise Interrupted; `told` returns what was done, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(what=told()) from error


def machine_lacks(error: Exception) -> Temporary | None:
    """The outcome of an error that says what the machine lacks now and may have later; None for any other."""
    if isinstance(error, MemoryError):
        return Temporary(what="There is not enough memory for this command; it may have taken effect or not")
    if isinstance(error, OSError) and error.errno in PASSING:
        return Temporary(what=f"The operating system lacks something ({error.strerror}); repeat the same command")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return Temporary(what="The operating system starts no further thread; repeat the same command")
    return None


def explained(error: Exception) -> DmcheckError:
    """The outcome of any error: itself if it is one of ours, a problem of the machine, or else a bug in dmcheck."""
    if isinstance(error, DmcheckError):
        return error
    if (lacking := machine_lacks(error)) is not None:
        return lacking
    if isinstance(error, OSError) and error.errno in (errno.EBADF, errno.EPIPE):
        return OutputLost(what=error.strerror)  # from a help text, which Typer prints
    if isinstance(error, OSError):
        return SystemRefused(what=error)
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
    return Bug(version=__version__, what=f"{type(error).__name__}: {error} at {where}")
