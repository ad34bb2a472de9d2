"""Our own parser for NEO4J_URI: the driver repeats the whole URI in its errors, including a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from dmcheck_cli.errors import NotConfigured

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
USUAL_PORT = 7687

_ROUTING_CONTEXT = re.compile(r"[^=&]+=[^=&]+(&[^=&]+=[^=&]+)*")


@dataclass(frozen=True)
class Address:
    """Where Neo4j listens, and its URI scheme. As text: the part of NEO4J_URI that messages may show."""

    scheme: str
    host: str
    port: int

    @property
    def encrypted(self) -> bool:
        """Whether the scheme asks for TLS."""
        return "+" in self.scheme

    @property
    def verified(self) -> bool:
        """Whether the scheme requires a certificate signed by a trusted authority."""
        return self.scheme.endswith("+s")

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}"


def read(uri: str) -> Address:
    """The address that NEO4J_URI names.

    Raises NotConfigured, without repeating the URI, for anything that the driver would misread or reject only later.
    """
    try:
        parts = urlsplit(uri)
        if parts.scheme in SCHEMES:
            _check_extras(parts)
        host, port = parts.hostname, USUAL_PORT if parts.port is None else parts.port
        usable = parts.scheme in SCHEMES and port > 0 and host is not None and _is_host(host)
    except ValueError:  # an invalid port or IPv6 address
        host, usable = None, False
    if host is None or not usable:
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise NotConfigured(what=f"NEO4J_URI must be one of {schemes} and a host, perhaps with :port")
    return Address(parts.scheme, host, port)


def _check_extras(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise NotConfigured(
            what="NEO4J_URI has a user or a password in it: they belong in NEO4J_USERNAME and NEO4J_PASSWORD or "
            "NEO4J_PASSWORD_FILE"
        )
    if parts.path not in {"", "/"} or parts.fragment:
        raise NotConfigured(what="NEO4J_URI has more than host and port: NEO4J_DATABASE names the database")
    if parts.query and not (parts.scheme.startswith("neo4j") and _is_context(parts.query)):
        raise NotConfigured(
            what="NEO4J_URI has a ? in it: only neo4j:// takes a routing context, as ?name=value (any name but address)"
        )


def _is_context(query: str) -> bool:
    names = [pair.partition("=")[0] for pair in query.split("&")]
    return _ROUTING_CONTEXT.fullmatch(query) is not None and len(names) == len(set(names)) and "address" not in names


def _is_host(host: str) -> bool:
    host.encode("idna")  # as the system does for a lookup; its error is a ValueError
    return not re.search(r"[\s\\,]", host)
