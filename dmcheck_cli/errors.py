"""Every way in which a command can end without success: one class per outcome.

The first paragraph of a class's docstring is the message that a person reads, with `{names}` filled from
the keyword arguments. `code` is what scripts read (`{"error": {"code": ...}}`), `exit_status` what the
shell sees; both are fixed by the contract.
"""

from __future__ import annotations

import inspect
import random

REFUSED = 1
MALFORMED = 2
NOTHING = 3
NOT_CONFIGURED = 4
TEMPORARY = 75


class DmcheckError(Exception):
    """Something went wrong."""

    code = "error"
    exit_status = REFUSED

    def __init__(self, *, retry_after: float | None = None, **details: object) -> None:
        """`details` fill the message; `retry_after` says in how many seconds trying again makes sense."""
        template = inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].replace("\n", " ")
        self.message = template.format(**details)
        self.retry_after = retry_after
        super().__init__(self.message)


def spread(seconds: float) -> float:
    """`seconds` and up to half as many more: who was told to come back at one moment must not come at one moment."""
    return round(seconds * random.uniform(1, 1.5), 1)


class NotRegistered(DmcheckError):
    """Client {client} is not registered, or was unregistered: `dmcheck register --id {client} --screen-name ...`."""

    code = "not_registered"


class WrongDetails(DmcheckError):
    """Client {client} is known by another screen name; nothing was changed."""

    code = "wrong_details"


class OverQuota(DmcheckError):
    """Client {client} holds {held} of the {allowance} leases that it may hold ({why}): submit some first."""

    code = "over_quota"


class TooFast(DmcheckError):
    """{what}: try again in {seconds} seconds."""

    code = "too_fast"


class NotOwner(DmcheckError):
    """The lease of bucket {bucket} is another client's."""

    code = "not_owner"


class LeaseLost(DmcheckError):
    """The lease of bucket {bucket} is over: the bucket was leased anew, or is finished."""

    code = "lease_lost"


class PayloadChanged(DmcheckError):
    """The lease of bucket {bucket} was already answered, with other answers."""

    code = "payload_changed"


class UnknownBucket(DmcheckError):
    """There is no bucket {bucket}."""

    code = "unknown_bucket"


class UnknownUser(DmcheckError):
    """None of these users is known: {names}."""

    code = "unknown_user"


class Malformed(DmcheckError):
    """{what}"""

    code = "malformed"
    exit_status = MALFORMED


class Usage(DmcheckError):
    """{what}"""

    code = "usage"
    exit_status = MALFORMED


class CommandFailed(DmcheckError):
    """COMMAND failed {times} times in a row without a single answer ({why}); the buckets were given back."""

    code = "command_failed"


class NothingToFetch(DmcheckError):
    """{what}"""

    code = "nothing_to_fetch"
    exit_status = NOTHING


class NotConfigured(DmcheckError):
    """{what}"""

    code = "not_configured"
    exit_status = NOT_CONFIGURED


class SchemaMissing(DmcheckError):
    """The database lacks {count} of dmcheck's constraints and indexes: run `dmcheck schema apply`."""

    code = "schema_missing"
    exit_status = NOT_CONFIGURED


class Temporary(DmcheckError):
    """{what}"""

    code = "temporary"
    exit_status = TEMPORARY


class OutputLost(Temporary):
    """The result could not be written ({what}), but the command has taken effect. Leases can be had again with
    `dmcheck fetch --resume`."""

    code = "output_lost"


class DatabaseRefused(DmcheckError):
    """The database refused the statement: {what}"""

    code = "database_refused"


class SystemRefused(DmcheckError):
    """The operating system refused: {what}"""

    code = "system_refused"
