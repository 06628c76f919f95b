"""Claim against ledger: is more, or less, claimed than the recorded movements explain?

``g = mu - book`` with ``z = g / sqrt(s_claim^2 + s_book^2)``; p is two-sided for a figure, one-sided for
a bound ("at least", "at most") and tested only on the side that can be violated. Verdicts at |z| >= 1.96
(bounds 1.645): *not accounted for* (more is claimed), *claim below ledger*, else *consistent*, or
*inconclusive* where the smallest gap that could have been seen is more than one significant quantity.
Also given: the share unexplained (g / mu) and the excess over recorded licences.

How to read it. Installed and operational claims meet the book of the area on the day; shipped and
delivered claims meet receipts of exactly their period. The book is read twice: all that may belong to it
(for a claim above it) and only what surely does (for a claim below it), so that vague days and family
names count for the claim. A figure in H100-equivalents meets the book drawn up in those (chips x TPP /
15,832; of a family the member that is kinder to the claim). A book that holds figures "at least" can only
be contradicted from below.
Announced, planned, ordered, contracted and licensed figures stand beside the ledger as context, and where
the ledger holds no movement into the area, or less than half a percent of the claim, nothing is compared: it
does not cover that market.

What it does not say. The ledger is incomplete by nature: *not accounted for in this database* means that
no movement is recorded here, and nothing about where chips are or how they came there. An absent record
is evidence of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracker.claims.combine import in_its_measure, measure
from tracker.core.quantity import EQUIVALENTS, NotComparable, Quantity, Total, scaled, total
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.bias import as_counted
from tracker.reconciliation.books import (
    Books,
    ClaimRow,
    Evidence,
    Finding,
    LicenceRow,
    Parameters,
    RecordRef,
    Scope,
)
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.echoes import echo_groups
from tracker.reconciliation.position import (
    STOCK_STATUSES,
    Area,
    Line,
    Position,
    Shelf,
    area_of,
    claim_label,
    licences_for,
    own_part,
    scopes_of,
    seller_of,
    window_of,
)
from tracker.reconciliation.result import finding

CODE = "GAP"
TITLE = "Claim against ledger"
FAMILY = "GAP"
PARTITION = "claim_subject"

FLOW_STATUSES = ("shipped", "delivered")
COMPARED = (*STOCK_STATUSES, *FLOW_STATUSES)
FORMULA = "g = claim - book; z = g / sqrt(s_claim^2 + s_book^2)"


@dataclass(frozen=True, slots=True)
class Gap:
    """The comparison of one claim with the two readings of a book. ``side``: ``above``, ``below`` or ``within``.

    ``counted``: whether it is one of the tests among which false alarms are controlled. A claim above a book that is a lower
    limit is not *testable* but counts: below, it would have been tested, and a one-sided p-value holds only among both.
    """

    side: str
    book: float
    gap: float
    sigma: float
    z: float
    p: float
    threshold: float
    testable: bool
    counted: bool
    unexplained_share: float
    licensed: float
    over_licence: float
    mdg: float

    @property
    def is_violated(self) -> bool:
        return self.testable and abs(self.z) >= self.threshold and self.side != "within"


def compare(
    claim: Quantity,
    larger: Total,
    sure: Total,
    *,
    at_least: bool = False,
    at_least_went_out: bool = False,
    licensed: float = 0.0,
) -> Gap:
    """Hold a claim against the larger book if it lies above it, against the sure book if it lies below
    that one.

    ``at_least``: more may have come in than the larger book says, so a claim above it contradicts nothing. ``mdg`` holds what
    lies between the two readings too: a claim there needs no explanation.
    """
    against_larger = claim.bound == "lower" or (claim.bound == "" and claim.mu >= sure.mu)
    book = larger if against_larger else sure
    gap = claim.mu - book.mu
    side = "above" if gap > 0 and against_larger else "below" if gap < 0 and not against_larger else "within"
    sigma = math.sqrt(claim.variance + book.variance)
    z = significance.z_score(gap, sigma)
    from_below = at_least and not claim.bound
    one_sided = bool(claim.bound) or (side != "above" and from_below)
    if claim.bound:
        p = significance.one_sided_p(z if claim.bound == "lower" else -z)
    elif side == "within":  # between the two readings of the book: nothing to explain
        gap, z, p = 0.0, 0.0, 1.0
    else:
        p = significance.one_sided_p(-z) if from_below else significance.two_sided_p(z)
    return Gap(
        side=side, book=book.mu, gap=gap, sigma=sigma, z=z, p=p,
        threshold=significance.Z_ONE_SIDED if one_sided else significance.Z_TWO_SIDED,
        testable=(testable := not (at_least if against_larger else at_least_went_out) or side == "within"),
        counted=testable or (from_below and not at_least_went_out),
        unexplained_share=gap / claim.mu if claim.mu else 0.0,
        licensed=licensed, over_licence=max(0.0, claim.mu - licensed),
        mdg=significance.MDG_FACTOR * sigma + max(0.0, larger.mu - sure.mu),
    )  # fmt: skip


def verdict(gap: Gap, mdg_sq: float | None) -> str:
    if not gap.testable:
        return "not testable"
    if gap.is_violated:
        return "not accounted for" if gap.side == "above" else "claim below ledger"
    return "inconclusive" if significance.is_inconclusive(mdg_sq) else "consistent"


# --- the check -------------------------------------------------------------------------------------------------------


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """One finding per claim that counts chips or H100-equivalents somewhere, echoes left out; sorted by claim slug."""
    shelf = Shelf(books, parameters)
    return [_judged(claim, echoes, shelf) for claim, echoes in echo_groups(books.claims, parameters)]


def _judged(claim: ClaimRow, echoes: Sequence[ClaimRow], shelf: Shelf) -> Finding:
    amount, unit = as_counted(claim, shelf.parameters), measure(claim.reported)
    area, window = area_of(claim, shelf.books), window_of(claim)
    if isinstance(amount, NotComparable):
        return _beside(claim, area, None, "not comparable", f"The figure {amount.reason}.")
    if claim.status not in COMPARED:
        why = f"The figure is {claim.status}: only what was shipped, delivered or installed is held against movements."
        return _beside(claim, area, amount, "beside the ledger", why)
    if area is None or claim.scope is None or window is None:
        lacking = (
            "no place" if area is None else "no kind of chip" if claim.scope is None else "no day or period"
        )
        return _beside(
            claim, area, amount, "not comparable", f"The claim names {lacking} that could be looked up."
        )
    position = shelf.position(
        area, claim.scope, window, shipped=claim.status == "shipped", seller=seller_of(claim, shelf.books), measure=unit
    )  # fmt: skip
    if why := _too_little(position, amount, area, scopes.measured(claim.scope, unit), shelf.parameters):
        return _beside(claim, area, amount, "no record", why)
    licences = licences_for(area, claim.scope, window, shelf.books)
    return _tested(claim, echoes, amount, area, position, licences, shelf)


def _too_little(
    position: Position, amount: Quantity, area: Area, scope: Scope, parameters: Parameters
) -> str:
    """Why there is no book to compare with, or empty. What only went out is no record of what is there, and a handful of
    movements beside the figure of a whole market says that the ledger does not cover it, nothing more."""
    if not any(line.sign > 0 for line in position.lines):
        if position.not_countable:
            return (
                f"What the ledger holds of {scope.name} for {area.name} in that time is not told in numbers."
            )
        return f"The ledger holds no movement of {scope.name} for {area.name} in that time, so there is no book to compare."
    if (
        amount.bound != "upper"
        and position.larger.mu < parameters.least_coverage * amount.mu
        and not position.at_least
    ):
        held = explain.number(position.larger.mu)
        share = explain.share(parameters.least_coverage)
        return f"The ledger holds {held}, less than {share} of the claim: it does not cover {scope.name} for {area.name}."
    return ""


def _beside(claim: ClaimRow, area: Area | None, amount: Quantity | None, verdict: str, why: str) -> Finding:
    """Information: the claim is shown beside the ledger and not held against it."""
    said = explain.figure(amount, measure(claim.reported)) if amount else f"a figure in {claim.reported.unit}"
    place = f" for {area.name}" if area else ""
    label = f"{claim.slug}: {said}; {explain.cited(claim.source, claim.reported.grade)}"
    story = explain.Story(
        compared=f"The claim {claim.slug}{place} was not compared with the ledger.",
        sides=(f"{label}.",), difference="None was computed.", surprise=f"No test was made. {why}", open=(),
        settle="Nothing to settle.", assumptions=amount.assumptions if amount else (),
    )  # fmt: skip
    return finding(
        check=CODE, area=area.key if area else "none", scope=scopes.key(claim.scope), period=explain.when(claim.period),
        counterpart=claim.slug,
        unit=measure(claim.reported), verdict=verdict, headline=f"{said}{place}, {claim.status}: {verdict}",
        reported=amount.mu if amount else None, severity="info", weakest_grade=claim.reported.grade,
        sections=explain.sections(story), evidence=(Evidence(claim.ref, "claim", label),),
    )  # fmt: skip


def _tested(
    claim: ClaimRow,
    echoes: Sequence[ClaimRow],
    amount: Quantity,
    area: Area,
    position: Position,
    licences: Sequence[LicenceRow],
    shelf: Shelf,
) -> Finding:
    assert claim.scope is not None  # _judged looked
    unit = measure(claim.reported)
    parameters, scope = shelf.parameters, scopes.measured(claim.scope, unit)
    licensed, licence_rows = _licensed(licences, position, claim.scope, unit, shelf)
    gap = compare(
        amount, position.larger, position.sure, at_least=position.at_least,
        at_least_went_out=position.at_least_went_out, licensed=licensed,
    )  # fmt: skip
    h100e = scopes.h100e(gap.gap, scope)
    sq = significance.in_sq(h100e[0] if h100e else None, parameters)
    mdg_sq = scopes.could_hide(gap.mdg, scope, parameters)
    answer = verdict(gap, mdg_sq)
    lines = position.sure_lines if gap.side == "below" else position.larger_lines
    evidence, grades = _evidence(claim, amount, lines, shelf)
    weakest = significance.weakest_indispensable(evidence, grades, gap.gap)
    is_finding = gap.is_violated and significance.is_material(sq, parameters)
    evidence += [
        Evidence(row.ref, "echo", f"{row.slug} repeats it; {explain.cited(row.source)}") for row in echoes
    ]
    evidence += licence_rows + scopes.specifications(claim.scope, unit, scopes_of(lines), shelf.books.chips)
    words = Words(
        place=area.name, where=_where(area, claim.status), scope=scope.name, when=explain.when(claim.period), status=claim.status,
        claim=f"{claim_label(claim, amount)}" + (f" ({claim.allegation})" if claim.allegation else ""),
        licences=tuple(row.label for row in licence_rows if row.role == "licence"), h100e=h100e,
        is_family=scope.kind == "family", echoes=len(echoes), at_least=position.at_least, readings=_readings(position),
        in_transit=any(line.movement.status == "in transit" for line in position.lines), lines=sum(line.lines for line in lines),
        presumed=any(line.movement.received_presumed for line in lines), assumptions=_assumptions(amount, lines), unit=unit,
    )  # fmt: skip
    return finding(
        check=CODE, area=area.key, scope=scopes.key(scope), period=explain.when(claim.period), counterpart=claim.slug,
        verdict=answer, headline=_headline(answer, gap, amount, area.name, claim.status, unit),
        unit=unit, expected=gap.book, reported=amount.mu, gap=gap.gap, sigma=gap.sigma, statistic=gap.z,
        p=gap.p if gap.counted else None, threshold=gap.threshold, family=FAMILY if gap.counted else None,
        is_finding=is_finding, gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=gap.mdg,
        severity=significance.severity(sq, weakest) if is_finding else "info",
        strength=significance.strength(gap.z) if gap.testable else "", weakest_grade=weakest, formula=FORMULA,
        sections=explain.sections(story(amount, gap, answer, sq, mdg_sq, words)), evidence=tuple(evidence),
        numbers={
            "larger_book": position.larger.mu, "sure_book": position.sure.mu, "book_at_least": position.at_least,
            "unexplained_share": gap.unexplained_share, "licensed": gap.licensed, "over_licence": gap.over_licence,
            "mdg_sq": mdg_sq, "gap_h100e_high": h100e[1] if h100e else None, "echoes": len(echoes),
        },
    )  # fmt: skip


def _licensed(
    licences: Sequence[LicenceRow], position: Position, scope: Scope, unit: str, shelf: Shelf
) -> tuple[float, list[Evidence]]:
    """Units that recorded licences allow, plus recorded deliveries that needed none when they left."""
    found, rows = 0.0, []
    for item in licences:
        amount = _allowed(item, scope, unit, shelf)
        if isinstance(amount, Quantity):
            found += amount.mu
            what = item.scope.name if item.scope else "any chip"
            rows.append(
                Evidence(
                    item.ref,
                    "licence",
                    f"{item.reference}: {explain.figure(amount, unit)} of {what}, {explain.validity(item.valid)}",
                )
            )
    verdicts = shelf.books.verdicts
    for line in position.larger_lines:
        answer = verdicts.get(line.movement.ref.id)
        if line.sign > 0 and answer and answer.answer == "not_required":
            found += line.quantity.mu
    return found, rows


def _allowed(item: LicenceRow, scope: Scope, unit: str, shelf: Shelf) -> Quantity | NotComparable:
    """What a licence allows of the scope in the measure of a claim: of a family its strongest chip."""
    amount = in_its_measure(item.reported, shelf.parameters)
    if isinstance(amount, NotComparable) or measure(item.reported) == unit:
        return amount
    worth = scopes.worth(item.scope or scope, scope, shelf.books.chips) if unit == EQUIVALENTS else None
    return scaled(amount, worth[1]) if worth else NotComparable("counts in another measure")


def _evidence(
    claim: ClaimRow, amount: Quantity, lines: Sequence[Line], shelf: Shelf
) -> tuple[list[Evidence], list[str]]:
    """Claim and movements with their parts of difference and variance; the grades run beside."""
    book = total([(line.sign, line.quantity) for line in lines])
    variance = amount.variance + book.variance
    evidence = [
        Evidence(
            claim.ref,
            "claim",
            claim_label(claim, amount),
            amount.mu,
            amount.variance / variance if variance else 0.0,
        )
    ]
    for line, share in zip(lines, book.shares, strict=True):
        part = share * book.variance
        own = own_part(line, part, shelf.parameters)
        evidence.append(
            Evidence(
                line.movement.ref, "ledger", shelf.label(line), -line.sign * line.quantity.mu,
                part / variance if variance else 0.0, own and own / variance,
            )
        )  # fmt: skip
    return evidence, [amount.grade, *(line.quantity.grade for line in lines)]


def _assumptions(amount: Quantity, lines: Sequence[Line]) -> tuple[str, ...]:
    return (*amount.assumptions, *(text for line in lines for text in line.quantity.assumptions))


def _readings(position: Position) -> str:
    if not position.differs:
        return ""
    sure = f"{explain.number(position.sure.mu)} without doubt"
    return (
        f"of which {sure}"
        if position.at_least
        else f"at most {explain.number(position.larger.mu)}, of which {sure}"
    )


def _where(area: Area, status: str) -> str:
    if status in ("shipped", "delivered"):
        return "to"
    return {"country": "in", "site": "at"}.get(area.kind, "for")


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """What the text needs beside the numbers."""

    place: str
    scope: str
    when: str
    status: str
    claim: str
    where: str = "at"  # how the place stands to what is said of it: in, at, to, for
    licences: tuple[str, ...] = ()
    h100e: tuple[float, float] | None = None
    is_family: bool = False
    echoes: int = 0
    at_least: bool = False
    readings: str = ""
    in_transit: bool = False
    lines: int = 0
    presumed: bool = False
    assumptions: tuple[str, ...] = ()
    unit: str = "chips"


def story(
    amount: Quantity, gap: Gap, answer: str, sq: float | None, mdg_sq: float | None, words: Words
) -> explain.Story:
    """The finding in plain words."""
    readings = f" ({words.readings})" if words.readings else ""
    floor = (
        " It is a lower limit, because part of it was reported only as 'at least' or cannot be counted."
        if words.at_least
        else ""
    )
    permits = "; ".join(words.licences) or "no licence is recorded in this database for them"
    over = (
        f" The claim is {explain.chips(gap.over_licence, words.unit)} above what recorded licences cover."
        if gap.over_licence
        else ""
    )
    echoes = f" Reports that only repeat it, and count as echoes: {words.echoes}." if words.echoes else ""
    return explain.Story(
        compared=f"How many {words.scope} are said to be {words.status} {words.where} {words.place} ({words.when}), and how many "
        "the movements in the ledger explain.",
        sides=(
            f"Claim: {words.claim}.{echoes}",
            f"Ledger: {explain.chips(gap.book, words.unit)} in {explain.counted(words.lines, 'movement')}{readings}.{floor}",
            f"Licences: {permits}.{over}",
        ),
        difference=_difference(gap, answer, sq, words),
        surprise=_surprise(gap, mdg_sq, words.unit),
        open=_open(words, amount),
        settle=_settle(gap, answer, words),
        assumptions=(
            *words.assumptions,
            *((explain.PRESUMED,) if words.presumed else ()),
        ),
    )  # fmt: skip


def _difference(gap: Gap, answer: str, sq: float | None, words: Words) -> str:
    size = explain.magnitude(gap.gap, words.h100e, sq, words.unit)
    if answer == "not accounted for":
        return (
            f"{size}: not accounted for in this database ({explain.share(gap.unexplained_share)} of the claim). "
            "What brought these chips there, if the claim is right, is not in this database."
        )
    if answer == "claim below ledger":
        return f"The claim is {size} below what the ledger surely holds."
    if answer == "not testable":
        return f"The claim is {size} {gap.side} the book, and the book is only a limit: this contradicts nothing."
    if gap.side == "within":
        return "None that needs an explanation: the claim lies within what the ledger may hold."
    return f"The claim is {size} {gap.side} the book: within what the stated errors allow."


def _surprise(gap: Gap, mdg_sq: float | None, unit: str) -> str:
    if not gap.testable:
        limit = "No test was made, because the book is only a limit."
        return (
            "The book is only a lower limit: a claim below it can contradict it, one above it cannot."
            if gap.counted
            else limit
        )
    if gap.is_violated:
        return explain.surprise(gap.p, gap.z)
    return explain.no_surprise(gap.mdg, mdg_sq, significance.is_inconclusive(mdg_sq), unit)


def _open(words: Words, amount: Quantity) -> tuple[str, ...]:
    applicable = {
        explain.UNRECORDED: True,
        explain.TIMING: words.presumed,
        explain.IN_TRANSIT: words.in_transit,
        explain.ROUNDING: amount.half_width > 0,
        explain.FAMILY: words.is_family,
        explain.STATUS: True,
        explain.ECHO: words.echoes > 0,
        explain.LICENCE_UNSEEN: not words.licences,
    }
    return tuple(phrase for phrase, applies in applicable.items() if applies)


def _settle(gap: Gap, answer: str, words: Words) -> str:
    if answer == "not accounted for":
        papers = f"A waybill, customs record or invoice for deliveries of {words.scope} to {words.place}"
        return f"{papers}, or the count behind the claim."
    if answer == "claim below ledger":
        return f"The count behind the claim, with its day, or a record of chips that left {words.place}."
    return f"A count of {words.scope} at {words.place} with its day."


def _headline(answer: str, gap: Gap, amount: Quantity, place: str, status: str, unit: str = "chips") -> str:
    said = {"lower": "at least ", "upper": "at most "}.get(amount.bound, "") + explain.chips(amount.mu, unit)
    book = explain.number(gap.book)
    if answer == "not accounted for":
        return f"{place}: {said} {status}, ledger explains {book}; {explain.number(gap.gap)} not accounted for here"
    if answer == "claim below ledger":
        return f"{place}: {said} {status}, but the ledger already holds {book}"
    return f"{place}: {said} {status}, ledger {book}: {answer}"


# --- worked cases ----------------------------------------------------------------------------------------------------

_NO_REF = RecordRef("case", 0, 0)


def _gap_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    claim = case_quantity(given["claim"], parameters)
    ledger = [case_quantity(row, parameters) for row in given.get("ledger", ())]
    book = total([(1, one) for one in ledger])
    licensed = math.fsum(float(row["quantity"]) for row in given.get("licences", ()))
    at_least = any(one.bound == "lower" for one in ledger)
    gap = compare(claim, book, book, at_least=at_least, licensed=licensed)
    per_chip = given.get("h100e_per_chip")
    h100e = None if per_chip is None else gap.gap * float(per_chip)
    sq = significance.in_sq(h100e, parameters)
    mdg = None if per_chip is None else gap.mdg * float(per_chip)
    answer = verdict(gap, significance.in_sq(mdg, parameters))
    grades = [given["claim"].get("grade", ""), *(row.get("grade", "") for row in given.get("ledger", ()))]
    rows = [
        Evidence(_NO_REF, "", "", one.mu, one.variance / gap.sigma**2 if gap.sigma else 0.0)
        for one in (claim, *ledger)
    ]
    level = significance.severity(sq, significance.weakest_indispensable(rows, grades, gap.gap))
    status = given["claim"].get("status", "reported")
    if status != "reported" and status not in COMPARED:  # context, whatever the figures say
        answer, level = "beside the ledger", "info"
    words = Words(
        place=str(given.get("area", "the area of the claim")), scope=str(given.get("scope", "the chips")), when="as reported",
        status=status, claim=explain.figure(claim), lines=len(ledger), h100e=None if h100e is None else (h100e, h100e),
        licences=tuple(str(row.get("id", row["quantity"])) for row in given.get("licences", ())), at_least=at_least,
        assumptions=claim.assumptions,
    )  # fmt: skip
    parts = explain.sections(story(claim, gap, answer, sq, significance.in_sq(mdg, parameters), words))
    return {
        "ledger": book.mu, "gap": gap.gap, "sigma": gap.sigma, "z": gap.z, "p": gap.p,
        "unexplained_share": gap.unexplained_share, "gap_h100e": h100e, "sq": sq, "severity": level,
        "strength": significance.strength(gap.z), "licensed": licensed, "over_licence": gap.over_licence,
        "mdg": gap.mdg, "mdg_h100e": mdg, "verdict": answer,
        "text": f"{_headline(answer, gap, claim, words.place, status)}\n{explain.full_text(parts)}",
    }  # fmt: skip


def _status_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    book = total([(1, case_quantity(row, parameters)) for row in given.get("ledger", ())])
    compared = [row for row in given["claims"] if row["status"] in COMPARED]
    results = []
    for row in compared:
        gap = compare(case_quantity(row, parameters), book, book)
        results.append({"id": row["id"], "gap": gap.gap, "z": gap.z, "p": gap.p, "sigma": gap.sigma})
    return {
        "ledger": book.mu,
        "compared": [row["id"] for row in compared],
        "context": [row["id"] for row in given["claims"] if row["status"] not in COMPARED],
        "results": results,
    }


CASES = {"gap": _gap_case, "status_separation": _status_case}
