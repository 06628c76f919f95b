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

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from tracker.chips.specs import H100_TPP
from tracker.core.countries import COUNTRIES
from tracker.core.period import Period
from tracker.core.quantity import weakest
from tracker.organizations.ownership import OrgKey, Parents, Stake, stakes_above, tops
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import (
    Books,
    ChipRow,
    Evidence,
    Finding,
    FlowRow,
    Law,
    Parameters,
    RecordRef,
    Scope,
    unread,
)
from tracker.reconciliation.result import finding
from tracker.reconciliation.tabulate import MOST_ROWS, running
from tracker.rules.caps import Cap, CapScope
from tracker.rules.licensing import item_codes
from tracker.rules.parameters import CountryGroups, Rule, Status
from tracker.rules.quantities import RatioLevel, exceeds, ratio_level

CODE = "CAP"
TITLE = "Quantity limits of rules"
FAMILY = None
PARTITION = "limit"

FORMULA = "sum of chips x TPP (or units, dollars) over the window - limit; p = Phi((sum - limit) / s)"
RATIO_FORMULA = "N - rho D; p = Phi((N - rho D) / sqrt(sN^2 + rho^2 sD^2))"
UNITS = {"tpp": "TPP", "units": "chips", "h100e": "H100-equivalents", "usd": "USD"}
COLUMNS = ("shipped", "from", "to", "chips of", "lines", "chips", "added", "sum", "sd", "limit", "p over")
RATIO_COLUMNS = (
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
FEW_ROWS = 20
"""Lines named as evidence of what is information only."""
WORDS = {"breach": "over", "likely": "likely over", "possible": "possibly over"}
INFORMATION = (Status.STAYED, Status.NOT_ENFORCED, Status.ANNOUNCED, Status.NOT_IN_FORCE)
REPORTED_ONLY = ("reported", "note")
UNSEEN_LINES = "lines that nobody has entered here would add to the sum"
UNSEEN_AT_HOME = "deliveries on the other side that nobody has entered here would raise what is allowed"
EXCEPTIONS = "licences and exceptions that are not recorded here may allow it"
CARRIED_ON = "lines whose goods a later line carries on count where they went in the end"
APPLICATION = "the day of the licence application is not recorded: the sums run to the day of each export"


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


@dataclass(slots=True)
class _Spread:
    """Variance of a running sum: what one house says alike is added before it is squared."""

    random: float = 0.0
    shared: dict[str, float] = field(default_factory=dict)

    def add(self, flow: FlowRow, factor: float) -> float:
        self.random += flow.random * factor**2
        self.shared[flow.house] = self.shared.get(flow.house, 0.0) + flow.systematic * factor
        return self.sd

    @property
    def sd(self) -> float:
        return math.sqrt(self.random + math.fsum(value**2 for _, value in sorted(self.shared.items())))


@dataclass(frozen=True)
class _Bench:
    books: Books
    parameters: Parameters
    law: Law
    parents: dict[tuple[OrgKey, int], Parents] = field(default_factory=dict)
    owners: dict[int, dict[OrgKey, list[Stake]]] = field(default_factory=dict)

    @cached_property
    def stake_days(self) -> list[date]:
        """Days on which a stake begins or ends: between two of them every parent stays the same."""
        periods = [stake.period for stake in self.law.stakes]
        return sorted({day for period in periods for day in (period.start, period.end) if day})

    def groups_on(self, day: date) -> CountryGroups:
        return self.law.classes.law(day).groups

    def parents_on(self, org: OrgKey, day: date) -> Parents:
        since = bisect_right(self.stake_days, day)
        if (org, since) not in self.parents:
            if since not in self.owners:
                self.owners[since] = stakes_above(self.law.stakes, day)
            self.parents[org, since] = tops(org, self.owners[since])
        return self.parents[org, since]

    # --- is a flow surely within a scope? ---------------------------------------------------------------------------

    def is_counted(self, flow: FlowRow, scope: CapScope, day: date) -> bool:
        return (
            self.goes(flow, scope, day)
            and self.has_chips(flow, scope, day)
            and self.is_of_parties(flow, scope, day)
        )

    def goes(self, flow: FlowRow, scope: CapScope, day: date) -> bool:
        groups = self.groups_on(day)
        stays = bool(flow.origin) and groups.effective(flow.origin) == groups.effective(flow.destination)
        return (
            (scope.in_country or not stays)
            and (not scope.destinations or groups.holds_any(flow.destination, scope.destinations) is True)
            and (
                not scope.not_destinations
                or groups.holds_any(flow.destination, scope.not_destinations) is False
            )
            and (not scope.origins or groups.holds_any(flow.origin, scope.origins) is True)
        )

    def has_chips(self, flow: FlowRow, scope: CapScope, day: date) -> bool:
        if not (scope.items or scope.chips or scope.when):
            return True
        return bool(flow.scope.members) and all(self.is_item(chip, scope, day) for chip in flow.scope.members)

    def is_item(self, chip: int, scope: CapScope, day: date) -> bool:
        row, spec = self.books.chips.get(chip), self.law.specs.get(chip)
        if row is None or spec is None or (scope.chips and row.slug not in scope.chips):
            return False
        found = self.law.classes.classification(spec, day)
        if scope.items and not set(item_codes(found, self.law.rules.matrix)) <= set(scope.items):
            return False
        return scope.when is None or scope.when.evaluate(found.values).truth is True

    def is_of_parties(self, flow: FlowRow, scope: CapScope, day: date) -> bool:
        who = self.books.organizations.get(flow.consignee_id or 0)
        if scope.who and (who is None or who.slug not in scope.who):
            return False
        if not scope.not_hq or who is None:
            return True
        parents = self.parents_on(who.ref.id, day).parents
        seats = [
            who.country,
            *(row.country for pk in parents if (row := self.books.organizations.get(int(pk)))),
        ]
        return not any(self.groups_on(day).holds_any(seat, scope.not_hq) for seat in seats if seat)


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding for each cap, key and window that reaches its limit, sorted by rule, cap, key and window."""
    if books.law is None:
        return []
    bench = _Bench(books, parameters, books.law)
    found: list[Finding] = []
    for rule in sorted(books.law.rules.rules, key=lambda r: (r.id, r.period.start or date.min)):
        for cap in rule.quantity_caps:
            if cap.evaluated:
                found += _ratios(rule, cap, bench) if cap.kind == "ratio" else _sums(rule, cap, bench)
    return found


# --- sums against a limit ----------------------------------------------------------------------------------------------


def _sums(rule: Rule, cap: Cap, bench: _Bench) -> list[Finding]:
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


def _keys(flow: FlowRow, cap: Cap, day: date, bench: _Bench) -> Iterable[tuple[str, str, str]]:
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
    spread, total, steps = _Spread(), 0.0, []
    for day, flow in sorted(flows, key=lambda pair: (pair[0], _order(pair[1]))):
        rate, limit = _rate(flow, cap), cap.limit_on(day)
        if rate is None or limit is None:
            continue
        added = flow.usd if cap.metric == "usd" else flow.chips * rate
        total += added
        sd = spread.add(flow, 0.0 if cap.metric == "usd" else rate)
        p, level = exceeds(total - limit, sd)
        steps.append(_Step(flow, day, added, total, sd, limit, p, level))
    return steps


def _order(flow: FlowRow) -> tuple[str, int, str, str, str, int]:
    return flow.scope.kind, flow.scope.id, flow.origin, flow.destination, flow.house, flow.consignee_id or 0


def _rate(flow: FlowRow, cap: Cap) -> float | None:
    """What one chip adds, on the low reading; None where its performance is not known."""
    if cap.metric in ("units", "usd"):
        return 1.0
    low = flow.scope.h100e_low
    return None if low is None else low * (H100_TPP if cap.metric == "tpp" else 1.0)


def _standing(rule: Rule, day: date) -> tuple[str, str]:
    """How the rule stood on the day: ``full``, ``unconfirmed`` or ``information``, and the sentence that says so."""
    status = rule.status_on(day)
    if status in INFORMATION:
        return (
            "information",
            f"On {day} the rule was {status.value}: this is information only. {rule.enforcement_note}".strip(),
        )
    if rule.enforcement in REPORTED_ONLY:
        return (
            "information",
            f"The rule is {rule.enforcement}, without a legal text: this is information only.",
        )
    if status is Status.UNCONFIRMED:
        return "unconfirmed", f"Nobody has confirmed that the rule was in force on {day}."
    return "full", ""


def _exceeded(
    rule: Rule,
    cap: Cap,
    key: tuple[str, str, Period],
    steps: Sequence[_Step],
    worst: _Step,
    questions: Sequence[str],
    bench: _Bench,
) -> Finding:
    area, holder, period = key
    crossed = next(step for step in steps if step.level in WORDS)
    standing, words = _standing(rule, crossed.day)
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
    ) + _suffix(rule, cap, standing, crossed.day)
    story = explain.Story(
        compared=f"What was shipped to {holder} ({period}), added up in {unit}, with the limit {cap.id} of {rule.id}.",
        sides=(
            *_limit_words(rule, cap, worst.limit),
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
            *(["TPP of one chip, times the number of chips"] if cap.metric == "tpp" else []),
            *questions,
            *_left_out(steps, cap),
        ),
    )
    return finding(
        check=CODE,
        area=area,
        scope="any",
        period=_period(period),
        counterpart=_counterpart(rule, cap, holder),
        verdict=verdict,
        headline=f"{holder}: {explain.chips(worst.total, unit)} in {_period(period)}, {WORDS[worst.level]} {rule.id} {cap.id}",
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
        evidence=_evidence(rule, [step.flow for step in steps], crossed.day, bench, is_finding),
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


def _suffix(rule: Rule, cap: Cap, standing: str, day: date) -> str:
    if standing == "information":
        status = rule.status_on(day)
        return f", rule {status.value}" if status in INFORMATION else f", rule {rule.enforcement}"
    return (
        ", limit not confirmed"
        if cap.is_unconfirmed
        else ", rule not confirmed"
        if standing == "unconfirmed"
        else ""
    )


def _period(period: Period) -> str:
    start, end = period.start, period.end
    if (
        start
        and end
        and (start.month, start.day, end.month, end.day) == (1, 1, 1, 1)
        and end.year == start.year + 1
    ):
        return str(start.year)
    return f"from {start}" if start and not end else str(period)


def _counterpart(rule: Rule, cap: Cap, holder: str) -> str:
    return f"{rule.id} {cap.id}" + (f", {holder}" if cap.per == "company and country" else "")


def _limit_words(rule: Rule, cap: Cap, limit: float | None) -> tuple[str, ...]:
    figure = (
        f"{cap.limit_ratio:g} times the other side"
        if cap.limit_ratio is not None
        else f"{explain.number(limit)} {UNITS[cap.metric]}"
    )
    said = "; ".join(f"{name}: {text}" for name, text in cap.in_words.items())
    return (
        f"Limit: {figure} per {cap.per}, {cap.window}; {cap.citation or rule.citation}; verification: "
        f"{cap.verification or rule.verification}.",
        *((f"In its words: {said}.",) if said else ()),
        *((f"Note: {cap.note}.",) if cap.note else ()),
    )


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


# --- ratios ------------------------------------------------------------------------------------------------------------


def _ratios(rule: Rule, cap: Cap, bench: _Bench) -> list[Finding]:
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
    rule: Rule, cap: Cap, chips: Sequence[ChipRow], flows: Sequence[FlowRow], bench: _Bench
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


def _sides(cap: Cap, ids: set[int], flows: Sequence[FlowRow], bench: _Bench) -> list[_Side]:
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
    return sorted(found, key=lambda side: (side.day, side.is_export, _order(side.flow)))


def _ratio_steps(cap: Cap, sides: Sequence[_Side]) -> list[tuple[_Side, RatioLevel, float, float, float]]:
    """After each flow: the level, what it added, the sums of both sides."""
    spreads = {True: _Spread(), False: _Spread()}
    totals, steps = {True: 0.0, False: 0.0}, []
    for side in sides:
        rate = _rate(side.flow, cap) or 0.0
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
    bench: _Bench,
) -> Finding:
    side, level, _, exported, at_home = worst
    name, unit = chips[0].name, UNITS[cap.metric]
    standing, words = _standing(rule, side.day)
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
    ) + _suffix(rule, cap, standing, side.day)
    ratio = "" if level.ratio is None or math.isinf(level.ratio) else f" ({explain.share(level.ratio)})"
    story = explain.Story(
        compared=f"{name} exported to {places}, with deliveries of the same commodity to {others}, "
        f"cumulated to {side.day}, with the limit {cap.id} of {rule.id}.",
        sides=(
            *_limit_words(rule, cap, None),
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
            "TPP of one chip, times the number of chips",
        ),
    )
    table = [_ratio_row(step) for step in steps]
    return finding(
        check=CODE,
        area=area,
        scope=f"chip:{chips[0].slug}",
        period=_period(rule.period),
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
        formula=RATIO_FORMULA,
        sections=explain.sections(story),
        evidence=_evidence(rule, [step[0].flow for step in steps], side.day, bench, is_finding),
        numbers={
            "rule": rule.id,
            "cap": cap.id,
            "status": rule.status_on(side.day).value,
            "ratio": level.ratio,
            "limit_ratio": cap.limit_ratio,
            "probability_over": level.p_exceeds,
            "reached_on": side.day.isoformat(),
            "running": running(RATIO_COLUMNS, table, ("lines", "chips", "added")),
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


# --- evidence ----------------------------------------------------------------------------------------------------------


def _evidence(
    rule: Rule, flows: Sequence[FlowRow], day: date, bench: _Bench, is_finding: bool
) -> tuple[Evidence, ...]:
    """The rule, the largest lines of each flow (the last ones, where there are many), specifications, and the parties with
    their ultimate parents as of the day."""
    found: dict[RecordRef, Evidence] = {}
    for period, ref, label in bench.law.records.get(rule.id, ()):
        if period.holds(day):
            found[ref] = Evidence(ref, "rule", label)
    examples = [pk for flow in flows for pk in flow.examples][-(MOST_ROWS if is_finding else FEW_ROWS) :]
    lines = (unread(pk, "movement") for pk in examples)
    found |= {line.ref: line for line in lines}
    for flow in flows:
        found |= {row.ref: row for row in scopes.specification(flow.scope, bench.books.chips)}
    parties = sorted({flow.consignee_id for flow in flows if flow.consignee_id})
    children: dict[RecordRef, tuple[str, list[str]]] = {}
    for pk in parties:
        if who := bench.books.organizations.get(pk):
            seat = COUNTRIES.get(who.country, "not known")
            found[who.ref] = Evidence(who.ref, "party", f"{who.name}: headquarters {seat}")
            for parent in bench.parents_on(pk, day).parents:
                if parent != pk and (row := bench.books.organizations.get(int(parent))):
                    children.setdefault(row.ref, (row.name, []))[1].append(who.name)
    for ref, (name, names) in children.items():
        label = f"{name}: ultimate parent of {explain.listed(names)} on {day}"
        found.setdefault(ref, Evidence(ref, "parent", label))
    return tuple(found.values())
