"""A finding in plain words: eight parts in a fixed order, every number with its unit, nothing said beyond the records.

The parts are those of docs/method.md, section 7. Checks hand over what they know as a :class:`Story`; the words that recur are
made here once, so that no check invents a wording of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tracker.core.period import Period
from tracker.core.quantity import EQUIVALENTS, Quantity
from tracker.reconciliation.books import Section, SourceRow
from tracker.reconciliation.significance import SURPRISE_HEADING

HEADINGS = (
    "What was compared",
    "What each side says",
    "The difference",
    SURPRISE_HEADING,
    "Ordinary explanations still open",
    "What would settle it",
    "Assumptions",
    "Which run",
)
FORBIDDEN = ("smuggl", "divert", "stolen", "illegal", "missing")
HEADLINE_LIMIT = 140
FEW = 6
"""Figures of one side that a text names one by one; the rest are counted or stand in a table."""

TIMING = "timing: the two sides may be read on different days"
IN_TRANSIT = "in transit: chips may have been under way on the day"
UNRECORDED = "unrecorded receipts: movements that nobody has entered here"
UNRECORDED_EXPORTS = (
    "unrecorded dispatches: chips may have left without a movement that anybody has entered here"
)
UNREPORTED_USE = "use without a report: chips may be in use where nobody counts what is installed"
ROUNDING = "rounding: a round figure is not a count"
FAMILY = "family mixing: the name covers several models, and the two sides may mean different ones"
STATUS = "status confusion: ordered, delivered and installed chips are easily taken for one another"
ECHO = "echo: reports that only repeat one another look like agreement"
POWER_LOW = (
    "site power understated: the site may have grown since the figure, or the figure covers a part of it"
)
OWNERSHIP = "ownership data old: who stands behind a party may have changed"
REEXPORT = "re-export attribution: an importer books where goods were made, an exporter where they were last known to go"
TRADE_SYSTEM = (
    "trade system: general and special trade count goods in bonded warehouses and free zones differently"
)
CONFIDENTIAL = "confidential partners: some statistics book trade under codes that name no country"
FREIGHT = "freight and insurance: the factor taken off the importer's values is a usual one, not that of these goods"
DATES = "dates: the figures are for different days or periods"
SCOPES = "scope: the figures count different models"
UNITS = "unit: the figures count different things"
UNPUBLISHED = "contracts and licences are seldom published: others may exist that are not recorded here"
LICENCE_UNSEEN = "licences are seldom published: one may exist that is not recorded here"
PRESUMED = "receipts without a reported day came in between shipping and twice the usual lead time"
CERTAIN = "This is arithmetic: no error of measurement, within what the sources state, explains it."


@dataclass(frozen=True, slots=True)
class Story:
    """What a check knows of one result, in the order of the text. Sentences end with a full stop; ``open`` are phrases."""

    compared: str
    sides: tuple[str, ...]
    difference: str
    surprise: str
    open: tuple[str, ...]
    settle: str
    assumptions: tuple[str, ...] = ()


def sections(story: Story) -> tuple[Section, ...]:
    """The first seven parts; the run adds the eighth (:func:`record_section`). A part with nothing to say says so, so that
    the order never shifts."""
    bodies = (
        story.compared,
        "\n".join(story.sides) or "No figure.",
        story.difference,
        story.surprise,
        "\n".join(f"- {phrase}" for phrase in dict.fromkeys(story.open)) or "None of the usual ones applies.",
        story.settle,
        "\n".join(f"- {text}" for text in dict.fromkeys(story.assumptions)) or "None.",
    )
    return tuple(Section(heading, body) for heading, body in zip(HEADINGS, bodies, strict=False))


def record_section(run: str, as_known_at: datetime, code_version: str) -> Section:
    """The last part: which run, with the records as known when, and which code; enough to make the finding again."""
    body = f"Run {run}, with the records as known at {as_known_at.isoformat()}, by code {code_version}."
    return Section(HEADINGS[-1], body)


def full_text(parts: Sequence[Section]) -> str:
    """The parts as one plain text."""
    return "\n\n".join(f"{number}. {part.heading}\n{part.body}" for number, part in enumerate(parts, start=1))


def forbidden_words(words: str) -> list[str]:
    """Words of blame in ``words`` that no text made here may use."""
    return [word for word in FORBIDDEN if re.search(word, words, re.IGNORECASE)]


# --- numbers ---------------------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Thousands separators; whole numbers from 100 on, three significant digits below.

    >>> number(112700.4), number(0.0716), number(-1200), number(None)
    ('112,700', '0.0716', '-1,200', 'not known')
    >>> number(0.0000123)
    '0.000012'
    """
    if value is None:
        return "not known"
    if math.isinf(value):
        return "infinite"
    if abs(value) >= 100 or value == round(value):
        return f"{round(value):,}"
    if abs(value) < 0.0001:
        return f"{Decimal(f'{value:.2g}'):f}"
    return f"{value:.3g}"


def chips(value: float, unit: str = "chips") -> str:
    return f"{number(value)} {unit[:-1] if value == 1 and unit.endswith('s') else unit}"


def counted(count: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "movement"), counted(1200, "line")
    ('1 movement', '1,200 lines')
    """
    return chips(count, f"{noun}s")


def share(value: float) -> str:
    """A share in per cent; what is not the whole is not rounded to it.

    >>> share(0.031), share(0.62), share(0.998), share(1.0)
    ('3.1 %', '62 %', 'more than 99 %', '100 %')
    """
    if 0.995 <= value < 1:
        return "more than 99 %"
    return f"{100 * value:,.0f} %" if abs(value) >= 0.1 else f"{100 * value:.1f} %"


def figure(quantity: Quantity, unit: str = "chips") -> str:
    """A quantity as a phrase, with its standard error."""
    words = {"lower": "at least ", "upper": "at most "}.get(quantity.bound, "")
    error = f" (standard error {number(quantity.s)})" if quantity.s else " (counted exactly)"
    return f"{words}{chips(quantity.mu, unit)}{error}"


def magnitude(gap: float, h100e: tuple[float, float] | None, sq: float | None, measure: str = "chips") -> str:
    """The difference in chips, H100-equivalents and significant quantities; ``h100e`` are the low and high reading. In
    H100-equivalents alone where ``measure`` says that those were counted.

    >>> magnitude(112700, (112700, 112700), 112.7)
    '112,700 chips, or 112,700 H100-equivalents (113 significant quantities of 1,000)'
    """
    if h100e is None or sq is None:
        return f"{chips(abs(gap))}; in H100-equivalents it cannot be told, because the performance of the chips is not recorded"
    low, high = sorted((abs(h100e[0]), abs(h100e[1])))
    h100e_words = number(low) if math.isclose(low, high) else f"{number(low)} to {number(high)}"
    counted = "" if measure == EQUIVALENTS else f"{chips(abs(gap))}, or "
    if not sq:
        return f"{counted}{h100e_words} H100-equivalents"
    quantities = "significant quantity" if abs(sq) == 1 else "significant quantities"
    size = f"{number(abs(sq))} {quantities} of {number(abs(h100e[0] / sq))}"
    if low != high:
        size = f"from {size} on"
    return f"{counted}{h100e_words} H100-equivalents ({size})"


def how_often(p: float) -> str:
    """How often chance alone would do it, in two digits.

    >>> how_often(0.00123), how_often(1e-9)
    ('about once in 810', 'about once in more than a million')
    """
    return f"about once in {'more than a million' if p < 1e-6 else number(float(f'{1 / p:.2g}'))}"


def surprise(p: float, z: float, q: float | None = None) -> str:
    """How often chance alone would do it, in words; ``q``: the statistic is a sum of squares (Cochran's Q), not ``z``.

    >>> surprise(0.0001, 3.89)[-82:]
    'would occur about once in 10,000 such comparisons (3.89 times its standard error).'
    """
    if math.isinf(z):
        return CERTAIN
    if p >= 0.5:
        return (
            "Reports that are all right within their stated errors differ by this much more often than not."
        )
    size = f"{abs(z):.3g} times its standard error" if q is None else f"Q = {q:.3g}"
    return (
        f"If every report were right within its stated error, a gap this large would occur {how_often(p)} such "
        f"comparisons ({size})."
    )


def chance(p: float) -> str:
    """A probability in words that never claim certainty: rounding must not turn 0.9999 into 1.

    >>> chance(0.987), chance(0.99997), chance(2e-5)
    ('probability 0.987', 'a probability of more than 0.999', 'a probability of less than 0.001')
    """
    if p > 0.999:
        return "a probability of more than 0.999"
    return "a probability of less than 0.001" if p < 0.001 else f"probability {p:.3g}"


def no_surprise(mdg: float, mdg_sq: float | None, inconclusive: bool, unit: str = "chips") -> str:
    """What a test that found nothing could have seen. ``mdg_sq`` infinite: the performance of the chips is not recorded."""
    if mdg_sq is not None and math.isinf(mdg_sq):
        return (
            f"The smallest gap that this comparison could have seen is {chips(mdg, unit)}. How many significant quantities "
            "that is cannot be told, since the performance of the chips is not recorded: the result is inconclusive, not clean."
        )
    size = f" ({number(mdg_sq)} significant quantities)" if mdg_sq is not None else ""
    seen = f"The smallest gap that this comparison could have seen is {chips(mdg, unit)}{size}."
    if inconclusive:
        return f"{seen} That is more than one significant quantity, so the result is inconclusive, not clean."
    return seen


# --- people, places, papers ------------------------------------------------------------------------------------------


def when(period: Period) -> str:
    """A day, or the first and last day of a period.

    >>> from datetime import date
    >>> when(Period.inclusive(date(2026, 3, 31), date(2026, 3, 31)))
    '2026-03-31'
    """
    if period.start is None and period.end is None:
        return "undated"
    return str(period.start) if period.start == period.last else str(period)


def validity(period: Period) -> str:
    """The days on which a licence holds.

    >>> from datetime import date
    >>> validity(Period(None, None)), validity(Period(date(2025, 1, 1), None))
    ('validity not known', 'valid from 2025-01-01 on')
    """
    if period.start is None and period.last is None:
        return "validity not known"
    if period.start is None:
        return f"valid until {period.last}"
    return f"valid {period}" if period.last else f"valid from {period.start} on"


def cited(source: SourceRow, grade: str = "") -> str:
    """Who said it and when, with the grade of the figure."""
    when = source.published_on.isoformat() if source.published_on else "date not known"
    return f"{source.publisher or source.slug}, {when}, grade {grade or source.grade}"


def headline(words: str) -> str:
    """One line of at most 140 characters, cut at a word if it must be."""
    line = " ".join(words.split())
    if len(line) <= HEADLINE_LIMIT:
        return line
    return line[: HEADLINE_LIMIT - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def listed(names: Iterable[str], *, limit: int = FEW) -> str:
    """Names as a phrase: ``a, b and c``; beyond ``limit`` the rest are counted."""
    unique = list(dict.fromkeys(names))
    if len(unique) > limit:
        unique = [*unique[: limit - 1], f"{len(unique) - limit + 1} more"]
    return (
        unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}" if unique else "none"
    )
