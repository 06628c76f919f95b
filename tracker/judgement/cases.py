"""Distinct cases of a ledger: movements that differ in nothing the rules of a day ask are one case, judged once.

A ledger of millions of lines holds thousands of distinct cases. A line is cut down to five signatures under the law of its day:
what its chip is, how it moves, where it goes, and what its consignee and its end user are. Signatures are worked out here, once
for each chip, country and kind of party; the database joins them to the lines (``judgement.services``). Each distinct
combination is then judged by ``rules.licensing.verdict``, the very function that explains a single line, with a
representative of each signature. Two chips, countries or parties share a signature only if no row of that day's licence matrix
can tell them apart, so the answer is the same whichever of them stands for the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.chips.specs import ChipSpec
from tracker.core.period import DAY
from tracker.judgement.bench import family_verdict, stretches
from tracker.judgement.classes import ClassBook, classifying
from tracker.judgement.parties import Profile
from tracker.rules.classify import Classification
from tracker.rules.licensing import CONSIGNEE, END_USER, HQ_SET, Case, Verdict, common_verdict, item_codes
from tracker.rules.parameters import RuleBook, RuleSet

MOVEMENTS = ("unknown destination", "inside us", "to us", "in-country", "export", "reexport")
"""Kinds of movement by code, as ``rules.licensing.movement_kind`` tells them apart; the database computes the code."""

EXPORTER_ROLES = ("", "front_end_fabricator", "osat")


def chip_signature(chip: Classification, rules: RuleSet) -> Hashable:
    """All that rows of the matrix can ask of a classified chip."""
    whens = [row.when for row in rules.matrix if row.when is not None]
    answers = [when.evaluate(chip.values) for when in whens]
    return (
        chip.level,
        item_codes(chip, rules.matrix),
        chip.missing,
        chip.datacenter,
        tuple((hit.kind, hit.rule_id, hit.truth, hit.missing) for hit in chip.hits if hit.kind != "band"),
        chip.vendor_hq == "US",
        chip.vendor_hq == "",
        tuple(rules.groups.holds(chip.vendor_hq, row.vendor_hq) for row in rules.matrix if row.vendor_hq),
        tuple((answer.truth, answer.missing) for answer in answers),
    )


def place_signature(country: str, rules: RuleSet) -> Hashable:
    """All that rows of the matrix can ask of a destination."""
    return (
        not country,
        country == "US",  # a movement there or within it is of a kind of its own
        tuple(
            rules.groups.holds_any(country, names) if names else None
            for row in rules.matrix
            for names in (row.destinations, row.not_destinations)
        ),
    )


@dataclass(frozen=True, slots=True)
class PartyFacts:
    """All that rows of the matrix can ask of a party, or of two parties together; where the answer is open also what is missing,
    so that parties share a case only if the same facts would settle it.

    ``hq``: whether a headquarters lies in Macau or D:5 (None: not known), and which are not known. ``listed``: lists and
    footnotes it stands under, whether it stands on one since a day nobody recorded, whether a screening match is open.
    ``affiliate``: ``affiliate``, ``unknown`` or empty, and of whom it is not known. ``approved``: by the list of the destination.
    """

    hq: tuple[bool | None, Hashable]
    listed: tuple[frozenset[tuple[str, str]], bool, bool]
    affiliate: tuple[str, Hashable]
    approved: bool | None

    def together(self, end_user: PartyFacts) -> PartyFacts:
        """Consignee and end user as the rows see them: what holds of one holds, what is open of one is open."""
        (lists, undated, matched), (more, undated_too, matched_too) = self.listed, end_user.listed
        hq = _either(self.hq[0], end_user.hq[0])
        affiliates = self.affiliate[0], end_user.affiliate[0]
        affiliate = next((word for word in ("affiliate", "unknown") if word in affiliates), "")
        return PartyFacts(
            hq=(hq, (self.hq, end_user.hq) if hq is None else ()),
            listed=(lists | more, undated or undated_too, matched or matched_too),
            affiliate=(affiliate, affiliates if affiliate == "unknown" else ()),
            approved=_both(self.approved, end_user.approved),
        )


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def party_facts(profile: Profile, rules: RuleSet) -> PartyFacts:
    """The facts of one party under the country groups of a day."""
    word = profile.affiliation or ""
    return PartyFacts(
        hq=_headquarters(profile, rules),
        listed=(
            frozenset((entry.list_name, entry.footnote) for entry in profile.listings),
            bool(profile.undated),
            bool(profile.screening_question),
        ),
        affiliate=(
            "affiliate"
            if word.startswith("affiliate")
            else "unknown" * word.startswith("ownership not known"),
            (),
        ),
        approved=profile.approved,
    )


def _headquarters(profile: Profile, rules: RuleSet) -> tuple[bool | None, Hashable]:
    """Whether one lies in Macau or D:5; if that is open, whose is not known, or in which country sources disagree."""
    answer: bool | None = None if not profile.parent_hqs else False
    unknown: list[tuple[str, str]] = [] if profile.parent_hqs else [("parent", "")]
    if rules.groups.knows(HQ_SET):  # before any rule is recorded nothing asks it
        seats = [("own", profile.hq), *(("parent's", country) for country in profile.parent_hqs or ())]
        for whose, country in seats:
            inside = rules.groups.holds(country, HQ_SET)
            answer = _either(answer, inside)
            unknown += [(whose, country)] if inside is None else []
    return answer, tuple(unknown) if answer is None else ()


class Signatures:
    """Signatures by number, with one representative under each facet of the law.

    A facet is the part of the law that the signature rests on; a representative stands for its number under that facet only
    (Cambodia stands for D:5 until it left).
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._signatures: list[Hashable] = []
        self._examples: dict[tuple[int, int], Any] = {}

    def number(self, signature: Hashable, facet: int, example: object) -> int:
        number = self._numbers.setdefault(signature, len(self._numbers))
        if number == len(self._signatures):
            self._signatures.append(signature)
        self._examples.setdefault((number, facet), example)
        return number

    def signature(self, number: int) -> Hashable:
        return self._signatures[number]

    def example(self, number: int, facet: int) -> Any:
        return self._examples[number, facet]

    def __len__(self) -> int:
        return len(self._numbers)


@dataclass(frozen=True, slots=True)
class CaseKey:
    """One distinct case: the numbers of its signatures. ``law``: index of the stretch of law it falls in."""

    law: int
    chip: int
    place: int
    movement: int
    exporter: int
    consignee: int
    end_user: int


@dataclass(frozen=True, slots=True)
class _Law:
    """One stretch of law, and which facet of each kind it shows."""

    first: date
    rules: RuleSet
    chip: int
    place: int
    party: int
    content: Hashable


class CaseBook:
    """The distinct cases of one ledger under one rule book.

    ``days``: first days of the stretches of law, sorted, the first without a beginning. Between two of them nothing changes
    that the licence matrix rests on. The law of a day is the number of later first days up to and including it.
    """

    def __init__(self, rules: RuleBook) -> None:
        self.rules = rules
        self.chips, self.places, self.parties = Signatures(), Signatures(), Signatures()
        self._facets: dict[tuple[str, Hashable], int] = {}
        self.classes = ClassBook(rules)
        self._seen: dict[Hashable, int] = {}
        self._pairs: dict[tuple[int, int], PartyFacts] = {}
        self._known: dict[tuple[int, ...], dict[tuple[str, ...], dict[tuple[object, ...], Verdict]]] = {}
        self.laws: list[_Law] = []
        for day in (date.min, *rules.change_days()):
            law = self._law(day)
            if not self.laws or self.laws[-1].content != law.content:
                self.laws.append(law)
        self.days = tuple(law.first for law in self.laws)

    def _law(self, day: date) -> _Law:
        rules = self.rules.on(day)
        members = tuple(m.period.holds(day) for m in (*self.rules.memberships, *self.rules.aliases))
        tests = classifying(rules)
        rows = tuple((row.items, row.when and row.when.text, row.vendor_hq) for row in rules.matrix)
        places = tuple((row.destinations, row.not_destinations) for row in rules.matrix)
        # rows and rules are the rule book's own objects, so each version of one is told by its identity
        alive = tuple((id(row), id(rules.rule(row.rule)), rules.status(row.rule)) for row in rules.matrix)
        return _Law(
            first=day,
            rules=rules,
            chip=self._facet("chip", (tests, rows, members)),
            place=self._facet("place", (places, members)),
            party=self._facet("party", members),
            content=(tests, alive, members),
        )

    def _facet(self, kind: str, content: Hashable) -> int:
        return self._facets.setdefault((kind, content), len(self._facets))

    def law_of(self, day: date) -> int:
        """The stretch of law a day falls in, as ``width_bucket`` computes it in the database."""
        return bisect_right(self.days, day) - 1

    def chip(self, members: Sequence[ChipSpec], law: int) -> int:
        """Number of the signature of a chip, or of a family by its members (those that differ in nothing count once)."""
        facet, rules = self.laws[law].chip, self.laws[law].rules
        key = "chip", facet, tuple((spec.slug, spec.vendor) for spec in members)
        if key not in self._seen:
            found: dict[Hashable, Classification] = {}
            for spec in members:
                chip = self.classes.under(spec, rules)
                found.setdefault(chip_signature(chip, rules), chip)
            self._seen[key] = self.chips.number(tuple(found), facet, tuple(found.values()))
        return self._seen[key]

    def place(self, country: str, law: int) -> int:
        facet = self.laws[law].place
        key = "place", facet, country
        if key not in self._seen:
            self._seen[key] = self.places.number(
                place_signature(country, self.laws[law].rules), facet, country
            )
        return self._seen[key]

    def party(self, profile: Profile, law: int) -> int:
        facet = self.laws[law].party
        key = "party", facet, profile
        if key not in self._seen:
            facts = party_facts(profile, self.laws[law].rules)
            self._seen[key] = self.parties.number(facts, facet, profile)
        return self._seen[key]

    def verdict(self, key: CaseKey) -> Verdict:
        """The verdict of a distinct case. Cases that differ only in facts about parties that the reading never came to ask
        share it: a chip of no class moved inside the United States is judged once for all parties."""
        base = key.law, key.chip, key.place, key.movement, key.exporter
        facts = self._together(key.consignee, key.end_user)
        known = self._known.setdefault(base, {})
        for asked, verdicts in known.items():
            if (found := verdicts.get(tuple(getattr(facts, name) for name in asked))) is not None:
                return found
        verdict = self._judged(key)
        answers = tuple(getattr(facts, name) for name in verdict.asked)
        known.setdefault(verdict.asked, {})[answers] = verdict
        return verdict

    def _together(self, consignee: int, end_user: int) -> PartyFacts:
        pair = consignee, end_user
        if pair not in self._pairs:
            one, other = (self.parties.signature(number) for number in pair)
            assert isinstance(one, PartyFacts)
            assert isinstance(other, PartyFacts)
            self._pairs[pair] = one.together(other)
        return self._pairs[pair]

    def _judged(self, key: CaseKey) -> Verdict:
        law = self.laws[key.law]
        country: str = self.places.example(key.place, law.place)
        consignee: Profile = self.parties.example(key.consignee, law.party)
        end_user: Profile = self.parties.example(key.end_user, law.party)
        members: tuple[Classification, ...] = self.chips.example(key.chip, law.chip)
        case = Case(
            destination=country,
            origin=_origin(MOVEMENTS[key.movement], country),
            parties=(
                consignee.as_party("the consignee", CONSIGNEE),
                end_user.as_party("the end user", END_USER),
            ),
            exporter_role=EXPORTER_ROLES[key.exporter],
        )
        return family_verdict({str(i): chip for i, chip in enumerate(members)}, case, law.rules)


def over(found: Sequence[Verdict]) -> Verdict:
    """The verdict of a line that may have left in any of several stretches of days, by the verdict of each in order."""
    days = {date.min + i * DAY: one for i, one in enumerate(found)}
    told = list(stretches(days).values())
    if len(told) == 1:
        return told[0]
    return common_verdict({str(i): one for i, one in enumerate(told)}, told[0].on, "the day it left")


def _alive(book: RuleBook, day: date) -> Hashable:
    """Which memberships and aliases of country groups hold on a day."""
    return tuple(m.period.holds(day) for m in (*book.memberships, *book.aliases))


def _origin(movement: str, destination: str) -> str:
    """An origin that makes the movement of this kind. Any other of the kind is judged alike."""
    if movement in ("inside us", "export"):
        return "US"
    if movement == "in-country":
        return destination
    return ""


def movement_code(origin: str, destination: str) -> int:
    """The code of a movement, as the database computes it."""
    if not destination:
        return 0
    if destination == "US":
        return 1 if origin == "US" else 2
    if origin == destination:
        return 3
    return 4 if origin == "US" else 5
