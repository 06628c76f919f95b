"""Limits on a ratio: what was exported of a commodity, against what was delivered of it on the other side.

Per commodity, `p = Phi((N - rho D) / sqrt(sN^2 + rho^2 sD^2))` after each export that left while the rule held; the day of the
highest p is told. Part of the check on limits (``checks.caps``), whose page says how to read it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tracker.chips.specs import H100_TPP
from tracker.core.quantity import weakest
from tracker.reconciliation import explain, significance
from tracker.reconciliation.books import ChipRow, Finding, FlowRow, Scope
from tracker.reconciliation.limits import (
    CARRIED_ON,
    CODE,
    EXCEPTIONS,
    TPP_OF_ONE,
    UNITS,
    WORDS,
    Bench,
    Spread,
    evidence,
    in_order,
    limit_words,
    period_words,
    rate_of,
    standing_on,
    suffix,
)
from tracker.reconciliation.result import finding
from tracker.reconciliation.tabulate import running
from tracker.rules.caps import Cap
from tracker.rules.parameters import Rule
from tracker.rules.quantities import RatioLevel, ratio_level

FORMULA = "N - rho D; p = Phi((N - rho D) / sqrt(sN^2 + rho^2 sD^2))"
COLUMNS = (
    "shipped",
    "side",
    "chips of",
    "lines",
    "chips",
    "added",
    "exported",
    "at home",
    "allowed",
    "p over",
)
UNSEEN_AT_HOME = "deliveries on the other side that nobody has entered here would raise what is allowed"
APPLICATION = "the day of the licence application is not recorded: the sums run to the day of each export"


def ratios(rule: Rule, cap: Cap, bench: Bench) -> list[Finding]:
    """One finding at most for each commodity that was exported while the rule held."""
    commodities: dict[str, list[ChipRow]] = defaultdict(list)
    asked = bench.law.traded
    for chip in sorted(bench.books.chips.values(), key=lambda row: row.ref.id):
        if asked is None or chip.ref.id in asked:
            commodities[chip.commodity or chip.slug].append(chip)
    # flows by scope, which are few: each commodity looks only at those that may be of it
    flows: dict[Scope, list[FlowRow]] = defaultdict(list)
    for flow in bench.books.flows:
        if flow.use == "ratio":
            flows[flow.scope].append(flow)
    found = []
    for name in sorted(commodities) if flows else ():
        ids = {chip.ref.id for chip in commodities[name]}
        near = [scope for scope in flows if not scope.members or scope.members & ids]
        found.append(
            _ratio(rule, cap, commodities[name], [flow for scope in near for flow in flows[scope]], bench)
        )
    return [made for made in found if made is not None]


@dataclass(frozen=True, slots=True)
class _Side:
    """A flow that counts on one side, from ``day`` on."""

    flow: FlowRow
    day: date
    is_export: bool


def _ratio(
    rule: Rule, cap: Cap, chips: Sequence[ChipRow], flows: Sequence[FlowRow], bench: Bench
) -> Finding | None:
    ids = {chip.ref.id for chip in chips}
    sides = _sides(cap, ids, flows, bench)
    exports = [
        side
        for side in sides
        if side.is_export
        and side.flow.shipped
        and side.flow.shipped.start
        and rule.period.holds(side.flow.shipped.start)
    ]
    if not exports or not all(bench.is_item(pk, cap.scope, exports[-1].day) for pk in ids):
        return None
    steps = _ratio_steps(cap, sides)
    judged = [step for step in steps if step[0].is_export and step[0] in exports]
    worst = max(judged, key=lambda step: (step[1].p_exceeds or 0.0, step[1].excess or 0.0))
    if worst[1].level == "within":
        return None
    return _ratio_finding(rule, cap, chips, steps, worst, bench)


def _sides(cap: Cap, ids: set[int], flows: Sequence[FlowRow], bench: Bench) -> list[_Side]:
    """Exports that are surely of the commodity, on their last possible day; the other side on its first, and on the larger
    reading: a family that may hold the commodity counts whole."""
    assert cap.of is not None
    found = []
    for flow in flows:
        first = (flow.shipped and flow.shipped.start) or date.min
        last = flow.shipped.last if flow.shipped else None
        day = max(
            first, date(2022, 1, 1)
        )  # groups of an undated line: those of the first day that the rules tell
        if last and flow.scope.members and flow.scope.members <= ids and bench.goes(flow, cap.scope, last):
            found.append(_Side(flow, last, True))
        elif (not flow.scope.members or flow.scope.members & ids) and bench.goes(flow, cap.of, day):
            found.append(_Side(flow, first, False))
    return sorted(found, key=lambda side: (side.day, side.is_export, in_order(side.flow)))


def _ratio_steps(cap: Cap, sides: Sequence[_Side]) -> list[tuple[_Side, RatioLevel, float, float, float]]:
    """After each flow: the level, what it added, the sums of both sides."""
    spreads = {True: Spread(), False: Spread()}
    totals, steps = {True: 0.0, False: 0.0}, []
    for side in sides:
        rate = rate_of(side.flow, cap) or 0.0
        if not side.is_export and side.flow.scope.h100e_high and cap.metric == "tpp":
            rate = side.flow.scope.h100e_high * H100_TPP
        added = side.flow.chips * rate
        totals[side.is_export] += added
        spreads[side.is_export].add(side.flow, rate)
        level = ratio_level(
            totals[True], totals[False] or None, cap.limit_ratio or 0.0, spreads[True].sd, spreads[False].sd
        )
        steps.append((side, level, added, totals[True], totals[False]))
    return steps


def _ratio_finding(
    rule: Rule,
    cap: Cap,
    chips: Sequence[ChipRow],
    steps: Sequence[tuple[_Side, RatioLevel, float, float, float]],
    worst: tuple[_Side, RatioLevel, float, float, float],
    bench: Bench,
) -> Finding:
    side, level, _, exported, at_home = worst
    name, unit = chips[0].name, UNITS[cap.metric]
    standing, words = standing_on(rule, side.day)
    is_known = level.excess is not None
    over = level.excess or 0.0
    h100e = over / H100_TPP if cap.metric == "tpp" and is_known else None
    sq = significance.in_sq(h100e, bench.parameters)
    grade = weakest(step[0].flow.grade for step in steps)
    is_finding = is_known and standing != "information" and not cap.report_only and not cap.is_unconfirmed
    limited = level.level == "breach" and standing == "full"
    country = side.flow.destination
    area = f"country:{bench.groups_on(side.day).effective(country)}"
    places, others = (
        explain.listed(cap.scope.destinations),
        explain.listed(cap.of.destinations if cap.of else ()),
    )
    lines = sum(step[0].flow.lines for step in steps if step[0].is_export)
    stands = WORDS[level.level] if is_known else "not comparable with"
    verdict = (
        f"{WORDS[level.level]} ratio by {explain.number(over)}" if is_known else "cannot be evaluated"
    ) + suffix(rule, cap, standing, side.day)
    ratio = "" if level.ratio is None or math.isinf(level.ratio) else f" ({explain.share(level.ratio)})"
    story = explain.Story(
        compared=f"{name} exported to {places}, with deliveries of the same commodity to {others}, "
        f"cumulated to {side.day}, with the limit {cap.id} of {rule.id}.",
        sides=(
            *limit_words(rule, cap, None),
            *((words,) if words else ()),
            f"Exported: {explain.chips(exported, unit)} from {explain.counted(lines, 'line')} in all.",
            f"Other side: {explain.chips(at_home, unit)}; allowed {explain.number(level.allowed)}{ratio}."
            if is_known
            else "Other side: no line in this database.",
        ),
        difference=f"{explain.chips(over, unit)} beyond what is allowed, or {explain.number(h100e)} H100-equivalents."
        if is_known
        else "It cannot be told, because one side is not recorded.",
        surprise=explain.CERTAIN
        if is_known and not level.sigma
        else f"Given the stated errors of the lines, the limit was exceeded with {explain.chance(level.p_exceeds)}."
        if is_known and level.p_exceeds is not None
        else "Nothing was tested.",
        open=(UNSEEN_AT_HOME, EXCEPTIONS, explain.DATES, explain.FAMILY),
        settle="Deliveries of this commodity on the other side, as the maker certified them in its licence application.",
        assumptions=(
            APPLICATION,
            CARRIED_ON,
            f"commodity: {chips[0].commodity or chips[0].name}",
            TPP_OF_ONE,
        ),
    )
    table = [_ratio_row(step) for step in steps]
    return finding(
        check=CODE,
        area=area,
        scope=f"chip:{chips[0].slug}",
        period=period_words(rule.period),
        counterpart=f"{rule.id} {cap.id}",
        verdict=verdict,
        headline=f"{name}: exports to {places} {stands} {rule.id} {cap.id}",
        expected=level.allowed,
        reported=exported,
        gap=level.excess,
        unit=unit,
        sigma=level.sigma,
        statistic=over / level.sigma if level.sigma else None,
        is_finding=is_finding,
        gap_h100e=h100e,
        sq=sq,
        severity=significance.severity(sq, grade, cap="critical" if limited else "medium")
        if is_finding
        else "info",
        strength="certain" if level.level == "breach" and not level.sigma else "",
        weakest_grade=grade,
        formula=FORMULA,
        sections=explain.sections(story),
        evidence=evidence(rule, [step[0].flow for step in steps], side.day, bench, is_finding),
        numbers={
            "rule": rule.id,
            "cap": cap.id,
            "status": rule.status_on(side.day).value,
            "ratio": level.ratio,
            "limit_ratio": cap.limit_ratio,
            "probability_over": level.p_exceeds,
            "reached_on": side.day.isoformat(),
            "running": running(COLUMNS, table, ("lines", "chips", "added")),
        },
    )


def _ratio_row(step: tuple[_Side, RatioLevel, float, float, float]) -> tuple[str | float | int | None, ...]:
    side, level, added, exported, at_home = step
    flow = side.flow
    return (
        explain.when(flow.shipped) if flow.shipped else "undated",
        "exported" if side.is_export else "at home",
        flow.scope.slug,
        flow.lines,
        flow.chips,
        added,
        exported,
        at_home,
        level.allowed,
        level.p_exceeds,
    )
