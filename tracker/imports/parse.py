"""A file of bytes becomes rows of values and a list of problems; no row is kept half."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracker.imports.columns import Column, Problem, Refused, near

LARGEST_FILE = 50 * 1024 * 1024
"""Bytes of one file. Larger ledgers come in several files or through the generator."""

MOST_ROWS = 1_000_000

Values = Mapping[str, Any]
Check = Callable[[Values], tuple[str, str] | None]
"""Looks at a whole row that parsed cell by cell; answers None, or (column, message with the mend)."""


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One kind of file: its name, its columns, which of them together name a row, and what must hold within a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was understood: the line it begins on (the header is line 1) and a value for every column."""

    line: int
    values: dict[str, Any]


def parse(
    spec: FileSpec, data: bytes, largest: int = LARGEST_FILE, most: int = MOST_ROWS
) -> tuple[list[Row], list[Problem]]:
    """The rows of a comma-separated UTF-8 file and all that is wrong with it.

    A row with any problem is left out of the rows. A file whose header or encoding is wrong gives no rows at all.
    """
    decoded, problem = _decoded(spec.name, data, largest)
    if problem:
        return [], [problem]
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: dict[tuple[Any, ...], int] = {}
    for line, cells in _records(spec.name, decoded, problems):
        if line == 1:
            problems += _header_problems(spec, cells)
            if problems:
                break
            header = cells
            continue
        if len(rows) >= most:
            problems.append(
                Problem(spec.name, line, "", "", f"the file has more than {most:,} rows; split it.")
            )
            break
        row, wrong = _row(spec, header, line, cells)
        if not wrong:
            key = tuple(row.values[name] for name in spec.key)
            if key in seen:
                shown = ", ".join("blank" if part in (None, "") else str(part) for part in key)
                wrong = [_duplicate(spec, line, shown, seen[key])]
            else:
                seen[key] = line
                rows.append(row)
        problems += wrong
    return rows, problems


def _duplicate(spec: FileSpec, line: int, shown: str, first: int) -> Problem:
    message = f"stands in row {first} already; give this row another {' and '.join(spec.key)}, or delete one of the two."
    return Problem(spec.name, line, spec.key[0], shown, message)


def _decoded(name: str, data: bytes, largest: int) -> tuple[str, Problem | None]:
    if len(data) > largest:
        size = f"the file has {len(data):,} bytes, more than {largest:,}; split it."
        return "", Problem(name, None, "", "", size)
    save = "save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", Problem(name, None, "", "", f"the file is in UTF-16; {save}")
    if not data.strip():
        return "", Problem(name, None, "", "", "the file is empty; it needs at least its header row.")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        return "", Problem(
            name, line, "", "", f"a NUL byte stands in this row: the file is damaged or not text; {save}"
        )
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        wrong = data[error.start : error.start + 1].hex()
        return "", Problem(
            name, line, "", "", f"byte 0x{wrong} is not UTF-8 (perhaps Latin-1 or Windows-1252); {save}"
        )


def _records(name: str, decoded: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on; empty lines are passed over, a broken quotation ends the reading."""
    reader = csv.reader(io.StringIO(decoded, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            elif line == 1:
                problems.append(
                    Problem(name, 1, "", "", "the first line is blank; the header row belongs there.")
                )
                return
            line = reader.line_num + 1
    except csv.Error as error:
        mend = "put quotation marks around the whole cell and double those inside it"
        problems.append(Problem(name, line, "", "", f"the row cannot be read ({error}); {mend}."))


def _header_problems(spec: FileSpec, header: list[str]) -> list[Problem]:
    wanted = [column.name for column in spec.columns]
    problems = []
    for name in header:
        if name not in wanted:
            free = [column for column in wanted if column not in header]
            message = f"no such column; the columns are: {', '.join(wanted)}.{near(name, free)}"
            problems.append(Problem(spec.name, 1, name, "", message))
        elif header.count(name) > 1:
            problems.append(
                Problem(spec.name, 1, name, "", "this column stands in the header twice; delete one.")
            )
    for column in spec.columns:
        if column.name not in header and not column.may_lack:
            problems.append(
                Problem(
                    spec.name, 1, column.name, "", "the column is missing; add it (its cells may be empty)."
                )
            )
    return problems


def _row(spec: FileSpec, header: list[str], line: int, cells: list[str]) -> tuple[Row, list[Problem]]:
    row = Row(line, {})
    if len(cells) != len(header):
        message = f"the row has {len(cells)} cells, the header {len(header)}; a cell with a comma in it needs quotation marks."
        return row, [Problem(spec.name, line, "", "", message)]
    problems = []
    by_name = dict(zip(header, cells, strict=True))
    for column in spec.columns:
        cell = by_name.get(column.name, "")
        try:
            row.values[column.name] = _value(column, cell)
        except Refused as refusal:
            problems.append(Problem(spec.name, line, column.name, cell[:200], f"{refusal}."))
    if problems:
        return row, problems
    for check in spec.checks:
        found = check(row.values)
        if found:
            name, message = found
            problems.append(Problem(spec.name, line, name, by_name.get(name, "")[:200], message))
    return row, problems


def _value(column: Column, cell: str) -> Any:
    if cell:
        return column.parser(cell)
    if column.required:
        raise Refused(f"the cell is empty; it must say: {column.meaning}")
    return column.blank
