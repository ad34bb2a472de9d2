"""Probes the server with a plain socket when the driver does not tell why connecting fails.

Only a rejected certificate, and a server that answers in another way than requested, are certain to be permanent
causes; any other may pass.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from dmcheck_cli.database.address import Address
from dmcheck_cli.embedded.process import HANDSHAKE
from dmcheck_cli.errors import NotConfigured

HTTP = b"HTTP"


def look(address: Address, seconds: float) -> str | None:
    """Why connecting to `address` fails, in a few words; None if it works, or if the cause is unknown.

    Each step takes at most `seconds`. Raises NotConfigured for permanent causes: an untrusted certificate, TLS where
    there is none or the reverse, a port that speaks HTTP.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return reason(error)
    reasons, certain = [], []
    for family, _, _, _, place in found:
        try:
            answer = _answer(family, place, address, address.encrypted, seconds)
            why = None
        except ssl.SSLCertVerificationError as error:
            certain.append(_untrusted(address, error))
            continue
        except _NotConnectedError as error:
            reasons.append(str(error))
            continue
        except OSError as error:
            answer, why = b"", reason(error)
        if _is_bolt(answer):
            return None
        wrong = _wrong_port(address) if answer == HTTP else _other_way(family, place, address, seconds)
        if wrong is None:
            reasons.append(why or "it does not speak Bolt")
        else:
            certain.append(wrong)
    if certain:
        raise NotConfigured(what=certain[0])
    return reasons[0] if reasons else None


def reason(error: OSError) -> str:
    """The system's description of it, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "reason", None)  # missing if Python itself raised the error
        return f"TLS failed: {why.replace('_', ' ').lower()}" if why else "TLS failed"
    if isinstance(error, TimeoutError):
        return "no answer"
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


class _NotConnectedError(Exception):
    pass


def _answer(family: int, place: Any, address: Address, encrypted: bool, seconds: float, verify: bool = True) -> bytes:
    """The first bytes of the server's answer to HANDSHAKE."""
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(place)
        except OSError as error:
            raise _NotConnectedError(reason(error)) from error
        if not encrypted:
            return _ask(connection)
        context = ssl.create_default_context()
        if not (verify and address.verified):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname=address.host) as secure:
            return _ask(secure)


def _ask(connection: socket.socket) -> bytes:
    connection.sendall(HANDSHAKE)
    answer = b""
    while len(answer) < len(HTTP) and (more := connection.recv(len(HTTP) - len(answer))):
        answer += more
    return answer


def _is_bolt(answer: bytes) -> bool:
    return len(answer) == len(HTTP) and answer[0] == 0 and answer[-1] > 0


def _other_way(family: int, place: Any, address: Address, seconds: float) -> str | None:
    """What is wrong with the scheme, if the server answers with TLS where none was requested, or the reverse."""
    try:
        answer = _answer(family, place, address, not address.encrypted, seconds, verify=False)
    except (OSError, _NotConnectedError):
        return None
    if answer == HTTP:
        return _wrong_port(address)
    if not _is_bolt(answer):
        return None
    kind = address.scheme.partition("+")[0]
    if address.encrypted:
        return f"{address.place} does not speak TLS: NEO4J_URI must begin with {kind}://, not {address.scheme}://"
    return (
        f"{address.place} wants TLS: NEO4J_URI must begin with {kind}+s://, or with {kind}+ssc:// if nobody vouches "
        f"for its certificate, not with {kind}://"
    )


def _wrong_port(address: Address) -> str:
    return f"NEO4J_URI names a port where HTTP is spoken, {address.place}: Bolt's is usually 7687"


def _untrusted(address: Address, error: ssl.SSLCertVerificationError) -> str:
    kind = address.scheme.partition("+")[0]
    return (
        f"the certificate of {address.place} cannot be verified ({error.verify_message.rstrip('.')}): have it signed "
        f"for this host by an authority that this machine trusts, or take any certificate with {kind}+ssc://"
    )
