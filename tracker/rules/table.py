"""Somebody else's table of chips, row by row: what a row says, and what it is under the rules of its day.

A row becomes a :class:`Row` (specification and days) or an :class:`Unreadable` with every cell that is wrong; a row becomes an
:class:`Answer`: level, number, what a shipment from the United States to China would need, and one line of reasons. How single
cells are read: :mod:`tracker.rules.cells`. Everything here is pure: files, the database and today belong to ``services``.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import chain

from tracker.chips.specs import BITS_OF_MULTIPLY_INPUTS, ChipSpec, tpp
from tracker.core.errors import BadInput
from tracker.core.interval import Interval, Number, interval, plain
from tracker.rules import cells
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
from tracker.rules.licensing import EXCEPTION, Case, Party, Verdict, verdict
from tracker.rules.parameters import RuleBook, RuleSet

ADDED = ("level", "eccn", "licence_to_CN", "reason")
"""Columns that are added, in this order."""
RATES = tuple(BITS_OF_MULTIPLY_INPUTS)
ORIGIN, DESTINATION = "US", "CN"

# --- columns ------------------------------------------------------------------------------------------------------------

_NAMES = {
    "chip": "chip, chip_name, name, model, product, gpu, accelerator",
    "tpp": "tpp, total_processing_performance, tpp_published, published_tpp",
    "die_area_mm2": "die_area_mm2, applicable_die_area_mm2, applicable_die_area, die_area, die_size_mm2, die_size, area_mm2, "
    "package_area_mm2",
    "datacenter": "datacenter, data_center, datacentre, data_centre, datacenter_marketed, marketed_for_datacenters, "
    "marketed_for_datacenter, marketed_for_data_centers, is_datacenter",
    "memory_bandwidth_gbs": "memory_bandwidth, mem_bandwidth, memory_bw, dram_bandwidth, total_dram_bandwidth, hbm_bandwidth",
    "io_bandwidth_gbs": "io_bandwidth, i_o_bandwidth, io_bw, interconnect_bandwidth, aggregate_io_bandwidth, "
    "aggregate_bidirectional_io_bandwidth",
    "item_form": "item_form, form, form_factor, item_type",
    "vendor": "vendor, manufacturer, company, designer, maker",
    "date": "date, ship_date, shipping_date, export_date, shipped_on, as_of",
    "mac_tops": "mac_tops, mactops, tmacs",
    "bit_length": "bit_length, bits, bit_width",
}
_WITH_RATE = ("memory_bandwidth_gbs", "io_bandwidth_gbs")
_RATE_ENDS = {"": 1, "_gbs": 1, "_gb_s": 1, "_tbs": 1000, "_tb_s": 1000}


def _columns() -> dict[str, tuple[str, Decimal]]:
    """Header in its plain form to column and factor."""
    found: dict[str, tuple[str, Decimal]] = {}
    for field, names in _NAMES.items():
        ends = _RATE_ENDS if field in _WITH_RATE else {"": 1}
        for name in names.split(", "):
            found |= {name + end: (field, Decimal(factor)) for end, factor in ends.items()}
    return found


COLUMNS = _columns()
_FORMATS = {name.split("_")[0]: name for name in RATES}
_SPELLINGS = {"nvfp4": "fp4", "mxfp4": "fp4", "mxfp8": "fp8", "bfloat16": "bf16", "float16": "fp16",
              "float32": "fp32", "float64": "fp64", "float8": "fp8", "tfloat32": "tf32", "tensorfloat32": "tf32"}  # fmt: skip
_RATE_UNITS = {"tops": 1, "tflops": 1, "tflop": 1, "flops": 1, "ops": 1, "pflops": 1000, "pops": 1000, "gflops": "0.001", "gops": "0.001"}  # fmt: skip
_RATE_WORDS = {"dense", "peak", "tensor", "core", "cores", "matrix", "s", "t", "tf", "rate", "perf", "performance", "max", "theoretical"}  # fmt: skip


def plain_header(header: str) -> str:
    """A header without case, blanks and signs: ``Die area (mm²)`` is ``die_area_mm2``."""
    return re.sub(r"[^0-9a-z]+", "_", cells.normal(header).casefold()).strip("_")


def rate_column(header: str) -> tuple[str, Decimal] | None:
    """The rate that a plain header names, with its factor (``tops_int8``, ``fp8``, ``bf16_pflops_dense``); None for others.

    Rates with sparsity are none: TPP counts dense rates.
    """
    words = [_SPELLINGS.get(word, word) for word in header.split("_")]
    formats = list(dict.fromkeys(_FORMATS[word] for word in words if word in _FORMATS))
    others = [word for word in words if word not in _FORMATS]
    units = [word for word in others if word in _RATE_UNITS]
    if not formats or len(units) > 1 or any(w not in _RATE_UNITS and w not in _RATE_WORDS for w in others):
        return None
    if len({BITS_OF_MULTIPLY_INPUTS[name] for name in formats}) > 1:
        return None
    return formats[0], Decimal(str(_RATE_UNITS[units[0]])) if units else Decimal(1)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column of a file is what. ``fields``: place, column and factor; ``kept``: places of columns carried through;
    ``notes``: what a reader of the file's header should be told."""

    header: tuple[str, ...]
    fields: tuple[tuple[int, str, Decimal], ...]
    kept: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def out_header(self) -> list[str]:
        return [*(self.header[place] for place in self.kept), *ADDED]


def layout(header: Sequence[str], *, overwrite: bool = False) -> Layout:
    """Read a header line. ``overwrite``: columns called as the added ones are left out of the output; else they are refused.

    Of several names for one column the usual one is read and the others are carried through; of rates all are read. Raises
    BadInput for a header that is given twice, that leaves two readings, or that has nothing to classify by.
    """
    names = [plain_header(text) for text in header]
    added = {plain_header(name) for name in ADDED}
    standing = [place for place, name in enumerate(names) if name in added]
    if standing and not overwrite:
        raise BadInput(
            f"column {header[standing[0]]!r} is there already, and an answer would go under that name; rename it, or let it be "
            "replaced with --overwrite-columns"
        )
    notes: list[str] = []
    fields: list[tuple[int, str, Decimal]] = []
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if place in standing:
            continue
        column = COLUMNS.get(name)
        rate = None if column else rate_column(name)
        if column:
            found.setdefault(column[0], []).append(place)
        elif rate:
            twins = [header[other] for other, field, _ in fields if names[other] == name]
            if twins:
                raise BadInput(f"column {header[place]!r} stands twice; leave one")
            fields.append((place, *rate))
            if name != rate[0]:
                notes.append(f"{header[place]!r} is read as {rate[0]}")
        elif _FORMATS.keys() & set(name.split("_")):
            notes.append(f"{header[place]!r} is carried through and not read: TPP counts dense rates of one format")
    if "mac_tops" not in found:
        found.pop("bit_length", None)
    for field, places in found.items():
        usual = [place for place in places if names[place] == field]
        if len(usual or places) > 1 and field != "chip":
            shown = ", ".join(repr(header[place]) for place in usual or places)
            raise BadInput(
                f"columns {shown} would all be read as {field}; leave one, or call the one that is meant {field}"
            )
        place = (usual or places)[0]
        fields.append((place, field, COLUMNS[names[place]][1]))
        if names[place] != field:
            notes.append(f"{header[place]!r} is read as {field}")
    read = {field for _, field, _ in fields}
    if read.isdisjoint(("tpp", "mac_tops", "memory_bandwidth_gbs", *RATES)):
        raise BadInput(
            f"no column tells what a chip can do; give tpp, or rates such as fp8_tflops (the header has: {', '.join(header)})"
        )
    if "mac_tops" in read and "bit_length" not in read:
        raise BadInput("mac_tops needs bit_length beside it: TPP = 2 x MacTOPS x bit length; add that column")
    absent = [name for name in ("chip", "tpp", "die_area_mm2", "datacenter", *_WITH_RATE, "item_form", "vendor", "date")
              if name not in read and not (name == "tpp" and read & {"mac_tops", *RATES})]  # fmt: skip
    if absent:
        notes.append(f"not in the file, and taken as blank: {', '.join(absent)}")
    kept = tuple(place for place in range(len(header)) if place not in standing)
    return Layout(tuple(header), tuple(fields), kept, tuple(notes))


# --- rows ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vendor:
    """A firm as the ledger knows it: slug, usual name and ISO 3166 code of its headquarters."""

    slug: str
    name: str
    country: str


Vendors = Mapping[str, Vendor]
"""By :func:`cells.name_key` of every name a firm goes by."""


def vendor_names(firms: Iterable[tuple[Vendor, Iterable[str]]]) -> Vendors:
    """An index of firms with their other names. Of two firms with one name the first counts."""
    found: dict[str, Vendor] = {}
    for vendor, others in firms:
        for name in (vendor.slug, vendor.name, *others):
            if key := cells.name_key(name):
                found.setdefault(key, vendor)
    return found


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell that cannot be used: its column as the header has it, its text, and the mend."""

    column: str
    value: str
    mend: str

    def __str__(self) -> str:
        return f"{self.column}: {self.value!r} {self.mend}"


class Unreadable(BadInput):
    """A row with cells that cannot be used; ``wrong`` has all of them."""

    def __init__(self, wrong: Sequence[WrongCell]) -> None:
        super().__init__("; ".join(map(str, wrong)))
        self.wrong = tuple(wrong)


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says. ``days``: first and last day that are meant, None where no date is given. ``vendor``: the text of the
    cell, ``firm`` whom it names where that is known. ``figure``: how a TPP came about that was not given as such; ``notes``: how
    the row was read."""

    spec: ChipSpec
    days: cells.Days | None
    vendor: str = ""
    firm: Vendor | None = None
    figure: str = ""
    notes: tuple[str, ...] = ()


_UNITS: dict[str, cells.Units] = {
    "tpp": cells.TPP, "die_area_mm2": cells.AREA, "memory_bandwidth_gbs": cells.BANDWIDTH, "io_bandwidth_gbs": cells.BANDWIDTH,
    "mac_tops": cells.MACS, "bit_length": cells.BITS,
}  # fmt: skip


def read_row(row: Sequence[str], columns: Layout, vendors: Vendors) -> Row:
    """What a row says of one chip. Raises Unreadable with every cell that is wrong."""
    if len(row) > len(columns.header) and any(cell.strip() for cell in row[len(columns.header) :]):
        extra = len(row)
        raise Unreadable(
            [WrongCell("", "", f"the row has {extra} cells and the header {len(columns.header)}; a cell that contains the "
                               "mark between cells (4,800) must stand in quotes")]
        )  # fmt: skip
    numbers: dict[str, Number] = {}
    words: dict[str, str] = {}
    wrong: list[WrongCell] = []
    datacenter: bool | None = None
    form, days = "", None
    for place, name, scale in columns.fields:
        cell = row[place] if place < len(row) else ""
        try:
            if name == "datacenter":
                datacenter = cells.yes_no(cell)
            elif name == "item_form":
                form = cells.form(cell)
            elif name == "date":
                days = cells.days(cell)
            elif name in ("chip", "vendor"):
                words[name] = "" if cells.is_blank(cell) else cells.normal(cell)
            else:
                units = _UNITS.get(name, cells.RATE)
                found = cells.number(
                    cell, units, scale=scale, positive=name in ("die_area_mm2", "bit_length")
                )
                if found is not None:  # of several columns for one format the highest counts
                    numbers[name] = (
                        _higher(numbers[name], found) if name in RATES and name in numbers else found
                    )
        except cells.Refused as refusal:
            wrong.append(WrongCell(columns.header[place], cell[:80], str(refusal)))
    if not wrong:
        wrong += _macs_wrong(numbers, columns, row)
    if wrong:
        raise Unreadable(wrong)
    return _row(numbers, words, datacenter, form, days, vendors)


def _higher(one: Number, other: Number) -> Number:
    first, second = interval(one), interval(other)
    return plain(Interval(max(first.low, second.low), max(first.high, second.high)))


def _macs_wrong(numbers: Mapping[str, Number], columns: Layout, row: Sequence[str]) -> Iterator[WrongCell]:
    bits = numbers.get("bit_length")
    if bits is None and "mac_tops" not in numbers:
        return
    place = next(place for place, field, _ in columns.fields if field == "bit_length")
    told = row[place] if place < len(row) else ""
    if bits is None:
        yield WrongCell(
            columns.header[place], told, "is blank beside mac_tops; give the bit length of the multiply inputs"
        )
    elif isinstance(bits, Interval) or not float(bits).is_integer() or bits > 128:
        yield WrongCell(columns.header[place], told, "is no bit length; write a whole number such as 8 or 16")


def _row(
    numbers: dict[str, Number],
    words: Mapping[str, str],
    datacenter: bool | None,
    form: str,
    days: cells.Days | None,
    vendors: Vendors,
) -> Row:
    chip, named = words.get("chip", ""), words.get("vendor", "")
    rates = {name: numbers[name] for name in RATES if name in numbers}
    notes: list[str] = []
    printed, figure = numbers.get("tpp"), ""
    macs = numbers.get("mac_tops")
    if printed is None and macs is not None:
        printed, figure = _from_macs(macs, numbers["bit_length"])
        computed = tpp(ChipSpec(**rates)) if rates else None
        if computed is not None and computed.low > interval(printed).high:
            printed, figure = None, ""  # the highest over all bit lengths counts
    if not form and printed is None and not rates and cells.names_memory(chip):
        form = cells.STACK
        notes.append("Read as a stack of high-bandwidth memory, by its name")
    is_stack = form == cells.STACK
    if is_stack and printed is None and not rates:
        printed, figure = 0.0, "TPP 0: a memory stack multiplies nothing"
    area = numbers.get("die_area_mm2")
    firm = vendors.get(cells.name_key(named)) or vendors.get(cells.short_name_key(named)) if named else None
    spec = ChipSpec(
        slug=chip,
        **rates,
        tpp_published=printed,
        printed_first=True,
        die_area_mm2=None if is_stack else area,
        memory_bandwidth_gbs=numbers.get("memory_bandwidth_gbs"),
        io_bandwidth_gbs=numbers.get("io_bandwidth_gbs"),
        marketed_for_datacenters=datacenter,
        form=form,
        vendor=firm.slug if firm else _NOBODY,
        vendor_hq=firm.country if firm and firm.country else ORIGIN,
        is_hbm_stack=is_stack,
        package_area_mm2=area if is_stack else None,
        copackaged_with_dominant_logic=False if is_stack else None,
    )
    return Row(spec, days, named, firm, figure, tuple(notes))


_NOBODY = "-"
"""Vendor of a chip whose vendor is not named or not known: no letter is addressed to it."""


def _from_macs(macs: Number, bits: Number) -> tuple[Number, str]:
    length = int(interval(bits).low)
    span = interval(macs)
    found = plain(Interval(*(float(Decimal(repr(end)) * 2 * length) if end < float("inf") else end
                             for end in (span.low, span.high))))  # fmt: skip
    return found, f"TPP {shown(found)} = 2 x {shown(macs)} MacTOPS x {length} bits"


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


def without_undated_letters(found: Classification, rules: RuleSet) -> Classification:
    """The classification without letters of which no first day is known: they tell nothing of the level on any one day."""
    undated = {rule.id for rule in rules.rules if rule.period.start is None}
    hits = tuple(hit for hit in found.hits if hit.kind != "letter" or hit.rule_id not in undated)
    return replace(found, hits=hits)


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
    levels, numbers, licences = ({getattr(each, name) for each in found} for name in ("level", "eccn", "licence"))
    words = [*row.notes, *_words(now)]
    if row.days is None:
        words.append(f"No date given: {default_day.isoformat()}")
    if len(levels | numbers | licences) > 3:
        told = [
            f"{each.level}{f' ({each.eccn})' if each.eccn else ''}, {each.licence} from {each.rules.on.isoformat()}"
            for each in found
        ]
        told = [text for index, text in enumerate(told) if not index or found[index].key != found[index - 1].key]
        words = [f"Not known: date. From {first} to {last} the law differs: {'; '.join(told)}", *row.notes, *_figures(now)]
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
    found = without_undated_letters(classify(row.spec, rules), rules)
    ifs: tuple[Hit, ...] = ()
    if not row.vendor and found.level == NONE:
        ifs = without_undated_letters(classify(replace(row.spec, vendor=""), rules), rules).letters
    return _Found(row, rules, found, verdict(found, _CASE, rules), ifs)


def shown(number: Value) -> str:
    """A figure as reasons show it."""
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, Interval):
        if number.low <= 1e-9 and number.high < float("inf"):
            return f"at most {number.high:,.8g}"
        return f"at least {number.low:,.8g}" if number.high == float("inf") else f"{number.low:,.8g} to {number.high:,.8g}"
    return f"{number:,.8g}" if isinstance(number, int | float) else "not known" if number is None else str(number)


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
    lines = [line for line in result.derivation if line.paragraph == result.paragraph]
    lines += [l for l in result.derivation if l.paragraph == f"scope of level {level}" and l.truth]  # noqa: E741
    compared = " and ".join(dict.fromkeys(_line(line) for line in lines))
    return f"Level {level}: {result.paragraph}: {compared} ({_rule(lines)})"


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
            yield f"But {other.who} come to {other.tpp.derivation}: {ends}"


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
        return f"Vendor {row.vendor[:60]!r} is not known here: no letter is read, and it is taken not to sit in Macau or D:5"
    if not row.firm.country:
        return f"Headquarters of {row.firm.name} not known: taken not to lie in Macau or D:5"
    return ""

# --- whole tables -------------------------------------------------------------------------------------------------------

LONGEST_LINE = 1 << 20
"""Bytes of one line; more is no table."""


def text_lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines of a UTF-8 file as text, a byte order mark left out. Raises BadInput naming the line that is none."""
    for number, line in enumerate(lines, start=1):
        if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise BadInput(f"{name}: encoded as UTF-16; save it as CSV in UTF-8")
        if len(line) > LONGEST_LINE:
            raise BadInput(f"{name}, line {number}: more than {LONGEST_LINE:,} bytes without an end; this is no table")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise BadInput(
                f"{name}, line {number}: byte {byte:#04x} is not UTF-8; save the file as CSV in UTF-8"
            ) from None
        if "\x00" in text:
            raise BadInput(f"{name}, line {number}: holds a NUL; this is no text file")
        yield text


def delimiter(header: str) -> str:
    """What parts the cells of a header line: comma, semicolon or tab, whichever leaves the most known columns, then the most
    columns."""

    def columns(mark: str) -> tuple[int, int]:
        names = [plain_header(cell.strip('"')) for cell in header.split(mark)]
        return sum(name in COLUMNS or rate_column(name) is not None for name in names), len(names)

    return max((",", ";", "\t"), key=columns)


def records(lines: Iterable[str], name: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table with the mark that parts their cells, the header first; a row without any cell is an empty list.

    Raises BadInput for an empty file and for quotes that do not close.
    """
    source = iter(lines)
    first = next((line for line in source if line.strip()), None)
    if first is None:
        raise BadInput(f"{name}: the file is empty; its first line must name the columns")
    mark = delimiter(first)
    reader = csv.reader(chain([first], source), delimiter=mark, strict=True)
    try:
        for row in reader:
            yield mark, row
    except csv.Error as error:
        raise BadInput(
            f"{name}, line {reader.line_num}: {error}; check the quotes and line ends around it"
        ) from None


@dataclass
class Tally:
    """What came of a table: how many rows had each level, and how many could not be read."""

    levels: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0

    @property
    def rows(self) -> int:
        return self.levels.total() + self.unreadable

    def __str__(self) -> str:
        told = [f"{level} {count}" for level, count in sorted(self.levels.items())]
        told += [f"not read {self.unreadable}"] if self.unreadable else []
        return f"{self.rows} rows{': ' if told else ''}{', '.join(told)}"


def classified(
    found: Iterable[list[str]],
    columns: Layout,
    law: DailyLaw,
    vendors: Vendors,
    default_day: date,
    tally: Tally,
    wrong: Callable[[int, Unreadable], bool],
) -> Iterator[list[str]]:
    """The output rows for input rows, in their order, one at a time. ``wrong`` is told the number of a row that cannot be read (the
    header is row 1) and says whether answers are still wanted; ``tally`` counts."""
    wanted = True
    for number, row in enumerate(found, start=2):
        if not row:  # an empty line
            continue
        padded = [*row, *[""] * (len(columns.header) - len(row))]
        kept = [padded[place] for place in columns.kept]
        try:
            read = read_row(row, columns, vendors)
        except Unreadable as error:
            tally.unreadable += 1
            wanted = wrong(number, error)
            yield [*kept, "", "", "", safe(f"Not read: {error}")]
            continue
        if wanted:
            told = answer(read, law, default_day)
            tally.levels[told.level] += 1
            yield [*kept, *told.cells]
