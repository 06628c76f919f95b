"""Books of a run added up over kinds of chips, from its cells: of a family with its members, or of all in H100-equivalents."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import numpy as np

from tracker.balances.models import BalanceCell, BalanceScope
from tracker.balances.reading import first_day, month_number
from tracker.balances.sums import CELL_FIELDS, Chain, Month, added_up
from tracker.reconciliation import scopes
from tracker.reconciliation.books import Scope
from tracker.reconciliation.models import ReconciliationRun
from tracker.reconciliation.querysets import Ledger, ledger_of

H100E = "h100e"
"""Name of the sum of all chips in H100-equivalents; that of a family is the key of its scope."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of chips in a sum, with the least and most that a chip of it counts; None: it cannot be told, so that it is left
    out."""

    key: str
    name: str
    worth: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class DatedMonth:
    """A month of a sum, by its first day."""

    day: date
    sums: Month


@dataclass(frozen=True, slots=True)
class BookSum:
    """The months of a sum with what it was added up from. ``unit``: chips or H100-equivalents."""

    scope: str
    name: str
    unit: str
    months: tuple[DatedMonth, ...]
    parts: tuple[Part, ...]

    @property
    def is_range(self) -> bool:
        """Whether the low reading of some book is not the high one."""
        return any(month.sums.book.low != month.sums.book.high for month in self.months)

    @property
    def left_out(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.worth is None)

    @property
    def last(self) -> DatedMonth:
        return self.months[-1]


def book_sum(run: ReconciliationRun, area: str, scope: str) -> BookSum | None:
    """The book of an area added up to ``h100e`` or to a family; None where the run keeps no book of any part of it."""
    ledger = ledger_of(run)
    of = _family(ledger, scope)
    if of is None and scope != H100E:
        return None
    kinds = _kinds(run, area)
    parts = [part for key, numbered in sorted(kinds.items()) if (part := _part(ledger, key, numbered, of))]
    cells = _cells(run, area, [kinds[part.key] for part in parts if part.worth])
    chains = [Chain(cells[kinds[part.key].pk], *part.worth) for part in parts if part.worth]
    if not (months := added_up(chains)):
        return None
    name, unit = (of.name, "chips") if of else ("All chips", "H100-equivalents")
    dated = tuple(DatedMonth(first_day(row.month), row) for row in months)
    return BookSum(scope, name, unit, dated, tuple(parts))


def sums_of(run: ReconciliationRun, area: str) -> list[str]:
    """The sums that say something of an area which its books do not: H100-equivalents, and families that hold several of its
    kinds of chips."""
    ledger, kinds = ledger_of(run), _kinds(run, area)
    families = []
    for (kind, _), scope in sorted(ledger.scopes.items(), key=lambda one: scopes.key(one[1])):
        if kind == BalanceScope.Kind.FAMILY:
            parts = (_part(ledger, key, row, scope) for key, row in kinds.items())
            if sum(part is not None and part.worth != (0.0, 1.0) for part in parts) > 1:
                families.append(scopes.key(scope))
    return [H100E, *families] if kinds else []


def _family(ledger: Ledger, key: str) -> Scope | None:
    families = (scope for (kind, _), scope in ledger.scopes.items() if kind == BalanceScope.Kind.FAMILY)
    return next((scope for scope in families if scopes.key(scope) == key), None)


def _kinds(run: ReconciliationRun, area: str) -> dict[str, BalanceScope]:
    """Scopes of which the run keeps a book of the area, by key."""
    cells = BalanceCell.objects.of_run(run).filter(area__key=area)
    return {
        row.key: row
        for row in BalanceScope.objects.filter(pk__in=cells.order_by().values("scope_id").distinct())
    }


def _part(ledger: Ledger, key: str, row: BalanceScope, of: Scope | None) -> Part | None:
    """What one kind counts in the sum of a family, or in H100-equivalents; None where no chip of it belongs to the family."""
    mine = ledger.scopes.get((row.kind, row.object_id))
    if of is None:
        worth = scopes.worth(mine, mine, ledger.chips) if mine else None
        return Part(key, mine.name if mine else key, worth)
    if mine is None or not scopes.may_overlap(mine, of, ledger.chips):
        return None
    return Part(key, mine.name, (1.0, 1.0) if scopes.is_within(mine, of) else (0.0, 1.0))


def _cells(run: ReconciliationRun, area: str, wanted: list[BalanceScope]) -> dict[int, dict[str, np.ndarray]]:
    """Cells by scope as columns, in order of month."""
    rows: dict[int, list[tuple]] = defaultdict(list)
    cells = BalanceCell.objects.of_run(run).filter(area__key=area, scope__in=wanted)
    for scope, month, *rest in cells.order_by("scope_id", "month").values_list("scope_id", *CELL_FIELDS):
        rows[scope].append((month_number(month), *rest))
    return {
        scope: {
            name: np.array(column, float if name not in ("month", "lines", "at_least") else int)
            for name, column in zip(CELL_FIELDS, zip(*chain, strict=True), strict=True)
        }
        for scope, chain in rows.items()
    }
