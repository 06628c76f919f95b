"""Production: was more sold or shipped than is said to have been made?

``excess = used - made``, ``z = excess / sqrt(s_used^2 + s_made^2)``, one-sided.

How to read it. *Made* is the largest claim of output that counts from the first chip on (its period
begins no later than the first shipping day of the chips, or it is a running total). *Used* is the largest
single claim of sales or shipments by the same vendor, of chips surely among those made, ending no later
than the output does. Claims of sales are not added up: they may overlap. Because it is the largest of
several, p is multiplied by their number (of distinct origin): of three honest reports of all that was made,
the largest lies above it by 1.645 standard errors far more often than once in twenty.

What it does not say. Whether output is understated or sales are overstated. Chips in stock or in systems
not yet sold widen the gap that is not seen here: no finding does not mean that the figures agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.core.quantity import Quantity, covariance
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import Books, ClaimRow, Evidence, Finding, Parameters
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.echoes import origins
from tracker.reconciliation.position import claim_label, counts_from_the_first
from tracker.reconciliation.result import finding

CODE = "PRODUCTION"
TITLE = "Sold or shipped against made"
FAMILY = "PRODUCTION"
PARTITION = "scope"

FORMULA = "excess = used - made; z = excess / sqrt(s_used^2 + s_made^2), one-sided; p times the number of claims of use"
USED_KINDS = ("sale", "shipment")
USED_STATUSES = ("shipped", "delivered")


@dataclass(frozen=True, slots=True)
class Excess:
    """In chips; ``z`` > 0 when more was used than made."""

    excess: float
    sigma: float
    z: float
    p: float


def excess(used: Quantity, made: Quantity) -> Excess:
    difference = used.mu - made.mu
    sigma = math.sqrt(max(0.0, used.variance + made.variance - 2 * covariance(used, made)))
    z = significance.z_score(difference, sigma)
    return Excess(difference, sigma, z, significance.one_sided_p(z))


@dataclass(frozen=True, slots=True)
class _Figure:
    claim: ClaimRow
    amount: Quantity


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One result per claim of output that something can be held against; sorted by slug."""
    found, figures, origin = [], _figures(books, parameters), origins(books.claims, parameters)
    outputs = [figure for figure in figures if _is_output(figure.claim, books)]
    for made in outputs:
        if made.amount.bound == "lower" or not _is_largest(made, outputs):
            continue
        used = [figure for figure in figures if _is_used_of(figure, made)]
        if used:
            top = max(used, key=lambda figure: (figure.amount.mu, figure.claim.slug))
            tests = len({origin[figure.claim.slug] for figure in used})
            found.append(_judged(top, made, tests, books, parameters))
    return found


def _figures(books: Books, parameters: Parameters) -> Sequence[_Figure]:
    rows = sorted(books.claims, key=lambda row: row.slug)
    read = [(row, in_chips(row, parameters)) for row in rows if row.scope is not None]
    return [_Figure(row, amount) for row, amount in read if isinstance(amount, Quantity)]


def _is_output(claim: ClaimRow, books: Books) -> bool:
    return claim.status == "produced" and claim.kind == "production" and counts_from_the_first(claim, books)


def _is_largest(made: _Figure, outputs: Sequence[_Figure]) -> bool:
    """Of several claims of one output the largest counts, by slug if equal: the kinder reading."""
    rivals = [
        (other.amount.mu, other.claim.slug)
        for other in outputs
        if other.claim.subject_id == made.claim.subject_id
        and scopes.key(other.claim.scope) == scopes.key(made.claim.scope)
        and other.claim.period.last == made.claim.period.last
    ]
    return max(rivals) == (made.amount.mu, made.claim.slug)


def _is_used_of(used: _Figure, made: _Figure) -> bool:
    claim = used.claim
    if claim.kind not in USED_KINDS or claim.status not in USED_STATUSES or used.amount.bound == "upper":
        return False
    if claim.scope is None or made.claim.scope is None or claim.subject_id != made.claim.subject_id:
        return False
    last = claim.period.last
    return (
        scopes.is_within(claim.scope, made.claim.scope)
        and last is not None
        and last <= (made.claim.period.last or date.min)
    )


def _judged(used: _Figure, made: _Figure, tests: int, books: Books, parameters: Parameters) -> Finding:
    found = excess(used.amount, made.amount)
    p, threshold = min(1.0, tests * found.p), significance.one_sided_threshold(parameters.alpha, tests)
    scope = used.claim.scope
    certain = found.z == math.inf
    surprising = found.z >= threshold
    h100e = scopes.h100e(found.excess, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    mdg = significance.detectable(found.sigma, parameters.alpha, tests)
    mdg_sq = scopes.could_hide(mdg, made.claim.scope, parameters)
    inconclusive = not surprising and significance.is_inconclusive(mdg_sq)
    weak = max(used.amount.grade, made.amount.grade)
    is_finding = surprising and significance.is_material(sq, parameters)
    verdict = "more used than made" if surprising else "inconclusive" if inconclusive else "consistent"
    vendor = books.organizations.get(made.claim.subject_id or 0)
    name = vendor.name if vendor else "an unnamed vendor"
    variance = found.sigma**2
    evidence = tuple(
        Evidence(one.claim.ref, role, claim_label(one.claim, one.amount), sign * one.amount.mu,
                 min(1.0, one.amount.variance / variance) if variance else 0.0)
        for role, sign, one in (("used", 1, used), ("made", -1, made))
    )  # fmt: skip
    size = explain.magnitude(found.excess, h100e, sq)
    story = explain.Story(
        compared=f"What {name} is said to have sold or shipped of {scope.name if scope else 'its chips'}, "
        "with what it is said to have made.",
        sides=(f"Used: {evidence[0].label}.", f"Made: {evidence[1].label}."),
        difference=f"{size} more used than made." if found.excess > 0 else "None: no more is said to be used than made.",
        surprise=explain.surprise(p, found.z) if surprising else explain.no_surprise(mdg, mdg_sq, inconclusive),
        open=(explain.TIMING, explain.STATUS, explain.FAMILY, explain.UNITS) if surprising else (),
        settle="A statement of output by the vendor or its foundry for the whole life of the chip.",
        assumptions=(*used.amount.assumptions, *made.amount.assumptions),
    )  # fmt: skip
    return finding(
        check=CODE, area=f"org:{vendor.slug}" if vendor else "none", scope=scopes.key(made.claim.scope),
        period=explain.when(made.claim.period), counterpart=made.claim.slug, verdict=verdict,
        headline=f"{name}: {explain.chips(used.amount.mu)} used, {explain.number(made.amount.mu)} made ({verdict})",
        expected=made.amount.mu, reported=used.amount.mu, gap=found.excess, sigma=found.sigma, statistic=found.z,
        p=None if certain else p, threshold=threshold, family=None if certain else FAMILY,
        is_finding=is_finding, gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
        severity=significance.severity(sq, weak) if is_finding else "info", strength=significance.strength(found.z),
        weakest_grade=weak, formula=FORMULA, sections=explain.sections(story), evidence=evidence,
        numbers={"mdg_sq": mdg_sq, "tests": tests},
    )  # fmt: skip


def production_case(row: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """One test of a worked case: ``used`` against ``made``."""
    found = excess(case_quantity(row["used"], parameters), case_quantity(row["made"], parameters))
    return {"excess": found.excess, "sigma": found.sigma, "z": found.z, "p": found.p}
