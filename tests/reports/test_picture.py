"""The picture of a chip's class over time and the bar of a rule's days."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tracker.chips.specs import ChipSpec
from tracker.reports.picture import class_timeline, date_bar
from tracker.rules.parameters import Rule, Status
from tracker.rules.schema import rule_files
from tracker.rules.timeline import Stretch, stretches

BOOK = rule_files(documents(), groups()).book
TODAY = date(2026, 9, 25)
H20 = ChipSpec(
    slug="synthetic-h20", vendor="nvidia", vendor_hq="US", fp8_tflops=296, die_area_mm2=814, memory_bandwidth_gbs=4000,
    io_bandwidth_gbs=900, marketed_for_datacenters=True,
)  # fmt: skip
A100 = replace(H20, fp8_tflops=None, fp16_tflops=312, die_area_mm2=826, io_bandwidth_gbs=600)
OPEN = ChipSpec(slug="synthetic-open", vendor="elsewhere", vendor_hq="US", fp8_tflops=300)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(spec, today=TODAY):
    found = stretches({"a source": spec}, BOOK)
    return ElementTree.fromstring(class_timeline(found, today))


def titles(picture):
    return [title.text for group in picture.iter(f"{SVG}g") for title in group.findall(f"{SVG}title")]


def test_each_level_is_a_band_with_its_days_and_its_words():
    first, *others = titles(drawn(A100))[:3]
    assert first.startswith("2022-08-26 to 2022-10-20: caught by letter")
    assert "US-LETTER-2022-08-NVDA-AMD" in first
    assert others == [
        "2022-10-21 to 2023-11-16: level 2022, 3A090 or 4A090 under 3A090",
        "2023-11-17 to open: level a, 3A090.a or 4A090.a under 3A090.a.1",
    ]


def test_the_description_tells_what_the_bands_show():
    picture = drawn(A100)
    (title, description) = (picture.find(f"{SVG}title"), picture.find(f"{SVG}desc"))
    assert picture.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "2023-11-17 to open: level a" in description.text


def test_undetermined_is_a_hatch_and_not_caught_is_a_plain_fill():
    bands = {
        title.text.split(": ", 1)[1].split(",")[0]: group.find(f"{SVG}rect")
        for group in drawn(OPEN).iter(f"{SVG}g")
        if (title := group.find(f"{SVG}title")) is not None
    }
    undetermined = next(rect for words, rect in bands.items() if words.startswith("undetermined"))
    assert undetermined.get("fill") == "url(#classes-open)"
    assert "level-none" in bands["not caught"].get("class")
    assert bands["not caught"].get("fill") is None


def test_what_is_not_known_stands_in_the_words_of_the_band():
    assert any(
        "undetermined (a or b or none), not known: datacenter_marketed" in t for t in titles(drawn(OPEN))
    )


def test_a_letter_is_a_strip_from_the_day_it_was_sent():
    strips = [title for title in titles(drawn(H20)) if "letter US-LETTER-2025-04 names the chip" in title]
    assert strips[0].startswith("2025-04-09 to ")


def test_a_letter_that_may_name_the_chip_is_drawn_as_open():
    doubtful = drawn(replace(H20, memory_bandwidth_gbs=None, io_bandwidth_gbs=None))
    assert any("may name the chip" in title for title in titles(doubtful))
    assert "strip: a letter may name it" in "".join(doubtful.itertext())


def test_the_days_after_today_are_drawn_apart():
    covers = [r for r in drawn(A100).iter(f"{SVG}rect") if r.get("fill") == "url(#classes-ahead)"]
    earlier = [
        r for r in drawn(A100, date(2024, 1, 1)).iter(f"{SVG}rect") if r.get("fill") == "url(#classes-ahead)"
    ]
    assert float(covers[0].get("width")) > 0
    assert float(earlier[0].get("x")) < float(earlier[0].get("x")) + float(earlier[0].get("width")) <= 720
    assert float(covers[0].get("x")) + float(covers[0].get("width")) == pytest.approx(712)


def test_without_a_classification_rule_there_is_no_picture():
    assert class_timeline([], TODAY) == ""


def test_pictures_hold_nothing_that_the_policy_of_the_pages_forbids():
    text = class_timeline(stretches({"": A100}, BOOK), TODAY)
    assert not re.search(r"style=|<script|<style|href=", text)


def test_every_text_is_escaped():
    nasty = replace(BOOK.rules[0], id='<b>"x"</b>', letter=BOOK.rules[0].letter)
    book = replace(BOOK, rules=(nasty, *(r for r in BOOK.rules[1:] if r.id != BOOK.rules[0].id)))
    text = class_timeline(stretches({"": A100}, book), TODAY)
    assert "<b>" not in text
    ElementTree.fromstring(text)


def test_two_pictures_of_a_page_do_not_share_identifiers():
    found = stretches({"": A100}, BOOK)
    ids = [set(re.findall(r' id="([^"]+)"', class_timeline(found, TODAY, name))) for name in ("one", "two")]
    assert ids[0].isdisjoint(ids[1])


@settings(max_examples=15, deadline=None)
@given(
    fp8=st.none() | st.floats(1, 5000), area=st.none() | st.floats(50, 1600), dram=st.none() | st.floats(10, 9000),
    marketed=st.none() | st.booleans(), today=st.dates(date(2020, 1, 1), date(2035, 1, 1)),
)  # fmt: skip
def test_any_chip_on_any_day_is_drawn_inside_the_picture(fp8, area, dram, marketed, today):
    spec = replace(
        H20, fp8_tflops=fp8, die_area_mm2=area, memory_bandwidth_gbs=dram, marketed_for_datacenters=marketed
    )
    picture = drawn(spec, today)
    _, _, width, height = map(float, picture.get("viewBox").split())
    for rect in picture.iter(f"{SVG}rect"):
        if rect.get("x"):
            assert float(rect.get("x")) >= 0
            assert float(rect.get("x")) + float(rect.get("width")) <= width + 0.11
            assert float(rect.get("y")) + float(rect.get("height")) <= height


def test_the_bands_cover_every_day_once():
    found: list[Stretch] = stretches({"": A100}, BOOK)
    for earlier, later in pairwise(found):
        assert earlier.period.end == later.period.start
    assert found[-1].period.end is None


def bar(rule: Rule):
    return ElementTree.fromstring(date_bar(rule, TODAY))


def test_the_bar_of_a_rule_shows_stays_and_unconfirmed_days_in_fills_of_their_own():
    rule = next(rule for rule in BOOK.rules if rule.id == "US-AFFILIATES-2025")
    fills = {
        title.text.rsplit(": ", 1)[1]: rect
        for group in bar(rule).iter(f"{SVG}g")
        for title, rect in [(group.find(f"{SVG}title"), group.find(f"{SVG}rect"))]
    }
    assert fills[Status.UNCONFIRMED].get("fill") == "url(#days-open)"
    assert fills[Status.STAYED].get("class") == "days-stayed"
    assert fills[Status.ACTIVE].get("class") == "days-active"


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.id)
def test_every_rule_on_record_has_a_bar(rule):
    assert bar(rule).find(f"{SVG}desc").text.startswith("In its text from")
