"""Jars are fetched once, whole or not at all, and only the pinned ones are ever used."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from homes import MAX_WAIT_SECONDS, PROJECT

from dmcheck_cli.embedded import parts
from dmcheck_cli.errors import NotConfigured, Temporary
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings

VERSION = "0.0.1"
JARS = {f"part{number:02}-1.jar": os.urandom(2000 + number) for number in range(30)}

FETCH = f"""
import sys
from pathlib import Path
from dmcheck_cli.embedded import parts
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings
parts.LISTS = Path(sys.argv[1])
parts.jars(Settings.load(), "{VERSION}", Progress())
"""


class Repository(ThreadingHTTPServer):
    """A Maven repository on loopback. `served` counts; `seconds` delays each jar; `broken` maps a jar to its fault."""

    daemon_threads = True

    def __init__(self) -> None:
        self.served: list[str] = []
        self.seconds = 0.0
        self.broken: dict[str, str] = {}
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://someone:secret@127.0.0.1:{self.server_address[1]}/maven"


class Answer(BaseHTTPRequestHandler):
    """Sends a jar, or what `broken` says instead."""

    protocol_version = "HTTP/1.1"
    server: Repository

    def do_GET(self) -> None:
        """One jar."""
        name = self.path.rpartition("/")[2]
        fault = self.server.broken.get(name)
        time.sleep(self.server.seconds)
        if fault is not None and fault.isdigit():
            self.send_response(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        assert self.path == f"/maven/org/parts/{name.removesuffix('-1.jar')}/1/{name}"
        content = b"another" if fault == "another" else JARS[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:1000] if fault == "half" else content)
        self.close_connection = fault == "half"
        self.server.served.append(name)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def repository() -> Iterator[Repository]:
    """A repository that runs during one test."""
    made = Repository()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder into which this test's jars are fetched; the pinned list has JARS only."""
    lists = tmp_path / "lists"
    lists.mkdir()
    lines = [f"org.parts:{name[:6]}:1\t{hashlib.sha256(content).hexdigest()}\n" for name, content in JARS.items()]
    (lists / f"neo4j-{VERSION}.tsv").write_text("# a comment\n" + "".join(lines))
    monkeypatch.setattr(parts, "LISTS", lists)
    monkeypatch.setattr(parts, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / f"neo4j-{VERSION}"


def jars(settings: Settings) -> list[Path]:
    return parts.jars(settings, VERSION, Progress(shown=False))


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()} - {"lock"}


def test_they_are_fetched_once(cache: Path, repository: Repository) -> None:
    """Private, whole, and a second call fetches nothing."""
    settings = Settings(jars_url=repository.url)
    found = jars(settings)
    assert {one.name: one.read_bytes() for one in found} == JARS
    assert found == sorted(found)
    assert {one.stat().st_mode & 0o777 for one in found} == {0o600}
    assert jars(settings) == found
    assert sorted(repository.served) == sorted(JARS)


def test_one_that_is_not_the_pinned_one_is_refused(cache: Path, repository: Repository) -> None:
    """The error names it, and it is not kept."""
    repository.broken["part07-1.jar"] = "another"
    with pytest.raises(NotConfigured, match=r"part07-1\.jar"):
        jars(Settings(jars_url=repository.url))
    assert "part07-1.jar" not in names(cache)


def test_a_cached_one_that_was_changed_is_fetched_again(cache: Path, repository: Repository) -> None:
    """It is never used."""
    settings = Settings(jars_url=repository.url)
    jars(settings)
    (cache / "part03-1.jar").write_bytes(b"changed")
    repository.served.clear()
    assert {one.name: one.read_bytes() for one in jars(settings)} == JARS
    assert repository.served == ["part03-1.jar"]


@pytest.mark.parametrize("fault", ["half", "500"])
def test_trouble_on_the_way_is_temporary(cache: Path, repository: Repository, fault: str) -> None:
    """The error names what can be done, not the mirror's password; the next call fetches only what is missing."""
    repository.broken["part09-1.jar"] = fault
    settings = Settings(jars_url=repository.url)
    with pytest.raises(Temporary, match=r"part09-1\.jar.*DMCHECK_JARS_URL.*DMCHECK_JARS_FOLDER") as caught:
        jars(settings)
    assert "secret" not in str(caught.value)
    have = {name for name in names(cache) if name.endswith(".jar")}
    assert "part09-1.jar" not in have
    repository.broken.clear()
    repository.served.clear()
    jars(settings)
    assert sorted(repository.served) == sorted(JARS.keys() - have)
    assert names(cache) == JARS.keys()


def test_a_repository_that_lacks_one_has_to_be_put_right(cache: Path, repository: Repository) -> None:
    """Repeating the command would not help."""
    repository.broken["part02-1.jar"] = "404"
    with pytest.raises(NotConfigured, match=r"part02-1\.jar.*404"):
        jars(Settings(jars_url=repository.url))


def test_no_repository_is_temporary_and_no_address_is_not(cache: Path) -> None:
    """A network that is down passes; an address that is none does not."""
    with pytest.raises(Temporary, match="ConnectionError"):
        jars(Settings(jars_url="http://127.0.0.1:1/maven"))
    with pytest.raises(NotConfigured, match="InvalidURL"):
        jars(Settings(jars_url="not an address"))


@pytest.mark.parametrize("layout", ["flat", "maven"])
def test_a_folder_of_jars_is_used_instead(cache: Path, tmp_path: Path, layout: str) -> None:
    """Nothing is fetched or written; each is checked; a missing or a wrong one is named."""
    folder = tmp_path / "folder"
    for name, content in JARS.items():
        path = folder / name if layout == "flat" else folder / "org" / "parts" / name[:6] / "1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    settings = Settings(jars_folder=str(folder), jars_url="http://127.0.0.1:1/")
    found = jars(settings)
    assert {one.name: one.read_bytes() for one in found} == JARS
    assert not cache.exists()
    found[4].write_bytes(b"changed")
    with pytest.raises(NotConfigured, match=re.escape(found[4].name)):
        jars(settings)
    found[4].unlink()
    with pytest.raises(NotConfigured, match=f"DMCHECK_JARS_FOLDER.*{re.escape(found[4].name)}"):
        jars(settings)


def fetching(cache: Path, repository: Repository, stderr: int) -> subprocess.Popen[bytes]:
    """A process that fetches into `cache`'s sibling, where the platform keeps caches."""
    outside = {**os.environ, "PYTHONPATH": str(PROJECT), "HOME": str(cache.parent), "DMCHECK_JARS_URL": repository.url}
    outside |= {"XDG_CACHE_HOME": str(cache.parent), "TERM": "xterm"}
    outside.pop("DMCHECK_JARS_FOLDER", None)
    command = [sys.executable, "-c", FETCH, str(parts.LISTS)]
    return subprocess.Popen(command, env=outside, stdout=subprocess.PIPE, stderr=stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="needs to know where the platform keeps caches")
def test_a_killed_fetch_is_taken_up(cache: Path, repository: Repository) -> None:
    """Two at once fetch each jar once; killed in the midst, the next goes on, and says so in one plain line."""
    real = cache.parent / "dmcheck" / cache.name
    repository.seconds = 0.05
    killed = [fetching(cache, repository, subprocess.PIPE) for _ in range(2)]
    while len(repository.served) < 5:
        time.sleep(0.01)
    for one in killed:
        one.send_signal(signal.SIGKILL)
        one.communicate()
    assert names(real) != JARS.keys()

    both = [fetching(cache, repository, subprocess.PIPE) for _ in range(2)]
    said = [one.communicate(timeout=MAX_WAIT_SECONDS) for one in both]

    assert [one.returncode for one in both] == [0, 0], said
    assert {output for output, _ in said} == {b""}
    assert re.fullmatch(rb"Fetching [^\n]* \.\.\.\n", b"".join(errors for _, errors in said))
    assert {one.name: one.read_bytes() for one in real.glob("*.jar")} == JARS
    assert names(real) == JARS.keys()


def test_a_terminal_sees_a_bar(cache: Path, repository: Repository) -> None:
    """On stderr; stdout stays empty."""
    repository.seconds = 0.05
    ours, theirs = pty.openpty()
    process = fetching(cache, repository, theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux says that nobody has the other end any more
        pass
    os.close(ours)
    assert process.communicate(timeout=MAX_WAIT_SECONDS)[0] == b""
    assert process.returncode == 0
    assert "━" in seen.decode()
    assert b"/30" in seen


@pytest.mark.parametrize(("version", "count"), [("5.26.30", 213), ("2026.08.1", 225)])
def test_the_pinned_lists_are_whole(version: str, count: int) -> None:
    """As many jars as Maven resolved, each with a path and a SHA-256 of its own."""
    pinned = parts.pinned(version)
    assert len(pinned) == count
    assert len({part.path for part in pinned}) == len({part.name for part in pinned}) == count
    assert all(re.fullmatch("[0-9a-f]{64}", part.sha256) for part in pinned)
    assert f"org/neo4j/neo4j/{version}/neo4j-{version}.jar" in {part.path for part in pinned}


def test_a_version_that_is_not_pinned_is_refused() -> None:
    """The error says which ones are."""
    with pytest.raises(NotConfigured, match=r"4\.4\.0.*2026\.08\.1, 5\.26\.30"):
        parts.pinned("4.4.0")
