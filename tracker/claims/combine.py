"""From what was said to a number of chips, and from many reports of one quantity to one statement about it.

Reading a figure (docs/method.md, section 2), telling echoes from corroboration (section 3), pooling reports that share a
bias, and asking whether they can all be right (section 4, CONFLICT). Pure: no table is read here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from scipy.special import chdtrc, ndtr

from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.quantity import (
    AS_CHIPS,
    CARRIERS,
    DEFAULT_FITS,
    EQUIVALENTS,
    NotComparable,
    Quantity,
    ReadingParameters,
    Reported,
    covariance,
    rounding_half_width,
    spread,
)


def quantity(reported: Reported, parameters: ReadingParameters, key: str = "") -> Quantity | NotComparable:
    """The distribution of a reported figure, in chips.

    Units are applied first; then interval, rounding, grade floor and the split into systematic and random spread.

    Raises:
        BadInput: the grade is not in the table of ``parameters``.
    """
    if reported.grade not in parameters.grade_rel_sd:
        raise BadInput(f"grade {reported.grade!r} is not one of {', '.join(sorted(parameters.grade_rel_sd))}")
    unit = _chips_per_unit(reported, parameters)
    if isinstance(unit, NotComparable):
        return unit
    factor, rel_sd_unit, unit_assumption = unit
    reading = _reading(reported)
    if isinstance(reading, NotComparable):
        return reading
    value, interval, bound, figure_assumption = reading
    assumptions = tuple(text for text in (unit_assumption, figure_assumption) if text)
    point = interval is None and not bound and not reported.exact
    half = rounding_half_width(value) * factor if point else 0.0
    best = value * factor
    mu, s_interval = spread(best, (interval[0] * factor, interval[1] * factor) if interval else None)
    if reported.best is None and interval:  # nobody singled out a value: every one between the two is as good
        mu, s_interval = best, (interval[1] - interval[0]) * factor / math.sqrt(12)
    floor = 0.0 if reported.exact else parameters.grade_rel_sd[reported.grade] * abs(best)
    sb = math.hypot(max(0.0 if reported.exact else s_interval, floor), rel_sd_unit * abs(best))
    share = parameters.systematic_share
    return Quantity(
        mu=best if reported.exact else mu,
        sb=sb,
        ss=math.sqrt(share) * sb,
        sr=math.sqrt((1 - share) * sb**2 + half**2 / 3),
        bound=bound,
        key=key,
        grade=reported.grade,
        half_width=half,
        assumptions=assumptions,
    )


AS_EQUIVALENTS = (
    "the H100-equivalents of the source are taken to be chips x TPP / 15,832, as the ledger's are"
)


def measure(reported: Reported) -> str:
    """What a figure counts once its unit is applied: chips, or H100-equivalents where the source gives those."""
    return EQUIVALENTS if reported.unit == EQUIVALENTS else "chips"


def in_its_measure(
    reported: Reported, parameters: ReadingParameters, key: str = ""
) -> Quantity | NotComparable:
    """The distribution of a reported figure in its :func:`measure`. Only figures of one measure may be held against one another;
    a book can be drawn up in either (``reconciliation.position``)."""
    if measure(reported) != EQUIVALENTS:
        return quantity(reported, parameters, key)
    read = quantity(replace(reported, unit="chips"), parameters, key)
    return (
        replace(read, assumptions=(*read.assumptions, AS_EQUIVALENTS)) if isinstance(read, Quantity) else read
    )


def _chips_per_unit(
    reported: Reported, parameters: ReadingParameters
) -> tuple[float, float, str] | NotComparable:
    """Chips per unit, the extra relative sd that the conversion brings, and the assumption to print."""
    unit, per_unit = reported.unit, reported.per_unit
    if unit in AS_CHIPS:
        return 1.0, 0.0, AS_CHIPS[unit]
    if unit in CARRIERS and per_unit is not None:
        return float(per_unit), 0.0, f"{per_unit:g} chips per {CARRIERS[unit]}, as the model has"
    if unit in DEFAULT_FITS:
        usual = parameters.chips_per_unnamed_server
        percent = 100 * parameters.rel_sd_unnamed_server
        text = (
            f"{usual} chips per {CARRIERS[unit]}, because the model is not named (extra error {percent:g} %)"
        )
        return float(usual), parameters.rel_sd_unnamed_server, text
    if unit in CARRIERS:
        return NotComparable(f"counts {unit}, and how many chips one holds is not known")
    return NotComparable(f"counts {unit}, which are not chips")


def _reading(reported: Reported) -> tuple[float, tuple[float, float] | None, str, str] | NotComparable:
    """Central value, 90 % interval (None for a point or a bound), bound and assumption, in the unit of the source."""
    low, best, high = reported.low, reported.best, reported.high
    if reported.bound == "words" or (low is None and best is None and high is None):
        return NotComparable("is given in words only, without a number")
    if reported.bound == "floor":
        return _first(low, best, high), None, "lower", ""
    if reported.bound == "ceiling":
        return _first(high, best, low), None, "upper", ""
    if best is None:
        if low is None or high is None:
            return _first(low, high), None, "upper" if low is None else "lower", ""
        return (low + high) / 2, (low, high), "", ""
    if low is not None and high is not None:
        return best, (low, high), "", ""
    return _half_open(low, best, high)


def _half_open(
    low: float | None, best: float, high: float | None
) -> tuple[float, tuple[float, float] | None, str, str]:
    """A best value with one side or none: the known side serves for both; a side that equals the value is a bound."""
    if low is None and high is None:
        return best, None, "", ""
    if low == best and high is None:
        return best, None, "lower", "low and best agree and no high is given: read as 'at least'"
    if high == best and low is None:
        return best, None, "upper", "best and high agree and no low is given: read as 'at most'"
    reach = best - low if low is not None else _first(high) - best
    known = "low" if low is not None else "high"
    return (
        best,
        (best - reach, best + reach),
        "",
        f"only the {known} side of the range is given: used for both sides",
    )


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


# --- echo or corroboration -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one quantity. ``origin``: name of the primary report it repeats (its own if it is primary)."""

    id: str
    quantity: Quantity
    origin: str
    published: date | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What decides whether one report may be an echo of another. ``cites``: names or links of what it refers to;
    ``wire``: the house whose figure it passes on."""

    report: Report
    subject: str
    scope: str
    status: str
    period: Period
    wire: str = ""
    cites: frozenset[str] = frozenset()


def _earliest(report: Report) -> tuple[date, str]:
    return report.published or date.max, report.id


def independent(reports: Sequence[Report]) -> list[Report]:
    """One report of every origin, sorted by id; the others are echoes.

    The one that the origin is named after stands for it; if it is not among them, the earliest published, ties by id.
    """
    primary: dict[str, Report] = {}
    for report in sorted(reports, key=lambda report: (report.id != report.origin, *_earliest(report))):
        primary.setdefault(report.origin, report)
    return sorted(primary.values(), key=lambda report: report.id)


_REPORTS = re.compile(r"\((?:reports?|reporting|via|citing|quoting)\s+([^)]+)\)", re.IGNORECASE)


def wire(publisher: str) -> str:
    """The house whose figure a publisher passes on, read from how the source names it.

    >>> wire("RCR Wireless (reports Bloomberg)"), wire("Bloomberg (podcast page)")
    ('bloomberg', 'bloomberg')
    """
    found = _REPORTS.search(publisher)
    return (found.group(1) if found else publisher.split("(")[0]).strip().lower()


def is_proposed_echo(later: Statement, earlier: Statement) -> bool:
    """Same subject, scope and status, overlapping date, equal figure within rounding, later, citing or sharing a wire.

    A proposal only: a person confirms or refuses it, and until then it counts as an echo.
    """
    one, other = later.report, earlier.report
    same = (later.subject, later.scope, later.status) == (earlier.subject, earlier.scope, earlier.status)
    if not same or one.id == other.id or _earliest(one) < _earliest(other):
        return False
    rounding = max(one.quantity.half_width, other.quantity.half_width)
    if one.quantity.bound != other.quantity.bound or abs(one.quantity.mu - other.quantity.mu) > rounding:
        return False
    linked = bool({other.id, other.origin} & later.cites) or bool(later.wire and later.wire == earlier.wire)
    return linked and later.period.overlaps(earlier.period)


def with_proposed_echoes(statements: Sequence[Statement]) -> list[Report]:
    """The reports with the origin of every proposed echo set to that of the earliest report it may repeat."""
    ordered = sorted(statements, key=lambda statement: _earliest(statement.report))
    out: list[Report] = []
    for index, statement in enumerate(ordered):
        report = statement.report
        first = next((e for e in range(index) if is_proposed_echo(statement, ordered[e])), None)
        origin = report.origin if first is None else out[first].origin
        out.append(Report(report.id, report.quantity, origin, report.published))
    return sorted(out, key=lambda report: report.id)


# --- many reports of one quantity ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pool:
    """Independent reports taken together. ``fixed``: as if nothing were shared; ``gls``: with shared biases (Aitken);
    ``random``: with the extra variance ``tau2`` between reports (DerSimonian and Laird 1986). ``certain``: exact reports
    differ, which no error explains."""

    n: int
    q: float
    df: int
    p: float
    i2: float
    tau2: float
    fixed_mean: float
    fixed_sd: float
    random_mean: float
    random_sd: float
    gls_mean: float
    gls_sd: float
    certain: bool = False


def pool(reports: Sequence[Report]) -> Pool:
    """Q, I2, tau2 and the three means of independent point reports.

    Raises:
        ValueError: no report, or a bound among them (a bound is no estimate).
    """
    if not reports or any(report.quantity.bound for report in reports):
        raise ValueError("only estimates can be pooled, and at least one is needed")
    ordered = [report.quantity for report in sorted(reports, key=lambda report: report.id)]
    if any(one.variance == 0 for one in ordered):
        return _pool_with_exact(ordered)
    values = np.array([one.mu for one in ordered])
    variances = np.array([one.variance for one in ordered])
    weights = 1 / variances
    fixed = float(weights @ values / weights.sum())
    q, df = float(weights @ (values - fixed) ** 2), len(ordered) - 1
    spare = weights.sum() - (weights**2).sum() / weights.sum()
    tau2 = max(0.0, (q - df) / float(spare)) if df else 0.0
    random_weights = 1 / (variances + tau2)
    gls_mean, gls_sd = _gls(ordered, values)
    return Pool(
        n=len(ordered), q=q, df=df, p=float(chdtrc(df, q)) if df else 1.0, i2=max(0.0, (q - df) / q) if q else 0.0,
        tau2=tau2, fixed_mean=fixed, fixed_sd=float(weights.sum() ** -0.5),
        random_mean=float(random_weights @ values / random_weights.sum()), random_sd=float(random_weights.sum() ** -0.5),
        gls_mean=gls_mean, gls_sd=gls_sd,
    )  # fmt: skip


def consensus(pooled: Pool, alpha: float) -> Quantity:
    """The value that reports of one quantity come to: the random-effects mean where they disagree, else the generalized
    least-squares mean."""
    if pooled.n > 1 and pooled.p < alpha:
        return Quantity(pooled.random_mean, sr=pooled.random_sd)
    return Quantity(pooled.gls_mean, sr=pooled.gls_sd)


def _gls(ordered: Sequence[Quantity], values: np.ndarray) -> tuple[float, float]:
    matrix = np.array(
        [[one.variance if one is other else covariance(one, other) for other in ordered] for one in ordered]
    )
    weights = np.linalg.solve(matrix, np.ones(len(ordered)))
    return float(weights @ values / weights.sum()), float(weights.sum() ** -0.5)


def _pool_with_exact(ordered: Sequence[Quantity]) -> Pool:
    """The limit of the formulas when a spread goes to 0: the exact value stands, the others are held against it."""
    exact = [one.mu for one in ordered if one.variance == 0]
    mean, certain, df = exact[0], len(set(exact)) > 1, len(ordered) - 1
    q = math.fsum((one.mu - mean) ** 2 / one.variance for one in ordered if one.variance)
    p = 0.0 if certain else (float(chdtrc(df, q)) if df else 1.0)
    i2 = max(0.0, (q - df) / q) if q else 0.0
    return Pool(len(ordered), q, df, p, i2, 0.0, mean, 0.0, mean, 0.0, mean, 0.0, certain)


def effective_number(n: int, rho: float) -> float:
    """How many independent reports ``n`` reports are worth whose errors correlate by ``rho``.

    >>> round(effective_number(4, 0.5), 2)
    1.6
    """
    return n / (1 + (n - 1) * rho)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Something said to be at least ``lower`` and something said to be at most (or about) ``upper``: z > 0 if they cross."""

    lower: Report
    upper: Report
    z: float
    p: float


def crossing(reports: Sequence[Report], consensus: Quantity | None = None) -> tuple[Crossing, int] | None:
    """The worst contradiction between bounds, or between a bound and the consensus, with the number of pairs it is the worst of.

    The highest "at least" and the lowest "at most" are held, so every pair counts from which they were chosen. None if there is
    nothing to hold against each other. ``p`` is one-sided and not corrected for the number of pairs.
    """
    middle = [Report("consensus", consensus, "consensus")] if consensus else []
    lowers = [report for report in reports if report.quantity.bound == "lower"]
    uppers = [report for report in reports if report.quantity.bound == "upper"]
    highest = sorted(lowers, key=lambda report: (-report.quantity.mu, report.id))[:1]
    lowest = sorted(uppers, key=lambda report: (report.quantity.mu, report.id))[:1]
    pairs = [(a, b) for a in highest + middle for b in lowest + middle if a is not b]
    found = [_crossing(a, b) for a, b in pairs]
    if not found:
        return None
    chosen_from = (len(lowers) + len(middle)) * (len(uppers) + len(middle)) - len(middle)
    return max(found, key=lambda one: (one.z, one.lower.id, one.upper.id)), chosen_from


def _crossing(lower: Report, upper: Report) -> Crossing:
    difference = lower.quantity.mu - upper.quantity.mu
    sd = math.sqrt(
        max(
            0.0,
            lower.quantity.variance
            + upper.quantity.variance
            - 2 * covariance(lower.quantity, upper.quantity),
        )
    )
    z = difference / sd if sd else (math.copysign(math.inf, difference) if difference else 0.0)
    return Crossing(lower, upper, z, float(ndtr(-z)))
