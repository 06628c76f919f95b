"""Making a finding: every stored number cut to nine significant digits in one place, so that no check forgets it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
    # what has no contribution of its own (a claim, a rule, a specification) is what the finding hangs on
    order = sorted(
        range(len(made.evidence)),
        key=lambda i: (
            made.evidence[i].contribution is not None and i > 0,
            -abs(made.evidence[i].contribution or 0.0),
            i,
        ),
    )
    kept = [made.evidence[i] for i in sorted(order[:EVIDENCE_BOUND])]
    rest = [made.evidence[i] for i in order[EVIDENCE_BOUND:]]
    told = {
        "evidence_left_out": len(rest),
        "evidence_left_out_contribution": math.fsum(row.contribution or 0.0 for row in rest),
        "evidence_left_out_variance_share": math.fsum(row.variance_share or 0.0 for row in rest),
    }
    return replace(made, evidence=tuple(kept), numbers={**made.numbers, **told})


def _evidence(row: Evidence) -> Evidence:
    return replace(row, contribution=stored(row.contribution), variance_share=stored(row.variance_share))


def _cut(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return stored(value)
    if isinstance(value, Mapping):
        return {key: _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value]
