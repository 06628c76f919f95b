"""Classes of chips under a rule book, each worked out once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from datetime import date

from tracker.chips.specs import ChipSpec
from tracker.rules.classify import Classification, classify
from tracker.rules.parameters import RuleBook, RuleSet, Status


class ClassBook:
    """Classes of chips under a rule book. A class rests on the rules that classify and on their status alone, so most changes
    of law leave it as it is; what was worked out is kept.

    ``days``: those on which the law changes, sorted.
    """

    def __init__(self, rules: RuleBook) -> None:
        self.rules, self.days = rules, rules.change_days()
        self._laws: dict[int, RuleSet] = {}
        self._of_stretch: dict[tuple[str, str, int], Classification] = {}
        self._classes: dict[Hashable, Classification] = {}

    def law(self, day: date) -> RuleSet:
        """The law of a day, made once for all days between two changes; it bears the first of them that was asked for."""
        stretch = bisect_right(self.days, day)
        if stretch not in self._laws:
            self._laws[stretch] = self.rules.on(day)
        return self._laws[stretch]

    def classification(self, spec: ChipSpec, day: date) -> Classification:
        key = spec.slug, spec.vendor, bisect_right(self.days, day)
        if key not in self._of_stretch:
            self._of_stretch[key] = self.under(spec, self.law(day))
        return self._of_stretch[key]

    def under(self, spec: ChipSpec, rules: RuleSet) -> Classification:
        key = spec.slug, spec.vendor, classifying(rules)
        if key not in self._classes:
            self._classes[key] = classify(spec, rules)
        return self._classes[key]


def classifying(rules: RuleSet) -> Hashable:
    """The rules of a day that classes and letters rest on, with their status."""
    return tuple(
        (rule.id, rule.period.start, status)
        for rule in rules.rules
        if (
            rule.classes or rule.letter or rule.presumption
        )  # bands change how licences are reviewed, not who needs one
        and (status := rules.status(rule.id)) in (Status.ACTIVE, Status.UNCONFIRMED)
    )
