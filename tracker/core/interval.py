"""A number of which only the range is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Interval:
    """A number known to lie in ``[low, high]``; ``high`` may be infinite (only a lower limit is known).

    >>> Interval(4700.0, 4900.0).times(2)
    Interval(low=9400.0, high=9800.0)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise ValueError(f"a range cannot run from {self.low} to {self.high}")

    @property
    def is_point(self) -> bool:
        return self.low == self.high

    def times(self, factor: float) -> Interval:
        """The range of ``factor`` times the number; ``factor`` is not negative."""
        return Interval(self.low * factor, self.high * factor)

    def over(self, divisor: Interval) -> Interval:
        """The range of the quotient of two positive numbers, as on paper.

        Divided as decimals: 2,401.6 / 1,501 is 1.6, and a little less in binary fractions; 1.6 is a threshold.

        >>> Interval(2401.6, 2401.6).over(Interval(1501.0, 1501.0)).low
        1.6
        """
        return Interval(_quotient(self.low, divisor.high), _quotient(self.high, divisor.low))

    def __str__(self) -> str:
        if self.is_point:
            return f"{self.low:,.10g}"
        if math.isinf(self.high):
            return f"at least {self.low:,.10g}"
        return f"{self.low:,.10g} to {self.high:,.10g}"


def _quotient(top: float, bottom: float) -> float:
    return float(Decimal(repr(float(top))) / Decimal(repr(float(bottom))))


Number = float | Interval
"""A figure as a sheet gives it: one number, or a range."""


def interval(number: Number) -> Interval:
    return number if isinstance(number, Interval) else Interval(float(number), float(number))


def plain(number: Interval) -> Number:
    """A range of no width as the number it is."""
    return number.low if number.is_point else number
