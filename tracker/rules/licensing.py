"""Whether a movement needed a licence on the day it left: the licence matrix, read row by row.

The matrix is data (``seeds/rules``). This module only asks each row, in order, whether it fits, and forks
wherever a fact that the row needs is not known. If every branch ends in the same answer, that is the
answer; if not, the answer is *undetermined* and names the facts on which the branches part. So an unknown
headquarters does not matter for an H100 sent to China, and does for one sent to Singapore.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tracker.rules.classify import NONE, Classification
from tracker.rules.parameters import MARKETED, NOT_MARKETED, Condition, MatrixRow, RuleSet, Status

HQ_SET = "macau_or_d5"
"""Country set of the headquarters test (742.6(a)(6)(iii), 744.23(a)(3)): Macau or Country Group D:5."""
AFFILIATES_RULE = "US-AFFILIATES-2025"

REQUIRED = "required"
NOT_REQUIRED = "not_required"
UNDETERMINED = "undetermined"

NO_LICENCE = "NO_LICENCE"
EXCEPTION = "EXCEPTION"
LICENCE = "LICENCE"
UNKNOWN = "UNKNOWN"
HUMAN_REVIEW = "HUMAN_REVIEW"
DECISIONS = (NO_LICENCE, EXCEPTION, LICENCE, UNKNOWN, HUMAN_REVIEW)
"""What comes out for a movement: no licence is needed; a licence exception is open to it (with its conditions); a licence is
needed; a fact is missing that a record could supply; or only a person can say (law that nobody has confirmed, sources that
disagree, a screening match nobody has decided, conditions that no ledger records)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry on a list of restricted parties, as it stood on the shipping date: which list, under which
    citation."""

    list_name: str
    citation: str = ""
    footnote: str = ""


CONSIGNEE, END_USER = "ultimate consignee", "end user"
"""The roles that approvals of Supp. No. 8 to part 740 ask for. The exporter is none of the parties that the paragraphs on lists
and headquarters name (744.11, 744.23(a)(3)), so it is not handed over as one."""


@dataclass(frozen=True, slots=True)
class Party:
    """Someone in the transaction, as of the shipping date.

    ``hq``: country of its headquarters, empty when not known. ``parent_hqs``: headquarters of its ultimate
    parents (an empty text in it means one of them is not known); None when the ultimate parents themselves
    are not known. A party that is its own ultimate parent has ``parent_hqs=(hq,)``. ``affiliation``:
    answer of ``organizations.ownership.affiliation``. ``approved``: named on the list of approved entities
    of the destination (Supp. 8 for the UAE); None when not known.
    ``listing_question``: why it is not known whether it was listed that day (an entry without its day, say);
    ``screening_question``: a possible match with a list that nobody has decided; both empty when there is none.
    """

    name: str
    role: str = END_USER  # purchaser, intermediate consignee, ultimate consignee, end user
    hq: str = ""
    parent_hqs: tuple[str, ...] | None = None
    listings: tuple[Listing, ...] = ()
    listing_question: str = ""
    screening_question: str = ""
    affiliation: str | None = None
    approved: bool | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification under License Exception NAC: the day it was made and what came back (``cleared`` or
    ``refused``)."""

    made_on: date | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One movement, cut down to what the rules ask. Countries are ISO 3166 codes, empty when not known.

    ``subject_to_ear`` overrules the reading of jurisdiction from vendor and origin where somebody knows
    better. ``exporter_role``: ``front_end_fabricator`` or ``osat`` where the exporter is known to be one.
    ``aboard_on``: the day the goods were on dock or aboard, where known; savings clauses ask for it.
    """

    destination: str
    origin: str = ""
    parties: tuple[Party, ...] = ()
    notice: Notice | None = None
    subject_to_ear: bool | None = None
    exporter_role: str = ""
    aboard_on: date | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One end of the reading: the row that fitted, given what was supposed of the unknown facts on the
    way."""

    answer: str
    decision: str
    result: str
    policy: str
    reason: str
    rule_ids: tuple[str, ...]
    citations: tuple[str, ...]
    sources: tuple[str, ...]
    supposing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one movement on one day.

    ``answer``: ``required``, ``not_required`` or ``undetermined``, given what is recorded. ``decision``: one of
    :data:`DECISIONS`; an exception that is open stays EXCEPTION while its notice is not recorded, though the answer
    is then undetermined. ``result``: LICENCE, NO_LICENCE, NO_LICENCE_FOR_CLASS, NO_LICENCE_IN_PRACTICE,
    NOT_AN_EXPORT, NOT_SUBJECT, NAC, ACA, LICENCE_OR_HBM_EXCEPTION, OTHER_EMBARGO, IN_COUNTRY,
    GENERAL_PROHIBITION_10, or UNKNOWN when the outcomes differ in their answer. ``missing`` is never empty when
    undetermined; ``for_a_person`` are those of them that no record settles. ``outcomes`` holds every end of the
    reading, so that a reader sees what would follow from what. ``dormant``: rows that would have decided otherwise
    had their rule been in force (stayed, not enforced). ``asked``: which facts about parties the reading looked at (hq,
    listed, affiliate, approved); of two cases that differ in other facts only, the verdict is the same.
    """

    on: date
    answer: str
    decision: str
    result: str
    policy: str
    level: str
    missing: tuple[str, ...]
    reasons: tuple[str, ...]
    rule_ids: tuple[str, ...]
    citations: tuple[str, ...]
    sources: tuple[str, ...]
    assumptions: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    for_a_person: tuple[str, ...] = ()
    dormant: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A fact a row needs and nobody knows: ``key`` names it, ``label`` says it to a person.

    ``negated``: the row wants the fact not to be so. ``person``: no record could settle it.
    """

    key: str
    label: str
    negated: bool = False
    person: bool = False


_Fact = bool | _Unknown
_Reading = tuple[list[Outcome], frozenset[str]]


def verdict(classification: Classification, case: Case, rules: RuleSet) -> Verdict:
    """Whether ``case`` needed a licence on the day of ``rules`` (the shipping date).

    The rows of ``rules.matrix`` are read in order; the first that fits decides. Nothing is guessed except
    what ``assumptions`` of the answer says. A destination that is not known is always undetermined,
    because embargoes depend on it alone.
    """
    if not case.destination:
        reader, outcomes = None, [_unknown_destination()]
        missing = frozenset(outcomes[0].missing)
    else:
        reader = _Reader(classification, case, rules)
        outcomes, missing = _by_item(reader)
    return _combined(rules.on, outcomes, missing, case, classification, rules, reader)


def _by_item(reader: _Reader) -> _Reading:
    """Read the matrix once per class the chip may have; the class is missing only if it makes a
    difference."""
    readings = [reader.read(0, {}, item) for item in reader.items]
    ends = {frozenset((outcome.answer, outcome.decision) for outcome in outcomes) for outcomes, _ in readings}
    missing = frozenset().union(*(missing for _, missing in readings))
    if len(ends) > 1:
        missing |= _class_missing(reader.classification)
    return [outcome for outcomes, _ in readings for outcome in outcomes], missing


def _class_missing(classification: Classification) -> frozenset[str]:
    names = set(classification.missing)
    if classification.datacenter is None and classification.possible != (NONE,):
        names.add("datacenter_marketed")
    return frozenset(f"chip parameter {name}" for name in names)


def item_codes(classification: Classification, matrix: Iterable[MatrixRow]) -> tuple[str, ...]:
    """The codes under which rows of the matrix may speak of the chip, all that are possible.

    A level is one code (``b``), unless rows tell chips marketed for data centers from others: then it is
    ``a-datacenter``, ``a-other``, or both where that is not known.
    """
    told_apart = {item for row in matrix for item in row.items if item.endswith((MARKETED, NOT_MARKETED))}
    codes: list[str] = []
    for level in classification.possible:
        split = {MARKETED: level + MARKETED, NOT_MARKETED: level + NOT_MARKETED}
        if told_apart.isdisjoint(split.values()):
            codes.append(level)
            continue
        if classification.datacenter is not False:
            codes.append(split[MARKETED])
        if classification.datacenter is not True:
            codes.append(split[NOT_MARKETED])
    return tuple(codes)


def _unknown_destination() -> Outcome:
    return Outcome(
        answer=UNDETERMINED,
        decision=UNKNOWN,
        result="UNKNOWN",
        policy="",
        reason="The destination country is not recorded.",
        rule_ids=(),
        citations=(),
        sources=(),
        missing=("destination country",),
    )


class _Reader:
    """The facts of one case, asked row by row."""

    def __init__(self, classification: Classification, case: Case, rules: RuleSet) -> None:
        self.classification = classification
        self.case = case
        self.rules = rules
        self.movement = movement_kind(case)
        self.items = item_codes(classification, rules.matrix)
        self.for_a_person: set[str] = set()
        self.remarks: set[str] = set()
        self.asked: set[str] = set()
        self.dormant: dict[int, str] = {}

    def read(self, start: int, supposed: Mapping[str, bool], item: str) -> _Reading:
        """Outcomes from row ``start`` on, with the facts on which their answers depend."""
        for index in range(start, len(self.rules.matrix)):
            row = self.rules.matrix[index]
            fits = self._fits(row, supposed, item)
            if isinstance(fits, _Unknown):
                return self._forked(index, fits, supposed, item)
            if fits:
                outcome = self._outcome(row, supposed, item)
                return [outcome], frozenset(outcome.missing)
        return [self._default(supposed, item)], frozenset()

    def _forked(self, index: int, fact: _Unknown, supposed: Mapping[str, bool], item: str) -> _Reading:
        with_it, missing_with = self.read(index, {**supposed, fact.key: True}, item)
        without, missing_without = self.read(index, {**supposed, fact.key: False}, item)
        differ = {(o.answer, o.decision) for o in with_it} != {(o.answer, o.decision) for o in without}
        if fact.person:
            self.for_a_person.add(fact.label)
        return with_it + without, missing_with | missing_without | (
            frozenset({fact.label}) if differ else frozenset()
        )

    def _fits(self, row: MatrixRow, supposed: Mapping[str, bool], item: str) -> _Fact:
        """Whether the row is about this case. Something surely wrong beats something unknown: it saves a
        needless question."""
        level = item.removesuffix(MARKETED).removesuffix(NOT_MARKETED)
        if (row.items and item not in row.items and level not in row.items) or (
            row.movements and self.movement not in row.movements
        ):
            return False
        live = self._asked(self._live(row), supposed)
        if live is False and not self._sleeps(row):
            return False
        unknown = live if isinstance(live, _Unknown) else None
        for ask in (
            self._place,
            self._vendor,
            self._subject,
            self._letter,
            self._presumption,
            self._exporter,
            self._party,
            self._when,
        ):
            fact = self._asked(ask(row), supposed)
            if isinstance(fact, _Unknown):
                unknown = unknown or fact
            elif not fact:
                return False
        if live is False:
            if unknown is None:
                self.dormant.setdefault(row.order, self._dormant(row))
            return False
        if self._saved(row):
            return False
        return unknown or True

    @staticmethod
    def _asked(fact: _Fact, supposed: Mapping[str, bool]) -> _Fact:
        """The fact, or what was supposed of it on the way here."""
        if isinstance(fact, _Unknown) and fact.key in supposed:
            return supposed[fact.key] is not fact.negated
        return fact

    def _live(self, row: MatrixRow) -> _Fact:
        if not row.rule:
            return True
        status = self.rules.status(row.rule)
        if status == Status.UNCONFIRMED:
            return _Unknown(
                f"confirmed {row.rule}",
                f"confirmation that {row.rule} applies on {self.rules.on.isoformat()}",
                person=True,
            )
        return status == Status.ACTIVE

    def _sleeps(self, row: MatrixRow) -> bool:
        """Whether the rule of a row is law that is stayed or not enforced, rather than no law of that day."""
        return self.rules.status(row.rule) in (Status.STAYED, Status.NOT_ENFORCED)

    def _dormant(self, row: MatrixRow) -> str:
        policy = f", {row.policy}" if row.policy else ""
        return (
            f"{row.rule} is {self.rules.status(row.rule)} on {self.rules.on.isoformat()}; in force it would say: "
            f"{row.words}: {row.result}{policy}."
        )

    def _saved(self, row: MatrixRow) -> bool:
        """Whether a savings clause lets these goods finish their journey. It is for whoever relies on it to show that they
        were under way, so a day on dock or aboard that nobody recorded saves nothing; the verdict says so."""
        rule = self.rules.rule(row.rule)
        if rule is None or rule.savings is None or not rule.saves_on(self.rules.on):
            return False
        by, aboard = rule.savings.aboard_by, self.case.aboard_on
        if aboard is None:
            self.remarks.add(
                f"The savings clause of {row.rule} for goods on dock or aboard on {by.isoformat()} is not applied: "
                "no record says that these were."
            )
        return aboard is not None and aboard <= by

    def _place(self, row: MatrixRow) -> _Fact:
        groups, country = self.rules.groups, self.case.destination
        if row.not_destinations and (outside := groups.holds_any(country, row.not_destinations)) is not False:
            names = ", ".join(row.not_destinations)
            return (
                False
                if outside
                else _Unknown(
                    f"place {names}", f"whether {country} belongs to {names}", negated=True, person=True
                )
            )
        if not row.destinations:
            return True
        inside = groups.holds_any(country, row.destinations)
        names = ", ".join(row.destinations)
        return (
            _Unknown(f"place {names}", f"whether {country} belongs to {names}", person=True)
            if inside is None
            else inside
        )

    def _vendor(self, row: MatrixRow) -> _Fact:
        if not row.vendor_hq:
            return True
        vendor = self.classification.vendor_hq
        inside = self.rules.groups.holds(vendor, row.vendor_hq)
        if inside is None:
            return _Unknown(f"vendor {row.vendor_hq}", "headquarters of the chip's vendor")
        return inside

    def _subject(self, row: MatrixRow) -> _Fact:
        """US-designed chips and goods leaving the US are subject to the EAR; others if they are a direct
        product (734.9(h))."""
        if row.jurisdiction == "any" or self.case.subject_to_ear:
            return True
        if self.case.subject_to_ear is False:
            return False
        vendor = self.classification.vendor_hq
        if vendor == "US" or self.case.origin == "US":
            return True
        who = (
            f"a vendor with headquarters in {vendor}"
            if vendor
            else "a vendor whose headquarters is not known"
        )
        return _Unknown(
            "subject",
            f"whether the chip, designed by {who}, is subject to the EAR as a direct product of US technology (15 CFR 734.9(h))",
            person=bool(vendor),
        )

    def _letter(self, row: MatrixRow) -> _Fact:
        return self._hit("letter", row.letter)

    def _presumption(self, row: MatrixRow) -> _Fact:
        return self._hit("presumption", row.presumption)

    def _hit(self, kind: str, rule_id: str) -> _Fact:
        """Whether the test of ``rule_id`` beside the classes names the chip; True where the row asks for none."""
        if not rule_id:
            return True
        hit = next((hit for hit in self.classification.of_kind(kind) if hit.rule_id == rule_id), None)
        if hit is None:
            return False
        if hit.truth is None:
            names = ", ".join(hit.missing)
            return _Unknown(f"{kind} {rule_id}", f"chip parameter {names} ({kind} {rule_id})")
        return hit.truth

    def _exporter(self, row: MatrixRow) -> _Fact:
        """A role that nobody recorded is not presumed: the row speaks of makers, and most exporters are none."""
        return not row.exporter_roles or self.case.exporter_role in row.exporter_roles

    def _party(self, row: MatrixRow) -> _Fact:
        if row.party == "any":
            return True
        negated, kind = row.party.startswith("not "), row.party.removeprefix("not ")
        self.asked.add(kind)
        if kind == "listed":
            fact = self._listed(row)
        else:
            fact = {"hq": self._hq, "affiliate": self._affiliate, "approved": self._approved}[kind]()
        if isinstance(fact, _Unknown):
            return replace(fact, negated=negated)
        return fact is not negated

    def _hq(self) -> _Fact:
        """Whether any party, or any ultimate parent of one, has its headquarters in Macau or Country Group
        D:5."""
        if not self.case.parties:
            return _Unknown("hq", "parties to the transaction and where their headquarters are")
        unknown: list[str] = []
        for party in self.case.parties:
            places = [("headquarters", party.hq)]
            places += [("headquarters of the ultimate parent", hq) for hq in party.parent_hqs or ()]
            for what, country in places:
                inside = self.rules.groups.holds(country, HQ_SET)
                if inside:
                    return True
                if inside is None:
                    where = f" ({country}: sources disagree)" if country else ""
                    unknown.append(f"{what} of {party.name}{where}")
            if party.parent_hqs is None or not party.parent_hqs:
                unknown.append(f"ultimate parent of {party.name} and its headquarters")
        return _Unknown("hq", "; ".join(dict.fromkeys(unknown))) if unknown else False

    def _listed(self, row: MatrixRow) -> _Fact:
        """Whether a party is on one of the row's lists under one of its footnotes (any, where it names none)."""
        if any(self._of(row, entry) for party in self.case.parties for entry in party.listings):
            return True
        undated = [party.listing_question for party in self.case.parties if party.listing_question]
        undecided = [party.screening_question for party in self.case.parties if party.screening_question]
        if not undated and not undecided:
            return False
        return _Unknown(f"listed {row.lists} {row.footnotes}" if row.lists or row.footnotes else "listed",
                        "; ".join((*undated, *undecided)), person=not undated)  # fmt: skip

    @staticmethod
    def _of(row: MatrixRow, entry: Listing) -> bool:
        return (not row.lists or entry.list_name in row.lists) and (
            not row.footnotes or entry.footnote in row.footnotes
        )

    def _affiliate(self) -> _Fact:
        found = [party.affiliation or "" for party in self.case.parties]
        if any(text.startswith("affiliate") for text in found):
            return True
        unsure = [
            p.name for p in self.case.parties if (p.affiliation or "").startswith("ownership not known")
        ]
        return _Unknown("affiliate", f"shares of listed owners in {', '.join(unsure)}") if unsure else False

    def _approved(self) -> _Fact:
        """Ultimate consignee and every end user must be approved; who is not recorded cannot be."""
        asked = [p for p in self.case.parties if p.role in (CONSIGNEE, END_USER)]
        if any(party.approved is False for party in asked):
            return False
        if asked and all(party.approved for party in asked) and any(p.role == END_USER for p in asked):
            return True
        return _Unknown(
            "approved",
            "whether the ultimate consignee and every end user are approved entities (Supp. No. 8 to part 740)",
        )

    def _when(self, row: MatrixRow) -> _Fact:
        if row.when is None:
            return True
        answer = row.when.evaluate(self.classification.values)
        if answer.truth is None:
            return _Unknown(f"when {row.when.text}", f"chip parameter {', '.join(answer.missing)}")
        return answer.truth

    def _outcome(self, row: MatrixRow, supposed: Mapping[str, bool], item: str) -> Outcome:
        answer, missing, remark = self._conditions(row)
        rule = self.rules.rule(row.rule)
        citation = row.citation or (rule.citation if rule else "")
        since = f", in force since {row.period.start.isoformat()}" if row.period.start else ""
        named = [
            e for p in self.case.parties for e in p.listings if row.party == "listed" and self._of(row, e)
        ]
        lists = tuple(f"{entry.list_name}: {entry.citation or 'citation not recorded'}" for entry in named)
        reason = f"{row.words} ({citation}{since}): {row.result}"
        reason += f", {row.policy}." if row.policy else "."
        return Outcome(
            answer=answer,
            decision=_decision(row, answer),
            result=row.result,
            policy=row.policy,
            reason=" ".join(filter(None, [reason, remark, "; ".join(lists)])),
            rule_ids=tuple(
                dict.fromkeys(filter(None, (row.rule, row.letter, row.exception, row.presumption)))
            ),
            citations=tuple(filter(None, (citation, *lists))),
            sources=rule.sources if rule else (),
            supposing=_supposing(supposed, item),
            missing=missing,
        )

    def _conditions(self, row: MatrixRow) -> tuple[str, tuple[str, ...], str]:
        """Answer after the row's conditions, what they still miss, and a remark."""
        for condition in row.conditions:
            if condition.kind == "notice":
                return _noticed(self.case.notice, condition, self.rules.on)
            self.for_a_person.add(condition.words)
            return UNDETERMINED, (condition.words,), ""
        return row.answer, (), ""

    def _default(self, supposed: Mapping[str, bool], item: str) -> Outcome:
        if supposed.get("subject") is False or self.case.subject_to_ear is False:
            result, reason = (
                "NOT_SUBJECT",
                "The chip is not subject to the EAR, so no row of the licence matrix reaches it.",
            )
        else:
            result, reason = (
                "NO_LICENCE",
                f"No row of the licence matrix of {self.rules.on.isoformat()} fits this movement.",
            )
        return Outcome(
            answer=NOT_REQUIRED,
            decision=NO_LICENCE,
            result=result,
            policy="",
            reason=reason,
            rule_ids=(),
            citations=(),
            sources=(),
            supposing=_supposing(supposed, item),
        )


def _decision(row: MatrixRow, answer: str) -> str:
    """What one row comes to, after its conditions. A notice that is only not recorded leaves the exception open; one
    that came late or was refused does not."""
    if answer == REQUIRED:
        return LICENCE
    if row.exception:
        return EXCEPTION
    return NO_LICENCE if answer == NOT_REQUIRED else HUMAN_REVIEW


def movement_kind(case: Case) -> str:
    """``inside us``, ``to us``, ``in-country``, ``export`` (from the US) or ``reexport`` (also where the
    origin is not known)."""
    if case.destination == "US":
        return "inside us" if case.origin == "US" else "to us"
    if case.origin == case.destination:
        return "in-country"
    return "export" if case.origin == "US" else "reexport"


def _noticed(notice: Notice | None, condition: Condition, on: date) -> tuple[str, tuple[str, ...], str]:
    latest = on - timedelta(days=condition.days)
    if notice and notice.answer == "refused":
        return REQUIRED, (), "The notification was answered: licence required."
    if notice is None or notice.made_on is None:
        return (
            UNDETERMINED,
            (f"{condition.words}, made on or before {latest.isoformat()}, and the answer to it",),
            "",
        )
    if notice.made_on > latest:
        return (
            REQUIRED,
            (),
            f"The notification of {notice.made_on.isoformat()} came after {latest.isoformat()}.",
        )
    if notice.answer != "cleared":
        return UNDETERMINED, (f"answer to the notification of {notice.made_on.isoformat()}",), ""
    return NOT_REQUIRED, (), f"Notification of {notice.made_on.isoformat()} cleared."


def _supposing(supposed: Mapping[str, bool], item: str) -> tuple[str, ...]:
    return (f"item {item}", *(f"{key}: {'yes' if value else 'no'}" for key, value in supposed.items()))


def _combined(
    on: date,
    outcomes: list[Outcome],
    missing: frozenset[str],
    case: Case,
    classification: Classification,
    rules: RuleSet,
    reader: _Reader | None,
) -> Verdict:
    answers = {outcome.answer for outcome in outcomes}
    answer = answers.pop() if len(answers) == 1 else UNDETERMINED
    results = dict.fromkeys(outcome.result for outcome in outcomes)
    settled = answer != UNDETERMINED or len(results) == 1
    named = tuple(sorted(missing)) if answer == UNDETERMINED else ()
    person = tuple(name for name in named if reader and name in reader.for_a_person)
    return Verdict(
        on=on,
        answer=answer,
        decision=_decided((outcome.decision for outcome in outcomes), named, person),
        result=" or ".join(results) if settled else "UNKNOWN",
        policy=" or ".join(dict.fromkeys(outcome.policy for outcome in outcomes if outcome.policy))
        if settled
        else "",
        level=classification.level,
        missing=named,
        reasons=(
            *_class_reason(classification),
            *dict.fromkeys(o.reason for o in outcomes),
            *_flags(case, rules),
        ),
        rule_ids=_merged(o.rule_ids for o in outcomes),
        citations=_merged(o.citations for o in outcomes),
        sources=_merged(o.sources for o in outcomes),
        assumptions=(*_assumptions(case), *(sorted(reader.remarks) if reader else ())),
        outcomes=tuple(outcomes),
        for_a_person=person,
        dormant=tuple(reader.dormant[order] for order in sorted(reader.dormant)) if reader else (),
        asked=tuple(sorted(reader.asked)) if reader else (),
    )


def _decided(decisions: Iterable[str], missing: Collection[str], person: Collection[str]) -> str:
    """One decision for several ends: the one they share; a question for a person where every missing fact is one;
    else a fact is missing that a record could supply."""
    found = set(decisions)
    if len(found) == 1:
        return found.pop()
    return HUMAN_REVIEW if missing and set(missing) <= set(person) else UNKNOWN


def _class_reason(classification: Classification) -> tuple[str, ...]:
    """How the chip was classified, in one sentence with the numbers that decided."""
    if classification.level == "undetermined":
        levels = " or ".join(classification.possible)
        return (f"Class {levels}: not decided for want of {', '.join(classification.missing)}.",)
    if classification.level == "none":
        return ("The chip meets no class of control in force on that day.",)
    lines = [line.text for line in classification.derivation if line.paragraph == classification.paragraph]
    figure = f"; {classification.tpp.derivation}" if classification.tpp else ""
    return (f"{classification.eccn}, {classification.paragraph} ({' and '.join(lines)}{figure}).",)


def _flags(case: Case, rules: RuleSet) -> tuple[str, ...]:
    """Ownership remarks that stay visible although they may decide nothing."""
    status = rules.status(AFFILIATES_RULE)
    return tuple(
        f"{party.name}: {party.affiliation} ({AFFILIATES_RULE} is {status} on {rules.on.isoformat()})."
        for party in case.parties
        if party.affiliation and party.affiliation != "listed"
    )


def _assumptions(case: Case) -> tuple[str, ...]:
    if not case.origin and case.destination not in ("", "US"):
        return ("The country of origin is not recorded; read as a movement across a border.",)
    if {case.origin, case.destination} == {"CN", "HK"}:
        return ("Hong Kong counts as China; the movement between them is read like a reexport to China.",)
    return ()


def _merged(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group))


def common_verdict(
    verdicts: Mapping[str, Verdict], on: date, what: str = "which member of the family it is"
) -> Verdict:
    """One verdict for a family of chips: what all members share, else undetermined naming the members that
    differ.

    ``verdicts`` by member, in the order to be shown; empty when the members are not known. Serves a vague
    shipping date as well (``what="the day it left"``, one verdict per stretch of law). ``on`` is the day
    the answer is dated with.
    """
    answers = {verdict.answer for verdict in verdicts.values()}
    levels = {verdict.level for verdict in verdicts.values()}
    answer = answers.pop() if len(answers) == 1 else UNDETERMINED
    missing = _merged(verdict.missing for verdict in verdicts.values())
    if len({verdict.answer for verdict in verdicts.values()}) != 1:
        told = "; ".join(f"{member}: {verdict.answer}" for member, verdict in verdicts.items())
        missing = (f"{what} ({told or 'members not known'})", *missing)
    results = dict.fromkeys(verdict.result for verdict in verdicts.values())
    person = _merged(verdict.for_a_person for verdict in verdicts.values())
    settled = answer != UNDETERMINED or len(results) == 1
    decision = _decided((verdict.decision for verdict in verdicts.values()), missing, person)
    return Verdict(
        on=on,
        answer=answer,
        decision=decision if verdicts else UNKNOWN,
        result=" or ".join(results) if settled else "UNKNOWN",
        policy=" or ".join(dict.fromkeys(v.policy for v in verdicts.values() if v.policy)) if settled else "",
        level=levels.pop() if len(levels) == 1 else "undetermined",
        missing=missing if answer == UNDETERMINED else (),
        reasons=tuple(
            f"{member}: {reason}" for member, verdict in verdicts.items() for reason in verdict.reasons
        ),
        rule_ids=_merged(verdict.rule_ids for verdict in verdicts.values()),
        citations=_merged(verdict.citations for verdict in verdicts.values()),
        sources=_merged(verdict.sources for verdict in verdicts.values()),
        assumptions=_merged(verdict.assumptions for verdict in verdicts.values()),
        outcomes=tuple(outcome for verdict in verdicts.values() for outcome in verdict.outcomes),
        for_a_person=person if answer == UNDETERMINED else (),
        dormant=_merged(verdict.dormant for verdict in verdicts.values()),
        asked=tuple(sorted({kind for verdict in verdicts.values() for kind in verdict.asked})),
    )
