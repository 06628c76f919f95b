"""Reports of one quantity."""

from __future__ import annotations

from datetime import date

import pytest

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks.conflict import find

P = Parameters()


def test_reports_far_apart_conflict():
    (found,) = find(cast.books(cast.claim(100000), cast.claim(50000)), P)
    assert (found.verdict, found.gap, found.is_finding, found.family) == ("conflict", 50000, True, "CONFLICT")


def test_reports_within_their_errors_agree():
    (found,) = find(cast.books(cast.claim(1000, grade="B"), cast.claim(1020, grade="B")), P)
    assert (found.verdict, found.is_finding) == ("consistent", False)


def test_a_repeated_report_is_no_second_report():
    assert find(cast.books(cast.claim(100000, slug="a"), cast.claim(50000, slug="b", origin="a")), P) == []


def test_an_echo_changes_no_number():
    rows = cast.claim(100000, slug="a"), cast.claim(50000, slug="b")
    echo = cast.claim(100000, slug="z", origin="a", published_on=date(2026, 5, 1))
    (alone,), (with_echo,) = find(cast.books(*rows), P), find(cast.books(*rows, echo), P)
    assert (alone.statistic, alone.p, alone.gap) == (with_echo.statistic, with_echo.p, with_echo.gap)
    assert with_echo.numbers["echoes"] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"scope": cast.TWO},
        {"status": "operational"},
        {"site_id": None},
        {"period": cast.day("2026-05-31")},
        {"unit": "USD"},
    ],
)
def test_reports_of_different_things_are_not_held_together_unasked(other):
    assert find(cast.books(cast.claim(100000), cast.claim(50000, **other)), P) == []


def test_sales_to_different_buyers_are_different_quantities():
    one, other = cast.flow(100000, kind="sale"), cast.flow(50000, kind="sale", counterparty_id=cast.BUYERS)
    assert find(cast.books(one, other), P) == []


def test_overlapping_but_unequal_periods_are_different_flows():
    one, other = cast.flow(100000), cast.flow(50000, period=cast.days("2026-02-01", "2026-04-30"))
    assert find(cast.books(one, other), P) == []


def declared(one, **changes):
    return cast.claim(slug="b", conflicts_with=frozenset({one.ref.id}), **changes)


def test_a_declared_pair_that_counts_different_things_is_named_and_not_tested():
    one = cast.claim(100000, slug="a")
    other = declared(
        one,
        best=20000,
        scope=cast.MIXED,
        status="operational",
        period=cast.day("2026-05-31"),
        unit="GPU-equivalents",
    )
    (found,) = find(cast.books(one, other), P)
    assert (found.verdict, found.is_finding, found.severity, found.p) == (
        "different quantities",
        False,
        "info",
        None,
    )
    for words in ("H mixed", "operational", "2026-05-31", "GPU-equivalents"):
        assert words in found.sections[0].body
    assert "scope" in found.sections[4].body


def test_a_part_above_its_whole_is_a_conflict_and_capped():
    part = cast.claim(100000, slug="a")
    whole = declared(part, best=20000, scope=cast.MIXED)
    (found,) = find(cast.books(part, whole), P)
    assert (found.verdict, found.is_finding, found.severity, found.gap) == (
        "part above whole",
        True,
        "medium",
        80000,
    )
    assert "a counts a part of what the other counts" in found.sections[0].body


def test_a_part_below_its_whole_is_consistent_however_far():
    part = cast.claim(20000, slug="a")
    whole = declared(part, best=100000, scope=cast.MIXED)
    (found,) = find(cast.books(part, whole), P)
    assert not found.is_finding
    assert found.verdict in ("consistent", "inconclusive")


def test_one_quarter_above_its_year_is_a_conflict():
    quarter = cast.flow(100000, slug="a", period=cast.days("2026-01-01", "2026-03-31"))
    year = cast.flow(
        50000,
        slug="b",
        period=cast.days("2026-01-01", "2026-12-31"),
        conflicts_with=frozenset({quarter.ref.id}),
    )
    (found,) = find(cast.books(quarter, year), P)
    assert (found.verdict, found.gap) == ("part above whole", 50000)


def test_a_part_of_one_kind_and_a_whole_of_another_decide_nothing():
    one = cast.flow(100000, slug="a", scope=cast.MIXED, period=cast.days("2026-01-01", "2026-03-31"))
    year = cast.flow(
        50000, slug="b", period=cast.days("2026-01-01", "2026-12-31"), conflicts_with=frozenset({one.ref.id})
    )
    (found,) = find(cast.books(one, year), P)
    assert found.verdict == "different quantities"


def test_a_declared_pair_in_one_set_is_reported_once():
    one = cast.claim(100000)
    other = cast.claim(50000, conflicts_with=frozenset({one.ref.id}))
    assert len(find(cast.books(one, other), P)) == 1


def test_a_plan_and_a_holding_are_no_conflict_above_information():
    one = cast.claim(100000)
    plan = cast.claim(300000, status="planned", conflicts_with=frozenset({one.ref.id}))
    (found,) = find(cast.books(one, plan), P)
    assert (found.verdict, found.severity, found.is_finding) == ("different quantities", "info", False)


def test_figures_in_units_that_are_not_chips_are_not_compared():
    one = cast.claim(100000)
    other = cast.claim(2e9, unit="USD", conflicts_with=frozenset({one.ref.id}))
    (found,) = find(cast.books(one, other), P)
    assert (found.verdict, found.severity, found.p) == ("not comparable", "info", None)
    assert "counts USD" in found.sections[1].body


def test_bounds_that_cross_are_a_conflict():
    floor, ceiling = (
        cast.claim(None, low=136000, bound="floor"),
        cast.claim(None, high=30000, bound="ceiling"),
    )
    (found,) = find(cast.books(floor, ceiling), P)
    assert (found.verdict, found.gap) == ("conflict", 106000)


def test_bounds_that_do_not_cross_are_consistent():
    floor, ceiling = cast.claim(None, low=3000, bound="floor"), cast.claim(None, high=136000, bound="ceiling")
    (found,) = find(cast.books(floor, ceiling), P)
    assert not found.is_finding


def test_a_floor_above_a_figure_is_a_conflict():
    (found,) = find(cast.books(cast.claim(None, low=136000, bound="floor"), cast.claim(86000)), P)
    assert (found.verdict, found.gap) == ("conflict", 50000)


def test_two_exact_counts_that_differ_are_certain():
    (found,) = find(
        cast.books(cast.claim(1000, exact=True, grade="A"), cast.claim(800, exact=True, grade="A")), P
    )
    assert (found.strength, found.family, found.is_finding) == ("certain", None, True)


def test_reports_of_one_house_are_said_to_be_worth_less():
    rows = [cast.claim(q, key="house", grade="C") for q in (50000, 52000)]
    (found,) = find(cast.books(*rows, cast.claim(49000)), P)
    assert "worth about 1.33 independent ones" in found.sections[1].body


def test_the_order_of_the_records_plays_no_part():
    rows = [cast.claim(q) for q in (100000, 62000, 81000)]
    assert find(cast.books(*rows), P) == find(cast.books(*reversed(rows)), P)


def test_reports_in_h100_equivalents_are_held_together_and_not_with_reports_of_chips():
    said = {"unit": "H100-equivalents", "scope": cast.MIXED}
    chips = cast.claim(5000, scope=cast.MIXED)
    (found,) = find(cast.books(cast.claim(100000, **said), cast.claim(50000, **said), chips), P)
    assert (found.verdict, found.gap, found.gap_h100e, found.unit) == (
        "conflict",
        50000,
        50000,
        "H100-equivalents",
    )
    assert found.counterpart.endswith("in H100-equivalents")
    assert chips.ref not in [row.ref for row in found.evidence]


def test_a_declared_conflict_of_chips_with_h100_equivalents_is_named_and_not_tested():
    chips = cast.claim(100000, slug="a", scope=cast.MIXED)
    told = cast.claim(
        20000, slug="b", scope=cast.MIXED, unit="H100-equivalents", conflicts_with=frozenset({chips.ref.id})
    )
    (found,) = find(cast.books(chips, told), P)
    assert (found.verdict, found.is_finding) == ("different quantities", False)
    assert "They differ in unit: chips and H100-equivalents" in found.sections[0].body
