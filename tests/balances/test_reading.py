"""Columns of lines are read as single figures are."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.balances import reading
from tracker.balances.reading import CHIP_STEP, ERROR_STEP, NO_DAY, UNCOUNTABLE, UNNAMED, VARIANCE_STEP
from tracker.claims.combine import quantity
from tracker.core.quantity import NotComparable, Quantity, Reported, StandardReading, rounding_half_width

READING = StandardReading()
figures = st.one_of(
    st.integers(1, 10**7),
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(1, 99), st.integers(0, 6)),
    st.integers(1, 10**6).map(lambda n: n / 1000),
)
units = st.sampled_from(
    [("chips", None), ("cards", None), ("servers", 8), ("servers", None), ("racks", 72), ("racks", None)]
)


def per_unit(unit: str, chips: int | None) -> float:
    if unit in ("chips", "cards"):
        return 1.0
    if chips:
        return float(chips)
    return UNNAMED if unit == "servers" else UNCOUNTABLE


@given(st.lists(figures, min_size=1, max_size=20))
def test_rounding_is_read_as_for_single_figures(values):
    assert reading.half_widths(np.array(values, float)).tolist() == pytest.approx(
        [rounding_half_width(v) for v in values]
    )


@given(figures, units, st.sampled_from("ABCDE"), st.booleans(), st.sampled_from(["", "floor", "ceiling"]))
def test_a_figure_in_a_column_is_the_distribution_of_the_figure_alone(value, unit, grade, exact, bound):
    alone = quantity(
        Reported(
            low=value if bound == "floor" else None, high=value if bound == "ceiling" else None,
            best=None if bound else value, unit=unit[0], per_unit=unit[1], grade=grade, exact=exact, bound=bound,
        ),
        READING,
    )  # fmt: skip
    column = reading.read(
        np.array([value], float), np.array([per_unit(*unit)]), np.array([grade.encode()]), np.array([exact]),
        np.array([(bound or "-")[0].encode()]), READING,
    )  # fmt: skip
    if isinstance(alone, NotComparable):
        assert not column.usable[0]
        return
    assert isinstance(alone, Quantity)
    assert column.usable[0] == (alone.bound != "upper")
    assert column.floor[0] == (alone.bound == "lower")
    assert column.mu[0] == pytest.approx(alone.mu, rel=1e-12, abs=CHIP_STEP)
    assert column.systematic[0] == pytest.approx(alone.ss, rel=1e-12, abs=ERROR_STEP)
    assert column.random[0] == pytest.approx(alone.sr**2, rel=1e-12, abs=VARIANCE_STEP)


def test_sums_of_steps_do_not_depend_on_their_order():
    dice = np.random.default_rng(1)
    steps = reading.step(dice.lognormal(3, 2, 100_000), ERROR_STEP)
    assert steps.sum() == steps[dice.permutation(len(steps))].sum() == np.cumsum(steps)[-1]


@given(st.dates(date(1999, 1, 1), date(2040, 12, 31)))
def test_months_are_numbered_from_january_2000(day):
    number = reading.months(np.array([(day - reading.EPOCH).days], np.int32))[0]
    assert number == reading.month_number(day)
    assert reading.first_day(int(number)) == day.replace(day=1)


def test_a_day_of_arrival_that_nobody_reported_is_the_usual_time_after_the_last_day_of_leaving():
    lines = np.zeros(3, reading.LINE)
    for name in ("shipped", "shipped_latest", "received", "received_latest"):
        lines[name] = NO_DAY
    lines["shipped"] = [100, 100, NO_DAY]
    lines["shipped_latest"] = [110, NO_DAY, NO_DAY]
    lines["received"] = [NO_DAY, 120, NO_DAY]
    assert reading.arrived_on(lines, 30).tolist() == [140, 120, NO_DAY]


def test_a_grade_that_the_table_does_not_have_is_refused():
    with pytest.raises(KeyError, match="not one of A, B, C, D, E"):
        reading.by_grade(np.array([b"A", b"X"]), READING.grade_rel_sd)
