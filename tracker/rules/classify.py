"""The class of a chip under the classification rules in force on a day, with every number that decided.

Levels: ``a``, ``b``, ``c`` (paragraphs of ECCN 3A090 since 2023-11-17, .c since 2024-12-02), ``2022`` (the
first 3A090), ``none``, or ``undetermined`` where a parameter that matters is not known. Letters to single
vendors are told apart from the class: they catch chips that no list entry names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

from tracker.chips.specs import ChipSpec, TppFigure, tpp
from tracker.core.interval import Interval, Number, interval, plain
from tracker.rules.expressions import Comparison, Evaluation, Value
from tracker.rules.parameters import PARAMETERS, ClassTest, Rule, RuleSet, Status

NONE = "none"
LETTER = "letter"
UNDETERMINED = "undetermined"
_COUNTS = (Status.ACTIVE, Status.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class DerivationLine:
    """One comparison: parameter against threshold. ``margin`` = value - threshold, in ``unit``; None when
    not known."""

    text: str
    value: Value
    unit: str
    operator: str
    threshold: Value
    margin: float | None
    truth: bool | None
    paragraph: str
    rule_id: str
    citation: str
    sources: tuple[str, ...]
    verification: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A test beside the classes that a rule makes of the chip, as it came out (None: ``missing`` says why).

    ``kind``: ``letter`` (names chips of its addressees), ``presumption`` (what a maker must presume of the
    chip until it is overcome) or ``band`` (a stretch of parameters with its own review policy or duty, called
    ``name``).
    """

    kind: str
    rule: Rule
    name: str
    truth: bool | None
    missing: tuple[str, ...]
    answer: Evaluation

    @property
    def rule_id(self) -> str:
        return self.rule.id

    @property
    def derivation(self) -> tuple[DerivationLine, ...]:
        """Every comparison of the test."""
        return tuple(_lines(self.rule, self.name or self.kind, self.answer))


@dataclass(frozen=True, slots=True)
class Difference:
    """Another figure for the same chip, and whether it leads elsewhere.

    ``who``: whose figure it is. ``level`` follows from it; ``flips`` is whether that is another level than the
    one given. ``words`` tells both derivations in one sentence.
    """

    who: str
    tpp: TppFigure | None
    level: str
    flips: bool
    words: str


@dataclass(frozen=True, slots=True)
class Classification:
    """What the chip is under the rules of one day.

    ``possible``: the levels it can have given what is known (one, unless ``level`` is undetermined).
    ``tests``: what was asked, by rule and paragraph, with its evaluation; ``derivation`` tells it line by line. ``eccn``
    and ``paragraph`` are empty when no level is certain; ``eccn_else`` are the numbers of the same
    level for other carriers (encryption, telecommunication). ``datacenter`` repeats the marketing flag, which
    the licence matrix asks for as well. ``differences``: what other figures for the chip would lead to.
    """

    level: str
    eccn: str
    paragraph: str
    possible: tuple[str, ...]
    missing: tuple[str, ...]
    tests: tuple[tuple[Rule, str, Evaluation], ...]
    hits: tuple[Hit, ...]
    rule_ids: tuple[str, ...]
    datacenter: bool | None
    vendor: str
    vendor_hq: str
    values: dict[str, Value]
    tpp: TppFigure | None
    eccn_else: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def derivation(self) -> tuple[DerivationLine, ...]:
        """Every comparison that was made, in the order of the rules and their paragraphs."""
        return tuple(
            line for rule, paragraph, answer in self.tests for line in _lines(rule, paragraph, answer)
        )

    @property
    def letters(self) -> tuple[Hit, ...]:
        """Letters that name the chip, or may. Those of which no first day is known tell nothing of the level on any one day,
        so they are left out here; they stand among the ``hits``."""
        return tuple(hit for hit in self.of_kind("letter") if hit.rule.period.start is not None)

    def of_kind(self, kind: str) -> tuple[Hit, ...]:
        """Tests of one kind that hold or may hold."""
        return tuple(hit for hit in self.hits if hit.kind == kind and hit.truth is not False)

    @property
    def letter(self) -> str:
        """Id of the first letter that certainly names the chip, or empty."""
        return next((hit.rule_id for hit in self.letters if hit.truth), "")

    @property
    def if_published(self) -> str:
        """The level under the printed TPP where that leads elsewhere, or empty."""
        return next((d.level for d in self.differences if d.who == PRINTED and d.flips), "")

    @property
    def shown_level(self) -> str:
        """The level as tables print it: ``letter`` where no class catches the chip and a letter to its vendor
        does, ``undetermined`` where one may."""
        if self.level != NONE or not self.letters:
            return self.level
        return LETTER if self.letter else UNDETERMINED

    @property
    def open_questions(self) -> tuple[str, ...]:
        """Parameters that keep ``shown_level`` undetermined."""
        if self.shown_level != UNDETERMINED:
            return ()
        return self.missing or tuple(sorted({name for hit in self.letters for name in hit.missing}))


PRINTED = "the printed figure"


def parameters(spec: ChipSpec) -> dict[str, Value]:
    """The named parameters that rule files speak of, computed from a specification; None where not known.

    ``tpp`` is an interval when the sheet gives a range or only tells a lower limit; the density follows it.
    A density that is None means that the area is not known.
    """
    figure = tpp(spec)
    total = plain(figure.interval) if figure is not None else None
    if total is None and spec.is_hbm_stack:
        total = 0.0  # a stack of memory multiplies nothing, and no sheet says so
    bandwidth = spec.memory_bandwidth_gbs
    return {
        "tpp": total,
        # bits x TOPS of the 2022 text and TPP count the same: a multiply-accumulate is two operations in both
        "perf_bits_tops": total,
        "performance_density": _ratio(total, spec.die_area_mm2, unknown=Interval(0.0, inf)),
        "datacenter_marketed": spec.marketed_for_datacenters,
        "total_dram_bandwidth_gbs": bandwidth,
        "io_bandwidth_gbs": spec.io_bandwidth_gbs,
        "die_area_mm2": spec.die_area_mm2,
        "package_area_mm2": spec.package_area_mm2,
        "memory_bandwidth_density": _ratio(bandwidth, spec.package_area_mm2),
        "is_hbm": spec.is_hbm_stack,
        "copackaged_with_dominant_logic": spec.copackaged_with_dominant_logic,
        "process_node_nm": spec.process_node_nm,
        "transistors_bn": spec.transistors_bn,
        "tdp_w": spec.tdp_w,
        "vendor": spec.vendor or None,
        "vendor_hq": spec.vendor_hq or None,
        "chip": spec.slug or None,
    }


def _ratio(top: Number | None, area: Number | None, unknown: Interval | None = None) -> Number | None:
    """Quotient over an area in mm2; None where the area is not known (a zero means so), ``unknown`` where only
    the numerator is not."""
    if area is None or interval(area).low <= 0:
        return None
    return unknown if top is None else plain(interval(top).over(interval(area)))


def classify(spec: ChipSpec, rules: RuleSet) -> Classification:
    """The level of ``spec`` under ``rules``. Classes are asked in the order of the rules; the first that
    holds names the level.

    A class that is unknown does not end the search: a later one may hold too, and then both levels are
    possible. Where the sheet gives a printed TPP and rates that come to another one, the figure not taken is
    classified as well and stands under ``differences``.
    """
    result = _classified(spec, rules)
    figure = result.tpp
    if (
        figure is None
        or figure.published is None
        or figure.computed is None
        or figure.published_differs_by is None
    ):
        return result
    other = _classified(replace(spec, printed_first=not spec.printed_first), rules)
    who = "the rates on the sheet" if spec.printed_first else PRINTED
    return replace(result, differences=(difference(result, other, who),))


def compared(specs: Mapping[str, ChipSpec], rules: RuleSet) -> Classification:
    """The class of one chip of which several sources speak: by the first of ``specs`` (in their order, by source),
    with every other source that gives another TPP or leads to another level under ``differences``.

    Raises ValueError without any specification.
    """
    if not specs:
        raise ValueError("a chip without a specification cannot be compared; classify an empty one")
    (_, first), *others = specs.items()
    result = classify(first, rules)
    found = [
        difference(result, other, who)
        for who, other in ((who, _classified(spec, rules)) for who, spec in others)
        if other.level != result.level or _apart(other.tpp, result.tpp)
    ]
    return replace(result, differences=(*result.differences, *found))


def _apart(one: TppFigure | None, other: TppFigure | None) -> bool:
    """Two TPP figures that differ by more than one part in a thousand, or of which one is absent."""
    if one is None or other is None:
        return one is not other
    return abs(one.low - other.low) > 0.001 * max(one.low, other.low) or (one.high is None) != (
        other.high is None
    )


def difference(given: Classification, other: Classification, who: str) -> Difference:
    """What another figure for the chip says beside the one taken."""
    flips = other.level != given.level
    told = [result.tpp.derivation if result.tpp else "no TPP" for result in (given, other)]
    ends = f"level {other.level} instead of {given.level}" if flips else f"level {given.level} either way"
    return Difference(who, other.tpp, other.level, flips, f"{told[0]}; {who}: {told[1]}; {ends}")


def _classified(spec: ChipSpec, rules: RuleSet) -> Classification:
    values = parameters(spec)
    live = [rule for rule in rules.rules if rule.status_on(rules.on) in _COUNTS]
    tested = [_doubted(_tested(rule, test, values), rules) for rule in live for test in rule.classes]
    possible, certain = _levels(tested)
    known = len(possible) == 1
    eccn, others = _eccn(certain.test, spec.form) if known and certain else ("", ())
    return Classification(
        level=possible[0] if known else UNDETERMINED,
        eccn=eccn,
        eccn_else=others,
        paragraph=certain.paragraph if known and certain else "",
        possible=possible,
        missing=() if known else _roots((name for t in tested for name in t.missing), values),
        tests=tuple(asked for t in tested for asked in t.asked),
        hits=tuple(hit for rule in live for hit in _hits(rule, values)),
        rule_ids=tuple(dict.fromkeys(t.rule.id for t in tested)),
        datacenter=spec.marketed_for_datacenters,
        vendor=spec.vendor,
        vendor_hq=spec.vendor_hq,
        values=values,
        tpp=tpp(spec),
    )


@dataclass(frozen=True, slots=True)
class _Tested:
    """One class test as it came out."""

    rule: Rule
    test: ClassTest
    truth: bool | None
    paragraph: str
    missing: tuple[str, ...]
    asked: tuple[tuple[Rule, str, Evaluation], ...]


def _tested(rule: Rule, test: ClassTest, values: dict[str, Value]) -> _Tested:
    answers = [(paragraph.name, paragraph.when.evaluate(values)) for paragraph in test.paragraphs]
    asked = [(rule, name, answer) for name, answer in answers]
    scope = test.scope.evaluate(values) if test.scope else Evaluation(True)
    asked.append((rule, f"scope of level {test.level}", scope))
    truths = [answer.truth for _, answer in answers]
    any_paragraph = True if True in truths else None if None in truths else False
    missing: set[str] = set()
    if any_paragraph is False or scope.truth is False:
        truth: bool | None = False
    elif any_paragraph and scope.truth:
        truth = True
    else:
        truth = None
        missing.update(scope.missing)
        if any_paragraph is None:
            missing.update(name for _, answer in answers for name in answer.missing)
    name = next((name for name, answer in answers if answer.truth), "")
    return _Tested(rule, test, truth, name if truth else "", tuple(sorted(missing)), tuple(asked))


_DERIVED = {
    "perf_bits_tops": ("tpp",),
    "performance_density": ("tpp", "die_area_mm2"),
    "memory_bandwidth_density": ("total_dram_bandwidth_gbs", "package_area_mm2"),
}


def _roots(names: Iterable[str], values: dict[str, Value]) -> tuple[str, ...]:
    """What an analyst would have to look up: behind a density the area, or the performance, whichever is not known."""
    roots: set[str] = set()
    for name in names:
        parts = _DERIVED.get(name, (name,))
        open_parts = [
            part for part in parts if values.get(part) is None or isinstance(values[part], Interval)
        ]
        # an area nobody knows leaves no density at all, so the performance beside it is not asked for
        absent = [part for part in parts[1:] if values.get(part) is None]
        roots.update(absent or open_parts or parts)
    return tuple(sorted(roots))


def _doubted(outcome: _Tested, rules: RuleSet) -> _Tested:
    """A class that holds under a rule nobody has confirmed for this day is only possible, not certain."""
    if outcome.truth is not True or outcome.rule.status_on(rules.on) == Status.ACTIVE:
        return outcome
    doubt = f"confirmation that {outcome.rule.id} applies on {rules.on.isoformat()}"
    return replace(outcome, truth=None, missing=(doubt,))


def _levels(tested: list[_Tested]) -> tuple[tuple[str, ...], _Tested | None]:
    """The possible levels, and the test that certainly holds if it is reached."""
    possible: list[str] = []
    for outcome in tested:
        if outcome.truth is not False and outcome.test.level not in possible:
            possible.append(outcome.test.level)
        if outcome.truth:
            return tuple(possible), outcome
    return (*possible, NONE), None


def _hits(rule: Rule, values: dict[str, Value]) -> Iterator[Hit]:
    tests = [("letter", "", rule.letter), ("presumption", "", rule.presumption)]
    tests += [("band", band.name, band.when) for band in rule.bands]
    for kind, name, when in tests:
        if when is not None:
            answer = when.evaluate(values)
            yield Hit(kind, rule, name, answer.truth, _roots(answer.missing, values), answer)


CARRIERS = ("card", "board", "system")
"""Forms that take the number of a carrier; any other form but ``ic`` is itself the number of one (``5A992``)."""


def _eccn(test: ClassTest, form: str) -> tuple[str, tuple[str, ...]]:
    """The number of the item as it is shipped (both where its form is not known), and those of other carriers.

    A carrier takes the level of the IC inside; encryption or telecommunication features move it to a ``.z``
    number of the same level, which no datasheet shows.
    """
    ic, carrier = test.eccn.get("ic", ""), test.eccn.get("carrier", "")
    others = tuple(number for kind, number in test.eccn.items() if kind not in ("ic", "carrier"))
    if form in test.eccn and form != "carrier":
        return test.eccn[form], ()
    if not carrier:
        return ic, ()
    return (carrier, others) if form in CARRIERS else (f"{ic} or {carrier}", others)


def _lines(rule: Rule, paragraph: str, answer: Evaluation) -> list[DerivationLine]:
    return [_line(rule, paragraph, comparison) for comparison in answer.comparisons]


def _line(rule: Rule, paragraph: str, comparison: Comparison) -> DerivationLine:
    unit = PARAMETERS[comparison.parameters[0]][0] if comparison.parameters else ""
    return DerivationLine(
        text=comparison.text,
        value=comparison.value,
        unit=unit,
        operator=comparison.operator,
        threshold=comparison.threshold,
        margin=comparison.margin,
        truth=comparison.truth,
        paragraph=paragraph,
        rule_id=rule.id,
        citation=rule.citation,
        sources=rule.sources,
        verification=rule.verification,
    )
