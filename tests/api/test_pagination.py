"""Walking the pages gives each row exactly once: equal keys, blank keys, rows inserted meanwhile, and in the past."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from tests import factories
from tracker.models import Shipment


@pytest.fixture
def shipments(db):
    """Forty lines: twenty on one day, ten on another, ten without a day."""
    days = [date(2025, 6, 1)] * 20 + [date(2025, 5, 1)] * 10 + [None] * 10
    return [factories.shipment(shipped_on=day, received_on=None).pk for day in days]


@pytest.mark.parametrize("ordering", ["shipped_on", "-shipped_on", "id", "-id", "reference"])
@pytest.mark.parametrize("page_size", [1, 7, 10, 40, 500])
def test_rows_with_equal_or_blank_keys_come_exactly_once(api, shipments, ordering, page_size):
    rows = api.walk("shipments/", ordering=ordering, page_size=page_size)
    assert sorted(row["id"] for row in rows) == shipments
    key = ordering.removeprefix("-")
    assert [row["id"] for row in rows] == list(
        Shipment.objects.order_by(ordering, f"{'-' if ordering[0] == '-' else ''}id").values_list(
            "id", flat=True
        )
    ), f"pages follow {key}"


@pytest.mark.parametrize("ordering", ["shipped_on", "-shipped_on"])
def test_rows_come_exactly_once_in_the_past_too(api, shipments, ordering):
    known_at = timezone.now().isoformat()
    Shipment.objects.filter(shipped_on=date(2025, 6, 1)).update(shipped_on=date(2025, 6, 2), received_on=None)
    Shipment.objects.filter(pk=shipments[3]).delete()
    factories.shipment(shipped_on=date(2025, 6, 1))
    rows = api.walk("shipments/", ordering=ordering, page_size=7, known_at=known_at)
    assert sorted(row["id"] for row in rows) == shipments
    assert {row["shipped"]["first"] for row in rows} == {"2025-06-01", "2025-05-01", None}


def test_rows_inserted_meanwhile_neither_repeat_nor_hide_others(api, shipments):
    page = api.read("shipments/", ordering="shipped_on", page_size=10)
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        factories.shipment(shipped_on=date(2025, 5, 1))  # before the cursor, then behind it
        factories.shipment(shipped_on=date(2025, 5, 2))
        page = api.read(page["next"])
        seen += [row["id"] for row in page["results"]]
    assert len(seen) == len(set(seen))
    assert set(shipments) <= set(seen)


def test_filters_stay_while_walking(api, shipments):
    rows = api.walk("shipments/", ordering="shipped_on", page_size=3, shipped_on="2025-06-01")
    assert len(rows) == 20


@pytest.mark.parametrize("page_size", ["0", "501", "-1", "many", "", "1.5", "٣"])
def test_a_page_size_out_of_bounds_is_refused(api, page_size):
    assert "page_size" in api.refused("shipments/", page_size=page_size)["fields"]


def test_fifty_rows_make_a_page_unless_told(api, db):
    factories.source()
    for number in range(51):
        factories.source(f"synthetic-{number}")
    page = api.read("sources/")
    assert len(page["results"]) == page["page_size"] == 50


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm90IGpzb24", "W10", "WyJpZCIsIDEsICJ4Il0", "é", "WyJpZCIsbnVsbCwxXQ", "A" * 1999]
)
def test_a_cursor_that_is_none_is_refused(api, cursor):
    assert "cursor" in api.refused("shipments/", ordering="id", cursor=cursor)["fields"]


def test_a_cursor_of_another_ordering_is_refused(api, shipments):
    cursor = api.read("shipments/", ordering="id", page_size=1)["next"].split("cursor=")[1].split("&")[0]
    assert (
        "belongs to ordering=id" in api.refused("shipments/", ordering="shipped_on", cursor=cursor)["message"]
    )


def test_an_ordering_that_is_not_offered_is_refused_with_those_that_are(api):
    message = api.refused("shipments/", ordering="note")["message"]
    assert "shipped_on" in message


def test_nothing_is_counted_unless_asked(api, shipments, django_assert_num_queries):
    assert "count" not in api.read("shipments/")
    page = api.read("shipments/", count="capped", shipped_on="2025-05-01")
    assert (page["count"], page["count_is_capped"]) == (10, False)
    assert "count" in api.refused("shipments/", count="all")["fields"]


def test_a_count_stops_at_its_cap(api, shipments, monkeypatch):
    monkeypatch.setattr("api.pagination.COUNT_CAP", 25)
    page = api.read("shipments/", count="capped")
    assert (page["count"], page["count_is_capped"]) == (25, True)
