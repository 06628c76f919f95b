"""A whole file: rows that are understood, problems for the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.imports.columns import Column, decimal, slug, text
from tracker.imports.parse import FileSpec, parse
from tracker.imports.seedfiles import FILES, ordered

SPEC = FileSpec(
    "things.csv",
    (
        Column("slug", slug(), "short name", required=True),
        Column("low", decimal(9, 2), "least", blank=None),
        Column("high", decimal(9, 2), "greatest", blank=None),
        Column("note", text(), "remarks"),
    ),
    key=("slug",),
    checks=(ordered("low", "high"),),
)
HEADER = "slug,low,high,note\n"


def problems(data: str | bytes, **limits: int) -> list[str]:
    rows, found = parse(SPEC, data.encode() if isinstance(data, str) else data, **limits)
    assert rows == [] or found == [], "a test reads either its rows or its problems"
    return [str(problem) for problem in found]


def test_a_sound_file_gives_its_rows_with_the_lines_they_begin_on():
    rows, found = parse(SPEC, (HEADER + 'a,1,2,"two\nlines"\n\nb,,,\n').encode())
    assert found == []
    assert [(row.line, row.values["slug"], row.values["low"]) for row in rows] == [
        (2, "a", 1),
        (5, "b", None),
    ]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    rows, found = parse(SPEC, b"\xef\xbb\xbf" + (HEADER + "a,1,2,x\n").replace("\n", "\r\n").encode())
    assert found == []
    assert rows[0].values["note"] == "x"


@pytest.mark.parametrize("cell", ["=HYPERLINK(1)", "+1", "-1", "@cmd", "=1+1"])
def test_a_cell_that_looks_like_a_formula_is_just_text(cell):
    rows, found = parse(SPEC, f"{HEADER}a,,,{cell}\n".encode())
    assert found == []
    assert rows[0].values["note"] == cell


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((HEADER + "a,1,2,x\n").encode("utf-16"), "UTF-16"),
        (HEADER.encode() + "a,,,Jülich\n".encode("latin-1"), "byte 0xfc is not UTF-8"),
        (HEADER.encode() + b"a,,,\0\n", "NUL byte"),
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"\n" + HEADER.encode(), "first line is blank"),
        (HEADER.encode() + b'a,,,"open\n', "row 2: the row cannot be read"),
    ],
)
def test_a_file_that_is_not_clean_utf_8_csv_is_refused_with_the_mend(data, words):
    (problem,) = problems(data)
    assert words in problem


def test_the_row_of_a_wrong_byte_is_named():
    (problem,) = problems(HEADER.encode() + b"a,,,\n" + b"b,,,\xe9\n")
    assert problem.startswith("things.csv, row 3:")


def test_an_unknown_column_is_refused_with_the_nearest_missing_one():
    found = problems("slug,low,hihg,note\na,1,2,x\n")
    assert any("hihg: no such column" in text and "Near matches: high." in text for text in found)
    assert any("high: the column is missing" in text for text in found)


def test_a_column_that_stands_twice_is_refused():
    assert any("stands in the header twice" in text for text in problems("slug,low,high,note,note\n"))


def test_a_row_with_too_few_or_too_many_cells_is_refused():
    found = problems(HEADER + "a,1,2\nb,1,2,x,y\n")
    assert "row 2: the row has 3 cells, the header 4" in found[0]
    assert "row 3: the row has 5 cells" in found[1]


def test_an_empty_cell_that_is_needed_is_refused_with_its_meaning():
    assert problems(HEADER + ",1,2,x\n") == [
        "things.csv, row 2, slug: the cell is empty; it must say: short name."
    ]


def test_all_problems_of_a_file_are_listed_not_only_the_first():
    assert len(problems(HEADER + "a b,1e5,2,x\n,1,2,x\nc,3,2,x\n")) == 4


def test_figures_that_decrease_are_refused():
    (problem,) = problems(HEADER + "a,3,2,x\n")
    assert "high: '2' is less than low (3)" in problem


def test_a_name_that_stands_twice_is_refused_with_its_first_row():
    rows, found = parse(SPEC, (HEADER + "a,1,2,x\na,1,2,y\n").encode())
    assert len(rows) == 1
    assert "row 3, slug: 'a' stands in row 2 already" in str(found[0])


def test_a_file_over_the_size_bound_is_not_read():
    assert "split it" in problems(HEADER + "a,1,2,x\n", largest=20)[0]


def test_rows_over_the_row_bound_are_refused():
    rows, found = parse(SPEC, (HEADER + "a,,,\nb,,,\nc,,,\n").encode(), most=2)
    assert [row.values["slug"] for row in rows] == ["a", "b"]
    assert "more than 2 rows" in str(found[0])


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_it_stumble(data):
    for spec in FILES.values():
        rows, found = parse(spec, data)
        assert rows == []
        assert found


@given(st.binary(max_size=120))
def test_no_bytes_after_a_sound_header_make_it_stumble(data):
    parse(SPEC, HEADER.encode() + data)


def test_a_file_from_before_there_was_a_column_goes_on_being_read():
    older = replace(
        SPEC, columns=(*SPEC.columns, Column("since", text(), "added later", may_lack=True, blank="then"))
    )
    rows, found = parse(older, (HEADER + "a,1,2,x\n").encode())
    assert (found, rows[0].values["since"]) == ([], "then")
    rows, found = parse(older, (HEADER.strip() + ",since\na,1,2,x,now\n").encode())
    assert (found, rows[0].values["since"]) == ([], "now")


@pytest.mark.parametrize(
    ("name", "column", "blank"), [("claims.csv", "reporter", ""), ("shipments.csv", "kind", "transfer")]
)
def test_the_columns_that_older_files_lack(name, column, blank):
    (found,) = [one for one in FILES[name].columns if one.may_lack]
    assert (found.name, found.blank) == (column, blank)
