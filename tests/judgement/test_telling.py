"""A comparison in words, in rows and back from JSON."""

from __future__ import annotations

import doctest
from datetime import UTC, date, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tracker.judgement import telling
from tracker.judgement.comparison import Amount, ChipFlip, Comparison, Side

AMOUNTS = st.builds(
    lambda low, more, most: Amount(low, low + more, low + more + most),
    *[st.floats(0, 1e12, allow_nan=False)] * 3,
)
FLIPS = st.builds(
    factories.flip, st.sampled_from(["NO_LICENCE", "LICENCE"]), st.just("UNKNOWN"), chips=AMOUNTS, tpp=AMOUNTS, who=st.text(),
    name=st.text(), lines=st.integers(1, 10**9), uncounted=st.just(0), bounds=st.integers(0, 9),
)  # fmt: skip
SIDES = st.builds(Side, st.text(min_size=1), st.none() | st.dates())


def told(**given_):
    return " ".join(telling.sentences(factories.comparison(**given_)))


def test_the_examples_hold():
    assert doctest.testmod(telling).failed == 0


@given(
    SIDES,
    SIDES,
    st.lists(FLIPS, max_size=3),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.dates(),
)
def test_what_is_kept_as_json_is_the_same_comparison_again(before, after, flips, at, day):
    found = factories.comparison(
        before=before, after=after, as_known_at=at, by_decision=tuple(flips), by_chip=tuple(flips),
        chips=(ChipFlip("x", day, None, "none", "b", ""),),
    )  # fmt: skip
    assert Comparison.from_dict(orjson.loads(orjson.dumps(found.as_dict()))) == found
    assert Comparison.from_dict(found.as_dict()) == found


@given(st.lists(FLIPS, max_size=3))
def test_every_row_of_the_csv_has_every_column(flips):
    rows = list(telling.rows(factories.comparison(by_decision=tuple(flips))))
    assert {len(row) for row in rows} == {len(telling.COLUMNS)}


def test_one_is_one_and_many_are_many():
    one = factories.flip(lines=1, uncounted=1, bounds=1)
    assert "1 line is in no sum" in told(by_decision=(one,))
    assert "1 line says at least or at most" in told(by_decision=(one,))
    assert "4 lines say at least" in told(by_decision=(factories.flip(bounds=4),))
    assert "1 chip is of another level." in told()


def test_days_say_how_lines_are_judged():
    day = Side("2026-01-01", date(2026, 1, 1))
    assert "on the day it left." in told(before=Side("law"), after=Side("draft:x"))
    assert "as if it had left on the day named." in told(before=day, after=day)
    assert "on the other side on the day it left." in told(before=day, after=Side("law"))


def test_more_kinds_of_change_than_can_be_told_are_counted():
    rows = tuple(factories.flip(after=f"LICENCE: {n}") for n in range(8))
    assert "3 more kinds of change are in the table." in told(by_decision=rows)


def test_an_instant_in_json_comes_back_as_one():
    kept = factories.comparison().as_dict() | {"as_known_at": "2026-03-01T00:00:00Z"}
    assert Comparison.from_dict(kept).as_known_at == datetime(2026, 3, 1, tzinfo=UTC)
