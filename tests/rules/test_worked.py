"""Real chips classified by hand, each with a public source: the engine must come to the same level."""

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from tracker.chips.specs import ChipSpec
from tracker.rules.classify import NONE, Classification, classify
from tracker.rules.parameters import RuleBook

CASES = yaml.safe_load((Path(__file__).parent / "worked_classifications.yaml").read_text())["chips"]
FLIPS = [(case, flip) for case in CASES for flip in case.get("flips", [])]


def named(case: dict) -> str:
    return f"{case['chip']}@{case['day']}"


def spec_of(case: dict) -> ChipSpec:
    return ChipSpec(slug=case["chip"], vendor=case["vendor"], **case["spec"])


def told(found: Classification) -> str:
    """The level in the words of the cases: a chip outside the list that a letter certainly names is "letter"."""
    return "letter" if found.level == NONE and found.letter else found.level


def judged(
    case: dict, book: RuleBook, changes: dict | None = None, day: date | None = None
) -> Classification:
    return classify(replace(spec_of(case), **(changes or {})), book.on(day or case["day"]))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_chip_has_the_level_worked_out_by_hand(case, book):
    found, expect = judged(case, book), case["expect"]
    assert told(found) == expect["level"]
    assert found.paragraph == expect.get("paragraph", found.paragraph)
    assert list(found.missing) == expect.get("missing", [])
    assert bool(found.letter) == expect.get("letter", bool(found.letter))


@pytest.mark.parametrize("case", [case for case in CASES if "tpp" in case["expect"]], ids=named)
def test_the_total_processing_performance_is_the_one_the_source_prints(case, book):
    assert judged(case, book).values["tpp"] == pytest.approx(case["expect"]["tpp"], rel=0.006)


@pytest.mark.parametrize("case", [case for case in CASES if "pd" in case["expect"]], ids=named)
def test_the_density_is_the_one_the_source_prints(case, book):
    assert judged(case, book).values["performance_density"] == pytest.approx(case["expect"]["pd"], rel=0.01)


@pytest.mark.parametrize(
    ("case", "flip"), FLIPS, ids=[f"{named(case)}:{n}" for n, (case, _) in enumerate(FLIPS)]
)
def test_another_figure_or_day_leads_where_the_case_says(case, flip, book):
    found = judged(case, book, flip.get("spec"), flip.get("day"))
    assert told(found) == flip["level"]
    assert bool(found.letter) == flip.get("letter", bool(found.letter))


@pytest.mark.parametrize("case", [c for c in CASES if c["expect"]["level"] == "undetermined"], ids=named)
def test_what_is_not_known_never_frees_a_chip(case, book):
    found = judged(case, book)
    assert found.missing
    assert {"a", NONE} <= set(found.possible)


def test_the_cases_are_many_and_each_names_its_source():
    assert len(CASES) >= 50
    assert Counter(case["verification"] for case in CASES)["read"] >= 40
    assert len({named(case) for case in CASES}) == len(CASES)
    assert {case["expect"]["level"] for case in CASES} == {
        "a", "b", "c", "2022", "letter", "none", "undetermined"
    }  # fmt: skip
    for case in CASES:
        assert case["verification"] in {"read", "memory"}, named(case)
        assert case["spec_verification"] in {"read", "dataset", "memory"}, named(case)
        assert case["spec_source"].startswith("http"), named(case)
        assert case["source"]["url"].startswith("http"), named(case)
        assert case["source"]["title"], named(case)
        assert case["source"]["says"], named(case)
