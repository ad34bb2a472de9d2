"""Whom to believe: what is concluded about users and clients, on examples and whatever happens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcheck_cli.domain.policy.trust.rules import ANSWERS, RULES
from dmcheck_cli.domain.policy.trust.standing import Cell, Client, Standings
from dmcheck_cli.domain.policy.trust.verdict import Crowd, Errors, Opinion, conclude

ANSWER = {"D": "DM", "N": "NON_DM", "U": "UNKNOWN"}
KNOWN = Errors(0.01, 0.01, record=True)


def second(client: int, answer: str, at: float) -> Opinion:
    """A second opinion."""
    return Opinion(client, answer, at, witness=True)


def opinions(said: str, doubted: str = "") -> list[Opinion]:
    """One letter a client, in the order in which they were asked; `doubted`: their places."""
    return [Opinion(i, ANSWER[letter], i, doubted=str(i) in doubted, witness=i > 0) for i, letter in enumerate(said)]


def crowd(clients: int = 10) -> Standings:
    """Clients of whom nothing is known."""
    return Standings({id: Client() for id in range(clients)})


def lie(court: Standings, liar: int, users: int, at: float = 1.0) -> list[list[Opinion]]:
    """The liar says DM of closed users, whom two others deny."""
    court.saw_bucket(liar, at, users, users)
    said = [[Opinion(liar, "DM", at), second(1, "NON_DM", at), second(2, "NON_DM", at)] for _ in range(users)]
    for user in said:
        court.count(user)
    return said


@pytest.mark.parametrize(
    ("said", "doubted", "word", "answer", "need"),
    [
        ("", "", "unchecked", None, None),
        ("D", "", "unconfirmed", "DM", "dm"),
        ("N", "", "closed", "NON_DM", None),
        ("U", "", "not_found", "UNKNOWN", None),
        ("DD", "", "open", "DM", None),
        ("DN", "", "open_to_some", "NON_DM", "conflict"),
        ("DND", "", "open", "DM", "conflict"),
        ("DNDD", "", "open", "DM", None),
        ("DNN", "", "closed", "NON_DM", None),
        ("DNDN", "", "open_to_some", "NON_DM", "conflict"),
        ("NU", "", "unconfirmed", "NON_DM", "conflict"),
        ("UU", "", "not_found", "UNKNOWN", None),
        ("DD", "1", "unconfirmed", "DM", "dm"),
        ("DDN", "01", "closed", "NON_DM", None),
        ("D", "0", "unconfirmed", "DM", "contained"),
    ],
)
def test_verdicts(said: str, doubted: str, word: str, answer: str | None, need: str | None) -> None:
    """The words of the contract, from clients of whom one error in a hundred is known."""
    found = conclude(opinions(said, doubted), dict.fromkeys(range(9), KNOWN), Crowd(records=True))
    assert (found.word, found.answer, found.need) == (word, answer, need)
    assert found.sentence().count(".") >= 1


def test_open_needs_a_record_as_soon_as_anybody_has_one() -> None:
    """While nobody has one, any two do."""
    unknown = {0: replace(KNOWN, record=False), 1: replace(KNOWN, record=False)}
    assert conclude(opinions("DD"), unknown, Crowd(records=False)).word == "open"
    assert conclude(opinions("DD"), unknown, Crowd(records=True)).word == "unconfirmed"
    assert conclude(opinions("DD"), unknown | {1: KNOWN}, Crowd(records=True)).word == "open"


def test_one_source_is_one_opinion() -> None:
    """Two clients with the same dm_from_id are not independent; who stated none is."""
    same = {0: replace(KNOWN, dm_from_id=7), 1: replace(KNOWN, dm_from_id=7), 2: KNOWN}
    assert conclude(opinions("DD"), same, Crowd(records=True)).need == "dm"
    assert conclude(opinions("DDD"), same, Crowd(records=True)).word == "open"


@given(st.text("DNU", min_size=1, max_size=7), st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.floats(0, 1))
def test_whatever_is_said(said: str, miss: float, false: float, common: float) -> None:
    """The answer in force was given by somebody, a lone DM is never open, common causes make nothing surer."""
    errors = dict.fromkeys(range(9), Errors(miss, false, record=True))
    found = conclude(opinions(said), errors, Crowd(records=True, common=common))
    assert found.answer in {ANSWER[letter] for letter in said}
    assert 0 < found.confidence <= found.each + 1e-9 or found.each < 0.5
    assert found.word != "open" or said.count("D") >= 2


def test_a_liar_is_contained_and_the_others_are_not() -> None:
    """And what it says counts for nothing from then on."""
    court = crowd()
    said = lie(court, 0, 12)
    assert court.worst() == 0
    court.contain(0, now=2.0)
    assert court.worst() is None
    assert court.share(0) == 1
    for user in said:
        user[0].doubted = True
        assert court.count(user).word == "closed"
    assert [client.contained for id, client in court.clients.items() if id] == [None] * 9


def test_a_good_past_buys_nothing_and_is_not_doubted() -> None:
    """Who turned is contained as soon as a newcomer would be, and doubted from the bucket in which it turned."""
    court = crowd()
    for at in range(1, 6):
        court.saw_bucket(0, at, 20, 180)
        for _ in range(20):
            court.count([Opinion(0, "DM", at), second(1, "DM", at)])
    lie(court, 0, 12, at=6)
    assert court.worst() == 0
    assert court.contain(0, now=6) == 6


def test_the_worst_first_spares_whom_liars_contradicted() -> None:
    """Three who agree on lies outvote one; when they are contained, nothing is left against it."""
    court = crowd(12)
    for id in range(12):
        court.saw_bucket(id, 1.0, 0, 0)
    lied = [[Opinion(9, "DM", 1.0), second(0, "NON_DM", 1.0), *(second(id, "DM", 1.0) for id in (10, 11))]] * 1
    lied = [[replace(opinion) for opinion in lied[0]] for _ in range(10)]
    for user in lied:
        court.count(user)
    against = court.clients[0].evidence()[0]
    assert against > RULES.bar
    for liar in (9, 10, 11):
        for _ in range(30):
            court.count([Opinion(liar, "DM", 1.0), *(second(id, "NON_DM", 1.0) for id in (1, 2))])
    contained = []
    while (id := court.worst()) is not None:
        court.contain(id, now=2.0)
        contained.append(id)
        for user in lied:
            for opinion in user:
                opinion.doubted = opinion.doubted or opinion.client == id
            court.count(user)
    assert sorted(contained) == [9, 10, 11]
    assert court.clients[0].evidence()[0] == 0


def test_containment_ends_by_the_same_counts() -> None:
    """Answers that bear out after it began end it; those from before do not; the record starts over."""
    court = crowd()
    lie(court, 0, 12)
    court.contain(0, now=2.0)
    for at, released in ((2.0, []), (3.0, [0])):
        court.saw_bucket(0, at, 10, 180)
        for letter in "D" * 10 + "N" * 100:
            user = [Opinion(0, ANSWER[letter], at, doubted=True), *(second(id, ANSWER[letter], at) for id in (1, 2))]
            court.count(user)
        assert list(court.released()) == released
    court.release(0, 9.0)
    assert court.clients[0].contained is None
    assert not court.has_record(court.clients[0])


def test_a_record_lowers_the_share_that_is_checked_and_an_unlikely_mix_raises_it() -> None:
    """By itself the mix contains nobody."""
    court = crowd()
    assert court.share(0) == RULES.newcomer_share
    for letter in "D" * 10 + "N" * 40:
        court.count(opinions(letter * 2))
    court.refresh()
    assert court.share(0) == RULES.share
    assert not court.saw_bucket(0, 1.0, 18, 180)
    assert court.saw_bucket(0, 1.0, 0, 180)
    assert court.share(0) == RULES.watched_share
    assert court.worst() is None


def test_never_more_than_a_third_is_contained() -> None:
    """Where half of the clients seem bad, nobody can tell who is."""
    court = crowd(9)
    for liar in (0, 3, 4, 5, 6):
        lie(court, liar, 30)
    contained = 0
    while (id := court.worst()) is not None:
        court.contain(id, now=2.0)
        contained += 1
    assert contained == 3


@given(st.lists(st.tuples(st.text("DNU", min_size=1, max_size=5), st.sets(st.integers(0, 4))), max_size=12))
def test_counting_again_changes_nothing_and_taking_back_leaves_nothing(users: list[tuple[str, set[int]]]) -> None:
    """Whatever was said: twice is as once, and without any opinion that counts every sum is as at the beginning."""
    court = crowd()
    for id in range(5):
        court.saw_bucket(id, -1.0, 0, 0)
    said = [opinions(letters, "".join(map(str, doubted))) for letters, doubted in users]
    for user in said:
        court.count(user)
    once = repr(court.clients)
    for user in said:
        court.count(user)
    assert repr(court.clients) == once
    for user in said:
        for opinion in user:
            opinion.doubted = True
        court.count(user)
    cells = [cell for client in court.clients.values() for cell in client.cells]
    assert all((cell.compared, cell.contradicted) == (0, 0) for cell in cells)
    assert all(abs(total) < 1e-9 for cell in cells for total in cell.sums)


def test_a_crowd_that_errs_asks_more() -> None:
    """Where second opinions often differ, two who agree are not enough, and a lone answer is checked."""
    court = Standings({id: Client(pairs=20, differ=7) for id in range(10)})
    assert court.crowd.common > 0
    assert court.conclude(opinions("N")).need == "unsure"
    assert court.conclude(opinions("NN")).need == "unsure"
    assert court.share(0) == 1


def test_a_crowd_whose_dms_are_denied_errs() -> None:
    """All DMs are checked: in a crowd that says DM often, they tell it soonest."""
    usual = Standings({id: Client(answers=[20, 180, 0], dm_pairs=20, dm_differ=1) for id in range(10)})
    assert usual.crowd.common == 0
    noisy = Standings({id: Client(answers=[10, 10, 0], dm_pairs=10, dm_differ=4) for id in range(10)})
    assert noisy.crowd.common > 0.5


def test_pairs_count_against_whoever_said_dm() -> None:
    """Where two differ, a DM is the likelier error. What a contained client said counts for nothing."""
    court = crowd(4)
    for said in ("DN", "DD", "ND", "NN"):
        court.count(opinions(said), new=1)
    court.count(opinions("DN", doubted="0"), new=1)
    court.count(opinions("DNN"), new=1)
    first, witness = court.clients[0], court.clients[1]
    assert (first.dm_pairs, first.dm_differ, first.pairs) == (2, 1, 0)
    assert (witness.pairs, witness.differ, witness.dm_pairs) == (2, 1, 0)


def test_a_quarter_of_those_who_were_compared_sets_no_measure() -> None:
    """Four of many were asked. The one with whom others differ is left out, not all four."""
    asked = {id: Client(pairs=20, differ=7) for id in range(3)}
    court = Standings(asked | {3: Client(pairs=20, differ=20)} | {id: Client() for id in range(4, 30)})
    assert court.crowd.common > 0.1
    calm = {id: Client(pairs=20) for id in range(3)}
    court = Standings(calm | {3: Client(pairs=20, differ=20)} | {id: Client() for id in range(4, 30)})
    assert court.crowd.common == 0


@pytest.mark.parametrize(
    ("before", "differ", "moved"),
    [
        (0.0, 0, False),
        (1.0, 10, False),
        (0.95, 10, False),
        (0.8, 10, True),
        (0.0, 10, True),
        (1.0, 0, True),
        (0.05, 0, True),
    ],
)
def test_when_all_users_are_looked_at_again(before: float, differ: int, moved: bool) -> None:
    """When the crowd errs clearly more or less often than it did, or begins or ends to be believed one by one."""
    court = Standings({id: Client(pairs=20, differ=differ) for id in range(10)})
    assert court.moved(before, records=False) == moved


def test_the_first_record_moves_the_crowd() -> None:
    """From then on a DM needs somebody with a record: what two newcomers said is looked at again."""
    proven = Client(cells=(Cell(10), Cell(40), Cell(), Cell()))
    court = Standings({1: proven, 2: Client()})
    assert court.moved(0.0, records=False)
    assert not court.moved(0.0, records=True)


@pytest.mark.parametrize(("said", "stored", "records"), [(24, False, False), (25, False, True), (1, True, True)])
def test_records_begin_when_those_who_earned_one_gave_a_quarter_of_the_answers(
    said: int, stored: bool, records: bool
) -> None:
    """Few with a record would have each DM asked about again and again. Once there are some, one is enough."""
    proven = Client(cells=(Cell(10), Cell(40), Cell(), Cell()), answers=[said, 0, 0], record=stored)
    court = Standings({1: proven, 2: Client(answers=[0, 100 - said, 0]), 3: Client(answers=[0, 900, 0], contained=1.0)})
    assert court.crowd.records == records
    assert court.share(1) == (RULES.share if records else RULES.newcomer_share)


@pytest.mark.parametrize(("gone", "word"), [(0.02, "not_found"), (0.001, "unconfirmed")])
def test_a_lone_unknown_that_is_likelier_wrong(gone: float, word: str) -> None:
    """Where hardly any account is gone, one who says so is asked about."""
    found = conclude(opinions("U"), {0: KNOWN}, Crowd(shares=(0.1, 0.9 - gone, gone), records=True))
    assert (found.word, found.need) == (word, "unsure" if word == "unconfirmed" else None)
    assert (found.confidence < 0.5) == (word == "unconfirmed")


def test_an_empty_crowd() -> None:
    """Nobody is there: nothing is known, and nothing fails."""
    court = Standings({})
    assert court.worst() is None
    assert Cell() == Cell()
    assert {court.conclude(opinions(letter)).answer for letter in "DNU"} == set(ANSWERS)


@pytest.mark.parametrize(
    ("who", "word"),
    [
        ((1, 2), "open"),
        ((-5_000, 2), "open"),  # client 2 was there before the other was deleted, at second 5
        ((-5_000, 3), "unconfirmed"),  # client 3 came later: it may be the same person
        ((-5_000, -7_000), "unconfirmed"),  # so may be another one that was deleted
        ((-5_000, 3, 2), "open"),
        ((-7_000, -5_000, 3), "open"),  # the first one was still there when client 3 came
    ],
)
def test_who_was_deleted_cannot_confirm_itself(who: tuple[int, ...], word: str) -> None:
    """However it registers again, and whatever is deleted afterwards."""
    errors = {id: replace(KNOWN, since=since) for id, since in ((1, 1.0), (2, 2.0), (3, 6.0))}
    said = [Opinion(client, "DM", float(place)) for place, client in enumerate(who)]
    assert conclude(said, errors, Crowd(records=True)).word == word


def test_how_likely_each_answer_is() -> None:
    """They add up to one; the confidence is that of the likeliest."""
    verdict = crowd().conclude(opinions("DNN"))
    assert sum(verdict.chances.values()) == pytest.approx(1)
    assert verdict.confidence == verdict.chances["NON_DM"] == max(verdict.chances.values())


def test_small_buckets_bear_out_as_well() -> None:
    """A contained client answers buckets with few compared users: it is released all the same."""
    court = crowd()
    court.saw_bucket(3, 1.0, 0, 4)
    court.contain(3, 2.0)
    for number in range(200):
        at = 10.0 + number
        court.saw_bucket(3, at, 1, 4)
        court.count([Opinion(3, "DM", at, doubted=True), second(1, "DM", at), second(2, "DM", at)])
        court.count([Opinion(3, "NON_DM", at, doubted=True), second(1, "NON_DM", at), second(2, "NON_DM", at)])
        assert len(court.clients[3].times) <= RULES.buckets
    assert list(court.released()) == [3]
