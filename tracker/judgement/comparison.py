"""What flips between two days of law, or between the law and a draft of it: the result, and the flips of classes.

A comparison judges one ledger twice, as known at one instant, under two sides. A side is a rule book, and either each line's own
shipping date or one day on which all are supposed to have left; owners and lists are those of the day judged. Quantities carry
their spread: intervals hold 90 percent, and where a line names a family the lightest and the heaviest member bound it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from tracker.chips.specs import H100_TPP, ChipSpec
from tracker.core.quantity import Z90
from tracker.judgement.classes import ClassBook
from tracker.rules.parameters import RuleBook

FIRST_DAY = date(2022, 8, 1)
"""Where this ledger's country groups begin; what the law made of chips before is not compared."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. ``day``: every line is judged as if it had left on it; None: on its own shipping date."""

    label: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum with its 90 percent interval; ``best`` lies midway where a family leaves the chip open."""

    low: float
    best: float
    high: float

    def over(self, divisor: float) -> Amount:
        return Amount(self.low / divisor, self.best / divisor, self.high / divisor)


@dataclass(frozen=True, slots=True)
class Flip:
    """Lines that come to something else on the other side.

    ``who``: what the row is about (a chip, an organization, a country; empty for all). ``uncounted``: lines whose unit is no
    number of chips, or whose chip has no known TPP; they count among ``lines`` and in no amount. ``bounds``: lines that say
    "at least" or "at most"; their figure is summed as it stands.
    """

    who: str
    name: str
    before: str
    after: str
    lines: int
    uncounted: int
    bounds: int
    chips: Amount
    tpp: Amount
    h100e: Amount


@dataclass(frozen=True, slots=True)
class ChipFlip:
    """A chip that is of another level on the other side, over some days (both None: on the days of the sides)."""

    chip: str
    first: date | None
    last: date | None
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole answer. ``judged``: lines judged; ``changed``: of these, lines whose decision or policy is another.

    ``by_decision`` tells all of them; ``by_chip``, ``by_consignee`` and ``by_destination`` the largest rows, ``left_off`` how
    many rows each leaves off.
    """

    before: Side
    after: Side
    before_digest: str
    after_digest: str
    as_known_at: datetime | None
    records: str
    judged: int
    changed: int
    chips: tuple[ChipFlip, ...]
    by_decision: tuple[Flip, ...]
    by_chip: tuple[Flip, ...]
    by_consignee: tuple[Flip, ...]
    by_destination: tuple[Flip, ...]
    left_off: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; days and instants stay as they are."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Comparison:
        """The comparison that :meth:`as_dict` gave, also where JSON made texts of its days."""
        at = kept["as_known_at"]
        tables = {
            name: tuple(
                Flip(**{**row, **{key: Amount(**row[key]) for key in ("chips", "tpp", "h100e")}})
                for row in kept[name]
            )
            for name in TABLES
        }
        return cls(
            **{
                **kept,
                **tables,
                "before": Side(kept["before"]["label"], _day(kept["before"]["day"])),
                "after": Side(kept["after"]["label"], _day(kept["after"]["day"])),
                "as_known_at": datetime.fromisoformat(at) if isinstance(at, str) else at,
                "chips": tuple(
                    ChipFlip(**{**row, "first": _day(row["first"]), "last": _day(row["last"])})
                    for row in kept["chips"]
                ),
            }
        )


TABLES = ("by_decision", "by_chip", "by_consignee", "by_destination")
"""The tables of flips that a comparison holds."""


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over lines, as the database adds them up: of means, of random variances and of systematic variances."""

    lines: int
    uncounted: int
    bounds: int
    chips: float
    chips_variance: float
    tpp_low: float
    tpp_low_variance: float
    tpp_high: float
    tpp_high_variance: float


def flip(who: str, name: str, before: str, after: str, sums: Sums) -> Flip:
    """Sums as amounts with intervals. No amount lies below zero."""
    chips = _amount(sums.chips, sums.chips, sums.chips_variance, sums.chips_variance)
    tpp = _amount(sums.tpp_low, sums.tpp_high, sums.tpp_low_variance, sums.tpp_high_variance)
    return Flip(
        who=who,
        name=name,
        before=before,
        after=after,
        lines=sums.lines,
        uncounted=sums.uncounted,
        bounds=sums.bounds,
        chips=chips,
        tpp=tpp,
        h100e=tpp.over(H100_TPP),
    )


def _amount(low: float, high: float, low_variance: float, high_variance: float) -> Amount:
    return Amount(
        low=max(0.0, low - Z90 * math.sqrt(low_variance)),
        best=(low + high) / 2,
        high=high + Z90 * math.sqrt(high_variance),
    )


def chip_flips(
    specs: Sequence[ChipSpec], before: RuleBook, after: RuleBook, sides: tuple[Side, Side]
) -> tuple[ChipFlip, ...]:
    """The chips that are of another level on the other side, by slug. Between two rule books without a day: every stretch of
    days, from :data:`FIRST_DAY` on, over which they differ."""
    books = ClassBook(before), ClassBook(after)
    found: list[ChipFlip] = []
    days = _days(before, after, sides)
    for spec in sorted(specs, key=lambda spec: spec.slug):
        open_flip: ChipFlip | None = None
        for first, last in days:
            one, other = (
                book.classification(spec, side.day or first) for book, side in zip(books, sides, strict=True)
            )
            if one.shown_level == other.shown_level:
                open_flip = None
                continue
            if open_flip and (open_flip.before, open_flip.after) == (one.shown_level, other.shown_level):
                open_flip = found[-1] = ChipFlip(
                    spec.slug, open_flip.first, last, open_flip.before, open_flip.after, open_flip.why
                )
                continue
            why = "; ".join(filter(None, (one.paragraph, other.paragraph or other.letter)))
            open_flip = ChipFlip(
                spec.slug, None if sides[0].day else first, last, one.shown_level, other.shown_level, why
            )
            found.append(open_flip)
    return tuple(found)


def _days(before: RuleBook, after: RuleBook, sides: tuple[Side, Side]) -> list[tuple[date, date | None]]:
    """First and last days of the stretches to compare: one without a last day where both sides name their day."""
    if sides[0].day and sides[1].day:
        return [(sides[0].day, None)]
    changes = {day for book in (before, after) for day in book.change_days() if day > FIRST_DAY}
    starts = [FIRST_DAY, *sorted(changes)]
    ends = [date.fromordinal(day.toordinal() - 1) for day in starts[1:]]
    return list(zip(starts, [*ends, None], strict=True))
