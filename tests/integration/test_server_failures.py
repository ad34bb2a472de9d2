"""Failures between us and a real server: what passes, what never does, and what is said of it."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from proofs.proxy import HALF_OPEN, RESET_BEFORE, Proxy, always
from support.programs import Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.errors import DatabaseRefused, NotConfigured, Temporary
from dmcheck_cli.settings import Settings

Run = Callable[..., Result]


def _port(uri: str) -> int:
    port = urlsplit(uri).port
    assert port is not None
    return port


@pytest.fixture
def port(neo4j_environment: dict[str, str]) -> int:
    """Where the test database listens."""
    return _port(neo4j_environment["NEO4J_URI"])


def _certificate(folder: Path, *options: str) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*command, "-days", "3", "-subj", "/CN=localhost", *options], check=True, capture_output=True)
    return certificate, key


@contextmanager
def _tls(port: int, certificate: tuple[Path, Path]) -> Iterator[int]:
    """A relay that demands TLS and passes on to the real server, as a server with a certificate does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass  # the other direction closed both
        finally:
            for end in (source, sink):
                end.close()

    def serve() -> None:
        while True:
            try:
                raw = listener.accept()[0]
            except OSError:
                return
            try:
                near = context.wrap_socket(raw, server_side=True)
            except OSError:
                raw.close()
                continue
            far = socket.create_connection(("127.0.0.1", port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


CERTIFICATES = {
    "own": ("-addext", "subjectAltName=IP:127.0.0.1"),
    "of another host": ("-addext", "subjectAltName=DNS:elsewhere.example"),
}


@pytest.mark.parametrize("scheme", ["bolt+s", "neo4j+s"])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_certificate_that_nobody_vouches_for(run: Run, port: int, tmp_path: Path, scheme: str, kind: str) -> None:
    """It never passes: 4 at once, with what helps, and not a word of effects; routing does not hide it."""
    with _tls(port, _certificate(tmp_path, *CERTIFICATES[kind])) as tls:
        done = run("stats", "--json", NEO4J_URI=f"{scheme}://127.0.0.1:{tls}", DMCHECK_TIMEOUT_SECONDS="600")
    assert done.status == 4
    message = json.loads(done.err)["error"]["message"]
    assert f"certificate of 127.0.0.1:{tls}" in message
    assert f"{scheme}sc://" in message
    assert "effect" not in message
    assert "repeat" not in message


def test_a_certificate_of_another_host_names_the_mismatch(port: int, tmp_path: Path) -> None:
    """With an authority that is trusted, what is left to say is that the name is another one."""
    from dmcheck_cli.database.address import Address
    from dmcheck_cli.database.look import look

    certificate = _certificate(tmp_path, "-addext", "subjectAltName=DNS:elsewhere.example")
    with pytest.MonkeyPatch.context() as patch, _tls(port, certificate) as tls:
        patch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with pytest.raises(NotConfigured, match="mismatch"):
            look(Address("bolt+s", "127.0.0.1", tls), 30)


def test_a_trusted_certificate_is_no_obstacle(run: Run, port: int, tmp_path: Path) -> None:
    """With an authority that vouches, and with +ssc without one, commands work through TLS."""
    certificate = _certificate(tmp_path, "-addext", "subjectAltName=IP:127.0.0.1")
    with _tls(port, certificate) as tls:
        trusted = run("stats", "--json", NEO4J_URI=f"bolt+s://127.0.0.1:{tls}", SSL_CERT_FILE=str(certificate[0]))
        taken = run("stats", "--json", NEO4J_URI=f"bolt+ssc://127.0.0.1:{tls}")
    assert (trusted.status, taken.status) == (0, 0)


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_a_server_that_wants_tls(run: Run, port: int, tmp_path: Path, scheme: str) -> None:
    """A scheme without TLS ends with 4 and the one to use."""
    with _tls(port, _certificate(tmp_path)) as tls:
        done = run("stats", NEO4J_URI=f"{scheme}://127.0.0.1:{tls}", DMCHECK_TIMEOUT_SECONDS="600")
    assert done.status == 4
    assert f"wants TLS: NEO4J_URI must begin with {scheme}+s://" in done.err


@pytest.mark.parametrize("scheme", ["bolt+s", "bolt+ssc", "neo4j+s", "neo4j+ssc"])
def test_a_server_without_tls(run: Run, port: int, scheme: str) -> None:
    """A scheme with TLS ends with 4 and the one to use."""
    done = run("stats", NEO4J_URI=f"{scheme}://127.0.0.1:{port}", DMCHECK_TIMEOUT_SECONDS="600")
    assert done.status == 4
    assert f"must begin with {scheme.partition('+')[0]}://, not {scheme}://" in done.err


class _Web(socketserver.BaseRequestHandler):
    """Answers what is no HTTP as web servers do, Neo4j's own among them."""

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("scheme", ["bolt", "neo4j", "bolt+s", "neo4j+ssc"])
def test_a_port_where_http_is_spoken(run: Run, scheme: str) -> None:
    """The browser's port instead of Bolt's: 4 at once, and where Bolt usually is."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Web) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{web.server_address[1]}"
        done = run("stats", NEO4J_URI=f"{scheme}://{place}", DMCHECK_TIMEOUT_SECONDS="600")
        web.shutdown()
    assert done.status == 4
    assert f"HTTP is spoken, {place}: Bolt's is usually 7687" in done.err


@pytest.mark.parametrize("scheme", ["bolt", "neo4j", "bolt+s", "neo4j+ssc"])
def test_nobody_listens(run: Run, scheme: str) -> None:
    """75, the cause in the system's words, and that nothing was changed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
    done = run("stats", NEO4J_URI=place, DMCHECK_TIMEOUT_SECONDS="3")
    assert done.status == 75
    assert f"cannot reach Neo4j at {place} (connection refused) within 3 seconds; nothing was changed" in done.err


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
def test_a_name_that_nobody_knows(run: Run, scheme: str) -> None:
    """75: names come and go; never a traceback, whatever the driver makes of it."""
    done = run("stats", NEO4J_URI=f"{scheme}://nobody.invalid", DMCHECK_TIMEOUT_SECONDS="2")
    assert done.status == 75
    assert f"cannot reach Neo4j at {scheme}://nobody.invalid:7687 (" in done.err
    assert "nothing was changed" in done.err


def test_a_host_whose_first_address_is_dead(database: Database, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address gets a share of the time: the second one is reached, within the limit."""
    real = socket.getaddrinfo

    def two(host: str, *args: object, **kwargs: object) -> list[object]:
        if host != "graph.example":
            return real(host, *args, **kwargs)  # type: ignore[arg-type]
        kind = socket.AF_INET, socket.SOCK_STREAM, 6, ""
        return [(*kind, ("127.0.0.1", deaf.getsockname()[1])), (*kind, ("127.0.0.1", port))]

    # A full queue takes no further connection and refuses none, as a host that is switched off.
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(deaf.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", two)
        settings = replace(database.settings, neo4j_uri="bolt://graph.example:7687", timeout_seconds=40)
        with Database(settings, "tests") as other:
            assert other.run("count_users")


def test_half_open_connections_changed_nothing(run: Run, port: int) -> None:
    """A server that takes connections and never says a word: in time, and nothing was changed."""
    with Proxy(port, always(HALF_OPEN)) as proxy:
        done = run("stats", NEO4J_URI=proxy.uri, DMCHECK_TIMEOUT_SECONDS="2")
    assert done.status == 75
    assert f"cannot reach Neo4j at {proxy.uri} (no answer) within 2 seconds; nothing was changed" in done.err


def test_a_connection_that_breaks_at_the_statement_leaves_it_open(database: Database, port: int) -> None:
    """Once a statement was sent, nobody can say whether it took effect, and nobody does."""
    with Proxy(port, always(RESET_BEFORE)) as proxy:
        settings = replace(database.settings, neo4j_uri=proxy.uri, timeout_seconds=2)
        with Database(settings, "tests") as other, pytest.raises(Temporary, match="it may have taken effect or not"):
            other.run("count_users")


def test_a_rate_limit_on_log_ins_passes(database: Database) -> None:
    """Somebody's wrong passwords lock the account for a moment: the right one waits for it, and gets in."""
    wrong = replace(database.settings, neo4j_password="wrong", timeout_seconds=1)
    outcomes = []
    for _ in range(5):
        with Database(wrong, "tests") as other, pytest.raises((NotConfigured, Temporary)) as refused:
            other.run("count_users")
        outcomes.append(refused.type)
        if refused.type is Temporary:
            assert "nothing was changed" in refused.value.message
    assert outcomes[0] is NotConfigured
    assert Temporary in outcomes
    with Database(replace(database.settings, timeout_seconds=120), "tests") as right:
        assert right.run("count_users")


def test_a_key_that_is_taken_ends_soon(database: Database) -> None:
    """What could be a race of two MERGEs and is none is refused after a few tries, with the key."""
    database.run_text("CREATE (:DMCheckClient {id: 4711})")
    began = time.monotonic()
    with pytest.raises(DatabaseRefused, match="4711"):
        database.run_text("CREATE (:DMCheckClient {id: 4711})", patience=3600)
    assert time.monotonic() - began < 600


def test_a_server_that_does_not_know_our_statements_is_too_old(database: Database) -> None:
    """Our statements are fixed: one that is not understood shows the server's age, and ends with 4 at once."""
    for text in ("RETURN 1 INTO THE FUTURE", "CALL no.such.procedure()"):
        with pytest.raises(NotConfigured, match=r"Neo4j 5\.26 or newer is needed"):
            database.run_text(text)


def test_values_of_a_type_that_nobody_expects(database: Database) -> None:
    """A badly filled graph is refused at once, with the command that tells where."""
    with pytest.raises(DatabaseRefused, match="dmcheck doctor --deep"):
        database.run_text("WITH {a: 'text'} AS a RETURN a.a * 2")


def test_a_password_in_the_address(run: Run) -> None:
    """4, and nothing of it on any stream, as a table and as JSON."""
    for more in ((), ("--json",)):
        done = run("stats", *more, NEO4J_URI="neo4j+s://neo4j:hunter2@graph.example.org")
        assert done.status == 4
        assert "hunter2" not in done.out + done.err
        assert "NEO4J_PASSWORD" in done.err


def test_a_database_that_is_not_there(database: Database) -> None:
    """NEO4J_DATABASE names none: 4 at once, and which setting it is."""
    settings: Settings = replace(database.settings, neo4j_database="nowhere")
    with Database(settings, "tests") as other, pytest.raises(NotConfigured, match=r"NEO4J_DATABASE .*nowhere"):
        other.run("count_users")
