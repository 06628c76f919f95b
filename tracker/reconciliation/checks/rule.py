"""Rules: did a movement need a licence on the day it left, and is one recorded that covers it?

For every movement the rules in force on its shipping date answer *required*, *not required* or
*undetermined*. What is told apart:

- *no licence recorded*: one was required, and none in this database covers it. Told for each consignee, kind of chip, quarter and
  set of rules;
- *undetermined*: the answer depends on facts that are not recorded; they are listed, as information only. Told for each consignee
  and kind of chip; amounts to one consignee in one country that are too small to report are told together for the country.

How much of a licence is used, and whether a licence that a movement names speaks of it at all, is told by the
check LICENCE, so that nothing is told twice: a movement that names a recorded export licence is passed over here.

How to read it. This is reading, not statistics: there is no p-value, and severity goes by the number of
chips alone. Vague days and family names count for the movement. A licence that names no party covers
everybody in its country; an import approval covers nothing. The largest movements are named; what the others say is in the sums.

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
from tracker.core.quantity import NotComparable, Quantity, Reported, weakest
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
    VerdictPart,
    VerdictRow,
    VerdictSum,
)
from tracker.reconciliation.case_input import case_date, case_period, case_quantity
from tracker.reconciliation.position import movement_label
from tracker.reconciliation.result import MOST_EVIDENCE, finding
from tracker.rules.quantities import CapMovement, cap_totals, ratio_level

CODE = "RULE"
TITLE = "Licence required and recorded"
FAMILY = None
PARTITION = "verdict"

FORMULA = "licence required on the shipping date, less what recorded licences cover"
REQUIRED, UNDETERMINED = "required", "undetermined"
NO_LICENCE = "no licence recorded"
NO_RULE = "rules"
COUNTERPART_LIMIT = 180
NOT_MEANT = ("cancelled", "returned")


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per consignee, scope, quarter and rules without a licence; undetermined ones per consignee and scope, or per
    country and scope where they are small."""
    found = books.verdict_sums if books.verdict_sums is not None else added_up(books, parameters)
    desk = _Desk(books, parameters, {row.ref.id: row for row in books.movements})
    return [
        _without_licence(one, desk) if one.required else _open_question(one, desk)
        for one in sorted(found, key=lambda one: (not one.required, _key(one, books)))
    ]


# --- adding up -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """A movement with its verdict and number of chips, and whom it is booked under: a party, or (None) its country."""

    row: MovementRow
    verdict: VerdictRow
    chips: float | None  # None: cannot be told
    party: int | None

    @property
    def required(self) -> bool:
        return self.verdict.answer == REQUIRED


def added_up(books: Books, parameters: Parameters) -> list[VerdictSum]:
    """The movements of the books that RULE tells of, added up: for a few lines what the database does for a whole ledger."""
    shelf = _shelf(books)
    cases = [
        case
        for row in sorted(books.movements, key=lambda row: row.ref.id)
        if (case := _case(row, books, parameters)) and not (case.required and _has_licence(row, shelf, books))
    ]
    amounts: dict[tuple[int, str, str], float] = defaultdict(float)
    for case in cases:
        if not case.required:
            amounts[_held_by(case)] += case.chips or 0.0
    groups: dict[tuple[bool, int | None, str, str, str, str], list[_Case]] = defaultdict(list)
    for case in cases:
        small = not case.required and _is_small(amounts[_held_by(case)], case.row.scope, parameters)
        party = None if small else case.party
        place = "" if party else case.row.destination_country
        day = case.row.shipped.start if case.row.shipped else None
        when, rules = (quarter(day) if day else "undated", under(case.verdict)) if case.required else ("", "")
        groups[case.required, party, place, scopes.key(case.row.scope), when, rules].append(case)
    return [
        _sum(party, place, when, rules, found) for (_, party, place, _, when, rules), found in groups.items()
    ]


def _case(row: MovementRow, books: Books, parameters: Parameters) -> _Case | None:
    verdict = books.verdicts.get(row.ref.id)
    if verdict is None or verdict.answer not in (REQUIRED, UNDETERMINED) or row.status in NOT_MEANT:
        return None
    amount = quantity(row.reported, parameters)
    party = row.consignee_id or row.end_user_id
    return _Case(row, verdict, amount.mu if isinstance(amount, Quantity) else None, party)


def _held_by(case: _Case) -> tuple[int, str, str]:
    return case.party or 0, case.row.destination_country, scopes.key(case.row.scope)


def _is_small(amount: float, scope: Scope, parameters: Parameters) -> bool:
    """Whether an amount is too small to report, even of the weakest chip meant; never where no performance is known."""
    h100e = scopes.h100e(amount, scope)
    return h100e is not None and h100e[0] < parameters.materiality_sq * parameters.significant_quantity_h100e


def under(verdict: VerdictRow) -> str:
    """The rules of a verdict, as findings are told apart by them."""
    return (", ".join(verdict.rule_ids) or NO_RULE)[:COUNTERPART_LIMIT]


def _sum(party: int | None, place: str, when: str, rules: str, cases: Sequence[_Case]) -> VerdictSum:
    cases = sorted(cases, key=lambda case: (-(case.chips or 0.0), case.row.ref.id))
    alike: dict[VerdictRow, list[_Case]] = defaultdict(list)
    for case in cases:
        alike[case.verdict].append(case)
    return VerdictSum(
        required=cases[0].required, organization_id=party, country=place, scope=cases[0].row.scope, quarter=when,
        under=rules, lines=len(cases), chips=math.fsum(case.chips or 0.0 for case in cases),
        uncounted=sum(case.chips is None for case in cases), grade=weakest(case.row.reported.grade for case in cases),
        parties=len({case.party for case in cases} - {None}),
        parts=tuple(
            VerdictPart(some[0].row.ref.id, len(some), math.fsum(case.chips or 0.0 for case in some))
            for some in alike.values()
        ),
        shown=tuple(case.row.ref.id for case in cases[:MOST_EVIDENCE]),
        units=tuple(dict.fromkeys((case.row.reported.unit, case.row.reported.per_unit) for case in cases)),
    )  # fmt: skip


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


@dataclass(frozen=True)
class _Desk:
    """The books of one share, read for its sums. ``rows``: the movements that are named, by id."""

    books: Books
    parameters: Parameters
    rows: Mapping[int, MovementRow]

    def verdicts(self, told: VerdictSum) -> list[tuple[VerdictPart, VerdictRow]]:
        """The parts of a sum with what the rules say of them, the largest first."""
        found = [(part, self.books.verdicts[part.movement]) for part in told.parts]
        return sorted(found, key=lambda pair: (-pair[0].chips, pair[0].movement))

    def said(self, told: VerdictSum) -> list[VerdictRow]:
        """What the rules say of each part, and of each movement that is named, once."""
        found = [verdict for _, verdict in self.verdicts(told)]
        return list(dict.fromkeys([*found, *(self.books.verdicts[pk] for pk in told.shown)]))

    def named(self, told: VerdictSum) -> list[MovementRow]:
        return [self.rows[pk] for pk in told.shown]

    def amount(self, row: MovementRow) -> Quantity | NotComparable:
        return quantity(row.reported, self.parameters)


def _key(told: VerdictSum, books: Books) -> tuple[str, str, str, str]:
    """Area, scope, period and counterpart."""
    when, whom = (told.quarter, told.under) if told.required else ("whole record", UNDETERMINED)
    return _area(told, books)[0], scopes.key(told.scope), when, whom


def _area(told: VerdictSum, books: Books) -> tuple[str, str]:
    if who := books.organizations.get(told.organization_id or 0):
        return f"org:{who.slug}", who.name
    country = told.country or "unknown"
    return f"country:{country}", COUNTRIES.get(country, country)


def _is_together(told: VerdictSum) -> bool:
    """Whether what went to several parties is told for their country."""
    return told.organization_id is None and told.parties > 1


def _without_licence(told: VerdictSum, desk: _Desk) -> Finding:
    scope, name, when = told.scope, _area(told, desk.books)[1], told.quarter
    verdicts = desk.said(told)
    rules = [text for verdict in verdicts for text in verdict.citations] or [
        text for verdict in verdicts for text in verdict.rule_ids
    ]
    story = explain.Story(
        compared=f"{explain.counted(told.lines, 'movement')} of {scope.name} to {name} in {when}, "
        "with the rules in force on their shipping dates and the licences recorded.",
        sides=(
            f"They needed a licence under {explain.listed(rules)}.",
            *_reasons(verdicts),
            "No licence that covers them is recorded in this database.",
            *_unnamed(told, desk),
        ),
        difference=f"{_size(told, desk.parameters)} that needed a licence; no licence is recorded in this database.",
        surprise="No probability is involved: this follows from the rules, the recorded facts and the recorded licences.",
        open=(explain.LICENCE_UNSEEN, explain.OWNERSHIP, *((explain.FAMILY,) if scope.kind == "family" else ())),
        settle="The licence, or the exception relied on, for these shipments.", assumptions=_assumptions(told, desk),
    )  # fmt: skip
    headline = (
        f"{name}: {explain.chips(told.chips)} of {scope.name} in {when} needed a licence; no licence recorded"
    )
    return _made(told, NO_LICENCE, headline, story, desk)


def _open_question(told: VerdictSum, desk: _Desk) -> Finding:
    scope, name = told.scope, _area(told, desk.books)[1]
    facts: Counter[str] = Counter()
    person: set[str] = set()
    for part, verdict in desk.verdicts(told):
        facts.update(dict.fromkeys(verdict.missing, part.lines))
        person |= set(verdict.for_a_person)
    wanted = tuple(
        f"{'For a person to say' if fact in person else 'Not recorded'}: {fact} ({explain.counted(n, 'movement')})."
        for fact, n in sorted(facts.items())
    )
    steps = [f"To record: {explain.listed(sorted(facts.keys() - person))}."] if facts.keys() - person else []
    steps += [f"For a person to say: {explain.listed(sorted(person))}."] if person else []
    together = (
        (
            f"{told.parties:,} consignees and end users are told together: what went to each is too small to report.",
        )
        if _is_together(told)
        else ()
    )
    story = explain.Story(
        compared=f"{explain.counted(told.lines, 'movement')} of {scope.name} to {name}, "
        "with the rules in force on their shipping dates.",
        sides=(*wanted, *_reasons(desk.said(told)), *together, *_unnamed(told, desk)),
        difference=f"For {explain.chips(told.chips)} it cannot be told whether a licence was needed.",
        surprise="No probability is involved: the answer depends on facts that are not recorded.", open=(explain.OWNERSHIP,),
        settle=" ".join(steps), assumptions=_assumptions(told, desk),
    )  # fmt: skip
    headline = f"{name}: whether {explain.chips(told.chips)} of {scope.name} needed a licence is undetermined"
    return _made(told, UNDETERMINED, headline, story, desk)


def _made(told: VerdictSum, verdict: str, headline: str, story: explain.Story, desk: _Desk) -> Finding:
    area, scope, period, counterpart = _key(told, desk.books)
    name = _area(told, desk.books)[1]
    h100e = scopes.h100e(told.chips, told.scope)
    sq = significance.in_sq(h100e[0] if h100e else None, desk.parameters)
    is_finding = verdict != UNDETERMINED
    movements = [
        Evidence(row.ref, "movement", _label(row, desk), _chips(row, desk)) for row in desk.named(told)
    ]
    verdicts = desk.verdicts(told)
    rules = {ref: text for one in desk.said(told) for ref, text in one.rules}
    missing = sorted({fact for _, one in verdicts for fact in one.missing})
    decisions: Counter[str] = Counter()
    for part, one in verdicts:
        decisions[one.decision] += part.lines
    return finding(
        check=CODE, area=area, scope=scope, period=period, counterpart=counterpart, verdict=verdict, headline=headline,
        reported=told.chips, gap=told.chips, is_finding=is_finding, gap_h100e=h100e[0] if h100e else None, sq=sq,
        severity=significance.severity(sq, told.grade) if is_finding else "info", strength="certain" if is_finding else "",
        weakest_grade=told.grade, formula=FORMULA, sections=explain.sections(story),
        evidence=(*movements, *(Evidence(ref, "rule", text) for ref, text in rules.items()), *_facts(told, desk)),
        numbers={
            "movements": told.lines,
            "rules": sorted({rule for _, one in verdicts for rule in one.rule_ids}),
            "unknown_facts": missing,
            "chips_held_by": {  # what wants several facts stands under each
                fact: math.fsum(part.chips for part, one in verdicts if fact in one.missing) for fact in missing
            },
            "consignee": f"{told.parties:,} parties in {name}" if _is_together(told) else name,
            "kind_of_chip": told.scope.name,
            "for_a_person": sorted({fact for _, one in verdicts for fact in one.for_a_person}),
            "decisions": dict(sorted(decisions.items())),
        },
    )  # fmt: skip


def _facts(told: VerdictSum, desk: _Desk) -> tuple[Evidence, ...]:
    """The specifications that the classes rest on, and the parties named with their headquarters, each once."""
    found: dict[RecordRef, Evidence] = {}
    chips = desk.books.chips
    for member in sorted(told.scope.members):
        chip = chips.get(member)
        if chip and chip.spec:
            label = (
                f"{chip.name}: TPP {explain.number(chip.tpp)}" if chip.tpp else f"{chip.name}: TPP not known"
            )
            found[chip.spec] = Evidence(chip.spec, "specification", label)
    if not told.scope.members:
        found |= {row.ref: row for row in scopes.specification(told.scope, chips)}
    for row in desk.named(told):
        for party in (row.consignee_id, row.end_user_id):
            if who := desk.books.organizations.get(party or 0):
                seat = COUNTRIES.get(who.country, "not known")
                found[who.ref] = Evidence(who.ref, "party", f"{who.name}: headquarters {seat}")
    return tuple(found.values())


def _chips(row: MovementRow, desk: _Desk) -> float:
    amount = desk.amount(row)
    return amount.mu if isinstance(amount, Quantity) else 0.0


def _label(row: MovementRow, desk: _Desk) -> str:
    amount = desk.amount(row)
    if isinstance(amount, Quantity):
        return movement_label(row, amount)
    return f"{row.reference} {amount.reason}"


def _reasons(verdicts: Sequence[VerdictRow]) -> tuple[str, ...]:
    """What the rules say, each reason once."""
    return tuple(dict.fromkeys(text for verdict in verdicts for text in verdict.reasons))


def _unnamed(told: VerdictSum, desk: _Desk) -> tuple[str, ...]:
    """What stands behind the sum beside the movements that are named."""
    more = told.lines - len(told.shown)
    if not more:
        return ()
    rest = told.chips - math.fsum(_chips(row, desk) for row in desk.named(told))
    return (
        f"Named below are the {len(told.shown)} largest; beside them stand {explain.counted(more, 'movement')}, "
        f"{explain.chips(rest)} in all.",
    )


def _assumptions(told: VerdictSum, desk: _Desk) -> tuple[str, ...]:
    """What was assumed to read the units of all movements, named or not."""
    read = (
        quantity(Reported(best=1.0, unit=unit, grade="A", per_unit=each), desk.parameters)
        for unit, each in told.units
    )
    said = [text for one in read if isinstance(one, Quantity) for text in one.assumptions]
    if told.uncounted:
        said.append(
            f"{explain.counted(told.uncounted, 'movement')} in units that do not tell chips count as none"
        )
    return tuple(dict.fromkeys(said))


def _size(told: VerdictSum, parameters: Parameters) -> str:
    h100e = scopes.h100e(told.chips, told.scope)
    return explain.magnitude(told.chips, h100e, significance.in_sq(h100e[0] if h100e else None, parameters))


# --- worked cases ----------------------------------------------------------------------------------------------------


def _rules_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    return {"results": [_RULE_CASES[rule["rule"]](rule, given, parameters) for rule in given["rules"]]}


def _licence_rule(
    rule: Mapping[str, Any], given: Mapping[str, Any], parameters: Parameters
) -> dict[str, Any]:
    licences = [
        Licence(
            str(row["id"]), float(row.get("quantity", math.inf)), case_period(row.get("from"), row.get("to")),
            str(row.get("consignee", "")), frozenset(str(chip) for chip in row.get("chips", ())),
        )
        for row in rule.get("licences", ())
    ]  # fmt: skip
    movements = [
        Movement(str(row["id"]), str(row["to"]), str(row["chip"]), float(row["q"]), case_date(row["shipped"]))
        for row in given["movements"]
    ]
    found = draw_down(movements, licences, [_half_open(*pair) for pair in rule["in_force"]])
    return {
        "by_movement": dict(found.by_movement),
        "used": {**{row.id: 0.0 for row in licences}, **found.used},
    }


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
    told = set(rule.get("denominator", ())) & {"value", "q", "best", "low", "high"}
    bottom = case_quantity(rule["denominator"], parameters) if told else None
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
