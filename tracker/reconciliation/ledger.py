"""From movements to balance cells: what an area's book holds of a scope at the end of each month.

``BOOK = OPEN + R + P - D - X`` (docs/method.md). A movement leaves its origin in the month it shipped and enters its
destination in the month it was received; where only a stretch of days is known, its last day counts. A movement whose two ends
lie in the same area is no flow of that area. Seized units leave the book of whoever held them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import sqrt

from tracker.claims.combine import quantity
from tracker.core.period import Period
from tracker.core.quantity import NotComparable
from tracker.reconciliation.books import MovementRow, OrganizationRow, Parameters, SiteRow

MINIMUM_DETECTABLE = 3.29
"""Standard deviations of the smallest gap that a test with 5 % of either error can see."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One month of one area's chain for one scope, in chips. ``at_least``: part of it was reported only as a floor."""

    area: str
    scope: str
    month: date
    opening: float
    receipts: float
    dispatches: float
    exits: float
    book: float
    sigma: float
    at_least: bool

    @property
    def mdg(self) -> float:
        return MINIMUM_DETECTABLE * self.sigma


@dataclass(slots=True)
class _Month:
    receipts: float = 0.0
    dispatches: float = 0.0
    exits: float = 0.0
    variance: float = 0.0
    at_least: bool = False


def month_of(period: Period | None) -> date | None:
    """The first day of the month in which a day or vague date falls, by its last possible day; None if not dated."""
    day = period and (period.last or period.start)
    return day.replace(day=1) if day else None


def areas(
    site_id: int | None,
    organization_id: int | None,
    country: str,
    sites: Mapping[int, SiteRow],
    organizations: Mapping[int, OrganizationRow],
) -> frozenset[str]:
    """The balance areas that one end of a movement lies in."""
    names = set()
    if site := sites.get(site_id or 0):
        names.add(f"site:{site.slug}")
        country = country or site.country
    if (organization := organizations.get(organization_id or 0)) and not organization.is_aggregate:
        names.add(f"org:{organization.slug}")
    if country:
        names.add(f"country:{country}")
    return frozenset(names)


def cells(
    movements: Iterable[MovementRow],
    sites: Mapping[int, SiteRow],
    organizations: Mapping[int, OrganizationRow],
    parameters: Parameters,
) -> list[Cell]:
    """The balance cells of all areas these movements touch, sorted by (area, scope, month).

    Months in which nothing moved have no cell: the previous book stands. Movements whose unit is not convertible to chips, or
    that name no date, enter no cell. Ceilings ("at most") enter no cell either: they are no estimate.
    """
    chains: dict[tuple[str, str], dict[date, _Month]] = defaultdict(lambda: defaultdict(_Month))
    for movement, area, month, kind in _entries(
        sorted(movements, key=lambda row: row.ref.id), sites, organizations
    ):
        amount = quantity(movement.reported, parameters)
        if isinstance(amount, NotComparable) or amount.bound == "upper":
            continue
        entry = chains[area, f"{movement.scope.kind}:{movement.scope.slug}"][month]
        setattr(entry, kind, getattr(entry, kind) + amount.mu)
        entry.variance += amount.s**2
        entry.at_least |= amount.bound == "lower"
    return [cell for key in sorted(chains) for cell in _chain(*key, chains[key])]


def _entries(
    movements: Iterable[MovementRow],
    sites: Mapping[int, SiteRow],
    organizations: Mapping[int, OrganizationRow],
) -> Iterator[tuple[MovementRow, str, date, str]]:
    for row in movements:
        if row.status in ("returned", "cancelled"):
            continue
        origin = areas(row.origin_site_id, row.shipper_id, row.origin_country, sites, organizations)
        destination = areas(
            row.destination_site_id, row.consignee_id, row.destination_country, sites, organizations
        )
        left, arrived = month_of(row.shipped), month_of(row.received)
        if row.status == "seized":
            yield from ((row, area, left, "exits") for area in sorted(origin) if left)
            continue
        if left:
            yield from ((row, area, left, "dispatches") for area in sorted(origin - destination))
        if arrived:
            yield from ((row, area, arrived, "receipts") for area in sorted(destination - origin))


def _chain(area: str, scope: str, months: Mapping[date, _Month]) -> Iterator[Cell]:
    book = variance = 0.0
    at_least = False
    for month in sorted(months):
        entry, opening = months[month], book
        book = opening + entry.receipts - entry.dispatches - entry.exits
        variance += entry.variance
        at_least |= entry.at_least
        yield Cell(
            area,
            scope,
            month,
            opening,
            entry.receipts,
            entry.dispatches,
            entry.exits,
            book,
            sqrt(variance),
            at_least,
        )
