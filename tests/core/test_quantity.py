"""Rounding, spread, and sums with shared errors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.quantity import (
    Quantity,
    covariance,
    rounding_half_width,
    scaled,
    spread,
    stored,
    total,
    weakest,
)


@pytest.mark.parametrize(
    ("value", "half"),
    [
        (115000, 500),
        (100000, 5000),
        (2384, 0.5),
        (110, 5),
        (100, 5),
        (10, 0.5),
        (9, 0.5),
        (0, 0.5),
        (12.5, 0.05),
        (1e6, 50000),
    ],
)
def test_trailing_zeros_are_doubted_but_two_digits_are_believed(value, half):
    assert rounding_half_width(value) == pytest.approx(half)


def test_a_symmetric_interval_has_its_best_value_as_mean():
    mean, sd = spread(100, (80, 120))
    assert (mean, sd) == (100, pytest.approx(20 / 1.644854, rel=1e-6))


def test_reports_of_one_house_share_their_systematic_error():
    one, other = Quantity(100, ss=3, key="house"), Quantity(100, ss=4, key="house")
    assert covariance(one, other) == 12
    assert total([(1, one), (1, other)]).s == 7
    assert total([(1, one), (-1, other)]).s == 1


def test_reports_without_a_key_share_nothing():
    one = Quantity(100, ss=3)
    assert covariance(one, one) == 0
    assert total([(1, one), (1, Quantity(100, ss=4))]).s == 5


def test_a_sum_of_nothing_is_an_exact_zero():
    assert (total([]).mu, total([]).s, total([]).shares) == (0, 0, ())


quantities = st.builds(
    Quantity,
    mu=st.floats(0, 1e6),
    ss=st.floats(0, 1e4),
    sr=st.floats(0.1, 1e4),
    key=st.sampled_from(["", "a", "b"]),
)
terms = st.lists(st.tuples(st.sampled_from([1.0, -1.0]), quantities), min_size=1, max_size=8)


@given(terms)
def test_the_order_of_a_sum_plays_no_part(rows):
    one, other = total(rows), total(rows[::-1])
    assert one.mu == pytest.approx(other.mu, abs=1e-6)
    assert one.variance == pytest.approx(other.variance, rel=1e-9)


@given(terms)
def test_the_shares_of_the_variance_add_up_to_one(rows):
    assert sum(total(rows).shares) == pytest.approx(1)


@given(terms, st.floats(0.01, 100))
def test_a_sum_scales_with_its_unit(rows, factor):
    other = total([(sign, scaled(quantity, factor)) for sign, quantity in rows])
    assert other.s == pytest.approx(total(rows).s * factor, rel=1e-6)


def test_stored_statistics_have_nine_significant_digits():
    assert stored(0.1 + 0.2) == 0.3
    assert stored(123456789.4) == 123456789
    assert (stored(None), stored(math.inf)) == (None, None)


def test_the_weakest_grade_is_the_last_letter():
    assert (weakest(["A", "", "D", "B"]), weakest([])) == ("D", "")
