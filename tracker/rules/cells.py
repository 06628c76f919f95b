"""One cell of somebody else's table of chips, read into one value.

Tables of chips come from datasheets, spreadsheets and web pages, so numbers may carry units, thousands marks, ranges and
limits. Whatever has one meaning is read; whatever has several is refused with a sentence that says what to write.

>>> number("3.35 TB/s", BANDWIDTH)
3350.0
>>> number("4,700 - 4,900", {})
Interval(low=4700.0, high=4900.0)
>>> number("n/a", {}) is None
True
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from tracker.core.interval import Interval, Number, plain

LONGEST_CELL = 60
BLANKS = frozenset(
    ("", "-", "--", "---", "?", "??", ".", "n/a", "na", "n.a.", "n.a", "n/d", "nd", "nan", "none", "null", "nil", "tbd", "tba",
     "unknown", "not known", "not disclosed", "undisclosed", "unclear")
)  # fmt: skip
"""Words for a figure nobody gives (small letters)."""


class Refused(ValueError):
    """A cell is not understood; ``str(refusal)`` says what to write instead."""


def normal(cell: str) -> str:
    """The cell in one form: compatibility characters and dashes as their plain ones, single blanks, no ends."""
    text = unicodedata.normalize("NFKC", cell)
    text = re.sub(r"[\u2010-\u2015\u2212\ufe58\ufe63]", "-", text)
    return " ".join(text.split())


def is_blank(cell: str) -> bool:
    return normal(cell).casefold() in BLANKS


# --- numbers ----------------------------------------------------------------------------------------------------------

_THOUSAND, _MILLI = Decimal(1000), Decimal("0.001")
Units = Mapping[str, Decimal]
"""Unit as written, without blanks, to the factor that makes the column's own unit of it."""


def _bytes_a_second() -> dict[str, Decimal]:
    sizes = {"M": _MILLI, "G": Decimal(1), "T": _THOUSAND, "P": _THOUSAND**2}
    ends = ("B/s", "B/sec", "Bps", "Bs", "BPS", "B/S", "Byte/s", "Bytes/s", "byte/s", "bytes/s")
    return {size + end: factor for size, factor in sizes.items() for end in ends}


def _operations() -> dict[str, Decimal]:
    sizes = {"G": _MILLI, "T": Decimal(1), "P": _THOUSAND}
    ends = ("OPS", "OPs", "ops", "OP/s", "OPS/s", "FLOPS", "FLOPs", "flops", "FLOP/s", "FLOPS/s", "FLOP", "F")
    return {size + end: factor for size, factor in sizes.items() for end in ends}


AREA: Units = {
    **dict.fromkeys(("mm2", "mm^2", "sqmm", "sq.mm", "squaremm"), Decimal(1)),
    **dict.fromkeys(("cm2", "cm^2", "sqcm"), Decimal(100)),
}
BANDWIDTH: Units = _bytes_a_second()
RATE: Units = _operations()
MACS: Units = dict.fromkeys(("MacTOPS", "MACTOPS", "TOPS", "TMACs", "TMAC/s"), Decimal(1))
TPP: Units = dict.fromkeys(("TPP", "tpp"), Decimal(1))
BITS: Units = dict.fromkeys(("bit", "bits"), Decimal(1))

_DIGITS = re.compile(
    r"""(?P<number> [1-9][0-9]{0,2} (?: [ ,'_][0-9]{3} )+ (?: \.[0-9]+ )?
                  | (?: [0-9]+ (?: \.[0-9]* )? | \.[0-9]+ ) (?: [eE] [+-]? [0-9]{1,2} )? )
        (?P<unit> \s* [^0-9\s.,'_+<>=~-] .* )?""",
    re.VERBOSE,
)
_ABOUT = re.compile(r"(~|\u2248|\u223c|\u00b1|ca?\.? |circa |about |around |approx)", re.IGNORECASE)
_BOUND = re.compile(
    r"(?P<sign>>=|=>|\u2265|>|<=|=<|\u2264|<|at least|at most|up to|more than|less than|over|above|under|below"
    r"|minimum|maximum|min\.?|max\.?)\s*(?P<rest>.+)",
    re.IGNORECASE,
)
_FLOORS = {">=", "=>", "\u2265", "at least", "minimum", "min", "min."}
_ABOVE = {">", "more than", "over", "above"}
_BELOW = {"<", "less than", "under", "below"}
_RANGE = re.compile(r"\s*(?:\.\.\.?|(?<![eE])-|\bto\b)\s*")
_LARGEST = Decimal(10) ** 12


def number(cell: str, units: Units, *, scale: Decimal = Decimal(1), positive: bool = False) -> Number | None:
    """The figure of a cell, in the column's own unit; a range or limit as an :class:`Interval`; None where it is blank.

    ``units``: what may follow the digits. ``scale``: factor of a figure without a unit (a column in TB/s). ``positive``: a zero
    is refused. Read are ``4,800``, ``4 800``, ``4.8e3``, ``814 mm2``, ``4700-4900``, ``4700..4900``, ``>=4800``, ``at most 600``,
    ``4800+``. A limit that excludes its own value keeps it outside. Raises Refused.
    """
    text = normal(cell)
    if text.casefold() in BLANKS:
        return None
    if len(text) > LONGEST_CELL:
        raise Refused(f"has {len(text)} characters, which is no figure; write a number, or leave it blank")
    if _ABOUT.match(text):
        raise Refused(
            "is an approximate figure that does not say how far off it may be; write a range such as 4700-4900, "
            "or the number alone if it is meant exactly"
        )
    read = _Digits(units, scale)
    found = _bounded(text, read) or _ranged(text, read) or Interval(*(2 * [read.one(text)]))
    if found.high <= 0 and positive:
        raise Refused("cannot be zero; leave the cell blank if it is not known")
    if found.low <= 0 and positive:
        found = Interval(1e-9, found.high)
    return plain(found)


class _Digits:
    """Digits with a unit, in one column."""

    def __init__(self, units: Units, scale: Decimal) -> None:
        self.units, self.scale = units, scale

    def one(self, text: str, unit: str = "") -> float:
        """The value of ``text``; ``unit`` is the one that stands elsewhere in the cell."""
        match = _DIGITS.fullmatch(text)
        if match is None:
            raise Refused(self._mend(text))
        marks = set(re.findall(r"[ ,'_]", match["number"]))
        if len(marks) > 1:
            raise Refused("marks its thousands in two ways; write plain digits such as 4800")
        value = Decimal(re.sub(r"[ ,'_]", "", match["number"])) * self._factor(match["unit"] or unit)
        if value > _LARGEST:
            raise Refused("is too large to be meant; check the unit")
        return float(value)

    def _factor(self, unit: str) -> Decimal:
        written = re.sub(r"\s", "", unit)
        if not written:
            return self.scale
        if written in self.units:
            return self.units[written]
        near = {known.casefold(): factor for known, factor in self.units.items()}
        if self.units is not BANDWIDTH and written.casefold() in near:
            return near[written.casefold()]
        choices = list(self.units)
        why = " (small b may mean bits)" if self.units is BANDWIDTH and "b" in written else ""
        mend = f"write one of {', '.join(choices[:3])}... or no unit" if choices else "write the number alone"
        raise Refused(f"has {unit.strip()!r} after its digits{why}; {mend}")

    def unit_of(self, text: str) -> str:
        match = _DIGITS.fullmatch(text)
        return (match["unit"] or "") if match else ""

    @staticmethod
    def _mend(text: str) -> str:
        if text.startswith("-"):
            return "is negative; write a number of zero or more, or leave it blank if not known"
        if re.fullmatch(r"[0-9.,' _]+", text):
            return "can be read in more than one way; write a point before decimals and plain digits, such as 1000.5"
        return "is no number; write one such as 4800 or 33.3, a range 4700-4900, a limit >=4800, or leave it blank"


def _bounded(text: str, read: _Digits) -> Interval | None:
    match = _BOUND.fullmatch(text)
    if match is None:
        if text.endswith("+"):
            return Interval(read.one(text[:-1].strip()), math.inf)
        return None
    sign, value = match["sign"].casefold(), read.one(match["rest"])
    if sign in _FLOORS:
        return Interval(value, math.inf)
    if sign in _ABOVE:
        return Interval(math.nextafter(value, math.inf), math.inf)
    if sign in _BELOW:
        if value <= 0:
            raise Refused("cannot be less than zero; leave the cell blank if it is not known")
        return Interval(0.0, math.nextafter(value, -math.inf))
    return Interval(0.0, value)


def _ranged(text: str, read: _Digits) -> Interval | None:
    if _DIGITS.fullmatch(text) and not _RANGE.search(text):
        return None
    for split in _RANGE.finditer(text):
        first, last = text[: split.start()].strip(), text[split.end() :].strip()
        if _DIGITS.fullmatch(first) and _DIGITS.fullmatch(last):
            low, high = read.one(first, read.unit_of(last)), read.one(last, read.unit_of(first))
            if low > high:
                raise Refused(f"runs from {first} down to {last}; write the smaller number first")
            return Interval(low, high)
    return None


# --- words ------------------------------------------------------------------------------------------------------------

_YES = {"yes", "y", "true", "t", "1", "1.0", "x", "datacenter", "data center", "datacentre", "data centre"}
_NO = {"no", "n", "false", "f", "0", "0.0", "not datacenter", "non-datacenter", "not data center"}


def yes_no(cell: str) -> bool | None:
    """Whether the chip is designed or marketed for data centers; None where the cell is blank. Raises Refused."""
    word = normal(cell).casefold()
    if word in BLANKS:
        return None
    if word not in _YES | _NO:
        raise Refused("write yes or no (also true, false, 1, 0, y, n, x), or leave it blank if not known")
    return word in _YES


STACK = "stack"
"""Form of a stack of high-bandwidth memory sold as such."""
_FORMS = {
    "ic": "ic, ics, chip, die, package, packaged ic, gpu, asic, accelerator, integrated circuit, bare chip, soc, processor",
    "card": "card, pcie, pcie card, add-in card, aic, graphics card, accelerator card, gpu card",
    "board": "board, baseboard, module, sxm, sxm module, oam, oam module, superchip, tray, assembly, hgx",
    "system": "system, server, computer, rack, workstation, node, pod, cluster, dgx, laptop, notebook",
    STACK: "hbm, stack, memory, hbm stack, memory stack, high-bandwidth memory, high bandwidth memory",
}
FORMS = {word: form for form, words in _FORMS.items() for word in words.split(", ")}
_NUMBER = re.compile(r"([0-9][A-E][0-9]{3})(\.[0-9A-Za-z.*]+)?")
_SLOTS = re.compile(r"pcie\b|(sxm|oam)[0-9]?\b")
_NUMBER_FORMS = {"3A090": "ic", "4A090": "card"}


def form(cell: str) -> str:
    """What the item is: ``ic``, ``card``, ``board``, ``system``, ``stack``, the number of another carrier (``5A992``), or empty
    where the cell is blank. Raises Refused."""
    word = normal(cell)
    if word.casefold() in BLANKS:
        return ""
    if match := _NUMBER.fullmatch(word.upper().replace(".Z", ".z")):
        return _NUMBER_FORMS.get(match[1], match[1])
    small = word.casefold().replace("_", " ")
    found = FORMS.get(small) or FORMS.get(small.replace("-", " "))
    if match := _SLOTS.match(small):
        found = "card" if match[0] == "pcie" else "board"
    if found is None:
        raise Refused(
            "is no form of item known here; write ic, card, board, system, hbm, or the number of a carrier such as 5A992, "
            "or leave it blank"
        )
    return found


_CAPACITY = re.compile(r"[0-9]+ ?-?(gb|gbit|hi|high|layer|layers|l|stack|tb|gen)?", re.IGNORECASE)
_MEMORY = re.compile(r"(l?hbm)[0-9]?[a-z]?[0-9]?", re.IGNORECASE)


def names_memory(chip: str) -> bool:
    """Whether a name is that of high-bandwidth memory (``SK hynix HBM3E 12-high``) and not of a chip with such memory (``H100
    80GB HBM3``): before the word stands no model with a digit in it."""
    words = [word for word in re.split(r"[\s,;/()_-]+", normal(chip)) if word]
    place = next((index for index, word in enumerate(words) if _MEMORY.fullmatch(word)), None)
    if place is None:
        return False
    return all(
        _CAPACITY.fullmatch(word) or not any(mark.isdigit() for mark in word) for word in words[:place]
    )


# --- days -------------------------------------------------------------------------------------------------------------

_MONTHS = {
    name: index
    for index, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december"), start=1)
    for name in names.split()
}  # fmt: skip
FIRST_YEAR, LAST_YEAR = 1980, 2100
Days = tuple[date, date]
"""First and last day that a cell may mean."""


def days(cell: str) -> Days | None:
    """The days a cell may mean: one day, or all days of a month or year; None where it is blank.

    Read are ``2023-11-17``, ``2023/11/17``, ``20231117``, ``17 Nov 2023``, ``Nov 17, 2023``, ``2023-11``, ``Nov 2023``, ``2023``,
    also with a time of day behind. A day in figures with the year last has no one order of day and month, and is refused.
    """
    text = normal(cell)
    if text.casefold() in BLANKS:
        return None
    if len(text) > LONGEST_CELL:
        raise Refused("is no day; write one like 2023-11-17")
    parts = _ymd(text)
    if parts is None:
        if re.fullmatch(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}", text):
            raise Refused("may mean two days; write the year first, such as 2023-11-17")
        raise Refused("is no day; write one like 2023-11-17, a month like 2023-11, or leave it blank")
    year, month, day = parts
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Refused(f"lies outside {FIRST_YEAR} to {LAST_YEAR}; check the year")
    try:
        first = date(year, month or 1, day or 1)
    except ValueError:
        raise Refused("is a day that does not exist; check day and month") from None
    if day:
        return first, first
    following = date(year + 1, 1, 1) if (month or 12) == 12 else date(year, (month or 12) + 1, 1)
    return first, following - timedelta(days=1)


def _ymd(text: str) -> tuple[int, int, int] | None:
    """Year, month and day; zero where not said. None where the form is not known."""
    if match := re.fullmatch(r"([0-9]{4})(?:([-/.])([0-9]{1,2})(?:\2([0-9]{1,2}))?)?", text):
        # a month of zero would read as not said, and it is a mistake
        if any(part is not None and int(part) == 0 for part in (match[3], match[4])):
            raise Refused("is a day that does not exist; check day and month")
        return int(match[1]), int(match[3] or 0), int(match[4] or 0)
    if match := re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})", text):
        return int(match[1]), int(match[2]) or 99, int(match[3]) or 99
    words = text.casefold().replace(",", " ").replace(".", " ").replace("-", " ").split()
    months = [_MONTHS[word] for word in words if word in _MONTHS]
    figures = [re.sub(r"(?<=[0-9])(st|nd|rd|th)$", "", word) for word in words if word not in _MONTHS]
    if len(months) == 1 and all(re.fullmatch(r"[0-9]{1,4}", word, re.ASCII) for word in figures):
        years = [int(word) for word in figures if len(word) == 4]
        others = [int(word) for word in figures if len(word) <= 2]
        if len(years) == 1 and len(figures) == 1 + len(others) and len(others) <= 1:
            return years[0], months[0], (others[0] or 99) if others else 0
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?", text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment.year, moment.month, moment.day
    return None


# --- vendors ----------------------------------------------------------------------------------------------------------

_LEGAL = frozenset(("inc", "incorporated", "corp", "corporation", "co", "company", "ltd", "limited", "llc", "plc", "gmbh",
                    "ag", "sa", "nv", "the"))  # fmt: skip


def name_key(name: str) -> str:
    """A firm's name without case, punctuation, what stands in brackets, and its legal form."""
    text = re.sub(r"\([^)]*\)", " ", normal(name).casefold())
    words = re.findall(r"\w+", text.replace("'", ""))
    kept = [word for word in words if word not in _LEGAL]
    return " ".join(kept or words)


_TRADE = set(
    [
        "labs",
        "lab",
        "technology",
        "technologies",
        "semiconductor",
        "semiconductors",
        "systems",
        "group",
        "holding",
        "holdings",
    ]
)


def short_name_key(name: str) -> str:
    """The key without words of the trade: ``Habana Labs`` is ``habana``."""
    words = name_key(name).split()
    return " ".join([word for word in words if word not in _TRADE] or words)
