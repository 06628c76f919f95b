"""What left and has not come in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks.transit import find
from tracker.reconciliation.explain import forbidden_words

P = Parameters()
AS_OF = cast.books().as_of


def under_way(q: float = 5000, days: int = 61, **given):
    """Chips that left some days before the day of the run and are told to be in transit."""
    left = AS_OF - timedelta(days=days)
    came = cast.day((left + timedelta(30)).isoformat())
    row = {"status": "in transit", "shipped": cast.day(left.isoformat()), "received": came,
           "received_presumed": True}  # fmt: skip
    return cast.movement(q, **row | given)


def only(*rows) -> Finding:
    (found,) = find(cast.books(*rows), P)
    return found


@pytest.mark.parametrize(("days", "count"), [(60, 0), (61, 1)])
def test_a_line_is_overdue_after_twice_the_lead_time_and_no_sooner(days, count):
    assert len(find(cast.books(under_way(days=days)), P)) == count
    assert len(find(cast.books(under_way(days=days)), replace(P, lead_time_days=29))) == 1


def test_it_is_found_at_most_as_medium_and_speaks_of_no_blame():
    found = only(under_way(50000))
    assert (found.verdict, found.is_finding, found.severity, found.sq) == (
        "transit overdue",
        True,
        "medium",
        50,
    )
    assert (found.p, found.family) == (None, None)
    text = " ".join([found.headline, *(part.body for part in found.sections)])
    assert "more than 60 days after they left" in text
    assert not forbidden_words(text)


def test_the_vague_end_of_the_shipping_days_counts():
    start = AS_OF - timedelta(days=100)
    vague = {"shipped": cast.days(start.isoformat(), (AS_OF - timedelta(days=60)).isoformat())}
    assert find(cast.books(under_way(**vague)), P) == []


@pytest.mark.parametrize("status", ["reported", "received", "seized", "returned", "cancelled"])
def test_lines_of_another_standing_are_not_asked(status):
    assert find(cast.books(under_way(status=status)), P) == []


def test_making_and_retiring_chips_is_no_transit():
    assert find(cast.books(under_way(kind="production"), under_way(kind="retirement")), P) == []


def test_lines_without_a_day_are_not_asked():
    assert find(cast.books(under_way(shipped=None, received=None)), P) == []


def test_lines_of_one_consignee_and_kind_are_told_together_and_the_largest_named():
    rows = [under_way(q, days=61 + q) for q in range(1, 60)]
    found = only(*rows)
    assert (found.numbers["lines"], found.gap) == (59, sum(range(1, 60)))
    assert [row.contribution for row in found.evidence] == list(range(59, 9, -1))
    assert found.numbers["oldest"] == (AS_OF - timedelta(days=120)).isoformat()
    apart = find(cast.books(under_way(), under_way(scope=cast.TWO), under_way(consignee_id=None)), P)
    assert [(one.area, one.scope) for one in apart] == [
        ("country:MY", "chip:h-one"), ("org:operator", "chip:h-one"), ("org:operator", "chip:h-two")
    ]  # fmt: skip


def test_a_line_that_counts_no_chips_is_named_without_a_part():
    found = only(under_way(100, exact=True, grade="A"), under_way(3, unit="racks"))
    assert (found.gap, found.numbers["lines"]) == (100, 2)
    assert [row.contribution for row in found.evidence] == [100, None]


def test_the_day_of_the_run_decides():
    later = replace(cast.books(under_way(days=10)), as_of=date(2027, 1, 1))
    assert len(find(later, P)) == 1
