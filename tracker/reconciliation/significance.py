"""How surprising a difference is, how much it matters, and how many false alarms a run may raise.

Three things are kept apart and never multiplied into one score: strength (how surprising), severity (how much), and the weakest
grade the finding cannot do without (how well known). docs/method.md, section 6.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from tracker.core.quantity import MDG_FACTOR as MDG_FACTOR  # the checks ask it of this module
from tracker.reconciliation.books import Evidence, Finding, Parameters, Section

Z_TWO_SIDED = 1.959963984540054
"""|z| at which a two-sided test at 5 % says so."""
Z_ONE_SIDED = 1.6448536269514722
"""z at which a one-sided test (a bound) at 5 % says so."""

SEVERITIES = ("critical", "high", "medium", "low", "info")
SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
UNCERTAIN_GRADES = ("D", "E")
INDISPENSABLE_SHARE = 0.05
SURPRISE_HEADING = "How surprising it is"
"""Heading of the part of a finding's text that speaks of chance."""


def two_sided_p(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def one_sided_p(z: float) -> float:
    """Probability of a value above ``z``."""
    return float(ndtr(-z))


def one_sided_threshold(alpha: float, tests: int = 1) -> float:
    """z at which the largest of so many one-sided tests says so together at ``alpha`` (Bonferroni).

    >>> round(one_sided_threshold(0.05), 4), round(one_sided_threshold(0.05, 3), 4)
    (1.6449, 2.128)
    """
    return float(-ndtri(alpha / tests))


def detectable(sigma: float, alpha: float, tests: int = 1) -> float:
    """Smallest difference seen 19 times in 20 by a one-sided test at ``alpha`` that is one of so many; 3.29 sigma if alone."""
    return (MDG_FACTOR + one_sided_threshold(alpha, tests) - one_sided_threshold(alpha)) * sigma


def z_score(difference: float, sigma: float) -> float:
    """difference / sigma; exact figures that differ are infinitely far apart, equal ones not at all."""
    if sigma:
        return difference / sigma
    return math.copysign(math.inf, difference) if difference else 0.0


def strength(z: float) -> str:
    size = abs(z)
    if math.isinf(size):
        return "certain"
    return "very strong" if size >= 4 else "strong" if size >= 3 else "moderate" if size >= 2 else "weak"


def severity(sq: float | None, grade: str = "", *, cap: str = "critical") -> str:
    """Severity of a magnitude in significant quantities; ``cap`` and a weakest grade of D or E limit it.

    A magnitude that cannot be told (no chip of the scope has a known performance) is *low*: reported, not ranked.
    """
    size = abs(sq) if sq is not None else 0.0
    level = "critical" if size >= 10 else "high" if size >= 1 else "medium" if size >= 0.1 else "low"
    if grade in UNCERTAIN_GRADES:
        level = at_most(level, "medium")
    return at_most(level, cap)


def at_most(level: str, cap: str) -> str:
    return max(level, cap, key=SEVERITIES.index)


def in_sq(h100e: float | None, parameters: Parameters) -> float | None:
    """H100-equivalents in significant quantities."""
    return None if h100e is None else h100e / parameters.significant_quantity_h100e


def is_material(sq: float | None, parameters: Parameters) -> bool:
    """Whether a difference is worth reporting; one that cannot be told is."""
    return sq is None or abs(sq) >= parameters.materiality_sq


def is_inconclusive(mdg_sq: float | None) -> bool:
    """Whether a test that found nothing could have overlooked more than one significant quantity."""
    return mdg_sq is not None and mdg_sq > 1


def weakest_indispensable(evidence: Sequence[Evidence], grades: Sequence[str], gap: float | None) -> str:
    """The weakest grade among records without which the finding would not stand (``grades`` runs beside ``evidence``).

    Records of one role, grade and direction are weighed together: many small ones may bear what none of them bears alone. They
    are dispensable when they bear less than 5 % of both the difference and its variance.
    """
    weights: dict[tuple[str, str, bool], tuple[list[float], list[float]]] = {}
    for row, grade in zip(evidence, grades, strict=True):
        if grade:
            alike = row.role, grade, (row.contribution or 0.0) < 0
            parts, shares = weights.setdefault(alike, ([], []))
            if row.contribution is not None:
                parts.append(row.contribution)
            shares.append(row.variance_share or 0.0)
    return weakest_of(
        (
            (grade, math.fsum(parts) if parts else None, math.fsum(shares))
            for (_, grade, _), (parts, shares) in weights.items()
        ),
        gap,
    )


def weakest_of(alike: Iterable[tuple[str, float | None, float]], gap: float | None) -> str:
    """The same of records that were weighed together: their grade, what they add to the difference (None: nothing), their part
    of its variance."""
    return max(
        (
            grade
            for grade, part, share in alike
            if share >= INDISPENSABLE_SHARE
            or (part is not None and abs(part) >= INDISPENSABLE_SHARE * abs(gap or 0))
        ),
        default="",
    )


# --- many tests ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """``adjusted`` runs beside the p-values given; ``threshold`` is the largest p that may be believed (0 if none)."""

    rejected: int
    threshold: float
    adjusted: tuple[float, ...]


def benjamini_hochberg(p_values: Sequence[float], q: float, tests: int | None = None) -> FalseAlarms:
    """Control of the expected share of false alarms (Benjamini and Hochberg 1995).

    ``tests``: how many tests were made, if more than are given; those not given must have a larger p than ``q`` and any given.
    Adjusted values up to ``q`` are exact all the same.

    >>> benjamini_hochberg([0.9, 0.0007, 0.041, 0.008], 0.05).rejected
    2
    """
    p = np.asarray(p_values, float)
    m = len(p) if tests is None else tests
    order = np.argsort(p, kind="stable")
    scaled = p[order] * m / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    adjusted = _met(adjusted, q)
    rejected = int(np.count_nonzero(adjusted <= q))
    return FalseAlarms(rejected, q * rejected / m if m else 0.0, tuple(adjusted.tolist()))


def benjamini_yekutieli(p_values: Sequence[float], q: float, tests: int | None = None) -> FalseAlarms:
    """The same control however the tests depend on one another (Benjamini and Yekutieli 2001), at the price of fewer findings:
    every adjusted p is larger by 1 + 1/2 + ... + 1/m, and at most 1.

    >>> benjamini_yekutieli([0.9, 0.0007, 0.041, 0.008], 0.05).rejected
    2
    """
    m = len(p_values) if tests is None else tests
    price = math.fsum(1 / rank for rank in range(1, m + 1))
    alarms = benjamini_hochberg(p_values, q / price if m else q, m)
    adjusted = _met(np.minimum(1.0, np.array(alarms.adjusted) * price), q)
    return replace(alarms, adjusted=tuple(adjusted.tolist()))


def _met(adjusted: np.ndarray, q: float) -> np.ndarray:
    """Adjusted p that are the limit but for the last bits, as the limit: it is then kept, as the papers print it."""
    return np.where(np.isclose(adjusted, q, rtol=1e-12, atol=0.0), q, adjusted)


CONTROLS = {"BH": benjamini_hochberg, "BY": benjamini_yekutieli}
"""Ways to control false alarms, by the name that the parameter ``control`` gives them."""


def judge(findings: Sequence[Finding], parameters: Parameters) -> list[Finding]:
    """The findings of one whole run, each with ``q`` and ``accepted``; order kept.

    All evaluated tests of a family count, also those that found nothing. What rests on arithmetic is outside and stands. A
    finding that does not survive keeps its figures and becomes information. Every p-value's text gains the number of tests.

    The share that is controlled is that among what is reported. A difference too small to report counts as a test but lends the
    others no support: for their q it stands with p = 1, which is never less than its own. With its own p, many sure but small
    differences would let pass any number of large false ones.
    """
    families: dict[str, list[int]] = {}
    for index, finding in enumerate(findings):
        if finding.family is not None and finding.p is not None:
            families.setdefault(finding.family, []).append(index)
    out = [replace(finding, accepted=finding.is_finding) for finding in findings]
    for family in sorted(families):
        indices = sorted(families[family], key=lambda index: findings[index].key)
        control = CONTROLS[parameters.control]
        limit, p_values = parameters.false_discovery_rate, [findings[index].p or 0.0 for index in indices]
        reportable = [
            p if findings[index].is_finding else 1.0 for index, p in zip(indices, p_values, strict=True)
        ]
        of_all = control(p_values, limit).adjusted
        of_reported = control(reportable, limit).adjusted
        for index, q, q_reported in zip(indices, of_all, of_reported, strict=True):
            chosen = q_reported if findings[index].is_finding else q
            out[index] = judged(findings[index], chosen, len(indices), parameters)
    return out


def _one_of(m: int, family: str) -> str:
    return (
        f"the only {family} comparison in the run"
        if m == 1
        else f"one of {m:,} {family} comparisons in the run"
    )


_TOLD = re.compile(
    r"\s*This was (?:the only \S+ comparison|one of [\d,]+ \S+ comparisons) in the run\b.*", re.DOTALL
)


def unjudged(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections of a finding without what :func:`judged` told, so that it can be judged among other tests."""
    return tuple(
        replace(part, body=_TOLD.sub("", part.body)) if part.heading == SURPRISE_HEADING else part
        for part in sections
    )


def judged(finding: Finding, q: float, m: int, parameters: Parameters) -> Finding:
    """A finding with its adjusted p among ``m`` tests, told in its text."""
    accepted = finding.is_finding and q <= parameters.false_discovery_rate
    told = f"q = {q:.3g}" if q >= 1e-6 else "q is below 0.000001"
    sentence = f"This was {_one_of(m, finding.family or '')}{'; allowing for all of them, ' if m > 1 else ': '}{told}"
    limit = f"{parameters.false_discovery_rate:g}"
    if finding.is_finding:
        sentence += f", {'within' if accepted else 'above'} the limit of {limit}."
        if accepted:
            share = f"{100 * parameters.false_discovery_rate:g} %"
            sentence += f" Of all that is reported by such comparisons, at most {share} is expected to be false alarm."
        else:
            sentence += " Among so many comparisons a difference like this is expected by chance,"
            sentence += " so it is not reported as a finding."
    else:
        sentence += "."
    sections = tuple(
        replace(part, body=f"{part.body} {sentence}".strip()) if part.heading == SURPRISE_HEADING else part
        for part in finding.sections
    )
    level = finding.severity if accepted or not finding.is_finding else "info"
    return replace(finding, q=float(f"{q:.9g}"), accepted=accepted, severity=level, sections=sections)
