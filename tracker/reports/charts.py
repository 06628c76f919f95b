"""Charts as SVG text: plain values in, one ``<svg>`` element out, with title and description for those who
cannot see it.

Colours are class names (the page gives them values for light, dark and print); every text is escaped; no
script, no style attribute, nothing fetched. Each function returns an empty string where there is nothing to
draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from tracker.reports.tables import SEVERITIES, number

WIDTH = 860
CHAR_PX = 6.3  # mean width of a character at 12 px in the system fonts the page asks for
LABEL_PX = 290


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the chart of reported against expected. ``half_width``: half of the 90 % interval of the
    difference."""

    label: str
    detail: str
    expected: float
    reported: float
    half_width: float
    severity: str
    href: str


@dataclass(frozen=True, slots=True)
class Interval:
    """One claim of a forest plot: low and high as written, best where there is one, ``bound`` floor, ceiling
    or none."""

    label: str
    detail: str
    low: float | None
    best: float | None
    high: float | None
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Month:
    """Chips and record lines of a calendar month."""

    month: date
    chips: float
    lines: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A numbered date on a time axis."""

    day: date
    number: int
    title: str


def clipped(text: str, pixels: float) -> str:
    """Text cut to fit so many pixels, with an ellipsis where it was cut."""
    room = int(pixels / CHAR_PX)
    return text if len(text) <= room else f"{text[: max(1, room - 1)].rstrip()}…"


def _text(x: float, y: float, content: str, cls: str = "", anchor: str = "start") -> str:
    attributes = f' class="{cls}"' if cls else ""
    end = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}{end}>{escape(content)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, cls: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def _svg(
    name: str, title: str, description: str, height: float, parts: Sequence[str], width: int = WIDTH
) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" class="chart" role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def short(value: float) -> str:
    """A tick label: ``500``, ``20k``, ``1.5M``.

    >>> short(500), short(20000), short(1500000)
    ('500', '20k', '1.5M')
    """
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            divisor = 1e3 if letter == "k" else size
            return f"{value / divisor:.3g}{letter}"
    return number(value)


class LogAxis:
    """A logarithmic axis that also has a place for zero (and below), left of a break, when some value asks
    for it."""

    ZERO_PX = 44.0

    def __init__(self, values: Sequence[float], x0: float, x1: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.has_zero = any(value <= 0 for value in values)
        self.low = math.floor(math.log10(min(positive)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(positive))))
        self.zero_x = x0 + 6
        self.x0, self.x1 = (x0 + self.ZERO_PX if self.has_zero else x0), x1

    def at(self, value: float) -> float:
        if value <= 0:
            return self.zero_x if self.has_zero else self.x0
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.x0 + min(1.0, max(0.0, share)) * (self.x1 - self.x0)

    def ticks(self) -> list[float]:
        step = max(1, math.ceil((self.high - self.low) / 8))
        return [10.0**power for power in range(self.low, self.high + 1, step)]

    def draw(self, top: float, bottom: float, caption: str) -> list[str]:
        parts = [_line(self.at(tick), top, self.at(tick), bottom, "grid") for tick in self.ticks()]
        parts += [_text(self.at(tick), bottom + 16, short(tick), "tick", "middle") for tick in self.ticks()]
        if self.has_zero:
            parts.append(_line(self.zero_x, top, self.zero_x, bottom, "grid"))
            parts.append(_text(self.zero_x, bottom + 16, "0", "tick", "middle"))
            middle = (self.zero_x + self.x0) / 2
            parts += [
                _line(middle + dx - 3, bottom + 5, middle + dx + 3, bottom - 5, "axis") for dx in (-3, 3)
            ]
        parts.append(_text((self.zero_x + self.x1) / 2, bottom + 34, caption, "tick", "middle"))
        return parts


class LinearAxis:
    """A linear axis from zero or near the smallest value, with round ticks."""

    def __init__(self, values: Sequence[float], x0: float, x1: float) -> None:
        low, high = min(values), max(values)
        low = 0.0 if low >= 0 and low < 0.7 * high else low
        span = (high - low) or abs(high) or 1.0
        raw = span / 5
        base = 10 ** math.floor(math.log10(raw))
        self.step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= raw)
        self.low, self.high = math.floor(low / self.step) * self.step, math.ceil(high / self.step) * self.step
        if self.high == self.low:
            self.high += self.step
        self.x0, self.x1 = x0, x1

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.x0 + min(1.0, max(0.0, share)) * (self.x1 - self.x0)

    def ticks(self) -> list[float]:
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]

    def draw(self, top: float, bottom: float, caption: str) -> list[str]:
        parts = [_line(self.at(tick), top, self.at(tick), bottom, "grid") for tick in self.ticks()]
        parts += [_text(self.at(tick), bottom + 16, short(tick), "tick", "middle") for tick in self.ticks()]
        parts.append(_text((self.x0 + self.x1) / 2, bottom + 34, caption, "tick", "middle"))
        return parts


def reported_against_expected(pairs: Sequence[Pair], unit: str) -> str:
    """Two points a line, what is reported and what the other side explains, on a logarithmic axis that has a
    zero.

    The bar around the reported point is the 90 % interval of the difference; the link leads to the
    discrepancy's card.
    """
    if not pairs:
        return ""
    row, top = 34.0, 34.0
    bottom = top + row * len(pairs)
    values = [
        value for pair in pairs for value in (pair.expected, pair.reported, pair.reported + pair.half_width)
    ]
    axis = LogAxis(values, LABEL_PX + 12, WIDTH - 158)
    parts = [
        f'<circle cx="{LABEL_PX + 18}" cy="12" r="5.5" class="expected"/>',
        _text(LABEL_PX + 29, 16, "the other side explains"),
        f'<path d="{_diamond(LABEL_PX + 190, 12, 6.5)}" class="reported"/>',
        _text(LABEL_PX + 202, 16, "reported, with 90 % interval of the difference"),
        *axis.draw(top, bottom, f"{unit} (logarithmic)"),
    ]
    for index, pair in enumerate(pairs):
        y = top + row * (index + 0.5)
        parts.append(_pair(pair, y, axis))
    description = "; ".join(
        f"{pair.label}: {number(pair.expected)} against {number(pair.reported)} {unit}" for pair in pairs
    )
    return _svg(
        "chart-pairs", "Reported against what the other side explains", description, bottom + 44, parts
    )


def _diamond(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y:.1f}L{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}Z"


def _pair(pair: Pair, y: float, axis: LogAxis) -> str:
    x_expected, x_reported = axis.at(pair.expected), axis.at(pair.reported)
    left, right = axis.at(pair.reported - pair.half_width), axis.at(pair.reported + pair.half_width)
    whisker = ""
    if pair.half_width > 0:
        whisker = _line(left, y, right, y, "whisker") + "".join(
            _line(x, y - 5, x, y + 5, "whisker") for x in (left, right)
        )
    return (
        f'<a href="{escape(pair.href)}"><title>{escape(pair.label)}: {escape(pair.detail)}</title>'
        f'<rect x="2" y="{y - 11:.1f}" width="5" height="22" class="sev-{escape(pair.severity)}"/>'
        + _text(13, y - 2, clipped(pair.label, LABEL_PX - 20), "label")
        + _text(13, y + 12, clipped(pair.detail, (LABEL_PX - 20) * 1.1), "sub")
        + _line(x_expected, y, x_reported, y, "link")
        + whisker
        + f'<circle cx="{x_expected:.1f}" cy="{y:.1f}" r="5.5" class="expected"/>'
        + f'<path d="{_diamond(x_reported, y, 6.5)}" class="reported"/>'
        + _text(WIDTH - 4, y + 4, f"{short(pair.expected)} → {short(pair.reported)}", "value", "end")
        + "</a>"
    )


def forest(name: str, title: str, rows: Sequence[Interval], unit: str) -> str:
    """Claims of one quantity below each other: a bar from low to high, a diamond at best, an arrow for a
    bound."""
    ends = [value for row in rows for value in (row.low, row.best, row.high) if value is not None]
    if not ends:
        return ""
    x0, x1 = LABEL_PX + 12, WIDTH - 158
    positive = [value for value in ends if value > 0]
    spread = max(positive) / min(positive) if positive else 1.0
    axis: LogAxis | LinearAxis = LogAxis(ends, x0, x1) if spread > 20 else LinearAxis(ends, x0, x1)
    step, top = 34.0, 12.0
    bottom = top + step * len(rows)
    parts = axis.draw(top, bottom, f"{unit}{' (logarithmic)' if isinstance(axis, LogAxis) else ''}")
    for index, row in enumerate(rows):
        parts.append(_interval(row, top + step * (index + 0.5), axis, x0, x1))
    words = "; ".join(f"{row.label}: {_interval_words(row)}" for row in rows)
    return _svg(name, title, f"{words} ({unit})", bottom + 44, parts)


def _interval_words(row: Interval) -> str:
    if row.bound == "floor":
        return f"≥ {short(row.low if row.low is not None else row.best or 0)}"
    if row.bound == "ceiling":
        return f"≤ {short(row.high if row.high is not None else row.best or 0)}"
    known = [value for value in (row.low, row.best, row.high) if value is not None]
    if not known:
        return "no number"
    return short(known[0]) if known[0] == known[-1] else f"{short(known[0])} – {short(known[-1])}"


def _interval(row: Interval, y: float, axis: LogAxis | LinearAxis, x0: float, x1: float) -> str:
    parts = [
        f"<g><title>{escape(row.label)}, {escape(row.detail)}</title>",
        _text(4, y - 2, clipped(row.label, LABEL_PX - 8), "label"),
        _text(4, y + 12, clipped(row.detail, (LABEL_PX - 8) * 1.1), "sub"),
    ]
    if row.bound == "floor":
        x = axis.at(row.low if row.low is not None else row.best or 0)
        parts += [_line(x, y - 6, x, y + 6, "whisker"), _arrow(x, x + min(60.0, max(16.0, x1 - x)), y)]
    elif row.bound == "ceiling":
        x = axis.at(row.high if row.high is not None else row.best or 0)
        parts += [_line(x, y - 6, x, y + 6, "whisker"), _arrow(x, x - min(60.0, max(16.0, x - x0)), y)]
    else:
        low, high = (
            row.low if row.low is not None else row.best,
            row.high if row.high is not None else row.best,
        )
        if low is not None and high is not None and low != high:
            parts.append(_line(axis.at(low), y, axis.at(high), y, "whisker"))
            parts += [_line(axis.at(end), y - 5, axis.at(end), y + 5, "whisker") for end in (low, high)]
        point = row.best if row.best is not None else low if low == high else None
        if point is not None:
            parts.append(f'<path d="{_diamond(axis.at(point), y, 6.0)}" class="reported"/>')
    parts.append(_text(WIDTH - 4, y + 4, _interval_words(row), "value", "end"))
    return "".join(parts) + "</g>"


def _arrow(x: float, tip: float, y: float) -> str:
    back = tip - 7 if tip > x else tip + 7
    return _line(x, y, back, y, "whisker") + (
        f'<path d="M{tip:.1f} {y:.1f}L{back:.1f} {y - 4.5:.1f}L{back:.1f} {y + 4.5:.1f}Z" class="arrow"/>'
    )


def severity_bars(rows: Sequence[tuple[str, Mapping[str, int]]]) -> str:
    """Discrepancies by check, stacked by severity from the gravest; the total stands at the end of each bar."""
    if not rows:
        return ""
    step, top, x0, x1 = 30.0, 30.0, 200.0, WIDTH - 60.0
    largest = max(sum(counts.values()) for _, counts in rows) or 1
    parts: list[str] = []
    x = x0
    for severity in SEVERITIES:
        if any(counts.get(severity) for _, counts in rows):
            parts.append(f'<rect x="{x:.0f}" y="6" width="12" height="12" class="sev-{severity}"/>')
            parts.append(_text(x + 17, 16, severity))
            x += 35 + CHAR_PX * len(severity)
    for index, (label, counts) in enumerate(rows):
        y, x = top + step * index, x0
        parts.append(_text(x0 - 10, y + 16, clipped(label, x0 - 14), "label", "end"))
        for severity in SEVERITIES:
            width = (x1 - x0) * counts.get(severity, 0) / largest
            if width:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{max(1.0, width - 1):.1f}" height="19" class="sev-{severity}">'
                    f"<title>{escape(label)}, {severity}: {counts[severity]}</title></rect>"
                )
                x += width
        parts.append(_text(x + 7, y + 17, number(sum(counts.values())), "value"))
    words = "; ".join(
        f"{label}: "
        + ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts.get(severity))
        for label, counts in rows
    )
    return _svg(
        "chart-severity", "Discrepancies by check and severity", words, top + step * len(rows) + 8, parts
    )


def _months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _lanes(xs: Sequence[float], room: float) -> list[int]:
    """For marks at sorted ``xs`` the lowest lane where each stands at least ``room`` pixels from the one
    before it there."""
    ends: list[float] = []
    lanes = []
    for x in xs:
        lane = next((index for index, end in enumerate(ends) if x - end >= room), len(ends))
        ends[lane : lane + 1] = [x]
        lanes.append(lane)
    return lanes


def timeline(months: Sequence[Month], marks: Sequence[Mark]) -> str:
    """Documented movements by month (stems on a logarithmic axis) with numbered dates of rules above them.

    Months without a countable movement have no stem; marks outside the months drawn are left out.
    """
    drawn = [month for month in months if month.chips > 0]
    if not drawn:
        return ""
    first, last = min(m.month for m in drawn).replace(month=1), max(m.month for m in drawn).replace(month=12)
    span = _months_between(first, last) + 1
    x0, x1 = 64.0, WIDTH - 16.0

    def at(day: date) -> float:
        return x0 + (x1 - x0) * (_months_between(first, day) + (day.day - 1) / 31) / span

    shown = sorted(
        (m for m in marks if first <= m.day and _months_between(m.day, last) >= 0),
        key=lambda m: (m.day, m.number),
    )
    lanes = _lanes([at(mark.day) for mark in shown], 21)
    top = 22.0 + 20 * (max(lanes, default=0) + 1)
    bottom = top + 190
    scale = LogAxis([month.chips for month in drawn], 0, 1)

    def height(chips: float) -> float:
        return bottom - (bottom - top - 6) * (0.06 + 0.94 * scale.at(chips))

    parts: list[str] = []
    for tick in scale.ticks():
        parts += [
            _line(x0, height(tick), x1, height(tick), "grid"),
            _text(x0 - 8, height(tick) + 4, short(tick), "tick", "end"),
        ]
    for year in range(first.year, last.year + 1):
        x = at(date(year, 1, 1))
        parts += [
            _line(x, bottom, x, bottom + 6, "axis"),
            _text(x + (x1 - x0) * 6 / span, bottom + 18, str(year), "tick", "middle"),
        ]
    parts.append(_line(x0, bottom, x1, bottom, "axis"))
    for mark, lane in zip(shown, lanes, strict=True):
        x, y = at(mark.day), 14.0 + 20 * lane
        parts.append(
            f"<g><title>{mark.day}: {escape(mark.title)}</title>{_line(x, y + 9, x, bottom, 'rule')}"
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" class="badge"/>'
            f"{_text(x, y + 4, str(mark.number), 'badge-text', 'middle')}</g>"
        )
    for month in drawn:
        x, y = at(month.month) + (x1 - x0) / span / 2, height(month.chips)
        words = f"{month.month:%Y-%m}: {number(month.chips)} chips on {number(month.lines)} lines"
        stem = (
            f"<title>{words}</title>{_line(x, bottom, x, y, 'stem')}"
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="expected"/>'
        )
        parts.append(_linked(stem, month.href))
    parts.append(
        _text(x0, bottom + 36, "chips on documented lines, by month of shipping (logarithmic)", "tick")
    )
    description = "; ".join(f"{month.month:%Y-%m}: {number(month.chips)} chips" for month in drawn)
    return _svg(
        "chart-timeline",
        "Documented movements by month, with dates of export rules",
        description,
        bottom + 44,
        parts,
    )


def _linked(drawing: str, href: str) -> str:
    return f'<a href="{escape(href)}">{drawing}</a>' if href else f"<g>{drawing}</g>"


def destination_bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Chips on documented lines by country of destination (name, chips, where the lines are listed), largest first, on a
    logarithmic axis."""
    rows = [row for row in rows if row[1] > 0]
    if not rows:
        return ""
    step, top = 26.0, 6.0
    bottom = top + step * len(rows)
    axis = LogAxis([chips for _, chips, _ in rows], 200, WIDTH - 90)
    parts = axis.draw(top, bottom, "chips on documented lines (logarithmic)")
    for index, (name, chips, href) in enumerate(rows):
        y = top + step * (index + 0.5)
        bar = (
            _text(186, y + 4, clipped(name, 180), "label", "end")
            + _line(200, y, axis.at(chips), y, "stem")
            + f'<circle cx="{axis.at(chips):.1f}" cy="{y:.1f}" r="5.5" class="expected"/>'
            + _text(WIDTH - 4, y + 4, short(chips), "value", "end")
        )
        parts.append(_linked(bar, href))
    words = "; ".join(f"{name}: {number(chips)}" for name, chips, _ in rows)
    return _svg(
        "chart-destinations", "Documented movements by country of destination", words, bottom + 44, parts
    )
