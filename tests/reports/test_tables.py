"""Words, order and CSV of a report, without a database."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.reports.tables import (
    CSV_COLUMNS,
    Line,
    RunFacts,
    SourceLine,
    csv_text,
    families,
    figure_words,
    largest_gap,
    number,
    ordered,
    percent,
    probability,
    safe_cell,
    severity_by_check,
)

RUN = RunFacts(
    key="2026-03-01-1",
    as_known_at=datetime(2026, 3, 1, tzinfo=UTC),
    as_of=date(2026, 2, 28),
    parameters={},
    rule_set_sha256="0" * 64,
    code_version="1",
    findings_sha256="0" * 64,
)


def line(key: str = "a", **given) -> Line:
    values = {
        "check": "GAP",
        "area": "site:x",
        "area_name": "X",
        "scope": "chip:y",
        "scope_name": "Y",
        "period": "2025",
        "counterpart": "",
        "verdict": "not accounted for",
        "headline": "H",
        "severity": "high",
        "strength": "strong",
        "weakest_grade": "C",
        "is_discrepancy": True,
    }
    return Line(key=key, **(values | given))


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ({"low": 115000, "bound": "floor"}, "at least 115,000 chips"),
        ({"high": 60000, "bound": "ceiling"}, "at most 60,000 chips"),
        ({"best": 2000}, "2,000 chips"),
        ({"low": 10000, "high": 140000}, "10,000 to 140,000 chips"),
        ({"low": 900, "best": 1000, "high": 1100}, "1,000 chips (900 to 1,100)"),
        ({"low": 5, "best": 5, "high": 5}, "5 chips"),
        ({"bound": "words"}, "no number (chips)"),
    ],
)
def test_a_figure_is_worded_as_it_was_reported(figure, words):
    assert (
        figure_words(**({"low": None, "best": None, "high": None, "bound": "", "unit": "chips"} | figure))
        == words
    )


def test_numbers_keep_what_matters():
    assert [number(value) for value in (0, 12.345, 999.96, 1234567.8, -2.5, float("nan"))] == [
        "0",
        "12.3",
        "1,000",
        "1,234,568",
        "−2.5",
        "–",
    ]


def test_a_probability_below_one_in_a_million_is_not_printed_as_a_figure():
    assert probability(0.0) == "below 0.000001"
    assert probability(0.00001) == "0.00001"


def test_a_share_of_nothing_is_no_share():
    assert (percent(0, 0), percent(15, 194)) == ("–", "8 %")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"])
def test_text_that_a_spreadsheet_would_compute_is_neutralised(text):
    assert safe_cell(text) == f"'{text}"


def test_a_negative_number_stays_a_number():
    assert safe_cell(-400.0) == "-400"


@given(st.text())
def test_no_text_cell_starts_like_a_formula(text):
    assert not safe_cell(text).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.text(alphabet='a,"\n;=é'), min_size=1, max_size=5))
def test_every_headline_comes_back_from_the_csv_as_it_went_in(headlines):
    lines = [line(str(index), headline=f"x{text}") for index, text in enumerate(headlines)]
    read = list(csv.DictReader(io.StringIO(csv_text(RUN, lines), newline="")))
    assert [row["headline"] for row in read] == [item.headline for item in lines]
    assert tuple(read[0]) == CSV_COLUMNS


def test_discrepancies_come_first_and_the_gravest_and_largest_of_them_before_the_others():
    lines = [
        line("info", is_discrepancy=False, severity="info"),
        line("small", severity="high", sq=1.5),
        line("large", severity="high", sq=-7.0),
        line("critical", severity="critical", sq=11.0),
    ]
    assert [item.key for item in ordered(lines)] == ["critical", "large", "small", "info"]


@given(st.permutations(["a", "b", "c", "d", "e"]))
def test_the_order_does_not_depend_on_the_order_of_the_rows(keys):
    assert [item.key for item in ordered(line(key) for key in keys)] == ["a", "b", "c", "d", "e"]


def test_all_evaluated_tests_of_a_family_are_counted_and_arithmetic_is_not():
    lines = [
        line("a", family="GAP", p=0.001),
        line("b", family="GAP", p=0.6, is_discrepancy=False, verdict="consistent"),
        line("c", family="GAP", p=0.4, is_discrepancy=False, verdict="inconclusive"),
        line("d", check="DATE"),
    ]
    (family,) = families(lines)
    assert (family.family, family.m, family.reported, family.inconclusive) == ("GAP", 3, 1, 1)


def test_information_lines_are_in_no_total():
    lines = [
        line("a"),
        line("b", is_discrepancy=False, severity="info", gap_h100e=9e9),
        line("c", gap_h100e=-50.0),
    ]
    assert severity_by_check(lines) == [("GAP", {"critical": 0, "high": 2, "medium": 0, "low": 0, "info": 0})]
    assert largest_gap(lines).key == "c"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "ftp://example.org", "//example.org", ""]
)
def test_only_web_addresses_become_links(url):
    source = SourceLine("s", "T", "P", url, None, "", None, "press", "C", "read", "", "/api/v1/sources/1/")
    assert source.link == ""
