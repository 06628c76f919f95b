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

from dataclasses import dataclass

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
    """One chip as one datasheet describes it; None wherever the sheet is silent.

    ``die_area_mm2`` is the applicable die area: all logic dies on a non-planar process in the package,
    caches included, memory stacks excluded. ``memory_bandwidth_gbs``: between the IC and all its DRAM.
    ``io_bandwidth_gbs``: aggregate, both directions, memory excluded. ``form``: ``ic``, ``card``,
    ``board``, ``system`` or empty when not known; ``ics_per_item`` packaged ICs in one such item.
    ``vendor`` is the vendor's slug, ``vendor_hq`` the ISO 3166 code of the country of its headquarters.
    The last three fields matter only to stacks of high-bandwidth memory sold as such.
    """

    slug: str = ""
    int4_tops: float | None = None
    int8_tops: float | None = None
    fp4_tflops: float | None = None
    fp8_tflops: float | None = None
    fp16_tflops: float | None = None
    bf16_tflops: float | None = None
    tf32_tflops: float | None = None
    fp32_tflops: float | None = None
    fp64_tflops: float | None = None
    tpp_published: float | None = None
    die_area_mm2: float | None = None
    dies: int | None = None
    memory_bandwidth_gbs: float | None = None
    io_bandwidth_gbs: float | None = None
    tdp_w: float | None = None
    marketed_for_datacenters: bool | None = None
    form: str = ""
    ics_per_item: int = 1
    vendor: str = ""
    vendor_hq: str = ""
    is_hbm_stack: bool = False
    package_area_mm2: float | None = None
    copackaged_with_dominant_logic: bool | None = None


@dataclass(frozen=True, slots=True)
class TppFigure:
    """Total processing performance of one IC, with where it comes from.

    ``low`` and ``high`` are equal when the figure is known; ``high`` is None when only a lower limit is
    (no rate of 16 bits or less on the sheet). ``basis``: ``rates`` (computed) or ``published`` (the sheet
    gives no rate, only the product). ``published`` keeps the printed figure in every case.
    """

    low: float
    high: float | None
    basis: str
    number_format: str = ""
    rate_tops: float | None = None
    bits: int | None = None
    published: float | None = None

    @property
    def is_known(self) -> bool:
        return self.high is not None

    @property
    def published_differs_by(self) -> float | None:
        """(published - computed) / computed, where both are known and not the same to one part in a
        thousand."""
        if self.published is None or self.basis != "rates" or not self.is_known:
            return None
        difference = (self.published - self.low) / self.low
        return difference if abs(difference) > 0.001 else None

    @property
    def derivation(self) -> str:
        """How the figure came about, in one line."""
        if self.basis == "published":
            return f"TPP {self.low:,.1f} as published; no rate on the sheet to compute it from"
        limit = "" if self.is_known else " at least (no rate of 16 bits or less on the sheet)"
        return f"TPP {self.low:,.1f}{limit} = {self.rate_tops:,.1f} dense {self.number_format} TOPS x {self.bits} bits"


def tpp(spec: ChipSpec) -> TppFigure | None:
    """The highest product of dense rate (T(FL)OPS) and bit length of the multiply inputs; None when nothing
    is known.

    Source: 15 CFR 774 Supp. 1, ECCN 3A090, technical notes: TPP = 2 x MacTOPS x bit length, a
    multiply-accumulate being two operations, so TPP = TOPS x bit length; the highest over all bit lengths
    counts. Rates win over a printed TPP; a printed one is used where no rate of 16 bits or less is on the
    sheet.
    """
    rates = [
        (rate * bits, field, rate, bits)
        for field, bits in BITS_OF_MULTIPLY_INPUTS.items()
        if (rate := getattr(spec, field)) is not None
    ]
    complete = any(field in MATRIX_FORMATS for _, field, _, _ in rates)
    if not complete and spec.tpp_published is not None:
        return TppFigure(spec.tpp_published, spec.tpp_published, "published", published=spec.tpp_published)
    if not rates:
        return None
    # max() keeps the first of equals, so a tie is always told by the format that stands first in the table
    product, field, rate, bits = max(rates, key=lambda row: row[0])
    return TppFigure(
        low=product,
        high=product if complete else None,
        basis="rates",
        number_format=field.split("_")[0],
        rate_tops=rate,
        bits=bits,
        published=spec.tpp_published,
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
