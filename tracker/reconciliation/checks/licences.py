"""Licences: how much of each is drawn, and by whom, when and for what?

Every recorded item of a licence has an account. Lines draw on it in the order of shipping: a line that names
the licence draws on it whatever it is for; any other line that needed one draws on the covering licence that
expires first, then on the next. Per line: drawn, drawn so far, remaining, standard deviation, and
`p = Phi((drawn - authorised) / s)`. Told apart, each with its running table:

- *over licence by n*: p >= 0.99; *likely over licence* from 0.9 (severity at most medium), *possibly* from 0.5
  (information only);
- *used by another party*, *for chips it does not cover*, *to another country*, *before it was valid*, *after it
  ended*: a line names the licence and the licence does not speak of it; of a vague day the kinder end counts, and
  what is not recorded of a line is no fault;
- *drawn twice*: the goods of one line, carried on by a later one, drawn on one licence again or on a second one for the
  same country; one consignment's chips drawn on two licences; one line recorded twice (severity at most medium);
- *consistent*: the account as it stands, for whoever asks what is left.

How to read it. Licences in equivalents of a chip are drawn at TPP over TPP, as an interval where a line may be of
several chips; authorities have not published their basis, and the text says so. A licence that names no party is
counted only by the lines that name it. Excess over a quantity is arithmetic on distributions, not a test among many:
there is no p-value to control.

What it does not say. That a licence was misused. Quantities, parties and days of licences are mostly known from the
press; amendments are not published; a subsidiary may act for the party named.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tracker.chips.specs import H100_TPP
from tracker.claims.combine import quantity
from tracker.core.countries import COUNTRIES
from tracker.core.quantity import Quantity, weakest
from tracker.licences.account import (
    AFTER,
    BEFORE,
    CHIPS,
    CONSIGNMENT,
    COUNTRY,
    ONWARD,
    PARTY,
    Account,
    Double,
    Entry,
    PartyKey,
    Use,
)
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import key_of_line
from tracker.reconciliation.books import (
    Books,
    ChipRow,
    Drawn,
    Evidence,
    Finding,
    LicenceRow,
    MovementRow,
    Parameters,
    RecordRef,
    Scope,
)
from tracker.reconciliation.drawing import BASES, bases, draw, name, told, unit_of, use_of
from tracker.reconciliation.position import movement_label
from tracker.reconciliation.result import finding
from tracker.reconciliation.tabulate import MOST_ROWS, running

CODE = "LICENCE"
TITLE = "Licence account"
FAMILY = None
PARTITION = "licence"

FORMULA = (
    "remaining = authorised - sum of lines drawn in the order of shipping; p = Phi((drawn - authorised) / s)"
)
BASIS_NOT_PUBLIC = "equivalents are counted at TPP over TPP; conversion basis not public"
SUBSIDIARY = "a party of the same group may act for the one that the licence names"
AMENDED = "amendments of licences are not published"
LEGS = (
    "a second licence may be meant for another leg of the way, or a lot may have been split over two licences"
)
COLUMNS = (
    "shipped",
    "line",
    "chips of",
    "chips",
    "drawn",
    "drawn so far",
    "sd",
    "remaining",
    "p over",
    "remark",
)
SUMMED = ("chips", "drawn")
COUNTERPART_LIMIT = 200
LEVELS = {
    "breach": "over licence by",
    "likely": "likely over licence by",
    "possible": "possibly over licence by",
}


def shown(drawn: Drawn) -> set[int]:
    """Ids of the lines that findings name."""
    last = {entry.use.id for account in drawn.of.values() for entry in account.entries[-MOST_ROWS:]}
    wrong = {
        entry.use.id
        for account in drawn.of.values()
        for entries in _faulty(account).values()
        for entry in entries[-MOST_ROWS:]
    }
    return {int(line) for line in last | wrong | drawn.twice.keys()}


@dataclass(frozen=True)
class _Desk:
    """The books of one piece, read to tell of its accounts."""

    books: Books
    parameters: Parameters
    drawn: Drawn

    @cached_property
    def items(self) -> dict[str, LicenceRow]:
        return {name(item.ref.id): item for item in self.books.licences}

    @cached_property
    def lines(self) -> dict[str, MovementRow]:
        """The lines that are named."""
        return {name(row.ref.id): row for row in self.books.movements}

    @cached_property
    def bases(self) -> dict[str, tuple[float, ChipRow | None]]:
        return bases(self.books.chips)

    def scope(self, use: Use) -> Scope:
        return self.drawn.scopes[use.scope]

    def party(self, organization_id: PartyKey | None) -> str:
        row = self.books.organizations.get(int(organization_id or 0))
        return row.name if row else "a party not recorded"

    def area(self, organization_id: PartyKey | None, country: str) -> tuple[str, str]:
        if row := self.books.organizations.get(int(organization_id or 0)):
            return f"org:{row.slug}", row.name
        return f"country:{country or 'unknown'}", COUNTRIES.get(country, "a country not recorded")


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """The accounts of the licences of these books, uses they do not speak of, and goods drawn twice."""
    drawn = books.drawn or _drawn_by_movements(books, parameters)
    desk = _Desk(books, parameters, drawn)
    found = [made for account in drawn.of.values() if (made := _balance(account, desk))]
    for account in drawn.of.values():
        found += [
            _wrong_use(key, entries, account, desk)
            for key, entries in sorted(_faulty_by_area(account, desk).items())
        ]
    return [*found, *(_twice(double, desk) for double in drawn.doubles)]


def _drawn_by_movements(books: Books, parameters: Parameters) -> Drawn:
    """Where lines were read as records: all of them draw."""
    uses, spoken = [], {}
    for row in books.movements:
        amount, verdict = (
            quantity(row.reported, parameters, key_of_line(row, parameters)),
            books.verdicts.get(row.ref.id),
        )
        if row.status in ("cancelled", "returned"):
            continue
        spoken[scopes.key(row.scope)] = row.scope
        if isinstance(amount, Quantity):
            required = verdict is not None and verdict.answer == "required"
            uses.append(
                use_of(
                    row.ref.id, row.scope, amount, row.shipped, (row.consignee_id, row.end_user_id), row.destination_country,
                    row.licence_id, required, row.onward_of_id, row.consignment,
                )
            )  # fmt: skip
    drawn = draw(books.licences, uses, spoken, books.chips, parameters)
    return told(drawn, drawn.of, spoken)


# --- the account -------------------------------------------------------------------------------------------------------


def _balance(account: Account, desk: _Desk) -> Finding | None:
    """The account of one item; None for one without a number that nobody drew on."""
    terms, item = account.terms, desk.items[account.terms.id]
    if terms.authorised is None and not account.entries:
        return None
    (p, level), (p_high, level_high) = account.level, account.level_high
    over = account.drawn - (terms.authorised or 0.0) if terms.authorised is not None else None
    if level == "within" and level_high != "within":
        level = "possible"
    verdict = f"{LEVELS[level]} {explain.number(_over(account))}" if level in LEVELS else "consistent"
    h100e = _h100e(over, account, desk)
    sq = significance.in_sq(h100e, desk.parameters)
    grade = weakest([item.reported.grade, *(entry.use.amount.grade for entry in account.entries)])
    is_finding = level in ("breach", "likely")
    area, holder = _holder(account, desk)
    story = explain.Story(
        compared=f"Lines drawn on licence {item.reference} ({item.authority}), in the order of shipping, with its quantity.",
        sides=(_licence_words(account, item), _drawn_words(account)),
        difference=_difference(account, item, h100e, desk),
        surprise=_surprise(account, p, p_high),
        open=(
            AMENDED,
            explain.LICENCE_UNSEEN,
            explain.ROUNDING,
            explain.DATES,
            *((explain.FAMILY,) if account.drawn != account.drawn_high else ()),
        ),
        settle="The licence's own record of use, or a further licence for these lines.",
        assumptions=_assumptions(account, desk),
    )
    return finding(
        check=CODE,
        area=area,
        scope=scopes.key(item.scope),
        period=explain.when(item.valid),
        counterpart=_counterpart(item),
        verdict=verdict,
        headline=_headline(account, item, holder, level),
        expected=terms.authorised,
        reported=account.drawn,
        gap=over,
        unit=terms.unit,
        sigma=account.sd,
        statistic=over / account.sd if over is not None and account.sd else None,
        is_finding=is_finding,
        gap_h100e=h100e,
        sq=sq,
        strength="certain" if level == "breach" and not account.sd else "",
        severity=significance.severity(sq, grade, cap="critical" if level == "breach" else "medium")
        if is_finding
        else "info",
        weakest_grade=grade,
        formula=FORMULA,
        sections=explain.sections(story),
        evidence=_evidence(account.entries, [item], desk, -(terms.authorised or 0.0)),
        numbers=_numbers(account, p, p_high, desk),
    )


def _over(account: Account) -> float:
    """Units beyond what is authorised: on the low reading, or on the high one where only that is beyond it."""
    allowed = account.terms.authorised or 0.0
    return account.drawn - allowed if account.drawn > allowed else account.drawn_high - allowed


def _headline(account: Account, item: LicenceRow, holder: str, level: str) -> str:
    unit, allowed = account.terms.unit, account.terms.authorised
    if level in LEVELS:
        words = {"breach": "", "likely": "likely ", "possible": "possibly "}[level]
        size = f"{explain.chips(_over(account), unit)} beyond licence {item.reference}"
        return f"{holder}: {words}{size} ({explain.number(allowed)})"
    if allowed is None:
        return f"Licence {item.reference}: {explain.chips(account.drawn, unit)} drawn; its quantity is not counted"
    left = explain.number(allowed - account.drawn)
    return f"Licence {item.reference}: {explain.number(account.drawn)} of {explain.chips(allowed, unit)} drawn, {left} remaining"


def _holder(account: Account, desk: _Desk) -> tuple[str, str]:
    """Whom the account is booked under: the party the licence names, else the first that drew, else its country."""
    item = desk.items[account.terms.id]
    party = item.consignee_id or item.end_user_id
    if party is None and account.entries:
        first = account.entries[0].use
        return desk.area(first.consignee or first.end_user, item.country)
    return desk.area(party, item.country)


def _h100e(over: float | None, account: Account, desk: _Desk) -> float | None:
    if over is None:
        return None
    if account.terms.unit in desk.bases:
        return over * desk.bases[account.terms.unit][0] / H100_TPP
    item = desk.items[account.terms.id]
    scope = item.scope or (desk.scope(account.entries[0].use) if account.entries else None)
    span = scopes.h100e(over, scope)
    return span[0] if span else None


def _licence_words(account: Account, item: LicenceRow) -> str:
    figure = item.reported.best if account.terms.authorised is None else account.terms.authorised
    kind = {"floor": "at least ", "ceiling": "at most "}.get(item.reported.bound, "")
    shown = figure if figure is not None else item.reported.low
    scope = item.scope.name if item.scope else "chips of any kind"
    return (
        f"Licence: {kind}{explain.number(shown)} {account.terms.unit}, recorded for {scope}, {explain.validity(item.valid)}; "
        f"{explain.cited(item.source)}."
    )


def _drawn_words(account: Account) -> str:
    if not account.entries:
        return "Lines: none in this database draws on it."
    unit, low, high = account.terms.unit, account.drawn, account.drawn_high
    span = (
        explain.number(low) if math.isclose(low, high) else f"{explain.number(low)} to {explain.number(high)}"
    )
    words = [
        f"Lines: {span} {unit} drawn by {explain.counted(len(account.entries), 'line')}, "
        f"standard error {explain.number(account.sd)}."
    ]
    if left_out := sum(entry.unconverted for entry in account.entries):
        words.append(
            f"Not counted: {explain.counted(left_out, 'line')} of chips without a known performance."
        )
    if least := sum(entry.use.amount.bound == "lower" for entry in account.entries):
        words.append(f"{least} of them say 'at least'.")
    return " ".join(words)


def _difference(account: Account, item: LicenceRow, h100e: float | None, desk: _Desk) -> str:
    allowed, unit = account.terms.authorised, account.terms.unit
    if allowed is None:
        return "No difference: the quantity of the licence is no number that can be counted down."
    over = account.drawn - allowed
    if over <= 0:
        return f"{explain.chips(-over, unit)} of {explain.number(allowed)} remain."
    if unit == "chips":
        size = explain.magnitude(
            over, scopes.h100e(over, item.scope), significance.in_sq(h100e, desk.parameters)
        )
    else:
        size = f"{explain.chips(over, unit)}, or {explain.number(h100e)} H100-equivalents"
    return f"{size} beyond the quantity of the licence."


def _surprise(account: Account, p: float, p_high: float) -> str:
    if account.terms.authorised is None or not account.entries:
        return "Nothing was tested."
    if not account.sd and account.drawn == account.drawn_high:
        return explain.CERTAIN if p else "The quantities drawn are exact and lie within it."
    low, high = explain.chance(p), explain.chance(p_high)
    span = (
        low if low == high or math.isclose(p, p_high, abs_tol=5e-4) else f"{low}, on the high reading {high}"
    )
    return f"Given the stated errors of the lines, more than authorised was drawn with {span}."


def _assumptions(account: Account, desk: _Desk) -> tuple[str, ...]:
    said = [text for entry in account.entries for text in entry.use.amount.assumptions]
    if account.terms.unit in BASES:
        base = desk.bases.get(account.terms.unit)
        said.append(
            f"{BASIS_NOT_PUBLIC}; TPP of one: {explain.number(base[0])}"
            if base
            else f"{BASIS_NOT_PUBLIC}; the TPP of the chip it counts in is not known, so nothing can be drawn"
        )
    return tuple(said)


def _numbers(account: Account, p: float, p_high: float, desk: _Desk) -> dict[str, object]:
    return {
        "authorised": account.terms.authorised,
        "drawn": account.drawn,
        "drawn_high": account.drawn_high,
        "remaining": account.remaining,
        "probability_over": p if account.terms.authorised is not None else None,
        "probability_over_high": p_high if account.terms.authorised is not None else None,
        "lines": len(account.entries),
        "running": _table(account.entries, desk),
    }


def _table(entries: Sequence[Entry], desk: _Desk) -> dict[str, object]:
    rows = []
    for entry in entries:
        remark = [*entry.faults]
        if entry.unconverted:
            remark.append("performance not known")
        if not math.isclose(entry.low, entry.high):
            remark.append(f"up to {explain.number(entry.high)}")
        line = desk.lines.get(entry.use.id)  # earlier ones than are named stand in a row for all of them
        rows.append(
            (
                explain.when(entry.use.shipped) if entry.use.shipped else "undated",
                (line and line.reference) or entry.use.id.lstrip("0"),
                entry.use.scope.partition(":")[2],
                entry.chips,
                entry.low,
                entry.drawn_low,
                entry.sd,
                entry.remaining,
                entry.p,
                "; ".join(remark),
            )
        )
    return running(COLUMNS, rows, SUMMED)


def _counterpart(item: LicenceRow) -> str:
    return f"licence {item.reference} item {item.ref.id}"


# --- uses that a licence does not speak of -----------------------------------------------------------------------------


def _faulty(account: Account) -> dict[tuple[PartyKey | None, str, str], list[Entry]]:
    """The entries that the licence does not speak of: by receiver, country and first fault."""
    groups: dict[tuple[PartyKey | None, str, str], list[Entry]] = defaultdict(list)
    for entry in account.entries:
        if entry.faults:
            groups[entry.use.consignee or entry.use.end_user, entry.use.country, entry.faults[0]].append(
                entry
            )
    return groups


def _faulty_by_area(account: Account, desk: _Desk) -> dict[tuple[str, str, str], list[Entry]]:
    """One finding for each area and first fault of the lines that name the licence."""
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for entry in account.entries:
        if entry.faults:
            area, holder = desk.area(entry.use.consignee or entry.use.end_user, entry.use.country)
            groups[area, holder, entry.faults[0]].append(entry)
    return groups


def _wrong_use(key: tuple[str, str, str], entries: Sequence[Entry], account: Account, desk: _Desk) -> Finding:
    area, holder, fault = key
    item, scope = desk.items[account.terms.id], desk.scope(entries[0].use)
    gap = math.fsum(entry.chips for entry in entries)
    grade = weakest([item.reported.grade, *(entry.use.amount.grade for entry in entries)])
    span = scopes.h100e(gap, scope)
    sq = significance.in_sq(span[0] if span else None, desk.parameters)
    others = dict.fromkeys(text for entry in entries for text in entry.faults if text != fault)
    story = explain.Story(
        compared=f"{explain.counted(len(entries), 'line')} to {holder} that name licence {item.reference} "
        f"({item.authority}), with its text.",
        sides=(
            _licence_words(account, item),
            _speaks_of(fault, item, desk),
            *_lines_words(fault, entries, desk),
        ),
        difference=f"{explain.magnitude(gap, span, sq)}, used {fault}"
        + (f"; also {explain.listed(others)}." if others else "."),
        surprise="No probability is involved: this follows from the licence and the lines as recorded.",
        open=(
            AMENDED,
            *((SUBSIDIARY, explain.OWNERSHIP) if fault == PARTY else ()),
            *((explain.DATES,) if fault in (BEFORE, AFTER) else ()),
            *((explain.FAMILY,) if fault == CHIPS else ()),
        ),
        settle="The text of the licence, or another licence for these lines.",
        assumptions=_assumptions(account, desk),
    )
    return finding(
        check=CODE,
        area=area,
        scope=scopes.key(scope),
        period=explain.when(item.valid),
        counterpart=f"{_counterpart(item)}: {fault}",
        verdict=f"used {fault}",
        headline=f"{holder}: {explain.chips(gap)} under licence {item.reference}, used {fault}",
        reported=gap,
        gap=gap,
        is_finding=True,
        gap_h100e=span[0] if span else None,
        sq=sq,
        severity=significance.severity(sq, grade),
        strength="certain",
        weakest_grade=grade,
        formula="what the licence says of party, chips, country and days, against the line",
        sections=explain.sections(story),
        evidence=_evidence(entries, [item], desk, None),
        numbers={"lines": len(entries), "running": _table(account.entries, desk)},
    )


def _speaks_of(fault: str, item: LicenceRow, desk: _Desk) -> str:
    parties = [
        desk.party(pk) for pk in dict.fromkeys((item.consignee_id, item.end_user_id)) if pk is not None
    ]
    return {
        PARTY: f"It names {explain.listed(parties)}.",
        CHIPS: f"It is for {item.scope.name if item.scope else 'any chip'}.",
        COUNTRY: f"It is for {COUNTRIES.get(item.country, item.country)}.",
        BEFORE: f"It can be used from {item.valid.start} on.",
        AFTER: f"It can be used until {item.valid.last}.",
    }[fault]


def _lines_words(fault: str, entries: Sequence[Entry], desk: _Desk) -> tuple[str, ...]:
    said = {
        PARTY: lambda use: desk.party(use.consignee or use.end_user),
        CHIPS: lambda use: desk.scope(use).name,
        COUNTRY: lambda use: COUNTRIES.get(use.country, use.country),
        BEFORE: lambda use: explain.when(use.shipped),
        AFTER: lambda use: explain.when(use.shipped),
    }[fault]
    what = {PARTY: "went to", CHIPS: "are of", COUNTRY: "went to"}.get(fault, "were shipped")
    return (f"The lines {what} {explain.listed(said(entry.use) for entry in entries)}.",)


# --- the same goods twice ----------------------------------------------------------------------------------------------


def _twice(double: Double, desk: _Desk) -> Finding:
    first, second = (desk.lines[use.id] for use in double.uses)
    entries = sorted(
        ((key, entry) for use in double.uses for key, entry in desk.drawn.twice[use.id]),
        key=lambda pair: pair[0],
    )
    items = [desk.items[key] for key in dict.fromkeys(key for key, _ in entries)]
    area, holder = desk.area(second.consignee_id or second.end_user_id, second.destination_country)
    span = scopes.h100e(double.units, second.scope)
    sq = significance.in_sq(span[0] if span else None, desk.parameters)
    grade = weakest(entry.use.amount.grade for _, entry in entries)
    how = {
        ONWARD: f"Line {second.reference} carries on the goods of line {first.reference}.",
        CONSIGNMENT: f"Lines {first.reference} and {second.reference} are of consignment {second.consignment}.",
    }.get(
        double.kind,
        f"Lines {first.reference} and {second.reference} say the same of consignment {second.consignment}.",
    )
    licences = f"licence{'s' if len(double.licences) > 1 else ''} {explain.listed(double.licences)}"
    story = explain.Story(
        compared="Lines of the same goods, with the licences that they draw on.",
        sides=(how, *_draws(entries, desk)),
        difference=f"{explain.magnitude(double.units, span, sq)} drawn twice, on {licences}.",
        surprise="No probability is involved: this follows from the lines as recorded.",
        open=(LEGS, "one line may have been recorded twice", AMENDED),
        settle="The licence named on the export papers of each line.",
        assumptions=tuple(text for _, entry in entries for text in entry.use.amount.assumptions),
    )
    return finding(
        check=CODE,
        area=area,
        scope=scopes.key(second.scope),
        period=explain.when(second.shipped) if second.shipped else "undated",
        counterpart=f"{first.reference} and {second.reference}"[:COUNTERPART_LIMIT],
        verdict="drawn twice",
        headline=f"{holder}: {explain.chips(double.units)} drawn twice on {licences}",
        reported=double.units,
        gap=double.units,
        is_finding=True,
        gap_h100e=span[0] if span else None,
        sq=sq,
        severity=significance.severity(sq, grade, cap="medium"),
        strength="certain",
        weakest_grade=grade,
        formula="the same goods draw on a licence once",
        sections=explain.sections(story),
        evidence=_evidence([entry for _, entry in entries], items, desk, None),
        numbers={"kind": double.kind, "running": _table([entry for _, entry in entries], desk)},
    )


def _draws(entries: Sequence[tuple[str, Entry]], desk: _Desk) -> list[str]:
    return [
        f"{desk.lines[entry.use.id].reference} draws {explain.chips(entry.chips)} on {desk.items[key].reference}."
        for key, entry in entries
    ]


# --- evidence ----------------------------------------------------------------------------------------------------------


def _evidence(
    entries: Sequence[Entry], items: Sequence[LicenceRow], desk: _Desk, contribution: float | None
) -> tuple[Evidence, ...]:
    """Licences, the last lines that drew, the rules that asked for a licence, specifications and parties, each once."""
    shown = entries[-MOST_ROWS:]
    rows = [desk.lines[entry.use.id] for entry in shown]
    found = [
        Evidence(
            item.ref,
            "licence",
            f"{item.reference}: {explain.number(_figure(item))} {unit_of(item)}, {explain.validity(item.valid)}",
            contribution,
        )
        for item in items
    ]
    found += [
        Evidence(row.ref, "movement", movement_label(row, entry.use.amount), entry.low or entry.chips)
        for row, entry in zip(rows, shown, strict=True)
    ]
    more: dict[RecordRef, Evidence] = {}
    for row in rows:
        if verdict := desk.books.verdicts.get(row.ref.id):
            more |= {ref: Evidence(ref, "rule", text) for ref, text in verdict.rules}
        more |= {one.ref: one for one in scopes.specification(row.scope, desk.books.chips)}
    for item in items:
        base = desk.bases.get(item.reported.unit)
        if base and base[1] and base[1].spec:
            label = f"{base[1].name}: TPP {explain.number(base[0])}, what the licence counts in"
            more[base[1].spec] = Evidence(base[1].spec, "specification", label)
    parties = [pk for item in items for pk in (item.consignee_id, item.end_user_id)]
    parties += [pk for row in rows for pk in (row.consignee_id, row.end_user_id)]
    for pk in dict.fromkeys(parties):
        if who := desk.books.organizations.get(pk or 0):
            seat = COUNTRIES.get(who.country, "not known")
            more[who.ref] = Evidence(who.ref, "party", f"{who.name}: headquarters {seat}")
    return (*found, *more.values())


def _figure(item: LicenceRow) -> float | None:
    said = (item.reported.best, item.reported.high, item.reported.low)
    return next((figure for figure in said if figure is not None), None)
