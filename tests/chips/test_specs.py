"""TPP, performance density and H100-equivalents from datasheets."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.chips.specs import BITS_OF_MULTIPLY_INPUTS, ChipSpec, h100_equivalents, performance_density, tpp

# NVIDIA A100 datasheet, dense rates
A100 = ChipSpec(
    slug="a100",
    int4_tops=1248,
    int8_tops=624,
    fp16_tflops=312,
    tf32_tflops=156,
    fp32_tflops=19.49,
    die_area_mm2=826,
)


def test_the_highest_product_of_rate_and_bits_counts():
    figure = tpp(ChipSpec(fp16_tflops=148, fp8_tflops=296, fp32_tflops=44))
    assert (figure.low, figure.high, figure.number_format) == (2368, 2368, "fp8")
    assert figure.derivation == "TPP 2,368.0 = 296.0 dense fp8 TOPS x 8 bits"


def test_four_bit_formats_raise_tpp_without_any_change_in_sixteen_bits():
    assert tpp(ChipSpec(fp16_tflops=2500, fp4_tflops=15000)).low == 60_000


def test_tf32_counts_the_nineteen_bits_that_enter_the_multiplier():
    assert tpp(ChipSpec(bf16_tflops=190, tf32_tflops=190)).low == 190 * 19
    assert tpp(A100).low == 4992


def test_single_precision_alone_is_a_lower_limit():
    figure = tpp(ChipSpec(fp32_tflops=100))
    assert (figure.low, figure.high, figure.is_known) == (3200, None, False)
    assert "at least" in figure.derivation


def test_a_printed_tpp_stands_in_where_no_matrix_rate_is_given():
    assert (tpp(ChipSpec(tpp_published=4493)).low, tpp(ChipSpec(tpp_published=4493)).basis) == (
        4493,
        "published",
    )
    assert tpp(ChipSpec(tpp_published=4493, fp32_tflops=10)).basis == "published"


def test_a_computed_tpp_wins_and_the_printed_one_is_kept_with_its_difference():
    figure = tpp(ChipSpec(fp8_tflops=1000, tpp_published=8400))
    assert (figure.low, figure.published, figure.published_differs_by) == (8000, 8400, pytest.approx(0.05))
    assert tpp(ChipSpec(fp8_tflops=1000, tpp_published=8001)).published_differs_by is None


def test_nothing_known_gives_nothing():
    assert tpp(ChipSpec(slug="b30a")) is None


def test_an_h100_is_one_h100():
    assert h100_equivalents(15832) == 1
    assert h100_equivalents(15832, ics=8) == 8
    assert h100_equivalents(2368, 1000) == pytest.approx(149.57, abs=0.005)


def test_density_needs_an_area():
    assert performance_density(4992, 826) == pytest.approx(6.0436, abs=1e-4)
    with pytest.raises(ValueError, match="must be positive"):
        performance_density(4992, 0)


def test_every_rate_of_a_sheet_has_a_bit_length():
    rates = {f.name for f in fields(ChipSpec) if f.name.endswith(("_tops", "_tflops"))}
    assert rates == set(BITS_OF_MULTIPLY_INPUTS)


@given(st.sampled_from(sorted(BITS_OF_MULTIPLY_INPUTS)), st.floats(0, 1e5))
def test_one_more_rate_never_lowers_tpp(name, rate):
    assert tpp(replace(A100, **{name: max(rate, getattr(A100, name) or 0)})).low >= tpp(A100).low


def test_what_each_source_says_of_a_chip_is_read_in_order_of_rank(db):
    from tests import factories
    from tracker.chips.services import specs_known_at

    chip = factories.chip("synthetic-two", specified=False, ics_per_item=2, process_node_nm=5)
    factories.specification(chip, rank=2, source=factories.source("synthetic-table"), fp8_tflops=900)
    factories.specification(chip, rank=1, source=factories.source("synthetic-sheet"), fp8_tflops=1000)
    bare = factories.chip("synthetic-bare", specified=False)
    found = specs_known_at()
    assert list(found[chip.pk]) == ["synthetic-sheet", "synthetic-table"]
    sheet = found[chip.pk]["synthetic-sheet"]
    assert (sheet.fp8_tflops, sheet.die_area_mm2, sheet.process_node_nm) == (500, 800, 5)
    assert found[bare.pk][""].slug == "synthetic-bare"
    assert list(specs_known_at(slug="synthetic-two")) == [chip.pk]
