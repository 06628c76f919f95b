"""Parties on a day: owners, lists, approvals, rings, and the share that the rule itself names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.rules.test_licensing import BOOK
from tracker.core.period import Period
from tracker.judgement.parties import NOBODY, Body, ListingRow, PartyBook, affiliates_rule
from tracker.organizations.ownership import Stake
from tracker.rules.drafts import draft
from tracker.rules.licensing import Listing

ALWAYS = Period(None, None)
ACTIVE, STAYED, UNSURE = date(2025, 10, 15), date(2026, 3, 1), date(2026, 11, 20)
BODIES = {
    pk: Body(pk, f"SYNTHETIC {pk}", country)
    for pk, country in enumerate(["SG", "CN", "SG", "US", "MY"], start=1)
}


def listed(pk, since=date(2020, 1, 1), until=None, **given):
    return ListingRow(pk, Period(since, until), Listing("Entity List", "SYNTHETIC 1", "4"), **given)


def book(*stakes, listings=(), rules=BOOK, questions=None):
    return PartyBook(BODIES, stakes, listings, questions, affiliates_rule(rules))


def test_whoever_is_not_recorded_is_nobody():
    assert book().profile(None, ACTIVE) == book().profile(99, ACTIVE) == NOBODY
    assert book().party(None, "end user", ACTIVE).name == "the end user, who is not known"


def test_the_ultimate_parent_is_that_of_the_day():
    held = book(
        Stake(2, 1, 60, Period(date(2024, 1, 1), date(2025, 1, 1))),
        Stake(3, 1, 60, Period(date(2025, 1, 1), None)),
    )
    found = [
        held.profile(1, day).parent_hqs for day in (date(2023, 12, 31), date(2024, 12, 31), date(2025, 1, 1))
    ]
    assert found == [None, ("CN",), ("SG",)]
    assert held.days(1) == (date(2024, 1, 1), date(2025, 1, 1))


def test_a_ring_of_owners_and_an_unknown_share_are_questions():
    assert book(Stake(1, 3, 60, ALWAYS), Stake(3, 1, 60, ALWAYS)).profile(1, ACTIVE).parent_hqs is None
    assert book(Stake(2, 1, None, ALWAYS)).profile(1, ACTIVE).parent_hqs is None
    assert book(Stake(2, 1, None, ALWAYS, is_parent=True)).profile(1, ACTIVE).parent_hqs == ("CN",)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (ACTIVE, "affiliate"),
        (STAYED, "affiliate, rule not in force"),
        (UNSURE, "affiliate, rule not confirmed"),
    ],
)
def test_listed_owners_are_added_up_under_the_status_of_the_day(day, said):
    held = book(Stake(2, 1, 20, ALWAYS), Stake(3, 1, 30, ALWAYS), listings=[listed(2), listed(3)])
    assert held.profile(1, day).affiliation == said
    assert held.profile(2, day).affiliation == "listed"
    alone = book(Stake(2, 1, 20, ALWAYS), Stake(3, 1, 30, ALWAYS), listings=[listed(2)])
    assert alone.profile(1, day).affiliation == "minority owned, red flag"


def test_the_share_is_the_one_that_the_rule_names():
    caps = [dict(cap.data) for cap in affiliates_rule(BOOK).quantity_caps]
    caps[0]["limit"] = 0.25
    changed = draft(
        {"schema": 1, "title": "SYNTHETIC", "change_rules": {"US-AFFILIATES-2025": {"quantity_caps": caps}}},
        BOOK,
        "x",
    ).book
    stakes, rows = [Stake(2, 1, 30, ALWAYS)], [listed(2)]
    assert book(*stakes, listings=rows).profile(1, ACTIVE).affiliation == "minority owned, red flag"
    assert book(*stakes, listings=rows, rules=changed).profile(1, ACTIVE).affiliation == "affiliate"


def test_a_list_that_approves_is_asked_only_while_it_stands():
    since = date(2026, 7, 10)
    held = book(
        Stake(4, 5, 100, ALWAYS), Stake(3, 1, 100, ALWAYS), listings=[listed(4, since, approves=True)]
    )
    assert held.profile(5, date(2026, 7, 9)).approved is None
    on = [held.profile(pk, since).approved for pk in (4, 5, 1, 3)]
    assert on == [True, True, False, None]
    assert held.profile(4, since).listings == ()


def test_an_entry_without_its_day_is_a_question_and_so_is_an_open_match_while_its_listing_stands():
    held = book(
        listings=[listed(1, None)], questions={3: [(Period(date(2025, 1, 1), None), "whether it is")]}
    )
    assert (
        held.party(1, "end user", ACTIVE).listing_question
        == "day on which SYNTHETIC 1 was put on the Entity List"
    )
    assert held.profile(1, ACTIVE).listings == ()
    assert [held.profile(3, day).screening_question for day in (date(2024, 12, 31), date(2025, 1, 1))] == [
        "",
        "whether it is",
    ]


def test_a_stand_in_for_several_has_no_parents():
    bodies = {**BODIES, 1: replace(BODIES[1], is_aggregate=True)}
    assert PartyBook(bodies, [Stake(2, 1, 100, ALWAYS)]).profile(1, ACTIVE).parent_hqs is None
