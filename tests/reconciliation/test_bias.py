"""What one house says errs alike for some months, and afresh in the next: in every check that adds figures up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.core.period import DAY
from tracker.core.quantity import covariance
from tracker.reconciliation.bias import dated, ends_of_eras, era, in_chips, key_of_line
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks import gap, running

P = Parameters()
days = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@given(days, days, st.integers(1, 600))
def test_stretches_follow_one_another_without_a_gap(one, other, months):
    first, last = sorted((one, other))
    assert era(first, months) <= era(last, months)
    apart = (last.year - first.year) * 12 + last.month - first.month
    assert (era(last, months) == era(first, months)) or apart > 0
    assert apart < months or era(last, months) > era(first, months)


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(1, 120))
def test_between_the_ends_of_stretches_lies_one_stretch(until, months):
    ends = ends_of_eras(until, months)
    assert all(era(day, months) + 1 == era(day + DAY, months) for day in ends)
    assert len(ends) == era(until, months)


def test_a_line_belongs_to_the_stretch_in_which_it_left_or_else_came():
    left = cast.movement(1, shipped=cast.days("2025-12-01", "2026-01-05"), received=cast.day("2026-02-01"))
    came = replace(left, shipped=None)
    unknown = replace(left, shipped=None, received=None)
    assert [key_of_line(row, P) for row in (left, came, unknown)] == [
        "Customs | 13",
        "Customs | 13",
        "Customs",
    ]
    assert key_of_line(replace(left, shipped=cast.day("2025-12-31")), P) == "Customs | 12"
    assert dated("", date(2025, 1, 1), 24) == ""


def of_two_receipts(second: str) -> tuple:
    moved = [
        cast.movement(10000, shipped=cast.day(day), received=cast.day(day), grade="B")
        for day in ("2024-03-01", second)
    ]
    return moved[0], moved[1]


@pytest.mark.parametrize(("second", "alike"), [("2025-12-30", True), ("2026-01-02", False)])
def test_a_book_adds_up_what_errs_alike_before_it_is_squared(second, alike):
    claim = cast.claim(90000, exact=True)
    (found,) = gap.find(cast.books(claim, *of_two_receipts(second)), P)
    each, rounding = 300**2, 2 * 500**2 / 3
    shared = (4 if alike else 2) * each / 2
    assert found.sigma**2 == pytest.approx(each + shared + rounding)


@pytest.mark.parametrize(("second", "alike"), [("2025-12-30", True), ("2026-01-02", False)])
def test_so_does_a_running_balance(second, alike):
    gone = cast.movement(
        60000, shipped=cast.day("2026-03-01"), received=None, shipper_id=cast.OPERATOR, consignee_id=cast.RESELLER,
        origin_site_id=cast.SITE, destination_site_id=None, origin_country="MY", destination_country="SG", exact=True,
    )  # fmt: skip
    found = running.find(cast.books(*of_two_receipts(second), gone), P)
    each, rounding = 300**2, 2 * 500**2 / 3
    for one in found:
        assert one.sigma**2 == pytest.approx(each + (4 if alike else 2) * each / 2 + rounding)
    assert {one.area for one in found} == {"site:desert", "org:operator"}


def test_claims_belong_to_the_stretch_of_their_last_day():
    told = [
        cast.claim(900, key="press", period=cast.day(day))
        for day in ("2024-02-01", "2025-12-30", "2026-01-02")
    ]
    first, same, later = (in_chips(claim, P) for claim in told)
    assert covariance(first, same) > covariance(first, later) == 0
