"""What a datasheet says of one chip, and the figures that follow from it.

All rates are dense (no sparsity), theoretical peaks of **one packaged integrated circuit**; a board of eight
counts eight times. Derived figures (TPP, performance density, H100-equivalents) are always computed, never
typed in; a TPP that a vendor or a database prints is kept beside the computed one.

>>> spec = ChipSpec(slug="h100", fp8_tflops=1979.0, die_area_mm2=814.0)
>>> figure = tpp(spec)
>>> figure.low, figure.number_format, figure.bits
(15832.0, 'fp8', 8)
>>> round(performance_density(figure.low, spec.die_area_mm2), 2)
19.45
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracker.core.interval import Interval, Number, interval, plain

H100_TPP = 15_832.0
"""TPP of the NVIDIA H100 SXM5: 1,979 dense FP8 teraflops x 8 bits."""

BITS_OF_MULTIPLY_INPUTS: dict[str, int] = {
    "fp4_tflops": 4,
    "int4_tops": 4,
    "fp8_tflops": 8,
    "int8_tops": 8,
    "bf16_tflops": 16,
    "fp16_tflops": 16,
    "tf32_tflops": 19,
    "fp32_tflops": 32,
    "fp64_tflops": 64,
}
"""Bit length per number format, after 15 CFR 774 Supp. 1, ECCN 3A090 Technical Note 2: the largest bit
length of the *inputs to the multiplication*, not of the accumulator. TF32 is stored in 32 bits, but 19 of
them (sign, 8 exponent, 10 mantissa) enter the multiplier, so it counts 19. The public TPP tables read it
so (3,610 = 190 x 19 for AWS Trainium); 32 bits would make it 6,080."""

MATRIX_FORMATS = frozenset(
    {"fp4_tflops", "int4_tops", "fp8_tflops", "int8_tops", "bf16_tflops", "fp16_tflops"}
)
"""Formats of at most 16 bits. They carry the highest TPP of every accelerator known to us, so a sheet that
gives none of them (only FP32, say) tells a lower limit of TPP and no more."""


@dataclass(frozen=True, slots=True)
class ChipSpec:
    """One chip as one datasheet describes it; None wherever the sheet is silent, a range where it gives one.

    ``die_area_mm2`` is the applicable die area: all logic dies on a non-planar process in the package,
    caches included, memory stacks excluded. ``memory_bandwidth_gbs``: between the IC and all its DRAM.
    ``io_bandwidth_gbs``: aggregate, both directions, memory excluded. ``form``: ``ic``, ``card``,
    ``board``, ``system``, the number of another carrier (``5A992``) or empty when not known; ``ics_per_item``
    packaged ICs in one such item. ``vendor`` is the vendor's slug, ``vendor_hq`` the ISO 3166 code of the
    country of its headquarters. ``printed_first``: take the printed TPP where rates are on the sheet as well.
    The last three fields matter only to stacks of high-bandwidth memory sold as such.
    """

    slug: str = ""
    int4_tops: Number | None = None
    int8_tops: Number | None = None
    fp4_tflops: Number | None = None
    fp8_tflops: Number | None = None
    fp16_tflops: Number | None = None
    bf16_tflops: Number | None = None
    tf32_tflops: Number | None = None
    fp32_tflops: Number | None = None
    fp64_tflops: Number | None = None
    tpp_published: Number | None = None
    die_area_mm2: Number | None = None
    dies: int | None = None
    memory_bandwidth_gbs: Number | None = None
    io_bandwidth_gbs: Number | None = None
    tdp_w: float | None = None
    process_node_nm: float | None = None
    transistors_bn: float | None = None
    marketed_for_datacenters: bool | None = None
    form: str = ""
    ics_per_item: int = 1
    vendor: str = ""
    vendor_hq: str = ""
    printed_first: bool = False
    is_hbm_stack: bool = False
    package_area_mm2: Number | None = None
    copackaged_with_dominant_logic: bool | None = None


@dataclass(frozen=True, slots=True)
class TppFigure:
    """Total processing performance of one IC, with where it comes from.

    ``low`` and ``high`` are equal when the figure is known and bracket it where the sheet gives a range;
    ``high`` is None when only a lower limit is known (no rate of 16 bits or less on the sheet). ``basis``:
    ``rates`` (computed) or ``published`` (as printed). ``published`` and ``computed`` keep both figures where
    the sheet gives both, whichever is taken.
    """

    low: float
    high: float | None
    basis: str
    number_format: str = ""
    rate_tops: Number | None = None
    bits: int | None = None
    published: Number | None = None
    computed: Number | None = None

    @property
    def is_known(self) -> bool:
        """One number is known, not only a limit or a range."""
        return self.high == self.low

    @property
    def interval(self) -> Interval:
        return Interval(self.low, math.inf if self.high is None else self.high)

    @property
    def published_differs_by(self) -> float | None:
        """(published - computed) / computed, where both are plain numbers and differ by more than one part in
        a thousand."""
        published, computed = self.published, self.computed
        if (
            isinstance(published, Interval)
            or isinstance(computed, Interval)
            or not computed
            or published is None
        ):
            return None
        difference = (published - computed) / computed
        return difference if abs(difference) > 0.001 else None

    @property
    def derivation(self) -> str:
        """How the figure came about, in one line."""
        shown = f"TPP {self._shown()}"
        if self.basis == "published":
            beside = "; no rate on the sheet to compute it from" if self.computed is None else ""
            return f"{shown} as published{beside}"
        limit = "" if self.high is not None else " at least (no rate of 16 bits or less on the sheet)"
        rate = f"{self.rate_tops:,.1f}" if isinstance(self.rate_tops, float | int) else str(self.rate_tops)
        return f"{shown}{limit} = {rate} dense {self.number_format} TOPS x {self.bits} bits"

    def _shown(self) -> str:
        if self.high is None or self.high == self.low:
            return f"{self.low:,.1f}"
        return f"{self.low:,.1f} to {self.high:,.1f}"


def tpp(spec: ChipSpec) -> TppFigure | None:
    """The highest product of dense rate (T(FL)OPS) and bit length of the multiply inputs; None when nothing
    is known.

    Source: 15 CFR 774 Supp. 1, ECCN 3A090, technical notes: TPP = 2 x MacTOPS x bit length, a
    multiply-accumulate being two operations, so TPP = TOPS x bit length; the highest over all bit lengths
    counts. Rates win over a printed TPP unless ``printed_first``; a printed one is used as well where no
    rate of 16 bits or less is on the sheet. Of ranges, the highest ends at both sides count.
    """
    rates = [
        (interval(rate).times(bits), field, rate, bits)
        for field, bits in BITS_OF_MULTIPLY_INPUTS.items()
        if (rate := getattr(spec, field)) is not None
    ]
    complete = any(field in MATRIX_FORMATS for _, field, _, _ in rates)
    computed = None
    if rates:
        top = max(product.high for product, _, _, _ in rates) if complete else math.inf
        computed = plain(Interval(max(product.low for product, _, _, _ in rates), top))
    published = spec.tpp_published
    if published is not None and (spec.printed_first or not complete):
        printed = interval(published)
        # a lower limit from single precision alone stands beside no printed figure as its equal
        beside = computed if complete else None
        return TppFigure(printed.low, printed.high, "published", published=published, computed=beside)
    if computed is None:
        return None
    # max() keeps the first of equals, so a tie is always told by the format that stands first in the table
    _, field, rate, bits = max(rates, key=lambda row: (row[0].high, row[0].low))
    span = interval(computed)
    return TppFigure(
        low=span.low,
        high=span.high if complete else None,
        basis="rates",
        number_format=field.split("_")[0],
        rate_tops=rate,
        bits=bits,
        published=published,
        computed=computed if complete else None,
    )


def performance_density(tpp_per_ic: float, applicable_die_area_mm2: float) -> float:
    """TPP per square millimetre of applicable die area (15 CFR 774 Supp. 1, ECCN 3A090, technical notes).

    Raises ValueError for an area that is not positive: such an area means "not known" and must not reach
    this point.
    """
    if applicable_die_area_mm2 <= 0:
        raise ValueError(f"a die area must be positive, not {applicable_die_area_mm2}")
    return tpp_per_ic / applicable_die_area_mm2


def h100_equivalents(tpp_per_ic: float, ics: float = 1) -> float:
    """Chips of this TPP counted in H100s: ``ics`` x TPP / 15,832."""
    return ics * tpp_per_ic / H100_TPP
