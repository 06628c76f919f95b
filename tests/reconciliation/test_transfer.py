"""Transfer coefficients: against the same minimum found another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation.adjustment import by_name
from tracker.reconciliation.network import Balance, Network, Report
from tracker.reconciliation.transfer import Transfer, solve_with_transfers

FLOWS = ("A", "C", "D", "TC")
SPLIT = (Balance("split", {"A": 1.0, "C": -1.0, "D": -1.0}),)


def report(flow, value, sd):
    return Report(flow, {flow: 1.0}, Quantity(value, sr=sd))


@settings(max_examples=15, deadline=None)
@given(st.floats(50, 150), st.floats(0.2, 0.8), st.floats(-5, 5), st.floats(-5, 5))
def test_the_estimate_is_the_least_squares_solution(whole, share, more, less):
    figures = {
        "A": (whole, 5.0),
        "C": (whole * share + more, 2.0),
        "D": (whole * (1 - share) + less, 3.0),
        "TC": (share, 0.05),
    }
    network = Network(FLOWS, SPLIT, tuple(report(flow, *figure) for flow, figure in figures.items()))

    def misfit(at):
        flows = {"A": at[0], "C": at[0] * at[1], "D": at[0] * (1 - at[1]), "TC": at[1]}
        return sum(((flows[name] - value) / sd) ** 2 for name, (value, sd) in figures.items())

    least = minimize(misfit, [whole, share], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
    solution = solve_with_transfers(network, [Transfer("TC", "A", "C")], {})
    found = by_name(FLOWS, solution.estimates)
    assert (found["A"], found["TC"]) == (
        pytest.approx(least.x[0], rel=1e-6),
        pytest.approx(least.x[1], rel=1e-6),
    )
    assert solution.gamma == pytest.approx(least.fun, rel=1e-6, abs=1e-8)
    assert found["C"] == pytest.approx(found["A"] * found["TC"])


def test_a_coefficient_that_nobody_reports_follows_from_the_flows():
    network = Network(FLOWS, SPLIT, (report("A", 10, 1), report("C", 4, 0.5)))
    solution = solve_with_transfers(network, [Transfer("TC", "A", "C")], {"TC": 0.5})
    assert by_name(FLOWS, solution.estimates)["TC"] == pytest.approx(0.4)
    assert np.sqrt(solution.variances[3]) == pytest.approx(np.hypot(0.5 / 10, 4 / 100))


def test_an_unknown_without_a_first_value_begins_where_the_rest_of_the_network_puts_it():
    network = Network(FLOWS, SPLIT, (report("C", 4, 0.5), report("D", 6, 0.5)))
    solution = solve_with_transfers(network, [Transfer("TC", "A", "C")], {})
    assert by_name(FLOWS, solution.estimates)["TC"] == pytest.approx(0.4)


def test_what_does_not_settle_is_refused():
    network = Network(("A", "C", "TC"), (), (report("C", 4, 0.5),))
    with pytest.raises(BadInput, match="do not settle"):
        solve_with_transfers(network, [Transfer("TC", "A", "C")], {"A": float("inf"), "TC": 1.0})
