"""The life of a discrepancy over the runs that look for it: its state, its age, the day by which it should be resolved.

One thing that does not add up keeps one identity (``Finding.key``) whatever run sees it. A run moves its state on; people resolve
it. What is resolved opens again by itself when a record it rests on was entered, corrected or withdrawn, or its source corrected,
and only then: neither a record elsewhere nor a parameter, another day or the number of other tests in a run can open it
(docs/method.md, section 4).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
    """What a run saw of a discrepancy. ``evidence``: digest over the record versions that it names."""

    evidence: str
    verdict: str
    gap: float | None


def next_state(state: str, before: Seen | None, now: Seen | None, *, written: bool = False) -> str:
    """The state after a run that saw ``now`` (None: nothing above the threshold), the one before having seen ``before``.

    ``written``: whether a record that it rests on, then or now, was entered, corrected or withdrawn in between
    (:func:`rests_on_another_ledger`).

    >>> seen = Seen("a", "not accounted for", 400.0)
    >>> next_state(NEW, seen, seen), next_state(PERSISTING, seen, None), next_state(BELOW, seen, seen)
    ('persisting', 'below threshold', 'back')
    >>> next_state(RESOLVED, seen, Seen("b", "not accounted for", 1.0)), next_state(RESOLVED, seen, seen, written=True)
    ('resolved', 'reopened')
    """
    if state == RESOLVED:
        return REOPENED if now is not None and written else RESOLVED
    if now is None:
        return BELOW
    if state == BELOW:
        return BACK
    return PERSISTING if now == before else CHANGED


@dataclass(frozen=True, slots=True)
class Basis:
    """What a finding was made of. ``figures``: both sides, their difference and its error. ``by``: parameters, rules and code
    that the run had; ``day``: for which its books were drawn up."""

    figures: tuple[float | None, ...]
    by: tuple[str, ...]
    day: date


def rests_on_another_ledger(before: Basis, now: Basis, *, moves_with_the_day: bool) -> bool:
    """Whether figures differ although only a record can have moved them: one behind a sum that names its largest lines.

    A finding follows from records, parameters, rules, code and, of some checks (``moves_with_the_day``), the day. Where one of
    the others changed too, figures tell nothing of records.
    """
    same_day = before.day == now.day or not moves_with_the_day
    return before.figures != now.figures and before.by == now.by and same_day


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


Renames = Mapping[str, Mapping[str, str]]
"""Kind of what is named (site, org, chip, family, claim) -> old name -> new name."""
_BY_KIND = {"group": "org"}  # a group is called by its ultimate parent
_NAME = re.compile(r"[\w-]+")


def renamed(key: str, renames: Renames) -> str:
    """The key of an area or scope (``site:old``) by its new name.

    >>> renamed("group:a", {"org": {"a": "b"}}), renamed("site:a", {"org": {"a": "b"}})
    ('group:b', 'site:a')
    """
    kind, _, name = key.partition(":")
    return f"{kind}:{renames.get(_BY_KIND.get(kind, kind), {}).get(name, name)}" if name else key


def renamed_in(words: str, renames: Renames) -> str:
    """Words that call things by their names, by the new ones; all at once, so that two may exchange their names.

    >>> renamed_in("a > b-c | a-b", {"org": {"a": "b"}, "claim": {"b-c": "a"}})
    'b > a | a-b'
    """
    names = {old: new for by_name in renames.values() for old, new in by_name.items()}
    return _NAME.sub(lambda found: names.get(found[0], found[0]), words)


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
