"""Transshipment: what came into a hub, what left it, and what is said to be there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tests.reconciliation import ledgers as cast
from tracker.core.quantity import Quantity
from tracker.core.services import recording, settled_instant
from tracker.reconciliation.books import Books, Finding, FlowRow, Parameters
from tracker.reconciliation.checks.transshipment import find, median_dwell, orphan
from tracker.reconciliation.explain import forbidden_words
from tracker.reconciliation.querysets import Ledger
from tracker.rules.services import load_rules

P = Parameters()


def flow(chips: float, to: str, **given) -> FlowRow:
    """Chips into (from the US) or out of Singapore in January 2026."""
    into = to == "SG"
    values = {
        "scope": cast.ONE, "origin": "US" if into else "SG", "destination": to, "shipped": cast.days("2026-01-01", "2026-01-31"),
        "house": "Customs", "lines": 3, "chips": chips, "systematic": 0.01 * chips, "random": (0.01 * chips) ** 2, "grade": "B",
        "use": "hub inflow" if into else "hub outflow", "examples": ((cast.ref("shipment"), f"line of {chips:g} chips"),),
    }  # fmt: skip
    return FlowRow(**values | given)


def installed(best: float | None, day: str, **given):
    """A claim about what is installed in the whole of Singapore."""
    return cast.claim(
        best, subject_id=None, site_id=None, destination_country="SG", period=cast.day(day), **given
    )


def results(*rows, **given) -> list[Finding]:
    flows = tuple(row for row in rows if isinstance(row, FlowRow))
    claims = cast.books(*(row for row in rows if not isinstance(row, FlowRow))).claims
    return find(replace(cast.books(), flows=flows, claims=claims), P)


def only(*rows) -> Finding:
    (found,) = results(*rows)
    return found


CLAIMS = (installed(1000, "2025-06-30", grade="A"), installed(5000, "2026-06-30", grade="A"))


def test_what_is_left_over_beyond_error_is_not_accounted_for():
    found = only(flow(12000, "SG"), flow(3000, "TH"), *CLAIMS)
    assert (found.verdict, found.is_finding, found.area) == ("not accounted for", True, "country:SG")
    assert (found.gap, found.numbers["installed_growth"], found.severity) == (5000, 4000, "high")
    assert found.numbers["pass_through"] == 0.25
    text = " ".join([found.headline, *(part.body for part in found.sections)])
    assert "Of 12,000 chips that came in, 7,000 are told to have left" in text
    assert not forbidden_words(text)


def test_every_sum_and_claim_bears_its_part_of_the_difference_and_the_variance():
    found = only(flow(12000, "SG"), flow(3000, "TH"), *CLAIMS)
    assert sum(row.contribution or 0 for row in found.evidence) == pytest.approx(found.gap)
    assert sum(row.variance_share or 0 for row in found.evidence) == pytest.approx(1)


def test_of_a_sum_the_line_that_is_named_bears_its_own_part():
    many = flow(12000, "SG", lines=40, largest=1500.0, examples=(71, 72))
    found = only(many, flow(3000, "TH", lines=1, largest=3000.0, examples=(73,)), *CLAIMS)
    first, second, alone = (
        next(row for row in found.evidence if (row.ref.model, row.ref.id) == ("shipment", pk))
        for pk in (71, 72, 73)
    )
    assert first.own_share == pytest.approx(first.variance_share / 8)
    assert (second.variance_share, alone.own_share) == (None, None)


def test_without_claims_at_both_ends_nothing_is_concluded():
    flows = flow(12000, "SG"), flow(3000, "TH")
    for claims in ((), CLAIMS[:1], CLAIMS[1:], (CLAIMS[1], installed(1000, "2025-02-28"))):
        found = only(*flows, *claims)
        assert (found.verdict, found.family, found.is_finding) == ("inconclusive", None, False)


def test_a_chip_first_shipped_in_the_months_needs_no_claim_at_their_start():
    chips = cast.CHIPS | {cast.CHIP: replace(cast.CHIPS[cast.CHIP], first_shipped_on=date(2025, 9, 1))}
    books = replace(cast.books(CLAIMS[1]), flows=(flow(12000, "SG"), flow(3000, "TH")), chips=chips)
    (found,) = find(books, P)
    assert (found.numbers["installed_growth"], found.gap) == (5000, 4000)


def test_bounds_only_limit_what_is_left_over():
    least = installed(None, "2026-06-30", low=5000, bound="floor")
    assert only(flow(12000, "SG"), flow(3000, "TH"), CLAIMS[0], least).verdict == "inconclusive"
    assert only(flow(12000, "SG"), flow(3000, "TH", at_least=1), *CLAIMS).verdict == "inconclusive"
    assert only(flow(12000, "SG"), flow(3000, "TH", uncounted=1), *CLAIMS).verdict == "inconclusive"


def test_lines_of_a_family_name_count_as_outflow_and_not_as_inflow():
    rows = flow(12000, "SG"), flow(9000, "SG", scope=cast.MIXED), flow(7500, "TH", scope=cast.MIXED)
    found = next(one for one in results(*rows, *CLAIMS) if one.scope == "chip:h-one")
    assert (found.numbers["inflow"], found.numbers["outflow"], found.gap) == (12000, 7500, 500)


def test_the_vendors_country_and_small_hubs_are_not_told():
    home = replace(cast.ONE, vendor_country="SG")
    assert results(flow(12000, "SG", scope=home), flow(3000, "TH", scope=home)) == []
    assert results(flow(999, "SG"), flow(300, "TH")) == []
    assert results(flow(12000, "SG")) == []


chips = st.floats(0, 1e6)


@given(came=chips, left=chips, more=chips, grown=chips, error=st.floats(0, 1e4))
def test_what_is_told_to_have_left_is_never_left_over(came, left, more, grown, error):
    rows = [Quantity(came, sr=error)], [Quantity(left)], [], [(1.0, Quantity(grown))], []
    one, other = orphan(*rows), orphan(rows[0], [*rows[1], Quantity(more)], *rows[2:])
    assert other.orphan == pytest.approx(one.orphan - more, abs=1e-6)
    assert one.orphan == pytest.approx(came - left - grown, abs=1e-6)


days = st.dates(date(2026, 1, 1), date(2026, 3, 1))


@given(st.lists(st.tuples(days, st.floats(1, 100)), max_size=6), st.integers(0, 50))
def test_chips_that_all_leave_after_the_same_days_dwelt_those_days(came, stay):
    left = [(date.fromordinal(day.toordinal() + stay), units) for day, units in came]
    assert median_dwell(came, left) == (stay if came else None)


def test_what_left_before_anything_came_is_not_matched():
    assert median_dwell([(date(2026, 2, 1), 5)], [(date(2026, 1, 1), 5)]) is None


# --- the database ------------------------------------------------------------------------------------------------------


def ledger(**given) -> Ledger:
    at = settled_instant()
    return Ledger(
        at=at,
        as_of=date(2026, 6, 30),
        parameters=Parameters(records="synthetic", **given),
    )


def books() -> Books:
    whole = ledger()
    shares = [next(whole.pieces("hub", index, 2)) for index in range(2)]
    return replace(
        shares[0],
        flows=tuple(flow for share in shares for flow in share.flows),
        claims=tuple(claim for share in shares for claim in share.claims),
    )


def lines(**given):
    """2,000 chips to Singapore, 500 on to Thailand, and lines that are none of it."""
    chip = factories.chip("synthetic-h", specified=False)
    factories.specification(chip, fp8_tflops=1979, die_area_mm2=814)
    common = {"chip": chip, "grade": "B"} | given
    into = {"origin_country": "US", "destination_country": "SG"}
    factories.shipment(
        quantity=2000, shipped_on=date(2026, 1, 5), received_on=date(2026, 2, 3), **common, **into
    )
    factories.shipment(
        quantity=700, shipped_on=date(2025, 5, 1), received_on=date(2025, 5, 9), **common, **into
    )
    factories.shipment(quantity=800, shipped_on=date(2026, 1, 5), status="cancelled", **common, **into)
    factories.shipment(
        quantity=500, shipped_on=date(2026, 3, 1), origin_country="SG", destination_country="TH", **common
    )
    factories.shipment(
        quantity=90, shipped_on=date(2026, 3, 1), origin_country="SG", destination_country="SG", **common
    )
    return chip


@pytest.mark.django_db
def test_the_database_adds_up_by_route_and_month_in_one_share_each():
    lines()
    found = [(f.use, f.origin, f.destination, f.chips, f.lines, str(f.shipped)) for f in books().flows]
    assert found == [
        ("hub inflow", "US", "SG", 2000, 1, "2026-02-01 to 2026-02-28"),
        ("hub outflow", "SG", "TH", 500, 1, "2026-03-01 to 2026-03-31"),
    ]


@pytest.mark.django_db
def test_a_receipt_without_a_day_is_presumed_after_the_lead_time():
    chip = lines()
    factories.shipment(
        chip=chip, quantity=30, shipped_on=date(2026, 5, 20), received_on=None, status="in transit", origin_country="US",
        destination_country="SG",
    )  # fmt: skip
    factories.shipment(
        chip=chip, quantity=40, shipped_on=date(2026, 6, 20), received_on=None, status="in transit", origin_country="US",
        destination_country="SG",
    )  # fmt: skip
    assert [f.chips for f in books().flows if f.use == "hub inflow"] == [2000, 30]


@pytest.mark.django_db
def test_lines_told_as_at_most_stand_beside_as_not_counted():
    chip = lines()
    factories.shipment(
        chip=chip,
        quantity=30,
        bound="ceiling",
        shipped_on=date(2026, 3, 2),
        origin_country="SG",
        destination_country="TH",
    )
    assert [(f.chips, f.uncounted) for f in books().flows if f.use == "hub outflow"] == [(500, 0), (0, 1)]


@pytest.mark.django_db
def test_outflow_to_restricted_destinations_without_a_licence_is_told_and_capped_at_medium():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    chip = lines()
    factories.shipment(
        chip=chip, quantity=40000, shipped_on=date(2026, 4, 1), origin_country="SG", destination_country="CN"
    )
    found = {one.counterpart: one for one in find(books(), Parameters(records="synthetic"))}
    told = found["restricted destinations"]
    assert (told.verdict, told.gap, told.severity, told.is_finding) == (
        "no licence recorded",
        40000,
        "medium",
        True,
    )
    assert found["orphan"].numbers["outflow_restricted"] == 40000
    covered = factories.licence(consignee=None, destination_country="CN")
    factories.models.Shipment.objects.filter(quantity=40000).update(licence=covered)
    assert [one.counterpart for one in find(books(), Parameters(records="synthetic"))] == ["orphan"]
