"""Shipment lines as columns: how many chips each says, with what error, and on which days.

The reading of a figure is that of ``claims.combine.quantity`` (docs/method.md, section 2), over arrays instead of one by one; a
test holds the two to each other. Sums of millions of lines must not depend on the order of reading, nor on whether a month was
added up at once or brought up to date later. So every term is cut to a fixed binary step (:data:`CHIP_STEP`,
:data:`ERROR_STEP`, :data:`VARIANCE_STEP`), small against any report's error: such sums are exact in binary arithmetic, and
exact sums know no order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.core.quantity import ReadingParameters

Array = np.ndarray

CHIP_STEP = 2.0**-10
"""Step of numbers of chips: a thousandth. Exact sums up to 8.8e12 chips."""
ERROR_STEP = 2.0**-20
"""Step of systematic errors, in chips. Exact sums up to 8.5e9 chips."""
VARIANCE_STEP = 2.0**-10
"""Step of random variances, in chips squared. Exact sums up to 8.8e12."""

EPOCH = date(2000, 1, 1)
"""Days are counted from here, as PostgreSQL counts them."""
NO_DAY = -(2**31)
UNNAMED = -1.0
"""``per_unit`` of servers whose model is not named."""
UNCOUNTABLE = 0.0
"""``per_unit`` of units that do not tell chips."""

LINE = np.dtype(
    [
        ("id", "i8"), ("scope", "i8"), ("quantity", "f8"), ("per_unit", "f8"), ("by_shipper", "f8"), ("by_receiver", "f8"),
        ("shipper", "i8"), ("consignee", "i8"), ("origin", "i4"), ("destination", "i4"),
        ("shipped", "i4"), ("shipped_latest", "i4"), ("received", "i4"), ("received_latest", "i4"),
        ("origin_country", "S2"), ("destination_country", "S2"), ("grade", "S1"), ("grade_by_shipper", "S1"),
        ("grade_by_receiver", "S1"), ("kind", "S1"), ("status", "S3"), ("bound", "S1"), ("exact", "S1"),
    ]
)  # fmt: skip
"""One line. ``scope``: twice the chip's id, or twice the family's id and one. Ids are 0 and ends' own figures negative where not
recorded; days are :data:`NO_DAY`. ``kind``, ``status``, ``bound``: first letters; ``exact``: ``x``."""

_UNASKED = {
    "by_shipper",
    "by_receiver",
    "grade_by_shipper",
    "grade_by_receiver",
    "origin_country",
    "kind",
    "received_latest",
}
CHAIN_LINE = np.dtype(
    [*(field for field in LINE.descr if field[0] not in _UNASKED), ("end_user", "i8"), ("source", "i8")]
)
"""A line with all that a running balance asks of it, and no more; ids are 0 where not recorded."""

RETURNED, CANCELLED, SEIZED, IN_TRANSIT = b"ret", b"can", b"sei", b"in "
REPORTED, RECEIVED = b"rep", b"rec"
TRANSFER, PRODUCTION, RETIREMENT = b"t", b"p", b"r"
FLOOR, CEILING = b"f", b"c"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of each line: ``mu`` chips, ``systematic`` error (chips), ``random`` variance (chips squared), whether it says "at least".

    ``usable``: it tells a number of chips, and not only "at most" so many.
    """

    mu: Array
    systematic: Array
    random: Array
    floor: Array
    usable: Array


def step(values: Array, size: float) -> Array:
    """Values cut to whole steps: what makes sums exact."""
    return np.rint(values / size) * size


def half_widths(quantity: Array) -> Array:
    """``core.quantity.rounding_half_width`` of positive numbers with at most three decimals.

    >>> half_widths(np.array([115000.0, 100000.0, 2384.0, 40.0, 12.5])).tolist()
    [500.0, 5000.0, 0.5, 0.5, 0.05]
    """
    thousandths = np.rint(quantity * 1000).astype(np.int64)
    zeros = np.zeros(len(thousandths), np.int64)
    left, whole = thousandths.copy(), thousandths > 0
    for _ in range(18):  # a 64-bit number has no more digits
        even = whole & (left % 10 == 0) & (left > 0)
        if not even.any():
            break
        left[even] //= 10
        zeros[even] += 1
    length = np.floor(np.log10(np.maximum(thousandths, 1)) + 1e-12).astype(np.int64) + 1 - 3
    # places of the last digit that the writer meant: negative for decimals; two digits are always believed
    place = zeros - 3
    place = np.where(place > 0, np.minimum(place, np.maximum(length - 2, 0)), place)
    return np.asarray(0.5 * 10.0 ** place.astype(float))


def amounts(lines: Array, parameters: ReadingParameters) -> Amounts:
    """What the lines say of chips (``quantity``), in exact steps."""
    exact = lines["exact"] == b"x"
    return read(lines["quantity"], lines["per_unit"], lines["grade"], exact, lines["bound"], parameters)


def end(lines: Array, side: str, parameters: ReadingParameters) -> Amounts:
    """What one end of each line (``shipper`` or ``receiver``) says by itself; only lines on which it does are usable."""
    exact = lines["exact"] == b"x"
    none = np.full(len(lines), b"-")
    given = lines[f"by_{side}"]
    found = read(
        np.maximum(given, 0),
        lines["per_unit"],
        lines[f"grade_by_{side}"],
        exact,
        none,
        parameters,
        stepped=False,
    )
    return Amounts(found.mu, found.systematic, found.random, found.floor, found.usable & (given >= 0))


def read(
    quantity: Array,
    per_unit: Array,
    grade: Array,
    exact: Array,
    bound: Array,
    parameters: ReadingParameters,
    stepped: bool = True,
) -> Amounts:
    """The reading of figures in the units given (chips per unit, :data:`UNNAMED` or :data:`UNCOUNTABLE`)."""
    unnamed = per_unit == UNNAMED
    factor = np.where(unnamed, float(parameters.chips_per_unnamed_server), per_unit)
    mu = quantity * factor
    grade_sd = np.where(exact, 0.0, by_grade(grade, parameters.grade_rel_sd))
    unit_sd = np.where(unnamed, parameters.rel_sd_unnamed_server, 0.0)
    base = mu**2 * (grade_sd**2 + unit_sd**2)
    point = ~exact & (bound != FLOOR) & (bound != CEILING)
    half = np.where(point, half_widths(quantity) * factor, 0.0)
    share = parameters.systematic_share
    systematic, random = np.sqrt(share * base), (1 - share) * base + half**2 / 3
    if stepped:
        mu, systematic, random = (
            step(mu, CHIP_STEP),
            step(systematic, ERROR_STEP),
            step(random, VARIANCE_STEP),
        )
    usable = (per_unit != UNCOUNTABLE) & (bound != CEILING)
    return Amounts(mu, systematic, random, bound == FLOOR, usable)


def by_grade(grade: Array, rel_sd: Mapping[str, float]) -> Array:
    """The relative sd of each grade letter.

    Raises:
        KeyError: a letter that the table of the parameters does not have.
    """
    table = np.full(256, np.nan)
    for letter, sd in rel_sd.items():
        table[ord(letter)] = sd
    found = table[np.frombuffer(np.ascontiguousarray(grade).tobytes(), np.uint8)]
    if np.isnan(found).any():
        raise KeyError(f"a grade is not one of {', '.join(sorted(rel_sd))}")
    return found


def months(days: Array) -> Array:
    """Calendar months of days, counted from January 2000; days that are not known give nonsense and are masked by callers."""
    known = np.where(days == NO_DAY, 0, days)
    return (np.datetime64(EPOCH, "D") + known).astype("datetime64[M]").astype(np.int64) - 360


def month_number(day: date) -> int:
    """The number of a day's calendar month, as :func:`months` counts."""
    return (day.year - 2000) * 12 + day.month - 1


def first_day(month: int) -> date:
    """The first day of a month so counted."""
    return date(2000 + month // 12, month % 12 + 1, 1)


def left_on(lines: Array) -> Array:
    """The last possible day of leaving, or :data:`NO_DAY`."""
    return np.where(lines["shipped_latest"] != NO_DAY, lines["shipped_latest"], lines["shipped"])


def arrived_on(lines: Array, lead_time_days: int) -> Array:
    """The last possible day of arrival; where none is recorded, the usual lead time after the last day of leaving."""
    recorded = np.where(
        lines["received"] == NO_DAY, NO_DAY, _latest(lines["received"], lines["received_latest"])
    )
    left = left_on(lines)
    presumed = np.where(lines["shipped"] == NO_DAY, NO_DAY, left + np.int32(lead_time_days))
    return np.where(recorded == NO_DAY, presumed, recorded)


def _latest(first: Array, last: Array) -> Array:
    return np.where(last != NO_DAY, last, first)
