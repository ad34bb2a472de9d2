"""Accepting answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import ANSWERS, Answered, Report
from dmcheck_cli.transactions import buckets, clients, refusals, schema


@refusals.counted
def submit(database: Database, client: int, answered: list[Answered]) -> list[Report]:
    """Store answers and end their leases; reports in the order given.

    One transaction, or one per part if the document holds more than `max_answers`. If it is interrupted, submitting the
    same document again returns the reports of the stored parts and stores the rest.

    Raises NotRegistered, Suspended. A refused bucket is a Report, not an error: the others are stored.
    """
    reports: dict[tuple[str, str], Report] = {}
    for part in _parts(answered, database.settings.limits.max_answers):
        rows = schema.write(
            database,
            "submit_answers",
            client=client,
            buckets=[parameters(one) for one in part],
        )
        if not rows:
            raise clients.inactive(database, client)
        if empty := [one.bucket for one in part if not one.answers]:
            buckets.split(database, empty)
        given = {a.bucket: a for a in part}
        found = [(given[row["bucket"]], row) for row in rows if row["bucket"] in given]
        reported = [(one, _report(row, one)) for one, row in found]
        reasons = Counter(report.reason for _, report in reported if report.reason is not None)
        for reason, number in reasons.items():
            refusals.count(database, client, reason, number)
        reports.update(((one.bucket, one.lease), report) for one, report in reported)
    return [reports[a.bucket, a.lease] for a in answered]


def parameters(one: Answered) -> dict[str, Any]:
    """The parameters of `submit_answers` for one bucket.

    Names with the same answer form one text: packing a map of 180 names took 445 µs, three texts 3 µs (plain driver).
    """
    named: dict[str, list[str]] = {answer: [] for answer in ANSWERS}
    spelled = one.names()
    for name in spelled:
        named[one.answers[name]].append(name.lower())
    return {
        "bucket": one.bucket,
        "lease": one.lease,
        "digests": one.digests(),
        "answers": len(spelled),
        "names": [" ".join(names) for names in named.values()],
        "spelled": " ".join(spelled),
    }


def _parts(answered: list[Answered], most: int) -> Iterator[list[Answered]]:
    """The document in parts of at most `most` answers, none with two leases of one bucket; an empty one is one part.

    What `work` has kept may have two: each lease is taken or refused by itself."""
    part: dict[str, Answered] = {}
    size = 0
    for one in answered:
        if part and (size + len(one.answers) > most or one.bucket in part):
            yield list(part.values())
            part, size = {}, 0
        part[one.bucket] = one
        size += len(one.answers)
    yield list(part.values())


def _report(row: dict[str, Any], given: Answered) -> Report:
    if row["outcome"] != "accepted":
        reason = "not_in_bucket" if row["outcome"] == "newest" else row["outcome"]
        return Report(row["bucket"], "refused", reason=reason)
    names = given.names()
    # Release 0.1.0 stored the names themselves.
    refused = [place if isinstance(place, str) else names[place] for place in row["refused"] or []]
    returned = row["users"] - row["accepted"]
    return Report(row["bucket"], "partial" if returned else "done", row["accepted"], returned, refused)
