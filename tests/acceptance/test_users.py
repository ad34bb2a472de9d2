"""Users go in as people have them, are found whatever the case of their names, and come out with their answers."""

from __future__ import annotations

import gzip
import json
import stat
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.graphs import answers, counters, prepare
from support.invariants import Query
from support.programs import Result, launcher

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import Answered, User
from dmcheck_cli.transactions import results, users
from dmcheck_cli.transactions.answers import submit
from dmcheck_cli.transactions.leases import fetch
from dmcheck_cli.wholefile import beside

Call = Callable[..., Result]

OLD, NEW = 1234567890123456789, 1234567890123456800


def stored(query: Query) -> dict[str, Any]:
    """The names that are stored, with their ids."""
    return {row["name"]: row["id"] for row in query("MATCH (u:User) RETURN u.screen_name AS name, u.id AS id")}


def add(direct: Call, lines: list[dict[str, Any]], *options: str) -> list[Any]:
    """Adds users; returns what became of them: numbers, and the names that conflict."""
    result = direct("users", "add", "--json", *options, stdin="\n".join(map(json.dumps, lines)))
    assert result.status == 0, result.err
    counted = result.document
    assert sum(n if isinstance(n, int) else len(n) for n in counted.values()) == len(lines)
    return list(counted.values())


class TestAdd:
    """`users add` tells what became of each user, and changes no id that is known unless told to."""

    def test_every_line_is_accounted_for(self, direct: Call, query: Query) -> None:
        """Added, existing, filled, conflicting, repeated."""
        first = [{"screen_name": "a"}, {"screen_name": "b", "id": 1}, {"screen_name": "A", "id": 5}]
        assert add(direct, first) == [2, 0, 0, [], 1]
        lines = [
            {"screen_name": "a", "id": 5},
            {"screen_name": "B", "id": 2},
            {"screen_name": "c", "id": 8},
            {"screen_name": "C", "id": 9},
            {"screen_name": "d"},
            {"screen_name": "c"},
        ]
        query("MATCH (u:User {screen_name: 'a'}) REMOVE u.id")
        assert add(direct, lines) == [1, 0, 1, ["c", "b"], 2]
        assert stored(query) == {"a": 5, "b": 1, "d": None}
        assert add(direct, lines) == [0, 2, 0, ["c", "b"], 2]
        assert add(direct, lines, "--replace-ids") == [0, 2, 2, [], 2]
        assert stored(query) == {"a": 5, "b": 2, "c": 9, "d": None}

    def test_a_rounded_id_is_repaired(self, direct: Call, query: Query) -> None:
        """One that is stored conflicts with the right one, until it is to be replaced."""
        query("CREATE (:User {screen_name: 'alice', id: $id})", id=NEW)
        right = {"screen_name": "alice", "id": NEW, "id_str": str(OLD)}
        said = direct("users", "add", stdin=json.dumps(right)).err
        assert "rounded" in said
        assert "other ids than known, nothing was changed: alice" in said
        assert add(direct, [right], "--replace-ids") == [0, 0, 1, [], 0]
        assert stored(query) == {"alice": OLD}

    def test_names_that_importers_stored_are_known(self, direct: Call, query: Query) -> None:
        """In any case, also those that came since; a name that is no text does not count."""
        query("CREATE (:User {screen_name: 'NASA'}), (:User {id: 3})")
        assert add(direct, [{"screen_name": "nasa", "id": 11348282}]) == [0, 0, 1, [], 0]
        query("CREATE (:User {screen_name: 'WHO'}), (:User {screen_name: '_'})")
        assert add(direct, [{"screen_name": "who"}, {"screen_name": "_"}, {"screen_name": "the"}]) == [1, 2, 0, [], 0]
        assert stored(query).keys() == {"NASA", "WHO", "_", "the", None}

    def test_two_who_add_a_name_in_two_cases_at_once(self, database: Database, query: Query) -> None:
        """It is stored once."""
        names = [f"Name{i}" for i in range(300)]
        barrier = threading.Barrier(4)
        added: list[int] = []

        def work(change: Callable[[str], str]) -> None:
            with Database(database.settings, "users add") as own:
                own.run("count_users")
                barrier.wait()
                added.append(users.add(own, [User(change(name), None) for name in names]).added)

        threads = [threading.Thread(target=work, args=(one,)) for one in (str, str.upper, str.lower, str.swapcase)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(added) == len(names) == len(stored(query))

    @pytest.mark.process
    def test_standard_input_is_read_from_where_it_stands(
        self, environment: dict[str, str], database: Database, query: Query, tmp_path: Path
    ) -> None:
        """What another program of the shell has read is not read again."""
        listed = tmp_path / "list.csv"
        listed.write_text("Twitter handle\nalice\nbob\n")
        with listed.open("rb", buffering=0) as file:
            file.seek(len("Twitter handle\n"))
            done = subprocess.run(
                [*launcher("dmcheck"), "users", "add", "--json"],
                stdin=file,
                env=environment,
                capture_output=True,
                check=True,
            )
        assert json.loads(done.stdout)["added"] == 2
        assert stored(query).keys() == {"alice", "bob"}


class TestCase:
    """Names are the same whatever their case."""

    @pytest.mark.parametrize("name", ["@nasa", "Nasa", "NASA"])
    def test_prioritize_and_delete_find_them(self, direct: Call, query: Query, name: str) -> None:
        """They are told by the stored name."""
        query("CREATE (:User {screen_name: 'NASA'})")
        assert direct("prioritize", name, "nasa", "--json").document["prioritized"] == 1
        assert direct("users", "delete", name, "nasa", "--json").document == {"deleted": 1, "unknown": []}

    def test_several_are_ambiguous(self, direct: Call, query: Query) -> None:
        """All are named, nothing is changed; one that is written exactly so is meant."""
        query("CREATE (:User {screen_name: 'NASA'}), (:User {screen_name: 'nasa'}), (:User {screen_name: 'other'})")
        for command in ("prioritize", "users delete"):
            result = direct(*command.split(), "Nasa", "naSa", "other", "--json")
            assert (result.status, result.error["code"]) == (1, "ambiguous_name")
            assert result.error["message"].count("NASA and nasa") == 1
        assert len(stored(query)) == 3
        assert direct("users", "delete", "nasa", "--json").document["deleted"] == 1
        assert stored(query).keys() == {"NASA", "other"}

    def test_a_list_to_prioritize_is_read_like_any(self, direct: Call, query: Query, tmp_path: Path) -> None:
        """CSV, UTF-16, other case."""
        query("UNWIND ['a1', 'B2'] AS name CREATE (:User {screen_name: name})")
        listed = tmp_path / "list.csv"
        listed.write_bytes("id,username\n1,A1\n2,@b2\n".encode("utf-16"))
        assert direct("prioritize", "--file", listed, "--json").document["prioritized"] == 2


class TestSubmit:
    """Answers reach the users of a bucket whatever the case in which the checker writes their names."""

    @staticmethod
    def given(direct: Call, change: Callable[[str], str]) -> dict[str, Any]:
        """A bucket's document with DM on each user, their names changed."""
        document: dict[str, Any] = direct("fetch", "--client", 42, "--count", 1, "--json").document
        for user in document["buckets"][0]["users"]:
            assert user["id_str"] == (None if user["id"] is None else str(user["id"]))
            user |= {"screen_name": change(user["screen_name"]), "candm": "DM"}
        return document

    @pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
    def test_either_case(self, direct: Call, database: Database, query: Query, change: Callable[[str], str]) -> None:
        """Each answer is stored once; the same answers in any case are the same document."""
        prepare(database, [42], 5, size=5)
        query("MATCH (u:User) SET u.screen_name = 'Us' + substring(u.screen_name, 2)")
        document = self.given(direct, change)
        first = direct("submit", "--client", 42, "--json", stdin=json.dumps(document))
        assert (first.status, first.document["buckets"][0]["accepted"]) == (0, 5)
        for user in document["buckets"][0]["users"]:
            user["screen_name"] = user["screen_name"].swapcase()
        assert direct("submit", "--client", 42, "--json", stdin=json.dumps(document)).out == first.out
        assert len(query("MATCH (:DMCheckClient {id: 42})-[r]->(:User) RETURN r")) == 5

    def test_a_stranger_is_named_as_it_was_spelled(self, direct: Call, database: Database, query: Query) -> None:
        """A user of another bucket is refused, in any case; the rest is taken. What exists nowhere is dropped."""
        prepare(database, [42], 10, size=5)
        document = self.given(direct, str.upper)
        [other] = query("MATCH (u)-[:INDMCHECKBUCKET]->(b) WHERE b.place IS NOT NULL RETURN u.screen_name AS n LIMIT 1")
        query("CREATE (:User {screen_name: 'Bare'})")
        for name in (other["n"].upper(), "Bare", "nobody"):
            document["buckets"][0]["users"].append({"screen_name": name, "candm": "DM"})
        done = direct("submit", "--client", 42, "--json", stdin=json.dumps(document))
        [report] = done.document["buckets"]
        assert (done.status, report["status"], report["accepted"]) == (0, "done", 5)
        assert [one["screen_name"] for one in report["refused"]] == ["Bare", other["n"].upper()]

    def test_answers_for_others_alone_are_refused_whole(self, direct: Call, database: Database, query: Query) -> None:
        """The lease is kept, and the right answers are taken under it."""
        prepare(database, [42], 10, size=5)
        document = self.given(direct, str)
        wrong = json.loads(json.dumps(document))
        for user in wrong["buckets"][0]["users"]:
            user["screen_name"] += "x"
        for faults in (1, 2):
            refused = direct("submit", "--client", 42, "--json", stdin=json.dumps(wrong))
            assert (refused.status, refused.error["code"]) == (1, "not_in_bucket")
            [report] = refused.document["buckets"]
            assert (report["status"], report["reason"], report["accepted"]) == ("refused", "not_in_bucket", 0)
            assert counters(query, 42) == (1, 0, faults, 0)
        assert direct("submit", "--client", 42, "--json", stdin=json.dumps(document)).status == 0

    def test_one_account_that_is_stored_twice(self, direct: Call, database: Database, query: Query) -> None:
        """Both users in one bucket get the one answer."""
        prepare(database, [42], 0, size=5)
        query("CREATE (:User {screen_name: 'NASA'}), (:User {screen_name: 'nasa'})")
        direct("--json", program="make_buckets")
        document = self.given(direct, str)
        document["buckets"][0]["users"].pop()
        done = direct("submit", "--client", 42, "--json", stdin=json.dumps(document))
        assert (done.status, done.document["buckets"][0]["status"]) == (0, "done")
        assert query("MATCH ()-[r:DM_YES]->(:User) RETURN count(r) AS n") == [{"n": 2}]

    def test_rounded_ids_are_said_once(self, direct: Call, database: Database) -> None:
        """The answers are taken."""
        prepare(database, [42], 5, size=5)
        document = self.given(direct, str)
        for user in document["buckets"][0]["users"]:
            user["id"] += 1
        done = direct("submit", "--client", 42, "--json", stdin=json.dumps(document))
        assert done.status == 0
        assert done.err.count("id_str") == 1


def lines_of(text: str) -> list[Any]:
    """The documents of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


class TestResults:
    """`users show`, `users export`, and the answers by kind in `stats`."""

    @pytest.fixture
    def world(self, database: Database, query: Query) -> list[str]:
        """Ten users: of the first five three are checked, by 42, one with each answer; 43 holds the second five."""
        names = prepare(database, [42, 43], 10, size=5)
        [lease] = fetch(database, 42, 1, "a")
        held = sorted(user.screen_name for user in lease.users)
        told = dict(zip(held, ("DM", "NON_DM", "UNKNOWN"), strict=False))
        submit(database, 42, [Answered(lease.bucket, lease.lease, told)])
        query("MATCH (b:DMCheckBucket) WHERE b.uuid <> $b SET b.priority = 5", b=lease.bucket)
        [other] = fetch(database, 43, 1, "b")
        assert not {user.screen_name for user in other.users} & set(held)
        return held + [name for name in names if name not in held]

    def test_show(self, direct: Call, database: Database, query: Query, world: list[str]) -> None:
        """State, answer, bucket and history; what is unknown is listed; nothing known is a refusal."""
        users.prioritize(database, [world[1]], 10, recheck=True)
        shown = direct("users", "show", *(world[i].upper() for i in (0, 1, 3, 5)), "@nobody", "--json").document
        assert shown["unknown"] == ["nobody"]
        yes, again, waiting, leased = shown["users"]
        assert list(yes) == [
            *("screen_name", "id", "id_str", "state", "answer", "answered_by", "answered_at", "bucket", "client"),
            *("verdict", "confidence", "history"),
        ]
        assert (yes["screen_name"], yes["id_str"], yes["state"]) == (world[0], str(yes["id"]), "checked")
        assert (yes["answer"], yes["answered_by"], yes["bucket"], yes["client"]) == ("DM", 42, None, None)
        assert yes["history"] == [{"client": 42, "answer": "DM", "at": yes["answered_at"], "kind": "answer"}]
        assert (again["state"], again["answer"], again["answered_at"], len(again["bucket"])) == (
            "waiting",
            None,
            None,
            32,
        )
        assert [(one["client"], one["answer"], one["kind"]) for one in again["history"]] == [
            (42, "NON_DM", "rechecked")
        ]
        assert (waiting["state"], waiting["history"], waiting["client"]) == ("waiting", [], None)
        assert (leased["state"], leased["client"]) == ("leased", 43)
        assert "NON_DM" in direct("users", "show", world[1]).out
        refused = direct("users", "show", "nobody", "--json")
        assert (refused.status, refused.error["code"], refused.out) == (1, "unknown_user", "")

    def test_export(self, direct: Call, world: list[str], tmp_path: Path) -> None:
        """Every checked user, in the form that is asked for; a file appears whole, over an older one."""
        whole = lines_of(direct("users", "export").out)
        assert [(one["screen_name"], one["answer"], one["answered_by"]) for one in whole] == [
            (world[0], "DM", 42),
            (world[1], "NON_DM", 42),
            (world[2], "UNKNOWN", 42),
        ]
        assert list(whole[0]) == [
            *("screen_name", "id", "id_str", "answer", "answered_by", "answered_at", "verdict", "confidence")
        ]
        assert whole[0]["id_str"] == str(whole[0]["id"])
        some = lines_of(direct("users", "export", "-", "--answer", "dm", "--answer", "UNKNOWN").out)
        assert [one["answer"] for one in some] == ["DM", "UNKNOWN"]
        table = direct("users", "export", "--format", "csv").out.splitlines()
        assert table[0] == "screen_name,id,answer,answered_by,answered_at,verdict,confidence"
        first = whole[0]
        assert table[1] == f"{world[0]},{first['id']},DM,42,{first['answered_at']},unconfirmed,{first['confidence']}"
        for name, separator in (("a.csv", ","), ("a.TSV", "\t"), ("a.csv", ",")):
            done = direct("users", "export", name, "--json")
            assert done.document == {"exported": 3}
            written = (tmp_path / name).read_text()
            assert written.replace(separator, ",").splitlines() == table
        direct("users", "export", "a.csv.gz")
        packed = tmp_path / "a.csv.gz"
        assert gzip.decompress(packed.read_bytes()).decode().splitlines() == table
        packed.unlink()
        assert len(lines_of((direct("users", "export", "a.txt"), (tmp_path / "a.txt").read_text())[1])) == 3
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.TSV", "a.csv", "a.txt"]
        (tmp_path / "a.csv").chmod(0o600)
        direct("users", "export", "a.csv")
        assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o600
        # What comes out goes in again.
        assert direct("users", "add", "a.csv", "--json").document["existing"] == 3

    @pytest.mark.process
    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
    def test_an_export_to_a_pipe(self, run: Call, world: list[str], tmp_path: Path, name: str) -> None:
        """Each of the names that a shell has for it."""
        done = run("users", "export", name)
        assert done.status == 0
        assert [one["screen_name"] for one in lines_of(done.out)] == world[:3]
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_export_left_is_removed(self, direct: Call, world: list[str], tmp_path: Path) -> None:
        """By the next one; two at once to one file are not mixed: the second is to come again."""
        left = tmp_path / ".a.csv.part"
        left.write_text("half a li")
        assert direct("users", "export", "a.csv").status == 0
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
        with beside(tmp_path / "a.csv") as taken:
            assert taken == left
            busy = direct("users", "export", "a.csv", "--json")
            assert (busy.status, busy.error["code"], "is writing" in busy.error["message"]) == (75, "temporary", True)
        assert direct("users", "export", "a.csv").status == 0

    @pytest.mark.parametrize("name", ["no/such.csv", "folder"])
    def test_an_export_that_cannot_be_written(
        self, direct: Call, database: Database, tmp_path: Path, name: str
    ) -> None:
        """Exit 2, and nothing is left behind; --json without FILE is wrong usage."""
        (tmp_path / "folder").mkdir()
        assert direct("users", "export", name).status == 2
        assert direct("users", "export", "--json").status == 2
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    def test_an_export_that_fails_leaves_the_older_file(self, direct: Call, tmp_path: Path) -> None:
        """And nothing beside it; on standard output nothing stands."""
        (tmp_path / "a.csv").write_text("old")
        away = {"NEO4J_URI": "bolt://127.0.0.1:9", "NEO4J_PASSWORD": "x", "DMCHECK_TIMEOUT_SECONDS": "1"}
        assert direct("users", "export", "a.csv", **away).status == 75
        assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
        assert (direct("users", "export", **away).status, direct("users", "export", "--format", "tsv", **away).out) == (
            75,
            "",
        )

    def test_an_export_is_complete_while_clients_submit(self, database: Database, query: Query) -> None:
        """Slice by slice: a user that was checked before it began is there, and nobody twice."""
        prepare(database, [42], 60, size=5)
        small = replace(database.settings, limits=replace(database.settings.limits, scan_slice=7))
        with Database(small, "export") as sliced:
            for lease in fetch(database, 42, 4, "a"):
                submit(database, 42, [answers(lease)])
            before = {one.screen_name for one in results.checked(database)}
            seen = []
            for one in results.checked(sliced):
                seen.append(one.screen_name)
                if len(seen) % 5 == 0:
                    for lease in fetch(database, 42, 1, f"b{len(seen)}"):
                        submit(database, 42, [answers(lease)])
        assert len(before) == 20
        assert before < set(seen)
        assert len(seen) == len(set(seen))

    def test_stats_have_the_answers_by_kind(self, direct: Call, world: list[str]) -> None:
        """Of all, and of each client."""
        shown = direct("stats", "--json").document
        by_kind = {"DM": 1, "NON_DM": 1, "UNKNOWN": 1}
        assert shown["system"]["answers"] == by_kind
        assert [one["answers"] for one in shown["clients"]] == [by_kind, dict.fromkeys(by_kind, 0)]


def test_doctor_lists_names_stored_twice_in_different_case(direct: Call, database: Database, query: Query) -> None:
    """With a command that deletes those that are too many, never the one that has an answer."""
    prepare(database, [42], 0)
    query("UNWIND ['NASA', 'Nasa', 'nasa', 'WHO', 'who', 'other'] AS name CREATE (:User {screen_name: name})")
    query("MATCH (c:DMCheckClient {id: 42}), (u:User {screen_name: 'who'}) CREATE (c)-[:DM_YES]->(u)")
    found = [one for one in direct("doctor", "--deep", "--json").document["problems"] if "another case" in one["what"]]
    assert [one["what"].split(":")[1] for one in found] == [" 3, such as Nasa"]
    assert direct(*found[0]["remedy"].split()[1:]).status == 0
    assert stored(query).keys() == {"NASA", "who", "other"}
    assert not [
        one for one in direct("doctor", "--deep", "--json").document["problems"] if "another case" in one["what"]
    ]
