"""Every write command through the typed transactions, recorded as it runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, Lease, User
from dmcheck_cli.transactions import answers, buckets, clients, leases, schema, users
from dmcheck_cli.transactions.report import findings
from jobs import judge_clients, make_buckets, raise_starved, reclaim_leases
from proofs.history import Recorder


class Actor:
    """A user of the system with one connection. Each method records one operation and raises its refusal.

    Records have the shape of the command's JSON document, so that a run of commands as processes and a run of
    transactions are judged by the same rules.
    """

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self.database = database
        self.recorder = recorder

    def register(self, id: int, capacity: int | None = None, screen_name: str | None = None) -> dict[str, Any]:
        """Registers, as `client<id>` unless told otherwise."""
        name = screen_name or f"client{id}"
        return self._do(
            "register",
            id,
            {"screen_name": name, "capacity": capacity},
            lambda: {"client": asdict(clients.register(self.database, id, name, capacity))},
        )

    def unregister(self, id: int, screen_name: str | None = None) -> dict[str, Any]:
        """Unregisters, as `client<id>` unless told otherwise."""
        name = screen_name or f"client{id}"

        def work() -> dict[str, Any]:
            client, returned = clients.unregister(self.database, id, name)
            return {"client": asdict(client), "returned": returned}

        return self._do("unregister", id, {"screen_name": name}, work)

    def suspend(self, id: int, reason: str | None = None) -> dict[str, Any]:
        """Suspends a client."""

        def work() -> dict[str, Any]:
            client, returned = clients.suspend(self.database, id, reason)
            return {"client": asdict(client), "returned": returned}

        return self._do("client suspend", id, {"reason": reason}, work)

    def resume_client(self, id: int) -> dict[str, Any]:
        """Ends a suspension."""
        return self._do("client resume", id, {}, lambda: {"client": asdict(clients.resume(self.database, id))})

    def distrust(self, id: int) -> dict[str, Any]:
        """Withdraws what a client said."""

        def work() -> dict[str, Any]:
            *_, last = clients.distrust(self.database, id)
            return {"client": id, **asdict(last)}

        return self._do("client distrust", id, {}, work)

    def rename(self, id: int, screen_name: str) -> dict[str, Any]:
        """Gives a client another name."""
        return self._do(
            "client rename",
            id,
            {"screen_name": screen_name},
            lambda: {"client": asdict(clients.rename(self.database, id, screen_name))},
        )

    def probation(self, id: int) -> dict[str, Any]:
        """Leaves a client at one lease."""
        return self._do("probation", id, {}, lambda: {"set": clients.put_on_probation(self.database, id)})

    def forget(self, id: int) -> dict[str, Any]:
        """Deletes a client."""

        def work() -> dict[str, Any]:
            returned, answers = clients.delete(self.database, id)
            return {"deleted": id, "returned": returned, "answers": answers}

        return self._do("client delete", id, {}, work)

    def fetch(self, id: int, count: int | None = 10, request: str | None = None) -> list[Lease]:
        """Fetches, with a fresh request id unless one is given."""
        request = request or uuid.uuid4().hex
        found: list[Lease] = []

        def work() -> dict[str, Any]:
            found.extend(leases.fetch(self.database, id, count, request))
            return {"client": id, "buckets": [asdict(lease) for lease in found]}

        self._do("fetch", id, {"count": count, "request": request}, work)
        return found

    def resume(self, id: int) -> list[Lease]:
        """The leases it still holds."""
        found: list[Lease] = []

        def work() -> dict[str, Any]:
            found.extend(leases.resume(self.database, id))
            return {"client": id, "buckets": [asdict(lease) for lease in found]}

        self._do("resume", id, {}, work)
        return found

    def renew(self, id: int, bucket: str, lease: str) -> dict[str, Any]:
        """Renews one lease."""
        return self._do(
            "renew",
            id,
            {"bucket": bucket, "lease": lease},
            lambda: {"bucket": bucket, "lease": lease, "expires": leases.renew(self.database, id, bucket, lease)},
        )

    def release(self, id: int, bucket: str, lease: str, failed: bool = False) -> dict[str, Any]:
        """Gives one lease back; `failed`: because COMMAND did."""

        def work() -> dict[str, Any]:
            returned = leases.release(self.database, id, bucket, lease, failed)
            return {"bucket": bucket, "lease": lease, "returned": returned}

        return self._do("release", id, {"bucket": bucket, "lease": lease}, work)

    def submit(self, id: int, answered: Sequence[Answered]) -> list[dict[str, Any]]:
        """Submits; returns the reports, as the command prints them."""

        def work() -> dict[str, Any]:
            reports = [asdict(report) for report in answers.submit(self.database, id, list(answered))]
            for report in reports:
                report["refused"] = [{"screen_name": name, "reason": "not_in_bucket"} for name in report["refused"]]
            return {"client": id, "buckets": reports}

        result = self._do("submit", id, {"buckets": [asdict(one) for one in answered]}, work)
        return list(result["buckets"])

    def add(self, names: Sequence[str]) -> dict[str, Any]:
        """Adds users without ids."""

        def work() -> dict[str, Any]:
            done = users.add(self.database, [User(name, None) for name in names])
            return {"added": done.added, "existing": done.existing}

        return self._do("users add", None, {"names": list(names)}, work)

    def delete(self, names: Sequence[str]) -> dict[str, Any]:
        """Deletes users."""

        def work() -> dict[str, Any]:
            deleted, unknown = users.delete(self.database, list(names))
            return {"deleted": deleted, "unknown": unknown}

        return self._do("users delete", None, {"names": list(names)}, work)

    def prioritize(self, names: Sequence[str], priority: int = 10, recheck: bool = False) -> dict[str, Any]:
        """Prioritizes users."""
        return self._do(
            "prioritize",
            None,
            {"names": list(names), "priority": priority, "recheck": recheck},
            lambda: asdict(users.prioritize(self.database, list(names), priority, recheck)),
        )

    def retry(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Puts users back who were set aside, all unless named."""
        given = None if names is None else list(names)
        return self._do("users retry", None, {}, lambda: {"retried": users.retry(self.database, given)})

    @property
    def jobs(self) -> tuple[Callable[[], dict[str, Any]], ...]:
        """One run of each job."""
        return self.make, self.reclaim, self.raise_starved, self.judge

    def make(self) -> dict[str, Any]:
        """One run of make_buckets."""
        return self._do("make_buckets", None, {}, lambda: asdict(make_buckets.run(self.database)))

    def reclaim(self) -> dict[str, Any]:
        """One run of reclaim_leases."""

        def work() -> dict[str, Any]:
            marked, released = reclaim_leases.run(self.database)
            return {"marked_dead": marked, "released": released}

        return self._do("reclaim_leases", None, {}, work)

    def mark_dead(self) -> dict[str, Any]:
        """One half of reclaim_leases: marks a batch dead."""
        work = buckets.mark_dead
        return self._do("reclaim_leases", None, {}, lambda: {"marked_dead": len(work(self.database)), "released": 0})

    def release_dead(self) -> dict[str, Any]:
        """The other half: releases a batch that has been dead long enough."""
        work = buckets.release_dead
        return self._do("reclaim_leases", None, {}, lambda: {"marked_dead": 0, "released": len(work(self.database))})

    def raise_starved(self) -> dict[str, Any]:
        """One run of raise_starved."""
        return self._do("raise_starved", None, {}, lambda: {"raised": raise_starved.run(self.database)})

    def judge(self) -> dict[str, Any]:
        """One run of judge_clients."""
        return self._do("judge_clients", None, {}, lambda: judge_clients.run(self.database).counts)

    def schema(self) -> dict[str, Any]:
        """Applies the schema, which also takes over older graphs."""
        return self._do("schema apply", None, {}, lambda: {"applied": schema.apply(self.database)})

    def join(self, id: int) -> dict[str, Any]:
        """Applies the schema to a graph that may have several nodes of one client, and sees what came of them."""

        def work() -> dict[str, Any]:
            applied = schema.apply(self.database)
            [seen] = self.database.run_text(
                """MATCH (c:DMCheckClient {id: $id})-[:STATS]->(s)
                RETURN count(c) AS nodes, sum(s.buckets_assigned) AS assigned, sum(s.buckets_processed) AS processed,
                       sum(COUNT { (c)-[:DM_YES]->() }) AS answers, sum(COUNT { (c)<-[:DMCHECKCLIENT]-() }) AS held""",
                id=id,
            )
            return {"applied": applied, **seen}

        return self._do("schema apply", id, {}, work)

    def report(self) -> dict[str, Any]:
        """What the page of `report` calls each client."""
        return self._do(
            "report",
            None,
            {},
            lambda: {"names": {str(one.stats.id): one.name for one in findings(self.database, False).workers}},
        )

    def _do(self, kind: str, client: int | None, arguments: dict[str, Any], work: Any) -> dict[str, Any]:
        result: dict[str, Any] = self.recorder.run(kind, client, arguments, work)
        return result
