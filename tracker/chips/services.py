"""From specification rows to the figures that follow from them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tracker.chips.models import ChipSpecification
from tracker.chips.specs import (
    BITS_OF_MULTIPLY_INPUTS,
    ChipSpec,
    TppFigure,
    h100_equivalents,
    performance_density,
    tpp,
)

_STORED_RATES = tuple(
    name
    for name in BITS_OF_MULTIPLY_INPUTS
    if name in {field.name for field in ChipSpecification._meta.concrete_fields}
)


def _number(value: Decimal | None, share: int = 1) -> float | None:
    return None if value is None else float(value) / share


def chip_spec(specification: ChipSpecification) -> ChipSpec:
    """The pure form of a row, for one packaged IC.

    A row states rates, published TPP, bandwidths and power of one item as sold; an item of several ICs is divided by their
    number. The die area is that of one package already. Reads ``specification.chip`` and its vendor: select them with the row.
    """
    chip = specification.chip
    ics = chip.ics_per_item
    rates: dict[str, Any] = {name: _number(getattr(specification, name), ics) for name in _STORED_RATES}
    return ChipSpec(
        slug=chip.slug,
        **rates,
        tpp_published=_number(specification.tpp_published, ics),
        die_area_mm2=_number(specification.die_area_mm2),
        dies=specification.dies,
        memory_bandwidth_gbs=_number(specification.memory_bandwidth_gbs, ics),
        io_bandwidth_gbs=_number(specification.io_bandwidth_gbs, ics),
        tdp_w=_number(specification.tdp_w, ics),
        marketed_for_datacenters=chip.marketed_for_datacenters,
        form=chip.form,
        ics_per_item=ics,
        vendor=chip.vendor.slug,
        vendor_hq=chip.vendor.country,
    )


def derived(specification: ChipSpecification) -> dict[str, Any]:
    """What follows from one specification row; nothing of it is ever stored.

    Keys: ``tpp`` (of one packaged IC: low, high, unit, basis, derivation and the published figure beside it),
    ``performance_density`` (TPP per mm² of applicable die area of one IC), ``h100_equivalents`` (of one item as sold) and
    ``missing`` (names of blank fields without which a figure is absent or only a lower limit). A figure is None where the row
    says too little; ``high`` is None where only a lower limit is known.

    Source of the formulas: 15 CFR 774 Supp. 1, ECCN 3A090, technical notes; see tracker.chips.specs.
    """
    spec = chip_spec(specification)
    figure = tpp(spec)
    missing = []
    if figure is None or not figure.is_known:
        missing.append("a dense rate of 16 bits or less")
    if not spec.die_area_mm2:
        missing.append("die_area_mm2")
    return {
        "tpp": figure and _tpp_as_dict(figure),
        "performance_density": figure and _density_as_dict(figure, spec.die_area_mm2),
        "h100_equivalents": figure and _equivalents_as_dict(figure, spec.ics_per_item),
        "missing": missing,
    }


def _tpp_as_dict(figure: TppFigure) -> dict[str, Any]:
    return {
        "low": figure.low,
        "high": figure.high,
        "unit": "TPP (dense TOPS x bit length) of one packaged IC",
        "basis": figure.basis,
        "number_format": figure.number_format,
        "rate_tops": figure.rate_tops,
        "bits": figure.bits,
        "published": figure.published,
        "published_differs_by": figure.published_differs_by,
        "derivation": figure.derivation,
    }


def _density_as_dict(figure: TppFigure, area_mm2: float | None) -> dict[str, Any] | None:
    if not area_mm2:  # a blank or a zero area is not known; dividing by it would make up a density
        return None
    return {
        "low": performance_density(figure.low, area_mm2),
        "high": None if figure.high is None else performance_density(figure.high, area_mm2),
        "unit": "TPP per mm² of applicable die area",
        "die_area_mm2": area_mm2,
        "derivation": f"{figure.low:,.1f} TPP / {area_mm2:,.2f} mm²",
    }


def _equivalents_as_dict(figure: TppFigure, ics: int) -> dict[str, Any]:
    return {
        "low": h100_equivalents(figure.low, ics),
        "high": None if figure.high is None else h100_equivalents(figure.high, ics),
        "unit": "H100-equivalents of one item as sold",
        "ics_per_item": ics,
        "derivation": f"{ics} x {figure.low:,.1f} / 15,832",
    }
