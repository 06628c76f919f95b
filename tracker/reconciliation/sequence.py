"""Balances of successive periods held against one another: MUF, its propagated error, and the tests of a whole sequence.

``MUF = OPEN + R + P - D - X - CLOSE`` (book less what was counted; the name is nuclear material accountancy's). All records of
one area and scope are one vector y with covariance C; every period is a row of signs B, so that ``muf = B y`` and
``Sigma = B C B'``. A count that closes one period and opens the next is one element of y: its error enters both periods with
opposite signs and cancels in their sum. docs/method.md, section 3.

MUF > 0: the book holds more than was counted. MUF < 0: more was counted than the book explains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation import significance

SIGNS = {"open": 1, "receipt": 1, "production": 1, "dispatch": -1, "exit": -1, "close": -1}
"""What a record does to a balance, by its role."""
PAGE_H = 5.0
"""Limit of Page's test with k = 0.5: one side alone raises a false alarm once in about 931 periods, both once in about 465."""
LEAST_PIVOT = 1e-12
"""Part of a period's variance that its neighbours must leave over for the periods to be told apart."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in the balance of one period. ``record`` names it: the same name is the same record in another period."""

    record: str
    role: str


@dataclass(frozen=True, slots=True)
class Balances:
    """Per period, in chips: the book, MUF and its standard deviation; then the same for the sum of the first t periods.

    ``sigma_matrix``: Sigma, covariance of the periods. ``signs``: B, periods by records in the order of ``records``.
    """

    book: tuple[float, ...]
    muf: tuple[float, ...]
    sigma: tuple[float, ...]
    cumuf: tuple[float, ...]
    sigma_cumuf: tuple[float, ...]
    sigma_matrix: Matrix
    signs: Matrix
    records: tuple[str, ...]

    @property
    def z(self) -> tuple[float, ...]:
        return tuple(map(significance.z_score, self.muf, self.sigma))

    @property
    def z_cumuf(self) -> tuple[float, ...]:
        return tuple(map(significance.z_score, self.cumuf, self.sigma_cumuf))

    @property
    def mdg(self) -> tuple[float, ...]:
        """Smallest MUF of each period that its test could have seen (alpha = beta = 5 %)."""
        return tuple(significance.MDG_FACTOR * sigma for sigma in self.sigma)


def covariance_matrix(quantities: Sequence[Quantity]) -> Matrix:
    """C: own variances on the diagonal, products of the systematic parts of records that share a bias key beside it."""
    systematic = np.array([one.ss for one in quantities], dtype=np.float64)
    keys = [one.key for one in quantities]
    alike = np.array([[bool(a) and a == b for b in keys] for a in keys], dtype=np.float64)
    found: Matrix = np.outer(systematic, systematic) * alike.reshape(len(keys), len(keys))
    np.fill_diagonal(found, [one.variance for one in quantities])
    return found


def balances(records: Mapping[str, Quantity], periods: Sequence[Sequence[Entry]]) -> Balances:
    """The balances of successive periods. A period without an opening record opens at exactly 0.

    Raises:
        BadInput: no period, a role that is none, a record that is not given, or a bound: it has no mean.
    """
    if not periods:
        raise BadInput("A sequence of balances needs a period.")
    names = tuple(sorted({entry.record for period in periods for entry in period}))
    _refuse(records, periods)
    column = {name: index for index, name in enumerate(names)}
    signs = np.zeros((len(periods), len(names)))
    for row, period in enumerate(periods):
        for entry in period:
            signs[row, column[entry.record]] += SIGNS[entry.role]
    sigma = signs @ covariance_matrix([records[name] for name in names]) @ signs.T
    book = [_sum(records, [one for one in period if one.role != "close"]) for period in periods]
    muf = [_sum(records, period) for period in periods]
    first = range(1, len(periods) + 1)
    return Balances(
        book=tuple(book), muf=tuple(muf), sigma=tuple(math.sqrt(max(0.0, value)) for value in np.diag(sigma)),
        cumuf=tuple(math.fsum(muf[:t]) for t in first),
        sigma_cumuf=tuple(math.sqrt(max(0.0, float(sigma[:t, :t].sum()))) for t in first),
        sigma_matrix=sigma, signs=signs, records=names,
    )  # fmt: skip


def _refuse(records: Mapping[str, Quantity], periods: Sequence[Sequence[Entry]]) -> None:
    for entry in (one for period in periods for one in period):
        if entry.role not in SIGNS:
            raise BadInput(f"the role {entry.role!r} is not one of {', '.join(SIGNS)}")
        if entry.record not in records:
            raise BadInput(f"the record {entry.record!r} is named by a period but not given")
        if records[entry.record].bound:
            raise BadInput(f"the record {entry.record!r} is a bound, which has no mean to balance")


def _sum(records: Mapping[str, Quantity], entries: Sequence[Entry]) -> float:
    return math.fsum(SIGNS[one.role] * records[one.record].mu for one in entries)


def sitmuf(found: Balances) -> tuple[float, ...]:
    """Standardized independent MUF: ``L^-1 muf`` with ``Sigma = L L'`` (Cholesky). Values of earlier periods never change
    when a period is added.

    Raises:
        BadInput: Sigma is not positive definite: a period is exact, or follows from the others. That is an error of
            the records' stated errors, and must not pass as a zero.
    """
    try:
        lower = np.linalg.cholesky(found.sigma_matrix)
    except np.linalg.LinAlgError:
        lower = np.zeros_like(found.sigma_matrix)
    if (np.diag(lower) ** 2 <= LEAST_PIVOT * np.diag(found.sigma_matrix)).any():
        raise BadInput(
            "Sigma is not positive definite: by the errors stated, one of these balances is exact or follows from the others"
        )
    values: list[float] = []  # forward substitution, so that row t reads rows before it only
    for row, muf in enumerate(found.muf):
        known = math.fsum(float(lower[row, column]) * value for column, value in enumerate(values))
        values.append((muf - known) / float(lower[row, row]))
    return tuple(values)


def page(
    values: Sequence[float], k: float, h: float, start: float = 0.0
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Page's test of a rise: ``S_t = max(0, S_(t-1) + y_t - k)`` from ``start`` on, and the indices (from 0) where S > h.

    On independent standard normal values with k = 0.5 one side raises a false alarm once in about 335 periods for h = 4 and 931
    for h = 5 (E. S. Page, Continuous inspection schemes, Biometrika 41, 1954).
    """
    sums: list[float] = []
    for value in values:
        sums.append(max(0.0, (sums[-1] if sums else start) + value - k))
    return tuple(sums), tuple(index for index, one in enumerate(sums) if exceeds(one, h))


@dataclass(frozen=True, slots=True)
class Cusum:
    """Tabular CUSUM in the units of the readings; ``alarm``: indices, from 0, where either side exceeds H."""

    upper: tuple[float, ...]
    lower: tuple[float, ...]
    alarm: tuple[int, ...]


def cusum(
    readings: Sequence[float], target: float, allowance: float, limit: float, start: float = 0.0
) -> Cusum:
    """``C+ = max(0, C+ + x - (target + K))`` and ``C- = max(0, C- + (target - K) - x)``, both from ``start`` (a head start of
    half the limit sees soonest what is wrong from the beginning).

    D. C. Montgomery, Introduction to Statistical Quality Control, chapter on cumulative sum charts.

    >>> cusum([10, 12, 13], target=10, allowance=1, limit=5).upper
    (0.0, 1.0, 3.0)
    """
    upper, rises = page([value - target for value in readings], allowance, limit, start)
    lower, falls = page([target - value for value in readings], allowance, limit, start)
    return Cusum(upper, lower, tuple(sorted({*rises, *falls})))


def exceeds(value: float, limit: float) -> bool:
    """Beyond the limit by more than adding decimals in binary may add: a sum that reaches it exactly does not exceed it."""
    return value > limit + 1e-9 * max(1.0, abs(limit))
