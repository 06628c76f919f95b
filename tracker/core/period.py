"""Dates and half-open date ranges: ``[start, end)``, an absent end meaning open.

The day a thing changes belongs to the new version. Papers that speak in inclusive days are converted once, on loading
(:meth:`Period.inclusive`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open stretch of days ``[start, end)``; ``None`` means unbounded on that side.

    >>> Period(date(2023, 11, 17), None).holds(date(2026, 1, 1))
    True
    >>> Period.inclusive(date(2022, 10, 21), date(2023, 11, 16)).holds(date(2023, 11, 17))
    False
    """

    start: date | None
    end: date | None

    def __post_init__(self) -> None:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"a period cannot end ({self.end}) before it starts ({self.start})")

    @classmethod
    def inclusive(cls, first: date | None, last: date | None) -> Period:
        """The period whose last day is ``last``, as legal texts write it."""
        return cls(first, last + DAY if last else None)

    @property
    def last(self) -> date | None:
        """The last day inside the period, or None when it is open."""
        return self.end - DAY if self.end else None

    def holds(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day < self.end)

    def overlaps(self, other: Period) -> bool:
        return (self.start is None or other.end is None or self.start < other.end) and (
            other.start is None or self.end is None or other.start < self.end
        )

    def __str__(self) -> str:
        return f"{self.start or '…'} to {self.last or '…'}"


def twelve_months(last: date) -> Period:
    """The twelve months that end with the day ``last``.

    >>> str(twelve_months(date(2026, 6, 30))), str(twelve_months(date(2024, 2, 28)))
    ('2025-07-01 to 2026-06-30', '2023-02-28 to 2024-02-28')
    """
    until = last + DAY
    day = 28 if (until.month, until.day) == (2, 29) else until.day
    return Period(until.replace(year=until.year - 1, day=day), until)


def quarter(day: date) -> str:
    """The calendar quarter of a day, written ``2026Q1``."""
    return f"{day.year}Q{(day.month + 2) // 3}"
