"""Nobody waits longer than the settings say, however many prioritized users keep coming."""

from __future__ import annotations

from dataclasses import replace

import pytest
from proofs import waits
from proofs.outcome import Outcome
from proofs.waits import BARE, MARKED, ORDINARY, PRIORITIZED_KIND, Row
from support.graphs import pass_time, picture, prepare
from support.invariants import Query, broken

from dmcheck_cli.database.connection import Database
from dmcheck_cli.domain.limits import DEFAULTS
from dmcheck_cli.domain.model import User
from dmcheck_cli.settings import Settings
from dmcheck_cli.transactions import buckets, stats, users
from dmcheck_cli.transactions.leases import fetch, release
from jobs import raise_starved, reclaim_leases

HOUR = 3600
DAY = 24 * HOUR


def into_line(database: Database, name: str, priority: int) -> None:
    """A user of that name waits from now on, alone in a bucket of that priority."""
    users.add(database, [User(name, None)])
    users.prioritize(database, [name], priority, recheck=False)


def line(query: Query) -> dict[str, tuple[int, int | None]]:
    """Priority and raised_from of each waiting bucket, by the name of a user in it."""
    rows = query(
        """MATCH (u)-[:INDMCHECKBUCKET]->(b:DMCheckBucket) WHERE b.place IS NOT NULL
        RETURN u.screen_name AS name, b.priority AS priority, b.raised_from AS raised_from"""
    )
    return {row["name"]: (row["priority"], row["raised_from"]) for row in rows}


def order(database: Database, count: int) -> list[str]:
    """Who is leased, in the order in which a client gets it."""
    return [fetch(database, 1, 1, f"k{number}")[0].users[0].screen_name for number in range(count)]


class TestTheLongForm:
    """The scenarios of `scripts/prove.py waits`, in little."""

    @pytest.fixture
    def little(self, database: Database) -> Settings:
        """Ordinary buckets are overdue after six hours, so that a day is enough."""
        return replace(database.settings, starved_seconds=6 * HOUR)

    @staticmethod
    def of_kind(shown: tuple[Outcome, list[Row]], kind: str) -> Row:
        """The row of a kind, of a run in which nothing was violated."""
        outcome, rows = shown
        outcome.check()
        return next(row for row in rows if row.kind == kind)

    def test_a_flood_of_more_than_clients_can_take_starves_nobody(self, little: Settings) -> None:
        """Every ordinary bucket is leased within its bound, and most of that wait comes from the flood."""
        row = self.of_kind(waits.flood(little, 110, ticks=12, buckets=100, active=5, tick=HOUR), ORDINARY)
        assert (row.served, row.waiting) == (100, 0)
        assert row.longest > 6 * HOUR

    def test_under_a_flood_of_half_of_it_the_ordinary_ones_get_the_rest(self, little: Settings) -> None:
        """They are served long before they are overdue, and no prioritized one waits at all."""
        shown = waits.flood(little, 50, ticks=12, buckets=60, active=5, tick=HOUR, whole=False)
        assert self.of_kind(shown, ORDINARY).longest < 4 * HOUR
        assert self.of_kind(shown, PRIORITIZED_KIND).longest < 60

    def test_without_raising_the_flood_would_starve_them_all(self, little: Settings) -> None:
        """The same flood leases no ordinary bucket in as many hours if raise_starved never runs."""
        row = self.of_kind(waits.flood(little, 110, ticks=12, buckets=100, active=5, tick=HOUR, raises=False), ORDINARY)
        assert (row.served, row.waiting) == (0, 100)

    def test_users_in_no_bucket_find_a_place_although_the_flood_fills_the_line(self, little: Settings) -> None:
        """Half of the line is theirs; twice as many as find a place at once all get their turn within the bound."""
        row = self.of_kind(waits.bare_users(little, 105, ticks=34, active=3, size=2, tick=HOUR), BARE)
        assert (row.served, row.waiting) == (120, 0)

    def test_from_prioritize_to_lease(self, little: Settings) -> None:
        """Within the bound of prioritized ones; those under a lease that dies or is answered in part, that much after
        it: also when three times as many are prioritized as clients can take."""
        shown = waits.from_prioritize_to_lease(little, ticks=20, active=5)
        assert self.of_kind(shown, PRIORITIZED_KIND).served > 100
        row = self.of_kind(shown, MARKED)
        assert row.served > 10
        assert row.longest > little.lease_seconds

    def test_a_line_that_nobody_serves_breaks_its_bound(self, database: Database) -> None:
        """The judge of these runs finds a bucket that is raised and yet not leased."""
        world = waits.World(database, 1, 10, HOUR)
        into_line(database, "forgotten", DEFAULTS.default_priority)
        world.waiting["forgotten"] = waits.Stay("forgotten", ORDINARY, world.now(), world.now())
        for _ in range(27):
            world.next_tick()
        [row] = world.judge("nobody fetches", (ORDINARY,))
        assert row.waiting == 1
        assert len(world.violations) == 1
        assert "forgotten (ordinary) waited 27.00 h" in world.violations[0]


class TestWhoComesFirst:
    """Aging, bucket by bucket."""

    def test_an_overdue_ordinary_one_comes_before_a_fresh_one_of_priority_0(
        self, database: Database, query: Query
    ) -> None:
        """Nobody can ask for a priority that comes before it."""
        prepare(database, [1])
        into_line(database, "old", DEFAULTS.default_priority)
        pass_time(query, DAY)
        into_line(database, "fresh", 0)
        raise_starved.run(database)
        assert order(database, 2) == ["old", "fresh"]

    @pytest.mark.parametrize("kinds", [(100, 100), (100, 10), (10, 100), (10, 10)])
    def test_of_two_overdue_ones_the_one_overdue_longer_comes_first(
        self, database: Database, query: Query, kinds: tuple[int, int]
    ) -> None:
        """By more than a step, whatever their kinds: what counts is since when each is overdue, by its own bound."""
        prepare(database, [1])
        bounds = [DAY if kind == DEFAULTS.default_priority else HOUR for kind in kinds]
        late = (DEFAULTS.step_seconds * 4, DEFAULTS.step_seconds * 3 - 10)
        ages = {name: bound + by for name, bound, by in zip(("longer", "shorter"), bounds, late, strict=True)}
        for name, kind in zip(ages, kinds, strict=True):
            into_line(database, name, kind)
        for name, age in ages.items():
            query(
                """MATCH (:User {screen_name: $name})-[:INDMCHECKBUCKET]->(b)
                SET b.edit_datetime = datetime() - duration({seconds: $age})""",
                name=name,
                age=age,
            )
        raise_starved.run(database)
        assert order(database, 2) == ["longer", "shorter"]

    def test_it_is_raised_again_as_it_gets_later(self, database: Database, query: Query) -> None:
        """One place for each step; and where it came from is kept."""
        into_line(database, "old", DEFAULTS.default_priority)
        pass_time(query, DAY + 100)
        places = []
        for _ in range(4):
            assert raise_starved.run(database) == 1
            places.append(line(query)["old"])
            pass_time(query, DEFAULTS.step_seconds)
        assert places == [(place, DEFAULTS.default_priority) for place in (-1, -2, -3, -4)]

    def test_to_raise_twice_is_to_raise_once(self, database: Database, query: Query) -> None:
        """The second run finds nothing to do and leaves the graph as it was, but for the time of its success."""
        for number in range(3):
            into_line(database, f"old{number}", (DEFAULTS.default_priority, DEFAULTS.prioritized, 0)[number])
            pass_time(query, DAY + 100)
        assert raise_starved.run(database) == 3
        before = picture(query, "last_success_time")
        assert buckets.starved(database) == 0
        assert raise_starved.run(database) == 0
        assert picture(query, "last_success_time") == before

    def test_a_prioritized_one_is_raised_after_its_own_bound(self, database: Database, query: Query) -> None:
        """Not before it, and an ordinary one of the same age not yet."""
        for name, priority in (
            ("urgent", DEFAULTS.prioritized),
            ("nearly", 99),
            ("ordinary", DEFAULTS.default_priority),
        ):
            into_line(database, name, priority)
        pass_time(query, HOUR - 30)
        assert raise_starved.run(database) == 0
        pass_time(query, 60)
        assert raise_starved.run(database) == 2
        assert line(query) == {
            "urgent": (-1, DEFAULTS.prioritized),
            "nearly": (-1, 99),
            "ordinary": (DEFAULTS.default_priority, None),
        }

    def test_no_kind_waits_longer_than_ordinary_ones_may(self, database: Database, query: Query) -> None:
        """Where ordinary buckets are overdue sooner than prioritized ones by the settings, both are then."""
        into_line(database, "urgent", DEFAULTS.prioritized)
        pass_time(query, 1000)
        with Database(replace(database.settings, starved_seconds=900), "tests") as impatient:
            assert buckets.longest_waits(impatient.settings) == (900, 900)
            assert raise_starved.run(impatient) == 1

    @pytest.mark.parametrize("end", ["released", "died"])
    @pytest.mark.parametrize("priority", [DEFAULTS.prioritized, DEFAULTS.default_priority])
    def test_what_was_raised_stays_of_its_kind_through_a_lease(
        self, database: Database, query: Query, priority: int, end: str
    ) -> None:
        """Raised, leased and given back, it waits where it was, and gets later by the bound of its own kind: what it
        waited before and under the lease counts."""
        prepare(database, [1])
        overdue = HOUR if priority == DEFAULTS.prioritized else DAY
        into_line(database, "old", priority)
        pass_time(query, overdue + 100)
        raise_starved.run(database)
        [lease] = fetch(database, 1, 1, "k")
        assert lease.priority == -1
        held = database.settings.lease_seconds
        if end == "released":
            pass_time(query, held // 2)
            release(database, 1, lease.bucket, lease.lease)
            late = held // 2
        else:
            pass_time(query, held)
            assert reclaim_leases.run(database) == (1, 0)
            pass_time(query, database.settings.grace_seconds)
            assert reclaim_leases.run(database) == (0, 1)
            late = held + database.settings.grace_seconds
        assert line(query) == {"old": (-1, priority)}
        shown = stats.stats(database)[1]
        of_kind, other = (shown.prioritized, shown.ordinary)[:: 1 if priority == DEFAULTS.prioritized else -1]
        assert of_kind.oldest_seconds == pytest.approx(overdue + 100 + late, abs=60)
        assert other.oldest_seconds is None
        raise_starved.run(database)
        assert line(query) == {"old": (-1 - late // DEFAULTS.step_seconds, priority)}
        assert broken(query) == []

    def test_stats_show_the_oldest_wait_of_each_kind_and_when_it_is_overdue(
        self, database: Database, query: Query
    ) -> None:
        """A raised ordinary bucket is an ordinary one still; the oldest of all is the older of both."""
        prepare(database, [1])
        assert stats.stats(database)[1].prioritized == stats.Wait(None, HOUR)
        assert stats.stats(database)[1].ordinary == stats.Wait(None, DAY)
        into_line(database, "old", DEFAULTS.default_priority)
        pass_time(query, DAY + 1000)
        raise_starved.run(database)
        into_line(database, "urgent", DEFAULTS.prioritized)
        pass_time(query, 500)
        shown = stats.stats(database)[1]
        assert shown.ordinary.oldest_seconds == pytest.approx(DAY + 1500, abs=60)
        assert shown.prioritized.oldest_seconds == pytest.approx(500, abs=60)
        assert (shown.prioritized.overdue_seconds, shown.ordinary.overdue_seconds) == (HOUR, DAY)
        assert shown.oldest_wait_seconds == shown.ordinary.oldest_seconds
        assert [user.screen_name for user in fetch(database, 1, 1, "k")[0].users] == ["old"]
        assert stats.stats(database)[1].ordinary.oldest_seconds is None
