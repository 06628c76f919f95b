"""Worked cases of networks: streams between nodes as textbooks print them, and every number of the method.

A stream has ``id``, ``from``, ``to`` and, if it is measured, a figure as in other cases (``value`` with ``sd``, ``rel``, ``rr``
and ``rs``, a ``grade``...). A value without an error is a constant; no value: unmeasured. ``from`` or ``to`` left out, or
``env``: the environment. ``nodes`` lists the places that must balance; without it, those with flows in and out. ``balances``
may list equations, ``reports`` figures for sums of streams, ``covariance`` what two figures share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation import explain
from tracker.reconciliation.adjustment import Numbers, Solution, bounded, by_name, solve, with_violated
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.case_input import case_quantity
from tracker.reconciliation.gross_errors import (
    Search,
    chance_of,
    critical_gamma,
    critical_z,
    search,
    suspects,
)
from tracker.reconciliation.network import Balance, Network, Report, balances_of
from tracker.reconciliation.network_story import LABELLED, Fit, Named, story
from tracker.reconciliation.transfer import Transfer, solve_with_transfers

ENVIRONMENT = ("", "env", "environment", "outside", "none")
COEFFICIENT = "TC"


def network_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    network, edges = _network(given, parameters)
    alpha = float(given.get("alpha", parameters.alpha))
    solution = solve(network)
    found = search(solution, alpha)
    after = solve(found.network) if found.network != network else solution
    ranked = {row.who: row for row in suspects(solution)}
    measured = [row.id for row in network.reports if row.is_suspect]
    nodes = [row.id for row in network.balances]

    def of_measured(values: Numbers) -> dict[str, float | None]:
        return {name: value for name, value in by_name(network.reports, values).items() if name in by_report}

    by_node = {name: ranked.get(f"node:{name}") for name in nodes}
    by_report = {name: ranked.get(name) for name in measured}
    critical = critical_z(len(measured), alpha)
    checked, z = by_name(network.reports, solution.is_checked), of_measured(solution.z)
    return {
        **_flows(solution), "gamma": solution.gamma, "dof": solution.dof, "p": chance_of(solution.gamma, solution.dof),
        "chi2_crit": critical_gamma(solution.dof, alpha), "z": z, "z_crit": critical,
        "adjustments": of_measured(solution.adjustments), "adjustability": of_measured(solution.adjustability),
        "suspects": [name for name in measured if critical is not None and abs(z[name] or 0.0) > critical],
        "glr": {name: row.statistic if row else 0.0 for name, row in by_report.items()},
        "bias": {name: row.size if row else None for name, row in by_report.items()},
        "node_glr": {name: row.statistic if row else 0.0 for name, row in by_node.items()},
        "unrecorded_inflow": {name: row.size if row else None for name, row in by_node.items()},
        "redundant": [name for name in measured if checked[name]],
        "nonredundant": [name for name in measured if not checked[name]],
        "findings": [_finding(row.statistic, row.decided, row.alternatives) for row in found.suspicions],
        "gamma_after": found.gamma, "dof_after": found.dof, "reconciled_after": by_name(network.flows, after.estimates),
        "contradictions": [
            {"nodes": list(row.balances), "streams": list(row.reports), "amount": row.amount}
            for row in solution.contradictions
        ],
        "text": _text(solution, found, edges),
    }  # fmt: skip


def bounded_case(given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]) -> dict[str, Any]:
    network, _ = _network(given, parameters)
    found = bounded(network)
    told = _flows(found.solution)
    told["reconciled"] |= {
        name: 0.0 for name in found.at_zero if name in told["reconciled"]
    }  # not 1e-9 of a million
    return {
        **told, "unbounded": by_name(network.flows, found.unbounded.estimates),
        "at_zero": list(found.at_zero), "gamma": found.solution.gamma, "dof": found.solution.dof,
        "gamma_unbounded": found.unbounded.gamma,
    }  # fmt: skip


def bilinear_case(
    given: Mapping[str, Any], parameters: Parameters, case: Mapping[str, Any]
) -> dict[str, Any]:
    flows = {str(name): row or {} for name, row in given["flows"].items()}
    rows = given["tc"] if isinstance(given["tc"], Sequence) else [given["tc"]]
    names = [
        str(row.get("id", COEFFICIENT if len(rows) == 1 else f"{COEFFICIENT}{n}"))
        for n, row in enumerate(rows, 1)
    ]
    transfers = [
        Transfer(name, str(row["of"]), str(row["gives"])) for name, row in zip(names, rows, strict=True)
    ]
    reports = [
        *_reports(flows.items(), parameters),
        *_reports(zip(names, rows, strict=True), parameters),
    ]
    network = Network((*flows, *names), _balances(given.get("balances", ())), tuple(reports))
    start = {str(name): float(value) for name, value in (given.get("start") or {}).items()}
    solution = solve_with_transfers(network, transfers, start)
    return {**_flows(solution), "gamma": solution.gamma, "dof": solution.dof}


KINDS = {"network": network_case, "network_bounded": bounded_case, "network_bilinear": bilinear_case}


# --- reading ------------------------------------------------------------------------------------------------------------


def _network(given: Mapping[str, Any], parameters: Parameters) -> tuple[Network, dict[str, tuple[str, str]]]:
    listed = given["streams"]
    if isinstance(listed, Mapping):
        listed = [{"id": name, **(row or {})} for name, row in listed.items()]
    streams = [{**row, "id": str(row.get("id", number))} for number, row in enumerate(listed, start=1)]
    streams = _with_variances(streams, given.get("covariance", given.get("covariances")))
    edges = {row["id"]: (_place(row.get("from")), _place(row.get("to"))) for row in streams}
    if len(edges) < len(streams):
        raise BadInput("Two streams have the same id.")
    nodes = given.get("nodes")
    if nodes is None and "balances" not in given:
        nodes = _implied(edges.values())
    closed = [str(row.get("id")) if isinstance(row, Mapping) else str(row) for row in nodes or ()]
    balances = balances_of(((name, *ends) for name, ends in edges.items()), closed)
    balances += _balances(given.get("balances", ()))
    reports = _reports(((row["id"], row) for row in streams), parameters)
    sums = given.get("reports", given.get("measurements", ()))
    for number, row in enumerate(sums, start=1):
        terms = row.get("terms", row.get("of", row.get("streams")))
        weights = terms if isinstance(terms, Mapping) else dict.fromkeys(terms or (), 1.0)
        amount = _amount(row, parameters)
        if amount is None:
            raise BadInput(f"The report {row.get('id', number)!r} has no value.")
        named = {str(name): float(value) for name, value in weights.items()}
        reports.append(Report(str(row.get("id", f"report {number}")), named, amount, bool(amount.variance)))
    network = Network(tuple(edges), balances, tuple(row for row in reports if not row.amount.bound))
    shared = _covariances(given.get("covariance", given.get("covariances")), network)
    network = replace(network, covariances=shared or _correlations(given.get("correlation"), network))
    bounds = [row for row in reports if row.amount.bound]
    return (with_violated(network, bounds)[0] if bounds else network), edges


def _place(name: Any) -> str:
    return "" if name is None or str(name).casefold() in ENVIRONMENT else str(name)


def _implied(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Places that something enters and something leaves, in the order they are named."""
    known = list(edges)
    sources, targets = {origin for origin, _ in known}, {target for _, target in known}
    return [
        name
        for name in dict.fromkeys(end for ends in known for end in ends)
        if name and name in sources & targets
    ]


def _balances(rows: Any) -> tuple[Balance, ...]:
    """Equations: mappings of stream to coefficient, by name or in a list; or these as ``terms``, with ``id`` and ``total``."""
    named = (
        rows.items()
        if isinstance(rows, Mapping)
        else ((f"balance {n}", row) for n, row in enumerate(rows or (), 1))
    )
    found = []
    for name, row in named:
        terms, total = row, 0.0
        if "terms" in row:
            terms, total, name = row["terms"], float(row.get("total", 0.0)), row.get("id", name)
        found.append(Balance(str(name), {str(flow): float(value) for flow, value in terms.items()}, total))
    return tuple(found)


def _reports(rows: Iterable[tuple[str, Mapping[str, Any]]], parameters: Parameters) -> list[Report]:
    read = [(name, _amount(row, parameters)) for name, row in rows]
    return [
        Report(name, {name: 1.0}, amount, bool(amount.variance))
        for name, amount in read
        if amount is not None
    ]


def _amount(row: Mapping[str, Any], parameters: Parameters) -> Quantity | None:
    """A figure; None where there is none. One spread under a key is shared in the usual part."""
    if row.get("measured") is False:
        return None
    figures = ("value", "q", "best", "low", "high", "at_least", "at_most")
    if all(row.get(name) is None for name in figures):
        return None
    given = {name: value for name, value in row.items() if value is not None}
    value = float(given.get("value", 0.0))
    for name, read in (
        ("rel", lambda part: part * abs(value)), ("var", math.sqrt), ("variance", math.sqrt), ("sigma", float),
    ):  # fmt: skip
        if name in given:
            given["sd"] = read(float(given[name]))
    if "key" in given and "sd" in given and not {"ss", "rs"} & set(given):
        share = parameters.systematic_share
        given |= {
            "ss": float(given["sd"]) * math.sqrt(share),
            "sr": float(given["sd"]) * math.sqrt(1 - share),
        }
    found = case_quantity(given, parameters)
    return replace(found, sr=abs(found.sr), ss=abs(found.ss))


def _covariances(given: Any, network: Network) -> tuple[tuple[str, str, float], ...]:
    """Pairs ``[a, b, value]`` or ``{a, b, value}`` (or ``rho``), a mapping of mappings, or a matrix over the measured streams."""
    if not given:
        return ()
    sds = {row.id: row.amount.s for row in network.reports}
    if isinstance(given, Mapping):
        pairs = [(str(a), str(b), float(value)) for a, row in given.items() for b, value in row.items()]
        return tuple(row for row in pairs if row[0] != row[1])
    measured = [row.id for row in network.reports if row.is_suspect]
    if _is_matrix(given, len(measured)):
        return tuple(
            (one, other, float(given[i][j]))
            for i, one in enumerate(measured)
            for j, other in enumerate(measured)
            if i < j and given[i][j]
        )
    found = []
    for row in given:
        one, other, value = row if isinstance(row, Sequence) else (row["a"], row["b"], row.get("value"))
        one, other = str(one), str(other)
        if value is None:
            value = float(row["rho"]) * sds[one] * sds[other]
        found.append((one, other, float(value)))
    return tuple(found)


def _correlations(given: Any, network: Network) -> tuple[tuple[str, str, float], ...]:
    """Covariances from correlations, given in any of the ways of :func:`_covariances`."""
    sds = {row.id: row.amount.s for row in network.reports}
    return tuple(
        (one, other, rho * sds[one] * sds[other]) for one, other, rho in _covariances(given, network)
    )


def _with_variances(streams: list[dict[str, Any]], given: Any) -> list[dict[str, Any]]:
    """The streams with the variances on the diagonal of a covariance matrix, where they state no error of their own."""
    told = [row for row in streams if row.get("value") is not None]
    if not isinstance(given, Sequence) or not told or not _is_matrix(given, len(told)):
        return streams
    sd = {
        row["id"]: math.sqrt(float(given[place][place]))
        for place, row in enumerate(told)
        if not _ERRORS & set(row)
    }
    return [{**row, "sd": sd[row["id"]]} if row["id"] in sd else row for row in streams]


_ERRORS = {"sd", "sigma", "var", "variance", "rel", "rel_sd", "rr", "rs", "sr", "ss", "grade"}


def _is_matrix(given: Sequence[Any], size: int) -> bool:
    """Whether rows are those of a covariance matrix, and not pairs with their covariance (of three streams both have three)."""
    if len(given) != size or not all(isinstance(row, Sequence) and len(row) == size for row in given):
        return False
    numbers = [[value for value in row if isinstance(value, (int, float))] for row in given]
    if any(len(row) != size for row in numbers):
        return False
    return all(numbers[i][j] == numbers[j][i] for i in range(size) for j in range(i))


# --- telling ------------------------------------------------------------------------------------------------------------


def _flows(solution: Solution) -> dict[str, Any]:
    """Estimates with their errors, by flow; None where one cannot be told."""
    names = solution.network.flows
    told = by_name(names, solution.observable)
    reported = {next(iter(row.terms)) for row in solution.network.reports if len(row.terms) == 1}
    return {
        "reconciled": by_name(names, solution.estimates),
        "sd": by_name(names, np.sqrt(solution.variances)),
        "unobservable": [name for name in names if not told[name]],
        "observable": [name for name in names if told[name] and name not in reported],
    }


def _finding(statistic: float, decided: bool, alternatives: Iterable[Any]) -> dict[str, Any]:
    rows = [{"who": row.who, "size": row.size, "statistic": row.statistic} for row in alternatives]
    return {"statistic": statistic, "decided": decided, "alternatives": rows}


def _text(solution: Solution, found: Search, edges: Mapping[str, tuple[str, str]]) -> str:
    """The explanation of every suspicion, one after the other, and what cannot be told or checked."""
    network = solution.network
    untold = [name for name, told in zip(network.flows, solution.observable, strict=True) if not told]
    alone = [row.id for row, checked in zip(network.reports, solution.is_checked, strict=True) if not checked]
    limits = [f"Not determined by the reports, and left empty: {explain.listed(untold)}."] if untold else []
    limits += [f"Nothing checks {explain.listed(alone)}."] if alone else []
    if not found.suspicions:
        words = "The reports agree within their stated errors."
        if not solution.dof:
            words = "There is nothing to check against: no balance holds reports against one another."
        return " ".join((words, f"{LABELLED[0].upper()}{LABELLED[1:]}.", *limits))
    names = {f"node:{row.id}": Named(f"the place {row.id}") for row in network.balances}
    for row in network.reports:
        origin, target = edges.get(row.id, ("", ""))
        way = f" ({origin or 'environment'} to {target or 'environment'})" if row.id in edges else ""
        names[row.id] = Named(f"the report {row.id}{way}", row.amount)
    gamma, dof, parts = solution.gamma, solution.dof, []
    for suspicion in found.suspicions:
        fit = Fit(gamma, dof)
        size = explain.chips(abs(suspicion.alternatives[0].size))
        compared = f"{len(network.reports)} reports about {len(network.flows)} flows among {len(network.balances)} places."
        told = story(compared, suspicion, names, fit, size)
        parts.append(explain.full_text(explain.sections(told)))
        gamma, dof = gamma - suspicion.statistic, dof - 1
    return "\n\n".join((*parts, *limits))
