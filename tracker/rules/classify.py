"""The class of a chip under the classification rules in force on a day, with every number that decided.

Levels: ``a``, ``b``, ``c`` (paragraphs of ECCN 3A090 since 2023-11-17, .c since 2024-12-02), ``2022`` (the
first 3A090), ``none``, or ``undetermined`` where a parameter that matters is not known. Letters to single
vendors are told apart from the class: they catch chips that no list entry names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tracker.chips.specs import ChipSpec, TppFigure, performance_density, tpp
from tracker.rules.expressions import Comparison, Evaluation, Expression, Interval, Value
from tracker.rules.parameters import PARAMETERS, ClassTest, Rule, RuleSet, Status

NONE = "none"
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
class LetterHit:
    """A letter to the chip's vendor that names it (truth True) or may name it (None: ``missing`` says
    why)."""

    rule_id: str
    truth: bool | None
    missing: tuple[str, ...]
    derivation: tuple[DerivationLine, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """What the chip is under the rules of one day.

    ``possible``: the levels it can have given what is known (one, unless ``level`` is undetermined).
    ``eccn`` and ``paragraph`` are empty when no level is certain. ``datacenter`` repeats the marketing
    flag, which the licence matrix asks for as well. ``if_published``: the level under the printed TPP,
    where that differs from the computed one and leads elsewhere; else empty.
    """

    level: str
    eccn: str
    paragraph: str
    possible: tuple[str, ...]
    missing: tuple[str, ...]
    derivation: tuple[DerivationLine, ...]
    letters: tuple[LetterHit, ...]
    rule_ids: tuple[str, ...]
    datacenter: bool | None
    vendor: str
    vendor_hq: str
    values: dict[str, Value]
    tpp: TppFigure | None
    if_published: str = ""

    @property
    def letter(self) -> str:
        """Id of the first letter that certainly names the chip, or empty."""
        return next((hit.rule_id for hit in self.letters if hit.truth), "")

    @property
    def items(self) -> tuple[str, ...]:
        """The codes the licence matrix uses, all that are possible: ``a-datacenter``, ``a-other``, ``b``,
        ``c``, ..."""
        codes: list[str] = []
        for level in self.possible:
            if level != "a":
                codes.append({"2022": "3A090-2022"}.get(level, level))
                continue
            if self.datacenter is not False:
                codes.append("a-datacenter")
            if self.datacenter is not True:
                codes.append("a-other")
        return tuple(codes)


def parameters(spec: ChipSpec) -> dict[str, Value]:
    """The named parameters that rule files speak of, computed from a specification; None where not known.

    ``tpp`` is an interval when the sheet only tells a lower limit; the density follows it. A density that
    is None means that the area is not known.
    """
    figure = tpp(spec)
    total = _number(figure)
    area = spec.die_area_mm2 if spec.die_area_mm2 and spec.die_area_mm2 > 0 else None
    stack = spec.package_area_mm2 if spec.package_area_mm2 and spec.package_area_mm2 > 0 else None
    bandwidth = spec.memory_bandwidth_gbs
    return {
        "tpp": total,
        # bits x TOPS of the 2022 text and TPP count the same: a multiply-accumulate is two operations in both
        "perf_bits_tops": total,
        "performance_density": _density(total, area),
        "datacenter_marketed": spec.marketed_for_datacenters,
        "total_dram_bandwidth_gbs": bandwidth,
        "io_bandwidth_gbs": spec.io_bandwidth_gbs,
        "memory_bandwidth_density": bandwidth / stack if bandwidth is not None and stack else None,
        "is_hbm": spec.is_hbm_stack,
        "copackaged_with_dominant_logic": spec.copackaged_with_dominant_logic,
        "tdp_w": spec.tdp_w,
        "vendor": spec.vendor or None,
        "vendor_hq": spec.vendor_hq or None,
        "chip": spec.slug or None,
    }


def _number(figure: TppFigure | None) -> float | Interval | None:
    if figure is None:
        return None
    return figure.low if figure.is_known else Interval(figure.low, float("inf"))


def _density(total: float | Interval | None, area: float | None) -> float | Interval | None:
    if area is None:
        return None
    if total is None:
        return Interval(0.0, float("inf"))
    if isinstance(total, Interval):
        return Interval(performance_density(total.low, area), total.high)
    return performance_density(total, area)


def classify(spec: ChipSpec, rules: RuleSet) -> Classification:
    """The level of ``spec`` under ``rules``. Classes are asked in the order of the rules; the first that
    holds names the level.

    A class that is unknown does not end the search: a later one may hold too, and then both levels are
    possible.
    """
    values = parameters(spec)
    figure = tpp(spec)
    result = _classified(spec, values, figure, rules)
    if figure is None or figure.published_differs_by is None:
        return result
    published = dict(values)
    area = spec.die_area_mm2 if spec.die_area_mm2 and spec.die_area_mm2 > 0 else None
    published["tpp"] = published["perf_bits_tops"] = figure.published
    published["performance_density"] = _density(figure.published, area)
    other = _classified(spec, published, figure, rules).level
    return result if other == result.level else replace(result, if_published=other)


def _classified(
    spec: ChipSpec, values: dict[str, Value], figure: TppFigure | None, rules: RuleSet
) -> Classification:
    tested = [
        _tested(rule, test, values)
        for rule in rules.rules
        for test in rule.classes
        if rule.status_on(rules.on) in _COUNTS
    ]
    tested = [_doubted(t, rules) for t in tested]
    possible, certain = _levels(tested)
    letters = tuple(
        _letter(rule, rule.letter, values)
        for rule in rules.rules
        if rule.letter is not None and rule.status_on(rules.on) in _COUNTS
    )
    known = len(possible) == 1
    return Classification(
        level=possible[0] if known else UNDETERMINED,
        eccn=_eccn(certain.test, spec.form) if known and certain else "",
        paragraph=certain.paragraph if known and certain else "",
        possible=possible,
        missing=() if known else _roots((name for t in tested for name in t.missing), values),
        derivation=tuple(line for t in tested for line in t.lines),
        letters=tuple(hit for hit in letters if hit.truth is not False),
        rule_ids=tuple(dict.fromkeys(t.rule.id for t in tested)),
        datacenter=spec.marketed_for_datacenters,
        vendor=spec.vendor,
        vendor_hq=spec.vendor_hq,
        values=values,
        tpp=figure,
    )


@dataclass(frozen=True, slots=True)
class _Tested:
    """One class test as it came out."""

    rule: Rule
    test: ClassTest
    truth: bool | None
    paragraph: str
    missing: tuple[str, ...]
    lines: tuple[DerivationLine, ...]


def _tested(rule: Rule, test: ClassTest, values: dict[str, Value]) -> _Tested:
    answers = [(paragraph.name, paragraph.when.evaluate(values)) for paragraph in test.paragraphs]
    lines = [line for name, answer in answers for line in _lines(rule, name, answer)]
    scope = test.scope.evaluate(values) if test.scope else Evaluation(True)
    lines += _lines(rule, f"scope of level {test.level}", scope)
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
    return _Tested(rule, test, truth, name if truth else "", tuple(sorted(missing)), tuple(lines))


_DERIVED = {"performance_density": "die_area_mm2", "memory_bandwidth_density": "package_area_mm2"}


def _roots(names: Iterable[str], values: dict[str, Value]) -> tuple[str, ...]:
    """What an analyst would have to look up: the area behind a density, not the density."""
    roots = set()
    for name in names:
        if name == "perf_bits_tops":
            roots.add("tpp")
        elif name not in _DERIVED:
            roots.add(name)
        elif not isinstance(values.get(name), Interval):
            roots.add(_DERIVED[name])
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


def _letter(rule: Rule, when: Expression, values: dict[str, Value]) -> LetterHit:
    answer = when.evaluate(values)
    return LetterHit(rule.id, answer.truth, answer.missing, tuple(_lines(rule, "letter", answer)))


def _eccn(test: ClassTest, form: str) -> str:
    """The number of the item as it is shipped; both numbers where its form is not known."""
    ic, carrier = test.eccn.get("ic", ""), test.eccn.get("carrier", "")
    if form == "ic" or not carrier:
        return ic
    return carrier if form else f"{ic} or {carrier}"


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
