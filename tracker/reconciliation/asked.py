"""What the claims that are held together ask of the ledger's lines: near which places, of which chips, between which days.

Whatever two lines answer alike here, ``position`` answers alike for both in every book that these claims meet; so the database
may add such lines up (``bundles``). A test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.claims.combine import measure
from tracker.core.period import DAY
from tracker.core.quantity import EQUIVALENTS
from tracker.reconciliation import scopes
from tracker.reconciliation.books import Books, ChipRow, ClaimRow, Scope
from tracker.reconciliation.position import area_of, seller_of, window_of

ELSEWHERE = "ZZ"
"""Country of a line where no claim asks which it is, and it is not blank; a code that no country has."""
SOMEBODY, SOMEWHERE = -1, -1
"""Party, and site, of a line where it matters that there is one, and no claim asks which."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The areas of some claims, with all that ``position`` asks of a line because of them.

    ``countries``: areas. ``seats``: countries of the sites. ``parties``: organizations that are areas. ``operators``: of the
    sites. ``sellers``: whom claims name as having sent the chips. ``sites``: areas with their parts. ``scopes``: what the claims
    count. ``weighed``: those of them that some claim counts in H100-equivalents. ``days``: last days of the stretches that the
    claims tell apart; a further one begins after the last.
    """

    countries: frozenset[str] = frozenset()
    seats: frozenset[str] = frozenset()
    parties: frozenset[int] = frozenset()
    operators: frozenset[int] = frozenset()
    sellers: frozenset[int] = frozenset()
    sites: frozenset[int] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    weighed: frozenset[Scope] = frozenset()
    days: tuple[date, ...] = ()


def together(parts: Iterable[Asked]) -> Asked:
    """What all of them ask."""
    rows = list(parts)
    return Asked(
        countries=frozenset(one for row in rows for one in row.countries),
        seats=frozenset(one for row in rows for one in row.seats),
        parties=frozenset(one for row in rows for one in row.parties),
        operators=frozenset(one for row in rows for one in row.operators),
        sellers=frozenset(one for row in rows for one in row.sellers),
        sites=frozenset(one for row in rows for one in row.sites),
        scopes=frozenset(one for row in rows for one in row.scopes),
        weighed=frozenset(one for row in rows for one in row.weighed),
        days=tuple(sorted({day for row in rows for day in row.days})),
    )


def asked(claims: Iterable[ClaimRow], books: Books) -> Asked:
    """What claims ask that name a place, a kind of chip and days; the others are held against no line."""
    found = []
    for claim in claims:
        area, window = area_of(claim, books), window_of(claim)
        if area is None or claim.scope is None or window is None:
            continue
        seller = seller_of(claim, books)
        site = books.sites[int(area.id)] if area.kind == "site" else None
        found.append(Asked(
            countries=frozenset({str(area.id)} if area.kind == "country" else ()),
            seats=frozenset({site.country} if site and site.country else ()),
            parties=frozenset({int(area.id)} if area.kind == "org" else ()),
            operators=frozenset({site.operator_id} if site and site.operator_id is not None else ()),
            sellers=frozenset({seller} if seller is not None else ()),
            sites=frozenset({site.ref.id, *site.parts} if site else ()),
            scopes=frozenset({claim.scope}),
            weighed=frozenset({claim.scope} if measure(claim.reported) == EQUIVALENTS else ()),
            days=((window.first - DAY) if window.is_flow else window.first, window.last),
        ))  # fmt: skip
    return together(found)


def stand_ins(numbered: Mapping[int, Scope], of: Asked, chips: Mapping[int, ChipRow]) -> dict[int, int]:
    """The number of every scope that may hold chips of the scopes asked ``of`` -> the smallest number of those that stand to all
    of them as it does, and count as many H100-equivalents where these are asked."""
    wanted, weighed = (sorted(some, key=scopes.key) for some in (of.scopes, of.weighed))
    first: dict[tuple[Any, ...], int] = {}
    found = {}
    for number, scope in sorted(numbered.items()):
        stands = tuple(
            (scopes.may_overlap(scope, one, chips), scopes.is_within(scope, one)) for one in wanted
        )
        if any(may for may, _ in stands):
            counts = tuple(scopes.worth(scope, one, chips) for one in weighed)
            found[number] = first.setdefault((stands, counts), number)
    return found
