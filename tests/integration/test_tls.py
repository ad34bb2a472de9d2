"""A Neo4j that speaks TLS itself, with a certificate that the test made: `bolt+s`, `bolt+ssc`, `neo4j+s`, `neo4j+ssc`.

What a certificate can be wrong in, and relays that demand TLS: test_server_failures.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from support.programs import Result, at_home

from dmcheck_cli.embedded import configuration, launch, server

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with"),
]

Run = Callable[..., Result]

POLICY = """
server.bolt.tls_level=OPTIONAL
dbms.ssl.policy.bolt.enabled=true
dbms.ssl.policy.bolt.base_directory={folder}
dbms.ssl.policy.bolt.private_key=key.pem
dbms.ssl.policy.bolt.public_certificate=certificate.pem
dbms.ssl.policy.bolt.client_auth=NONE
"""
"""What an administrator writes into neo4j.conf. OPTIONAL and not REQUIRED: the embedded server is looked at without TLS
while it starts."""


@dataclass(frozen=True)
class Secured:
    """The server, and the authority that vouches for it."""

    port: int
    password: str
    authority: Path


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A server whose certificate is for localhost, and signed by an authority of the test's own."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ("req", "-newkey", "rsa:2048", "-nodes")
    _openssl(folder, *new, "-x509", "-days", "3", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, *new, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3", "-extfile", "names")
    _openssl(folder, "x509", "-req", "-in", "request.pem", "-out", "certificate.pem", *signed)
    settings = at_home(tmp_path_factory.mktemp("home"))
    lines = POLICY.format(folder=folder)
    with mock.patch.object(launch, "neo4j_conf", lambda port: configuration.neo4j_conf(port) + lines):
        running = server.ensure_running(settings)
    try:
        yield Secured(int(running.uri.rpartition(":")[2]), running.password, folder / "ca.pem")
    finally:
        server.stop(settings)


@pytest.fixture
def through(secured: Secured, run: Run) -> Callable[..., Result]:
    """Runs a command against it, as a process, with this start of the address."""

    def command(scheme: str, host: str, *arguments: object, **variables: str) -> Result:
        uri = f"{scheme}://{host}:{secured.port}"
        return run(*arguments, "--json", NEO4J_URI=uri, NEO4J_PASSWORD=secured.password, **variables)

    return command


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
def test_a_certificate_that_an_authority_vouches_for(through: Run, secured: Secured, scheme: str) -> None:
    """SSL_CERT_FILE names the authority: every verb works, and the account of the database travels encrypted."""
    trusting = {"SSL_CERT_FILE": str(secured.authority)}
    for arguments in (
        ("schema", "apply"),
        ("register", "--id", 42, "--screen-name", "volunteer"),
        ("stats",),
        ("doctor",),
    ):
        result = through(scheme, "localhost", *arguments, **trusting)
        assert result.status in (0, 1 if arguments == ("doctor",) else 0), result.err
    assert through(scheme, "localhost", "fetch", "--client", 42, **trusting).status == 3


@pytest.mark.parametrize("scheme", ["bolt+ssc", "neo4j+ssc"])
def test_any_certificate_is_taken_on_request(through: Run, scheme: str) -> None:
    """`+ssc` encrypts, and asks nobody who the server is."""
    assert through(scheme, "localhost", "stats").status in (0, 4)
    assert through(scheme, "localhost", "schema", "apply").status == 0
    assert through(scheme, "localhost", "stats").status == 0


@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_a_server_that_nobody_vouches_for_gets_no_password(
    through: Run, secured: Secured, host: str, trusted: bool
) -> None:
    """An authority that is not trusted, or a certificate for another name: 4 at once, with what helps."""
    variables = {"SSL_CERT_FILE": str(secured.authority)} if trusted else {}
    result = through("bolt+s", host, "stats", **variables)
    assert result.status == 4
    error = json.loads(result.err)["error"]
    assert error["code"] == "not_configured"
    assert "certificate" in error["message"]
    assert secured.password not in result.err
