"""Shipper and receiver."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.quantity import Quantity, Reported
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks.srd import difference, find

P = Parameters()


def both(sent: float, came: float, **given):
    figure = {"grade": given.pop("grade", "A"), "exact": given.pop("exact", False)}
    return cast.movement(
        sent, by_shipper=Reported(best=sent, **figure), by_receiver=Reported(best=came, **figure), **given
    )


def test_two_exact_counts_that_differ_are_certain():
    (found,) = find(cast.books(both(100, 98, exact=True)), P)
    assert (found.gap, found.strength, found.is_finding, found.family, found.p) == (
        2,
        "certain",
        True,
        None,
        None,
    )


def test_two_exact_counts_that_agree_are_no_finding():
    (found,) = find(cast.books(both(100, 100, exact=True)), P)
    assert (found.gap, found.is_finding) == (0, False)


def test_a_difference_within_the_errors_is_consistent():
    (found,) = find(cast.books(both(1000, 990)), P)
    assert (found.verdict, found.is_finding, found.family) == ("consistent", False, "SRD")


def test_a_material_difference_beyond_the_errors_is_a_finding():
    (found,) = find(cast.books(both(10000, 9000)), P)
    assert (found.verdict, found.gap, found.is_finding) == ("differs", 1000, True)
    assert "more is reported shipped than received" in found.sections[2].body


def test_a_steady_bias_shows_in_the_lot_before_it_shows_in_a_shipment():
    lines = [both(10007, 9923, grade="A") for _ in range(9)]
    *single, lot = find(cast.books(*lines), P)
    assert not any(found.is_finding for found in single)
    assert lot.gap == pytest.approx(9 * 84)
    assert abs(lot.statistic) > max(abs(found.statistic) for found in single)


def test_movements_of_different_quarters_are_different_lots():
    lines = both(100, 98), both(100, 98, shipped=cast.day("2026-04-02"), received=cast.day("2026-04-20"))
    assert len(find(cast.books(*lines), P)) == 2


def test_movements_reported_by_one_end_only_are_not_tested():
    assert find(cast.books(cast.movement(100), cast.movement(100, by_shipper=Reported(best=100))), P) == []


@given(
    st.lists(
        st.tuples(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(0.1, 100), st.floats(0.1, 100)),
        min_size=1,
        max_size=5,
    )
)
def test_the_variance_shares_of_a_lot_add_up_to_one(rows):
    pairs = [(Quantity(a, ss=x, sr=y, key="s"), Quantity(b, ss=y, sr=x, key="r")) for a, b, x, y in rows]
    found = difference(pairs)
    assert sum(found.shares) == pytest.approx(1)
    assert found.d == pytest.approx(sum(a - b for a, b, _, _ in rows), abs=1e-6)


def test_two_movements_of_one_quarter_are_a_lot():
    first, second, lot = find(cast.books(both(100, 98), both(100, 97)), P)
    assert (first.gap, second.gap, lot.gap, lot.period) == (2, 3, 5, "2026Q1")
