"""Compute caps and volume ratios, with the worked numbers of case V11."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.rules.quantities import CapMovement, cap_totals, exceeds, ratio_level

TPP = {"H": 15832, "A": 4992}
PARENT = {"K1": "G", "K2": "G"}
MOVEMENTS = [
    CapMovement("m1", "K1", "H", 700, date(2025, 3, 1)),
    CapMovement("m2", "K2", "H", 500, date(2025, 9, 1)),
    CapMovement("m3", "K2", "A", 1600, date(2025, 12, 31)),
    CapMovement("m4", "K2", "H", 900, date(2026, 1, 1)),
    CapMovement("m5", "K3", "H", 1000, date(2025, 5, 5)),
]


def test_a_yearly_cap_counts_all_consignees_of_one_parent():
    found = cap_totals(MOVEMENTS, TPP, PARENT, 26_000_000, per="parent")
    assert found.totals == {"G/2025": 26985600, "G/2026": 14248800, "K3/2025": 15832000}
    assert found.breaches == ("G/2025",)
    assert found.headroom == {"G/2025": -985600, "G/2026": 11751200, "K3/2025": 10168000}


def test_per_consignee_the_same_movements_breach_nothing():
    found = cap_totals(MOVEMENTS, TPP, PARENT, 26_000_000, per="consignee")
    assert found.totals["K2/2025"] == 500 * 15832 + 1600 * 4992
    assert found.breaches == ()


def test_a_cap_that_is_met_exactly_is_kept():
    assert cap_totals(MOVEMENTS[:1], TPP, {}, 700 * 15832).breaches == ()
    assert cap_totals(MOVEMENTS[:1], TPP, {}, 700 * 15832 - 1).breaches == ("K1/2025",)


def test_a_chip_of_unknown_tpp_is_named_and_not_counted_as_nothing():
    found = cap_totals(MOVEMENTS, {"H": 15832, "A": None}, PARENT, 26_000_000)
    assert found.uncounted == ("m3",)
    assert found.totals["G/2025"] == 1200 * 15832


def test_a_cap_counts_per_something_known():
    with pytest.raises(ValueError, match="not per 'planet'"):
        cap_totals(MOVEMENTS, TPP, PARENT, 1, per="planet")


def test_a_ratio_with_an_uncertain_denominator():
    found = ratio_level(48000, 90000, 0.5, sd_denominator=0.03 * 90000)
    assert found.ratio == pytest.approx(0.533333, abs=1e-6)
    assert (found.allowed, found.excess, found.sigma) == (45000, 3000, pytest.approx(1350))
    assert found.p_exceeds == pytest.approx(0.986866, abs=1e-6)
    assert found.level == "likely"


def test_an_exact_ratio_at_its_limit_is_kept_and_one_unit_more_is_not():
    assert (ratio_level(45000, 90000, 0.5).p_exceeds, ratio_level(45000, 90000, 0.5).level) == (0.0, "within")
    assert (ratio_level(45001, 90000, 0.5).p_exceeds, ratio_level(45001, 90000, 0.5).level) == (1.0, "breach")


@pytest.mark.parametrize(("sds", "level"), [(2.33, "breach"), (2.32, "likely"), (1.29, "likely"), (1.28, "possible"),
                                            (0.0, "possible"), (-0.01, "within")])  # fmt: skip
def test_each_level_begins_at_its_probability(sds, level):
    assert ratio_level(1000 + sds * 10, 2000, 0.5, sd_numerator=10).level == level


def test_a_ratio_without_its_denominator_cannot_be_evaluated():
    assert ratio_level(48000, None, 0.5).level == "cannot be evaluated"
    assert ratio_level(48000, 0, 0.5).level == "breach"


@given(
    st.lists(
        st.tuples(st.sampled_from(["K1", "K2", "K3"]), st.integers(1, 10**6), st.sampled_from("HA")),
        max_size=8,
    )
)
def test_totals_per_parent_add_up_to_those_per_consignee(rows):
    movements = [CapMovement(str(i), to, chip, q, date(2025, 1, 1)) for i, (to, q, chip) in enumerate(rows)]
    by_parent = cap_totals(movements, TPP, PARENT, 1, per="parent").totals
    by_consignee = cap_totals(movements, TPP, PARENT, 1, per="consignee").totals
    assert sum(by_parent.values()) == sum(by_consignee.values())


@pytest.mark.parametrize("excess", [-1e9, 1e9])
def test_only_exact_quantities_give_a_certain_answer(excess):
    p, level = exceeds(excess, 1.0)
    assert 0 < p < 1
    assert level == ("breach" if excess > 0 else "within")
    assert exceeds(excess, 0.0)[0] == float(excess > 0)
