"""Counts of one area and kind of chip, one after the other, and the books between them.

A chain of counts is cut by the days for which somebody declared the ledger whole; in between, movements are read as
``position`` reads them, once for the smallest and once for the largest book. docs/method.md, section 3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from tracker.claims.combine import measure
from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.reconciliation import scopes, sequence
from tracker.reconciliation.bias import as_counted
from tracker.reconciliation.books import Books, ClaimRow, ClosedBookRow, Parameters, Scope
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.position import (
    STOCK_STATUSES,
    Area,
    Line,
    Shelf,
    Window,
    area_of,
)
from tracker.reconciliation.sequence import Balances, Entry


@dataclass(frozen=True, slots=True)
class Count:
    """A reported inventory as of a day."""

    day: date
    claim: ClaimRow
    amount: Quantity


@dataclass(frozen=True, slots=True)
class Chain:
    """Successive counts under one declaration that the book is whole. ``scope``: as the counts' ``measure`` counts it.
    ``from_zero``: the first period opens at exactly 0."""

    area: Area
    scope: Scope
    counts: tuple[Count, ...]
    closed: tuple[ClosedBookRow, ...]
    from_zero: bool

    @property
    def measure(self) -> str:
        return measure(self.counts[0].claim.reported)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the books between the counts: flows of each period, and what they balance to."""

    lines: tuple[tuple[Line, ...], ...]
    counts: tuple[Quantity, ...]
    balances: Balances


def counted(books: Books, parameters: Parameters) -> list[tuple[Area, Scope, tuple[Count, ...]]]:
    """Areas and scopes with their counts in order of day, those in chips and those in H100-equivalents apart."""
    found: dict[tuple[str, str, str], tuple[Area, Scope, dict[date, Count]]] = {}
    for claim, _ in echo_groups(books.claims, parameters):
        area, day = area_of(claim, books), claim.period.last
        if (
            claim.status not in STOCK_STATUSES
            or claim.is_flow
            or claim.scope is None
            or area is None
            or day is None
        ):
            continue
        amount, unit = as_counted(claim, parameters), measure(claim.reported)
        if not isinstance(amount, Quantity) or amount.bound:
            continue
        counts = area, scopes.measured(claim.scope, unit), dict[date, Count]()
        days = found.setdefault((area.key, scopes.key(claim.scope), unit), counts)[2]
        here, other = Count(day, claim, amount), days.get(day)
        if other is None or (amount.s, claim.slug) < (other.amount.s, other.claim.slug):
            days[day] = here
    return [
        (area, scope, tuple(days[day] for day in sorted(days)))
        for _, (area, scope, days) in sorted(found.items(), key=lambda one: one[0])
    ]


def chains(area: Area, scope: Scope, counts: Sequence[Count], books: Books) -> list[Chain]:
    """The counts cut by the days for which somebody declared the book whole; a chain has at least one period."""
    found = []
    first = first_shipped(scope, books)
    for days, closed in _whole(area, scope, books.closed):
        inside = tuple(one for one in counts if days.holds(one.day))
        whole_life = first is not None and (days.start is None or days.start <= first)
        from_zero = whole_life and bool(inside) and first is not None and first <= inside[0].day
        if inside and (from_zero or len(inside) > 1):
            found.append(Chain(area, scope, inside, closed, from_zero))
    return found


def _whole(
    area: Area, scope: Scope, closed: Iterable[ClosedBookRow]
) -> list[tuple[Period, tuple[ClosedBookRow, ...]]]:
    """Stretches of days for which the area's book is declared whole for the scope, declarations that touch put together."""
    rows = [
        row
        for row in closed
        if area.id == {"site": row.site_id, "org": row.organization_id, "country": row.country}[area.kind]
        and (row.scope is None or scopes.is_within(scope, row.scope))
    ]
    found: list[tuple[Period, tuple[ClosedBookRow, ...]]] = []
    for row in sorted(rows, key=lambda row: (row.valid.start or date.min, row.ref.id)):
        last = found[-1] if found else None
        if last and (last[0].end is None or row.valid.start is None or row.valid.start <= last[0].end):
            ends = (last[0].end, row.valid.end)
            end = None if None in ends else max(day for day in ends if day)
            found[-1] = Period(last[0].start, end), (*last[1], row)
        else:
            found.append((row.valid, (row,)))
    return found


def first_shipped(scope: Scope, books: Books) -> date | None:
    """The day before which no chip of the scope can have been anywhere; None if it is not known."""
    members = scopes.member_rows(scope, books.chips) or []
    days = [member.first_shipped_on for member in members]
    return min((day for day in days if day), default=None) if None not in days else None


# --- readings --------------------------------------------------------------------------------------------------------


def readings(chain: Chain, shelf: Shelf) -> tuple[Reading, Reading] | str:
    """The smallest and the largest book between the counts; or why neither can be drawn up."""
    positions = [
        shelf.position(
            chain.area, chain.scope, Window(one.day, one.day, False), shipped=False, measure=chain.measure
        )
        for one in chain.counts
    ]
    if any(position.not_countable or position.not_countable_out for position in positions):
        return f"a movement cannot be counted in {chain.measure}"
    if any(line.quantity.bound for position in positions for line in position.lines):
        return "a part of the book is told only as 'at least' or 'at most'"
    return (
        _reading(chain, [position.sure_lines for position in positions], shelf),
        _reading(chain, [position.larger_lines for position in positions], shelf),
    )


def _reading(chain: Chain, held: Sequence[Sequence[Line]], shelf: Shelf) -> Reading:
    """``held``: the lines of the book at each count. What a book holds that the one before did not moved in between."""
    before: set[tuple[int, int]] = set()
    flows: list[tuple[Line, ...]] = []
    for book in held:
        flows.append(tuple(one for one in book if (one.movement.ref.id, one.sign) not in before))
        before = {(one.movement.ref.id, one.sign) for one in book}
    if not chain.from_zero:
        flows = flows[1:]
    counts = tuple(one.amount for one in chain.counts)
    records = {f"count {number:04d}": amount for number, amount in enumerate(counts)}
    periods = []
    for number, lines in enumerate(flows):
        opening = number - 1 if chain.from_zero else number
        entries = [Entry(f"count {opening:04d}", "open")] if opening >= 0 else []
        for role, key, amount in _added(lines):
            name = f"{role} {number:04d} {key}"
            records[name] = amount
            entries.append(Entry(name, role))
        periods.append([*entries, Entry(f"count {opening + 1:04d}", "close")])
    return Reading(tuple(flows), counts, sequence.balances(records, periods))


def _added(lines: Sequence[Line]) -> list[tuple[str, str, Quantity]]:
    """Lines of one period added up by role and house, which loses nothing of their covariance: so that the matrix of errors grows
    with the houses, not with the ledger."""
    groups: dict[tuple[str, str], list[Quantity]] = defaultdict(list)
    for line in sorted(lines, key=lambda one: (one.movement.ref.id, one.sign)):
        groups[role_of(line), line.quantity.key].append(line.quantity)
    found = []
    for (role, key), amounts in sorted(groups.items()):
        own = math.fsum(one.sr**2 + (0.0 if key else one.ss**2) for one in amounts)
        shared = math.fsum(one.ss for one in amounts) if key else 0.0
        mean = math.fsum(one.mu for one in amounts)
        found.append((role, key, Quantity(mean, ss=shared, sr=math.sqrt(own), key=key)))
    return found


def role_of(line: Line) -> str:
    if line.sign > 0:
        return "production" if line.movement.kind == "production" else "receipt"
    return "exit" if line.movement.kind == "retirement" or line.movement.status == "seized" else "dispatch"
