"""What one row of a table is under the rules of its day, with the reasons in one line.

A :class:`Row` is what somebody's table says of a chip; an :class:`Answer` adds its level, its number, what a shipment of it
from the United States to China would need, and why. How rows are read from files: :mod:`tracker.rules.table`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tracker.chips.specs import ChipSpec
from tracker.core.interval import Interval
from tracker.rules.cells import Days
from tracker.rules.classify import (
    LETTER,
    NONE,
    UNDETERMINED,
    Classification,
    DerivationLine,
    Hit,
    classify,
)
from tracker.rules.expressions import Value
from tracker.rules.licensing import EXCEPTION, LICENCE, Case, Party, Verdict, verdict
from tracker.rules.parameters import RuleBook, RuleSet

ORIGIN, DESTINATION = "US", "CN"


@dataclass(frozen=True, slots=True)
class Vendor:
    """A firm as the ledger knows it: slug, usual name and ISO 3166 code of its headquarters."""

    slug: str
    name: str
    country: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says. ``days``: first and last day that are meant, None where no date is given. ``vendor``: the text of the
    cell, ``firm`` whom it names where that is known. ``figure``: how a TPP came about that was not given as such; ``notes``: how
    the row was read."""

    spec: ChipSpec
    days: Days | None
    vendor: str = ""
    firm: Vendor | None = None
    figure: str = ""
    notes: tuple[str, ...] = ()


NOBODY = "-"
"""Vendor of a chip whose vendor is not named or not known: no letter is addressed to it."""


# --- the law of a day ---------------------------------------------------------------------------------------------------


class DailyLaw:
    """The rule sets of a rule book, each stretch of days without a change made once."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self._changes = book.change_days()
        self._sets: dict[int, RuleSet] = {}

    def on(self, day: date) -> RuleSet:
        stretch = bisect_right(self._changes, day)
        if stretch not in self._sets:
            self._sets[stretch] = self.book.on(day)
        found = self._sets[stretch]
        return found if found.on == day else replace(found, on=day)

    def days_of_change(self, first: date, last: date) -> list[date]:
        """``first`` and every later day up to ``last`` on which the law changes."""
        low, high = bisect_right(self._changes, first), bisect_right(self._changes, last)
        return [first, *self._changes[low:high]]


# --- answers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """The added cells of one row."""

    level: str
    eccn: str
    licence: str
    reason: str

    @property
    def cells(self) -> list[str]:
        return [safe(text) for text in (self.level, self.eccn, self.licence, self.reason)]


def safe(text: str) -> str:
    """A text of ours in one line, with an apostrophe before a first character that a spreadsheet would take for a formula."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


def answer(row: Row, law: DailyLaw, default_day: date) -> Answer:
    """What the chip of a row is on its day, and what a shipment of it from the US to China needs; see the module.

    ``default_day`` serves rows without a date. Days of a month or year on which the law differs leave the answer open.
    """
    first, last = row.days or (default_day, default_day)
    found = [_of_day(row, law.on(day)) for day in law.days_of_change(first, last)]
    now = found[0]
    levels, numbers, licences = (
        {getattr(each, name) for each in found} for name in ("level", "eccn", "licence")
    )
    words = [*row.notes, *_words(now)]
    if row.days is None:
        words.append(f"No date given: {default_day.isoformat()}")
    if len(levels | numbers | licences) > 3:
        told = [
            f"{each.level}{f' ({each.eccn})' if each.eccn else ''}, {each.licence} from {each.rules.on.isoformat()}"
            for each in found
        ]
        told = [
            text for index, text in enumerate(told) if not index or found[index].key != found[index - 1].key
        ]
        words = [
            f"Not known: date. From {first} to {last} the law differs: {'; '.join(told)}",
            *row.notes,
            *_figures(now),
        ]
    elif first != last:
        words.append(f"The same on every day from {first} to {last}")
    return Answer(
        level=levels.pop() if len(levels) == 1 else UNDETERMINED,
        eccn=numbers.pop() if len(numbers) == 1 else "",
        licence=licences.pop() if len(licences) == 1 else "UNKNOWN",
        reason=". ".join(text.rstrip(".") for text in words if text) + ".",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A row under the rules of one day. ``ifs``: letters that would or might name the chip, were it their addressees'."""

    row: Row
    rules: RuleSet
    classification: Classification
    verdict: Verdict
    ifs: tuple[Hit, ...]

    @property
    def level(self) -> str:
        return self.classification.shown_level

    @property
    def eccn(self) -> str:
        return self.classification.eccn

    @property
    def licence(self) -> str:
        return self.verdict.result if self.verdict.decision == EXCEPTION else self.verdict.decision

    @property
    def key(self) -> tuple[str, str, str]:
        return self.level, self.eccn, self.licence


_CASE = Case(
    destination=DESTINATION,
    origin=ORIGIN,
    parties=(Party("the buyer", hq=DESTINATION, parent_hqs=(DESTINATION,)),),
    subject_to_ear=True,
)


def _of_day(row: Row, rules: RuleSet) -> _Found:
    found = classify(row.spec, rules)
    ifs: tuple[Hit, ...] = ()
    if not row.vendor and found.level == NONE:
        ifs = classify(replace(row.spec, vendor=""), rules).letters
    return _Found(row, rules, found, _judged(found, rules), ifs)


def _judged(found: Classification, rules: RuleSet) -> Verdict:
    """The verdict of a shipment; where the headquarters of the vendor are not known, a licence that a chip designed in the US
    needs is needed whatever else the answer may ask for."""
    judged = verdict(found, _CASE, rules)
    if found.vendor_hq or judged.decision == LICENCE:
        return judged
    by_us = verdict(replace(found, vendor_hq=ORIGIN), _CASE, rules)
    return by_us if by_us.decision == LICENCE else judged


def shown(number: Value) -> str:
    """A figure as reasons show it."""
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, Interval):
        if number.low <= 1e-9 and number.high < float("inf"):
            return f"at most {number.high:,.8g}"
        return (
            f"at least {number.low:,.8g}"
            if number.high == float("inf")
            else f"{number.low:,.8g} to {number.high:,.8g}"
        )
    return (
        f"{number:,.8g}"
        if isinstance(number, int | float)
        else "not known"
        if number is None
        else str(number)
    )


def _words(found: _Found) -> list[str]:
    """The reason, sentence by sentence, with the deciding one first."""
    return [
        _decided(found),
        *_figures(found),
        *_letters(found),
        _licence(found),
        *_bands(found),
        *found.verdict.dormant,
        *found.verdict.assumptions,
        _vendor(found),
    ]


_COLUMN_OF = {
    "total_dram_bandwidth_gbs": "memory_bandwidth_gbs",
    "datacenter_marketed": "datacenter",
    "package_area_mm2": "die_area_mm2",
    "tpp": "tpp",
}


def _missing(names: Iterable[str], found: _Found) -> str:
    """What would settle the question, by column; a figure given as a range is named as such."""
    told = []
    for name in names:
        value = found.classification.values.get(name)
        why = f" (given as {shown(value)}, which spans the threshold)" if isinstance(value, Interval) else ""
        told.append(f"{_COLUMN_OF.get(name, name)}{why}")
    return ", ".join(told)


def _decided(found: _Found) -> str:
    result, level = found.classification, found.level
    if level == UNDETERMINED and result.level == UNDETERMINED:
        return (
            f"Undetermined ({' or '.join(result.possible)}): not known: {_missing(result.missing, found)}. "
            f"{_tests(found, open_only=True)}"
        )
    if level == UNDETERMINED:
        others = f"No class does: {_tests(found)}" if result.derivation else "No rule on classes was in force"
        letters = ", ".join(f"{hit.rule_id} ({_citation(found, hit.rule_id)})" for hit in result.letters)
        return (
            f"Undetermined (none or letter): a letter to its vendor may name it: {letters}; not known: "
            f"{_missing(result.open_questions, found)}. {others}"
        )
    if level == LETTER:
        hit = next(hit for hit in result.letters if hit.truth)
        lines = "; ".join(_line(line) for line in hit.derivation if line.truth)
        others = f"No class does: {_tests(found)}" if result.derivation else "No rule on classes was in force"
        return f"Letter: {hit.rule_id} ({_citation(found, hit.rule_id)}) names it: {lines}. {others}"
    if level == NONE:
        if not result.derivation:
            return f"None: no rule on classes was in force on {found.rules.on.isoformat()}"
        return f"None: {_tests(found)}"
    scope = f"scope of level {level}"
    deciding = [line for line in result.derivation
                if line.paragraph == result.paragraph or (line.paragraph == scope and line.truth)]  # fmt: skip
    compared = " and ".join(dict.fromkeys(_line(line) for line in deciding))
    return f"Level {level}: {result.paragraph}: {compared} ({_rule(deciding)})"


def _citation(found: _Found, rule_id: str) -> str:
    rule = found.rules.rule(rule_id)
    return rule.citation if rule else ""


def _rule(lines: Sequence[DerivationLine]) -> str:
    return "; ".join(dict.fromkeys(f"{line.rule_id}, {line.citation}" for line in lines))


def _line(line: DerivationLine) -> str:
    """One comparison with its figure and margin."""
    if line.value is None:
        return f"{line.text} (not known)"
    if isinstance(line.value, bool | str):
        return f"{line.text} ({shown(line.value)})"
    margin = f", margin {line.margin:+,.8g}" if line.margin is not None else ""
    return f"{line.text} ({shown(line.value)}{margin})"


def _tests(found: _Found, *, open_only: bool = False) -> str:
    """Of each class test what failed, or what is open. Tests about memory stacks are passed over for other chips."""
    result = found.classification
    paragraphs: dict[str, list[DerivationLine]] = {}
    for line in result.derivation:
        paragraphs.setdefault(line.paragraph, []).append(line)
    told = []
    for name, lines in paragraphs.items():
        if any(line.text == "is_hbm" and line.truth is False for line in lines):
            continue
        if name.startswith("scope") and any(line.truth for line in lines):
            continue
        failed = [line for line in lines if line.truth is (None if open_only else False)]
        if open_only and any(line.truth is False for line in lines) and not name.startswith("scope"):
            continue
        if failed:
            told.append(f"{name} {'is open' if open_only else 'fails'}: {', '.join(map(_line, failed))}")
    rules = _rule(result.derivation)
    return f"{'; '.join(told) or 'no test of that day reaches it'} ({rules})" if rules else "; ".join(told)


def _figures(found: _Found) -> Iterator[str]:
    """Where TPP and density come from, and what another figure on the row would lead to."""
    result, row = found.classification, found.row
    figure = result.tpp
    if row.figure:
        yield row.figure
    elif figure is not None and figure.basis == "published":
        yield f"TPP {shown(row.spec.tpp_published)} as given"
    elif figure is not None:
        yield figure.derivation
    else:
        yield "TPP not known: neither tpp nor a rate given"
    density = result.values.get("performance_density")
    if density is not None and figure is not None and row.spec.die_area_mm2 is not None:
        yield (
            f"Performance density {shown(density)} TPP/mm2 = {shown(result.values['tpp'])} / {shown(row.spec.die_area_mm2)}"
        )
    memory = result.values.get("memory_bandwidth_density")
    if memory is not None:
        yield (
            f"Memory bandwidth density {shown(memory)} GB/s/mm2 = {shown(row.spec.memory_bandwidth_gbs)} / "
            f"{shown(row.spec.package_area_mm2)}"
        )
    for other in result.differences:
        if other.tpp is not None:
            ends = f"level {other.level} instead of {result.level}" if other.flips else "the same level"
            yield f"But {other.who}: {other.tpp.derivation}: {ends}"


def _letters(found: _Found) -> Iterator[str]:
    """Letters beside the level: of the vendor where they do not decide, of others where no vendor is named."""
    sure = [hit for hit in found.ifs if hit.missing == ("vendor",)]
    for hit in found.ifs:
        rule = found.rules.rule(hit.rule_id)
        firms = ", ".join(rule.addressees) if rule else ""
        open_ones = [name for name in hit.missing if name != "vendor"]
        how = "names" if hit in sure else f"may name (not known: {_missing(open_ones, found)})"
        yield (
            f"No vendor given, so no letter is read: {hit.rule_id} ({_citation(found, hit.rule_id)}) {how} such a chip of "
            f"{firms}"
        )
    if found.level not in (NONE, LETTER, UNDETERMINED):
        for hit in found.classification.letters:
            if hit.truth:
                yield f"The letter {hit.rule_id} names it as well"


def _licence(found: _Found) -> str:
    judged = found.verdict
    policy = f", {judged.policy}" if judged.policy else ""
    missing = tuple(dict.fromkeys(judged.missing))
    if found.licence in ("UNKNOWN", "HUMAN_REVIEW") and missing:
        return f"To {DESTINATION}: {found.licence}{policy}: not known: {'; '.join(missing)}"
    end = judged.outcomes[0]
    why = end.reason.split(": ")[0] if len(judged.outcomes) == 1 else "whatever is not known"
    ask = f"; {'; '.join(missing)}" if missing else ""
    return f"To {DESTINATION}: {found.licence}{policy} ({why.rstrip('.')}){ask}"


def _bands(found: _Found) -> Iterator[str]:
    if found.classification.level == NONE:
        return
    for hit in found.classification.of_kind("band"):
        if hit.truth:
            yield f"Within {hit.rule_id}: {hit.name}"
        elif found.classification.tpp is not None:
            yield f"Perhaps within {hit.rule_id}: {hit.name} (not known: {_missing(hit.missing, found)})"


def _vendor(found: _Found) -> str:
    row = found.row
    if not row.vendor:
        return f"No vendor given: read as designed in the {ORIGIN}"
    if row.firm is None:
        return f"Vendor {row.vendor[:60]!r} is not known here: no letter is read, and its headquarters are not known"
    if not row.firm.country:
        return f"Headquarters of {row.firm.name} not known"
    return ""
