"""`export_metrics`: the file that Prometheus reads, and what becomes of it when something is wrong (contract, 5)."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from support.graphs import answers, picture, prepare
from support.invariants import Query
from support.programs import METRICS, Result

from dmcheck_cli.database.connection import Database
from dmcheck_cli.transactions import buckets, clients, jobs
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch
from jobs import reclaim_leases

Call = Callable[..., Result]


@pytest.fixture
def export(direct: Call, tmp_path: Path) -> Call:
    """Runs the job with a file in the test's folder."""

    def call(*arguments: object, to: Path | None = None, **variables: str) -> Result:
        return direct("--output", to or tmp_path / "dmcheck.prom", *arguments, program=METRICS, **variables)

    return call


def samples(file: Path) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    from prometheus_client.parser import text_string_to_metric_families

    families = list(text_string_to_metric_families(file.read_text("utf-8")))
    for family in families:
        assert family.name.startswith("dmcheck_")
        assert family.documentation
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= {"state", "answer", "kind", "flag", "outcome", "name", "version"}
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def at_work(database: Database) -> None:
    """Two clients; one answered a bucket, holds one, and sent one back with a stranger's answers."""
    prepare(database, [1, 2], 40, size=10)
    first, second, _ = fetch(database, 1, 3, "k")
    submit(database, 1, [answers(first, "NON_DM"), replace(answers(second), lease="not-it")])


def test_it_tells_what_stats_tells(export: Call, direct: Call, database: Database, tmp_path: Path) -> None:
    """The same numbers; one document or one line; mode 0644, also in the place of another file and by any umask."""
    at_work(database)
    file = tmp_path / "dmcheck.prom"
    file.write_text("old")
    file.chmod(0o600)
    system = direct("stats", "--json").document["system"]
    before = os.umask(0o077)
    try:
        document = export("--json").document
    finally:
        os.umask(before)
    found = samples(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [one for one in tmp_path.iterdir() if one.is_file()] == [file]
    assert document["samples"] == len(found)
    for state in ("waiting", "leased", "checked"):
        assert found["dmcheck_users", state] == system[f"users_{state}"]
    for answer, count in system["answers"].items():
        assert found["dmcheck_users_answered", answer] == count
    for state in ("ready", "leased", "dead"):
        assert found["dmcheck_buckets", state] == system[f"buckets_{state}"]
    assert found["dmcheck_leases_given_total",] == 3
    assert found["dmcheck_leases_ended_total", "answered"] == 1
    assert found["dmcheck_buckets_refused_total",] == 1
    assert found["dmcheck_clients", "active"] == 2
    assert found["dmcheck_wait_bound_seconds", "ordinary"] == system["ordinary"]["overdue_seconds"]
    assert found["dmcheck_job_since_last_success_seconds", "judge_clients"] == float("inf")
    assert ("dmcheck_job_since_last_success_seconds", METRICS) not in found
    assert found["dmcheck_database_start_timestamp_seconds",] > 0
    line = export().out
    assert line.count("\n") == 1
    assert f" export_metrics: metrics {document['metrics']}, samples " in line
    assert samples(file)["dmcheck_job_since_last_success_seconds", METRICS] < 60


def test_counters_never_go_down(export: Call, database: Database, query: Query, tmp_path: Path) -> None:
    """Neither when a client is deleted, once or again, nor when the records of leases and events end."""
    at_work(database)
    export()
    file = tmp_path / "dmcheck.prom"
    before = {key: value for key, value in samples(file).items() if key[0].endswith("_total")}
    query(
        "MATCH (n:DMCheckLease|DMCheckEvent) SET n.ended = n.ended - duration('P40D'), n.at = n.at - duration('P40D')"
    )
    reclaim_leases.run(database)
    for id in (1, 1, 2):
        clients.delete(database, id)
        export()
        after = samples(file)
        assert {key: after[key] for key in before} == before
    assert after["dmcheck_clients", "active"] == 0


def test_what_a_job_cost_is_told(export: Call, direct: Call, database: Database, tmp_path: Path) -> None:
    """Of its last run, as its connection counted it; of an older release's run nothing is known."""
    account = SimpleNamespace(statements=7, round_trips=9, rows=120, retries=1, waited=0.25)
    with Database(database.settings, "raise_starved") as own, mock.patch.object(own, "account", account, create=True):
        buckets.finish(own, "raise_starved")
    [found] = [run for run in jobs.last_runs(database) if run.name == "raise_starved"]
    assert (found.statements, found.round_trips, found.rows, found.retries, found.waited) == (7, 9, 120, 1, 0.25)
    database.run_text("CREATE (:DMCheckJob {name: 'judge_clients', last_success_time: datetime()})")
    export()
    told = samples(tmp_path / "dmcheck.prom")
    kinds = ("statements", "round_trips", "rows", "retries", "waited_seconds")
    assert [told[f"dmcheck_job_{kind}", "raise_starved"] for kind in kinds] == [7, 9, 120, 1, 0.25]
    assert 0 <= told["dmcheck_job_duration_seconds", "raise_starved"] < 60
    assert ("dmcheck_job_duration_seconds", "judge_clients") not in told
    assert direct("doctor", "--json").document["jobs"][-1]["name"] == METRICS


def test_a_dry_run_leaves_no_trace(export: Call, database: Database, query: Query, tmp_path: Path) -> None:
    """Neither a file nor a record; it counts the same."""
    at_work(database)
    before = picture(query)
    document = export("--dry-run", "--json").document
    assert picture(query) == before
    assert not (tmp_path / "dmcheck.prom").exists()
    assert export("--json").document == document


@pytest.mark.parametrize("wrong", ["folder", "nowhere/file.prom", "file/below.prom"])
@pytest.mark.usefixtures("database")
def test_a_file_that_cannot_be_written(export: Call, query: Query, tmp_path: Path, wrong: str) -> None:
    """Status 2, with its name and the reason; nothing is recorded, and nothing left lying about."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    before, found = picture(query), sorted(tmp_path.rglob("*"))
    result = export("--json", to=tmp_path / wrong)
    assert (result.status, result.error["code"]) == (2, "usage")
    assert wrong in result.error["message"]
    assert picture(query) == before
    assert sorted(tmp_path.rglob("*")) == found


@pytest.mark.usefixtures("database")
def test_without_a_file_to_write(direct: Call) -> None:
    """Wrong usage."""
    assert direct(program=METRICS).status == 2


def test_without_the_database_the_old_file_stays(export: Call, tmp_path: Path) -> None:
    """Status 75; its age tells."""
    file = tmp_path / "dmcheck.prom"
    file.write_text("old")
    result = export("--json", NEO4J_URI="bolt://localhost:1", DMCHECK_TIMEOUT_SECONDS="1")
    assert (result.status, result.error["code"]) == (75, "temporary")
    assert file.read_text() == "old"


def test_without_the_extra(export: Call, tmp_path: Path) -> None:
    """Status 4, and what to install; the old file stays."""
    file = tmp_path / "dmcheck.prom"
    file.write_text("old")
    with mock.patch.dict(sys.modules, {"prometheus_client": None}):
        result = export("--json")
    assert (result.status, result.error["code"]) == (4, "not_configured")
    assert "pip install 'dmcheck[report]'" in result.error["message"]
    assert file.read_text() == "old"


def test_a_record_that_fails_does_not_fail_the_export(export: Call, database: Database, tmp_path: Path) -> None:
    """The file is written, and that is what counts."""
    run: Any = Database.run

    def refusing(self: Database, statement: str, /, **parameters: object) -> object:
        if statement == "finish_job":
            return []  # as on a graph that is being upgraded
        return run(self, statement, **parameters)

    with mock.patch.object(Database, "run", refusing):
        result = export()
    assert result.status == 0
    assert "could not be recorded" in result.err
    assert samples(tmp_path / "dmcheck.prom")
    assert [run.name for run in jobs.last_runs(database)].count(METRICS) == 0
