"""Rules: did a movement need a licence on the day it left, and is one recorded that covers it?

For every movement the rules in force on its shipping date answer *required*, *not required* or
*undetermined*. What is told apart:

- *no licence recorded*: one was required, and none in this database covers it;
- *undetermined*: the answer depends on facts that are not recorded; they are listed, as information only.

How much of a licence is used, and whether a licence that a movement names speaks of it at all, is told by the
check LICENCE, so that nothing is told twice: a movement that names a recorded export licence is passed over here.

How to read it. This is reading, not statistics: there is no p-value, and severity goes by the number of
chips alone. Vague days and family names count for the movement. A licence that names no party covers
everybody in its country; an import approval covers nothing.

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
from tracker.core.quantity import NotComparable, Quantity, weakest
from tracker.licences.drawdown import Licence, Movement, draw_down
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

FORMULA = "licence required on the shipping date, less what recorded licences cover"
REQUIRED, UNDETERMINED = "required", "undetermined"
NO_LICENCE = "no licence recorded"
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
    shelf = _shelf(books)
    alone = [
        case for case in cases if case.verdict.answer == REQUIRED and not _has_licence(case.row, shelf, books)
    ]
    return [
        *_without_licence(alone, books, parameters),
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


def _shelf(books: Books) -> dict[int | None, list[LicenceRow]]:
    """Export licences by the parties they name (None: nobody), so that each movement looks only at those near it."""
    found: dict[int | None, list[LicenceRow]] = defaultdict(list)
    for item in sorted(books.licences, key=lambda row: row.ref.id):
        # an import approval is of the buyer's country: it allows the buying, not the export
        if "import" not in item.kind:
            for party in {item.consignee_id, item.end_user_id} - {None} or {None}:
                found[party].append(item)
    return found


def _has_licence(row: MovementRow, shelf: Mapping[int | None, Sequence[LicenceRow]], books: Books) -> bool:
    """Whether it names a recorded export licence, or one covers it."""
    if row.licence_id is not None and any(
        item.licence_id == row.licence_id for items in shelf.values() for item in items
    ):
        return True
    near = [item for party in {row.consignee_id, row.end_user_id, None} for item in shelf.get(party, ())]
    return any(_covers(item, row, books) for item in near)


def _covers(item: LicenceRow, row: MovementRow, books: Books) -> bool:
    """Whether an item speaks of a movement's chips, day, parties and country."""
    return (
        (item.scope is None or scopes.may_overlap(item.scope, row.scope, books.chips))
        and item.valid.overlaps(row.shipped or Period(None, None))
        and item.consignee_id in (None, row.consignee_id, row.end_user_id)
        and (row.end_user_id is None or item.end_user_id in (None, row.end_user_id, row.consignee_id))
        and (item.country in ("", row.destination_country) or not row.destination_country)
    )


# --- findings --------------------------------------------------------------------------------------------------------


def _without_licence(cases: Sequence[_Case], books: Books, parameters: Parameters) -> list[Finding]:
    groups: dict[tuple[str, str, str, str], list[_Case]] = defaultdict(list)
    for case in cases:
        counterpart = ", ".join(case.verdict.rule_ids) or "rules"
        day = case.row.shipped.start if case.row.shipped else None
        when = quarter(day) if day else "undated"
        groups[case.area, scopes.key(case.row.scope), when, counterpart[:COUNTERPART_LIMIT]].append(case)
    return [_uncovered(key, groups[key], books, parameters) for key in sorted(groups)]


def _uncovered(
    key: tuple[str, str, str, str], cases: Sequence[_Case], books: Books, parameters: Parameters
) -> Finding:
    when = key[2]
    first, scope = cases[0], cases[0].row.scope
    under = explain.listed(text for case in cases for text in case.verdict.citations) if any(
        case.verdict.citations for case in cases
    ) else explain.listed(text for case in cases for text in case.verdict.rule_ids)  # fmt: skip
    gap = math.fsum(case.chips for case in cases)
    story = explain.Story(
        compared=f"{explain.counted(len(cases), 'movement')} of {scope.name} to {first.name} in {when}, "
        "with the rules in force on their shipping dates and the licences recorded.",
        sides=(
            f"They needed a licence under {under}.",
            *_reasons(cases),
            "No licence that covers them is recorded in this database.",
        ),
        difference=f"{_size(gap, scope, parameters)} that needed a licence; no licence is recorded in this database.",
        surprise="No probability is involved: this follows from the rules, the recorded facts and the recorded licences.",
        open=(explain.LICENCE_UNSEEN, explain.OWNERSHIP, *((explain.FAMILY,) if scope.kind == "family" else ())),
        settle="The licence, or the exception relied on, for these shipments.", assumptions=_assumptions(cases),
    )  # fmt: skip
    headline = (
        f"{first.name}: {explain.chips(gap)} of {scope.name} in {when} needed a licence; no licence recorded"
    )
    return _made(key, NO_LICENCE, headline, gap, cases, story, parameters, books)


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
    person = {fact for case in cases for fact in case.verdict.for_a_person}
    wanted = tuple(
        f"{'For a person to say' if fact in person else 'Not recorded'}: {fact} ({explain.counted(n, 'movement')})."
        for fact, n in sorted(facts.items())
    )
    steps = [f"To record: {explain.listed(sorted(facts.keys() - person))}."] if facts.keys() - person else []
    steps += [f"For a person to say: {explain.listed(sorted(person))}."] if person else []
    gap = math.fsum(case.chips for case in cases)
    story = explain.Story(
        compared=f"{explain.counted(len(cases), 'movement')} of {scope.name} to {first.name}, "
        "with the rules in force on their shipping dates.",
        sides=(*wanted, *_reasons(cases)),
        difference=f"For {explain.chips(gap)} it cannot be told whether a licence was needed.",
        surprise="No probability is involved: the answer depends on facts that are not recorded.", open=(explain.OWNERSHIP,),
        settle=" ".join(steps), assumptions=_assumptions(cases),
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
    books: Books,
) -> Finding:
    h100e = scopes.h100e(gap, cases[0].row.scope)
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
        evidence=(*movements, *(Evidence(ref, "rule", text) for ref, text in rules.items()), *facts),
        numbers={
            "movements": len(cases),
            "rules": sorted({rule for case in cases for rule in case.verdict.rule_ids}),
            "unknown_facts": sorted({fact for case in cases for fact in case.verdict.missing}),
            "chips_held_by": _held(cases),
            "consignee": cases[0].name,
            "kind_of_chip": cases[0].row.scope.name,
            "for_a_person": sorted({fact for case in cases for fact in case.verdict.for_a_person}),
            "decisions": dict(sorted(Counter(case.verdict.decision for case in cases).items())),
        },
    )  # fmt: skip


def _held(cases: Sequence[_Case]) -> dict[str, float]:
    """Chips of the movements for which each fact is wanted; those that want several stand under each."""
    facts = sorted({fact for case in cases for fact in case.verdict.missing})
    return {fact: math.fsum(case.chips for case in cases if fact in case.verdict.missing) for fact in facts}


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
