"""Licence accounts: what is drawn, what is left, and uses that a licence does not speak of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.licences.account import (
    AFTER,
    BEFORE,
    CHIPS,
    CONSIGNMENT,
    COUNTRY,
    ONWARD,
    PARTY,
    REPEATED,
    Terms,
    Use,
    accounts,
)

FIRST, END = date(2026, 1, 1), date(2026, 7, 1)
HOLDER, STRANGER = 1, 2


def licence(name: str = "L1", authorised: float | None = 1000, **given) -> Terms:
    values = {"valid": Period(FIRST, END), "scopes": frozenset({"X"}), "consignee": HOLDER, "country": "MY"}
    return Terms(name, name, name, authorised=authorised, **values | given)


def line(name: str, units: float = 100, sd: float = 0.0, day: date = date(2026, 2, 1), **given) -> Use:
    values = {"scope": "X", "shipped": Period.inclusive(day, day), "consignee": HOLDER, "country": "MY"}
    return Use(name, amount=Quantity(units, sr=sd), **values | given)


def test_the_balance_runs_in_the_order_of_shipping():
    later = line("a", 700, day=date(2026, 3, 1))
    account = accounts([licence()], [later, line("b", 400)], {}).of["L1"]
    assert [(e.use.id, e.drawn_low, e.remaining) for e in account.entries] == [
        ("b", 400, 600),
        ("a", 1100, -100),
    ]
    assert (account.drawn, account.remaining, account.level) == (1100, -100, (1.0, "breach"))


def test_a_backdated_line_changes_the_balances_after_it_and_no_others():
    known = [line("a", 300), line("b", 300, day=date(2026, 4, 1))]
    before = accounts([licence()], known, {}).of["L1"].entries
    after = accounts([licence()], [*known, line("c", 50, day=date(2026, 3, 1))], {}).of["L1"].entries
    assert [e.remaining for e in before] == [700, 400]
    assert [e.remaining for e in after] == [700, 650, 350]


def test_the_licence_that_expires_first_is_drawn_first_and_the_rest_on_the_next():
    sooner = licence("SOONER", 60, valid=Period(FIRST, date(2026, 3, 1)))
    found = accounts([licence("LATER", 100), sooner], [line("a", 100)], {})
    assert [found.of[name].drawn for name in ("SOONER", "LATER")] == [60, 40]


def test_a_line_draws_on_the_licence_it_names_even_if_another_expires_first():
    sooner = licence("SOONER", valid=Period(FIRST, date(2026, 3, 1)))
    found = accounts([licence("LATER"), sooner], [line("a", 100, licence="LATER")], {})
    assert [found.of[name].drawn for name in ("SOONER", "LATER")] == [0, 100]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"consignee": STRANGER}, PARTY),
        ({"scope": "Y"}, CHIPS),
        ({"country": "CN"}, COUNTRY),
        ({"day": date(2025, 12, 31)}, BEFORE),
        ({"day": END}, AFTER),
    ],
)
def test_a_line_that_names_a_licence_which_does_not_speak_of_it_draws_and_shows_the_fault(given, fault):
    (entry,) = accounts([licence()], [line("a", licence="L1", **given)], {}).of["L1"].entries
    assert entry.faults == (fault,)
    unnamed = accounts([licence()], [line("a", **given)], {})
    assert unnamed.of["L1"].entries == []


def test_the_last_day_of_a_licence_and_a_vague_day_that_touches_it_are_inside():
    vague = line("b", licence="L1", shipped=Period.inclusive(date(2025, 12, 1), FIRST))
    rows = [
        line("a", licence="L1", day=END - timedelta(days=1)),
        vague,
        line("c", licence="L1", shipped=None),
    ]
    assert [e.faults for e in accounts([licence()], rows, {}).of["L1"].entries] == [(), (), ()]


def test_what_is_not_recorded_of_a_line_is_no_fault_and_no_reason_to_draw_on_the_licence():
    unknown = {"consignee": None, "country": ""}
    assert accounts([licence()], [line("a", licence="L1", **unknown)], {}).of["L1"].entries[0].faults == ()
    assert accounts([licence()], [line("a", **unknown)], {}).of["L1"].entries == []


def test_a_line_that_needed_no_licence_draws_only_if_it_names_one():
    rows = [line("a", required=False), line("b", required=False, licence="L1")]
    assert [e.use.id for e in accounts([licence()], rows, {}).of["L1"].entries] == ["b"]


def test_an_import_approval_is_drawn_only_by_lines_that_name_it():
    rows = [line("a"), line("b", licence="L1")]
    assert [e.use.id for e in accounts([licence(is_named_only=True)], rows, {}).of["L1"].entries] == ["b"]


def test_a_licence_for_everybody_covers_without_being_counted_unless_it_is_named():
    rows = [line("a"), line("b", licence="L1")]
    assert [e.use.id for e in accounts([licence(consignee=None)], rows, {}).of["L1"].entries] == ["b"]


def test_the_probability_of_an_excess_follows_from_the_errors_of_the_lines():
    account = accounts([licence()], [line("a", 900, 30), line("b", 200, 40)], {}).of["L1"]
    assert account.sd == pytest.approx(50)
    p, level = account.level
    assert p == pytest.approx(0.97725, abs=1e-5)  # Phi(2)
    assert level == "likely"


def test_errors_that_one_house_makes_alike_add_up_before_they_are_squared():
    shared = [Quantity(100, ss=3, key="house"), Quantity(100, ss=4, key="house")]
    rows = [
        Use(str(i), "X", amount, Period.inclusive(FIRST, FIRST), HOLDER) for i, amount in enumerate(shared)
    ]
    assert accounts([licence()], rows, {}).of["L1"].sd == pytest.approx(7)


def test_equivalents_are_drawn_as_an_interval_and_what_has_no_rate_is_not_drawn():
    terms = licence(unit="GB300-equivalents", scopes=frozenset())
    rates = {("GB300-equivalents", "X"): (0.25, 0.5), ("GB300-equivalents", "Y"): None}
    account = accounts([terms], [line("a", 400), line("b", 9, scope="Y")], rates).of["L1"]
    assert [(e.low, e.high, e.unconverted) for e in account.entries] == [(100, 200, False), (0, 0, True)]
    assert (account.drawn, account.drawn_high, account.remaining) == (100, 200, 900)


def test_goods_carried_on_draw_a_second_time_on_one_licence_or_on_two_for_one_country():
    rows = [line("a", licence="L1"), line("b", licence="L2", onward_of="a", day=date(2026, 3, 1))]
    two = [licence("L1"), licence("L2")]
    (double,) = accounts(two, rows, {}).doubles
    assert (double.kind, [use.id for use in double.uses], double.licences, double.units) == (
        ONWARD,
        ["a", "b"],
        ("L1", "L2"),
        100,
    )
    legs = [licence("L1"), licence("L2", country="SG")]
    assert accounts(legs, rows, {}).doubles == ()  # a licence for each leg of the way


def test_one_consignment_on_two_licences_and_one_line_twice_are_told_apart():
    two = [licence("L1"), licence("L2")]
    split = [line("a", 60, licence="L1", consignment="W1"), line("b", 40, licence="L2", consignment="W1")]
    assert [d.kind for d in accounts(two, split, {}).doubles] == [CONSIGNMENT]
    twice = [line("a", 60, licence="L1", consignment="W1"), line("b", 60, licence="L1", consignment="W1")]
    assert [d.kind for d in accounts(two, twice, {}).doubles] == [REPEATED]
    lots = [line("a", 60, licence="L1", consignment="W1"), line("b", 40, licence="L1", consignment="W1")]
    assert accounts(two, lots, {}).doubles == ()


@st.composite
def books(draw):
    terms = [
        licence(f"L{i}", draw(st.integers(0, 500)), valid=Period(FIRST, FIRST + timedelta(days=30 * (i + 1))))
        for i in range(draw(st.integers(1, 3)))
    ]
    uses = [
        line(
            f"{i:03d}", draw(st.integers(1, 300)), draw(st.integers(0, 30)),
            day=FIRST + timedelta(days=draw(st.integers(0, 89))), licence=draw(st.sampled_from(["", *(t.id for t in terms)])),
        )
        for i in range(draw(st.integers(0, 12)))
    ]  # fmt: skip
    return terms, uses


@given(books())
def test_what_is_drawn_is_what_moved_and_what_remains_is_the_rest(given):
    terms, uses = given
    found = accounts(terms, uses, {}).of
    drawn: dict[str, float] = {}
    for account in found.values():
        assert account.remaining + account.drawn == account.terms.authorised
        for entry in account.entries:
            drawn[entry.use.id] = drawn.get(entry.use.id, 0) + entry.chips
    covering = {use.id for use in uses if use.licence or any(t.valid.holds(use.shipped.start) for t in terms)}
    assert drawn == {use.id: use.amount.mu for use in uses if use.id in covering}


@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(given, random):
    terms, uses = given
    mixed_terms, mixed_uses = random.sample(terms, len(terms)), random.sample(uses, len(uses))
    assert accounts(mixed_terms, mixed_uses, {}) == accounts(terms, uses, {})


@given(books(), st.floats(0, 10))
def test_more_error_never_turns_what_was_no_breach_into_a_certain_one(given, factor):
    terms, uses = given
    wider = [replace(use, amount=Quantity(use.amount.mu, sr=use.amount.sr * (1 + factor))) for use in uses]
    before, after = accounts(terms, uses, {}).of, accounts(terms, wider, {}).of
    for key, account in before.items():
        if account.level[1] != "breach":
            assert after[key].level[1] != "breach"
