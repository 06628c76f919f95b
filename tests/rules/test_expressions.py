"""The language of tests in rule files: what it refuses, and that unknown never turns into no."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.errors import TrackerError
from tracker.core.interval import Interval
from tracker.rules.expressions import BadExpression, Expression

NAMES = {"tpp", "density", "dc", "vendor"}


def truth(text, **values):
    return Expression.parse(text, NAMES).evaluate(values).truth


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "tpp.real > 1", "tpp ** 9 > 1", "[x for x in vendor]", "(tpp := 2) > 1", "tpp + 1", "lambda: tpp",
     "tpp >", "vendor in tpp", "tpp is 3", "1 < tpp in (2, 3)", "tpp > 1e999", "", "vendor in ()", "f'{tpp}' == ''",
     "tpp > 1 " * 400, "not " * 100 + "dc"],
)  # fmt: skip
def test_what_is_not_the_language_is_refused(text):
    with pytest.raises(BadExpression):
        Expression.parse(text, NAMES)


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(TrackerError, match="speaks of tpq; known parameters are dc, density"):
        Expression.parse("tpq > 1", NAMES)


def test_unknown_decides_nothing_by_itself():
    assert truth("tpp >= 4800") is None
    assert truth("not tpp >= 4800") is None
    assert truth("dc") is None
    assert truth("vendor in ('amd', 'intel')") is None


def test_what_is_known_decides_where_it_can():
    assert truth("tpp >= 4800 or density >= 3", tpp=4800) is True
    assert truth("tpp >= 4800 and density >= 3", tpp=4799.9) is False
    assert truth("tpp + density > 10", tpp=3) is None


def test_only_parameters_that_matter_are_missing():
    expression = Expression.parse("(tpp > 5 and density > 1) or dc", NAMES)
    assert expression.evaluate({"tpp": 1}).missing == ("dc",)
    assert expression.evaluate({"tpp": 6}).missing == ("dc", "density")
    assert expression.evaluate({"dc": True}).missing == ()


def test_a_chain_holds_on_its_closed_end_and_not_on_its_open_one():
    assert [truth("1.6 <= density < 5.92", density=x) for x in (1.5999, 1.6, 5.9199, 5.92)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_comparison_tells_value_threshold_and_margin_with_the_parameter_first():
    (first, second) = Expression.parse("2400 <= tpp < 4800", NAMES).evaluate({"tpp": 4799.9}).comparisons
    assert (first.text, first.value, first.threshold, first.margin, first.truth) == (
        "tpp >= 2400", 4799.9, 2400.0, 2399.9, True,
    )  # fmt: skip
    assert (second.text, second.margin) == ("tpp < 4800", -0.1)


def test_an_interval_answers_only_where_all_of_it_agrees():
    at_least = Interval(4032, math.inf)
    assert truth("tpp >= 4000", tpp=at_least) is True
    assert truth("tpp < 4000", tpp=at_least) is False
    assert truth("tpp >= 4800", tpp=at_least) is None
    assert Expression.parse("tpp >= 4800", NAMES).evaluate({"tpp": at_least}).missing == ("tpp",)


def test_texts_and_numbers_are_never_equal_by_accident():
    assert truth("vendor == 'amd'", vendor="amd") is True
    assert truth("vendor != 'amd'", vendor="amd") is False
    assert truth("vendor not in ('amd',)", vendor="intel") is True
    assert truth("vendor == 'amd'", vendor=3) is None


def test_a_division_by_what_may_be_zero_is_unknown():
    assert truth("tpp / density > 1", tpp=1, density=0) is None


@given(
    st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e4),
    st.sampled_from(["tpp >= {0}", "tpp < {0} or dc", "not (tpp > {0} and dc)", "tpp - {0} > 1", "2 * tpp / 3 <= {0}"]),
    st.booleans(),
)  # fmt: skip
def test_an_interval_never_contradicts_a_point_inside_it(low, width, limit, pattern, dc):
    expression = Expression.parse(pattern.format(repr(limit)), NAMES)
    whole = expression.evaluate({"tpp": Interval(low, low + width), "dc": dc}).truth
    for point in (low, low + width / 2, low + width):
        assert whole in (None, expression.evaluate({"tpp": point, "dc": dc}).truth)
