"""The books of a run: months with their terms, the lines behind each, and what was made up for the display."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.utils import timezone

from tests import factories
from tracker import models
from tracker.models import BalanceArea, BalanceCell, BalancePlug, BalanceScope, Shipment
from tracker.provenance.querysets import book, book_lines, movements
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reports.services import build_report

pytestmark = pytest.mark.django_db


@pytest.fixture
def ledger():
    """Chips that came to a site, were sent on, were seized; some without a day of receipt, some at most so many."""
    site = factories.data_center("synthetic-desert", country="MY")
    chip = factories.chip("synthetic-h")
    holder = factories.organization("synthetic-holder", country="MY")
    common = {"chip": chip, "destination": site, "consignee": holder}
    factories.shipment("came", quantity=1500, **common)
    factories.shipment(
        "came-presumed", quantity=250, **common | {"shipped_on": date(2025, 6, 20), "received_on": None}
    )
    factories.shipment("at-most", quantity=9, bound="ceiling", **common)
    factories.shipment("cancelled", quantity=9, status="cancelled", **common)
    factories.shipment(
        "went", chip=chip, quantity=300, origin=site, destination_country="TH", shipped_on=date(2025, 9, 2)
    )
    factories.shipment(
        "taken", chip=chip, quantity=40, origin=site, status="seized", shipped_on=date(2025, 9, 5)
    )
    factories.shipment("other-chip", quantity=7, destination=site)
    return site


def finished():
    row = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(row.id)
    row.refresh_from_db()
    return row


def lines_of(run, area: str, month: date) -> dict[str, list[str]]:
    place, scope = BalanceArea.objects.get(key=area), BalanceScope.objects.get(key="chip:synthetic-h")
    found = book_lines(run, place, scope, month)
    assert found.next_after is None
    terms: dict[str, list[str]] = {}
    for row in found.lines:
        terms.setdefault(row.term, []).append(row.record.name)
    return terms


@pytest.mark.parametrize("area", ["site:synthetic-desert", "country:MY"])
def test_the_lines_behind_a_month_are_those_that_its_terms_add_up(ledger, area):
    run = finished()
    cells = {cell.month: cell for cell in book(run, area, "chip:synthetic-h")}
    assert [cells[month].book for month in sorted(cells)] == [1500, 1750, 1410]
    assert lines_of(run, area, date(2025, 6, 1)) == {"receipts": ["came"]}
    assert lines_of(run, area, date(2025, 7, 1)) == {"receipts": ["came-presumed"]}
    assert lines_of(run, area, date(2025, 9, 1)) == {"dispatches": ["went"], "exits": ["taken"]}


@pytest.mark.parametrize(
    "area",
    [
        "site:synthetic-desert",
        "org:synthetic-holder",
        "group:synthetic-parent",
        "country:MY",
        "country:TH",
        "world",
    ],
)
def test_the_lines_behind_every_month_of_every_area_add_up_to_its_terms(ledger, area):
    parent, holder = (
        factories.organization("synthetic-parent", country="SG"), models.Organization.objects.get(slug="synthetic-holder"),
    )  # fmt: skip
    factories.stake(parent, holder, 100, valid_from=date(2025, 1, 1))
    chip = models.Chip.objects.get(slug="synthetic-h")
    factories.shipment(
        "made", chip=chip, kind="production", quantity=5000, consignee=holder, shipped_on=date(2025, 3, 3)
    )
    factories.shipment(
        "scrapped", chip=chip, kind="retirement", quantity=20, shipper=holder, shipped_on=date(2025, 9, 9)
    )
    factories.shipment(
        "sold", chip=chip, quantity=60, unit="servers", chips_per_unit=8, shipper=holder, consignee=parent
    )
    run = finished()
    place, scope = BalanceArea.objects.get(key=area), BalanceScope.objects.get(key="chip:synthetic-h")
    cells = book(run, area, "chip:synthetic-h")
    assert cells
    for cell in cells:
        told = {term: chips for term, _, chips in book_lines(run, place, scope, cell.month).terms}
        for term in ("receipts", "production", "dispatches", "exits"):
            assert getattr(cell, term) == told.get(term, 0.0), (cell.month, term)


def test_what_a_group_took_over_with_an_organization_is_told_apart_from_lines(client, ledger):
    parent, holder = (
        factories.organization("synthetic-parent"),
        models.Organization.objects.get(slug="synthetic-holder"),
    )
    factories.stake(parent, holder, 100, valid_from=date(2025, 8, 1))
    run = finished()
    page = client.get(f"/cells/{run.key}/group:synthetic-parent/chip:synthetic-h/2025-08/").content.decode()
    assert "<b>1,750 chips</b> by a change of ownership" in page


def test_the_lines_are_those_that_the_run_read(ledger):
    run = finished()
    before = lines_of(run, "site:synthetic-desert", date(2025, 9, 1))
    Shipment.objects.filter(reference="went").delete()
    factories.shipment(
        "later", chip=Shipment.objects.get(reference="came").chip, origin=ledger, shipped_on=date(2025, 9, 3)
    )
    assert lines_of(run, "site:synthetic-desert", date(2025, 9, 1)) == before


def test_a_book_leads_from_its_months_to_lines_and_their_records(client, ledger):
    run = finished()
    index = client.get(f"/cells/{run.key}/").content.decode()
    assert f'href="/cells/{run.key}/site:synthetic-desert/"' in index
    area = client.get(f"/cells/{run.key}/site:synthetic-desert/").content.decode()
    assert f'href="/cells/{run.key}/site:synthetic-desert/chip:synthetic-h/"' in area
    months = client.get(f"/cells/{run.key}/site:synthetic-desert/chip:synthetic-h/").content.decode()
    assert re.findall(r"<b>([\d,]+)</b>", months) == ["1,500", "1,750", "1,410"]
    lines = client.get(f"/cells/{run.key}/site:synthetic-desert/chip:synthetic-h/2025-09/").content.decode()
    (record,) = set(
        re.findall(rf'href="(/records/shipment/{Shipment.objects.get(reference="went").pk}/[^"]*)"', lines)
    )
    assert "went" in client.get(record.replace("&amp;", "&")).content.decode()


def test_a_run_made_again_is_found_by_its_signature_as_well(client, ledger):
    run = finished()
    assert client.get(f"/cells/{run.signature}/country:MY/").status_code == 200


def test_books_of_several_layers_show_the_latest_and_leave_out_what_is_gone():
    first, second = factories.run("first"), factories.run("second")
    second.layers = [first.pk]
    second.save()
    cell = factories.cell(first, month=date(2025, 6, 1), receipts=100.0)
    factories.cell(first, month=date(2025, 7, 1), receipts=5.0)
    factories.cell(first, month=date(2025, 8, 1), receipts=7.0)
    factories.cell(second, month=date(2025, 6, 1), receipts=90.0)
    factories.cell(second, month=date(2025, 7, 1), is_gone=True)
    found = book(second, cell.area.key, cell.scope.key)
    assert [(row.month.month, row.receipts) for row in found] == [(6, 90.0), (8, 7.0)]
    assert [row.receipts for row in book(first, cell.area.key, cell.scope.key)] == [100.0, 5.0, 7.0]
    assert BalanceCell.objects.count() == 5


def test_plugs_are_listed_where_their_area_is_shown_and_in_the_report(client, ledger):
    BalancePlug.objects.create(
        data_center=ledger, chip=Shipment.objects.get(reference="came").chip, month=date(2025, 8, 1), quantity=-12,
        why="Synthetic count does not close.", is_synthetic=True,
    )  # fmt: skip
    run = finished()
    for address in ("site:synthetic-desert/", "site:synthetic-desert/chip:synthetic-h/"):
        page = client.get(f"/cells/{run.key}/{address}").content.decode()
        assert "Made up to close the display, no evidence" in page
        assert "Synthetic count does not close." in page
    assert "Synthetic count" not in client.get(f"/cells/{run.key}/country:MY/").content.decode()
    html = build_report(run).html
    assert "Synthetic count does not close." in html
    assert "−12" in html
    assert book(run, "site:synthetic-desert", "chip:synthetic-h")[-1].book == 1410  # a plug enters no figure


def test_a_report_without_plugs_says_so(ledger):
    assert "No movement was made up to let a chain close." in build_report(finished()).html


def test_movements_are_listed_as_the_report_counts_them(client, ledger):
    run = factories.run("lines", as_known_at=timezone.now())
    names = [row.record.name for row in movements(run, to="TH")[0]]
    assert names == ["went"]
    assert [row.record.name for row in movements(run, month=date(2025, 9, 1))[0]] == ["went"]
    page = client.get("/lines/lines/", {"to": "MY"}).content.decode()
    assert "came-presumed" in page
    assert "cancelled" not in page.split("<table")[1]


def test_movements_traced_to_a_plan_are_listed_by_its_sites_and_parties(ledger):
    run = factories.run("lines", as_known_at=timezone.now())
    factories.shipment("no-site", consignee=models.Organization.objects.get(slug="synthetic-holder"))
    run.as_known_at = timezone.now()
    traced = movements(run, into=("synthetic-desert",), parties=("synthetic-holder",))[0]
    assert [row.record.name for row in traced] == [
        "came",
        "came-presumed",
        "at-most",
        "other-chip",
        "no-site",
    ]
    assert [row.record.name for row in movements(run, parties=("synthetic-holder",))[0]] == ["no-site"]


def test_many_lines_come_in_pages(client, ledger):
    for number in range(60):
        factories.shipment(f"many-{number:02}", destination=ledger)
    factories.run("lines", as_known_at=timezone.now())
    first = client.get("/lines/lines/", {"to": "MY"}).content.decode()
    (after,) = re.findall(r'href="\?to=MY&amp;after=(\d+)"', first)
    rest = client.get("/lines/lines/", {"to": "MY", "after": after}).content.decode()
    shown = [set(re.findall(r"many-\d\d", page)) for page in (first, rest)]
    assert shown[0] & shown[1] == set()
    assert len(shown[0] | shown[1]) == 60


@pytest.mark.parametrize(
    "address", ["country:ZZ/", "country:MY/chip:none/", "country:MY/chip:synthetic-h/2025-13/"]
)
def test_a_book_that_is_not_kept_is_not_found(client, ledger, address):
    assert client.get(f"/cells/{finished().key}/{address}").status_code == 404
