"""Assembles the `dmcheck` program; nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from dmcheck_cli import entry
from dmcheck_cli.commands import (
    bucket,
    client,
    cron,
    doctor,
    export,
    fetch,
    gate,
    log,
    prioritize,
    register,
    release,
    renew,
    report,
    schema,
    server,
    settings,
    stats,
    submit,
    unregister,
    users,
    work,
)

VOLUNTEERS, OPERATORS, UPKEEP = "For volunteers", "For operators", "Maintenance"
"""The readers by whom the help is grouped."""

app = entry.Program(
    cls=entry.Verbs,
    help="Hand out accounts to check to many clients, and take their answers back.",
    epilog="Exit status: 0 done, 1 refused, 2 wrong usage, 3 nothing to fetch, 4 not configured, 70 a bug, 75 repeat. "
    "The database: NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD_FILE; without them an embedded one in DMCHECK_HOME. "
    "Through an operator's gate: DMCHECK_GATE.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(entry.common)


def _add(panel: str, verb: Callable[..., Any], example: str, **more: Any) -> None:
    app.command(rich_help_panel=panel, epilog=f"Example: dmcheck {example}", **more)(verb)


_add(VOLUNTEERS, register.register, "register --id 42 --screen-name @volunteer --capacity 4")
_add(VOLUNTEERS, unregister.unregister, "unregister --id 42 --screen-name @volunteer")
_add(VOLUNTEERS, fetch.fetch, "fetch --client 42 --json | my-checker | dmcheck submit --client 42")
_add(VOLUNTEERS, submit.submit, "submit --client 42 answers.json")
_add(VOLUNTEERS, renew.renew, "renew --client 42 --bucket UUID --lease ID")
_add(VOLUNTEERS, release.release, "release --client 42 --bucket UUID --lease ID")
_add(VOLUNTEERS, work.work, "work --client 42 -- my-checker", context_settings=work.CONTEXT)
_add(OPERATORS, prioritize.prioritize, "prioritize @someone @another --priority 5")
_add(OPERATORS, stats.stats, "stats --sort buckets_dead --limit 5")
_add(OPERATORS, log.log, "log --client 42 --since '2 hours ago'")
_add(OPERATORS, report.report, "report status.html")
_add(UPKEEP, doctor.doctor, "doctor --deep")
_add(UPKEEP, settings.settings, "settings")
_add(UPKEEP, cron.crontab, "crontab")
_add(UPKEEP, cron.units, "units /etc/systemd/system")
users.app.command(epilog="Example: dmcheck users export open.csv --answer DM")(export.export)
app.add_typer(users.app, name="users", rich_help_panel=OPERATORS)
app.add_typer(bucket.app, name="bucket", rich_help_panel=OPERATORS)
app.add_typer(client.app, name="client", rich_help_panel=OPERATORS)
app.add_typer(gate.app, name="gate", rich_help_panel=OPERATORS)
app.add_typer(schema.app, name="schema", rich_help_panel=UPKEEP)
app.add_typer(server.app, name="server", rich_help_panel=UPKEEP)


def main() -> NoReturn:
    """The console script."""
    entry.main(app)
