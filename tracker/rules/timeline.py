"""How the class of one chip changed with the law, and the comparisons that a reader is shown for each stretch of days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tracker.chips.specs import ChipSpec
from tracker.core.interval import Interval
from tracker.core.period import Period
from tracker.rules.classify import NONE, UNDETERMINED, Classification, DerivationLine, _roots, compared
from tracker.rules.parameters import PARAMETERS, RuleBook

NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days on which a chip has one and the same class, and that class as of the first of them."""

    period: Period
    classification: Classification


def stretches(specs: Mapping[str, ChipSpec], book: RuleBook) -> list[Stretch]:
    """The timeline of a chip under a rule book, from the first day of any classification rule on.

    ``specs``: by source, the preferred one first. Neighbouring days with the same level, number, letters, presumptions and
    bands, found by the same rules, are one stretch; the last one is open.
    """
    starts = [
        rule.period.start
        for rule in book.rules
        if rule.classes or rule.letter or rule.presumption or rule.bands
    ]
    first = min((day for day in starts if day), default=None)
    if first is None:
        return []
    days = [day for day in book.change_days() if day >= first]
    found: list[Stretch] = []
    for day, following in zip(days, [*days[1:], None], strict=True):
        now = compared(specs, book.on(day))
        if found and _shown(found[-1].classification) == _shown(now):
            found[-1] = Stretch(Period(found[-1].period.start, following), found[-1].classification)
        else:
            found.append(Stretch(Period(day, following), now))
    return found


def _shown(found: Classification) -> tuple[object, ...]:
    hits = tuple((hit.rule_id, hit.name, hit.truth) for hit in found.hits if hit.truth is not False)
    return found.level, found.eccn, found.paragraph, found.possible, found.rule_ids, hits


def deciding(found: Classification) -> tuple[DerivationLine, ...]:
    """The comparisons that a reader must see to believe the level shown: those that hold in the paragraph that caught the
    chip (or in the letter that did), those left open where it is undetermined, and for a chip that nothing catches the
    nearest miss: of the numbers that failed, the one closest to its threshold in proportion."""
    of_letters = [line for hit in found.letters for line in hit.derivation]
    match found.shown_level:
        case level if level == UNDETERMINED:
            lines = [line for line in (*found.derivation, *of_letters) if _is_asked(line, found)]
        case level if level == NONE:
            missed = [line for line in found.derivation if line.truth is False and line.margin is not None]
            return tuple(sorted(missed, key=_distance)[:1])
        case level if level == found.level:
            lines = [
                line for line in found.derivation if line.paragraph == found.paragraph and line.truth is True
            ]
        case _:
            lines = [line for line in of_letters if line.truth is True]
    return tuple({line.text: line for line in lines}.values())


def _is_asked(line: DerivationLine, found: Classification) -> bool:
    """Whether a comparison is open for want of something that would settle the level."""
    names = [name for name in NAME.findall(line.text) if name in PARAMETERS]
    return line.truth is None and not set(_roots(names, found.values)).isdisjoint(found.open_questions)


def _distance(line: DerivationLine) -> float:
    threshold = line.threshold
    size = abs(threshold) if isinstance(threshold, int | float) else 0.0
    assert line.margin is not None
    return abs(line.margin) / (size or 1.0)


def comparison_words(line: DerivationLine) -> str:
    """``tpp 15,832 >= 4,800 TOPS x bits (by +11,032)``: a comparison with its value, and by how much it held or failed
    (``tpp 2,368 is not >= 2,400 TOPS x bits (by -32)``)."""
    name = line.text.split(f" {line.operator} ", 1)[0]
    unit = f" {line.unit}" if line.unit else ""
    value = "not known" if line.value is None else figure(line.value)
    if line.operator == "is":
        return f"{line.text}: {value}"
    failed = "is not " if line.truth is False else ""
    margin = (
        "" if line.margin is None else f" (by {'-' if line.margin < 0 else '+'}{figure(abs(line.margin))})"
    )
    return f"{name} {value} {failed}{line.operator} {figure(line.threshold)}{unit}{margin}"


def figure(value: object) -> str:
    """A value of a test as it is printed: numbers with thousands and at most six digits that count, ranges from low to high."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.0f}" if abs(value) < 1e15 and value == int(value) else f"{value:,.6g}"
        case Interval():
            high = "open" if value.high == float("inf") else figure(value.high)
            return f"{figure(value.low)} to {high}"
        case None:
            return "not known"
    return str(value)
