"""Chips against the racks of their site."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks.capacity import find
from tracker.reconciliation.explain import forbidden_words

P = Parameters()
EXACT = {"exact": True, "grade": "A"}


def racks(count: float | None, **given):
    """Racks of 72 chips each."""
    return cast.claim(count, **{"unit": "racks", "per_unit": 72, "slug": "racks", **EXACT} | given)


def results(*rows) -> list[Finding]:
    return find(cast.books(*rows), P)


@pytest.mark.parametrize(("count", "verdict"), [(139, "impossible"), (140, "possible")])
def test_racks_hold_so_many_chips_and_no_more(count, verdict):
    (found,) = results(cast.claim(10080, **EXACT), racks(count))
    assert (found.verdict, found.expected, found.is_finding) == (verdict, count * 72, verdict == "impossible")
    assert found.numbers["chips_per_rack"] == 72
    text = " ".join([found.headline, *(part.body for part in found.sections)])
    assert f"{count} racks x 72 chips" in text
    assert not forbidden_words(text)


@pytest.mark.parametrize(("chips", "verdict"), [(12500, "impossible"), (12100, "possible")])
def test_the_stated_errors_count_for_the_site(chips, verdict):
    assert results(cast.claim(chips, grade="C"), racks(139))[0].verdict == verdict


def test_of_several_counts_of_racks_the_largest_stands_and_of_claims_the_smallest():
    rows = (
        cast.claim(10080, **EXACT),
        cast.claim(20000, **EXACT),
        racks(100, slug="few"),
        racks(140, slug="many"),
    )
    (found,) = results(*rows)
    assert (found.reported, found.expected) == (10080, 10080)


def test_bounds_limit_and_exceed_nothing_on_their_open_side():
    assert results(cast.claim(10080, **EXACT), racks(None, low=10, bound="floor")) == []
    assert results(cast.claim(None, high=10080, bound="ceiling"), racks(10)) == []
    assert results(cast.claim(None, low=10080, bound="floor", **EXACT), racks(10))[0].is_finding


@pytest.mark.parametrize(
    "other",
    [{"scope": cast.TWO}, {"status": "planned"}, {"site_id": None}, {"per_unit": None}, {"is_flow": True}],
)
def test_racks_of_another_kind_standing_or_place_or_of_unknown_size_are_not_asked(other):
    assert results(cast.claim(10080, **EXACT), racks(10, **other)) == []


def test_racks_of_a_family_hold_its_chips_and_not_the_other_way():
    assert len(results(cast.claim(10080, **EXACT), racks(10, scope=cast.MIXED))) == 1
    assert results(cast.claim(10080, scope=cast.MIXED, **EXACT), racks(10)) == []


def test_what_is_planned_is_held_against_planned_racks():
    (found,) = results(cast.claim(10080, status="announced", **EXACT), racks(10, status="contracted"))
    assert (found.counterpart, found.is_finding) == ("planned racks", True)


@given(chips=st.integers(1, 10**6), count=st.integers(1, 10**4), more=st.integers(0, 10**4))
def test_more_racks_never_make_room_impossible(chips, count, more):
    (one,), (other,) = (results(cast.claim(chips, grade="B"), racks(n)) for n in (count, count + more))
    assert one.is_finding or not other.is_finding
