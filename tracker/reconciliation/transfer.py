"""Networks in which one flow is a share of another: the transfer coefficient times the flow that it divides.

``coefficient x of = gives`` is no linear equation when both factors are uncertain. It is replaced by its tangent at the latest
estimate, the network is solved with the original reports, and so on until the estimate no longer moves.

Source: O. Cencic, Nonlinear data reconciliation in material flow analysis with software STAN, Sustainable Environment Research
26, 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracker.core.errors import BadInput
from tracker.reconciliation.adjustment import Solution, solve
from tracker.reconciliation.network import Balance, Network

LIMIT = 200
"""Steps after which an estimate that still moves is given up."""
STILL = 1e-12
"""A step this small beside the largest figure no longer moves the estimate."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The unknown ``coefficient`` (a flow of the network by name) times the flow ``of`` makes the flow ``gives``."""

    coefficient: str
    of: str
    gives: str


def solve_with_transfers(
    network: Network, transfers: Sequence[Transfer], start: Mapping[str, float]
) -> Solution:
    """The estimate. ``start`` may give a first value for an unknown that takes part in a transfer; without one it begins at its
    report, at what the network says without the transfers, or at a half.

    Raises: BadInput: an estimate that does not settle.
    """
    names = sorted({name for row in transfers for name in (row.coefficient, row.of)})
    plain = dict(zip(network.flows, solve(network).estimates.tolist(), strict=True))
    at = {name: float(start[name]) if name in start else _first(plain[name]) for name in names}
    index = {name: number for number, name in enumerate(network.flows)}
    for _ in range(LIMIT):
        tangents = tuple(
            Balance(
                f"transfer: {row.gives}",
                {row.of: at[row.coefficient], row.coefficient: at[row.of], row.gives: -1.0},
                at[row.coefficient] * at[row.of],
            )
            for row in transfers
        )
        solution = solve(replace(network, balances=network.balances + tangents))
        # An unknown that the linear network does not tell keeps the value it was last given.
        values = {name: float(solution.estimates[index[name]]) for name in names}
        moved = {name: at[name] if np.isnan(value) else value for name, value in values.items()}
        largest = max(1.0, max(map(abs, moved.values())))
        step = max(abs(moved[name] - at[name]) for name in names)
        at = moved
        if step <= STILL * largest:
            return solution
    raise BadInput(f"The transfer coefficients do not settle in {LIMIT} steps; give other first values.")


def _first(estimate: float) -> float:
    return 0.5 if np.isnan(estimate) else estimate
