"""A real `sshd` on loopback, for one test: its own host key, its own keys, and an `ssh` that finds nothing else.

Tests that use it are skipped where Debian's openssh-server is not installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.graphs import MAX_WAIT_SECONDS

SSHD = "/usr/sbin/sshd"
HOST = "gate"
"""How the tests' `ssh` calls it."""

needs_sshd = pytest.mark.skipif(
    not (Path(SSHD).exists() and shutil.which("ssh") and shutil.which("ssh-keygen")),
    reason=f"there is no {SSHD} (Debian's openssh-server), ssh or ssh-keygen",
)


class Sshd:
    """Listens on a free port of loopback from `with` on. `environment`: what its commands get, besides what sshd gives.

    `gate`: what DMCHECK_GATE must be; `authorized_keys`: the file that it reads.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.gate = f"{getpass.getuser()}@{HOST}"
        self.authorized_keys = folder / "authorized_keys"
        self.host_key = folder / "host"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._environment = {**environment, "DMCHECK_AUTHORIZED_KEYS": str(self.authorized_keys)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        self.authorized_keys.touch(mode=0o600)
        keygen(self.host_key)
        self.start()
        return self

    def set(self, **variables: str) -> None:
        """Give commands of new connections these variables, too."""
        self._environment |= variables
        self.stop()
        self.start()

    def _configure(self) -> None:
        variables = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.authorized_keys}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
            f"Subsystem sftp internal-sftp\nSetEnv {variables}\n"
        )

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when it does."""
        self._configure()
        log = (self.folder / "sshd.log").open("ab")
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stdin=subprocess.DEVNULL, stderr=log
        )
        log.close()
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self.folder / "sshd.log").read_text())

    @property
    def pid(self) -> int:
        """Of the process that listens."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Take no new connection; open ones go on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def volunteer(self, name: str, port: int | None = None, new: bool = False) -> dict[str, str]:
        """The environment of a volunteer's machine: a key of its own, and an `ssh` that knows this host, by another
        `port` if given; a `new` one has and knows neither. The public key is `key_of(name)`; the operator has not added
        it yet."""
        machine = self.folder / name
        (machine / "bin").mkdir(parents=True)
        (machine / ".ssh").mkdir(mode=0o700)
        if not new:
            keygen(machine / ".ssh" / "id_ed25519")
            host_key = (self.folder / "host.pub").read_text()
            (machine / ".ssh" / "known_hosts").write_text(f"{HOST} {host_key}")
        (machine / "config").write_text(
            f"Host {HOST}\n  HostName 127.0.0.1\n  Port {port or self.port}\n  HostKeyAlias {HOST}\n"
            f"  IdentityFile {machine / '.ssh' / 'id_ed25519'}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {machine / '.ssh' / 'known_hosts'}\n"
        )
        ssh = machine / "bin" / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {machine / "config"} "$@"\n')
        ssh.chmod(0o700)
        return {
            "PATH": f"{machine / 'bin'}:{os.environ['PATH']}",
            "HOME": str(machine),
            "DMCHECK_GATE": self.gate,
        }

    def key_of(self, name: str) -> Path:
        """The public key of a volunteer."""
        return self.folder / name / ".ssh" / "id_ed25519.pub"


def keygen(path: Path) -> None:
    """A key without a passphrase, and its public half beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.parent.name, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
