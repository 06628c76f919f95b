"""Declared books and reported inventories: where a chain of balance cells opens anew, and where it is whole.

A reported inventory opens the next month of its area's chain (docs/method.md, MUF) only where somebody declared that area's
book to be whole. Elsewhere a claim above the book is *not accounted for* (GAP), and a book that took over the claim would hide
just that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from tracker.balances.books import COUNTRY, ORG, SITE, Anchor, Columns, area_of, country_code
from tracker.balances.reading import Array, month_number
from tracker.claims.combine import Report, consensus, pool
from tracker.core.quantity import Quantity
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import ClaimRow, ClosedBookRow, Parameters, Scope

HELD = ("installed", "operational", "stocked")
"""Standings of a claim that tell an inventory."""


def scope_number(scope: Scope) -> int:
    """A scope as ``balances.reading.LINE`` writes it."""
    return scope.id * 2 + (scope.kind == "family")


def anchors(
    claims: Iterable[ClaimRow], closed: Sequence[ClosedBookRow], parameters: Parameters
) -> dict[tuple[int, int], dict[int, Anchor]]:
    """Inventories as of the last day of a month, of areas whose book is declared whole, as anchors of their chains.

    Several independent reports of one inventory are pooled, as CONFLICT shows them; echoes, bounds and flows are left out.
    """
    reports: dict[tuple[int, int, int], list[Report]] = defaultdict(list)
    for claim in sorted(claims, key=lambda row: row.ref.id):
        area, day = _area(claim), claim.period.last
        if claim.scope is None or area is None or day is None or claim.is_flow or claim.status not in HELD:
            continue
        if claim.origin != claim.slug or (day + timedelta(days=1)).day != 1 or claim.period.start != day:
            continue
        read = in_chips(claim, parameters)
        if not isinstance(read, Quantity) or read.bound or not _is_whole(area, claim.scope, day, closed):
            continue
        key = area, scope_number(claim.scope), month_number(day)
        reports[key].append(Report(claim.slug, read, claim.origin, claim.published_on))
    out: dict[tuple[int, int], dict[int, Anchor]] = defaultdict(dict)
    for (area, scope, month), said in sorted(reports.items()):
        found = consensus(pool(said), parameters.alpha)
        out[area, scope][month] = Anchor(found.mu, found.variance)
    return dict(out)


def _area(claim: ClaimRow) -> int | None:
    if claim.site_id is not None:
        return int(area_of(SITE, claim.site_id))
    return int(area_of(ORG, claim.subject_id)) if claim.subject_id is not None else None


def _declared_area(row: ClosedBookRow) -> int:
    if row.site_id is not None:
        return int(area_of(SITE, row.site_id))
    if row.organization_id is not None:
        return int(area_of(ORG, row.organization_id))
    return int(area_of(COUNTRY, country_code(row.country)))


def _is_whole(area: int, scope: Scope, day: date, closed: Sequence[ClosedBookRow]) -> bool:
    return any(
        _declared_area(row) == area
        and row.valid.holds(day)
        and (row.scope is None or scope.id == row.scope.id or scope.members <= row.scope.members)
        for row in closed
    )


def whole_months(found: Columns, closed: Sequence[ClosedBookRow], scopes: Mapping[int, Scope]) -> Array:
    """Which cells lie in a book that somebody declared to be whole."""
    out = np.zeros(len(found["area"]), bool)
    for row in closed:
        mine = found["area"] == _declared_area(row)
        if row.valid.start:
            mine &= found["month"] >= month_number(row.valid.start)
        if row.valid.end:
            mine &= found["month"] <= month_number(row.valid.end - timedelta(days=1))
        if row.scope is not None:
            within = [
                n
                for n, scope in scopes.items()
                if scope.members <= row.scope.members or scope.id == row.scope.id
            ]
            mine &= np.isin(found["scope"], within)
        out |= mine
    return out
