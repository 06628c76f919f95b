"""The life of a discrepancy over the runs that look for it: its state, its age, the day by which it should be resolved.

One thing that does not add up keeps one identity (``Finding.key``) whatever run sees it. A run moves its state on; people resolve
it. What is resolved opens again by itself when a record it rests on, or its source, changed, and only then: neither a record
elsewhere nor the number of other tests in a run (docs/method.md, section 4) can open it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta

NEW, PERSISTING, CHANGED, BELOW = "new", "persisting", "changed", "below threshold"
BACK, RESOLVED, REOPENED = "back", "resolved", "reopened"
OVER = (RESOLVED, BELOW)
"""States in which nobody need do anything."""

RecordVersionKey = tuple[str, int, int]
"""Model name, id and version of a record that was read."""

_DAY, _MONTH = re.compile(r"(\d{4})-(\d{2})-(\d{2})"), re.compile(r"(\d{4})-(\d{2})")
_QUARTER, _YEAR = re.compile(r"(\d{4})Q([1-4])"), re.compile(r"(\d{4})")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run saw of a discrepancy. ``evidence``: digest over the record versions that it rests on. ``corrected``: the source
    behind one of them was corrected after the discrepancy had been resolved."""

    evidence: str
    verdict: str
    gap: float | None
    corrected: bool = field(default=False, compare=False)


def next_state(state: str, before: Seen | None, now: Seen | None, resolved_on: str = "") -> str:
    """The state after a run that saw ``now`` (None: nothing above the threshold), the one before having seen ``before``.

    ``resolved_on``: digest of the evidence on which it was resolved, if it was.

    >>> seen = Seen("a", "not accounted for", 400.0)
    >>> next_state(NEW, seen, seen), next_state(PERSISTING, seen, None), next_state(BELOW, seen, seen)
    ('persisting', 'below threshold', 'back')
    >>> next_state(RESOLVED, seen, seen, "a"), next_state(RESOLVED, seen, Seen("b", "not accounted for", 400.0), "a")
    ('resolved', 'reopened')
    """
    if state == RESOLVED:
        stands = now is None or (now.evidence == resolved_on and not now.corrected)
        return RESOLVED if stands else REOPENED
    if now is None:
        return BELOW
    if state == BELOW:
        return BACK
    return PERSISTING if now == before else CHANGED


def last_day(period: str) -> date | None:
    """The last day of the period that a finding speaks of; None where it has no end or names no day.

    >>> [str(last_day(text)) for text in ("2026-03-31", "2026-01-01 to 2026-03-31", "2026Q1", "2024-02", "2026")]
    ['2026-03-31', '2026-03-31', '2026-03-31', '2024-02-29', '2026-12-31']
    >>> [last_day(text) for text in ("from 2026-01-01", "2026-01-01 to …", "undated", "whole record")]
    [None, None, None, None]
    """
    text = period.rsplit(" to ", 1)[-1]
    try:
        if found := _DAY.fullmatch(text):
            return date(*map(int, found.groups()))
        if found := _MONTH.fullmatch(text):
            return _month_end(int(found[1]), int(found[2]))
        if found := _QUARTER.fullmatch(text):
            return _month_end(int(found[1]), 3 * int(found[2]))
        if found := _YEAR.fullmatch(text):
            return date(int(found[1]), 12, 31)
    except ValueError:  # a day or month that no calendar has
        return None
    return None


def _month_end(year: int, month: int) -> date:
    if not 1 <= month <= 12:
        raise ValueError(f"no month {month}")
    return date(year, month, calendar.monthrange(year, month)[1])


def due_on(period_end: date | None, opened_on: date, timeliness_days: int) -> date:
    """The day by which a discrepancy should be resolved: so many days after the end of its period, or after it was opened where
    its period has no end."""
    return (period_end or opened_on) + timedelta(days=timeliness_days)


def is_overdue(due: date | None, state: str, on: date) -> bool:
    """Whether a discrepancy is still open on a day after the one by which it should have been resolved."""
    return due is not None and due < on and state not in OVER


def record_changes(before: Collection[RecordVersionKey], after: Collection[RecordVersionKey]) -> list[str]:
    """Which records a finding rests on differ between two runs, in words, sorted.

    >>> record_changes([("claim", 5, 1), ("shipment", 7, 1)], [("claim", 5, 2), ("shipment", 9, 1)])
    ['claim 5: version 1 is now 2', 'shipment 7: no longer read', 'shipment 9: new']
    """
    old = {(model, pk): version for model, pk, version in before}
    new = {(model, pk): version for model, pk, version in after}
    words = []
    for model, pk in sorted(old.keys() | new.keys()):
        was, now = old.get((model, pk)), new.get((model, pk))
        if was != now:
            change = (
                "new" if was is None else "no longer read" if now is None else f"version {was} is now {now}"
            )
            words.append(f"{model} {pk}: {change}")
    return words
