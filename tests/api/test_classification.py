"""The class of a chip on a day: derivation, letters, what other sources say, and how it changed with the law."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories

H20 = {
    "fp8_tflops": 296, "fp16_tflops": 148, "die_area_mm2": 814, "memory_bandwidth_gbs": 4000, "io_bandwidth_gbs": 900,
    "tpp_published": 2368,
}  # fmt: skip


@pytest.fixture
def h20(rules, api):
    vendor = factories.vendor("nvidia", name="NVIDIA Corporation", country="US")
    chip = factories.chip("synthetic-h20", vendor=vendor, specified=False)
    factories.specification(chip, **H20)
    return chip


def test_a_class_is_given_with_every_comparison_and_its_source(api, h20):
    found = api.read("chips/synthetic-h20/classification/", on="2024-06-01")
    assert (found["level"], found["shown_level"], found["eccn"], found["possible"]) == (
        "none",
        "none",
        "",
        ["none"],
    )
    line = next(line for line in found["derivation"] if line["text"] == "tpp >= 2400")
    assert (line["value"], line["threshold"], line["margin"], line["truth"]) == (2368, 2400, -32, False)
    assert (line["unit"], line["paragraph"], line["rule"]) == ("TOPS x bits", "3A090.b.1", "US-3A090-2023")
    assert line["citation"].startswith("88 FR 73458")
    assert line["verification"] == "verified"
    assert line["sources"][0].startswith("https://www.govinfo.gov/")
    assert found["tpp"]["derivation"] == "TPP 2,368.0 = 296.0 dense fp8 TOPS x 8 bits"
    assert found["values"]["performance_density"] == pytest.approx(2.909, abs=0.001)
    assert len(found["rule_set"]) == 64


def test_a_letter_that_alone_catches_the_chip_is_told(api, h20):
    found = api.read("chips/synthetic-h20/classification/", on="2025-04-09")
    assert (found["level"], found["shown_level"]) == ("none", "letter")
    (letter,) = found["letters"]
    assert (letter["rule"], letter["truth"], letter["missing"]) == ("US-LETTER-2025-04", True, [])
    assert any(
        line["text"] == "total_dram_bandwidth_gbs >= 1400" and line["truth"] for line in letter["derivation"]
    )


def test_the_timeline_tells_every_stretch_from_the_first_letters_on(api, h20):
    found = api.read("chips/synthetic-h20/classification/", on="2024-06-01")["timeline"]
    assert found[0]["since"] == "2022-08-26"
    assert found[-1]["until"] is None
    for earlier, later in pairwise(found):
        assert earlier["until"] == later["since"]
    assert next(s["since"] for s in found if s["shown_level"] == "letter") == "2025-04-09"
    assert any(band["rule"] == "US-H200-2026" for band in found[-1]["bands"])


def test_what_another_source_says_is_told_with_what_it_leads_to(api, h20):
    other = factories.source("synthetic-other-source")
    factories.specification(h20, source=other, rank=2, fp8_tflops=612.5, fp16_tflops=None, die_area_mm2=814)
    found = api.read("chips/synthetic-h20/classification/", on="2024-06-01")
    (difference,) = found["differences"]
    assert (difference["who"], difference["level"], difference["flips"]) == (
        "synthetic-other-source",
        "a",
        True,
    )
    assert "level a instead of none" in difference["words"]


def test_what_is_not_known_is_named_and_never_a_no(api, rules):
    factories.chip("synthetic-blind", specified=False)
    found = api.read("chips/synthetic-blind/classification/", on="2024-06-01")
    assert (found["level"], found["eccn"], found["tpp"]) == ("undetermined", "", None)
    assert found["missing"] == found["open_questions"] == ["die_area_mm2", "tpp"]
    assert found["possible"] == ["a", "b", "none"]


def test_the_class_is_read_as_known_at_an_instant(api, h20):
    row = h20.specifications.get()
    settled = datetime.now(UTC)
    row.fp8_tflops = 2000
    row.save()
    now = api.read("chips/synthetic-h20/classification/", on="2024-06-01")
    then = api.response("chips/synthetic-h20/classification/", on="2024-06-01", known_at=settled.isoformat())
    assert (now["level"], then.json()["level"]) == ("a", "none")
    assert then["X-Known-At"] == settled.isoformat()
    assert (
        api.refused("chips/synthetic-h20/classification/", known_at="2099-01-01")["code"] == "bad_parameter"
    )


def test_without_a_day_today_is_meant(api, h20):
    assert api.read("chips/synthetic-h20/classification/")["on"] == datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize("day", ["2024-02-30", "June", "20240601", "2024"])
def test_a_day_that_is_none_is_refused_with_the_mend(api, h20, day):
    error = api.refused("chips/synthetic-h20/classification/", on=day)
    assert "write 2024-06-01" in error["fields"]["on"][0]


def test_a_chip_nobody_knows_is_not_found_and_a_misspelt_parameter_is_refused(api, h20):
    assert api.refused("chips/nothing/classification/", 404)["code"] == "not_found"
    assert api.refused("chips/synthetic-h20/classification/", day="2024-06-01")["code"] == "unknown_parameter"
    assert api.read(f"chips/{h20.pk}/classification/", on="2024-06-01")["chip"] == "synthetic-h20"


def test_queries_do_not_grow_with_the_sources_of_a_chip(api, h20):
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            api.read("chips/synthetic-h20/classification/", on="2024-06-01")
        return len(queries)

    before = count()
    for number in range(5):
        factories.specification(h20, source=factories.source(f"synthetic-source-{number}"), rank=2 + number)
    assert count() == before <= 10
