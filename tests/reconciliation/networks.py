"""Random small networks, and an estimate of them by another way: one dense system of equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from tracker.core.quantity import Quantity
from tracker.reconciliation.network import Balance, Network, Report, balances_of

NODES = ("a", "b", "c", "d")


@st.composite
def networks(draw, *, unmeasured=True, constants=True, families=True, keys=True):
    """Up to four closed nodes and an environment; flows that are reported once, twice, not at all or exactly; reports of sums."""
    nodes = NODES[: draw(st.integers(1, 4))]
    ends = st.sampled_from(("env", *nodes))
    count = draw(st.integers(len(nodes), 9))
    edges = [(f"f{i}", draw(ends), draw(ends)) for i in range(count)]
    flows = tuple(flow for flow, _, _ in edges)
    kinds = ["once", "once", "once", "twice"] + ["none"] * unmeasured + ["exact"] * constants
    reports = []
    for flow in flows:
        kind = draw(st.sampled_from(kinds))
        for number in range({"none": 0, "twice": 2}.get(kind, 1)):
            reports.append(draw(_report(f"r{flow}.{number}", {flow: 1.0}, exact=kind == "exact", keys=keys)))
    for number in range(draw(st.integers(0, 2)) if families else 0):
        members = draw(st.lists(st.sampled_from(flows), min_size=1, max_size=3, unique=True))
        terms = {flow: draw(st.sampled_from((1.0, 0.5, 2.0))) for flow in members}
        reports.append(draw(_report(f"sum{number}", terms, exact=False, keys=keys)))
    return Network(flows, balances_of(edges, nodes), tuple(reports))


@st.composite
def _report(draw, name, terms, *, exact, keys):
    value = draw(st.integers(0, 1000))
    if exact:
        return Report(name, terms, Quantity(value), is_suspect=False)
    key = draw(st.sampled_from(("", "house", "press"))) if keys else ""
    own, shared = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    return Report(name, terms, Quantity(value, sr=float(own), ss=float(shared) if key else 0.0, key=key))


def covariance(network: Network) -> np.ndarray:
    found = np.diag([row.amount.variance for row in network.reports])
    for i, one in enumerate(network.reports):
        for j, other in enumerate(network.reports):
            if i != j and one.amount.key and one.amount.key == other.amount.key:
                found[i, j] = one.amount.ss * other.amount.ss
    return found


def matrix(network: Network, rows: tuple[Report, ...] | tuple[Balance, ...]) -> np.ndarray:
    return np.array([[row.terms.get(flow, 0.0) for flow in network.flows] for row in rows]).reshape(
        len(rows), len(network.flows)
    )


def dense(network: Network) -> tuple[float, int, np.ndarray, np.ndarray, np.ndarray]:
    """gamma, rank, flows, their covariance, and which of them are told; by the pseudo-inverse of all equations together.

    With P spanning the left null space of [M; A]: what is left of the reports is P y, with covariance P V P'.
    """
    reports, balances = matrix(network, network.reports), matrix(network, network.balances)
    whole = np.vstack([reports, balances])
    known = np.array([row.amount.mu for row in network.reports] + [row.total for row in network.balances])
    spread = np.zeros((len(known), len(known)))
    spread[: len(reports), : len(reports)] = covariance(network)
    u, sizes, vt = np.linalg.svd(whole)
    rank = int((sizes > 1e-9).sum())
    null = u[:, rank:].T
    scatter = null @ spread @ null.T
    values, vectors = np.linalg.eigh(scatter) if len(scatter) else (np.zeros(0), np.zeros((0, 0)))
    kept = values > 1e-7 * max(1.0, values.max(initial=0.0))
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    residual = null @ known
    weight = spread @ null.T @ inverse
    adjusted = known - weight @ residual
    inner = spread - weight @ null @ spread
    pseudo = np.linalg.pinv(whole)
    told = np.abs(vt[rank:]).max(axis=0, initial=0.0) < 1e-9
    return (
        float(residual @ inverse @ residual),
        int(kept.sum()),
        pseudo @ adjusted,
        pseudo @ inner @ pseudo.T,
        told,
    )


def renamed(network: Network, order: list[int]) -> Network:
    """The same network with its flows and reports in another order."""
    flows = tuple(network.flows[i] for i in order)
    return replace(network, flows=flows, reports=network.reports[::-1])
