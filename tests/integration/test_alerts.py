"""The alerts: each trouble is made in a real graph, exported, and shown to the rules by promtool and by Prometheus."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.alerting import RULES, exported, holds, needs_prometheus, needs_promtool, promtool, story
from support.graphs import MAX_WAIT_SECONDS, pass_time, prepare, wait_until
from support.invariants import Query, broken
from test_trust_judging import lie

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import leases
from jobs import export_metrics, judge_clients, make_buckets, raise_starved, reclaim_leases

UNIT = Path(__file__).parents[1] / "unit" / "alerts.yml"

HOUR = 3600


def cron(database: Database) -> None:
    """Every job but the export runs."""
    for job in (reclaim_leases, make_buckets, raise_starved, judge_clients):
        job.run(database)


def stop_cron(database: Database, query: Query) -> None:
    """The jobs have not run for three hours."""
    query("MATCH (j:DMCheckJob) SET j.last_success_time = j.last_success_time - duration('PT3H')")


def lose_clients(database: Database, query: Query) -> None:
    """Nobody has been here for three hours; cron goes on."""
    pass_time(query, 3 * HOUR)
    cron(database)


def pass_the_bound(database: Database, query: Query) -> None:
    """More buckets have waited for longer than a day than the only client takes."""
    pass_time(query, 25 * HOUR)
    cron(database)
    leases.fetch(database, 2, 1, "late")


def lie_for_once(database: Database, query: Query) -> None:
    """A client says DM of everybody, and two others know better each time."""
    lie(database, query, 4)
    cron(database)


TROUBLES: dict[str, Callable[[Database, Query], None]] = {
    "DmcheckJobLate": stop_cron,
    "DmcheckClientsGone": lose_clients,
    "DmcheckWaitTooLong": pass_the_bound,
    "DmcheckClientContradicted": lie_for_once,
}


def well(database: Database, query: Query) -> None:
    """Five clients at work, users who wait, cron that runs."""
    query("MATCH (n) WHERE NOT n:DMCheckSchema DETACH DELETE n")
    prepare(database, [1, 2, 3, 4, 5], 60, size=10)
    [lease] = leases.fetch(database, 2, 1, "early")
    leases.release(database, 2, lease.bucket, lease.lease)
    cron(database)


@needs_promtool
def test_each_alert_fires_when_its_trouble_is_there_and_not_before(
    database: Database, query: Query, tmp_path: Path
) -> None:
    """No other one fires either. The one of a database that was started again is proven in test_embedded_crashes."""
    file, stories = tmp_path / "dmcheck.prom", []
    for alert, trouble in TROUBLES.items():
        well(database, query)
        before = exported(database, file)
        trouble(database, query)
        stories.append(story(alert, before, exported(database, file)))
        assert broken(query) == []
    well(database, query)
    before = exported(database, file)
    stories.append(story("", before, exported(database, file)))
    stories.append(story("DmcheckMetricsOld", before, before, writes=False))
    holds(stories, tmp_path)


@needs_promtool
@pytest.mark.parametrize("arguments", [("check", "rules", RULES), ("test", "rules", UNIT)], ids=lambda a: a[0])
def test_the_rules_are_right(arguments: tuple[object, ...]) -> None:
    """By their form, and at their bounds."""
    promtool(*arguments)


@needs_promtool
def test_the_metrics_are_as_prometheus_likes_them(database: Database, query: Query, tmp_path: Path) -> None:
    """HELP, TYPE, base units, names."""
    well(database, query)
    export_metrics.run(database, tmp_path / "dmcheck.prom")
    text = (tmp_path / "dmcheck.prom").read_bytes()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The files of a folder over HTTP, as node_exporter would serve them; gives the port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {".prom": "text/plain; version=0.0.4"}  # noqa: RUF012 - it is the base's attribute

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@needs_prometheus
def test_a_real_prometheus_reads_the_file_and_fires(database: Database, query: Query, tmp_path: Path) -> None:
    """It scrapes what the export wrote, is silent, and fires once the file tells of a liar."""
    file = tmp_path / "files" / "dmcheck.prom"
    file.parent.mkdir()
    well(database, query)
    before = exported(database, file)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served(file.parent) as source:
        config = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {
                    "job_name": "textfile",
                    "metrics_path": "/dmcheck.prom",
                    "static_configs": [{"targets": [f"127.0.0.1:{source}"]}],
                }
            ],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        with subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as prometheus:

            def ask(what: str) -> Any:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{what}", timeout=5) as answer:
                        return json.load(answer)["data"]
                except OSError:
                    return None

            def firing() -> set[str]:
                found = ask("alerts") or {"alerts": []}
                return {one["labels"]["alertname"] for one in found["alerts"] if one["state"] == "firing"}

            try:
                wait_until(lambda: bool((ask("query?query=dmcheck_users") or {"result": []})["result"]))
                shown = ask("query?query=dmcheck_users")["result"]
                states = {one["metric"]["state"]: float(one["value"][1]) for one in shown}
                assert states == {
                    s: float(before[f'dmcheck_users{{state="{s}"}}']) for s in ("waiting", "leased", "checked")
                }
                time.sleep(1)  # rules have been looked at, several times
                assert firing() == set()
                lie_for_once(database, query)
                exported(database, file)
                wait_until(lambda: firing() == {"DmcheckClientContradicted"})
            finally:
                prometheus.terminate()
                prometheus.wait(MAX_WAIT_SECONDS)
