"""Rules: did a movement need a licence on the day it left, and is one recorded that covers it?

For every movement the rules in force on its shipping date answer *required*, *not required* or
*undetermined*. Where a licence was required, movements draw in the order of shipping on the recorded
licence that covers them and expires first. What is told apart:

- *no licence recorded*: none in this database covers it;
- *licence does not cover*: the movement names a licence that speaks of other chips, parties, countries or
  days;
- *over licence by n*: the movements drawn on one licence exceed its quantity, beyond their stated errors
  (z >= 1.645);
- *undetermined*: the answer depends on facts that are not recorded; they are listed, as information only.

How to read it. This is reading, not statistics: there is no p-value, and severity goes by the number of
chips alone. Vague days and family names count for the movement. A licence that names no party covers
everybody in its country; its use is not counted.

What it does not say. That a rule was broken. Licences are seldom published, exceptions need facts that
papers do not give, and whether the goods were subject to the rules at all is sometimes a question of its
own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from tracker.claims.combine import quantity
from tracker.core.countries import COUNTRIES
from tracker.core.period import Period, quarter
from tracker.core.quantity import NotComparable, Quantity, total, weakest
from tracker.licences.drawdown import MISSING, DrawDown, Licence, Movement, draw_down
from tracker.organizations.ownership import affiliation, restricted
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.books import (
    Books,
    Evidence,
    Finding,
    LicenceRow,
    MovementRow,
    Parameters,
    RecordRef,
    Scope,
    VerdictRow,
)
from tracker.reconciliation.case_input import case_date, case_period, case_quantity
from tracker.reconciliation.position import movement_label
from tracker.reconciliation.result import finding
from tracker.rules.quantities import CapMovement, cap_totals, ratio_level

CODE = "RULE"
TITLE = "Licence required and recorded"
FAMILY = None
PARTITION = "consignee"

FORMULA = "licence required on the shipping date, less what recorded licences cover in the order of shipping"
REQUIRED, UNDETERMINED = "required", "undetermined"
NO_LICENCE = "no licence recorded"
NOT_COVERED = "licence does not cover"
COUNTERPART_LIMIT = 180


@dataclass(frozen=True, slots=True)
class _Case:
    """A movement with its verdict, the place it is booked under, and its number of chips."""

    row: MovementRow
    verdict: VerdictRow
    area: str
    name: str
    amount: Quantity | NotComparable

    @property
    def chips(self) -> float:
        return self.amount.mu if isinstance(self.amount, Quantity) else 0.0

    @property
    def id(self) -> str:
        return f"{self.row.ref.id:012d}"


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per consignee, scope, quarter and rule (or licence), sorted; undetermined ones per consignee and scope."""
    cases = [
        case
        for row in sorted(books.movements, key=lambda row: row.ref.id)
        if (case := _case(row, books, parameters))
    ]
    required = [case for case in cases if case.verdict.answer == REQUIRED]
    drawn = _drawn(required, books, parameters)
    return [
        *_without_licence(
            [case for case in required if drawn.by_movement[case.id] == MISSING], books, parameters
        ),
        *_over_licence(required, drawn, books, parameters),
        *_undetermined([case for case in cases if case.verdict.answer == UNDETERMINED], books, parameters),
    ]


def _case(row: MovementRow, books: Books, parameters: Parameters) -> _Case | None:
    verdict = books.verdicts.get(row.ref.id)
    if verdict is None or row.status in ("cancelled", "returned"):
        return None
    who = books.organizations.get(row.consignee_id or row.end_user_id or 0)
    country = row.destination_country or "unknown"
    area, name = (
        (f"org:{who.slug}", who.name) if who else (f"country:{country}", COUNTRIES.get(country, country))
    )
    return _Case(row, verdict, area, name, quantity(row.reported, parameters))


# --- what licences cover ---------------------------------------------------------------------------------------------


def _refusals(item: LicenceRow, row: MovementRow, books: Books) -> tuple[str, ...]:
    """Why a licence item does not speak of a movement, in words; empty if it does."""
    days = row.shipped or Period(None, None)
    asked = {
        f"it is for {item.scope.name if item.scope else 'other chips'}": item.scope is None
        or scopes.may_overlap(item.scope, row.scope, books.chips),
        f"it is an {item.kind}": "import"
        not in item.kind,  # the buyer's country allows the buying, not the export
        f"it is valid {item.valid}": item.valid.overlaps(days),
        "it names another consignee": item.consignee_id in (None, row.consignee_id, row.end_user_id),
        "it names another end user": item.end_user_id is None
        or item.end_user_id in (row.end_user_id, row.consignee_id)
        or row.end_user_id is None,
        f"it is for {item.country}": item.country in ("", row.destination_country)
        or not row.destination_country,
    }
    return tuple(why for why, fits in asked.items() if not fits)


def _covers(item: LicenceRow, row: MovementRow, books: Books) -> bool:
    """A movement that names a licence draws on that one only."""
    return (row.licence_id is None or item.licence_id == row.licence_id) and not _refusals(item, row, books)


def _is_for_all(item: LicenceRow) -> bool:
    return item.consignee_id is None and item.end_user_id is None


def _candidates(required: Sequence[_Case]) -> dict[int | None, list[_Case]]:
    """Movements by the parties that a licence may name, so that each licence looks only at theirs."""
    found: dict[int | None, list[_Case]] = defaultdict(list)
    for case in required:
        for party in {case.row.consignee_id, case.row.end_user_id} - {None}:
            found[party].append(case)
    return found


def _drawn(required: Sequence[_Case], books: Books, parameters: Parameters) -> DrawDown:
    """The draw-down of all licences. What a licence may serve is settled here, so it is handed over as a list of movements."""
    licences, candidates = [], _candidates(required)
    for item in sorted(books.licences, key=lambda row: row.ref.id):
        near = required if _is_for_all(item) else candidates[item.consignee_id] + candidates[item.end_user_id]
        served = frozenset(case.id for case in near if _covers(item, case.row, books))
        amount = quantity(item.reported, parameters)
        counted = isinstance(amount, Quantity) and amount.bound != "lower" and not _is_for_all(item)
        units = amount.mu if counted and isinstance(amount, Quantity) else math.inf
        if served:
            licences.append(Licence(f"{item.ref.id:012d}", units, Period(None, item.valid.end), chips=served))
    movements = [
        Movement(
            case.id, case.area, case.id, case.chips, (case.row.shipped and case.row.shipped.start) or date.min
        )
        for case in required
    ]
    return draw_down(movements, licences, [Period(None, None)])


# --- findings --------------------------------------------------------------------------------------------------------


def _without_licence(cases: Sequence[_Case], books: Books, parameters: Parameters) -> list[Finding]:
    groups: dict[tuple[str, str, str, str, str], list[_Case]] = defaultdict(list)
    for case in cases:
        named = _named_licence(case.row, books)
        verdict = NOT_COVERED if named else NO_LICENCE
        counterpart = (
            f"licence {named[0].reference}" if named else ", ".join(case.verdict.rule_ids) or "rules"
        )
        day = case.row.shipped.start if case.row.shipped else None
        when = quarter(day) if day else "undated"
        groups[case.area, scopes.key(case.row.scope), when, counterpart[:COUNTERPART_LIMIT], verdict].append(
            case
        )
    return [_uncovered(key, groups[key], books, parameters) for key in sorted(groups)]


def _named_licence(row: MovementRow, books: Books) -> list[LicenceRow]:
    items = [
        item for item in books.licences if row.licence_id is not None and item.licence_id == row.licence_id
    ]
    return sorted(items, key=lambda item: item.ref.id)


def _uncovered(
    key: tuple[str, str, str, str, str], cases: Sequence[_Case], books: Books, parameters: Parameters
) -> Finding:
    area, scope_key, when, counterpart, verdict = key
    first, scope = cases[0], cases[0].row.scope
    under = explain.listed(text for case in cases for text in case.verdict.citations) if any(
        case.verdict.citations for case in cases
    ) else explain.listed(text for case in cases for text in case.verdict.rule_ids)  # fmt: skip
    items = _named_licence(first.row, books) if verdict == NOT_COVERED else []
    why = tuple(
        dict.fromkeys(text for case in cases for item in items for text in _refusals(item, case.row, books))
    )
    recorded = (
        f"The licence they name, {items[0].reference}, does not cover them: {explain.listed(why)}."
        if items
        else "No licence that covers them is recorded in this database."
    )
    gap = math.fsum(case.chips for case in cases)
    story = explain.Story(
        compared=f"{len(cases)} movement(s) of {scope.name} to {first.name} in {when}, with the rules in force on their "
        "shipping dates and the licences recorded.",
        sides=(f"They needed a licence under {under}.", *_reasons(cases), recorded),
        difference=f"{_size(gap, scope, parameters)} that needed a licence; "
        + ("the one named does not cover them." if items else "no licence is recorded in this database."),
        surprise="No probability is involved: this follows from the rules, the recorded facts and the recorded licences.",
        open=(explain.LICENCE_UNSEEN, explain.OWNERSHIP, *((explain.FAMILY,) if scope.kind == "family" else ())),
        settle="The licence, or the exception relied on, for these shipments.", assumptions=_assumptions(cases),
    )  # fmt: skip
    label = "named licence does not cover" if items else "no licence recorded"
    headline = f"{first.name}: {explain.chips(gap)} of {scope.name} in {when} needed a licence; {label}"
    licences = [Evidence(item.ref, "licence", f"{item.reference}: {item.valid}") for item in items]
    return _made(
        (area, scope_key, when, counterpart),
        verdict,
        headline,
        gap,
        cases,
        story,
        parameters,
        licences,
        books,
    )


def _over_licence(
    required: Sequence[_Case], drawn: DrawDown, books: Books, parameters: Parameters
) -> list[Finding]:
    by_id = {case.id: case for case in required}
    users: dict[str, list[_Case]] = defaultdict(list)
    for movement_id in sorted(drawn.drawn):
        for licence_id, _ in drawn.drawn[movement_id]:
            users[licence_id].append(by_id[movement_id])
    found = []
    for item in sorted(books.licences, key=lambda row: row.ref.id):
        name, allowed = f"{item.ref.id:012d}", quantity(item.reported, parameters)
        if (
            name not in users
            or not isinstance(allowed, Quantity)
            or allowed.bound == "lower"
            or _is_for_all(item)
        ):
            continue
        over = drawn.used[name] - allowed.mu
        sigma = total([(1, case.amount) for case in users[name] if isinstance(case.amount, Quantity)]).s
        if over > 0 and significance.z_score(over, sigma) >= significance.Z_ONE_SIDED:
            found.append(_over(item, allowed, over, sigma, users[name], books, parameters))
    return found


def _over(
    item: LicenceRow,
    allowed: Quantity,
    over: float,
    sigma: float,
    cases: Sequence[_Case],
    books: Books,
    parameters: Parameters,
) -> Finding:
    scope, first = item.scope or cases[0].row.scope, cases[0]
    story = explain.Story(
        compared=f"Movements drawn on licence {item.reference} ({item.authority}), with its quantity.",
        sides=(
            f"Licence: {explain.figure(allowed)} of {scope.name}, valid {item.valid}; {explain.cited(item.source)}.",
            f"Movements: {explain.chips(allowed.mu + over)} drawn by {len(cases)} movement(s), in the order of shipping.",
            *_reasons(cases),
        ),
        difference=f"{_size(over, scope, parameters)} beyond the quantity of the licence.",
        surprise=explain.CERTAIN if not sigma else f"The excess is {over / sigma:.3g} standard errors of the quantities moved.",
        open=(explain.LICENCE_UNSEEN, explain.ROUNDING, explain.DATES),
        settle="The licence's own record of use, or a further licence for these shipments.", assumptions=_assumptions(cases),
    )  # fmt: skip
    headline = (
        f"{first.name}: {explain.chips(over)} beyond licence {item.reference} ({explain.number(allowed.mu)})"
    )
    key = (
        first.area,
        scopes.key(scope),
        explain.when(item.valid),
        f"licence {item.reference} item {item.ref.id}",
    )
    rows = [
        Evidence(
            item.ref, "licence", f"{item.reference}: {explain.figure(allowed)}, {item.valid}", -allowed.mu
        )
    ]
    return _made(
        key,
        f"over licence by {explain.number(over)}",
        headline,
        over,
        cases,
        story,
        parameters,
        rows,
        books,
        scope,
    )


def _undetermined(cases: Sequence[_Case], books: Books, parameters: Parameters) -> list[Finding]:
    groups: dict[tuple[str, str], list[_Case]] = defaultdict(list)
    for case in cases:
        groups[case.area, scopes.key(case.row.scope)].append(case)
    return [_open_question(key, groups[key], books, parameters) for key in sorted(groups)]


def _open_question(
    key: tuple[str, str], cases: Sequence[_Case], books: Books, parameters: Parameters
) -> Finding:
    first, scope = cases[0], cases[0].row.scope
    facts = Counter(fact for case in cases for fact in case.verdict.missing)
    wanted = tuple(f"Not recorded: {fact} ({n} movement(s))." for fact, n in sorted(facts.items()))
    gap = math.fsum(case.chips for case in cases)
    story = explain.Story(
        compared=f"{len(cases)} movement(s) of {scope.name} to {first.name}, with the rules in force on their shipping dates.",
        sides=(*wanted, *_reasons(cases)),
        difference=f"For {explain.chips(gap)} it cannot be told whether a licence was needed.",
        surprise="No probability is involved: the answer depends on facts that are not recorded.", open=(explain.OWNERSHIP,),
        settle=f"To record: {explain.listed(sorted(facts))}.", assumptions=_assumptions(cases),
    )  # fmt: skip
    headline = f"{first.name}: whether {explain.chips(gap)} of {scope.name} needed a licence is undetermined"
    return _made(
        (*key, "whole record", "undetermined"),
        UNDETERMINED,
        headline,
        gap,
        cases,
        story,
        parameters,
        [],
        books,
    )


def _made(
    key: tuple[str, str, str, str],
    verdict: str,
    headline: str,
    gap: float,
    cases: Sequence[_Case],
    story: explain.Story,
    parameters: Parameters,
    more: Sequence[Evidence],
    books: Books,
    scope: Scope | None = None,
) -> Finding:
    counts = scope or cases[0].row.scope
    h100e = scopes.h100e(gap, counts)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    is_finding = verdict != UNDETERMINED
    weak = weakest(case.row.reported.grade for case in cases)
    movements = [
        Evidence(
            case.row.ref, "movement",
            _label(case),
            case.chips,
        )
        for case in cases
    ]  # fmt: skip
    rules: dict[RecordRef, str] = {}
    for case in cases:
        rules.update(case.verdict.rules)
    facts = _facts(cases, books)
    return finding(
        check=CODE, area=key[0], scope=key[1], period=key[2], counterpart=key[3], verdict=verdict, headline=headline,
        reported=gap, gap=gap, is_finding=is_finding, gap_h100e=h100e[0] if h100e else None, sq=sq,
        severity=significance.severity(sq, weak) if is_finding else "info", strength="certain" if is_finding else "",
        weakest_grade=weak, formula=FORMULA, sections=explain.sections(story),
        evidence=(*movements, *more, *(Evidence(ref, "rule", text) for ref, text in rules.items()), *facts),
        numbers={
            "movements": len(cases),
            "rules": sorted({rule for case in cases for rule in case.verdict.rule_ids}),
            "unknown_facts": sorted({fact for case in cases for fact in case.verdict.missing}),
        },
    )  # fmt: skip


def _facts(cases: Sequence[_Case], books: Books) -> tuple[Evidence, ...]:
    """The specifications that the classes rest on, and the parties with their headquarters, each once."""
    found: dict[RecordRef, Evidence] = {}
    for case in cases:
        for member in sorted(case.row.scope.members):
            chip = books.chips.get(member)
            if chip and chip.spec:
                label = (
                    f"{chip.name}: TPP {explain.number(chip.tpp)}"
                    if chip.tpp
                    else f"{chip.name}: TPP not known"
                )
                found[chip.spec] = Evidence(chip.spec, "specification", label)
        if not case.row.scope.members:
            found |= {row.ref: row for row in scopes.specification(case.row.scope, books.chips)}
        for party in (case.row.consignee_id, case.row.end_user_id):
            if row := books.organizations.get(party or 0):
                seat = COUNTRIES.get(row.country, "not known")
                found[row.ref] = Evidence(row.ref, "party", f"{row.name}: headquarters {seat}")
    return tuple(found.values())


def _label(case: _Case) -> str:
    if isinstance(case.amount, Quantity):
        return movement_label(case.row, case.amount)
    return f"{case.row.reference} {case.amount.reason}"


def _reasons(cases: Sequence[_Case]) -> tuple[str, ...]:
    """What the rules say, each reason once."""
    return tuple(dict.fromkeys(text for case in cases for text in case.verdict.reasons))


def _assumptions(cases: Sequence[_Case]) -> tuple[str, ...]:
    return tuple(
        text for case in cases if isinstance(case.amount, Quantity) for text in case.amount.assumptions
    )


def _size(gap: float, scope: Scope, parameters: Parameters) -> str:
    h100e = scopes.h100e(gap, scope)
    return explain.magnitude(gap, h100e, significance.in_sq(h100e[0] if h100e else None, parameters))


# --- worked cases ----------------------------------------------------------------------------------------------------


def _rules_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    return {"results": [_RULE_CASES[rule["rule"]](rule, given, parameters) for rule in given["rules"]]}


def _licence_rule(
    rule: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters
) -> dict[str, Any]:
    licences = [
        Licence(
            str(row["id"]), float(row["quantity"]), case_period(row.get("from"), row.get("to")),
            str(row.get("consignee", "")), frozenset(str(chip) for chip in row.get("chips", ())),
        )
        for row in rule.get("licences", ())
    ]  # fmt: skip
    movements = [
        Movement(str(row["id"]), str(row["to"]), str(row["chip"]), float(row["q"]), case_date(row["shipped"]))
        for row in given["movements"]
    ]
    found = draw_down(movements, licences, [_half_open(*pair) for pair in rule["in_force"]])
    return {"by_movement": dict(found.by_movement), "used": dict(found.used)}


def _cap_rule(rule: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    movements = [
        CapMovement(
            str(row["id"]), str(row["to"]), str(row["chip"]), float(row["q"]), case_date(row["shipped"])
        )
        for row in given["movements"]
    ]
    found = cap_totals(
        movements, given["tpp"], given.get("parent", {}), float(rule["cap_tpp"]), rule.get("per", "consignee")
    )
    return {"totals": dict(found.totals), "breaches": list(found.breaches), "headroom": dict(found.headroom)}


def _ratio_rule(rule: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    top = case_quantity(rule["numerator"], parameters)
    bottom = case_quantity(rule["denominator"], parameters) if rule.get("denominator") else None
    found = ratio_level(
        top.mu, bottom.mu if bottom else None, float(rule["limit"]), top.s, bottom.s if bottom else 0.0
    )
    return asdict(found)


def _listed_rule(rule: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    listed, owners = set(given["listed"]), given.get("owners", {})
    in_force = [_half_open(*pair) for pair in rule.get("affiliates_in_force", ())]
    found = [
        [row["id"], affiliation(row["to"], case_date(row["shipped"]), listed, owners, in_force)]
        for row in given["movements"]
    ]
    return {"restricted": sorted(restricted(listed, owners)), "findings": [pair for pair in found if pair[1]]}


def _half_open(first: Any, end: Any) -> Period:
    """The life of a rule: the day it ends is no longer its own; 9999-12-31 is no end."""
    last = case_date(end) if end else None
    return Period(case_date(first), None if last is None or last.year == date.max.year else last)


_RULE_CASES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], Parameters], dict[str, Any]]] = {
    "licence": _licence_rule,
    "cap": _cap_rule,
    "ratio": _ratio_rule,
    "listed": _listed_rule,
}

CASES = {"rules": _rules_case}
