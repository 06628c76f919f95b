"""What surely counts against a quantity limit of a rule, and what is said of any such limit.

The checks on sums (``checks.caps``) and on ratios (``ratios``) rest on it. A flow counts only if its day, place, chips and
parties surely lie within the scope of the limit; of a family the chip of lowest performance is meant.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from tracker.chips.specs import H100_TPP
from tracker.core.countries import COUNTRIES
from tracker.core.period import Period
from tracker.organizations.ownership import OrgKey, Parents, Stake, stakes_above, tops
from tracker.reconciliation import explain, scopes
from tracker.reconciliation.books import Books, Evidence, FlowRow, Law, Parameters, RecordRef, unread
from tracker.reconciliation.tabulate import MOST_ROWS
from tracker.rules.caps import Cap, CapScope
from tracker.rules.licensing import item_codes
from tracker.rules.parameters import CountryGroups, Rule, Status

CODE = "CAP"
"""Check that findings on limits belong to."""
UNITS = {"tpp": "TPP", "units": "chips", "h100e": "H100-equivalents", "usd": "USD"}
FEW_ROWS = 20
"""Lines named as evidence of what is information only."""
WORDS = {"breach": "over", "likely": "likely over", "possible": "possibly over"}
INFORMATION = (Status.STAYED, Status.NOT_ENFORCED, Status.ANNOUNCED, Status.NOT_IN_FORCE)
REPORTED_ONLY = ("reported", "note")
EXCEPTIONS = "licences and exceptions that are not recorded here may allow it"
CARRIED_ON = "lines whose goods a later line carries on count where they went in the end"
TPP_OF_ONE = "TPP of one chip, times the number of chips"


@dataclass(slots=True)
class Spread:
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
class Bench:
    """Says what surely lies within the scope of a limit; what it works out for a day or a party it keeps."""

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


def in_order(flow: FlowRow) -> tuple[str, int, str, str, str, int]:
    """What flows of one day are sorted by, so that equal ledgers make equal sums."""
    return flow.scope.kind, flow.scope.id, flow.origin, flow.destination, flow.house, flow.consignee_id or 0


def rate_of(flow: FlowRow, cap: Cap) -> float | None:
    """What one chip adds, on the low reading; None where its performance is not known."""
    if cap.metric in ("units", "usd"):
        return 1.0
    low = flow.scope.h100e_low
    return None if low is None else low * (H100_TPP if cap.metric == "tpp" else 1.0)


def standing_on(rule: Rule, day: date) -> tuple[str, str]:
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


def suffix(rule: Rule, cap: Cap, standing: str, day: date) -> str:
    """What the verdict adds where the rule or the limit does not stand in full (``standing`` as :func:`standing_on` tells)."""
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


def period_words(period: Period) -> str:
    """The window of a sum; a calendar year by its number."""
    start, end = period.start, period.end
    if (
        start
        and end
        and (start.month, start.day, end.month, end.day) == (1, 1, 1, 1)
        and end.year == start.year + 1
    ):
        return str(start.year)
    return f"from {start}" if start and not end else str(period)


def limit_words(rule: Rule, cap: Cap, limit: float | None) -> tuple[str, ...]:
    """The limit with its citation, its words and its note. ``limit``: in the unit of the cap; None for a ratio."""
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


def evidence(
    rule: Rule, flows: Sequence[FlowRow], day: date, bench: Bench, is_finding: bool
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
