"""Estimates of networks: against another way of computing them, and what must hold of any."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.reconciliation.networks import dense, networks
from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation import adjustment
from tracker.reconciliation.adjustment import bounded, by_name, solve, with_violated, worth_verifying
from tracker.reconciliation.network import Balance, Network, Report, balances_of, merged, without


def report(flow, value, sd=0.0, **fields):
    return Report(flow, {flow: 1.0}, Quantity(value, sr=sd), **fields)


def chain(*reports, nodes=("n",), edges=(("in", "env", "n"), ("out", "n", "env"))):
    return Network(tuple(flow for flow, _, _ in edges), balances_of(edges, nodes), tuple(reports))


@settings(max_examples=60, deadline=None)
@given(networks())
def test_the_sparse_estimate_is_that_of_one_dense_system(network):
    solution = solve(network)
    assume(not solution.contradictions)
    gamma, rank, flows, covariance, told = dense(network)
    assert solution.dof == rank
    assert solution.observable.tolist() == told.tolist()
    assert solution.gamma == pytest.approx(gamma, rel=1e-6, abs=1e-6)
    assert solution.estimates[told] == pytest.approx(flows[told], rel=1e-6, abs=1e-5)
    assert solution.variances[told] == pytest.approx(np.diag(covariance)[told], rel=1e-6, abs=1e-5)
    assert np.isnan(solution.estimates[~told]).all()


@settings(max_examples=30, deadline=None)
@given(networks())
def test_estimated_flows_meet_every_balance_and_every_constant(network):
    solution = solve(network)
    assume(not solution.contradictions)
    flows = by_name(network.flows, solution.estimates)
    exact = [row for row in network.reports if not row.amount.variance]
    for row in (*network.balances, *exact):
        parts = [(factor, flows[flow]) for flow, factor in row.terms.items()]
        if all(value is not None for _, value in parts):
            known = row.total if isinstance(row, Balance) else row.amount.mu
            assert math.fsum(factor * value for factor, value in parts) == pytest.approx(known, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(networks(keys=False))  # a house's reports move with one another, also those that nothing else checks
def test_checking_never_makes_a_report_less_certain_and_leaves_unchecked_ones_alone(network):
    solution = solve(network)
    share = solution.adjustability
    assert ((share >= 0) & (share <= 1)).all()
    assert solution.adjustments[~solution.is_checked] == pytest.approx(0.0, abs=1e-9)
    assert share[~solution.is_checked] == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_the_order_of_flows_and_reports_does_not_matter(network, random):
    assume(not solve(network).contradictions)
    flows, reports = list(network.flows), list(network.reports)
    random.shuffle(flows)
    random.shuffle(reports)
    other = replace(network, flows=tuple(flows), reports=tuple(reports))
    one, two = solve(network), solve(other)
    assert two.gamma == pytest.approx(one.gamma, rel=1e-7, abs=1e-7)
    mine, theirs = by_name(network.flows, one.estimates), by_name(other.flows, two.estimates)
    for flow, value in mine.items():
        assert theirs[flow] == (None if value is None else pytest.approx(value, rel=1e-7, abs=1e-6))


def test_a_flow_that_no_equation_tells_stays_empty():
    # Two unmeasured flows side by side: their sum follows, neither of them does.
    edges = (("in", "env", "n"), ("left", "n", "env"), ("right", "n", "env"))
    solution = solve(chain(report("in", 10, 1), edges=edges))
    assert by_name(solution.network.flows, solution.estimates) == {"in": 10.0, "left": None, "right": None}
    assert (solution.gamma, solution.dof) == (0.0, 0)
    assert by_name(solution.network.reports, solution.is_checked) == {"in": False}


def test_an_unmeasured_flow_between_others_follows_from_them():
    edges = (("in", "env", "a"), ("through", "a", "b"), ("out", "b", "env"))
    solution = solve(chain(report("in", 12, 3), report("out", 7, 4), nodes=("a", "b"), edges=edges))
    # Weights 16/25 and 9/25 by hand.
    assert solution.estimates == pytest.approx([10.2, 10.2, 10.2])
    assert np.sqrt(solution.variances) == pytest.approx([2.4, 2.4, 2.4])
    assert (solution.gamma, solution.dof) == (pytest.approx(1.0), 1)


def test_reports_of_one_house_cannot_check_each_other_as_two():
    def of(key, ss):
        reports = (
            Report("in", {"in": 1.0}, Quantity(100, sr=3, ss=ss, key=key)),
            Report("out", {"out": 1.0}, Quantity(90, sr=4, ss=ss, key=key)),
        )
        return solve(chain(*reports))

    # A bias in both cancels in their difference: variance 9 + 16 whatever the bias is.
    assert of("house", 12.0).gamma == pytest.approx(100 / 25)
    assert of("", 12.0).gamma == pytest.approx(100 / (25 + 288))
    assert math.sqrt(of("house", 12.0).variances[0]) > 12.0  # nor does averaging them lower it


def test_errors_that_are_wholly_shared_have_no_rank_of_their_own():
    reports = tuple(Report(f, {f: 1.0}, Quantity(5, ss=2, key="house")) for f in ("in", "out"))
    solution = solve(chain(*reports))
    assert solution.dof == 0
    assert solution.variances == pytest.approx([4.0, 4.0])


def test_covariances_that_are_given_are_used():
    pair = (report("in", 100, 3), report("out", 90, 4))
    network = replace(chain(*pair), covariances=(("in", "out", 6.0),))
    assert solve(network).gamma == pytest.approx(100 / (9 + 16 - 12))
    with pytest.raises(BadInput, match="negative eigenvalue"):
        solve(replace(network, covariances=(("in", "out", 20.0),)))


def test_exact_figures_that_do_not_add_up_are_a_contradiction():
    (found,) = solve(chain(report("in", 100), report("out", 90))).contradictions
    assert (found.balances, found.reports, found.amount) == (("n",), ("in", "out"), 10.0)
    assert not solve(chain(report("in", 90), report("out", 90))).contradictions


def test_a_closed_circle_has_one_balance_to_spare():
    edges = (("there", "a", "b"), ("back", "b", "a"))
    solution = solve(chain(report("there", 11, 1), report("back", 9, 1), nodes=("a", "b"), edges=edges))
    assert solution.dof == 1
    assert solution.estimates == pytest.approx([10, 10])


def test_a_report_of_a_sum_is_never_split():
    edges = (("x", "n", "env"), ("y", "n", "env"), ("in", "env", "n"))
    family = Report("family", {"x": 1.0, "y": 1.0}, Quantity(30, sr=3))
    solution = solve(chain(report("in", 20, 4), family, edges=edges))
    assert by_name(solution.network.flows, solution.estimates) == {
        "x": None,
        "y": None,
        "in": pytest.approx((20 * 9 + 30 * 16) / 25),
    }


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(("a",), (), (Report("r", {"b": 1.0}, Quantity(1)),)), "'r' names the flow 'b'"),
        (Network(("a",), (), (report("a", 1, 1), report("a", 2, 1))), "the same name"),
    ],
)
def test_a_network_that_cannot_be_is_refused(network, message):
    with pytest.raises(BadInput, match=message):
        solve(network)


@settings(max_examples=40, deadline=None)
@given(networks(unmeasured=False, constants=False, families=False))
def test_bounded_flows_are_not_negative_and_fit_worse(network):
    found = bounded(network)
    assert (found.solution.estimates >= -1e-6).all()
    assert found.solution.gamma >= found.unbounded.gamma - 1e-6
    if not found.at_zero:
        assert found.solution.gamma == found.unbounded.gamma
    # Letting one go again makes it negative: nothing is held at zero without need.
    for flow in found.at_zero:
        pins = tuple(Balance(f"at zero: {name}", {name: 1.0}) for name in found.at_zero if name != flow)
        free = solve(replace(network, balances=network.balances + pins))
        assert free.estimates[network.flows.index(flow)] <= 1e-6


def test_a_flow_that_exact_figures_force_below_zero_is_named_and_not_held():
    edges = (("in", "env", "n"), ("out", "n", "env"), ("left", "n", "env"))
    found = bounded(chain(report("in", 5), report("out", 8), edges=edges))
    assert (found.at_zero, found.forced) == ((), ("left",))
    assert found.solution.estimates[2] == -3


def test_many_negative_flows_are_held_together_to_the_same_end(monkeypatch):
    flows = tuple(f"f{i}" for i in range(8))
    edges = (("in", "env", "n"), *((flow, "n", "env") for flow in flows))
    reports = (
        report("in", 100, 10),
        *(report(flow, 150 if flow == "f0" else 2 + i, 10) for i, flow in enumerate(flows)),
    )
    network = chain(*reports, edges=edges)
    one_by_one = bounded(network)
    monkeypatch.setattr(adjustment, "TOGETHER", 1)
    together = bounded(network)
    assert len(one_by_one.at_zero) > 1
    assert together.at_zero == one_by_one.at_zero
    assert together.solution.estimates == pytest.approx(one_by_one.solution.estimates)


def test_a_one_sided_claim_counts_only_while_it_is_violated():
    network = chain(report("in", 100, 10), report("out", 100, 10))
    floor = Report("floor", {"out": 1.0}, Quantity(150, sr=5, bound="lower"))
    holding = Report("roof", {"in": 1.0}, Quantity(150, sr=5, bound="upper"))
    extended, taken = with_violated(network, [floor, holding])
    assert taken == ("floor",)
    assert solve(extended).estimates[0] > 130
    assert with_violated(network, [holding]) == (network, ())


@settings(max_examples=30, deadline=None)
@given(networks(constants=False))
def test_the_worth_of_verifying_a_report_is_what_an_exact_record_would_change(network):
    solution = solve(network)
    before = np.nansum(solution.variances)
    for name, fall in worth_verifying(solution).items():
        row = next(row for row in network.reports if row.id == name)
        exact = Report("exact", row.terms, Quantity(solution.adjusted[network.reports.index(row)]))
        after = solve(replace(network, reports=(*network.reports, exact)))
        left = np.where(solution.observable, after.variances, 0.0).sum()
        assert fall == pytest.approx(before - left, rel=1e-5, abs=1e-5 * max(1.0, before))


def test_merging_nodes_keeps_the_sum_of_their_balances():
    edges = (("in", "env", "a"), ("through", "a", "b"), ("out", "b", "env"))
    reports = (report("in", 12, 3), report("through", 100, 1), report("out", 7, 4))
    whole = chain(*reports, nodes=("a", "b"), edges=edges)
    (balance,) = merged(whole, {"a": "group", "b": "group"}).balances
    assert balance == Balance("group", {"in": 1.0, "out": -1.0})
    known = replace(whole, balances=tuple(replace(row, total=3.0) for row in whole.balances))
    assert merged(known, {"a": "group", "b": "group"}).balances[0].total == 6.0
    solution = solve(merged(whole, {"a": "group", "b": "group"}))
    assert solution.estimates == pytest.approx([10.2, 100, 10.2])


def test_what_is_left_out_is_out():
    network = chain(report("in", 12, 3), report("out", 7, 4))
    assert without(network, ["in"], ["n"]).reports == (report("out", 7, 4),)
    assert without(network, ["in"], ["n"]).balances == ()
