"""Figures with the bias that they share: what one house says in one stretch of months errs alike, and afresh in the next.

An error that lasted for ever would make sums over many years look worse, and steady losses harder to see, than they are
(docs/method.md, section 2). Stretches are counted from January 2000, so that neither the day of a run nor the other records
decide which of them a figure belongs to.
"""

from __future__ import annotations

from datetime import date

from tracker.claims.combine import in_its_measure, quantity
from tracker.core.period import DAY
from tracker.core.quantity import NotComparable, Quantity
from tracker.reconciliation.books import ClaimRow, MovementRow, NamedLine, Parameters

FIRST_YEAR = 2000


def era(day: date, months: int) -> int:
    """The stretch of so many months in which a day lies, the first beginning with January 2000.

    >>> era(date(2000, 1, 1), 24), era(date(2025, 12, 31), 24), era(date(2026, 1, 1), 24), era(date(1999, 12, 31), 24)
    (0, 12, 13, -1)
    """
    return ((day.year - FIRST_YEAR) * 12 + day.month - 1) // months


def ends_of_eras(until: date, months: int) -> list[date]:
    """The last days of all stretches from January 2000 that are over by a day.

    >>> [str(day) for day in ends_of_eras(date(2004, 1, 1), 24)]
    ['2001-12-31', '2003-12-31']
    """
    starts = (
        date(FIRST_YEAR + at // 12, at % 12 + 1, 1) for at in range(months, (era(until, 1) + 1), months)
    )
    return [start - DAY for start in starts]


def dated(key: str, day: date | None, months: int) -> str:
    """A bias key as it holds on a day; of no known day a key of its own.

    >>> dated("press", date(2024, 1, 15), 24), dated("press", None, 24), dated("", date(2024, 1, 15), 24)
    ('press | 12', 'press', '')
    """
    return f"{key} | {era(day, months)}" if key and day else key


def in_chips(claim: ClaimRow, parameters: Parameters) -> Quantity | NotComparable:
    """The distribution of a claim's figure, in chips."""
    return quantity(claim.reported, parameters, _key(claim, parameters))


def as_counted(claim: ClaimRow, parameters: Parameters) -> Quantity | NotComparable:
    """The distribution of a claim's figure in its measure: chips, or H100-equivalents."""
    return in_its_measure(claim.reported, parameters, _key(claim, parameters))


def _key(claim: ClaimRow, parameters: Parameters) -> str:
    return dated(claim.key, claim.period.last, parameters.bias_key_months)


def house(movement: NamedLine) -> str:
    """Who published a movement's figure."""
    return movement.source.publisher or movement.source.slug


def key_of_line(movement: MovementRow, parameters: Parameters) -> str:
    """Bias key of a movement's own figure: its house, on the last day on which it may have left, else the first on which it
    came."""
    left, came = movement.shipped, movement.received
    day = (left.last or left.start) if left else came.start if came else None
    return dated(house(movement), day, parameters.bias_key_months)
