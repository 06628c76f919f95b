"""Reading figures, telling echoes, pooling reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.claims.combine import (
    Report,
    Statement,
    crossing,
    independent,
    is_proposed_echo,
    pool,
    quantity,
    wire,
    with_proposed_echoes,
)
from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.quantity import NotComparable, Quantity, Reported
from tracker.reconciliation.books import Parameters

P = Parameters()


def read(**given) -> Quantity | NotComparable:
    return quantity(Reported(**given), P)


def test_chips_cards_and_equivalents_count_as_chips_with_what_is_assumed():
    assert (
        read(best=100).mu
        == read(best=100, unit="cards").mu
        == read(best=100, unit="GPU-equivalents").mu
        == 100
    )
    assert read(best=100).assumptions == ()
    assert "card" in read(best=100, unit="cards").assumptions[0]


def test_a_server_of_unknown_model_is_eight_chips_with_a_larger_error():
    unnamed, named = (
        read(best=1250, unit="servers", grade="B"),
        read(best=1250, unit="servers", grade="B", per_unit=8),
    )
    assert unnamed.mu == named.mu == 10000
    assert unnamed.s > 4 * named.s
    assert "not named" in unnamed.assumptions[0]


def test_an_exact_count_of_unnamed_servers_is_no_exact_count_of_chips():
    assert read(best=100, unit="servers", exact=True).sb == pytest.approx(120)
    assert read(best=100, exact=True).s == 0


@pytest.mark.parametrize(
    "unit",
    [
        "USD",
        "dies",
        "stacks",
        "shipments",
        "listings",
        "chips per year",
        "chips per month",
        "H100-equivalents",
        "racks",
        "units",
    ],
)
def test_other_units_are_not_chips_and_say_why(unit):
    answer = read(best=100, unit=unit)
    assert isinstance(answer, NotComparable)
    assert unit in answer.reason


def test_racks_of_a_named_model_are_chips():
    assert read(best=10, unit="racks", per_unit=72).mu == 720


def test_words_are_no_number():
    assert isinstance(read(bound="words"), NotComparable)
    assert isinstance(read(), NotComparable)


@pytest.mark.parametrize(
    ("given_", "mu", "bound"),
    [
        ({"low": 100}, 100, "lower"),
        ({"high": 100}, 100, "upper"),
        ({"low": 100, "best": 100}, 100, "lower"),
        ({"best": 100, "high": 100}, 100, "upper"),
        ({"low": 80, "best": 100}, 100, ""),
        ({"best": 100, "bound": "floor"}, 100, "lower"),
        ({"best": 100, "bound": "ceiling"}, 100, "upper"),
    ],
)
def test_half_open_ranges_are_bounds_or_borrow_the_other_side(given_, mu, bound):
    answer = read(**given_)
    assert (answer.mu, answer.bound) == (mu, bound)


def test_an_unknown_grade_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"grade 'F' is not one of A, B, C, D, E"):
        read(best=1, grade="F")


@given(st.floats(1, 1e6), st.sampled_from("ABCDE"), st.floats(0.5, 100))
def test_no_claim_is_believed_more_precisely_than_its_grade(best, grade, factor):
    answer = quantity(Reported(best=best, grade=grade, unit="servers", per_unit=factor), P)
    assert answer.s >= P.grade_rel_sd[grade] * answer.mu * (1 - 1e-9)


@given(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(1, 1e5))
def test_a_mean_lies_within_its_interval(low, step, more):
    answer = read(low=low, best=low + step, high=low + step + more, grade="A")
    assert low <= answer.mu <= low + step + more


# --- echoes ----------------------------------------------------------------------------------------------------------


def statement(name: str, published: date | None = date(2026, 3, 1), mu: float = 115000, **given) -> Statement:
    row = {
        "subject": "x",
        "scope": "h",
        "status": "planned",
        "period": Period(date(2025, 1, 1), date(2025, 7, 1)),
        "wire": "w",
    }
    return Statement(Report(name, Quantity(mu, sr=10000, half_width=500), name, published), **row | given)


LATER = date(2026, 3, 5)


def test_an_equal_later_figure_of_the_same_wire_is_proposed_as_an_echo():
    assert is_proposed_echo(statement("b", LATER), statement("a"))


def test_a_figure_equal_within_rounding_that_cites_the_first_is_proposed_too():
    assert is_proposed_echo(statement("b", LATER, 115400, wire="", cites=frozenset({"a"})), statement("a"))


@pytest.mark.parametrize(
    "other",
    [
        {"mu": 116000}, {"subject": "y"}, {"scope": "g"}, {"status": "installed"}, {"wire": "another"},
        {"period": Period(date(2026, 1, 1), date(2026, 2, 1))}, {"published": date(2026, 2, 1)},
    ],
)  # fmt: skip
def test_anything_else_is_no_echo(other):
    assert not is_proposed_echo(statement("b", **{"published": LATER} | other), statement("a"))


def test_a_chain_of_echoes_has_one_origin():
    rows = [statement("c", date(2026, 3, 9)), statement("b", LATER), statement("a")]
    assert [report.origin for report in with_proposed_echoes(rows)] == ["a", "a", "a"]


def test_without_the_primary_the_earliest_published_stands_for_it_and_ties_go_by_id():
    reports = [Report(i, Quantity(1, sr=1), "o", d) for i, d in (("b", LATER), ("c", LATER), ("a", None))]
    assert [report.id for report in independent(reports)] == ["b"]


def test_the_wire_is_read_from_how_a_publisher_is_named():
    assert wire("Xinhua (via Reuters)") == wire("Reuters") == "reuters"


# --- pooling ---------------------------------------------------------------------------------------------------------


def report(name: str, mu: float, sd: float, key: str = "", share: float = 0.5, bound: str = "") -> Report:
    return Report(
        name, Quantity(mu, ss=sd * share**0.5, sr=sd * (1 - share) ** 0.5, key=key, bound=bound), name
    )


def test_one_house_repeated_often_never_becomes_certain():
    many = pool([report(f"{i:03}", 100, 10, key="house") for i in range(200)])
    assert many.gls_sd == pytest.approx(10 * (0.5 + 0.5 / 200) ** 0.5)
    assert many.fixed_sd < 1


def test_exact_reports_that_differ_are_certain_and_those_that_agree_are_not():
    assert pool([report("a", 100, 0), report("b", 101, 0)]).certain
    agree = pool([report("a", 100, 0), report("b", 100, 0), report("c", 110, 10)])
    assert (agree.certain, agree.gls_mean, agree.q) == (False, 100, pytest.approx(1))


def test_a_bound_is_never_averaged():
    with pytest.raises(ValueError, match="only estimates"):
        pool([report("a", 100, 1), report("b", 100, 1, bound="lower")])


values = st.lists(st.tuples(st.floats(1, 1e6), st.floats(0.1, 1e4)), min_size=2, max_size=6)


@given(values)
def test_means_of_independent_reports_lie_between_the_reports(rows):
    found = pool([report(f"{i}", mu, sd) for i, (mu, sd) in enumerate(rows)])
    low, high = min(mu for mu, _ in rows), max(mu for mu, _ in rows)
    for mean in (found.gls_mean, found.fixed_mean, found.random_mean):
        assert low * (1 - 1e-9) <= mean <= high * (1 + 1e-9)


@given(values)
def test_the_order_of_reports_plays_no_part(rows):
    reports = [report(f"{i}", mu, sd, key=f"{i % 2}") for i, (mu, sd) in enumerate(rows)]
    assert pool(reports) == pool(reports[::-1])


@given(values, st.floats(1, 10))
def test_larger_errors_never_make_reports_disagree_more(rows, factor):
    one = pool([report(f"{i}", mu, sd) for i, (mu, sd) in enumerate(rows)])
    other = pool([report(f"{i}", mu, sd * factor) for i, (mu, sd) in enumerate(rows)])
    assert other.q <= one.q * (1 + 1e-9) + 1e-9


def test_bounds_cross_only_if_the_highest_floor_lies_above_the_lowest_ceiling():
    floors = [report("f1", 100, 3, bound="lower"), report("f2", 50, 3, bound="lower")]
    ceilings = [report("c1", 80, 4, bound="upper"), report("c2", 500, 4, bound="upper")]
    found, tests = crossing(floors + ceilings)
    assert (found.lower.id, found.upper.id, found.z, tests) == ("f1", "c1", pytest.approx(4), 4)
    assert crossing(floors) is None
    below, _ = crossing([report("f", 50, 3, bound="lower"), report("c", 80, 4, bound="upper")])
    assert below.z < 0


def test_a_bound_is_held_against_the_consensus_too():
    found, tests = crossing([report("f", 136, 3, bound="lower")], Quantity(86, sr=4))
    assert (found.upper.id, found.z, tests) == ("consensus", pytest.approx(10), 1)


def test_an_echo_adds_nothing():
    rows = [report("a", 100, 10), report("b", 90, 10)]
    assert independent([*rows, replace(rows[0], id="z", published=LATER)]) == rows
