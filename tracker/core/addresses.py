"""Addresses that lead from a number to what it rests on: pages for readers, and the same as data in the API.

They are written here as plain paths, so that pure modules, published files and pages name them alike; a test asks each of them.
A record is addressed as it was known at an instant, so that a link in an old report leads to the version that was read.
"""

from __future__ import annotations

from datetime import date, datetime
from urllib.parse import urlencode

API = "/api/v1/"
RESOURCES = {
    "chip": "chips",
    "chipfamily": "chip-families",
    "chipspecification": "specifications",
    "claim": "claims",
    "datacenter": "data-centers",
    "exportrule": "rules",
    "licence": "licences",
    "licencerequirement": "licence-requirements",
    "listentry": "list-entries",
    "organization": "organizations",
    "ownershipstake": "stakes",
    "shipment": "shipments",
    "source": "sources",
}
"""Names of the API's resources by the table they read. Of any other table the API gives the history of a record."""


def instant(value: datetime) -> str:
    """An instant as ISO 8601 in UTC with microseconds, so that it can be given back to the API as ``known_at``."""
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _known(at: datetime | None) -> str:
    return f"?known_at={instant(at)}" if at else ""


def record_data(model: str, pk: int, at: datetime | None) -> str:
    """Where the API gives the record as it was known at the instant, or its history where it has no page of its own."""
    resource = RESOURCES.get(model)
    return f"{API}{resource}/{pk}/{_known(at)}" if resource else f"{API}records/{model}/{pk}/"


def records_data(model: str, at: datetime | None, **filters: str) -> str:
    """The list of records of a table as they were known at the instant, by the API's filters.

    >>> records_data("source", None, verification="memory")
    '/api/v1/sources/?verification=memory'
    """
    known = {"known_at": instant(at)} if at else {}
    return f"{API}{RESOURCES[model]}/?{urlencode({**filters, **known}, safe=':')}"


def findings_data(run: str, **filters: str) -> str:
    """The list of a run's findings, by the API's filters."""
    return f"{API}findings/?{urlencode({'run': run, **filters})}"


def record_page(model: str, pk: int, at: datetime | None) -> str:
    """The page of a record as it was known at the instant; as it stands now if none is given."""
    return f"/records/{model}/{pk}/{_known(at)}"


def finding_page(pk: int) -> str:
    """The page of a finding: its text, its numbers and the tree below them."""
    return f"/findings/{pk}/"


def finding_tree_data(pk: int) -> str:
    """The tree below a finding, as data."""
    return f"{API}findings/{pk}/tree/"


def book_page(run: str, area: str = "", scope: str = "", month: date | None = None) -> str:
    """The books of a run, those of an area, the months of one book, or the lines behind one month.

    ``run``: key or signature of the run; ``area`` and ``scope``: as cells name them, e.g. ``country:MY`` and ``chip:h20-96gb``.

    >>> book_page("2026-11-23-1", "country:MY", "chip:h20-96gb", date(2026, 3, 1))
    '/cells/2026-11-23-1/country:MY/chip:h20-96gb/2026-03/'
    """
    parts = [run, *filter(None, (area, scope)), *([f"{month:%Y-%m}"] if month else [])]
    return f"/cells/{'/'.join(parts)}/"


def lines_page(run: str, **filters: str) -> str:
    """The movements that a run could read: ``to`` a country, shipped in a ``month`` (``2026-03``), traced to ``sites`` and
    ``parties`` (names with commas between)."""
    query = urlencode({name: value for name, value in filters.items() if value}, safe=",")
    return f"/lines/{run}/{f'?{query}' if query else ''}"
