"""Reports of one quantity: can they all be right?

At least two reports of distinct origin are needed; echoes count once. For figures: ``Q = sum w (y -
ybar)^2`` with weights ``w = 1 / s^2``, on n - 1 degrees of freedom, and ``I2 = max(0, (Q - n + 1) / Q)``.
If p < 0.05 the value shown is the random-effects mean with the variance between reports of DerSimonian
and Laird, and all reports are listed; else it is the generalized least-squares mean, which knows that
reports of one house share their bias. For bounds: the highest "at least" above the lowest "at most" (or
above what the figures say) gives z = difference / sd, one-sided. Where several such tests are made, the
smallest p is multiplied by their number.

How to read it. Two kinds of sets are held: reports of the same place, counterparty, scope, status and
dates, found by the check, and pairs that an analyst declared to conflict. Reports in chips and reports in
H100-equivalents are two quantities. Of declared pairs, two reports of one quantity are tested like any
others. Where one counts a part of what the other counts (one chip of a
family, one year of four), only a part above its whole is a contradiction: one-sided, severity at most
medium. Where they count different things (another place, another rung of the status ladder, dates that
cross, units that cannot be compared), the difference is named and nothing is computed.

What it does not say. Which report is right. Agreement of many is worth little when they share an origin
or a method.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from scipy.special import ndtri

from tracker.claims.combine import (
    Crossing,
    Pool,
    Report,
    consensus,
    crossing,
    effective_number,
    independent,
    measure,
    pool,
)
from tracker.core.period import Period
from tracker.core.quantity import EQUIVALENTS, NotComparable, Quantity, weakest
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import as_counted
from tracker.reconciliation.books import Books, ClaimRow, Evidence, Finding, Parameters, Scope
from tracker.reconciliation.case_input import case_date, case_quantity
from tracker.reconciliation.echoes import origins
from tracker.reconciliation.position import area_of, claim_label
from tracker.reconciliation.relations import Relation, relation
from tracker.reconciliation.result import finding

CODE = "CONFLICT"
TITLE = "Reports of one quantity"
FAMILY = "CONFLICT"
PARTITION = "claim_subject"

FORMULA = "Q = sum w (y - ybar)^2, w = 1 / s^2, on n - 1 degrees of freedom; bounds: z = difference / sd"


@dataclass(frozen=True, slots=True)
class Conflict:
    """The test of one set of independent reports. ``spread``: largest difference among what was held together, in chips."""

    reports: tuple[Report, ...]
    echoes: int
    pool: Pool | None
    crossing: Crossing | None
    tests: int
    p: float
    statistic: float
    spread: float
    certain: bool

    def is_significant(self, alpha: float) -> bool:
        return self.certain or self.p < alpha


def held_together(reports: Sequence[Report], alpha: float) -> Conflict | None:
    """Test whether independent reports can all be right; None if fewer than two origins, or nothing contradicts by its kind."""
    single = independent(reports)
    points = [report for report in single if not report.quantity.bound]
    pooled = pool(points) if points else None
    middle = consensus(pooled, alpha) if pooled else None
    crossed = crossing(single, middle)
    tested = [(pooled.p, pooled.q)] if pooled and pooled.n > 1 else []
    tested += [(crossed[0].p, crossed[0].z)] if crossed else []
    tests = (1 if pooled and pooled.n > 1 else 0) + (crossed[1] if crossed else 0)
    if len(single) < 2 or not tested:
        return None
    p, statistic = min(tested)
    values = [report.quantity.mu for report in points]
    gap = max(values) - min(values) if len(values) > 1 else 0.0
    if crossed and (len(values) < 2 or (crossed[0].p, crossed[0].z) == (p, statistic)):
        gap = max(0.0, crossed[0].lower.quantity.mu - crossed[0].upper.quantity.mu)
    certain = bool(pooled and pooled.certain) or bool(crossed and crossed[0].z == math.inf)
    return Conflict(
        tuple(single), len(reports) - len(single), pooled, crossed[0] if crossed else None, tests,
        min(1.0, tests * p), statistic, gap, certain,
    )  # fmt: skip


# --- the sets --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Set:
    """Claims to be held together; ``declared``: by an analyst, who may know that they differ in more than the figure."""

    claims: tuple[ClaimRow, ...]
    declared: bool

    @property
    def unit(self) -> str:
        """What the claims count: claims of several measures are not tested."""
        return measure(self.claims[0].reported)

    @property
    def scopes(self) -> list[Scope | None]:
        return [claim.scope and scopes.measured(claim.scope, self.unit) for claim in self.claims]


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per set of two or more claims; automatic sets first, then declared pairs, by slug."""
    origin = origins(books.claims, parameters)
    found = (_judged(one, origin, books, parameters) for one in _sets(books, parameters))
    return [finding for finding in found if finding is not None]


def _sets(books: Books, parameters: Parameters) -> list[_Set]:
    automatic = _alike(books, parameters)
    together = {(a.ref.id, b.ref.id) for group in automatic for a in group for b in group}
    rows = {claim.ref.id: claim for claim in books.claims}
    pairs = {
        (min(claim.ref.id, other), max(claim.ref.id, other))
        for claim in books.claims
        for other in claim.conflicts_with
        if other in rows and other != claim.ref.id
    }
    declared = [tuple(sorted((rows[a], rows[b]), key=lambda row: row.slug)) for a, b in pairs - together]
    return [_Set(group, False) for group in automatic] + [
        _Set(pair, True) for pair in sorted(declared, key=lambda pair: [row.slug for row in pair])
    ]


def _alike(books: Books, parameters: Parameters) -> list[tuple[ClaimRow, ...]]:
    """Groups of claims that count the same chips in the same place, standing, and time."""
    buckets: dict[tuple[str, ...], list[ClaimRow]] = defaultdict(list)
    for claim in books.claims:
        area = area_of(claim, books)
        if area is None or claim.scope is None or isinstance(as_counted(claim, parameters), NotComparable):
            continue
        flow = (
            (explain.when(claim.period), str(claim.counterparty_id), claim.destination_country)
            if claim.is_flow
            else ("stock",)
        )
        subject = str(claim.site_id or f"of {claim.subject_id}")
        # Of trade statistics each side of each route is a quantity of its own; the two sides are held together by MIRROR.
        side = (claim.reporter, claim.origin_country) if claim.reporter else ()
        counts = (scopes.key(claim.scope), measure(claim.reported), claim.status, claim.kind)
        key = (area.key, subject, *counts, *flow, *side)
        buckets[key].append(claim)
    groups = [group for key in sorted(buckets) for group in _same_time(buckets[key])]
    return sorted(
        (group for group in groups if len(group) > 1), key=lambda group: [row.slug for row in group]
    )


def _same_time(claims: Sequence[ClaimRow]) -> list[tuple[ClaimRow, ...]]:
    """Split into groups whose periods all share a day, going forward in time. Undated claims are of no time."""
    groups: list[tuple[Period, list[ClaimRow]]] = []
    dated = [claim for claim in claims if claim.period.last is not None]
    for claim in sorted(
        dated, key=lambda row: (row.period.start or date.min, row.period.last or date.max, row.slug)
    ):
        if groups and groups[-1][0].overlaps(claim.period):
            common, members = groups.pop()
            groups.append((_common(common, claim.period), [*members, claim]))
        else:
            groups.append((claim.period, [claim]))
    return [tuple(sorted(members, key=lambda row: row.slug)) for _, members in groups]


def _common(one: Period, other: Period) -> Period:
    starts = [day for day in (one.start, other.start) if day]
    ends = [day for day in (one.end, other.end) if day]
    return Period(max(starts, default=None), min(ends, default=None))


# --- a set judged ----------------------------------------------------------------------------------------------------


def _judged(one: _Set, origin: Mapping[str, str], books: Books, parameters: Parameters) -> Finding | None:
    amounts = [as_counted(claim, parameters) for claim in one.claims]
    refused = [
        (claim, amount)
        for claim, amount in zip(one.claims, amounts, strict=True)
        if isinstance(amount, NotComparable)
    ]
    if refused:
        return _not_comparable(one, refused, books)
    figures = {
        claim.slug: amount
        for claim, amount in zip(one.claims, amounts, strict=True)
        if isinstance(amount, Quantity)
    }
    narrower = None
    if one.declared:
        first, second = one.claims
        tie = relation(first, second, books)
        if tie == Relation.APART:
            return _different(one, figures, books)
        narrower = {Relation.PART: one.claims[0].slug, Relation.WHOLE: one.claims[1].slug}.get(tie)
    held = {slug: _as_part(amount) if slug == narrower else amount for slug, amount in figures.items()}
    reports = [Report(row.slug, held[row.slug], origin[row.slug], row.published_on) for row in one.claims]
    tested = held_together(reports, parameters.alpha)
    if tested is None:
        return _one_origin(one, figures, books) if one.declared else None
    return _tested(one, tested, figures, books, parameters, narrower)


def _as_part(amount: Quantity) -> Quantity:
    """A part says of its whole that there are at least so many; "at most" says nothing of it."""
    return amount if amount.bound == "upper" else replace(amount, bound="lower")


def _tested(
    one: _Set,
    tested: Conflict,
    figures: Mapping[str, Quantity],
    books: Books,
    parameters: Parameters,
    narrower: str | None,
) -> Finding:
    differing = _differences(one.claims, books)
    significant = tested.is_significant(parameters.alpha)
    h100e = _h100e(tested.spread, one.scopes)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    is_finding = significant and significance.is_material(sq, parameters)
    sigma = _sigma(tested)
    mdg = significance.detectable(sigma, parameters.alpha, tested.tests)
    mdg_sq = max(scopes.could_hide(mdg, scope, parameters) for scope in one.scopes)
    inconclusive = not significant and significance.is_inconclusive(mdg_sq)
    contradiction = "part above whole" if narrower else "conflict"
    verdict = contradiction if significant else "inconclusive" if inconclusive else "consistent"
    weak = weakest(figures[report.id].grade for report in tested.reports)
    cap = "medium" if narrower else "critical"
    z = math.inf if tested.certain else _normal_size(tested.p)
    return finding(
        **_place(one, books), unit=one.unit, verdict=verdict, headline=_headline(one, tested, verdict, books),
        expected=tested.crossing.upper.quantity.mu if tested.crossing else _shown(tested, parameters.alpha).mu,
        reported=max(report.quantity.mu for report in tested.reports), gap=tested.spread, sigma=sigma,
        statistic=tested.statistic, p=None if tested.certain else tested.p, threshold=parameters.alpha,
        family=None if tested.certain else FAMILY, is_finding=is_finding,
        gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
        severity=significance.severity(sq, weak, cap=cap) if is_finding else "info",
        strength=significance.strength(z), weakest_grade=weak, formula=FORMULA,
        sections=explain.sections(_story(one, tested, figures, differing, h100e, sq, mdg_sq, significant, parameters, narrower)),
        evidence=(*_evidence(one, tested, figures), *_performance(one, books)), numbers=_numbers(tested, parameters, differing),
    )  # fmt: skip


def _place(one: _Set, books: Books) -> dict[str, Any]:
    """The identity of the set: it must not change when a figure does."""
    areas = sorted({area.key if (area := area_of(claim, books)) else "none" for claim in one.claims})
    return {
        "check": CODE,
        "area": areas[0],
        "scope": sorted({scopes.key(claim.scope) for claim in one.claims})[0],
        "period": explain.when(one.claims[0].period),
        "counterpart": _against(one.claims) if one.declared else _alike_name(one.claims, books),
    }


def _against(claims: Sequence[ClaimRow]) -> str:
    return " | ".join(claim.slug for claim in claims)


def _alike_name(claims: Sequence[ClaimRow], books: Books) -> str:
    first = claims[0]
    parties = [
        row.slug
        for pk in (first.subject_id, first.counterparty_id)
        if (row := books.organizations.get(pk or 0))
    ]
    counts = f"in {EQUIVALENTS}" if measure(first.reported) == EQUIVALENTS else ""
    return " ".join(
        ["reports of", first.status, first.kind, *parties, first.destination_country, counts]
    ).strip()


def _differences(claims: Sequence[ClaimRow], books: Books) -> dict[str, str]:
    """What beside the figure differs between the claims: name -> the values, as a phrase."""
    asked = {
        "place": [area.name if (area := area_of(claim, books)) else "no place" for claim in claims],
        "scope": [claim.scope.name if claim.scope else "chips of any kind" for claim in claims],
        "dates": [
            explain.when(claim.period) + (" (flow)" if claim.is_flow else " (as of)") for claim in claims
        ],
        "status": [claim.status for claim in claims],
        "kind": [claim.kind for claim in claims],
        "unit": [claim.reported.unit for claim in claims],
    }
    return {name: explain.listed(values) for name, values in asked.items() if len(set(values)) > 1}


def _h100e(gap: float, named: Iterable[Scope | None]) -> tuple[float, float] | None:
    """Over all scopes named: the lowest and highest reading."""
    found = [pair for scope in named if (pair := scopes.h100e(gap, scope))]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _sigma(tested: Conflict) -> float:
    """Standard deviation of the difference between the two reports furthest apart (or the two bounds that cross)."""
    if tested.crossing and (
        tested.pool is None or tested.pool.n < 2 or tested.statistic == tested.crossing.z
    ):
        pair = (tested.crossing.lower.quantity, tested.crossing.upper.quantity)
    else:
        points = sorted(
            (r for r in tested.reports if not r.quantity.bound),
            key=lambda report: (report.quantity.mu, report.id),
        )
        pair = (points[0].quantity, points[-1].quantity)
    return math.sqrt(pair[0].variance + pair[1].variance)


def _normal_size(p: float) -> float:
    """The |z| whose two-sided p this is: lets strengths of all tests be read alike."""
    return float(-ndtri(p / 2)) if p > 0 else math.inf


def _shown(tested: Conflict, alpha: float) -> Quantity:
    return consensus(tested.pool, alpha) if tested.pool else tested.reports[0].quantity


def _numbers(tested: Conflict, parameters: Parameters, differing: Mapping[str, str]) -> dict[str, Any]:
    shown = _shown(tested, parameters.alpha)
    numbers = {
        "independent": [report.id for report in tested.reports],
        "echoes": tested.echoes,
        "tests": tested.tests,
    }
    numbers |= {"consensus": shown.mu, "consensus_sd": shown.s, "differing": sorted(differing)}
    if tested.pool:
        numbers |= {
            "q_statistic": tested.pool.q,
            "df": tested.pool.df,
            "i2": tested.pool.i2,
            "tau2": tested.pool.tau2,
        }
    return numbers


def _evidence(one: _Set, tested: Conflict, figures: Mapping[str, Quantity]) -> tuple[Evidence, ...]:
    shown = {report.id for report in tested.reports}
    variance = math.fsum(report.quantity.variance for report in tested.reports)
    rows = []
    for claim in sorted(one.claims, key=lambda row: (row.slug not in shown, row.slug)):
        amount = figures[claim.slug]
        label = claim_label(claim, amount)
        if claim.slug in shown:
            rows.append(
                Evidence(
                    claim.ref, "claim", label, amount.mu, amount.variance / variance if variance else 0.0
                )
            )
        else:
            rows.append(Evidence(claim.ref, "echo", f"{label}; repeats another"))
    return tuple(rows)


def _performance(one: _Set, books: Books) -> list[Evidence]:
    """The specification behind the magnitude: of the lowest chip that any of the claims may mean."""
    if one.unit == EQUIVALENTS:
        return []
    known = [claim.scope for claim in one.claims if claim.scope and claim.scope.h100e_low is not None]
    lowest = min(known, key=lambda scope: (scope.h100e_low or 0.0, scopes.key(scope)), default=None)
    return scopes.specification(lowest, books.chips)


# --- words -----------------------------------------------------------------------------------------------------------


def _headline(one: _Set, tested: Conflict, verdict: str, books: Books) -> str:
    area = area_of(one.claims[0], books)
    figures = explain.listed(explain.number(report.quantity.mu) for report in tested.reports)
    place = area.name if area else "no place named"
    return f"{place}: {len(tested.reports)} reports say {figures} ({verdict})"


def _story(
    one: _Set,
    tested: Conflict,
    figures: Mapping[str, Quantity],
    differing: Mapping[str, str],
    h100e: tuple[float, float] | None,
    sq: float | None,
    mdg_sq: float | None,
    significant: bool,
    parameters: Parameters,
    narrower: str | None,
) -> explain.Story:
    nested = (
        f" {narrower} counts a part of what the other counts, so it cannot be larger." if narrower else ""
    )
    why = (
        "an analyst declared that they conflict"
        if one.declared
        else "they name the same place, chips, standing and time"
    )
    named = "".join(f" They differ in {name}: {values}." for name, values in differing.items())
    return explain.Story(
        compared=f"{len(one.claims)} reports, held together because {why}.{named}{nested}",
        sides=(
            *(f"{claim_label(claim, figures[claim.slug])}." for claim in one.claims),
            _counted(tested, parameters, one.unit),
        ),
        difference=f"Between them lie {explain.magnitude(tested.spread, h100e, sq, one.unit)}."
        if tested.spread
        else "None.",
        surprise=_surprise(tested, significant, mdg_sq, parameters, one.unit),
        open=(
            *(phrase for name, phrase in _NAMED.items() if name in differing),
            *((explain.ECHO,) if tested.echoes or len(tested.reports) > 2 else ()),
            explain.ROUNDING,
            *(
                (explain.FAMILY,)
                if any(claim.scope and claim.scope.kind == "family" for claim in one.claims)
                else ()
            ),
        ),
        settle="The count or document behind each report, above all behind the one furthest from the others.",
        assumptions=tuple(text for amount in figures.values() for text in amount.assumptions),
    )


_NAMED = {
    "place": explain.SCOPES.replace("models", "places"),
    "scope": explain.SCOPES,
    "dates": explain.DATES,
    "status": explain.STATUS,
    "kind": explain.STATUS,
    "unit": explain.UNITS,
}


def _counted(tested: Conflict, parameters: Parameters, unit: str) -> str:
    n = len(tested.reports)
    echoes = f" ({tested.echoes} more only repeat them)" if tested.echoes else ""
    if tested.pool is None:
        return f"{n} independent origins{echoes}; all are bounds, so there is no common value."
    shown = _shown(tested, parameters.alpha)
    worth = ""
    by_key: dict[str, int] = defaultdict(int)
    for report in tested.reports:
        by_key[report.quantity.key] += bool(report.quantity.key)
    if (shared := max(by_key.values(), default=0)) > 1:
        value = explain.number(effective_number(shared, parameters.systematic_share))
        worth = f" {shared} of them come from one house and are worth about {value} independent ones."
    return f"{n} independent origins{echoes}.{worth} Taken together: {explain.figure(shown, unit)}."


def _surprise(
    tested: Conflict, significant: bool, mdg_sq: float | None, parameters: Parameters, unit: str
) -> str:
    if tested.certain:
        return explain.CERTAIN
    if significant:
        is_pooled = tested.pool is not None and tested.statistic == tested.pool.q
        return explain.surprise(tested.p, tested.statistic, tested.statistic if is_pooled else None)
    mdg = significance.detectable(_sigma(tested), parameters.alpha, tested.tests)
    return explain.no_surprise(mdg, mdg_sq, significance.is_inconclusive(mdg_sq), unit)


def _not_comparable(one: _Set, refused: Sequence[tuple[ClaimRow, NotComparable]], books: Books) -> Finding:
    reasons = tuple(f"{claim.slug} {amount.reason}." for claim, amount in refused)
    return _information(one, "not comparable", "The figures cannot be compared.", reasons, books)


def _different(one: _Set, figures: Mapping[str, Quantity], books: Books) -> Finding:
    sides = tuple(f"{claim_label(claim, figures[claim.slug])}." for claim in one.claims)
    why = "The two count different things, so that both figures can be right."
    return _information(one, "different quantities", why, sides, books)


def _one_origin(one: _Set, figures: Mapping[str, Quantity], books: Books) -> Finding:
    sides = tuple(f"{claim_label(claim, figures[claim.slug])}." for claim in one.claims)
    return _information(
        one, "nothing to test", "One only repeats the other, or their kinds cannot contradict.", sides, books
    )


def _information(one: _Set, verdict: str, why: str, sides: tuple[str, ...], books: Books) -> Finding:
    differing = _differences(one.claims, books)
    named = "".join(f" They differ in {name}: {values}." for name, values in differing.items())
    story = explain.Story(
        compared=f"{_against(one.claims)}, which an analyst declared to conflict.{named}", sides=sides,
        difference="None was computed.", surprise=f"No test was made. {why}",
        open=tuple(phrase for name, phrase in _NAMED.items() if name in differing),
        settle="A report of both in the same unit, for the same day.",
    )  # fmt: skip
    return finding(
        **_place(one, books), verdict=verdict, headline=f"{_against(one.claims)}: {verdict}",
        weakest_grade=weakest(claim.reported.grade for claim in one.claims), sections=explain.sections(story),
        evidence=tuple(
            Evidence(claim.ref, "claim", f"{claim.slug}; {explain.cited(claim.source, claim.reported.grade)}")
            for claim in one.claims
        ),
    )  # fmt: skip


# --- worked cases ----------------------------------------------------------------------------------------------------


def _conflict_case(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    reports = []
    for row in given["claims"]:
        origin = str(row.get("origin", row["id"]))
        amount = case_quantity({"key": origin, **row}, parameters)
        published = case_date(row["published"]) if row.get("published") else None
        reports.append(Report(str(row["id"]), amount, origin, published))
    single = independent(reports)
    out: dict[str, Any] = {
        "independent": [report.id for report in single],
        "echoes": len(reports) - len(single),
    }
    if points := [report for report in single if not report.quantity.bound]:
        pooled = pool(points)
        out |= {
            "q": pooled.q, "df": pooled.df, "p": pooled.p, "i2": pooled.i2, "fixed_mean": pooled.fixed_mean,
            "fixed_sd": pooled.fixed_sd, "tau2_dl": pooled.tau2, "mean_dl": pooled.random_mean, "sd_dl": pooled.random_sd,
            "gls_mean": pooled.gls_mean, "gls_sd": pooled.gls_sd, "naive_sd": pooled.fixed_sd,
        }  # fmt: skip
    middle = consensus(pool(points), parameters.alpha) if points else None
    if len(points) < len(single) and (found := crossing(single, middle)):
        worst, chosen_from = found
        out |= {
            "z": worst.z, "p_bounds": min(1.0, worst.p * chosen_from), "lower": worst.lower.id, "upper": worst.upper.id,
        }  # fmt: skip
    return out


CASES = {"conflict": _conflict_case}
