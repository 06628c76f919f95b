"""What flips between two sides of the law as a small picture, drawn in the manner of ``charts``."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.judgement.comparison import Flip
from tracker.judgement.telling import figure, is_known, span, told
from tracker.reports.charts import LinearAxis, _line, _svg, _text, clipped

WIDTH = 860
LABELS, ROW, TOP = 330.0, 56.0, 30.0
VALUE_PX = 196.0
MOST = 12
"""Rows drawn; the rest is in the table."""


def flip_chart(rows: Sequence[Flip], title: str, name: str = "flips", synthetic: bool = False) -> str:
    """One row for each pair of decisions (before -> after): a bar of H100-equivalents, a whisker over its 90 percent interval.

    ``rows`` in the order in which they are to stand; empty where none is given. Lines of which no amount is known have no bar
    and say so. ``name``: prefix of the identifiers inside, one for each picture of a page.
    """
    if not rows:
        return ""
    drawn = rows[:MOST]
    bottom = TOP + ROW * len(drawn)
    axis = LinearAxis([0.0, *(row.h100e.high for row in drawn)], LABELS + 12, WIDTH - VALUE_PX)
    parts = axis.draw(TOP, bottom, "H100-equivalents; bar: best estimate, whisker: 90 % interval")
    if synthetic:
        parts.append(_text(2, 16, "SYNTHETIC records", "synthetic"))
    for index, row in enumerate(drawn):
        parts += _row(row, TOP + ROW * index, axis)
    if len(rows) > MOST:
        parts.append(_text(2, bottom + 34, f"and {len(rows) - MOST} smaller rows in the table", "sub"))
    words = "; ".join(
        f"{row.before} to {row.after}: {told(row, row.h100e)} H100-equivalents in {row.lines:,} lines"
        for row in drawn
    )
    full = f"SYNTHETIC: {title}" if synthetic else title
    return _svg(name, full, words, bottom + 44, parts, WIDTH)


def _row(row: Flip, top: float, axis: LinearAxis) -> list[str]:
    middle, room = top + ROW / 2, LABELS - 30
    texts = [
        _text(2, middle - 4, clipped(row.before, room), "label"),
        _text(2, middle + 12, clipped(f"\u2192 {row.after}", room), "label"),
    ]
    chips = f"{figure(row.chips.best)} chips" if is_known(row, row.chips) else "chips not known"
    lines = f"{row.lines:,} line{'s' * (row.lines != 1)}, {chips}"
    value = figure(row.h100e.best) if is_known(row, row.h100e) else "amount not known"
    spread = span(row.h100e) if is_known(row, row.h100e) else ""
    x, low, high = (axis.at(end) for end in (row.h100e.best, row.h100e.low, row.h100e.high))
    start = axis.at(0.0)
    bar = (
        f'<rect x="{start:.1f}" y="{middle - 9:.1f}" width="{max(1.0, x - start):.1f}" height="18" class="flip"/>'
        if is_known(row, row.h100e)
        else ""
    )
    whisker = (
        [_line(low, middle, high, middle, "whisker")]
        + [_line(end, middle - 5, end, middle + 5, "whisker") for end in (low, high)]
        if high > low
        else []
    )
    return [
        *texts,
        bar,
        *whisker,
        _text(WIDTH - VALUE_PX + 10, middle - 8, value, "value"),
        _text(WIDTH - VALUE_PX + 10, middle + 6, spread or lines, "sub"),
        _text(WIDTH - VALUE_PX + 10, middle + 20, lines, "sub") if spread else "",
    ]
