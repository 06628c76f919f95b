"""One flow of trade, told from both ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation.mirror import best_lag, lagged, mirror

sizes = st.floats(1, 1e9)
relative = st.floats(0.001, 1)


def side(value: float, rel_sd: float) -> Quantity:
    return Quantity(value, sr=value * rel_sd)


@given(sizes, sizes, relative, relative)
def test_swapping_the_sides_turns_the_sign_and_keeps_the_best_value(x, m, rx, rm):
    one, other = mirror(side(x, rx), side(m, rm)), mirror(side(m, rm), side(x, rx))
    assert one.z == pytest.approx(-other.z)
    assert one.asymmetry == pytest.approx(-other.asymmetry)
    assert one.balanced == pytest.approx(other.balanced)
    assert min(x, m) * (1 - 1e-9) <= one.balanced <= max(x, m) * (1 + 1e-9)


@given(sizes, relative, st.floats(0, 0.9))
def test_a_difference_that_is_all_freight_is_no_difference(x, r, f):
    found = mirror(side(x, r), side(x * (1 + f), r), f)
    assert found.z == pytest.approx(0, abs=1e-9 / r)
    assert found.importer_fob == pytest.approx(x)


def test_the_better_report_weighs_more():
    assert mirror(side(100, 0.01), side(200, 0.1)).weight_exporter == pytest.approx(100 / 101)
    assert mirror(Quantity(100), side(200, 0.1)).balanced == pytest.approx(100)
    exact = mirror(Quantity(100), Quantity(400))
    assert (exact.z, exact.balanced) == (-math.inf, pytest.approx(200))


@pytest.mark.parametrize(
    ("exporter", "importer", "f", "message"),
    [
        (Quantity(0), Quantity(5), 0.0, "the exporter's figure 0"),
        (Quantity(5), Quantity(5, bound="lower"), 0.0, "the importer's figure 5"),
        (Quantity(5), Quantity(5), 1.06, "expected a share such as 0.06"),
    ],
)
def test_what_has_no_logarithm_is_refused(exporter, importer, f, message):
    with pytest.raises(BadInput, match=message):
        mirror(exporter, importer, f)


@given(st.lists(sizes, min_size=4, max_size=24), st.integers(0, 3))
def test_the_lag_of_a_series_that_only_arrives_later_is_found(months, lag):
    later = [*[0.0] * lag, *months]
    found = [one for shift in range(4) if (one := lagged(months, later, shift))]
    best = best_lag(found)
    assert best.sse == 0
    assert best.lag <= lag


def test_periods_without_a_report_are_passed_over():
    found = lagged([1.0, None, 3.0], [2.0, 5.0, None], 0)
    assert found is not None
    assert (found.periods, found.sse, found.gap) == (1, 1, -1)


def test_series_that_never_overlap_have_no_lag():
    assert lagged([1.0], [1.0], 1) is None
    with pytest.raises(BadInput, match="do not overlap"):
        best_lag([])
