"""What changed between two versions of a record, column by column.

A version is the row as the database wrote it down: column names and JSON values. The columns that describe the version itself
(its number, instant, actor, reason, batch) are no content and are left out.

>>> changes({"id": 1, "name": "Old", "version": 1}, {"id": 1, "name": "New", "version": 2})
(Change(column='name', before='Old', after='New'),)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ABOUT_THE_VERSION = frozenset(
    {"id", "version", "recorded_at", "recorded_by", "recorded_reason", "recorded_batch"}
)


@dataclass(frozen=True, slots=True)
class Change:
    """One column whose value differs; ``before`` or ``after`` is None where the column was blank (or not there yet)."""

    column: str
    before: Any
    after: Any


def content(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say something about the world, in the order of the row."""
    return {column: value for column, value in row.items() if column not in ABOUT_THE_VERSION}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every column that differs, in the order of ``after``; columns that only ``before`` had come last."""
    old, new = content(before), content(after)
    columns = [*new, *(column for column in old if column not in new)]
    return tuple(
        Change(column, old.get(column), new.get(column))
        for column in columns
        if old.get(column) != new.get(column)
    )
