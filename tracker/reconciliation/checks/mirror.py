"""Mirror statistics: do the exporting and the importing country report the same trade?

Same origin, destination, kind of chip and period, from exporter x and importer m. Of values freight and insurance are taken off
the importer's side, ``m / (1 + f)`` with f = 0.06 (parameter ``cif_fob``); quantities need no factor. ``asymmetry = (x - m) /
(x + m)``; ``z = ln(x / m) / sqrt(rx^2 + rm^2)`` with r the relative standard error; p two-sided. Found at |z| >= 1.96. The
balanced figure is the mean of both logarithms weighted by the inverse of their variances.

How to read it. Where both sides report by month, the two series are first set against one another with the importer 0 to 3 months
later, the lag that leaves the smallest squared difference per month is taken (of equal ones the smallest), and sums of twelve
months are compared, counted back from the last month that both have; fewer than twelve are summed as they are. Other periods are
compared where both sides have the very same one. Of several reports of one side and period the more exact stands for it.

What it does not say. Which side is right, nor that goods went elsewhere. Three things make mirror figures differ without any
error and must be looked at first: re-exports, which the importer books under where goods were made and the exporter under where
they last went; the trade system (general or special); partners whose names are confidential.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tracker.core.countries import COUNTRIES
from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.quantity import Quantity, total
from tracker.reconciliation import explain, mirror, scopes, significance
from tracker.reconciliation.bias import in_chips
from tracker.reconciliation.books import Books, ClaimRow, Evidence, Finding, Parameters, Scope
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.dirty import months
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.mirror import Mirror
from tracker.reconciliation.result import finding

CODE = "MIRROR"
TITLE = "Exporter's against importer's statistics"
FAMILY = "MIRROR"
PARTITION = "route"

FORMULA = "z = ln(exporter / importer) / sqrt(rx^2 + rm^2); values: importer / (1 + f)"
WINDOW_MONTHS = 12


@dataclass(frozen=True, slots=True)
class _Report:
    """One side's figure for one period: chips, or dollars."""

    claim: ClaimRow
    amount: Quantity


@dataclass(frozen=True, slots=True)
class _Flow:
    """All that both sides say of one route, scope and measure, by period."""

    origin: str
    destination: str
    scope: Scope
    unit: str
    factor: float
    sides: Mapping[str, Mapping[Period, _Report]]


@dataclass(frozen=True, slots=True)
class _Pair:
    """What is compared: the reports of either side, added up."""

    period: str
    exporter: tuple[_Report, ...]
    importer: tuple[_Report, ...]
    lag: int | None = None


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One result per route, scope, measure and period that both sides report; sorted by these."""
    return [
        result
        for flow in _flows(books, parameters)
        for pair in _pairs(flow)
        if (result := _judged(flow, pair, books, parameters))
    ]


def _flows(books: Books, parameters: Parameters) -> list[_Flow]:
    found: dict[tuple[str, ...], dict[str, dict[Period, list[_Report]]]] = defaultdict(
        lambda: {"exporter": defaultdict(list), "importer": defaultdict(list)}
    )
    named: dict[tuple[str, ...], Scope] = {}
    for claim, _ in echo_groups(books.claims, parameters):
        if claim.reporter not in ("exporter", "importer") or claim.scope is None or not claim.is_flow:
            continue
        if not claim.origin_country or not claim.destination_country or claim.period.last is None:
            continue
        unit = "USD" if claim.reported.unit == "USD" else "chips"
        in_unit = replace(claim, reported=replace(claim.reported, unit="chips")) if unit == "USD" else claim
        amount = in_chips(in_unit, parameters)
        if isinstance(amount, Quantity) and not amount.bound and amount.mu > 0:
            key = claim.origin_country, claim.destination_country, scopes.key(claim.scope), unit
            found[key][claim.reporter][claim.period].append(_Report(claim, amount))
            named[key] = claim.scope
    return [
        _Flow(key[0], key[1], named[key], key[3], parameters.cif_fob if key[3] == "USD" else 0.0, {
            side: {period: min(reports, key=lambda one: (one.amount.s / one.amount.mu, one.claim.slug))
                   for period, reports in by_period.items()}
            for side, by_period in found[key].items()
        })
        for key in sorted(found)
    ]  # fmt: skip


def _pairs(flow: _Flow) -> list[_Pair]:
    exporter, importer = flow.sides["exporter"], flow.sides["importer"]
    by_month = [
        {_month(period): one for period, one in side.items() if _month(period)}
        for side in (exporter, importer)
    ]
    series = len(by_month[0]) > 1 and len(by_month[1]) > 1
    found = _windows(by_month[0], by_month[1], flow.factor) if series else []
    for period in sorted(
        exporter.keys() & importer.keys(), key=lambda one: (one.start or date.min, one.last or date.max)
    ):
        if not (series and _month(period)):
            found.append(_Pair(explain.when(period), (exporter[period],), (importer[period],)))
    return found


def _month(period: Period) -> date | None:
    """The first day of a period that is exactly one calendar month; None for any other."""
    first = period.start
    if first is None or first.day != 1 or period.end is None:
        return None
    return first if period.end == _next(first) else None


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _windows(exporter: Mapping[Any, _Report], importer: Mapping[Any, _Report], factor: float) -> list[_Pair]:
    """Sums of twelve months at the lag that fits best, counted back from the last month that both have."""
    axis = list(months(min([*exporter, *importer]), max([*exporter, *importer])))
    x = [exporter[month].amount.mu if month in exporter else None for month in axis]
    m = [importer[month].amount.mu / (1 + factor) if month in importer else None for month in axis]
    tried = [one for lag in mirror.LAGS if (one := mirror.lagged(x, m, lag))]
    if not tried:
        return []
    lag = mirror.best_lag(tried).lag
    both = [t for t, _, _ in mirror.overlap(x, m, lag)]
    found = []
    for end in range(len(both), 0, -WINDOW_MONTHS):
        taken = both[max(0, end - WINDOW_MONTHS) : end]
        if end < len(both) and len(taken) < WINDOW_MONTHS:
            break  # the odd months at the beginning: too few beside full years
        found.append(
            _Pair(
                f"{axis[taken[0]]:%Y-%m} to {axis[taken[-1]]:%Y-%m}",
                tuple(exporter[axis[t]] for t in taken),
                tuple(importer[axis[t + lag]] for t in taken),
                lag,
            )
        )
    return found[::-1]


def _judged(flow: _Flow, pair: _Pair, books: Books, parameters: Parameters) -> Finding:
    sums = [total([(1.0, one.amount) for one in side]) for side in (pair.exporter, pair.importer)]
    found = mirror.mirror(Quantity(sums[0].mu, sr=sums[0].s), Quantity(sums[1].mu, sr=sums[1].s), flow.factor)
    certain = math.isinf(found.z)
    surprising = abs(found.z) >= significance.Z_TWO_SIDED
    h100e = scopes.h100e(found.gap, flow.scope) if flow.unit == "chips" else None
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    mdg_sq = scopes.could_hide(found.mdg, flow.scope, parameters) if flow.unit == "chips" else None
    inconclusive = not surprising and significance.is_inconclusive(mdg_sq)
    is_finding = surprising and significance.is_material(sq, parameters)
    verdict = "differs" if surprising else "inconclusive" if inconclusive else "consistent"
    evidence, weakest = _evidence(pair, found, flow)
    names = tuple(COUNTRIES.get(code, code) for code in (flow.origin, flow.destination))
    words = Words(
        names[0], names[1], flow.scope.name, pair.period, flow.unit, flow.factor, pair.lag, h100e=h100e,
        sources=tuple(
            explain.listed(explain.cited(one.claim.source, one.amount.grade) for one in side)
            for side in (pair.exporter, pair.importer)
        ),
        is_family=flow.scope.kind == "family",
        assumptions=tuple(text for one in (*pair.exporter, *pair.importer) for text in one.amount.assumptions),
    )  # fmt: skip
    return finding(
        check=CODE, area=f"country:{flow.destination}", scope=scopes.key(flow.scope), period=pair.period,
        counterpart=f"{flow.origin} exports in {flow.unit}", verdict=verdict, headline=_headline(found, verdict, words),
        expected=found.importer_fob, reported=found.exporter, gap=found.gap, unit=flow.unit,
        sigma=found.sigma * found.balanced, statistic=found.z, p=None if certain else found.p,
        threshold=significance.Z_TWO_SIDED, family=None if certain else FAMILY, is_finding=is_finding,
        gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=found.mdg,
        severity=significance.severity(sq, weakest) if is_finding else "info",
        strength=significance.strength(found.z), weakest_grade=weakest, formula=FORMULA,
        sections=explain.sections(story(found, surprising, sq, mdg_sq, words)),
        evidence=(*evidence, *(scopes.specification(flow.scope, books.chips) if h100e else ())),
        numbers={
            "importer_fob": found.importer_fob, "cif_fob": flow.factor, "asymmetry": found.asymmetry, "sigma_log": found.sigma,
            "balanced": found.balanced, "weight_exporter": found.weight_exporter, "lag_months": pair.lag, "mdg_sq": mdg_sq,
        },
    )  # fmt: skip


def _evidence(pair: _Pair, found: Mirror, flow: _Flow) -> tuple[list[Evidence], str]:
    """All reports; a side's part of the variance is shared out by the variances of its reports."""
    rows, grades = [], []
    for side, sign, reports in (
        ("exporter", 1.0, pair.exporter),
        ("importer", -1.0 / (1 + flow.factor), pair.importer),
    ):
        part = 1 - found.weight_exporter if side == "exporter" else found.weight_exporter
        whole = math.fsum(one.amount.variance for one in reports)
        for one in reports:
            share = part * one.amount.variance / whole if whole else 0.0
            figure = explain.figure(one.amount, flow.unit)
            when = explain.when(one.claim.period)
            label = f"{one.claim.slug}: {figure}, {when}; {explain.cited(one.claim.source, one.amount.grade)}"
            rows.append(Evidence(one.claim.ref, side, label, sign * one.amount.mu, share))
            grades.append(one.amount.grade)
    return rows, significance.weakest_indispensable(rows, grades, found.gap)


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """What the text needs beside the numbers; ``sources``: of the exporter's and of the importer's figure."""

    origin: str
    destination: str
    scope: str
    when: str
    unit: str
    factor: float
    lag: int | None
    h100e: tuple[float, float] | None = None
    sources: tuple[str, ...] = ("", "")
    is_family: bool = False
    assumptions: tuple[str, ...] = ()


def _headline(found: Mirror, verdict: str, words: Words) -> str:
    both = f"{explain.number(found.exporter)} by its exporter, {explain.number(found.importer_fob)} by its importer"
    return f"{words.origin} to {words.destination} ({words.scope}, {words.unit}): {both} ({verdict})"


def story(
    found: Mirror, surprising: bool, sq: float | None, mdg_sq: float | None, words: Words
) -> explain.Story:
    """Both sides of one flow in plain words."""
    value = words.unit != "chips"
    more = "exporter" if found.gap > 0 else "importer"
    size = (
        explain.chips(abs(found.gap), words.unit) if value else explain.magnitude(found.gap, words.h100e, sq)
    )
    cif = (
        f", after {explain.share(words.factor)} of freight and insurance are taken off"
        if words.factor
        else ""
    )
    behind = {None: "", 0: " No lag fits better."}.get(
        words.lag, f" The importer's months are read {explain.counted(words.lag or 0, 'month')} later."
    )
    cited = [f" ({source})" if source else "" for source in words.sources]
    applicable = {
        explain.REEXPORT: True, explain.TRADE_SYSTEM: True, explain.CONFIDENTIAL: True, explain.TIMING: True,
        explain.FREIGHT: value, explain.FAMILY: words.is_family,
    }  # fmt: skip
    return explain.Story(
        compared=f"What went from {words.origin} to {words.destination} of {words.scope} ({words.when}), as the exporting and as "
        f"the importing country report it.{behind}",
        sides=(
            f"Exporter: {explain.chips(found.exporter, words.unit)}{cited[0]}.",
            f"Importer: {explain.chips(found.importer_fob, words.unit)}{cif}{cited[1]}.",
            f"Best value of both: {explain.chips(found.balanced, words.unit)}.",
        ),
        difference=f"{size} more on the side of the {more}; asymmetry {found.asymmetry:.3g}." if found.gap else "None.",
        surprise=explain.surprise(found.p, found.z) if surprising
        else explain.no_surprise(found.mdg, mdg_sq, significance.is_inconclusive(mdg_sq), words.unit),
        open=tuple(phrase for phrase, applies in applicable.items() if applies),
        settle=f"The importer's figure by country of consignment, and the exporter's re-exports to {words.destination}.",
        assumptions=words.assumptions,
    )  # fmt: skip


# --- worked cases ----------------------------------------------------------------------------------------------------


def _mirror_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    factor = _cif_fob(given, "value", parameters)
    sides = [case_quantity(given[side], parameters) for side in ("exporter", "importer")]
    found = mirror.mirror(sides[0], sides[1], factor)
    surprising = abs(found.z) >= significance.Z_TWO_SIDED
    verdict = "differs" if surprising else "consistent"
    words = Words(
        str(given.get("origin", "the exporting country")), str(given.get("destination", "the importing country")),
        str(given.get("scope", "the chips")), str(given.get("period", "the same period")),
        str(given.get("unit", "USD" if factor else "chips")), factor, None,
    )  # fmt: skip
    parts = explain.sections(story(found, surprising, None, None, words))
    return {
        "importer_fob": found.importer_fob, "gap": found.gap, "asymmetry": found.asymmetry, "z": found.z, "p": found.p,
        "balanced": found.balanced, "weight_exporter": found.weight_exporter, "verdict": verdict,
        "text": f"{_headline(found, verdict, words)}\n{explain.full_text(parts)}",
    }  # fmt: skip


def _cif_fob(given: Mapping[str, Any], unless_said: str, parameters: Parameters) -> float:
    measure = given.get("measure", "value" if "cif_fob" in given else unless_said)
    if measure not in ("value", "quantity"):
        raise BadInput(f"the measure {measure!r} is neither value nor quantity")
    return float(given.get("cif_fob", parameters.cif_fob)) if measure == "value" else 0.0


def _mirror_lag_case(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    factor = 1 + _cif_fob(given, "quantity", parameters)
    exporter = _series(given["exporter"], 1.0)
    importer = _series(given["importer"], factor)
    tried = [mirror.lagged(exporter, importer, int(lag)) for lag in given.get("lags", mirror.LAGS)]
    found = [one for one in tried if one is not None]
    return {
        "by_lag": {str(one.lag): {"sse": one.sse, "gap": one.gap, "periods": one.periods} for one in found},
        "best_lag": mirror.best_lag(found).lag,
    }


def _series(values: Sequence[Any], factor: float) -> list[float | None]:
    return [None if one is None else float(one) / factor for one in values]


CASES = {"mirror": _mirror_case, "mirror_lag": _mirror_lag_case}
