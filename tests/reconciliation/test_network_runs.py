"""Networks in a run: sums by route and stretch of days from the database, a finding, estimates kept apart."""

from __future__ import annotations

from datetime import date

import pytest

from tests import factories
from tests.reconciliation.test_runs import SYNTHETIC, run
from tracker.core.period import Period
from tracker.models import NetworkEstimate
from tracker.reconciliation import services
from tracker.reconciliation.querysets import Ledger, ledger_of

pytestmark = pytest.mark.django_db

COUNT = date(2025, 6, 30)


@pytest.fixture
def chain():
    """Two sites whose books are whole: one receives 10,000, passes on 4,000 and is said to hold 1,000; the other holds 4,000."""
    cast = factories.cast()
    for site in (cast.site, cast.other_site):
        factories.closed_book(f"{site.slug}-whole", data_center=site, valid_from=None)
    common = {
        "chip": cast.chip,
        "grade": "A",
        "shipped_on": date(2025, 2, 1),
        "received_on": date(2025, 3, 1),
    }
    for number, quantity in enumerate((6000, 4000), 1):
        factories.shipment(
            f"synthetic-in-{number}", quantity=quantity, shipper=cast.vendor, destination=cast.site, **common
        )
    factories.shipment(
        "synthetic-on", quantity=4000, shipper=cast.operator, origin=cast.site, destination=cast.other_site,
        **common | {"shipped_on": date(2025, 4, 1), "received_on": date(2025, 5, 1)},
    )  # fmt: skip
    for site, best in ((cast.site, 1000), (cast.other_site, 4000)):
        factories.claim(
            f"{site.slug}-count", subject=cast.operator, data_center=site, chip=cast.chip, best=best, grade="A",
            status="installed", kind="installed", period_start=None, period_end=COUNT,
        )  # fmt: skip
    return cast


def read(row) -> Ledger:
    return ledger_of(row)


def flows(row):
    ledger = read(row)
    return [flow for index in range(2) for flow in next(ledger.pieces("network", index, 2)).flows]


def test_a_run_names_the_count_that_nothing_fits_and_keeps_estimates(chain):
    row = run()
    (found,) = row.findings.filter(check_code="NET")
    assert (found.area, found.verdict, found.is_discrepancy) == (f"site:{chain.site.slug}", "undecided", True)
    assert "gamma" in found.text
    assert set(found.evidence.values_list("model_name", flat=True)) >= {"closedbook", "claim"}
    rows = NetworkEstimate.objects.filter(run=row)
    assert (
        rows.count() == 6
    )  # three flows (two sums of one route are one), two counts, and what is held on the day of the run
    held = rows.get(kind="stock", from_node=f"site:{chain.other_site.slug}", reported__isnull=False)
    assert held.status == "measured"
    assert held.estimate == pytest.approx(4000, rel=0.05)
    assert (
        not row.findings.exclude(check_code="NET").filter(own_evidence__model_name="networkestimate").exists()
    )


def test_the_same_run_gives_the_same_estimates(chain):
    fields = [field.name for field in NetworkEstimate._meta.fields if field.name not in ("id", "run")]
    first = run()
    again = services.repeat_run(first, "synthetic analyst")
    services.finish_here(again.id)
    one, two = (list(NetworkEstimate.objects.filter(run=row).values_list(*fields)) for row in (first, again))
    assert one == two


def test_lines_are_added_up_by_route_and_by_the_stretches_between_counts(chain):
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    inward = [flow for flow in flows(row) if flow.destination_site_id == chain.site.id]
    assert [(flow.chips, flow.lines) for flow in inward] == [(10000, 2)]
    # from the first day of the two years in which a house errs alike
    assert inward[0].shipped == inward[0].received == Period(date(2024, 1, 1), date(2025, 7, 1))
    factories.shipment(
        "synthetic-late", chip=chain.chip, quantity=500, shipper=chain.vendor, destination=chain.site,
        shipped_on=date(2025, 6, 20), received_on=None,
    )  # fmt: skip
    factories.shipment(
        "synthetic-vague", chip=chain.chip, quantity=50, shipper=chain.vendor, destination=chain.site,
        shipped_on=date(2025, 6, 1), shipped_on_latest=date(2025, 8, 1), received_on=None,
    )  # fmt: skip
    factories.shipment(
        "synthetic-undated", chip=chain.chip, quantity=5, shipper=chain.vendor, destination=chain.site, shipped_on=None,
        received_on=None,
    )  # fmt: skip
    factories.shipment(
        "synthetic-at-most", chip=chain.chip, quantity=7, bound="ceiling", shipper=chain.vendor, destination=chain.site,
        shipped_on=date(2025, 2, 1), received_on=date(2025, 3, 1),
    )  # fmt: skip
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    by_chips = {flow.chips: flow for flow in flows(row) if flow.destination_site_id == chain.site.id}
    until, since = Period(date(2024, 1, 1), date(2025, 7, 1)), date(2025, 7, 1)
    assert (by_chips[500].shipped, by_chips[500].received.start) == (
        until,
        since,
    )  # presumed a lead time later
    assert (by_chips[50].shipped.start, by_chips[50].shipped.end > since) == (until.start, True)
    assert (by_chips[5].shipped, by_chips[5].received) == (None, None)
    assert (by_chips[0].uncounted, by_chips[0].received) == (1, until)


def test_what_a_house_says_of_other_years_is_a_flow_of_its_own(chain):
    factories.shipment(
        "synthetic-early", chip=chain.chip, quantity=30, shipper=chain.vendor, destination=chain.site,
        shipped_on=date(2023, 5, 1), received_on=date(2023, 6, 1),
    )  # fmt: skip
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    inward = [flow for flow in flows(row) if flow.destination_site_id == chain.site.id]
    assert [flow.chips for flow in inward] == [30, 10000]
    assert [flow.shipped.end for flow in inward] == [date(2024, 1, 1), date(2025, 7, 1)]


def test_production_and_seizures_are_told_apart(chain):
    factories.shipment("synthetic-made", kind="production", chip=chain.chip, destination=chain.site)
    factories.shipment("synthetic-taken", status="seized", chip=chain.chip, origin=chain.site)
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    assert sorted(flow.kind for flow in flows(row)) == ["production", "seized", "transfer", "transfer"]


def test_lines_that_touch_no_declared_area_are_not_read(chain):
    factories.shipment("synthetic-elsewhere", chip=chain.chip, shipper=chain.vendor, consignee=chain.reseller)
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    assert len(flows(row)) == 2


def test_lines_of_a_declared_country_are_added_up_by_country_unless_a_declared_site_or_party_is_named(chain):
    factories.closed_book("synthetic-my-whole", country="MY", valid_from=None)
    for seller in (chain.vendor, chain.reseller):
        factories.shipment(
            chip=chain.chip, shipper=seller, consignee=factories.organization(), destination_country="MY"
        )
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    country = [flow for flow in flows(row) if flow.destination_site_id is None]
    assert [(flow.lines, flow.shipper_id, flow.consignee_id, flow.destination) for flow in country] == [
        (2, None, None, "MY")
    ]
    named = [flow for flow in flows(row) if flow.destination_site_id == chain.site.id]
    assert {flow.shipper_id for flow in named} == {chain.vendor.id}


def test_a_share_without_declarations_asks_for_no_lines(django_assert_max_num_queries):
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC)
    ledger = read(row)
    assert ledger.scope_components == {}
    with django_assert_max_num_queries(1):
        assert next(ledger.pieces("network", 0, 2)).flows == ()
