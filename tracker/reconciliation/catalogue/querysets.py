"""Chips and families as known at an instant, in the plain values of ``books``: small, read whole, and kept by each process."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any

from django.db.models import (
    QuerySet,
)

from tracker.chips.models import Chip, ChipFamily, ChipFamilyMember, ChipSpecification
from tracker.chips.services import CHIP_FIELDS, SPEC_FIELDS, spec_of
from tracker.chips.specs import ChipSpec, h100_equivalents, tpp
from tracker.reconciliation import scopes
from tracker.reconciliation.books import (
    ChipRow,
    RecordRef,
    Scope,
    SourceRow,
)
from tracker.reconciliation.inventories import scope_number
from tracker.sources.models import Source


@dataclass
class Catalogue:
    """Chips with their preferred specifications, and what lines and claims may count."""

    at: datetime

    def known(self, model: Any) -> QuerySet:
        return model.objects.known_at(self.at)

    @cached_property
    def chip_specs(self) -> dict[int, tuple[RecordRef, int, dict[str, Any]]]:
        """chip id -> (specification version, source id, columns) of the specification of lowest rank."""
        fields = ("chip_id", "id", "version", "source_id", *SPEC_FIELDS)
        rows = self.known(ChipSpecification).order_by("chip_id", "rank", "id").values(*fields)
        best: dict[int, tuple[RecordRef, int, dict[str, Any]]] = {}
        for row in rows:
            ref = RecordRef("chipspecification", row["id"], row["version"])
            best.setdefault(row["chip_id"], (ref, row["source_id"], row))
        return best

    @cached_property
    def chips(self) -> dict[int, ChipRow]:
        return {chip_id: row for chip_id, (row, _) in self._chips.items()}

    @cached_property
    def specs(self) -> dict[int, ChipSpec]:
        """What the classification reads of each chip."""
        return {chip_id: spec for chip_id, (_, spec) in self._chips.items()}

    @cached_property
    def _chips(self) -> dict[int, tuple[ChipRow, ChipSpec]]:
        fields = ("id", "version", "name", "first_shipped_on", *CHIP_FIELDS)
        found = {}
        for row in self.known(Chip).order_by("id").values(*fields):
            ref, source_id, values = self.chip_specs.get(row["id"], (None, None, {}))
            spec = spec_of(row, values)
            figure = tpp(spec)
            chip = ChipRow(
                ref=RecordRef("chip", row["id"], row["version"]),
                slug=row["slug"],
                name=row["name"],
                vendor=row["vendor__slug"],
                tpp=figure.low if figure is not None else None,
                tdp_w=spec.tdp_w,
                first_shipped_on=row["first_shipped_on"],
                spec=ref,
                source=self._sources.get(source_id or 0),
                commodity=self._commodity(row["id"], spec, figure.low if figure is not None else None),
            )
            found[row["id"]] = chip, spec
        return found

    def _commodity(self, chip_id: int, spec: ChipSpec, tpp_low: float | None) -> str:
        """The five figures of 91 FR 1684 by which commodities are the same, where all are known."""
        values = (
            tpp_low,
            spec.memory_bandwidth_gbs,
            spec.io_bandwidth_gbs,
            self._memory.get(chip_id),
            spec.tdp_w,
        )
        known = [value for value in values if value is not None]
        units = ("TPP", "GB/s to memory", "GB/s of interconnect", "GB of memory", "W")
        if len(known) < len(units):
            return ""
        return ", ".join(f"{value:g} {unit}" for value, unit in zip(known, units, strict=True))

    @cached_property
    def _memory(self) -> dict[int, float | None]:
        """chip id -> memory in GB, of the specification of lowest rank."""
        rows = self.known(ChipSpecification).order_by("chip_id", "rank", "id")
        found: dict[int, float | None] = {}
        for chip_id, memory in rows.values_list("chip_id", "memory_gb"):
            found.setdefault(chip_id, as_float(memory))
        return found

    @cached_property
    def scopes(self) -> dict[tuple[str, int], Scope]:
        """(``chip`` or ``family``, id) -> scope."""
        found = {}
        for chip_id, chip in self.chips.items():
            equivalents = chip.tpp and h100_equivalents(chip.tpp)
            found["chip", chip_id] = Scope(
                kind="chip",
                id=chip_id,
                slug=chip.slug,
                name=chip.name,
                members=frozenset({chip_id}),
                h100e_low=equivalents,
                lowest_chip=chip_id if equivalents else None,
                h100e_high=equivalents,
                ref=chip.ref,
                vendor=chip.vendor,
                vendor_country=self.specs[chip_id].vendor_hq,
            )
        members: dict[int, set[int]] = defaultdict(set)
        for family_id, chip_id in self.known(ChipFamilyMember).values_list("family_id", "chip_id"):
            members[family_id].add(chip_id)
        fields = ("id", "version", "slug", "name", "vendor__slug", "vendor__country")
        for pk, version, slug, name, vendor, country in self.known(ChipFamily).values_list(*fields):
            # Members not known: any data-center chip of the vendor may be meant (of all vendors, if none is named).
            counted = members[pk] or {
                i
                for i, spec in self.specs.items()
                if spec.marketed_for_datacenters is not False and vendor in (None, spec.vendor)
            }
            rated = sorted((t, c) for c in counted if c in self.chips and (t := self.chips[c].tpp))
            found["family", pk] = Scope(
                kind="family",
                id=pk,
                slug=slug,
                name=name,
                members=frozenset(members[pk]),
                h100e_low=h100_equivalents(rated[0][0]) if rated else None,
                h100e_high=h100_equivalents(rated[-1][0]) if rated else None,
                lowest_chip=rated[0][1] if rated else None,
                ref=RecordRef("chipfamily", pk, version),
                vendor=vendor or "",
                vendor_country=country or "",
            )
        return found

    @cached_property
    def _sources(self) -> dict[int, SourceRow]:
        """Sources of the specifications."""
        return source_rows(
            self.known(Source).filter(id__in={source for _, source, _ in self.chip_specs.values() if source})
        )

    @cached_property
    def numbered_scopes(self) -> dict[int, Scope]:
        """Scopes by the number that columns of lines know them by."""
        return {scope_number(scope): scope for scope in self.scopes.values()}

    @cached_property
    def first_shipped(self) -> dict[int, date]:
        """The earliest first shipping day over the chips of each scope, where all of them are known."""
        found = {}
        for number, scope in self.numbered_scopes.items():
            days = [row.first_shipped_on for row in scopes.member_rows(scope, self.chips) or ()]
            if days and all(days):
                found[number] = min(day for day in days if day)
        return found


@lru_cache(maxsize=8)
def catalogue_known_at(at: datetime) -> Catalogue:
    """The catalogue as known at an instant. What was known at a settled instant never changes, so a process reads it once."""
    return Catalogue(at)


def source_rows(sources: QuerySet) -> dict[int, SourceRow]:
    """Some sources by id."""
    fields = ("id", "version", "slug", "title", "publisher", "url", "published_on", "grade")
    return {
        pk: SourceRow(RecordRef("source", pk, version), *rest)
        for pk, version, *rest in sources.values_list(*fields)
    }


def as_float(value: Any) -> float | None:
    return None if value is None else float(value)
