"""A figure as it was reported, and the distribution that is read from it.

``Reported`` is what the paper says (nothing computed); ``Quantity`` is mean and spread in chips, split into the part that
all reports of one house share (systematic) and the part that is each report's own (random). The reading follows
docs/method.md, section 2; the arithmetic of units is in ``claims.combine``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

Z90 = 1.644853626951472
"""Half-width of a central 90 % interval of a normal distribution, in standard deviations."""

MDG_FACTOR = 3.29
"""Smallest detectable gap in standard deviations: 2 x 1.645. A one-sided test at 5 % sees such a gap 19 times in 20; a two-sided
one, which asks for 1.96, 10 times in 11 (90.8 %)."""

SIGNIFICANT_DIGITS = 9
"""Digits kept of a stored statistic: more than any report carries, fewer than two machines may disagree about."""

AS_CHIPS = {
    "chips": "",
    "cards": "a card is counted as one chip",
    "GPU-equivalents": "a GPU-equivalent is counted as one chip",
}
"""Units that are read as so many chips, with the assumption to print."""
EQUIVALENTS = "H100-equivalents"
"""Unit of figures that were made comparable already: units x TPP / 15,832. Never read as chips."""
CARRIERS = {"servers": "server", "systems": "system", "racks": "rack", "units": "unit"}
"""Units that hold several chips, with the word for one."""
DEFAULT_FITS = ("servers", "systems")
"""Carriers that hold eight chips more often than not; a rack has no usual number."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What was said: low, best, high as written, in ``unit``; blanks stay None.

    ``bound``: ``floor`` ("more than"), ``ceiling`` ("as many as"), ``words`` (no number), else ``""``.
    ``per_unit``: chips per unit where the model is named; None where it is not (servers) or not needed (chips).
    """

    low: float | None = None
    best: float | None = None
    high: float | None = None
    unit: str = "chips"
    grade: str = "C"
    bound: str = ""
    exact: bool = False
    per_unit: float | None = None


class ReadingParameters(Protocol):
    """The numbers that a reading needs; the parameters of a run have them."""

    @property
    def grade_rel_sd(self) -> Mapping[str, float]: ...
    @property
    def systematic_share(self) -> float: ...
    @property
    def chips_per_unnamed_server(self) -> int: ...
    @property
    def rel_sd_unnamed_server(self) -> float: ...


@dataclass(frozen=True, slots=True)
class StandardReading:
    """The numbers by which quantities are read unless a run says otherwise; docs/method.md, section 2, gives their reasons."""

    grade_rel_sd: Mapping[str, float] = field(
        default_factory=lambda: {"A": 0.01, "B": 0.03, "C": 0.10, "D": 0.25, "E": 0.50}
    )
    systematic_share: float = 0.5
    chips_per_unnamed_server: int = 8
    rel_sd_unnamed_server: float = 0.15


@dataclass(frozen=True, slots=True)
class Quantity:
    """Mean ``mu`` and standard deviations in chips (or in the unit of the reading).

    ``sb``: base spread from interval, grade and unit; ``ss``: its systematic part, shared by all quantities with the same
    ``key`` (an empty key is shared with nobody); ``sr``: random part, with rounding. ``bound``: ``lower`` ("at least mu"),
    ``upper`` ("at most mu") or ``""``; a bound is no estimate and is never averaged or summed as one. ``half_width``: how far
    the writer may have rounded, 0 where rounding plays no part. ``assumptions``: sentences to print with the figure.
    """

    mu: float
    sb: float = 0.0
    ss: float = 0.0
    sr: float = 0.0
    bound: str = ""
    key: str = ""
    grade: str = ""
    half_width: float = 0.0
    assumptions: tuple[str, ...] = ()

    @property
    def variance(self) -> float:
        return self.ss**2 + self.sr**2

    @property
    def s(self) -> float:
        """Whole standard deviation."""
        return math.hypot(self.ss, self.sr)


@dataclass(frozen=True, slots=True)
class NotComparable:
    """Why a figure cannot be read as a number of chips."""

    reason: str


@dataclass(frozen=True, slots=True)
class Total:
    """A signed sum of quantities. ``shares``: each term's part of the variance, in the order given (0 if there is none)."""

    mu: float
    variance: float
    shares: tuple[float, ...] = field(default=())

    @property
    def s(self) -> float:
        return math.sqrt(self.variance)


def rounding_half_width(value: float) -> float:
    """Half a unit of the last digit that the writer meant.

    Trailing zeros are not believed, except that two significant digits always are.

    >>> [rounding_half_width(v) for v in (115000, 100000, 2384, 40, 7)]
    [500.0, 5000.0, 0.5, 0.5, 0.5]
    """
    if value == 0:
        return 0.5
    digits = Decimal(repr(float(value))).normalize().as_tuple()
    exponent = int(digits.exponent)
    if exponent < 0:  # 12.5: written to a tenth
        return 0.5 * 10.0**exponent
    length = len(digits.digits) + exponent
    return 0.5 * 10.0 ** max(0, min(exponent, length - 2))


def spread(value: float, interval: tuple[float, float] | None) -> tuple[float, float]:
    """Mean and standard deviation of the interval alone, read as a central 90 % interval around ``value`` (split normal).

    >>> mean, sd = spread(100000, (80000, 130000))
    >>> round(mean), round(sd)
    (104851, 15336)
    """
    if interval is None:
        return value, 0.0
    below, above = (value - interval[0]) / Z90, (interval[1] - value) / Z90
    mean = value + math.sqrt(2 / math.pi) * (above - below)
    return mean, math.sqrt((1 - 2 / math.pi) * (above - below) ** 2 + below * above)


def covariance(one: Quantity, other: Quantity) -> float:
    """What two different reports share: the product of their systematic parts if they have the same bias key, else 0."""
    return one.ss * other.ss if one.key and one.key == other.key else 0.0


def total(terms: Sequence[tuple[float, Quantity]]) -> Total:
    """The sum of sign x quantity, with the systematic parts of one key added before they are squared.

    Order of ``terms`` matters only in the last bit; callers sort by record id first.
    """
    shared: dict[str, float] = {}
    for sign, quantity in terms:
        if quantity.key:
            shared[quantity.key] = shared.get(quantity.key, 0.0) + sign * quantity.ss
    parts = [
        quantity.sr**2 + (sign * quantity.ss * shared[quantity.key] if quantity.key else quantity.ss**2)
        for sign, quantity in terms
    ]
    variance = max(0.0, math.fsum(parts))
    shares = tuple(part / variance for part in parts) if variance else (0.0,) * len(parts)
    return Total(math.fsum(sign * quantity.mu for sign, quantity in terms), variance, shares)


def scaled(quantity: Quantity, factor: float) -> Quantity:
    """The same quantity in another unit (``factor`` new units per old unit, positive)."""
    return Quantity(
        quantity.mu * factor, quantity.sb * factor, quantity.ss * factor, quantity.sr * factor,
        quantity.bound, quantity.key, quantity.grade, quantity.half_width * factor, quantity.assumptions,
    )  # fmt: skip


def stored(value: float | None) -> float | None:
    """A statistic as it is kept: 9 significant digits, so that the last bit of a sum never makes two runs differ."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def weakest(grades: Iterable[str]) -> str:
    """The weakest of the grades A (best) to E, blanks left out; ``""`` if there is none."""
    return max((grade for grade in grades if grade), default="")
