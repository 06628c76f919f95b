"""Limits of rules: do movements add up to more than a rule allows?

The limits are data (`quantity_caps` of the rules, docs/rules.md). Sums are taken per ultimate consignee, ultimate parent as of
the date, country or named company and country; over a calendar year, a period, cumulated, or up to the limit of each quarter;
in TPP, units, H100-equivalents or dollars. Told apart, each with its running table:

- *over cap by n*: `p = Phi((sum - limit) / s)` >= 0.99; *likely* from 0.9 (severity at most medium), *possibly* from 0.5
  (information only);
- *over ratio by n*: per commodity, `p = Phi((N - rho D) / sqrt(sN^2 + rho^2 sD^2))` after each export that left while the rule
  held; the day of the highest p is told. *Likely* from 0.9 and *possibly* from 0.5 have at most medium severity. Nothing
  recorded on the other side: *cannot be evaluated*;
- *report threshold passed*: a limit that calls for a report, no more: information;
- a rule that on the day was stayed, in the text but not enforced, or only reported: information, and the text says so. Of
  unconfirmed status: said, severity at most medium.

How to read it. A line counts where its goods went in the end: one whose goods were carried on by a later line is left out. It
counts only if its day, place and chips surely lie within the limit's scope; of a family the chip of lowest performance is
meant, and the other side of a ratio gets the larger reading. Lines without a date or a comparable unit count nothing. A
commodity is the chips with equal TPP, bandwidths, memory and power; a chip of which one is not known stands for itself. Sums
are taken in the database, from all lines of a key; keys below their limit leave no finding.

What it does not say. That a limit was broken. The ledger does not hold every movement, above all few within the United States,
which would raise what a ratio allows; the day of a licence application is not recorded, so a ratio runs to the day of each
export; licences and exceptions of their own may apply.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from tracker.chips.specs import H100_TPP
from tracker.core.countries import COUNTRIES
from tracker.core.period import Period
from tracker.core.quantity import weakest
from tracker.reconciliation import explain, significance
from tracker.reconciliation.books import Books, Finding, FlowRow, Parameters
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
from tracker.reconciliation.ratios import ratios
from tracker.reconciliation.result import finding
from tracker.reconciliation.tabulate import running
from tracker.rules.caps import Cap
from tracker.rules.parameters import Rule
from tracker.rules.quantities import exceeds

TITLE = "Quantity limits of rules"
FAMILY = None
PARTITION = "limit"

FORMULA = "sum of chips x TPP (or units, dollars) over the window - limit; p = Phi((sum - limit) / s)"
COLUMNS = ("shipped", "from", "to", "chips of", "lines", "chips", "added", "sum", "sd", "limit", "p over")
UNSEEN_LINES = "lines that nobody has entered here would add to the sum"


@dataclass(frozen=True, slots=True)
class _Step:
    """The sum after one flow."""

    flow: FlowRow
    day: date
    added: float
    total: float
    sd: float
    limit: float
    p: float
    level: str


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding for each cap, key and window that reaches its limit, sorted by rule, cap, key and window."""
    if books.law is None:
        return []
    bench = Bench(books, parameters, books.law)
    found: list[Finding] = []
    for rule in sorted(books.law.rules.rules, key=lambda r: (r.id, r.period.start or date.min)):
        for cap in rule.quantity_caps:
            if cap.evaluated:
                found += ratios(rule, cap, bench) if cap.kind == "ratio" else _sums(rule, cap, bench)
    return found


# --- sums against a limit ----------------------------------------------------------------------------------------------


def _sums(rule: Rule, cap: Cap, bench: Bench) -> list[Finding]:
    use = "country" if cap.per == "country" else "consignee"
    groups: dict[tuple[str, str, Period], list[tuple[date, FlowRow]]] = defaultdict(list)
    questions: dict[tuple[str, str, Period], set[str]] = defaultdict(set)
    for flow in bench.books.flows:
        if flow.use != use or (days := _surely(flow, rule, cap)) is None:
            continue
        first, period = days
        if not bench.is_counted(flow, cap.scope, first):
            continue
        for area, holder, question in _keys(flow, cap, first, bench):
            groups[area, holder, period].append((first, flow))
            questions[area, holder, period] |= {question} - {""}
    found = []
    for key in sorted(groups, key=lambda k: (k[0], k[1], k[2].start or date.min)):
        steps = _steps(groups[key], cap)
        worst = max(steps, key=lambda s: (s.p, s.total - s.limit), default=None)
        if worst is not None and worst.level in WORDS:
            found.append(_exceeded(rule, cap, key, steps, worst, sorted(questions[key]), bench))
    return found


def _surely(flow: FlowRow, rule: Rule, cap: Cap) -> tuple[date, Period] | None:
    """First possible day and window of a flow that surely lies in one window while the rule is in the books."""
    if flow.shipped is None or flow.shipped.start is None or flow.shipped.last is None:
        return None
    first, last = flow.shipped.start, flow.shipped.last
    period = cap.period_of(first, rule.period.start)
    inside = rule.period.holds(first) and rule.period.holds(last)
    return (first, period) if inside and period is not None and period.holds(last) else None


def _keys(flow: FlowRow, cap: Cap, day: date, bench: Bench) -> Iterable[tuple[str, str, str]]:
    """Area, name and open question of each sum that a flow belongs to."""
    country = bench.groups_on(day).effective(flow.destination)
    if cap.per == "country":
        if country:
            yield f"country:{country}", COUNTRIES.get(country, country), ""
        return
    who = bench.books.organizations.get(flow.consignee_id or 0)
    if who is None or who.is_aggregate:  # a group of unnamed buyers is nobody's sum
        return
    if cap.per == "ultimate parent":
        parents = bench.parents_on(who.ref.id, day)
        tops = [row for pk in parents.parents if (row := bench.books.organizations.get(int(pk)))]
        if parents.are_known and tops:
            yield from ((f"org:{top.slug}", top.name, "") for top in tops)
            return
        yield (
            f"org:{who.slug}",
            who.name,
            f"the ultimate parent of {who.name} is not known, so it is counted by itself",
        )
        return
    place = f" in {COUNTRIES.get(country, country)}" if cap.per == "company and country" else ""
    yield f"org:{who.slug}", f"{who.name}{place}", ""


def _steps(flows: Sequence[tuple[date, FlowRow]], cap: Cap) -> list[_Step]:
    """The running sum, by day; the limit is that of the day."""
    spread, total, steps = Spread(), 0.0, []
    for day, flow in sorted(flows, key=lambda pair: (pair[0], in_order(pair[1]))):
        rate, limit = rate_of(flow, cap), cap.limit_on(day)
        if rate is None or limit is None:
            continue
        added = flow.usd if cap.metric == "usd" else flow.chips * rate
        total += added
        sd = spread.add(flow, 0.0 if cap.metric == "usd" else rate)
        p, level = exceeds(total - limit, sd)
        steps.append(_Step(flow, day, added, total, sd, limit, p, level))
    return steps


def _exceeded(
    rule: Rule,
    cap: Cap,
    key: tuple[str, str, Period],
    steps: Sequence[_Step],
    worst: _Step,
    questions: Sequence[str],
    bench: Bench,
) -> Finding:
    area, holder, period = key
    crossed = next(step for step in steps if step.level in WORDS)
    standing, words = standing_on(rule, crossed.day)
    unit, over = UNITS[cap.metric], worst.total - worst.limit
    h100e = _h100e(over, cap, steps)
    sq = significance.in_sq(h100e, bench.parameters)
    grade = weakest(step.flow.grade for step in steps)
    is_finding = standing != "information" and worst.level in ("breach", "likely") and not cap.report_only
    is_finding = is_finding and not cap.is_unconfirmed
    limited = worst.level == "breach" and standing == "full"
    severity = (
        significance.severity(sq, grade, cap="critical" if limited else "medium") if is_finding else "info"
    )
    verdict = (
        "report threshold passed"
        if cap.report_only
        else f"{WORDS[worst.level]} cap by {explain.number(over)}"
    ) + suffix(rule, cap, standing, crossed.day)
    story = explain.Story(
        compared=f"What was shipped to {holder} ({period}), added up in {unit}, with the limit {cap.id} of {rule.id}.",
        sides=(
            *limit_words(rule, cap, worst.limit),
            *((words,) if words else ()),
            *((f"The limit itself is {cap.verification}.",) if cap.is_unconfirmed else ()),
            _sum_words(steps, worst, unit),
            f"The limit was reached on {crossed.day}.",
        ),
        difference=f"{explain.chips(over, unit)} beyond {explain.number(worst.limit)}"
        + (
            f", or {explain.number(h100e)} H100-equivalents."
            if h100e is not None and cap.metric != "h100e"
            else "."
        ),
        surprise=explain.CERTAIN
        if not worst.sd
        else f"Given the stated errors of the lines, the limit was exceeded with {explain.chance(worst.p)}.",
        open=(EXCEPTIONS, explain.OWNERSHIP, explain.ROUNDING, explain.DATES, UNSEEN_LINES),
        settle="The licences or exceptions relied on for these lines.",
        assumptions=(
            CARRIED_ON,
            *([TPP_OF_ONE] if cap.metric == "tpp" else []),
            *questions,
            *_left_out(steps, cap),
        ),
    )
    return finding(
        check=CODE,
        area=area,
        scope="any",
        period=period_words(period),
        counterpart=_counterpart(rule, cap, holder),
        verdict=verdict,
        headline=f"{holder}: {explain.chips(worst.total, unit)} in {period_words(period)}, {WORDS[worst.level]} {rule.id}"
        f" {cap.id}",
        expected=worst.limit,
        reported=worst.total,
        gap=over,
        unit=unit,
        sigma=worst.sd,
        statistic=over / worst.sd if worst.sd else None,
        is_finding=is_finding,
        gap_h100e=h100e,
        sq=sq,
        severity=severity,
        strength="certain" if worst.level == "breach" and not worst.sd else "",
        weakest_grade=grade,
        formula=FORMULA,
        sections=explain.sections(story),
        evidence=evidence(rule, [step.flow for step in steps], crossed.day, bench, is_finding),
        numbers={
            "rule": rule.id,
            "cap": cap.id,
            "status": rule.status_on(crossed.day).value,
            "probability_over": worst.p,
            "reached_on": crossed.day.isoformat(),
            "remaining": worst.limit - worst.total,
            "running": running(COLUMNS, [_row(step) for step in steps], ("lines", "chips", "added")),
        },
    )


def _counterpart(rule: Rule, cap: Cap, holder: str) -> str:
    return f"{rule.id} {cap.id}" + (f", {holder}" if cap.per == "company and country" else "")


def _sum_words(steps: Sequence[_Step], worst: _Step, unit: str) -> str:
    lines = sum(step.flow.lines for step in steps)
    least = sum(step.flow.at_least for step in steps)
    return (
        f"Lines: {explain.chips(worst.total, unit)} by {worst.day}, standard error {explain.number(worst.sd)}, "
        f"from {explain.counted(lines, 'line')}" + (f", {least} of which say 'at least'." if least else ".")
    )


def _left_out(steps: Sequence[_Step], cap: Cap) -> list[str]:
    uncounted = sum(step.flow.unpriced if cap.metric == "usd" else step.flow.uncounted for step in steps)
    what = "value" if cap.metric == "usd" else "number of chips"
    return [f"not counted: {explain.counted(uncounted, 'line')} without a {what}"] if uncounted else []


def _h100e(over: float, cap: Cap, steps: Sequence[_Step]) -> float | None:
    if cap.metric == "h100e":
        return over
    if cap.metric == "tpp":
        return over / H100_TPP
    rates = [step.flow.scope.h100e_low for step in steps if step.flow.scope.h100e_low]
    return over * min(rates) if cap.metric == "units" and rates else None


def _row(step: _Step) -> tuple[str | float | int | None, ...]:
    flow = step.flow
    return (
        explain.when(flow.shipped) if flow.shipped else "undated",
        flow.origin,
        flow.destination,
        flow.scope.slug,
        flow.lines,
        flow.chips,
        step.added,
        step.total,
        step.sd,
        step.limit,
        step.p,
    )
