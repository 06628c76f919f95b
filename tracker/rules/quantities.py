"""Quantity limits of export rules: compute caps per calendar year, and volume ratios with uncertain terms.

Both are arithmetic on figures handed in; which movements count, and under which rule, is decided by the
caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import inf, sqrt
from statistics import NormalDist

RATIO_LEVELS = ((0.99, "breach"), (0.90, "likely"), (0.50, "possible"))
"""Lowest probability that the limit is exceeded, and what the result is then called."""


SURE_TO = 1e-9
"""A probability of uncertain quantities stays this far from 0 and 1: the smallest distance that is still there once a finding's
numbers are cut to nine significant digits."""


def exceeds(excess: float, sigma: float) -> tuple[float, str]:
    """Probability that the true excess over a limit is positive, and what that is called.

    With no uncertainty the probability is 1 above the limit and 0 at or below it: a limit that is met exactly
    is kept. With any it is neither (see :data:`SURE_TO`), so that 0 and 1 always mean certainty. The name is
    one of :data:`RATIO_LEVELS` or ``within``.
    """
    p = float(excess > 0)
    if sigma:
        p = min(max(NormalDist().cdf(excess / sigma), SURE_TO), 1 - SURE_TO)
    return p, next((name for lowest, name in RATIO_LEVELS if p >= lowest), "within")


def _excess(total: float, limit: float) -> float:
    """What a total has beyond a limit; 0 where the two differ by the last bits only."""
    excess = total - limit
    return 0.0 if abs(excess) <= 1e-12 * max(abs(total), abs(limit)) else excess


def _ultimate(who: str, parent: Mapping[str, str]) -> str:
    """The last of those who stand above somebody, one above the other; who stands above themselves stand for themselves."""
    seen = [who]
    while (above := parent.get(seen[-1])) is not None and above not in seen:
        seen.append(above)
    return seen[-1]


@dataclass(frozen=True, slots=True)
class CapMovement:
    """So many ICs of one chip to one ultimate consignee on a day."""

    id: str
    to: str
    chip: str
    quantity: float
    shipped: date


@dataclass(frozen=True, slots=True)
class CapTotals:
    """TPP per ``who/year`` (keys sorted), the keys above the cap, and what is left (negative: exceeded by).

    ``uncounted``: movements whose chip has no known TPP; with any of them a total is a lower limit only.
    """

    totals: Mapping[str, float]
    breaches: tuple[str, ...]
    headroom: Mapping[str, float]
    uncounted: tuple[str, ...] = ()


def cap_totals(
    movements: Iterable[CapMovement],
    tpp: Mapping[str, float | None],
    parent: Mapping[str, str],
    cap_tpp: float,
    per: str = "parent",
) -> CapTotals:
    """Sum of quantity x TPP per calendar year and per ultimate consignee, or per its ultimate parent.

    ``per``: ``consignee`` or ``parent`` (a consignee without a parent in ``parent`` stands for itself).
    Source of the usual cap: 15 CFR 740.29, License Exception LPP, 26,900,000 TPP a year; in the text since
    January 2025, never enforced.

    Raises ValueError for another ``per``.
    """
    if per not in ("consignee", "parent"):
        raise ValueError(f"a cap counts per consignee or per parent, not per {per!r}")
    totals: dict[str, float] = {}
    uncounted = []
    for movement in sorted(movements, key=lambda m: (m.shipped, m.id)):
        rate = tpp.get(movement.chip)
        if rate is None:
            uncounted.append(movement.id)
            continue
        who = _ultimate(movement.to, parent) if per == "parent" else movement.to
        key = f"{who}/{movement.shipped.year}"
        totals[key] = totals.get(key, 0) + movement.quantity * rate
    totals = dict(sorted(totals.items()))
    return CapTotals(
        totals=totals,
        breaches=tuple(key for key, total in totals.items() if _excess(total, cap_tpp) > 0),
        headroom={key: cap_tpp - total for key, total in totals.items()},
        uncounted=tuple(uncounted),
    )


@dataclass(frozen=True, slots=True)
class RatioLevel:
    """How a volume stands to its limit. Numbers are None where the denominator is not known.

    ``allowed`` = limit x denominator, ``excess`` = numerator - allowed, ``sigma`` its standard deviation,
    ``p_exceeds`` the probability that the true numerator lies above what is allowed. ``level``: breach,
    likely, possible, within, or ``cannot be evaluated``.
    """

    ratio: float | None
    allowed: float | None
    excess: float | None
    sigma: float | None
    p_exceeds: float | None
    level: str


def ratio_level(
    numerator: float,
    denominator: float | None,
    limit: float,
    sd_numerator: float = 0.0,
    sd_denominator: float = 0.0,
) -> RatioLevel:
    """``p = Phi((N - rho D) / sqrt(sN^2 + rho^2 sD^2))``; standard deviations in the units of their terms.

    Named by :func:`exceeds`. The ratio is infinite where the denominator is 0 and the numerator is not.
    """
    if denominator is None:
        return RatioLevel(None, None, None, None, None, "cannot be evaluated")
    allowed = limit * denominator
    excess = _excess(numerator, allowed)
    sigma = sqrt(sd_numerator**2 + (limit * sd_denominator) ** 2)
    p, level = exceeds(excess, sigma)
    ratio = numerator / denominator if denominator else (inf if numerator else 0.0)
    return RatioLevel(ratio, allowed, excess, sigma, p, level)
