"""How surprising, how much, and how many false alarms."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.explain import Story, sections
from tracker.reconciliation.significance import (
    benjamini_hochberg,
    benjamini_yekutieli,
    is_inconclusive,
    is_material,
    judge,
    judged,
    severity,
    strength,
    unjudged,
    z_score,
)

P = Parameters()


def finding(
    name: str, p: float | None = 0.001, is_finding: bool = True, family: str | None = "GAP", **given
) -> Finding:
    parts = sections(Story("c", ("s",), "d", "How often.", (), "s"))
    row = {"severity": "high", "sections": parts} | given
    return Finding(
        check="GAP", area="a", scope="s", period="p", counterpart=name, verdict="v", headline="h", p=p, family=family,
        is_finding=is_finding, **row,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sq", "level"),
    [
        (10, "critical"),
        (9.99, "high"),
        (1, "high"),
        (0.99, "medium"),
        (0.1, "medium"),
        (0.09, "low"),
        (-12, "critical"),
        (None, "low"),
    ],
)
def test_severity_goes_by_significant_quantities(sq, level):
    assert severity(sq) == level


@pytest.mark.parametrize(("grade", "level"), [("C", "critical"), ("D", "medium"), ("E", "medium")])
def test_a_weak_grade_caps_severity_and_never_raises_it(grade, level):
    assert severity(100, grade) == level
    assert severity(0.01, grade) == "low"


@pytest.mark.parametrize(
    ("z", "words"), [(4, "very strong"), (-3.99, "strong"), (3, "strong"), (2, "moderate"), (1.99, "weak")]
)
def test_strength_goes_by_z(z, words):
    assert strength(z) == words


def test_exact_figures_that_differ_are_certain():
    assert strength(z_score(1, 0)) == "certain"
    assert z_score(0, 0) == 0


def test_both_sides_of_materiality_and_of_what_could_be_seen():
    assert is_material(0.1, P)
    assert not is_material(0.0999, P)
    assert is_material(None, P)
    assert is_inconclusive(1.01)
    assert not is_inconclusive(1.0)


def test_a_test_that_found_nothing_is_never_accepted():
    (found,) = judge([finding("only", p=0.001, is_finding=False)], P)
    assert (found.accepted, found.q) == (False, 0.001)


def test_every_evaluated_test_counts_also_the_dull_ones():
    dull = [finding(f"dull {i}", p=0.9, is_finding=False) for i in range(9)]
    alone, among = judge([finding("x", p=0.01)], P)[0], judge([finding("x", p=0.01), *dull], P)[0]
    assert (alone.accepted, among.accepted) == (True, False)
    assert among.q == pytest.approx(0.1)
    assert (alone.severity, among.severity) == ("high", "info")


def test_families_are_controlled_apart():
    others = [finding(f"dull {i}", p=0.9, is_finding=False, family="SRD") for i in range(9)]
    assert judge([finding("x", p=0.01), *others], P)[0].accepted


def test_arithmetic_stands_without_a_p_value():
    (found,) = judge([finding("x", p=None, family=None)], P)
    assert (found.accepted, found.q) == (True, None)


def test_the_text_says_among_how_many_comparisons():
    found = judge([finding("x"), finding("y", p=0.5, is_finding=False)], P)[0]
    assert "one of 2 GAP comparisons" in found.sections[3].body


@given(st.floats(1e-12, 1), st.integers(1, 2_000_000), st.booleans())
def test_what_is_told_of_the_other_tests_can_be_told_anew(q, tests, is_finding):
    one = finding("x", is_finding=is_finding)
    told = judged(one, q, tests, P)
    assert told.sections != one.sections
    assert unjudged(told.sections) == one.sections


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_values_are_never_smaller_and_keep_the_order(values):
    found = benjamini_hochberg(values, 0.05)
    assert all(q >= p * (1 - 1e-12) for p, q in zip(values, found.adjusted, strict=True))
    ranked = sorted(zip(values, found.adjusted, strict=True))
    assert all(one[1] <= other[1] for one, other in itertools.pairwise(ranked))
    believed = [p for p in values if p <= found.threshold * (1 + 1e-12)] if found.rejected else []
    assert found.rejected == len(believed)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20, unique=True))
def test_the_order_of_the_findings_plays_no_part(values):
    rows = [finding(f"{i}", p=p) for i, p in enumerate(values)]
    one = {found.counterpart: found.q for found in judge(rows, P)}
    assert one == {found.counterpart: found.q for found in judge(rows[::-1], P)}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@pytest.mark.parametrize(("control", "method"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")])
def test_both_controls_agree_with_an_independent_program(control, method, values):
    assert control(values, 0.05).adjusted == pytest.approx(
        false_discovery_control(values, method=method), abs=1e-12
    )


def test_the_control_that_needs_no_assumption_believes_less():
    rows = [finding(f"{i}", p=p) for i, p in enumerate((0.02, 0.03))]
    believed = {
        control: [f.accepted for f in judge(rows, Parameters(control=control))] for control in ("BH", "BY")
    }
    # q of both: 0.03; times 1 + 1/2: 0.045 and, of three, 0.03 (1 + 1/2 + 1/3) = 0.055
    assert believed["BH"] == believed["BY"] == [True, True]
    rows.append(finding("2", p=0.03))
    assert [f.accepted for f in judge(rows, P)] == [True] * 3
    assert [f.accepted for f in judge(rows, Parameters(control="BY"))] == [False] * 3


def test_no_tests_at_all_are_controlled_without_complaint():
    assert benjamini_yekutieli([], 0.05).adjusted == ()
