"""Making a finding: every stored number cut to nine significant digits in one place, so that no check forgets it."""

from __future__ import annotations

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


def finding(**fields: Any) -> Finding:
    """A :class:`Finding` whose numbers are cut as they are stored and whose headline fits on a line."""
    made = Finding(**fields)
    numbers: dict[str, Any] = {name: stored(getattr(made, name)) for name in _STATISTICS}
    return replace(
        made,
        headline=headline(made.headline),
        numbers={key: _cut(value) for key, value in made.numbers.items()},
        evidence=tuple(_evidence(row) for row in made.evidence),
        **numbers,
    )


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
