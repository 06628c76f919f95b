"""Mirror statistics: one flow of trade as its exporter and as its importer report it.

Values: an importer's figure holds freight and insurance (CIF), which a factor takes off; quantities need none. Figures are
compared on the scale of logarithms, where an error of 10 % is one of 10 % at any size. docs/method.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracker.core.errors import BadInput
from tracker.core.quantity import Quantity
from tracker.reconciliation import significance

LAGS = (0, 1, 2, 3)
"""Months that goods may be under way between the two reports."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Both sides of one flow, in the exporter's terms. ``gap``: exporter less importer.

    ``asymmetry``: gap over the sum of both, -1 to 1. ``balanced``: best value of the flow, weighting both sides by the inverse of
    their relative variances; ``weight_exporter``: the exporter's part in it.
    """

    exporter: float
    importer_fob: float
    gap: float
    asymmetry: float
    sigma: float  # of ln(exporter / importer)
    z: float
    p: float
    balanced: float
    weight_exporter: float

    @property
    def mdg(self) -> float:
        """Smallest gap that the test sees as often as stated, whichever side reports more: 3.29 standard errors of the logarithm
        beyond the best value. Where the other side reports less by so much, it is seen more often."""
        return self.balanced * math.expm1(significance.MDG_FACTOR * self.sigma)


def mirror(exporter: Quantity, importer: Quantity, cif_fob: float = 0.0) -> Mirror:
    """Hold the two against each other; ``cif_fob``: what is taken off the importer's side, 0 for quantities.

    Raises:
        BadInput: a figure that is not above 0 (its logarithm does not exist), a bound, or a factor outside [0, 1).
    """
    if not 0 <= cif_fob < 1:
        raise BadInput(f"freight and insurance of {cif_fob:g} of the value: expected a share such as 0.06")
    for side, amount in (("exporter", exporter), ("importer", importer)):
        if amount.mu <= 0 or amount.bound:
            raise BadInput(f"the {side}'s figure {amount.mu:g} has no logarithm, or is a bound")
    x, m = exporter.mu, importer.mu / (1 + cif_fob)
    variances = (exporter.s / exporter.mu) ** 2, (importer.s / importer.mu) ** 2
    sigma = math.sqrt(sum(variances))
    z = significance.z_score(math.log(x / m), sigma)
    weight = variances[1] / sum(variances) if sigma else 0.5
    return Mirror(
        exporter=x, importer_fob=m, gap=x - m, asymmetry=(x - m) / (x + m), sigma=sigma, z=z,
        p=significance.two_sided_p(z), weight_exporter=weight,
        balanced=math.exp(weight * math.log(x) + (1 - weight) * math.log(m)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lagged:
    """Importer at t + ``lag`` against exporter at t, over the periods that both have.

    ``sse``: sum of squared differences; ``gap``: sum of exporter less sum of importer.
    """

    lag: int
    periods: int
    sse: float
    gap: float

    @property
    def per_period(self) -> float:
        return self.sse / self.periods


def overlap(
    exporter: Sequence[float | None], importer: Sequence[float | None], lag: int
) -> list[tuple[int, float, float]]:
    """(t, exporter at t, importer at t + lag) for the periods that both have; None is a period without a report."""
    return [
        (t, x, m)
        for t, x in enumerate(exporter)
        if 0 <= t + lag < len(importer) and x is not None and (m := importer[t + lag]) is not None
    ]


def lagged(exporter: Sequence[float | None], importer: Sequence[float | None], lag: int) -> Lagged | None:
    """One lag of two series that start in the same period; None where they do not overlap. A negative lag: the importer first."""
    pairs = overlap(exporter, importer, lag)
    if not pairs:
        return None
    differences = [x - m for _, x, m in pairs]
    return Lagged(lag, len(pairs), math.fsum(one**2 for one in differences), math.fsum(differences))


def best_lag(found: Iterable[Lagged]) -> Lagged:
    """The lag with the smallest squared difference per period; of equal ones the smallest.

    Raises:
        BadInput: no lag at which the series overlap.
    """
    ranked = sorted(found, key=lambda one: (one.per_period, abs(one.lag), one.lag))
    if not ranked:
        raise BadInput("the two series do not overlap at any of these lags")
    return ranked[0]
