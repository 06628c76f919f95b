"""Books added up: all chips in H100-equivalents, the chips of a family; on a page and from the API."""

from __future__ import annotations

from datetime import date

import pytest
from rest_framework.test import APIClient

from tests import factories
from tracker.models import BalanceScope, ReconciliationRun
from tracker.provenance.sums.querysets import book_sum, sums_of
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters

pytestmark = pytest.mark.django_db
AREA = "site:synthetic-desert"


@pytest.fixture
def run() -> ReconciliationRun:
    """1,000 chips of one H100-equivalent in June, 2,000 of a half in July, and in August 100 under the name of their family, of
    which 40 left in September; 7 of a performance nobody knows."""
    site = factories.data_center("synthetic-desert", country="MY")
    maker = factories.vendor("synthetic-maker")
    whole, half, unknown = (
        factories.chip(f"synthetic-{name}", vendor=maker, specified=False)
        for name in ("whole", "half", "dark")
    )
    factories.specification(whole, fp8_tflops=1979, fp16_tflops=50, die_area_mm2=814)
    factories.specification(half, fp8_tflops=989.5, fp16_tflops=50, die_area_mm2=814)
    family = factories.chip_family("synthetic-mixed", vendor=maker, members=(whole, half))
    for number, (what, quantity, month) in enumerate([
        ({"chip": whole}, 1000, 6), ({"chip": half}, 2000, 7), ({"family": family}, 100, 8), ({"chip": unknown}, 7, 8),
    ]):  # fmt: skip
        day = date(2025, month, 5)
        factories.shipment(
            f"synthetic-{number}",
            **what,
            quantity=quantity,
            destination=site,
            shipped_on=day,
            received_on=day,
        )
    factories.shipment(
        "synthetic-gone", family=family, quantity=40, origin=site, destination_country="TH", shipped_on=date(2025, 9, 5)
    )  # fmt: skip
    row = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(row.id)
    row.refresh_from_db()
    return row


def test_a_book_in_h100_equivalents_is_the_sum_of_the_books_of_its_chips(run):
    found = book_sum(run, AREA, "h100e")
    assert found.unit == "H100-equivalents"
    books = {row.day.month: (row.sums.book.low, row.sums.book.high) for row in found.months}
    # a chip of the family counts a half to one; of the 40 that left likewise
    assert books == {6: (1000, 1000), 7: (2000, 2000), 8: (2050, 2100), 9: (2010, 2080)}
    assert {part.key: part.worth for part in found.parts} == {
        "chip:synthetic-whole": (1.0, 1.0), "chip:synthetic-half": (0.5, 0.5), "family:synthetic-mixed": (0.5, 1.0),
        "chip:synthetic-dark": None,
    }  # fmt: skip
    assert [part.key for part in found.left_out] == ["chip:synthetic-dark"]


def test_a_family_holds_its_members_and_what_goes_by_its_name(run):
    found = book_sum(run, AREA, "family:synthetic-mixed")
    assert found.unit == "chips"
    assert [(row.day.month, row.sums.book.low, row.sums.book.high) for row in found.months] == [
        (6, 1000, 1000), (7, 3000, 3000), (8, 3100, 3100), (9, 3060, 3060),
    ]  # fmt: skip
    assert sums_of(run, AREA) == ["h100e", "family:synthetic-mixed"]


def test_a_run_that_goes_on_from_another_adds_up_the_books_as_they_stand(run):
    factories.shipment(
        "synthetic-more", chip=factories.models.Chip.objects.get(slug="synthetic-half"), quantity=500,
        destination=factories.models.DataCenter.objects.get(slug="synthetic-desert"),
        shipped_on=date(2025, 6, 7), received_on=date(2025, 6, 7),
    )  # fmt: skip
    later = services.start_run(
        "synthetic analyst", parameters=Parameters(records="synthetic"), mode="incremental"
    )
    services.finish_here(later.id)
    later.refresh_from_db()
    assert len(later.layers) == 2
    books = [row.sums.book.low for row in book_sum(later, AREA, "h100e").months]
    assert books == [1250, 2250, 2300, 2260]
    assert [row.sums.book.low for row in book_sum(run, AREA, "h100e").months] == [1000, 2000, 2050, 2010]


def test_the_api_gives_the_months_with_what_was_added_up(run):
    client = APIClient()
    found = client.get(f"/api/v1/runs/{run.key}/book-sums/", {"area": AREA}).json()
    assert (found["run"], found["scope"], found["unit"]) == (run.key, "h100e", "H100-equivalents")
    assert found["months"][-1]["book"] == {"low": 2010.0, "high": 2080.0}
    assert found["months"][-1]["month"] == "2025-09-01"
    assert {part["scope"]: part["worth"] for part in found["parts"]}["family:synthetic-mixed"] == {
        "low": 0.5,
        "high": 1.0,
    }
    family = client.get(
        f"/api/v1/runs/{run.key}/book-sums/", {"area": AREA, "scope": "family:synthetic-mixed"}
    )
    assert family.json()["months"][-1]["book"] == {"low": 3060.0, "high": 3060.0}


@pytest.mark.parametrize(
    "query", [{}, {"area": "site:nowhere"}, {"area": AREA, "scope": "chip:synthetic-whole"}, {"area": AREA, "scope": "x"}]
)  # fmt: skip
def test_a_sum_that_there_is_not_is_answered_with_what_to_ask(run, query):
    answer = APIClient().get(f"/api/v1/runs/{run.key}/book-sums/", query)
    assert answer.status_code == 404
    assert "family:h100-any" in answer.json()["error"]["message"]


def test_the_pages_lead_from_an_area_to_its_sums_and_to_the_books_behind(client, run):
    page = client.get(f"/cells/{run.key}/{AREA}/").content.decode()
    assert f"/cells/{run.key}/{AREA}/sum/h100e/" in page
    assert "at least" not in page.split("Added up")[0]
    page = client.get(f"/cells/{run.key}/{AREA}/sum/h100e/").content.decode()
    assert "2,010 to 2,080 H100-equivalents stand in the books after September 2025" in page
    assert "not told: left out" in page
    for scope in BalanceScope.objects.all():
        assert f"/cells/{run.key}/{AREA}/{scope.key}/" in page
    assert client.get(f"/cells/{run.key}/{AREA}/sum/chip:synthetic-half/").status_code == 404
