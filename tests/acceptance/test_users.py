"""Users go in as people have them, are found whatever the case of their names, and come out with their answers."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.invariants import Query
from support.programs import Result, launcher

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.model import User
from dmcheck_cli.transactions import users

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
                [*launcher("dmcheck"), "users", "add", "--json"], stdin=file, env=environment, capture_output=True, check=True
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
            result = direct(*command.split(), "Nasa", "other", "--json")
            assert (result.status, result.error["code"]) == (1, "ambiguous_name")
            assert "NASA and nasa" in result.error["message"]
        assert len(stored(query)) == 3
        assert direct("users", "delete", "nasa", "--json").document["deleted"] == 1
        assert stored(query).keys() == {"NASA", "other"}

    def test_a_list_to_prioritize_is_read_like_any(self, direct: Call, query: Query, tmp_path: Path) -> None:
        """CSV, UTF-16, other case."""
        query("UNWIND ['a1', 'B2'] AS name CREATE (:User {screen_name: name})")
        listed = tmp_path / "list.csv"
        listed.write_bytes("id,username\n1,A1\n2,@b2\n".encode("utf-16"))
        assert direct("prioritize", "--file", listed, "--json").document["prioritized"] == 2
