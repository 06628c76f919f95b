"""Sparse Gaussian elimination: which equations remain when some columns are taken out, and which of them repeat one another.

Rows are mappings of column to coefficient. Networks have coefficients of one and minus one and few entries to a row, so taking
the shortest row first keeps rows short: the cost is that of joining sets, the smaller into the larger. Unlike a test of small
pivots in floating point this tells a dependent row from one that is only poorly known.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

TOLERANCE = 1e-9
"""A coefficient this small beside those it was made from is zero."""

Row = dict[int, float]


@dataclass(frozen=True, slots=True)
class Eliminated:
    """``pivots``: column -> the row that was solved for it. ``rest``: rows left without any column to be taken out, in order."""

    pivots: dict[int, int]
    rest: tuple[int, ...]


def eliminate(rows: list[Row], columns: Iterable[int], *, fully: bool = False) -> Eliminated:
    """Take ``columns`` out of as many rows as can be, changing ``rows`` in place.

    Afterwards no other row (``fully``), or no row that was still to come, holds a pivot's column. Columns to be taken out for
    which no row was left stand in rows of pivots only: nothing tells them from the others of their row. Ties go by the number of
    the row, then of the column.

    >>> rows = [{0: 1.0, 7: 1.0}, {0: 1.0, 1: 1.0, 8: 1.0}, {1: 1.0, 9: 1.0}]
    >>> eliminate(rows, (0, 1)).rest, rows[2]
    ((2,), {7: 1.0, 8: -1.0, 9: 1.0})
    """
    return _Tableau(rows, frozenset(columns), fully).run()


class _Tableau:
    def __init__(self, rows: list[Row], columns: frozenset[int], fully: bool) -> None:
        self.rows, self.columns, self.fully = rows, columns, fully
        self.holders: dict[int, set[int]] = defaultdict(set)
        self.counts = [0] * len(rows)
        for index, row in enumerate(rows):
            for column in row:
                if column in columns:
                    self.holders[column].add(index)
                    self.counts[index] += 1
        self.done: set[int] = set()

    def run(self) -> Eliminated:
        queue = [(count, index) for index, count in enumerate(self.counts) if count]
        heapq.heapify(queue)
        pivots: dict[int, int] = {}
        while queue:
            count, index = heapq.heappop(queue)
            if index in self.done or count != self.counts[index]:  # an older entry: the row has changed since
                continue
            column = self._pivot(self.rows[index])
            self.done.add(index)
            pivots[column] = index
            for other in sorted(self.holders[column] - {index}):
                if self.fully or other not in self.done:
                    self._subtract(other, index, column)
                if other not in self.done and self.counts[other]:
                    heapq.heappush(queue, (self.counts[other], other))
        return Eliminated(pivots, tuple(index for index in range(len(self.rows)) if index not in self.done))

    def _pivot(self, row: Row) -> int:
        """Of the large coefficients the one whose column stands in the fewest rows."""
        out = [(column, abs(value)) for column, value in row.items() if column in self.columns]
        least = 0.1 * max(size for _, size in out)
        return min((len(self.holders[column]), column) for column, size in out if size >= least)[1]

    def _subtract(self, other: int, index: int, column: int) -> None:
        """Rid row ``other`` of ``column`` by a multiple of row ``index``."""
        target, source = self.rows[other], self.rows[index]
        factor = target[column] / source[column]
        for name, value in source.items():
            taken, held = factor * value, target.get(name)
            left = 0.0 if name == column else (held or 0.0) - taken
            if abs(left) <= TOLERANCE * abs(taken):
                if held is not None:
                    del target[name]
                    self._counted(other, name, -1)
            else:
                target[name] = left
                if held is None:
                    self._counted(other, name, 1)

    def _counted(self, row: int, column: int, change: int) -> None:
        if column not in self.columns:
            return
        self.counts[row] += change
        if change > 0:
            self.holders[column].add(row)
        else:
            self.holders[column].discard(row)
