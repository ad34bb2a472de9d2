"""Checks whether the graph after a run agrees with the history of the run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from support.invariants import PATIENCE, Query

from proofs.history import Operation

READ = {
    "leases": """MATCH (l:DMCheckLease)
        RETURN l.id AS id, l.client AS client, l.bucket AS bucket, l.request AS request,
               l.digest IS NOT NULL AS answered, coalesce(l.died, false) AS died, l.unjudged IS NULL AS judged,
               l.how AS how, l.users AS users, coalesce(l.accepted, l.dm + l.non_dm + l.unknown) AS accepted""",
    "clients": """MATCH (c:DMCheckClient)-[:STATS]->(s)
        RETURN c.id AS id, c.screen_name AS screen_name, c.state AS state, c.suspended IS NOT NULL AS suspended,
               s.buckets_assigned AS assigned,
               s.buckets_processed AS processed, s.buckets_fault AS fault, s.buckets_dead AS dead""",
    "answers": """MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND|DM_PAST]->(u:User)
        RETURN CASE WHEN c:DMCheckClient THEN c.id END AS client, u.screen_name AS user, type(r) = 'DM_PAST' AS past,
               coalesce(r.candm, CASE type(r) WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM'
               ELSE 'UNKNOWN' END) AS candm""",
    "users": "MATCH (u:User) RETURN u.screen_name AS name",
}


@dataclass
class _Lease:
    """What the history says about one lease."""

    id: str
    bucket: str = ""
    client: int | None = None
    users: set[str] = field(default_factory=set)
    given: list[Operation] = field(default_factory=list)
    submits: list[tuple[Operation, dict[str, str], dict[str, Any] | None]] = field(default_factory=list)

    def accepted(self) -> list[tuple[Operation, dict[str, str], dict[str, Any]]]:
        """The acknowledged submits: operation, answers, report."""
        return [(o, a, r) for o, a, r in self.submits if r is not None and r["status"] != "refused"]

    def credited(self) -> dict[str, str]:
        """User -> answer, for users in the accepted answers who are not known to be strangers."""
        for _, answers, report in self.accepted():
            strangers = {refused["screen_name"] for refused in report["refused"]}
            return {user: candm for user, candm in answers.items() if user in self.users and user not in strangers}
        return {}


def contradictions(operations: list[Operation], query: Query, *, calm: bool = True) -> list[str]:
    """Contradictions between the graph and the history of everything done to it since it was empty; ideally none.

    `calm`: no connection was broken. Otherwise the counted faults may be fewer than the refused submits, because a
    retry after an unknown outcome is not counted again.
    """
    return _Judge(operations, query, calm).verdict()


class _Judge:
    def __init__(self, operations: list[Operation], query: Query, calm: bool) -> None:
        self.calm = calm
        self.graph = {name: query(text, patience=PATIENCE) for name, text in READ.items()}
        self.found: list[str] = []
        self.by_kind: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            self.by_kind[operation.kind].append(operation)
        self.leases: dict[str, _Lease] = {}
        for operation in self.by_kind["fetch"] + self.by_kind["resume"]:
            for bucket in operation.result["buckets"] if operation.ok else []:
                self._given(operation, bucket)
        for operation in self.by_kind["submit"]:
            if operation.effective:
                self._submitted(operation)
        # Users put back in line by name: recheck makes an answer history, delete removes it.
        self.rechecks = self._by_name(o for o in self.by_kind["prioritize"] if o.arguments["recheck"])
        self.deletes = self._by_name(self.by_kind["users delete"])
        self.adds = self._by_name(self.by_kind["users add"])
        # What takes back what a client said, and what forgets it.
        self.distrusts = self._by_client("client distrust")
        self.forgets = self._by_client("client delete")

    def verdict(self) -> list[str]:
        """All contradictions."""
        self._leases_are_one_request_s()
        self._never_two_live_leases()
        self._only_the_newest_is_accepted()
        self._answers()
        self._records()
        self._finished_stays_finished()
        self._repeats_are_alike()
        self._users()
        self._clients()
        self._counters()
        return self.found

    # Reading the history

    def _given(self, operation: Operation, bucket: dict[str, Any]) -> None:
        lease = self.leases.setdefault(bucket["lease"], _Lease(bucket["lease"]))
        if lease.given and (lease.client, lease.bucket) != (operation.client, bucket["bucket"]):
            self._say(f"lease {lease.id} came to {lease.client} and to {operation.client}")
        lease.client, lease.bucket = operation.client, bucket["bucket"]
        lease.users |= {user["screen_name"] for user in bucket["users"]}
        lease.given.append(operation)

    def _submitted(self, operation: Operation) -> None:
        reports = [None] * len(operation.arguments["buckets"]) if operation.unknown else operation.result["buckets"]
        for given, report in zip(operation.arguments["buckets"], reports, strict=True):
            lease = self.leases.setdefault(given["lease"], _Lease(given["lease"], given["bucket"]))
            lease.submits.append((operation, given["answers"], report))

    @staticmethod
    def _by_name(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
        found: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            if operation.effective:
                for name in operation.arguments["names"]:
                    found[name].append(operation)
        return found

    def _by_client(self, kind: str) -> dict[int | None, list[Operation]]:
        found: dict[int | None, list[Operation]] = defaultdict(list)
        for operation in self.by_kind[kind]:
            if operation.effective:
                found[operation.client].append(operation)
        return found

    def _is(self, row: dict[str, Any], client: int | None) -> bool:
        """Whether what is there is the client's: one that was deleted has no id any more."""
        return row["client"] == client or (row["client"] is None and bool(self.forgets[client]))

    def _say(self, text: str) -> None:
        self.found.append(text)

    # The rules

    def _leases_are_one_request_s(self) -> None:
        """A lease id is never reused: each belongs to one client, one bucket and one request."""
        known = {row["id"]: row for row in self.graph["leases"]}
        for lease in self.leases.values():
            requests = {o.arguments["request"] for o in lease.given if o.kind == "fetch"}
            if len(requests) > 1:
                self._say(f"lease {lease.id} was given to the requests {sorted(requests)}")
            row = known.get(lease.id)
            if lease.given and row is None:
                self._say(f"lease {lease.id} was given to client {lease.client}, but is not on record")
            elif (
                lease.given and row is not None and not (self._is(row, lease.client) and row["bucket"] == lease.bucket)
            ):
                self._say(f"lease {lease.id} is on record as {row}, but was given to client {lease.client}")
        unknown = {(o.client, o.arguments["request"]) for o in self.by_kind["fetch"] if o.unknown}
        unknown |= {(None, None)} if any(self.forgets[client] for client, _ in list(unknown)) else set()
        given = {lease.id for lease in self.leases.values() if lease.given}
        for id, row in known.items():
            if id not in given and (row["client"], row["request"]) not in unknown:
                self._say(f"lease {id} of client {row['client']} is on record, but nobody was given it")

    def _never_two_live_leases(self) -> None:
        """Of two leases of one bucket, the older one had a reason to end before the younger one was given."""
        by_bucket: dict[str, list[_Lease]] = defaultdict(list)
        for lease in self.leases.values():
            if lease.given:
                by_bucket[lease.bucket].append(lease)
        for bucket, leases in by_bucket.items():
            for one, other in combinations(leases, 2):
                if not (self._could_follow(one, other) or self._could_follow(other, one)):
                    self._say(
                        f"bucket {bucket} was leased twice: {one.id} to {one.client}, {other.id} to {other.client}"
                    )

    def _could_follow(self, older: _Lease, younger: _Lease) -> bool:
        """Whether the younger lease may have been given after some event ended the older one."""
        first, second = older.given[0], younger.given[0]
        return not second.before(first) and any(
            end.began < second.ended and end.ended > first.began for end in self._ends(older)
        )

    def _ends(self, lease: _Lease) -> Iterable[Operation]:
        for operation, _, report in lease.submits:
            if operation.client == lease.client and (report is None or report["status"] != "refused"):
                yield operation
        for kind in ("unregister", "client suspend", "client delete"):
            for operation in self.by_kind[kind]:
                if operation.client == lease.client and operation.effective:
                    yield operation
        for operation in self.by_kind["release"]:
            if operation.arguments["lease"] == lease.id and operation.effective:
                yield operation
        for operation in self.by_kind["reclaim_leases"]:
            if operation.unknown or (operation.ok and operation.result["released"]):
                yield operation

    def _only_the_newest_is_accepted(self) -> None:
        """Once a bucket is leased again, answers under the older lease are refused."""
        younger: dict[str, list[_Lease]] = defaultdict(list)
        for lease in self.leases.values():
            if lease.given:
                younger[lease.bucket].append(lease)
        for lease in self.leases.values():
            if not lease.accepted():
                continue
            first = min(o.began for o, _, report in lease.submits if report is None or report["status"] != "refused")
            for other in younger[lease.bucket]:
                if other is lease or not lease.given:
                    continue
                if lease.given[0].before(other.given[0]) and other.given[0].ended < first:
                    self._say(f"answers under {lease.id} were accepted after {other.id} was given")
        for lease in self.leases.values():
            for operation, _, _ in lease.accepted():
                if operation.client != lease.client:
                    self._say(f"client {operation.client} answered under lease {lease.id} of client {lease.client}")

    def _answers(self) -> None:
        """Every acknowledged answer exists exactly once, and no answer exists that was never submitted."""
        there: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.graph["answers"]:
            there[row["user"]].append(row)
        certain: Counter[str] = Counter()
        possible: Counter[str] = Counter()
        given: set[tuple[int | None, str, str]] = set()
        for lease in self.leases.values():
            credited = lease.credited()
            self._report_fits(lease, credited)
            certain.update(user for user in credited if self._is_there(lease, user, there[user]))
            possible.update(credited.keys())
            given |= {(lease.client, user, candm) for user, candm in credited.items()}
            if not lease.accepted():
                open_ends = [(o.client, answers) for o, answers, report in lease.submits if report is None]
                possible.update({user for _, answers in open_ends for user in answers})
                given |= {(client, *answer) for client, answers in open_ends for answer in answers.items()}
        for user, rows in there.items():
            if not certain[user] <= len(rows) <= possible[user]:
                self._say(f"{user} has {len(rows)} answers, but {certain[user]} to {possible[user]} were accepted")
            for row in rows:
                if not any(
                    (client, user, row["candm"]) in given
                    for client in ([*self.forgets] if row["client"] is None else [row["client"]])
                ):
                    self._say(f"{user} has an answer that nobody gave: {row}")

    def _is_there(self, lease: _Lease, user: str, there: list[dict[str, Any]]) -> bool:
        """Looks for an accepted answer; returns whether it must exist: a user deleted meanwhile has none."""
        _, answers, _ = lease.accepted()[0]
        if any(delete.ended > lease.given[0].began for delete in self.deletes[user]):
            return False
        mine = [row for row in there if self._is(row, lease.client) and row["candm"] == answers[user]]
        if not mine:
            self._say(f"lost: {answers[user]} of client {lease.client} for {user}, accepted under {lease.id}")
        elif all(row["past"] for row in mine) and not (self.rechecks[user] or self.distrusts[lease.client]):
            self._say(f"the answer of client {lease.client} for {user} became history by itself")
        return True

    def _report_fits(self, lease: _Lease, credited: dict[str, str]) -> None:
        for operation, _, report in lease.accepted()[:1]:
            gone = [user for user in credited if any(d.ended > lease.given[0].began for d in self.deletes[user])]
            if not len(credited) - len(gone) <= report["accepted"] <= len(credited):
                self._say(
                    f"client {operation.client}: {report} under {lease.id}, but it answered {len(credited)} users"
                )

    def _records(self) -> None:
        """The record of a lease matches the report when it was answered, and no lease was judged twice."""
        known = {row["id"]: row for row in self.graph["leases"]}
        for lease in self.leases.values():
            row = known.get(lease.id)
            for _, answers, report in lease.accepted()[:1] if row is not None else []:
                how = "answered" if len(answers) > len(report["refused"]) else "released"
                told = (how, report["accepted"], report["accepted"] + report["returned"])
                if row is not None and (row["how"], row["accepted"], row["users"]) != told:
                    self._say(f"lease {lease.id} is on record as {row}, and was reported as {told}")
        jobs = self.by_kind["judge_clients"]
        told, judged = sum(o.result["judged"] for o in jobs if o.ok), sum(row["judged"] for row in known.values())
        if told > judged:
            self._say(f"{judged} leases were judged, but the jobs report {told}")

    def _finished_stays_finished(self) -> None:
        """Nobody is asked again about a user whom it answered for, unless a recheck, a deletion, or distrust of it
        requested that. Others may be asked for a second opinion."""
        answered: dict[tuple[int | None, str], Operation] = {}
        for lease in self.leases.values():
            for user in lease.credited():
                when = min((o for o, _, _ in lease.accepted()), key=lambda o: o.ended)
                key = lease.client, user
                if key not in answered or when.ended < answered[key].ended:
                    answered[key] = when
        for lease in self.leases.values():
            for user in lease.users if lease.given else ():
                done = answered.get((lease.client, user))
                if done is None or not any(
                    done.before(o) and user in {u["screen_name"] for b in _of(o, lease.id) for u in b["users"]}
                    for o in lease.given
                ):
                    continue
                reasons = self.rechecks[user] + self.distrusts[lease.client] + self.forgets[lease.client]
                if not self.deletes[user] and not any(o.ended > done.began for o in reasons):
                    self._say(f"client {lease.client} answered {user}, and was asked again under lease {lease.id}")

    def _repeats_are_alike(self) -> None:
        """Repeating a submit gives the same report; repeating a fetch gives nothing new."""
        reports: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for lease in self.leases.values():
            different = {str(sorted(answers.items())) for _, answers, _ in lease.accepted()}
            if len(different) > 1:
                self._say(f"lease {lease.id} was answered {len(different)} times, each time with other answers")
            for operation, answers, report in lease.submits:
                if report is not None:
                    reports[operation.client, lease.id, str(sorted(answers.items()))].append(report)
        for (client, lease_id, _), same in reports.items():
            taken = [report for report in same if report["status"] != "refused"]
            if taken and any(report != taken[0] for report in same):
                self._say(f"client {client} repeated a submit under {lease_id} and got {same}")
        requests: dict[tuple[Any, ...], list[Operation]] = defaultdict(list)
        for operation in self.by_kind["fetch"]:
            if operation.ok:
                requests[operation.client, operation.arguments["request"]].append(operation)
        for (client, request), fetches in requests.items():
            for earlier, later in combinations(fetches, 2):
                first, second = ({bucket["lease"] for bucket in o.result["buckets"]} for o in (earlier, later))
                if earlier.before(later) and not second <= first:
                    self._say(f"client {client} repeated request {request} and got {second - first} beside {first}")

    def _users(self) -> None:
        """Added users exist, deleted ones do not."""
        there = {row["name"] for row in self.graph["users"]}
        for name in self.adds.keys() | self.deletes.keys():
            adds, deletes = self.adds[name], self.deletes[name]
            if name not in there and any(add.ok and all(d.before(add) for d in deletes) for add in adds):
                self._say(f"{name} was added, and is not there")
            if name in there and any(delete.ok and all(a.before(delete) for a in adds) for delete in deletes):
                self._say(f"{name} was deleted, and is there")

    def _clients(self) -> None:
        """Registered clients exist and are active, unregistered ones are inactive."""
        there = {row["id"]: row for row in self.graph["clients"]}
        ids = {o.client for kind in ("register", "unregister") for o in self.by_kind[kind] if o.ok}
        for id in ids:
            if self.forgets[id]:
                continue
            ins = [o for o in self.by_kind["register"] if o.client == id and o.effective]
            outs = [o for o in self.by_kind["unregister"] if o.client == id and o.effective]
            row = there.get(id)
            if row is None:
                self._say(f"client {id} was registered, and is not there")
                continue
            names = ins + [o for o in self.by_kind["client rename"] if o.client == id and o.effective]
            if row["screen_name"] not in {o.arguments["screen_name"] for o in names}:
                self._say(f"client {id} is there as {row['screen_name']}")
            if row["state"] != "ACTIVE" and any(o.ok and all(x.before(o) for x in outs) for o in ins):
                self._say(f"client {id} was registered, and is {row['state']}")
            if row["state"] == "ACTIVE" and any(o.ok and all(x.before(o) for x in ins) for o in outs):
                self._say(f"client {id} was unregistered, and is ACTIVE")
            ends, stops = ([o for o in self.by_kind[f"client {verb}"] if o.client == id and o.effective]
                           for verb in ("resume", "suspend"))  # fmt: skip
            if row["suspended"] and any(o.ok and all(x.before(o) for x in stops) for o in ends):
                self._say(f"client {id} was resumed, and is suspended")
            if not row["suspended"] and any(o.ok and all(x.before(o) for x in ends) for o in stops):
                self._say(f"client {id} was suspended, and is not")

    def _counters(self) -> None:
        """Counters match the history; where outcomes are unknown, they are within the bounds that it allows."""
        marks = self.by_kind["reclaim_leases"]
        marked = sum(o.result["marked_dead"] for o in marks if o.ok)
        on_record: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.graph["leases"]:
            on_record[row["client"]].append(row)
        for client in self.graph["clients"]:
            if self.forgets[client["id"]]:
                continue  # its counters began at zero, and the records do not say whose leases they are
            mine = on_record[client["id"]]
            self._count(client, "assigned", len(mine), len(mine))
            self._count(client, "dead", *2 * [sum(row["died"] for row in mine)])
            self._count(client, "processed", *self._processed(client["id"]))
            self._count(client, "fault", *self._faults(client["id"]))
        died = sum(row["died"] for row in self.graph["leases"])
        if died > marked and not any(o.unknown for o in marks):
            self._say(f"{died} leases died, but the jobs report {marked}")
        if died < marked and not self.by_kind["renew"]:
            self._say(f"{died} leases died, but the jobs report {marked}")

    def _count(self, client: dict[str, Any], counter: str, least: int, most: int) -> None:
        if not least <= client[counter] <= most:
            span = f"{least}" if least == most else f"{least} to {most}"
            self._say(f"client {client['id']}: buckets_{counter} is {client[counter]}, the history says {span}")

    def _processed(self, client: int) -> tuple[int, int]:
        certain = possible = 0
        for lease in self.leases.values():
            taken = [(answers, report) for o, answers, report in lease.accepted() if o.client == client]
            if taken:
                certain += len(taken[0][0]) > len(taken[0][1]["refused"])
            elif any(report is None and answers and o.client == client for o, answers, report in lease.submits):
                possible += 1
        return certain, certain + possible

    def _faults(self, client: int) -> tuple[int, int]:
        denied = strange = possible = 0
        for lease in self.leases.values():
            mine = [(answers, report) for o, answers, report in lease.submits if o.client == client]
            denied += sum(report is not None and report["status"] == "refused" for _, report in mine)
            strange += any(report is not None and bool(report["refused"]) for _, report in mine)
            possible += sum(report is None for _, report in mine)
        return strange + (denied if self.calm else 0), strange + denied + possible


def _of(operation: Operation, lease: str) -> list[dict[str, Any]]:
    return [bucket for bucket in operation.result["buckets"] if bucket["lease"] == lease]
