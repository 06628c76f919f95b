"""A comparison of two sides of the law in words, and as the rows of one table for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from tracker.judgement.comparison import TABLES, Amount, Comparison, Flip, Side
from tracker.rules.answers import safe

NOT_LAW = "A supposition held against the ledger: not law, not a forecast, not legal advice."
TITLES = {
    "by_decision": "By decision",
    "by_chip": "By chip",
    "by_consignee": "By consignee",
    "by_destination": "By destination",
}
"""Headings of the tables of a comparison."""
WHO = {
    "by_decision": "",
    "by_chip": "Chip or family",
    "by_consignee": "Consignee",
    "by_destination": "Destination",
}
LONGEST_LIST = 5
"""Rows that the words tell one by one; the tables have all of them."""


def figure(value: float) -> str:
    """A quantity as people read it.

    >>> figure(1234.4), figure(3.27), figure(0), figure(0.04)
    ('1,234', '3.3', '0', '0.04')
    """
    return f"{value:,.0f}" if value == 0 or abs(value) >= 10 else f"{value:.2g}"


def amount(value: Amount) -> str:
    """A sum with its interval.

    >>> amount(Amount(900, 1000, 1100)), amount(Amount(5, 5, 5))
    ('1,000 (900 to 1,100)', '5')
    """
    return " ".join(filter(None, (figure(value.best), f"({span(value)})" if span(value) else "")))


def span(value: Amount) -> str:
    """The interval of a sum, empty where its ends read alike.

    >>> span(Amount(900, 1000, 1100)), span(Amount(5, 5, 5))
    ('900 to 1,100', '')
    """
    low, high = figure(value.low), figure(value.high)
    return "" if low == high else f"{low} to {high}"


def is_known(row: Flip, value: Amount) -> bool:
    """Whether a sum of a row says anything: where no line could be counted, zero is no figure."""
    return value.high > 0 or row.uncounted < row.lines


def told(row: Flip, value: Amount) -> str:
    """A sum of a row in words."""
    return amount(value) if is_known(row, value) else "not known"


def side(of: Side) -> str:
    """A side in words.

    >>> from datetime import date
    >>> side(Side("law")), side(Side("draft:x@2026-01-01", date(2026, 1, 1)))
    ('the law as it stands', 'draft x on 2026-01-01')
    """
    name = of.label.partition("@")[0]
    if name.startswith("draft:"):
        name = f"draft {name.removeprefix('draft:')}"
        return name if of.day is None else f"{name} on {of.day.isoformat()}"
    return "the law as it stands" if of.day is None else f"the law of {of.day.isoformat()}"


def days(found: Comparison) -> str:
    """On which days the lines were judged."""
    named = [of.day for of in (found.before, found.after)]
    if not any(named):
        return "Each line is judged on the day it left."
    if all(named):
        return "Each line is judged as if it had left on the day named."
    return "Each line is judged as if it had left on the day named, on the other side on the day it left."


def sentences(found: Comparison) -> tuple[str, ...]:
    """What a comparison comes to, largest first: how much was judged, what changed, chips, and what is in no amount."""
    kind = "SYNTHETIC records" if found.records == "synthetic" else "Records of the ledger"
    words = [
        f"{kind}: {side(found.before)} against {side(found.after)}. {days(found)}",
        f"Of {_lines(found.judged)} judged, {found.changed:,} come to another decision or policy."
        if found.changed
        else f"Of {_lines(found.judged)} judged, none comes to another decision or policy.",
    ]
    words += [flip(row) for row in found.by_decision[:LONGEST_LIST]]
    if len(found.by_decision) > LONGEST_LIST:
        words.append(f"{len(found.by_decision) - LONGEST_LIST} more kinds of change are in the table.")
    if found.by_decision:
        words.append("Ranges hold 90 percent.")
    if names := {row.chip for row in found.chips}:
        when = "" if all(row.first is None for row in found.chips) else " on at least one day"
        chips = "1 chip is" if len(names) == 1 else f"{len(names):,} chips are"
        words.append(f"{chips} of another level{when}.")
    else:
        words.append("No chip is of another level.")
    if uncounted := sum(row.uncounted for row in found.by_decision):
        words.append(
            f"{_are(uncounted, 'is', 'are')} in no sum of H100-equivalents: the unit is no number of chips, or no TPP is known."
        )
    if bounds := sum(row.bounds for row in found.by_decision):
        words.append(f"{_are(bounds, 'says', 'say')} at least or at most; the figure is summed as it stands.")
    return tuple(words)


def flip(row: Flip) -> str:
    """One row in a sentence."""
    much = f"{told(row, row.chips)} chips, {told(row, row.h100e)} H100-equivalents"
    return f"{_lines(row.lines)} from {row.before} to {row.after}: {much}."


def _lines(count: int) -> str:
    return f"{count:,} line{'s' * (count != 1)}"


def _are(count: int, one: str, many: str) -> str:
    return f"{_lines(count)} {one if count == 1 else many}"


# --- tables for pages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToldRow:
    """A flip with its amounts in words: best estimate, and its range where it has one. ``tpp`` in millions of TOPS x bits."""

    flip: Flip
    chips: str
    tpp: str
    h100e: str
    chips_range: str
    tpp_range: str
    h100e_range: str


def told_row(row: Flip) -> ToldRow:
    sums = (row.chips, row.tpp.over(1e6), row.h100e)
    best = [figure(of.best) if is_known(row, of) else "not known" for of in sums]
    return ToldRow(row, *best, *(span(of) for of in sums))


@dataclass(frozen=True, slots=True)
class ToldTable:
    """One table of flips. ``who``: heading of the column that says what a row is about, empty where it is about all;
    ``left_off``: smaller rows that are not there."""

    name: str
    title: str
    who: str
    rows: tuple[ToldRow, ...]
    left_off: int


def tables(found: Comparison) -> tuple[ToldTable, ...]:
    """The tables of a comparison, those by who it concerns only where something flips."""
    found_tables = []
    for name in TABLES:
        flips: tuple[Flip, ...] = getattr(found, name)
        rows = tuple(told_row(row) for row in flips)
        found_tables.append(ToldTable(name, TITLES[name], WHO[name], rows, found.left_off.get(name, 0)))
    return tuple(table for table in found_tables if table.rows)


# --- one table --------------------------------------------------------------------------------------------------------------

AMOUNTS = tuple(f"{what}_{end}" for what in ("chips", "tpp", "h100e") for end in ("low", "best", "high"))
COLUMNS = (
    "table", "records", "before_side", "after_side", "who", "name", "first", "last", "before", "after", "why", "lines",
    "uncounted", "bounds", *AMOUNTS,
)  # fmt: skip
"""``table``: ``chip_level`` (a chip that is of another level from ``first`` to ``last``) or one of the tables of flips."""


def rows(found: Comparison) -> Iterator[list[str | int | float]]:
    """All tables below one another, in :data:`COLUMNS`; texts are safe in a spreadsheet, and sums that are not
    known are blank."""
    sides = [found.records, safe(found.before.label), safe(found.after.label)]
    for chip in found.chips:
        days = ["" if day is None else day.isoformat() for day in (chip.first, chip.last)]
        texts = [safe(chip.chip), "", *days, safe(chip.before), safe(chip.after), safe(chip.why)]
        yield ["chip_level", *sides, *texts, *[""] * (3 + len(AMOUNTS))]
    for table in TABLES:
        for row in getattr(found, table):
            texts = [safe(row.who), safe(row.name), "", "", safe(row.before), safe(row.after), ""]
            ends = [
                getattr(of, end) if is_known(row, of) else ""
                for of in (row.chips, row.tpp, row.h100e)
                for end in ("low", "best", "high")
            ]
            yield [table, *sides, *texts, row.lines, row.uncounted, row.bounds, *ends]


def write_csv(found: Comparison, file: IO[str]) -> None:
    """A comparison as CSV with one header line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(found))
