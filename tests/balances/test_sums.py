"""Books added up over kinds of chips are those that one would add up by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.balances import books
from tracker.balances.books import FLOW, TERMS, Anchor
from tracker.balances.sums import CELL_FIELDS, Amount, Chain, added_up

AREA = 7
amounts = st.integers(0, 2000).map(float)
COUNTS = st.integers(-1, 3)
WORTHS = st.sampled_from([(1.0, 1.0), (0.5, 0.5), (0.25, 1.0), (0.0, 1.0)])


@st.composite
def chains(draw, worths=WORTHS, counts=COUNTS):
    """Up to four kinds of chips with what moved in some months, and perhaps a count."""
    found = []
    for scope in range(1, draw(st.integers(1, 4)) + 1):
        months = sorted(draw(st.sets(st.integers(0, 9), min_size=1, max_size=5)))
        rows = {name: np.zeros(len(months), kind) for name, kind in FLOW}
        rows["area"][:], rows["scope"][:], rows["month"][:] = AREA, scope, months
        for name in (*TERMS, "random", "shared_in", "shared_out"):
            rows[name][:] = draw(st.lists(amounts, min_size=len(months), max_size=len(months)))
        rows["lines"][:] = 1
        counted = draw(counts)
        anchors = {(AREA, scope): {counted: Anchor(draw(amounts), 9.0)}} if counted >= 0 else {}
        low, high = draw(worths)
        cells = books.cells(rows, anchors)
        found.append(Chain({name: cells[name] for name in CELL_FIELDS}, low, high))
    return found


def by_hand(chain: Chain, month: int) -> tuple[Amount, Amount]:
    """Opening and book of one kind in a month, cell by cell."""
    low = high = 0.0
    opening = Amount(0.0, 0.0)
    for at, cell_month in enumerate(chain.cells["month"]):
        if cell_month > month:
            break
        came, left = (sum(float(chain.cells[name][at]) for name in names) for names in (TERMS[:2], TERMS[2:]))
        opening = Amount(low, high)
        low, high = (
            low + came * chain.least - left * chain.most,
            high + came * chain.most - left * chain.least,
        )
        close = chain.cells["close"][at]
        if cell_month == month:
            return opening, Amount(low, high)
        if not math.isnan(close):
            low, high = float(close) * chain.least, float(close) * chain.most
    return Amount(low, high), Amount(low, high)


@given(chains())
def test_opening_and_book_are_those_of_the_kinds_taken_together(kinds):
    for row in added_up(kinds):
        told = [by_hand(one, row.month) for one in kinds]
        for name, place in (("opening", 0), ("book", 1)):
            for end in ("low", "high"):
                expected = math.fsum(getattr(one[place], end) for one in told)
                assert getattr(getattr(row, name), end) == pytest.approx(expected, abs=1e-6), (name, end)


@given(chains())
def test_a_sum_obeys_the_identity_of_books_in_either_reading(kinds):
    for row in added_up(kinds):
        into = [row.receipts, row.production]
        out = [row.dispatches, row.exits]
        low = row.opening.low + sum(x.low for x in into) - sum(x.high for x in out)
        high = row.opening.high + sum(x.high for x in into) - sum(x.low for x in out)
        assert (row.book.low, row.book.high) == (
            pytest.approx(low, abs=1e-6),
            pytest.approx(high, abs=1e-6),
        )
        assert row.book.low <= row.book.high + 1e-9


@given(chains(worths=st.just((1.0, 1.0)), counts=st.just(-1)))
def test_without_counts_it_is_the_book_drawn_up_of_all_their_lines(kinds):
    """Also its error: what several kinds err alike is added before it is squared."""
    parts = []
    for one in kinds:
        rows = {name: one.cells.get(name, np.zeros(len(one.cells["month"]))) for name, _ in FLOW}
        parts.append(
            rows | {"area": np.full(len(rows["month"]), AREA), "scope": np.ones(len(rows["month"]), int)}
        )
    whole = books.cells(books.merged(parts))
    found = added_up(kinds)
    assert [row.month for row in found] == whole["month"].tolist()
    for name in ("book", "opening", *TERMS):
        assert [getattr(row, name).low for row in found] == pytest.approx(whole[name].tolist(), abs=1e-6)
    assert [row.sigma for row in found] == pytest.approx(whole["sigma"].tolist(), rel=1e-9)
    assert [row.lines for row in found] == whole["lines"].tolist()


def chain(rows: dict[int, float], count: tuple[int, float] | None = None, worth=(1.0, 1.0), scope=1) -> Chain:
    """Receipts by month, each with a random variance of 16, and a count with a variance of 9."""
    flows = {name: np.zeros(len(rows), kind) for name, kind in FLOW}
    flows["area"][:], flows["scope"][:] = AREA, scope
    flows["month"][:], flows["receipts"][:] = list(rows), list(rows.values())
    flows["random"][:], flows["lines"][:] = 16.0, 1
    anchors = {(AREA, scope): {count[0]: Anchor(count[1], 9.0)}} if count else {}
    cells = books.cells(flows, anchors)
    return Chain({name: cells[name] for name in CELL_FIELDS}, *worth)


def test_an_inventory_of_the_sum_needs_one_of_every_kind_that_holds_something():
    counted, other = chain({1: 100.0}, (1, 90.0)), chain({1: 10.0}, scope=2)
    (alone,), (both,) = added_up([counted]), added_up([counted, other])
    assert (alone.close, alone.muf) == (Amount(90, 90), Amount(10, 10))
    assert (both.close, both.muf) == (None, None)
    none_there = chain({1: 0.0}, scope=2)
    assert added_up([counted, none_there])[0].close == Amount(90, 90)


def test_after_a_count_stands_what_was_counted_with_the_error_of_the_count():
    counted, other = chain({1: 100.0}, (1, 90.0)), chain({3: 10.0}, scope=2)
    first, last = added_up([counted, other])
    assert (first.book.low, first.sigma) == (100, 4)
    assert (last.opening.low, last.book.low, last.sigma) == (90, 100, 5)  # 9 of the count, 16 of the line


def test_errors_of_counts_are_taken_to_be_alike():
    kinds = [chain({1: 100.0}, (1, 90.0)), chain({1: 10.0}, (1, 9.0), scope=2), chain({2: 0.0}, scope=3)]
    assert added_up(kinds)[-1].sigma ** 2 == pytest.approx((3 + 3) ** 2 + 16)


def test_nothing_adds_up_to_nothing():
    assert added_up([]) == []
