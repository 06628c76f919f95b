"""The law as pages show it: each rule with its tests in words and numbers, its days, what rests on it, and the chips it
catches. Everything is read off the rule book; nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker.rules.classify import Classification
from tracker.rules.expressions import Expression
from tracker.rules.parameters import PARAMETERS, MatrixRow, Membership, Rule, RuleBook, Status
from tracker.rules.timeline import NAME, comparison_words, figure

VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a record with what is inside it: ``label`` is empty for the entries of a list."""

    label: str
    text: str
    inside: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparing:
    """One comparison of a test: parameter or sum of them, what it means, unit, comparison, threshold."""

    name: str
    meaning: str
    unit: str
    comparison: str
    threshold: str


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a rule. ``place``: what it decides, e.g. ``level a, 3A090.a.1``; ``note``: item numbers or words."""

    place: str
    note: str
    text: str
    comparisons: tuple[Comparing, ...]


@dataclass(frozen=True, slots=True)
class Catch:
    """What a rule makes of one chip on a day. ``how``: by which of its tests; ``missing``: what keeps that open, empty where
    it is certain. ``tpp`` and ``derivation`` are of the preferred specification, empty where it gives no rate."""

    chip: str
    level: str
    how: str
    tpp: str
    derivation: str
    comparisons: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowInWords:
    """A row of the licence matrix: ``facts`` are the fields that narrow it, each with its label."""

    row: MatrixRow
    role: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One version of one rule in the table of all rules, with what it does ``today``."""

    rule: Rule
    status: Status
    standing: str
    is_verified: bool
    replaced_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a rule with all that its page shows."""

    line: RuleLine
    tests: tuple[Test, ...]
    structures: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class RulePage:
    """A rule for its page: all versions, the latest first; ``on``: the day for which chips are asked, ``status``: what the
    rule does on it; ``caught`` and ``open``: chips of that day, certain and not."""

    rule_id: str
    versions: tuple[RuleVersion, ...]
    rows: tuple[RowInWords, ...]
    on: date
    status: Status
    caught: tuple[Catch, ...]
    open: tuple[Catch, ...]

    @property
    def has_tests(self) -> bool:
        return any(version.tests for version in self.versions)


def standing(rule: Rule, day: date) -> str:
    """What a rule does on a day, in words: ``in force``, ``stayed until 2026-11-09``, ``UNCONFIRMED``, ``ended 2023-11-16``."""
    status = rule.status_on(day)
    if status == Status.NOT_IN_FORCE:
        if rule.period.start and rule.period.start > day:
            return f"not yet: from {rule.period.start}"
        return f"ended {rule.period.last}"
    interval = rule.interval_on(day)
    until = f" until {interval.period.last}" if interval and interval.period.last else ""
    match status:
        case Status.ACTIVE if rule.enforcement in ("in force", "superseded"):
            return "in force" + until
        case Status.ACTIVE:
            return rule.enforcement + until
        case Status.UNCONFIRMED:
            return "UNCONFIRMED" + until
    return f"{status}{until}"


def rule_line(rule: Rule, book: RuleBook, today: date) -> RuleLine:
    later = sorted({other.id for other in book.rules if rule.id in other.supersedes})
    return RuleLine(
        rule, rule.status_on(today), standing(rule, today), rule.verification == VERIFIED, tuple(later)
    )


def rule_lines(book: RuleBook, today: date) -> dict[str, list[RuleLine]]:
    """All versions of all rules by regime, each regime in the order of its days."""
    found: dict[str, list[RuleLine]] = {}
    for rule in sorted(book.rules, key=lambda r: (r.regime, r.period.start or date.min, r.id)):
        found.setdefault(rule.regime, []).append(rule_line(rule, book, today))
    return found


def rule_page(
    rule_id: str, book: RuleBook, classes: Mapping[str, Classification], on: date, today: date
) -> RulePage:
    """The page of a rule. ``classes``: by chip, its class under ``book.on(on)``.

    Raises KeyError where no rule has this id.
    """
    versions = sorted(
        (rule for rule in book.rules if rule.id == rule_id),
        key=lambda r: r.period.start or date.min,
        reverse=True,
    )
    if not versions:
        raise KeyError(rule_id)
    now = next((rule for rule in versions if rule.period.holds(on)), None)
    found = [caught for chip, of in classes.items() if now and (caught := catch(now, chip, of))]
    return RulePage(
        rule_id=rule_id,
        versions=tuple(
            RuleVersion(rule_line(r, book, today), rule_tests(r), structures(r)) for r in versions
        ),
        rows=tuple(rows_of(rule_id, book.matrix)),
        on=on,
        status=now.status_on(on) if now else Status.NOT_IN_FORCE,
        caught=tuple(item for item in found if not item.missing),
        open=tuple(item for item in found if item.missing),
    )


def day_to_show(versions: Iterable[Rule], today: date) -> date:
    """Today, or the last day on which a rule was in force in any of its versions, or its first if that is still to come."""
    periods = [rule.period for rule in versions]
    if any(period.holds(today) for period in periods):
        return today
    past = [period.last for period in periods if period.last and period.last < today]
    return max(past) if past else min((period.start for period in periods if period.start), default=today)


# --- tests ----------------------------------------------------------------------------------------------------------------


def rule_tests(rule: Rule) -> tuple[Test, ...]:
    """Every test of a rule over chip parameters, with its comparisons taken apart."""
    found = []
    for part in rule.classes:
        numbers = "numbers: " + ", ".join(f"{number} ({carrier})" for carrier, number in part.eccn.items())
        found += [
            _test(
                f"level {part.level}: {paragraph.name}",
                "" if index or not part.eccn else numbers,
                paragraph.when,
            )
            for index, paragraph in enumerate(part.paragraphs)
        ]
        if part.scope:
            found.append(_test(f"level {part.level}: scope", "only chips for which this holds", part.scope))
    if rule.letter:
        found.append(_test("letter", f"to {', '.join(rule.addressees) or 'everyone'}", rule.letter))
    if rule.presumption:
        found.append(_test("presumption", "what a maker must presume until it is overcome", rule.presumption))
    found += [_test("band", band.name, band.when) for band in rule.bands]
    return tuple(found)


def _test(place: str, note: str, when: Expression) -> Test:
    # with nothing known every comparison is made and shown, none decided
    parts = [
        Comparing(
            name=part.text if part.operator == "is" else part.text.split(f" {part.operator} ", 1)[0],
            meaning="; ".join(PARAMETERS[name][1] for name in _names(part.text)),
            unit=next((PARAMETERS[name][0] for name in _names(part.text)), ""),
            comparison=part.operator,
            threshold=figure(part.threshold).strip("()"),
        )
        for part in when.evaluate({}).comparisons
    ]
    return Test(place, note, when.text, tuple(dict.fromkeys(parts)))


def _names(text: str) -> list[str]:
    return [name for name in dict.fromkeys(NAME.findall(text)) if name in PARAMETERS]


_STRUCTURES = (
    ("Destinations", "destinations"),
    ("Headquarters", "hq_rule"),
    ("Exceptions", "exceptions"),
    ("Quantity caps", "quantity_caps"),
    ("Further", "more"),
)
_CRITERIA_WORDS = ("in_words", "reading", "note", "definitions", "named")


def structures(rule: Rule) -> tuple[Node, ...]:
    """What a rule says that no test evaluates, as its record has it."""
    criteria = rule.data.get("criteria", {})
    words = {name: criteria[name] for name in _CRITERIA_WORDS if criteria.get(name)}
    found = [node("Criteria in words", words)] if words else []
    return (*found, *(node(label, rule.data[name]) for label, name in _STRUCTURES if rule.data.get(name)))


def node(label: str, value: Any) -> Node:
    """Any mapping, list or plain value of a record as a tree to print."""
    if isinstance(value, Mapping):
        return Node(label, "", tuple(node(str(key).replace("_", " "), inner) for key, inner in value.items()))
    if isinstance(value, list | tuple):
        if (
            all(isinstance(inner, str | int | float) for inner in value)
            and sum(len(str(v)) for v in value) < 80
        ):
            return Node(label, ", ".join(str(inner) for inner in value))
        return Node(label, "", tuple(node("", inner) for inner in value))
    return Node(label, figure(value))


# --- rows of the licence matrix -------------------------------------------------------------------------------------------

_ROLES = (
    ("rule", "rests on it"),
    ("letter", "about the chips that it names"),
    ("presumption", "about the chips that it presumes"),
    ("exception", "opens it as an exception"),
)
_FACTS = (
    ("items", "levels"), ("letter", "chips named by letter"), ("presumption", "chips presumed under"), ("movements", "movements"),
    ("destinations", "to"), ("not_destinations", "not to"), ("party", "party"), ("lists", "on list"),
    ("footnotes", "under footnote"), ("exporter_roles", "exporter is"), ("vendor_hq", "designer with headquarters in"),
    ("when", "where"), ("conditions", "provided"), ("exception", "exception"), ("policy", "policy"),
)  # fmt: skip


def rows_of(rule_id: str, matrix: Iterable[MatrixRow]) -> list[RowInWords]:
    """Rows of the licence matrix that name the rule, in the order in which they are tried, and in what role."""
    found = []
    for row in sorted(matrix, key=lambda r: r.order):
        roles = [words for name, words in _ROLES if getattr(row, name) == rule_id]
        if roles:
            found.append(RowInWords(row, ", ".join(roles), row_facts(row)))
    return found


def row_facts(row: MatrixRow) -> tuple[tuple[str, str], ...]:
    """The fields that narrow a row, in words; those left open mean any and are not listed."""
    facts = [(label, _plain(getattr(row, name))) for name, label in _FACTS]
    if row.jurisdiction != "subject":
        facts.append(("items", "also those not subject to the regulations"))
    return tuple((label, words) for label, words in facts if words and words != "any")


def _plain(value: Any) -> str:
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, tuple):
        return "; ".join(
            part
            if isinstance(part, str)
            else f"{part.words}{f' ({part.days} days before)' if part.days else ''}"
            for part in value
        )
    return str(value or "")


# --- chips ----------------------------------------------------------------------------------------------------------------


def catch(rule: Rule, chip: str, found: Classification) -> Catch | None:
    """What ``rule`` makes of a chip whose class on the day is ``found``; None where its tests leave it alone.

    Where several of its tests hold, the first of class, letter, presumption and bands is named first.
    """
    names = {paragraph.name for part in rule.classes for paragraph in part.paragraphs}
    levels = {part.level for part in rule.classes}
    certain: list[str] = []
    doubted: list[str] = []
    missing: set[str] = set()
    if found.level in levels and found.paragraph in names:
        certain.append(f"level {found.level} under {found.paragraph}")
    elif len(found.possible) > 1 and not levels.isdisjoint(found.possible):
        doubted.append(f"level {' or '.join(found.possible)}")
        missing.update(found.missing)
    hits = [hit for hit in found.hits if hit.rule_id == rule.id and hit.truth is not False]
    for hit in hits:
        (certain if hit.truth else doubted).append(hit.kind + (f": {hit.name}" if hit.name else ""))
        missing.update(hit.missing)
    if not certain and not doubted:
        return None
    ways = {found.paragraph, *(f"scope of level {level}" for level in levels)} if certain else set()
    lines = [
        line
        for line in found.derivation
        if line.rule_id == rule.id and line.paragraph in ways and line.truth is True
    ]
    lines += [line for hit in hits if hit.truth for line in hit.derivation if line.truth is True]
    figures = found.tpp
    return Catch(
        chip=chip,
        level=found.shown_level,
        how="; ".join(certain or doubted),
        tpp=_tpp(found),
        derivation=figures.derivation if figures else "",
        comparisons=tuple(dict.fromkeys(comparison_words(line) for line in lines)),
        missing=() if certain else tuple(sorted(missing)) or ("not recorded which",),
    )


def _tpp(found: Classification) -> str:
    if found.tpp is None:
        return ""
    low, high = found.tpp.low, found.tpp.high
    if high is None:
        return f"at least {figure(low)}"
    return figure(low) if low == high else f"{figure(low)} to {figure(high)}"


# --- what is open ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """What a reader should not take for settled: rules whose status today nobody has confirmed (with those ahead), country
    memberships on which sources disagree, and records whose text was not fully checked."""

    unconfirmed: tuple[RuleLine, ...]
    ahead: tuple[tuple[Rule, date, str], ...]
    contested: tuple[Membership, ...]
    unverified: tuple[RuleLine, ...]
    unverified_rows: tuple[MatrixRow, ...]


def open_questions(book: RuleBook, today: date) -> OpenQuestions:
    lines = [line for regime in rule_lines(book, today).values() for line in regime]
    ahead = [
        (rule, interval.period.start, interval.note)
        for rule in book.rules
        for interval in rule.intervals
        if interval.status == Status.UNCONFIRMED and interval.period.start and interval.period.start > today
    ]
    return OpenQuestions(
        unconfirmed=tuple(line for line in lines if line.status in (Status.UNCONFIRMED, Status.ANNOUNCED)),
        ahead=tuple(sorted(ahead, key=lambda item: (item[1], item[0].id))),
        contested=tuple(
            m for m in book.memberships if m.contested and (not m.period.end or m.period.end > today)
        ),
        unverified=tuple(line for line in lines if not line.is_verified),
        unverified_rows=tuple(row for row in book.matrix if row.verification != VERIFIED),
    )
