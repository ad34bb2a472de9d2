"""The archive of Neo4j's classes is made once, beside nobody's work, and without it, or with a bad one, all works."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import ENSURE_RUNNING, MAX_WAIT_SECONDS, PROJECT, start_command
from support.programs import at_home

from dmcheck_cli.embedded import archive, server
from dmcheck_cli.embedded.archive import Archive
from dmcheck_cli.embedded.configuration import java
from dmcheck_cli.embedded.files import locked
from dmcheck_cli.embedded.parts import DEFAULT_VERSION
from dmcheck_cli.embedded.store import Store
from dmcheck_cli.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs to know which files a process has mapped")

MAKE_AT_ONCE = f"""
from dmcheck_cli.embedded import archive
archive.SECONDS_BEFORE = archive.NICENESS = 0
{ENSURE_RUNNING}
"""


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + MAX_WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def store_of(settings: Settings) -> Store:
    return Store(Path(os.path.realpath(str(settings.home))))


def has_mapped(pid: int, path: Path) -> bool:
    return str(path) in Path(f"/proc/{pid}/maps").read_text()


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsa"))


def options(settings: Settings) -> list[str]:
    """What a server of this home would be told now."""
    return archive.options(DEFAULT_VERSION, sorted(Path(str(settings.jars_folder)).glob("*.jar")), store_of(settings))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, jars_folder: str) -> Iterator[tuple[Settings, Path]]:
    """Two first starts at the same moment, of two homes, and the archive that came of them."""
    top = tmp_path_factory.mktemp("archive")
    both = [at_home(top / name, jars_folder=jars_folder) for name in ("one", "two")]
    folder = top / "cache" / "dmcheck" / f"neo4j-{DEFAULT_VERSION}"
    try:
        code = f"import os; os.umask(0)\n{MAKE_AT_ONCE}"
        started = [start_command(one, code, XDG_CACHE_HOME=str(top / "cache")) for one in both]
        for one in started:
            _, errors = one.communicate(timeout=MAX_WAIT_SECONDS)
            assert one.returncode == 0, errors
        wait_until(lambda: archives(folder) and not any(store_of(one).classes.exists() for one in both))
        [found] = archives(folder)
        yield both[0], found
    finally:
        for one in both:
            server.stop(one)


@pytest.fixture
def cached(made: tuple[Settings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that archive in this test's cache; nothing makes another one before the test has ended."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(archive, "SECONDS_BEFORE", 2 * MAX_WAIT_SECONDS)
    copy = tmp_path / "cache" / "dmcheck" / f"neo4j-{DEFAULT_VERSION}" / made[1].name
    copy.parent.mkdir(parents=True)
    shutil.copy2(made[1], copy)
    return copy


@pytest.fixture(autouse=True)
def makers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes that make archives, which were started by the test's own process; they end with the test."""
    begun: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **more: object) -> None:
            super().__init__(command, **more)  # type: ignore[call-overload]
            if command[0] == sys.executable and archive.__name__ in command:
                begun.append(self)

    monkeypatch.setattr(archive.subprocess, "Popen", Kept)
    yield begun
    for one in begun:
        os.killpg(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)


def test_it_is_made_once_private_and_read_by_the_next_start(made: tuple[Settings, Path], cached: Path) -> None:
    """Two that began at once leave one archive and nothing else, whatever the umask; the next start maps it."""
    settings, found = made
    assert {one.name for one in found.parent.iterdir()} == {found.name, "classes.lock"}
    assert {one.stat().st_mode & 0o077 for one in (found.parent, *found.parent.iterdir())} == {0}
    server.stop(settings)
    running = server.ensure_running(settings, progress=False)
    assert has_mapped(running.pid, cached)
    assert not store_of(settings).classes.exists()


def test_a_damaged_one_is_removed_and_made_anew(
    settings: Settings, cached: Path, makers: list[subprocess.Popen[bytes]]
) -> None:
    """Java never sees it; the start lists the classes for the next one."""
    os.truncate(cached, cached.stat().st_size // 2)
    running = server.ensure_running(settings, progress=False)
    assert not has_mapped(running.pid, cached)
    assert archives(cached.parent) == []
    assert store_of(settings).classes.stat().st_size > 0
    assert len(makers) == 1


@pytest.mark.parametrize("damage", ["empty", "a changed byte"])
def test_any_damage_is_found(cached: Path, damage: str) -> None:
    """One byte is enough."""
    found = Archive(cached.parent, cached.name.split("-")[1])
    assert found.find() == cached
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content if damage == "a changed byte" else b"")
    assert found.find() is None
    assert archives(cached.parent) == []


def test_one_that_java_does_not_take_does_no_harm(settings: Settings, cached: Path) -> None:
    """Whole, by its name, but of another program."""
    content = os.urandom(1 << 20)
    foreign = cached.with_name(f"{cached.stem.rpartition('-')[0]}-{hashlib.sha256(content).hexdigest()}.jsa")
    foreign.write_bytes(content)
    cached.unlink()
    running = server.ensure_running(settings, progress=False)
    assert server.find(settings) == running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_accounts_is_not_read(cached: Path) -> None:
    """It could hold any program."""
    os.chown(cached, 65534, 65534)
    assert Archive(cached.parent, cached.name.split("-")[1]).find() is None
    assert cached.exists()


def test_a_cache_that_is_only_read_does_no_harm(
    settings: Settings, cached: Path, makers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server starts; nothing is listed, and nothing is begun."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")  # nobody can make a folder there, not even root
    running = server.ensure_running(settings, progress=False)
    assert server.find(settings) == running
    assert not store_of(settings).classes.exists()
    assert makers == []


@pytest.mark.parametrize("why", ["a file in its place", "no room", "no folder", "two paths"])
def test_where_none_can_be_made_java_is_told_nothing(
    settings: Settings, cached: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    """As of a server that never had one."""
    cached.unlink()
    assert options(settings)[0].startswith("-XX:DumpLoadedClassList=")
    if why == "no room":
        monkeypatch.setattr(archive, "MIN_FREE", 2**60)
    elif why == "no folder":
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    elif why == "a file in its place":
        shutil.rmtree(cached.parent)
        cached.parent.write_text("")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/a:b")
    assert options(settings) == []


def maker(made: tuple[Settings, Path], folder: Path, limit: str = "unlimited") -> subprocess.Popen[bytes]:
    """A process that makes an archive in a folder now, and may write files of `limit` KiB at most."""
    jars = sorted(Path(str(made[0].jars_folder)).glob("*.jar"))
    classes = folder / "classes"
    classes.write_text("java/lang/Object\norg/neo4j/server/CommunityEntryPoint\njava/lang/Str")
    arguments = ["0", "0", str(folder), "0" * 16, str(classes), *java(jars)]
    command = [sys.executable, "-P", "-m", archive.__name__, *arguments]
    shell = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *command]
    return subprocess.Popen(shell, env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True)


def test_a_disk_that_fills_up_leaves_nothing(made: tuple[Settings, Path], tmp_path: Path) -> None:
    """Nor does the list stay, whose last line was cut."""
    full = maker(made, tmp_path, limit="4000")
    assert full.wait(MAX_WAIT_SECONDS) == 0
    assert [one.name for one in tmp_path.iterdir()] == ["classes.lock"]
    whole = maker(made, tmp_path)
    assert whole.wait(MAX_WAIT_SECONDS) == 0
    assert len(archives(tmp_path)) == 1


def test_what_a_killed_making_left_behind_goes_with_the_next_start(
    made: tuple[Settings, Path], settings: Settings, cached: Path
) -> None:
    """Also where an archive is there; what is being made just then stays."""
    part = cached.parent / "classes.txt.part"  # is there for as long as the making takes
    killed = maker(made, cached.parent)
    wait_until(part.exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    with locked(cached.parent / "classes.lock", 0):
        options(settings)
        assert part.exists()
    assert options(settings) == [f"-XX:SharedArchiveFile={cached}"]
    assert list(cached.parent.glob("*.part")) == []


def test_older_ones_go_when_one_is_made(made: tuple[Settings, Path], tmp_path: Path) -> None:
    """Two stay: environments with different releases of Java may take turns."""
    for age in (1, 2, 3):
        old = tmp_path / f"classes-{age}-x.jsa"
        old.touch()
        os.utime(old, (time.time() - 100 * age,) * 2)
    assert maker(made, tmp_path).wait(MAX_WAIT_SECONDS) == 0
    kept = Archive(tmp_path, "0" * 16).find()
    assert kept is not None
    assert archives(tmp_path) == [kept, tmp_path / "classes-1-x.jsa"]


def test_it_belongs_to_these_jars(tmp_path: Path) -> None:
    """Java compares the paths of the jars, their sizes and times: others have another archive."""
    jars = [tmp_path / "a.jar"]
    jars[0].write_text("a")
    keys = {archive._archive(DEFAULT_VERSION, jars).key}
    os.utime(jars[0], (1, 1))
    keys.add(archive._archive(DEFAULT_VERSION, jars).key)
    jars[0].write_text("ab")
    os.utime(jars[0], (1, 1))
    keys.add(archive._archive(DEFAULT_VERSION, jars).key)
    assert len(keys) == 3
