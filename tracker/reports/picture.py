"""The classification of one chip over time as a small picture, for the chip's pages; drawn in the manner of ``charts``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from tracker.reports.charts import CHAR_PX, _line, _svg, _text
from tracker.rules.classify import LETTER, NONE, UNDETERMINED, Classification, Hit
from tracker.rules.parameters import Rule, Status
from tracker.rules.timeline import Stretch

WIDTH = 720
AHEAD = timedelta(days=150)
"""How far the picture goes on beyond the last day that it knows something of."""
COLOURED = ("a", "b", "c", "2022", LETTER, NONE, UNDETERMINED)
"""Levels with a colour of their own; rules may name others, which share one."""
LEFT, RIGHT, LETTERS_TOP, TOP, BOTTOM = 8.0, WIDTH - 8.0, 6.0, 20.0, 50.0
WORDS = {
    NONE: "not caught",
    UNDETERMINED: "undetermined: not known, may be caught",
    LETTER: "caught by a letter only",
}


@dataclass(frozen=True, slots=True)
class _Band:
    """Neighbouring days that look the same in the picture."""

    start: date
    end: date | None
    level: str
    words: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """Days to pixels."""

    first: date
    last: date

    def at(self, day: date) -> float:
        share = (day - self.first).days / max(1, (self.last - self.first).days)
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))


def class_timeline(stretches: Sequence[Stretch], today: date, name: str = "classes") -> str:
    """One band of colour per level of classification, from the first classification rule to ``today`` and on with the law as
    it stands, which is hatched thinly; a strip above it where a letter to the vendor names the chip.

    A level that is not known is drawn as a coarse hatch on an empty ground and never as a colour alone. ``name``: prefix of
    the identifiers inside, one for each picture of a page.
    """
    bands = _bands(stretches)
    if not bands:
        return ""
    scale = _Scale(bands[0].start, max(today, bands[-1].start) + AHEAD)
    parts = [_patterns(name), *_grid(scale)]
    for band in bands:
        parts.append(_band(band, scale, name))
    if scale.last > today >= scale.first:
        x = scale.at(today)
        parts.append(
            f'<rect x="{x:.1f}" y="{TOP}" width="{RIGHT - x:.1f}" height="{BOTTOM - TOP}" fill="url(#{name}-ahead)"/>'
        )
        parts += [
            _line(x, LETTERS_TOP - 4, x, BOTTOM + 5, "axis"),
            _text(x + 4, LETTERS_TOP + 6, "today", "tick"),
        ]
    parts += _letters(stretches, scale, name)
    legend, height = _legend(bands, stretches, name)
    words = "; ".join(f"{band.start} to {_last(band.end)}: {band.words}" for band in bands)
    title = "Class of the chip under the export rules over time"
    return _svg(name, title, words, height, [*parts, *legend], WIDTH)


def date_bar(rule: Rule, today: date, name: str = "days") -> str:
    """The days of one version of a rule as a bar, its stays and stretches of unconfirmed status in other fills, with a line
    at ``today``. ``name``: prefix of the identifiers inside."""
    ends = [
        day
        for period in (rule.period, *(i.period for i in rule.intervals))
        for day in (period.start, period.end)
        if day
    ]
    scale = _Scale(min([*ends, today]).replace(day=1), max([*ends, today]) + AHEAD)
    parts = [_patterns(name), *_grid(scale)]
    base = Status.NOT_ENFORCED if rule.enforcement == "not enforced" else Status.ACTIVE
    for period, status in [(rule.period, base), *((i.period, i.status) for i in rule.intervals)]:
        x, end = scale.at(period.start or scale.first), scale.at(period.end or scale.last)
        fill = (
            f'fill="url(#{name}-open)" class="level-edge"'
            if status in (Status.UNCONFIRMED, Status.ANNOUNCED)
            else 'class="days-active"'
            if status == Status.ACTIVE
            else 'class="days-stayed"'
        )
        words = f"{period.start or 'always'} to {_last(period.end)}: {status}"
        parts.append(
            f'<g><title>{words}</title><rect x="{x:.1f}" y="{TOP}" width="{max(1.5, end - x):.1f}" '
            f'height="{BOTTOM - TOP}" {fill}/></g>'
        )
    x = scale.at(today)
    parts += [_line(x, TOP - 6, x, BOTTOM + 5, "axis"), _text(x + 4, TOP - 5, "today", "tick")]
    words = "; ".join(f"{i.period}: {i.status}" for i in rule.intervals)
    described = f"In its text from {rule.period}. {words}"
    return _svg(name, f"Days of {rule.id}", described.strip(), BOTTOM + 24, parts, WIDTH)


def _last(end: date | None) -> str:
    return "open" if end is None else (end - timedelta(days=1)).isoformat()


def level_words(level: str) -> str:
    """A level as the pages say it: ``level a``, ``not caught``."""
    return WORDS.get(level, f"level {level}")


def level_class(level: str) -> str:
    """Name of the style of a level."""
    return f"level-{level if level in COLOURED else 'other'}"


def _bands(stretches: Iterable[Stretch]) -> list[_Band]:
    found: list[_Band] = []
    for stretch in stretches:
        assert stretch.period.start is not None, "a timeline begins with the first rule"
        level, words = stretch.classification.shown_level, _words(stretch.classification)
        if found and (found[-1].level, found[-1].words) == (level, words):
            found[-1] = _Band(found[-1].start, stretch.period.end, level, words)
        else:
            found.append(_Band(stretch.period.start, stretch.period.end, level, words))
    return found


def _words(found: Classification) -> str:
    level = found.shown_level
    if level == UNDETERMINED:
        possible = f" ({' or '.join(found.possible)})" if len(found.possible) > 1 else ""
        return f"undetermined{possible}, not known: {', '.join(found.open_questions) or 'nothing recorded'}"
    if level == LETTER:
        certain = [hit.rule_id for hit in found.letters if hit.truth]
        return f"caught by letter{'s' * (len(certain) > 1)} {', '.join(certain)} only"
    return f"{level_words(level)}, {found.eccn} under {found.paragraph}" if found.eccn else level_words(level)


def _patterns(name: str) -> str:
    return (
        f'<defs><pattern id="{name}-open" patternUnits="userSpaceOnUse" width="9" height="9" patternTransform="rotate(45)">'
        '<rect width="9" height="9" class="hatch-ground"/><rect width="3.2" height="9" class="hatch"/></pattern>'
        f'<pattern id="{name}-ahead" patternUnits="userSpaceOnUse" width="5" height="5" patternTransform="rotate(-45)">'
        '<rect width="1.7" height="5" class="hatch-ground"/></pattern></defs>'
    )


def _grid(scale: _Scale) -> list[str]:
    parts = [_line(LEFT, BOTTOM + 0.5, RIGHT, BOTTOM + 0.5, "axis")]
    for year in range(scale.first.year, scale.last.year + 1):
        x = scale.at(date(year, 1, 1))
        if date(year, 1, 1) >= scale.first:
            parts.append(_line(x, TOP, x, BOTTOM + 6, "axis"))
        middle = (x + scale.at(date(year + 1, 1, 1))) / 2
        if scale.at(date(year + 1, 1, 1)) - x > 30:
            parts.append(_text(middle, BOTTOM + 17, str(year), "tick", "middle"))
    return parts


def _fill(level: str, name: str) -> str:
    return (
        f'fill="url(#{name}-open)" class="level-edge"'
        if level == UNDETERMINED
        else f'class="{level_class(level)}"'
    )


def _band(band: _Band, scale: _Scale, name: str) -> str:
    x, end = scale.at(band.start), RIGHT if band.end is None else scale.at(band.end)
    width = max(1.0, end - x)
    label = {NONE: "none"}.get(band.level, band.level)
    drawn = (
        f"<g><title>{band.start} to {_last(band.end)}: {escape(band.words)}</title>"
        f'<rect x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{BOTTOM - TOP}" {_fill(band.level, name)}/>'
    )
    room = CHAR_PX * len(label) + 12
    if width > room:
        middle, height = x + width / 2, (TOP + BOTTOM) / 2
        if band.level == UNDETERMINED:
            drawn += (
                f'<rect x="{middle - room / 2:.1f}" y="{height - 9:.1f}" width="{room:.1f}" height="18" rx="3"'
                ' class="hatch-ground"/>'
            )
        drawn += _text(middle, height + 4.3, label, f"on on-{level_class(band.level)}", "middle")
    return drawn + "</g>"


def _letters(stretches: Sequence[Stretch], scale: _Scale, name: str) -> list[str]:
    """A strip for each stretch in which a letter names the chip or may, and a mark where it begins to."""
    parts: list[str] = []
    begun: dict[str, tuple[float, str]] = {}
    for stretch in stretches:
        for hit in stretch.classification.letters:
            start, end = stretch.period.start, stretch.period.end
            assert start is not None
            x, far = scale.at(start), RIGHT if end is None else scale.at(end)
            fill = _fill(LETTER if hit.truth else UNDETERMINED, name)
            parts.append(
                f"<g><title>{start} to {_last(end)}: {escape(_letter_words(hit))}</title>"
                f'<rect x="{x:.1f}" y="{TOP - 6}" width="{max(1.0, far - x):.1f}" height="5" {fill}/></g>'
            )
            begun.setdefault(hit.rule_id, (x, fill))
    for x, fill in begun.values():
        parts.append(
            f'<path d="M{x:.1f} {TOP - 1}L{x - 4.5:.1f} {TOP - 10}L{x + 4.5:.1f} {TOP - 10}Z" {fill}/>'
        )
    return parts


def _letter_words(hit: Hit) -> str:
    return f"letter {hit.rule_id} {'names the chip' if hit.truth else 'may name the chip'}"


def _legend(bands: Sequence[_Band], stretches: Sequence[Stretch], name: str) -> tuple[list[str], float]:
    """Swatches with words below the axis, in as many lines as they need, and the height that makes."""
    wanted = {band.level: level_words(band.level) for band in bands}
    entries = [(_fill(level, name), words) for level, words in wanted.items()]
    truths = {hit.truth for stretch in stretches for hit in stretch.classification.letters}
    if True in truths and LETTER not in wanted:
        entries.append((_fill(LETTER, name), "strip: a letter to its vendor names it"))
    if None in truths:
        entries.append((_fill(UNDETERMINED, name), "strip: a letter may name it"))
    parts: list[str] = []
    x, y = LEFT, BOTTOM + 36
    for fill, words in entries:
        width = 26 + CHAR_PX * len(words)
        if x + width > RIGHT and x > LEFT:
            x, y = LEFT, y + 18
        parts.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="15" height="11" {fill}/>')
        parts.append(_text(x + 20, y, words, "sub"))
        x += width + 10
    words = "after today: as the law stands"
    if x + 26 + CHAR_PX * len(words) > RIGHT:
        x, y = LEFT, y + 18
    parts.append(
        f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="15" height="11" class="axis-ground"/>'
        f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="15" height="11" fill="url(#{name}-ahead)"/>'
    )
    parts.append(_text(x + 20, y, words, "sub"))
    return parts, y + 8
