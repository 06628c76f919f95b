"""Flows adjusted together: the most likely true flows of a network, given every report and that what enters a place leaves it.

Unknown are the flows ``x``. Balances say ``A x = c``. Reports say ``y = M x + e`` with covariance ``V = diag(D) + H H'``: a
report's own error, and the error that all reports of one bias key share. The estimate minimises ``(y - M x)' V^-1 (y - M x)``
subject to the balances. Every figure rests on one reduction: with the left null space ``N`` of ``[M; A]``, ``N [M; A] = 0``, the
equations ``r = N (y, c)`` hold no unknown, and without errors they would be zero. Then

    S = N V N'     G = S^-1     gamma = r' G r    on  rank S  degrees of freedom
    adjustment  a = V N' G r    with covariance  V N' G N V
    report or balance i, with ``h`` its column of N:   T = (h' G r)^2 / (h' G h)     size b = (h' G r) / (h' G h)

``T`` is by how much gamma falls when that report or that balance is left out; ``b`` is the report less what all the others say,
or the flow into the place that is not recorded. Flows that no equation tells apart are left empty: no split is invented.

Sources: C. M. Crowe, Y. A. Garcia Campos, A. Hrymak, Reconciliation of process flow rates by matrix projection, AIChE Journal 29,
1983 (unmeasured flows); F. Madron, Process Plant Performance, 1992 (adjustability); docs/method.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, eigh, lapack
from scipy.sparse import block_array, coo_array, csr_array, diags_array, eye_array, vstack
from scipy.sparse.linalg import splu

from tracker.core.errors import BadInput
from tracker.reconciliation.elimination import Row, eliminate
from tracker.reconciliation.network import Balance, Network, Report

Numbers = NDArray[np.float64]

FLOOR = 0.1
"""Least share of a report's variance by which its adjustment is judged, so that what nothing checks is not accused."""
NEGLIGIBLE = 1e-9
VAGUE = 1e7
"""A report with a variance so many times that of the most precise one is vague beside it."""
"""What is this small beside its own parts is rounding."""
TOGETHER = 20
"""More negative flows than these are held at zero together rather than one by one."""
CHUNK = 512


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Exact figures that do not add up whatever the flows are: the balances and reports involved, and by how much."""

    balances: tuple[str, ...]
    reports: tuple[str, ...]
    amount: float


@dataclass(frozen=True, slots=True)
class Bounded:
    """The estimate with no flow below zero: ``at_zero`` are those held there, ``forced`` those that exact figures keep below."""

    unbounded: Solution
    solution: Solution
    at_zero: tuple[str, ...]
    forced: tuple[str, ...] = ()


# --- the reduction ------------------------------------------------------------------------------------------------------


class _Reduced:
    """The equations without unknowns, and how flows follow from known figures.

    Known figures ``k`` are the reports, then the totals of the balances. ``checks`` (N): independent rows, N k = 0 but for
    errors. ``ways``: flows x known; a flow's row is empty where no equation tells it. ``fixed``: known figures that exact ones
    determine.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.reports, self.flows = len(network.reports), len(network.flows)
        self.known = np.array(
            [row.amount.mu for row in network.reports] + [row.total for row in network.balances]
        )
        self.own, self.shared = _covariance(network)
        uncertain = (self.own > 0) | (np.diff(self.shared.indptr) > 0)
        self.uncertain: frozenset[int] = frozenset(np.flatnonzero(uncertain).tolist())
        self.is_shared_only = bool((uncertain & (self.own == 0)).any())  # for some report
        equations = _equations(network)
        variances = self.own + np.asarray(self.shared.power(2).sum(axis=1)).ravel()
        rows, self.ways, self.observable = _projected(equations, variances)
        self.checks, self.contradictions, self.fixed = self._independent(rows)
        self.residual = self.checks @ self.known
        self.columns = self.checks[:, : self.reports]
        self.loads = csr_array(self.columns @ self.shared)

    def _independent(self, rows: csr_array) -> tuple[csr_array, tuple[Contradiction, ...], frozenset[int]]:
        table = _dicts(rows)
        rest = eliminate(table, self.uncertain).rest
        fixed = {column for index in rest for column in table[index]}
        found = []
        for index in rest:
            parts = {column: value * self.known[column] for column, value in table[index].items()}
            amount = math.fsum(parts.values())
            if abs(amount) > NEGLIGIBLE * math.fsum(map(abs, parts.values())):
                found.append(self._contradiction(parts, amount))
        keep = np.setdiff1d(np.arange(rows.shape[0]), np.array(rest, dtype=np.int64))
        return csr_array(rows[keep]), tuple(found), frozenset(fixed)

    def _contradiction(self, parts: Mapping[int, float], amount: float) -> Contradiction:
        network, first = self.network, self.reports
        return Contradiction(
            tuple(network.balances[i - first].id for i in sorted(parts) if i >= first),
            tuple(network.reports[i].id for i in sorted(parts) if i < first),
            abs(amount),
        )

    def scatter(self) -> Numbers:
        """S, the covariance of the residuals; its lower half."""
        matrix = ((self.columns * self.own) @ self.columns.T).toarray(order="F")
        if all(self.loads.shape):
            matrix = blas.dsyrk(
                1.0, self.loads.toarray(order="F"), beta=1.0, c=matrix, lower=1, overwrite_c=1
            )
        return np.asarray(matrix)

    def spread(self, weights: Numbers) -> Numbers:
        """V times a vector over the reports."""
        return self.own * weights + self.shared @ (self.shared.T @ weights)


def _equations(network: Network) -> csr_array:
    """[M; A]: one row for each report, then for each balance, over the flows."""
    order = {name: index for index, name in enumerate(network.flows)}
    rows, columns, values = [], [], []
    named: list[Report | Balance] = [*network.reports, *network.balances]
    for number, row in enumerate(named):
        for flow, value in row.terms.items():
            if flow not in order:
                raise BadInput(f"{row.id!r} names the flow {flow!r}, which is not in the network.")
            rows.append(number)
            columns.append(order[flow])
            values.append(float(value))
    shape = (len(network.reports) + len(network.balances), len(order))
    found = csr_array(coo_array((values, (rows, columns)), shape=shape))
    found.eliminate_zeros()
    return found


def _covariance(network: Network) -> tuple[Numbers, csr_array]:
    """Each report's own variance, and its loads on the errors that several reports share."""
    index = {row.id: number for number, row in enumerate(network.reports)}
    if len(index) < len(network.reports):
        raise BadInput("Two reports of the network have the same name.")
    own = np.array(
        [row.amount.sr**2 + (0.0 if row.amount.key else row.amount.ss**2) for row in network.reports]
    )
    keys: dict[str, int] = {}
    entries: list[tuple[int, int, float]] = []
    tied = {index[name] for row in network.covariances for name in row[:2]}
    given = sorted(tied)
    for number, row in enumerate(network.reports):
        if row.amount.key and row.amount.ss and number not in tied:
            entries.append((number, keys.setdefault(row.amount.key, len(keys)), row.amount.ss))
    width = len(keys)
    if given:
        place = {number: position for position, number in enumerate(given)}
        block = np.diag([network.reports[number].amount.variance for number in given])
        for one, other, value in network.covariances:
            a, b = place[index[one]], place[index[other]]
            block[a, b] = block[b, a] = value
        sizes, vectors = eigh(block)
        if sizes.min() < -NEGLIGIBLE * max(1.0, sizes.max()):
            raise BadInput(
                "The covariances given are those of no set of reports: their matrix has a negative eigenvalue."
            )
        factor = vectors * np.sqrt(np.clip(sizes, 0.0, None))
        entries += [
            (n, width + c, float(factor[r, c])) for r, n in enumerate(given) for c in range(len(given))
        ]
        width += len(given)
        own[given] = 0.0
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    return own, csr_array(
        coo_array((values, (rows, columns)), shape=(len(network.reports), width), dtype=float)
    )


def _projected(equations: csr_array, variances: Numbers) -> tuple[csr_array, csr_array, NDArray[np.bool_]]:
    """Rows N with N [M; A] = 0; the flows in terms of the known figures; which flows these tell. ``variances``: of the reports.

    A flow that a report names alone is put in place of that report at once, of several the most precise one; only what is left
    goes through elimination. A report that is vague beside others comes last there: a flow that others tell is told by them, for
    what checking leaves of a very large variance drowns in its last digits.
    """
    known, flows = equations.shape
    reports = len(variances)
    single = np.flatnonzero(np.diff(equations.indptr[: reports + 1]) == 1)
    single = single[np.argsort(variances[single], kind="stable")]
    named, first = np.unique(equations.indices[equations.indptr[single]], return_index=True)
    certain = variances > 0
    vague = variances > VAGUE * (variances[certain].min() if certain.any() else 0.0)
    plain = ~vague[single[first]]
    named, chosen = named[plain], single[first][plain]
    direct = csr_array(
        (1.0 / equations.data[equations.indptr[chosen]], (named, chosen)), shape=(flows, known)
    )
    others = np.setdiff1d(np.arange(known), chosen)
    left = equations[others]
    figures = csr_array(eye_array(known, format="csr")[others] - left @ direct)
    observable = np.zeros(flows, dtype=bool)
    observable[named] = True
    unknown = left.copy()
    unknown.data = np.where(observable[unknown.indices], 0.0, unknown.data)
    unknown.eliminate_zeros()
    is_free = np.diff(unknown.indptr) > 0
    free, known_only = np.flatnonzero(is_free), figures[np.flatnonzero(~is_free)]
    is_vague = np.concatenate([vague, np.zeros(known - reports, bool)])[others[free]]
    free = free[np.argsort(is_vague, kind="stable")]
    table = [
        {**unknowns, **{flows + column: -value for column, value in given.items()}}
        for unknowns, given in zip(_dicts(unknown[free]), _dicts(figures[free]), strict=True)
    ]
    done = eliminate(table, np.flatnonzero(~observable).tolist(), fully=True)
    rest = _matrix([{c - flows: -v for c, v in table[index].items()} for index in done.rest], known)
    found: list[tuple[int, Row]] = []
    for flow, index in sorted(done.pivots.items()):
        row = table[index]
        if all(column >= flows or column == flow for column in row):
            found.append((flow, {c - flows: -v / row[flow] for c, v in row.items() if c != flow}))
            observable[flow] = True
    solved = _matrix([row for _, row in found], known)
    place = csr_array(
        (np.ones(len(found)), ([f for f, _ in found], range(len(found)))), shape=(flows, len(found))
    )
    rows = csr_array(vstack([known_only, rest], format="csr"))
    rows.eliminate_zeros()
    return rows, csr_array(direct + place @ solved), observable


def _dicts(matrix: csr_array) -> list[Row]:
    ends, columns, values = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
    return [dict(zip(columns[start:end], values[start:end], strict=True)) for start, end in pairwise(ends)]


def _matrix(rows: Sequence[Row], width: int) -> csr_array:
    entries = [(index, column, value) for index, row in enumerate(rows) for column, value in row.items()]
    numbers, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    return csr_array(coo_array((values, (numbers, columns)), shape=(len(rows), width), dtype=float))


# --- the estimate -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Solution:
    """The estimate of one network. Arrays run beside ``network.flows``, ``.reports`` or ``.balances``.

    What needs the inverse of the reduced matrix (sd, z, likelihood ratios) is computed when it is first asked for.
    """

    network: Network
    _reduced: _Reduced = field(repr=False)
    _multipliers: Numbers = field(repr=False)  # G r

    @property
    def gamma(self) -> float:
        """The global statistic of the original reports."""
        return float(self._reduced.residual @ self._multipliers)

    @property
    def dof(self) -> int:
        """Independent equations that the reports must meet; 0: there is nothing to check against."""
        return self._rank

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        return self._reduced.contradictions

    @cached_property
    def pull(self) -> Numbers:
        """N' G r over reports, then balances: how hard each strains against the others."""
        return np.asarray(self._reduced.checks.T @ self._multipliers)

    @cached_property
    def adjustments(self) -> Numbers:
        """Report less adjusted report."""
        return self._reduced.spread(self.pull[: self._reduced.reports])

    @cached_property
    def adjusted(self) -> Numbers:
        return self._reduced.known[: self._reduced.reports] - self.adjustments

    @cached_property
    def estimates(self) -> Numbers:
        """The flows; nan where the reports and balances do not tell one."""
        reduced = self._reduced
        figures = np.concatenate([self.adjusted, reduced.known[reduced.reports :]])
        return np.where(reduced.observable, reduced.ways @ figures, np.nan)

    @property
    def observable(self) -> NDArray[np.bool_]:
        return self._reduced.observable

    @cached_property
    def is_checked(self) -> NDArray[np.bool_]:
        """For each report, whether anything but itself says something about it."""
        entries = np.bincount(self._reduced.columns.indices, minlength=self._reduced.reports)
        fixed = np.isin(np.arange(self._reduced.reports), list(self._reduced.fixed))
        return np.asarray((entries > 0) | fixed)

    @cached_property
    def _inverse(self) -> tuple[Numbers, int]:
        """G and the rank of S."""
        return _inverted(self._reduced.scatter)

    @cached_property
    def _rank(self) -> int:
        # Rows are independent over what is uncertain; only reports whose whole error is shared can lower the rank further.
        reduced = self._reduced
        return self._inverse[1] if reduced.is_shared_only else reduced.checks.shape[0]

    @cached_property
    def _explained(self) -> Numbers:
        """Variance of each adjustment: what checking takes off the variance of each report."""
        return self._taken_off(csr_array(eye_array(self._reduced.reports, format="csr")))

    def _taken_off(self, ways: csr_array) -> Numbers:
        """Diagonal of B V N' G N V B' for rows B over the reports."""
        reduced, inverse = self._reduced, self._inverse[0]
        own = csr_array((ways * reduced.own) @ reduced.columns.T)
        shared = csr_array(ways @ reduced.shared)
        found = _diagonal(own, inverse, own)
        if shared.nnz:
            lifted = np.asarray((reduced.loads.T @ inverse).T)  # G N H
            between = np.asarray(reduced.loads.T @ lifted)
            found += 2 * _diagonal(own, lifted, shared) + _diagonal(shared, between, shared)
        return found

    @cached_property
    def variances(self) -> Numbers:
        """Of the flows; nan where a flow is not told."""
        reduced = self._reduced
        ways = reduced.ways[:, : reduced.reports]
        prior = ways.power(2) @ reduced.own + np.asarray(
            csr_array(ways @ reduced.shared).power(2).sum(axis=1)
        )
        left = prior - self._taken_off(csr_array(ways))
        left = np.where(left < NEGLIGIBLE * prior, 0.0, left)
        return np.where(reduced.observable, left, np.nan)

    @cached_property
    def adjusted_variances(self) -> Numbers:
        """Of the adjusted reports."""
        left = self.report_variances - self._explained
        return np.where(left < NEGLIGIBLE * self.report_variances, 0.0, left)

    @cached_property
    def report_variances(self) -> Numbers:
        """Of the reports as they came."""
        reduced = self._reduced
        return np.asarray(reduced.own + np.asarray(reduced.shared.power(2).sum(axis=1)))

    @cached_property
    def z(self) -> Numbers:
        """Each report's adjustment in standard errors of it (the measurement test); 0 for constants."""
        spread = np.sqrt(np.maximum(self._explained, FLOOR * self.report_variances))
        return np.divide(self.adjustments, spread, out=np.zeros_like(spread), where=spread > 0)

    @cached_property
    def adjustability(self) -> Numbers:
        """Share by which checking lowers each report's standard error; 0 where nothing checks it (Madron 1992)."""
        variances = self.report_variances
        shares = np.divide(self._explained, variances, out=np.zeros_like(variances), where=variances > 0)
        return 1.0 - np.sqrt(np.clip(1.0 - shares, 0.0, 1.0))

    @cached_property
    def strains(self) -> Numbers:
        """h' G h over reports, then balances; 0 for what cannot be told wrong."""
        columns = csr_array(self._reduced.checks.T)
        found = _diagonal(columns, self._inverse[0], columns)
        fixed = list(self._reduced.fixed)
        found[fixed] = 0.0
        return found

    def column(self, index: int) -> Numbers:
        """G h for a report, or (after the reports) a balance."""
        column = np.asarray(self._reduced.checks[:, [index]].toarray())[:, 0]
        return np.asarray(self._inverse[0] @ column)

    def felt(self, column: Numbers) -> Numbers:
        """N' times a column: what it means to each report and balance."""
        return np.asarray(self._reduced.checks.T @ column)

    def verified(self, reports: Sequence[int], targets: Sequence[int]) -> Numbers:
        """See :func:`worth_verifying`."""
        reduced, inverse = self._reduced, self._inverse[0]
        ways = csr_array(reduced.ways[list(targets)][:, : reduced.reports])
        found = np.zeros(len(reports))
        for start in range(0, len(reports), CHUNK):
            chosen = list(reports[start : start + CHUNK])
            unit = np.zeros((reduced.reports, len(chosen)))
            unit[chosen, range(len(chosen))] = 1.0
            spread = reduced.own[:, None] * unit + reduced.shared @ (reduced.shared.T @ unit)
            inner = np.asarray(reduced.columns.T @ (inverse @ (reduced.columns @ spread)))
            covariance = spread - (reduced.own[:, None] * inner + reduced.shared @ (reduced.shared.T @ inner))
            variance = covariance[chosen, range(len(chosen))]
            falls = ((ways @ covariance) ** 2).sum(axis=0)
            enough = variance > NEGLIGIBLE * self.report_variances[chosen]
            found[start : start + len(chosen)] = np.divide(
                falls, variance, out=np.zeros_like(falls), where=enough
            )
        return found


def _inverted(scatter: Callable[[], Numbers]) -> tuple[Numbers, int]:
    """Inverse and rank of a covariance matrix of which the lower half is made; the pseudo-inverse where it is singular.

    Everything happens in one array: for 5,000 balances it has 200 MB.
    """
    matrix = scatter()
    size = matrix.shape[0]
    if not size:
        return matrix, 0
    variances = matrix.diagonal().copy()
    scale = 1.0 / np.sqrt(np.where(variances > 0, variances, 1.0))
    _scale(matrix, scale)
    factor, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    # Diagonal of the factor: what is left of a row once those before it are known.
    if not failed and factor.diagonal().min() > 1e-7:
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        _mirror(inverse)
        _scale(inverse, scale)
        return inverse.T, size  # the same numbers, by rows as sparse products read them
    matrix = scatter()
    _scale(matrix, scale)
    sizes, vectors = eigh(matrix, lower=True)
    kept = sizes > 1e-12 * size
    part = vectors[:, kept]
    inverse = (part / sizes[kept]) @ part.T
    _scale(inverse, scale)
    return inverse, int(kept.sum())


def _scale(matrix: Numbers, scale: Numbers) -> None:
    matrix *= scale
    matrix *= scale[:, None]


def _mirror(matrix: Numbers) -> None:
    """Copy the lower half onto the upper one."""
    size = matrix.shape[0]
    for start in range(0, size, CHUNK):
        rows = slice(start, min(start + CHUNK, size))
        matrix[rows, rows.stop :] = matrix[rows.stop :, rows].T
        block = np.tril(matrix[rows, rows])
        matrix[rows, rows] = block + np.tril(block, -1).T


def _diagonal(left: csr_array, middle: Numbers, right: csr_array) -> Numbers:
    """Diagonal of left x middle x right', never holding more than some rows of the product."""
    found = np.zeros(left.shape[0])
    for start in range(0, left.shape[0], CHUNK):
        rows = slice(start, start + CHUNK)
        found[rows] = np.asarray(right[rows].multiply(left[rows] @ middle).sum(axis=1)).ravel()
    return found


def solve(network: Network) -> Solution:
    """The most likely flows. Arrays of the solution are computed as they are asked for.

    Raises: BadInput: a report or balance names an unknown flow, two reports share a name, or covariances that cannot be.
    """
    reduced = _Reduced(network)
    return Solution(network, reduced, _multipliers(reduced))


def _multipliers(reduced: _Reduced) -> Numbers:
    """G r, by a sparse factorization in which the shared errors stay unknowns, so that they do not fill the matrix."""
    size, keys = reduced.checks.shape[0], reduced.loads.shape[1]
    if not size:
        return np.zeros(0)
    if reduced.is_shared_only:  # such reports may agree in every error: the matrix can be singular
        return np.asarray(_inverted(reduced.scatter)[0] @ reduced.residual)
    own = (reduced.columns * reduced.own) @ reduced.columns.T
    matrix: Any = own
    if keys:
        matrix = block_array([[own, reduced.loads], [reduced.loads.T, -eye_array(keys)]])
    scale = np.ones(size + keys)
    scale[:size] = 1.0 / np.sqrt(own.diagonal() + np.asarray(reduced.loads.power(2).sum(axis=1)))
    scaled = (diags_array(scale) @ matrix @ diags_array(scale)).tocsc()
    right = np.concatenate([reduced.residual, np.zeros(keys)]) * scale
    # The matrix is symmetric and, but for rounding, quasi-definite: pivots need not leave the diagonal.
    factor = splu(scaled, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    found = factor.solve(right)
    found += factor.solve(right - scaled @ found)  # one step of refinement
    return np.asarray((found * scale)[:size])


# --- bounds -------------------------------------------------------------------------------------------------------------


def bounded(network: Network) -> Bounded:
    """The estimate with every flow at least zero, by holding the most negative one at zero until none is left.

    The sum that a report is about is no flow by itself, but it is held as well: its members may not be told apart. What could be
    let go again to advantage is let go (active set method); a set is never tried twice. Where very many are negative they are
    held together first. What exact figures force below zero stays there and is named.
    """
    plain = solve(network)
    terms = {name: {name: 1.0} for name in network.flows}
    terms |= {row.id: dict(row.terms) for row in network.reports if _is_sum(row)}
    solution, tried = plain, {frozenset[str]()}
    held: list[str] = []
    forced: list[str] = []
    while True:
        negative = _negative(solution, {*held, *forced})
        attempt = held + negative[: 1 if len(negative) <= TOGETHER else None]
        if not negative:
            strains = solution.pull[len(solution.pull) - len(held) :] if held else np.zeros(0)
            if not held or strains.min() >= -NEGLIGIBLE * max(1.0, float(np.abs(solution.pull).max())):
                break
            attempt = [name for index, name in enumerate(held) if index != int(strains.argmin())]
        if frozenset(attempt) in tried:
            break
        tried.add(frozenset(attempt))
        pins = tuple(Balance(f"at zero: {name}", terms[name]) for name in attempt)
        candidate = solve(replace(network, balances=network.balances + pins))
        if len(attempt) == len(held) + 1 and len(candidate.contradictions) > len(solution.contradictions):
            forced.append(attempt[-1])
            continue
        held, solution = attempt, candidate
    order = list(terms).index
    return Bounded(plain, solution, tuple(sorted(held, key=order)), tuple(sorted(forced, key=order)))


def _is_sum(row: Report) -> bool:
    return len(row.terms) > 1 and all(factor > 0 for factor in row.terms.values())


def _negative(solution: Solution, settled: set[str]) -> list[str]:
    """Flows and reported sums whose estimate is below zero, the most negative first, but for those settled."""
    least = -NEGLIGIBLE * max(1.0, float(np.abs(solution._reduced.known).max(initial=0.0)))
    network = solution.network
    values = dict(zip(network.flows, solution.estimates.tolist(), strict=True))
    sums = zip(network.reports, solution.adjusted.tolist(), strict=True)
    values |= {row.id: value for row, value in sums if _is_sum(row)}
    rows = [(value, name) for name, value in values.items() if value < least and name not in settled]
    return [name for _, name in sorted(rows, key=lambda row: row[0])]


def with_violated(network: Network, bounds: Sequence[Report]) -> tuple[Network, tuple[str, ...]]:
    """The network with those one-sided claims that its estimate violates, as reports at the bound; and their names.

    A claim that holds says nothing and stays out. ``bounds`` have an amount with ``bound`` lower or upper.
    """
    taken: list[str] = []
    while True:
        solution = solve(network)
        value = dict(zip(network.flows, solution.estimates.tolist(), strict=True))
        broken = [row for row in bounds if row.id not in taken and _is_violated(row, value)]
        if not broken:
            return network, tuple(taken)
        taken += [row.id for row in broken]
        entering = tuple(replace(row, amount=replace(row.amount, bound="")) for row in broken)
        network = replace(network, reports=network.reports + entering)


def _is_violated(row: Report, value: Mapping[str, float]) -> bool:
    total = math.fsum(
        factor * value[flow] for flow, factor in row.terms.items()
    )  # nan where a flow is not told
    return total < row.amount.mu if row.amount.bound == "lower" else total > row.amount.mu


# --- where a record would tell most ------------------------------------------------------------------------------------


def worth_verifying(
    solution: Solution, reports: Sequence[str] | None = None, flows: Sequence[str] | None = None
) -> dict[str, float]:
    """By how much the variances of ``flows`` (all that can be told), added up, would fall if a report were verified exactly.

    For the report's figure ``i`` and covariance ``C`` of the estimate: sum over flows t of ``C_ti^2 / C_ii`` (an update of rank
    one: the network need not be solved again). ``reports``: those to be looked at; all with an error if not given.
    """
    network = solution.network
    numbers = {row.id: index for index, row in enumerate(network.reports)}
    chosen = [
        row.id
        for row in network.reports
        if (reports is None or row.id in set(reports)) and row.amount.variance > 0
    ]
    wanted = None if flows is None else set(flows)
    targets = [
        index
        for index, name in enumerate(network.flows)
        if solution.observable[index] and (wanted is None or name in wanted)
    ]
    falls = solution.verified([numbers[name] for name in chosen], targets)
    return dict(zip(chosen, falls.tolist(), strict=True))


def by_name(names: Iterable[Any], values: Iterable[float]) -> dict[str, float | None]:
    """Values by the ``id`` of the rows (or the names themselves); None for nan."""
    return {
        str(getattr(name, "id", name)): None if math.isnan(value) else float(value)
        for name, value in zip(names, values, strict=True)
    }
