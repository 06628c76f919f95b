"""Running tables of findings: how a sum came about, line by line, bounded so that no finding grows with the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

MOST_ROWS = 200
Cell = str | float | int | None


def running(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], summed: Collection[str], limit: int = MOST_ROWS
) -> dict[str, Any]:
    """``{"columns", "rows"}`` with at most ``limit`` rows: the earliest beyond it become one row.

    In that row the columns named in ``summed`` are added up, the first column tells how many rows it stands
    for, and every other number is that of the last of them, as a running balance goes on.
    """
    kept = [list(row) for row in rows]
    if len(kept) > limit:
        head, kept = kept[: len(kept) - limit + 1], kept[len(kept) - limit + 1 :]
        kept.insert(0, [_together(columns, head, place, summed) for place in range(len(columns))])
    return {"columns": list(columns), "rows": kept}


def _together(
    columns: Sequence[str], head: Sequence[Sequence[Cell]], place: int, summed: Collection[str]
) -> Cell:
    if place == 0:
        return f"{len(head):,} earlier rows, to {head[-1][0]}"
    if columns[place] in summed:
        return sum(row[place] for row in head if isinstance(row[place], int | float))  # type: ignore[misc]  # numbers only
    last = head[-1][place]
    return "" if isinstance(last, str) else last
