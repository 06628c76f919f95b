"""A network of flows: which flows there are, which places must balance, and what is reported about the flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tracker.core.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Report:
    """A figure for a flow, or for a weighted sum of flows: ``terms`` maps flow to coefficient (1 on each member of a family).

    An ``amount`` without error is a constant. ``is_suspect``: whether the search for the wrong report may name it.
    """

    id: str
    terms: Mapping[str, float]
    amount: Quantity
    is_suspect: bool = True


@dataclass(frozen=True, slots=True)
class Balance:
    """A place whose book is whole: the flows in (coefficient 1) less those out (-1) make ``total``, normally 0."""

    id: str
    terms: Mapping[str, float]
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Network:
    """Flows in a fixed order, the balances they obey, the reports about them.

    ``covariances``: (report, report, value) beyond what the bias keys say; the reports named have no other error than these say.
    """

    flows: tuple[str, ...]
    balances: tuple[Balance, ...]
    reports: tuple[Report, ...]
    covariances: tuple[tuple[str, str, float], ...] = ()


def balances_of(edges: Iterable[tuple[str, str, str]], closed: Iterable[str]) -> tuple[Balance, ...]:
    """One balance for each closed node, from edges (flow, from, to); a flow from a node to itself is none of its flows."""
    terms: dict[str, dict[str, float]] = {node: {} for node in closed}
    for flow, origin, target in edges:
        if origin == target:
            continue
        if origin in terms:
            terms[origin][flow] = -1.0
        if target in terms:
            terms[target][flow] = 1.0
    return tuple(Balance(node, flows) for node, flows in terms.items())


def merged(network: Network, places: Mapping[str, str]) -> Network:
    """Balances of the same place added up: flows between nodes of one place are no flows of it."""
    terms: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    totals: dict[str, float] = defaultdict(float)
    for balance in network.balances:
        place = places.get(balance.id, balance.id)
        totals[place] += balance.total
        for flow, value in balance.terms.items():
            terms[place][flow] += value
    rows = tuple(
        Balance(place, {flow: value for flow, value in sorted(flows.items()) if value}, totals[place])
        for place, flows in sorted(terms.items())
    )
    return replace(network, balances=rows)


def without(network: Network, reports: Iterable[str] = (), balances: Iterable[str] = ()) -> Network:
    """The network with some reports and balances left out."""
    gone, open_nodes = set(reports), set(balances)
    return replace(
        network,
        reports=tuple(row for row in network.reports if row.id not in gone),
        balances=tuple(row for row in network.balances if row.id not in open_nodes),
        covariances=tuple(row for row in network.covariances if not gone & {row[0], row[1]}),
    )


def components(network: Network) -> list[Network]:
    """The parts that no balance, report or given covariance ties together, in the order of their first flow."""
    order = {name: index for index, name in enumerate(network.flows)}
    rows: list[Balance | Report] = [*network.balances, *network.reports]
    ties = [sorted(order[flow] for flow in row.terms) for row in rows]
    named = {
        row.id: flows[0]
        for row, flows in zip(network.reports, ties[len(network.balances) :], strict=True)
        if flows
    }
    ties += [[named[one], named[other]] for one, other, _ in network.covariances]
    ends = np.array([(row[0], end) for row in ties for end in row[1:]], dtype=np.int64).reshape(-1, 2)
    shape = (len(order), len(order))
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape)
    labels = connected_components(graph, directed=False)[1]
    parts: dict[int, tuple[list[str], list[Balance], list[Report]]] = {}
    for flow, label in zip(network.flows, labels, strict=True):
        parts.setdefault(int(label), ([], [], []))[0].append(flow)
    for balance in network.balances:
        if balance.terms:
            parts[int(labels[order[next(iter(balance.terms))]])][1].append(balance)
    for report in network.reports:
        if report.terms:
            parts[int(labels[order[next(iter(report.terms))]])][2].append(report)
    found = []
    for flows, balances, reports in parts.values():
        mine = {report.id for report in reports}
        tied = tuple(row for row in network.covariances if row[0] in mine)
        found.append(Network(tuple(flows), tuple(balances), tuple(reports), tied))
    return found
