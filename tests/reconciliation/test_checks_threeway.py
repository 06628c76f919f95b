"""What is contracted holds what is shipped, delivered and installed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reconciliation import ledgers as cast
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks.threeway import find
from tracker.reconciliation.explain import forbidden_words

P = Parameters()
EXACT = {"exact": True, "grade": "A"}


def at(best: float | None, status: str, day: str = "2026-03-31", **given):
    """A running total of the operator."""
    said = {
        "status": status,
        "period": cast.day(day),
        "site_id": None,
        "kind": "purchase",
        "slug": f"{status}-{day}",
    }
    return cast.claim(best, **said | given)


def results(*rows) -> list[Finding]:
    return find(cast.books(*rows), P)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("installed", "delivered"), ("operational", "shipped"), ("delivered", "shipped"), ("shipped", "contracted"),
     ("installed", "licensed")],
)  # fmt: skip
def test_a_step_upward_beyond_error_is_found_on_every_rung(lower, higher):
    (found,) = results(at(15000, lower), at(10000, higher))
    assert (found.verdict, found.gap, found.is_finding, found.family) == ("step upward", 5000, True, "3WAY")
    assert found.counterpart.startswith(f"{lower} over {higher}")
    assert results(at(10000, lower), at(15000, higher))[0].verdict in ("consistent", "inconclusive")


def test_the_text_names_both_rungs_and_no_blame():
    (found,) = results(at(15000, "installed"), at(10000, "delivered"))
    text = " ".join([found.headline, *(part.body for part in found.sections)])
    assert "5,000 chips, or 5,000 H100-equivalents" in text
    assert "more installed than delivered" in text
    assert not forbidden_words(text)


def test_both_sides_of_the_one_sided_threshold():
    higher = at(10000, "delivered", **EXACT)
    for lower, verdict in ((11990, "step upward"), (11950, "inconclusive")):  # sd 10 % of itself and rounding
        assert results(at(lower, "installed", grade="C"), higher)[0].verdict == verdict


def test_each_rung_meets_the_next_that_somebody_reports():
    found = results(at(9000, "contracted"), at(9000, "delivered"), at(9000, "installed"))
    assert sorted(one.counterpart.split(":")[0] for one in found) == [
        "delivered over contracted",
        "installed over delivered",
    ]


def test_the_higher_figure_must_be_for_the_same_day_or_later_and_the_nearest_stands():
    lower = at(15000, "installed", "2026-03-31")
    assert results(lower, at(10000, "delivered", "2026-03-30")) == []
    rows = at(10000, "delivered", "2026-06-30"), at(30000, "delivered", "2026-12-31")
    assert [one.expected for one in results(lower, *rows)] == [10000]


def test_only_the_latest_lower_figure_is_asked():
    rows = at(15000, "installed", "2025-12-31"), at(9000, "installed", "2026-03-31"), at(10000, "delivered")
    assert [one.reported for one in results(*rows)] == [9000]


def test_a_period_limits_only_if_it_begins_with_the_first_chip():
    lower = at(15000, "installed")
    flow = {"is_flow": True, "kind": "purchase"}
    late, whole = (cast.days(first, "2026-03-31") for first in ("2022-09-21", "2022-09-20"))
    assert results(lower, at(10000, "delivered", period=late, **flow)) == []
    assert len(results(lower, at(10000, "delivered", period=whole, **flow))) == 1


def test_bounds_limit_and_exceed_nothing_on_their_open_side():
    assert results(at(15000, "installed"), at(None, "delivered", low=10, bound="floor")) == []
    assert results(at(None, "installed", high=15000, bound="ceiling"), at(10, "delivered")) == []
    assert results(
        at(None, "installed", low=15000, bound="floor"), at(None, "delivered", high=10, bound="ceiling")
    )[0].is_finding


def test_other_places_kinds_of_chip_and_what_one_seller_sent_are_no_limit():
    lower = at(15000, "installed")
    for other in (
        {"subject_id": cast.RESELLER}, {"site_id": cast.SITE}, {"scope": cast.TWO},
        {"kind": "sale", "subject_id": cast.VENDOR, "counterparty_id": cast.OPERATOR},
    ):  # fmt: skip
        assert results(lower, at(10000, "delivered", **other)) == []
    assert len(results(lower, at(10000, "delivered", scope=cast.MIXED))) == 1
    assert results(at(15000, "installed", scope=cast.MIXED), at(10000, "delivered")) == []


def test_context_such_as_plans_and_orders_is_no_rung():
    for status in ("announced", "planned", "ordered", "produced", "stocked"):
        assert results(at(15000, "installed"), at(10, status)) == []


def test_an_echo_is_no_figure_of_its_own_and_of_two_reports_the_more_exact_stands():
    rows = (
        at(15000, "installed"),
        at(10000, "delivered"),
        at(20000, "delivered", slug="audit", source=cast.source("Audit"), **EXACT),
    )
    assert [one.expected for one in results(*rows)] == [20000]
    echo = at(15000, "installed", "2026-03-31", slug="z", origin="installed-2026-03-31")
    assert len(results(rows[0], echo, rows[1])) == 1


def test_what_the_ledger_surely_received_is_held_against_contracts_and_capped_at_medium():
    lines = [cast.movement(9000, **EXACT), cast.movement(6000, **EXACT)]
    (found,) = results(at(3000, "contracted", **EXACT), *lines)
    assert (found.verdict, found.gap, found.severity, found.p) == ("step upward", 12000, "medium", None)
    assert [row.contribution for row in found.evidence[:3]] == [9000, 6000, -3000]
    onward = cast.movement(
        9000, shipper_id=cast.OPERATOR, consignee_id=cast.RESELLER, destination_site_id=None, **EXACT
    )
    assert results(at(3000, "contracted", **EXACT), *lines, onward)[0].gap == 12000
    assert results(at(3000, "contracted", "2026-01-31", **EXACT), *lines) == []
    doubtful = [replace(line, scope=cast.MIXED) for line in lines]
    assert results(at(3000, "contracted", **EXACT), *doubtful) == []


sizes = st.integers(1, 10**6)


@given(lower=sizes, higher=sizes, more=st.integers(0, 10**6))
def test_a_larger_agreement_never_opens_a_step(lower, higher, more):
    one, other = (
        results(at(lower, "installed"), at(size, "contracted", **EXACT))[0]
        for size in (higher, higher + more)
    )
    assert one.is_finding or not other.is_finding
