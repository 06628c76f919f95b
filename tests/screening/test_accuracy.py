"""How well the matcher does on the labelled pairs. The floors are what was measured, rounded down."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.screening_accuracy import LABELLED, Measured, measured, pairs, tables
from tracker.screening.matching import Band

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "screening.md"


@pytest.fixture(scope="module")
def result() -> Measured:
    return measured()


def test_the_set_is_large_and_varied_enough_to_say_something():
    found = pairs()
    assert len(found) >= 800
    assert len({(pair.same, pair.kind) for pair in found}) >= 20
    assert sum(pair.same for pair in found) >= 400
    assert len({(pair.asked.names, pair.asked.countries, pair.listed.key) for pair in found}) == len(found)


def test_a_person_gets_to_see_nearly_all_pairs_that_are_the_same(result):
    assert result.recall >= 0.95


def test_pairs_written_down_after_the_matcher_was_made_are_found_less_often_and_the_floor_says_how_often(
    result,
):
    assert result.only(part="held out").recall >= 0.78


def test_latin_spellings_are_found_also_where_they_were_not_looked_at_before(result):
    for kind in ("legal form", "spacing", "short name", "abbreviation"):
        assert result.only(part="held out", kind=kind).recall == 1.0, kind


def test_what_is_called_a_match_is_the_same_organization(result):
    assert result.precision(Band.MATCH) == 1.0


def test_most_different_organizations_are_not_shown_to_anybody(result):
    assert result.passed_over() >= 0.88


def test_the_documentation_shows_the_figures_of_this_matcher():
    assert tables() in DOCUMENTATION.read_text(encoding="utf-8"), (
        "run: python -m benchmarks.screening_accuracy"
    )


def test_every_pair_says_where_its_names_are_from():
    header, *lines = LABELLED.read_text(encoding="utf-8").splitlines()
    assert header.endswith("source")
    assert all(line.rsplit(",", 1)[1] for line in lines)
