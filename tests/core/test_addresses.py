"""Where numbers lead."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.urls import resolve

from api.viewsets import RESOURCE_OF
from tracker.core import addresses

AT = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)


def test_links_name_resources_that_the_api_has():
    assert {name: RESOURCE_OF.get(name) for name in addresses.RESOURCES} == addresses.RESOURCES


def test_a_link_is_pinned_to_the_instant():
    pinned = "?known_at=2026-03-01T12:30:00.250000Z"
    assert addresses.record_data("claim", 7, AT) == f"/api/v1/claims/7/{pinned}"
    assert addresses.record_page("claim", 7, AT) == f"/records/claim/7/{pinned}"
    assert addresses.record_page("claim", 7, None) == "/records/claim/7/"


def test_a_record_without_a_resource_of_its_own_is_reached_by_its_history():
    assert addresses.record_data("sitepower", 7, AT) == "/api/v1/records/sitepower/7/"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (addresses.finding_page(7), "finding"),
        (addresses.finding_tree_data(7), "findings-tree"),
        (addresses.record_page("sitepower", 7, None), "record"),
        (addresses.record_data("sitepower", 7, None), "record"),
        (addresses.book_page("2026-03-01-1"), "books"),
        (addresses.book_page("2026-03-01-1", "country:MY"), "books-of-area"),
        (addresses.book_page("2026-03-01-1", "country:MY", "chip:h20-96gb"), "book"),
        (addresses.book_page("2026-03-01-1", "country:MY", "chip:h20-96gb", date(2026, 3, 1)), "book-lines"),
    ],
)
def test_every_address_is_served(address, name):
    assert resolve(address).url_name == name
