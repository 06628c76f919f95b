"""Reports of a network against one another: which is most likely wrong, or where a flow is most likely not recorded.

Of every area whose book somebody declared whole: what was there, with what came in, less what went out, is there. All reports
about such areas that are tied by flows are adjusted together, each within its stated error (docs/method.md, Networks). ``gamma``,
the weighted sum of squared adjustments, is held against chi-square. While it is significant, the report or the area without which
it falls most (``T``, the likelihood ratio) is named and left out; where another one does nearly as well (less than ten times less
likely), all of them are named and none is chosen.

How to read it. *Most likely wrong*: this report differs from what all the others together say. *Most likely unrecorded flow*: the
reports agree with one another but for one area's book. *Undecided*: either of several may be wrong. *Nothing to check against*:
no declaration ties the reports to one another. The estimates beside it are the most likely true flows given all reports; what the
reports do not tell apart is left empty.

What it does not say. Anything about areas whose book nobody declared whole: they may have flows that nobody recorded, so that no
report about them can be tested here. Nor why a report is wrong: it may count other things, or other days.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt

import numpy as np

from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.reconciliation import explain, scopes, significance
from tracker.reconciliation.adjustment import (
    Bounded,
    Contradiction,
    Numbers,
    Solution,
    bounded,
    solve,
    with_violated,
    worth_verifying,
)
from tracker.reconciliation.books import Books, Estimate, Evidence, Finding, Parameters, Scope
from tracker.reconciliation.gross_errors import (
    Search,
    Suspect,
    Suspicion,
    chance_of,
    critical_gamma,
    search,
)
from tracker.reconciliation.ledger_network import (
    UNKNOWN,
    Entry,
    LedgerNetwork,
    Place,
    ledger_network,
    smaller,
)
from tracker.reconciliation.network import Balance, Network, components
from tracker.reconciliation.network_story import (
    CLOSED_ONLY,
    LABELLED,
    UNSPLIT,
    Fit,
    Named,
    disagreement,
    headline,
    reported,
    story,
)
from tracker.reconciliation.result import finding

CODE = "NET"
TITLE = "Reports of a network against one another"
FAMILY = "NET"
PARTITION = "network"
MOVES_WITH_THE_DAY = True

FORMULA = "gamma = r' S^-1 r on rank S degrees of freedom; T = (h' S^-1 r)^2 / (h' S^-1 h); b = (h' S^-1 r) / (h' S^-1 h)"
NAME_LIMIT, KEY_LIMIT = 120, 200
SPECK = 1e-6
"""Chips that are the rounding of arithmetic."""
SHOWN = 6
"""Other reports about the same places that a text shows."""
CANDIDATES, NAMED_FIRST = 200, 5
"""Reports (the least certain ones) that are asked what verifying them would tell, and how many of them a result names."""
PERIOD = "whole known period"


def find(books: Books, parameters: Parameters) -> list[Finding]:
    """For each network that declared areas make: what is wrong with it, or that it agrees. The first result has the estimates."""
    whole = smaller(ledger_network(books, parameters), books)
    limits = {row.id: row for row in whole.bounds}
    found = []
    for tied in components(replace(whole.network, reports=whole.network.reports + whole.bounds)):
        if tied.balances:
            network = replace(tied, reports=tuple(row for row in tied.reports if row.id not in limits))
            network, _ = with_violated(network, [limits[row.id] for row in tied.reports if row.id in limits])
            found += _Judged(network, whole, books, parameters).findings()
    return _told_apart(found)


def _told_apart(found: list[Finding]) -> list[Finding]:
    """Results that would pass for the same discrepancy are numbered."""
    seen: Counter[tuple[str, ...]] = Counter()
    rows = []
    for row in found:
        seen[row.key] += 1
        again = f", {seen[row.key]}" if seen[row.key] > 1 else ""
        rows.append(replace(row, counterpart=_short(row.counterpart + again, KEY_LIMIT)) if again else row)
    return rows


@dataclass
class _Judged:
    """One network of reports that are tied to one another."""

    network: Network
    whole: LedgerNetwork
    books: Books
    parameters: Parameters

    @cached_property
    def solution(self) -> Solution:
        return solve(self.network)

    @cached_property
    def search(self) -> Search:
        return search(self.solution, self.parameters.alpha)

    @cached_property
    def final(self) -> Bounded:
        return bounded(self.search.network)

    @cached_property
    def places(self) -> list[Place]:
        return [self.whole.places[row.id] for row in self.network.balances]

    @cached_property
    def name(self) -> str:
        place = self.places[0]
        return _short(f"{place.area} {scopes.key(place.scope)} {place.key}", NAME_LIMIT)

    def findings(self) -> list[Finding]:
        rows = [*self._contradicted(), *self._suspected()]
        rows = rows or [self._agreeing()]
        return [replace(rows[0], estimates=tuple(self._estimates())), *rows[1:]]

    # --- results ------------------------------------------------------------------------------------------------------------

    def _agreeing(self) -> Finding:
        """A network whose reports agree, or cannot disagree."""
        solution, area = self.solution, min(place.area for place in self.places)
        p = chance_of(solution.gamma, solution.dof)
        if p is None:
            verdict, words = (
                "nothing to check against",
                "Nothing ties these reports to one another: none could be tested.",
            )
        elif self.search.gamma > (critical_gamma(solution.dof, self.parameters.alpha) or 0.0):
            verdict, words = "disagree", "The reports disagree, and no single one of them explains it."
        else:
            verdict = "consistent"
            words = f"The reports agree within their stated errors ({disagreement(solution.gamma, solution.dof)})."
        told = explain.Story(
            compared=self._compared(), sides=tuple(f"{reported(row)}." for row in self._reported(self.network.balances)),
            difference="None." if p is None or verdict == "consistent" else words,
            surprise=words, open=(), settle=self._first_to_verify() or "Nothing needs to be settled.",
            assumptions=self._assumptions(),
        )  # fmt: skip
        return finding(
            check=CODE, area=area, scope=scopes.key(self.places[0].scope), period=PERIOD, period_end=self.books.as_of,
            counterpart=self.name, verdict=verdict,
            headline=f"{self._areas()}: {explain.counted(len(self.network.reports), 'report')} in one network, {verdict}",
            statistic=solution.gamma if p is not None else None, p=p, family=FAMILY if p is not None else None,
            threshold=critical_gamma(solution.dof, self.parameters.alpha), formula=FORMULA, sections=explain.sections(told),
            evidence=tuple(self._declarations(self.places)), numbers=self._numbers(solution.gamma, solution.dof),
        )  # fmt: skip

    def _suspected(self) -> Iterator[Finding]:
        gamma, dof = self.solution.gamma, self.solution.dof
        for round_number, suspicion in enumerate(self.search.suspicions, start=1):
            yield self._suspicion(suspicion, Fit(gamma, dof), round_number)
            gamma, dof = gamma - suspicion.statistic, dof - 1

    def _suspicion(self, suspicion: Suspicion, fit: Fit, round_number: int) -> Finding:
        first = suspicion.alternatives[0]
        scope, area, key = self._subject(first)
        h100e = scopes.h100e(abs(first.size), scope)
        sq = significance.in_sq(h100e[0] if h100e else None, self.parameters)
        sigma = abs(first.size) / sqrt(first.statistic)
        evidence = tuple(self._evidence(suspicion))
        grade = self._weakest(suspicion)
        is_finding = significance.is_material(sq, self.parameters)
        verdict = (
            "undecided" if not suspicion.decided
            else "most likely unrecorded flow" if first.kind == "node" else "most likely wrong"
        )  # fmt: skip
        amount = self._amount(first)
        names = self._names(suspicion)
        unit = names[first.who].unit
        magnitude = explain.magnitude(first.size, h100e, sq, unit)
        told = story(
            self._compared(),
            suspicion,
            names,
            fit,
            magnitude,
            self._beside(suspicion),
            self._assumptions()[3:],
        )
        told = replace(told, settle=f"{told.settle} {self._first_to_verify()}".strip())
        mdg = significance.MDG_FACTOR * sigma
        return finding(
            check=CODE, area=area, scope=scopes.key(scope), period=PERIOD, period_end=self.books.as_of,
            counterpart=_short(key, KEY_LIMIT), verdict=verdict,
            unit=unit, headline=headline(suspicion, names),
            expected=amount.mu - first.size if amount else 0.0, reported=amount.mu if amount else None, gap=first.size,
            sigma=sigma, statistic=first.statistic, p=fit.p, threshold=critical_gamma(fit.dof, self.parameters.alpha),
            family=FAMILY, is_finding=is_finding, gap_h100e=h100e[0] if h100e else None, sq=sq, mdg=mdg,
            severity=significance.severity(sq, grade) if is_finding else "info",
            strength=significance.strength(first.size / sigma if sigma else 0.0), weakest_grade=grade, formula=FORMULA,
            sections=explain.sections(told), evidence=evidence,
            numbers=self._numbers(fit.gamma, fit.dof) | {
                "round": round_number,
                "alternatives": [
                    {"who": row.who, "statistic": row.statistic, "size": row.size} for row in suspicion.alternatives
                ],
            },
        )  # fmt: skip

    def _contradicted(self) -> Iterator[Finding]:
        for row in self.solution.contradictions:
            yield self._contradiction(row)

    def _contradiction(self, row: Contradiction) -> Finding:
        """Exact figures that cannot all be right: arithmetic, with no error to allow for."""
        places = [
            self.whole.places[name] for name in row.balances if name in self.whole.places
        ] or self.places
        entries = [self.whole.entries[name] for name in row.reports if name in self.whole.entries]
        scope, area = places[0].scope, min(place.area for place in places)
        h100e = scopes.h100e(row.amount, scope)
        sq = significance.in_sq(h100e[0] if h100e else None, self.parameters)
        told = explain.Story(
            compared=self._compared(), sides=tuple(f"{entry.label}: counted exactly." for entry in entries),
            difference=f"{explain.magnitude(row.amount, h100e, sq)}: the exact figures do not add up.",
            surprise=explain.CERTAIN, open=(explain.UNRECORDED, explain.TIMING, explain.IN_TRANSIT, explain.UNITS),
            settle=f"A full list of receipts and dispatches at {explain.listed(place.name for place in places)}.",
            assumptions=self._assumptions(),
        )  # fmt: skip
        return finding(
            check=CODE, area=area, scope=scopes.key(scope), period=PERIOD, period_end=self.books.as_of,
            counterpart=f"exact: {places[0].key}",
            verdict="exact figures differ", headline=f"{places[0].name}: exact figures differ by {explain.chips(row.amount)}",
            gap=row.amount, is_finding=True, gap_h100e=h100e[0] if h100e else None, sq=sq,
            severity=significance.severity(sq), strength="certain", formula=FORMULA, sections=explain.sections(told),
            evidence=(*(piece for entry in entries for piece in entry.evidence), *self._declarations(places)),
        )  # fmt: skip

    def _numbers(self, gamma: float, dof: int) -> dict[str, object]:
        return {
            "gamma": gamma, "dof": dof, "reports": len(self.network.reports), "balances": len(self.network.balances),
            "flows": len(self.network.flows), "component": self.name,
            "unobservable": int((~self.solution.observable).sum()), "at_zero": len(self.final.at_zero),
            "verify_first": [
                {"report": name, "label": self.whole.entries[name].label, "share": share} for name, share in self.worth
            ],
        }  # fmt: skip

    @cached_property
    def worth(self) -> list[tuple[str, float]]:
        """The reports whose verification would lower the variance of this network's estimates most, with the share of it."""
        final = self.final.solution
        rows = zip(final.network.reports, final.report_variances.tolist(), strict=True)
        candidates = sorted(rows, key=lambda pair: (-pair[1], pair[0].id))[:CANDIDATES]
        falls = worth_verifying(final, [row.id for row, _ in candidates])
        whole = float(np.nansum(final.variances))
        ranked = sorted(
            ((name, fall / whole) for name, fall in falls.items() if whole), key=lambda row: (-row[1], row[0])
        )
        return [row for row in ranked[:NAMED_FIRST] if row[1] > 0]

    # --- words ----------------------------------------------------------------------------------------------------------------

    def _subject(self, suspect: Suspect) -> tuple[Scope, str, str]:
        if suspect.kind == "node":
            place = self.whole.places[suspect.id]
            return place.scope, place.area, place.key
        entry = self.whole.entries[suspect.id]
        return entry.scope, entry.area, entry.key

    def _amount(self, suspect: Suspect) -> Quantity | None:
        """What a report says; None for a place."""
        if suspect.kind == "node":
            return None
        entry = self.whole.entries[suspect.id]
        return entry.amount or entry.limit

    def _areas(self) -> str:
        return explain.listed((place.name for place in self.places), limit=4)

    def _compared(self) -> str:
        chips = explain.listed((place.scope.name for place in self.places), limit=4)
        return (
            f"{explain.counted(len(self.network.reports), 'report')} of {chips} coming into, leaving or held by {self._areas()}, "
            "with one another. Somebody declared that the ledger holds every movement of these places."
        )

    def _assumptions(self) -> tuple[str, ...]:
        said = (
            f"{row.slug} declares the whole book ({explain.cited(row.source)})"
            for place in self.places
            for row in place.declared
        )
        return (LABELLED, CLOSED_ONLY, UNSPLIT, *list(dict.fromkeys(said))[:6], *self.whole.notes)

    def _reported(self, balances: Iterable[Balance], but: frozenset[str] = frozenset()) -> tuple[Named, ...]:
        """The largest reports that take part in some balances."""
        flows = {flow for row in balances for flow in row.terms}
        rows = [row for row in self.network.reports if row.id not in but and flows & set(row.terms)]
        rows.sort(key=lambda row: (-row.amount.mu, row.id))
        entries = self.whole.entries
        return tuple(Named(entries[row.id].label, row.amount, entries[row.id].unit) for row in rows[:SHOWN])

    def _beside(self, suspicion: Suspicion) -> tuple[Named, ...]:
        """What else is reported about the places that the alternatives are about."""
        named = frozenset(row.id for row in suspicion.alternatives)
        flows = {flow for row in self.network.reports if row.id in named for flow in row.terms}
        balances = [row for row in self.network.balances if row.id in named or flows & set(row.terms)]
        return self._reported(balances, named)

    def _first_to_verify(self) -> str:
        if not self.worth:
            return ""
        name, part = self.worth[0]
        return (
            f"Of all reports here, the one whose exact verification would tell most is {self.whole.entries[name].label}: "
            f"it would take {explain.share(part)} off the variance of these estimates."
        )

    def _names(self, suspicion: Suspicion) -> dict[str, Named]:
        names = {}
        for row in suspicion.alternatives:
            if row.kind == "node":
                place = self.whole.places[row.id]
                names[row.who] = Named(f"{place.name}, {place.scope.name}, {_when(place.days)}")
            else:
                entry = self.whole.entries[row.id]
                names[row.who] = Named(entry.label, self._amount(row), entry.unit)
        return names

    def _evidence(self, suspicion: Suspicion) -> Iterator[Evidence]:
        places = []
        for row in suspicion.alternatives:
            if row.kind == "node":
                places.append(self.whole.places[row.id])
            else:
                entry = self.whole.entries[row.id]
                yield from entry.evidence
                places += [place for place in self.places if place.area == entry.area][:1]
        yield from self._declarations(places)

    def _declarations(self, places: Iterable[Place]) -> Iterator[Evidence]:
        rows = {row.slug: row for place in places for row in place.declared}
        for slug, row in sorted(rows.items()):
            yield Evidence(
                row.ref, "closed book", f"{slug}: the whole book, {row.valid}; {explain.cited(row.source)}"
            )

    def _weakest(self, suspicion: Suspicion) -> str:
        grades = []
        for row in suspicion.alternatives:
            if row.kind == "node":
                grades += [one.source.grade for one in self.whole.places[row.id].declared]
            elif amount := self._amount(row):
                grades.append(amount.grade)
        return max((grade for grade in grades if grade), default="")

    # --- estimates ------------------------------------------------------------------------------------------------------------

    def _estimates(self) -> Iterator[Estimate]:
        """Every entry of the network, then the flows that are most likely not recorded, in a fixed order."""
        final = self.final.solution
        index = {row.id: number for number, row in enumerate(final.network.reports)}
        flow = {name: number for number, name in enumerate(final.network.flows)}
        mine = {row.id for row in self.network.reports} | set(flow)
        deviations = np.sqrt(final.adjusted_variances)
        spread = np.sqrt(final.variances)
        for name in sorted(mine & self.whole.entries.keys()):
            entry = self.whole.entries[name]
            if name in index and entry.amount:
                value, sd = float(final.adjusted[index[name]]), float(deviations[index[name]])
            else:
                value, sd = _sum(entry.terms, flow, final.estimates, spread)
            yield self._estimate(entry, value, sd, name in index)
        for suspicion in self.search.suspicions:
            first = suspicion.alternatives[0]
            if suspicion.decided and first.kind == "node":
                place = self.whole.places[first.id]
                ends = (UNKNOWN, place.area) if first.size > 0 else (place.area, UNKNOWN)
                yield Estimate(
                    self.name, "unrecorded", *ends, scopes.key(place.scope), "observable", estimate=abs(first.size),
                    sd=abs(first.size) / sqrt(first.statistic), note=f"most likely, {_when(place.days)}",
                )  # fmt: skip

    def _estimate(self, entry: Entry, value: float, sd: float, is_in: bool) -> Estimate:
        told = not np.isnan(value)
        names = {entry.id, *entry.terms} if len(entry.terms) == 1 else {entry.id}
        pinned = bool(names & set(self.final.at_zero))
        status = (
            "left out" if entry.amount and not is_in
            else "pinned" if pinned
            else "measured" if entry.amount else "observable" if told else "unobservable"
        )  # fmt: skip
        notes = [entry.label]
        if status == "left out":
            notes.append("left out as most likely wrong")
        elif entry.amount and not self._is_checked.get(entry.id, True):
            notes.append("nothing checks it")
        if names & set(self.final.forced):
            notes.append("below zero: exact figures leave no other way, so that something came in unrecorded")
        estimate = None if np.isnan(value) else 0.0 if pinned or abs(value) < SPECK else value
        return Estimate(
            component=self.name,
            kind=entry.kind,
            from_node=entry.from_node,
            to_node=entry.to_node,
            scope=scopes.key(entry.scope),
            status=status,
            reported=entry.amount.mu if entry.amount else None,
            reported_sd=entry.amount.s if entry.amount else None,
            estimate=estimate,
            sd=None if estimate is None or np.isnan(sd) else sd,
            note="; ".join(notes),
        )

    @cached_property
    def _is_checked(self) -> dict[str, bool]:
        final = self.final.solution
        rows = zip(final.network.reports, final.is_checked.tolist(), strict=True)
        return {row.id: checked for row, checked in rows}


def _sum(
    terms: Mapping[str, float], index: Mapping[str, int], values: Numbers, spread: Numbers
) -> tuple[float, float]:
    """A weighted sum of estimated flows; its error only where it is one flow (errors of several are not independent)."""
    numbers = [(factor, index[name]) for name, factor in sorted(terms.items())]
    value = sum(factor * float(values[number]) for factor, number in numbers)
    factor, number = numbers[0]
    return value, factor * float(spread[number]) if len(numbers) == 1 else float("nan")


def _when(days: Period) -> str:
    return explain.when(days) if days.start else f"up to {days.last}"


def _short(name: str, limit: int) -> str:
    """A name that fits its column; one that is too long ends in a digest of it."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 13]}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"
