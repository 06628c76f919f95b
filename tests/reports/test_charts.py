"""Charts are well-formed, say in words what they draw, keep their marks inside the picture and their labels
apart."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.reports.charts import (
    WIDTH,
    Interval,
    LogAxis,
    Mark,
    Month,
    Pair,
    destination_bars,
    forest,
    reported_against_expected,
    severity_bars,
    short,
    timeline,
)

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<script>alert("&")</script>'

texts = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=80)
amounts = st.floats(min_value=0, max_value=1e9)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def pair(
    label: str = "Site", expected: float = 0.0, reported: float = 100.0, half_width: float = 10.0
) -> Pair:
    return Pair(label, "GAP", expected, reported, half_width, "high", "#d-1")


ALL = {
    "pairs": reported_against_expected([pair(NASTY), pair(expected=5e6)], NASTY),
    "forest": forest(
        "f", NASTY, [Interval(NASTY, NASTY, 1, 2, 3), Interval("b", "", 4, None, None, "floor")], NASTY
    ),
    "severity": severity_bars([(NASTY, {"critical": 2, "low": 1})]),
    "timeline": timeline([Month(date(2025, 1, 1), 5, 1)], [Mark(date(2025, 5, 1), 1, NASTY)]),
    "destinations": destination_bars([(NASTY, 7.0, NASTY)]),
}


@pytest.mark.parametrize("name", ALL)
def test_a_chart_is_xml_with_title_and_description_and_every_text_escaped(name):
    root = tree(ALL[name])
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    assert not list(root.iter(f"{SVG}script"))
    assert "style=" not in ALL[name]


def test_nothing_to_draw_draws_nothing():
    assert (
        reported_against_expected([], "chips")
        == severity_bars([])
        == timeline([], [])
        == destination_bars([])
        == ""
    )
    assert forest("f", "t", [Interval("a", "", None, None, None, "words")], "chips") == ""


@given(st.lists(st.builds(pair, texts, amounts, amounts, amounts), min_size=1, max_size=8))
def test_every_mark_of_the_pairs_lies_inside_the_picture(pairs):
    root = tree(reported_against_expected(pairs, "chips"))
    xs = [float(node.get(name)) for node in root.iter() for name in ("x", "x1", "x2", "cx") if node.get(name)]
    assert 0 <= min(xs) <= max(xs) <= WIDTH


@given(st.lists(amounts, min_size=2, max_size=20))
def test_a_larger_amount_is_never_drawn_further_left(values):
    axis = LogAxis(values, 100, 700)
    xs = [axis.at(value) for value in sorted(values)]
    assert xs == sorted(xs)


def test_zero_has_a_place_of_its_own_left_of_every_amount():
    axis = LogAxis([0, 1, 1000], 100, 700)
    assert axis.at(0) < axis.at(1) < axis.at(1000)


@given(st.lists(st.dates(date(2024, 1, 1), date(2025, 12, 31)), min_size=1, max_size=30, unique=True))
def test_numbers_of_rule_dates_never_cover_one_another(days):
    months = [Month(date(2024, 1, 1), 10, 1), Month(date(2025, 12, 1), 20, 1)]
    root = tree(timeline(months, [Mark(day, index + 1, "rule") for index, day in enumerate(sorted(days))]))
    badges = [
        (float(n.get("cx")), float(n.get("cy")))
        for n in root.iter(f"{SVG}circle")
        if n.get("class") == "badge"
    ]
    assert len(badges) == len(days)
    near = [
        (a, b)
        for i, a in enumerate(badges)
        for b in badges[:i]
        if abs(a[0] - b[0]) < 18 and abs(a[1] - b[1]) < 18
    ]
    assert near == []


def test_a_rule_outside_the_months_drawn_is_left_out():
    months = [Month(date(2024, 3, 1), 10, 1)]
    svg = timeline(months, [Mark(date(2022, 10, 7), 1, "earlier"), Mark(date(2024, 5, 1), 2, "inside")])
    assert "inside" in svg
    assert "earlier" not in svg


def test_a_bound_is_drawn_as_an_arrow_and_not_as_a_point():
    svg = forest(
        "f",
        "t",
        [Interval("floor", "", 100, None, None, "floor"), Interval("b", "", None, 120, None)],
        "chips",
    )
    assert svg.count('class="arrow"') == 1
    assert svg.count('class="reported"') == 1
    assert "≥ 100" in svg


def test_bars_are_as_long_as_their_counts():
    svg = severity_bars([("A", {"high": 4}), ("B", {"high": 2})])
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="19"', svg)]
    assert widths[0] + 1 == pytest.approx(2 * (widths[1] + 1), abs=0.2)


def test_long_labels_are_cut_and_kept_whole_for_those_who_point_at_them():
    root = tree(reported_against_expected([pair("A very long name of a site " * 5)], "chips"))
    shown = [node.text for node in root.iter(f"{SVG}text") if node.get("class") == "label"]
    assert shown[0].endswith("…")
    assert any("A very long name of a site " * 5 in (node.text or "") for node in root.iter(f"{SVG}title"))


@pytest.mark.parametrize(
    ("value", "text"), [(950, "950"), (20_000, "20k"), (1_250_000, "1.25M"), (3.2e9, "3.2bn")]
)
def test_ticks_are_short(value, text):
    assert short(value) == text
