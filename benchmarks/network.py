"""How long a network of flows takes to adjust, beside the bare numerics that nobody can do without.

    python -m benchmarks.network --nodes 3000 --flows 20000

A SYNTHETIC network: few places have most of the flows, every flow is reported once, a tenth leaves the network. *Bare*: the
sparse solution and the dense inverse of ``A V A'`` alone, without building, checks of rank, tests or search. One thread on both
sides.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from tracker.core.quantity import Quantity
from tracker.reconciliation.adjustment import solve
from tracker.reconciliation.gross_errors import search
from tracker.reconciliation.network import Network, Report, balances_of

Edges = list[tuple[str, str, str]]


def network(nodes: int, flows: int, houses: int) -> tuple[Network, Edges]:
    random = np.random.default_rng(1)
    weights = 1 / np.arange(1, nodes + 1) ** 0.7
    ends = random.choice(nodes, (flows, 2), p=weights / weights.sum())
    ends[:, 1] = np.where(ends[:, 0] == ends[:, 1], (ends[:, 1] + 1) % nodes, ends[:, 1])
    leaves = random.random(flows) < 0.1
    sizes = 10 ** random.uniform(1, 5, flows)
    edges = [
        (f"f{i}", f"n{one}", "env" if gone else f"n{other}")
        for i, ((one, other), gone) in enumerate(zip(ends.tolist(), leaves.tolist(), strict=True))
    ]
    reports = tuple(
        Report(
            name,
            {name: 1.0},
            Quantity(size, ss=0.07 * size, sr=0.07 * size, key=f"h{i % houses}" if houses else ""),
        )
        for i, ((name, _, _), size) in enumerate(zip(edges, sizes.tolist(), strict=True))
    )
    closed = [f"n{i}" for i in range(nodes)]
    return Network(tuple(name for name, _, _ in edges), balances_of(edges, closed), reports), edges


def timed(words: str, do: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    made = do()
    seconds = time.perf_counter() - start
    print(f"{words:48}{seconds:8.2f} s")
    return seconds, made


def bare(whole: Network, edges: Edges) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Solution and inverse of ``A V A'`` with independent errors."""
    index = {row.id: number for number, row in enumerate(whole.balances)}
    cells = [
        (index[n], i, s)
        for i, (_, *ends) in enumerate(edges)
        for n, s in zip(ends, (-1.0, 1.0), strict=True)
        if n in index
    ]
    rows, columns, values = zip(*cells, strict=True)
    matrix = coo_array((values, (rows, columns)), shape=(len(index), len(edges))).tocsr()
    variances = np.array([row.amount.variance for row in whole.reports])
    scatter = ((matrix * variances) @ matrix.T).tocsc()
    residual = matrix @ np.array([row.amount.mu for row in whole.reports])
    keep = np.flatnonzero(scatter.diagonal() > 0)
    scatter = scatter[keep][:, keep].tocsc()
    return lambda: splu(scatter, permc_spec="MMD_AT_PLUS_A").solve(residual[keep]), lambda: np.linalg.inv(
        scatter.toarray()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3000)
    parser.add_argument("--flows", type=int, default=20000)
    parser.add_argument(
        "--houses", type=int, default=0, help="bias keys that the reports share; 0: each errs alone"
    )
    given = parser.parse_args()
    whole, edges = network(given.nodes, given.flows, given.houses)
    sparse, dense = bare(whole, edges)
    one, _ = timed("bare: sparse solution", sparse)
    two, _ = timed("bare: dense inverse", dense)
    three, solution = timed("estimate", lambda: (found := solve(whole), found.estimates)[0])
    four, _ = timed("exact variances", lambda: solution.variances)
    five, _ = timed("tests and search", lambda: (solution.z, search(solution, 0.05)))
    print(
        f"all {three + four + five:.2f} s, {(three + four + five) / (one + two):.1f} x bare; gamma {solution.gamma:.6g}"
    )
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
