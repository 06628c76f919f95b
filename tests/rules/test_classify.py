"""Classes of chips: both sides of every threshold, real chips, and what an unknown parameter may never do."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tracker.chips.specs import ChipSpec, tpp
from tracker.core.interval import Interval
from tracker.rules.classify import classify, compared
from tracker.rules.schema import rule_files

HERE = Path(__file__).parent
THRESHOLDS = yaml.safe_load((HERE / "thresholds.yaml").read_text())
CHIPS = yaml.safe_load((HERE / "chips.yaml").read_text())
FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts" / "export_rules.yaml"
TODAY = rule_files(documents(), groups()).book.on(date(2024, 6, 1))
RANK = {"none": 0, "b": 1, "a": 2}


def spec_of(case: dict) -> ChipSpec:
    return ChipSpec(
        tpp_published=case["tpp"],
        die_area_mm2=case.get("area"),
        io_bandwidth_gbs=case.get("io"),
        marketed_for_datacenters=case["dc"],
    )


@pytest.mark.parametrize("case", THRESHOLDS, ids=str)
def test_each_side_of_a_threshold_has_its_level(case, book):
    found = classify(spec_of(case), book.on(case["day"]))
    assert (found.level, found.paragraph) == (case["level"], case.get("paragraph", ""))
    assert list(found.missing) == case.get("missing", [])


@pytest.mark.parametrize("case", CHIPS, ids=lambda case: case["chip"])
def test_a_real_chip_has_the_level_its_datasheet_gives_it(case, book):
    spec = ChipSpec(slug=case["chip"], vendor=case["vendor"], vendor_hq="US", **case["spec"])
    assert tpp(spec).low == pytest.approx(case["tpp"])
    assert classify(spec, book.on(date(2024, 6, 1))).level == case["since"]
    assert classify(spec, book.on(date(2023, 1, 1))).level == case["y2022"]
    assert bool(classify(spec, book.on(date(2025, 4, 9))).letter) == case["letter"]
    assert classify(spec, book.on(date(2025, 4, 8))).letter == ""


def test_the_vectors_of_the_reference_hold(book):
    if not FACTS.exists():
        pytest.skip("the reference with the boundary vectors is not on this machine")
    expected = {None: "none", "UNKNOWN": "undetermined", "3A090.a": "a", "3A090.b": "b"}
    for vector in yaml.safe_load(FACTS.read_text())["boundary_vectors"]:
        spec = spec_of({"tpp": vector["tpp"], "area": vector["die_area_mm2"], "dc": vector["datacenter"]})
        assert classify(spec, TODAY).level == expected[vector["eccn"]], vector


def test_a_bare_circuit_and_a_card_of_one_level_have_different_numbers():
    spec = ChipSpec(tpp_published=15832, marketed_for_datacenters=True)
    numbers = {form: classify(replace(spec, form=form), TODAY).eccn for form in ("ic", "card", "system", "")}
    assert numbers == {"ic": "3A090.a", "card": "4A090.a", "system": "4A090.a", "": "3A090.a or 4A090.a"}


def test_the_derivation_tells_number_unit_threshold_margin_and_source():
    found = classify(ChipSpec(tpp_published=4799.9, die_area_mm2=500, marketed_for_datacenters=True), TODAY)
    line = next(line for line in found.derivation if line.paragraph == "3A090.a.1")
    assert (line.value, line.unit, line.threshold, line.margin) == (4799.9, "TOPS x bits", 4800, -0.1)
    assert line.rule_id == "US-3A090-2023"
    assert line.verification == "verified"
    assert "https://www.ecfr.gov/current/title-15/part-774" in line.sources


def test_a_sheet_with_single_precision_alone_tells_a_lower_limit_only():
    spec = ChipSpec(fp32_tflops=104.8, die_area_mm2=750, marketed_for_datacenters=False)
    found = classify(spec, TODAY)
    assert (found.level, found.possible, found.missing) == ("undetermined", ("a", "none"), ("tpp",))
    assert classify(replace(spec, fp32_tflops=150.0), TODAY).level == "a"


def test_a_printed_tpp_that_leads_elsewhere_is_told():
    spec = ChipSpec(fp16_tflops=839, die_area_mm2=1280, tpp_published=1677.76, marketed_for_datacenters=True)
    found = classify(spec, TODAY)
    assert (found.level, found.if_published) == ("a", "none")


def test_memory_stacks_are_level_c_above_two_gigabytes_a_second_per_square_millimetre(book):
    stack = ChipSpec(is_hbm_stack=True, memory_bandwidth_gbs=242, package_area_mm2=121, copackaged_with_dominant_logic=False,
                     tpp_published=0)  # fmt: skip
    after, before = book.on(date(2024, 12, 2)), book.on(date(2024, 12, 1))
    assert classify(stack, after).level == "none"
    dense = replace(stack, memory_bandwidth_gbs=242.1)
    assert classify(dense, after).level == "c"
    assert classify(dense, before).level == "none"
    assert classify(replace(dense, copackaged_with_dominant_logic=True), after).level == "none"
    assert classify(replace(dense, package_area_mm2=None), after).missing == ("package_area_mm2",)


def test_a_stack_of_memory_needs_no_performance_on_its_sheet(book):
    stack = ChipSpec(
        is_hbm_stack=True,
        memory_bandwidth_gbs=243,
        package_area_mm2=121,
        copackaged_with_dominant_logic=False,
    )
    assert classify(stack, book.on(date(2025, 1, 1))).possible == ("c",)


@pytest.mark.parametrize(
    ("tpp", "area", "level"), [(2401.6, 1501, "b"), (1613.792, 272.6, "a"), (1600.32, 500.1, "b")]
)
def test_a_density_that_is_a_threshold_on_paper_is_not_below_it(tpp, area, level):
    assert classify(spec_of({"tpp": tpp, "area": area, "dc": True}), TODAY).level == level


def test_a_letter_may_name_a_chip_whose_sheet_is_silent(book):
    spec = ChipSpec(
        slug="x", vendor="amd", fp16_tflops=100, memory_bandwidth_gbs=1000, marketed_for_datacenters=True
    )
    hit = classify(spec, book.on(date(2025, 5, 1))).letters[0]
    assert (hit.rule_id, hit.truth, hit.missing) == ("US-LETTER-2025-04", None, ("io_bandwidth_gbs",))
    assert classify(replace(spec, vendor="google"), book.on(date(2025, 5, 1))).letters == ()


def test_either_side_of_the_letters_thresholds(book):
    rules = book.on(date(2025, 5, 1))
    base = ChipSpec(vendor="intel", fp16_tflops=50)
    named = {
        (dram, io): bool(
            classify(replace(base, memory_bandwidth_gbs=dram, io_bandwidth_gbs=io), rules).letter
        )
        for dram, io in [(1400, 0), (1399.9, 0), (0, 1100), (0, 1099.9), (1000, 700), (1000, 699.9)]
    }
    assert list(named.values()) == [True, False, True, False, True, False]


def test_a_range_decides_where_all_of_it_agrees_and_names_itself_where_not():
    base = ChipSpec(marketed_for_datacenters=False, die_area_mm2=600)
    assert classify(replace(base, tpp_published=Interval(4800, 5000)), TODAY).level == "a"
    assert classify(replace(base, tpp_published=Interval(4000, 4799.9)), TODAY).level == "none"
    straddling = classify(replace(base, tpp_published=Interval(4700, 4900)), TODAY)
    assert (straddling.level, straddling.possible, straddling.missing) == (
        "undetermined",
        ("a", "none"),
        ("tpp",),
    )
    area = replace(base, marketed_for_datacenters=True, tpp_published=2400, die_area_mm2=Interval(1400, 1600))
    assert classify(area, TODAY).missing == ("die_area_mm2",)
    line = next(line for line in classify(area, TODAY).derivation if "1.6" in line.text)
    assert (line.value, line.margin, line.truth) == (Interval(1.5, 2400 / 1400), None, None)


def test_rates_in_ranges_keep_the_highest_of_both_ends():
    figure = tpp(ChipSpec(fp8_tflops=Interval(500, 700), fp16_tflops=300))
    assert (figure.low, figure.high) == (4800, 5600)
    assert figure.derivation == "TPP 4,800.0 to 5,600.0 = 500 to 700 dense fp8 TOPS x 8 bits"


def test_two_sources_are_both_derived_and_what_flips_is_said():
    one = ChipSpec(fp8_tflops=597, die_area_mm2=600, marketed_for_datacenters=False)
    specs = {"datasheet": one, "table": replace(one, fp8_tflops=601), "same": replace(one, fp16_tflops=100)}
    found = compared(specs, TODAY)
    assert (found.level, [d.who for d in found.differences]) == ("none", ["table"])
    (other,) = found.differences
    assert (other.level, other.flips) == ("a", True)
    assert other.words == (
        "TPP 4,776.0 = 597.0 dense fp8 TOPS x 8 bits; table: TPP 4,808.0 = 601.0 dense fp8 TOPS x 8 bits; level a instead of none"
    )
    assert compared({"table": specs["table"], "datasheet": one}, TODAY).level == "a"


def test_a_difference_that_flips_nothing_says_so():
    one = ChipSpec(fp8_tflops=1979, marketed_for_datacenters=True)
    found = compared({"a": one, "b": replace(one, fp8_tflops=1900)}, TODAY)
    assert [(d.flips, d.words.endswith("level a either way")) for d in found.differences] == [(False, True)]


@pytest.mark.parametrize(
    ("form", "eccn", "others"),
    [("ic", "3A090.b", 0), ("card", "4A090.b", 7), ("5A992", "5A992.z.2", 0), ("", "3A090.b or 4A090.b", 7)],
)
def test_a_carrier_takes_the_level_of_the_circuit_inside(form, eccn, others):
    found = classify(
        ChipSpec(tpp_published=2896, die_area_mm2=608, marketed_for_datacenters=True, form=form), TODAY
    )
    assert (found.eccn, len(found.eccn_else)) == (eccn, others)


def test_bands_tell_the_review_of_2026_and_the_duty(book):
    def bands(tpp_, dram, day="2026-02-01"):
        found = classify(
            ChipSpec(tpp_published=tpp_, memory_bandwidth_gbs=dram), book.on(date.fromisoformat(day))
        )
        return {hit.rule_id: hit.truth for hit in found.of_kind("band")}

    assert bands(15832, 4800) == {"US-H200-2026": True, "US-S232-2026": True}
    assert bands(20999.9, 6499.9) == {"US-H200-2026": True}
    assert bands(21000, 4800) == bands(15832, 6500) == {}
    assert bands(15832, None) == {"US-H200-2026": None, "US-S232-2026": None}
    assert bands(15832, 4800, "2026-01-14") == {}
    assert bands(14000, 4800) == {"US-H200-2026": True}


def test_the_shown_level_tells_letters_apart(book):
    rules = book.on(date(2025, 5, 1))
    h20 = ChipSpec(
        vendor="nvidia",
        fp8_tflops=296,
        die_area_mm2=814,
        memory_bandwidth_gbs=4000,
        marketed_for_datacenters=True,
    )
    assert classify(h20, rules).shown_level == "letter"
    assert classify(replace(h20, vendor="google"), rules).shown_level == "none"
    silent = classify(replace(h20, memory_bandwidth_gbs=None), rules)
    assert (silent.shown_level, silent.open_questions) == (
        "undetermined",
        ("io_bandwidth_gbs", "total_dram_bandwidth_gbs"),
    )
    assert classify(replace(h20, fp8_tflops=1979), rules).shown_level == "a"


numbers = st.floats(min_value=1, max_value=40_000)
specs = st.builds(
    ChipSpec,
    tpp_published=numbers,
    die_area_mm2=st.floats(min_value=50, max_value=2000),
    marketed_for_datacenters=st.booleans(),
)


@given(specs, numbers)
def test_raising_tpp_never_lowers_the_level(spec, more):
    raised = replace(spec, tpp_published=spec.tpp_published + more)
    assert RANK[classify(raised, TODAY).level] >= RANK[classify(spec, TODAY).level]


@given(
    specs, st.sets(st.sampled_from(["tpp_published", "die_area_mm2", "marketed_for_datacenters"]), min_size=1)
)
def test_hiding_a_parameter_gives_the_true_level_or_none_at_all(spec, hidden):
    blind = classify(replace(spec, **dict.fromkeys(hidden)), TODAY)
    true = classify(spec, TODAY).level
    assert true in blind.possible
    if blind.level == "undetermined":
        assert blind.missing
    else:
        assert blind.level == true
