"""The law as pages show it: read off the rule book, with what decided and what is open."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tracker.chips.specs import ChipSpec
from tracker.core.period import Period
from tracker.rules.catalogue import (
    catch,
    day_to_show,
    node,
    open_questions,
    rule_lines,
    rule_page,
    rule_tests,
    standing,
)
from tracker.rules.classify import classify
from tracker.rules.parameters import Status
from tracker.rules.schema import rule_files
from tracker.rules.timeline import comparison_words, deciding, figure, stretches

BOOK = rule_files(documents(), groups()).book
TODAY = date(2026, 9, 25)
NVIDIA = ChipSpec(vendor="nvidia", vendor_hq="US", marketed_for_datacenters=True)
CHIPS = {
    "h100": replace(
        NVIDIA, fp8_tflops=1979, die_area_mm2=814, memory_bandwidth_gbs=3350, io_bandwidth_gbs=900
    ),
    "h20": replace(NVIDIA, fp8_tflops=296, die_area_mm2=814, memory_bandwidth_gbs=4000, io_bandwidth_gbs=900),
    "l40": replace(NVIDIA, fp8_tflops=362, die_area_mm2=608, memory_bandwidth_gbs=864, io_bandwidth_gbs=64),
    "small": replace(NVIDIA, fp8_tflops=20, die_area_mm2=100, memory_bandwidth_gbs=100, io_bandwidth_gbs=10),
    "open": replace(NVIDIA, fp8_tflops=300, memory_bandwidth_gbs=800, io_bandwidth_gbs=64),
}


def rule(rule_id):
    return next(rule for rule in BOOK.rules if rule.id == rule_id)


def page(rule_id, on=TODAY):
    rules = BOOK.on(on)
    classes = {name: classify(spec, rules) for name, spec in CHIPS.items()}
    return rule_page(rule_id, BOOK, classes, on, TODAY)


def test_a_rule_catches_the_chips_of_its_levels_and_tells_the_margins():
    found = {item.chip: item for item in page("US-3A090-2023").caught}
    assert found.keys() == {"h100", "l40"}
    assert found["h100"].how == "level a under 3A090.a.1"
    assert "tpp 15,832 >= 4,800 TOPS x bits (by +11,032)" in found["h100"].comparisons
    assert found["l40"].level == "b"


def test_a_chip_that_may_be_caught_stands_apart_with_what_is_missing():
    (found,) = page("US-3A090-2023").open
    assert (found.chip, found.missing) == ("open", ("die_area_mm2",))


def test_a_letter_catches_what_no_class_does():
    found = {item.chip: item for item in page("US-LETTER-2025-04").caught}
    assert (found["h20"].level, found["h20"].how) == ("letter", "letter")
    assert "small" not in found


@pytest.mark.parametrize(("day", "caught"), [(date(2023, 11, 16), False), (date(2023, 11, 17), True)])
def test_a_rule_catches_nothing_before_its_first_day(day, caught):
    assert bool(page("US-3A090-2023", day).caught) is caught
    assert page("US-3A090-2023", day).status == (Status.ACTIVE if caught else Status.NOT_IN_FORCE)


def test_an_older_rule_is_not_credited_with_the_level_of_a_newer_one():
    day = date(2024, 6, 1)
    assert catch(rule("US-3A090-2022"), "h100", classify(CHIPS["h100"], BOOK.on(day))) is None


@pytest.mark.parametrize(
    ("rule_id", "day"),
    [("US-3A090-2023", TODAY), ("US-3A090-2022", date(2023, 11, 16)), ("US-LETTER-2022-08-NVDA-AMD", date(2022, 10, 20))],
)  # fmt: skip
def test_chips_are_asked_today_or_on_the_last_day_of_the_rule(rule_id, day):
    assert day_to_show([rule(rule_id)], TODAY) == day


def test_a_rule_still_to_come_is_asked_for_its_first_day():
    coming = replace(rule("US-NAC"), period=Period(date(2030, 1, 1), None))
    assert day_to_show([coming], TODAY) == date(2030, 1, 1)
    assert standing(coming, TODAY) == "not yet: from 2030-01-01"


@pytest.mark.parametrize(
    ("rule_id", "day", "words"),
    [
        ("US-3A090-2023", TODAY, "in force"),
        ("US-3A090-2022", TODAY, "ended 2023-11-16"),
        ("US-AFFILIATES-2025", TODAY, "stayed until 2026-11-09"),
        ("US-AFFILIATES-2025", date(2026, 11, 10), "UNCONFIRMED"),
        ("US-AIDIFF-2025", TODAY, "not enforced"),
        ("US-LICENCE-QTY-GULF-2025", TODAY, "licence specific"),
    ],
)
def test_what_a_rule_does_on_a_day_is_said_in_words(rule_id, day, words):
    assert standing(rule(rule_id), day) == words


def test_every_comparison_of_a_test_is_taken_apart_with_unit_and_threshold():
    found = {test.place: test for test in rule_tests(rule("US-3A090-2023"))}
    parts = found["level b: 3A090.b.1"].comparisons
    assert [(part.name, part.comparison, part.threshold, part.unit) for part in parts] == [
        ("tpp", ">=", "2,400", "TOPS x bits"),
        ("tpp", "<", "4,800", "TOPS x bits"),
        ("performance_density", ">=", "1.6", "TPP/mm2"),
        ("performance_density", "<", "5.92", "TPP/mm2"),
    ]


def test_rows_that_name_a_rule_stand_with_it_in_words():
    found = page("US-ACA").rows
    assert any("opens it as an exception" in item.role for item in found)
    (row,) = (item for item in page("US-FDD-2025").rows if item.row.order == 128)
    assert dict(row.facts)["exporter is"] == "front_end_fabricator; osat"


def test_what_replaced_a_rule_is_named_on_it():
    lines = {line.rule.id: line for regime in rule_lines(BOOK, TODAY).values() for line in regime}
    assert "US-3A090-2022" in lines["US-LETTER-2022-08-NVDA-AMD"].replaced_by


def test_every_rule_stands_in_the_table_once_for_each_version():
    lines = [line.rule for regime in rule_lines(BOOK, TODAY).values() for line in regime]
    assert sorted(r.id for r in lines) == sorted(r.id for r in BOOK.rules)


def test_open_questions_are_the_unconfirmed_the_contested_and_the_unchecked():
    before, after = open_questions(BOOK, TODAY), open_questions(BOOK, date(2026, 11, 10))
    assert "US-AFFILIATES-2025" in {rule.id for rule, _, _ in before.ahead}
    assert "US-AFFILIATES-2025" in {line.rule.id for line in after.unconfirmed}
    assert {member.country for member in before.contested} == {"CY", "ET"}
    assert "US-UAE-2026" in {line.rule.id for line in before.unverified}
    assert "US-3A090-2023" not in {line.rule.id for line in before.unverified}


def test_a_name_that_no_rule_has_is_refused():
    with pytest.raises(KeyError):
        rule_page("NONE", BOOK, {}, TODAY, TODAY)


def test_any_mapping_is_printed_also_one_whose_keys_are_names_of_methods():
    found = node("Headquarters", {"items": "all", "limit": 30000000000, "values": [{"from": "2024-01-01"}]})
    assert [(inner.label, inner.text) for inner in found.inside] == [
        ("items", "all"), ("limit", "30,000,000,000"), ("values", ""),
    ]  # fmt: skip
    assert found.inside[2].inside[0].inside[0].text == "2024-01-01"


@pytest.mark.parametrize(
    ("chip", "day", "words"),
    [
        ("h100", date(2024, 6, 1), ["tpp 15,832 >= 4,800 TOPS x bits (by +11,032)"]),
        ("h20", date(2024, 6, 1), ["tpp 2,368 is not >= 2,400 TOPS x bits (by -32)"]),
        ("h20", date(2022, 9, 1), []),
    ],
)
def test_the_comparisons_that_decided_are_few_and_the_nearest_miss_stands_for_none(chip, day, words):
    assert [comparison_words(line) for line in deciding(classify(CHIPS[chip], BOOK.on(day)))] == words


def test_of_an_open_class_only_what_would_settle_it_is_shown():
    lines = deciding(classify(CHIPS["open"], BOOK.on(TODAY)))
    assert lines
    assert all("performance_density" in line.text for line in lines)


def test_a_timeline_breaks_where_the_rules_behind_a_class_change():
    found = stretches({"": CHIPS["h20"]}, BOOK)
    days = [stretch.period.start for stretch in found]
    assert date(2023, 11, 17) in days
    assert date(2025, 4, 9) in days


@settings(max_examples=40, deadline=None)
@given(
    fp8=st.none() | st.floats(1, 5000), area=st.none() | st.floats(50, 1600), dram=st.none() | st.floats(10, 9000),
    day=st.dates(date(2022, 1, 1), date(2027, 1, 1)),
)  # fmt: skip
def test_every_classified_chip_is_caught_by_a_rule_and_no_cleared_one_is(fp8, area, dram, day):
    spec = replace(CHIPS["h100"], fp8_tflops=fp8, die_area_mm2=area, memory_bandwidth_gbs=dram)
    rules = BOOK.on(day)
    found = classify(spec, rules)
    by_class = [item for r in rules.rules if (item := catch(r, "x", found)) and item.how.startswith("level")]
    certain = [item for item in by_class if not item.missing]
    assert bool(certain) == (found.level not in ("none", "undetermined"))
    assert bool(by_class) == (found.level != "none")


@pytest.mark.parametrize(
    ("value", "words"), [(4800.0, "4,800"), (5.92, "5.92"), (True, "yes"), (None, "not known"), ("x", "x")]
)
def test_values_are_printed_plainly(value, words):
    assert figure(value) == words
