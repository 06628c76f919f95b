"""Whether a movement needed a licence on the day it left: the licence matrix, read row by row.

The matrix is data (``seeds/rules``). This module only asks each row, in order, whether it fits, and forks
wherever a fact that the row needs is not known. If every branch ends in the same answer, that is the
answer; if not, the answer is *undetermined* and names the facts on which the branches part. So an unknown
headquarters does not matter for an H100 sent to China, and does for one sent to Singapore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tracker.rules.classify import Classification
from tracker.rules.parameters import Condition, MatrixRow, RuleSet, Status

HQ_SET = "macau_or_d5"
"""Country set of the headquarters test (742.6(a)(6)(iii), 744.23(a)(3)): Macau or Country Group D:5."""
AFFILIATES_RULE = "US-AFFILIATES-2025"

REQUIRED = "required"
NOT_REQUIRED = "not_required"
UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry on a list of restricted parties, as it stood on the shipping date: which list, under which
    citation."""

    list_name: str
    citation: str = ""
    footnote: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """Someone in the transaction, as of the shipping date.

    ``hq``: country of its headquarters, empty when not known. ``parent_hqs``: headquarters of its ultimate
    parents (an empty text in it means one of them is not known); None when the ultimate parents themselves
    are not known. A party that is its own ultimate parent has ``parent_hqs=(hq,)``. ``affiliation``:
    answer of ``organizations.ownership.affiliation``. ``approved``: named on the list of approved entities
    of the destination (Supp. 8 for the UAE); None when not known.
    ``listing_question``: why it is not known whether it was listed that day (an entry without its day, say); empty when
    it is known.
    """

    name: str
    role: str = "end user"  # purchaser, intermediate consignee, ultimate consignee, end user
    hq: str = ""
    parent_hqs: tuple[str, ...] | None = None
    listing: Listing | None = None
    listing_question: str = ""
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
    better.
    """

    destination: str
    origin: str = ""
    parties: tuple[Party, ...] = ()
    notice: Notice | None = None
    subject_to_ear: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One end of the reading: the row that fitted, given what was supposed of the unknown facts on the
    way."""

    answer: str
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

    ``answer``: ``required``, ``not_required`` or ``undetermined``. ``result``: LICENCE, NO_LICENCE,
    NO_LICENCE_FOR_CLASS, NO_LICENCE_IN_PRACTICE, NOT_AN_EXPORT, NOT_SUBJECT, NAC, ACA,
    LICENCE_OR_HBM_EXCEPTION, OTHER_EMBARGO, IN_COUNTRY, GENERAL_PROHIBITION_10, or UNKNOWN when the
    outcomes differ in their answer. ``missing`` is never empty when undetermined. ``outcomes`` holds every
    end of the reading, so that a reader sees what would follow from what.
    """

    on: date
    answer: str
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


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A fact a row needs and nobody knows: ``key`` names it, ``label`` says it to a person.

    ``negated``: the row wants the fact not to be so.
    """

    key: str
    label: str
    negated: bool = False


_Fact = bool | _Unknown
_Reading = tuple[list[Outcome], frozenset[str]]


def verdict(classification: Classification, case: Case, rules: RuleSet) -> Verdict:
    """Whether ``case`` needed a licence on the day of ``rules`` (the shipping date).

    The rows of ``rules.matrix`` are read in order; the first that fits decides. Nothing is guessed except
    what ``assumptions`` of the answer says. A destination that is not known is always undetermined,
    because embargoes depend on it alone.
    """
    if not case.destination:
        outcomes: list[Outcome] = [_unknown_destination()]
        missing = frozenset(outcomes[0].missing)
    else:
        outcomes, missing = _by_item(_Reader(classification, case, rules))
    return _combined(rules.on, classification.level, outcomes, missing, case, classification, rules)


def _by_item(reader: _Reader) -> _Reading:
    """Read the matrix once per class the chip may have; the class is missing only if it makes a
    difference."""
    items = reader.classification.items
    readings = [reader.read(0, {}, item) for item in items]
    answers = {frozenset(outcome.answer for outcome in outcomes) for outcomes, _ in readings}
    missing = frozenset().union(*(missing for _, missing in readings))
    if len(answers) > 1:
        missing |= _class_missing(reader.classification)
    return [outcome for outcomes, _ in readings for outcome in outcomes], missing


def _class_missing(classification: Classification) -> frozenset[str]:
    names = set(classification.missing)
    if classification.datacenter is None and "a" in classification.possible:
        names.add("datacenter_marketed")
    return frozenset(f"chip parameter {name}" for name in names)


def _unknown_destination() -> Outcome:
    return Outcome(
        UNDETERMINED,
        "UNKNOWN",
        "",
        "The destination country is not recorded.",
        (),
        (),
        (),
        (),
        ("destination country",),
    )


class _Reader:
    """The facts of one case, asked row by row."""

    def __init__(self, classification: Classification, case: Case, rules: RuleSet) -> None:
        self.classification = classification
        self.case = case
        self.rules = rules
        self.movement = movement_kind(case)

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
        differ = {o.answer for o in with_it} != {o.answer for o in without}
        return with_it + without, missing_with | missing_without | (
            frozenset({fact.label}) if differ else frozenset()
        )

    def _fits(self, row: MatrixRow, supposed: Mapping[str, bool], item: str) -> _Fact:
        """Whether the row is about this case. Something surely wrong beats something unknown: it saves a
        needless question."""
        if (row.items and item not in row.items) or (row.movements and self.movement not in row.movements):
            return False
        unknown: _Unknown | None = None
        for ask in (
            self._live,
            self._place,
            self._vendor,
            self._subject,
            self._letter,
            self._party,
            self._when,
        ):
            fact = ask(row)
            if isinstance(fact, _Unknown):
                if fact.key not in supposed:
                    unknown = unknown or fact
                    continue
                fact = supposed[fact.key] is not fact.negated
            if not fact:
                return False
        return unknown or True

    def _live(self, row: MatrixRow) -> _Fact:
        if not row.rule:
            return True
        status = self.rules.status(row.rule)
        if status == Status.UNCONFIRMED:
            return _Unknown(
                f"confirmed {row.rule}",
                f"confirmation that {row.rule} applies on {self.rules.on.isoformat()}",
            )
        return status == Status.ACTIVE

    def _place(self, row: MatrixRow) -> _Fact:
        groups, country = self.rules.groups, self.case.destination
        if row.not_destinations and (outside := groups.holds_any(country, row.not_destinations)) is not False:
            names = ", ".join(row.not_destinations)
            return (
                False
                if outside
                else _Unknown(f"place {names}", f"whether {country} belongs to {names}", True)
            )
        if not row.destinations:
            return True
        inside = groups.holds_any(country, row.destinations)
        names = ", ".join(row.destinations)
        return (
            _Unknown(f"place {names}", f"whether {country} belongs to {names}") if inside is None else inside
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
        )

    def _letter(self, row: MatrixRow) -> _Fact:
        if not row.letter:
            return True
        hit = next((hit for hit in self.classification.letters if hit.rule_id == row.letter), None)
        if hit is None:
            return False
        if hit.truth is None:
            names = ", ".join(hit.missing)
            return _Unknown(f"letter {row.letter}", f"chip parameter {names} (letter {row.letter})")
        return hit.truth

    def _party(self, row: MatrixRow) -> _Fact:
        if row.party == "any":
            return True
        negated, kind = row.party.startswith("not "), row.party.removeprefix("not ")
        fact = {
            "hq": self._hq,
            "listed": self._listed,
            "affiliate": self._affiliate,
            "approved": self._approved,
        }[kind]()
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

    def _listed(self) -> _Fact:
        if any(party.listing for party in self.case.parties):
            return True
        questions = [party.listing_question for party in self.case.parties if party.listing_question]
        return _Unknown("listed", "; ".join(questions)) if questions else False

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
        asked = [p for p in self.case.parties if p.role in ("ultimate consignee", "end user")]
        if any(party.approved is False for party in asked):
            return False
        if asked and all(party.approved for party in asked) and any(p.role == "end user" for p in asked):
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
        named = [p.listing for p in self.case.parties if p.listing] if row.party == "listed" else []
        lists = tuple(f"{entry.list_name}: {entry.citation or 'citation not recorded'}" for entry in named)
        reason = f"{row.words} ({citation}{since}): {row.result}"
        reason += f", {row.policy}." if row.policy else "."
        return Outcome(
            answer=answer,
            result=row.result,
            policy=row.policy,
            reason=" ".join(filter(None, [reason, remark, "; ".join(lists)])),
            rule_ids=tuple(filter(None, (row.rule, row.letter if row.letter != row.rule else ""))),
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
        return Outcome(NOT_REQUIRED, result, "", reason, (), (), (), _supposing(supposed, item))


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
    level: str,
    outcomes: list[Outcome],
    missing: frozenset[str],
    case: Case,
    classification: Classification,
    rules: RuleSet,
) -> Verdict:
    answers = {outcome.answer for outcome in outcomes}
    answer = answers.pop() if len(answers) == 1 else UNDETERMINED
    results = dict.fromkeys(outcome.result for outcome in outcomes)
    settled = answer != UNDETERMINED or len(results) == 1
    return Verdict(
        on=on,
        answer=answer,
        result=" or ".join(results) if settled else "UNKNOWN",
        policy=" or ".join(dict.fromkeys(outcome.policy for outcome in outcomes if outcome.policy))
        if settled
        else "",
        level=level,
        missing=tuple(sorted(missing)) if answer == UNDETERMINED else (),
        reasons=(
            *_class_reason(classification),
            *dict.fromkeys(o.reason for o in outcomes),
            *_flags(case, rules),
        ),
        rule_ids=_merged(o.rule_ids for o in outcomes),
        citations=_merged(o.citations for o in outcomes),
        sources=_merged(o.sources for o in outcomes),
        assumptions=_assumptions(case),
        outcomes=tuple(outcomes),
    )


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
    return Verdict(
        on=on,
        answer=answer,
        result=" or ".join(results) if answer != UNDETERMINED or len(results) == 1 else "UNKNOWN",
        policy=" or ".join(dict.fromkeys(v.policy for v in verdicts.values() if v.policy))
        if answer != UNDETERMINED
        else "",
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
    )
