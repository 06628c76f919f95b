"""From specification rows to the figures that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tracker.chips.models import Chip, ChipSpecification
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
_PER_ITEM = (
    *_STORED_RATES,
    "tpp_published",
    "memory_bandwidth_gbs",
    "io_bandwidth_gbs",
    "tdp_w",
    "transistors_bn",
)
"""Figures that a row states of one item as sold; an item of several ICs is divided by their number."""
SPEC_FIELDS = (*_PER_ITEM, "die_area_mm2", "dies")
CHIP_FIELDS = (
    "slug",
    "marketed_for_datacenters",
    "form",
    "ics_per_item",
    "process_node_nm",
    "vendor__slug",
    "vendor__country",
)
"""Columns of a specification and of its chip that :func:`spec_of` reads."""


def _number(value: Decimal | None, share: int = 1) -> float | None:
    return None if value is None else float(value) / share


def spec_of(chip: Mapping[str, Any], row: Mapping[str, Any]) -> ChipSpec:
    """The pure form of one specification row of one chip, for one packaged IC.

    ``chip`` holds :data:`CHIP_FIELDS`, ``row`` :data:`SPEC_FIELDS` (absent columns are not known). The die area is that of
    one package already.
    """
    ics, is_stack = chip["ics_per_item"], chip["form"] == Chip.Form.STACK
    figures: dict[str, Any] = {name: _number(row.get(name), ics) for name in _PER_ITEM}
    area = _number(row.get("die_area_mm2"))
    return ChipSpec(
        slug=chip["slug"],
        **figures,
        die_area_mm2=None if is_stack else area,
        is_hbm_stack=is_stack,
        package_area_mm2=area if is_stack else None,
        copackaged_with_dominant_logic=False if is_stack else None,
        dies=row.get("dies"),
        process_node_nm=_number(chip["process_node_nm"]),
        marketed_for_datacenters=chip["marketed_for_datacenters"],
        form=chip["form"],
        ics_per_item=ics,
        vendor=chip["vendor__slug"],
        vendor_hq=chip["vendor__country"],
    )


def chip_spec(specification: ChipSpecification) -> ChipSpec:
    """The pure form of a row. Reads ``specification.chip`` and its vendor: select them with the row."""
    chip = specification.chip
    values = {"vendor__slug": chip.vendor.slug, "vendor__country": chip.vendor.country}
    values |= {name: getattr(chip, name) for name in CHIP_FIELDS if "__" not in name}
    return spec_of(values, {name: getattr(specification, name) for name in SPEC_FIELDS})


def specs_known_at(at: datetime | None = None, **which: Any) -> dict[int, dict[str, ChipSpec]]:
    """What each source says of each chip: chip id -> source slug -> specification, the preferred one first.

    ``at``: as known at an instant; None: as it stands. ``which`` narrows the chips, e.g. ``slug="h20-96gb"``. A chip that no
    source specifies has one specification under an empty name, which says only what the chip itself does. Two queries.
    """
    chips = {row["id"]: row for row in Chip.objects.known_at(at).filter(**which).values("id", *CHIP_FIELDS)}
    found: dict[int, dict[str, ChipSpec]] = {pk: {} for pk in sorted(chips)}
    rows = ChipSpecification.objects.known_at(at).order_by("chip_id", "rank", "id")
    if which:
        rows = rows.filter(chip_id__in=list(chips))
    for row in rows.values("chip_id", "source__slug", *SPEC_FIELDS):
        if row["chip_id"] in chips:
            found[row["chip_id"]][row["source__slug"]] = spec_of(chips[row["chip_id"]], row)
    return {pk: specs or {"": spec_of(chips[pk], {})} for pk, specs in found.items()}


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
    area = _number(specification.die_area_mm2)
    missing = []
    if figure is None or not figure.is_known:
        missing.append("a dense rate of 16 bits or less")
    if not area:
        missing.append("die_area_mm2")
    return {
        "tpp": figure and _tpp_as_dict(figure),
        "performance_density": figure and _density_as_dict(figure, area),
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
