"""Which balance cells a new version of a movement makes stale: these, and no others.

For every area that holds one end and not the other, the flow cell of the month in which the goods left or came in; then the
balance cells from that month on, to the next count (anchor) of the area, which starts the book afresh, or else to the last month.
docs/method.md, section 6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

Cell = tuple[str, str, date]
"""Area, scope, first day of the month."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One version of a movement, as far as books are concerned. ``origin`` and ``destination``: the areas that hold each end.

    ``scopes``: names under which the chips are booked, the chip's own first. ``received``: a reported day, or the presumed one.
    """

    scopes: tuple[str, ...]
    origin: frozenset[str]
    destination: frozenset[str]
    shipped: date | None
    received: date | None


@dataclass(frozen=True, slots=True)
class Dirty:
    """Cells whose receipts or dispatches change, and cells whose book may."""

    flow: frozenset[Cell] = field(default_factory=frozenset)
    balance: frozenset[Cell] = field(default_factory=frozenset)


def dirty(
    versions: Iterable[Leg | None], anchors: Mapping[tuple[str, str], Collection[date]], last_month: date
) -> Dirty:
    """Stale cells for a change between ``versions`` of one movement; None stands for one that is not there: a first version
    has no predecessor, a withdrawn one no successor.

    ``anchors``: (area, scope) -> days of counts. A count of the chip itself also ends the chains of its wider scopes
    there. A count before the day of the flow ends nothing. ``last_month``: first day of the last month that is kept.
    """
    flow: set[Cell] = set()
    balance: set[Cell] = set()
    for leg in versions:
        for area, day in _touched(leg) if leg else ():
            month = day.replace(day=1)
            for scope in leg.scopes if leg else ():
                flow.add((area, scope, month))
                last = _end(area, scope, leg.scopes[0] if leg else scope, day, anchors, last_month)
                balance.update((area, scope, one) for one in months(month, last))
    return Dirty(frozenset(flow), frozenset(balance))


def _touched(leg: Leg) -> Iterator[tuple[str, date]]:
    """Areas with a flow, each with its day."""
    if leg.shipped:
        yield from ((area, leg.shipped) for area in leg.origin - leg.destination)
    if leg.received:
        yield from ((area, leg.received) for area in leg.destination - leg.origin)


def _end(
    area: str,
    scope: str,
    chip: str,
    day: date,
    anchors: Mapping[tuple[str, str], Collection[date]],
    last_month: date,
) -> date:
    counts = {*anchors.get((area, chip), ()), *anchors.get((area, scope), ())}
    later = [one.replace(day=1) for one in counts if one >= day]
    return min([last_month, *later])


def months(first: date, last: date) -> Iterator[date]:
    """First days of the months from ``first`` to ``last``, both included and both first days; nothing if last is earlier."""
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield date(number // 12, number % 12 + 1, 1)
