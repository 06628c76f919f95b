"""What the columns of a seed file mean, and how one cell becomes one value.

A cell is either understood exactly or refused with a sentence that says what to write instead; nothing is guessed and nothing is
evaluated (a cell that looks like a formula is plain text). :mod:`tracker.imports.seedfiles` lists the files and their columns,
:mod:`tracker.imports.parse` reads whole files.

>>> from decimal import Decimal
>>> decimal(20, 3)("2304") == Decimal(2304)
True
>>> decimal(20, 3)("1.000,00")
Traceback (most recent call last):
tracker.imports.columns.Refused: write plain digits with a point before decimals and nothing between thousands, such as 1000.00
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from tracker.core.countries import COUNTRIES

Parser = Callable[[str], Any]
"""Cell text, stripped and not empty, to value; raises :class:`Refused`."""


class Refused(ValueError):
    """A cell is not understood; ``str(refusal)`` says what to write instead."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one cell, row or file. ``row`` counts lines from 1, the header; None: the file as a whole."""

    file: str
    row: int | None
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column:
            place += f", {self.column}"
        shown = f" {self.value!r}" if self.value else ""
        return f"{place}:{shown} {self.message}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, how its cells are read and what they mean.

    ``blank`` is the value of an empty cell (None, "" or ()); ``required`` refuses empty cells. ``refers_to`` names the kind of
    record (``source``, ``chip``...) that a cell, or each part of a list cell, must name by its slug. ``may_lack``: files written
    before there was such a column go on being read, all its cells empty.
    """

    name: str
    parser: Parser
    meaning: str
    required: bool = False
    blank: Any = ""
    refers_to: str = ""
    may_lack: bool = False


def near(word: str, known: Iterable[str]) -> str:
    """`` Near matches: a, b.`` or nothing: what the writer may have meant."""
    matches = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f" Near matches: {', '.join(matches)}." if matches else ""


def text(longest: int | None = None) -> Parser:
    """Any text of at most ``longest`` characters."""

    def parse(cell: str) -> str:
        if longest is not None and len(cell) > longest:
            raise Refused(f"has {len(cell)} characters; shorten it to {longest} or fewer")
        return cell

    return parse


_SLUG = re.compile(r"[a-zA-Z0-9_-]+")


def slug(longest: int = 80) -> Parser:
    """A short name in letters, digits, hyphens and underscores."""

    def parse(cell: str) -> str:
        if not _SLUG.fullmatch(cell):
            raise Refused("write a short name of letters a-z, digits and hyphens only, such as colossus-1")
        return text(longest)(cell)

    return parse


_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def decimal(digits: int, places: int, least: int | None = 0, most: int | None = None) -> Parser:
    """A number in plain ASCII digits with at most ``places`` decimals and ``digits`` digits in all.

    Refused: thousands separators, decimal commas, exponents, ranges, units, words.
    """

    def parse(cell: str) -> Decimal:
        if not _PLAIN_NUMBER.fullmatch(cell):
            raise Refused(_number_mend(cell))
        number = Decimal(cell)
        whole, _, fraction = cell.lstrip("-").partition(".")
        if len(fraction.rstrip("0")) > places:
            raise Refused(f"has more than {places} decimals; round it to {places} and say so in the note")
        if len(whole.lstrip("0")) > digits - places:
            raise Refused(f"has more than {digits - places} digits before the point; check the unit")
        if least is not None and number < least:
            raise Refused(
                f"is less than {least}; write {least} or more, or leave the cell empty if not known"
            )
        if most is not None and number > most:
            raise Refused(f"is more than {most}; write {most} or less")
        return number

    return parse


def _number_mend(cell: str) -> str:
    if re.fullmatch(r"[0-9.,]+\s*(-|–|—|to|\.\.)\s*[0-9.,]+", cell):
        return "is a range; write its ends into the columns low and high (or their like), one plain number in each"
    if re.fullmatch(r"[+-]?[0-9.]+[eE][+-]?[0-9]+", cell):
        return "write all digits instead of an exponent, such as 100000 for 1e5"
    if re.search(r"[,\s'’_]", cell) and re.fullmatch(r"[-+0-9.,\s'’_]+", cell):
        return (
            "write plain digits with a point before decimals and nothing between thousands, such as 1000.00"
        )
    return "write a plain number, such as 2304 or 33.33; words, signs and units belong in the note or the unit column"


def integer(least: int, most: int) -> Parser:
    """A whole number from ``least`` to ``most``."""

    def parse(cell: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", cell) or not least <= int(cell) <= most:
            raise Refused(f"write a whole number from {least} to {most} in plain digits")
        return int(cell)

    return parse


def yes_no(cell: str) -> bool:
    """``yes`` or ``no``."""
    if cell not in ("yes", "no"):
        raise Refused("write yes or no")
    return cell == "yes"


def iso_date(cell: str) -> date:
    """A day written ``YYYY-MM-DD``."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
            raise ValueError(cell)
        return date.fromisoformat(cell)
    except ValueError:
        raise Refused(
            "write a day that exists as year-month-day, such as 2025-07-14; blank if not known"
        ) from None


def country(cell: str) -> str:
    """An ISO 3166-1 alpha-2 code."""
    if cell in COUNTRIES:
        return cell
    if cell.upper() in COUNTRIES:
        raise Refused(f"write the country code in capitals: {cell.upper()}")
    named = [code for code, name in COUNTRIES.items() if cell.casefold() == name.casefold()]
    hint = (
        f"{named[0]} for {COUNTRIES[named[0]]}"
        if named
        else "such as MY for Malaysia or GB for Britain (not UK)"
    )
    raise Refused(f"write a two-letter ISO 3166-1 country code, {hint}; blank if not known")


def url(cell: str) -> str:
    """An ``http`` or ``https`` address of at most 600 characters."""
    try:
        parts = urlsplit(cell)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", cell)
    except ValueError:
        sound = False
    if not sound:
        raise Refused("write the whole address of the page, beginning with http:// or https://")
    return text(600)(cell)


def choice(*allowed: str) -> Parser:
    """One of ``allowed``, written exactly so."""

    def parse(cell: str) -> str:
        if cell not in allowed:
            raise Refused(f"write one of: {', '.join(allowed)}")
        return cell

    return parse


def pattern(regex: str, mend: str) -> Parser:
    """Text that matches ``regex`` from end to end; else ``mend`` is the message."""

    def parse(cell: str) -> str:
        if not re.fullmatch(regex, cell):
            raise Refused(mend)
        return cell

    return parse


def listed(part: Parser) -> Parser:
    """Several values in one cell, separated by ``|``; each only once."""

    def parse(cell: str) -> tuple[Any, ...]:
        parts = [piece.strip() for piece in cell.split("|")]
        if "" in parts:
            raise Refused("write the parts with one | between them and none at the ends")
        if len(set(parts)) < len(parts):
            raise Refused("names the same thing twice; write each once")
        return tuple(part(piece) for piece in parts)

    return parse
