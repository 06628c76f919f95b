"""Balances in sequence: what errors propagate to, and that laws of the arithmetic hold whatever the records."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity, total
from tracker.reconciliation.sequence import SIGNS, Entry, balances, cusum, page, sitmuf

sizes = st.floats(1, 1e6)
errors = st.floats(1, 1e4)
keys = st.sampled_from(["", "house", "other"])
quantities = st.builds(
    lambda mu, ss, sr, key: Quantity(mu, ss=ss, sr=sr, key=key), sizes, errors, errors, keys
)


@st.composite
def chains(draw, least=1):
    """Records and periods: each opens with the count that closed the one before."""
    records: dict[str, Quantity] = {}
    periods = []
    for t in range(draw(st.integers(least, 6))):
        rows = [Entry(f"count {t - 1}", "open")] if t else []
        for n in range(draw(st.integers(1, 3))):
            role = draw(st.sampled_from(["receipt", "dispatch", "exit", "production"]))
            records[f"{role} {t} {n}"] = draw(quantities)
            rows.append(Entry(f"{role} {t} {n}", role))
        records[f"count {t}"] = draw(quantities)
        periods.append([*rows, Entry(f"count {t}", "close")])
    return records, periods


@given(chains())
def test_a_periods_variance_is_that_of_the_signed_sum(chain):
    records, periods = chain
    found = balances(records, periods)
    for period, muf, sigma in zip(periods, found.muf, found.sigma, strict=True):
        alone = total([(SIGNS[entry.role], records[entry.record]) for entry in period])
        assert muf == pytest.approx(alone.mu, abs=1e-6)
        assert sigma == pytest.approx(alone.s, rel=1e-6)


@given(chains())
def test_counts_between_periods_cancel_in_the_whole_span(chain):
    records, periods = chain
    found = balances(records, periods)
    between = {entry.record for period in periods for entry in period if entry.role == "open"}
    rest = [
        (SIGNS[e.role], records[e.record]) for period in periods for e in period if e.record not in between
    ]
    whole = total(rest)
    assert found.cumuf[-1] == pytest.approx(whole.mu, abs=1e-4)
    assert found.sigma_cumuf[-1] == pytest.approx(whole.s, rel=1e-5)


@given(chains(least=2))
def test_a_new_period_never_changes_what_was_computed_before(chain):
    records, periods = chain
    whole, earlier = balances(records, periods), balances(records, periods[:-1])
    try:
        values = sitmuf(whole)
    except BadInput:
        return
    assert whole.cumuf[:-1] == earlier.cumuf
    assert values[:-1] == pytest.approx(sitmuf(earlier), rel=1e-6, abs=1e-9)


@given(chains())
def test_independent_parts_hold_the_same_surprise_as_the_periods_together(chain):
    found = balances(*chain)
    try:
        values = sitmuf(found)
    except BadInput:
        return
    muf = np.array(found.muf)
    whole = float(muf @ np.linalg.solve(found.sigma_matrix, muf))
    assert math.fsum(value**2 for value in values) == pytest.approx(whole, rel=1e-4, abs=1e-9)


def test_an_exact_period_and_one_that_follows_from_others_are_errors():
    exact = balances({"c": Quantity(5)}, [[Entry("c", "close")]])
    assert exact.sigma == (0,)
    with pytest.raises(BadInput, match="not positive definite"):
        sitmuf(exact)
    one = {"c": Quantity(5, sr=1)}
    with pytest.raises(BadInput, match="not positive definite"):
        sitmuf(balances(one, [[Entry("c", "close")], [Entry("c", "open")]]))


@pytest.mark.parametrize(
    ("records", "periods", "message"),
    [
        ({}, [], "needs a period"),
        ({"a": Quantity(1)}, [[Entry("a", "found")]], "'found' is not one of open"),
        ({}, [[Entry("a", "open")]], "'a' is named by a period but not given"),
        ({"a": Quantity(1, bound="lower")}, [[Entry("a", "open")]], "'a' is a bound"),
    ],
)
def test_what_cannot_be_balanced_is_named(records, periods, message):
    with pytest.raises(BadInput, match=message):
        balances(records, periods)


def test_page_reaches_its_limit_without_exceeding_it():
    assert page([1.5, 1.5], k=0.5, h=2.0) == ((1.0, 2.0), ())
    assert page([1.5, 1.6], k=0.5, h=2.0)[1] == (1,)
    assert page([0.1] * 3, k=0.0, h=0.3)[1] == ()  # 0.1 + 0.1 + 0.1 is a little more than 0.3 in binary


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0, 2))
def test_both_sides_of_a_cusum_are_one_another_mirrored(readings, allowance):
    one, other = cusum(readings, 0, allowance, 3), cusum([-x for x in readings], 0, allowance, 3)
    assert (one.upper, one.lower) == (other.lower, other.upper)
    assert one.alarm == other.alarm
