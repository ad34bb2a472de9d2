"""Start and end of every program: turns errors into a message and the documented exit status, in one place."""

from __future__ import annotations

import errno
import gc
import inspect
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import CommandFunctionType as CommandFunction

from dmcheck_cli import __version__, notices
from dmcheck_cli.database import account
from dmcheck_cli.errors import DmcheckError, Interrupted, OutputLost, Usage, explained
from dmcheck_cli.reporting import show
from dmcheck_cli.reporting.show import Format

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Shape = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(Format)}.", case_sensitive=False),
]


def _print_version(asked: bool) -> None:
    if asked:
        show.line(f"dmcheck {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
]


class LogFormat(StrEnum):
    """How what is said on stderr is written. `json`: one object a line."""

    text = "text"
    json = "json"


def _choose_log(asked: LogFormat) -> LogFormat:
    notices.log_as_json(asked is LogFormat.json)
    return asked


Log = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        metavar="FORMAT",
        callback=_choose_log,
        is_eager=True,
        help="What stderr is: text, or json (one object a line).",
        case_sensitive=False,
    ),
]


def common(version: Version = False) -> None:
    """Hand out accounts to check to many clients, and take their answers back."""


def _choose(context: Any, option: Any, asked: bool) -> None:
    if asked:
        notices.choose(notices.Level[option.name.upper()])


def _ask_for_timings(context: Any, option: Any, asked: bool) -> None:
    global _timings  # noqa: PLW0603 - one process has one stderr
    _timings = _timings or asked


_timings = False
"""Whether to say what the database had to do."""


class _Options:
    """Gives a command the options that all have, before `--help`; its function does not see them."""

    params: list[Any]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += [
            TyperOption(
                param_decls=[f"--{name}", f"-{name[0]}"], is_flag=True, expose_value=False, callback=_choose, help=about
            )
            for name, about in (
                ("quiet", "Print results, warnings and errors only."),
                ("verbose", "Say which database is used, which statements are run, and what is tried again."),
            )
        ]
        about = "Say at the end what this cost the database: round trips, and the time waited."
        self.params.append(
            TyperOption(
                param_decls=["--timings"], is_flag=True, expose_value=False, callback=_ask_for_timings, help=about
            )
        )


class Verb(_Options, TyperCommand):
    """A command with the options that all have."""


class Verbs(_Options, TyperGroup):
    """A group of commands with the options that all have, which stand before the command's name."""


class Program(typer.Typer):
    """A program, or a part of one: all its commands have `--quiet`, `--verbose` and `--timings`."""

    def command(self, name: str | None = None, **more: Any) -> Callable[[CommandFunction], CommandFunction]:
        """As Typer has it. A terminal breaks the lines of the help where it ends, not where the docstring does."""

        def decorate(function: CommandFunction) -> CommandFunction:
            told = inspect.getdoc(function) or ""
            whole = "\n\n".join(" ".join(part.split()) for part in told.split("\n\n"))
            return super(Program, self).command(name, cls=Verb, help=whole or None, **more)(function)

        return decorate


READING = (
    ("stats",),
    ("log",),
    ("report",),
    ("doctor",),
    ("settings",),
    ("crontab",),
    ("bucket", "show"),
    ("users", "show"),
    ("users", "pending"),
    ("users", "export"),
    ("gate", "list"),
    ("server", "status"),
)
"""Commands that change nothing for anybody; `report` keeps a secret in the graph once."""

READING_OPTIONS = frozenset(
    {"--help", "-h", "--version", "--dry-run", "--print", "--show-completion", "--resume", "--pending", "--try"}
)
"""Options with which no command changes anything."""

# Typer 0.26 and later bundle their own click; this is the class of whichever click Typer uses.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(app: typer.Typer) -> NoReturn:
    """Run the program with the process's arguments, and end the process with its exit status."""
    # Commands are short-lived: garbage collection during startup cost 5 % of a run, tearing down the interpreter at the
    # end another 10 % (DECISIONS.md). Long jobs still collect, but less often.
    gc.set_threshold(100_000)
    _open_streams()
    os._exit(run(app, sys.argv[1:]))


def lasts() -> None:
    """End what `main` put off, in a command that goes on: in 10,000 buckets `work` gathered 20 MB that nobody needed
    (`scripts/prove.py events --buckets 10000 --size 2 --events 0`)."""
    gc.set_threshold(5_000)


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run the program with these arguments on the process's streams; returns its exit status."""
    as_json = _asks_for_json(arguments)
    notices.choose(notices.Level.NORMAL)
    notices.log_as_json(_asks_for(arguments, "--log-format"))  # until the options are read: they may be wrong
    account.forget()
    _ask_no_timings()
    _mend_environment()
    status = 0
    try:
        status = _status(app, arguments, as_json)
        sys.stdout.flush()
    except OutputLost as problem:
        status = _lost(problem, arguments, as_json)
    except OSError as problem:
        status = status or _lost(OutputLost(what=problem.strerror), arguments, as_json)  # an earlier error was reported
    with suppress(OSError):  # nobody reads stderr; the exit status still tells
        _say_timings()
        sys.stderr.flush()
    return status


def _ask_no_timings() -> None:
    global _timings  # noqa: PLW0603 - one process has one stderr
    _timings = False


def _say_timings() -> None:
    """Once; an error comes after it, since scripts read the last line of stderr."""
    if _timings:
        _ask_no_timings()
        said = notices.Event(str(account.total()), "timings")
        sys.stderr.write(f"{notices.logged(said) if notices.logs() else said}\n")


def _open_streams() -> None:
    """Replace each standard stream that was closed (`>&-`), which Python shows as None.

    Reads return nothing, messages are discarded, and writing a result fails. The file descriptor is occupied, too:
    otherwise the next file or connection would get it, and a program that we start would write to that.
    """
    for number, name, mode, access in (
        (0, "stdin", "r", os.O_RDONLY),
        (1, "stdout", "w", os.O_RDONLY),  # so writing fails
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            os.open(os.devnull, access)  # takes the lowest free descriptor: this one
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for table frames where the locale is ASCII only


def _mend_environment() -> None:
    """Some programs say with COLUMNS=0 that they do not know the width. Typer colours its help in a pipe for being in
    CI, and takes this variable as a wish not to."""
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)
    if "FORCE_COLOR" not in os.environ and not sys.stdout.isatty():
        os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"


def _status(app: typer.Typer, arguments: Sequence[str], as_json: bool) -> int:
    try:
        status = int(app(args=list(arguments), standalone_mode=False) or 0)
        if status == Interrupted.exit_status:  # Typer itself catches Ctrl-C
            raise KeyboardInterrupt
        return status
    except OutputLost:
        raise
    except DmcheckError as problem:
        return _failed(problem, as_json)
    except _UsageError as wrong:
        what = wrong.format_message()  # type: ignore[attr-defined]
        # Without arguments a program shows its help, which is message enough.
        return _failed(Usage(what=what), as_json) if what else Usage.exit_status
    except (typer.Abort, KeyboardInterrupt):
        return _failed(Interrupted(what=_interrupted(arguments)), as_json)
    except SystemExit as ended:  # raised by Typer after --show-completion, and when its help text cannot be written
        if not ended.code:
            return 0
        raise OutputLost(what=os.strerror(errno.EPIPE)) from None
    except Exception as error:
        unforeseen = explained(error)
        if isinstance(unforeseen, OutputLost):
            raise unforeseen from error
        return _failed(unforeseen, as_json)


def _interrupted(arguments: Sequence[str]) -> str:
    if _only_reads(arguments):
        return "Nothing was changed."
    return "It may have taken effect or not: the same command may be repeated."


def _failed(problem: DmcheckError, as_json: bool) -> int:
    with suppress(OSError):  # nobody reads stderr; the exit status still tells
        _say_timings()
        show.error(problem, as_json)
        sys.stderr.flush()
    return problem.exit_status


def _lost(problem: OutputLost, arguments: Sequence[str], as_json: bool) -> int:
    """A reader that closes the pipe of a command that only reads has seen enough: that needs no message."""
    if _only_reads(arguments):
        if os.strerror(errno.EPIPE) in problem.message:
            return problem.exit_status
        problem.message = problem.message.partition(", but")[0] + "; nothing was changed."
    elif _words(arguments)[:1] == ("fetch",):
        problem.message = problem.message.partition(" The same")[0] + " `dmcheck fetch --resume` shows the leases."
    return _failed(problem, as_json)


def _only_reads(arguments: Sequence[str]) -> bool:
    words = _words(arguments)
    return bool(READING_OPTIONS & set(_ours(arguments))) or any(words[: len(verb)] == verb for verb in READING)


def _words(arguments: Sequence[str]) -> tuple[str, ...]:
    """What stands before `--` and is no option: the verb first."""
    return tuple(one for one in _ours(arguments) if not one.startswith("-"))


def _asks_for_json(arguments: Sequence[str]) -> bool:
    return "--json" in _ours(arguments) or _asks_for(arguments, "--format")


def _asks_for(arguments: Sequence[str], option: str) -> bool:
    """Whether the option is there with the value `json`."""
    ours = _ours(arguments)
    return f"{option}=json" in ours or (option, "json") in pairwise(ours)


def _ours(arguments: Sequence[str]) -> list[str]:
    before = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return [one.lower() for one in before]
