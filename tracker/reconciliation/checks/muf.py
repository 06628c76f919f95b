"""Balances in sequence: does the book of an area, closed again and again by a count, hold what was counted?

Between two counts of one area and kind of chip ``MUF = opening count + receipts + production - dispatches - exits - closing
count``, with ``z = MUF / s``; p two-sided. Errors are propagated for all periods together, so that a count that closes one period
and opens the next is one and the same, and what one house says alike is added before it is squared. Over several periods also:
the whole span (``CUMUF``, |z| > 3), in which inner counts cancel; and Page's test on the independent parts of the periods (k =
0.5, h = 5), which sees a small steady difference that no single period shows. The first period opens at exactly 0 where the book
was whole from the chips' first shipping day on.

How to read it. MUF > 0: the book holds more than was counted. MUF < 0: more was counted than the book explains. Tests that may
read a loss are made only for days for which somebody declared the ledger whole for the area (closed books); everywhere else a
movement that is not recorded is evidence of nothing, GAP tells what is claimed beyond the book, and here stands *not tested*.
Counts are installed and operational claims as of a day; of several for one day the most exact, echoes left out. Doubts (a vague
day, a family name) are read both ways and the smaller difference counts. Counts in H100-equivalents meet books drawn up in those.
A book of which a part was told only as "at least" or "at most" is not tested. A house's error is its own for 24 months, then it
is drawn afresh.

What it does not say. Where a difference went or came from; counts are taken on other days, and of other things, than books.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

from tracker.claims.combine import measure
from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.quantity import EQUIVALENTS, total
from tracker.reconciliation import explain, scopes, sequence, significance
from tracker.reconciliation.books import (
    Books,
    ClosedBookRow,
    Evidence,
    Finding,
    Parameters,
    Scope,
)
from tracker.reconciliation.counts import (
    Chain,
    Count,
    Reading,
    chains,
    counted,
    first_shipped,
    readings,
    role_of,
)
from tracker.reconciliation.position import Area, Shelf, claim_label, own_part, scopes_of
from tracker.reconciliation.result import MOST_EVIDENCE, finding
from tracker.reconciliation.sequence import Balances
from tracker.reconciliation.tabulate import running

CODE = "MUF"
TITLE = "Balances between counts"
FAMILY = "MUF"
PARTITION = "claim_subject"

FORMULA = "MUF = OPEN + R + P - D - X - CLOSE; z = MUF / s"
SPAN_FORMULA = "CUMUF = sum of MUF; z = CUMUF / sqrt(1' Sigma 1)"
PAGE_FORMULA = "S_t = max(0, S_(t-1) + SITMUF_t - k); alarm S > h"
COLUMNS = (
    "to",
    "book",
    "counted",
    "MUF",
    "sd",
    "z",
    "sum",
    "sd of the sum",
    "independent",
    "Page up",
    "Page down",
)
ABOVE, BELOW = "book above count", "count above book"


@dataclass(frozen=True, slots=True)
class _Value:
    """A MUF, or a sum of them, in the reading that leaves the smaller difference; 0 where the two readings disagree in sign.

    ``doubt``: how far apart the readings are, which hides as much.
    """

    muf: float
    sigma: float
    reading: int
    doubt: float = 0.0

    @property
    def z(self) -> float:
        return significance.z_score(self.muf, self.sigma)


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """Per area and scope with successive counts: one result per period, then the whole span and Page's test of several; or one
    that says why nothing is tested. Sorted by area, then scope."""
    shelf: Shelf | None = None  # made where a book is whole: elsewhere no movement is asked
    found: list[Finding] = []
    for area, scope, counts in counted(books, parameters):
        whole = chains(area, scope, counts, books)
        for chain in whole:
            shelf = shelf or Shelf(books, parameters)
            found += _judged(chain, shelf)
        if not whole and len(counts) > 1:
            found.append(_not_tested(area, scope, counts, "the book is not declared whole", (), books))
    return found


def _kinder(readings: Sequence[Balances], values: str, sigmas: str, at: int) -> _Value:
    """Of the same figure in both readings the one nearer to 0; 0 if 0 lies between them."""
    both = [
        _Value(getattr(one, values)[at], getattr(one, sigmas)[at], number)
        for number, one in enumerate(readings)
    ]
    return _smaller(both)


def _smaller(both: Sequence[_Value]) -> _Value:
    doubt = abs(both[0].muf - both[1].muf)
    if both[0].muf * both[1].muf < 0:
        return _Value(0.0, max(one.sigma for one in both), 0, doubt)
    return replace(min(both, key=lambda one: (abs(one.muf), one.reading)), doubt=doubt)


# --- judged ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sums:
    """Page's sums of one reading: on the independent parts, and on their opposites."""

    parts: tuple[float, ...]
    up: tuple[float, ...]
    down: tuple[float, ...]


@dataclass(frozen=True)
class _Case:
    """A chain with its two readings."""

    chain: Chain
    readings: tuple[Reading, Reading]
    shelf: Shelf
    periods: tuple[Period, ...]

    @property
    def balances(self) -> tuple[Balances, Balances]:
        return self.readings[0].balances, self.readings[1].balances

    @property
    def closing(self) -> tuple[Count, ...]:
        return self.chain.counts if self.chain.from_zero else self.chain.counts[1:]

    def opening(self, at: int) -> Count | None:
        place = at - 1 if self.chain.from_zero else at
        return self.chain.counts[place] if place >= 0 else None


def _judged(chain: Chain, shelf: Shelf) -> list[Finding]:
    read = readings(chain, shelf)
    if isinstance(read, str):
        return [_not_tested(chain.area, chain.scope, chain.counts, read, chain.closed, shelf.books)]
    days = [one.day for one in chain.counts]
    first = first_shipped(chain.scope, shelf.books) or date.min
    edges = [first, *days] if chain.from_zero else days
    periods = tuple(Period.inclusive(a, b) for a, b in pairwise(edges))
    case = _Case(chain, read, shelf, periods)
    found = [_period(case, at) for at in range(len(periods))]
    return [*found, *_whole_span(case)] if len(periods) > 1 else found


def _period(case: _Case, at: int) -> Finding:
    value = _kinder(case.balances, "muf", "sigma", at)
    judged = _Judged(case, value)
    surprising = abs(value.z) >= significance.Z_TWO_SIDED
    certain = math.isinf(value.z)
    verdict = judged.verdict(surprising)
    is_finding = surprising and significance.is_material(judged.sq, case.shelf.parameters)
    evidence, weakest = _evidence(case, value, [at])
    book, count = case.balances[value.reading].book[at], case.closing[at]
    place, scope = case.chain.area.name, case.chain.scope.name
    return judged.finding(
        period=explain.when(case.periods[at]), counterpart=count.claim.slug, verdict=verdict,
        headline=f"{place}: book {explain.number(book)}, counted {explain.number(count.amount.mu)} ({scope}): {verdict}",
        expected=book, reported=count.amount.mu, statistic=value.z, p=None if certain else significance.two_sided_p(value.z),
        threshold=significance.Z_TWO_SIDED, family=None if certain else FAMILY, is_finding=is_finding,
        severity=significance.severity(judged.sq, weakest) if is_finding else "info",
        strength=significance.strength(value.z), weakest_grade=weakest, formula=FORMULA, evidence=evidence,
        sections=explain.sections(_period_story(case, at, judged, surprising)),
        numbers={"book": book, "counted": count.amount.mu, "mdg_sq": judged.mdg_sq, "from_zero": case.opening(at) is None},
    )  # fmt: skip


@dataclass(frozen=True)
class _Judged:
    """A MUF with its magnitude."""

    case: _Case
    value: _Value

    @property
    def h100e(self) -> tuple[float, float] | None:
        return scopes.h100e(self.value.muf, self.case.chain.scope)

    @property
    def sq(self) -> float | None:
        return significance.in_sq(self.h100e[0] if self.h100e else None, self.case.shelf.parameters)

    @property
    def mdg(self) -> float:
        return significance.MDG_FACTOR * self.value.sigma + self.value.doubt

    @property
    def mdg_sq(self) -> float:
        return scopes.could_hide(self.mdg, self.case.chain.scope, self.case.shelf.parameters)

    @property
    def size(self) -> str:
        return explain.magnitude(self.value.muf, self.h100e, self.sq, self.case.chain.measure)

    def verdict(self, surprising: bool) -> str:
        if surprising:
            return ABOVE if self.value.muf > 0 else BELOW
        return "inconclusive" if significance.is_inconclusive(self.mdg_sq) else "consistent"

    def no_surprise(self) -> str:
        inconclusive = significance.is_inconclusive(self.mdg_sq)
        return explain.no_surprise(self.mdg, self.mdg_sq, inconclusive, self.case.chain.measure)

    def finding(self, counterpart: str, **given: Any) -> Finding:
        chain = self.case.chain
        return finding(
            check=CODE, area=chain.area.key, scope=scopes.key(chain.scope), unit=chain.measure,
            counterpart=_named(counterpart, chain.measure), gap=self.value.muf, sigma=self.value.sigma,
            gap_h100e=self.h100e[0] if self.h100e else None, sq=self.sq, mdg=self.mdg, **given,
        )  # fmt: skip


def _whole_span(case: _Case) -> list[Finding]:
    """The sum over all periods, and Page's test."""
    sums, error = _page_sums(case)
    table = _table(case, sums)
    span = Period(case.periods[0].start, case.periods[-1].end)
    places = range(len(case.periods))
    cumulated = _kinder(case.balances, "cumuf", "sigma_cumuf", len(case.periods) - 1)
    judged = _Judged(case, cumulated)
    limit = case.shelf.parameters.cumuf_z
    beyond = abs(cumulated.z) > limit
    found = [
        _span_finding(
            case, judged, span, beyond, places, "whole span", cumulated.z, limit, SPAN_FORMULA, table
        )
    ]
    if sums is None:
        area, scope, counts, closed = case.chain.area, case.chain.scope, case.chain.counts, case.chain.closed
        return [
            *found,
            _not_tested(area, scope, counts, error, closed, case.shelf.books, "page test", span.start),
        ]
    k, h = case.shelf.parameters.page_k, case.shelf.parameters.page_h
    sides = [(sums.up, 1), (sums.down, -1)]
    statistic, at, side = max((value, -place, side) for one, side in sides for place, value in enumerate(one))
    since = _since(sums.up if side > 0 else sums.down, -at)
    steady = _between(case, since, -at)
    alarm = sequence.exceeds(statistic, h) and steady.muf * side > 0
    formula = f"{PAGE_FORMULA}; k = {k:g}, h = {h:g}"
    return [
        *found,
        _span_finding(case, _Judged(case, steady), span, alarm, range(since, -at + 1), "page test", statistic, h, formula, table),
    ]  # fmt: skip


def _page_sums(case: _Case) -> tuple[_Sums | None, str]:
    """At each period the smaller of both readings' sums; None, and why, where the periods cannot be told apart."""
    parameters = case.shelf.parameters
    found = []
    for balances in case.balances:
        try:
            parts = sequence.sitmuf(balances)
        except BadInput as error:
            return None, str(error)
        ups, _ = sequence.page(parts, parameters.page_k, parameters.page_h)
        downs, _ = sequence.page([-part for part in parts], parameters.page_k, parameters.page_h)
        found.append(_Sums(parts, ups, downs))
    one, other = found
    return _Sums(
        tuple(min(pair, key=abs) for pair in zip(one.parts, other.parts, strict=True)),
        tuple(map(min, one.up, other.up)), tuple(map(min, one.down, other.down)),
    ), ""  # fmt: skip


def _since(sums: Sequence[float], at: int) -> int:
    """The period with which the rise began: the first after the sum was last 0."""
    return max((place + 1 for place in range(at) if sums[place] == 0), default=0)


def _between(case: _Case, first: int, last: int) -> _Value:
    """MUF summed from one period to another, in the kinder reading."""
    both = []
    for number, balances in enumerate(case.balances):
        part = balances.sigma_matrix[first : last + 1, first : last + 1]
        muf = math.fsum(balances.muf[first : last + 1])
        both.append(_Value(muf, math.sqrt(max(0.0, float(part.sum()))), number))
    return _smaller(both)


def _span_finding(
    case: _Case,
    judged: _Judged,
    span: Period,
    beyond: bool,
    places: Sequence[int],
    counterpart: str,
    statistic: float,
    threshold: float,
    formula: str,
    table: Mapping[str, Any],
) -> Finding:
    is_finding = beyond and significance.is_material(judged.sq, case.shelf.parameters)
    verdict = judged.verdict(beyond)
    evidence, weakest = _evidence(case, judged.value, places)
    page = counterpart == "page test"
    name = "Page's test" if page else "whole span"
    place, scope, periods = case.chain.area.name, case.chain.scope.name, len(case.periods)
    return judged.finding(
        # named by its first day alone: with the next count the same discrepancy goes on
        period=explain.when(Period(span.start, None)), period_end=span.last, counterpart=counterpart, verdict=verdict,
        headline=f"{place}: {explain.number(judged.value.muf)} ({scope}) over {periods} periods, {name}: {verdict}",
        statistic=statistic, threshold=threshold, is_finding=is_finding,
        severity=significance.severity(judged.sq, weakest) if is_finding else "info",
        strength=significance.strength(judged.value.z) if is_finding else "", weakest_grade=weakest, formula=formula,
        sections=explain.sections(_span_story(case, judged, span, beyond, page, statistic, threshold)), evidence=evidence,
        numbers={"running": table, "mdg_sq": judged.mdg_sq, "z": judged.value.z, "periods": periods},
    )  # fmt: skip


def _table(case: _Case, sums: _Sums | None) -> dict[str, Any]:
    rows = []
    for at, count in enumerate(case.closing):
        one = _kinder(case.balances, "muf", "sigma", at)
        all_before = _kinder(case.balances, "cumuf", "sigma_cumuf", at)
        book = case.balances[one.reading].book[at]
        page = (sums.parts[at], sums.up[at], sums.down[at]) if sums else (None, None, None)
        rows.append(
            [
                count.day.isoformat(),
                book,
                count.amount.mu,
                one.muf,
                one.sigma,
                one.z,
                all_before.muf,
                all_before.sigma,
                *page,
            ]
        )
    return running(COLUMNS, rows, ("MUF",))


def _named(counterpart: str, unit: str) -> str:
    """Counts of one area and scope in chips and in H100-equivalents are two discrepancies."""
    return f"{counterpart}, in {unit}" if unit == EQUIVALENTS else counterpart


def _not_tested(
    area: Area,
    scope: Scope,
    counts: Sequence[Count],
    why: str,
    closed: Sequence[ClosedBookRow],
    books: Books,
    counterpart: str = "book",
    since: date | None = None,
) -> Finding:
    """Information: why the counts of an area are not held against its book, from the first of them or ``since`` on."""
    span = explain.when(Period.inclusive(counts[0].day, counts[-1].day))
    labels = [claim_label(one.claim, one.amount) for one in counts[-explain.FEW :]]
    story = explain.Story(
        compared=f"The counts of {scope.name} at {area.name} ({span}) were not held against the book between them.",
        sides=tuple(f"Count: {label}." for label in labels), difference="None was computed.",
        surprise=f"No test was made: {why}.", open=(),
        settle=f"A statement that the ledger holds every movement of {area.name} for these days."
        if not closed else "Records with their errors for each count and movement.",
    )  # fmt: skip
    return finding(
        check=CODE, area=area.key, scope=scopes.key(scope), period=explain.when(Period(since or counts[0].day, None)),
        period_end=counts[-1].day, counterpart=_named(counterpart, measure(counts[0].claim.reported)),
        verdict=f"not tested: {why}"[:60], headline=f"{area.name}: {len(counts)} counts of {scope.name}, not tested: {why}",
        severity="info", sections=explain.sections(story),
        evidence=tuple(Evidence(one.claim.ref, "count", claim_label(one.claim, one.amount)) for one in counts[-MOST_EVIDENCE:]),
    )  # fmt: skip


def _evidence(case: _Case, value: _Value, places: Sequence[int]) -> tuple[tuple[Evidence, ...], str]:
    """Counts, declarations and the largest lines, with their parts of the difference and the variance; and the weakest grade
    that the difference cannot do without."""
    reading, shelf = case.readings[value.reading], case.shelf
    closing = places[-1] if case.chain.from_zero else places[-1] + 1
    ends = [("opening count", 1, closing - len(places)), ("closing count", -1, closing)]
    ends = [one for one in ends if one[2] >= 0]  # a book that begins at 0 opens without a count
    lines = [line for at in places for line in reading.lines[at]]
    terms = [(sign, reading.counts[at]) for _, sign, at in ends]
    shares = total([*terms, *((line.sign, line.quantity) for line in lines)]).shares
    rows = []
    for (role, sign, at), share in zip(ends, shares, strict=False):
        count = case.chain.counts[at]
        label = claim_label(count.claim, count.amount)
        rows.append(Evidence(count.claim.ref, role, label, sign * count.amount.mu, share))
    variance = value.sigma**2
    moved = [
        Evidence(
            line.movement.ref, role_of(line), shelf.label(line), line.sign * line.quantity.mu, share,
            (own := own_part(line, share * variance, shelf.parameters)) and own / variance,
        )
        for line, share in zip(lines, shares[len(rows) :], strict=True)
    ]  # fmt: skip
    grades = [amount.grade for _, amount in terms] + [line.quantity.grade for line in lines]
    weakest = significance.weakest_indispensable([*rows, *moved], grades, value.muf)
    moved.sort(key=lambda row: (-abs(row.contribution or 0.0), row.ref.id))
    declared = [
        Evidence(
            row.ref, "closed book", f"{row.slug}: declared whole, {row.valid}; {explain.cited(row.source)}"
        )
        for row in case.chain.closed
    ]
    specified = scopes.specifications(
        case.chain.scope, case.chain.measure, scopes_of(lines), shelf.books.chips
    )
    return (*rows, *moved[:MOST_EVIDENCE], *declared, *specified), weakest


# --- words -----------------------------------------------------------------------------------------------------------


def told(muf: float, size: str) -> str:
    """A difference between book and count in words that fit its sign."""
    if muf > 0:
        return f"The book holds {size} more than was counted."
    if muf < 0:
        return f"More was counted than the book explains: {size}, not accounted for in this database."
    return "None that needs an explanation: what was counted lies within what the book may hold."


def open_questions(muf: float, scope: Scope | None) -> tuple[str, ...]:
    """What may explain a difference between book and count, by its sign."""
    applicable = {
        explain.TIMING: True, explain.IN_TRANSIT: True, explain.UNRECORDED_EXPORTS: muf > 0, explain.UNRECORDED: muf < 0,
        explain.ROUNDING: True, explain.FAMILY: scope is not None and scope.kind == "family", explain.STATUS: True,
    }  # fmt: skip
    return tuple(phrase for phrase, applies in applicable.items() if applies)


def _period_story(case: _Case, at: int, judged: _Judged, surprising: bool) -> explain.Story:
    chain, reading = case.chain, case.readings[judged.value.reading]
    opening, count, lines = case.opening(at), case.closing[at], reading.lines[at]
    came = math.fsum(line.quantity.mu for line in lines if line.sign > 0)
    left = math.fsum(line.quantity.mu for line in lines if line.sign < 0)
    into = sum(line.lines for line in lines if line.sign > 0)
    out = sum(line.lines for line in lines if line.sign < 0)
    declared = explain.listed(explain.cited(row.source) for row in chain.closed)
    return explain.Story(
        compared=f"The book of {chain.scope.name} at {chain.area.name}, {case.periods[at]}, with the count at its end.",
        sides=(
            f"Opening: {claim_label(opening.claim, opening.amount)}." if opening
            else "Opening: exactly 0, because the chips were not shipped before.",
            f"Came in: {explain.chips(came, chain.measure)} in {explain.counted(into, 'movement')}. "
            f"Left: {explain.chips(left, chain.measure)} in {explain.counted(out, 'movement')}.",
            f"Book at the end: {explain.chips(reading.balances.book[at], chain.measure)}.",
            f"Count: {claim_label(count.claim, count.amount)}.",
            f"The book was declared whole: {declared}.",
        ),
        difference=told(judged.value.muf, judged.size),
        surprise=explain.surprise(significance.two_sided_p(judged.value.z), judged.value.z) if surprising
        else judged.no_surprise(),
        open=open_questions(judged.value.muf, chain.scope),
        settle=f"A recount of {chain.scope.name} at {chain.area.name} with its day, or the waybills of what came and went.",
        assumptions=_assumptions(case),
    )  # fmt: skip


def _assumptions(case: _Case) -> tuple[str, ...]:
    lines = [line for reading in case.readings for period in reading.lines for line in period]
    presumed = any(line.sign > 0 and line.movement.received_presumed for line in lines)
    texts = [text for line in lines for text in line.quantity.assumptions]
    texts += [text for count in case.chain.counts for text in count.amount.assumptions]
    return (*dict.fromkeys(texts), *((explain.PRESUMED,) if presumed else ()))


def _span_story(
    case: _Case, judged: _Judged, span: Period, beyond: bool, page: bool, statistic: float, limit: float
) -> explain.Story:
    chain, parameters = case.chain, case.shelf.parameters
    each = tuple(
        f"To {count.day.isoformat()}: book {explain.number(book)}, counted {explain.number(count.amount.mu)}."
        for count, book in zip(case.closing, case.balances[judged.value.reading].book, strict=True)
    )
    cut, counts = each[-explain.FEW :], len(case.chain.counts)
    return explain.Story(
        compared=f"The books of {chain.scope.name} at {chain.area.name} by {counts} counts, {span}, together.",
        sides=((f"{len(each) - len(cut)} earlier periods are in the table.",) if len(cut) < len(each) else ()) + cut,
        difference=told(judged.value.muf, judged.size),
        surprise=surprise(judged.value.z, beyond, page, statistic, limit, parameters) if beyond or page else judged.no_surprise(),
        open=open_questions(judged.value.muf, chain.scope),
        settle=f"Counts of {chain.scope.name} at {chain.area.name} by another party on the same days.",
        assumptions=_assumptions(case),
    )  # fmt: skip


def surprise(
    z: float, beyond: bool, page: bool, statistic: float, limit: float, parameters: Parameters
) -> str:
    """How often a sequence test that stands outside the control of false alarms would say so by chance."""
    if page:
        said = f"Page's sum reached {statistic:.3g}; it calls from {limit:g} on."
        usual = (
            " By chance alone it would do so about once in 465 periods." if limit == sequence.PAGE_H else ""
        )
        return f"{said}{usual}" if beyond else f"{said} No steady difference shows."
    return explain.surprise(significance.two_sided_p(z), z)
