"""What a network's estimate says in plain words: who is most likely wrong, or that it cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from tracker.core.quantity import Quantity
from tracker.reconciliation import explain
from tracker.reconciliation.gross_errors import Suspect, Suspicion, chance_of

LABELLED = (
    "the figures are estimates, the most likely true flows given all reports; they are never used as evidence"
)
CLOSED_ONLY = "what came into a place whose book is declared whole left it again or is there; other places are not held to that"
UNSPLIT = "nothing is divided among flows that the reports do not tell apart"


@dataclass(frozen=True, slots=True)
class Named:
    """How a report or a place is called in a sentence, and what the report says."""

    label: str
    amount: Quantity | None = None
    unit: str = "chips"


@dataclass(frozen=True, slots=True)
class Fit:
    """How well reports agree: the global statistic, its degrees of freedom, and how often chance alone would do it."""

    gamma: float
    dof: int

    @property
    def p(self) -> float:
        p = chance_of(self.gamma, self.dof)
        return 1.0 if p is None else p


def side(suspect: Suspect, named: Named) -> str:
    """What a suspect says and what the others say, as one sentence."""
    size = explain.chips(abs(suspect.size), named.unit)
    if suspect.kind == "node" or named.amount is None:
        way = "into" if suspect.size > 0 else "out of"
        return f"{named.label}: a flow of {size} {way} it that is not recorded would make its book agree."
    others = explain.number(named.amount.mu - suspect.size)
    return f"{reported(named)}; all other reports together say {others}."


def reported(named: Named) -> str:
    """What a report says, with its error and grade."""
    if named.amount is None:
        return named.label
    grade = f", grade {named.amount.grade}" if named.amount.grade else ""
    return f"{named.label}: {explain.figure(named.amount, named.unit)} reported{grade}"


def headline(suspicion: Suspicion, names: Mapping[str, Named]) -> str:
    """One line: who is most likely wrong, or between whom it is undecided."""
    first = suspicion.alternatives[0]
    label = names[first.who].label
    if not suspicion.decided:
        others = explain.listed((names[row.who].label for row in suspicion.alternatives), limit=3)
        return f"Reports disagree, and which is wrong is undecided: {others}"
    if first.kind == "node":
        way = "into" if first.size > 0 else "out of"
        return f"{label}: a flow of about {explain.chips(abs(first.size))} {way} it is most likely unrecorded"
    amount = names[first.who].amount
    told = explain.number(amount.mu) if amount else "a figure"
    return f"{label}: {told} reported, most likely wrong by {explain.chips(abs(first.size), names[first.who].unit)}"


def story(
    compared: str,
    suspicion: Suspicion,
    names: Mapping[str, Named],
    fit: Fit,
    magnitude: str,
    others: tuple[Named, ...] = (),
    assumptions: tuple[str, ...] = (),
) -> explain.Story:
    """The parts of the text. ``fit``: of the reports this round began with; ``magnitude``: the size of the first alternative;
    ``others``: reports about the same places."""
    first = suspicion.alternatives[0]
    label = names[first.who].label
    sd = abs(first.size) / sqrt(first.statistic)
    error = f" (standard error {explain.chips(sd, names[first.who].unit)})"
    if not suspicion.decided:
        difference = (
            f"{magnitude}{error}. {len(suspicion.alternatives)} explanations are about equally likely, none of them ten times "
            "likelier than another, so it stays undecided which one holds."
        )
    elif first.kind == "node":
        difference = (
            f"{magnitude}{error}. The most likely explanation is a flow at {label} that is not recorded here."
        )
    else:
        more = "more" if first.size > 0 else "less"
        difference = f"{magnitude} {more} than the others say{error}. "
        difference += "The report is most likely wrong, or counts something else."
    return explain.Story(
        compared=compared,
        sides=(
            *(side(row, names[row.who]) for row in suspicion.alternatives),
            *(f"Beside it, {reported(other)}." for other in others),
        ),
        difference=difference,
        surprise=_surprise(fit),
        open=(explain.UNRECORDED, explain.TIMING, explain.IN_TRANSIT, explain.ROUNDING, explain.UNITS),
        settle=_settle(suspicion, names),
        assumptions=(LABELLED, CLOSED_ONLY, UNSPLIT, *assumptions),
    )


def _surprise(fit: Fit) -> str:
    return (
        f"If every report were right within its stated error, reports would disagree this much {explain.how_often(fit.p)} such "
        f"comparisons ({disagreement(fit.gamma, fit.dof)})."
    )


def disagreement(gamma: float, dof: int) -> str:
    """The global statistic in words: where all is right it is about as large as the number of independent checks."""
    return f"gamma = {explain.number(gamma)} on {explain.counted(dof, 'independent check')}"


def _settle(suspicion: Suspicion, names: Mapping[str, Named]) -> str:
    rows = [names[row.who].label for row in suspicion.alternatives if row.kind == "report"]
    if rows:
        return (
            f"What stands behind this report: packing lists, or a count with serial numbers. It is {rows[0]}."
        )
    places = explain.listed(names[row.who].label for row in suspicion.alternatives)
    return f"A full list of receipts and dispatches at {places}."
