"""Somebody else's table of chips, row by row: what a row says, and what it is under the rules of its day.

A row becomes a :class:`Row` (specification and days) or an :class:`Unreadable` with every cell that is wrong; a row becomes an
:class:`Answer`: level, number, what a shipment from the United States to China would need, and one line of reasons. How single
cells are read: :mod:`tracker.rules.cells`. Everything here is pure: files, the database and today belong to ``services``.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from tracker.chips.specs import BITS_OF_MULTIPLY_INPUTS, ChipSpec, tpp
from tracker.core.errors import BadInput
from tracker.core.interval import Interval, Number, interval, plain
from tracker.rules import cells
from tracker.rules.answers import NOBODY, ORIGIN, DailyLaw, Row, Vendor, answer, safe, shown

ADDED = ("level", "eccn", "licence_to_CN", "reason")
"""Columns that are added, in this order."""
RATES = tuple(BITS_OF_MULTIPLY_INPUTS)

# --- columns ------------------------------------------------------------------------------------------------------------

_NAMES = {
    "chip": "chip, chip_name, name, model, product, gpu, accelerator",
    "tpp": "tpp, total_processing_performance",
    "tpp_published": "tpp_published, published_tpp",
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
    for column, names in _NAMES.items():
        ends = _RATE_ENDS if column in _WITH_RATE else {"": 1}
        for name in names.split(", "):
            found |= {name + end: (column, Decimal(factor)) for end, factor in ends.items()}
    return found


COLUMNS = _columns()
_FORMATS = {name.split("_")[0]: name for name in RATES}
_SPELLINGS = {"nvfp4": "fp4", "mxfp4": "fp4", "mxfp8": "fp8", "bfloat16": "bf16", "float16": "fp16",
              "float32": "fp32", "float64": "fp64", "float8": "fp8", "tfloat32": "tf32", "tensorfloat32": "tf32"}  # fmt: skip
_RATE_UNITS = {"tops": 1, "tflops": 1, "tflop": 1, "flops": 1, "ops": 1, "pflops": 1000, "pops": 1000, "gflops": "0.001",
               "gops": "0.001"}  # fmt: skip
_RATE_WORDS = {"dense", "peak", "tensor", "core", "cores", "matrix", "s", "t", "tf", "rate", "perf", "performance", "max",
               "theoretical"}  # fmt: skip


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
            notes.append(
                f"{header[place]!r} is carried through and not read: TPP counts dense rates of one format"
            )
    if "mac_tops" not in found:
        found.pop("bit_length", None)
    for meant, places in found.items():
        usual = [place for place in places if names[place] == meant]
        if len(usual or places) > 1 and meant != "chip":
            shown = ", ".join(repr(header[place]) for place in usual or places)
            raise BadInput(
                f"columns {shown} would all be read as {meant}; leave one, or call the one that is meant {meant}"
            )
        place = (usual or places)[0]
        fields.append((place, meant, COLUMNS[names[place]][1]))
        if names[place] != meant:
            notes.append(f"{header[place]!r} is read as {meant}")
    read = {field for _, field, _ in fields}
    if read.isdisjoint(("tpp", "tpp_published", "mac_tops", "memory_bandwidth_gbs", *RATES)):
        raise BadInput(
            f"no column tells what a chip can do; give tpp, or rates such as fp8_tflops (the header has: {', '.join(header)})"
        )
    if "mac_tops" in read and "bit_length" not in read:
        raise BadInput("mac_tops needs bit_length beside it: TPP = 2 x MacTOPS x bit length; add that column")
    absent = [name for name in ("chip", "tpp", "die_area_mm2", "datacenter", *_WITH_RATE, "item_form", "vendor", "date")
              if name not in read and not (name == "tpp" and read & {"tpp_published", "mac_tops", *RATES})]  # fmt: skip
    if absent:
        notes.append(f"not in the file, and taken as blank: {', '.join(absent)}")
    kept = tuple(place for place in range(len(header)) if place not in standing)
    return Layout(tuple(header), tuple(fields), kept, tuple(notes))


# --- rows ---------------------------------------------------------------------------------------------------------------


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


_UNITS: dict[str, cells.Units] = {
    "tpp": cells.TPP, "tpp_published": cells.TPP, "die_area_mm2": cells.AREA, "memory_bandwidth_gbs": cells.BANDWIDTH,
    "io_bandwidth_gbs": cells.BANDWIDTH,
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
            columns.header[place],
            told,
            "is blank beside mac_tops; give the bit length of the multiply inputs",
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
    rates: dict[str, Any] = {name: numbers[name] for name in RATES if name in numbers}
    notes: list[str] = []
    printed, figure = numbers.get("tpp"), ""
    macs = numbers.get("mac_tops")
    if printed is None and macs is not None:
        printed, figure = _from_macs(macs, numbers["bit_length"])
        computed = tpp(replace(ChipSpec(), **rates)) if rates else None
        if computed is not None and computed.low > interval(printed).high:
            printed, figure = None, ""  # the highest over all bit lengths counts
    first = printed is not None
    printed = numbers.get("tpp_published") if printed is None else printed
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
        tpp_published=printed,
        printed_first=first,
        die_area_mm2=None if is_stack else area,
        memory_bandwidth_gbs=numbers.get("memory_bandwidth_gbs"),
        io_bandwidth_gbs=numbers.get("io_bandwidth_gbs"),
        marketed_for_datacenters=datacenter,
        form=form,
        vendor=firm.slug if firm else NOBODY,
        vendor_hq=firm.country if firm else "" if named else ORIGIN,
        is_hbm_stack=is_stack,
        package_area_mm2=area if is_stack else None,
        copackaged_with_dominant_logic=False if is_stack else None,
    )
    return Row(replace(spec, **rates), days, named, firm, figure, tuple(notes))


def _from_macs(macs: Number, bits: Number) -> tuple[Number, str]:
    length = int(interval(bits).low)
    span = interval(macs)
    found = plain(Interval(*(float(Decimal(repr(end)) * 2 * length) if end < float("inf") else end
                             for end in (span.low, span.high))))  # fmt: skip
    return found, f"TPP {shown(found)} = 2 x {shown(macs)} MacTOPS x {length} bits"


# --- whole tables -------------------------------------------------------------------------------------------------------

LONGEST_LINE = 1 << 20
"""Bytes of one line; more is no table."""


def text_lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines of a UTF-8 file as text, a byte order mark left out. Raises BadInput naming the line that is none."""
    for number, line in enumerate(lines, start=1):
        if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise BadInput(f"{name}: encoded as UTF-16; save it as CSV in UTF-8")
        if len(line) > LONGEST_LINE:
            raise BadInput(
                f"{name}, line {number}: more than {LONGEST_LINE:,} bytes without an end; this is no table"
            )
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
    """The output rows for input rows, in their order, one at a time. ``wrong`` is told the number of a row that cannot be read
    (the header is row 1) and says whether answers are still wanted; ``tally`` counts."""
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
