"""Where to look next: the records and facts whose verification would settle most of what a run left open.

Two kinds of things are open after a run. A discrepancy has a variance, and each record bears a share of it: a record that is
verified no longer adds that share. A question of a rule is undetermined for want of a fact: it may come out either way for so
many chips. Both are counted in significant quantities squared, the one unit in which they can be ranked together:

- a record: ``sum over open discrepancies of share x (sigma of the gap in SQ)^2``;
- a fact: ``sum over undetermined questions of (H100-equivalents held up, in SQ)^2 / 4``, the variance of an amount that counts or
  does not count at even odds.

It is a rank and no estimate: discrepancies overlap where they speak of the same chips, and a question may need several facts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracker.core.quantity import stored
from tracker.reconciliation.explain import number, share

EVEN_ODDS = 0.25
"""Variance of what is as likely to count as not, in squares of its amount."""
TOLD = 5
"""How many discrepancies or questions a line names; the rest are counted."""
CHIP_FACTS = ("chip parameter", "which member")
"""Facts about chips: the same for every consignee."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """The part of one record in one open discrepancy. ``share``: of the variance of its gap, 0 to 1; ``sigma_sq``: standard
    deviation of that gap in significant quantities."""

    model: str
    id: int
    label: str
    finding: int
    headline: str
    share: float
    sigma_sq: float

    @property
    def variance(self) -> float:
        return self.share * self.sigma_sq**2


@dataclass(frozen=True, slots=True)
class Question:
    """A fact for want of which a rule gives no answer in one finding, about a consignee (``area``) or a kind of chip (``scope``).
    ``h100e``: H100-equivalents it holds up; None: cannot be told."""

    fact: str
    area: str
    scope: str
    finding: int
    headline: str
    h100e: float | None
    for_a_person: bool = False

    @property
    def about(self) -> str:
        return self.scope if self.fact.startswith(CHIP_FACTS) else self.area


@dataclass(frozen=True, slots=True)
class Reason:
    """One discrepancy or question that a line would settle a part of, with that part in SQ squared."""

    finding: int
    words: str
    variance: float


@dataclass(frozen=True, slots=True)
class Priority:
    """One thing to verify. ``kind``: record, fact, or person (a question that no record settles); ``variance`` in SQ squared;
    ``h100e``: held up by questions; ``count``: discrepancies and questions, of which ``reasons`` tell the largest."""

    kind: str
    name: str
    model: str
    id: int | None
    variance: float
    h100e: float
    count: int
    words: str
    reasons: tuple[Reason, ...]


def rank(
    doubts: Iterable[Doubt], questions: Iterable[Question], significant_quantity: float, limit: int = 50
) -> tuple[Priority, ...]:
    """The things to verify, what would settle most first; of equal ones by kind and name. At most ``limit``.

    ``significant_quantity``: H100-equivalents in one.
    """
    records: dict[tuple[str, int], list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        records[doubt.model, doubt.id].append(doubt)
    facts: dict[tuple[bool, str, str], list[Question]] = defaultdict(list)
    for question in questions:
        facts[question.for_a_person, question.fact, question.about].append(question)
    found = [_record(records[key]) for key in sorted(records)]
    found += [_fact(facts[key], significant_quantity) for key in sorted(facts)]
    found.sort(key=lambda line: (-line.variance, line.kind, line.name, line.id or 0))
    return tuple(found[:limit])


def _record(doubts: Sequence[Doubt]) -> Priority:
    first = min(doubts, key=lambda doubt: doubt.finding)
    reasons = [
        Reason(
            doubt.finding,
            f"{share(doubt.share)} of the variance of “{doubt.headline}” (standard deviation: {number(doubt.sigma_sq)} SQ)",
            _kept(doubt.variance),
        )
        for doubt in doubts
    ]
    many = f"{len(doubts):,} discrepancies" if len(doubts) > 1 else "one discrepancy"
    return Priority(
        "record", f"{first.model} {first.id}", first.model, first.id, _sum(doubt.variance for doubt in doubts), 0.0, len(doubts),
        f"Verifying “{first.label}” would take its part out of the variance of {many}.", _largest(reasons),
    )  # fmt: skip


def _fact(questions: Sequence[Question], significant_quantity: float) -> Priority:
    first = questions[0]
    held = _sum(question.h100e or 0.0 for question in questions)
    reasons = [
        Reason(question.finding, f"“{question.headline}”", _kept(_even(question.h100e, significant_quantity)))
        for question in questions
    ]
    many = f"{len(questions):,} questions" if len(questions) > 1 else "one question"
    do = "Asking a person for" if first.for_a_person else "Recording"
    return Priority(
        "person" if first.for_a_person else "fact", f"{first.fact} ({first.about})", "", None,
        _sum(_even(question.h100e, significant_quantity) for question in questions), held, len(questions),
        f"{do} “{first.fact}” for {first.about} would help to tell whether up to {number(held)} H100-equivalents needed a "
        f"licence, in {many}.",
        _largest(reasons),
    )  # fmt: skip


def _even(h100e: float | None, significant_quantity: float) -> float:
    return EVEN_ODDS * ((h100e or 0.0) / significant_quantity) ** 2


def _largest(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda reason: (-reason.variance, reason.finding))[:TOLD])


def _sum(values: Iterable[float]) -> float:
    """Exactly rounded, so that the order in which rows come plays no part."""
    return _kept(math.fsum(values))


def _kept(value: float) -> float:
    return stored(value) or 0.0
