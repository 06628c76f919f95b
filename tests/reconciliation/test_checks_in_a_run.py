"""Each check on balances, trade and transit, from rows in the database through one run to a finding with its records."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from tests import factories
from tracker.models import Chip, Finding
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters

pytestmark = pytest.mark.django_db

EXACT = {"is_exact": True, "grade": "A"}


@pytest.fixture(scope="module")
def findings(django_db_setup, django_db_blocker):
    """All findings of one run over a ledger with one case for each check, of different chips; everything written is undone."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        counts_of_whole_and_other_books()
        trade_statistics()
        deliveries_and_racks()
        transit_and_hub()
        run = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
        services.finish_here(run.id)
        yield list(Finding.objects.filter(run=run).order_by("key"))
        transaction.set_rollback(True)


def chip(name: str) -> Chip:
    """One unit is one H100-equivalent."""
    made = factories.chip(f"synthetic-{name}", specified=False)
    factories.specification(made, fp8_tflops=1979, die_area_mm2=814)
    return made


def counts_of_whole_and_other_books() -> None:
    for name in ("whole", "open"):
        operator = factories.organization(f"synthetic-{name}-operator", country="MY")
        site = factories.data_center(f"synthetic-{name}", operator=operator, country="MY")
        common = {"subject": operator, "data_center": site, "chip": chip(name), "destination_country": "MY"}
        for day in (date(2025, 6, 30), date(2025, 9, 30)):
            factories.claim(f"synthetic-{name}-{day:%m}", best=20000, period_end=day, **common, **EXACT)
        factories.shipment(
            chip=common["chip"],
            quantity=5000,
            consignee=operator,
            destination=site,
            shipped_on=date(2025, 8, 1),
            **EXACT,
        )
        if name == "whole":
            factories.closed_book(data_center=site, valid_from=date(2025, 1, 1))


def trade_statistics() -> None:
    made = chip("traded")
    for side, best in (("exporter", 30000), ("importer", 15000)):
        factories.claim(
            f"synthetic-{side}", reporter=side, kind="shipment", status="shipped", origin_country="US", destination_country="MY",
            chip=made, best=best, period_start=date(2025, 1, 1), period_end=date(2025, 12, 31), grade="B",
            source=factories.source(f"synthetic-customs-{side}", publisher=f"Synthetic customs of the {side}"),
        )  # fmt: skip


def deliveries_and_racks() -> None:
    operator = factories.organization("synthetic-buyer", country="MY")
    for status, best in (("delivered", 10000), ("installed", 18000)):
        factories.claim(
            subject=operator, chip=chip(status) if status == "delivered" else Chip.objects.get(slug="synthetic-delivered"),
            status=status, kind="purchase" if status == "delivered" else "installed", best=best, grade="B",
            period_end=date(2025, 12, 31),
        )  # fmt: skip
    site = factories.data_center("synthetic-racks", operator=operator, country="MY")
    common = {
        "subject": operator,
        "data_center": site,
        "chip": chip("racked"),
        "destination_country": "MY",
        **EXACT,
    }
    factories.claim(best=10000, **common)
    factories.claim(best=100, unit="racks", chips_per_unit=72, **common)


def transit_and_hub() -> None:
    today = timezone.now().date()
    factories.shipment(
        chip=chip("late"), quantity=2000, consignee=factories.organization("synthetic-waiting", country="MY"),
        shipped_on=today - timedelta(days=100), received_on=None, status="in transit",
    )  # fmt: skip
    passing = chip("passing")
    for quantity, ago, origin, destination in ((12000, 200, "US", "SG"), (3000, 100, "SG", "TH")):
        factories.shipment(
            chip=passing, quantity=quantity, shipped_on=today - timedelta(days=ago), origin_country=origin,
            destination_country=destination, **EXACT,
        )  # fmt: skip
    for best, ago in ((1000, 365), (3000, 10)):
        day = today - timedelta(days=ago)
        factories.claim(chip=passing, best=best, destination_country="SG", period_end=day, **EXACT)


def only(findings: list[Finding], check: str, **values: str) -> Finding:
    (found,) = [
        one
        for one in findings
        if one.check_code == check and all(getattr(one, name) == value for name, value in values.items())
    ]
    return found


def records(finding: Finding) -> set[str]:
    return {row.model_name for row in finding.evidence.all()}


def test_two_counts_of_a_whole_book_are_balanced(findings):
    one = only(findings, "MUF", area="site:synthetic-whole")
    assert (one.verdict, one.gap, one.is_discrepancy) == ("book above count", 5000, True)
    assert {"claim", "shipment", "closedbook"} <= records(one)


def test_counts_without_such_a_declaration_are_only_told(findings):
    one = only(findings, "MUF", area="site:synthetic-open")
    assert (one.verdict, one.is_discrepancy) == ("not tested: the book is not declared whole", False)


def test_both_sides_of_trade_statistics_are_held_together(findings):
    one = only(findings, "MIRROR")
    assert (one.verdict, one.gap, one.is_discrepancy) == ("differs", 15000, True)
    assert one.q is not None


def test_more_installed_than_delivered_is_a_step_upward(findings):
    one = only(findings, "3WAY")
    assert (one.verdict, one.gap, one.is_discrepancy) == ("step upward", 8000, True)


def test_chips_beyond_the_racks_of_their_site_are_impossible(findings):
    one = only(findings, "CAPACITY")
    assert (one.verdict, one.gap, one.is_discrepancy) == ("impossible", 2800, True)


def test_a_line_in_transit_for_long_is_overdue(findings):
    one = only(findings, "TRANSIT")
    assert (one.verdict, one.gap, one.severity, one.is_discrepancy) == (
        "transit overdue",
        2000,
        "medium",
        True,
    )


def test_what_a_hub_received_and_nobody_accounts_for_is_told(findings):
    one = only(findings, "TRANS", area="country:SG")
    assert (one.verdict, one.gap, one.severity, one.is_discrepancy) == (
        "not accounted for",
        7000,
        "high",
        True,
    )
    assert {"claim", "shipment"} <= records(one)
