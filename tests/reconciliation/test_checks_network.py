"""Reports about declared areas against one another: who is named, who is not, and what the estimates say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reconciliation import ledgers
from tests.reconciliation.ledgers import MIXED, ONE, OPERATOR, RESELLER, SITE, TWO, UNSPECIFIED, VENDOR, days
from tracker.core.period import Period
from tracker.reconciliation import explain
from tracker.reconciliation.books import Books, ClosedBookRow, FlowRow, Parameters, SiteRow
from tracker.reconciliation.checks.network import find
from tracker.reconciliation.ledger_network import USE, ledger_network, smaller

SITE_B = 13
EARLY = Period(None, date(2026, 4, 1))  # up to the day of the counts, 2026-03-31
COUNTED = days("2026-03-31", "2026-03-31")


def passage(chips: float, sd: float = 0.0, **given) -> FlowRow:
    """A sum of lines that left and arrived before the counts of 2026-03-31."""
    said = {
        "scope": ONE, "origin": "", "destination": "", "shipped": EARLY, "house": "Customs", "lines": 3, "chips": chips,
        "systematic": 0.0, "random": sd**2, "grade": "B", "use": USE, "received": EARLY,
        "examples": ((ledgers.ref("shipment"), f"line: {chips}"),),
    }  # fmt: skip
    return FlowRow(**said | given)


def closed(**area) -> ClosedBookRow:
    ref = ledgers.ref("closedbook")
    said = {
        "ref": ref, "slug": f"whole-{ref.id}", "organization_id": None, "site_id": None, "country": "", "scope": None,
        "valid": Period(None, None), "source": ledgers.source("Ministry", "B"),
    }  # fmt: skip
    return ClosedBookRow(**said | area)


def stock(best: float, site: int | None = None, org: int | None = None, **given):
    """A count of 2026-03-31 without an error of its own kind: grade A, 1 % and rounding."""
    said = {
        "subject_id": org or OPERATOR,
        "site_id": site,
        "grade": "A",
        "period": COUNTED,
        "destination_country": "",
    }
    return ledgers.claim(best, **said | given)


def ledger(*rows, as_of=date(2026, 3, 31)) -> Books:
    base = ledgers.books(*(row for row in rows if not isinstance(row, (FlowRow, ClosedBookRow))))
    other = SiteRow(
        ledgers.ref("datacenter", SITE_B), "coast", "Coast site", OPERATOR, "MY", "site", "operational"
    )
    return replace(
        base, as_of=as_of, flows=tuple(row for row in rows if isinstance(row, FlowRow)),
        closed=tuple(row for row in rows if isinstance(row, ClosedBookRow)), sites={**base.sites, SITE_B: other},
    )  # fmt: skip


def world(vendor_hub=21800, vendor_a=8100, hub_a=12900, hub_b=9000, held_a=21000, held_b=9000):
    """Case V16 told as a ledger: a vendor, a hub and two sites, all of their books whole; nothing lies at vendor and hub."""
    return [
        closed(organization_id=VENDOR), closed(organization_id=RESELLER), closed(site_id=SITE), closed(site_id=SITE_B),
        passage(30600, 900, kind="production", consignee_id=VENDOR),
        passage(vendor_hub, 650, shipper_id=VENDOR, consignee_id=RESELLER),
        passage(vendor_a, 250, shipper_id=VENDOR, destination_site_id=SITE),
        passage(hub_a, 400, shipper_id=RESELLER, destination_site_id=SITE),
        passage(hub_b, 300, shipper_id=RESELLER, destination_site_id=SITE_B),
        stock(held_a, SITE), stock(held_b, SITE_B),
        stock(0, org=VENDOR, status="stocked", kind="inventory", exact=True),
        stock(0, org=RESELLER, status="stocked", kind="inventory", exact=True),
    ]  # fmt: skip


def found(*rows, **given):
    return find(ledger(*rows, **given), Parameters())


def text_of(finding) -> str:
    return explain.full_text(finding.sections)


def test_a_mistyped_sum_is_named_with_what_the_others_say():
    (one,) = found(*world(hub_b=900))
    assert one.verdict == "most likely wrong"
    assert one.headline.startswith("H One from Reseller Ltd to Coast site")
    assert (one.reported, one.family, one.is_finding) == (900, "NET", True)
    assert one.period_end == date(2026, 3, 31)
    assert one.expected == pytest.approx(9000, rel=0.02)
    assert one.gap == pytest.approx(900 - one.expected)
    assert one.p < 1e-6
    assert "900 chips" in text_of(one)
    assert "most likely wrong" in text_of(one)
    assert [row.role for row in one.evidence] == ["report", "closed book"]
    status = {(row.from_node, row.to_node): row for row in one.estimates if row.kind == "flow"}
    left_out = status["org:reseller", "site:coast"]
    assert (left_out.status, left_out.reported) == ("left out", 900)
    assert left_out.estimate == pytest.approx(one.expected, rel=1e-6)
    assert status["org:vendor", "org:reseller"].status == "measured"
    assert status["org:vendor", "org:reseller"].sd < 650


def test_the_report_worth_verifying_first_is_named():
    (one,) = found(*world())
    first = one.numbers["verify_first"][0]
    assert "production" in first["label"] or "Vendor" in first["label"]
    assert 0 < first["share"] <= 1
    settle = next(part.body for part in one.sections if part.heading == "What would settle it")
    assert first["label"] in settle


def test_reports_that_agree_leave_a_result_without_a_finding():
    (one,) = found(*world())
    assert (one.verdict, one.is_finding, one.severity) == ("consistent", False, "info")
    assert one.numbers["dof"] == 4
    assert one.p > 0.05


def test_an_area_that_loses_what_all_reports_around_it_confirm_has_a_flow_that_is_not_recorded():
    rows = world(vendor_hub=22000, hub_a=6900, hub_b=4000, held_a=15000, held_b=4000)
    # A second count says that nothing lies there; one alone could be wrong itself.
    (undecided,) = found(*rows)
    assert undecided.verdict == "undecided"
    again = stock(0, org=RESELLER, status="stocked", kind="inventory", published_on=date(2026, 5, 1))
    (one, *_) = found(*rows[:-1], stock(0, org=RESELLER, status="stocked", kind="inventory"), again)
    assert one.verdict == "most likely unrecorded flow"
    assert one.area == "org:reseller"
    assert one.gap == pytest.approx(-11000, rel=0.1)
    assert "out of it is most likely unrecorded" in one.headline
    (flow,) = [row for row in one.estimates if row.kind == "unrecorded"]
    assert (flow.from_node, flow.to_node) == ("org:reseller", "UNKNOWN")
    assert flow.estimate == pytest.approx(-one.gap)


def test_one_area_alone_stays_undecided_and_names_every_alternative():
    (one,) = found(
        closed(site_id=SITE),
        passage(1000, 30, shipper_id=VENDOR, destination_site_id=SITE),
        stock(3000, SITE),
    )
    assert one.verdict == "undecided"
    assert len(one.numbers["alternatives"]) == 3
    assert "undecided" in text_of(one)
    assert not explain.forbidden_words(text_of(one))


def test_without_a_declared_area_nothing_is_said():
    assert found(*[row for row in world() if not isinstance(row, ClosedBookRow)]) == []


def test_an_area_without_a_count_cannot_be_tested_but_its_stock_is_estimated():
    (one,) = found(closed(site_id=SITE), passage(1000, 30, shipper_id=VENDOR, destination_site_id=SITE))
    assert (one.verdict, one.p, one.family) == ("nothing to check against", None, None)
    held = [row for row in one.estimates if row.kind == "stock"]
    assert [(row.status, row.estimate, row.sd) for row in held] == [("observable", 1000, 30)]
    (flow,) = [row for row in one.estimates if row.kind == "flow"]
    assert "nothing checks it" in flow.note


def test_flows_between_open_places_are_not_in_a_network():
    whole = ledger_network(ledger(*world(), passage(5, shipper_id=OPERATOR, destination="CN")), Parameters())
    assert not [
        entry for entry in whole.entries.values() if "org:operator" in (entry.from_node, entry.to_node)
    ]


def test_a_family_is_a_sum_and_is_not_divided():
    flows = [passage(1000, 30, scope=scope, destination_site_id=SITE) for scope in (ONE, TWO)]
    mixed = passage(500, 20, scope=MIXED, destination_site_id=SITE)
    (one,) = found(closed(site_id=SITE), *flows, mixed, stock(2500, SITE, scope=MIXED))
    assert (one.verdict, one.numbers["dof"]) == ("consistent", 1)
    family = [row for row in one.estimates if row.scope == "family:h-mixed" and row.kind == "flow"]
    assert [row.status for row in family] == ["measured"]
    assert one.numbers["unobservable"] == 4  # either member of flow and stock


def test_a_count_in_h100_equivalents_is_a_row_of_its_chips_by_their_performance():
    flows = [
        passage(1000, 30, scope=ONE, destination_site_id=SITE),
        passage(4000, 30, scope=TWO, destination_site_id=SITE),
    ]
    whole, told = closed(site_id=SITE), {"scope": MIXED, "unit": "H100-equivalents"}
    (one,) = found(whole, *flows, stock(3000, SITE, **told))
    assert (one.verdict, one.numbers["dof"], one.numbers["unobservable"]) == ("consistent", 1, 0)
    (held,) = [row for row in one.estimates if row.kind == "stock" and row.reported is not None]
    assert held.reported == 3000
    assert held.estimate == pytest.approx(3000, abs=5)
    (off,) = found(whole, *flows, stock(5000, SITE, **told))
    report = next(row for row in off.numbers["alternatives"] if row["who"].startswith("claim"))
    assert report["size"] == pytest.approx(5000 - 1000 - 0.5 * 4000)
    assert "5,000 H100-equivalents" in text_of(off)


def test_a_count_in_h100_equivalents_of_chips_without_a_known_performance_is_no_row():
    rows = [closed(site_id=SITE), passage(1000, 30, scope=UNSPECIFIED, destination_site_id=SITE)]
    (one,) = found(*rows, stock(3000, SITE, scope=UNSPECIFIED, unit="H100-equivalents"))
    assert one.verdict == "nothing to check against"


def test_a_family_without_known_members_takes_the_power_from_the_chips_it_may_mean():
    rows = [closed(site_id=SITE), passage(1000, 30, destination_site_id=SITE), stock(3000, SITE)]
    loose = passage(10, 1, scope=UNSPECIFIED, destination_site_id=SITE)
    assert found(*rows)[0].verdict == "undecided"
    assert found(*rows, loose)[0].verdict == "nothing to check against"


def test_a_line_that_may_lie_on_either_side_of_the_count_takes_its_power():
    vague = passage(10, 1, destination_site_id=SITE, received=Period(None, date(2026, 6, 1)))
    rows = [closed(site_id=SITE), passage(1000, 30, destination_site_id=SITE), stock(3000, SITE)]
    (one,) = found(*rows, vague, as_of=date(2026, 6, 30))
    assert one.verdict == "nothing to check against"


def test_what_arrives_after_the_count_belongs_to_the_next_stretch():
    late = passage(2000, 60, destination_site_id=SITE, received=Period(date(2026, 4, 1), date(2026, 7, 1)))
    rows = [closed(site_id=SITE), passage(1000, 30, destination_site_id=SITE), stock(1000, SITE), late]
    (one,) = found(*rows, as_of=date(2026, 6, 30))
    assert (one.verdict, one.numbers["balances"]) == ("consistent", 2)
    now = [row for row in one.estimates if row.kind == "stock" and row.status == "observable"]
    assert [row.estimate for row in now] == [pytest.approx(3000, rel=0.01)]


def test_a_declaration_from_a_day_on_begins_with_a_stock_that_nobody_knows():
    since = Period(date(2026, 1, 1), None)
    (one,) = found(
        closed(site_id=SITE, valid=since),
        passage(1000, 30, destination_site_id=SITE, received=days("2026-01-01", "2026-03-31")),
        stock(3000, SITE),
    )
    assert one.verdict == "nothing to check against"
    opening = stock(2000, SITE, period=days("2025-12-31", "2025-12-31"))
    (two,) = found(
        closed(site_id=SITE, valid=since),
        passage(1000, 30, destination_site_id=SITE, received=days("2026-01-01", "2026-03-31")),
        opening,
        stock(3000, SITE),
    )
    assert (two.verdict, two.numbers["dof"]) == ("consistent", 1)


def test_exact_figures_that_differ_are_arithmetic():
    exact = stock(900, SITE, exact=True)
    (one,) = found(closed(site_id=SITE), passage(1000, destination_site_id=SITE), exact)
    assert (one.verdict, one.gap, one.p, one.strength) == ("exact figures differ", 100, None, "certain")
    assert not explain.forbidden_words(text_of(one))


def test_a_one_sided_count_enters_only_where_it_is_violated():
    rows = [closed(site_id=SITE), passage(1000, 30, destination_site_id=SITE)]
    low = stock(None, SITE, low=5000.0, bound="floor")
    fitting = stock(None, SITE, low=500.0, bound="floor")
    assert found(*rows, fitting)[0].verdict == "nothing to check against"
    assert found(*rows, low)[0].verdict == "undecided"


def test_lines_that_cannot_be_counted_leave_the_flow_unmeasured():
    rows = [closed(site_id=SITE), passage(1000, 30, destination_site_id=SITE, at_least=1), stock(3000, SITE)]
    (one,) = found(*rows)
    assert one.verdict == "nothing to check against"
    (flow,) = [row for row in one.estimates if row.kind == "flow"]
    assert (flow.status, flow.reported) == ("observable", None)
    assert flow.estimate == pytest.approx(3000)


def test_a_claim_of_output_is_held_against_recorded_production():
    made = stock(50000, org=VENDOR, status="produced", kind="production")
    (one,) = found(*world(), made)
    assert one.verdict == "most likely wrong"
    assert "claim" in one.headline


def test_a_network_that_is_too_large_is_merged_and_says_so():
    books = ledger(*world())
    whole = smaller(ledger_network(books, Parameters()), books, largest=3)
    assert sorted({place.area for place in whole.places.values()}) == [
        "org:operator",
        "org:reseller",
        "org:vendor",
    ]
    assert whole.notes == ("the books of sites were added up, because the network has more than 3 of them",)
    smallest = smaller(ledger_network(books, Parameters()), books, largest=1)
    assert len(smallest.notes) == 2


FIGURE = st.integers(0, 5000)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((ONE, TWO, MIXED, UNSPECIFIED)), FIGURE, st.integers(0, 200), st.booleans()
        ),
        max_size=8,
    ),
    st.lists(st.tuples(st.sampled_from((ONE, TWO, MIXED)), FIGURE, st.booleans(), st.booleans()), max_size=4),
)
def test_whatever_is_reported_no_text_blames_and_no_estimate_is_negative(flows, counts):
    ways = {
        True: {"shipper_id": VENDOR, "destination_site_id": SITE},
        False: {"origin_site_id": SITE, "destination_site_id": SITE_B},
    }
    rows = [passage(chips, sd, scope=scope, **ways[inward]) for scope, chips, sd, inward in flows]
    rows += [
        stock(best, SITE if here else SITE_B, scope=scope, exact=exact) for scope, best, here, exact in counts
    ]
    results = found(closed(site_id=SITE), closed(site_id=SITE_B), *rows)
    assert len({row.key for row in results}) == len(results)
    for row in results:
        assert not explain.forbidden_words(text_of(row) + row.headline)
        assert len(row.sections) == len(explain.HEADINGS) - 1
        for estimate in row.estimates:
            forced = estimate.status == "left out" or "below zero" in estimate.note
            assert estimate.estimate is None or estimate.estimate >= 0 or forced
            assert (estimate.estimate is None) == (estimate.status == "unobservable") or forced


def test_what_left_without_having_come_in_is_said_where_figures_are_exact():
    rows = [closed(site_id=SITE), passage(5, origin_site_id=SITE), stock(0, SITE, exact=True)]
    (one,) = found(*rows)
    assert one.verdict == "exact figures differ"
    (two,) = found(*rows[:2])
    assert ["below zero" in row.note for row in two.estimates if row.kind == "stock"] == [True]


def test_the_order_of_the_books_does_not_matter():
    rows = world(hub_b=900)
    assert [row.key for row in found(*rows)] == [row.key for row in found(*rows[::-1])]
    assert found(*rows)[0].estimates == found(*rows[::-1])[0].estimates
