"""Which report is wrong, or where a flow is not recorded: tests on a network's estimate, and the search for what explains it.

The global test holds gamma of the original reports against chi-square; the measurement test holds each report's adjustment
against its standard error; the likelihood ratio ranks reports and places by how much gamma falls without them. Two hypotheses
that differ by less than ten in likelihood are told together: the search never picks one of them.

Sources: S. Narasimhan, R. S. H. Mah, Generalized likelihood ratio method for gross error identification, AIChE Journal 33, 1987;
S. Narasimhan, C. Jordache, Data Reconciliation and Gross Error Detection, 2000; docs/method.md, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2

from tracker.reconciliation.adjustment import NEGLIGIBLE, Numbers, Solution
from tracker.reconciliation.network import Network, without

EQUALLY_LIKELY = 2 * math.log(10)
"""Two hypotheses whose statistics lie closer than this differ by less than ten in likelihood."""
ROUNDS = 10
"""How many reports or balances are left out one after the other before the search gives up."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A report that may be wrong (``kind`` report; ``size`` = report less what all others say) or a place with a flow that is not
    recorded (``kind`` node; ``size`` = flow in, negative for out). ``statistic``: by how much gamma falls without it."""

    kind: str
    id: str
    statistic: float
    size: float

    @property
    def who(self) -> str:
        return f"node:{self.id}" if self.kind == "node" else self.id


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One round of the search. Decided: the one alternative is most likely wrong; else none of them is ten times likelier."""

    decided: bool
    alternatives: tuple[Suspect, ...]

    @property
    def statistic(self) -> float:
        return self.alternatives[0].statistic


@dataclass(frozen=True, slots=True)
class Search:
    """What the search found, and the global test of what it left in. ``network``: without what was left out."""

    suspicions: tuple[Suspicion, ...]
    gamma: float
    dof: int
    network: Network


def critical_gamma(dof: int, alpha: float) -> float | None:
    """Value that gamma exceeds by chance with probability ``alpha``; None where there is nothing to check against."""
    return float(chi2.ppf(1.0 - alpha, dof)) if dof else None


def chance_of(gamma: float, dof: int) -> float | None:
    """Probability of a global statistic this large if every report is right within its stated error; None without a check."""
    return float(chi2.sf(gamma, dof)) if dof else None


def critical_z(reports: int, alpha: float) -> float | None:
    """|z| that none of so many right reports exceeds with probability 1 - ``alpha`` (Sidak 1967)."""
    return float(ndtri(1.0 - (1.0 - (1.0 - alpha) ** (1.0 / reports)) / 2.0)) if reports else None


def suspects(solution: Solution) -> list[Suspect]:
    """Every report and balance with its likelihood ratio, most suspicious first; those that nothing checks are not named."""
    return _Hunt(solution).ranked()


class _Hunt:
    """Likelihood ratios, brought up to date as one hypothesis after the other is left out (updates of rank one)."""

    def __init__(self, solution: Solution) -> None:
        self.solution, network = solution, solution.network
        self.names = [("report", row.id) for row in network.reports] + [
            ("node", row.id) for row in network.balances
        ]
        allowed = [row.is_suspect for row in network.reports] + [True] * len(network.balances)
        self.pull, self.strain = solution.pull.copy(), solution.strains.copy()
        self.least = NEGLIGIBLE * self.strain
        self.open = np.array(allowed, dtype=bool) & (self.strain > 0)
        self.taken: list[tuple[Numbers, Numbers, float]] = []
        self.gamma, self.dof = solution.gamma, solution.dof

    def ranked(self) -> list[Suspect]:
        rows = np.flatnonzero(self.open & (self.strain > self.least)).tolist()
        found = [
            Suspect(
                *self.names[i],
                float(self.pull[i] ** 2 / self.strain[i]),
                float(self.pull[i] / self.strain[i]),
            )
            for i in rows
        ]
        # Statistics that are equal but for rounding are ordered by name, reports before nodes.
        return sorted(found, key=lambda row: (-float(f"{row.statistic:.9g}"), row.kind != "report", row.id))

    def leave_out(self, suspect: Suspect) -> None:
        index = self.names.index((suspect.kind, suspect.id))
        column = self.solution.column(index)
        for earlier, felt, strain in self.taken:
            column = column - earlier * (felt[index] / strain)
        felt, strain = self.solution.felt(column), float(self.strain[index])
        self.gamma -= float(self.pull[index]) ** 2 / strain
        self.dof -= 1
        self.pull = self.pull - felt * (self.pull[index] / strain)
        self.strain = self.strain - felt**2 / strain
        self.open[index] = False
        self.taken.append((column, felt, strain))


def search(solution: Solution, alpha: float) -> Search:
    """Which report is most likely wrong, or which place has a flow that is not recorded, one after the other while gamma is
    significant; ends where several explanations are about equally likely."""
    hunt = _Hunt(solution)
    found: list[Suspicion] = []
    while hunt.dof and len(found) < ROUNDS and hunt.gamma > (critical_gamma(hunt.dof, alpha) or 0.0):
        ranked = hunt.ranked()
        if not ranked:
            break
        near = tuple(row for row in ranked if ranked[0].statistic - row.statistic < EQUALLY_LIKELY)
        decided = len(near) == 1
        if decided and hunt.dof < 2:
            break
        found.append(Suspicion(decided, near))
        if not decided:
            break
        hunt.leave_out(near[0])
    gone = [row.alternatives[0] for row in found if row.decided]
    left = without(
        solution.network,
        [row.id for row in gone if row.kind == "report"],
        [row.id for row in gone if row.kind == "node"],
    )
    return Search(tuple(found), hunt.gamma, hunt.dof, left)
