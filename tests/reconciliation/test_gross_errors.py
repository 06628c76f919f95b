"""Likelihood ratios: what they are by definition, and when the search must not choose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

from tests.reconciliation.networks import networks
from tests.reconciliation.test_adjustment import chain, report
from tracker.reconciliation.adjustment import solve
from tracker.reconciliation.gross_errors import (
    EQUALLY_LIKELY,
    chance_of,
    critical_gamma,
    critical_z,
    search,
    suspects,
)
from tracker.reconciliation.network import without


def estimate_of(row, solution):
    flows = dict(zip(solution.network.flows, solution.estimates, strict=True))
    return sum(factor * flows[flow] for flow, factor in row.terms.items())


@settings(max_examples=40, deadline=None)
@given(networks())
def test_the_statistic_is_the_fall_of_gamma_and_the_size_what_the_others_say(network):
    solution = solve(network)
    assume(not solution.contradictions)
    for suspect in suspects(solution):
        gone = {"reports" if suspect.kind == "report" else "balances": [suspect.id]}
        rest = solve(without(network, **gone))
        assert suspect.statistic == pytest.approx(solution.gamma - rest.gamma, rel=1e-5, abs=1e-5)
        assert rest.dof == solution.dof - 1
        if suspect.kind == "report":
            (row,) = [row for row in network.reports if row.id == suspect.id]
            if not any(
                other.amount.key and other.amount.key == row.amount.key for other in rest.network.reports
            ):
                assert suspect.size == pytest.approx(
                    row.amount.mu - estimate_of(row, rest), rel=1e-5, abs=1e-4
                )
        else:
            (balance,) = [row for row in network.balances if row.id == suspect.id]
            short = estimate_of(balance, rest)  # out less in, of the flows as the others tell them
            if not np.isnan(short):
                assert suspect.size == pytest.approx(-short, rel=1e-5, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_what_the_search_leaves_is_what_solving_without_it_gives(network):
    solution = solve(network)
    assume(not solution.contradictions)
    found = search(solution, 0.05)
    again = solve(found.network)
    assert found.gamma == pytest.approx(again.gamma, rel=1e-5, abs=1e-5)
    assert found.dof == again.dof >= min(1, solution.dof)
    for suspicion in found.suspicions[:-1]:
        assert suspicion.decided
    for suspicion in found.suspicions:
        assert suspicion.decided == (len(suspicion.alternatives) == 1)
        assert all(suspicion.statistic - row.statistic < EQUALLY_LIKELY for row in suspicion.alternatives)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_nothing_is_named_that_nothing_checks(network):
    solution = solve(network)
    unchecked = {
        row.id for row, checked in zip(network.reports, solution.is_checked, strict=True) if not checked
    }
    assert not unchecked & {row.id for row in suspects(solution) if row.kind == "report"}


def test_one_equation_cannot_tell_who_is_wrong():
    found = search(solve(chain(report("in", 100, 1), report("out", 50, 1))), 0.05)
    (suspicion,) = found.suspicions
    assert not suspicion.decided
    assert [row.who for row in suspicion.alternatives] == ["in", "out", "node:n"]
    assert (found.dof, found.gamma) == (1, pytest.approx(1250))


def test_a_third_report_tells():
    edges = (("in", "env", "a"), ("through", "a", "b"), ("out", "b", "env"))
    reports = (report("in", 100, 1), report("through", 50, 1), report("out", 101, 1))
    found = search(solve(chain(*reports, nodes=("a", "b"), edges=edges)), 0.05)
    assert [(s.decided, s.alternatives[0].who) for s in found.suspicions] == [(True, "through")]
    assert found.suspicions[0].alternatives[0].size == pytest.approx(50 - 100.5)
    assert found.dof == 1


def test_agreeing_reports_raise_no_suspicion():
    assert search(solve(chain(report("in", 100, 5), report("out", 103, 5))), 0.05).suspicions == ()


def test_a_closed_circle_cannot_lose_at_one_place_only():
    edges = (("there", "a", "b"), ("back", "b", "a"))
    solution = solve(chain(report("there", 50, 1), report("back", 9, 1), nodes=("a", "b"), edges=edges))
    assert [row.who for row in suspects(solution)] == ["back", "there"]


def test_constants_are_not_suspected():
    exact = report("out", 50, is_suspect=False)
    assert [row.who for row in suspects(solve(chain(report("in", 100, 1), exact)))] == ["in", "node:n"]


def test_critical_values():
    assert critical_gamma(4, 0.05) == pytest.approx(9.48773, rel=1e-5)
    assert critical_gamma(0, 0.05) is None
    assert chance_of(9.48773, 4) == pytest.approx(0.05, rel=1e-4)
    assert critical_z(1, 0.05) == pytest.approx(1.959964, rel=1e-6)
    assert critical_z(6, 0.05) == pytest.approx(2.6310, rel=1e-4)
