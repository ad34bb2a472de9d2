"""The result of a proof's run, and the table of such results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tabulate import tabulate

from proofs.history import Operation

MAX_SHOWN = 20
"""Violations shown in a failure: one defect tends to break many things."""


@dataclass
class Outcome:
    """One run: the fault, how it was injected, the command that prints it, and the result.

    `faults` counts those that really fired. A run without a fault or without an operation has shown nothing.
    """

    fault: str
    injection: str
    command: str
    ok: int = 0
    refused: int = 0
    unknown: int = 0
    faults: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def operations(self) -> int:
        """All operations, whatever their outcome."""
        return self.ok + self.refused + self.unknown

    def count(self, operations: Iterable[Operation]) -> Outcome:
        """Add operations to the counts; returns itself."""
        for operation in operations:
            if operation.ok:
                self.ok += 1
            elif operation.unknown:
                self.unknown += 1
            else:
                self.refused += 1
        return self

    def check(self) -> Outcome:
        """Returns itself.

        Raises AssertionError when something was violated, no fault fired, or no operation was in flight.
        """
        shown = "\n  ".join(self.violations[:MAX_SHOWN])
        assert not self.violations, f"{self.fault}: {len(self.violations)} violations:\n  {shown}"
        assert self.faults > 0, f"{self.fault}: no fault fired, so nothing was shown"
        assert self.operations > 0, f"{self.fault}: no operation was in flight, so nothing was shown"
        return self


def table(outcomes: Sequence[Outcome], format: str = "github") -> str:
    """The outcomes as a table in one of tabulate's formats: one row per run."""
    head = ["fault", "how it is injected", "ok", "refused", "unknown", "faults fired", "violations", "command"]
    rows = [
        [x.fault, x.injection, x.ok, x.refused, x.unknown, x.faults, len(x.violations), f"`{x.command}`"]
        for x in outcomes
    ]
    return tabulate(rows, headers=head, tablefmt=format)
