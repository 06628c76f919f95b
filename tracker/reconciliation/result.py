"""Making a finding: every stored number cut to nine significant digits in one place, so that no check forgets it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tracker.core.quantity import stored
from tracker.reconciliation.books import Evidence, Finding
from tracker.reconciliation.explain import headline

MOST_EVIDENCE = 50
"""Movements named by a finding that may rest on any number of them, the largest first."""

_STATISTICS = (
    "expected",
    "reported",
    "gap",
    "sigma",
    "statistic",
    "p",
    "threshold",
    "gap_h100e",
    "sq",
    "mdg",
)


EVIDENCE_BOUND = 400
"""Records that a finding names at most; a book of a million lines is shown by its months, and by the largest of its lines."""


def finding(**fields: Any) -> Finding:
    """A :class:`Finding` whose numbers are cut as they are stored, whose headline fits on a line, and whose evidence is bounded.

    Of more than :data:`EVIDENCE_BOUND` records the largest contributions are named, in their order; ``numbers`` tells how many
    are left out, and with how much of the variance.
    """
    made = _bounded(Finding(**fields))
    numbers: dict[str, Any] = {name: stored(getattr(made, name)) for name in _STATISTICS}
    return replace(
        made,
        headline=headline(made.headline),
        numbers={key: _cut(value) for key, value in made.numbers.items()},
        evidence=tuple(_evidence(row) for row in made.evidence),
        **numbers,
    )


def _bounded(made: Finding) -> Finding:
    if len(made.evidence) <= EVIDENCE_BOUND:
        return made
    contributions = np.array([row.contribution for row in made.evidence], float)  # None is NaN
    kept, rest = most_telling(contributions)
    shares = np.array([row.variance_share or 0.0 for row in made.evidence])
    told = left_out(np.nan_to_num(contributions[rest]), shares[rest])
    return replace(made, evidence=tuple(made.evidence[i] for i in kept), numbers={**made.numbers, **told})


def most_telling(contributions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of many records the places of those that a finding names, in their order, and of those it leaves out.

    Named are the first, those without a contribution of their own (NaN: a claim, a rule, a specification), on which a finding
    hangs, and the largest of the others.
    """
    places = np.arange(len(contributions))
    hangs = np.isnan(contributions) | (places == 0)
    order = np.lexsort((places, -np.abs(np.where(np.isnan(contributions), 0.0, contributions)), ~hangs))
    return np.sort(order[:EVIDENCE_BOUND]), order[EVIDENCE_BOUND:]


def left_out(contributions: np.ndarray, variance_shares: np.ndarray) -> dict[str, Any]:
    """What a finding tells of the records that it does not name; nothing where it names all."""
    if not len(contributions):
        return {}
    return {
        "evidence_left_out": len(contributions),
        "evidence_left_out_contribution": math.fsum(contributions.tolist()),
        "evidence_left_out_variance_share": math.fsum(variance_shares.tolist()),
    }


def _evidence(row: Evidence) -> Evidence:
    return replace(
        row, contribution=stored(row.contribution), variance_share=stored(row.variance_share),
        own_share=stored(row.own_share),
    )  # fmt: skip


def _cut(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return stored(value)
    if isinstance(value, Mapping):
        return {key: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value]
