"""Figures as worked cases write them, read into quantities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from tracker.claims.combine import quantity
from tracker.core.errors import BadInput
from tracker.core.period import Period
from tracker.core.quantity import NotComparable, Quantity, Reported
from tracker.reconciliation.books import Parameters

_PER_UNIT = (
    "chips_per_server", "chips_per_system", "chips_per_rack", "chips_per_unit", "chips_per_card", "per_unit",
)  # fmt: skip
_ERRORS = {"rr", "rs", "sr", "ss", "rel_sd", "sd"}


def case_quantity(row: Mapping[str, Any], parameters: Parameters) -> Quantity:
    """Two forms: a report (``best``, ``low``, ``high``, ``at_least``, ``at_most``, ``grade``, ``unit``,
    ``exact``...), or a measurement: ``value`` with relative (``rr``, ``rs``) or absolute (``sr``, ``ss``)
    random and systematic sd; ``rel_sd`` and ``sd`` are random ones. A value that has only a grade is a report. ``q`` is an
    exact count.

    Raises:
        BadInput: neither form, or a unit that cannot be read as chips.
    """
    key = str(row.get("key", ""))
    if "value" in row and "grade" in row and not _ERRORS & set(row):
        row = {**row, "best": row["value"]}
    elif "value" in row or "q" in row:
        value = float(row["value"] if "value" in row else row["q"])
        relative = float(row.get("rr", row.get("rel_sd", 0)))
        ss = float(row.get("ss", row.get("rs", 0) * value))
        return Quantity(value, ss=ss, sr=float(row.get("sr", row.get("sd", relative * value))), key=key)
    figures = {name: float(row[name]) for name in ("low", "best", "high") if row.get(name) is not None}
    bound = row.get("bound", "")
    for word, name in (("lower", "at_least"), ("upper", "at_most")):  # as a quantity's own bound is called
        if bound == word and row.get("best") is not None and row.get(name) is None:
            row, bound = {**row, name: row["best"]}, ""
            figures.pop("best")
    for name, kind, side in (("at_least", "floor", "low"), ("at_most", "ceiling", "high")):
        if row.get(name) is not None:
            figures, bound = {side: float(row[name])}, kind
    exact = bool(row.get("exact", False))
    read = quantity(
        Reported(
            unit=row.get("unit", "chips"), grade=row.get("grade", "A" if exact else "C"), bound=bound, exact=exact,
            per_unit=next((float(row[name]) for name in _PER_UNIT if row.get(name) is not None), None), **figures,
        ),
        parameters, key,
    )  # fmt: skip
    if isinstance(read, NotComparable):
        raise BadInput(f"{dict(row)} {read.reason}")
    return read


def case_date(value: Any) -> date:
    """A YAML date or its text.

    Raises:
        BadInput: anything else.
    """
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise BadInput(f"{value!r} is not a date like 2026-01-31") from None


def case_instant(value: Any, *, ends: bool = False) -> datetime:
    """A YAML time or date, or its text. A day stands for its beginning, or where ``ends`` for its last moment; a time without a
    zone is UTC.

    Raises:
        BadInput: anything else.
    """
    if isinstance(value, str) and "T" in value.upper().replace(" ", "T"):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadInput(f"{value!r} is not a time like 2026-01-31T12:00:00Z") from None
    if not isinstance(value, datetime):
        return datetime.combine(case_date(value), time.max if ends else time.min, UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def case_period(first: Any, last: Any) -> Period:
    """From ``first`` to ``last``, both included, as papers write it; 9999-12-31 and blanks are open ends."""
    start = case_date(first) if first else None
    end = case_date(last) if last else None
    return Period.inclusive(start, None if end is None or end == date.max else end)
