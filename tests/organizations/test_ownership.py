"""Ultimate parents and affiliates of listed parties, with the worked case V12."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.period import Period
from tracker.organizations.ownership import Stake, affiliation, owners_on, restricted, ultimate_parents

ALWAYS = Period(None, None)
TODAY = date(2025, 10, 15)
LISTED = {"L1", "L2"}
OWNERS = {
    "B": {"L1": 50, "P": 50},
    "C": {"B": 50, "Q": 50},
    "D": {"L1": 30, "L2": 20, "Q": 50},
    "E": {"L1": 49.9, "Q": 50.1},
    "F": {"Q": 100},
}
IN_FORCE = [Period(date(2025, 9, 29), date(2025, 11, 10))]
UNCONFIRMED = [Period(date(2026, 11, 10), None)]


def stakes(*rows):
    return [Stake(owner, owned, share, ALWAYS) for owner, owned, share in rows]


def test_shares_of_restricted_owners_are_added_in_steps_and_not_multiplied():
    assert restricted(LISTED, OWNERS) == {"B", "C", "D", "L1", "L2"}


@pytest.mark.parametrize(
    ("org", "day", "expected"),
    [
        ("L1", "2025-01-10", "listed"),
        ("C", "2025-10-15", "affiliate"),
        ("D", "2025-10-15", "affiliate"),
        ("C", "2026-03-01", "affiliate, rule not in force"),
        ("E", "2025-10-15", "minority owned, red flag"),
        ("F", "2025-10-15", None),
        ("C", "2025-09-28", "affiliate, rule not in force"),
        ("C", "2025-09-29", "affiliate"),
        ("C", "2025-11-09", "affiliate"),
        ("C", "2025-11-10", "affiliate, rule not in force"),
        ("C", "2026-11-09", "affiliate, rule not in force"),
        ("C", "2026-11-10", "affiliate, rule not confirmed"),
        ("unheard of", "2025-10-15", None),
    ],
)
def test_an_affiliate_is_called_what_the_rule_of_the_day_makes_it(org, day, expected):
    assert affiliation(org, date.fromisoformat(day), LISTED, OWNERS, IN_FORCE, UNCONFIRMED) == expected


def test_a_listed_owner_of_unknown_share_is_a_red_flag_down_the_chain():
    owners = {"B": {"L1": None}, "C": {"B": 60}}
    assert affiliation("B", TODAY, LISTED, owners, IN_FORCE) == "ownership not known, red flag"
    assert affiliation("C", TODAY, LISTED, owners, IN_FORCE) == "ownership not known, red flag"


def test_fractions_that_make_exactly_half_reach_the_threshold():
    assert "X" in restricted({"a", "b", "c"}, {"X": {"a": 16.7, "b": 16.7, "c": 16.6}})


def test_rings_come_to_rest():
    assert restricted({"L1"}, {"X": {"Y": 100}, "Y": {"X": 100}}) == {"L1"}
    assert restricted({"L1"}, {"X": {"Y": 60}, "Y": {"X": 40, "L1": 50}}) == {"L1", "X", "Y"}


def test_an_ultimate_parent_is_the_top_of_the_chain():
    found = ultimate_parents("C", stakes(("B", "C", 51), ("A", "B", 50), ("Z", "A", 49)), TODAY)
    assert (found.parents, found.are_known) == (("A",), True)


def test_two_owners_of_half_each_are_both_parents_and_no_owner_makes_oneself_one():
    assert ultimate_parents("J", stakes(("A", "J", 50), ("B", "J", 50)), TODAY).parents == ("A", "B")
    assert ultimate_parents("A", [], TODAY).parents == ("A",)


def test_just_below_half_is_no_parent():
    assert ultimate_parents("J", stakes(("A", "J", 49.99)), TODAY).parents == ("J",)


def test_a_share_nobody_states_raises_a_question():
    found = ultimate_parents("J", stakes(("A", "J", None)), TODAY)
    assert (found.parents, found.questions) == ((), ("the share of A in J is not known",))


def test_an_unknown_share_that_cannot_reach_half_raises_none():
    assert ultimate_parents("J", stakes(("A", "J", None), ("B", "J", 60)), TODAY).parents == ("B",)


def test_an_owner_named_parent_without_a_share_is_followed():
    named = [Stake("A", "J", None, ALWAYS, is_parent=True)]
    assert ultimate_parents("J", named, TODAY).parents == ("A",)


def test_a_ring_of_owners_raises_a_question_and_ends():
    found = ultimate_parents("A", stakes(("B", "A", 60), ("A", "B", 60)), TODAY)
    assert found.parents == ()
    assert found.questions == ("A, B own one another in a ring; who stands above them is not recorded",)


def test_stakes_count_on_their_own_days_only():
    sold = [
        Stake("A", "J", 100, Period(None, date(2025, 1, 1))),
        Stake("B", "J", 100, Period(date(2025, 1, 1), None)),
    ]
    assert ultimate_parents("J", sold, date(2024, 12, 31)).parents == ("A",)
    assert ultimate_parents("J", sold, date(2025, 1, 1)).parents == ("B",)
    assert owners_on(sold, date(2025, 1, 1)) == {"J": {"B": 100}}


def test_primary_keys_serve_as_well_as_slugs():
    found = ultimate_parents(1, stakes((2, 1, 60), (1, 2, 60)), TODAY)
    assert found.questions[0].startswith("1, 2 own one another")


names = st.sampled_from("ABCDEF")
shares = st.dictionaries(names, st.dictionaries(names, st.floats(0, 100) | st.none(), max_size=3), max_size=6)


@given(st.sets(names), names, shares)
def test_listing_one_more_never_frees_anyone(listed, more, owners):
    assert restricted(listed, owners) <= restricted(listed | {more}, owners)


@given(shares)
def test_looking_for_parents_always_ends_with_parents_or_a_question(owners):
    rows = [
        Stake(o, owned, s, ALWAYS) for owned, held in owners.items() for o, s in held.items() if o != owned
    ]
    found = ultimate_parents("A", rows, TODAY)
    assert found.parents or found.questions
