"""What the rules of its day say of one movement: the explanation of a single line, with every reason.

A vague shipping date is judged on its first day and on every later day of the range on which the law or a record of a party
changes; a family is judged for each member. Where the answers part, the verdict is *undetermined* and says why. Judging a whole
ledger (``judgement.services``) rests on the same functions and gives the same answers; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from tracker.chips.specs import ChipSpec
from tracker.core.period import Period
from tracker.judgement.classes import ClassBook
from tracker.judgement.parties import PartyBook
from tracker.rules.classify import UNDETERMINED, Classification
from tracker.rules.licensing import CONSIGNEE, END_USER, UNKNOWN, Case, Verdict, common_verdict, verdict
from tracker.rules.parameters import RuleSet


@dataclass(frozen=True, slots=True)
class Line:
    """A movement as far as the rules ask. ``chips``: slugs of the chips it may consist of (the members of a family); empty:
    not known, then ``stand_in`` says what is known of them (their vendor). ``shipped``: one day or a range; None: not known.
    """

    chips: tuple[str, ...]
    stand_in: ChipSpec
    shipped: Period | None
    origin: str
    destination: str
    shipper_id: int | None = None
    consignee_id: int | None = None
    end_user_id: int | None = None
    aboard_on: date | None = None


NO_DATE = "shipping date"


def undated_verdict(day: date = date.min) -> Verdict:
    """A movement of which nobody knows when it left."""
    return Verdict(
        on=day,
        answer=UNDETERMINED,
        decision=UNKNOWN,
        result="UNKNOWN",
        policy="",
        level=UNDETERMINED,
        missing=(NO_DATE,),
        reasons=(),
        rule_ids=(),
        citations=(),
        sources=(),
    )


class Bench:
    """Judges lines one by one; what it works out for a day, a chip or a party it keeps. ``specs`` by slug of chip."""

    def __init__(self, classes: ClassBook, specs: Mapping[str, ChipSpec], parties: PartyBook) -> None:
        self.classes, self.specs, self.parties = classes, specs, parties
        self._rulesets: dict[date, RuleSet] = {}

    def verdict(self, line: Line, as_if: date | None = None, named: bool = True) -> Verdict:
        """The verdict for a line on its shipping date, or ``as_if`` it had left on another day. Not ``named``: in words that
        call the parties by their roles."""
        if as_if is not None:
            return self._on(as_if, line, named)
        if line.shipped is None or line.shipped.start is None or line.shipped.last is None:
            return undated_verdict()
        found = {day: self._on(day, line, named) for day in self.judged_days(line)}
        told = stretches(found)
        if len(told) == 1:
            return next(iter(told.values()))
        labelled = {f"from {day.isoformat()}": one for day, one in told.items()}
        return common_verdict(labelled, line.shipped.start, "the day it left")

    def judged_days(self, line: Line) -> list[date]:
        """The first day of a line's range, and each later one on which the law or one of its parties changes."""
        shipped = line.shipped
        assert shipped is not None
        assert shipped.start is not None
        turns = {
            *self.classes.days,
            *self.parties.days(line.consignee_id),
            *self.parties.days(line.end_user_id),
        }
        return sorted({shipped.start} | {day for day in turns if shipped.holds(day)})

    def ruleset(self, day: date) -> RuleSet:
        if day not in self._rulesets:
            like = self.classes.law(day)  # between two days of change only the day itself differs
            self._rulesets[day] = RuleSet(day, like.rules, like.matrix, like.groups)
        return self._rulesets[day]

    def classification(self, spec: ChipSpec, day: date) -> Classification:
        return self.classes.classification(spec, day)

    def _on(self, day: date, line: Line, named: bool) -> Verdict:
        shipper = self.parties.bodies.get(line.shipper_id or 0)
        case = Case(
            destination=line.destination,
            origin=line.origin,
            parties=(
                self.parties.party(line.consignee_id, CONSIGNEE, day, named),
                self.parties.party(line.end_user_id, END_USER, day, named),
            ),
            exporter_role=shipper.exporter_role if shipper else "",
            aboard_on=line.aboard_on,
        )
        return family_verdict(
            {spec.slug: self.classification(spec, day) for spec in self.candidates(line)},
            case,
            self.ruleset(day),
        )

    def candidates(self, line: Line) -> list[ChipSpec]:
        return [self.specs[chip] for chip in line.chips if chip in self.specs] or [line.stand_in]


def family_verdict(members: Mapping[str, Classification], case: Case, rules: RuleSet) -> Verdict:
    """The verdict for a chip, or what all members of a family share."""
    found = {name: verdict(chip, case, rules) for name, chip in members.items()}
    return next(iter(found.values())) if len(found) == 1 else common_verdict(found, rules.on)


def said(found: Verdict) -> tuple[object, ...]:
    """What a verdict comes to, without its words."""
    return found.answer, found.decision, found.result, found.policy, found.level


def stretches(found: Mapping[date, Verdict]) -> dict[date, Verdict]:
    """Verdicts by their first day, without the days on which nothing changes for this line."""
    told: dict[date, Verdict] = {}
    last: Verdict | None = None
    for day, one in found.items():
        if last is None or said(one) != said(last):
            told[day] = one
        last = one
    return told
